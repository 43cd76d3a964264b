// SPDX-License-Identifier: MIT
/*
 * test_pool - pools of items: SEMANTICS 60; sync/pool.c's I1 to I3. Time does not pass
 * here: what a put does every ten seconds is called by its name.
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"
#include "sync/pool.h"

#include <stdlib.h>

struct item {
	_Atomic bool is_out;
	int tag;
};

static _Atomic int nmade, ndestroyed;

static void *make_item(void)
{
	struct item *it = calloc(1, sizeof *it);

	T_CHECK(it != NULL);
	atomic_fetch_add(&nmade, 1);
	return it;
}

static void destroy_item(void *item)
{
	struct item *it = item;

	T_CHECK(!atomic_load(&it->is_out));
	memset(it, 0xa5, sizeof *it);
	free(it);
	atomic_fetch_add(&ndestroyed, 1);
}

static rg_pool *pool_new(void)
{
	rg_pool *p = rg_pool_new(make_item, destroy_item);

	T_CHECK(p != NULL);
	atomic_store(&nmade, 0);
	atomic_store(&ndestroyed, 0);
	return p;
}

static int made(void)
{
	return atomic_load(&nmade);
}

static int destroyed(void)
{
	return atomic_load(&ndestroyed);
}

/* ---- get, put, free ---------------------------------------------------------------- */

static void reuse_body(void *arg)
{
	rg_pool *p = pool_new();
	void *a = rg_pool_get(p), *b = rg_pool_get(p);

	(void)arg;
	T_CHECK(a != b);
	T_CHECK_INT_EQ(made(), 2);
	rg_pool_put(p, a);
	T_CHECK_PTR_EQ(rg_pool_get(p), a);
	rg_pool_put(p, a);
	rg_pool_put(p, b);
	rg_pool_put(p, NULL);
	T_CHECK_PTR_EQ(rg_pool_get(p), b);
	rg_pool_put(p, b);
	T_CHECK_INT_EQ(made(), 2);
	T_CHECK_INT_EQ(destroyed(), 0);
	rg_pool_free(p);
	T_CHECK_INT_EQ(destroyed(), 2);
}

static void pool_gives_what_was_put(void **state)
{
	(void)state;
	t_run_with(1, reuse_body, NULL);
	/* No runtime at all. */
	reuse_body(NULL);
}

enum { MANY = 1000 };

static void many_body(void *arg)
{
	rg_pool *p = pool_new();
	void **items = calloc(MANY, sizeof *items);
	int64_t live = alloc_live();

	(void)arg;
	T_CHECK(items != NULL);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MANY; i++)
			items[i] = rg_pool_get(p);
		for (int i = 0; i < MANY; i++)
			rg_pool_put(p, items[i]);
	}
	/* Over more than one chunk nothing is lost: with the Ps' shards all in
	 * reach, no item is made twice. */
	T_CHECK_INT_EQ(made(), MANY);
	T_CHECK_INT_EQ(destroyed(), 0);
	rg_pool_free(p);
	T_CHECK_INT_EQ(destroyed(), MANY);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	free(items);
}

static void pool_keeps_many_and_free_destroys_all(void **state)
{
	(void)state;
	run_both(many_body, NULL);
}

static void null_body(void *arg)
{
	rg_pool *p = rg_pool_new(NULL, NULL);
	int x = 0;

	(void)arg;
	T_CHECK(p != NULL);
	T_CHECK_PTR_EQ(rg_pool_get(p), NULL);
	rg_pool_put(p, &x);
	T_CHECK_PTR_EQ(rg_pool_get(p), &x);
	rg_pool_put(p, &x);
	rg_pool_free(p);
	rg_pool_free(NULL);
}

static void pool_works_without_make_and_destroy(void **state)
{
	(void)state;
	run_both(null_body, NULL);
}

/* ---- letting go ----------------------------------------------------------------------- */

static void victims_body(void *arg)
{
	rg_pool *p = pool_new();
	void *a = rg_pool_get(p), *b = rg_pool_get(p), *c = rg_pool_get(p);

	(void)arg;
	rg_pool_put(p, a);
	rg_pool_put(p, b);
	pool_age(p);
	T_CHECK_INT_EQ(destroyed(), 0);
	/* A victim that is taken and put again is young again. */
	T_CHECK_PTR_EQ(rg_pool_get(p), b);
	rg_pool_put(p, b);
	rg_pool_put(p, c);
	pool_age(p);
	T_CHECK_INT_EQ(destroyed(), 1);
	T_CHECK_PTR_EQ(rg_pool_get(p), c);
	T_CHECK_PTR_EQ(rg_pool_get(p), b);
	T_CHECK_INT_EQ(made(), 3);
	a = rg_pool_get(p);
	T_CHECK_INT_EQ(made(), 4);
	rg_pool_put(p, a);
	rg_pool_put(p, b);
	rg_pool_put(p, c);
	pool_age(p);
	pool_age(p);
	T_CHECK_INT_EQ(destroyed(), 4);
	rg_pool_free(p);
	T_CHECK_INT_EQ(destroyed(), 4);
}

static void pool_drops_what_was_not_used_for_two_ages(void **state)
{
	(void)state;
	t_run_with(1, victims_body, NULL);
}

static void memory_body(void *arg)
{
	rg_pool *p;
	void *a;

	(void)arg;
	alloc_fail_after(0);
	T_CHECK_PTR_EQ(rg_pool_new(make_item, destroy_item), NULL);
	alloc_fail_after(-1);
	p = pool_new();
	a = rg_pool_get(p);
	alloc_fail_after(0);
	rg_pool_put(p, a);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(destroyed(), 1);
	rg_pool_free(p);
}

static void pool_lack_of_memory_drops_the_item(void **state)
{
	(void)state;
	run_both(memory_body, NULL);
}

/* ---- storms ---------------------------------------------------------------------------- */

struct storm {
	rg_pool *p;
	_Atomic bool stop;
};

enum { STORM_G = 40, STORM_N = 500, STORM_T = 3 };

static void storm(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < STORM_N; i++) {
		struct item *held[5];
		int n = i % 5 + 1;

		for (int j = 0; j < n; j++) {
			held[j] = rg_pool_get(s->p);
			T_CHECK(!atomic_exchange(&held[j]->is_out, true));
			held[j]->tag = i;
		}
		if (i % 3 == 0)
			rg_yield();
		for (int j = 0; j < n; j++) {
			T_CHECK_INT_EQ(held[j]->tag, i);
			atomic_store(&held[j]->is_out, false);
			rg_pool_put(s->p, held[j]);
		}
	}
}

static void *storm_t(void *s)
{
	storm(s);
	return NULL;
}

static void *age_t(void *arg)
{
	struct storm *s = arg;

	while (!atomic_load(&s->stop)) {
		pool_age(s->p);
		rg_yield();
	}
	return NULL;
}

static void storm_body(void *arg)
{
	struct storm s = {.p = pool_new()};
	pthread_t t[STORM_T], ager;

	if (arg)
		must_thread(&ager, age_t, &s);
	for (int i = 0; i < STORM_T; i++)
		must_thread(&t[i], storm_t, &s);
	for (int i = 0; i < STORM_G; i++)
		must_go(storm, &s);
	for (int i = 0; i < STORM_T; i++)
		must_join(t[i]);
	wait_all();
	atomic_store(&s.stop, true);
	if (arg)
		must_join(ager);
	rg_pool_free(s.p);
	T_CHECK_INT_EQ(made(), destroyed());
	T_CHECK_INT_GT(made(), 0);
}

static void pool_never_hands_one_item_to_two(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
	run_both(storm_body, (void *)1);
}

/* It outlives runtimes, with other numbers of Ps. */
static void use_pool(void *arg)
{
	struct storm s = {.p = arg};

	for (int i = 0; i < 10; i++)
		must_go(storm, &s);
	wait_all();
}

static void pool_outlives_runtimes(void **state)
{
	rg_pool *p = pool_new();

	(void)state;
	for (int procs = 1; procs <= 4; procs++)
		t_run_with(procs, use_pool, p);
	rg_pool_free(p);
	T_CHECK_INT_EQ(made(), destroyed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_gives_what_was_put),
		cmocka_unit_test(pool_keeps_many_and_free_destroys_all),
		cmocka_unit_test(pool_works_without_make_and_destroy),
		cmocka_unit_test(pool_drops_what_was_not_used_for_two_ages),
		cmocka_unit_test(pool_lack_of_memory_drops_the_item),
		cmocka_unit_test(pool_never_hands_one_item_to_two),
		cmocka_unit_test(pool_outlives_runtimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
