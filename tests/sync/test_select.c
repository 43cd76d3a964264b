// SPDX-License-Identifier: MIT
/*
 * test_select - select: SEMANTICS 4.2, and I1 to I3 of sync/select.c.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

static rg_chan *make_int(size_t capacity)
{
	rg_chan *c = rg_make(int64_t, capacity);

	T_CHECK(c != NULL);
	return c;
}

struct pair {
	rg_chan *a, *b;
	int64_t n;
};

static void go_pair(void (*fn)(void *arg), rg_chan *a, rg_chan *b, int64_t n)
{
	struct pair p = {a, b, n};

	T_CHECK_INT_EQ(rg_go_copy(fn, &p, sizeof p), 0);
}

/* ---- choice ------------------------------------------------------------------ */

/* Chi-square of k equally likely outcomes: 99.99 % of runs stay below this. */
static bool is_uniform(const int *count, int k, int total)
{
	static const double limit[] = {0, 0, 15.2, 18.5, 21.2, 23.6};
	double want = (double)total / k, chi = 0;

	for (int i = 0; i < k; i++)
		chi += (count[i] - want) * (count[i] - want) / want;
	return chi < limit[k];
}

static void fair_body(void *arg)
{
	rg_chan *c[6];
	int count[5] = {0};
	int64_t v;

	(void)arg;
	for (int i = 0; i < 6; i++)
		c[i] = make_int(1);
	rg_case cases[] = {RG_RECV(c[0], &v), RG_RECV(NULL, &v),
			   RG_RECV(c[1], &v), RG_RECV(c[5], &v),
			   RG_RECV(c[2], &v)};
	for (int i = 0; i < 3; i++)
		rg_send(c[i], (int64_t)i);
	for (int i = 0; i < 30000; i++) {
		int which = rg_select(cases, 5);

		T_CHECK(cases[which].ok);
		T_CHECK_PTR_EQ(cases[which].chan_, c[v]);
		count[v]++;
		rg_send(c[v], v);
	}
	T_CHECK(is_uniform(count, 3, 30000));
	for (int i = 0; i < 6; i++)
		rg_chan_unref(c[i]);
}

static void select_chooses_uniformly_among_ready_cases(void **state)
{
	(void)state;
	run_both(fair_body, NULL);
}

/* More than 64 cases take another way to draw. */
static void fair_many_body(void *arg)
{
	enum { N = 200 };
	rg_chan *c = make_int(1), *never = make_int(0);
	rg_case *cases = calloc(N, sizeof *cases);
	int count[4] = {0};
	int64_t v = 0;

	(void)arg;
	T_CHECK(cases != NULL);
	for (int i = 0; i < N; i++)
		cases[i] = (rg_case)RG_RECV(i % 50 == 7 ? c : never, &v);
	for (int i = 0; i < 8000; i++) {
		rg_send(c, (int64_t)1);
		int which = rg_select(cases, N);

		T_CHECK_INT_EQ(which % 50, 7);
		count[which / 50]++;
	}
	T_CHECK(is_uniform(count, 4, 8000));
	free(cases);
	rg_chan_unref(c);
	rg_chan_unref(never);
}

static void select_of_many_chooses_uniformly(void **state)
{
	(void)state;
	run_both(fair_many_body, NULL);
}

static void try_body(void *arg)
{
	rg_chan *a = make_int(1), *b = make_int(1);
	int64_t v = 3, w = 0;
	rg_case cases[] = {RG_RECV(a, &w), RG_SEND(b, &v), RG_RECV(NULL, &w),
			   RG_SEND(NULL, &v)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_try(cases, 0), -EAGAIN);
	T_CHECK_INT_EQ(rg_select_try(cases, 1), -EAGAIN);
	T_CHECK_INT_EQ(rg_select_try(cases, 2), 1);
	T_CHECK(cases[1].ok);
	T_CHECK_INT_EQ(rg_select_try(cases, 4), -EAGAIN);
	T_CHECK_INT_EQ(rg_select_try(cases + 2, 2), -EAGAIN);
	rg_send(a, (int64_t)9);
	T_CHECK_INT_EQ(rg_select_try(cases, 4), 0);
	T_CHECK_INT_EQ(w, 9);
	T_CHECK(rg_recv(b, &w));
	T_CHECK_INT_EQ(w, 3);
	rg_chan_close(a);
	T_CHECK_INT_EQ(rg_select_try(cases, 1), 0);
	T_CHECK(!cases[0].ok);
	T_CHECK_INT_EQ(w, 0);
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void select_try_takes_only_what_is_ready(void **state)
{
	(void)state;
	run_both(try_body, NULL);
}

/* ---- never, deadlines ---------------------------------------------------------- */

static struct g *_Atomic parked_g;

static void select_none(void *arg)
{
	int64_t v;
	rg_case cases[] = {RG_RECV(NULL, &v), RG_SEND(NULL, &v)};

	atomic_store(&parked_g, getg());
	rg_select(cases, arg ? 2 : 0);
	T_FAIL("a select without channels returned");
}

static void stays_parked(enum wait_reason reason)
{
	struct g *gp;

	WAIT_FOR((gp = atomic_load(&parked_g)) && g_state(gp) == G_WAITING &&
		 gp->wait_reason == reason);
	for (int i = 0; i < 1000; i++)
		rg_yield();
	T_CHECK_INT_EQ(g_state(gp), G_WAITING);
	atomic_store(&parked_g, NULL);
}

static void none_body(void *arg)
{
	rg_time t = rg_now();
	rg_case nothing = RG_RECV(NULL, NULL);

	(void)arg;
	must_go_forever(select_none, NULL);
	stays_parked(WAIT_SELECT_NONE);
	must_go_forever(select_none, (void *)1);
	stays_parked(WAIT_SELECT);
	T_CHECK_INT_EQ(rg_select_until(&nothing, 1, t + 2 * RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_select_until(NULL, 0, rg_now() + RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_GE(rg_now() - t, 3 * RG_MILLISECOND);
}

static void select_of_nothing_parks_for_ever(void **state)
{
	(void)state;
	run_both(none_body, NULL);
}

static void send_later(void *arg)
{
	struct pair *p = arg;

	WAIT_FOR(receivers(p->a) == 1);
	rg_send(p->a, p->n);
}

static void until_body(void *arg)
{
	rg_chan *a = make_int(0), *b = make_int(1);
	int64_t v = 0;
	rg_case cases[] = {RG_RECV(a, &v), RG_RECV(b, &v)};
	rg_time t = rg_now();

	(void)arg;
	T_CHECK_INT_EQ(rg_select_until(cases, 2, t + 5 * RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_GE(rg_now() - t, 5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(receivers(a) + receivers(b), 0);
	T_CHECK_INT_EQ(rg_select_until(cases, 2, 0), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_select_until(cases, 2, -5), -ETIMEDOUT);
	/* What is ready wins over a deadline that has passed. */
	rg_send(b, (int64_t)4);
	T_CHECK_INT_EQ(rg_select_until(cases, 2, t), 1);
	T_CHECK_INT_EQ(v, 4);
	go_pair(send_later, a, NULL, 6);
	T_CHECK_INT_EQ(rg_select_until(cases, 2, rg_now() + WAIT_MAX), 0);
	T_CHECK_INT_EQ(v, 6);
	go_pair(send_later, a, NULL, 7);
	T_CHECK_INT_EQ(rg_select_until(cases, 2, RG_FOREVER), 0);
	T_CHECK_INT_EQ(v, 7);
	wait_all();
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void select_until_ends_at_the_deadline(void **state)
{
	(void)state;
	run_both(until_body, NULL);
}

static void send_n(void *arg)
{
	struct pair *p = arg;

	for (int64_t i = 1; i <= p->n; i++) {
		rg_send(p->a, i);
		if (i % 16 == 0)
			rg_sleep(50 * RG_MICROSECOND);
	}
	rg_chan_close(p->a);
	rg_chan_unref(p->a);
}

/* Deadlines and values race; no value may get lost. */
static void until_race_body(void *arg)
{
	rg_chan *a = make_int(arg ? 2 : 0);
	int64_t v = 0, last = 0;
	int timeouts = 0, i;
	rg_case cases[] = {RG_RECV(a, &v), RG_RECV(NULL, NULL)};

	go_pair(send_n, rg_chan_ref(a), NULL, 3000);
	for (;;) {
		i = rg_select_until(cases, 2, rg_now() + 20 * RG_MICROSECOND);
		if (i == -ETIMEDOUT) {
			timeouts++;
			continue;
		}
		T_CHECK_INT_EQ(i, 0);
		if (!cases[0].ok)
			break;
		T_CHECK_INT_EQ(v, last + 1);
		last = v;
	}
	T_CHECK_INT_EQ(last, 3000);
	T_CHECK_INT_GT(timeouts, 0);
	rg_chan_unref(a);
}

static void select_deadline_loses_no_value(void **state)
{
	(void)state;
	run_both(until_race_body, NULL);
	run_both(until_race_body, (void *)1);
}

/* ---- parked selects --------------------------------------------------------------- */

static _Atomic int fired;

static void select_two(void *arg)
{
	struct pair *p = arg;
	int64_t v = 0;
	rg_case cases[] = {RG_RECV(p->a, &v), RG_RECV(p->b, &v)};
	int i = rg_select(cases, 2);

	T_CHECK(cases[i].ok);
	T_CHECK_INT_EQ(v, 10 + i);
	atomic_fetch_add(&fired, 1);
}

static void wakes_body(void *arg)
{
	rg_chan *c[2] = {make_int(0), make_int(0)};

	(void)arg;
	for (int64_t i = 0; i < 2; i++) {
		atomic_store(&fired, 0);
		go_pair(select_two, c[0], c[1], 0);
		WAIT_FOR(receivers(c[0]) == 1 && receivers(c[1]) == 1);
		rg_send(c[i], 10 + i);
		wait_all();
		T_CHECK_INT_EQ(atomic_load(&fired), 1);
		T_CHECK_INT_EQ(receivers(c[0]) + receivers(c[1]), 0);
	}
	rg_chan_unref(c[0]);
	rg_chan_unref(c[1]);
}

static void select_parked_is_woken_and_leaves_the_others(void **state)
{
	(void)state;
	run_both(wakes_body, NULL);
}

/* Two channels become ready at once: one value is taken, the other stays. */
static void select_for(void *arg)
{
	struct pair *p = arg;
	int64_t v;
	rg_case cases[] = {RG_RECV(p->a, &v), RG_RECV(p->b, &v)};

	for (int64_t i = 0; i < p->n; i++) {
		rg_select(cases, 2);
		atomic_fetch_add(&fired, 1);
	}
	rg_chan_unref(p->a);
	rg_chan_unref(p->b);
}

static void send_for(void *arg)
{
	struct pair *p = arg;

	for (int64_t i = 0; i < p->n; i++)
		rg_send(p->a, i);
	rg_chan_unref(p->a);
}

static void double_body(void *arg)
{
	rg_chan *a = make_int(0), *b = make_int(0);

	(void)arg;
	atomic_store(&fired, 0);
	go_pair(send_for, rg_chan_ref(a), NULL, 20000);
	go_pair(send_for, rg_chan_ref(b), NULL, 20000);
	for (int i = 0; i < 4; i++)
		go_pair(select_for, rg_chan_ref(a), rg_chan_ref(b), 10000);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&fired), 40000);
	T_CHECK_INT_EQ(receivers(a) + receivers(b), 0);
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void select_fires_exactly_one_case(void **state)
{
	(void)state;
	run_both(double_body, NULL);
}

static void self_select(void *arg)
{
	struct pair *p = arg;

	for (int64_t i = 0; i < 2000; i++) {
		int64_t out = p->n, in = -1;
		rg_case cases[] = {RG_SEND(p->a, &out), RG_RECV(p->a, &in),
				   RG_SEND(p->a, &out), RG_RECV(p->a, &in)};
		int which = rg_select(cases, 4);

		if (which % 2) {
			T_CHECK(cases[which].ok);
			/* Buffered, its own value may come back. */
			if (rg_chan_cap(p->a) == 0)
				T_CHECK_INT_EQ(in, 1 - p->n);
		}
	}
	atomic_fetch_add(&fired, 1);
	/* The other may be in want of a partner still. */
	while (atomic_load(&fired) < 2) {
		int64_t v = p->n;
		rg_case cases[] = {RG_SEND(p->a, &v), RG_RECV(p->a, NULL)};

		rg_select_try(cases, 2);
		rg_yield();
	}
	rg_chan_unref(p->a);
}

static void self_body(void *arg)
{
	rg_chan *c = make_int(arg ? 10 : 0);

	atomic_store(&fired, 0);
	go_pair(self_select, rg_chan_ref(c), NULL, 0);
	go_pair(self_select, rg_chan_ref(c), NULL, 1);
	wait_all();
	T_CHECK_INT_EQ(receivers(c) + senders(c), 0);
	rg_chan_unref(c);
}

static void select_on_one_channel_both_ways_meets_others_only(void **state)
{
	(void)state;
	run_both(self_body, NULL);
	run_both(self_body, (void *)1);
}

/* ---- closed ------------------------------------------------------------------------- */

static void select_send(void *arg)
{
	struct pair *p = arg;
	int64_t v = 1;
	rg_case cases[] = {RG_SEND(p->a, &v), RG_RECV(p->b, &v)};

	rg_select(cases, 2);
}

static void send_closed(void *arg)
{
	rg_chan *a = make_int(0);
	int64_t v = 1;
	rg_case cases[] = {RG_SEND(a, &v), RG_RECV(NULL, &v)};

	rg_chan_close(a);
	if (arg)
		rg_select_try(cases, 2);
	else
		rg_select(cases, 2);
}

static void send_closing(void *arg)
{
	rg_chan *a = make_int(0), *b = make_int(0);

	(void)arg;
	go_pair(select_send, a, b, 0);
	WAIT_FOR(senders(a) == 1);
	rg_chan_close(a);
	WAIT_FOR(false);
}

static void select_send_on_closed_panics(void **state)
{
	(void)state;
	abort_both(send_closed, "send on closed channel");
	abort_both(send_closing, "send on closed channel");
}

static void closed_recv(void *arg)
{
	struct pair *p = arg;
	int64_t v = 5, w = 6;
	rg_case cases[] = {RG_RECV(p->a, &v), RG_RECV(p->b, &w)};

	T_CHECK_INT_EQ(rg_select(cases, 2), 0);
	T_CHECK(!cases[0].ok);
	T_CHECK_INT_EQ(v, 0);
	T_CHECK_INT_EQ(w, 6);
	atomic_fetch_add(&fired, 1);
}

static void closed_body(void *arg)
{
	rg_chan *a = make_int(0), *b = make_int(0);

	(void)arg;
	atomic_store(&fired, 0);
	for (int i = 0; i < 5; i++)
		go_pair(closed_recv, a, b, 0);
	WAIT_FOR(receivers(a) == 5 && receivers(b) == 5);
	rg_chan_close(a);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&fired), 5);
	T_CHECK_INT_EQ(receivers(b), 0);
	go_pair(closed_recv, a, b, 0);
	wait_all();
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void select_recv_on_closed_is_ready(void **state)
{
	(void)state;
	run_both(closed_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(select_chooses_uniformly_among_ready_cases),
		cmocka_unit_test(select_of_many_chooses_uniformly),
		cmocka_unit_test(select_try_takes_only_what_is_ready),
		cmocka_unit_test(select_of_nothing_parks_for_ever),
		cmocka_unit_test(select_until_ends_at_the_deadline),
		cmocka_unit_test(select_deadline_loses_no_value),
		cmocka_unit_test(select_parked_is_woken_and_leaves_the_others),
		cmocka_unit_test(select_fires_exactly_one_case),
		cmocka_unit_test(
			select_on_one_channel_both_ways_meets_others_only),
		cmocka_unit_test(select_send_on_closed_panics),
		cmocka_unit_test(select_recv_on_closed_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
