// SPDX-License-Identifier: MIT
/*
 * test_chandir - what the macros of chan.h add to channels: loops over what one carries
 * (SEMANTICS 13), one direction (15; what must not compile is in chandir.sh), and
 * arguments that are evaluated once, in order (18); and 9 for sends.
 */
#include "tests/sync/synctest.h"

enum { N = 100 };

static rg_chan *make_int(size_t cap)
{
	rg_chan *c = rg_make(int64_t, cap);

	T_CHECK(c != NULL);
	return c;
}

/* ---- range ----------------------------------------------------------------------- */

static void produce(void *arg)
{
	rg_chan *c = arg;

	for (int64_t i = 0; i < N; i++)
		rg_send(c, i);
	rg_chan_close(c);
}

static void drain_body(void *arg)
{
	for (size_t cap = 0; cap < 3; cap++) {
		rg_chan *c = make_int(cap * N);
		int64_t v, want = 0;

		(void)arg;
		must_go(produce, c);
		rg_range(c, &v) {
			T_CHECK_INT_EQ(v, want);
			want++;
		}
		T_CHECK_INT_EQ(want, N);
		/* Closed and drained: not once. */
		rg_range(c, &v) {
			T_FAIL("an element of a drained channel");
		}
		wait_all();
		rg_chan_unref(c);
	}
}

static void chan_range_stops_at_close_after_draining(void **state)
{
	(void)state;
	run_both(drain_body, NULL);
}

static int made;

static rg_chan *counted(rg_chan *c)
{
	made++;
	return c;
}

static void break_body(void *arg)
{
	rg_chan *c = make_int(N), *inner = make_int(1);
	int64_t v, w, sum = 0;

	(void)arg;
	produce(c);
	made = 0;
	rg_range(counted(c), &v) {
		if (v % 2)
			continue;
		if (v == 10)
			break;
		rg_send(inner, v);
		rg_range(inner, &w) {
			sum += w;
			break;
		}
	}
	T_CHECK_INT_EQ(made, 1);
	T_CHECK_INT_EQ(sum, 0 + 2 + 4 + 6 + 8);
	T_CHECK_INT_EQ(rg_chan_len(c), N - 11);
	rg_range(c, &v)
		if (v == N - 1)
			sum++;
	T_CHECK_INT_EQ(sum, 21);
	rg_chan_unref(inner);
	rg_chan_unref(c);
}

static void chan_range_may_be_broken_and_continued(void **state)
{
	(void)state;
	run_both(break_body, NULL);
}

static void range_wrong_size(void *arg)
{
	rg_chan *c = make_int(1);
	int32_t v;

	(void)arg;
	rg_range(c, &v) {
	}
}

static void chan_range_wrong_element_size_panics(void **state)
{
	(void)state;
	abort_both(range_wrong_size, "element size 4 does not match");
}

/* ---- one direction ------------------------------------------------------------------ */

static void only_sends(rg_sender to)
{
	for (int64_t i = 0; i < N; i++)
		rg_send(to, i);
}

static int64_t only_receives(rg_receiver from)
{
	int64_t v, sum = 0;

	T_CHECK(rg_recv(from, &v));
	T_CHECK_INT_EQ(v, 0);
	rg_range(from, &v)
		sum += v;
	return sum;
}

static void sender_main(void *c)
{
	rg_sender to = rg_chan_sender(c);
	int64_t last = 1000;
	rg_case cases[] = {RG_SEND(to, &last)};

	only_sends(to);
	T_CHECK_INT_EQ(rg_select(cases, 1), 0);
	rg_sender_close(to);
}

static void direction_body(void *arg)
{
	rg_chan *c = make_int(0), *d = make_int(1);
	int64_t v = 0;
	rg_case cases[] = {RG_RECV(rg_chan_receiver(d), &v),
			   RG_SEND(rg_chan_sender(NULL), &v)};

	(void)arg;
	must_go(sender_main, c);
	T_CHECK_INT_EQ(only_receives(rg_chan_receiver(c)),
		       N * (N - 1) / 2 + 1000);
	wait_all();
	T_CHECK_INT_EQ(rg_select_try(cases, 2), -EAGAIN);
	rg_send(rg_chan_sender(d), (int64_t)5);
	T_CHECK_INT_EQ(rg_select_try(cases, 2), 0);
	T_CHECK_INT_EQ(v, 5);
	rg_chan_unref(c);
	rg_chan_unref(d);
}

static void chan_of_one_direction_sends_or_receives(void **state)
{
	(void)state;
	run_both(direction_body, NULL);
}

/* ---- evaluation ---------------------------------------------------------------------- */

static char order[16];

static rg_chan *note_chan(rg_chan *c, char what)
{
	order[strlen(order)] = what;
	return c;
}

static int64_t *note_elem(int64_t *v, char what)
{
	order[strlen(order)] = what;
	return v;
}

static void once_body(void *arg)
{
	rg_chan *a = make_int(1), *b = make_int(1);
	int64_t v = 7, w = 0;

	(void)arg;
	memset(order, 0, sizeof order);
	rg_case cases[] = {
		RG_RECV(note_chan(a, '1'), note_elem(&w, '2')),
		RG_SEND(note_chan(b, '3'), note_elem(&v, '4')),
	};
	/* Before the choice, each of them, and not again by it. */
	T_CHECK_STR_EQ(order, "1234");
	T_CHECK_INT_EQ(rg_select(cases, 2), 1);
	rg_send(note_chan(a, '5'), *note_elem(&v, '6'));
	T_CHECK(rg_recv(note_chan(b, '7'), note_elem(&w, '8')));
	T_CHECK_INT_EQ(strlen(order), 8);
	T_CHECK_INT_EQ(w, 7);
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void select_evaluates_each_argument_once_in_order(void **state)
{
	(void)state;
	run_both(once_body, NULL);
}

/* ---- try ------------------------------------------------------------------------------- */

struct taker {
	rg_chan *c;
	_Atomic bool got;
};

static void takes(void *arg)
{
	struct taker *t = arg;
	int64_t v;

	T_CHECK(rg_recv(t->c, &v));
	T_CHECK_INT_EQ(v, 3);
	atomic_store(&t->got, true);
}

/* A receiver is parked, or there is room: the try cannot fail. */
static void try_send_body(void *arg)
{
	const int64_t v = 3;

	(void)arg;
	for (int i = 0; i < 2000; i++) {
		struct taker t = {.c = make_int((size_t)i % 2)};

		must_go(takes, &t);
		if (i % 2 == 0)
			WAIT_FOR(receivers(t.c) == 1);
		T_CHECK(rg_chan_try_send(t.c, &v));
		rg_waitgroup_wait(&everyone);
		T_CHECK(atomic_load(&t.got));
		rg_chan_unref(t.c);
	}
	t_wait_goroutines(1);
}

static void chan_try_send_never_misses_who_is_ready(void **state)
{
	(void)state;
	run_both(try_send_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chan_range_stops_at_close_after_draining),
		cmocka_unit_test(chan_range_may_be_broken_and_continued),
		cmocka_unit_test(chan_range_wrong_element_size_panics),
		cmocka_unit_test(chan_of_one_direction_sends_or_receives),
		cmocka_unit_test(select_evaluates_each_argument_once_in_order),
		cmocka_unit_test(chan_try_send_never_misses_who_is_ready),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
