/* SPDX-License-Identifier: MIT */
/*
 * timerchan - what timerchan.c and afterfunc.c share: the body of an rg_timer.
 */
#ifndef RG_SYNC_TIMERCHAN_H
#define RG_SYNC_TIMERCHAN_H

#include <ringgo/sync.h>
#include <ringgo/timer.h>

#include "kernel-iface/base/list.h"
#include "sched/timer.h"

struct rg_timer {
	rg_mutex mutex;     /* one stop, reset or free at a time */
	struct timer timer; /* started and stopped under mutex */
	rg_chan *chan;      /* const, a reference; NULL: after_func */

	/* after_func: const, but for due */
	void (*fn)(void *arg);
	void *arg;
	struct list due; /* afterfunc.c: fired, not yet started; its lock */
};

/* The timer's callback. Context: scheduler stack. */
void afterfunc_fire(struct timer *t, void *arg, rg_time now);

/* true: t had fired, and fn will not be started for it. t's timer is stopped. */
bool afterfunc_cancel(rg_timer *t);

/* Whoever starts the functions runs in this runtime. 0, -ENOMEM, -EAGAIN, -ESRCH. */
int afterfunc_prepare(void);

#endif
