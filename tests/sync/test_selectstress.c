// SPDX-License-Identifier: MIT
/*
 * test_selectstress - select under races, with many cases, and in storms: SEMANTICS
 * 9, 22, 23, 25 and 27.
 */
#include "tests/sync/synctest.h"

#include <stdlib.h>

#include "kernel-iface/alloc.h"

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

/* ---- races ------------------------------------------------------------------------------ */

static void try_must_find(void *arg)
{
	struct pair *p = arg;
	int64_t v;
	rg_case cases[] = {RG_RECV(p->a, &v), RG_RECV(p->b, &v)};

	T_CHECK_INT_GE(rg_select_try(cases, 2), 0);
	rg_send((rg_chan *)(uintptr_t)p->n, (int64_t)1);
}

/* Go's TestNonblockSelectRace: at every moment one of the two is ready. */
static void nonblock_body(void *arg)
{
	rg_chan *done = make_int(1);
	int64_t v;

	for (int i = 0; i < 20000; i++) {
		rg_chan *a = make_int(1), *b = make_int(arg ? 0 : 1);

		rg_send(a, (int64_t)1);
		go_pair(try_must_find, a, b, (int64_t)(uintptr_t)done);
		/* Race2: it is the closing that makes b ready. */
		if (arg)
			rg_chan_close(b);
		else
			rg_send(b, (int64_t)1);
		rg_chan_try_recv(a, &v);
		T_CHECK(rg_recv(done, &v));
		rg_chan_unref(a);
		rg_chan_unref(b);
	}
	rg_chan_unref(done);
}

static void select_try_never_misses_what_is_ready(void **state)
{
	(void)state;
	run_both(nonblock_body, NULL);
	run_both(nonblock_body, (void *)1);
}

/* Selects over the same channels in opposite orders. */
static void opposite(void *arg)
{
	struct pair *p = arg;
	int64_t v = 0;
	rg_case cases[] = {RG_RECV(p->a, &v), RG_SEND(p->b, &v)};

	for (int64_t i = 0; i < 5000; i++)
		rg_select(cases, 2);
	rg_chan_close(p->b);
	rg_chan_unref(p->a);
	rg_chan_unref(p->b);
}

static void echo_until_closed(void *arg)
{
	struct pair *p = arg;
	int64_t v = 0;
	bool open = true;

	while (open) {
		rg_case cases[] = {RG_RECV(p->b, &v), RG_SEND(p->a, &v)};

		open = rg_select(cases, 2) == 1 || cases[0].ok;
	}
	rg_chan_unref(p->a);
	rg_chan_unref(p->b);
}

static void opposite_body(void *arg)
{
	rg_chan *a[4];

	(void)arg;
	for (int i = 0; i < 4; i++)
		a[i] = make_int(0);
	for (int i = 0; i < 4; i += 2) {
		/* Once in the order of addresses, once against it. */
		rg_chan *x = a[i ? i + 1 : i], *y = a[i ? i : i + 1];

		go_pair(opposite, rg_chan_ref(x), rg_chan_ref(y), 0);
		go_pair(echo_until_closed, rg_chan_ref(x), rg_chan_ref(y), 0);
	}
	wait_all();
	for (int i = 0; i < 4; i++)
		rg_chan_unref(a[i]);
}

static void select_in_opposite_orders_does_not_deadlock(void **state)
{
	(void)state;
	run_both(opposite_body, NULL);
}

/* ---- many cases, memory --------------------------------------------------------------- */

static void send_last(void *arg)
{
	struct pair *p = arg;

	WAIT_FOR(receivers(p->a) >= 1);
	rg_send(p->a, (int64_t)77);
}

static void many_cases(size_t n, size_t nchans)
{
	rg_chan **c = calloc(nchans, sizeof(rg_chan *));
	rg_case *cases = calloc(n, sizeof *cases);
	int64_t v = 0;
	int which;

	T_CHECK(c && cases);
	for (size_t i = 0; i < nchans; i++)
		c[i] = make_int(0);
	/* Addresses neither rising nor falling. */
	for (size_t i = 0; i < n; i++)
		cases[i] = (rg_case)RG_RECV(c[i * 7919 % nchans], &v);
	T_CHECK_INT_EQ(rg_select_try(cases, n), -EAGAIN);
	go_pair(send_last, c[nchans / 2], NULL, 0);
	which = rg_select(cases, n);
	T_CHECK_PTR_EQ(cases[which].chan_, c[nchans / 2]);
	T_CHECK_INT_EQ(v, 77);
	wait_all();
	for (size_t i = 0; i < nchans; i++) {
		T_CHECK_INT_EQ(receivers(c[i]), 0);
		rg_chan_unref(c[i]);
	}
	free(c);
	free(cases);
}

static void many_body(void *arg)
{
	(void)arg;
	for (size_t n = 1; n <= 20; n++)
		many_cases(n, n);
	many_cases(64, 50);
	many_cases(65, 65);
	many_cases(1000, 3);
	many_cases(65536, 65536);
}

static void select_of_up_to_65536_cases_works(void **state)
{
	(void)state;
	run_both(many_body, NULL);
}

static void too_many(void *arg)
{
	rg_case *cases = calloc(65537, sizeof *cases);

	(void)arg;
	rg_select(cases, 65537);
}

static void select_of_too_many_cases_panics(void **state)
{
	(void)state;
	abort_both(too_many, "65537 cases");
}

static void idle_body(void *arg)
{
	rg_chan *a = make_int(0), *b = make_int(0);
	rg_case cases[20] = {RG_RECV(a, NULL), RG_RECV(b, NULL)};
	int64_t live = alloc_live();

	(void)arg;
	for (int i = 2; i < 20; i++)
		cases[i] = cases[i % 2];
	for (int i = 0; i < 200; i++) {
		T_CHECK_INT_EQ(rg_select_try(cases, 20), -EAGAIN);
		T_CHECK_INT_EQ(
			rg_select_until(cases, 20, rg_now() + RG_MICROSECOND),
			-ETIMEDOUT);
	}
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	T_CHECK_INT_EQ(receivers(a) + receivers(b), 0);
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void select_idle_in_a_loop_keeps_no_memory(void **state)
{
	(void)state;
	run_both(idle_body, NULL);
}

static void out_of_memory(void *arg)
{
	rg_chan *a = make_int(0);
	rg_case cases[30] = {RG_RECV(a, NULL)};

	(void)arg;
	alloc_fail_after(0);
	rg_select(cases, 30);
}

static void select_without_memory_panics(void **state)
{
	(void)state;
	abort_both(out_of_memory, "out of memory");
}

/* ---- storm ------------------------------------------------------------------------------- */

enum { STORM_CHANS = 4, STORM_N = 5000, STORM_G = 8 };

struct storm {
	rg_chan *c[STORM_CHANS];
	_Atomic int64_t sent, received, sum_sent, sum_received;
	_Atomic int senders;
};

static void storm_send(struct storm *s, uint32_t seed)
{
	for (int64_t i = 1; i <= STORM_N; i++) {
		int64_t v = i * seed;
		rg_case cases[STORM_CHANS + 1] = {
			RG_SEND(s->c[seed % 4], &v),
			RG_SEND(s->c[(seed + 3) % 4], &v),
			RG_SEND(s->c[(seed + i) % 4], &v),
			RG_SEND(NULL, &v),
			RG_SEND(s->c[seed % 4], &v),
		};
		int which;

		do {
			which = rg_select_until(
				cases, 5,
				i % 3 ? RG_FOREVER
				      : rg_now() + 10 * RG_MICROSECOND);
		} while (which == -ETIMEDOUT);
		atomic_fetch_add(&s->sum_sent, v);
	}
	if (atomic_fetch_sub(&s->senders, 1) == 1)
		for (int i = 0; i < STORM_CHANS; i++)
			rg_chan_close(s->c[i]);
}

static void storm_recv(struct storm *s)
{
	bool open[STORM_CHANS];
	int64_t v;

	memset(open, true, sizeof open);
	for (;;) {
		rg_case cases[STORM_CHANS];
		int which, n = 0;

		for (int i = 0; i < STORM_CHANS; i++) {
			cases[i] =
				(rg_case)RG_RECV(open[i] ? s->c[i] : NULL, &v);
			n += open[i];
		}
		if (n == 0)
			return;
		which = rg_select(cases, STORM_CHANS);
		if (cases[which].ok) {
			atomic_fetch_add(&s->sum_received, v);
			atomic_fetch_add(&s->received, 1);
		} else {
			open[which] = false;
		}
	}
}

static void storm_send_g(void *s)
{
	storm_send(s, 3);
}

static void storm_recv_g(void *s)
{
	storm_recv(s);
}

static void *storm_send_t(void *s)
{
	storm_send(s, 5);
	return NULL;
}

static void *storm_recv_t(void *s)
{
	storm_recv(s);
	return NULL;
}

static void storm_body(void *arg)
{
	struct storm *s = calloc(1, sizeof *s);
	int threads = arg ? 2 : 0;
	pthread_t t[4];

	T_CHECK(s != NULL);
	for (int i = 0; i < STORM_CHANS; i++)
		s->c[i] = make_int(i < 2 ? 0 : (size_t)i);
	atomic_store(&s->senders, STORM_G + threads);
	for (int i = 0; i < STORM_G; i++) {
		must_go(storm_send_g, s);
		must_go(storm_recv_g, s);
	}
	for (int i = 0; i < threads; i++) {
		must_thread(&t[2 * i], storm_send_t, s);
		must_thread(&t[2 * i + 1], storm_recv_t, s);
	}
	for (int i = 0; i < 2 * threads; i++)
		must_join(t[i]);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&s->received),
		       (STORM_G + threads) * STORM_N);
	T_CHECK_INT_EQ(atomic_load(&s->sum_sent),
		       atomic_load(&s->sum_received));
	for (int i = 0; i < STORM_CHANS; i++)
		rg_chan_unref(s->c[i]);
	free(s);
}

static void select_storm_loses_nothing(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

static void select_storm_with_foreign_threads_loses_nothing(void **state)
{
	(void)state;
	run_both(storm_body, (void *)1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(select_try_never_misses_what_is_ready),
		cmocka_unit_test(select_in_opposite_orders_does_not_deadlock),
		cmocka_unit_test(select_of_up_to_65536_cases_works),
		cmocka_unit_test(select_of_too_many_cases_panics),
		cmocka_unit_test(select_idle_in_a_loop_keeps_no_memory),
		cmocka_unit_test(select_without_memory_panics),
		cmocka_unit_test(select_storm_loses_nothing),
		cmocka_unit_test(
			select_storm_with_foreign_threads_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
