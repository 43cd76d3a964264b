/* SPDX-License-Identifier: MIT */
/*
 * preempt - make an interrupted flow call the scheduler, as if by itself.
 *
 * Two ways, both used by the handler of a signal on the thread that runs the flow:
 *   redirect  the flow goes on in a trampoline on its own stack, which saves all
 *             that the interrupted code may use, calls preempt_switch_hook,
 *             restores it and goes on where the signal came;
 *   hijack    where that is library code, the return address of its outermost
 *             frame is replaced; the `ret` enters the trampoline.
 * Which of them, or none: safepoint_decide (safepoint.h).
 *
 *   I1  nothing of the interrupted flow changes but the memory below its red zone:
 *       flags, all general registers and what xsave knows (x87, mxcsr, xmm, ymm,
 *       zmm, k) are as they were. PKRU is the thread's and stays. What the kernel
 *       saved beyond these (AMX tiles) makes safepoint_decide refuse.
 *   I2  the hook runs with a clean x87, default mxcsr and DF = 0, on the flow's
 *       stack; it may switch away (coro_switch) and must come back on the same
 *       thread: compilers keep addresses of thread-locals.
 *   I3  the trampolines have CFI at each instruction: a stopped flow unwinds to the
 *       interrupted instruction with the registers as they were, and a return slot
 *       that holds a trampoline's address unwinds to the true caller, so that
 *       backtraces and exceptions pass through a hijacked frame.
 *   I4  a flow has at most one hijack. It is armed from the handler only, after
 *       safepoint_decide said so of this very interruption; it is taken back by
 *       the flow itself (from the hook, or when it parks or ends in an ordinary
 *       way), never from a handler.
 *   I5  HIJACKS_MAX of them are armed at a time in the process; more are refused.
 *
 * Not in builds with sanitizers, on CPUs without xsave, under user shadow stacks,
 * or on aarch64 (the vector state would have to be saved by hand):
 * preempt_is_supported is false there and the thread has to be stopped instead.
 */
#ifndef RGK_PREEMPT_H
#define RGK_PREEMPT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

/* What the hook and all it calls until the switch may use of the stack. */
enum { PREEMPT_HOOK_ROOM = 2048, PREEMPT_HIJACKS_MAX = 64 };

/*
 * preempt_switch_hook - called by the trampolines on the flow's stack, with its
 * signal mask; set once before the first redirect. It must keep errno, and take
 * back the flow's hijack (preempt_hijack_disarm) before it switches away.
 */
extern void (*preempt_switch_hook)(void);

/* preempt_start - ask the CPU; any thread, once, outside handlers; may be called
 * again. preempt_is_supported - what it found; false before. */
void preempt_start(void);
bool preempt_is_supported(void);

/* Bytes of stack that a redirect needs below the interrupted sp, the hook's share
 * and the red zone included. */
size_t preempt_room(void);

/* True for pc in a trampoline: the flow is on its way to or from the hook. */
bool preempt_is_trampoline(uintptr_t pc);

/* True when the kernel saved a CPU state in *uc that the trampoline does not. */
bool preempt_has_foreign_state(const ucontext_t *uc);

/*
 * preempt_redirect - when the handler returns, the flow continues in the trampoline.
 * Writes below the red zone of the flow's stack: the caller made sure of the room.
 * Context: the handler, on another stack than the flow's.
 */
void preempt_redirect(ucontext_t *uc);

/* All zero: not armed. Owned by the flow; written by its own thread only. */
struct preempt_hijack {
	uintptr_t *slot; /* the replaced return address */
	uintptr_t pc;    /* what it was */
	unsigned index;  /* of the trampoline, from 1; 0: not armed */
};

static inline bool preempt_hijack_is_armed(const struct preempt_hijack *h)
{
	return h->index != 0;
}

/*
 * preempt_hijack_arm - replace the return address in *slot. False, and nothing done:
 * h is armed already, or HIJACKS_MAX are. Context: the handler.
 */
bool preempt_hijack_arm(struct preempt_hijack *h, uintptr_t *slot);

/*
 * preempt_hijack_disarm - if the slot still holds our trampoline, put the true address
 * back; if the trampoline was entered, or the frame was left by longjmp or an
 * exception, only forget it. Not armed: nothing. Any number of times.
 * Context: the flow itself, outside handlers, or anybody while the flow is stopped
 * in the hook or parked; the flow's stack is still there.
 */
void preempt_hijack_disarm(struct preempt_hijack *h);

#endif
