// SPDX-License-Identifier: MIT
/*
 * ring - attacks I1-I5 of kernel-iface/ring.h: full queues, overflow, wake-ups, late
 * completions, cancellation, every step of the set-up ladder. With RINGGO_ENGINE=epoll
 * what holds for both engines is asked of that one; test_epring.c has its own.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/base/list.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct counted {
	struct op op;
	int res, calls;
	int answer, answers;
};

static struct ring ring;

static void on_done(struct op *op, int res, uint32_t flags, void *reaper)
{
	struct counted *c = container_of(op, struct counted, op);

	(void)flags;
	c->res = res;
	c->calls++;
	++*(int *)reaper;
}

static void on_answered(struct op *op, int res, void *reaper)
{
	struct counted *c = container_of(op, struct counted, op);

	c->answer = res;
	c->answers++;
	++*(int *)reaper;
}

static bool is_epoll(void)
{
	return probe_engine() == PROBE_EPOLL;
}

static void nop(struct op_sqe *s)
{
	memset(s, 0, sizeof *s);
	io_uring_prep_nop(&s->sqe);
}

static int reap_all(void)
{
	int n = 0;

	while (ring_reap(&ring, 64, &n))
		;
	return n;
}

/* Until n completions were seen; fails after 5 s. */
static void await(int n)
{
	int64_t end = clock_now() + 5 * RG_SECOND;
	int seen = 0;

	while (seen < n) {
		assert_true(clock_now() < end);
		assert_int_equal(ring_wait(&ring, 100 * RG_MILLISECOND), 0);
		seen += reap_all();
	}
}

static void open_ring(unsigned entries, const char *env)
{
	if (env)
		setenv("RINGGO_URING", env, 1);
	assert_int_equal(probe_init(), 0);
	unsetenv("RINGGO_URING");
	assert_int_equal(ring_open(&ring, entries), 0);
}

static void ring_more_operations_than_entries_all_complete(void **state)
{
	struct counted c[500] = {0};
	struct op_sqe s;

	(void)state;
	open_ring(8, NULL);
	nop(&s);
	for (int i = 0; i < 500; i++) {
		c[i].op.done = on_done;
		while (ring_push(&ring, &s, &c[i].op))
			assert_true(reap_all() > 0);
	}
	/* The other engine's queue is a list. */
	assert_true(ring.sq_full > 0 || is_epoll());
	while (ring_inflight(&ring)) {
		ring_wait(&ring, RG_MILLISECOND);
		reap_all();
	}
	for (int i = 0; i < 500; i++)
		assert_int_equal(c[i].calls, 1);
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_completion_queue_overflow_loses_nothing(void **state)
{
	struct counted c[200] = {0};
	struct op_sqe s;

	(void)state;
	open_ring(8, NULL); /* CQ of 32 */
	nop(&s);
	for (int i = 0; i < 200; i++) {
		c[i].op.done = on_done;
		/* Not reaped: the CQ runs over. */
		if (ring_push(&ring, &s, &c[i].op)) {
			assert_true(reap_all() > 0);
			i--;
		}
	}
	while (ring_inflight(&ring)) {
		assert_int_equal(ring_wait(&ring, RG_MILLISECOND), 0);
		reap_all();
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(c[i].calls, 1);
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_cancelled_receive_ends_and_buffer_is_free(void **state)
{
	struct counted c = {.op.done = on_done, .op.answered = on_answered};
	struct op_sqe s;
	char buf[16];
	int sv[2];

	(void)state;
	open_ring(8, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	op_recv(&s, sv[0], buf, sizeof buf, 0);
	assert_int_equal(ring_push(&ring, &s, &c.op), 0);
	ring_enter(&ring);
	assert_int_equal(reap_all(), 0);
	assert_int_equal(ring_inflight(&ring), 1);
	assert_int_equal(ring_push_cancel(&ring, &c.op), is_epoll());
	await(is_epoll() ? 1 : 2);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.res, -ECANCELED);
	assert_int_equal(c.answers, !is_epoll());
	assert_int_equal(c.answer, 0);
	assert_int_equal(ring_inflight(&ring), 0);
	close(sv[0]);
	close(sv[1]);
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_cancel_of_a_finished_operation_is_harmless(void **state)
{
	struct counted c = {.op.done = on_done, .op.answered = on_answered};
	struct op_sqe s;

	(void)state;
	open_ring(8, NULL);
	nop(&s);
	assert_int_equal(ring_push(&ring, &s, &c.op), 0);
	await(1);
	assert_int_equal(ring_push_cancel(&ring, &c.op), is_epoll());
	if (!is_epoll())
		await(1);
	assert_int_equal(c.calls, 1);
	assert_int_equal(c.answers, !is_epoll());
	assert_int_equal(c.answer, is_epoll() ? 0 : -ENOENT);
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_late_completion_finds_nobody(void **state)
{
	struct counted c = {.op.done = on_done};
	struct op_sqe s;

	(void)state;
	open_ring(8, NULL);
	if (is_epoll()) { /* it has no numbers, only addresses */
		ring_close(&ring);
		ring_forget(&ring);
		skip();
	}
	nop(&s);
	assert_int_equal(ring_push(&ring, &s, &c.op), 0);
	c.op.gen++; /* as if the operation's memory served another one */
	ring_enter(&ring);
	assert_int_equal(reap_all(), 0);
	assert_int_equal(ring.late_cqes, 1);
	assert_int_equal(c.calls, 0);
	ring_close(&ring);
	ring_forget(&ring);
}

static void *wake_later(void *arg)
{
	(void)arg;
	/* Once it sleeps, or just before: both must work. */
	ring_wake(&ring);
	return NULL;
}

static void ring_wake_ends_a_wait_from_another_thread(void **state)
{
	(void)state;
	open_ring(8, NULL);
	for (int i = 0; i < 200; i++) {
		pthread_t t;
		int64_t before = clock_now();

		pthread_create(&t, NULL, wake_later, NULL);
		/* May return early (the wake-up's own arming); not late. */
		do {
			ring_wait(&ring, 10 * RG_SECOND);
			reap_all();
		} while (ring.wake_armed);
		assert_true(clock_now() - before < 5 * RG_SECOND);
		pthread_join(t, NULL);
	}
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_wait_times_out(void **state)
{
	int64_t before = clock_now(), took;

	(void)state;
	open_ring(8, NULL);
	ring_wait(&ring, 20 * RG_MILLISECOND);
	took = clock_now() - before;
	assert_in_range(took, 19 * RG_MILLISECOND, 5 * RG_SECOND);
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_cancel_all_ends_everything(void **state)
{
	struct counted c[5] = {0};
	struct op_sqe s[5];
	char buf[5];
	int sv[2];

	(void)state;
	open_ring(8, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	for (int i = 0; i < 5; i++) {
		c[i].op.done = on_done;
		op_recv(&s[i], sv[0], buf + i, 1, 0);
		assert_int_equal(ring_push(&ring, &s[i], &c[i].op), 0);
	}
	ring_enter(&ring);
	ring_cancel_all(&ring);
	await(5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(c[i].res, -ECANCELED);
	close(sv[0]);
	close(sv[1]);
	ring_close(&ring);
	ring_forget(&ring);
}

static void ring_every_step_of_the_ladder_works(void **state)
{
	static const char *const profiles[] = {"on:defer", "off:single_issuer",
					       "off:single_issuer,coop",
					       "off:all", NULL};

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct counted c = {.op.done = on_done};
		struct op_sqe s;
		char byte = 0;
		int sv[2];

		open_ring(16, profiles[i]);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
		op_recv(&s, sv[0], &byte, 1, 0);
		assert_int_equal(ring_push(&ring, &s, &c.op), 0);
		ring_enter(&ring);
		assert_int_equal(write(sv[1], "x", 1), 1);
		await(1);
		assert_int_equal(c.res, 1);
		assert_int_equal(byte, 'x');
		close(sv[0]);
		close(sv[1]);
		ring_close(&ring);
		ring_forget(&ring);
	}
	assert_int_equal(probe_init(), 0);
}

static void probe_explains_each_refusal_with_a_cure(void **state)
{
	char text[512];

	(void)state;
	probe_explain(-ENOSYS, text, sizeof text);
	assert_non_null(strstr(text, "6.1"));
	probe_explain(-EPERM, text, sizeof text);
	assert_true(strstr(text, "seccomp") || strstr(text, "sysctl"));
	probe_explain(-ENOMEM, text, sizeof text);
	assert_non_null(
		strstr(text, is_epoll() ? "out of memory" : "RLIMIT_MEMLOCK"));
	probe_explain(-EOPNOTSUPP, text, sizeof text);
	assert_non_null(strstr(text, "too old"));
	probe_explain(-EMFILE, text, sizeof text);
	assert_non_null(strstr(text, "RLIMIT_NOFILE"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			ring_more_operations_than_entries_all_complete),
		cmocka_unit_test(ring_completion_queue_overflow_loses_nothing),
		cmocka_unit_test(
			ring_cancelled_receive_ends_and_buffer_is_free),
		cmocka_unit_test(
			ring_cancel_of_a_finished_operation_is_harmless),
		cmocka_unit_test(ring_late_completion_finds_nobody),
		cmocka_unit_test(ring_wake_ends_a_wait_from_another_thread),
		cmocka_unit_test(ring_wait_times_out),
		cmocka_unit_test(ring_cancel_all_ends_everything),
		cmocka_unit_test(ring_every_step_of_the_ladder_works),
		cmocka_unit_test(probe_explains_each_refusal_with_a_cure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
