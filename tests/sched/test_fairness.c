// SPDX-License-Identifier: MIT
/*
 * Fairness: goroutines that compute, or block their thread, do not hold up the others.
 *
 * A hog is ended by a flag that another goroutine sets: it can only do so if it runs
 * beside the hog. With as many hogs as Ps that takes preemption, or a thread more.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ringgo.h>

#include "kernel-iface/base/sanitize.h"
#include "sched/interrupt.h"
#include "sched/sched.h"

enum { HOGS = 3 };

static _Atomic int stop, running;
static rg_waitgroup wg;

static bool has_preemption(void)
{
	if (interrupt_is_on())
		return true;
	print_message("no preemption in this build\n");
	return false;
}

/* ---- hogs: none of them calls the runtime ---- */

static void spins(void *arg)
{
	(void)arg;
	running++;
	while (!stop)
		;
	running--;
	rg_waitgroup_done(&wg);
}

static void allocates(void *arg)
{
	(void)arg;
	running++;
	while (!stop) {
		char *volatile p = malloc(100);

		free(p);
	}
	running--;
	rg_waitgroup_done(&wg);
}

static int compares(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static void sorts(void *arg)
{
	int data[64];

	(void)arg;
	running++;
	while (!stop) {
		for (int i = 0; i < 64; i++)
			data[i] = (i * 37) % 64;
		qsort(data, 64, sizeof data[0], compares);
		T_CHECK(data[0] == 0 && data[63] == 63);
	}
	running--;
	rg_waitgroup_done(&wg);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long guarded, guarded_by;

/* Twice the same thread in the lock would be seen. */
static void locks(void *arg)
{
	(void)arg;
	running++;
	while (!stop) {
		pthread_mutex_lock(&lock);
		guarded++;
		for (volatile int i = 0; i < 100; i++)
			;
		guarded_by++;
		if (guarded != guarded_by)
			T_CHECK(guarded == guarded_by);
		pthread_mutex_unlock(&lock);
	}
	running--;
	rg_waitgroup_done(&wg);
}

static void prints(void *arg)
{
	FILE *f = arg;

	running++;
	while (!stop)
		fprintf(f, "%d %f\n", 42, 1e300);
	running--;
	rg_waitgroup_done(&wg);
}

/* ---- the others run, and end them ---- */

static void beside(void (*hog)(void *arg), void *arg)
{
	stop = 0;
	rg_waitgroup_add(&wg, HOGS);
	for (int i = 0; i < HOGS; i++)
		T_CHECK_INT_EQ(rg_go(hog, arg), 0);
	for (int i = 0; i < 20; i++)
		rg_sleep(RG_MILLISECOND);
	stop = 1;
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(running, 0);
}

/* Each result has a name, and together they are what rg_stats says. */
static void results_add_up(void)
{
	int64_t done = 0, count;
	const char *what;
	rg_stats s;
	size_t n = 0;

	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	for (; (count = rg_preempt_count(n, &what)) >= 0; n++) {
		T_CHECK(what && *what);
		if (!strcmp(what, "switched") || !strcmp(what, "hijacked") ||
		    !strcmp(what, "suspended"))
			done += count;
	}
	T_CHECK_INT_GT(n, 15);
	T_CHECK(done > 0 && done >= s.preempted + s.suspended);
	T_CHECK_INT_EQ(rg_preempt_count(n + 1000, NULL), -1);
	T_CHECK(rg_preempt_count(0, NULL) >= 0);
}

static void all_hogs(void *arg)
{
	FILE *null = fopen("/dev/null", "w");

	(void)arg;
	T_CHECK(null != NULL);
	if (!has_preemption())
		goto out;
	beside(spins, NULL);
	beside(allocates, NULL);
	beside(sorts, NULL);

	beside(locks, NULL);
	beside(prints, null);
	results_add_up();
out:
	fclose(null);
}

static void hogs_do_not_keep_others_from_running(void **state)
{
	(void)state;
	for (int n = 1; n <= 2; n++)
		t_run_with(n, all_hogs, NULL);
}

static _Atomic long shares[4];

static void counts(void *arg)
{
	_Atomic long *share = arg;

	while (!stop)
		(*share)++;
	rg_waitgroup_done(&wg);
}

static bool all_had_a_share(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++)
		if (shares[i] < 1000)
			return false;
	return true;
}

/* More hogs than Ps: each gets its turn. */
static void shares_body(void *arg)
{
	(void)arg;
	if (!has_preemption())
		return;
	stop = 0;
	memset(shares, 0, sizeof shares);
	rg_waitgroup_add(&wg, 4);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(rg_go(counts, &shares[i]), 0);
	T_WAIT_UNTIL(all_had_a_share, NULL);
	stop = 1;
	rg_waitgroup_wait(&wg);
}

static void hogs_share_what_is_there(void **state)
{
	(void)state;
	for (int n = 1; n <= 2; n++)
		t_run_with(n, shares_body, NULL);
}

/* ---- blocked threads ---- */

static int pipe_fds[2];

static void reads_raw(void *arg)
{
	char byte;

	(void)arg;
	running++;
	T_CHECK_INT_EQ(read(pipe_fds[0], &byte, 1), 1);
	running--;
	rg_waitgroup_done(&wg);
}

static void naps_raw(void *arg)
{
	struct timespec nap = {0, 20 * 1000 * 1000};

	(void)arg;
	/* No signal is sent to who sleeps; one sent a moment before may come. */
	while (nanosleep(&nap, &nap))
		T_CHECK_INT_EQ(errno, EINTR);
	rg_waitgroup_done(&wg);
}

static void blocked_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(pipe(pipe_fds), 0);
	rg_waitgroup_add(&wg, 2 * HOGS);
	for (int i = 0; i < HOGS; i++) {
		T_CHECK_INT_EQ(rg_go(reads_raw, NULL), 0);
		T_CHECK_INT_EQ(rg_go(naps_raw, NULL), 0);
	}
	for (int i = 0; i < 20; i++)
		rg_sleep(RG_MILLISECOND);
	for (int i = 0; i < HOGS; i++)
		T_CHECK_INT_EQ(write(pipe_fds[1], "x", 1), 1);
	rg_waitgroup_wait(&wg);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void blocked_threads_do_not_keep_others_from_running(void **state)
{
	(void)state;
	for (int n = 1; n <= 2; n++)
		t_run_with(n, blocked_body, NULL);
}

/* The one that computes is preempted, and the one that waits for it blocks the very
 * thread that the first is pinned to. */
static void computes_then_writes(void *arg)
{
	(void)arg;
	running++;
	while (!stop)
		;
	T_CHECK_INT_EQ(write(pipe_fds[1], "x", 1), 1);
	rg_waitgroup_done(&wg);
}

static void waits_for_writer(void *arg)
{
	char byte;

	(void)arg;
	stop = 1;
	T_CHECK_INT_EQ(read(pipe_fds[0], &byte, 1), 1);
	rg_waitgroup_done(&wg);
}

static void pinned_body(void *arg)
{
	(void)arg;
	if (!has_preemption())
		return;
	T_CHECK_INT_EQ(pipe(pipe_fds), 0);
	stop = running = 0;
	rg_waitgroup_add(&wg, 2);
	T_CHECK_INT_EQ(rg_go(computes_then_writes, NULL), 0);
	while (!running)
		rg_sleep(RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_go(waits_for_writer, NULL), 0);
	rg_waitgroup_wait(&wg);
	running = 0;
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void a_blocked_thread_gives_up_who_is_pinned_to_it(void **state)
{
	(void)state;
	t_run_with(1, pinned_body, NULL);
}

/* ---- rg_gomaxprocs ---- */

static void works(void *arg)
{
	(void)arg;
	while (!stop) {
		for (volatile int i = 0; i < 1000; i++)
			;
		rg_yield();
	}
	rg_waitgroup_done(&wg);
}

static bool has_running(void *arg)
{
	int n;

	rtlock_lock(&sched.lock);
	n = sched.nrunning;
	rtlock_unlock(&sched.lock);
	return n == (int)(intptr_t)arg;
}

static void procs_body(void *arg)
{
	static const int steps[] = {4, 1, 3, 2, 8, 1, 2};
	int now = 2;

	(void)arg;
	stop = 0;
	rg_waitgroup_add(&wg, 16);
	for (int i = 0; i < 16; i++)
		T_CHECK_INT_EQ(rg_go(works, NULL), 0);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		T_CHECK_INT_EQ(rg_gomaxprocs(steps[i]), now);
		now = steps[i];
		T_CHECK_INT_EQ(rg_gomaxprocs(0), now);
		T_WAIT_UNTIL(has_running, (void *)(intptr_t)now);
	}
	T_CHECK_INT_EQ(rg_gomaxprocs(-1), 2);
	stop = 1;
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(rg_gomaxprocs(1 << 30), 2);
	T_CHECK_INT_EQ(rg_gomaxprocs(2), SCHED_MAX_PROCS);
}

static void gomaxprocs_changes_how_many_run(void **state)
{
	(void)state;
	t_run_with(2, procs_body, NULL);
}

/* ---- rg_preempt_disable ---- */

static _Atomic int others;

static void notes(void *arg)
{
	(void)arg;
	others++;
	rg_waitgroup_done(&wg);
}

static uint64_t disabled_count(void)
{
	return interrupt_count(INTERRUPT_DISABLED);
}

static void disabled_body(void *arg)
{
	uint64_t before = disabled_count();

	(void)arg;
	if (!has_preemption())
		return;
	others = 0;
	rg_waitgroup_add(&wg, 1);
	/* Deeper than a byte counts. */
	for (int i = 0; i < 256; i++)
		rg_preempt_disable();
	for (int i = 0; i < 255; i++)
		rg_preempt_enable();
	T_CHECK_INT_EQ(rg_go(notes, NULL), 0);
	/* It was asked, and did not give way. */
	while (disabled_count() < before + 3)
		T_CHECK_INT_EQ(others, 0);
	T_CHECK_INT_EQ(others, 0);
	rg_preempt_enable();
	while (!others)
		;
	rg_waitgroup_wait(&wg);
}

static void preempt_disable_keeps_the_processor(void **state)
{
	(void)state;
	t_run_with(1, disabled_body, NULL);
}

static void enables_too_often(void *arg)
{
	(void)arg;
	rg_preempt_enable();
}

static void run_enables_too_often(void *arg)
{
	t_run_with(1, enables_too_often, arg);
}

static void preempt_enable_without_disable_panics(void **state)
{
	(void)state;
	t_expect_abort(run_enables_too_often, NULL,
		       "rg_preempt_enable without rg_preempt_disable");
}

static void traced_body(void *arg)
{
	(void)arg;
	rg_sleep(30 * RG_MILLISECOND);
}

static void run_traced(void *arg)
{
	setenv("RINGGO_DEBUG", "schedtrace=5", 1);
	t_run_with(2, traced_body, arg);
}

static void schedtrace_writes_a_line_each_time(void **state)
{
	(void)state;
	t_expect_exit(run_traced, NULL, 0, "ms: gomaxprocs=2 idleprocs=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hogs_do_not_keep_others_from_running),
		cmocka_unit_test(hogs_share_what_is_there),
		cmocka_unit_test(
			blocked_threads_do_not_keep_others_from_running),
		cmocka_unit_test(a_blocked_thread_gives_up_who_is_pinned_to_it),
		cmocka_unit_test(gomaxprocs_changes_how_many_run),
		cmocka_unit_test(preempt_disable_keeps_the_processor),
		cmocka_unit_test(preempt_enable_without_disable_panics),
		cmocka_unit_test(schedtrace_writes_a_line_each_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
