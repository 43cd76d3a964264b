// SPDX-License-Identifier: MIT
/*
 * test_hooks - the end of a runtime: goroutines that it abandons leave the queues of
 * channels and of the parking lot, which foreign threads and the next runtime go
 * on to use (sync/hooks.c).
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"

struct world {
	rg_mutex m;
	rg_waitgroup w;
	rg_chan *a, *b;
	_Atomic int64_t got; /* by the foreign thread */
	_Atomic int ran;
	rg_ctx *ctx;
};

static void locks(void *arg)
{
	struct world *o = arg;

	rg_mutex_lock(&o->m);
	T_FAIL("a goroutine of a runtime that ended got a mutex");
}

static void waits(void *arg)
{
	struct world *o = arg;

	rg_waitgroup_wait(&o->w);
	T_FAIL("a goroutine of a runtime that ended was woken");
}

static void receives(void *arg)
{
	struct world *o = arg;

	rg_chan_recv(o->a, NULL);
	T_FAIL("a goroutine of a runtime that ended received");
}

static void selects(void *arg)
{
	struct world *o = arg;
	int64_t v = 3;
	rg_case cases[] = {RG_RECV(o->a, NULL), RG_SEND(o->b, &v)};

	rg_select_until(cases, 2, rg_now() + RG_HOUR);
	T_FAIL("a goroutine of a runtime that ended was selected");
}

static void abandons(void *arg)
{
	struct world *o = arg;

	rg_mutex_lock(&o->m);
	rg_waitgroup_add(&o->w, 1);
	for (int i = 0; i < 3; i++) {
		must_go_forever(locks, o);
		must_go_forever(waits, o);
		must_go_forever(receives, o);
		must_go_forever(selects, o);
	}
	WAIT_FOR(parklot_count(&o->m) == 3 && parklot_count(&o->w) == 3);
	/* 3, 3 and the foreign thread. */
	WAIT_FOR(receivers(o->a) == 7 && senders(o->b) == 3);
}

static void adds_one(void *arg)
{
	struct world *o = arg;

	rg_mutex_lock(&o->m);
	rg_mutex_unlock(&o->m);
	rg_waitgroup_wait(&o->w);
	atomic_fetch_add(&o->ran, 1);
}

static void goes_on(void *arg)
{
	struct world *o = arg;

	/* Held since the former runtime, and wanted by those it had. */
	must_go(adds_one, o);
	WAIT_FOR(parklot_count(&o->m) == 1);
	rg_mutex_unlock(&o->m);
	WAIT_FOR(parklot_count(&o->w) == 1);
	rg_waitgroup_done(&o->w);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&o->ran), 1);
	/* The foreign thread is the only one left. */
	rg_send(o->a, (int64_t)42);
	WAIT_FOR(atomic_load(&o->got) == 42);
	T_CHECK(!rg_chan_try_send(o->a, &(int64_t){1}));
	T_CHECK_INT_EQ(rg_chan_try_recv(o->b, NULL), -EAGAIN);
}

static void *foreign(void *arg)
{
	struct world *o = arg;
	int64_t v;

	T_CHECK(rg_recv(o->a, &v));
	atomic_store(&o->got, v);
	return NULL;
}

static void run_two(int procs)
{
	struct world o = {.got = 0};
	pthread_t t;

	o.a = rg_make(int64_t, 0);
	o.b = rg_make(int64_t, 0);
	T_CHECK(o.a && o.b);
	must_thread(&t, foreign, &o);
	t_run_with(procs, abandons, &o);
	T_CHECK_INT_EQ(parklot_count(&o.m) + parklot_count(&o.w), 0);
	T_CHECK_INT_EQ(receivers(o.a), 1);
	T_CHECK_INT_EQ(senders(o.b) + receivers(o.b), 0);
	t_run_with(procs, goes_on, &o);
	pthread_join(t, NULL);
	T_CHECK_INT_EQ(o.m.state_, 0);
	/* Nobody waits: this does not panic. */
	rg_chan_unref(o.a);
	rg_chan_unref(o.b);
}

static void hooks_abandoned_goroutines_leave_the_queues(void **state)
{
	(void)state;
	run_two(1);
	run_two(2);
}

/* Its own reference is the last one, and given up by the end of the runtime. */
static void waits_for_own_ctx(void *arg)
{
	(void)arg;
	rg_chan_recv(rg_ctx_done(rg_ctx_current()), NULL);
	T_FAIL("a context ended that nobody cancelled");
}

static void abandons_ctx(void *arg)
{
	rg_ctx *c = rg_ctx_with_timeout(rg_ctx_background(), RG_HOUR);
	rg_go_options with = {.ctx = c};

	(void)arg;
	T_CHECK(c != NULL);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(rg_go_with(&with, waits_for_own_ctx, NULL), 0);
	WAIT_FOR(receivers(rg_ctx_done(c)) == 3);
	rg_ctx_unref(c);
}

static void hooks_abandoned_context_is_freed(void **state)
{
	int64_t live;

	(void)state;
	run_both(abandons_ctx, NULL);
	live = alloc_live();
	run_both(abandons_ctx, NULL);
	T_CHECK_INT_EQ(alloc_live(), live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hooks_abandoned_goroutines_leave_the_queues),
		cmocka_unit_test(hooks_abandoned_context_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
