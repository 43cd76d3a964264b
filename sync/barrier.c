// SPDX-License-Identifier: MIT
/*
 * barrier - n goroutines wait for each other, again and again.
 *
 * All of it is under the parking lot's bucket lock: to arrive is to park, for all but
 * the last one, so that a lock of its own would be taken besides, not instead.
 *
 *   I1  the fields are read and written under the bucket's lock only; waiting_ is how
 *       many are parked for the round that is under way, and below parties_ whenever the
 *       lock is free, except when both are 0.
 *   I2  who ends a round takes all who are parked off the queue in the same step: an
 *       arrival is of this round or of the next one. More than parties_ callers make
 *       further rounds.
 *   I3  the end of a round is the last access to the memory by the one who makes it, and
 *       a waiter that was woken does not look at it again: whoever comes out of the last
 *       round may free it.
 * For ThreadSanitizer, too (I3): an arrival is released to b, whoever ends the round
 * acquires that in the step that ends it, and hands it to those it wakes one by one.
 * A goroutine that will not arrive any more leaves: a barrier that waits for it would
 * wait for ever. There is no broken state that ends all waits with an error, as in
 * Java: that is what a context is for, and a group.
 * After POSIX' barriers (one caller is told), and C++'s arrive_and_drop.
 */
#include <ringgo/sync.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/bubble.h"
#include "sched/point.h"
#include "sync/parklot.h"

_Static_assert(sizeof(rg_barrier) == 16, "part of the ABI");

void rg_barrier_init(rg_barrier *b, uint32_t n)
{
	if (n == 0)
		rg_panic("rg_barrier_init: a barrier of 0 parties");
	*b = (rg_barrier){.parties_ = n, .bubble_ = bubble_id()};
}

/* One that was made in a synctest bubble is the bubble's. */
static void check_bubble(const rg_barrier *b, const char *what)
{
	if (rg_unlikely(b->bubble_))
		bubble_check(b->bubble_, what, "barrier");
}

static enum wait_reason wait_reason(const rg_barrier *b)
{
	return b->bubble_ ? WAIT_SYNCTEST_BARRIER : WAIT_BARRIER;
}

/* One that arrives or leaves. */
struct arrival {
	rg_barrier *b;
	bool ended_round;
	bool is_stray; /* there are no parties */
};

/* Not the last one: counted, and to park. */
static bool must_wait(void *arg)
{
	struct arrival *a = arg;
	rg_barrier *b = a->b;

	a->is_stray = b->parties_ == 0;
	if (b->waiting_ + 1 >= b->parties_)
		return false;
	b->waiting_++;
	return true;
}

/* The last one, if nobody came in between and ended the round. */
static bool end_round(void *arg)
{
	struct arrival *a = arg;
	rg_barrier *b = a->b;

	a->ended_round = b->waiting_ + 1 == b->parties_;
	if (a->ended_round) {
		b->waiting_ = 0;
		san_acquire(b);
	}
	return a->ended_round;
}

bool rg_barrier_wait(rg_barrier *b)
{
	struct arrival a = {.b = b};
	struct parked parked;

	sched_point();
	check_bubble(b, "wait at");
	san_release(b);
	while (!parklot_park(&parked, b, must_wait, &a, false,
			     wait_reason(b))) {
		if (a.is_stray)
			rg_panic("wait at a barrier without parties");
		parklot_unpark_all(b, end_round, &a);
		if (a.ended_round)
			break;
	}
	return a.ended_round;
}

static bool leave_locked(void *arg)
{
	struct arrival *a = arg;
	rg_barrier *b = a->b;

	a->is_stray = b->parties_ == 0;
	if (a->is_stray)
		return false;
	b->parties_--;
	/* I1: those who wait are all there are left. */
	if (b->waiting_ == 0 || b->waiting_ < b->parties_)
		return false;
	b->waiting_ = 0;
	san_acquire(b);
	return true;
}

void rg_barrier_leave(rg_barrier *b)
{
	struct arrival a = {.b = b};
	void *flow, *self;

	sched_point();
	check_bubble(b, "leave of");
	san_release(b);
	/* To leave is not to wait: the flow learns of the others, who leaves does not. */
	flow = san_flow_make("barrier");
	self = san_flow_on(flow);
	parklot_unpark_all(b, leave_locked, &a);
	san_flow_back(self);
	san_flow_free(flow);
	if (a.is_stray)
		rg_panic("leave of a barrier without parties");
}
