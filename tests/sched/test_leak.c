// SPDX-License-Identifier: MIT
/*
 * leak - goroutines that are left over: RINGGO_DEBUG=leak=1 and 2 at the end of
 * rg_run and in rg_stop, rg_leak_begin and rg_leak_end; leak.c (I1, I2).
 */
#include "tests/support/rgtest.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sched/leak.h"

/* ---- what leaks ---- */

static rg_chan *never, *started;

/* Written behind a call, so that it is none in tail position, without a frame. */
static volatile int after_the_call;

static void leaks_in_recv(void *arg)
{
	(void)arg;
	rg_send(started, (char)1);
	rg_recv(never, (char *)NULL);
	after_the_call = 1;
}

static void leaks_in_sleep(void *arg)
{
	(void)arg;
	rg_send(started, (char)1);
	rg_sleep(RG_HOUR);
	after_the_call = 2;
}

static __attribute__((noinline)) void start_leaks(int receivers, int sleepers)
{
	never = rg_make(char, 0);
	started = rg_make(char, 0);
	for (int i = 0; i < receivers; i++)
		T_CHECK_INT_EQ(rg_go(leaks_in_recv, NULL), 0);
	for (int i = 0; i < sleepers; i++)
		T_CHECK_INT_EQ(rg_go(leaks_in_sleep, NULL), 0);
	for (int i = 0; i < receivers + sleepers; i++)
		rg_recv(started, (char *)NULL);
	/* On one P whoever was readied by our receive parks again before this
	 * returns. */
	rg_yield();
}

static int main_that_leaks(void *arg)
{
	int *counts = arg;

	start_leaks(counts[0], counts[1]);
	return counts[2];
}

/* Ends with rg_run's result as exit code; on one P, so that who sent is parked. */
static void run_leaking(void *arg)
{
	const rg_config one = {.maxprocs = 1};

	exit(rg_run(&one, main_that_leaks, arg));
}

/* What is said under this RINGGO_DEBUG; the caller frees it. */
static char *said_under(const char *value, int counts[3], int code)
{
	char *out;

	setenv("RINGGO_DEBUG", value, 1);
	out = t_expect_output(run_leaking, counts, code);
	unsetenv("RINGGO_DEBUG");
	return out;
}

/* ---- at the end of rg_run ---- */

static void leak_1_groups_by_creator_and_keeps_the_exit_code(void **state)
{
	int counts[3] = {3, 1, 0};
	char *out = said_under("leak=1", counts, 0);
	char *three, *one;

	(void)state;
	T_CHECK_STR_HAS(out, "ringgo: leak: 4 goroutines still parked at the "
			     "end\n");
	three = strstr(out, "ringgo: leak: 3 of leaks_in_recv, created by "
			    "start_leaks at ");
	one = strstr(out, "ringgo: leak: 1 of leaks_in_sleep, created by "
			  "start_leaks at ");
	assert_non_null(three);
	assert_non_null(one);
	assert_true(three < one);
	T_CHECK_STR_HAS(three, "test_leak.c:");
	T_CHECK_STR_HAS(three, ": chan receive in ");
	T_CHECK_STR_HAS(three, "leaks_in_recv at ");
	T_CHECK_STR_HAS(one, ": sleep in leaks_in_sleep at ");
	T_CHECK_STR_HAS(one, ", for up to ");
	free(out);
}

static void leak_2_makes_rg_run_return_23(void **state)
{
	int clean[3] = {0, 0, 0}, leaky[3] = {1, 0, 0}, failing[3] = {1, 0, 7};

	(void)state;
	free(said_under("leak=2", clean, 0));
	free(said_under("leak=2", leaky, LEAK_EXIT_CODE));
	/* A failure of main's own is not hidden. */
	free(said_under("leak=2", failing, 7));
}

static void leak_unset_or_clean_says_nothing(void **state)
{
	int clean[3] = {0, 0, 0}, leaky[3] = {2, 0, 0};
	char *out = said_under("leak=1", clean, 0);

	(void)state;
	assert_null(strstr(out, "leak"));
	free(out);
	out = said_under("leak=0", leaky, 0);
	assert_null(strstr(out, "leak"));
	free(out);
}

/* I2 */
static int main_with_cancelled_context(void *arg)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());

	(void)arg;
	start_leaks(1, 0);
	rg_ctx_cancel(c, 0);
	rg_ctx_bind(c);
	rg_ctx_unref(c);
	return 0;
}

static void run_cancelled(void *arg)
{
	const rg_config one = {.maxprocs = 1};

	exit(rg_run(&one, main_with_cancelled_context, arg));
}

static void leak_is_said_under_a_cancelled_context(void **state)
{
	char *out;

	(void)state;
	setenv("RINGGO_DEBUG", "leak=1", 1);
	out = t_expect_output(run_cancelled, NULL, 0);
	unsetenv("RINGGO_DEBUG");
	T_CHECK_STR_HAS(out, "ringgo: leak: 1 goroutine still parked");
	free(out);
}

/* ---- in rg_stop ---- */

static void start_leaks_g(void *arg)
{
	start_leaks(2, 0);
	atomic_store((atomic_bool *)arg, true);
}

static bool is_set(void *arg)
{
	return atomic_load((atomic_bool *)arg);
}

static void start_and_stop(void *arg)
{
	const rg_config one = {.maxprocs = 1};
	atomic_bool done = false;

	(void)arg;
	setenv("RINGGO_DEBUG", "leak=1", 1);
	T_CHECK_INT_EQ(rg_start(&one), 0);
	T_CHECK_INT_EQ(rg_go(start_leaks_g, &done), 0);
	T_WAIT_UNTIL(is_set, &done);
	T_CHECK_INT_EQ(rg_stop(0), -ETIMEDOUT);
}

static void leak_is_said_by_rg_stop(void **state)
{
	char *out = t_expect_output(start_and_stop, NULL, 0);

	(void)state;
	T_CHECK_STR_HAS(out, "ringgo: leak: 2 of leaks_in_recv, created by ");
	free(out);
}

/* ---- rg_leak_begin, rg_leak_end ---- */

static void ends_later(void *arg)
{
	rg_recv((rg_chan *)arg, (char *)NULL);
}

static void unrelated_then_new(void *arg)
{
	rg_chan *old = rg_make(char, 0), *new = rg_make(char, 0);
	rg_leaks *l;
	char text[4096];
	int fd = memfd_create("leaks", MFD_CLOEXEC);
	ssize_t n;

	(void)arg;
	T_CHECK(fd >= 0);
	for (int i = 0; i < 100; i++)
		T_CHECK_INT_EQ(rg_go(ends_later, old), 0);
	l = rg_leak_begin();
	T_CHECK(l != NULL);
	T_CHECK_INT_EQ(rg_leak_end(l, 0, fd), 0);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	l = rg_leak_begin();
	T_CHECK(l != NULL);
	for (int i = 0; i < 5; i++)
		T_CHECK_INT_EQ(rg_go(ends_later, new), 0);
	T_CHECK_INT_EQ(rg_leak_end(l, 2 * RG_MILLISECOND, fd), 5);
	n = pread(fd, text, sizeof text - 1, 0);
	T_CHECK(n > 0);
	text[n] = '\0';
	T_CHECK_STR_HAS(text, "ringgo: leak: 5 goroutines left over\n");
	T_CHECK_STR_HAS(text, " of ends_later, created by unrelated_then_new");
	rg_chan_close(old);
	rg_chan_close(new);
	t_wait_goroutines(1);
	rg_chan_unref(old);
	rg_chan_unref(new);
	close(fd);
}

static void leak_end_counts_what_was_not_there_before(void **state)
{
	(void)state;
	t_run_with(1, unrelated_then_new, NULL);
	t_run_with(2, unrelated_then_new, NULL);
}

static void closes_soon(void *arg)
{
	rg_sleep(3 * RG_MILLISECOND);
	rg_chan_close(arg);
}

static void gives_time(void *arg)
{
	rg_chan *c = rg_make(char, 0);
	rg_leaks *l = rg_leak_begin();
	rg_time began = rg_now();

	(void)arg;
	T_CHECK_INT_EQ(rg_go(ends_later, c), 0);
	T_CHECK_INT_EQ(rg_go(closes_soon, c), 0);
	T_CHECK_INT_EQ(rg_leak_end(l, RG_MINUTE, -1), 0);
	T_CHECK_INT_LT(rg_now() - began, 30 * RG_SECOND);
	rg_chan_unref(c);
}

static void leak_end_waits_for_those_that_end_in_time(void **state)
{
	(void)state;
	t_run_with(1, gives_time, NULL);
	t_run_with(2, gives_time, NULL);
}

static void bad_descriptor(void *arg)
{
	rg_chan *c = rg_make(char, 0);
	rg_leaks *l = rg_leak_begin();
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)arg;
	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(rg_go(ends_later, c), 0);
	T_CHECK_INT_EQ(rg_leak_end(l, 0, fd), -ENOSPC);
	close(fd);
	rg_chan_close(c);
	t_wait_goroutines(1);
	rg_chan_unref(c);
}

static void leak_end_returns_the_error_of_writing(void **state)
{
	(void)state;
	t_run(bad_descriptor, NULL);
}

static void leak_without_a_runtime_is_none(void **state)
{
	rg_leaks *l = rg_leak_begin();

	(void)state;
	assert_non_null(l);
	assert_int_equal(rg_leak_end(l, RG_HOUR, -1), 0);
}

static void leak_from_a_foreign_thread_sees_all(void **state)
{
	rg_chan *c = rg_make(char, 0);
	rg_leaks *l;

	(void)state;
	assert_int_equal(rg_start(NULL), 0);
	l = rg_leak_begin();
	assert_int_equal(rg_go(ends_later, c), 0);
	assert_int_equal(rg_leak_end(l, 0, -1), 1);
	rg_chan_close(c);
	assert_int_equal(rg_stop(RG_MINUTE), 0);
	rg_chan_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			leak_1_groups_by_creator_and_keeps_the_exit_code),
		cmocka_unit_test(leak_2_makes_rg_run_return_23),
		cmocka_unit_test(leak_unset_or_clean_says_nothing),
		cmocka_unit_test(leak_is_said_under_a_cancelled_context),
		cmocka_unit_test(leak_is_said_by_rg_stop),
		cmocka_unit_test(leak_end_counts_what_was_not_there_before),
		cmocka_unit_test(leak_end_waits_for_those_that_end_in_time),
		cmocka_unit_test(leak_end_returns_the_error_of_writing),
		cmocka_unit_test(leak_without_a_runtime_is_none),
		cmocka_unit_test(leak_from_a_foreign_thread_sees_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
