// SPDX-License-Identifier: MIT
/*
 * test_local - a goroutine's own variables: I1 and I2 of sched/local.c, the order at
 * the end of a goroutine, foreign threads.
 */
#include "tests/support/rgtest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "kernel-iface/alloc.h"
#include "sched/g.h"
#include "sched/sched.h"

enum { MANY = 300 };

/* Destructors come after what a wait group can wait for: the mutex orders them. */
static rg_mutex order_lock;
static char order[64];

static void append(void *text)
{
	rg_mutex_lock(&order_lock);
	strcat(order, text);
	rg_mutex_unlock(&order_lock);
}

static void say(const char *text)
{
	append((void *)(uintptr_t)text);
}

static void begin_order(void)
{
	rg_mutex_lock(&order_lock);
	order[0] = '\0';
	rg_mutex_unlock(&order_lock);
}

static void check_order(const char *want)
{
	rg_mutex_lock(&order_lock);
	T_CHECK_STR_EQ(order, want);
	rg_mutex_unlock(&order_lock);
}

static rg_waitgroup all;

static void must_go(void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_waitgroup_go(&all, fn, arg), 0);
}

static void wait_all(void)
{
	rg_waitgroup_wait(&all);
	t_wait_goroutines(1);
}

static void run_both(void (*fn)(void *arg))
{
	t_run_with(1, fn, NULL);
	t_run_with(2, fn, NULL);
}

/* ---- values --------------------------------------------------------------------- */

static const rg_local_key plain = RG_LOCAL_KEY(NULL);
static const rg_local_key keys[MANY];

static void has_its_own(void *arg)
{
	T_CHECK(rg_local_get(&plain) == NULL); /* not inherited */
	T_CHECK_INT_EQ(rg_local_set(&plain, arg), 0);
	for (int i = 0; i < 20; i++) {
		rg_yield();
		T_CHECK_PTR_EQ(rg_local_get(&plain), arg);
	}
	T_CHECK_INT_EQ(rg_local_set(&plain, NULL), 0);
	T_CHECK(rg_local_get(&plain) == NULL);
}

static void own_body(void *arg)
{
	static char place[50];

	(void)arg;
	T_CHECK_INT_EQ(rg_local_set(&plain, place), 0);
	for (int i = 0; i < 50; i++)
		must_go(has_its_own, &place[i]);
	wait_all();
	T_CHECK_PTR_EQ(rg_local_get(&plain), place);
}

static void local_values_are_each_goroutines_own_and_not_inherited(void **state)
{
	(void)state;
	run_both(own_body);
}

static void fills(void *arg)
{
	(void)arg;
	for (intptr_t i = 0; i < MANY; i++) {
		T_CHECK(rg_local_get(&keys[i]) == NULL);
		T_CHECK_INT_EQ(rg_local_set(&keys[i], (void *)(i + 1)), 0);
	}
	for (intptr_t i = 0; i < MANY; i += 3)
		T_CHECK_INT_EQ(rg_local_set(&keys[i], NULL), 0);
	for (intptr_t i = 0; i < MANY; i++)
		T_CHECK_INT_EQ((intptr_t)rg_local_get(&keys[i]),
			       i % 3 ? i + 1 : 0);
}

static void many_body(void *arg)
{
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	must_go(fills, NULL);
	wait_all();
	T_CHECK_INT_LE(alloc_live() - live, 3 * sched_nps());
}

static void local_keys_may_be_many(void **state)
{
	(void)state;
	run_both(many_body);
}

static void memory_body(void *arg)
{
	(void)arg;
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_local_set(&plain, order), -ENOMEM);
	T_CHECK_INT_EQ(rg_local_set(&plain, NULL), 0);
	alloc_fail_after(-1);
	for (intptr_t i = 0; i < 6; i++)
		T_CHECK_INT_EQ(rg_local_set(&keys[i], &order[i]), 0);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_local_set(&keys[6], order), -ENOMEM);
	alloc_fail_after(-1);
	for (intptr_t i = 0; i < 6; i++)
		T_CHECK_PTR_EQ(rg_local_get(&keys[i]), &order[i]);
	T_CHECK(rg_local_get(&keys[6]) == NULL);
}

static void local_lack_of_memory_changes_nothing(void **state)
{
	(void)state;
	run_both(memory_body);
}

static void get_nil(void *arg)
{
	(void)arg;
	rg_local_get(NULL);
}

static void set_nil(void *arg)
{
	(void)arg;
	rg_local_set(NULL, order);
}

static void local_nil_key_panics(void **state)
{
	(void)state;
	t_expect_abort(get_nil, NULL, "nil key");
	t_expect_abort(set_nil, NULL, "nil key");
}

/* ---- destructors ------------------------------------------------------------------ */

static const rg_local_key first = RG_LOCAL_KEY(append);
static const rg_local_key second = RG_LOCAL_KEY(append);

static void uses_first(void *arg)
{
	(void)arg;
	/* The defers come first: the value is there. */
	T_CHECK(rg_local_get(&first) != NULL);
	say("d");
}

static void ends(void *arg)
{
	T_CHECK_INT_EQ(rg_local_set(&first, (void *)(uintptr_t) "1"), 0);
	rg_defer(uses_first, NULL);
	rg_defer(append, (void *)(uintptr_t) "e");
	if (arg)
		rg_exit();
}

static void order_body(void *arg)
{
	(void)arg;
	for (intptr_t by_exit = 0; by_exit < 2; by_exit++) {
		begin_order();
		must_go(ends, (void *)by_exit);
		wait_all();
		check_order("ed1");
	}
}

static void local_destructors_run_after_the_defers(void **state)
{
	(void)state;
	run_both(order_body);
}

static void sets_again(void *text);
static const rg_local_key again = RG_LOCAL_KEY(sets_again);

/* Sets, defers, parks. */
static void sets_again(void *text)
{
	const char *left = text;

	say("s");
	T_CHECK(rg_local_get(&again) == NULL);
	if (*left) {
		T_CHECK_INT_EQ(rg_local_set(&again, (char *)text + 1), 0);
	} else {
		rg_defer(append, (void *)(uintptr_t) "D");
		T_CHECK_INT_EQ(rg_local_set(&second, (void *)(uintptr_t) "2"),
			       0);
	}
	T_CHECK_INT_EQ(rg_sleep(RG_MICROSECOND), 0);
}

static void begins_again(void *arg)
{
	T_CHECK_INT_EQ(rg_local_set(&again, arg), 0);
}

static void again_body(void *arg)
{
	(void)arg;
	begin_order();
	must_go(begins_again, (void *)(uintptr_t) "xxx");
	wait_all();
	check_order("ssss2D");
}

static void local_destructor_may_set_defer_and_park(void **state)
{
	(void)state;
	run_both(again_body);
}

static void exits(void *unused)
{
	(void)unused;
	say("x");
	rg_exit();
}

static const rg_local_key exiting[2] = {RG_LOCAL_KEY(exits),
					RG_LOCAL_KEY(exits)};

static void sets_two(void *arg)
{
	T_CHECK_INT_EQ(rg_local_set(&exiting[0], arg), 0);
	T_CHECK_INT_EQ(rg_local_set(&exiting[1], arg), 0);
}

static void exit_body(void *arg)
{
	(void)arg;
	begin_order();
	must_go(sets_two, order);
	wait_all();
	check_order("xx");
}

static void local_destructor_that_exits_skips_no_other(void **state)
{
	(void)state;
	run_both(exit_body);
}

static void replaced(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_local_set(&first, (void *)(uintptr_t) "no"), 0);
	T_CHECK_INT_EQ(rg_local_set(&first, NULL), 0);
	T_CHECK_INT_EQ(rg_local_set(&second, (void *)(uintptr_t) "no"), 0);
	T_CHECK_INT_EQ(rg_local_set(&second, (void *)(uintptr_t) "yes"), 0);
}

static void replaced_body(void *arg)
{
	(void)arg;
	begin_order();
	must_go(replaced, NULL);
	wait_all();
	check_order("yes");
}

static void local_destructor_sees_the_last_value_only(void **state)
{
	(void)state;
	run_both(replaced_body);
}

/* ---- foreign threads, the runtime's end ---------------------------------------------- */

static void *foreign(void *arg)
{
	T_CHECK(rg_local_get(&first) == NULL);
	T_CHECK_INT_EQ(rg_local_set(&first, arg), 0);
	T_CHECK_PTR_EQ(rg_local_get(&first), arg);
	return NULL;
}

static void local_works_on_foreign_threads_and_ends_with_them(void **state)
{
	int64_t live = alloc_live();
	pthread_t t;

	(void)state;
	for (int i = 0; i < 3; i++) {
		begin_order();
		assert_int_equal(pthread_create(&t, NULL, foreign,
						(void *)(uintptr_t) "t"),
				 0);
		pthread_join(t, NULL);
		check_order("t");
	}
	assert_int_equal(alloc_live(), live);
}

static void never_ends(void *arg)
{
	T_CHECK_INT_EQ(rg_local_set(&first, (void *)(uintptr_t) "no"), 0);
	rg_waitgroup_done(arg);
	rg_chan_recv(NULL, NULL);
}

static void abandon_body(void *arg)
{
	rg_waitgroup set = {0};

	(void)arg;
	rg_waitgroup_add(&set, 1);
	T_CHECK_INT_EQ(rg_go(never_ends, &set), 0);
	rg_waitgroup_wait(&set);
}

static void
local_of_an_abandoned_goroutine_is_freed_without_destructors(void **state)
{
	int64_t live;

	(void)state;
	t_run_with(2, abandon_body, NULL);
	live = alloc_live();
	begin_order();
	t_run_with(2, abandon_body, NULL);
	check_order("");
	assert_int_equal(alloc_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			local_values_are_each_goroutines_own_and_not_inherited),
		cmocka_unit_test(local_keys_may_be_many),
		cmocka_unit_test(local_lack_of_memory_changes_nothing),
		cmocka_unit_test(local_nil_key_panics),
		cmocka_unit_test(local_destructors_run_after_the_defers),
		cmocka_unit_test(local_destructor_may_set_defer_and_park),
		cmocka_unit_test(local_destructor_that_exits_skips_no_other),
		cmocka_unit_test(local_destructor_sees_the_last_value_only),
		cmocka_unit_test(
			local_works_on_foreign_threads_and_ends_with_them),
		cmocka_unit_test(
			local_of_an_abandoned_goroutine_is_freed_without_destructors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
