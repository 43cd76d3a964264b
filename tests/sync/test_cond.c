// SPDX-License-Identifier: MIT
/*
 * test_cond - conditions: SEMANTICS 57, with Go's TestCondSignal, -SignalGenerations,
 * -Broadcast, -SignalStealing and -Copy; no wake-up lost between the unlock and
 * the park; sync/cond.c's I1 to I3.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

struct world {
	rg_mutex m;
	rg_cond c;
	int value;  /* under m */
	int turn;   /* under m */
	int passed; /* under m */
	_Atomic int done;
	int order[128]; /* under m */
};

/* ---- signal and broadcast -------------------------------------------------------- */

static void wait_once(void *arg)
{
	struct world *w = arg;

	rg_mutex_lock(&w->m);
	rg_cond_wait(&w->c, &w->m);
	T_CHECK(!rg_mutex_try_lock(&w->m));
	w->passed++;
	rg_mutex_unlock(&w->m);
	atomic_fetch_add(&w->done, 1);
}

static void *wait_once_t(void *w)
{
	wait_once(w);
	return NULL;
}

static void signal_body(void *arg)
{
	struct world w = {.value = 0};

	(void)arg;
	/* Nobody waits: nothing is remembered. */
	rg_cond_signal(&w.c);
	rg_cond_broadcast(&w.c);
	for (int i = 0; i < 10; i++)
		must_go(wait_once, &w);
	WAIT_FOR(parklot_count(&w.c) == 10);
	for (int i = 1; i <= 10; i++) {
		rg_mutex_lock(&w.m);
		rg_cond_signal(&w.c);
		rg_mutex_unlock(&w.m);
		WAIT_FOR(atomic_load(&w.done) == i);
		T_CHECK_INT_EQ(parklot_count(&w.c), 10 - i);
	}
	wait_all();
	T_CHECK_INT_EQ(w.c.waiters_, 0);
}

static void cond_signal_wakes_one(void **state)
{
	(void)state;
	run_both(signal_body, NULL);
}

struct numbered {
	struct world *w;
	int i;
};

static void wait_numbered(void *arg)
{
	struct numbered *n = arg;
	struct world *w = n->w;

	rg_mutex_lock(&w->m);
	rg_cond_wait(&w->c, &w->m);
	w->order[w->passed++] = n->i;
	rg_mutex_unlock(&w->m);
	atomic_fetch_add(&w->done, 1);
}

/* Each signal is for who waits longest, also when others came in between. */
static void order_body(void *arg)
{
	struct world w = {.value = 0};
	struct numbered n[100];

	(void)arg;
	for (int i = 0; i < 100; i++) {
		size_t before = parklot_count(&w.c);

		n[i] = (struct numbered){&w, i};
		must_go(wait_numbered, &n[i]);
		WAIT_FOR(parklot_count(&w.c) == before + 1);
		if (i % 3 == 2) {
			rg_cond_signal(&w.c);
			WAIT_FOR(atomic_load(&w.done) == (i + 1) / 3);
		}
	}
	while (parklot_count(&w.c)) {
		int done = atomic_load(&w.done);

		rg_cond_signal(&w.c);
		WAIT_FOR(atomic_load(&w.done) == done + 1);
	}
	wait_all();
	for (int i = 0; i < 100; i++)
		T_CHECK_INT_EQ(w.order[i], i);
}

static void cond_signal_wakes_the_longest_waiter(void **state)
{
	(void)state;
	run_both(order_body, NULL);
}

static void broadcast_body(void *arg)
{
	struct world w = {.value = 0};
	pthread_t t[2];

	(void)arg;
	for (int round = 1; round <= 20; round++) {
		for (int i = 0; i < 2; i++)
			must_thread(&t[i], wait_once_t, &w);
		for (int i = 0; i < 50; i++)
			must_go(wait_once, &w);
		WAIT_FOR(parklot_count(&w.c) == 52);
		rg_mutex_lock(&w.m);
		rg_cond_broadcast(&w.c);
		T_CHECK_INT_EQ(parklot_count(&w.c), 0);
		rg_mutex_unlock(&w.m);
		for (int i = 0; i < 2; i++)
			must_join(t[i]);
		wait_all();
		T_CHECK_INT_EQ(atomic_load(&w.done), 52 * round);
	}
}

static void cond_broadcast_wakes_all(void **state)
{
	(void)state;
	run_both(broadcast_body, NULL);
}

/* Go's issue 14 in its cond test: who begins to wait after the signal must not get it. */
static void wait_value(void *arg)
{
	struct world *w = arg;

	rg_mutex_lock(&w->m);
	while (!w->value)
		rg_cond_wait(&w->c, &w->m);
	rg_mutex_unlock(&w->m);
	atomic_fetch_add(&w->done, 1);
}

static void stealing_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500; i++) {
		struct world w = {.value = 0};

		must_go(wait_once, &w);
		WAIT_FOR(parklot_count(&w.c) == 1);
		/* From here on a new waiter may come before the signal's end. */
		must_go(wait_value, &w);
		rg_cond_signal(&w.c);
		WAIT_FOR(atomic_load(&w.done) == 1);
		rg_mutex_lock(&w.m);
		w.value = 1;
		rg_cond_broadcast(&w.c);
		rg_mutex_unlock(&w.m);
		wait_all();
		T_CHECK_INT_EQ(atomic_load(&w.done), 2);
	}
}

static void cond_signal_is_not_stolen(void **state)
{
	(void)state;
	run_both(stealing_body, NULL);
}

/* ---- misuse -------------------------------------------------------------------- */

static void copied(void *arg)
{
	rg_cond c = {0}, other;

	(void)arg;
	rg_cond_signal(&c);
	other = c;
	rg_cond_signal(&other);
}

static void copied_wait(void *arg)
{
	rg_mutex m = {0};
	rg_cond c = {0}, other;

	(void)arg;
	rg_cond_broadcast(&c);
	other = c;
	rg_mutex_lock(&m);
	rg_cond_wait(&other, &m);
}

static void without_mutex(void *arg)
{
	rg_mutex m = {0};
	rg_cond c = {0};

	(void)arg;
	rg_cond_wait(&c, &m);
}

static void cond_misuse_panics(void **state)
{
	(void)state;
	abort_both(copied, "sync.Cond is copied");
	abort_both(copied_wait, "sync.Cond is copied");
	abort_both(without_mutex, "unlock of unlocked mutex");
}

/* ---- nothing is lost ------------------------------------------------------------ */

enum { TURNS = 10000 };

/* Two players: each wakes the other and waits; a lost wake-up ends it all. */
static void play(struct world *w, int me)
{
	rg_mutex_lock(&w->m);
	for (int i = 0; i < TURNS; i++) {
		while (w->turn != me)
			rg_cond_wait(&w->c, &w->m);
		w->turn = !me;
		w->value++;
		rg_cond_signal(&w->c);
	}
	rg_mutex_unlock(&w->m);
}

static void play_0(void *w)
{
	play(w, 0);
}

static void play_1(void *w)
{
	play(w, 1);
}

static void *play_1_t(void *w)
{
	play(w, 1);
	return NULL;
}

static void turns_body(void *arg)
{
	struct world w = {.turn = 0};
	pthread_t t;

	must_go(play_0, &w);
	if (arg) {
		must_thread(&t, play_1_t, &w);
		must_join(t);
	} else {
		must_go(play_1, &w);
	}
	wait_all();
	T_CHECK_INT_EQ(w.value, 2 * TURNS);
}

static void cond_no_wakeup_is_lost_between_unlock_and_park(void **state)
{
	(void)state;
	run_both(turns_body, NULL);
	run_both(turns_body, (void *)1);
}

/* Tickets are handed out one by one: each signal wakes exactly one. */
enum { CONSUMERS = 40, ITEMS = 400 };

static void consume(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < ITEMS; i++) {
		rg_mutex_lock(&w->m);
		while (!w->value)
			rg_cond_wait(&w->c, &w->m);
		w->value--;
		rg_mutex_unlock(&w->m);
	}
	atomic_fetch_add(&w->done, 1);
}

static void *consume_t(void *w)
{
	consume(w);
	return NULL;
}

static void produce_body(void *arg)
{
	struct world w = {.value = 0};
	pthread_t t;

	(void)arg;
	must_thread(&t, consume_t, &w);
	for (int i = 1; i < CONSUMERS; i++)
		must_go(consume, &w);
	for (int i = 0; i < CONSUMERS * ITEMS; i++) {
		rg_mutex_lock(&w.m);
		w.value++;
		rg_mutex_unlock(&w.m);
		rg_cond_signal(&w.c);
		if (i % 16 == 0)
			rg_yield();
	}
	must_join(t);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&w.done), CONSUMERS);
	T_CHECK_INT_EQ(w.value, 0);
	T_CHECK_INT_EQ(parklot_count(&w.c), 0);
}

static void cond_each_signal_wakes_one_consumer(void **state)
{
	(void)state;
	run_both(produce_body, NULL);
}

/* The one who was woken frees it all. */
static void wait_and_free(void *arg)
{
	struct world *w = arg;

	rg_mutex_lock(&w->m);
	while (!w->value)
		rg_cond_wait(&w->c, &w->m);
	rg_mutex_unlock(&w->m);
	memset(w, 0xa5, sizeof *w);
	free(w);
}

static void free_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct world *w = calloc(1, sizeof *w);

		T_CHECK(w != NULL);
		must_go(wait_and_free, w);
		if (i % 2)
			rg_yield();
		rg_mutex_lock(&w->m);
		w->value = 1;
		rg_cond_signal(&w->c);
		rg_mutex_unlock(&w->m);
	}
	wait_all();
}

static void cond_may_be_freed_by_who_was_woken(void **state)
{
	(void)state;
	run_both(free_body, NULL);
}

/* ---- the end of a runtime --------------------------------------------------------- */

static void never_returns(void *arg)
{
	struct world *w = arg;

	rg_mutex_lock(&w->m);
	rg_cond_wait(&w->c, &w->m);
	T_FAIL("a goroutine of a runtime that ended was woken");
}

static void abandons(void *arg)
{
	struct world *w = arg;

	for (int i = 0; i < 3; i++)
		must_go_forever(never_returns, w);
	WAIT_FOR(parklot_count(&w->c) == 3);
	/* All have parked: the last one unlocked it. */
	rg_mutex_lock(&w->m);
	rg_mutex_unlock(&w->m);
	rg_yield();
}

static void goes_on(void *arg)
{
	struct world *w = arg;

	rg_cond_signal(&w->c);
	T_CHECK_INT_EQ(w->c.waiters_, 0);
	must_go(wait_once, w);
	WAIT_FOR(parklot_count(&w->c) == 1);
	rg_cond_signal(&w->c);
	wait_all();
	T_CHECK_INT_EQ(w->passed, 1);
}

static void cond_waiters_are_forgotten_with_their_runtime(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 2; procs++) {
		struct world w = {.value = 0};

		t_run_with(procs, abandons, &w);
		T_CHECK_INT_EQ(parklot_count(&w.c), 0);
		t_run_with(procs, goes_on, &w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cond_signal_wakes_one),
		cmocka_unit_test(cond_signal_wakes_the_longest_waiter),
		cmocka_unit_test(cond_broadcast_wakes_all),
		cmocka_unit_test(cond_signal_is_not_stolen),
		cmocka_unit_test(cond_misuse_panics),
		cmocka_unit_test(
			cond_no_wakeup_is_lost_between_unlock_and_park),
		cmocka_unit_test(cond_each_signal_wakes_one_consumer),
		cmocka_unit_test(cond_may_be_freed_by_who_was_woken),
		cmocka_unit_test(cond_waiters_are_forgotten_with_their_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
