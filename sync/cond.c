// SPDX-License-Identifier: MIT
/*
 * cond - waiting for a condition that a mutex guards.
 *
 * A waiter stands in the parking lot's queue before it unlocks the mutex, and parks
 * after that: a signal in between takes it out, and it does not park at all. Go
 * draws numbers for the same end (notifyList); a queue that is entered in two steps
 * keeps the order of the waits, and with it which waiter a signal is for, by itself.
 *
 *   I1  waiters_ is set, under the bucket's lock, while somebody is queued; a queue
 *       that was left by the end of a runtime may be empty with it set. It saves
 *       signals that nobody waits for the bucket's lock.
 *   I2  who signals does not touch the condition after the bucket's unlock, and who
 *       was woken does not at all: it may free it.
 *   I3  self_ is the address at the first use.
 */
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include "kernel-iface/base/check.h"
#include "sched/point.h"
#include "sync/parklot.h"

_Static_assert(sizeof(rg_cond) == 16, "part of the ABI");

static void check_copied(rg_cond *c)
{
	uint64_t self = (uintptr_t)c, seen = 0;

	/* Relaxed: only its value counts. */
	if (rg_likely(__atomic_load_n(&c->self_, __ATOMIC_RELAXED) == self))
		return;
	if (!__atomic_compare_exchange_n(&c->self_, &seen, self, false,
					 __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
	    seen != self)
		rg_panic("sync.Cond is copied");
}

static void set_waiters(rg_cond *c, bool any)
{
	/* Relaxed: read without the bucket's lock by signals only, and one that
	 * is to find a waiter came after its unlock of the mutex. */
	__atomic_store_n(&c->waiters_, any, __ATOMIC_RELAXED);
}

static bool has_waiters(const rg_cond *c)
{
	return __atomic_load_n(&c->waiters_, __ATOMIC_RELAXED);
}

static void mark_waiting(void *c)
{
	set_waiters(c, true);
}

static void wake_oldest(void *c, struct parkq *q)
{
	if (parkq_oldest(q))
		parkq_take(q);
	if (!parkq_oldest(q))
		set_waiters(c, false);
}

static void wake_all(void *c, struct parkq *q)
{
	while (parkq_oldest(q))
		parkq_take(q);
	set_waiters(c, false);
}

void rg_cond_wait(rg_cond *c, rg_mutex *m)
{
	struct parked w;

	sched_point();
	check_copied(c);
	parklot_queue(&w, c, mark_waiting, c);
	rg_mutex_unlock(m);
	parklot_sleep(&w, WAIT_COND);
	rg_mutex_lock(m);
}

void rg_cond_signal(rg_cond *c)
{
	sched_point();
	check_copied(c);
	if (has_waiters(c))
		parklot_unpark(c, wake_oldest, c);
}

void rg_cond_broadcast(rg_cond *c)
{
	sched_point();
	check_copied(c);
	if (has_waiters(c))
		parklot_unpark(c, wake_all, c);
}
