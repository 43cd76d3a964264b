// SPDX-License-Identifier: MIT
/*
 * test_group - groups: SEMANTICS 62, with errgroup's TestWithContext, TestZeroGroup,
 * TestGoLimit and TestCancelCause; what is bound to the goroutines; lack of memory.
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"

static rg_group *group_new(void)
{
	rg_group *g = rg_group_new(rg_ctx_background());

	T_CHECK(g != NULL);
	return g;
}

static void group_go(rg_group *g, int (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_group_go(g, fn, arg), 0);
}

/* ---- errors --------------------------------------------------------------------- */

static int returns_it(void *err)
{
	rg_yield();
	return (int)(intptr_t)err;
}

static void results_body(void *arg)
{
	static const int cases[][4] = {
		{0, 0, 0, 0},
		{0, 7, 0, 0}, /* at least 0 is success */
		{0, 0, -EIO, -EIO},
		{-EPIPE, 0, 0, -EPIPE},
	};

	(void)arg;
	T_CHECK_INT_EQ(rg_group_wait(group_new()), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rg_group *g = group_new();
		rg_ctx *ctx = rg_ctx_ref(rg_group_ctx(g));

		for (int j = 0; j < 3; j++)
			group_go(g, returns_it, (void *)(intptr_t)cases[i][j]);
		T_CHECK_INT_EQ(rg_group_wait(g), cases[i][3]);
		/* Its context ends at the latest now. */
		T_CHECK_INT_EQ(rg_ctx_err(ctx), -ECANCELED);
		T_CHECK_INT_EQ(rg_ctx_cause(ctx),
			       cases[i][3] ? cases[i][3] : -ECANCELED);
		rg_ctx_unref(ctx);
	}
}

static void group_wait_returns_the_error_and_ends_the_context(void **state)
{
	(void)state;
	run_both(results_body, NULL);
}

static int fails_second(void *arg)
{
	/* After the first error: the context has ended by it. */
	rg_chan_recv(rg_ctx_done(arg), NULL);
	return -ENOENT;
}

static void first_body(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	for (int i = 0; i < 10; i++)
		group_go(g, fails_second, rg_group_ctx(g));
	group_go(g, returns_it, (void *)(intptr_t)-EDOM);
	rg_chan_recv(rg_ctx_done(rg_group_ctx(g)), NULL);
	T_CHECK_INT_EQ(rg_ctx_cause(rg_group_ctx(g)), -EDOM);
	T_CHECK_INT_EQ(rg_group_wait(g), -EDOM);
}

static void group_first_error_wins_and_cancels(void **state)
{
	(void)state;
	run_both(first_body, NULL);
}

static int sleeps_long(void *arg)
{
	int err = rg_sleep(RG_HOUR);

	T_CHECK_PTR_EQ(rg_ctx_current(), rg_group_ctx(arg));
	return err;
}

static void bound_body(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	for (int i = 0; i < 5; i++)
		group_go(g, sleeps_long, g);
	group_go(g, returns_it, (void *)(intptr_t)-EDOM);
	T_CHECK_INT_EQ(rg_group_wait(g), -EDOM);
}

static void group_context_is_bound_to_its_goroutines(void **state)
{
	(void)state;
	run_both(bound_body, NULL);
}

static void parent_body(void *arg)
{
	rg_ctx *parent = rg_ctx_with_cancel(rg_ctx_background());
	rg_group *g = rg_group_new(parent);

	(void)arg;
	group_go(g, sleeps_long, g);
	rg_yield();
	rg_ctx_cancel(parent, -EXDEV);
	T_CHECK_INT_EQ(rg_ctx_cause(rg_group_ctx(g)), -EXDEV);
	T_CHECK_INT_EQ(rg_group_wait(g), -ECANCELED);
	rg_ctx_unref(parent);
}

static void group_ends_with_the_parent_context(void **state)
{
	(void)state;
	run_both(parent_body, NULL);
}

static int exits(void *arg)
{
	(void)arg;
	rg_yield();
	rg_exit();
}

static void exit_body(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	rg_group_set_limit(g, 2);
	for (int i = 0; i < 20; i++)
		group_go(g, exits, NULL);
	T_CHECK_INT_EQ(rg_group_wait(g), 0);
}

static void group_goroutine_may_exit(void **state)
{
	(void)state;
	run_both(exit_body, NULL);
}

/* ---- the limit ------------------------------------------------------------------ */

enum { LIMIT = 3, TASKS = 300 };

static _Atomic int active, ended;

static int counts(void *arg)
{
	T_CHECK_INT_LE(atomic_fetch_add(&active, 1) + 1, LIMIT);
	rg_yield();
	if (arg)
		rg_sleep(10 * RG_MICROSECOND);
	atomic_fetch_sub(&active, 1);
	atomic_fetch_add(&ended, 1);
	return 0;
}

static void limit_body(void *arg)
{
	rg_group *g = group_new();

	atomic_store(&ended, 0);
	rg_group_set_limit(g, LIMIT);
	for (int i = 0; i < TASKS; i++)
		group_go(g, counts, arg);
	T_CHECK_INT_EQ(rg_group_wait(g), 0);
	T_CHECK_INT_EQ(atomic_load(&ended), TASKS);
}

static void group_limit_is_kept(void **state)
{
	(void)state;
	run_both(limit_body, NULL);
	run_both(limit_body, (void *)1);
}

static void go_one(void *g)
{
	group_go(g, returns_it, (void *)(intptr_t)-EDOM);
	atomic_fetch_add(&ended, 1);
}

static void zero_body(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	atomic_store(&ended, 0);
	rg_group_set_limit(g, 0);
	must_go(go_one, g);
	for (int i = 0; i < 50; i++)
		rg_yield();
	T_CHECK_INT_EQ(atomic_load(&ended), 0);
	rg_group_set_limit(g, -1);
	WAIT_FOR(atomic_load(&ended) == 1);
	T_CHECK_INT_EQ(rg_group_wait(g), -EDOM);
	wait_all();
}

static void group_limit_of_0_lets_none_in_until_it_is_lifted(void **state)
{
	(void)state;
	run_both(zero_body, NULL);
}

static int waits_for_close(void *c)
{
	T_CHECK(!rg_chan_recv(c, NULL));
	return -EDOM;
}

static void try_body(void *arg)
{
	rg_group *g = group_new();
	rg_chan *c = rg_make(int, 0);

	(void)arg;
	rg_group_set_limit(g, 0);
	T_CHECK_INT_EQ(rg_group_try_go(g, waits_for_close, c), -EBUSY);
	rg_group_set_limit(g, 2);
	T_CHECK_INT_EQ(rg_group_try_go(g, waits_for_close, c), 0);
	group_go(g, waits_for_close, c);
	T_CHECK_INT_EQ(rg_group_try_go(g, waits_for_close, c), -EBUSY);
	T_CHECK_INT_EQ(rg_ctx_err(rg_group_ctx(g)), 0);
	rg_chan_close(c);
	/* Room again as soon as one has ended. */
	while (rg_group_try_go(g, returns_it, NULL) == -EBUSY)
		rg_yield();
	T_CHECK_INT_EQ(rg_group_wait(g), -EDOM);
	g = group_new();
	for (int i = 0; i < 100; i++)
		T_CHECK_INT_EQ(rg_group_try_go(g, returns_it, NULL), 0);
	T_CHECK_INT_EQ(rg_group_wait(g), 0);
	rg_chan_unref(c);
}

static void group_try_go_does_not_wait_for_room(void **state)
{
	(void)state;
	run_both(try_body, NULL);
}

static void changes_limit(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	rg_group_set_limit(g, 5);
	rg_group_set_limit(g, 2);
	group_go(g, sleeps_long, g);
	group_go(g, sleeps_long, g);
	rg_group_set_limit(g, 3);
}

static void nil_parent(void *arg)
{
	(void)arg;
	rg_group_new(NULL);
}

static void group_misuse_panics(void **state)
{
	(void)state;
	abort_both(changes_limit, "modify limit while 2 goroutines in the "
				  "group are still active");
	abort_both(nil_parent, "cannot create context from nil parent");
}

/* ---- foreign threads, memory --------------------------------------------------------- */

static void *from_thread(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	rg_group_set_limit(g, LIMIT);
	for (int i = 0; i < TASKS; i++)
		group_go(g, counts, NULL);
	group_go(g, returns_it, (void *)(intptr_t)-EDOM);
	T_CHECK_INT_EQ(rg_group_wait(g), -EDOM);
	return NULL;
}

static void thread_body(void *arg)
{
	pthread_t t;

	(void)arg;
	atomic_store(&ended, 0);
	must_thread(&t, from_thread, NULL);
	must_join(t);
	T_CHECK_INT_EQ(atomic_load(&ended), TASKS);
}

static void group_may_be_used_by_a_foreign_thread(void **state)
{
	(void)state;
	run_both(thread_body, NULL);
}

static void memory_body(void *arg)
{
	int64_t live = alloc_live();
	rg_group *g;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		alloc_fail_after(i);
		T_CHECK_PTR_EQ(rg_group_new(rg_ctx_background()), NULL);
	}
	alloc_fail_after(-1);
	g = group_new();
	rg_group_set_limit(g, 1);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_group_go(g, returns_it, NULL), -ENOMEM);
	alloc_fail_after(-1);
	/* It gave its place back. */
	group_go(g, returns_it, (void *)(intptr_t)-EDOM);
	T_CHECK_INT_EQ(rg_group_wait(g), -EDOM);
	t_wait_goroutines(1);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
}

static void group_lack_of_memory_is_reported_and_nothing_leaks(void **state)
{
	(void)state;
	run_both(memory_body, NULL);
}

static void without_runtime(void *arg)
{
	rg_group *g = group_new();

	(void)arg;
	T_CHECK_INT_EQ(rg_group_go(g, returns_it, NULL), -ESRCH);
	T_CHECK_INT_EQ(rg_group_wait(g), 0);
}

static void group_go_without_a_runtime_is_an_error(void **state)
{
	(void)state;
	without_runtime(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			group_wait_returns_the_error_and_ends_the_context),
		cmocka_unit_test(group_first_error_wins_and_cancels),
		cmocka_unit_test(group_context_is_bound_to_its_goroutines),
		cmocka_unit_test(group_ends_with_the_parent_context),
		cmocka_unit_test(group_goroutine_may_exit),
		cmocka_unit_test(group_limit_is_kept),
		cmocka_unit_test(
			group_limit_of_0_lets_none_in_until_it_is_lifted),
		cmocka_unit_test(group_try_go_does_not_wait_for_room),
		cmocka_unit_test(group_misuse_panics),
		cmocka_unit_test(group_may_be_used_by_a_foreign_thread),
		cmocka_unit_test(
			group_lack_of_memory_is_reported_and_nothing_leaks),
		cmocka_unit_test(group_go_without_a_runtime_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
