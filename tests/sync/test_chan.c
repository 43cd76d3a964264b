// SPDX-License-Identifier: MIT
/*
 * test_chan - channels: SEMANTICS 4.1, and the invariants of sync/chan.h (order of
 * waiters, hand-over, nothing touched after a wake-up).
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

/* ---- nil, closed ---------------------------------------------------------- */

static struct g *_Atomic parked_g;

static void recv_nil(void *arg)
{
	int64_t v;

	(void)arg;
	atomic_store(&parked_g, getg());
	rg_recv((rg_chan *)NULL, &v);
	T_FAIL("a receive on a nil channel returned");
}

static void send_nil(void *arg)
{
	(void)arg;
	atomic_store(&parked_g, getg());
	rg_send((rg_chan *)NULL, (int64_t)1);
	T_FAIL("a send on a nil channel returned");
}

static void wait_reason_is(enum wait_reason reason)
{
	struct g *gp;

	WAIT_FOR((gp = atomic_load(&parked_g)) && g_state(gp) == G_WAITING &&
		 gp->wait_reason == reason);
	for (int i = 0; i < 1000; i++)
		rg_yield();
	T_CHECK_INT_EQ(g_state(gp), G_WAITING);
}

static void nil_body(void *arg)
{
	(void)arg;
	atomic_store(&parked_g, NULL);
	must_go_forever(recv_nil, NULL);
	wait_reason_is(WAIT_CHAN_RECV_NIL);
	atomic_store(&parked_g, NULL);
	must_go_forever(send_nil, NULL);
	wait_reason_is(WAIT_CHAN_SEND_NIL);
	T_CHECK_INT_EQ(rg_chan_try_recv(NULL, NULL), -EAGAIN);
	T_CHECK(!rg_chan_try_send(NULL, NULL));
	T_CHECK_INT_EQ(rg_chan_len(NULL) + rg_chan_cap(NULL), 0);
}

static void chan_nil_send_and_recv_park_for_ever(void **state)
{
	(void)state;
	run_both(nil_body, NULL);
}

static void close_nil(void *arg)
{
	(void)arg;
	rg_chan_close(NULL);
}

static void close_twice(void *arg)
{
	rg_chan *c = make_int(0);

	(void)arg;
	rg_chan_close(c);
	rg_chan_close(c);
}

static void send_closed(void *arg)
{
	rg_chan *c = make_int(1);

	(void)arg;
	rg_chan_close(c);
	rg_send(c, (int64_t)1);
}

static void try_send_closed(void *arg)
{
	rg_chan *c = make_int(1);
	int64_t v = 1;

	(void)arg;
	rg_send(c, (int64_t)1);
	rg_chan_close(c);
	rg_chan_try_send(c, &v);
}

static void send_one(void *c)
{
	rg_send(c, (int64_t)7);
}

static void close_under_sender(void *arg)
{
	rg_chan *c = make_int(0);

	(void)arg;
	must_go(send_one, c);
	WAIT_FOR(senders(c) == 1);
	rg_chan_close(c);
	WAIT_FOR(false);
}

static void chan_close_of_nil_panics(void **state)
{
	(void)state;
	abort_both(close_nil, "close of nil channel");
}

static void chan_close_of_closed_panics(void **state)
{
	(void)state;
	abort_both(close_twice, "close of closed channel");
}

static void chan_send_on_closed_panics(void **state)
{
	(void)state;
	abort_both(send_closed, "send on closed channel");
	abort_both(try_send_closed, "send on closed channel");
}

static void chan_close_panics_parked_sender(void **state)
{
	(void)state;
	abort_both(close_under_sender, "send on closed channel");
}

static void drain_body(void *arg)
{
	rg_chan *c = make_int(3);
	int64_t v;

	(void)arg;
	for (int64_t i = 1; i <= 3; i++)
		rg_send(c, i);
	rg_chan_close(c);
	for (int64_t i = 1; i <= 3; i++) {
		v = -1;
		T_CHECK(rg_recv(c, &v));
		T_CHECK_INT_EQ(v, i);
	}
	for (int i = 0; i < 3; i++) {
		v = -1;
		T_CHECK(!rg_recv(c, &v));
		T_CHECK_INT_EQ(v, 0);
		v = -1;
		T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), 0);
		T_CHECK_INT_EQ(v, 0);
		T_CHECK(!rg_chan_recv(c, NULL));
	}
	rg_chan_unref(c);
}

static void chan_recv_from_closed_drains_then_gives_zero(void **state)
{
	(void)state;
	run_both(drain_body, NULL);
}

static _Atomic int woken, woken_false;

static void recv_count(void *c)
{
	int64_t v = 99;

	if (!rg_recv(c, &v) && v == 0)
		atomic_fetch_add(&woken_false, 1);
	atomic_fetch_add(&woken, 1);
}

static void close_wakes_body(void *arg)
{
	rg_chan *c = make_int(arg ? 4 : 0);

	atomic_store(&woken, 0);
	atomic_store(&woken_false, 0);
	for (int i = 0; i < 50; i++)
		must_go(recv_count, c);
	WAIT_FOR(receivers(c) == 50);
	rg_chan_close(c);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&woken), 50);
	T_CHECK_INT_EQ(atomic_load(&woken_false), 50);
	rg_chan_unref(c);
}

static void chan_close_wakes_all_receivers_once(void **state)
{
	(void)state;
	run_both(close_wakes_body, NULL);
	run_both(close_wakes_body, (void *)1);
}

/* ---- order, capacity, hand-over --------------------------------------------- */

static _Atomic bool was_sent;

static void send_and_tell(void *c)
{
	rg_send(c, (int64_t)5);
	atomic_store(&was_sent, true);
}

static void rendezvous_body(void *arg)
{
	rg_chan *c = make_int(0);
	int64_t v = 0;

	(void)arg;
	atomic_store(&was_sent, false);
	must_go(send_and_tell, c);
	WAIT_FOR(senders(c) == 1);
	for (int i = 0; i < 1000; i++)
		rg_yield();
	T_CHECK(!atomic_load(&was_sent));
	T_CHECK(rg_recv(c, &v));
	T_CHECK_INT_EQ(v, 5);
	WAIT_FOR(atomic_load(&was_sent));
	rg_chan_unref(c);
}

static void chan_unbuffered_send_completes_when_received(void **state)
{
	(void)state;
	run_both(rendezvous_body, NULL);
}

struct numbered {
	rg_chan *c;
	int64_t i;
};

static void send_number(void *arg)
{
	struct numbered *n = arg;

	rg_send(n->c, n->i);
}

static _Atomic int64_t got[64];

static void recv_number(void *arg)
{
	struct numbered *n = arg;

	int64_t v;

	T_CHECK(rg_recv(n->c, &v));
	atomic_store(&got[n->i], v);
}

static void go_numbered(void (*fn)(void *arg), rg_chan *c, int64_t i)
{
	struct numbered n = {c, i};

	T_CHECK_INT_EQ(rg_go_copy(fn, &n, sizeof n), 0);
}

static void fifo_body(void *arg)
{
	rg_chan *c = make_int(0);
	int64_t v;

	(void)arg;
	for (int64_t i = 0; i < 20; i++) {
		go_numbered(send_number, c, i);
		WAIT_FOR(senders(c) == (size_t)i + 1);
	}
	for (int64_t i = 0; i < 20; i++) {
		T_CHECK(rg_recv(c, &v));
		T_CHECK_INT_EQ(v, i);
	}
	for (int64_t i = 0; i < 20; i++) {
		atomic_store(&got[i], -1);
		go_numbered(recv_number, c, i);
		WAIT_FOR(receivers(c) == (size_t)i + 1);
	}
	for (int64_t i = 0; i < 20; i++)
		rg_send(c, 100 + i);
	wait_all();
	for (int64_t i = 0; i < 20; i++)
		T_CHECK_INT_EQ(atomic_load(&got[i]), 100 + i);
	rg_chan_unref(c);
}

static void chan_waiters_are_served_in_order(void **state)
{
	(void)state;
	run_both(fifo_body, NULL);
}

static void buffered_body(void *arg)
{
	rg_chan *c = make_int(10);
	int64_t v;

	(void)arg;
	T_CHECK_INT_EQ(rg_chan_cap(c), 10);
	for (int round = 0; round < 3; round++) {
		for (int64_t i = 0; i < 10; i++) {
			T_CHECK_INT_EQ(rg_chan_len(c), i);
			T_CHECK(rg_chan_try_send(c, &i));
		}
		v = 1;
		T_CHECK(!rg_chan_try_send(c, &v));
		for (int64_t i = 0; i < 10; i++) {
			T_CHECK_INT_EQ(rg_chan_len(c), 10 - i);
			T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), 1);
			T_CHECK_INT_EQ(v, i);
		}
		T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), -EAGAIN);
		/* The next round starts at another place of the ring. */
		rg_send(c, (int64_t)0);
		T_CHECK(rg_recv(c, &v));
	}
	rg_chan_unref(c);
}

static void chan_buffered_keeps_order_len_and_cap(void **state)
{
	(void)state;
	run_both(buffered_body, NULL);
}

static void full_body(void *arg)
{
	rg_chan *c = make_int(3);
	int64_t v;

	(void)arg;
	for (int64_t i = 0; i < 3; i++)
		rg_send(c, i);
	for (int64_t i = 3; i < 8; i++) {
		go_numbered(send_number, c, i);
		WAIT_FOR(senders(c) == (size_t)i - 2);
	}
	for (int64_t i = 0; i < 5; i++) {
		T_CHECK(rg_recv(c, &v));
		T_CHECK_INT_EQ(v, i);
		T_CHECK_INT_EQ(rg_chan_len(c), 3);
		T_CHECK_INT_EQ(senders(c), 4 - i);
	}
	for (int64_t i = 5; i < 8; i++) {
		T_CHECK(rg_recv(c, &v));
		T_CHECK_INT_EQ(v, i);
	}
	T_CHECK_INT_EQ(rg_chan_len(c), 0);
	wait_all();
	rg_chan_unref(c);
}

static void chan_recv_from_full_moves_senders_value_to_tail(void **state)
{
	(void)state;
	run_both(full_body, NULL);
}

static void hand_over_body(void *arg)
{
	rg_chan *c = make_int(5);

	(void)arg;
	atomic_store(&got[0], 0);
	go_numbered(recv_number, c, 0);
	WAIT_FOR(receivers(c) == 1);
	rg_send(c, (int64_t)42);
	T_CHECK_INT_EQ(rg_chan_len(c), 0);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&got[0]), 42);
	rg_chan_unref(c);
}

static void chan_send_hands_over_to_parked_receiver(void **state)
{
	(void)state;
	run_both(hand_over_body, NULL);
}

static void exit_after_send(void *c)
{
	rg_send(c, (int64_t)11);
	rg_exit();
}

static void exited_body(void *arg)
{
	rg_chan *c = make_int(1);
	int64_t v;

	(void)arg;
	must_go(exit_after_send, c);
	wait_all();
	T_CHECK(rg_recv(c, &v));
	T_CHECK_INT_EQ(v, 11);
	rg_chan_unref(c);
}

static void chan_value_of_exited_sender_is_delivered(void **state)
{
	(void)state;
	run_both(exited_body, NULL);
}

/* ---- elements ---------------------------------------------------------------- */

struct sized {
	rg_chan *c;
	size_t size;
};

static void send_sized(void *arg)
{
	struct sized *s = arg;
	unsigned char *elem = malloc(s->size ? s->size : 1);

	T_CHECK(elem != NULL);
	for (int round = 0; round < 8; round++) {
		memset(elem, round + 1, s->size);
		rg_chan_send(s->c, elem);
		memset(elem, 0xee, s->size);
	}
	free(elem);
}

static void recv_all_sized(rg_chan *c, size_t size)
{
	struct sized s = {c, size};
	unsigned char *elem = malloc(size + 1), *want = malloc(size + 1);

	T_CHECK(elem && want);
	T_CHECK_INT_EQ(rg_go_copy(send_sized, &s, sizeof s), 0);
	for (int round = 0; round < 8; round++) {
		memset(want, round + 1, size);
		elem[size] = 0x5a;
		T_CHECK(rg_chan_recv(c, elem));
		T_CHECK_MEM_EQ(elem, want, size);
		T_CHECK_INT_EQ(elem[size], 0x5a);
	}
	wait_all();
	rg_chan_unref(c);
	free(elem);
	free(want);
}

static void sizes_body(void *arg)
{
	static const size_t sizes[] = {0,  1,  2,  3,   4,   7,    8,    9,
				       16, 24, 31, 100, 256, 4096, 65535};

	(void)arg;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		for (size_t capacity = 0; capacity < 4; capacity++)
			recv_all_sized(rg_chan_make(sizes[i], capacity),
				       sizes[i]);
}

static void chan_elements_of_any_size_are_copied_whole(void **state)
{
	(void)state;
	run_both(sizes_body, NULL);
}

static void zero_body(void *arg)
{
	rg_chan *c = rg_chan_make(0, 2);

	(void)arg;
	T_CHECK(c != NULL);
	rg_chan_send(c, NULL);
	rg_chan_send(c, NULL);
	T_CHECK(!rg_chan_try_send(c, NULL));
	T_CHECK_INT_EQ(rg_chan_len(c), 2);
	T_CHECK(rg_chan_recv(c, NULL));
	T_CHECK(rg_chan_recv(c, NULL));
	T_CHECK_INT_EQ(rg_chan_try_recv(c, NULL), -EAGAIN);
	rg_chan_unref(c);
}

static void chan_elements_of_size_zero_are_counted(void **state)
{
	(void)state;
	run_both(zero_body, NULL);
}

static void chan_make_refuses_what_does_not_fit(void **state)
{
	(void)state;
	assert_null(rg_chan_make(65536, 1));
	assert_null(rg_chan_make(SIZE_MAX, 1));
	assert_null(rg_chan_make(2, SIZE_MAX / 2 + 1));
	assert_null(rg_chan_make(8, SIZE_MAX / 8));
	assert_null(rg_chan_make(1, SIZE_MAX - 100));
	alloc_fail_after(0);
	assert_null(rg_chan_make(8, 1));
	alloc_fail_after(-1);
}

static void send_wrong_size(void *arg)
{
	rg_chan *c = make_int(1);

	(void)arg;
	rg_send(c, 1);
}

static void recv_wrong_size(void *arg)
{
	rg_chan *c = make_int(1);
	char v;

	(void)arg;
	rg_recv(c, &v);
}

static void send_no_elem(void *arg)
{
	(void)arg;
	rg_chan_send(make_int(1), NULL);
}

static void chan_wrong_element_size_panics(void **state)
{
	(void)state;
	abort_both(send_wrong_size, "element size 4 does not match");
	abort_both(recv_wrong_size, "element size 1 does not match");
	abort_both(send_no_elem, "NULL element");
}

static void unref_with_receiver(void *arg)
{
	rg_chan *c = make_int(0);

	(void)arg;
	must_go(recv_count, c);
	WAIT_FOR(receivers(c) == 1);
	rg_chan_unref(c);
}

static void unref_with_sender(void *arg)
{
	rg_chan *c = make_int(0);

	(void)arg;
	must_go(send_one, c);
	WAIT_FOR(senders(c) == 1);
	rg_chan_unref(c);
}

static void chan_freed_with_waiters_panics(void **state)
{
	(void)state;
	abort_both(unref_with_receiver, "channel freed while goroutines wait");
	abort_both(unref_with_sender, "channel freed while goroutines wait");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chan_nil_send_and_recv_park_for_ever),
		cmocka_unit_test(chan_close_of_nil_panics),
		cmocka_unit_test(chan_close_of_closed_panics),
		cmocka_unit_test(chan_send_on_closed_panics),
		cmocka_unit_test(chan_close_panics_parked_sender),
		cmocka_unit_test(chan_recv_from_closed_drains_then_gives_zero),
		cmocka_unit_test(chan_close_wakes_all_receivers_once),
		cmocka_unit_test(chan_unbuffered_send_completes_when_received),
		cmocka_unit_test(chan_waiters_are_served_in_order),
		cmocka_unit_test(chan_buffered_keeps_order_len_and_cap),
		cmocka_unit_test(
			chan_recv_from_full_moves_senders_value_to_tail),
		cmocka_unit_test(chan_send_hands_over_to_parked_receiver),
		cmocka_unit_test(chan_value_of_exited_sender_is_delivered),
		cmocka_unit_test(chan_elements_of_any_size_are_copied_whole),
		cmocka_unit_test(chan_elements_of_size_zero_are_counted),
		cmocka_unit_test(chan_make_refuses_what_does_not_fit),
		cmocka_unit_test(chan_wrong_element_size_panics),
		cmocka_unit_test(chan_freed_with_waiters_panics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
