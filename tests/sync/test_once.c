// SPDX-License-Identifier: MIT
/*
 * test_once - rg_once: SEMANTICS 58.
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"

struct once {
	rg_once once;
	_Atomic int ran, passed;
	int value; /* written by the function, read by all */
};

static void slow_function(void *arg)
{
	struct once *o = arg;

	atomic_fetch_add(&o->ran, 1);
	for (int i = 0; i < 50; i++)
		rg_yield();
	o->value = 42;
}

static void do_it(struct once *o)
{
	rg_once_do(&o->once, slow_function, o);
	T_CHECK_INT_EQ(o->value, 42);
	atomic_fetch_add(&o->passed, 1);
}

static void do_g(void *o)
{
	do_it(o);
}

static void *do_t(void *o)
{
	do_it(o);
	return NULL;
}

static void all_wait_body(void *arg)
{
	int threads = arg ? 3 : 0;
	pthread_t t[3];

	for (int round = 0; round < 50; round++) {
		struct once o = {.value = 0};

		for (int i = 0; i < threads; i++)
			must_thread(&t[i], do_t, &o);
		for (int i = 0; i < 20; i++)
			must_go(do_g, &o);
		for (int i = 0; i < threads; i++)
			must_join(t[i]);
		wait_all();
		T_CHECK_INT_EQ(atomic_load(&o.ran), 1);
		T_CHECK_INT_EQ(atomic_load(&o.passed), 20 + threads);
		do_it(&o);
		T_CHECK_INT_EQ(atomic_load(&o.ran), 1);
	}
}

static void once_runs_once_and_all_wait_for_its_end(void **state)
{
	(void)state;
	run_both(all_wait_body, NULL);
	run_both(all_wait_body, (void *)1);
}

static void exiting_function(void *arg)
{
	struct once *o = arg;

	atomic_fetch_add(&o->ran, 1);
	rg_yield();
	rg_exit();
}

static void do_exiting(void *arg)
{
	struct once *o = arg;

	rg_once_do(&o->once, exiting_function, o);
	atomic_fetch_add(&o->passed, 1);
}

static void exit_body(void *arg)
{
	struct once o = {.value = 0};

	(void)arg;
	for (int i = 0; i < 10; i++)
		must_go(do_exiting, &o);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&o.ran), 1);
	/* All but the one that exited came back. */
	T_CHECK_INT_EQ(atomic_load(&o.passed), 9);
	T_CHECK_INT_EQ(o.once.mutex_.state_, 0);
}

static void once_is_done_when_its_function_exits(void **state)
{
	(void)state;
	run_both(exit_body, NULL);
}

static void count_defer(void *arg)
{
	atomic_fetch_add(&((struct once *)arg)->passed, 1);
}

static void deferring_function(void *arg)
{
	rg_defer(count_defer, arg);
	rg_defer(count_defer, arg);
}

static void defer_g(void *arg)
{
	struct once *o = arg;

	rg_defer(count_defer, o);
	rg_once_do(&o->once, deferring_function, o);
	/* A defer belongs to the goroutine, not to the function. */
	T_CHECK_INT_EQ(atomic_load(&o->passed), 0);
}

static void defer_body(void *arg)
{
	struct once o = {.value = 0};
	int64_t live = alloc_live();

	(void)arg;
	must_go(defer_g, &o);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&o.passed), 3);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
}

static void once_keeps_defers_made_inside(void **state)
{
	(void)state;
	run_both(defer_body, NULL);
}

/* ---- once value: SEMANTICS 59 ---------------------------------------------- */

struct lazy {
	rg_once_value v;
	rg_waitgroup w;
	_Atomic int ran;
	int thing;
};

static void *makes_slowly(void *arg)
{
	struct lazy *l = arg;

	atomic_fetch_add(&l->ran, 1);
	for (int i = 0; i < 20; i++)
		rg_yield();
	return &l->thing;
}

static void asks(void *arg)
{
	struct lazy *l = arg;

	T_CHECK_PTR_EQ(rg_once_value_get(&l->v, makes_slowly, l), &l->thing);
}

static void same_value_body(void *arg)
{
	(void)arg;
	for (int round = 0; round < 50; round++) {
		struct lazy l = {.thing = 0};

		for (int i = 0; i < 8; i++)
			T_CHECK_INT_EQ(rg_waitgroup_go(&l.w, asks, &l), 0);
		asks(&l);
		rg_waitgroup_wait(&l.w);
		T_CHECK_INT_EQ(l.ran, 1);
	}
}

static void once_value_is_the_same_for_all(void **state)
{
	(void)state;
	run_both(same_value_body, NULL);
}

static void *exits(void *arg)
{
	(void)arg;
	rg_exit();
}

static void asks_who_exits(void *arg)
{
	struct lazy *l = arg;

	(void)rg_once_value_get(&l->v, exits, l);
	T_FAIL("rg_exit returned");
}

static void value_after_exit_body(void *arg)
{
	struct lazy l = {.thing = 0};

	(void)arg;
	T_CHECK_INT_EQ(rg_waitgroup_go(&l.w, asks_who_exits, &l), 0);
	rg_waitgroup_wait(&l.w);
	T_CHECK_PTR_EQ(rg_once_value_get(&l.v, makes_slowly, &l), NULL);
	T_CHECK_INT_EQ(l.ran, 0);
}

static void once_value_of_an_exited_function_is_null(void **state)
{
	(void)state;
	run_both(value_after_exit_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_runs_once_and_all_wait_for_its_end),
		cmocka_unit_test(once_is_done_when_its_function_exits),
		cmocka_unit_test(once_keeps_defers_made_inside),
		cmocka_unit_test(once_value_is_the_same_for_all),
		cmocka_unit_test(once_value_of_an_exited_function_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
