// SPDX-License-Identifier: MIT
/*
 * test_ctxvalue - what contexts carry and tell: SEMANTICS 66 (names), 71 (the deadline
 * is reported), 73, 74 (causes of expiry), 75, 77.
 */
#include "tests/sync/synctest.h"

#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "sched/sched.h"
#include "sync/ctx.h"

static const char key_a, key_b, key_c;
static int one, two, three;

static rg_ctx *bg(void)
{
	return rg_ctx_background();
}

static rg_ctx *must(rg_ctx *c)
{
	T_CHECK(c != NULL);
	return c;
}

/* Both references: the child keeps its parent. */
static rg_ctx *below(rg_ctx *parent, rg_ctx *child)
{
	must(child);
	rg_ctx_unref(parent);
	return child;
}

/* ---- values ------------------------------------------------------------------ */

static void nearest_body(void *arg)
{
	rg_ctx *c = must(rg_ctx_with_value(bg(), &key_a, &one)), *d, *e;

	(void)arg;
	T_CHECK(rg_ctx_value(bg(), &key_a) == NULL);
	T_CHECK(rg_ctx_value(rg_ctx_todo(), &key_a) == NULL);
	T_CHECK_PTR_EQ(rg_ctx_value(c, &key_a), &one);
	T_CHECK(rg_ctx_value(c, &key_b) == NULL);
	d = must(rg_ctx_with_timeout(c, RG_HOUR));
	T_CHECK_PTR_EQ(rg_ctx_value(d, &key_a), &one);
	e = must(rg_ctx_with_value(d, &key_b, &two));
	e = below(e, rg_ctx_with_value(e, &key_a, &three));
	T_CHECK_PTR_EQ(rg_ctx_value(e, &key_a), &three);
	T_CHECK_PTR_EQ(rg_ctx_value(e, &key_b), &two);
	T_CHECK_PTR_EQ(rg_ctx_value(d, &key_a), &one);
	/* A NULL hides what is further up. */
	e = below(e, rg_ctx_with_value(e, &key_b, NULL));
	T_CHECK(rg_ctx_value(e, &key_b) == NULL);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	T_CHECK_PTR_EQ(rg_ctx_value(e, &key_a), &three);
	rg_ctx_unref(e);
}

static void ctx_value_of_the_nearest_wins(void **state)
{
	(void)state;
	run_both(nearest_body, NULL);
}

static void identity_body(void *arg)
{
	char same[2][8] = {"key", "key"};
	rg_ctx *c = must(rg_ctx_with_value(bg(), same[0], &one));

	(void)arg;
	T_CHECK_PTR_EQ(rg_ctx_value(c, same[0]), &one);
	T_CHECK(rg_ctx_value(c, same[1]) == NULL);
	rg_ctx_unref(c);
}

static void ctx_value_keys_are_compared_as_pointers(void **state)
{
	(void)state;
	run_both(identity_body, NULL);
}

static void tree_body(void *arg)
{
	rg_ctx *top = must(rg_ctx_with_cancel(bg()));
	rg_ctx *v = must(rg_ctx_with_value(top, &key_a, &one));
	rg_ctx *leaf = must(rg_ctx_with_cancel(v));

	(void)arg;
	rg_ctx_cancel(top, -EIO);
	T_CHECK_INT_EQ(rg_ctx_err(v), -ECANCELED);
	T_CHECK_INT_EQ(rg_ctx_cause(leaf), -EIO);
	/* Values outlive the end. */
	T_CHECK_PTR_EQ(rg_ctx_value(leaf, &key_a), &one);
	rg_ctx_unref(leaf);
	rg_ctx_unref(v);
	rg_ctx_unref(top);
}

static void ctx_with_value_ends_with_its_parent(void **state)
{
	(void)state;
	run_both(tree_body, NULL);
}

static void nil_key(void *arg)
{
	(void)arg;
	rg_ctx_with_value(bg(), NULL, &one);
}

static void nil_parent(void *arg)
{
	(void)arg;
	rg_ctx_with_value(NULL, &key_a, &one);
}

static void nil_parent_without(void *arg)
{
	(void)arg;
	rg_ctx_without_cancel(NULL);
}

static void nil_value(void *arg)
{
	(void)arg;
	rg_ctx_value(NULL, &key_a);
}

static void cancel_todo(void *arg)
{
	(void)arg;
	rg_ctx_cancel(rg_ctx_todo(), 0);
}

static void positive_cause(void *arg)
{
	(void)arg;
	rg_ctx_with_timeout_cause(bg(), RG_HOUR, EIO);
}

static void ctx_value_misuse_panics(void **state)
{
	(void)state;
	abort_both(nil_key, "nil key");
	abort_both(nil_parent, "nil parent");
	abort_both(nil_parent_without, "nil parent");
	abort_both(nil_value, "nil context");
	abort_both(cancel_todo, "todo context");
	abort_both(positive_cause, "no negative errno");
}

/* ---- without_cancel ------------------------------------------------------------- */

static void without_body(void *arg)
{
	rg_ctx *top = must(rg_ctx_with_timeout(bg(), RG_HOUR));
	rg_ctx *v = must(rg_ctx_with_value(top, &key_a, &one));
	rg_ctx *c = must(rg_ctx_without_cancel(v)), *d, *e;

	(void)arg;
	d = must(rg_ctx_with_value(c, &key_b, &two));
	T_CHECK_INT_EQ(rg_ctx_deadline(c), RG_FOREVER);
	rg_ctx_cancel(top, -EIO);
	T_CHECK_INT_EQ(rg_ctx_err(v), -ECANCELED);
	T_CHECK_INT_EQ(rg_ctx_err(c), 0);
	T_CHECK_INT_EQ(rg_ctx_err(d), 0);
	T_CHECK_INT_EQ(rg_chan_try_recv(rg_ctx_done(d), NULL), -EAGAIN);
	/* Also below what has ended already. */
	e = must(rg_ctx_without_cancel(v));
	T_CHECK_INT_EQ(rg_ctx_err(e), 0);
	T_CHECK_PTR_EQ(rg_ctx_value(e, &key_a), &one);
	rg_ctx_unref(top);
	rg_ctx_unref(v);
	T_CHECK_PTR_EQ(rg_ctx_value(d, &key_a), &one);
	/* It can end by itself. */
	rg_ctx_cancel(c, -EPIPE);
	T_CHECK_INT_EQ(rg_ctx_cause(d), -EPIPE);
	T_CHECK_INT_EQ(rg_ctx_err(e), 0);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	rg_ctx_unref(e);
}

static void ctx_without_cancel_keeps_values_only(void **state)
{
	(void)state;
	run_both(without_body, NULL);
}

/* ---- deadlines --------------------------------------------------------------------- */

static void earlier_body(void *arg)
{
	rg_time t = rg_now() + RG_HOUR;
	rg_ctx *c = must(rg_ctx_with_deadline(bg(), t)), *d;

	(void)arg;
	T_CHECK_INT_EQ(rg_ctx_deadline(bg()), RG_FOREVER);
	T_CHECK_INT_EQ(rg_ctx_deadline(c), t);
	d = must(rg_ctx_with_deadline(c, t - 1));
	T_CHECK_INT_EQ(rg_ctx_deadline(d), t - 1);
	rg_ctx_unref(d);
	d = must(rg_ctx_with_deadline(c, t + 1));
	T_CHECK_INT_EQ(rg_ctx_deadline(d), t);
	rg_ctx_unref(d);
	d = must(rg_ctx_with_value(c, &key_a, &one));
	T_CHECK_INT_EQ(rg_ctx_deadline(d), t);
	rg_ctx_unref(d);
	rg_ctx_unref(c);
	c = must(rg_ctx_with_cancel(bg()));
	T_CHECK_INT_EQ(rg_ctx_deadline(c), RG_FOREVER);
	rg_ctx_unref(c);
}

static void ctx_deadline_reports_the_earlier_one(void **state)
{
	(void)state;
	run_both(earlier_body, NULL);
}

static void cause_body(void *arg)
{
	rg_ctx *c = must(rg_ctx_with_timeout_cause(bg(), RG_MILLISECOND, -EIO));
	rg_ctx *d = must(rg_ctx_with_cancel(c)), *e;

	(void)arg;
	T_CHECK(!rg_chan_recv(rg_ctx_done(d), NULL));
	T_CHECK_INT_EQ(rg_ctx_err(d), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_ctx_cause(d), -EIO);
	T_CHECK_INT_EQ(rg_ctx_cause(c), -EIO);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	/* In the past: at once. */
	c = must(rg_ctx_with_deadline_cause(bg(), rg_now() - 1, -EPIPE));
	T_CHECK_INT_EQ(rg_ctx_err(c), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_ctx_cause(c), -EPIPE);
	rg_ctx_unref(c);
	/* The parent's time comes first: its cause, too. */
	c = must(rg_ctx_with_timeout_cause(bg(), RG_MILLISECOND, -EDOM));
	d = must(rg_ctx_with_timeout_cause(c, RG_HOUR, -EIO));
	T_CHECK(!rg_chan_recv(rg_ctx_done(d), NULL));
	T_CHECK_INT_EQ(rg_ctx_cause(d), -EDOM);
	rg_ctx_unref(d);
	rg_ctx_unref(c);
	/* An explicit cancel before it has its own reason; 0 is the usual one. */
	c = must(rg_ctx_with_timeout_cause(bg(), RG_HOUR, -EIO));
	rg_ctx_cancel(c, 0);
	T_CHECK_INT_EQ(rg_ctx_err(c), -ECANCELED);
	T_CHECK_INT_EQ(rg_ctx_cause(c), -ECANCELED);
	rg_ctx_unref(c);
	e = must(rg_ctx_with_timeout_cause(bg(), 0, 0));
	T_CHECK_INT_EQ(rg_ctx_cause(e), -ETIMEDOUT);
	rg_ctx_unref(e);
}

static void ctx_deadline_cause_is_given_on_expiry(void **state)
{
	(void)state;
	run_both(cause_body, NULL);
}

/* An expired context is a time-out for whoever waits in the kernel, too. */
static void timeout_body(void *arg)
{
	rg_ctx *c =
		must(rg_ctx_with_timeout_cause(bg(), 2 * RG_MILLISECOND, -EIO));
	rg_sem none = {0};
	char byte;
	int fds[2];

	(void)arg;
	T_CHECK_INT_EQ(pipe(fds), 0);
	T_CHECK(rg_ctx_bind(c) == NULL);
	T_CHECK_INT_EQ(rg_read(fds[0], &byte, 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_sem_acquire(&none, 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ETIMEDOUT);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(c);
	close(fds[0]);
	close(fds[1]);
}

static void ctx_deadline_exceeded_is_a_timeout_error(void **state)
{
	(void)state;
	run_both(timeout_body, NULL);
}

/* ---- names ------------------------------------------------------------------------- */

static void check_name(const rg_ctx *c, const char *want)
{
	char buf[200];

	T_CHECK_INT_EQ(rg_ctx_format(c, buf, sizeof buf), strlen(want));
	T_CHECK_STR_EQ(buf, want);
	/* Cut anywhere, it is a beginning. */
	for (size_t size = 1; size <= strlen(want); size++) {
		memset(buf, 'x', sizeof buf);
		T_CHECK_INT_EQ(rg_ctx_format(c, buf, size), strlen(want));
		T_CHECK_INT_EQ(strlen(buf), size - 1);
		T_CHECK_MEM_EQ(buf, want, size - 1);
		T_CHECK(buf[size] == 'x');
	}
	T_CHECK_INT_EQ(rg_ctx_format(c, NULL, 0), strlen(want));
}

static void names_body(void *arg)
{
	rg_ctx *c = must(rg_ctx_with_cancel(bg()));
	char buf[200];

	(void)arg;
	check_name(bg(), "background");
	check_name(rg_ctx_todo(), "todo");
	check_name(c, "background.with_cancel");
	c = below(c, rg_ctx_with_value(c, &key_a, &one));
	c = below(c, rg_ctx_without_cancel(c));
	check_name(c, "background.with_cancel.with_value.without_cancel");
	rg_ctx_unref(c);
	c = must(rg_ctx_with_timeout(rg_ctx_todo(), 0));
	check_name(c, "todo.with_deadline(passed)");
	rg_ctx_unref(c);
	c = must(rg_ctx_with_timeout(rg_ctx_todo(), RG_HOUR));
	rg_ctx_format(c, buf, sizeof buf);
	T_CHECK_STR_HAS(buf, "todo.with_deadline(3599.");
	rg_ctx_unref(c);
}

static void ctx_names_tell_how_it_was_made(void **state)
{
	(void)state;
	run_both(names_body, NULL);
}

/* ---- what they cost ------------------------------------------------------------------ */

static bool count_g(struct g *gp, void *arg)
{
	(void)gp;
	++*(int *)arg;
	return true;
}

static int goroutines(void)
{
	int n = 0;

	sched_each_g(count_g, &n);
	return n;
}

static void no_goroutine_body(void *arg)
{
	rg_ctx *c = must(rg_ctx_with_cancel(bg()));
	int before = goroutines();
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	for (int i = 0; i < 500; i++) {
		rg_ctx *v = must(rg_ctx_with_value(c, &key_c, &one));
		rg_ctx *t = must(rg_ctx_with_timeout(v, RG_HOUR));
		rg_ctx *w = must(rg_ctx_without_cancel(t));

		if (i % 2)
			rg_ctx_cancel(v, 0);
		T_CHECK_INT_EQ(goroutines(), before);
		rg_ctx_unref(v);
		rg_ctx_unref(w);
		rg_ctx_unref(t);
	}
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	/* Nothing in the tree of a parent that lives on. */
	T_CHECK(list_is_empty(&c->children));
	alloc_fail_after(0);
	T_CHECK(rg_ctx_with_value(c, &key_a, &one) == NULL);
	alloc_fail_after(0);
	T_CHECK(rg_ctx_without_cancel(c) == NULL);
	alloc_fail_after(-1);
	rg_ctx_unref(c);
}

static void ctx_of_any_kind_costs_no_goroutine_and_leaks_nothing(void **state)
{
	(void)state;
	run_both(no_goroutine_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ctx_value_of_the_nearest_wins),
		cmocka_unit_test(ctx_value_keys_are_compared_as_pointers),
		cmocka_unit_test(ctx_with_value_ends_with_its_parent),
		cmocka_unit_test(ctx_value_misuse_panics),
		cmocka_unit_test(ctx_without_cancel_keeps_values_only),
		cmocka_unit_test(ctx_deadline_reports_the_earlier_one),
		cmocka_unit_test(ctx_deadline_cause_is_given_on_expiry),
		cmocka_unit_test(ctx_deadline_exceeded_is_a_timeout_error),
		cmocka_unit_test(ctx_names_tell_how_it_was_made),
		cmocka_unit_test(
			ctx_of_any_kind_costs_no_goroutine_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
