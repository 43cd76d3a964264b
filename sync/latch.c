// SPDX-License-Identifier: MIT
/*
 * latch - a door that opens when it has been knocked at n times, and stays open.
 *
 * A wait group of which only done and wait are used is a latch, too; but a done too
 * many is a mistake there, and here it is nothing: several may report the same event
 * without knowing of each other, and each learns whether it was the one that opened.
 *
 *   I1  count_ goes down only. The step to 0 is made under the parking lot's bucket
 *       lock, in which it takes all waiters; the others are a compare-and-swap.
 *   I2  the step to 0 is the last access to the latch's memory by the one who makes it,
 *       and a waiter that was woken does not look at it again: it may be freed as soon as
 *       a wait has returned and nobody else will use it.
 * Not heeding the bound context: a wait that may be given up is a channel's, with select.
 * After Java's CountDownLatch.
 */
#include <ringgo/sync.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/bubble.h"
#include "sched/point.h"
#include "sync/parklot.h"

_Static_assert(sizeof(rg_latch) == 8, "part of the ABI");

void rg_latch_init(rg_latch *l, uint32_t n)
{
	*l = (rg_latch){.count_ = n, .bubble_ = bubble_id()};
}

/* One that was made in a synctest bubble is the bubble's. */
static void check_bubble(const rg_latch *l, const char *what)
{
	if (rg_unlikely(l->bubble_))
		bubble_check(l->bubble_, what, "latch");
}

static enum wait_reason wait_reason(const rg_latch *l)
{
	return l->bubble_ ? WAIT_SYNCTEST_LATCH : WAIT_LATCH;
}

static inline uint32_t load(const rg_latch *l)
{
	/* Relaxed: for a compare-and-swap, or under the bucket's lock. */
	return __atomic_load_n(&l->count_, __ATOMIC_RELAXED);
}

/* L1 acq_rel, pairs with L2, and with itself: what was done before each knock is
 * visible to the one that opens, and by it to those it wakes. */
static inline bool step(rg_latch *l, uint32_t *n)
{
	return __atomic_compare_exchange_n(&l->count_, n, *n - 1, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/* Under the bucket's lock. Whether this step opened it. */
static bool step_locked(void *arg)
{
	rg_latch *l = arg;
	uint32_t n = load(l);

	do {
		/* Who opens it knows of all knocks, and tells those it wakes: they
		 * may not look (I2). Nobody else makes this step. */
		if (n == 1)
			san_acquire(l);
	} while (n && !step(l, &n));
	return n == 1;
}

struct opening {
	rg_latch *l;
	bool opened;
};

static bool open_locked(void *arg)
{
	struct opening *o = arg;

	o->opened = step_locked(o->l);
	return o->opened;
}

bool rg_latch_count_down(rg_latch *l)
{
	struct opening o = {.l = l};
	uint32_t n;

	sched_point();
	n = load(l);
	if (!n)
		return false;
	check_bubble(l, "count down of");
	san_release(l);
	while (n > 1)
		if (step(l, &n))
			return false;
	if (n)
		parklot_unpark_all(l, open_locked, &o);
	return o.opened;
}

bool rg_latch_is_open(const rg_latch *l)
{
	/* L2 acquire, pairs with L1. */
	bool open = __atomic_load_n(&l->count_, __ATOMIC_ACQUIRE) == 0;

	if (open)
		san_acquire((void *)(uintptr_t)l);
	return open;
}

static bool is_shut(void *l)
{
	return load(l) != 0;
}

void rg_latch_wait(rg_latch *l)
{
	struct parked parked;

	sched_point();
	while (!rg_latch_is_open(l)) {
		check_bubble(l, "wait at");
		if (parklot_park(&parked, l, is_shut, l, false, wait_reason(l)))
			break;
	}
}
