// SPDX-License-Identifier: MIT
/*
 * blocking - rg_blocking and its pool of helper threads; blocking.h I1 to I4.
 */
#include "tests/support/rgtest.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"
#include "sched/blocking.h"

static rg_waitgroup group;
static _Atomic int running, most, calls, release;

static int tid(void)
{
	return (int)syscall(SYS_gettid);
}

/* ---- one call ---- */

static void *what_thread(void *arg)
{
	char name[16] = "";
	sigset_t mask;

	T_CHECK_INT_EQ(errno, 11);
	errno = 22;
	T_CHECK_INT_EQ(pthread_getname_np(pthread_self(), name, sizeof name),
		       0);
	T_CHECK_STR_EQ(name, "rg-blocking");
	T_CHECK_INT_EQ(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
	T_CHECK_INT_EQ(sigismember(&mask, SIGTERM), 1);
	T_CHECK_INT_EQ(sigismember(&mask, SIGURG), 1);
	T_CHECK_INT_EQ(sigismember(&mask, SIGQUIT), 1);
	T_CHECK_INT_EQ(sigismember(&mask, SIGSEGV), 0);
	T_CHECK_INT_EQ(rg_goid(), 0);
	*(int *)arg = tid();
	return (char *)arg + 1;
}

static void one_body(void *arg)
{
	int where = 0;

	(void)arg;
	errno = 11;
	T_CHECK_PTR_EQ(rg_blocking(what_thread, &where), (char *)&where + 1);
	T_CHECK_INT_EQ(errno, 22);
	T_CHECK_INT_NE(where, 0);
	T_CHECK_INT_NE(where, tid());
	T_CHECK_INT_EQ(blocking_threads(), 1);
	T_CHECK_INT_EQ(blocking_queued(), 0);
}

static void blocking_call_runs_on_a_helper_and_keeps_errno(void **state)
{
	int before = t_threads();

	(void)state;
	for (int i = 0; i < 3; i++)
		t_run_with(1, one_body, NULL);
	assert_int_equal(blocking_threads(), 0);
	/* ThreadSanitizer's own thread is born with the first one. */
	assert_in_range(t_threads(), before, before + RG_TSAN);
}

static void *own_thread(void *arg)
{
	*(int *)arg = tid();
	return arg;
}

static void *call_in_thread(void *arg)
{
	int where = 0;

	T_CHECK_PTR_EQ(rg_blocking(own_thread, &where), &where);
	T_CHECK_INT_EQ(where, tid());
	return arg;
}

static void foreign_body(void *arg)
{
	rg_blocking(call_in_thread, arg); /* a helper is a foreign thread */
	T_CHECK_INT_EQ(blocking_threads(), 1);
}

static void blocking_on_a_foreign_thread_is_in_place(void **state)
{
	(void)state;
	call_in_thread(NULL);
	t_run(foreign_body, NULL);
}

/* ---- many calls ---- */

static void *hold(void *arg)
{
	int now = atomic_fetch_add_explicit(&running, 1, memory_order_relaxed);
	int seen = most;

	while (now + 1 > seen &&
	       !atomic_compare_exchange_weak_explicit(&most, &seen, now + 1,
						      memory_order_relaxed,
						      memory_order_relaxed))
		;
	while (!release)
		usleep(1000);
	running--;
	calls++;
	return arg;
}

static void calls_hold(void *arg)
{
	T_CHECK_PTR_EQ(rg_blocking(hold, arg), arg);
	rg_waitgroup_done(&group);
}

static void start_calls(int n)
{
	running = most = calls = release = 0;
	rg_waitgroup_add(&group, n);
	for (intptr_t i = 0; i < n; i++)
		T_CHECK_INT_EQ(rg_go(calls_hold, (void *)i), 0);
}

static bool all_run(void *arg)
{
	return running == *(int *)arg;
}

static bool are_queued(void *arg)
{
	return blocking_queued() == *(int *)arg;
}

static void grow_body(void *arg)
{
	int n = BLOCKING_MAX, extra = 50;

	(void)arg;
	start_calls(n + extra);
	T_WAIT_UNTIL(all_run, &n);
	T_CHECK_INT_EQ(blocking_threads(), BLOCKING_MAX);
	T_WAIT_UNTIL(are_queued, &extra);
	/* The runtime goes on meanwhile. */
	rg_sleep(RG_MILLISECOND);
	release = 1;
	rg_waitgroup_wait(&group);
	T_CHECK_INT_EQ(calls, n + extra);
	T_CHECK_INT_LE(most, BLOCKING_MAX);
	T_CHECK_INT_EQ(blocking_queued(), 0);
}

static void blocking_pool_grows_to_its_limit_and_queues(void **state)
{
	int before = t_threads();

	(void)state;
	t_run_with(2, grow_body, NULL);
	assert_int_equal(t_threads(), before);
}

static bool one_is_left(void *arg)
{
	(void)arg;
	return blocking_threads() == 0;
}

static void shrink_body(void *arg)
{
	int n = 20;

	(void)arg;
	start_calls(n);
	T_WAIT_UNTIL(all_run, &n);
	T_CHECK_INT_EQ(blocking_threads(), n);
	release = 1;
	rg_waitgroup_wait(&group);
	T_WAIT_UNTIL(one_is_left, NULL);
	/* And grows again. */
	start_calls(n);
	T_WAIT_UNTIL(all_run, &n);
	release = 1;
	rg_waitgroup_wait(&group);
}

static void blocking_idle_helpers_end(void **state)
{
	int before = t_threads();

	(void)state;
	blocking_set_idle_ns(30 * RG_MILLISECOND);
	t_run_with(2, shrink_body, NULL);
	blocking_set_idle_ns(10 * RG_SECOND);
	assert_int_equal(t_threads(), before);
}

static void *add_one(void *arg)
{
	return (char *)arg + 1;
}

static void calls_often(void *arg)
{
	for (int i = 0; i < 300; i++) {
		void *p = (void *)((uintptr_t)arg + (uintptr_t)i);

		T_CHECK_PTR_EQ(rg_blocking(add_one, p), (char *)p + 1);
	}
	rg_waitgroup_done(&group);
}

/* Helpers that are just ending, being born and being given work, all at once. */
static void race_body(void *arg)
{
	(void)arg;
	rg_waitgroup_add(&group, 40);
	for (intptr_t i = 0; i < 40; i++)
		T_CHECK_INT_EQ(rg_go(calls_often, (void *)(i << 20)), 0);
	rg_waitgroup_wait(&group);
}

static void blocking_short_calls_beside_ending_helpers_get_done(void **state)
{
	(void)state;
	blocking_set_idle_ns(20 * RG_MICROSECOND);
	t_run_with(2, race_body, NULL);
	blocking_set_idle_ns(10 * RG_SECOND);
	t_run_with(2, race_body, NULL);
}

static void parallel_body(void *arg)
{
	int n = 8;

	(void)arg;
	start_calls(n);
	T_WAIT_UNTIL(all_run, &n); /* all at once, on one P */
	release = 1;
	rg_waitgroup_wait(&group);
}

static void blocking_calls_of_one_p_are_parallel(void **state)
{
	(void)state;
	t_run_with(1, parallel_body, NULL);
}

/* ---- deadlock, and the end ---- */

static void *nap(void *arg)
{
	usleep(100 * 1000);
	return arg;
}

static void alone_body(void *arg)
{
	T_CHECK_PTR_EQ(rg_blocking(nap, arg), arg);
}

static void runs_alone(void *arg)
{
	t_run_with(1, alone_body, arg);
}

static void deadlock_body(void *arg)
{
	T_CHECK_PTR_EQ(rg_blocking(nap, arg), arg);
	rg_chan_recv(NULL, NULL); /* the idle helper wakes nobody */
}

static void deadlocks(void *arg)
{
	t_run_with(1, deadlock_body, arg);
}

static void blocking_busy_helper_is_no_deadlock_an_idle_one_is(void **state)
{
	(void)state;
	t_expect_exit(runs_alone, NULL, 0, NULL);
	if (!getenv("RG_SAN") || !*getenv("RG_SAN"))
		t_expect_abort(deadlocks, NULL,
			       "all goroutines are asleep - deadlock!");
}

static _Atomic int came_back;
static _Atomic bool has_begun;

static void *outlive(void *arg)
{
	has_begun = true;
	while (!release)
		usleep(1000);
	came_back++;
	return arg;
}

static void calls_outlive(void *arg)
{
	rg_blocking(outlive, arg);
	T_FAIL("a goroutine of a runtime that is over came back");
}

/* What was only queued when the runtime ends is forgotten. */
static bool is_running(void *arg)
{
	(void)arg;
	return has_begun;
}

static void left_body(void *arg)
{
	T_CHECK_INT_EQ(rg_go(calls_outlive, arg), 0);
	T_WAIT_UNTIL(is_running, NULL);
}

static bool has_come_back(void *arg)
{
	return came_back == *(int *)arg;
}

static void blocking_call_that_outlives_the_runtime_is_left(void **state)
{
	int want = 1;
	int64_t start;

	(void)state;
	release = came_back = 0;
	has_begun = false;
	start = t_now_ns();
	t_run_with(1, left_body, NULL);
	assert_true(t_now_ns() - start < 5 * RG_SECOND);
	assert_int_equal(came_back, 0);
	assert_int_equal(blocking_threads(), 0);
	release = 1;
	T_WAIT_UNTIL(has_come_back, &want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			blocking_call_runs_on_a_helper_and_keeps_errno),
		cmocka_unit_test(blocking_on_a_foreign_thread_is_in_place),
		cmocka_unit_test(blocking_calls_of_one_p_are_parallel),
		cmocka_unit_test(blocking_pool_grows_to_its_limit_and_queues),
		cmocka_unit_test(blocking_idle_helpers_end),
		cmocka_unit_test(
			blocking_short_calls_beside_ending_helpers_get_done),
		cmocka_unit_test(
			blocking_busy_helper_is_no_deadlock_an_idle_one_is),
		cmocka_unit_test(
			blocking_call_that_outlives_the_runtime_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
