// SPDX-License-Identifier: MIT
/*
 * Attacks conn's and netfd's invariants: reading and writing across goroutines and
 * threads, deadlines, close in the middle of everything, what a second layer gets to
 * see. Each body is run on several Ps and on one, and leaves no descriptor behind.
 */
#include "tests/net/netpair.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "net/conn.h"

#define MIB ((size_t)1 << 20)

/* ---- bytes -------------------------------------------------------------- */

TEST(conn_carries_bytes_both_ways_to_a_sticky_end)
{
	struct pair p = pair_tcp();
	char buf[64];

	T_CHECK_INT_EQ(rg_conn_write(p.a, "hello", 5), 5);
	read_exactly(p.b, buf, 5);
	T_CHECK_MEM_EQ(buf, "hello", 5);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "you", 3), 3);
	T_CHECK_INT_EQ(rg_conn_read(p.a, buf, sizeof(buf)), 3);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

TEST(conn_calls_that_move_nothing_do_not_park)
{
	struct pair p = pair_tcp();
	struct iovec none[2] = {{NULL, 0}, {NULL, 0}};

	/* Nobody ever writes: anything that parked would hang. */
	T_CHECK_INT_EQ(rg_conn_read(p.a, NULL, 0), 0);
	T_CHECK_INT_EQ(rg_conn_write(p.a, NULL, 0), 0);
	T_CHECK_INT_EQ(rg_conn_write_some(p.a, NULL, 0), 0);
	T_CHECK_INT_EQ(rg_conn_writev(p.a, none, 0), 0);
	T_CHECK_INT_EQ(rg_conn_writev(p.a, none, 2), 0);
	rg_conn_ref(p.a);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.a, NULL, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_write(p.a, NULL, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_writev(p.a, none, 2), -ECANCELED);
	rg_conn_unref(p.a);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

struct bulk {
	rg_conn *c;
	unsigned char *data;
	size_t len;
};

static void fill(unsigned char *p, size_t n)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (unsigned char)(x >> 24);
	}
}

static void write_bulk(void *arg)
{
	struct bulk *b = arg;

	T_CHECK_INT_EQ(rg_conn_write(b->c, b->data, b->len), b->len);
	T_CHECK_INT_EQ(rg_conn_close_write(b->c), 0);
}

TEST(conn_write_returns_when_all_is_sent)
{
	struct pair p = pair_tcp();
	struct bulk b = {.c = p.a, .len = 8 * MIB};
	unsigned char *got = malloc(b.len);
	rg_waitgroup w = {0};
	char beyond;

	b.data = malloc(b.len);
	T_CHECK(b.data && got);
	fill(b.data, b.len);
	spawn(&w, write_bulk, &b);
	read_exactly(p.b, got, b.len);
	T_CHECK_MEM_EQ(got, b.data, b.len);
	T_CHECK_INT_EQ(rg_conn_read(p.b, &beyond, 1), 0);
	rg_waitgroup_wait(&w);
	pair_close(&p);
	free(got);
	free(b.data);
}

enum { WRITERS = 6, ROUNDS = 3 };

struct writer {
	rg_conn *c;
	unsigned char letter;
};

static void write_letters(void *arg)
{
	struct writer *wr = arg;
	unsigned char *data = malloc(MIB);

	T_CHECK(data != NULL);
	memset(data, wr->letter, MIB);
	for (int i = 0; i < ROUNDS; i++) {
		struct iovec v[3] = {{data, 1000},
				     {data + 1000, 1},
				     {data + 1001, MIB - 1001}};

		if (i % 2)
			T_CHECK_INT_EQ(rg_conn_writev(wr->c, v, 3), MIB);
		else
			T_CHECK_INT_EQ(rg_conn_write(wr->c, data, MIB), MIB);
	}
	free(data);
}

TEST(conn_concurrent_writers_do_not_interleave)
{
	struct pair p = pair_tcp();
	struct writer writers[WRITERS];
	unsigned char *got = malloc(MIB);
	int count[WRITERS] = {0};
	rg_waitgroup w = {0};

	T_CHECK(got != NULL);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){p.a, (unsigned char)('A' + i)};
		spawn(&w, write_letters, &writers[i]);
	}
	for (int i = 0; i < WRITERS * ROUNDS; i++) {
		read_exactly(p.b, got, MIB);
		for (size_t k = 1; k < MIB; k++)
			T_CHECK_INT_EQ(got[k], got[0]);
		T_CHECK(got[0] >= 'A' && got[0] < 'A' + WRITERS);
		count[got[0] - 'A']++;
	}
	for (int i = 0; i < WRITERS; i++)
		T_CHECK_INT_EQ(count[i], ROUNDS);
	rg_waitgroup_wait(&w);
	free(got);
	pair_close(&p);
}

TEST(conn_concurrent_readers_take_turns)
{
	struct pair p = pair_tcp();
	struct call calls[5];
	char bufs[5][4];
	rg_waitgroup w = {0};
	int sum = 0;

	for (int i = 0; i < 5; i++) {
		calls[i] = (struct call){.c = p.b, .buf = bufs[i], .n = 1};
		spawn(&w, call_read, &calls[i]);
	}
	for (int i = 0; i < 5; i++)
		call_is_parked(&calls[i]);
	T_CHECK_INT_EQ(rg_conn_write(p.a, "\1\2\3\4\5", 5), 5);
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 5; i++) {
		T_CHECK_INT_EQ(calls[i].ret, 1);
		sum += bufs[i][0];
	}
	T_CHECK_INT_EQ(sum, 15);
	pair_close(&p);
}

enum { MANY_BUFFERS = 3000 };

struct vector_call {
	rg_conn *c;
	struct iovec *v;
	size_t total;
};

static void write_vector(void *arg)
{
	struct vector_call *vc = arg;

	T_CHECK_INT_EQ(rg_conn_writev(vc->c, vc->v, MANY_BUFFERS), vc->total);
}

TEST(conn_writev_sends_more_buffers_than_the_kernel_takes)
{
	struct pair p = pair_tcp();
	struct iovec *v = calloc(MANY_BUFFERS, sizeof(*v));
	struct iovec *copy = calloc(MANY_BUFFERS, sizeof(*v));
	struct vector_call vc = {.c = p.a, .v = v};
	unsigned char *data = malloc(4 * MIB), *got = malloc(4 * MIB);
	rg_waitgroup w = {0};

	T_CHECK(v && copy && data && got);
	fill(data, 4 * MIB);
	for (int i = 0; i < MANY_BUFFERS; i++) {
		/* Empty ones in between, a run of them, and one of 1 MiB. */
		size_t n = i == 1500             ? MIB
			   : i % 7 == 0 || i < 3 ? 0
						 : (size_t)(i % 1000);

		v[i] = (struct iovec){data + vc.total, n};
		vc.total += n;
	}
	T_CHECK(vc.total <= 4 * MIB);
	memcpy(copy, v, MANY_BUFFERS * sizeof(*v));
	spawn(&w, write_vector, &vc);
	read_exactly(p.b, got, vc.total);
	T_CHECK_MEM_EQ(got, data, vc.total);
	rg_waitgroup_wait(&w);
	T_CHECK_MEM_EQ(v, copy, MANY_BUFFERS * sizeof(*v));

	T_CHECK_INT_EQ(rg_conn_writev(p.a, v, -1), -EINVAL);
	v[0].iov_len = v[1].iov_len = (size_t)SSIZE_MAX;
	T_CHECK_INT_EQ(rg_conn_writev(p.a, v, 2), -EINVAL);
	T_CHECK_INT_EQ(rg_conn_write(p.a, data, (size_t)-1), -EINVAL);
	pair_close(&p);
	free(v);
	free(copy);
	free(data);
	free(got);
}

TEST(conn_write_some_takes_what_fits)
{
	struct pair p = pair_tcp();
	unsigned char *data = calloc(1, 16 * MIB);
	ssize_t n;

	T_CHECK(data != NULL);
	n = rg_conn_write_some(p.a, data, 16 * MIB);
	T_CHECK(n > 0 && (size_t)n < 16 * MIB);
	free(data);
	pair_close(&p);
}

TEST(conn_close_write_ends_one_direction)
{
	struct pair p = pair_tcp();
	char buf[8];

	T_CHECK_INT_EQ(rg_conn_write(p.a, "q", 1), 1);
	T_CHECK_INT_EQ(rg_conn_close_write(p.a), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), 1);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), 0);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "answer", 6), 6);
	read_exactly(p.a, buf, 6);
	T_CHECK_INT_EQ(rg_conn_write(p.a, "x", 1), -EPIPE);
	pair_close(&p);
}

TEST(conn_write_to_a_peer_that_is_gone_is_epipe)
{
	struct pair p = pair_tcp();
	ssize_t ret = 0;

	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	/* The first send provokes the reset that later ones find. */
	for (int i = 0; i < 1000 && ret >= 0; i++) {
		ret = rg_conn_write(p.b, "x", 1);
		(void)rg_sleep(RG_MILLISECOND);
	}
	T_CHECK(ret == -EPIPE || ret == -ECONNRESET);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "x", 1), -EPIPE);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

TEST(conn_reset_is_not_an_end)
{
	struct pair p = pair_tcp();
	struct call call = {.c = p.b, .buf = (char[4]){0}, .n = 4};
	const struct linger hard = {.l_onoff = 1};
	rg_waitgroup w = {0};

	spawn(&w, call_read, &call);
	call_is_parked(&call);
	T_CHECK_INT_EQ(setsockopt(rg_conn_fd(p.a), SOL_SOCKET, SO_LINGER, &hard,
				  sizeof(hard)),
		       0);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, -ECONNRESET);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

/* ---- deadlines ---------------------------------------------------------- */

TEST(conn_read_deadline_ends_reads_until_it_is_set_anew)
{
	struct pair p = pair_tcp();
	rg_time start = rg_now();
	char buf[8];

	T_CHECK_INT_EQ(
		rg_conn_set_read_deadline(p.b, start + 20 * RG_MILLISECOND), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ETIMEDOUT);
	T_CHECK(rg_now() - start >= 20 * RG_MILLISECOND);
	T_CHECK(rg_now() - start < 5 * RG_SECOND);
	/* Sticky, also when bytes are there; none of them is lost. */
	T_CHECK_INT_EQ(rg_conn_write(p.a, "late", 4), 4);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ETIMEDOUT);
	/* The other direction is not concerned. */
	T_CHECK_INT_EQ(rg_conn_write(p.b, "w", 1), 1);
	T_CHECK_INT_EQ(rg_conn_set_read_deadline(p.b, 0), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), 4);
	T_CHECK_MEM_EQ(buf, "late", 4);
	pair_close(&p);
}

TEST(conn_deadline_in_the_past_fails_at_once)
{
	struct pair p = pair_tcp();
	char buf[8];

	T_CHECK_INT_EQ(rg_conn_write(p.a, "x", 1), 1);
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, rg_now() - RG_SECOND), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "x", 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, 1), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, -5), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, RG_FOREVER), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), 1);
	pair_close(&p);
}

TEST(conn_deadline_ends_calls_that_are_parked)
{
	struct pair p = pair_tcp();
	struct call calls[3];
	char buf[3][4];
	rg_waitgroup w = {0};

	for (int i = 0; i < 3; i++) {
		calls[i] = (struct call){.c = p.b, .buf = buf[i], .n = 4};
		spawn(&w, call_read, &calls[i]);
	}
	for (int i = 0; i < 3; i++)
		call_is_parked(&calls[i]);
	/* First one far away, then nearer, then now. */
	T_CHECK_INT_EQ(rg_conn_set_read_deadline(p.b, rg_now() + RG_HOUR), 0);
	T_CHECK_INT_EQ(rg_conn_set_read_deadline(p.b, rg_now() + RG_MINUTE), 0);
	T_CHECK_INT_EQ(rg_conn_set_read_deadline(p.b, rg_now()), 0);
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(calls[i].ret, -ETIMEDOUT);
	pair_close(&p);
}

/* False: this machine was too busy to move the deadline in time. */
static bool move_deadline_away(void)
{
	struct pair p = pair_tcp();
	struct call call = {.c = p.b, .buf = (char[4]){0}, .n = 4};
	rg_time first = rg_now() + 60 * RG_MILLISECOND;
	rg_waitgroup w = {0};
	bool in_time;

	T_CHECK_INT_EQ(rg_conn_set_read_deadline(p.b, first), 0);
	spawn(&w, call_read, &call);
	T_WAIT_UNTIL(call_has_started, &call);
	T_CHECK_INT_EQ(rg_conn_set_read_deadline(p.b, rg_now() + RG_HOUR), 0);
	in_time = rg_now() < first;
	(void)rg_sleep(first - rg_now() + 20 * RG_MILLISECOND);
	if (in_time)
		T_CHECK(!call.ended);
	if (!call.ended)
		T_CHECK_INT_EQ(rg_conn_write(p.a, "ok", 2), 2);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, in_time ? 2 : call.ret);
	pair_close(&p);
	return in_time;
}

TEST(conn_deadline_moved_away_in_time_does_not_fire)
{
	int tries = 0;

	while (!move_deadline_away())
		T_CHECK_INT_LT(++tries, 100);
}

TEST(conn_write_deadline_ends_a_stuck_write)
{
	struct pair p = pair_tcp();
	struct call call = {.c = p.a, .n = 32 * MIB};
	rg_waitgroup w = {0};
	rg_time start;

	call.buf = calloc(1, call.n);
	T_CHECK(call.buf != NULL);
	start = rg_now();
	T_CHECK_INT_EQ(
		rg_conn_set_write_deadline(p.a, rg_now() + 30 * RG_MILLISECOND),
		0);
	spawn(&w, call_write, &call);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, -ETIMEDOUT);
	T_CHECK(rg_now() - start >= 30 * RG_MILLISECOND);
	T_CHECK(rg_now() - start < 10 * RG_SECOND);
	free(call.buf);
	pair_close(&p);
}

struct stream {
	rg_conn *c;
	uint32_t count;
};

static void send_numbers(void *arg)
{
	struct stream *s = arg;

	for (uint32_t i = 0; i < s->count; i++) {
		T_CHECK_INT_EQ(rg_conn_write(s->c, &i, sizeof(i)), sizeof(i));
		if (i % 3 == 0)
			(void)rg_sleep(20 * RG_MICROSECOND);
	}
}

/* Reads with a deadline that keeps striking just when bytes arrive. */
TEST(conn_reads_that_time_out_lose_no_byte)
{
	struct pair p = pair_tcp();
	struct stream s = {p.a, 5000};
	rg_waitgroup w = {0};
	unsigned timeouts = 0;
	uint32_t next = 0;
	char buf[4];
	size_t have = 0;

	spawn(&w, send_numbers, &s);
	while (next < s.count) {
		ssize_t n;

		T_CHECK_INT_EQ(rg_conn_set_read_deadline(
				       p.b, rg_now() + (timeouts % 5) * 10 *
							       RG_MICROSECOND),
			       0);
		n = rg_conn_read(p.b, buf + have, sizeof(buf) - have);
		if (n == -ETIMEDOUT) {
			if (++timeouts % 8 == 0)
				(void)rg_sleep(10 * RG_MICROSECOND);
			continue;
		}
		T_CHECK_INT_GT(n, 0);
		have += (size_t)n;
		if (have == sizeof(buf)) {
			uint32_t got;

			memcpy(&got, buf, sizeof(got));
			T_CHECK_INT_EQ(got, next);
			next++;
			have = 0;
		}
	}
	T_CHECK_INT_GT(timeouts, 0);
	rg_waitgroup_wait(&w);
	pair_close(&p);
}

/* ---- contexts ----------------------------------------------------------- */

static void cancel_soon(void *arg)
{
	(void)rg_sleep(20 * RG_MILLISECOND);
	rg_ctx_cancel(arg, 0);
}

TEST(conn_calls_heed_the_bound_context)
{
	struct pair p = pair_tcp();
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_waitgroup w = {0};
	char buf[4];

	T_CHECK(ctx != NULL);
	spawn(&w, cancel_soon, ctx);
	T_CHECK_PTR_EQ(rg_ctx_bind(ctx), NULL);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "x", 1), -ECANCELED);
	T_CHECK_PTR_EQ(rg_ctx_bind(NULL), ctx);
	rg_ctx_unref(ctx);
	/* The connection is as good as before. */
	T_CHECK_INT_EQ(rg_conn_write(p.a, "abc", 3), 3);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, sizeof(buf)), 3);
	rg_waitgroup_wait(&w);
	rg_ctx_unref(ctx);
	pair_close(&p);
}

static void read_with_timeout(void *arg)
{
	rg_time start = rg_now();
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	struct call *call = arg;

	T_CHECK(ctx != NULL);
	rg_ctx_bind(ctx);
	call_read(call);
	call->took = rg_now() - start;
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

TEST(conn_waiting_for_another_reader_heeds_the_context)
{
	struct pair p = pair_tcp();
	struct call holder = {.c = p.b, .buf = (char[4]){0}, .n = 4};
	struct call waiters[3], last;
	char bufs[4][4];
	rg_waitgroup w = {0}, timed = {0};

	spawn(&w, call_read, &holder);
	call_is_parked(&holder);
	for (int i = 0; i < 3; i++) {
		waiters[i] = (struct call){.c = p.b, .buf = bufs[i], .n = 4};
		spawn(&timed, read_with_timeout, &waiters[i]);
	}
	last = (struct call){.c = p.b, .buf = bufs[3], .n = 4};
	spawn(&w, call_read, &last);
	call_is_parked(&last);
	rg_waitgroup_wait(&timed);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(waiters[i].ret, -ETIMEDOUT);
		T_CHECK_INT_GE(waiters[i].took, 20 * RG_MILLISECOND);
	}
	T_CHECK(!holder.ended && !last.ended);
	/* The queue is in order: holder, then last. */
	T_CHECK_INT_EQ(rg_conn_write(p.a, "1234", 4), 4);
	T_CHECK_INT_EQ(rg_conn_write(p.a, "5678", 4), 4);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(holder.ret, 4);
	T_CHECK_INT_EQ(last.ret, 4);
	T_CHECK_MEM_EQ(holder.buf, "1234", 4);
	T_CHECK_MEM_EQ(last.buf, "5678", 4);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conn_carries_bytes_both_ways_to_a_sticky_end),
		cmocka_unit_test(conn_calls_that_move_nothing_do_not_park),
		cmocka_unit_test(conn_write_returns_when_all_is_sent),
		cmocka_unit_test(conn_concurrent_writers_do_not_interleave),
		cmocka_unit_test(conn_concurrent_readers_take_turns),
		cmocka_unit_test(
			conn_writev_sends_more_buffers_than_the_kernel_takes),
		cmocka_unit_test(conn_write_some_takes_what_fits),
		cmocka_unit_test(conn_close_write_ends_one_direction),
		cmocka_unit_test(conn_write_to_a_peer_that_is_gone_is_epipe),
		cmocka_unit_test(conn_reset_is_not_an_end),
		cmocka_unit_test(
			conn_read_deadline_ends_reads_until_it_is_set_anew),
		cmocka_unit_test(conn_deadline_in_the_past_fails_at_once),
		cmocka_unit_test(conn_deadline_ends_calls_that_are_parked),
		cmocka_unit_test(
			conn_deadline_moved_away_in_time_does_not_fire),
		cmocka_unit_test(conn_write_deadline_ends_a_stuck_write),
		cmocka_unit_test(conn_reads_that_time_out_lose_no_byte),
		cmocka_unit_test(conn_calls_heed_the_bound_context),
		cmocka_unit_test(
			conn_waiting_for_another_reader_heeds_the_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
