/* SPDX-License-Identifier: MIT */
/*
 * interrupt - a goroutine that computes is interrupted, so that others run.
 *
 * sysmon asks by SIGURG. The handler, on the signal stack of the M, does the best of
 * what is allowed where the goroutine was interrupted:
 *   switch   the stack is left for the scheduler's, as if the goroutine had yielded
 *            (kernel-iface/preempt.h; where: safepoint.h). It costs 2-4 us.
 *   suspend  else, outside the runtime: the thread is stopped, as an operating system
 *            does: its token goes to another pair (token.h), and the handler sleeps
 *            until it gets one back. Locks, errno, thread-locals stay as they are.
 *   refuse   inside the runtime, which is left soon, or where it cannot be told; the
 *            goroutine gives way at its next entry into the library (point.h).
 * The same signal kicks the ring of an M that computes: what was queued is submitted, and
 * the kernel posts completions, which sysmon reaps.
 *
 *   I1  a goroutine whose stack was left this way is pinned: it runs on the same M until
 *       it parks by itself: compilers keep addresses of thread-locals. But when that M
 *       is blocked by a system call for long, or stopped time and again in a goroutine
 *       that computes, perhaps waiting for this very goroutine (a pipe or a flag
 *       between them), it may run elsewhere: a stale address of a thread-local is
 *       better than a deadlock.
 *   I2  a goroutine is not stopped while rg_preempt_disable is in force, nor on a
 *       scheduler's stack, nor in a system goroutine.
 *   I3  handler and sysmon allocate nothing, and take sched.lock only where the
 *       interrupted code cannot hold it (outside the runtime).
 *   I4  a stack is left only in code that holds no lock of its thread: pthread mutexes
 *       and the like are refused by object (textmap.h), and the thread is stopped
 *       instead. So no goroutine of the same M can wait for what a pinned one holds.
 *   I5  who is stopped holds up nobody for ever: it waits its turn for a token
 *       (token.h), INTERRUPT_SLICE_NS at most after the one before it.
 * How: kernel-iface/preempt.h. Off: RINGGO_DEBUG=asyncpreemptoff=1, builds with sanitizers, RINGGO_SEED.
 */
#ifndef RG_SCHED_INTERRUPT_H
#define RG_SCHED_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/safepoint.h"
#include "sched/sched.h"

/* A goroutine's share while others of its kind wait, as in Go; and while something
 * waits that had slept. */
#define INTERRUPT_SLICE_NS (10 * RG_MILLISECOND)
#define INTERRUPT_SHORT_NS (1 * RG_MILLISECOND)

/* How long who is pinned waits for its own thread: longer than most waits for a lock or
 * a disk. */
#define INTERRUPT_UNPIN_NS (50 * RG_MILLISECOND)

/* Bits of m.asked. */
enum { ASKED_KICK = 1, ASKED_STOP = 2 };

/* What came of a request; refusals of safepoint.h follow. */
#define INTERRUPT_RESULTS(X)                                                   \
	X(KICKED, "kicked")                                                    \
	X(SWITCHED, "switched")                                                \
	X(HIJACKED, "hijacked")                                                \
	X(SUSPENDED, "suspended")                                              \
	X(NOT_RUNNING, "not running")                                          \
	X(DISABLED, "disabled")                                                \
	X(NO_PAIR, "no thread to go on")

#define INTERRUPT_ENUM_(name, text) INTERRUPT_##name,
enum interrupt_result {
	INTERRUPT_RESULTS(INTERRUPT_ENUM_) INTERRUPT_RESULT_COUNT
};
#undef INTERRUPT_ENUM_

/* interrupt_start - with the signal handlers; reads the configuration. */
void interrupt_start(void);

/* False: signals are never sent. */
bool interrupt_is_on(void);

/* interrupt_ask - send mp the signal for `what`. sysmon. */
void interrupt_ask(struct m *mp, uint32_t what);

/* interrupt_on_signal - of the handler, for any SIGURG: one of interrupt_ask may have
 * been merged with another's. Nothing was asked: nothing. */
void interrupt_on_signal(void *context);

/* Is this the value that interrupt_ask's signals carry? */
bool interrupt_is_mine(const void *value);

/* interrupt_poke - a thread that is stopped here shall look: at its ring (sysmon), and
 * whether a freezer wants an answer. */
void interrupt_poke(struct m *mp);

/* The runtime stops: those that are stopped here go on. */
void interrupt_release_all(void);

/* interrupt_point - at an entry of the library, on a goroutine: gives way if a signal
 * found it in the runtime meanwhile (point.h). */
void interrupt_point(void);

/* interrupt_unpin - what is pinned to mp, which is blocked or stopped, may run elsewhere
 * if its head has waited since then. True: there was something. sysmon, its handler. */
bool interrupt_unpin(struct m *mp, rg_time since);

/* interrupt_pinned - a goroutine that is pinned to the calling M, or NULL. */
struct g *interrupt_pinned(struct m *mp);

/* interrupt_leave - gp parks or ends in an ordinary way. */
void interrupt_leave_slow(struct m *mp, struct g *gp);
static inline void interrupt_leave(struct m *mp, struct g *gp)
{
	if (rg_unlikely(gp->special & G_HIJACKED))
		interrupt_leave_slow(mp, gp);
}

/* ---- statistics ---- */

uint64_t interrupt_count(enum interrupt_result r);
uint64_t interrupt_refused(enum safepoint_verdict v);
const char *interrupt_name(enum interrupt_result r);

#endif
