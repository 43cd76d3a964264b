// SPDX-License-Identifier: MIT
/*
 * test_ctx - contexts: SEMANTICS 66 to 72, 74 and 77; I1 to I4 of sync/ctx.c.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

#include "kernel-iface/alloc.h"
#include "sched/cancel.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "sync/ctx.h"

static rg_ctx *bg(void)
{
	return rg_ctx_background();
}

static rg_ctx *child_of(rg_ctx *parent)
{
	rg_ctx *c = rg_ctx_with_cancel(parent);

	T_CHECK(c != NULL);
	return c;
}

static bool is_done(rg_ctx *c)
{
	return rg_chan_try_recv(rg_ctx_done(c), NULL) == 0;
}

static void check_ended(rg_ctx *c, int err, int cause)
{
	T_CHECK_INT_EQ(rg_ctx_err(c), err);
	T_CHECK_INT_EQ(rg_ctx_cause(c), cause);
	T_CHECK(is_done(c));
	T_CHECK_INT_EQ(cancel_token_err(ctx_token(c)), err);
}

static void check_alive(rg_ctx *c)
{
	T_CHECK_INT_EQ(rg_ctx_err(c), 0);
	T_CHECK_INT_EQ(rg_ctx_cause(c), 0);
	T_CHECK_INT_EQ(rg_chan_try_recv(rg_ctx_done(c), NULL), -EAGAIN);
	T_CHECK_INT_EQ(cancel_token_err(ctx_token(c)), 0);
}

/* ---- background, misuse ------------------------------------------------------- */

static void background_body(void *arg)
{
	(void)arg;
	T_CHECK(rg_ctx_done(bg()) == NULL);
	T_CHECK_INT_EQ(rg_ctx_err(bg()), 0);
	T_CHECK_INT_EQ(rg_ctx_cause(bg()), 0);
	T_CHECK_INT_EQ(rg_ctx_deadline(bg()), RG_FOREVER);
	T_CHECK_PTR_EQ(rg_ctx_ref(bg()), bg());
	rg_ctx_unref(bg());
	rg_ctx_unref(bg());
	rg_ctx_unref(NULL);
	T_CHECK_PTR_EQ(rg_ctx_current(), bg());
}

static void ctx_background_never_ends(void **state)
{
	(void)state;
	run_both(background_body, NULL);
}

static void nil_parent(void *arg)
{
	(void)arg;
	rg_ctx_with_cancel(NULL);
}

static void nil_parent_deadline(void *arg)
{
	(void)arg;
	rg_ctx_with_timeout(NULL, 1);
}

static void cancel_background(void *arg)
{
	(void)arg;
	rg_ctx_cancel(bg(), 0);
}

static void cancel_nil(void *arg)
{
	(void)arg;
	rg_ctx_cancel(NULL, 0);
}

static void positive_reason(void *arg)
{
	(void)arg;
	rg_ctx_cancel(child_of(bg()), 5);
}

static void close_done(void *arg)
{
	(void)arg;
	rg_chan_close(rg_ctx_done(child_of(bg())));
}

static void *bind_t(void *arg)
{
	(void)arg;
	rg_ctx_bind(NULL);
	return NULL;
}

static void bind_foreign(void *arg)
{
	pthread_t t;

	(void)arg;
	must_thread(&t, bind_t, NULL);
	must_join(t);
}

static void ctx_misuse_panics(void **state)
{
	(void)state;
	abort_both(nil_parent, "nil parent");
	abort_both(nil_parent_deadline, "nil parent");
	abort_both(cancel_background, "background context");
	abort_both(cancel_nil, "nil context");
	abort_both(positive_reason, "no negative errno");
	abort_both(close_done, "receive-only channel");
	abort_both(bind_foreign, "runs no goroutine");
}

/* ---- cancel ---------------------------------------------------------------------- */

static void cancel_body(void *arg)
{
	rg_ctx *c = child_of(bg());

	(void)arg;
	check_alive(c);
	T_CHECK(rg_ctx_done(c) == rg_ctx_done(c));
	rg_ctx_cancel(c, 0);
	check_ended(c, -ECANCELED, -ECANCELED);
	rg_ctx_cancel(c, -EPIPE);
	check_ended(c, -ECANCELED, -ECANCELED);
	rg_ctx_unref(c);
	/* The first reason stays, and goes down. */
	c = child_of(bg());
	rg_ctx *d = child_of(c);
	rg_ctx_cancel(c, -EPIPE);
	rg_ctx_cancel(c, -EIO);
	rg_ctx_cancel(d, -EIO);
	check_ended(c, -ECANCELED, -EPIPE);
	check_ended(d, -ECANCELED, -EPIPE);
	rg_ctx_unref(c);
	check_ended(d, -ECANCELED, -EPIPE);
	rg_ctx_unref(d);
}

static void ctx_cancel_is_idempotent_and_keeps_first_cause(void **state)
{
	(void)state;
	run_both(cancel_body, NULL);
}

enum { TREE = 364 }; /* 1 + 3 + 9 + ... of depth 6 */

/* Node i's parent is (i - 1) / 3. */
static void make_tree(rg_ctx **node)
{
	for (int i = 0; i < TREE; i++)
		node[i] = child_of(i ? node[(i - 1) / 3] : bg());
}

static bool is_below(int i, int top)
{
	while (i > top)
		i = (i - 1) / 3;
	return i == top;
}

static void tree_body(void *arg)
{
	rg_ctx *node[TREE];

	(void)arg;
	make_tree(node);
	rg_ctx_cancel(node[2], -EIO);
	for (int i = 0; i < TREE; i++) {
		if (is_below(i, 2))
			check_ended(node[i], -ECANCELED, -EIO);
		else
			check_alive(node[i]);
	}
	rg_ctx_cancel(node[0], 0);
	for (int i = 0; i < TREE; i++)
		check_ended(node[i], -ECANCELED,
			    is_below(i, 2) ? -EIO : -ECANCELED);
	/* Parents first: children keep them. */
	for (int i = 0; i < TREE; i++)
		rg_ctx_unref(node[i]);
}

static void ctx_cancel_ends_all_below_and_nothing_else(void **state)
{
	(void)state;
	run_both(tree_body, NULL);
}

static void deep_body(void *arg)
{
	int64_t live = alloc_live();
	rg_ctx *c = child_of(bg()), *top = rg_ctx_ref(c);

	(void)arg;
	/* Neither ending nor freeing may recurse. */
	for (int i = 0; i < 50000; i++) {
		rg_ctx *d = child_of(c);

		rg_ctx_unref(c);
		c = d;
	}
	rg_ctx_cancel(top, 0);
	check_ended(c, -ECANCELED, -ECANCELED);
	rg_ctx_unref(top);
	rg_ctx_unref(c);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
}

static void ctx_deep_chain_needs_no_stack(void **state)
{
	(void)state;
	run_both(deep_body, NULL);
}

static void born_ended_body(void *arg)
{
	rg_ctx *c = child_of(bg()), *d, *e;

	(void)arg;
	rg_ctx_cancel(c, -EIO);
	d = child_of(c);
	check_ended(d, -ECANCELED, -EIO);
	e = rg_ctx_with_timeout(d, RG_HOUR);
	T_CHECK(e != NULL);
	check_ended(e, -ECANCELED, -EIO);
	T_CHECK_INT_EQ(timer_count(), 0);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	rg_ctx_unref(e);
}

static void ctx_child_of_ended_parent_is_ended(void **state)
{
	(void)state;
	run_both(born_ended_body, NULL);
}

static void leak_body(void *arg)
{
	rg_ctx *parent = child_of(bg());
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	for (int i = 0; i < 1000; i++) {
		rg_ctx *c = i % 2 ? child_of(parent)
				  : rg_ctx_with_timeout(parent, RG_HOUR);

		/* Ended or just dropped: the parent keeps nothing. */
		if (i % 3)
			rg_ctx_cancel(c, 0);
		rg_ctx_unref(c);
	}
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	T_CHECK_INT_EQ(timer_count(), 0);
	check_alive(parent);
	for (int64_t i = 0; i < 1; i++) {
		alloc_fail_after(i);
		T_CHECK(rg_ctx_with_timeout(parent, RG_HOUR) == NULL);
	}
	alloc_fail_after(-1);
	rg_ctx_unref(parent);
}

static void ctx_child_that_ends_leaves_the_parent(void **state)
{
	(void)state;
	run_both(leak_body, NULL);
}

/* ---- deadlines -------------------------------------------------------------------- */

static void deadline_body(void *arg)
{
	rg_time start = rg_now();
	rg_ctx *c = rg_ctx_with_timeout(bg(), 2 * RG_MILLISECOND);
	rg_ctx *d, *e;

	(void)arg;
	T_CHECK(c != NULL);
	d = child_of(c);
	/* Later than its parent's: the parent's counts. */
	e = rg_ctx_with_deadline(d, start + RG_HOUR);
	T_CHECK(e != NULL);
	T_CHECK_INT_EQ(rg_ctx_deadline(e), rg_ctx_deadline(c));
	T_CHECK_INT_EQ(timer_count(), 1);
	T_CHECK(!rg_chan_recv(rg_ctx_done(e), NULL));
	T_CHECK_INT_GE(rg_now() - start, 2 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_ctx_err(e), -ETIMEDOUT);
	WAIT_FOR(cancel_token_err(ctx_token(e)));
	check_ended(c, -ETIMEDOUT, -ETIMEDOUT);
	check_ended(d, -ETIMEDOUT, -ETIMEDOUT);
	check_ended(e, -ETIMEDOUT, -ETIMEDOUT);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	rg_ctx_unref(e);
	/* An earlier one of its own. */
	c = rg_ctx_with_timeout(bg(), RG_HOUR);
	d = rg_ctx_with_timeout(c, RG_MILLISECOND);
	T_CHECK(c && d);
	T_CHECK(!rg_chan_recv(rg_ctx_done(d), NULL));
	T_CHECK_INT_EQ(rg_ctx_err(d), -ETIMEDOUT);
	check_alive(c);
	rg_ctx_unref(d);
	rg_ctx_unref(c);
	T_CHECK_INT_EQ(timer_count(), 0);
}

static void ctx_deadline_ends_it_and_all_below(void **state)
{
	(void)state;
	run_both(deadline_body, NULL);
}

static void past_body(void *arg)
{
	rg_ctx *c = rg_ctx_with_deadline(bg(), rg_now() - 1);
	rg_ctx *d = rg_ctx_with_timeout(bg(), 0);
	rg_ctx *e = rg_ctx_with_timeout(bg(), RG_FOREVER);

	(void)arg;
	check_ended(c, -ETIMEDOUT, -ETIMEDOUT);
	check_ended(d, -ETIMEDOUT, -ETIMEDOUT);
	check_alive(e);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	rg_ctx_unref(e);
}

static void ctx_deadline_in_the_past_ends_it_at_once(void **state)
{
	(void)state;
	run_both(past_body, NULL);
}

static void before_timeout_body(void *arg)
{
	rg_ctx *c = rg_ctx_with_timeout(bg(), RG_HOUR);
	rg_ctx *d = rg_ctx_with_timeout(c, RG_MINUTE);

	(void)arg;
	T_CHECK(c && d);
	T_CHECK_INT_EQ(timer_count(), 2);
	rg_ctx_cancel(c, 0);
	check_ended(c, -ECANCELED, -ECANCELED);
	check_ended(d, -ECANCELED, -ECANCELED);
	T_CHECK_INT_EQ(timer_count(), 0);
	rg_ctx_unref(d);
	rg_ctx_unref(c);
}

static void ctx_cancel_before_timeout_is_canceled_and_stops_timers(void **state)
{
	(void)state;
	run_both(before_timeout_body, NULL);
}

/* ---- waiting for it ------------------------------------------------------------------ */

static _Atomic int woken;

static void wait_done(void *arg)
{
	rg_ctx *c = arg;

	T_CHECK(!rg_chan_recv(rg_ctx_done(c), NULL));
	/* The error is there before done is. */
	T_CHECK_INT_EQ(rg_ctx_err(c), -ECANCELED);
	atomic_fetch_add(&woken, 1);
	rg_ctx_unref(c);
}

static void select_done(void *arg)
{
	rg_ctx *c = arg;
	rg_case cases[] = {RG_RECV(rg_ctx_done(bg()), NULL),
			   RG_RECV(rg_ctx_done(c), NULL)};

	T_CHECK_INT_EQ(rg_select(cases, 2), 1);
	T_CHECK_INT_EQ(rg_ctx_err(c), -ECANCELED);
	atomic_fetch_add(&woken, 1);
	rg_ctx_unref(c);
}

static void *wait_done_t(void *c)
{
	wait_done(c);
	return NULL;
}

static void waiters_body(void *arg)
{
	rg_ctx *top = child_of(bg()), *c = child_of(top);
	pthread_t t;

	(void)arg;
	atomic_store(&woken, 0);
	for (int i = 0; i < 10; i++) {
		must_go(wait_done, rg_ctx_ref(c));
		must_go(select_done, rg_ctx_ref(c));
	}
	must_thread(&t, wait_done_t, rg_ctx_ref(c));
	WAIT_FOR(receivers(rg_ctx_done(c)) == 21);
	rg_ctx_cancel(top, 0);
	must_join(t);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&woken), 21);
	rg_ctx_unref(c);
	rg_ctx_unref(top);
}

static void ctx_done_wakes_all_who_wait(void **state)
{
	(void)state;
	run_both(waiters_body, NULL);
}

/* ---- binding -------------------------------------------------------------------------- */

static void inherits(void *arg)
{
	rg_ctx *c = arg;

	T_CHECK_PTR_EQ(rg_ctx_current(), c);
	T_CHECK_PTR_EQ(getg()->token, ctx_token(c));
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ECANCELED);
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ECANCELED);
	atomic_fetch_add(&woken, 1);
	T_CHECK_PTR_EQ(rg_ctx_bind(NULL), c);
	T_CHECK_PTR_EQ(rg_ctx_current(), bg());
	T_CHECK_INT_EQ(rg_sleep(1), 0);
	rg_ctx_unref(c);
}

static void given(void *arg)
{
	T_CHECK_PTR_EQ(rg_ctx_current(), arg);
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ECANCELED);
	atomic_fetch_add(&woken, 1);
}

static bool sleeps(struct g *gp, void *arg)
{
	*(int *)arg +=
		g_state(gp) == G_WAITING && gp->wait_reason == WAIT_SLEEP;
	return true;
}

static int sleeping(void)
{
	int n = 0;

	sched_each_g(sleeps, &n);
	return n;
}

static void bind_body(void *arg)
{
	rg_ctx *c = child_of(bg()), *d = child_of(c);
	rg_go_options with_d = {.ctx = d};
	int64_t live = alloc_live();

	(void)arg;
	atomic_store(&woken, 0);
	T_CHECK(rg_ctx_bind(c) == NULL);
	T_CHECK_PTR_EQ(rg_ctx_current(), c);
	must_go(inherits, c);
	must_go(inherits, c);
	T_CHECK_INT_EQ(rg_go_with(&with_d, given, d), 0);
	T_CHECK_PTR_EQ(rg_ctx_bind(d), c);
	T_CHECK_PTR_EQ(rg_ctx_current(), d);
	rg_ctx_unref(c); /* the bound one's */
	T_CHECK_PTR_EQ(rg_ctx_bind(NULL), d);
	rg_ctx_unref(d);
	WAIT_FOR(sleeping() == 3);
	rg_ctx_cancel(c, 0);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&woken), 3);
	rg_ctx_unref(d);
	rg_ctx_unref(c);
	T_CHECK_INT_LT(alloc_live() - live, LIVE_SLACK);
}

static void ctx_bound_is_inherited_and_ends_sleeps(void **state)
{
	(void)state;
	run_both(bind_body, NULL);
}

static void *current_t(void *arg)
{
	T_CHECK_PTR_EQ(rg_ctx_current(), bg());
	/* Contexts themselves are for any thread. */
	rg_ctx_cancel(arg, -EIO);
	return NULL;
}

static void foreign_body(void *arg)
{
	rg_ctx *c = child_of(bg());
	pthread_t t;

	(void)arg;
	must_thread(&t, current_t, c);
	T_CHECK(!rg_chan_recv(rg_ctx_done(c), NULL));
	T_CHECK_INT_EQ(rg_ctx_cause(c), -EIO);
	must_join(t);
	rg_ctx_unref(c);
}

static void ctx_may_be_cancelled_by_a_foreign_thread(void **state)
{
	(void)state;
	run_both(foreign_body, NULL);
}

/* ---- storms ------------------------------------------------------------------------------ */

struct storm {
	rg_ctx *top;
	_Atomic int ended;
};

/* Grow branches below a context that others end; with deadlines that fire meanwhile. */
static void grow(struct storm *s, int n)
{
	for (int i = 0; i < n; i++) {
		rg_ctx *a = child_of(s->top);
		rg_ctx *b =
			rg_ctx_with_timeout(a, (i % 5) * 20 * RG_MICROSECOND);
		rg_ctx *c = child_of(b);
		rg_ctx *d =
			rg_ctx_with_timeout(c, (i % 3) * 30 * RG_MICROSECOND);

		T_CHECK(b && d);
		if (i % 4 == 0)
			rg_ctx_cancel(b, 0);
		if (i % 8 == 1)
			rg_ctx_unref(rg_ctx_ref(a));
		if (i % 2) {
			T_CHECK(!rg_chan_recv(rg_ctx_done(d), NULL));
			T_CHECK_INT_NE(rg_ctx_err(d), 0);
			atomic_fetch_add(&s->ended, 1);
		}
		rg_ctx_unref(b);
		rg_ctx_unref(d);
		rg_ctx_unref(a);
		rg_ctx_unref(c);
	}
}

static void grow_g(void *arg)
{
	grow(arg, 300);
}

static void *grow_t(void *arg)
{
	grow(arg, 300);
	return NULL;
}

static void cancel_top(void *arg)
{
	struct storm *s = arg;

	WAIT_FOR(atomic_load(&s->ended) > 100);
	rg_ctx_cancel(s->top, -EPIPE);
}

static void storm_body(void *arg)
{
	int64_t live;
	pthread_t t;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	for (int round = 0; round < 4; round++) {
		struct storm s = {child_of(bg()), 0};

		must_thread(&t, grow_t, &s);
		for (int i = 0; i < 10; i++)
			must_go(grow_g, &s);
		must_go(cancel_top, &s);
		must_join(t);
		wait_all();
		check_ended(s.top, -ECANCELED, -EPIPE);
		rg_ctx_unref(s.top);
		T_CHECK_INT_EQ(timer_count(), 0);
	}
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
}

static void ctx_storm_ends_everything_once(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

/* When cancel returns, all below have ended, also for one who came second. */
static void cancel_and_look(void *arg)
{
	rg_ctx **node = arg;

	rg_ctx_cancel(node[0], 0);
	for (int i = 0; i < TREE; i++)
		T_CHECK(rg_ctx_err(node[i]) && is_done(node[i]));
}

static void *cancel_and_look_t(void *arg)
{
	cancel_and_look(arg);
	return NULL;
}

static void simultaneous_body(void *arg)
{
	rg_ctx *node[TREE];
	pthread_t t;

	(void)arg;
	for (int round = 0; round < 50; round++) {
		make_tree(node);
		must_thread(&t, cancel_and_look_t, node);
		for (int i = 0; i < 4; i++)
			must_go(cancel_and_look, node);
		cancel_and_look(node);
		must_join(t);
		wait_all();
		for (int i = 0; i < TREE; i++)
			rg_ctx_unref(node[i]);
	}
}

static void ctx_simultaneous_cancels_all_return_after_the_end(void **state)
{
	(void)state;
	run_both(simultaneous_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ctx_background_never_ends),
		cmocka_unit_test(ctx_misuse_panics),
		cmocka_unit_test(
			ctx_cancel_is_idempotent_and_keeps_first_cause),
		cmocka_unit_test(ctx_cancel_ends_all_below_and_nothing_else),
		cmocka_unit_test(ctx_deep_chain_needs_no_stack),
		cmocka_unit_test(ctx_child_of_ended_parent_is_ended),
		cmocka_unit_test(ctx_child_that_ends_leaves_the_parent),
		cmocka_unit_test(ctx_deadline_ends_it_and_all_below),
		cmocka_unit_test(ctx_deadline_in_the_past_ends_it_at_once),
		cmocka_unit_test(
			ctx_cancel_before_timeout_is_canceled_and_stops_timers),
		cmocka_unit_test(ctx_done_wakes_all_who_wait),
		cmocka_unit_test(ctx_bound_is_inherited_and_ends_sleeps),
		cmocka_unit_test(ctx_may_be_cancelled_by_a_foreign_thread),
		cmocka_unit_test(ctx_storm_ends_everything_once),
		cmocka_unit_test(
			ctx_simultaneous_cancels_all_return_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
