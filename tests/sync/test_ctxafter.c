// SPDX-License-Identifier: MIT
/*
 * test_ctxafter - functions that run when a context has ended (SEMANTICS 76), and
 * contexts that signals end; I1 and I2 of sync/ctxafter.c, I5 of sync/notify.h.
 */
#include "tests/sync/synctest.h"

#include <signal.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "sched/sched.h"
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

static _Atomic int calls;
static _Atomic uint64_t caller;

static void call(void *arg)
{
	rg_ctx *c = arg;

	if (c)
		T_CHECK_INT_NE(rg_ctx_err(c), 0);
	T_CHECK_PTR_EQ(rg_ctx_current(), bg());
	atomic_store(&caller, rg_goid());
	atomic_fetch_add(&calls, 1);
}

static rg_ctx_after *after(rg_ctx *c, void (*fn)(void *), void *arg)
{
	rg_ctx_after *a = rg_ctx_after_func(c, fn, arg);

	T_CHECK(a != NULL);
	return a;
}

/* A goroutine started now comes after all that were started before it: what is not
 * done by then was not started. */
static void settle(void)
{
	for (int i = 0; i < 200; i++)
		rg_yield();
	t_wait_goroutines(1);
}

/* ---- after_func ---------------------------------------------------------------- */

static void runs_body(void *arg)
{
	rg_ctx *c = child_of(bg());
	rg_ctx_after *a = after(c, call, c);

	(void)arg;
	atomic_store(&calls, 0);
	settle();
	T_CHECK_INT_EQ(atomic_load(&calls), 0);
	rg_ctx_cancel(c, 0);
	WAIT_FOR(atomic_load(&calls) == 1);
	T_CHECK_INT_NE(atomic_load(&caller), rg_goid());
	/* Ended before: at once. */
	rg_ctx_after_free(a);
	a = after(c, call, c);
	WAIT_FOR(atomic_load(&calls) == 2);
	T_CHECK(!rg_ctx_after_stop(a));
	T_CHECK(!rg_ctx_after_stop(a));
	settle();
	T_CHECK_INT_EQ(atomic_load(&calls), 2);
	rg_ctx_after_free(a);
	rg_ctx_unref(c);
}

static void ctx_after_func_runs_once_in_its_own_goroutine(void **state)
{
	(void)state;
	run_both(runs_body, NULL);
}

static void deadline_body(void *arg)
{
	rg_ctx_after *a, *b;
	rg_ctx *c;

	(void)arg;
	atomic_store(&calls, 0); /* before the deadline can pass */
	c = rg_ctx_with_timeout(bg(), RG_MILLISECOND);
	a = after(c, call, c);
	b = after(c, call, c);
	WAIT_FOR(atomic_load(&calls) == 2);
	T_CHECK_INT_EQ(rg_ctx_err(c), -ETIMEDOUT);
	rg_ctx_after_free(a);
	rg_ctx_after_free(b);
	rg_ctx_unref(c);
	settle();
}

static void ctx_after_func_runs_when_the_deadline_passes(void **state)
{
	(void)state;
	run_both(deadline_body, NULL);
}

static void stop_body(void *arg)
{
	rg_ctx *c = child_of(bg());
	rg_ctx_after *a = after(c, call, NULL), *b = after(c, call, NULL);

	(void)arg;
	atomic_store(&calls, 0);
	T_CHECK(rg_ctx_after_stop(a));
	T_CHECK(!rg_ctx_after_stop(a));
	rg_ctx_cancel(c, 0);
	WAIT_FOR(atomic_load(&calls) == 1);
	settle();
	T_CHECK_INT_EQ(atomic_load(&calls), 1);
	rg_ctx_after_free(a);
	rg_ctx_after_free(b);
	rg_ctx_after_free(NULL);
	rg_ctx_unref(c);
}

static void ctx_after_stop_tells_whether_it_prevented_the_run(void **state)
{
	(void)state;
	run_both(stop_body, NULL);
}

static void keeps_body(void *arg)
{
	rg_ctx *top = child_of(bg()), *c = child_of(top);
	rg_ctx_after *a = after(c, call, NULL);

	(void)arg;
	atomic_store(&calls, 0);
	rg_ctx_unref(c); /* the call keeps it */
	rg_ctx_cancel(top, 0);
	WAIT_FOR(atomic_load(&calls) == 1);
	rg_ctx_after_free(a);
	rg_ctx_unref(top);
	settle();
}

static void ctx_after_func_keeps_its_context(void **state)
{
	(void)state;
	run_both(keeps_body, NULL);
}

static void leak_body(void *arg)
{
	rg_ctx *c = child_of(bg());
	int64_t live;

	(void)arg;
	rg_ctx_after_free(after(c, call, NULL));
	settle();
	live = alloc_live();
	for (int i = 0; i < 1000; i++) {
		rg_ctx_after *a = after(i % 2 ? c : bg(), call, NULL);

		T_CHECK_INT_EQ(rg_num_goroutine(), 1);
		if (i % 3)
			T_CHECK(rg_ctx_after_stop(a));
		rg_ctx_after_free(a);
	}
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	T_CHECK(list_is_empty(&c->children));
	for (int64_t i = 0; i < 2; i++) {
		alloc_fail_after(i);
		T_CHECK(rg_ctx_after_func(c, call, NULL) == NULL);
	}
	alloc_fail_after(-1);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	rg_ctx_unref(c);
}

static void ctx_after_func_on_one_that_never_ends_leaks_nothing(void **state)
{
	(void)state;
	run_both(leak_body, NULL);
}

struct own {
	rg_ctx_after *_Atomic a;
	_Atomic bool freed;
};

static void frees_itself(void *arg)
{
	struct own *own = arg;
	rg_ctx_after *a;

	while (!(a = atomic_load(&own->a)))
		rg_yield();
	T_CHECK(!rg_ctx_after_stop(a));
	rg_ctx_after_free(a);
	atomic_store(&own->freed, true);
}

static void own_body(void *arg)
{
	rg_ctx *c = child_of(bg());
	struct own own = {NULL, false};

	(void)arg;
	rg_ctx_cancel(c, 0);
	atomic_store(&own.a, after(c, frees_itself, &own));
	WAIT_FOR(atomic_load(&own.freed));
	rg_ctx_unref(c);
	settle();
}

static void ctx_after_func_may_free_its_handle(void **state)
{
	(void)state;
	run_both(own_body, NULL);
}

/* Who cancels and who stops at the same time agree on whether it runs. */
struct race {
	rg_ctx *c;
	rg_ctx_after *a;
	_Atomic int runs;
};

static void count_run(void *arg)
{
	struct race *r = arg;

	atomic_fetch_add(&r->runs, 1);
}

static void cancel_it(void *arg)
{
	struct race *r = arg;

	rg_ctx_cancel(r->c, 0);
}

static void *cancel_it_t(void *arg)
{
	cancel_it(arg);
	return NULL;
}

static void race_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 300; i++) {
		struct race r = {.c = child_of(bg())};
		bool prevented;
		pthread_t t;

		r.a = after(r.c, count_run, &r);
		if (i % 10 == 0)
			must_thread(&t, cancel_it_t, &r);
		else
			must_go(cancel_it, &r);
		if (i % 2)
			rg_yield();
		prevented = rg_ctx_after_stop(r.a);
		if (i % 10 == 0)
			must_join(t);
		rg_waitgroup_wait(&everyone);
		if (!prevented)
			WAIT_FOR(atomic_load(&r.runs) == 1);
		settle();
		T_CHECK_INT_EQ(atomic_load(&r.runs), prevented ? 0 : 1);
		rg_ctx_after_free(r.a);
		rg_ctx_unref(r.c);
	}
}

static void ctx_after_stop_races_with_cancel_and_agrees(void **state)
{
	(void)state;
	run_both(race_body, NULL);
}

static void nil_fn(void *arg)
{
	(void)arg;
	rg_ctx_after_func(bg(), NULL, NULL);
}

static void nil_ctx(void *arg)
{
	(void)arg;
	rg_ctx_after_func(NULL, call, NULL);
}

static void nil_handle(void *arg)
{
	(void)arg;
	rg_ctx_after_stop(NULL);
}

static void ctx_after_misuse_panics(void **state)
{
	(void)state;
	abort_both(nil_fn, "nil function");
	abort_both(nil_ctx, "nil parent");
	abort_both(nil_handle, "of nil");
}

/* What is left over when a runtime ends is nobody's any more. */
static rg_ctx *left_ctx;
static rg_ctx_after *left_after;

static void leave_body(void *arg)
{
	(void)arg;
	left_ctx = child_of(bg());
	left_after = after(left_ctx, call, NULL);
	settle();
}

static void ctx_after_func_outlives_its_runtime_unharmed(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		atomic_store(&calls, 0);
		t_run_with(2, leave_body, NULL);
		/* A thread of the host, no runtime. */
		if (i % 2)
			rg_ctx_cancel(left_ctx, 0);
		rg_ctx_after_free(left_after);
		rg_ctx_unref(left_ctx);
		assert_int_equal(atomic_load(&calls), 0);
	}
	assert_null(rg_ctx_after_func(bg(), call, NULL));
}

/* ---- signals ---------------------------------------------------------------------- */

static sighandler_t handler_of(int sig)
{
	struct sigaction sa;

	T_CHECK_INT_EQ(sigaction(sig, NULL, &sa), 0);
	return sa.sa_handler;
}

static void signal_body(void *arg)
{
	static const int sigs[] = {SIGUSR1, SIGTERM};
	rg_ctx *c, *d, *e;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		T_CHECK_INT_EQ(rg_ctx_with_signals(bg(), sigs, 2, &c), 0);
		T_CHECK_INT_EQ(rg_ctx_with_signals(bg(), &sigs[1], 1, &e), 0);
		d = child_of(c);
		T_CHECK_INT_EQ(kill(getpid(), sigs[i % 2]), 0);
		T_CHECK(!rg_chan_recv(rg_ctx_done(d), NULL));
		T_CHECK_INT_EQ(rg_ctx_err(d), -ECANCELED);
		T_CHECK_INT_EQ(rg_ctx_cause(d), -EINTR);
		if (i % 2)
			T_CHECK(!rg_chan_recv(rg_ctx_done(e), NULL));
		else
			T_CHECK_INT_EQ(rg_ctx_err(e), 0);
		rg_ctx_unref(d);
		rg_ctx_unref(e);
		rg_ctx_unref(c);
	}
	T_CHECK(handler_of(SIGUSR1) == SIG_DFL);
	T_CHECK(handler_of(SIGTERM) == SIG_DFL);
}

static void ctx_with_signals_ends_when_one_arrives(void **state)
{
	int fds = t_open_fds();

	(void)state;
	run_both(signal_body, NULL);
	assert_int_equal(t_open_fds(), fds);
}

static void stop_signals_body(void *arg)
{
	static const int sig = SIGUSR2;
	rg_ctx *c, *d;

	(void)arg;
	T_CHECK_INT_EQ(rg_ctx_with_signals(bg(), &sig, 1, &c), 0);
	d = child_of(c);
	T_CHECK(handler_of(sig) != SIG_DFL);
	T_CHECK_INT_EQ(rg_ctx_stop_signals(c), 0);
	T_CHECK(handler_of(sig) == SIG_DFL);
	T_CHECK_INT_EQ(rg_ctx_err(c), 0);
	T_CHECK_INT_EQ(rg_ctx_stop_signals(c), -ENOENT);
	T_CHECK_INT_EQ(rg_ctx_stop_signals(d), -ENOENT);
	T_CHECK_INT_EQ(rg_ctx_stop_signals(NULL), -ENOENT);
	rg_ctx_unref(c);
	rg_ctx_unref(d);
	/* The last reference: a child's. */
	T_CHECK_INT_EQ(rg_ctx_with_signals(bg(), &sig, 1, &c), 0);
	d = child_of(c);
	rg_ctx_unref(c);
	T_CHECK(handler_of(sig) != SIG_DFL);
	rg_ctx_unref(d);
	T_CHECK(handler_of(sig) == SIG_DFL);
}

static void ctx_stop_signals_gives_them_back(void **state)
{
	(void)state;
	run_both(stop_signals_body, NULL);
}

static void refuse_body(void *arg)
{
	static const int sigs[] = {SIGUSR1, SIGKILL, SIGUSR2};
	rg_ctx *c = NULL, *top = child_of(bg());
	int64_t live = alloc_live();

	(void)arg;
	T_CHECK_INT_EQ(rg_ctx_with_signals(top, sigs, 3, &c), -EINVAL);
	T_CHECK_INT_EQ(rg_ctx_with_signals(top, sigs, 0, &c), -EINVAL);
	T_CHECK_INT_EQ(rg_ctx_with_signals(top, NULL, 1, &c), -EINVAL);
	for (int64_t i = 0; i < 2; i++) {
		alloc_fail_after(i);
		T_CHECK_INT_EQ(rg_ctx_with_signals(top, sigs, 1, &c), -ENOMEM);
	}
	alloc_fail_after(-1);
	T_CHECK(c == NULL);
	T_CHECK(handler_of(SIGUSR1) == SIG_DFL);
	T_CHECK(list_is_empty(&top->children));
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	rg_ctx_unref(top);
}

static void ctx_with_signals_refuses_what_cannot_be(void **state)
{
	static const int sig = SIGUSR1;
	rg_ctx *c = NULL;

	(void)state;
	run_both(refuse_body, NULL);
	assert_int_equal(rg_ctx_with_signals(bg(), &sig, 1, &c), -ESRCH);
	assert_null(c);
}

/* Signals rain while the contexts that listen come and go. */
static _Atomic bool raining;

static void *rain(void *arg)
{
	(void)arg;
	while (atomic_load(&raining)) {
		kill(getpid(), SIGUSR1);
		sched_yield();
	}
	return NULL;
}

static void rain_body(void *arg)
{
	static const int sig = SIGUSR1;
	rg_ctx *keep;
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(rg_ctx_with_signals(bg(), &sig, 1, &keep), 0);
	atomic_store(&raining, true);
	must_thread(&t, rain, NULL);
	for (int i = 0; i < 100; i++) {
		rg_ctx *c;

		T_CHECK_INT_EQ(rg_ctx_with_signals(bg(), &sig, 1, &c), 0);
		if (i % 4 == 0)
			T_CHECK(!rg_chan_recv(rg_ctx_done(c), NULL));
		rg_ctx_unref(c);
	}
	atomic_store(&raining, false);
	must_join(t);
	T_CHECK(!rg_chan_recv(rg_ctx_done(keep), NULL));
	rg_ctx_unref(keep);
}

static void ctx_with_signals_may_be_freed_while_they_arrive(void **state)
{
	(void)state;
	/* The last one may still be on its way when nobody listens any more. */
	signal(SIGUSR1, SIG_IGN);
	run_both(rain_body, NULL);
	signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ctx_after_func_runs_once_in_its_own_goroutine),
		cmocka_unit_test(ctx_after_func_runs_when_the_deadline_passes),
		cmocka_unit_test(
			ctx_after_stop_tells_whether_it_prevented_the_run),
		cmocka_unit_test(ctx_after_func_keeps_its_context),
		cmocka_unit_test(
			ctx_after_func_on_one_that_never_ends_leaks_nothing),
		cmocka_unit_test(ctx_after_func_may_free_its_handle),
		cmocka_unit_test(ctx_after_stop_races_with_cancel_and_agrees),
		cmocka_unit_test(ctx_after_misuse_panics),
		cmocka_unit_test(ctx_after_func_outlives_its_runtime_unharmed),
		cmocka_unit_test(ctx_with_signals_ends_when_one_arrives),
		cmocka_unit_test(ctx_stop_signals_gives_them_back),
		cmocka_unit_test(ctx_with_signals_refuses_what_cannot_be),
		cmocka_unit_test(
			ctx_with_signals_may_be_freed_while_they_arrive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
