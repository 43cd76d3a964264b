// SPDX-License-Identifier: MIT
/*
 * waitgroup - count down, and wake who waits for zero.
 *
 * The word holds the counter (high half) and whether anybody waits (W_WAITERS).
 * Whoever brings the counter to zero with waiters does it under the parking lot's
 * bucket lock, in one step with taking these off the queue; all other changes are
 * a compare-and-swap.
 *
 *   I1  W_WAITERS is set only while the counter is above zero, under the bucket's
 *       lock, and cleared by the change to zero. So a counter of zero with
 *       waiters, in which Go looks for misuse, is never to be seen: an add that
 *       races with the last done is before it (the waiters go on waiting) or after
 *       it (they are of the former round).
 *   I2  the change to zero is the last access to the wait group's memory by the one
 *       who makes it, and a waiter that was woken does not look at it again: it
 *       may leave its scope as soon as one wait has returned.
 */
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/textmap.h"
#include "sched/bubble.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/lockgraph.h"
#include "sync/parklot.h"

/* In the low half beside W_WAITERS: the id of the bubble whose goroutines add and are
 * done; 0: none. Like W_WAITERS it goes when the counter comes to 0. */
enum { W_WAITERS = 1, W_BUBBLE_SHIFT = 1 };

#define W_LOW UINT64_C(0xffffffff)

_Static_assert(sizeof(rg_waitgroup) == 8, "part of the ABI");

static int64_t counter(uint64_t s)
{
	return (int64_t)(s >> 32);
}

static uint32_t bubble_of(uint64_t s)
{
	return (uint32_t)s >> W_BUBBLE_SHIFT;
}

/* The low half when the calling goroutine changes s. */
static uint64_t low_half(uint64_t s)
{
	uint32_t id = bubble_id() & (UINT32_MAX >> W_BUBBLE_SHIFT);

	if (rg_likely(bubble_of(s) == id))
		return s & W_LOW;
	if (id && bubble_of(s))
		rg_panic("WaitGroup.Add called from multiple synctest bubbles");
	if (counter(s))
		rg_panic("WaitGroup.Add called from inside and outside "
			 "synctest bubble");
	return (s & W_WAITERS) | (uint64_t)id << W_BUBBLE_SHIFT;
}

/* The state after adding delta to s; panics when that is none. */
static uint64_t moved(uint64_t s, int delta)
{
	int64_t n = counter(s) + delta;
	uint64_t low = low_half(s);

	if (rg_unlikely(n < 0))
		rg_panic("negative WaitGroup counter");
	if (rg_unlikely(n > INT32_MAX))
		rg_panic("WaitGroup counter overflow");
	return ((uint64_t)n << 32) | (n ? low : 0);
}

/* G1 release, pairs with G2 in wait: what was done before done(). */
static inline bool cas(rg_waitgroup *w, uint64_t *s, uint64_t new)
{
	return __atomic_compare_exchange_n(&w->state_, s, new, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static inline uint64_t load(const rg_waitgroup *w)
{
	/* Relaxed: for a compare-and-swap. */
	return __atomic_load_n(&w->state_, __ATOMIC_RELAXED);
}

struct adding {
	rg_waitgroup *w;
	int delta;
};

static bool add_locked(void *arg)
{
	struct adding *a = arg;
	uint64_t s = load(a->w), new;

	do {
		new = moved(s, a->delta);
	} while (!cas(a->w, &s, new));
	if (new == 0 && lockgraph_is_on())
		lockgraph_wakes(a->w, NULL);
	if (new == 0)
		san_acquire(a->w);
	return new == 0;
}

/* Wakes all if this change makes it zero. Those who are woken may not look at w (I2), so
 * for ThreadSanitizer they are told by a flow that has seen all changes: whoever makes
 * the last one knows no more of the others by it. */
static void add_slow(struct adding *a)
{
	void *flow = san_flow_make("waitgroup"), *self = san_flow_on(flow);

	parklot_unpark_all(a->w, add_locked, a);
	san_flow_back(self);
	san_flow_free(flow);
}

void rg_waitgroup_add(rg_waitgroup *w, int delta)
{
	struct adding a = {w, delta};
	uint64_t s, new;

	sched_point();
	san_release(w);
	s = load(w);
	do {
		new = moved(s, delta);
		if (new == 0 && (s & W_WAITERS)) {
			add_slow(&a);
			return;
		}
	} while (!cas(w, &s, new));
}

void rg_waitgroup_done(rg_waitgroup *w)
{
	rg_waitgroup_add(w, -1);
}

struct waiting {
	rg_waitgroup *w;
	struct parked parked;
	struct lockwait wait;
};

static bool still_counting(void *arg)
{
	struct waiting *waiting = arg;
	rg_waitgroup *w = waiting->w;
	uint64_t s = load(w);

	do {
		/* G2 acquire on failure paths is wait's own, below. */
		if (counter(s) == 0)
			return false;
	} while (!(s & W_WAITERS) && !cas(w, &s, s | W_WAITERS));
	return lockgraph_parks(&waiting->wait);
}

static enum wait_reason wait_reason(uint64_t s)
{
	return bubble_of(s) && bubble_of(s) == bubble_id()
		       ? WAIT_SYNCTEST_WAITGROUP
		       : WAIT_WAITGROUP;
}

static RG_NOINLINE void wait_slow(rg_waitgroup *w, uintptr_t pc)
{
	struct waiting waiting = {
		.w = w, .wait = {.lock = w, .what = "rg_waitgroup", .pc = pc}};
	uint64_t s;

	sched_point();
	sched_yield_to_child();
	/* G2 acquire, pairs with G1. A waiter that parked got it by the
	 * bucket's lock and the wake-up. */
	while (counter(s = __atomic_load_n(&w->state_, __ATOMIC_ACQUIRE)) !=
	       0) {
		if (parklot_park(&waiting.parked, w, still_counting, &waiting,
				 false, wait_reason(s)))
			break;
		lockgraph_report(&waiting.wait);
	}
	if (counter(s) == 0)
		san_acquire(w);
}

void rg_waitgroup_wait(rg_waitgroup *w)
{
	/* G2 acquire, pairs with G1. */
	if (counter(__atomic_load_n(&w->state_, __ATOMIC_ACQUIRE)) != 0)
		wait_slow(w, (uintptr_t)__builtin_return_address(0));
	else
		san_acquire(w);
}

/* ---- goroutines in the group ---------------------------------------------- */

struct member {
	rg_waitgroup *w;
	void (*fn)(void *arg);
	void *arg;
	struct g_defer *defer;
};

static void member_done(void *w)
{
	if (lockgraph_is_on())
		lockgraph_gives(w, HOLD_MEMBER);
	rg_waitgroup_done(w);
}

static RG_CALLS_USER void member_main(void *copied)
{
	const struct member *member = copied;
	struct g *gp = getg();
	struct g_defer *d = member->defer;

	/* rg_exit runs and frees it, and so does returning. */
	*d = (struct g_defer){gp->defers, member_done, member->w};
	gp->defers = d;
	if (lockgraph_is_on())
		lockgraph_took(member->w, "rg_waitgroup", HOLD_MEMBER,
			       (uintptr_t)member->fn);
	member->fn(member->arg);
}

int rg_waitgroup_go(rg_waitgroup *w, void (*fn)(void *arg), void *arg)
{
	struct member member = {.w = w, .fn = fn, .arg = arg};
	struct sched_go_args args = {
		.fn = member_main,
		.arg = &member,
		.copy = sizeof(member),
		.pc = (uintptr_t)__builtin_return_address(0),
		.kind = G_USER,
	};
	int err;

	sched_point();
	/* Here, where a lack of memory can be reported. */
	member.defer = rgk_alloc(sizeof(*member.defer));
	if (!member.defer)
		return -ENOMEM;
	rg_waitgroup_add(w, 1);
	err = sched_go(&args);
	if (err < 0) {
		rgk_free(member.defer);
		rg_waitgroup_add(w, -1);
	}
	return err;
}
