// SPDX-License-Identifier: MIT
/*
 * fault - attacks I1 to I5 of kernel-iface/fault.h on a bare ring, one kind at a time:
 * what a fault makes of an operation, and what it must not. test_faults.c has the
 * runtime on top.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/base/list.h"
#include "kernel-iface/fault.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/op_wait.h"
#include "kernel-iface/ring.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS = 400 };

struct watched {
	struct op op;
	int res, calls;
};

static struct ring ring;

static void on_done(struct op *op, int res, uint32_t flags, void *reaper)
{
	struct watched *w = container_of(op, struct watched, op);

	(void)flags;
	(void)reaper;
	w->res = res;
	w->calls++;
}

static void open_ring(uint64_t seed, unsigned kinds)
{
	assert_int_equal(probe_init(), 0);
	fault_configure(seed, kinds);
	assert_int_equal(ring_open(&ring, 64), 0);
}

static void close_ring(void)
{
	ring_close(&ring);
	ring_forget(&ring);
	fault_configure(0, 0);
}

/* To its end; the result. */
static int perform(const struct op_sqe *s)
{
	struct watched w = {.op.done = on_done};

	while (ring_push(&ring, s, &w.op))
		ring_reap(&ring, 64, NULL);
	while (!w.calls) {
		ring_wait(&ring, -1);
		ring_reap(&ring, 64, NULL);
	}
	assert_int_equal(w.calls, 1);
	assert_int_equal(ring_inflight(&ring), 0);
	return w.res;
}

static void fault_without_a_seed_is_not_there(void **state)
{
	(void)state;
	open_ring(0, 0);
	assert_null(ring.fault);
	assert_int_equal(ring.is_detoured, ring.ep != NULL);
	close_ring();
}

static void fault_again_hands_nothing_to_the_kernel(void **state)
{
	int failed = 0, pipefd[2];
	struct op_sqe s;
	char c;

	(void)state;
	assert_int_equal(pipe(pipefd), 0);
	for (uint64_t seed = 1; seed <= 8; seed++) {
		open_ring(seed, 1u << FAULT_AGAIN | 1u << FAULT_ERROR);
		for (int i = 0; i < ROUNDS; i++) {
			int res;

			op_write(&s, pipefd[1], "x", 1, OP_OFF_CURRENT);
			res = perform(&s);
			if (res == 1) {
				assert_int_equal(read(pipefd[0], &c, 1), 1);
				continue;
			}
			failed++;
			assert_true(res == -EINTR || res == -512 ||
				    res == -ECANCELED || res == -EAGAIN ||
				    res == -ENOMEM);
			assert_int_equal(
				poll(&(struct pollfd){pipefd[0], POLLIN, 0}, 1,
				     0),
				0);
		}
		close_ring();
	}
	assert_true(failed > 100);
	close(pipefd[0]);
	close(pipefd[1]);
}

static void fault_never_says_that_a_close_was_interrupted(void **state)
{
	struct op_sqe s;

	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		open_ring(seed, 1u << FAULT_AGAIN | 1u << FAULT_ERROR);
		for (int i = 0; i < ROUNDS / 4; i++) {
			int fd = dup(STDIN_FILENO), res;

			assert_true(fd >= 0);
			op_close(&s, fd);
			res = perform(&s);
			if (res)
				/* Then it is still open. */
				assert_int_equal(close(fd), 0);
			assert_true(res == 0 || res == -ECANCELED ||
				    res == -ENOMEM);
		}
		close_ring();
	}
}

static void fault_short_counts_what_was_moved(void **state)
{
	char out[1000], in[1000];
	struct op_sqe s;
	int sv[2], cut = 0;

	(void)state;
	memset(out, 'o', sizeof(out));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	for (uint64_t seed = 1; seed <= 8; seed++) {
		open_ring(seed, 1u << FAULT_SHORT);
		for (int i = 0; i < ROUNDS; i++) {
			int res;

			op_send(&s, sv[0], out, sizeof(out), MSG_WAITALL);
			res = perform(&s);
			assert_in_range(res, 1, sizeof(out));
			cut += (size_t)res < sizeof(out);
			assert_int_equal(
				recv(sv[1], in, sizeof(in), MSG_DONTWAIT), res);
		}
		close_ring();
	}
	assert_in_range(cut, 50, 8 * ROUNDS / 2);
	close(sv[0]);
	close(sv[1]);
}

/* I2 */
static void
fault_short_leaves_messages_and_small_pipe_writes_whole(void **state)
{
	char out[PIPE_BUF], in[PIPE_BUF];
	struct op_sqe s;
	int sv[2], pipefd[2];

	(void)state;
	memset(out, 'o', sizeof(out));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv), 0);
	assert_int_equal(pipe(pipefd), 0);
	for (uint64_t seed = 1; seed <= 8; seed++) {
		open_ring(seed, 1u << FAULT_SHORT);
		for (int i = 0; i < ROUNDS; i++) {
			op_send(&s, sv[0], out, 100, 0);
			assert_int_equal(perform(&s), 100);
			op_recv(&s, sv[1], in, sizeof(in), 0);
			assert_int_equal(perform(&s), 100);
			op_write(&s, pipefd[1], out, sizeof(out),
				 OP_OFF_CURRENT);
			assert_int_equal(perform(&s), sizeof(out));
			assert_int_equal(read(pipefd[0], in, sizeof(in)),
					 sizeof(in));
		}
		close_ring();
	}
	close(sv[0]);
	close(sv[1]);
	close(pipefd[0]);
	close(pipefd[1]);
}

/* I3 */
static void fault_late_completions_are_in_flight_and_end_in_time(void **state)
{
	uint32_t late = 0;
	struct op_sqe s;

	(void)state;
	op_nop(&s);
	for (uint64_t seed = 1; seed <= 8; seed++) {
		open_ring(seed, 1u << FAULT_LATE);
		/* Each wait is one without a limit. */
		for (int i = 0; i < ROUNDS; i++)
			assert_int_equal(perform(&s), 0);
		late += fault_count(FAULT_LATE, IORING_OP_NOP);
		close_ring();
	}
	assert_true(late > 100);
}

static void fault_cancel_ends_what_would_wait_for_ever(void **state)
{
	struct op_sqe s;
	int ended = 0, sv[2];
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	op_recv(&s, sv[0], &c, 1, 0);
	for (uint64_t seed = 1; seed <= 16; seed++) {
		open_ring(seed, 1u << FAULT_CANCEL);
		for (int i = 0; i < 100; i++) {
			struct watched w = {.op.done = on_done};

			while (ring_push(&ring, &s, &w.op))
				ring_reap(&ring, 64, NULL);
			for (int n = 0; n < 3; n++) {
				ring_enter(&ring);
				ring_reap(&ring, 64, NULL);
			}
			ended += w.calls;
			if (w.calls)
				assert_int_equal(w.res, -ECANCELED);
			else
				assert_int_equal(send(sv[1], "x", 1, 0), 1);
			while (!w.calls) {
				ring_wait(&ring, RG_MILLISECOND);
				ring_reap(&ring, 64, NULL);
			}
			/* Cancelled after all: the byte is still there. */
			if (w.res == -ECANCELED)
				(void)recv(sv[0], &c, 1, MSG_DONTWAIT);
			else
				assert_int_equal(w.res, 1);
		}
		close_ring();
	}
	assert_true(ended > 20);
	close(sv[0]);
	close(sv[1]);
}

static void fault_queue_refuses_and_loses_nothing(void **state)
{
	struct watched w[200];
	struct op_sqe s;
	int refused = 0;

	(void)state;
	op_nop(&s);
	for (uint64_t seed = 1; seed <= 16; seed++) {
		memset(w, 0, sizeof(w));
		open_ring(seed, 1u << FAULT_QUEUE);
		for (int i = 0; i < 200; i++) {
			w[i].op.done = on_done;
			while (ring_push(&ring, &s, &w[i].op)) {
				refused++;
				ring_enter(&ring);
				ring_reap(&ring, 64, NULL);
			}
		}
		while (ring_inflight(&ring)) {
			ring_wait(&ring, RG_MILLISECOND);
			ring_reap(&ring, 64, NULL);
		}
		for (int i = 0; i < 200; i++)
			assert_int_equal(w[i].calls, 1);
		close_ring();
	}
	assert_true(refused > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault_without_a_seed_is_not_there),
		cmocka_unit_test(fault_again_hands_nothing_to_the_kernel),
		cmocka_unit_test(fault_never_says_that_a_close_was_interrupted),
		cmocka_unit_test(fault_short_counts_what_was_moved),
		cmocka_unit_test(
			fault_short_leaves_messages_and_small_pipe_writes_whole),
		cmocka_unit_test(
			fault_late_completions_are_in_flight_and_end_in_time),
		cmocka_unit_test(fault_cancel_ends_what_would_wait_for_ever),
		cmocka_unit_test(fault_queue_refuses_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
