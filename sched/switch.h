/* SPDX-License-Identifier: MIT */
/*
 * switch - leaving a goroutine: the hottest lines of the library.
 *
 * A parking goroutine picks the next one itself and switches to it directly; g0, the
 * scheduler proper, is entered only when the local queue is dry or housekeeping is
 * due. What the leaving one has to have done after its context is saved ("commit")
 * is done by whoever runs next on this M, first thing.
 */
#ifndef RG_SCHED_SWITCH_H
#define RG_SCHED_SWITCH_H

#include "sched/sched.h"
#include "sched/seed.h"
#include "sched/trim.h"

/*
 * Every 61st switch goes through g0: global queue, ring, timers; sooner when sysmon
 * hurries us. 61 is Go's number (a prime, so that it does not beat with program
 * patterns). The ring is also entered
 * when this many submissions wait: batches of 64 cost 73 ns an operation, single
 * ones 290 (2026-10).
 */
enum { SCHED_TICK = 61, SUBMIT_BATCH = 64 };

/* Run the commit of who just left. prev stays runnable here when it says so. */
void switch_refused(struct m *mp, struct g *prev);

static inline void switch_finish(struct m *mp)
{
	park_commit *commit = mp->commit;

	if (commit) {
		struct g *prev = mp->prev;

		mp->commit = NULL;
		if (rg_unlikely(!commit(prev, mp->commit_arg)))
			switch_refused(mp, prev);
	}
}

static inline bool switch_is_house_due(const struct p *pp, uint32_t tick)
{
	/* Relaxed: set back by others to hurry us; late by a switch is fine. */
	return (int32_t)(tick - atomic_load_explicit(&pp->house_at,
						     memory_order_relaxed)) >=
	       0;
}

/* To ThreadSanitizer be the scheduler, which knows nothing of goroutines, until
 * sched_flow_back. Nothing parks in between. */
static inline void *sched_flow_on(void)
{
#if RG_TSAN
	struct m *mp = getm();
	void *self = san_flow_on(mp ? mp->g0.ctx.fiber : NULL);

	san_quiet_begin();
	return self;
#else
	return NULL;
#endif
}

static inline void sched_flow_back(void *self)
{
	san_quiet_end();
	san_flow_back(self);
}

/* The next goroutine of the local queue, or g0. */
static inline struct g *switch_pick(struct m *mp)
{
	struct p *pp = mp->p;
	uint32_t tick =
		atomic_load_explicit(&pp->schedtick, memory_order_relaxed) + 1;
	struct g *next;

	/* Relaxed: one writer; sysmon and statistics read it. */
	atomic_store_explicit(&pp->schedtick, tick, memory_order_relaxed);
	if (rg_unlikely(switch_is_house_due(pp, tick) ||
			ring_pending(&mp->ring) >= SUBMIT_BATCH ||
			seed_is_on()))
		return &mp->g0;
	next = runq_get(&pp->runq);
	return next ? next : &mp->g0;
}

/* Leave gp for next; returns when gp runs again, maybe on another M. */
static inline void switch_to(struct m *mp, struct g *gp, struct g *next,
			     park_commit *commit, void *arg)
{
	struct coro_cxx cxx;

	mp->prev = gp;
	mp->commit = commit;
	mp->commit_arg = arg;
	mp->curg = next;
	next->m = mp;
	g_set_state(next, G_RUNNING);
	trim_enter(next);
	gp->saved_errno = *mp->errno_location;
	cxx = coro_cxx_get(mp->cxx);
	mp = coro_switch_bare(&gp->ctx, &next->ctx, mp, false);
	coro_cxx_set(mp->cxx, cxx);
	san_own_errno(mp->errno_location);
	*mp->errno_location = gp->saved_errno;
	san_acquire(gp);
	switch_finish(mp);
}

#endif
