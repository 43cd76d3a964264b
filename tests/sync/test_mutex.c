// SPDX-License-Identifier: MIT
/*
 * test_mutex - the mutex: SEMANTICS 47 to 50; sync/mutex.c's I1 to I4 by storms,
 * among them owners that free the mutex they have just unlocked.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

#include "sched/sched.h"

/* ---- misuse ----------------------------------------------------------------- */

static void unlock_fresh(void *arg)
{
	rg_mutex m = {0};

	(void)arg;
	rg_mutex_unlock(&m);
}

static void unlock_twice(void *arg)
{
	rg_mutex m = {0};

	(void)arg;
	rg_mutex_lock(&m);
	rg_mutex_unlock(&m);
	rg_mutex_unlock(&m);
}

static void mutex_unlock_of_unlocked_panics(void **state)
{
	(void)state;
	abort_both(unlock_fresh, "unlock of unlocked mutex");
	abort_both(unlock_twice, "unlock of unlocked mutex");
}

/* ---- basics ------------------------------------------------------------------- */

static void unlock_it(void *m)
{
	rg_mutex_unlock(m);
}

static void other_body(void *arg)
{
	rg_mutex m = {0};

	(void)arg;
	for (int i = 0; i < 100; i++) {
		rg_mutex_lock(&m);
		must_go(unlock_it, &m);
	}
	rg_mutex_lock(&m);
	rg_mutex_unlock(&m);
	wait_all();
}

static void mutex_may_be_unlocked_by_another(void **state)
{
	(void)state;
	run_both(other_body, NULL);
}

static void try_body(void *arg)
{
	rg_mutex m = {0};

	(void)arg;
	T_CHECK(rg_mutex_try_lock(&m));
	T_CHECK(!rg_mutex_try_lock(&m));
	rg_mutex_unlock(&m);
	T_CHECK(rg_mutex_try_lock(&m));
	rg_mutex_unlock(&m);
	rg_mutex_lock(&m);
	T_CHECK(!rg_mutex_try_lock(&m));
	rg_mutex_unlock(&m);
	T_CHECK_INT_EQ(m.state_, 0);
}

static void mutex_try_lock_takes_only_a_free_one(void **state)
{
	(void)state;
	run_both(try_body, NULL);
}

/* ---- order, starvation ----------------------------------------------------------- */

static rg_mutex order_mutex;
static int order[32];
static _Atomic int norder;

static void lock_in_order(void *i)
{
	rg_mutex_lock(&order_mutex);
	order[atomic_fetch_add(&norder, 1)] = (int)(intptr_t)i;
	rg_mutex_unlock(&order_mutex);
}

static void order_body(void *arg)
{
	(void)arg;
	atomic_store(&norder, 0);
	rg_mutex_lock(&order_mutex);
	for (intptr_t i = 0; i < 20; i++) {
		must_go(lock_in_order, (void *)i);
		WAIT_FOR(parklot_count(&order_mutex) == (size_t)i + 1);
	}
	rg_mutex_unlock(&order_mutex);
	wait_all();
	rg_mutex_lock(&order_mutex);
	for (int i = 0; i < 20; i++)
		T_CHECK_INT_EQ(order[i], i);
	rg_mutex_unlock(&order_mutex);
	T_CHECK_INT_EQ(order_mutex.state_, 0);
}

static void mutex_waiters_get_it_in_order(void **state)
{
	(void)state;
	run_both(order_body, NULL);
}

struct hog {
	rg_mutex m;
	_Atomic bool stop;
};

/* Unlocks only to lock again at once, as in Go's TestMutexFairness. */
static void hog(void *arg)
{
	struct hog *h = arg;

	while (!atomic_load(&h->stop)) {
		rg_time until = rg_now() + 100 * RG_MICROSECOND;

		rg_mutex_lock(&h->m);
		while (rg_now() < until)
			continue;
		rg_mutex_unlock(&h->m);
		/* Without preemption, one P would never run another. */
		if (rg_gomaxprocs(0) == 1)
			rg_yield();
	}
}

static void fair_body(void *arg)
{
	struct hog h = {{0}, false};

	(void)arg;
	must_go(hog, &h);
	for (int i = 0; i < 10; i++) {
		rg_time t = rg_now();

		rg_sleep(100 * RG_MICROSECOND);
		rg_mutex_lock(&h.m);
		rg_mutex_unlock(&h.m);
		T_CHECK_INT_LT(rg_now() - t, 2 * RG_SECOND);
	}
	atomic_store(&h.stop, true);
	wait_all();
}

static void mutex_starving_waiter_gets_it(void **state)
{
	(void)state;
	run_both(fair_body, NULL);
}

struct handed {
	rg_mutex m;
	_Atomic bool woken, got;
};

static void wait_long(void *arg)
{
	struct handed *h = arg;

	rg_mutex_lock(&h->m);
	atomic_store(&h->got, true);
	T_CHECK(!rg_mutex_try_lock(&h->m));
	rg_mutex_unlock(&h->m);
}

/* By the clock that tells how long a goroutine has waited. */
static void yield_for(rg_duration d)
{
	rg_time until = sched_coarse_now() + d;

	while (sched_coarse_now() < until)
		rg_yield();
}

/* A waiter of more than 1 ms that lost the race once is given the mutex locked: no
 * try_lock can come between. Deterministic with one P, where we do not yield. */
static void hand_over_body(void *arg)
{
	struct handed h = {{0}, false, false};

	(void)arg;
	rg_mutex_lock(&h.m);
	must_go(wait_long, &h);
	WAIT_FOR(parklot_count(&h.m) == 1);
	yield_for(2 * RG_MILLISECOND);
	/* It is woken, but we take the mutex again before it runs. */
	rg_mutex_unlock(&h.m);
	rg_mutex_lock(&h.m);
	T_CHECK(!atomic_load(&h.got));
	WAIT_FOR(parklot_count(&h.m) == 1);
	/* Now it is handed over: never seen unlocked. */
	rg_mutex_unlock(&h.m);
	T_CHECK(!rg_mutex_try_lock(&h.m));
	wait_all();
	T_CHECK(atomic_load(&h.got));
	T_CHECK_INT_EQ(h.m.state_, 0);
}

static void mutex_waiter_of_1_ms_is_handed_the_mutex(void **state)
{
	(void)state;
	t_run_with(1, hand_over_body, NULL);
}

/* ---- storms ------------------------------------------------------------------------ */

enum { STORM_G = 200, STORM_N = 500, STORM_T = 3 };

struct storm {
	rg_mutex m;
	int64_t counter; /* under m */
	_Atomic int64_t tried;
	_Atomic int inside;
	bool yields;
};

static void storm(struct storm *s)
{
	for (int i = 0; i < STORM_N; i++) {
		if (i % 7 == 3) {
			if (!rg_mutex_try_lock(&s->m))
				continue;
			atomic_fetch_add(&s->tried, 1);
		} else {
			rg_mutex_lock(&s->m);
		}
		T_CHECK_INT_EQ(atomic_fetch_add(&s->inside, 1), 0);
		s->counter++;
		if (s->yields && i % 5 == 0)
			rg_yield();
		atomic_fetch_sub(&s->inside, 1);
		rg_mutex_unlock(&s->m);
	}
}

static void storm_g(void *s)
{
	storm(s);
}

static void *storm_t(void *s)
{
	storm(s);
	return NULL;
}

static void storm_with(bool yields, int threads)
{
	struct storm s = {.yields = yields};
	pthread_t t[STORM_T];
	int64_t tries = 0, want;

	for (int i = 0; i < STORM_N; i++)
		tries += i % 7 == 3;
	for (int i = 0; i < STORM_G; i++)
		must_go(storm_g, &s);
	for (int i = 0; i < threads; i++)
		must_thread(&t[i], storm_t, &s);
	for (int i = 0; i < threads; i++)
		must_join(t[i]);
	wait_all();
	want = (STORM_N - tries) * (STORM_G + threads) + atomic_load(&s.tried);
	T_CHECK_INT_EQ(s.counter, want);
	T_CHECK_INT_EQ(s.m.state_, 0);
	T_CHECK_INT_EQ(parklot_count(&s.m), 0);
}

static void storm_body(void *arg)
{
	(void)arg;
	storm_with(false, 0);
	storm_with(true, 0);
	storm_with(false, STORM_T);
	storm_with(true, STORM_T);
}

static void mutex_storm_excludes(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

/* Who comes last frees the object with its mutex, right after another's unlock. */
struct shared {
	rg_mutex m;
	int left; /* under m */
};

static void use_and_free(void *arg)
{
	struct shared *s = arg;
	bool is_last;

	rg_mutex_lock(&s->m);
	is_last = --s->left == 0;
	rg_mutex_unlock(&s->m);
	if (is_last) {
		memset(s, 0xa5, sizeof *s);
		free(s);
	}
}

static void free_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct shared *s = calloc(1, sizeof *s);

		T_CHECK(s != NULL);
		s->left = 4;
		rg_mutex_lock(&s->m);
		for (int j = 0; j < 4; j++)
			must_go(use_and_free, s);
		if (i % 2)
			rg_yield();
		rg_mutex_unlock(&s->m);
	}
	wait_all();
}

static void mutex_may_be_freed_by_the_last_to_unlock(void **state)
{
	(void)state;
	run_both(free_body, NULL);
}

/* Many mutexes: neighbours in a bucket do not disturb each other. */
enum { MANY = 20000 };

static void lock_one(void *arg)
{
	rg_mutex_lock(arg);
	rg_mutex_unlock(arg);
}

static void many_body(void *arg)
{
	rg_mutex *m = calloc(MANY, sizeof *m);
	size_t parked = 0;

	(void)arg;
	T_CHECK(m != NULL);
	for (int i = 0; i < MANY; i++) {
		rg_mutex_lock(&m[i]);
		must_go(lock_one, &m[i]);
		if (i % 3 == 0)
			must_go(lock_one, &m[i]);
	}
	for (int i = 0; i < MANY; i++)
		WAIT_FOR(parklot_count(&m[i]) == (i % 3 == 0 ? 2 : 1));
	for (int i = MANY - 1; i >= 0; i--)
		rg_mutex_unlock(&m[i]);
	wait_all();
	for (int i = 0; i < MANY; i++) {
		parked += parklot_count(&m[i]);
		T_CHECK_INT_EQ(m[i].state_, 0);
	}
	T_CHECK_INT_EQ(parked, 0);
	free(m);
}

static void mutex_many_at_once_do_not_mix(void **state)
{
	(void)state;
	run_both(many_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mutex_unlock_of_unlocked_panics),
		cmocka_unit_test(mutex_may_be_unlocked_by_another),
		cmocka_unit_test(mutex_try_lock_takes_only_a_free_one),
		cmocka_unit_test(mutex_waiters_get_it_in_order),
		cmocka_unit_test(mutex_starving_waiter_gets_it),
		cmocka_unit_test(mutex_waiter_of_1_ms_is_handed_the_mutex),
		cmocka_unit_test(mutex_storm_excludes),
		cmocka_unit_test(mutex_may_be_freed_by_the_last_to_unlock),
		cmocka_unit_test(mutex_many_at_once_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
