// SPDX-License-Identifier: MIT
/*
 * test_scope - blocks that are not left before their goroutines: I1 to I3 of
 * sync/scope.c. C++ programs are in scopecxx.sh.
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"
#include "sched/sched.h"

static _Atomic int ended;

static int ends(void *arg)
{
	rg_yield();
	rg_sleep(10 * RG_MICROSECOND);
	atomic_fetch_add(&ended, 1);
	return (int)(intptr_t)arg;
}

static int sleeps(void *arg)
{
	int err = rg_sleep(RG_HOUR);

	(void)arg;
	atomic_fetch_add(&ended, 1);
	return err;
}

static int exits(void *arg)
{
	(void)arg;
	atomic_fetch_add(&ended, 1);
	rg_exit();
}

static void go(rg_scope *s, int (*fn)(void *), intptr_t arg)
{
	T_CHECK_INT_EQ(rg_scope_go(s, fn, (void *)arg), 0);
}

/* ---- the end ------------------------------------------------------------------- */

static void end_body(void *arg)
{
	RG_SCOPE(s, 0);

	(void)arg;
	T_CHECK_INT_EQ(rg_scope_end(&s), 0); /* nothing was started */
	for (int round = 0; round < 3; round++) {
		atomic_store(&ended, 0);
		for (int i = 0; i < 50; i++)
			go(&s, i % 7 ? ends : exits, 0);
		T_CHECK_INT_EQ(rg_scope_end(&s), 0);
		T_CHECK_INT_EQ(atomic_load(&ended), 50);
	}
	go(&s, ends, -EDOM);
	T_CHECK_INT_EQ(rg_scope_end(&s), -EDOM);
	T_CHECK_INT_EQ(rg_scope_end(&s), -EDOM);
	/* Used again, it begins anew. */
	go(&s, ends, 5);
	T_CHECK_INT_EQ(rg_scope_end(&s), 0);
	T_CHECK(getg()->defers == NULL);
}

static void scope_end_waits_and_returns_the_first_error(void **state)
{
	(void)state;
	run_both(end_body, NULL);
}

static int early(int how)
{
	for (int i = 0; i < 2; i++) {
		RG_SCOPE(s, 0);

		go(&s, ends, 0);
		if (how == 0)
			return 0;
		if (how == 1)
			continue;
		if (how == 2)
			break;
		goto out;
	}
	return 1;
out:
	return 2;
}

static void early_body(void *arg)
{
	static const int want[] = {1, 2, 1, 1};

	(void)arg;
	for (int how = 0; how < 4; how++) {
		atomic_store(&ended, 0);
		early(how);
		T_CHECK_INT_EQ(atomic_load(&ended), want[how]);
		T_CHECK(getg()->defers == NULL);
	}
}

static void scope_left_early_waits_too(void **state)
{
	(void)state;
	run_both(early_body, NULL);
}

static void check_ended(void *arg)
{
	T_CHECK_INT_EQ(atomic_load(&ended), (int)(intptr_t)arg);
}

static void deeper(void)
{
	RG_SCOPE(inner, RG_SCOPE_CANCEL);

	go(&inner, sleeps, 0);
	rg_exit();
}

static void exit_in_scope(void *arg)
{
	RG_SCOPE(s, 0);

	(void)arg;
	rg_defer(check_ended, (void *)0); /* of before the scope's */
	getg()->defers->arg = (void *)3;
	go(&s, ends, 0);
	go(&s, ends, 0);
	deeper();
}

static void exit_body(void *arg)
{
	(void)arg;
	atomic_store(&ended, 0);
	must_go(exit_in_scope, NULL);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&ended), 3);
}

static void scope_left_by_exit_waits_too(void **state)
{
	(void)state;
	run_both(exit_body, NULL);
}

/* ---- cancelling ------------------------------------------------------------------ */

static void cancel_body(void *arg)
{
	(void)arg;
	atomic_store(&ended, 0);
	{
		RG_SCOPE(s, RG_SCOPE_CANCEL);

		for (int i = 0; i < 10; i++)
			go(&s, sleeps, 0);
		go(&s, ends, -EDOM);
		T_CHECK_INT_EQ(rg_scope_end(&s), -EDOM);
	}
	T_CHECK_INT_EQ(atomic_load(&ended), 11);
	{
		RG_SCOPE(s, RG_SCOPE_CANCEL);

		go(&s, sleeps, 0);
		go(&s, sleeps, 0);
		/* Left: what is under way is not wanted any more. */
	}
	T_CHECK_INT_EQ(atomic_load(&ended), 13);
}

static void scope_first_error_or_leaving_cancels_if_asked(void **state)
{
	(void)state;
	run_both(cancel_body, NULL);
}

static int sees_ctx(void *arg)
{
	T_CHECK((rg_ctx_current() == arg) == (arg != NULL));
	T_CHECK(rg_ctx_err(rg_ctx_current()) == 0);
	return 0;
}

static void ctx_body(void *arg)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());
	RG_SCOPE(plain, 0);
	RG_SCOPE(own, RG_SCOPE_CANCEL);

	(void)arg;
	T_CHECK(rg_ctx_bind(c) == NULL);
	go(&plain, sees_ctx, (intptr_t)c);
	go(&own, sees_ctx, 0);
	T_CHECK_INT_EQ(rg_scope_end(&plain), 0);
	T_CHECK_INT_EQ(rg_scope_end(&own), 0);
	/* The creator's end is theirs. */
	go(&own, sleeps, 0);
	go(&plain, sleeps, 0);
	rg_ctx_cancel(c, 0);
	T_CHECK_INT_EQ(rg_scope_end(&own), -ECANCELED);
	T_CHECK_INT_EQ(rg_scope_end(&plain), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(c);
}

static void scope_goroutines_get_the_creators_context_or_a_child(void **state)
{
	(void)state;
	run_both(ctx_body, NULL);
}

/* ---- its goroutines ----------------------------------------------------------------- */

struct tree {
	rg_scope *s;
	int depth;
};

static int grows(void *arg)
{
	const struct tree *t = arg;
	struct tree below = {t->s, t->depth - 1};
	RG_SCOPE(own, 0);

	atomic_fetch_add(&ended, 1);
	if (!t->depth)
		return 0;
	/* The owner's variables are there as long as it has not ended. */
	T_CHECK_INT_EQ(rg_scope_go(&own, grows, &below), 0);
	T_CHECK_INT_EQ(rg_scope_go(&own, grows, &below), 0);
	T_CHECK_INT_EQ(rg_scope_go(t->s, ends, NULL), 0);
	return rg_scope_end(&own);
}

static void tree_body(void *arg)
{
	RG_SCOPE(s, 0);
	struct tree top = {&s, 6};
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	atomic_store(&ended, 0);
	T_CHECK_INT_EQ(rg_scope_go(&s, grows, &top), 0);
	T_CHECK_INT_EQ(rg_scope_end(&s), 0);
	T_CHECK_INT_EQ(atomic_load(&ended), 127 + 63);
	t_wait_goroutines(1);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
}

static void scope_members_may_start_more_and_nest(void **state)
{
	(void)state;
	run_both(tree_body, NULL);
}

static void memory_body(void *arg)
{
	int64_t live = alloc_live();

	(void)arg;
	for (int64_t i = 0; i < 3; i++) {
		RG_SCOPE(s, RG_SCOPE_CANCEL);

		alloc_fail_after(i);
		T_CHECK_INT_EQ(rg_scope_go(&s, ends, NULL), -ENOMEM);
		alloc_fail_after(-1);
		T_CHECK_INT_EQ(rg_scope_end(&s), 0);
	}
	T_CHECK(getg()->defers == NULL);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
}

static void scope_lack_of_memory_is_reported(void **state)
{
	(void)state;
	run_both(memory_body, NULL);
}

static void *foreign(void *arg)
{
	RG_SCOPE(s, RG_SCOPE_CANCEL);

	(void)arg;
	for (int i = 0; i < 20; i++)
		go(&s, ends, 0);
	go(&s, sleeps, 0);
	go(&s, ends, -EDOM);
	T_CHECK_INT_EQ(rg_scope_end(&s), -EDOM);
	T_CHECK_INT_EQ(atomic_load(&ended), 22);
	return NULL;
}

static void foreign_body(void *arg)
{
	pthread_t t;

	(void)arg;
	atomic_store(&ended, 0);
	must_thread(&t, foreign, NULL);
	must_join(t);
	t_wait_goroutines(1);
}

static void scope_may_be_used_by_a_foreign_thread(void **state)
{
	(void)state;
	run_both(foreign_body, NULL);
}

static void scope_go_without_a_runtime_is_an_error(void **state)
{
	RG_SCOPE(s, RG_SCOPE_CANCEL);

	(void)state;
	assert_int_equal(rg_scope_go(&s, ends, NULL), -ESRCH);
	assert_int_equal(rg_scope_end(&s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scope_end_waits_and_returns_the_first_error),
		cmocka_unit_test(scope_left_early_waits_too),
		cmocka_unit_test(scope_left_by_exit_waits_too),
		cmocka_unit_test(scope_first_error_or_leaving_cancels_if_asked),
		cmocka_unit_test(
			scope_goroutines_get_the_creators_context_or_a_child),
		cmocka_unit_test(scope_members_may_start_more_and_nest),
		cmocka_unit_test(scope_lack_of_memory_is_reported),
		cmocka_unit_test(scope_may_be_used_by_a_foreign_thread),
		cmocka_unit_test(scope_go_without_a_runtime_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
