// SPDX-License-Identifier: MIT
/*
 * opwait - attacks I1-I4 of sched/opwait.h and I1-I3 of sched/fdesc.h: an operation in
 * flight against close, deadlines, contexts, a full queue and foreign threads.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/clock.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/op_wait.h"
#include "kernel-iface/probe.h"
#include "sched/opwait.h"
#include "sched/sched.h"
#include "sched/waitop.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static rg_waitgroup wg;
static int sv[2];
static _Atomic int results[16];

static void open_pair(void)
{
	T_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv));
}

static int receive(int fd, void *buf, size_t n)
{
	struct op_sqe s;

	op_recv(&s, fd, buf, n, 0);
	return opwait_fd(fd, FD_READ, &s);
}

static int send_text(int fd, const char *text)
{
	struct op_sqe s;

	op_send(&s, fd, text, strlen(text), MSG_NOSIGNAL);
	return opwait_fd(fd, FD_WRITE, &s);
}

static void reads_one(void *arg)
{
	int i = (int)(intptr_t)arg;
	char byte;

	results[i] = receive(sv[0], &byte, 1);
	rg_waitgroup_done(&wg);
}

static bool has_inflight(void *arg)
{
	int64_t n = 0;

	struct m *mp;

	sched_for_each_m(mp) n += ring_inflight(&mp->ring);
	return n >= (intptr_t)arg;
}

static void start_readers(int n)
{
	rg_waitgroup_add(&wg, n);
	for (intptr_t i = 0; i < n; i++)
		rg_go(reads_one, (void *)i);
	T_WAIT_UNTIL(has_inflight, (void *)(intptr_t)n);
}

static void data_wakes(void *arg)
{
	(void)arg;
	open_pair();
	start_readers(3);
	T_CHECK_INT_EQ(send_text(sv[1], "abc"), 3);
	rg_waitgroup_wait(&wg);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(results[i], 1);
	T_CHECK_INT_EQ(fdesc_close(sv[0]), 0);
	T_CHECK_INT_EQ(fdesc_close(sv[1]), 0);
}

static void opwait_returns_the_result(void **state)
{
	(void)state;
	t_run_with(1, data_wakes, NULL);
	t_run_with(2, data_wakes, NULL);
}

static void close_wakes(void *arg)
{
	int fds = t_program_fds();

	(void)arg;
	for (int round = 0; round < 200; round++) {
		open_pair();
		start_readers(3);
		T_CHECK_INT_EQ(fdesc_close(sv[0]), 0);
		rg_waitgroup_wait(&wg);
		for (int i = 0; i < 3; i++)
			T_CHECK_INT_EQ(results[i], -ECANCELED);
		/* The peer sees the end at once: nothing holds the socket. */
		{
			char byte;

			T_CHECK_INT_EQ(receive(sv[1], &byte, 1), 0);
		}
		T_CHECK_INT_EQ(fdesc_close(sv[1]), 0);
	}
	T_CHECK_INT_EQ(t_program_fds(), fds);
}

static void close_cancels_what_is_in_flight_and_waits(void **state)
{
	(void)state;
	t_run_with(1, close_wakes, NULL);
	t_run_with(2, close_wakes, NULL);
}

enum { NO_RESULT = 99 };

static bool is_in_flight_or_ended(void *arg)
{
	(void)arg;
	return has_inflight((void *)1) || results[0] != NO_RESULT;
}

/* Moved later while parked: the old time, d from now, does nothing. false: the old time
 * came before the move. */
static bool moved_later_in_time(rg_duration d)
{
	rg_time old = rg_now() + d;

	results[0] = NO_RESULT;
	fdesc_set_deadline(sv[0], 1u << FD_READ, old);
	rg_waitgroup_add(&wg, 1);
	rg_go(reads_one, NULL);
	T_WAIT_UNTIL(is_in_flight_or_ended, NULL);
	fdesc_set_deadline(sv[0], 1u << FD_READ, rg_now() + RG_HOUR);
	if (rg_now() >= old) {
		fdesc_set_deadline(sv[0], 1u << FD_READ, 1);
		rg_waitgroup_wait(&wg);
		T_CHECK_INT_EQ(results[0], -ETIMEDOUT);
		return false;
	}
	rg_sleep(old + RG_MILLISECOND - rg_now());
	T_CHECK_INT_EQ(results[0], NO_RESULT);
	T_CHECK_INT_EQ(send_text(sv[1], "y"), 1);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(results[0], 1);
	return true;
}

static void deadline_ends(void *arg)
{
	char buf[8];
	rg_time before;

	(void)arg;
	open_pair();
	/* Set before: the call fails when it passes. */
	before = rg_now();
	fdesc_set_deadline(sv[0], 1u << FD_READ, before + 5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(receive(sv[0], buf, 8), -ETIMEDOUT);
	T_CHECK(rg_now() - before >= 5 * RG_MILLISECOND);
	/* Repeatable until reset, at once; the other direction is free. */
	T_CHECK_INT_EQ(receive(sv[0], buf, 8), -ETIMEDOUT);
	T_CHECK_INT_EQ(send_text(sv[0], "x"), 1);
	/* No byte was lost. */
	T_CHECK_INT_EQ(send_text(sv[1], "hello"), 5);
	T_CHECK_INT_EQ(receive(sv[0], buf, 8), -ETIMEDOUT);
	fdesc_set_deadline(sv[0], 1u << FD_READ, 0);
	T_CHECK_INT_EQ(receive(sv[0], buf, 8), 5);
	/* Set to the past while a goroutine is parked. */
	start_readers(2);
	fdesc_set_deadline(sv[0], 1u << FD_READ, 1);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(results[0], -ETIMEDOUT);
	T_CHECK_INT_EQ(results[1], -ETIMEDOUT);
	/* Moved earlier while parked. */
	fdesc_set_deadline(sv[0], 1u << FD_READ, rg_now() + RG_HOUR);
	start_readers(1);
	fdesc_set_deadline(sv[0], 1u << FD_READ, rg_now() + RG_MILLISECOND);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(results[0], -ETIMEDOUT);
	for (rg_duration d = 3 * RG_MILLISECOND; !moved_later_in_time(d);)
		d *= 2;
	T_CHECK_INT_EQ(fdesc_set_deadline(-1, 1, 5), -EBADF);
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

static void deadline_ends_parked_calls_and_loses_nothing(void **state)
{
	(void)state;
	t_run_with(1, deadline_ends, NULL);
	t_run_with(2, deadline_ends, NULL);
}

static void bound_reader(void *arg)
{
	char byte;

	rg_ctx_unref(rg_ctx_bind(arg));
	results[0] = receive(sv[0], &byte, 1);
	results[1] = rg_sleep(RG_HOUR);
	rg_waitgroup_done(&wg);
}

static void ctx_ends(void *arg)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());
	rg_ctx *t;

	(void)arg;
	open_pair();
	rg_waitgroup_add(&wg, 1);
	rg_go(bound_reader, c);
	T_WAIT_UNTIL(has_inflight, (void *)1);
	rg_ctx_cancel(c, 0);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(results[0], -ECANCELED);
	T_CHECK_INT_EQ(results[1], -ECANCELED);
	t = rg_ctx_with_timeout(rg_ctx_background(), 3 * RG_MILLISECOND);
	rg_waitgroup_add(&wg, 1);
	rg_go(bound_reader, t);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(results[0], -ETIMEDOUT);
	T_CHECK_INT_EQ(results[1], -ETIMEDOUT);
	rg_ctx_unref(c);
	rg_ctx_unref(t);
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

static void bound_context_ends_parked_calls(void **state)
{
	(void)state;
	t_run_with(1, ctx_ends, NULL);
	t_run_with(2, ctx_ends, NULL);
}

/* Where the call's frames were: what still points there now finds this. */
static __attribute__((noinline)) void overwrite_stack(void)
{
	volatile unsigned char bytes[1536];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = 0xdb;
}

/* Calls that are refused by an expired deadline while their context ends. */
static void refused_reader(void *arg)
{
	char byte;
	int err;

	rg_ctx_unref(rg_ctx_bind(arg));
	results[1] = 1;
	do {
		err = receive(sv[0], &byte, 1);
	} while (err == -ETIMEDOUT);
	overwrite_stack();
	results[0] = err;
	/* The M goes through the scheduler and serves what was asked of it. */
	for (int i = 0; i < 100; i++)
		rg_yield();
	rg_waitgroup_done(&wg);
}

static void cancel_refused(void *arg)
{
	(void)arg;
	open_pair();
	fdesc_set_deadline(sv[0], 1u << FD_READ, 1);
	for (int i = 0; i < 500; i++) {
		rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());

		results[1] = 0;
		rg_waitgroup_add(&wg, 1);
		rg_go(refused_reader, c);
		while (!results[1])
			rg_yield();
		rg_ctx_cancel(c, 0);
		rg_waitgroup_wait(&wg);
		T_CHECK_INT_EQ(results[0], -ECANCELED);
		rg_ctx_unref(c);
	}
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

static void a_refused_call_leaves_no_cancel_request(void **state)
{
	(void)state;
	t_run_with(2, cancel_refused, NULL);
}

static void nop_worker(void *arg)
{
	struct op_sqe s;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		op_poll(&s, sv[0], POLLOUT);
		T_CHECK(opwait_fd(sv[0], FD_WRITE, &s) & POLLOUT);
	}
	rg_waitgroup_done(&wg);
}

static void flood(void *arg)
{
	(void)arg;
	open_pair();
	rg_waitgroup_add(&wg, 2000);
	for (int i = 0; i < 2000; i++)
		rg_go(nop_worker, NULL);
	rg_waitgroup_wait(&wg);
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

static void a_small_ring_serves_thousands_of_operations(void **state)
{
	(void)state;
	t_run_config(&(rg_config){.maxprocs = 1, .ring_entries = 8}, flood,
		     NULL);
	t_run_config(&(rg_config){.maxprocs = 2, .ring_entries = 8}, flood,
		     NULL);
}

static void racer(void *arg)
{
	int i = (int)(intptr_t)arg;
	char byte;
	int n;

	while ((n = receive(sv[0], &byte, 1)) == 1 || n == -ETIMEDOUT) {
		if (n == 1)
			atomic_fetch_add_explicit(&results[i], 1,
						  memory_order_relaxed);
		else
			rg_yield(); /* an expired deadline does not park */
	}
	/* -EBADF: it came after the close. */
	T_CHECK(n == -ECANCELED || n == -EBADF);
	rg_waitgroup_done(&wg);
}

static void cancel_races(void *arg)
{
	int got = 0, sent = 0;

	(void)arg;
	open_pair();
	memset(results, 0, sizeof results);
	rg_waitgroup_add(&wg, 4);
	for (intptr_t i = 0; i < 4; i++)
		rg_go(racer, (void *)i);
	/* Deadlines that strike while data arrives: each byte is received
	 * exactly once, whoever wins. */
	for (int i = 0; i < 3000; i++) {
		fdesc_set_deadline(sv[0], 1u << FD_READ, i % 2);
		if (i % 6 == 0) { /* no deadline now: the send cannot stall */
			T_CHECK_INT_EQ(send_text(sv[1], "z"), 1);
			sent++;
		}
		if (i % 7 == 0)
			rg_yield();
	}
	fdesc_set_deadline(sv[0], 1u << FD_READ, 0);
	for (int spin = 0; spin < 5000 && got < sent; spin++) {
		rg_sleep(RG_MILLISECOND);
		got = 0;
		for (int i = 0; i < 4; i++)
			got += results[i];
	}
	T_CHECK_INT_EQ(got, sent);
	T_CHECK_INT_EQ(fdesc_close(sv[0]), 0);
	rg_waitgroup_wait(&wg);
	fdesc_close(sv[1]);
}

static void cancel_against_completion_loses_no_byte(void **state)
{
	(void)state;
	t_run_with(1, cancel_races, NULL);
	t_run_with(2, cancel_races, NULL);
}

/* ---- a cancellation that does not find its operation --------------------------------- */

static struct g *_Atomic one_reader;

static void lone_reader(void *arg)
{
	one_reader = getg();
	reads_one(arg);
}

static uint64_t cancels(void)
{
	struct m *mp;
	uint64_t n = 0;

	sched_for_each_m(mp) n += mp->ring.cancels;
	return n;
}

/* An operation that the kernel looks for in vain: its generation is another one. */
static struct wait_op *start_hidden(void)
{
	struct wait_op *w;

	open_pair();
	results[0] = 0;
	rg_waitgroup_add(&wg, 1);
	rg_go(lone_reader, NULL);
	T_WAIT_UNTIL(has_inflight, (void *)1);
	w = one_reader->wop;
	w->op.gen++;
	return w;
}

static void end_hidden(int result)
{
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(results[0], result);
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

/* Until the next request is a while ahead: it is in nobody's hands now. */
static void await_pause(void)
{
	struct m *mp = getm();

	while (!mp->later)
		rg_sleep(100 * RG_MICROSECOND);
}

static void hidden(void *arg)
{
	struct wait_op *w = start_hidden();
	uint64_t before = cancels(), asked;
	rg_time begun;

	(void)arg;
	fdesc_set_deadline(sv[0], 1u << FD_READ, 1);
	rg_sleep(100 * RG_MILLISECOND);
	await_pause();
	asked = cancels() - before;
	T_CHECK_INT_EQ(results[0], 0);
	/* 16 at once, then after 1, 2, 4, 8, 16, 16, 16, ... ms. */
	T_CHECK(asked > 16 && asked < 30);
	w->op.gen--;
	begun = rg_now();
	end_hidden(-ETIMEDOUT);
	T_CHECK(rg_now() - begun < RG_SECOND);

	/* It ends by itself meanwhile: nothing waits for the next request. */
	w = start_hidden();
	fdesc_set_deadline(sv[0], 1u << FD_READ, 1);
	rg_sleep(50 * RG_MILLISECOND);
	await_pause();
	w->retry_at = rg_now() + RG_HOUR; /* our M's */
	w->op.gen--;
	T_CHECK_INT_EQ(send_text(sv[1], "z"), 1);
	end_hidden(1);
}

static void a_cancellation_that_finds_nothing_is_sent_again(void **state)
{
	(void)state;
	if (probe_engine() == PROBE_EPOLL)
		skip(); /* its cancellations find all */
	t_run_with(1, hidden, NULL);
}

static void *takes_bytes_away(void *arg)
{
	char byte;

	while (!atomic_load_explicit((_Atomic bool *)arg,
				     memory_order_relaxed)) {
		(void)!send(sv[1], "x", 1, MSG_DONTWAIT);
		(void)!recv(sv[0], &byte, 1, MSG_DONTWAIT);
	}
	return NULL;
}

/* The kernel finds the socket readable, the next attempt does not: in between the
 * operation is in none of its tables, and a request to cancel it finds nothing. */
static void contended(void *arg)
{
	_Atomic bool is_over = false;
	pthread_t t;
	char byte;
	int n;

	(void)arg;
	open_pair();
	T_CHECK(!pthread_create(&t, NULL, takes_bytes_away, &is_over));
	for (int i = 0; i < 1500; i++) {
		fdesc_set_deadline(sv[0], 1u << FD_READ,
				   rg_now() + 10 * RG_MICROSECOND);
		n = receive(sv[0], &byte, 1);
		T_CHECK(n == 1 || n == -ETIMEDOUT);
	}
	atomic_store_explicit(&is_over, true, memory_order_relaxed);
	pthread_join(t, NULL);
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

static void a_deadline_ends_a_receive_whose_bytes_others_take(void **state)
{
	(void)state;
	t_run_with(1, contended, NULL);
	t_run_with(2, contended, NULL);
}

static void *foreign_reader(void *arg)
{
	char byte;

	results[0] = receive(sv[0], &byte, 1);
	results[1] = receive(sv[0], &byte, 1);
	rg_waitgroup_done(&wg);
	return arg;
}

static bool has_result(void *arg)
{
	(void)arg;
	return results[0] != 0;
}

static void foreign(void *arg)
{
	pthread_t t;

	(void)arg;
	open_pair();
	results[0] = 0;
	rg_waitgroup_add(&wg, 1);
	pthread_create(&t, NULL, foreign_reader, NULL);
	T_WAIT_UNTIL(has_inflight, (void *)1);
	T_CHECK_INT_EQ(send_text(sv[1], "q"), 1);
	T_WAIT_UNTIL(has_result, NULL);
	T_WAIT_UNTIL(has_inflight, (void *)1);
	fdesc_set_deadline(sv[0], 1u << FD_READ, 1);
	rg_waitgroup_wait(&wg); /* pthread_join would keep the only P */
	pthread_join(t, NULL);
	T_CHECK_INT_EQ(results[0], 1);
	T_CHECK_INT_EQ(results[1], -ETIMEDOUT);
	fdesc_close(sv[0]);
	fdesc_close(sv[1]);
}

static void foreign_thread_blocks_on_its_operation(void **state)
{
	(void)state;
	t_run_with(1, foreign, NULL);
	t_run_with(2, foreign, NULL);
}

static void bad_descriptors(void *arg)
{
	char byte;

	(void)arg;
	T_CHECK_INT_EQ(receive(-1, &byte, 1), -EBADF);
	T_CHECK_INT_EQ(receive(987654, &byte, 1), -EBADF);
	T_CHECK_INT_EQ(fdesc_close(-1), -EBADF);
	T_CHECK_INT_EQ(fdesc_close(987654), -EBADF);
}

static void bad_descriptors_are_refused(void **state)
{
	(void)state;
	t_run_with(1, bad_descriptors, NULL);
}

static void a_close_that_was_interrupted_is_not_done_again(void **state)
{
	static const int interruptions[] = {-EINTR, -512, -513, -514, -516};
	struct op_sqe closes, reads;
	struct wait_op w = {.sqe = &closes};
	char c;

	(void)state;
	op_close(&closes, 3);
	op_read(&reads, 3, &c, 1, OP_OFF_CURRENT);
	for (size_t i = 0; i < sizeof interruptions / sizeof(int); i++) {
		w.res = interruptions[i];
		w.sqe = &closes;
		assert_int_equal(wait_op_outcome(&w), -EIO);
		w.sqe = &reads;
		assert_int_equal(wait_op_outcome(&w), -EINTR);
	}
	/* Taken from a worker's queue: it was never begun. */
	w.sqe = &closes;
	w.res = -ECANCELED;
	assert_int_equal(wait_op_outcome(&w), -EINTR);
	w.res = -EBADF;
	assert_int_equal(wait_op_outcome(&w), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opwait_returns_the_result),
		cmocka_unit_test(close_cancels_what_is_in_flight_and_waits),
		cmocka_unit_test(deadline_ends_parked_calls_and_loses_nothing),
		cmocka_unit_test(bound_context_ends_parked_calls),
		cmocka_unit_test(a_refused_call_leaves_no_cancel_request),
		cmocka_unit_test(a_small_ring_serves_thousands_of_operations),
		cmocka_unit_test(cancel_against_completion_loses_no_byte),
		cmocka_unit_test(
			a_cancellation_that_finds_nothing_is_sent_again),
		cmocka_unit_test(
			a_deadline_ends_a_receive_whose_bytes_others_take),
		cmocka_unit_test(foreign_thread_blocks_on_its_operation),
		cmocka_unit_test(bad_descriptors_are_refused),
		cmocka_unit_test(
			a_close_that_was_interrupted_is_not_done_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
