// SPDX-License-Identifier: MIT
/*
 * newborn - in which order goroutines run that were just spawned: trees are walked depth
 * first (sched/runq.h, I5; sched/spawn.c), and nobody waits for ever because of it.
 */
#include "tests/support/rgtest.h"

#include <stdlib.h>

#include <ringgo.h>

#include "sched/runq.h"

static rg_waitgroup wg;

/* ---- a tree ---- */

struct node {
	rg_chan *up;
	int depth;
};

static _Atomic int64_t leaves, most_alive;

static void note_alive(void)
{
	rg_stats s;
	int64_t most = atomic_load(&most_alive);

	rg_stats_read(&s, sizeof s);
	while (s.goroutines > most &&
	       !atomic_compare_exchange_weak(&most_alive, &most, s.goroutines))
		continue;
}

static void grow(void *arg)
{
	struct node *self = arg;
	struct node child = {NULL, self->depth - 1};
	int64_t sum = 0, v = 1;

	if (!self->depth) {
		if (atomic_fetch_add(&leaves, 1) % 100 == 0)
			note_alive();
		rg_send(self->up, v);
		return;
	}
	child.up = rg_make(int64_t, 0);
	for (int i = 0; i < 10; i++)
		T_CHECK_INT_EQ(rg_go_copy(grow, &child, sizeof child), 0);
	for (int i = 0; i < 10; i++) {
		T_CHECK(rg_recv(child.up, &v));
		sum += v;
	}
	rg_chan_unref(child.up);
	rg_send(self->up, sum);
}

static void tree(void *arg)
{
	struct node root = {rg_make(int64_t, 0), 5};
	int64_t sum = 0;

	(void)arg;
	atomic_store(&leaves, 0);
	atomic_store(&most_alive, 0);
	T_CHECK_INT_EQ(rg_go_copy(grow, &root, sizeof root), 0);
	T_CHECK(rg_recv(root.up, &sum));
	T_CHECK_INT_EQ(sum, 100000);
	T_CHECK_INT_EQ(atomic_load(&leaves), 100000);
	rg_chan_unref(root.up);
	t_wait_goroutines(1);
}

static void a_tree_of_goroutines_is_walked_depth_first(void **state)
{
	(void)state;
	t_run_with(1, tree, NULL);
	/* 50 and some more for each that went to the ring out of turn; breadth
	 * first it was 30,000. */
	assert_true(atomic_load(&most_alive) > 40);
	if (!getenv("RINGGO_SEED"))
		assert_true(atomic_load(&most_alive) < 10000);
	t_run_with(2, tree, NULL);
	t_run_with(5, tree, NULL);
}

/* ---- who is not in its first run spawns in order ---- */

static _Atomic int order[32], norder;

static void notes_itself(void *arg)
{
	order[norder++] = (int)(intptr_t)arg;
	rg_waitgroup_done(&wg);
}

static void spawns_in_order(void *arg)
{
	(void)arg;
	norder = 0;
	rg_sleep(RG_MILLISECOND); /* its first run is over */
	rg_waitgroup_add(&wg, 20);
	for (intptr_t i = 0; i < 20; i++)
		rg_go(notes_itself, (void *)i);
	rg_waitgroup_wait(&wg);
	/* The last one is in the next slot, as in Go; the others in order. */
	T_CHECK_INT_EQ(order[0], 19);
	for (int i = 1; i < 20; i++)
		T_CHECK_INT_EQ(order[i], i - 1);
}

static void children_of_an_old_goroutine_run_in_order(void **state)
{
	(void)state;
	t_run_with(1, spawns_in_order, NULL);
}

/* ---- yield ---- */

static void counts(void *arg)
{
	(void)arg;
	norder++;
}

static void spawns_and_yields(void *arg)
{
	(void)arg;
	norder = 0;
	for (int i = 0; i < 20; i++)
		rg_go(counts, NULL);
	rg_yield();
	T_CHECK_INT_EQ(norder, 20);
	rg_waitgroup_done(&wg);
}

static void in_its_first_run(void *arg)
{
	rg_waitgroup_add(&wg, 1);
	rg_go(arg, NULL);
	rg_waitgroup_wait(&wg);
	t_wait_goroutines(1);
}

static void spawn_and_yield(void *arg)
{
	(void)arg;
	in_its_first_run((void *)(uintptr_t)spawns_and_yields);
}

static void yield_lets_all_newborns_run_first(void **state)
{
	(void)state;
	t_run_with(1, spawn_and_yield, NULL);
}

/* ---- the oldest of all ---- */

static _Atomic int is_over, alive;

static void ends_it(void *arg)
{
	(void)arg;
	atomic_store(&is_over, 1);
	rg_waitgroup_done(&wg);
}

/* Each is followed by one or two others, a hundred at a time. */
static void bears(void *arg)
{
	(void)arg;
	if (atomic_load(&is_over)) {
		atomic_fetch_sub(&alive, 1);
		return;
	}
	T_CHECK_INT_EQ(rg_go(bears, NULL), 0);
	if (atomic_load(&alive) < 100) {
		atomic_fetch_add(&alive, 1);
		T_CHECK_INT_EQ(rg_go(bears, NULL), 0);
	}
}

static void begins(void *arg)
{
	(void)arg;
	atomic_store(&is_over, 0);
	atomic_store(&alive, 2);
	rg_go(ends_it, NULL);
	rg_go(bears, NULL);
	rg_go(bears, NULL);
}

static void bear_for_ever(void *arg)
{
	(void)arg;
	in_its_first_run((void *)(uintptr_t)begins);
}

static void the_oldest_newborn_runs_in_the_end(void **state)
{
	(void)state;
	t_run_with(1, bear_for_ever, NULL);
	t_run_with(2, bear_for_ever, NULL);
}

/* ---- more children than there is room for ---- */

static void counts_down(void *arg)
{
	(void)arg;
	rg_waitgroup_done(&wg);
}

static void bears_many(void *arg)
{
	enum { MANY = 3 * NEWBORN_MAX + 3 * RUNQ_SIZE };
	rg_stats s;

	(void)arg;
	for (int i = 0; i < MANY; i++) {
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go(counts_down, NULL), 0);
	}
	/* It gave way now and then (I4 of spawn.c). */
	rg_stats_read(&s, sizeof s);
	T_CHECK(s.goroutines < MANY / 2);
	rg_waitgroup_done(&wg);
}

static void bear_many(void *arg)
{
	(void)arg;
	in_its_first_run((void *)(uintptr_t)bears_many);
}

static void who_bears_thousands_gives_way(void **state)
{
	(void)state;
	t_run_with(1, bear_many, NULL);
	t_run_with(2, bear_many, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_of_goroutines_is_walked_depth_first),
		cmocka_unit_test(children_of_an_old_goroutine_run_in_order),
		cmocka_unit_test(yield_lets_all_newborns_run_first),
		cmocka_unit_test(the_oldest_newborn_runs_in_the_end),
		cmocka_unit_test(who_bears_thousands_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
