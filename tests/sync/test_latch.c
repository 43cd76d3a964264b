// SPDX-License-Identifier: MIT
/*
 * test_latch - latches and barriers: I1 and I2 of sync/latch.c, I1 to I3 of
 * sync/barrier.c.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

#include "kernel-iface/alloc.h"

/* ---- latches ------------------------------------------------------------------ */

struct door {
	rg_latch l;
	rg_waitgroup w;
	int effects[8]; /* not atomic: ordered by the latch */
	_Atomic int opened, next, passed;
};

static void pass_g(void *arg)
{
	struct door *d = arg;

	rg_latch_wait(&d->l);
	for (int i = 0; i < 8; i++)
		T_CHECK_INT_EQ(d->effects[i], i + 1);
	d->passed++;
}

static void knock_g(void *arg)
{
	struct door *d = arg;
	int i = d->next++;

	d->effects[i] = i + 1;
	if (rg_latch_count_down(&d->l))
		d->opened++;
}

static void opens_body(void *arg)
{
	struct door d = {.passed = 0};

	(void)arg;
	rg_latch_init(&d.l, 8);
	for (int i = 0; i < 5; i++)
		rg_waitgroup_go(&d.w, pass_g, &d);
	WAIT_FOR(parklot_count(&d.l) == 5);
	for (int i = 0; i < 7; i++)
		knock_g(&d);
	T_CHECK(!rg_latch_is_open(&d.l));
	T_CHECK_INT_EQ(parklot_count(&d.l), 5);
	knock_g(&d);
	rg_waitgroup_wait(&d.w);
	T_CHECK_INT_EQ(d.passed, 5);
	T_CHECK_INT_EQ(d.opened, 1);
}

static void latch_opens_at_zero_for_all_who_wait(void **state)
{
	(void)state;
	run_both(opens_body, NULL);
}

static void stays_open_body(void *arg)
{
	rg_latch l, zero = {0};

	(void)arg;
	T_CHECK(rg_latch_is_open(&zero));
	rg_latch_wait(&zero);
	rg_latch_init(&l, 0);
	T_CHECK(rg_latch_is_open(&l));
	rg_latch_init(&l, 1);
	T_CHECK(rg_latch_count_down(&l));
	for (int i = 0; i < 3; i++) {
		T_CHECK(!rg_latch_count_down(&l));
		T_CHECK(rg_latch_is_open(&l));
		rg_latch_wait(&l);
	}
}

static void latch_that_is_open_stays_open(void **state)
{
	(void)state;
	run_both(stays_open_body, NULL);
}

static void *knock_thread(void *arg)
{
	struct door *d = arg;

	rg_latch_wait(&d[1].l);
	knock_g(d);
	return NULL;
}

static void storm_body(void *arg)
{
	(void)arg;
	for (int round = 0; round < 300; round++) {
		struct door *d = rgk_zalloc(2 * sizeof *d);
		pthread_t thread;

		T_CHECK(d != NULL);
		rg_latch_init(&d[0].l, 8);
		rg_latch_init(&d[1].l, 1);
		T_CHECK_INT_EQ(pthread_create(&thread, NULL, knock_thread, d),
			       0);
		for (int i = 0; i < 7; i++) {
			rg_waitgroup_go(&d->w, knock_g, d);
			rg_waitgroup_go(&d->w, pass_g, d);
		}
		rg_latch_count_down(&d[1].l);
		pass_g(d);
		rg_waitgroup_wait(&d->w);
		T_CHECK_INT_EQ(pthread_join(thread, NULL), 0);
		T_CHECK_INT_EQ(d->opened, 1);
		T_CHECK_INT_EQ(d->passed, 8);
		rgk_free(d);
	}
}

static void latch_storm_opens_once_and_orders_all(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

/* Freed by who came through: who opened it does not look at it again (I2). */
struct lone {
	rg_latch l;
};

static void open_g(void *arg)
{
	T_CHECK(rg_latch_count_down(arg));
}

static void freed_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct lone *o = rgk_alloc(sizeof *o);

		T_CHECK(o != NULL);
		rg_latch_init(&o->l, 1);
		T_CHECK_INT_EQ(rg_go(open_g, &o->l), 0);
		rg_latch_wait(&o->l);
		memset(o, 0xa5, sizeof *o);
		rgk_free(o);
	}
	t_wait_goroutines(1);
}

static void latch_may_be_freed_by_who_was_woken(void **state)
{
	(void)state;
	run_both(freed_body, NULL);
}

/* ---- barriers ------------------------------------------------------------------ */

enum { PARTIES = 5, ROUNDS = 400 };

struct crowd {
	rg_barrier b;
	rg_waitgroup w;
	int step[PARTIES]; /* not atomic: ordered by the barrier */
	_Atomic int next, lasts;
};

static void march(struct crowd *c, int me, int rounds)
{
	for (int r = 0; r < rounds; r++) {
		c->step[me]++;
		if (rg_barrier_wait(&c->b))
			c->lasts++;
		for (int i = 0; i < PARTIES; i++)
			T_CHECK_INT_EQ(c->step[i], r + 1);
		if (rg_barrier_wait(&c->b))
			c->lasts++;
	}
}

static void march_g(void *arg)
{
	struct crowd *c = arg;

	march(c, c->next++, ROUNDS);
}

static void *march_thread(void *arg)
{
	march_g(arg);
	return NULL;
}

static void rounds_body(void *arg)
{
	struct crowd c = {.next = 0};
	pthread_t thread;

	(void)arg;
	rg_barrier_init(&c.b, PARTIES);
	T_CHECK_INT_EQ(pthread_create(&thread, NULL, march_thread, &c), 0);
	for (int i = 0; i < PARTIES - 1; i++)
		rg_waitgroup_go(&c.w, march_g, &c);
	rg_waitgroup_wait(&c.w);
	T_CHECK_INT_EQ(pthread_join(thread, NULL), 0);
	T_CHECK_INT_EQ(c.lasts, 2 * ROUNDS);
}

static void barrier_nobody_is_a_round_ahead(void **state)
{
	(void)state;
	run_both(rounds_body, NULL);
}

static void alone_body(void *arg)
{
	rg_barrier b;

	(void)arg;
	rg_barrier_init(&b, 1);
	for (int i = 0; i < 3; i++)
		T_CHECK(rg_barrier_wait(&b));
}

static void barrier_of_one_does_not_wait(void **state)
{
	(void)state;
	run_both(alone_body, NULL);
}

static void wait_g(void *arg)
{
	struct crowd *c = arg;

	if (rg_barrier_wait(&c->b))
		c->lasts++;
	c->next++;
}

/* Ten callers of a barrier of three: three rounds, and one is left. */
static void more_body(void *arg)
{
	struct crowd c = {.next = 0};

	(void)arg;
	rg_barrier_init(&c.b, 3);
	for (int i = 0; i < 10; i++)
		rg_waitgroup_go(&c.w, wait_g, &c);
	WAIT_FOR(c.next == 9 && parklot_count(&c.b) == 1);
	T_CHECK_INT_EQ(c.lasts, 3);
	rg_barrier_leave(&c.b);
	T_CHECK_INT_EQ(parklot_count(&c.b), 1);
	rg_barrier_leave(&c.b);
	rg_waitgroup_wait(&c.w);
	T_CHECK_INT_EQ(c.next, 10);
	T_CHECK_INT_EQ(c.lasts, 3);
}

static void barrier_of_too_many_makes_further_rounds(void **state)
{
	(void)state;
	run_both(more_body, NULL);
}

static void leave_after(void *arg)
{
	struct crowd *c = arg;
	int rounds = c->next++ * 7;

	for (int r = 0; r < rounds; r++)
		rg_barrier_wait(&c->b);
	rg_barrier_leave(&c->b);
}

/* Each leaves after rounds of its own: nobody is stuck, however they mix. */
static void leave_body(void *arg)
{
	(void)arg;
	for (int round = 0; round < 100; round++) {
		struct crowd c = {.next = 0};

		rg_barrier_init(&c.b, PARTIES);
		for (int i = 0; i < PARTIES; i++)
			rg_waitgroup_go(&c.w, leave_after, &c);
		rg_waitgroup_wait(&c.w);
		T_CHECK_INT_EQ(c.b.parties_, 0);
		T_CHECK_INT_EQ(c.b.waiting_, 0);
	}
}

static void barrier_party_that_leaves_is_not_waited_for(void **state)
{
	(void)state;
	run_both(leave_body, NULL);
}

static void of_none(void *arg)
{
	rg_barrier b;

	(void)arg;
	rg_barrier_init(&b, 0);
}

static void wait_without_parties(void *arg)
{
	rg_barrier b = {0};

	(void)arg;
	rg_barrier_wait(&b);
}

static void leave_twice(void *arg)
{
	rg_barrier b;

	(void)arg;
	rg_barrier_init(&b, 1);
	rg_barrier_leave(&b);
	rg_barrier_leave(&b);
}

static void barrier_misuse_panics(void **state)
{
	(void)state;
	abort_both(of_none, "a barrier of 0 parties");
	abort_both(wait_without_parties, "wait at a barrier without parties");
	abort_both(leave_twice, "leave of a barrier without parties");
}

/* ---- in a bubble ------------------------------------------------------------------ */

static void late_knock(void *arg)
{
	struct crowd *c = arg;

	rg_sleep(RG_HOUR);
	rg_barrier_wait(&c->b);
}

static void bubble_main(void *arg)
{
	struct crowd c = {.next = 0};
	rg_time start = rg_now();
	rg_timer *t;
	rg_latch l;

	(void)arg;
	rg_barrier_init(&c.b, 2);
	rg_latch_init(&l, 1);
	T_CHECK_INT_EQ(rg_go(late_knock, &c), 0);
	rg_barrier_wait(&c.b);
	T_CHECK_INT_EQ(rg_now() - start, RG_HOUR);
	t = rg_after_func(RG_HOUR, open_g, &l);
	T_CHECK(t != NULL);
	rg_latch_wait(&l);
	rg_timer_free(t);
	T_CHECK_INT_EQ(rg_now() - start, 2 * RG_HOUR);
}

static void bubble_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_synctest_run(bubble_main, NULL), 0);
}

static rg_latch stray;

static void make_stray(void *arg)
{
	(void)arg;
	rg_latch_init(&stray, 1);
}

static void knock_from_outside(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_synctest_run(make_stray, NULL), 0);
	rg_latch_count_down(&stray);
}

static void latch_and_barrier_of_a_bubble_block_durably(void **state)
{
	(void)state;
	run_both(bubble_body, NULL);
	abort_both(knock_from_outside,
		   "count down of synctest latch from outside bubble");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latch_opens_at_zero_for_all_who_wait),
		cmocka_unit_test(latch_that_is_open_stays_open),
		cmocka_unit_test(latch_storm_opens_once_and_orders_all),
		cmocka_unit_test(latch_may_be_freed_by_who_was_woken),
		cmocka_unit_test(barrier_nobody_is_a_round_ahead),
		cmocka_unit_test(barrier_of_one_does_not_wait),
		cmocka_unit_test(barrier_of_too_many_makes_further_rounds),
		cmocka_unit_test(barrier_party_that_leaves_is_not_waited_for),
		cmocka_unit_test(barrier_misuse_panics),
		cmocka_unit_test(latch_and_barrier_of_a_bubble_block_durably),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
