/* SPDX-License-Identifier: MIT */
/*
 * park - how a goroutine stops and how it becomes runnable again.
 *
 * The rule against lost and early wake-ups: a waiter publishes itself under a lock
 * and that lock is released only after its context has been saved. So:
 *   P1  the goroutine takes lock L and finds that it must wait;
 *   P2  it links itself where its waker will find it, under L;
 *   P3  sched_park_unlock(L, reason): the context is saved, the M leaves the stack,
 *       then L is released, by whoever runs next on that M ("commit");
 *   R1  the waker takes L, unlinks the waiter, releases L;
 *   R2  sched_ready(gp): queues it. R1 cannot come before the end of P3, so R2 never
 *       meets a goroutine that still runs on its stack.
 *
 *   I1  exactly one sched_ready per park.
 *   I2  sched_ready is never called with a channel or object lock held: collect,
 *       unlock, then ready (a woken thread must not spin on our lock).
 *   I3  nothing parks while it holds a runtime lock other than the one it passes,
 *       on g0, in a timer callback, or in a signal handler.
 *   I4  after a park the goroutine may be on another thread: getm(), &errno, any
 *       address of a thread-local is stale.
 * Foreign threads: the same calls; the lock is released before the futex wait, and
 * the wake-up is remembered in gp->futex.
 */
#ifndef RG_SCHED_PARK_H
#define RG_SCHED_PARK_H

#include "kernel-iface/base/rtlock.h"
#include "sched/g.h"

/* Runs after gp's context was saved, on another stack. false: do not park, run gp
 * on. Must be short; may unlock, arm timers, submit. */
typedef bool park_commit(struct g *gp, void *arg);

/*
 * sched_park - park the calling goroutine (or foreign thread) for `reason`;
 * wait_arg is shown in dumps. commit may be NULL.
 */
void sched_park(park_commit *commit, void *arg, enum wait_reason reason,
		const void *wait_arg);
void sched_park_unlock(struct rtlock *l, enum wait_reason reason,
		       const void *wait_arg);

/* The rest of park_check_stack: returns for a foreign thread. */
void park_wrong_stack(const struct g *gp);

/*
 * park_check_stack - the caller stands on the stack of gp, a goroutine; else it is a
 * signal handler on a signal stack, or has left its goroutine by longjmp: panics. For
 * parks that cost more than the check (I/O, time limits); gp may be a foreign thread.
 */
static inline void park_check_stack(const struct g *gp)
{
	const char *here = __builtin_frame_address(0);

	if (rg_unlikely(here < gp->stack_lo || here >= gp->stack_hi))
		park_wrong_stack(gp);
}

/* park_commit_unlock - the commit of sched_park_unlock; arg is the rtlock. */
bool park_commit_unlock(struct g *gp, void *arg);

/*
 * sched_ready - make gp runnable: next on this P when the caller is on one (sharing
 * its time slice), else through the global queue; wakes an idle P when useful.
 * Any thread, g0, timer callbacks. Does not park.
 */
void sched_ready(struct g *gp);

/* The same at the tail of the queue: for batches and for those that should not
 * overtake. */
void sched_ready_tail(struct g *gp);

/* A list of goroutines to ready after unlocking, through schedlink. */
struct ready_list {
	struct g *head, *tail;
};
/* sched_put_tail - gp, which is runnable, to the tail of pp's ring, the caller's own;
 * a batch of a full one goes to the global queue. */
void sched_put_tail(struct p *pp, struct g *gp);

/* sched_ready_quiet - sched_ready_tail, by nobody in particular: to ThreadSanitizer it
 * does not order gp after the caller. For timers and the like. */
void sched_ready_quiet(struct g *gp);

void ready_list_add(struct ready_list *l, struct g *gp);
void sched_ready_all(struct ready_list *l);

/* Park until `deadline` at the latest: see sched_park_until. */
enum wake_state {
	WAKE_NONE,   /* parked, nobody won yet */
	WAKE_EVENT,  /* the event: whoever waits for it was told */
	WAKE_TIMER,  /* the deadline passed */
	WAKE_CANCEL, /* the token of the goroutine was cancelled */
};

/*
 * A wait with several possible ends (an event, a deadline, a cancellation) is
 * decided by one compare-and-swap on gp->wake_state: wake_begin sets WAKE_NONE
 * before the goroutine publishes itself; each waker that finds it calls
 * wake_claim(gp, how), and only the one that gets true may ready it. select uses it
 * over its channels.
 */
static inline void wake_begin(struct g *gp)
{
	/* Relaxed: published by the lock under which gp links itself. */
	atomic_store_explicit(&gp->wake_state, WAKE_NONE, memory_order_relaxed);
}

static inline bool wake_claim(struct g *gp, enum wake_state how)
{
	uint32_t expected = WAKE_NONE;

	/* Relaxed suffices: data passes under the locks around it and through
	 * the run queue; this only elects. */
	return atomic_compare_exchange_strong_explicit(
		&gp->wake_state, &expected, how, memory_order_relaxed,
		memory_order_relaxed);
}

/*
 * sched_park_until - as sched_park, and gp's own timer is armed in the commit step:
 * at `deadline` it claims WAKE_TIMER and readies gp. The caller called wake_begin,
 * and its wakers use wake_claim(gp, WAKE_EVENT). With heed_token the goroutine's
 * cancel token claims WAKE_CANCEL. Returns who won; neither timer nor token can
 * touch gp any more. deadline RG_FOREVER: no timer. When the timer cannot be armed
 * (no memory) WAKE_TIMER is returned at once if nothing else has won.
 */
enum wake_state sched_park_until(park_commit *commit, void *arg,
				 rg_time deadline, bool heed_token,
				 enum wait_reason reason, const void *wait_arg);

/* The current time slice ends: run others first. The second one goes behind what is
 * in the global queue. On a goroutine only. */
void sched_yield_g(void);
void sched_yield_global(void);

/*
 * sched_yield_to_child - the caller is about to wait for goroutines that it started. If
 * the next one here is one that has not run yet, it runs first, and true is returned: it
 * may well be over. To park and to be readied costs three locked instructions and more.
 * Any context; may be on another thread afterwards.
 */
bool sched_yield_to_child(void);

#endif
