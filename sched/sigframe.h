/* SPDX-License-Identifier: MIT */
/*
 * sigframe - what a signal handler can tell of the code that it interrupted.
 *
 * Any thread, in a handler with SA_SIGINFO; `context` is the handler's third
 * argument. Lock-free and without allocation once sigframe_prime was called (the
 * unwinder's first call may load it).
 */
#ifndef RG_SCHED_SIGFRAME_H
#define RG_SCHED_SIGFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uintptr_t sigframe_pc(const void *context);
uintptr_t sigframe_sp(const void *context);

/*
 * sigframe_unwind - call frame(pc, arg) for the interrupted code and its callers,
 * innermost first, until it returns false. The first pc is the interrupted
 * instruction itself, the others are return addresses. Returns how many frames
 * there were. Where the unwinder knows nothing of the interrupted pc (a jump through
 * a wild pointer) the word on top of the stack is taken for the caller.
 */
size_t sigframe_unwind(const void *context,
		       bool (*frame)(uintptr_t pc, void *arg), void *arg);

void sigframe_prime(void);

#endif
