// SPDX-License-Identifier: MIT
/*
 * timer - attacks I1-I4 of sched/timer.h: order, stop against fire, phase, overflow.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/alloc.h"
#include "kernel-iface/clock.h"
#include "sched/sched.h"

#include <stdlib.h>

enum { MANY = 20000 };

struct probe {
	struct timer timer;
	_Atomic int fired;
	rg_time at;
};

static _Atomic int total;

static void note(struct timer *t, void *arg, rg_time now)
{
	struct probe *p = arg;

	(void)t;
	san_acquire(p);
	p->at = now;
	/* Release, pairs with the tests' looks at it. */
	atomic_fetch_add_explicit(&p->fired, 1, memory_order_release);
	/* Release, pairs with all_fired. */
	atomic_fetch_add_explicit(&total, 1, memory_order_release);
}

/* timer_start, which tells ThreadSanitizer nothing by itself. */
static int arm(struct probe *p, rg_time when, rg_duration period)
{
	san_release(p);
	return timer_start(&p->timer, when, period, note, p);
}

static bool all_fired(void *arg)
{
	/* Acquire, pairs with note. */
	return atomic_load_explicit(&total, memory_order_acquire) ==
	       *(int *)arg;
}

static void fire_in_order(void *arg)
{
	struct probe *p = calloc(MANY, sizeof *p);
	struct timer_heap *h = &sched.ps[0]->timers;
	rg_time start = clock_now();
	int n = MANY;

	(void)arg;
	total = 0;
	for (int i = 0; i < MANY; i++)
		T_CHECK(!arm(&p[i], start + (i * 7919 % MANY) * 1000, 0));
	T_CHECK(timer_heap_check(h));
	T_WAIT_UNTIL(all_fired, &n);
	for (int i = 0; i < MANY; i++) {
		T_CHECK_INT_EQ(p[i].fired, 1);
		T_CHECK(p[i].at >= start + (i * 7919 % MANY) * 1000);
	}
	T_CHECK_INT_EQ(timer_count(), 0);
	free(p);
}

static void timers_fire_once_and_never_early(void **state)
{
	(void)state;
	t_run_with(1, fire_in_order, NULL);
	t_run_with(2, fire_in_order, NULL);
}

static void stop_half(void *arg)
{
	struct probe *p = calloc(MANY, sizeof *p);
	rg_time soon = clock_now() + 5 * RG_MILLISECOND;
	int fired = 0, stopped = 0;

	(void)arg;
	total = 0;
	for (int i = 0; i < MANY; i++)
		T_CHECK(!arm(&p[i], soon + i * 300, 0));
	for (int i = MANY; i-- > 0;) {
		if (i % 64 == 0)
			rg_yield();
		if (timer_stop(&p[i].timer)) {
			stopped++;
			T_CHECK_INT_EQ(p[i].fired, 0);
		}
		T_CHECK(!timer_stop(&p[i].timer));
	}
	rg_sleep(20 * RG_MILLISECOND);
	for (int i = 0; i < MANY; i++)
		fired += p[i].fired;
	/* Each was stopped or fired, never both, never neither. */
	T_CHECK_INT_EQ(fired + stopped, MANY);
	free(p);
}

static void timer_stop_and_fire_exclude_each_other(void **state)
{
	(void)state;
	t_run_with(1, stop_half, NULL);
	t_run_with(2, stop_half, NULL);
}

static void keep_phase(void *arg)
{
	struct timer_heap h;
	struct probe p = {.fired = 0};
	rg_time t0 = 1000000;

	(void)arg;
	/* A heap of its own, driven by hand. */
	timer_heap_init(&h);
	T_CHECK(!timer_start(&p.timer, RG_FOREVER, 0, note, &p));
	T_CHECK(timer_stop(&p.timer));
	T_CHECK_INT_EQ(timer_heap_run(&h, t0), 0);
	timer_heap_free(&h);
	/* Periodic: at 10 ms; 35 ms late it fires once and is next due at the
	 * following multiple of its period. */
	total = 0;
	t0 = clock_now() - 35 * RG_MILLISECOND;
	T_CHECK(!arm(&p, t0, 10 * RG_MILLISECOND));
	while (!p.fired)
		rg_yield();
	T_CHECK_INT_EQ((p.timer.when - t0) % (10 * RG_MILLISECOND), 0);
	T_CHECK(p.timer.when > p.at);
	T_CHECK(p.timer.when - p.at <= 10 * RG_MILLISECOND);
	T_CHECK(timer_stop(&p.timer));
}

static void timer_periodic_keeps_phase_and_skips(void **state)
{
	(void)state;
	t_run_with(1, keep_phase, NULL);
}

static void no_overflow(void *arg)
{
	struct probe p = {.fired = 0};

	(void)arg;
	T_CHECK(timer_after(RG_FOREVER) == RG_FOREVER);
	T_CHECK(timer_after(RG_FOREVER - 1) == RG_FOREVER);
	T_CHECK(timer_after(-5) <= clock_now());
	T_CHECK(!arm(&p, clock_now() - 1, RG_FOREVER - 1));
	while (!p.fired)
		rg_yield();
	rg_sleep(3 * RG_MILLISECOND);
	T_CHECK_INT_EQ(p.fired, 1);
	T_CHECK(timer_stop(&p.timer));
}

static void timer_huge_durations_do_not_wrap(void **state)
{
	(void)state;
	t_run_with(1, no_overflow, NULL);
}

static void no_memory(void *arg)
{
	struct probe p[65] = {0};
	int err = 0, n = 0;

	(void)arg;
	alloc_fail_after(0);
	while (n < 65 && !(err = timer_start(&p[n].timer, RG_FOREVER - 1, 0,
					     note, &p[n])))
		n++;
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(err, -ENOMEM);
	T_CHECK(!timer_stop(&p[n].timer));
	while (n--)
		T_CHECK(timer_stop(&p[n].timer));
}

static void timer_start_without_memory_says_so(void **state)
{
	(void)state;
	t_run_with(1, no_memory, NULL);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* The heaps are gone with their Ps. */
static void timer_start_without_a_runtime_says_so(void **state)
{
	struct probe p = {0};
	struct timer_place place;

	(void)state;
	for (int i = 0; i < 2; i++) {
		T_CHECK_INT_EQ(arm(&p, 0, 0), -ESRCH);
		T_CHECK_INT_EQ(timer_reserve(&place), -ESRCH);
		T_CHECK(!timer_stop(&p.timer));
		t_run_with(2, nothing, NULL);
	}
	T_CHECK_INT_EQ(arm(&p, 0, 0), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_start_without_a_runtime_says_so),
		cmocka_unit_test(timers_fire_once_and_never_early),
		cmocka_unit_test(timer_stop_and_fire_exclude_each_other),
		cmocka_unit_test(timer_periodic_keeps_phase_and_skips),
		cmocka_unit_test(timer_huge_durations_do_not_wrap),
		cmocka_unit_test(timer_start_without_memory_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
