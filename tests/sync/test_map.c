// SPDX-License-Identifier: MIT
/*
 * test_map - rg_map: SEMANTICS 61; map.c (I1 to I5).
 */
#include "tests/sync/synctest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel-iface/alloc.h"

/* ---- counted values -------------------------------------------------------- */

enum { ALIVE = 0x600d, FREED = 0xdead };

struct box {
	_Atomic int refs, state;
	uint64_t key;
	int content;
};

static _Atomic int64_t boxes;

static struct box *box_new(uint64_t key, int content)
{
	struct box *b = rgk_zalloc(sizeof *b);

	T_CHECK(b != NULL);
	b->refs = 1;
	b->state = ALIVE;
	b->key = key;
	b->content = content;
	atomic_fetch_add(&boxes, 1);
	return b;
}

static void box_retain(void *p)
{
	struct box *b = p;

	T_CHECK_INT_EQ(b->state, ALIVE);
	T_CHECK_INT_GT(atomic_fetch_add(&b->refs, 1), 0);
}

static void box_release(void *p)
{
	struct box *b = p;
	int left;

	if (!b)
		return;
	T_CHECK_INT_EQ(b->state, ALIVE);
	left = atomic_fetch_sub(&b->refs, 1) - 1;
	T_CHECK_INT_GE(left, 0);
	if (left)
		return;
	b->state = FREED;
	atomic_fetch_sub(&boxes, 1);
	rgk_free(b);
}

static const rg_map_options counted = {.retain = box_retain,
				       .release = box_release};

/* ---- against a plain map --------------------------------------------------- */

enum { KEYS = 200, MODEL_OPS = 60000 };

/* What a map of each kind is, as a table of all keys there are. */
struct model {
	rg_map *m;
	size_t key_size;
	char key[KEYS][32];
	bool has[KEYS];
	void *value[KEYS];
	size_t n;
	uint64_t rng;
};

static uint64_t draw(uint64_t *rng, uint64_t below)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return *rng % below;
}

static void model_set(struct model *o, size_t k, void *value)
{
	o->n += !o->has[k];
	o->has[k] = true;
	o->value[k] = value;
}

static void model_delete(struct model *o, size_t k)
{
	o->n -= o->has[k];
	o->has[k] = false;
	o->value[k] = NULL;
}

static void check_storing(struct model *o, size_t k, void *v, int op)
{
	void *got = &got, *was = o->value[k];
	bool had = o->has[k];

	switch (op) {
	case 0:
		T_CHECK_INT_EQ(rg_map_store(o->m, o->key[k], v), 0);
		model_set(o, k, v);
		break;
	case 1:
		T_CHECK_INT_EQ(rg_map_swap(o->m, o->key[k], v, &got), had);
		T_CHECK_PTR_EQ(got, was);
		model_set(o, k, v);
		break;
	default:
		T_CHECK_INT_EQ(rg_map_load_or_store(o->m, o->key[k], v, &got),
			       had);
		T_CHECK_PTR_EQ(got, had ? was : v);
		if (!had)
			model_set(o, k, v);
	}
}

static void check_removing(struct model *o, size_t k, void *v, int op)
{
	void *got = &got, *was = o->value[k];
	bool had = o->has[k], matches = had && was == v;

	switch (op) {
	case 3:
		T_CHECK_INT_EQ(rg_map_load_and_delete(o->m, o->key[k], &got),
			       had);
		T_CHECK_PTR_EQ(got, was);
		model_delete(o, k);
		break;
	case 4:
		T_CHECK_INT_EQ(rg_map_delete(o->m, o->key[k]), had);
		model_delete(o, k);
		break;
	case 5:
		T_CHECK_INT_EQ(rg_map_compare_and_delete(o->m, o->key[k], v),
			       matches);
		if (matches)
			model_delete(o, k);
		break;
	default:
		T_CHECK_INT_EQ(
			rg_map_compare_and_swap(o->m, o->key[k], v, o->key[0]),
			matches);
		if (matches)
			model_set(o, k, o->key[0]);
	}
}

static size_t model_index(const struct model *o, const void *key)
{
	for (size_t k = 0; k < KEYS; k++)
		if (o->key_size ? !memcmp(o->key[k], key, o->key_size)
				: !strcmp(o->key[k], key))
			return k;
	T_FAIL("a key that was never stored");
}

struct seen {
	const struct model *o;
	bool key[KEYS];
	size_t n;
};

static bool see(const void *key, void *value, void *arg)
{
	struct seen *s = arg;
	size_t k = model_index(s->o, key);

	T_CHECK(!s->key[k]);
	T_CHECK(s->o->has[k]);
	T_CHECK_PTR_EQ(value, s->o->value[k]);
	s->key[k] = true;
	s->n++;
	return true;
}

static void check_whole(struct model *o)
{
	struct seen s = {.o = o};

	rg_map_range(o->m, see, &s);
	T_CHECK_INT_EQ(s.n, o->n);
	T_CHECK_INT_EQ(rg_map_len(o->m), o->n);
}

static void run_model(size_t key_size, const char *prefix, int digits)
{
	struct model *o = rgk_zalloc(sizeof *o);
	void *got;

	T_CHECK(o != NULL);
	o->key_size = key_size;
	o->rng = 88172645463325252 + key_size;
	o->m = rg_map_new(key_size, NULL);
	T_CHECK(o->m != NULL);
	for (size_t k = 0; k < KEYS; k++)
		snprintf(o->key[k], sizeof o->key[k], "%s%0*zu", prefix, digits,
			 k);
	for (int i = 0; i < MODEL_OPS; i++) {
		size_t k = draw(&o->rng, KEYS);
		int op = (int)draw(&o->rng, 7);
		/* Few values, NULL among them: comparisons often match. */
		uint64_t d = draw(&o->rng, 3);
		void *v = d ? o->key[d - 1] : NULL;

		if (op < 3)
			check_storing(o, k, v, op);
		else
			check_removing(o, k, v, op);
		T_CHECK_INT_EQ(rg_map_load(o->m, o->key[k], &got), o->has[k]);
		T_CHECK_PTR_EQ(got, o->value[k]);
		if (i % 1000 == 0)
			check_whole(o);
		if (i % 7777 == 0) {
			rg_map_clear(o->m);
			for (k = 0; k < KEYS; k++)
				model_delete(o, k);
		}
	}
	check_whole(o);
	rg_map_free(o->m);
	rgk_free(o);
}

static void model_body(void *arg)
{
	(void)arg;
	run_model(8, "", 8);
	run_model(0, "key/", 1);
	run_model(13, "", 13);
	run_model(24, "the same beginning ", 5);
}

static void map_random_operations_match_a_plain_map(void **state)
{
	(void)state;
	run_both(model_body, NULL);
}

/* ---- many at once ------------------------------------------------------------ */

enum { WORKERS = 8, ROUNDS = 200 };

struct race {
	rg_map *m;
	rg_waitgroup w;
	_Atomic int ready, winners;
	_Atomic(void *) winner;
	_Atomic bool stop;
	_Atomic uint64_t seed;
};

static void stores_if_absent(void *arg)
{
	struct race *r = arg;
	int mine, had;
	void *actual;

	atomic_fetch_add(&r->ready, 1);
	WAIT_FOR(r->ready >= WORKERS);
	had = rg_map_load_or_store(r->m, "key", &mine, &actual);
	T_CHECK_INT_GE(had, 0);
	if (!had) {
		T_CHECK_PTR_EQ(actual, &mine);
		atomic_fetch_add(&r->winners, 1);
		atomic_store(&r->winner, actual);
	}
	WAIT_FOR(r->winner);
	T_CHECK_PTR_EQ(actual, r->winner);
}

static void one_winner_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct race r = {.m = rg_map_new(0, NULL)};

		for (int k = 0; k < WORKERS; k++)
			T_CHECK_INT_EQ(
				rg_waitgroup_go(&r.w, stores_if_absent, &r), 0);
		rg_waitgroup_wait(&r.w);
		T_CHECK_INT_EQ(r.winners, 1);
		rg_map_free(r.m);
	}
}

static void map_concurrent_load_or_store_has_one_winner(void **state)
{
	(void)state;
	run_both(one_winner_body, NULL);
}

enum { RANGE_KEYS = 500, RANGES = 40 };

/* Stores all keys over and over, with other ones that come and go. */
static void stores_all(void *arg)
{
	struct race *r = arg;
	uint64_t round = 0;

	while (!r->stop) {
		round++;
		for (uint64_t k = 1; k <= RANGE_KEYS && !r->stop; k++) {
			uint64_t other = k + RANGE_KEYS * (1 + round % 8);

			T_CHECK_INT_EQ(
				rg_map_store(r->m, &k,
					     (void *)(uintptr_t)(k * round)),
				0);
			T_CHECK_INT_EQ(rg_map_store(r->m, &other, NULL), 0);
		}
		rg_yield();
	}
}

static bool count_key(const void *key, void *value, void *arg)
{
	unsigned char *seen = arg;
	uint64_t k;

	memcpy(&k, key, sizeof k);
	if (k > RANGE_KEYS)
		return true;
	T_CHECK(!seen[k]);
	T_CHECK_INT_EQ((uint64_t)(uintptr_t)value % k, 0);
	seen[k] = 1;
	if (k % 50 == 0)
		rg_yield();
	return true;
}

static void concurrent_range_body(void *arg)
{
	struct race r = {.m = rg_map_new(sizeof(uint64_t), NULL)};
	unsigned char seen[RANGE_KEYS + 1];

	(void)arg;
	for (uint64_t k = 1; k <= RANGE_KEYS; k++)
		T_CHECK_INT_EQ(rg_map_store(r.m, &k, (void *)(uintptr_t)k), 0);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&r.w, stores_all, &r), 0);
	for (int i = 0; i < RANGES; i++) {
		memset(seen, 0, sizeof seen);
		rg_map_range(r.m, count_key, seen);
		for (int k = 1; k <= RANGE_KEYS; k++)
			T_CHECK(seen[k]);
	}
	r.stop = true;
	rg_waitgroup_wait(&r.w);
	rg_map_free(r.m);
}

static void map_range_while_it_grows_sees_each_key_once(void **state)
{
	(void)state;
	run_both(concurrent_range_body, NULL);
}

/* ---- ownership ------------------------------------------------------------------ */

enum { HOT_KEYS = 4, HAMMER_OPS = 3000 };

static void check_box(struct box *b, uint64_t key)
{
	if (!b)
		return;
	T_CHECK_INT_EQ(b->state, ALIVE);
	T_CHECK_INT_EQ(b->key, key);
	box_release(b);
}

static bool check_in_range(const void *key, void *value, void *arg)
{
	const struct box *b = value;
	uint64_t k;

	(void)arg;
	memcpy(&k, key, sizeof k);
	T_CHECK_INT_EQ(b->state, ALIVE);
	T_CHECK_INT_EQ(b->key, k);
	return b->content % 3;
}

static void exchange(rg_map *m, uint64_t k, uint64_t how)
{
	struct box *b = box_new(k, (int)how);
	void *got = NULL;

	if (how % 3 == 0) {
		T_CHECK_INT_EQ(rg_map_store(m, &k, b), 0);
	} else if (how % 3 == 1) {
		T_CHECK_INT_GE(rg_map_swap(m, &k, b, &got), 0);
		check_box(got, k);
	} else {
		if (rg_map_load_or_store(m, &k, b, &got))
			box_release(b);
		check_box(got, k);
	}
}

static void compare(rg_map *m, uint64_t k, bool deletes)
{
	struct box *b;
	void *old;

	if (!rg_map_load(m, &k, &old))
		return;
	if (deletes) {
		(void)rg_map_compare_and_delete(m, &k, old);
	} else {
		b = box_new(k, 1);
		if (!rg_map_compare_and_swap(m, &k, old, b))
			box_release(b);
	}
	check_box(old, k);
}

static void hammer(void *arg)
{
	struct race *r = arg;
	uint64_t rng = 0x9E3779B97F4A7C15 * atomic_fetch_add(&r->seed, 2);
	void *got;

	for (int i = 0; i < HAMMER_OPS; i++) {
		uint64_t k = draw(&rng, HOT_KEYS), op = draw(&rng, 16);

		if (op < 6) {
			exchange(r->m, k, draw(&rng, 1000));
		} else if (op < 10) {
			(void)rg_map_load(r->m, &k, &got);
			check_box(got, k);
		} else if (op < 13) {
			compare(r->m, k, op == 10);
		} else if (op == 13) {
			(void)rg_map_load_and_delete(r->m, &k, &got);
			check_box(got, k);
		} else if (op == 14) {
			rg_map_range(r->m, check_in_range, NULL);
		} else if (draw(&rng, 8) == 0) {
			rg_map_clear(r->m);
		} else {
			(void)rg_map_delete(r->m, &k);
		}
	}
}

static void *hammer_thread(void *arg)
{
	hammer(arg);
	return NULL;
}

static void counted_body(void *arg)
{
	int64_t before = alloc_live();
	struct race r = {.m = rg_map_new(sizeof(uint64_t), &counted),
			 .seed = 1};
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(pthread_create(&t, NULL, hammer_thread, &r), 0);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&r.w, hammer, &r), 0);
	rg_waitgroup_wait(&r.w);
	T_CHECK_INT_EQ(pthread_join(t, NULL), 0);
	rg_map_free(r.m);
	T_CHECK_INT_EQ(boxes, 0);
	T_CHECK_INT_LE(alloc_live() - before, LIVE_SLACK + 8);
}

static void map_values_live_while_anyone_holds_them(void **state)
{
	(void)state;
	run_both(counted_body, NULL);
}

static bool deletes_itself(const void *key, void *value, void *arg)
{
	rg_map *m = arg;
	struct box *b = value;
	uint64_t k;

	memcpy(&k, key, sizeof k);
	if (k >= 1000)
		return false;
	T_CHECK(rg_map_delete(m, key));
	rg_yield();
	/* The map holds both for the callback. */
	T_CHECK_INT_EQ(b->state, ALIVE);
	T_CHECK_MEM_EQ(key, &k, sizeof k);
	k += 1000;
	T_CHECK_INT_EQ(rg_map_store(m, &k, NULL), 0);
	return true;
}

static void delete_in_range_body(void *arg)
{
	rg_map *m = rg_map_new(sizeof(uint64_t), &counted);

	(void)arg;
	for (uint64_t k = 0; k < 100; k++)
		T_CHECK_INT_EQ(rg_map_store(m, &k, box_new(k, 0)), 0);
	while (boxes) {
		/* Those stored meanwhile end the walk when they are met. */
		rg_map_range(m, deletes_itself, m);
		for (uint64_t k = 1000; k < 1100; k++)
			(void)rg_map_delete(m, &k);
	}
	T_CHECK_INT_EQ(rg_map_len(m), 0);
	rg_map_free(m);
}

static bool exits_at_third(const void *key, void *value, void *arg)
{
	int *n = arg;

	(void)key;
	(void)value;
	if (++*n == 3)
		rg_exit();
	return true;
}

static void ranges_and_exits(void *arg)
{
	int n = 0;

	rg_map_range(arg, exits_at_third, &n);
	T_FAIL("it went on");
}

static void exit_in_range_body(void *arg)
{
	int64_t before = alloc_live();
	rg_map *m = rg_map_new(0, &counted);
	rg_waitgroup w = {0};
	char key[16];

	(void)arg;
	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof key, "%d", i);
		T_CHECK_INT_EQ(rg_map_store(m, key, box_new(0, i)), 0);
	}
	T_CHECK_INT_EQ(rg_waitgroup_go(&w, ranges_and_exits, m), 0);
	rg_waitgroup_wait(&w);
	rg_map_free(m);
	T_CHECK_INT_EQ(boxes, 0);
	T_CHECK_INT_LE(alloc_live() - before, LIVE_SLACK);
}

static void map_range_callback_may_change_the_map(void **state)
{
	(void)state;
	run_both(delete_in_range_body, NULL);
}

static void map_range_ended_by_exit_loses_nothing(void **state)
{
	(void)state;
	run_both(exit_in_range_body, NULL);
}

static bool stop_at_once(const void *key, void *value, void *arg)
{
	(void)key;
	(void)value;
	++*(int *)arg;
	return false;
}

static void stop_body(void *arg)
{
	rg_map *m = rg_map_new(0, &counted);
	int n = 0;

	(void)arg;
	rg_map_range(m, stop_at_once, &n);
	T_CHECK_INT_EQ(n, 0);
	T_CHECK_INT_EQ(rg_map_store(m, "a", box_new(0, 0)), 0);
	T_CHECK_INT_EQ(rg_map_store(m, "", box_new(0, 0)), 0);
	T_CHECK_INT_EQ(rg_map_store(m, "c", NULL), 0);
	rg_map_range(m, stop_at_once, &n);
	T_CHECK_INT_EQ(n, 1);
	rg_map_clear(m);
	T_CHECK_INT_EQ(rg_map_len(m), 0);
	T_CHECK_INT_EQ(boxes, 0);
	rg_map_free(m);
	rg_map_free(NULL);
}

static void map_range_stops_when_told(void **state)
{
	(void)state;
	run_both(stop_body, NULL);
}

/* ---- no memory, misuse ------------------------------------------------------------ */

static void no_memory_body(void *arg)
{
	rg_map *m = rg_map_new(8, &counted);
	struct box *b = box_new(0, 0);
	uint64_t k = 0;
	void *got = b;

	(void)arg;
	alloc_fail_after(0);
	T_CHECK_PTR_EQ(rg_map_new(8, NULL), NULL);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_map_store(m, &k, b), -ENOMEM);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_map_swap(m, &k, b, &got), -ENOMEM);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_map_load_or_store(m, &k, b, &got), -ENOMEM);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(b->refs, 1);
	T_CHECK_INT_EQ(rg_map_len(m), 0);
	T_CHECK_INT_EQ(rg_map_store(m, &k, b), 0);
	/* What is there needs no memory to change. */
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_map_swap(m, &k, NULL, &got), 1);
	alloc_fail_after(-1);
	T_CHECK_PTR_EQ(got, b);
	box_release(b);
	rg_map_free(m);
}

static void map_without_memory_changes_nothing(void **state)
{
	(void)state;
	t_run_with(1, no_memory_body, NULL);
}

static void grows_not_body(void *arg)
{
	rg_map *m = rg_map_new(8, NULL);
	void *got;

	(void)arg;
	/* Each entry is had, each larger table is not (I5). */
	for (uint64_t k = 0; k < 2000; k++) {
		alloc_fail_after(1);
		T_CHECK_INT_EQ(rg_map_store(m, &k, (void *)(uintptr_t)(k + 1)),
			       0);
		alloc_fail_after(-1);
	}
	for (uint64_t k = 0; k < 2000; k++) {
		T_CHECK(rg_map_load(m, &k, &got));
		T_CHECK_INT_EQ((uintptr_t)got, k + 1);
	}
	T_CHECK_INT_EQ(rg_map_len(m), 2000);
	rg_map_free(m);
}

static void map_that_cannot_grow_still_holds_all(void **state)
{
	(void)state;
	t_run_with(1, grows_not_body, NULL);
}

static void huge_key_body(void *arg)
{
	(void)arg;
	(void)rg_map_new(65537, NULL);
}

static void map_of_huge_keys_panics(void **state)
{
	(void)state;
	abort_both(huge_key_body, "rg_map_new: a key of 65537 bytes");
}

static void map_without_a_runtime_works(void **state)
{
	rg_map *m = rg_map_new(0, NULL);
	int value;
	void *got;

	(void)state;
	assert_int_equal(rg_map_store(m, "x", &value), 0);
	assert_true(rg_map_load(m, "x", &got));
	assert_ptr_equal(got, &value);
	assert_true(rg_map_load(m, "x", NULL));
	assert_false(rg_map_load(m, "y", &got));
	assert_null(got);
	rg_map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(map_random_operations_match_a_plain_map),
		cmocka_unit_test(map_concurrent_load_or_store_has_one_winner),
		cmocka_unit_test(map_range_while_it_grows_sees_each_key_once),
		cmocka_unit_test(map_values_live_while_anyone_holds_them),
		cmocka_unit_test(map_range_callback_may_change_the_map),
		cmocka_unit_test(map_range_ended_by_exit_loses_nothing),
		cmocka_unit_test(map_range_stops_when_told),
		cmocka_unit_test(map_without_memory_changes_nothing),
		cmocka_unit_test(map_that_cannot_grow_still_holds_all),
		cmocka_unit_test(map_of_huge_keys_panics),
		cmocka_unit_test(map_without_a_runtime_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
