/* SPDX-License-Identifier: MIT */
/*
 * timerchan - the body of an rg_timer.
 */
#ifndef RG_SYNC_TIMERCHAN_H
#define RG_SYNC_TIMERCHAN_H

#include <ringgo/sync.h>
#include <ringgo/timer.h>

#include "sched/timer.h"
#include "sync/afterfunc.h"

struct rg_timer {
	rg_mutex mutex;     /* one stop, reset or free at a time */
	struct timer timer; /* started and stopped under mutex */
	rg_chan *chan;      /* const, a reference; NULL: after_func */
	uint32_t bubble;    /* const: id of its synctest bubble; 0: none */

	struct afterfunc call; /* after_func */
};

#endif
