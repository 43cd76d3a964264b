// SPDX-License-Identifier: MIT
/*
 * interrupt - attacks sched/interrupt.h: requests that could be lost, goroutines that
 * were stopped and could be forgotten, and the end of a runtime in which some compute.
 *
 * The program's own text is declared free of locks, so that stacks are left; a callback
 * of tfind is where the thread has to be stopped instead.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ringgo.h>

#include "sched/interrupt.h"

static _Atomic int stop;
static _Atomic long turns;
static rg_waitgroup wg;

static bool has_preemption(void)
{
	if (interrupt_is_on() && preempt_is_supported())
		return true;
	print_message("no preemption in this build\n");
	return false;
}

/* ---- signals that are merged ---- */

static void merges(void)
{
	struct m *mp = getm();
	sigset_t urg;

	sigemptyset(&urg);
	sigaddset(&urg, SIGURG);
	T_CHECK_INT_EQ(pthread_sigmask(SIG_BLOCK, &urg, NULL), 0);
	/* Somebody else's is pending, so the next one is dropped. */
	T_CHECK_INT_EQ(syscall(SYS_tgkill, getpid(), mp->tid, SIGURG), 0);
	/* Relaxed: nothing comes with it. */
	while (!(atomic_load_explicit(&mp->asked, memory_order_relaxed) &
		 ASKED_STOP))
		;
	T_CHECK_INT_EQ(pthread_sigmask(SIG_UNBLOCK, &urg, NULL), 0);
}

static void spins_after_merge(void *arg)
{
	(void)arg;
	merges();
	while (!stop)
		;
	rg_waitgroup_done(&wg);
}

static void merged_body(void *arg)
{
	(void)arg;
	if (!has_preemption())
		return;
	stop = 0;
	rg_waitgroup_add(&wg, 1);
	T_CHECK_INT_EQ(rg_go(spins_after_merge, NULL), 0);
	for (int i = 0; i < 20; i++)
		rg_sleep(RG_MILLISECOND);
	stop = 1;
	rg_waitgroup_wait(&wg);
}

static void interrupt_merged_with_another_signal_is_heeded(void **state)
{
	(void)state;
	t_run_with(1, merged_body, NULL);
}

/* ---- who is pinned, beside queues that never run dry ---- */

static void spins(void *arg)
{
	(void)arg;
	while (!stop)
		;
	rg_waitgroup_done(&wg);
}

static void yields(void *arg)
{
	(void)arg;
	while (!stop)
		rg_yield();
	rg_waitgroup_done(&wg);
}

static bool was_switched_thrice(void *arg)
{
	return interrupt_count(INTERRUPT_SWITCHED) >= *(uint64_t *)arg + 3;
}

static void pinned_body(void *arg)
{
	enum { YIELDERS = 600 }; /* more than a local queue holds */
	uint64_t before = interrupt_count(INTERRUPT_SWITCHED);

	(void)arg;
	if (!has_preemption())
		return;
	stop = 0;
	rg_waitgroup_add(&wg, YIELDERS + 1);
	T_CHECK_INT_EQ(rg_go(spins, NULL), 0);
	for (int i = 0; i < YIELDERS; i++)
		T_CHECK_INT_EQ(rg_go(yields, NULL), 0);
	T_WAIT_UNTIL(was_switched_thrice, &before);
	stop = 1;
	rg_waitgroup_wait(&wg);
}

static void interrupt_pinned_run_beside_a_long_global_queue(void **state)
{
	(void)state;
	t_run_with(1, pinned_body, NULL);
}

/* ---- stopped threads ---- */

static int64_t thread_cpu_ns(void)
{
	struct timespec ts;

	T_CHECK_INT_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts), 0);
	return ts.tv_sec * RG_SECOND + ts.tv_nsec;
}

static _Atomic int64_t stopped_cpu_ns;
static _Atomic bool is_awaited; /* somebody is in a callback until the end */

/* Beneath a library's function: no stack is left here. */
static int compares(const void *a, const void *b)
{
	int64_t begun;

	if (a == b)
		return 0;
	is_awaited = true;
	begun = thread_cpu_ns();
	while (!stop)
		;
	stopped_cpu_ns += thread_cpu_ns() - begun;
	return -1;
}

static void spins_in_callback(void *arg)
{
	static const char other;
	const char *item = arg;
	void *root = NULL;

	T_CHECK(tsearch(item, &root, compares) != NULL);
	T_CHECK(tfind(&other, &root, compares) == NULL);
	T_CHECK(tdelete(item, &root, compares) != NULL);
	rg_waitgroup_done(&wg);
}

static bool was_suspended_often(void *arg)
{
	return interrupt_count(INTERRUPT_SUSPENDED) >= *(uint64_t *)arg + 60;
}

static void slice_body(void *arg)
{
	static char items[] = "ab";
	uint64_t before = interrupt_count(INTERRUPT_SUSPENDED);

	(void)arg;
	if (!has_preemption())
		return;
	stop = 0;
	stopped_cpu_ns = 0;
	rg_waitgroup_add(&wg, 5);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(rg_go(yields, NULL), 0);
	for (int i = 0; i < 2; i++)
		T_CHECK_INT_EQ(rg_go(spins_in_callback, &items[i]), 0);
	T_WAIT_UNTIL(was_suspended_often, &before);
	stop = 1;
	rg_waitgroup_wait(&wg);
	/* Asked after half of a short slice on a CPU at the earliest. */
	T_CHECK_INT_GE(stopped_cpu_ns /
			       (int64_t)(interrupt_count(INTERRUPT_SUSPENDED) -
					 before),
		       INTERRUPT_SHORT_NS * 4 / 10);
}

static void interrupt_stopped_threads_get_whole_slices(void **state)
{
	(void)state;
	t_run_with(1, slice_body, NULL);
}

/* ---- pinned to a thread that is stopped ---- */

static void spins_until_awaited(void *arg)
{
	(void)arg;
	while (!is_awaited)
		;
	stop = 1;
	rg_waitgroup_done(&wg);
}

static bool was_switched(void *arg)
{
	return interrupt_count(INTERRUPT_SWITCHED) > *(uint64_t *)arg;
}

/* One is pinned, and another, on the same thread, waits for it without ever leaving its
 * callback. */
static void behind_body(void *arg)
{
	static char item;
	uint64_t before = interrupt_count(INTERRUPT_SWITCHED);

	(void)arg;
	if (!has_preemption())
		return;
	stop = 0;
	is_awaited = false;
	rg_waitgroup_add(&wg, 2);
	T_CHECK_INT_EQ(rg_go(spins_until_awaited, NULL), 0);
	T_WAIT_UNTIL(was_switched, &before);
	T_CHECK_INT_EQ(rg_go(spins_in_callback, &item), 0);
	rg_waitgroup_wait(&wg);
}

static void interrupt_pinned_to_a_stopped_thread_run_elsewhere(void **state)
{
	(void)state;
	t_run_with(1, behind_body, NULL);
}

/* ---- the end ---- */

static void computes(void *arg)
{
	(void)arg;
	turns++;
	for (;;)
		__asm__ volatile("");
}

static bool have_begun(void *arg)
{
	return turns == (intptr_t)arg;
}

static void leaves_them(void *arg)
{
	intptr_t n = (intptr_t)arg;

	turns = 0;
	for (int i = 0; i < n; i++)
		T_CHECK_INT_EQ(rg_go(computes, NULL), 0);
	T_WAIT_UNTIL(have_begun, arg);
}

static int is_preemptible(void *arg)
{
	(void)arg;
	return has_preemption();
}

/* M0's thread is rg_run's caller, so it has to come back; the next runtime starts only
 * if all others did. */
static void interrupt_end_abandons_those_that_compute(void **state)
{
	const rg_config config = {.maxprocs = 2};

	(void)state;
	if (!rg_run(NULL, is_preemptible, NULL))
		return;
	for (int i = 0; i < 3; i++)
		t_run_with(2, leaves_them, (void *)(intptr_t)3);
	T_CHECK_INT_EQ(rg_start(&config), 0);
	leaves_them((void *)(intptr_t)3);
	T_CHECK_INT_EQ(rg_stop(0), -ETIMEDOUT);
	t_run_with(2, leaves_them, (void *)(intptr_t)1);
}

static int allow(void **state)
{
	(void)state;
	return rg_preempt_allow((const void *)(uintptr_t)spins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			interrupt_merged_with_another_signal_is_heeded),
		cmocka_unit_test(
			interrupt_pinned_run_beside_a_long_global_queue),
		cmocka_unit_test(interrupt_stopped_threads_get_whole_slices),
		cmocka_unit_test(
			interrupt_pinned_to_a_stopped_thread_run_elsewhere),
		cmocka_unit_test(interrupt_end_abandons_those_that_compute),
	};

	return cmocka_run_group_tests(tests, allow, NULL);
}
