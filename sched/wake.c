// SPDX-License-Identifier: MIT
/*
 * wake - sleeping and waking of Ms.
 *
 * Submitting work (W), by a thread that makes a goroutine runnable:
 *   W1  the goroutine is put on a queue: the local one of a running P, or, where there
 *       is no P, the global one under sched.lock;
 *   W2  global queue only: a full fence. (A local queue's owner runs: should W3 read a
 *       stale "nobody idle", the work waits for its owner or sysmon, it is not lost.)
 *   W3  an idle P and no spinning M: nspinning 0 -> 1 by CAS, an idle P is taken under
 *       sched.lock and given to its M, which is woken, spinning.
 *   W4  the idle P was gone: nspinning 1 -> 0, and W3 again, for others may have seen
 *       somebody spin meanwhile and left their work to him.
 * Going to sleep (S), by an M that found nothing:
 *   S1  under sched.lock: the global queue is looked at once more; the P becomes idle,
 *       or spare if somebody waits for its token (token.h);
 *   S2  if spinning: nspinning - 1; a full fence;
 *   S3  all queues are looked at again; work: take the P back, spin on;
 *   S4  under sched.lock the M is marked idle, unless it was given its P meanwhile;
 *   S5  ring.sleeping = 1; full fence; a last look at the cancel queue, at the stop
 *       flag and at the timers of its P; it sleeps in its ring, until the first of
 *       these timers at the latest.
 * W2 before W3 and S2 before S3: either the submitter sees the idle P, or the sleeper
 * sees the work. At most one M spins, so a burst wakes Ms one after the other, each
 * waking the next when it finds work (S6: wake_stop_spinning).
 *
 * Woken (R): the M ends being idle first (so that "everyone is asleep" is never
 * concluded while it holds completions), then reaps its ring; with its P given, or
 * a token to be had, it goes on; without, what it reaped and what its timers ready
 * goes to the global queue.
 *
 *   I1  a P that does not run is watched by its M, which sleeps no longer than until
 *       the P's first timer.
 *   I2  who arms a timer in the heap of a P that it does not hold (foreign threads,
 *       sysmon) does T1: heap, fence, ring.sleeping of its M; pairs with S5.
 * Waking costs the waker 3-8 us and the woken 26-50 us across cores (2026-10): hence
 * sched_ready wakes only for surplus work: a goroutine in `next` is run by its readier
 * as soon as that one parks, or rescued by sysmon.
 */
#include "sched/wake.h"

#include "kernel-iface/clock.h"
#include "sched/deadlock.h"
#include "sched/netpoll.h"
#include "sched/seed.h"
#include "sched/sysmon.h"
#include "sched/token.h"
#include "sched/trim.h"

enum { COALESCE_NS = 50 * 1000, COALESCE_TIMERS = 1000, COALESCE_AFTER = 8 };

static void acquire_p(struct m *mp)
{
	mp->p = mp->own;
	mp->p->turn_tick =
		atomic_load_explicit(&mp->p->schedtick, memory_order_relaxed);
	sysmon_notify();
}

/* W3. False: no idle P, or somebody spins. *mp: who was given its P, or NULL. */
static bool try_wake(struct m **mp)
{
	int none = 0;
	struct p *pp;

	/* W3, seq_cst: after the fence of W2. */
	if (!atomic_load_explicit(&sched.nidle_ps, memory_order_seq_cst) ||
	    !atomic_compare_exchange_strong_explicit(&sched.nspinning, &none, 1,
						     memory_order_seq_cst,
						     memory_order_relaxed))
		return false;
	rtlock_lock(&sched.lock);
	pp = token_take_idle();
	*mp = pp ? pp->home : NULL;
	if (pp)
		pp->home->is_given = pp->home->is_spinner = true;
	rtlock_unlock(&sched.lock);
	if (!pp)
		/* Seq_cst: S2's counterpart for those who come after. */
		atomic_fetch_sub_explicit(&sched.nspinning, 1,
					  memory_order_seq_cst);
	return true;
}

RG_NOINLINE void wake_p_slow(void)
{
	struct m *mp = NULL;

	/* W4: who put work while we were counted as spinning relied on us. */
	while (!mp)
		if (!try_wake(&mp))
			return;
	atomic_fetch_add_explicit(&mp->wakeups, 1, memory_order_relaxed);
	ring_wake(&mp->ring);
}

void wake_stop_spinning(struct m *mp)
{
	mp->spinning = false;
	/* S6, seq_cst: see wake_p_slow. */
	atomic_fetch_sub_explicit(&sched.nspinning, 1, memory_order_seq_cst);
	wake_p();
}

void global_put(struct gqueue *batch)
{
	uint32_t n = batch->len;

	if (!n)
		return;
	rtlock_lock(&sched.lock);
	gqueue_append(&sched.global, batch);
	/* Relaxed: under the lock; readers look again under it. */
	atomic_fetch_add_explicit(&sched.global_len, n, memory_order_relaxed);
	rtlock_unlock(&sched.lock);
	/* W2, pairs with S2. */
	atomic_thread_fence(memory_order_seq_cst);
	wake_p();
}

void global_put_one(struct g *gp)
{
	struct gqueue one = {0};

	gqueue_push(&one, gp);
	global_put(&one);
}

void wake_for_timer(struct p *pp)
{
	struct m *self = getm(), *mp = pp->home;

	if (self && self->p == pp)
		return;
	/* T1 fence, pairs with S5: the heap's new first before the look. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&mp->ring.sleeping, memory_order_relaxed))
		ring_wake(&mp->ring);
}

/* S3: something to run. */
bool wake_is_work_anywhere(void)
{
	struct p *pp;

	if (atomic_load_explicit(&sched.global_len, memory_order_relaxed))
		return true;
	sched_for_each_p(pp) {
		if (!runq_is_empty(&pp->runq))
			return true;
	}
	return false;
}

/* What a waker gave us. Under the lock. */
static bool accept_given_locked(struct m *mp)
{
	bool is_given = mp->is_given;

	if (is_given && mp->is_spinner)
		mp->spinning = true; /* counted by the waker, W3 */
	mp->is_given = mp->is_spinner = false;
	/* Relaxed: R1 sets it for those who sleep in their ring, too. */
	if (is_given)
		atomic_store_explicit(&mp->resume, 0, memory_order_relaxed);
	return is_given;
}

static bool accept_given(struct m *mp)
{
	bool ok;

	rtlock_lock(&sched.lock);
	ok = accept_given_locked(mp);
	rtlock_unlock(&sched.lock);
	if (ok)
		acquire_p(mp);
	return ok;
}

/* A token that a waker gave us since we looked comes first. */
static bool take_token(struct m *mp)
{
	bool ok;

	rtlock_lock(&sched.lock);
	ok = accept_given_locked(mp) || token_take_own(mp);
	rtlock_unlock(&sched.lock);
	if (ok)
		acquire_p(mp);
	return ok;
}

static void start_spinning(struct m *mp)
{
	if (mp->spinning)
		return;
	mp->spinning = true;
	/* Seq_cst, pairs with W3. */
	atomic_fetch_add_explicit(&sched.nspinning, 1, memory_order_seq_cst);
}

/* S1, S2: false when there was work after all (the P is kept). */
static bool release_p(struct m *mp)
{
	struct m *granted;

	rtlock_lock(&sched.lock);
	if (sched.global.len) {
		rtlock_unlock(&sched.lock);
		return false;
	}
	mp->p = NULL;
	token_set(mp->own, P_SPARE);
	granted = token_balance();
	rtlock_unlock(&sched.lock);
	token_wake_granted(granted);
	if (mp->spinning) {
		mp->spinning = false;
		/* S2, pairs with W3. */
		atomic_fetch_sub_explicit(&sched.nspinning, 1,
					  memory_order_seq_cst);
	}
	/* S2, pairs with W2. */
	atomic_thread_fence(memory_order_seq_cst);
	return true;
}

/* Until the first timer of its P; -1: no limit. */
static int64_t sleep_limit(const struct m *mp)
{
	rg_time when, now;

	when = atomic_load_explicit(&mp->own->timers.earliest,
				    memory_order_relaxed);
	if (when == RG_FOREVER)
		return -1;
	now = sched_now();
	return when > now ? when - now : 0;
}

/*
 * With many timers, and the next one always near, a sleep ends for one goroutine at a
 * time and costs more than it. After some such sleeps in a row they last COALESCE_NS at
 * least; completions end them all the same.
 */
static int64_t coalesce(struct m *mp, int64_t limit)
{
	/* Relaxed: statistics. */
	if (limit >= COALESCE_NS || limit <= 0 ||
	    atomic_load_explicit(&mp->own->timers.count, memory_order_relaxed) <
		    COALESCE_TIMERS) {
		mp->short_sleeps = 0;
		return limit;
	}
	if (mp->short_sleeps < COALESCE_AFTER) {
		mp->short_sleeps++;
		return limit;
	}
	return COALESCE_NS;
}

/* S5. max: how long at most; -1: no limit. */
static void sleep_in_ring(struct m *mp, int64_t max)
{
	int64_t limit;

	limit = coalesce(mp, sleep_limit(mp));
	if (max >= 0 && (limit < 0 || limit > max))
		limit = max;
	limit = netpoll_limit(mp, limit);
	if (limit && !netpoll_has_requests(mp) && !sched_is_stopping())
		ring_wait(&mp->ring, limit);
}

/* S4, S5. */
static void sleep_idle(struct m *mp, int64_t max)
{
	bool is_last, is_given;

	/* Serving a cancel request may have ended a wait. */
	if (mp->reaped.head)
		return;
	trim_forget(mp);
	/* Seq_cst and fence, pair with the fences before ring_wake's callers
	 * look at it (netpoll_cancel, T1, sched_stop). */
	ring_sleep_begin(&mp->ring);
	rtlock_lock(&sched.lock);
	is_given = mp->is_given;
	mp->is_idle = !is_given;
	sched.nidle_ms += !is_given;
	is_last = deadlock_is_likely_locked();
	rtlock_unlock(&sched.lock);
	if (is_given) {
		atomic_store_explicit(&mp->ring.sleeping, 0,
				      memory_order_relaxed);
		return;
	}
	if (rg_unlikely(is_last))
		deadlock_check();
	sleep_in_ring(mp, is_last ? DEADLOCK_RECHECK_NS : max);
	atomic_store_explicit(&mp->ring.sleeping, 0, memory_order_relaxed);
	rtlock_lock(&sched.lock);
	mp->is_idle = false;
	sched.nidle_ms--;
	rtlock_unlock(&sched.lock);
}

static bool is_timer_due(const struct m *mp)
{
	return sleep_limit(mp) == 0;
}

/* R: true: mp has its P and something, or a reason, to look. */
static bool resume(struct m *mp)
{
	struct gqueue ready = {0};

	netpoll_reap(mp);
	if (accept_given(mp))
		return true;
	if (!mp->reaped.head && !is_timer_due(mp) && !wake_is_work_anywhere())
		return false;
	if (take_token(mp)) {
		if (!mp->reaped.head)
			start_spinning(mp);
		return true;
	}
	netpoll_take_reaped(mp, &ready);
	global_put(&ready);
	if (is_timer_due(mp))
		timer_heap_run(&mp->own->timers, clock_now());
	/* It may have readied the goroutine that is locked to mp. */
	return accept_given(mp);
}

bool wake_nap(struct m *mp, int64_t max)
{
	netpoll_serve(mp);
	sleep_idle(mp, max);
	return resume(mp);
}

bool wake_first_p(struct m *mp)
{
	do {
		if (sched_is_stopping())
			return false;
	} while (!wake_nap(mp, -1));
	return true;
}

bool wake_idle(struct m *mp)
{
	if (!release_p(mp))
		return true;
	/* S3. */
	if (wake_is_work_anywhere() && take_token(mp)) {
		start_spinning(mp);
		return true;
	}
	return wake_first_p(mp);
}
