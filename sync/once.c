// SPDX-License-Identifier: MIT
/*
 * once - run a function the first time only.
 *
 * The fast path is one load. Otherwise the mutex makes callers wait until the
 * first one's function has ended, and a defer of the goroutine stands in for its
 * return if the function ends the goroutine by rg_exit.
 *
 *   I1  done_ is set once, after fn ended, under mutex_.
 */
#include <ringgo/sync.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sync/cleanup.h"

_Static_assert(sizeof(rg_once) == 16, "part of the ABI");

static void finish(void *arg)
{
	rg_once *o = arg;

	san_release(o);
	/* O1 release, pairs with O2: what fn did. */
	__atomic_store_n(&o->done_, 1, __ATOMIC_RELEASE);
	rg_mutex_unlock(&o->mutex_);
}

/* The mutex is locked. */
static RG_CALLS_USER void run(rg_once *o, void (*fn)(void *arg), void *arg)
{
	struct cleanup c;

	cleanup_begin(&c, finish, o, "rg_once_do");
	fn(arg);
	cleanup_end(&c);
}

static RG_CALLS_USER void once_slow(rg_once *o, void (*fn)(void *arg),
				    void *arg)
{
	rg_mutex_lock(&o->mutex_);
	/* Relaxed: written under the mutex. */
	if (__atomic_load_n(&o->done_, __ATOMIC_RELAXED))
		rg_mutex_unlock(&o->mutex_);
	else
		run(o, fn, arg);
}

RG_CALLS_USER void rg_once_do(rg_once *o, void (*fn)(void *arg), void *arg)
{
	sched_point();
	/* O2 acquire, pairs with O1. */
	if (rg_unlikely(!__atomic_load_n(&o->done_, __ATOMIC_ACQUIRE)))
		once_slow(o, fn, arg);
	san_acquire(o);
}

/* ---- once value ------------------------------------------------------------ */

_Static_assert(sizeof(rg_once_value) == 24, "part of the ABI");

struct making {
	rg_once_value *o;
	void *(*fn)(void *arg);
	void *arg;
};

static RG_CALLS_USER void make(void *arg)
{
	struct making *m = arg;

	m->o->value_ = m->fn(m->arg);
}

/* The value is read after the once is done: it is const then (I1). */
RG_CALLS_USER void *rg_once_value_get(rg_once_value *o, void *(*fn)(void *arg),
				      void *arg)
{
	struct making m = {o, fn, arg};

	sched_point();
	rg_once_do(&o->once_, make, &m);
	return o->value_;
}
