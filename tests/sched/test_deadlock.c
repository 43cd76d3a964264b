// SPDX-License-Identifier: MIT
/*
 * deadlock - attacks sched/deadlock.c: a thread that may still wake somebody is seen,
 * whatever else goes on in the process. That a deadlock is reported: test_go.c.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include <ringgo.h>

#include "sched/deadlock.h"

static _Atomic int stop;

static void *ends_soon(void *arg)
{
	usleep((useconds_t)(uintptr_t)arg);
	return NULL;
}

static void *stays(void *arg)
{
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		usleep(1000);
	return arg;
}

/* Those who end were made before the one who stays: it stands behind them. */
static void walk_round(void)
{
	enum { SHORT = 8 };
	pthread_t threads[SHORT + 1];

	atomic_store_explicit(&stop, 0, memory_order_relaxed);
	for (uintptr_t i = 0; i < SHORT; i++)
		T_CHECK_INT_EQ(pthread_create(&threads[i], NULL, ends_soon,
					      (void *)(i * 40)),
			       0);
	T_CHECK_INT_EQ(pthread_create(&threads[SHORT], NULL, stays, NULL), 0);
	for (int i = 0; i < 20; i++)
		T_CHECK(deadlock_unknown_threads() != 0);
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	for (int i = 0; i <= SHORT; i++)
		pthread_join(threads[i], NULL);
}

static void walk_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++)
		walk_round();
}

static void deadlock_sees_each_thread_while_others_end(void **state)
{
	(void)state;
	t_run_with(2, walk_body, NULL);
}

/* A helper of rg_blocking gives its name to the threads that it makes. */
static void *makes_a_thread(void *arg)
{
	T_CHECK_INT_EQ(pthread_create(arg, NULL, stays, NULL), 0);
	return NULL;
}

static void named_body(void *arg)
{
	pthread_t thread;

	(void)arg;
	atomic_store_explicit(&stop, 0, memory_order_relaxed);
	T_CHECK(rg_blocking(makes_a_thread, &thread) == NULL);
	/* One at least: others may be just beginning, or ending. */
	T_CHECK(deadlock_unknown_threads() != 0);
	atomic_store_explicit(&stop, 1, memory_order_relaxed);
	pthread_join(thread, NULL);
}

static void deadlock_sees_a_thread_with_the_name_of_a_helper(void **state)
{
	(void)state;
	t_run_with(1, named_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deadlock_sees_each_thread_while_others_end),
		cmocka_unit_test(
			deadlock_sees_a_thread_with_the_name_of_a_helper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
