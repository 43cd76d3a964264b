/* SPDX-License-Identifier: MIT */
/*
 * lockthread - a goroutine bound to its thread: rg_lock_os_thread.
 *
 * Binding is between a goroutine and the M that runs it, and is known to both: G_LOCKED
 * in g.special, and m.bound with m.bound_g. Go puts a locked goroutine into the run
 * queues like any other, and who draws it hands his P to its thread. Here it is never
 * in a run queue, so nobody who takes one out has to look:
 *   L1  who readies it (park.c, netpoll.c) sees g.special and comes to lockthread_ready,
 *       which notes that in its M, under sched.lock, and puts that M in the line of those
 *       that wait for a token (token.h);
 *   L2  when it parks, its M's run queue is emptied into the global one, the token is
 *       given up, and the M sleeps in its ring: it still submits, reaps and fires
 *       timers, for the goroutines that used it before, too;
 *   L3  when it gives way, or was preempted, L1 and L2 are one step (token_drop).
 *
 *   I1  m.bound, m.bound_g and m.lock_count are the thread's own, but for a sleeping M
 *       that lockthread_adopt takes out of the spare ones.
 *   I2  a bound M runs its goroutine or g0, nothing else: switch_pick sends every
 *       switch of it to g0, because housekeeping stays due, and find_runnable sends
 *       g0 here. Unbound Ms pay one test in find_runnable.
 *   I3  m.is_ready is set once for each park and cleared by the M when it runs the
 *       goroutine; a bound M is P_WAITING while it is set and the M has no token,
 *       and P_AWAY while it is clear.
 *   I4  no goroutine is pinned (interrupt.h) to a bound M: who locks on an M that has
 *       such ones goes to a spare M first.
 *   I5  a goroutine that ends locked takes its thread along (lockthread_end): the M
 *       takes nothing more, asks back what others have in flight on its ring (they
 *       do it again on another one), and its thread ends; the maker gives M and P a
 *       new thread (pair.h, I5). The thread of rg_run's caller is not ours to end: it
 *       sleeps until the runtime stops.
 *   I6  threads are made by the maker, which runs no goroutine: what a locked one did
 *       to its thread (namespaces, CPUs, signal mask) is inherited by none.
 * Under a seed there is one thread, and all of this does nothing.
 * Rejected: a flag that each taker from a queue tests (Go's way): all pay for few.
 */
#ifndef RG_SCHED_LOCKTHREAD_H
#define RG_SCHED_LOCKTHREAD_H

#include "sched/sched.h"

static inline bool lockthread_is_locked(const struct g *gp)
{
	return gp->special & G_LOCKED;
}

/* lockthread_ready - gp is locked and runnable. Any thread. */
void lockthread_ready(struct g *gp);

/* lockthread_give_way - the same, by its own M, on g0, when gp gave way. lockthread_refused
 * - its park was refused: it runs on. */
void lockthread_give_way(struct m *mp, struct g *gp);
void lockthread_refused(struct m *mp);

/* lockthread_find - find_runnable of a bound M: its goroutine, or NULL: the runtime
 * stops, or the goroutine has ended and the thread shall (lockthread_is_over). */
struct g *lockthread_find(struct m *mp);
bool lockthread_is_over(const struct m *mp);

/* lockthread_end - gp, locked to the calling M, ends. */
void lockthread_end(struct m *mp, struct g *gp);

/*
 * lockthread_begin_main - gp, which has not run yet, is the main goroutine: mp, the M of
 * rg_run's caller, runs it first. lockthread_leave_main - by it, before the user's code:
 * who locks there first thing has the thread that called rg_run.
 */
void lockthread_begin_main(struct m *mp, struct g *gp);
void lockthread_leave_main(void);

/* lockthread_call - fn(arg) by the calling goroutine, which is locked: its thread may block,
 * the token is somebody else's. */
void *lockthread_call(void *(*fn)(void *arg), void *arg);

/* lockthread_count - goroutines that are locked. */
int lockthread_count(void);

#endif
