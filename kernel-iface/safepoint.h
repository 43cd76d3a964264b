/* SPDX-License-Identifier: MIT */
/*
 * safepoint - may a flow that a signal interrupted here be switched away from?
 *
 *   I1  the answer comes from an unwind from the interrupted instruction to the flow's
 *       entry (coro_entry); a chain that does not get there exactly is refused.
 *   I2  nothing is read but the flow's stack and unwind tables that the dynamic linker
 *       names: garbage in a frame cannot fault.
 *   I3  SAFEPOINT_SWITCH: the interrupted code is TEXT_USER or TEXT_PASS, and every caller is
 *       that or TEXT_CALLS_USER. One frame of an object that may hold a lock of the
 *       thread's (textmap.h, I4) is a refusal.
 *   I4  SAFEPOINT_HIJACK: the innermost frames are library code, and all beyond them
 *       as in I3; `slot` is the return address of the outermost of these.
 *   I5  no allocation, no lock, no system call, errno untouched; at most
 *       SAFEPOINT_FRAMES_MAX frames.
 */
#ifndef RGK_SAFEPOINT_H
#define RGK_SAFEPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "kernel-iface/preempt.h"

enum { SAFEPOINT_FRAMES_MAX = 256 };

/* Verdicts, with the names that statistics show. The first two are not refusals. */
#define SAFEPOINT_VERDICTS(X)                                                  \
	X(SWITCH, "switch")                                                    \
	X(HIJACK, "hijack")                                                    \
	X(UNSUPPORTED, "unsupported")   /* CPU, build, malloc in executable */ \
	X(NOT_ON_STACK, "not on stack") /* sp lies elsewhere */                \
	X(NO_ROOM, "no room")           /* too little stack is left */         \
	X(CPU_STATE, "cpu state")       /* registers xsave leaves out */       \
	X(RUNTIME, "runtime")           /* our own code is under way */        \
	X(PENDING, "pending")           /* a hijack waits for its return */    \
	X(UNKNOWN, "unknown code")      /* of no object: a JIT, say */         \
	X(NO_UNWIND, "no unwind info")  /* the chain broke off */              \
	X(DEEP, "too deep")             /* more than FRAMES_MAX frames */      \
	X(CALLBACK, "library callback") /* user code called by a library */    \
	X(EXCEPTION, "exception")   /* a throw or an unwind is under way */    \
	X(LINKER, "dynamic linker") /* a symbol is being bound */              \
	X(SETJMP, "setjmp")                                                    \
	X(VFORK, "vfork")                                                      \
	X(LOCKS, "thread locks") /* an object that may hold one */

#define SAFEPOINT_ENUM_(name, text) SAFEPOINT_##name,
enum safepoint_verdict {
	SAFEPOINT_VERDICTS(SAFEPOINT_ENUM_) SAFEPOINT_VERDICT_COUNT
};
#undef SAFEPOINT_ENUM_

struct safepoint_flow {
	uintptr_t stack_lo, stack_hi; /* above the guard; the end */
};

struct safepoint {
	enum safepoint_verdict verdict;
	uintptr_t *slot; /* SAFEPOINT_HIJACK: for preempt_hijack_arm */
	uintptr_t pc;    /* else: the code that was in the way; 0: none */
	unsigned frames; /* that were walked */
};

/* safepoint_start - preempt_start and textmap_start; any number of times. */
void safepoint_start(void);

/*
 * safepoint_decide - look at the interrupted flow *uc; fills *out.
 * Context: the handler, on another stack, on the thread that ran the flow (or another
 * one that knows it stopped: then the answer is for information only).
 */
void safepoint_decide(const ucontext_t *uc, const struct safepoint_flow *flow,
		      struct safepoint *out);

/*
 * safepoint_is_outside - the flow *uc is in nobody's code but the user's and that of
 * libraries the user called: no frame from the interrupted one to the entry is the
 * runtime's, but where it calls user code; libc called by such a function is the
 * runtime's, which may hold a lock there. False, too, where the chain breaks off (a
 * JIT's code, no room for doubt). Says nothing about the stack: the thread may be
 * stopped there, not the flow be left. Context: as safepoint_decide.
 */
bool safepoint_is_outside(const ucontext_t *uc,
			  const struct safepoint_flow *flow);

/* "switch", "runtime" ...; never NULL. */
const char *safepoint_name(enum safepoint_verdict verdict);

#endif
