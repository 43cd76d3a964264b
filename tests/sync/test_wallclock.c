// SPDX-License-Identifier: MIT
/*
 * test_wallclock - what waits for time goes by the monotonic clock: SEMANTICS 79, 85, 87.
 * Readings of the real-time clock by the library are made to jump; the monotonic one is
 * the kernel's.
 * RG-LDFLAGS: -Wl,--wrap=clock_gettime
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>
#include <time.h>

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

static _Atomic int64_t offset_s; /* of the wall clock */
static _Atomic int64_t readings; /* of it */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	int err = __real_clock_gettime(id, ts);

	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
		ts->tv_sec += offset_s;
		readings++;
	}
	return err;
}

enum { STEP_S = 7200 };

static rg_duration since(rg_time start)
{
	struct timespec ts;

	__real_clock_gettime(CLOCK_MONOTONIC, &ts);
	return (rg_time)ts.tv_sec * RG_SECOND + ts.tv_nsec - start;
}

/* What takes 5 ms takes no hour more, and no hour less. */
static void expect_5ms(rg_time start)
{
	T_CHECK_INT_GE(since(start), 5 * RG_MILLISECOND);
	T_CHECK_INT_LT(since(start), RG_MINUTE);
}

static void step_clock(void *arg)
{
	(void)arg;
	offset_s += STEP_S;
	rg_yield();
	offset_s -= 2 * STEP_S;
	rg_yield();
	offset_s += STEP_S / 2;
}

static void waits_body(void *arg)
{
	rg_chan *c = rg_make(int, 0);
	rg_ctx *ctx;
	rg_timer *t;
	rg_time start, fired;
	int one;

	(void)arg;
	T_CHECK_INT_EQ(rg_go(step_clock, NULL), 0);
	start = rg_now();
	T_CHECK_INT_EQ(rg_sleep(5 * RG_MILLISECOND), 0);
	expect_5ms(start);

	T_CHECK_INT_EQ(rg_go(step_clock, NULL), 0);
	start = rg_now();
	t = rg_timer_new(5 * RG_MILLISECOND);
	T_CHECK(rg_recv(rg_timer_chan(t), &fired));
	expect_5ms(start);
	T_CHECK_INT_GE(fired - start, 5 * RG_MILLISECOND);
	rg_timer_free(t);

	T_CHECK_INT_EQ(rg_go(step_clock, NULL), 0);
	start = rg_now();
	T_CHECK_INT_EQ(rg_select_until((rg_case[]){RG_RECV(c, &one)}, 1,
				       start + 5 * RG_MILLISECOND),
		       -ETIMEDOUT);
	expect_5ms(start);

	T_CHECK_INT_EQ(rg_go(step_clock, NULL), 0);
	start = rg_now();
	ctx = rg_ctx_with_timeout(rg_ctx_background(), 5 * RG_MILLISECOND);
	T_CHECK(!rg_chan_recv(rg_ctx_done(ctx), NULL));
	expect_5ms(start);
	rg_ctx_unref(ctx);
	rg_chan_unref(c);
	t_wait_goroutines(1);
}

static void unix_time_body(void *arg)
{
	int64_t before, read = readings, unix_start = rg_unix_nano();
	rg_time start = rg_now();

	(void)arg;
	before = rg_time_to_unix_nano(start);
	offset_s += STEP_S;
	/* The calendar's time follows it, the monotonic one does not. */
	T_CHECK_INT_GE(rg_unix_nano() - unix_start, STEP_S * RG_SECOND);
	T_CHECK_INT_GE(rg_time_to_unix_nano(start) - before,
		       (STEP_S - 60) * RG_SECOND);
	T_CHECK_INT_LT(rg_now() - start, RG_MINUTE);
	T_CHECK_INT_GE(readings - read, 4);
}

static void wallclock_steps_change_no_wait(void **state)
{
	(void)state;
	run_both(waits_body, NULL);
	run_both(unix_time_body, NULL);
}

/* ---- sleeps of odd lengths ------------------------------------------------------- */

enum { SLEEPS = 2000 };

static void sleep_zero(void *arg)
{
	rg_chan *c = arg;

	for (int i = 0; i < SLEEPS; i++) {
		T_CHECK_INT_EQ(rg_sleep(i % 3 == 2 ? -i : 0), 0);
		rg_send(c, i);
		if (i % 7 == 0)
			rg_yield();
	}
}

static void zero_body(void *arg)
{
	rg_chan *c = rg_make(int, 0);
	int i;

	(void)arg;
	T_CHECK_INT_EQ(rg_go(sleep_zero, c), 0);
	for (int k = 0; k < SLEEPS; k++) {
		T_CHECK_INT_EQ(rg_sleep(0), 0);
		T_CHECK(rg_recv(c, &i));
		T_CHECK_INT_EQ(i, k);
	}
	t_wait_goroutines(1);
	rg_chan_unref(c);
}

static void sleep_of_zero_leaves_nobody_waiting(void **state)
{
	(void)state;
	run_both(zero_body, NULL);
}

struct sleeper {
	rg_duration d;
	_Atomic int result; /* 1: none yet */
};

static void sleep_long(void *arg)
{
	struct sleeper *s = arg;

	s->result = rg_sleep(s->d);
}

static void huge_body(void *arg)
{
	struct sleeper s[] = {{RG_FOREVER, 1},
			      {RG_FOREVER - 1, 1},
			      {RG_FOREVER / 2, 1},
			      {RG_HOUR * 24 * 365 * 200, 1}};
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_waitgroup w = {0};

	(void)arg;
	T_CHECK(!rg_ctx_bind(ctx));
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&w, sleep_long, &s[i]), 0);
	T_CHECK_INT_EQ(rg_sleep(5 * RG_MILLISECOND), 0);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(s[i].result, 1);
	rg_ctx_cancel(ctx, 0);
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(s[i].result, -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

static void sleep_of_centuries_is_not_in_the_past(void **state)
{
	(void)state;
	run_both(huge_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wallclock_steps_change_no_wait),
		cmocka_unit_test(sleep_of_zero_leaves_nobody_waiting),
		cmocka_unit_test(sleep_of_centuries_is_not_in_the_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
