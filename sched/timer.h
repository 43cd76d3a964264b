/* SPDX-License-Identifier: MIT */
/*
 * timer - callbacks at a point in time: one heap a P, fired by the scheduler.
 *
 *   I1  a timer is in at most one heap; `heap` says which, and is changed under that
 *       heap's lock only.
 *   I2  fn runs on a scheduler stack (or sysmon), outside the heap's lock, on the
 *       thread of any M; it must not park, allocate or take long. Several timers
 *       may fire at once on several threads, one timer never twice at once.
 *   I3  after timer_stop returned, fn is not running and will not run unless the
 *       timer is started again (stop waits for a fn in progress elsewhere). fn
 *       itself must not stop its own timer; it may start it again.
 *   I4  calls about one timer (start, stop) are serialised by its owner. A periodic
 *       timer re-arms itself before fn runs; its phase is kept and missed periods
 *       are skipped.
 * Callers: goroutines, g0, foreign threads. The struct is embedded and zeroed
 * memory is an idle timer (fn and arg are then set by timer_start).
 */
#ifndef RG_SCHED_TIMER_H
#define RG_SCHED_TIMER_H

#include <ringgo/base.h>

#include <stdatomic.h>

#include "kernel-iface/base/rtlock.h"

struct timer;
struct p;

typedef void timer_fn(struct timer *t, void *arg, rg_time now);

struct timer {
	/* under the lock of `heap` */
	rg_time when;
	rg_duration period; /* 0: once */
	timer_fn *fn;
	void *arg;
	struct timer_heap *_Atomic heap; /* NULL: idle */
	uint32_t index;
	_Atomic uint32_t firing; /* how many threads run fn: it may re-arm t */
};

/* A 4-ary heap by `when`. */
struct timer_heap {
	struct rtlock lock;
	uint32_t len, cap;
	uint32_t reserved; /* places promised by timer_reserve */
	struct timer_slot
		*slots;         /* {when, timer}: no pointer chase to compare */
	_Atomic uint32_t count; /* len, readable without the lock */
	_Atomic rg_time earliest; /* RG_FOREVER: empty; read without the lock */
};

/*
 * timer_start - arm t to fire at `when` (and every period ns after it if > 0).
 * t must be idle or fired. Returns 0, -ENOMEM or -ESRCH (no runtime); t is idle
 * then.
 */
int timer_start(struct timer *t, rg_time when, rg_duration period, timer_fn *fn,
		void *arg);

/* timer_start_real - the same, once, on the real clock even in a bubble (bubble.h), in
 * which all other calls use the bubble's clock. */
int timer_start_real(struct timer *t, rg_time when, timer_fn *fn, void *arg);

/*
 * timer_reserve - a place for one timer, so that timer_start_reserved (once) needs no
 * memory: for those who arm with a lock held or on another goroutine's stack. 0,
 * -ENOMEM, -ESRCH. timer_unreserve gives it back unused.
 */
struct timer_place {
	struct timer_heap *heap;
	struct p *p; /* whose it is; NULL: a bubble's */
};
int timer_reserve(struct timer_place *place);
void timer_start_reserved(struct timer_place *place, struct timer *t,
			  rg_time when, timer_fn *fn, void *arg);
void timer_unreserve(struct timer_place *place);

/* timer_stop - true: it was armed and will not fire. May spin while fn runs. */
bool timer_stop(struct timer *t);

/* timer_try_stop - never spins: true: it was armed, will not fire and fn is not
 * running. false: fn is running or about to, or it was not armed. */
bool timer_try_stop(struct timer *t);

/* now + d without overflow; d < 0 counts as 0. */
rg_time timer_after(rg_duration d);

/* Scheduler's side: fire what is due in h; returns how many. */
void timer_heap_init(struct timer_heap *h);
unsigned timer_heap_run(struct timer_heap *h, rg_time now);
void timer_heap_free(struct timer_heap *h);
int64_t timer_count(void);                   /* armed, all heaps */
bool timer_heap_check(struct timer_heap *h); /* tests: the heap order holds */

#endif
