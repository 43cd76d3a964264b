// SPDX-License-Identifier: MIT
/*
 * freeze - stopping the world: threads that do not hear (I3), signals that are not
 * ours (I5), guarded calls, one freezer (I1).
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sched/freeze.h"

static _Atomic bool stop, is_hot;

/* The caller frees it. */
static char *dump_text(void)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	char *text;
	off_t len;

	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(rg_dump(fd, 2), 0);
	len = lseek(fd, 0, SEEK_END);
	T_CHECK(len > 0);
	text = calloc(1, (size_t)len + 1);
	T_CHECK(text != NULL);
	T_CHECK_INT_EQ(pread(fd, text, (size_t)len, 0), len);
	close(fd);
	return text;
}

static void deaf(void *arg)
{
	sigset_t all, mask;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	is_hot = true;
	while (!stop)
		;
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void deaf_body(void *arg)
{
	int64_t start;
	char *text;

	(void)arg;
	stop = is_hot = false;
	rg_go(deaf, NULL);
	while (!is_hot)
		rg_sleep(RG_MILLISECOND);
	start = t_now_ns();
	text = dump_text();
	T_CHECK_INT_LT(t_now_ns() - start, 5 * RG_SECOND);
	T_CHECK_STR_HAS(text, "stack unavailable\n"
			      "created by deaf_body in goroutine 1\n");
	free(text);
	stop = true;
	t_wait_goroutines(1);
}

static void freeze_of_a_thread_that_blocks_signals_gives_up_on_it(void **state)
{
	(void)state;
	t_run_with(2, deaf_body, NULL);
}

static _Atomic int urgent;

static void on_urgent(int sig)
{
	T_CHECK_INT_EQ(sig, SIGURG);
	urgent++;
}

static void urgent_body(void *arg)
{
	char *text;

	(void)arg;
	for (int i = 0; i < 100; i++) {
		errno = 77;
		raise(SIGURG);
		T_CHECK_INT_EQ(errno, 77);
	}
	T_CHECK_INT_EQ(urgent, 100);
	text = dump_text();
	free(text);
	T_CHECK_INT_EQ(urgent, 100); /* the freezer's are not the host's */
}

static void freeze_foreign_sigurg_reaches_the_hosts_handler(void **state)
{
	struct sigaction sa = {.sa_handler = on_urgent}, former, now;

	(void)state;
	assert_int_equal(sigaction(SIGURG, &sa, &former), 0);
	t_run_with(2, urgent_body, NULL);
	assert_int_equal(sigaction(SIGURG, &former, &now), 0);
	assert_ptr_equal(now.sa_handler, on_urgent);
}

static void faults(void *arg)
{
	*(volatile int *)arg = 1;
}

static void calls_nothing(void *arg)
{
	*(int *)arg = 1;
}

static void guard_body(void *arg)
{
	int done = 0;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		T_CHECK(!freeze_guarded(faults, (void *)8));
		T_CHECK(freeze_guarded(calls_nothing, &done));
		T_CHECK_INT_EQ(done, 1);
	}
	T_CHECK(freeze_world());
	T_CHECK(!freeze_world());
	T_CHECK(freeze_is_mine());
	T_CHECK(!freeze_guarded(faults, (void *)8));
	freeze_thaw();
	T_CHECK(!freeze_is_mine());
}

static void freeze_guarded_survives_a_fault(void **state)
{
	(void)state;
	t_run_with(2, guard_body, NULL);
}

/* ---- several freezers, and threads that come and go ---- */

static _Atomic int frozen_by;

static void *freeze_often(void *arg)
{
	for (int i = 0; i < 300; i++) {
		T_CHECK(freeze_world());
		T_CHECK_INT_EQ(frozen_by++, 0);
		T_CHECK_INT_EQ(--frozen_by, 0);
		freeze_thaw();
	}
	return arg;
}

static _Atomic long steps;

static void step(void *arg)
{
	(void)arg;
	while (!stop) {
		steps++;
		rg_yield();
	}
}

static void freezers_body(void *arg)
{
	pthread_t threads[3];

	stop = false;
	for (int i = 0; i < 4; i++)
		rg_go(step, arg);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(
			pthread_create(&threads[i], NULL, freeze_often, NULL),
			0);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(pthread_join(threads[i], NULL), 0);
	stop = true;
	t_wait_goroutines(1);
}

/* Every other runtime has another number of threads: records are used again. */
static void freeze_by_several_threads_is_one_at_a_time(void **state)
{
	(void)state;
	for (int n = 1; n <= 4; n++)
		t_run_with(n, freezers_body, NULL);
}

static void still_body(void *arg)
{
	long before;

	stop = false;
	rg_go(step, arg);
	rg_sleep(RG_MILLISECOND);
	for (int i = 0; i < 20; i++) {
		T_CHECK(freeze_world());
		T_CHECK_INT_EQ(freeze_missed(), 0);
		before = steps;
		usleep(2000);
		T_CHECK_INT_EQ(steps, before);
		freeze_thaw();
		while (steps == before)
			rg_sleep(RG_MICROSECOND);
	}
	stop = true;
	t_wait_goroutines(1);
}

static void freeze_stops_what_runs_until_the_thaw(void **state)
{
	(void)state;
	t_run_with(2, still_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			freeze_of_a_thread_that_blocks_signals_gives_up_on_it),
		cmocka_unit_test(
			freeze_foreign_sigurg_reaches_the_hosts_handler),
		cmocka_unit_test(freeze_guarded_survives_a_fault),
		cmocka_unit_test(freeze_by_several_threads_is_one_at_a_time),
		cmocka_unit_test(freeze_stops_what_runs_until_the_thaw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
