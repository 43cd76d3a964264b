// SPDX-License-Identifier: MIT
/*
 * Attacks packetbatch's invariants: nothing is lost, doubled or cut unseen by calls that
 * move many datagrams; they wait, fail and are ended as the single ones are.
 */
#include "tests/net/netpair.h"
#include "tests/support/rgcall.h"

#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { MANY = 64, SIZE = 32 };

static rg_packet *packet_at(const char *network, const char *address)
{
	rg_packet *p = NULL;

	T_CHECK_INT_EQ(rg_listen_packet(network, address, &p), 0);
	return p;
}

static socklen_t name_of(const rg_packet *p, struct sockaddr_storage *name)
{
	socklen_t len = sizeof(*name);

	T_CHECK_INT_EQ(
		getsockname(rg_packet_fd(p), (struct sockaddr *)name, &len), 0);
	return len;
}

static void close_ok(rg_packet *p)
{
	T_CHECK_INT_EQ(rg_packet_close(p), 0);
}

/* Room for MANY datagrams. */
struct batch {
	struct mmsghdr msgs[MANY];
	struct iovec v[MANY];
	struct sockaddr_storage name;
	char text[MANY][SIZE];
};

static struct batch *batch_new(void)
{
	struct batch *b = calloc(1, sizeof *b);

	T_CHECK(b != NULL);
	for (int i = 0; i < MANY; i++) {
		b->v[i] = (struct iovec){b->text[i], SIZE};
		b->msgs[i].msg_hdr.msg_iov = &b->v[i];
		b->msgs[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

/* For `to`: numbers from `first`, of different lengths. */
static void number(struct batch *b, const rg_packet *to, int first)
{
	socklen_t len = name_of(to, &b->name);

	for (int i = 0; i < MANY; i++) {
		b->v[i].iov_len =
			(size_t)snprintf(b->text[i], SIZE, "%d%.*s", first + i,
					 (first + i) % 9, "........");
		b->msgs[i].msg_hdr.msg_name = &b->name;
		b->msgs[i].msg_hdr.msg_namelen = len;
	}
}

static void check_number(const struct batch *b, int i, int number)
{
	char text[SIZE];
	int len =
		snprintf(text, SIZE, "%d%.*s", number, number % 9, "........");

	T_CHECK_INT_EQ(b->msgs[i].msg_len, len);
	T_CHECK_MEM_EQ(b->text[i], text, (size_t)len);
}

/* ---- batches -------------------------------------------------------------- */

static void carry(const char *network, const char *a_at, const char *b_at)
{
	rg_packet *a = packet_at(network, a_at), *b = packet_at(network, b_at);
	struct batch *out = batch_new(), *in = batch_new();
	int seen = 0;

	number(out, b, 0);
	T_CHECK_INT_EQ(rg_packet_write_batch(a, out->msgs, 5), 5);
	while (seen < 5) {
		int n = rg_packet_read_batch(b, in->msgs, 3);

		T_CHECK(n >= 1 && n <= 3);
		for (int i = 0; i < n; i++)
			check_number(in, i, seen++);
	}
	free(out);
	free(in);
	close_ok(a);
	close_ok(b);
}

TEST(packetbatch_carries_datagrams_in_order)
{
	carry("udp", "127.0.0.1:0", "127.0.0.1:0");
	carry("unixgram", "@", "@");
}

static ssize_t do_read_batch(struct t_call *c)
{
	return rg_packet_read_batch(c->object, c->buf, (unsigned)c->n);
}

TEST(packetbatch_read_parks_for_the_first)
{
	rg_packet *p = packet_at("udp", "127.0.0.1:0");
	struct batch *out = batch_new(), *in = batch_new();
	struct t_call r = {
		.fn = do_read_batch, .object = p, .buf = in->msgs, .n = MANY};
	rg_waitgroup w = {0};

	t_call_park(&r, &w);
	number(out, p, 7);
	T_CHECK_INT_EQ(rg_packet_write_batch(p, out->msgs, 1), 1);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, 1);
	check_number(in, 0, 7);
	free(out);
	free(in);
	close_ok(p);
}

struct stream {
	rg_packet *from, *to;
	rg_waitgroup done;
};

enum { TOTAL = 100 * MANY };

static void writes_many(void *arg)
{
	struct stream *s = arg;
	struct batch *b = batch_new();

	for (int sent = 0; sent < TOTAL; sent += MANY) {
		number(b, s->to, sent);
		T_CHECK_INT_EQ(rg_packet_write_batch(s->from, b->msgs, MANY),
			       MANY);
	}
	free(b);
}

/* A unix socket holds some 10 datagrams, or 278: the writer waits hundreds of times. */
TEST(packetbatch_writers_wait_for_room_and_nothing_is_lost)
{
	struct stream s = {.from = packet_at("unixgram", "@"),
			   .to = packet_at("unixgram", "@")};
	struct batch *in = batch_new();
	int seen = 0;

	spawn(&s.done, writes_many, &s);
	while (seen < TOTAL) {
		int n;

		for (int i = 0; i < MANY; i++)
			in->v[i].iov_len = SIZE;
		n = rg_packet_read_batch(s.to, in->msgs, MANY);
		T_CHECK_INT_GT(n, 0);
		for (int i = 0; i < n; i++)
			check_number(in, i, seen++);
	}
	rg_waitgroup_wait(&s.done);
	T_CHECK_INT_EQ(
		rg_packet_set_read_deadline(s.to, rg_now() + RG_MILLISECOND),
		0);
	T_CHECK_INT_EQ(rg_packet_read_batch(s.to, in->msgs, MANY), -ETIMEDOUT);
	free(in);
	close_ok(s.from);
	close_ok(s.to);
}

TEST(packetbatch_counts_what_went_out_before_a_failure)
{
	rg_packet *p = packet_at("udp", "127.0.0.1:0");
	struct batch *b = batch_new();
	char *large = calloc(1, 70000);

	T_CHECK(large != NULL);
	number(b, p, 0);
	b->v[3] = (struct iovec){large, 70000};
	T_CHECK_INT_EQ(rg_packet_write_batch(p, b->msgs, 6), 3);
	T_CHECK_INT_EQ(rg_packet_write_batch(p, b->msgs + 3, 3), -EMSGSIZE);
	T_CHECK_INT_EQ(rg_packet_write_batch(p, b->msgs + 4, 2), 2);
	b->v[3] = (struct iovec){b->text[3], SIZE};
	for (int i = 0; i < MANY; i++)
		b->v[i].iov_len =
			1; /* and what is longer is cut, which is said */
	T_CHECK_INT_EQ(rg_packet_read_batch(p, b->msgs, MANY), 5);
	for (int i = 0; i < 5; i++) {
		T_CHECK_INT_EQ(b->msgs[i].msg_len, 1);
		T_CHECK_INT_EQ(b->msgs[i].msg_hdr.msg_flags & MSG_TRUNC,
			       i ? MSG_TRUNC : 0);
	}
	T_CHECK_INT_EQ(rg_packet_read_batch(p, b->msgs, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_packet_write_batch(p, b->msgs, 0), -EINVAL);
	free(large);
	free(b);
	close_ok(p);
}

TEST(packetbatch_ends_as_single_calls_do)
{
	rg_packet *p = packet_at("udp", "127.0.0.1:0");
	rg_packet *other = rg_packet_ref(p);
	struct batch *out = batch_new(), *in = batch_new();
	struct t_call r = {
		.fn = do_read_batch, .object = p, .buf = in->msgs, .n = MANY};
	rg_waitgroup w = {0};

	number(out, p, 0);
	r.ctx = rg_ctx_with_cancel(rg_ctx_background());
	t_call_park(&r, &w);
	rg_ctx_cancel(r.ctx, 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ECANCELED);
	/* It has ended: also when there is something to read. */
	T_CHECK_INT_EQ(rg_packet_write_batch(p, out->msgs, 2), 2);
	t_call_start(&r, &w);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ECANCELED);
	rg_ctx_unref(r.ctx);
	r.ctx = NULL;
	T_CHECK_INT_EQ(rg_packet_set_deadline(p, 1), 0);
	T_CHECK_INT_EQ(rg_packet_read_batch(p, in->msgs, MANY), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_packet_write_batch(p, out->msgs, 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_packet_set_deadline(p, 0), 0);
	T_CHECK_INT_EQ(rg_packet_read_batch(p, in->msgs, MANY), 2);
	/* In the middle. */
	t_call_park(&r, &w);
	T_CHECK_INT_EQ(rg_packet_set_read_deadline(p, rg_now()), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_packet_set_deadline(p, 0), 0);
	t_call_park(&r, &w);
	close_ok(p);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_read_batch(other, in->msgs, 1), -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_write_batch(other, out->msgs, 1), -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_write_segments(other, "ab", 2, 1, NULL, 0),
		       -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_set_gro(other, true), -ECANCELED);
	rg_packet_unref(other);
	free(out);
	free(in);
}

struct greedy {
	rg_packet *p;
	_Atomic int stop;
	rg_waitgroup done;
};

/* Always finds what it has just sent. */
static void goes_on(void *arg)
{
	struct greedy *g = arg;
	struct batch *b = batch_new();

	number(b, g->p, 0);
	while (!g->stop) {
		T_CHECK_INT_EQ(rg_packet_write_batch(g->p, b->msgs, 1), 1);
		T_CHECK_INT_EQ(rg_packet_read_batch(g->p, b->msgs, 1), 1);
	}
	free(b);
}

TEST(packetbatch_in_place_lets_others_run)
{
	struct greedy g = {.p = packet_at("udp", "127.0.0.1:0")};

	for (int i = 0; i < rg_gomaxprocs(0); i++)
		spawn(&g.done, goes_on, &g);
	for (int i = 0; i < 20; i++)
		rg_yield();
	g.stop = 1;
	/* Both may wait for what the other one took. */
	T_CHECK_INT_EQ(rg_packet_write_to(g.p, "x", 1, NULL, 0), -EDESTADDRREQ);
	for (int i = 0; i < 2 * rg_gomaxprocs(0); i++) {
		struct sockaddr_storage name;
		socklen_t len = name_of(g.p, &name);

		T_CHECK_INT_EQ(rg_packet_write_to(g.p, "x", 1,
						  (struct sockaddr *)&name,
						  len),
			       1);
	}
	rg_waitgroup_wait(&g.done);
	close_ok(g.p);
}

/* ---- segments ------------------------------------------------------------- */

static void check_segments(const char *network, const char *at)
{
	rg_packet *a = packet_at(network, at), *b = packet_at(network, at);
	struct sockaddr_storage name;
	socklen_t len = name_of(b, &name);
	struct sockaddr *to = (struct sockaddr *)&name;
	char text[1000], buf[1000];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7);
	T_CHECK_INT_EQ(rg_packet_write_segments(a, text, 1000, 150, to, len),
		       1000);
	for (size_t done = 0; done < 1000;) {
		size_t want = 1000 - done < 150 ? 1000 - done : 150;

		T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 1000, NULL, NULL),
			       want);
		T_CHECK_MEM_EQ(buf, text + done, want);
		done += want;
	}
	/* One alone, and as many as may be. */
	T_CHECK_INT_EQ(rg_packet_write_segments(a, text, 10, 150, to, len), 10);
	T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 1000, NULL, NULL), 10);
	T_CHECK_INT_EQ(rg_packet_write_segments(a, text, 64, 0, to, len),
		       -EINVAL);
	T_CHECK_INT_EQ(rg_packet_write_segments(a, text, 0, 1, to, len),
		       -EINVAL);
	T_CHECK_INT_EQ(rg_packet_write_segments(a, text, 65, 1, to, len),
		       -EINVAL);
	close_ok(a);
	close_ok(b);
}

TEST(packetbatch_segments_are_datagrams_of_one_size)
{
	check_segments("udp", "127.0.0.1:0");
	check_segments("udp6", "[::1]:0");
	/* Without an offload: one after the other. */
	check_segments("unixgram", "@");
}

TEST(packetbatch_gro_says_where_the_borders_are)
{
	rg_packet *a = packet_at("udp", "127.0.0.1:0");
	rg_packet *b = packet_at("udp", "127.0.0.1:0");
	rg_packet *unix_one = packet_at("unixgram", "@");
	struct sockaddr_storage name, from;
	socklen_t len = name_of(b, &name);
	char text[500] = {0}, buf[500];
	size_t segment = 0, done = 0;
	int err = rg_packet_set_gro(b, true);

	T_CHECK(rg_packet_set_gro(unix_one, true) < 0);
	close_ok(unix_one);
	T_CHECK(err == 0 || err == -ENOPROTOOPT);
	T_CHECK_INT_EQ(rg_packet_write_segments(a, text, sizeof text, 120,
						(struct sockaddr *)&name, len),
		       sizeof text);
	/* Together or alone: never a border in the wrong place. */
	while (done < sizeof text) {
		ssize_t n = rg_packet_read_segments(b, buf, sizeof buf,
						    &segment, &from, &len);

		T_CHECK_INT_GT(n, 0);
		T_CHECK(segment == 120 || ((size_t)n == segment &&
					   done + segment == sizeof text));
		done += (size_t)n;
	}
	T_CHECK_INT_EQ(done, sizeof text);
	T_CHECK_INT_EQ(len, name_of(a, &name));
	close_ok(a);
	close_ok(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packetbatch_carries_datagrams_in_order),
		cmocka_unit_test(packetbatch_read_parks_for_the_first),
		cmocka_unit_test(
			packetbatch_writers_wait_for_room_and_nothing_is_lost),
		cmocka_unit_test(
			packetbatch_counts_what_went_out_before_a_failure),
		cmocka_unit_test(packetbatch_ends_as_single_calls_do),
		cmocka_unit_test(packetbatch_in_place_lets_others_run),
		cmocka_unit_test(
			packetbatch_segments_are_datagrams_of_one_size),
		cmocka_unit_test(packetbatch_gro_says_where_the_borders_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
