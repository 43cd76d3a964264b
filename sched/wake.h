/* SPDX-License-Identifier: MIT */
/*
 * wake - who is woken when work appears, and how an M goes to sleep without missing
 * it. The steps are in wake.c.
 */
#ifndef RG_SCHED_WAKE_H
#define RG_SCHED_WAKE_H

#include "sched/sched.h"

/* Wake one sleeping M with an idle P, if there is one and nobody is looking for work
 * already. Any thread. */
void wake_p_slow(void);

static inline void wake_p(void)
{
	/* Relaxed: a stale look loses parallelism until sysmon's next round,
	 * never a goroutine: see wake.c, step W2. */
	if (atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed) > 0 &&
	    atomic_load_explicit(&sched.nspinning, memory_order_relaxed) == 0)
		wake_p_slow();
}

/* A timer became the first one of pp's heap. */
void wake_for_timer(struct p *pp);

/* Put goroutines on the global queue and wake somebody. Any thread. */
void global_put(struct gqueue *batch);
void global_put_one(struct g *gp);

/* The calling M has nothing to do and holds a P: give it back and sleep until there
 * is work and a P; false: the runtime is stopping. */
bool wake_idle(struct m *mp);

/* The calling M holds no P: sleep until it gets it; false: stopping. wake_nap - once, for max
 * ns (-1: no limit): true: it got it. */
bool wake_first_p(struct m *mp);
bool wake_nap(struct m *mp, int64_t max);

/* S3: something is queued to be run. */
bool wake_is_work_anywhere(void);

/* The calling M stopped spinning because it found work. */
void wake_stop_spinning(struct m *mp);

#endif
