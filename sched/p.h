/* SPDX-License-Identifier: MIT */
/*
 * p - the right to run goroutines, with what is needed to do it without locks: a run
 * queue, a cache of dead goroutines, a timer heap, counters.
 *
 *   I1  fields under "owner" are touched by the M that holds the P only.
 *   I2  the run queue and the timers may be used by any M (runq.h, timer.h).
 */
#ifndef RG_SCHED_P_H
#define RG_SCHED_P_H

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/list.h"
#include "sched/runq.h"
#include "sched/timer.h"

enum p_status { P_IDLE, P_RUNNING, P_STOPPED };

struct p {
	/* owner */
	uint32_t id;
	_Atomic uint32_t schedtick; /* goroutines switched to */
	struct m *_Atomic m;        /* relaxed: sysmon and dumps look */
	struct g *gfree; /* dead goroutines of the default class, warm */
	uint32_t gfree_len;
	uint64_t goid_next, goid_end; /* a block of ids */
	/* written by the owner, read by anybody */
	_Atomic uint64_t steals, created, ended;

	struct runq runq;

	RG_CACHE_ALIGNED struct timer_heap timers;

	/* under sched.lock */
	struct list idle_link;
	enum p_status status;
	struct m *_Atomic last_m; /* released it last; see wake.c, I1 */

	/* sysmon's notes */
	uint32_t seen_tick;
	rg_time seen_when;
};

#endif
