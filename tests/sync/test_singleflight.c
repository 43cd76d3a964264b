// SPDX-License-Identifier: MIT
/*
 * test_singleflight - one call for many: SEMANTICS 63, with TestDo, TestDoErr,
 * TestDoDupSuppress and TestGoexitDo; sync/singleflight.c's I1 to I4.
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"
#include "sync/singleflight.h"

#include <stdio.h>
#include <stdlib.h>

struct world {
	rg_singleflight s;
	_Atomic bool go_on;
	_Atomic int calls, results, shared;
	int err; /* what the function returns */
	char key[16];
};

static char made[] = "bar";

static int make_it(void *arg, void **value)
{
	struct world *w = arg;

	atomic_fetch_add(&w->calls, 1);
	WAIT_FOR(atomic_load(&w->go_on));
	*value = made;
	return w->err;
}

static void do_it(void *arg)
{
	struct world *w = arg;
	void *value = NULL;
	bool shared = false;

	T_CHECK_INT_EQ(
		rg_singleflight_do(&w->s, "key", make_it, w, &value, &shared),
		w->err);
	T_CHECK_PTR_EQ(value, made);
	atomic_fetch_add(&w->shared, shared);
	atomic_fetch_add(&w->results, 1);
}

static void *do_it_t(void *w)
{
	do_it(w);
	return NULL;
}

static size_t joined(struct world *w)
{
	return singleflight_waiters(&w->s, "key");
}

static void alone_body(void *arg)
{
	struct world w = {.go_on = true};

	(void)arg;
	for (int i = 0; i < 3; i++)
		do_it(&w);
	w.err = -EIO;
	do_it(&w);
	T_CHECK_INT_EQ(atomic_load(&w.calls), 4);
	T_CHECK_INT_EQ(atomic_load(&w.shared), 0);
	T_CHECK_INT_EQ(rg_singleflight_do(&w.s, "", make_it, &w, NULL, NULL),
		       -EIO);
	T_CHECK_PTR_EQ(w.s.calls_, NULL);
}

static void singleflight_alone_calls_each_time(void **state)
{
	(void)state;
	run_both(alone_body, NULL);
	alone_body(NULL);
}

static void share_body(void *arg)
{
	struct world w = {.err = arg ? -EIO : 42};
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		must_thread(&t[i], do_it_t, &w);
	for (int i = 0; i < 20; i++)
		must_go(do_it, &w);
	WAIT_FOR(joined(&w) == 21);
	T_CHECK_INT_EQ(atomic_load(&w.results), 0);
	atomic_store(&w.go_on, true);
	for (int i = 0; i < 2; i++)
		must_join(t[i]);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.calls), 1);
	T_CHECK_INT_EQ(atomic_load(&w.results), 22);
	T_CHECK_INT_EQ(atomic_load(&w.shared), 22);
	/* The next one calls again. */
	do_it(&w);
	T_CHECK_INT_EQ(atomic_load(&w.calls), 2);
	T_CHECK_INT_EQ(atomic_load(&w.shared), 22);
	T_CHECK_PTR_EQ(w.s.calls_, NULL);
}

static void singleflight_duplicates_share_one_call(void **state)
{
	(void)state;
	run_both(share_body, NULL);
	run_both(share_body, (void *)1);
}

/* ---- rg_exit --------------------------------------------------------------------- */

static int exits(void *arg, void **value)
{
	struct world *w = arg;

	*value = made;
	atomic_fetch_add(&w->calls, 1);
	WAIT_FOR(atomic_load(&w->go_on));
	rg_exit();
}

static void do_exit(void *arg)
{
	struct world *w = arg;
	void *value = made;
	bool shared = false;

	T_CHECK_INT_EQ(
		rg_singleflight_do(&w->s, "key", exits, w, &value, &shared),
		-ECANCELED);
	T_CHECK_PTR_EQ(value, NULL);
	T_CHECK(shared);
	atomic_fetch_add(&w->results, 1);
}

static void exit_body(void *arg)
{
	struct world w = {.err = 0};

	(void)arg;
	for (int i = 0; i < 10; i++)
		must_go(do_exit, &w);
	WAIT_FOR(joined(&w) == 9);
	atomic_store(&w.go_on, true);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.calls), 1);
	T_CHECK_INT_EQ(atomic_load(&w.results), 9);
	T_CHECK_PTR_EQ(w.s.calls_, NULL);
	do_it(&w);
}

static void singleflight_exit_in_fn_releases_all(void **state)
{
	(void)state;
	run_both(exit_body, NULL);
}

static void count_defer(void *arg)
{
	atomic_fetch_add(&((struct world *)arg)->results, 1);
}

static int defers(void *arg, void **value)
{
	(void)value;
	rg_defer(count_defer, arg);
	return 0;
}

static void defer_g(void *arg)
{
	struct world *w = arg;

	rg_defer(count_defer, w);
	rg_singleflight_do(&w->s, "key", defers, w, NULL, NULL);
	T_CHECK_INT_EQ(atomic_load(&w->results), 0);
}

static void defer_body(void *arg)
{
	struct world w = {.err = 0};

	(void)arg;
	must_go(defer_g, &w);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.results), 2);
}

static void singleflight_keeps_defers_made_inside(void **state)
{
	(void)state;
	run_both(defer_body, NULL);
}

/* ---- keys -------------------------------------------------------------------------- */

static int forgets_key(void *arg, void **value)
{
	struct world *w = arg;

	/* The caller's buffer is used for something else. */
	memset(w->key, 'x', sizeof w->key - 1);
	return make_it(arg, value);
}

static void do_copied(void *arg)
{
	struct world *w = arg;

	T_CHECK_INT_EQ(
		rg_singleflight_do(&w->s, w->key, forgets_key, w, NULL, NULL),
		0);
}

static void copied_body(void *arg)
{
	struct world w = {.key = "key"};

	(void)arg;
	must_go(do_copied, &w);
	WAIT_FOR(atomic_load(&w.calls) == 1);
	must_go(do_it, &w);
	WAIT_FOR(joined(&w) == 1);
	atomic_store(&w.go_on, true);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.calls), 1);
}

static void singleflight_key_is_copied(void **state)
{
	(void)state;
	run_both(copied_body, NULL);
}

enum { KEYS = 500, EACH = 4 };

struct keyed {
	struct world *w;
	int i;
	_Atomic int calls;
	int value; /* what the function makes */
	char key[32];
};

static int make_keyed(void *arg, void **value)
{
	struct keyed *k = arg;

	atomic_fetch_add(&k->calls, 1);
	WAIT_FOR(atomic_load(&k->w->go_on));
	k->value = k->i + 1;
	*value = k;
	/* Ends in any order. */
	for (int i = 0; i < k->i % 7; i++)
		rg_yield();
	return k->i;
}

static void do_keyed(void *arg)
{
	struct keyed *k = arg;
	void *value;
	char key[32];

	snprintf(key, sizeof key, "key number %d", k->i);
	T_CHECK_INT_EQ(
		rg_singleflight_do(&k->w->s, key, make_keyed, k, &value, NULL),
		k->i);
	T_CHECK_PTR_EQ(value, k);
	T_CHECK_INT_EQ(k->value, k->i + 1);
	atomic_fetch_add(&k->w->results, 1);
}

static void keys_body(void *arg)
{
	struct keyed *k = calloc(KEYS, sizeof *k);
	struct world w = {.err = 0};

	(void)arg;
	T_CHECK(k != NULL);
	for (int i = 0; i < KEYS; i++) {
		k[i].w = &w;
		k[i].i = i;
		snprintf(k[i].key, sizeof k[i].key, "key number %d", i);
		for (int j = 0; j < EACH; j++)
			must_go(do_keyed, &k[i]);
	}
	/* All are in the trie, each with those who share it. */
	for (int i = 0; i < KEYS; i++)
		WAIT_FOR(singleflight_waiters(&w.s, k[i].key) == EACH - 1);
	atomic_store(&w.go_on, true);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.results), KEYS * EACH);
	for (int i = 0; i < KEYS; i++)
		T_CHECK_INT_EQ(atomic_load(&k[i].calls), 1);
	T_CHECK_PTR_EQ(w.s.calls_, NULL);
	free(k);
}

static void singleflight_keys_do_not_mix(void **state)
{
	(void)state;
	run_both(keys_body, NULL);
}

/* Few keys, many callers, short calls: each value is of a call that overlapped. */
struct storm {
	rg_singleflight s;
	_Atomic int made[3], inside[3];
};

struct storm_call {
	struct storm *s;
	int key;
};

static int storm_make(void *arg, void **value)
{
	struct storm_call *c = arg;

	T_CHECK_INT_EQ(atomic_fetch_add(&c->s->inside[c->key], 1), 0);
	*value = (void *)(intptr_t)(atomic_fetch_add(&c->s->made[c->key], 1) +
				    1);
	rg_yield();
	atomic_fetch_sub(&c->s->inside[c->key], 1);
	return c->key;
}

static void storm(void *arg)
{
	static const char *const keys[] = {"a", "b", "c"};
	struct storm *s = arg;

	for (int i = 0; i < 500; i++) {
		struct storm_call c = {s, i % 3};
		int before = atomic_load(&s->made[c.key]);
		void *value;

		T_CHECK_INT_EQ(rg_singleflight_do(&s->s, keys[c.key],
						  storm_make, &c, &value, NULL),
			       c.key);
		/* Never older than one that was under way when we came. */
		T_CHECK_INT_GE((intptr_t)value, before);
		T_CHECK_INT_LE((intptr_t)value, atomic_load(&s->made[c.key]));
	}
}

static void *storm_t(void *s)
{
	storm(s);
	return NULL;
}

static void storm_body(void *arg)
{
	struct storm s = {.made = {0}};
	int64_t live = alloc_live();
	pthread_t t[2];

	(void)arg;
	for (int i = 0; i < 2; i++)
		must_thread(&t[i], storm_t, &s);
	for (int i = 0; i < 20; i++)
		must_go(storm, &s);
	for (int i = 0; i < 2; i++)
		must_join(t[i]);
	wait_all();
	T_CHECK_PTR_EQ(s.s.calls_, NULL);
	/* The threads' records are freed with them. */
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK + 2);
}

static void singleflight_storm_never_doubles_a_call(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

static void memory_body(void *arg)
{
	struct world w = {.go_on = true};

	(void)arg;
	for (int i = 0; i < 2; i++) {
		alloc_fail_after(i);
		T_CHECK_INT_EQ(rg_singleflight_do(&w.s, "key", make_it, &w,
						  NULL, NULL),
			       -ENOMEM);
	}
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(atomic_load(&w.calls), 0);
	do_it(&w);
}

static void singleflight_lack_of_memory_is_reported(void **state)
{
	(void)state;
	run_both(memory_body, NULL);
}

/* ---- forget -------------------------------------------------------------------- */

static void forget_body(void *arg)
{
	struct world w = {0};

	(void)arg;
	rg_singleflight_forget(&w.s, "key"); /* nothing is under way */
	must_go(do_it, &w);
	WAIT_FOR(atomic_load(&w.calls) == 1);
	must_go(do_it, &w);
	WAIT_FOR(joined(&w) == 1);
	rg_singleflight_forget(&w.s, "other");
	T_CHECK_INT_EQ(joined(&w), 1);
	rg_singleflight_forget(&w.s, "key");
	T_CHECK_PTR_EQ(w.s.calls_, NULL);
	/* A call of its own, which others join. */
	must_go(do_it, &w);
	WAIT_FOR(atomic_load(&w.calls) == 2);
	must_go(do_it, &w);
	must_go(do_it, &w);
	WAIT_FOR(joined(&w) == 2);
	T_CHECK_INT_EQ(atomic_load(&w.results), 0);
	atomic_store(&w.go_on, true);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.calls), 2);
	T_CHECK_INT_EQ(atomic_load(&w.results), 5);
	T_CHECK_INT_EQ(atomic_load(&w.shared), 5);
	T_CHECK_PTR_EQ(w.s.calls_, NULL);
}

static void singleflight_forget_lets_a_new_call_start(void **state)
{
	(void)state;
	run_both(forget_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(singleflight_alone_calls_each_time),
		cmocka_unit_test(singleflight_duplicates_share_one_call),
		cmocka_unit_test(singleflight_exit_in_fn_releases_all),
		cmocka_unit_test(singleflight_keeps_defers_made_inside),
		cmocka_unit_test(singleflight_key_is_copied),
		cmocka_unit_test(singleflight_keys_do_not_mix),
		cmocka_unit_test(singleflight_storm_never_doubles_a_call),
		cmocka_unit_test(singleflight_lack_of_memory_is_reported),
		cmocka_unit_test(singleflight_forget_lets_a_new_call_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
