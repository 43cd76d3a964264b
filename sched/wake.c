// SPDX-License-Identifier: MIT
/*
 * wake - sleeping and waking of Ms.
 *
 * Submitting work (W), by a thread that makes a goroutine runnable:
 *   W1  the goroutine is put on a queue: the local one of a running P, or, where there
 *       is no P, the global one under sched.lock;
 *   W2  global queue only: a full fence. (A local queue's owner runs: should W3 read a
 *       stale "nobody idle", the work waits for its owner or sysmon, it is not lost.)
 *   W3  an idle P and no spinning M: nspinning 0 -> 1 by CAS, an idle P and a sleeping
 *       M are taken under sched.lock, the M is given the P and woken, spinning.
 * Going to sleep (S), by an M that found nothing:
 *   S1  under sched.lock: the global queue is looked at once more; the P becomes idle;
 *   S2  if spinning: nspinning - 1; a full fence;
 *   S3  all queues and timers are looked at again; work: take an idle P, spin on;
 *   S4  under sched.lock the M is marked idle, unless it was given a P meanwhile;
 *   S5  ring.sleeping = 1; full fence; a last look at the cancel queue, at the stop
 *       flag and at the timers of the P it released; it sleeps in its ring, until the
 *       first of these timers at the latest.
 * W2 before W3 and S2 before S3: either the submitter sees the idle P, or the sleeper
 * sees the work. At most one M spins, so a burst wakes Ms one after the other, each
 * waking the next when it finds work (S6: wake_stop_spinning).
 *
 * Woken (R): the M ends being idle first (so that "everyone is asleep" is never
 * concluded while it holds completions), then reaps its ring; with a P given or an
 * idle one it goes on; without, what it reaped goes to the global queue.
 *
 *   I1  an idle P is watched by the M that released it (last_m): that M has no P, and
 *       sleeps no longer than until the P's first timer. Who takes an idle P takes
 *       its own if it can, and wake_p wakes the P's own M: so a timer armed by a
 *       goroutine never wakes another thread than the one that will sleep for it.
 *   I2  who arms a timer in the heap of a P that it does not hold (foreign threads,
 *       sysmon) does T1: heap, fence, ring.sleeping of last_m; pairs with S5.
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

void idle_p_put_locked(struct p *pp)
{
	pp->last_m = pp->m;
	pp->m = NULL;
	pp->status = P_IDLE;
	list_push_front(&sched.idle_ps, &pp->idle_link);
	/* Seq_cst, pairs with the load in wake_p_slow (W3). */
	atomic_fetch_add_explicit(&sched.nidle_ps, 1, memory_order_seq_cst);
}

static void take_p_locked(struct p *pp)
{
	list_del(&pp->idle_link);
	pp->status = P_RUNNING;
	/* Seq_cst, pairs with sysmon's look before its long sleep. */
	atomic_fetch_sub_explicit(&sched.nidle_ps, 1, memory_order_seq_cst);
}

static void acquire_p(struct m *mp, struct p *pp)
{
	mp->p = pp;
	mp->last_p = pp;
	pp->m = mp;
	sysmon_notify();
}

RG_NOINLINE void wake_p_slow(void)
{
	int none = 0;
	struct list *link;
	struct m *mp = NULL;

	/* W3, seq_cst: after the fence of W2. */
	if (!atomic_load_explicit(&sched.nidle_ps, memory_order_seq_cst) ||
	    !atomic_compare_exchange_strong_explicit(&sched.nspinning, &none, 1,
						     memory_order_seq_cst,
						     memory_order_relaxed))
		return;
	rtlock_lock(&sched.lock);
	link = sched.idle_ps.next;
	if (!list_is_empty(&sched.idle_ps)) {
		struct p *pp = container_of(link, struct p, idle_link);

		take_p_locked(pp);
		mp = pp->last_m;
		mp->next_p = pp;
	}
	rtlock_unlock(&sched.lock);
	if (!mp) {
		/* Seq_cst: S2's counterpart for those who come after. */
		atomic_fetch_sub_explicit(&sched.nspinning, 1,
					  memory_order_seq_cst);
		return;
	}
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
	struct m *self = getm(), *mp;

	if (self && self->p == pp)
		return;
	/* T1 fence, pairs with S5: the heap's new first before the look. */
	atomic_thread_fence(memory_order_seq_cst);
	/* Relaxed: last_m changes hands only through an M that looks at the
	 * timers itself before it sleeps. */
	mp = atomic_load_explicit(&pp->last_m, memory_order_relaxed);
	if (mp &&
	    atomic_load_explicit(&mp->ring.sleeping, memory_order_relaxed))
		ring_wake(&mp->ring);
}

static bool is_stopping(void)
{
	/* OFF: the start was undone, or a straggler comes back too late. */
	return atomic_load_explicit(&sched.status, memory_order_relaxed) !=
	       SCHED_ON;
}

/* S3: something to run. */
static bool is_work_anywhere(void)
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

/* Its own P if that is idle, else any (I1). */
static struct p *take_any_locked(struct m *mp)
{
	struct p *pp = mp->last_p;

	if (pp->status != P_IDLE)
		pp = list_is_empty(&sched.idle_ps)
			     ? NULL
			     : container_of(sched.idle_ps.next, struct p,
					    idle_link);
	if (pp)
		take_p_locked(pp);
	return pp;
}

/* A P that a waker gave us since we looked comes first: with another one in its place
 * it would be nobody's, and the spinning that was counted for it would never end. */
static bool take_idle_p(struct m *mp)
{
	struct p *pp;

	rtlock_lock(&sched.lock);
	pp = mp->next_p;
	mp->next_p = NULL;
	if (pp)
		mp->spinning = true; /* counted by the waker, W3 */
	else
		pp = take_any_locked(mp);
	rtlock_unlock(&sched.lock);
	if (pp)
		acquire_p(mp, pp);
	return pp != NULL;
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
	struct p *pp = mp->p;

	rtlock_lock(&sched.lock);
	if (sched.global.len) {
		rtlock_unlock(&sched.lock);
		return false;
	}
	mp->p = NULL;
	idle_p_put_locked(pp);
	rtlock_unlock(&sched.lock);
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

/* Until the first timer of the P it watches; -1: no limit. */
static int64_t sleep_limit(const struct m *mp)
{
	const struct p *pp = mp->last_p;
	rg_time when, now;

	/* Held by another M: that one looks after its timers. */
	if (atomic_load_explicit(&pp->last_m, memory_order_relaxed) != mp ||
	    atomic_load_explicit(&pp->m, memory_order_relaxed))
		return -1;
	when = atomic_load_explicit(&pp->timers.earliest, memory_order_relaxed);
	if (when == RG_FOREVER)
		return -1;
	now = sched_now();
	return when > now ? when - now : 0;
}

/* S5. max: how long at most; -1: no limit. */
static void sleep_in_ring(struct m *mp, int64_t max)
{
	int64_t limit;

	limit = sleep_limit(mp);
	if (max >= 0 && (limit < 0 || limit > max))
		limit = max;
	if (limit && !netpoll_has_requests(mp) && !is_stopping())
		ring_wait(&mp->ring, limit);
}

/* S4, S5. */
static void sleep_idle(struct m *mp)
{
	bool is_last, has_p;

	/* Serving a cancel request may have ended a wait. */
	if (mp->reaped.head)
		return;
	/* Seq_cst and fence, pair with the fences before ring_wake's callers
	 * look at it (netpoll_cancel, T1, sched_stop). */
	ring_sleep_begin(&mp->ring);
	rtlock_lock(&sched.lock);
	has_p = mp->next_p != NULL;
	mp->is_idle = !has_p;
	sched.nidle_ms += !has_p;
	is_last = deadlock_is_likely_locked();
	rtlock_unlock(&sched.lock);
	if (has_p) {
		atomic_store_explicit(&mp->ring.sleeping, 0,
				      memory_order_relaxed);
		return;
	}
	if (rg_unlikely(is_last))
		deadlock_check();
	sleep_in_ring(mp, is_last ? DEADLOCK_RECHECK_NS : -1);
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

/* R: true: mp has a P and something, or a reason, to look. */
static bool resume(struct m *mp)
{
	struct gqueue ready = {0};
	struct p *pp;

	netpoll_reap(mp);
	rtlock_lock(&sched.lock);
	pp = mp->next_p;
	mp->next_p = NULL;
	rtlock_unlock(&sched.lock);
	if (pp) {
		acquire_p(mp, pp);
		mp->spinning = true; /* counted by the waker, W3 */
		return true;
	}
	if (!mp->reaped.head && !is_timer_due(mp) && !is_work_anywhere())
		return false;
	if (take_idle_p(mp)) {
		if (!mp->reaped.head)
			start_spinning(mp);
		return true;
	}
	netpoll_take_reaped(mp, &ready);
	global_put(&ready);
	return false;
}

bool wake_first_p(struct m *mp)
{
	do {
		if (is_stopping())
			return false;
		netpoll_serve(mp);
		sleep_idle(mp);
	} while (!resume(mp));
	return true;
}

bool wake_idle(struct m *mp)
{
	if (!release_p(mp))
		return true;
	/* S3. The P just released is usually the one taken again. */
	if (is_work_anywhere() && take_idle_p(mp)) {
		start_spinning(mp);
		return true;
	}
	return wake_first_p(mp);
}
