// SPDX-License-Identifier: MIT
/*
 * test_waitgroup - wait groups: SEMANTICS 54 to 56; I1 and I2 of sync/waitgroup.c.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

#include "kernel-iface/alloc.h"

/* ---- misuse ----------------------------------------------------------------- */

static void negative(void *arg)
{
	rg_waitgroup w = {0};

	(void)arg;
	rg_waitgroup_add(&w, 1);
	rg_waitgroup_done(&w);
	rg_waitgroup_done(&w);
}

static void negative_add(void *arg)
{
	rg_waitgroup w = {0};

	(void)arg;
	rg_waitgroup_add(&w, 3);
	rg_waitgroup_add(&w, -4);
}

static void overflow(void *arg)
{
	rg_waitgroup w = {0};

	(void)arg;
	rg_waitgroup_add(&w, INT32_MAX);
	rg_waitgroup_add(&w, 1);
}

static void waitgroup_negative_counter_panics(void **state)
{
	(void)state;
	abort_both(negative, "negative WaitGroup counter");
	abort_both(negative_add, "negative WaitGroup counter");
	abort_both(overflow, "WaitGroup counter overflow");
}

/* ---- waiting ------------------------------------------------------------------ */

struct waiting {
	rg_waitgroup w;
	_Atomic int returned;
};

static void wait_g(void *arg)
{
	struct waiting *w = arg;

	rg_waitgroup_wait(&w->w);
	atomic_fetch_add(&w->returned, 1);
}

static void zero_body(void *arg)
{
	rg_waitgroup w = {0};

	(void)arg;
	rg_waitgroup_wait(&w);
	rg_waitgroup_add(&w, 2);
	rg_waitgroup_add(&w, -2);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(w.state_, 0);
}

static void waitgroup_of_zero_does_not_wait(void **state)
{
	(void)state;
	run_both(zero_body, NULL);
}

static void many_waiters_body(void *arg)
{
	struct waiting w = {{0}, 0};

	(void)arg;
	for (int round = 0; round < 3; round++) {
		atomic_store(&w.returned, 0);
		rg_waitgroup_add(&w.w, 2);
		for (int i = 0; i < 50; i++)
			must_go(wait_g, &w);
		WAIT_FOR(parklot_count(&w.w) == 50);
		rg_waitgroup_done(&w.w);
		rg_waitgroup_add(&w.w, 1);
		rg_waitgroup_done(&w.w);
		for (int i = 0; i < 100; i++)
			rg_yield();
		T_CHECK_INT_EQ(atomic_load(&w.returned), 0);
		rg_waitgroup_done(&w.w);
		wait_all();
		T_CHECK_INT_EQ(atomic_load(&w.returned), 50);
		T_CHECK_INT_EQ(w.w.state_, 0);
	}
}

static void waitgroup_wakes_all_waiters_at_zero(void **state)
{
	(void)state;
	run_both(many_waiters_body, NULL);
}

/* A waiter of one round is not caught by the next one. */
static void reuse_body(void *arg)
{
	struct waiting w = {{0}, 0};

	(void)arg;
	for (int round = 0; round < 2000; round++) {
		int before = atomic_load(&w.returned);

		rg_waitgroup_add(&w.w, 1);
		must_go(wait_g, &w);
		if (round % 2)
			WAIT_FOR(parklot_count(&w.w) > 0);
		rg_waitgroup_done(&w.w);
		if (round % 2)
			rg_waitgroup_add(&w.w, 1);
		WAIT_FOR(atomic_load(&w.returned) == before + 1);
		if (round % 2)
			rg_waitgroup_done(&w.w);
	}
}

static void waitgroup_reused_at_once_keeps_rounds_apart(void **state)
{
	(void)state;
	run_both(reuse_body, NULL);
}

struct work {
	rg_waitgroup *w;
	int64_t *cell;
};

static void fill_cell(void *arg)
{
	struct work *work = arg;

	*work->cell = 7;
	rg_waitgroup_done(work->w);
}

/* The group is on the stack of a function that returns as soon as wait does, and its
 * place is used for something else at once. */
RG_NOINLINE static int64_t sum_of_cells(int n)
{
	int64_t cells[16] = {0}, sum = 0;
	rg_waitgroup w = {0};

	rg_waitgroup_add(&w, n);
	for (int i = 0; i < n; i++) {
		struct work work = {&w, &cells[i]};

		T_CHECK_INT_EQ(rg_go_copy(fill_cell, &work, sizeof work), 0);
	}
	rg_waitgroup_wait(&w);
	for (int i = 0; i < n; i++)
		sum += cells[i];
	memset(&w, 0xff, sizeof w);
	return sum;
}

static void scope_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5000; i++)
		T_CHECK_INT_EQ(sum_of_cells(1 + i % 16), 7 * (1 + i % 16));
	wait_all();
}

static void waitgroup_shows_what_was_done_and_may_leave_scope(void **state)
{
	(void)state;
	run_both(scope_body, NULL);
}

/* ---- rg_waitgroup_go ------------------------------------------------------------ */

struct go {
	rg_waitgroup w;
	_Atomic int ran, deferred;
};

static void member(void *arg)
{
	atomic_fetch_add(&((struct go *)arg)->ran, 1);
}

static void note_defer(void *arg)
{
	struct go *g = arg;

	/* User's defers run before the group is told. */
	T_CHECK(g->w.state_ >> 32 > 0);
	atomic_fetch_add(&g->deferred, 1);
}

static void exiting_member(void *arg)
{
	rg_defer(note_defer, arg);
	member(arg);
	rg_exit();
}

static void go_body(void *arg)
{
	struct go g = {{0}, 0, 0};
	int64_t live = alloc_live();

	(void)arg;
	for (int i = 0; i < 100; i++) {
		T_CHECK_INT_EQ(rg_waitgroup_go(&g.w, member, &g), 0);
		T_CHECK_INT_EQ(rg_waitgroup_go(&g.w, exiting_member, &g), 0);
	}
	rg_waitgroup_wait(&g.w);
	T_CHECK_INT_EQ(atomic_load(&g.ran), 200);
	T_CHECK_INT_EQ(atomic_load(&g.deferred), 100);
	wait_all();
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_waitgroup_go(&g.w, member, &g), -ENOMEM);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(g.w.state_, 0);
}

static void waitgroup_go_counts_also_who_exits(void **state)
{
	(void)state;
	run_both(go_body, NULL);
}

/* ---- storm with foreign threads ---------------------------------------------------- */

struct storm {
	rg_waitgroup w;
	_Atomic int done;
	rg_chan *next;
};

static void *done_t(void *arg)
{
	struct storm *s = arg;

	while (rg_chan_recv(s->next, NULL)) {
		atomic_fetch_add(&s->done, 1);
		rg_waitgroup_done(&s->w);
	}
	return NULL;
}

static void *wait_t(void *arg)
{
	struct storm *s = arg;

	rg_waitgroup_wait(&s->w);
	T_CHECK_INT_EQ(atomic_load(&s->done), 2000);
	return NULL;
}

static void wait_storm_g(void *arg)
{
	wait_t(arg);
}

static void foreign_body(void *arg)
{
	struct storm s = {{0}, 0, rg_chan_make(0, 4)};
	pthread_t t[4];

	(void)arg;
	T_CHECK(s.next != NULL);
	rg_waitgroup_add(&s.w, 2000);
	for (int i = 0; i < 4; i++)
		must_thread(&t[i], i < 2 ? done_t : wait_t, &s);
	for (int i = 0; i < 10; i++)
		must_go(wait_storm_g, &s);
	for (int i = 0; i < 2000; i++)
		rg_chan_send(s.next, NULL);
	rg_chan_close(s.next);
	rg_waitgroup_wait(&s.w);
	for (int i = 0; i < 4; i++)
		must_join(t[i]);
	wait_all();
	rg_chan_unref(s.next);
}

static void waitgroup_works_from_foreign_threads(void **state)
{
	(void)state;
	run_both(foreign_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waitgroup_negative_counter_panics),
		cmocka_unit_test(waitgroup_of_zero_does_not_wait),
		cmocka_unit_test(waitgroup_wakes_all_waiters_at_zero),
		cmocka_unit_test(waitgroup_reused_at_once_keeps_rounds_apart),
		cmocka_unit_test(
			waitgroup_shows_what_was_done_and_may_leave_scope),
		cmocka_unit_test(waitgroup_go_counts_also_who_exits),
		cmocka_unit_test(waitgroup_works_from_foreign_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
