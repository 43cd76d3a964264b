// SPDX-License-Identifier: MIT
/*
 * sem - the weighted semaphore: first come, first served.
 *
 * The word holds the units that are free and whether anybody waits. While nobody
 * does, acquire and release are a compare-and-swap each. Waiters are in the parking
 * lot; a release gives to the oldest ones as long as it goes, and stops at the first
 * whose request is larger than what is left.
 *
 *   I1  S_WAITERS is set under the bucket's lock before somebody is queued. While it
 *       is set the units change under that lock only.
 *   I2  it is cleared under the lock when the queue is empty. A queue that the end
 *       of a runtime emptied has it set still: so under the lock the queue counts.
 *   I3  the change of the word is the last access to the semaphore by a release, and
 *       a waiter that got its units does not look at it again.
 *   I4  a waiter whose context ended takes nothing: what it got in the same moment it
 *       gives back, and whoever waited behind it is looked at.
 * After golang.org/x/sync/semaphore. That one knows its size, and lets a request
 * above it wait aside; here release may always add, and it waits in the queue.
 */
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/list.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/cancel.h"
#include "sched/point.h"
#include "sync/parklot.h"

enum { S_WAITERS = 1 };

#define UNITS_MAX (INT64_C(1) << 62)

_Static_assert(sizeof(rg_sem) == 8, "part of the ABI");

static inline uint64_t load(const rg_sem *s)
{
	/* Relaxed: for a compare-and-swap, or under the lock (I1). */
	return __atomic_load_n(&s->state_, __ATOMIC_RELAXED);
}

static inline int64_t units(uint64_t state)
{
	return (int64_t)(state >> 1);
}

/* S1 acquire, pairs with S2: what was done before the release. Release, too, which
 * pairs with S1: what comes from one release may be taken in two steps. */
static inline bool cas(rg_sem *s, uint64_t *old, uint64_t new)
{
	return __atomic_compare_exchange_n(&s->state_, old, new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void check_weight(int64_t n)
{
	if (rg_unlikely(n < 0))
		rg_panic("semaphore: negative weight %lld", (long long)n);
}

/* The units after adding n. */
static int64_t sum(int64_t have, int64_t n)
{
	if (rg_unlikely(n > UNITS_MAX - have))
		rg_panic("semaphore: overflow");
	return have + n;
}

/* 0, or why this goroutine should stop. */
static int context_err(void)
{
	struct g *gp;

	if (!is_goroutine())
		return 0;
	gp = getg();
	return gp->token ? cancel_token_err(gp->token) : 0;
}

/* ---- acquire --------------------------------------------------------------- */

struct request {
	struct parked parked;
	rg_sem *s;
	int64_t n;
};

static inline bool take_quick(rg_sem *s, int64_t n)
{
	uint64_t state = load(s);

	while (!(state & S_WAITERS) && units(state) >= n)
		if (cas(s, &state, state - 2 * (uint64_t)n))
			return true;
	return false;
}

/* Under the bucket's lock, nobody being queued. */
static bool take_locked(rg_sem *s, int64_t n)
{
	uint64_t state = load(s);

	while (units(state) >= n)
		if (cas(s, &state,
			(state & ~(uint64_t)S_WAITERS) - 2 * (uint64_t)n))
			return true;
	return false;
}

static bool must_wait(void *arg, struct parkq *q)
{
	struct request *r = arg;
	uint64_t state;

	if (parkq_oldest(q))
		return true;
	do {
		if (take_locked(r->s, r->n))
			return false;
		state = load(r->s);
	} while (units(state) >= r->n || !cas(r->s, &state, state | S_WAITERS));
	return true;
}

static void grant(void *arg, struct parkq *q);

struct granting {
	rg_sem *s;
	int64_t n; /* added */
};

static RG_NOINLINE int acquire_slow(rg_sem *s, int64_t n)
{
	struct request r = {.s = s, .n = n};
	struct granting none = {s, 0};
	int err;

	switch (parklot_park_heeding(&r.parked, s, must_wait, &r,
				     WAIT_SEMAPHORE)) {
	case WAKE_CANCEL:
		parklot_leave(&r.parked, grant, &none);
		return context_err();
	case WAKE_EVENT:
		err = context_err();
		if (err)
			rg_sem_release(s, n);
		return err;
	case WAKE_NONE:
	case WAKE_TIMER:
		break;
	}
	return 0;
}

int rg_sem_acquire(rg_sem *s, int64_t n)
{
	int err;

	sched_point();
	check_weight(n);
	err = context_err();
	if (err)
		return err;
	if (rg_unlikely(!take_quick(s, n)))
		err = acquire_slow(s, n);
	san_acquire(s);
	return err;
}

struct trying {
	rg_sem *s;
	int64_t n;
	bool ok;
};

static void try_locked(void *arg, struct parkq *q)
{
	struct trying *t = arg;

	t->ok = !parkq_oldest(q) && take_locked(t->s, t->n);
}

bool rg_sem_try_acquire(rg_sem *s, int64_t n)
{
	struct trying t = {s, n, false};

	sched_point();
	check_weight(n);
	t.ok = take_quick(s, n);
	/* Those who wait may be gone with their runtime (I2). */
	if (!t.ok && units(load(s)) >= n)
		parklot_unpark(s, try_locked, &t);
	if (t.ok)
		san_acquire(s);
	return t.ok;
}

/* ---- release --------------------------------------------------------------- */

static void add_to_free(rg_sem *s, int64_t n)
{
	uint64_t state = load(s);

	while (!cas(s, &state, 2 * (uint64_t)sum(units(state), n)))
		continue;
}

/* Under the bucket's lock. */
static void grant(void *arg, struct parkq *q)
{
	struct granting *g = arg;
	struct parked *w = parkq_oldest(q);
	int64_t left;

	if (!w) {
		add_to_free(g->s, g->n);
		return;
	}
	left = sum(units(load(g->s)), g->n);
	for (; w; w = parkq_oldest(q)) {
		int64_t n = container_of(w, struct request, parked)->n;

		if (n > left)
			break;
		if (parkq_take(q))
			left -= n;
	}
	/* S2 release, pairs with S1. A store will do: I1. */
	__atomic_store_n(&g->s->state_,
			 2 * (uint64_t)left + (w ? S_WAITERS : 0),
			 __ATOMIC_RELEASE);
}

void rg_sem_release(rg_sem *s, int64_t n)
{
	struct granting g = {s, n};
	uint64_t state;

	sched_point();
	check_weight(n);
	san_release(s);
	state = load(s);
	do {
		if (state & S_WAITERS) {
			parklot_unpark(s, grant, &g);
			return;
		}
	} while (!cas(s, &state, 2 * (uint64_t)sum(units(state), n)));
}
