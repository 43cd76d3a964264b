// SPDX-License-Identifier: MIT
/*
 * proc - find something to run: the order in which an M looks.
 *
 *   F1  every SCHED_TICK switches: a share of the global queue, ring, timers, and the
 *       tail of the local queue before `next`, so that neither a ping-pong pair nor a
 *       full local queue starves anybody;
 *   F2  the local queue, its ring and its newborns in turns (runq.h);
 *   F3  a share of the global queue;
 *   F4  what is in the completion queue; timers of this P;
 *       then goroutines preempted on this M (at F1 when they waited their slice);
 *   F5  the queues and timers of other Ps, in random order (at most one M spins per
 *       idle P it may serve: half of the busy ones);
 *   F6  wake.c: sleep; submitting what was batched and waiting are one system call,
 *       which returns at once when something completes at submission;
 *   F7  with F1, but not more often than every RAISE_NS: the oldest newborn to the ring.
 *       The youngest go first, so it might wait for ever; more often, a tree of
 *       goroutines would be walked breadth first.
 * After findRunnable in Go's proc.go; what differs: each M polls its own ring.
 */
#include "sched/proc.h"

#include "kernel-iface/clock.h"
#include "sched/netpoll.h"
#include "sched/interrupt.h"
#include "sched/lockthread.h"
#include "sched/spawn.h"
#include "sched/switch.h"
#include "sched/token.h"
#include "sched/wake.h"

enum { STEAL_ROUNDS = 4, RAISE_NS = 10 * 1000 * 1000 };

/* F3. One goroutine to run, and a fair share of the rest to the local queue, as far
 * as it has room: what is taken out is never put back, the order is kept. */
static struct g *global_get(struct p *pp, uint32_t max)
{
	uint32_t room = RUNQ_SIZE - runq_ring_len(&pp->runq);
	struct g *gp;
	uint32_t share;

	/* Relaxed: a look; wake.c's S1 looks under the lock. */
	if (!atomic_load_explicit(&sched.global_len, memory_order_relaxed))
		return NULL;
	rtlock_lock(&sched.lock);
	share = sched.global.len / (uint32_t)sched_nprocs() + 1;
	if (share > max)
		share = max;
	if (share > room + 1)
		share = room + 1;
	gp = gqueue_pop(&sched.global);
	for (uint32_t n = 1; gp && n < share; n++) {
		struct g *more = gqueue_pop(&sched.global);

		if (!more)
			break;
		/* Thieves only make more room. */
		RG_ASSERT(runq_put(&pp->runq, more));
	}
	atomic_store_explicit(&sched.global_len, sched.global.len,
			      memory_order_relaxed);
	rtlock_unlock(&sched.lock);
	return gp;
}

/* Timers of pp that are due; *now is read at most once (0: not yet). */
static bool run_timers(struct p *pp, rg_time *now)
{
	/* Relaxed: the run looks under the lock. */
	if (atomic_load_explicit(&pp->timers.earliest, memory_order_relaxed) ==
	    RG_FOREVER)
		return false;
	if (!*now) {
		*now = clock_now();
		atomic_store_explicit(&sched.coarse_now, *now,
				      memory_order_relaxed);
	}
	return timer_heap_run(&pp->timers, *now) > 0;
}

/* F1: `next` goes behind the others, if there are any. Nobody is woken: there is not
 * more to do than before. */
static void demote_next(struct p *pp)
{
	struct g *gp;

	if (runq_len(&pp->runq) < 2 ||
	    !atomic_load_explicit(&pp->runq.next, memory_order_relaxed))
		return;
	gp = runq_get(&pp->runq); /* next, unless a thief was quicker */
	if (gp && !runq_put(&pp->runq, gp))
		global_put_one(gp);
}

/* F7. */
static void raise_oldest(struct p *pp)
{
	rg_time now = sched_coarse_now();

	if (!runq_has_newborn(&pp->runq) || now < pp->raise_at)
		return;
	pp->raise_at = now + RAISE_NS;
	runq_promote(&pp->runq);
}

static bool is_pinned_due(const struct m *mp)
{
	return atomic_load_explicit(&mp->npinned, memory_order_relaxed) &&
	       sched_coarse_now() - mp->pinned_since >= INTERRUPT_SLICE_NS;
}

static void plan_housekeeping(struct p *pp)
{
	/* Relaxed: one who hurries us at this moment asks again. */
	atomic_store_explicit(
		&pp->house_at,
		atomic_load_explicit(&pp->schedtick, memory_order_relaxed) +
			SCHED_TICK,
		memory_order_relaxed);
}

static struct g *housekeeping(struct m *mp)
{
	rg_time now = 0;
	struct g *gp = NULL;

	/* First: queues that never run dry would keep it waiting for ever. */
	if (rg_unlikely(is_pinned_due(mp)))
		gp = interrupt_pinned(mp);
	/* A batch, and before the ring's: what overflows from a burst of
	 * completions waits in the global queue while the local one is refilled
	 * all the time (TCP echo with 1,000 connections on one P: see the
	 * commit). */
	if (!gp)
		gp = global_get(mp->p, SCHED_TICK);

	netpoll(mp, true);
	run_timers(mp->p, &now);
	if (!now)
		atomic_store_explicit(&sched.coarse_now, clock_now(),
				      memory_order_relaxed);
	demote_next(mp->p);
	raise_oldest(mp->p);
	plan_housekeeping(mp->p);
	return gp;
}

static struct g *steal_from(struct m *mp, struct p *victim, bool is_last)
{
	struct p *pp = mp->p;
	rg_time now = 0;
	struct g *gp;

	if (victim == pp)
		return NULL;
	if (is_last && run_timers(victim, &now)) {
		gp = runq_get(&pp->runq);
		if (gp)
			return gp;
	}
	gp = runq_steal(&pp->runq, &victim->runq, is_last);
	if (gp)
		atomic_fetch_add_explicit(&pp->steals, 1, memory_order_relaxed);
	return gp;
}

/* F5. */
static struct g *steal(struct m *mp)
{
	uint32_t n = (uint32_t)sched_nps();

	if (n == 1)
		return NULL;
	for (int round = 0; round < STEAL_ROUNDS; round++) {
		uint32_t start = sched_rand() % n;

		for (uint32_t i = 0; i < n; i++) {
			struct g *gp = steal_from(mp, sched.ps[(start + i) % n],
						  round == STEAL_ROUNDS - 1);

			if (gp)
				return gp;
		}
	}
	return NULL;
}

static bool may_spin(struct m *mp)
{
	int busy;

	if (mp->spinning)
		return true;
	/* Relaxed: a heuristic, as in Go: half of the busy Ps at most. */
	busy = sched_nprocs() -
	       atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed);
	if (2 * atomic_load_explicit(&sched.nspinning, memory_order_relaxed) >=
	    busy)
		return false;
	mp->spinning = true;
	/* Seq_cst, pairs with W3 and S2 of wake.c. */
	atomic_fetch_add_explicit(&sched.nspinning, 1, memory_order_seq_cst);
	return true;
}

/* NULL: the runtime is stopping, or a goroutine ended locked (lockthread.h). */
static struct g *find_runnable(struct m *mp)
{
	for (;;) {
		struct p *pp = mp->p;
		rg_time now = 0;
		struct g *gp = NULL;

		if (rg_unlikely(sched_is_stopping()))
			return NULL;
		if (rg_unlikely(mp->bound != BOUND_NOT))
			return lockthread_find(mp);
		if (seed_is_on()) {
			gp = seed_find(mp);
			if (gp || !wake_idle(mp))
				return gp;
			continue;
		}
		if (rg_unlikely(token_must_settle(mp)) && !token_settle(mp)) {
			if (!wake_first_p(mp))
				return NULL;
			continue;
		}
		if (rg_unlikely(switch_is_house_due(
			    pp, atomic_load_explicit(&pp->schedtick,
						     memory_order_relaxed))))
			gp = housekeeping(mp);
		else if (ring_pending(&mp->ring) >= SUBMIT_BATCH)
			netpoll(mp, true);
		if (gp || (gp = runq_get(&pp->runq)))
			return gp;
		gp = global_get(pp, RUNQ_BATCH);
		if (gp)
			return gp;
		netpoll(mp, false);
		run_timers(pp, &now);
		gp = runq_get(&pp->runq);
		if (gp || (gp = interrupt_pinned(mp)))
			return gp;
		if (sched_nps() > 1 && may_spin(mp) && (gp = steal(mp)))
			return gp;
		if (!wake_idle(mp))
			return NULL;
		netpoll(mp, false); /* what woke us is in mp->reaped */
	}
}

void proc_run(struct m *mp)
{
	struct g *gp;

	while ((gp = find_runnable(mp))) {
		struct p *pp = mp->p;

		if (mp->spinning)
			wake_stop_spinning(mp);
		atomic_store_explicit(
			&pp->schedtick,
			atomic_load_explicit(&pp->schedtick,
					     memory_order_relaxed) +
				1,
			memory_order_relaxed);
		switch_to(mp, &mp->g0, gp, NULL, NULL);
	}
}

static bool commit_dead(struct g *gp, void *arg)
{
	struct m *mp = arg;

	spawn_recycle(mp->p, gp);
	return true;
}

static RG_COLD RG_NOINLINE void leave_specially(struct m *mp, struct g *gp)
{
	interrupt_leave(mp, gp);
	if (lockthread_is_locked(gp))
		lockthread_end(mp, gp);
}

void proc_exit_g(struct m *mp, struct g *gp)
{
	struct g *next;

	if (rg_unlikely(gp->special & (G_HIJACKED | G_LOCKED)))
		leave_specially(mp, gp);
	next = switch_pick(mp);
	g_set_state(gp, G_DEAD);
	san_release(gp); /* its stack, to the next goroutine on it */
	mp->prev = gp;
	mp->commit = commit_dead;
	mp->commit_arg = mp;
	mp->curg = next;
	next->m = mp;
	g_set_state(next, G_RUNNING);
	trim_enter(next);
	coro_switch_bare(&gp->ctx, &next->ctx, mp, true);
	__builtin_unreachable();
}
