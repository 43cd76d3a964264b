// SPDX-License-Identifier: MIT
/*
 * test_mapgrow - rg_map's tables: keys of equal hashes (I2 of sync/map.c), and a table
 * that grows bit by bit (I6); compare and swap, and clear, by many at once.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

#include "kernel-iface/alloc.h"
#include "sync/map.h"

/* ---- equal hashes ------------------------------------------------------------ */

/* As in map.c. */
static uint64_t fold(uint64_t x)
{
	unsigned __int128 p =
		(unsigned __int128)x * UINT64_C(0x9E3779B97F4A7C15);

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

struct key16 {
	uint64_t first, second;
};

/* All of them have the same hash of 64 bits: the second word undoes what the first one
 * did to it. */
static struct key16 twin(const rg_map *m, uint64_t i)
{
	uint64_t seed = map_seed(m), h = fold(seed ^ 16 ^ i) + seed;

	return (struct key16){i, h ^ UINT64_C(0x123456789abcdef)};
}

enum { TWINS = 1000 };

static bool count_twins(const void *key, void *value, void *arg)
{
	struct key16 k;
	int *seen = arg;

	memcpy(&k, key, sizeof k);
	T_CHECK_INT_LT(k.first, TWINS);
	T_CHECK_INT_EQ((uintptr_t)value, k.first + 1);
	seen[k.first]++;
	return true;
}

/* Keys differ, whatever their hash: chains are ordered by it and by the key. A walk
 * takes 16 at a time, in the middle of a run of equal hashes. */
static void twins_body(void *arg)
{
	rg_map *m = rg_map_new(sizeof(struct key16), NULL);
	int *seen = rgk_zalloc(TWINS * sizeof *seen);
	void *v;

	(void)arg;
	T_CHECK(seen != NULL);
	for (uint64_t i = 0; i < TWINS; i++) {
		struct key16 k = twin(m, i * 7 % TWINS);

		T_CHECK(!rg_map_load(m, &k, NULL));
		T_CHECK_INT_EQ(rg_map_store(m, &k, (void *)(k.first + 1)), 0);
	}
	T_CHECK_INT_EQ(rg_map_len(m), TWINS);
	rg_map_range(m, count_twins, seen);
	for (uint64_t i = 0; i < TWINS; i++) {
		struct key16 k = twin(m, i);

		T_CHECK_INT_EQ(seen[i], 1);
		T_CHECK(rg_map_load(m, &k, &v));
		T_CHECK_INT_EQ((uintptr_t)v, i + 1);
		if (i % 2)
			T_CHECK(rg_map_delete(m, &k));
	}
	memset(seen, 0, TWINS * sizeof *seen);
	rg_map_range(m, count_twins, seen);
	for (uint64_t i = 0; i < TWINS; i++)
		T_CHECK_INT_EQ(seen[i], i % 2 ? 0 : 1);
	rgk_free(seen);
	rg_map_free(m);
}

static void map_keys_of_equal_hashes_are_different(void **state)
{
	(void)state;
	run_both(twins_body, NULL);
}

/* ---- growing ----------------------------------------------------------------- */

static bool visit_all(const void *key, void *value, void *arg)
{
	uint8_t *seen = arg;
	uint64_t k;

	(void)value;
	memcpy(&k, key, sizeof k);
	T_CHECK_INT_EQ(seen[k], 0);
	seen[k] = 1;
	return true;
}

/* At each size all keys are found and visited once, in the midst of growing, too; and a
 * table that was emptied is walked through and grows again. */
static void growing_body(void *arg)
{
	enum { MOST = 20000 };
	rg_map *m = rg_map_new(8, NULL);
	uint8_t *seen = rgk_alloc(MOST);
	uint64_t k, next = 1;

	(void)arg;
	T_CHECK(seen != NULL);
	for (uint64_t n = 0; n < MOST; n++) {
		T_CHECK_INT_EQ(rg_map_store(m, &n, NULL), 0);
		if (n != next)
			continue;
		next += 1 + next / 6;
		memset(seen, 0, MOST);
		rg_map_range(m, visit_all, seen);
		for (k = 0; k < MOST; k++) {
			T_CHECK_INT_EQ(seen[k], k <= n);
			T_CHECK_INT_EQ(rg_map_load(m, &k, NULL), k <= n);
		}
	}
	for (k = 0; k < MOST; k++)
		T_CHECK_INT_EQ(rg_map_delete(m, &k), 1);
	memset(seen, 0, MOST);
	rg_map_range(m, visit_all, seen);
	for (k = 0; k < MOST; k++)
		T_CHECK_INT_EQ(seen[k], 0);
	k = 7;
	T_CHECK_INT_EQ(rg_map_store(m, &k, NULL), 0);
	rg_map_range(m, visit_all, seen);
	T_CHECK_INT_EQ(seen[7], 1);
	rgk_free(seen);
	rg_map_free(m);
}

static void map_in_the_midst_of_growing_is_whole(void **state)
{
	(void)state;
	run_both(growing_body, NULL);
}

/* ---- many at once --------------------------------------------------------------- */

enum { WORKERS = 8 };

struct race {
	rg_map *m;
	rg_waitgroup w;
	_Atomic bool stop;
};

enum { SWAPS = 3000 };

/* The value is a number, in a pointer. */
static void increments(void *arg)
{
	struct race *r = arg;

	for (int i = 0; i < SWAPS; i++) {
		void *old;

		do {
			T_CHECK(rg_map_load(r->m, "n", &old));
		} while (!rg_map_compare_and_swap(
			r->m, "n", old, (void *)((uintptr_t)old + 1)));
	}
}

static void increments_body(void *arg)
{
	struct race r = {.m = rg_map_new(0, NULL)};
	void *n;

	(void)arg;
	T_CHECK_INT_EQ(rg_map_store(r.m, "n", NULL), 0);
	for (int k = 0; k < WORKERS; k++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&r.w, increments, &r), 0);
	rg_waitgroup_wait(&r.w);
	T_CHECK(rg_map_load(r.m, "n", &n));
	T_CHECK_INT_EQ((uintptr_t)n, WORKERS * SWAPS);
	rg_map_free(r.m);
}

static void map_compare_and_swap_loses_no_increment(void **state)
{
	(void)state;
	run_both(increments_body, NULL);
}

/* One stores key after key, and of each the one before: whatever a clear leaves is the
 * end of that row, in whichever shards it lies. */
static void stores_a_row(void *arg)
{
	struct race *r = arg;

	for (uint64_t k = 1; !r->stop; k++)
		T_CHECK_INT_EQ(rg_map_store(r->m, &k, (void *)(uintptr_t)k), 0);
}

struct row {
	uint64_t n, least, most;
};

static bool look_at(const void *key, void *value, void *arg)
{
	struct row *row = arg;
	uint64_t k;

	memcpy(&k, key, sizeof k);
	T_CHECK_INT_EQ(k, (uint64_t)(uintptr_t)value);
	row->n++;
	row->least = k < row->least ? k : row->least;
	row->most = k > row->most ? k : row->most;
	return true;
}

static void clear_body(void *arg)
{
	struct race r = {.m = rg_map_new(8, NULL)};

	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct row row = {.least = UINT64_MAX};

		r.stop = false;
		T_CHECK_INT_EQ(rg_waitgroup_go(&r.w, stores_a_row, &r), 0);
		WAIT_FOR(rg_map_len(r.m) > 100);
		rg_map_clear(r.m);
		r.stop = true;
		rg_waitgroup_wait(&r.w);
		rg_map_range(r.m, look_at, &row);
		if (row.n)
			T_CHECK_INT_EQ(row.most - row.least + 1, row.n);
		rg_map_clear(r.m);
	}
	rg_map_free(r.m);
}

static void map_clear_is_at_one_moment(void **state)
{
	(void)state;
	t_run_with(2, clear_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_keys_of_equal_hashes_are_different),
		cmocka_unit_test(map_in_the_midst_of_growing_is_whole),
		cmocka_unit_test(map_compare_and_swap_loses_no_increment),
		cmocka_unit_test(map_clear_is_at_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
