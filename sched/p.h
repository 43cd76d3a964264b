/* SPDX-License-Identifier: MIT */
/*
 * p - the right to run goroutines, with what is needed to do it without locks: a run
 * queue, a cache of dead goroutines, a timer heap, counters.
 *
 *   I1  fields under "owner" are touched by the M that holds the P only.
 *   I2  the run queue and the timers may be used by any M (runq.h, timer.h).
 *   I3  a P belongs to one M for life: what is armed and kept here is looked after by
 *       one thread. Who may run is said by its status (token.h).
 */
#ifndef RG_SCHED_P_H
#define RG_SCHED_P_H

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/list.h"
#include "sched/runq.h"
#include "sched/timer.h"

/* token.h says what each means. */
enum p_status { P_SPARE, P_IDLE, P_RUNNING, P_WAITING, P_LOST, P_AWAY };

struct p {
	/* owner */
	uint32_t id;
	_Atomic uint32_t schedtick; /* goroutines switched to */
	_Atomic uint32_t house_at; /* the tick of the next housekeeping; anybody
				     * may set it back to make it soon */
	struct m *home;            /* const: I3 */
	struct g *gfree; /* dead goroutines of the default class, warm */
	uint32_t gfree_len;
	rg_time raise_at;     /* proc.c, F7 */
	uint32_t birth_tick;  /* schedtick when a goroutine began here last */
	uint32_t spawn_tick;  /* schedtick when one spawned here last ... */
	uint32_t spawn_count; /* ... and how many in that run */
	uint32_t turn_tick;   /* schedtick when it got its token last */
	uint64_t goid_next, goid_end; /* a block of ids */
	/* written by the owner, read by anybody */
	_Atomic uint64_t steals, created, ended;

	struct runq runq;

	RG_CACHE_ALIGNED struct timer_heap timers;

	/* under sched.lock */
	struct list link;             /* idle, spare or waiting */
	_Atomic enum p_status status; /* written under the lock */
	rg_time waiting_since;        /* P_WAITING; coarse */

	/* sysmon's notes */
	uint32_t seen_tick;
	rg_time seen_when; /* seen_tick was new */
	int64_t base_cpu;  /* CPU time, in the first round with this tick */
	int64_t seen_cpu;  /* CPU time of the thread, a round ago */
	rg_time seen_idle; /* seen_cpu was new */
	uint8_t blocked_rounds; /* it did not run since then */
};

#endif
