/* SPDX-License-Identifier: MIT */
/*
 * synctest - what the tests of the sync layer share: every body is run with one and
 * with two Ps, and "it is parked now" is read off the waiter queues instead of
 * being slept for.
 */
#ifndef RG_TESTS_SYNCTEST_H
#define RG_TESTS_SYNCTEST_H

#include "tests/support/rgtest.h"

#include <pthread.h>
#include <stdatomic.h>

#include "sched/sched.h"
#include "sync/chan.h"
#include "sync/parklot.h"

/* Blocks that the runtime may have taken for itself meanwhile: timer heaps, and another
 * pair of thread and P when one was blocked for long (a page of the kernel's is enough). */
#define LIVE_SLACK (3 * (int64_t)sched_nps())

#define WAIT_MAX (20 * RG_SECOND)

/* A body under one P, then under two. */
static inline void run_both(void (*fn)(void *arg), void *arg)
{
	t_run_with(1, fn, arg);
	t_run_with(2, fn, arg);
}

static inline void run_on_1(void *fn)
{
	void (*body)(void *) = (void (*)(void *))(uintptr_t)fn;

	t_run_with(1, body, NULL);
}

static inline void run_on_2(void *fn)
{
	void (*body)(void *) = (void (*)(void *))(uintptr_t)fn;

	t_run_with(2, body, NULL);
}

/* The body panics with these words, under one P and under two. */
static inline void abort_both(void (*fn)(void *arg), const char *text)
{
	void *body = (void *)(uintptr_t)fn;

	t_expect_abort(run_on_1, body, text);
	t_expect_abort(run_on_2, body, text);
}

/* Let others run until cond holds; fails after WAIT_MAX. From anywhere. */
#define WAIT_FOR(cond)                                                         \
	do {                                                                   \
		rg_time t_limit_ = rg_now() + WAIT_MAX;                        \
		while (!(cond)) {                                              \
			if (rg_now() > t_limit_)                               \
				T_FAIL("waited too long for %s", #cond);       \
			rg_yield();                                            \
		}                                                              \
	} while (0)

static inline size_t waiters(rg_chan *c, struct waitq *q)
{
	size_t n = 0;

	rtlock_lock(&c->lock);
	for (struct sudog *sg = waitq_first(q); sg; sg = sg->next)
		n++;
	rtlock_unlock(&c->lock);
	return n;
}

static inline size_t receivers(rg_chan *c)
{
	return waiters(c, &c->recvq);
}

static inline size_t senders(rg_chan *c)
{
	return waiters(c, &c->sendq);
}

/* Who must_go started; a wait group orders what they did before what follows, which
 * counting goroutines does not. */
static rg_waitgroup everyone;

static inline void must_go(void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_waitgroup_go(&everyone, fn, arg), 0);
}

static inline void wait_all(void)
{
	rg_waitgroup_wait(&everyone);
	t_wait_goroutines(1);
}

/* For those that will never end. */
static inline void must_go_forever(void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_go(fn, arg), 0);
}

static inline void must_thread(pthread_t *t, void *(*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(pthread_create(t, NULL, fn, arg), 0);
}

/* pthread_join parks nobody: off the M with it. */
static inline void *join_blocking(void *t)
{
	pthread_join(*(pthread_t *)t, NULL);
	return NULL;
}

static inline void must_join(pthread_t t)
{
	rg_blocking(join_blocking, &t);
}

#endif
