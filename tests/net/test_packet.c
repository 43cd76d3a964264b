// SPDX-License-Identifier: MIT
/*
 * Attacks packet's and bound's invariants: whole datagrams, empty and cut ones, their
 * senders, deadlines, contexts and close in the middle, paths and abstract names,
 * descriptors that come along.
 */
#include "tests/net/netpair.h"
#include "tests/support/rgcall.h"
#include "tests/support/rgfolder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static rg_packet *packet_at(const char *network, const char *address)
{
	rg_packet *p = NULL;

	T_CHECK_INT_EQ(rg_listen_packet(network, address, &p), 0);
	return p;
}

static void close_ok(rg_packet *p)
{
	T_CHECK_INT_EQ(rg_packet_close(p), 0);
}

/* What others write to in order to reach p. */
static socklen_t name_of(const rg_packet *p, struct sockaddr_storage *name)
{
	socklen_t len = sizeof(*name);

	T_CHECK_INT_EQ(
		getsockname(rg_packet_fd(p), (struct sockaddr *)name, &len), 0);
	return len;
}

static ssize_t send_to(rg_packet *from, const rg_packet *to, const void *buf,
		       size_t n)
{
	struct sockaddr_storage name;
	socklen_t len = name_of(to, &name);

	return rg_packet_write_to(from, buf, n, (struct sockaddr *)&name, len);
}

static void check_sender(const struct sockaddr_storage *from, socklen_t len,
			 const rg_packet *p)
{
	struct sockaddr_storage name;

	T_CHECK_INT_EQ(name_of(p, &name), len);
	T_CHECK_MEM_EQ(&name, from, len);
}

/* A read on a goroutine of its own, of 16 bytes at most. */
static ssize_t do_read(struct t_call *c)
{
	return rg_packet_read_from(c->object, c->buf, 16, &c->from,
				   &c->from_len);
}

static void dialogue(const char *network, const char *a_at, const char *b_at)
{
	rg_packet *a = packet_at(network, a_at), *b = packet_at(network, b_at);
	char text[16];
	struct t_call r = {.fn = do_read, .object = b, .buf = text};
	rg_waitgroup w = {0};
	char buf[4];

	t_call_park(&r, &w);
	T_CHECK_INT_EQ(send_to(a, b, "hello", 5), 5);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, 5);
	T_CHECK_MEM_EQ(r.buf, "hello", 5);
	check_sender(&r.from, r.from_len, a);
	/* Order and borders are kept; an empty one is one. */
	T_CHECK_INT_EQ(send_to(a, b, "1", 1), 1);
	T_CHECK_INT_EQ(send_to(a, b, NULL, 0), 0);
	T_CHECK_INT_EQ(send_to(a, b, "12345678", 8), 8);
	T_CHECK_INT_EQ(send_to(a, b, "12", 2), 2);
	T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 4, NULL, NULL), 1);
	r.from_len = 0;
	T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 4, &r.from, &r.from_len), 0);
	check_sender(&r.from, r.from_len, a);
	T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 4, NULL, NULL), 4);
	T_CHECK_MEM_EQ(buf, "1234", 4);
	/* Nothing is read of it, and it is gone. */
	T_CHECK_INT_EQ(rg_packet_read_from(b, NULL, 0, NULL, NULL), 0);
	rg_packet_set_read_deadline(b, rg_now() + 5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 4, NULL, NULL), -ETIMEDOUT);
	close_ok(a);
	close_ok(b);
}

TEST(packet_udp_carries_datagrams)
{
	dialogue("udp", "127.0.0.1:0", "127.0.0.1:0");
	dialogue("udp4", "localhost:0", "localhost:0");
}

TEST(packet_udp6_carries_datagrams)
{
	rg_packet *p;
	int err = rg_listen_packet("udp6", "[::1]:0", &p);

	if (err == -EADDRNOTAVAIL || err == -EAFNOSUPPORT)
		return; /* a machine without IPv6 */
	T_CHECK_INT_EQ(err, 0);
	T_CHECK_MEM_EQ(rg_packet_addr(p), "[::1]:", 6);
	close_ok(p);
	dialogue("udp6", "[::1]:0", "[::1]:0");
}

TEST(packet_udp_without_a_host_hears_ipv4)
{
	rg_packet *a = packet_at("udp4", "127.0.0.1:0");
	rg_packet *b = packet_at("udp", ":0");
	struct sockaddr_in to = {.sin_family = AF_INET};
	char buf[8];

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port =
		htons((uint16_t)atoi(strrchr(rg_packet_addr(b), ':') + 1));
	T_CHECK_INT_EQ(rg_packet_write_to(a, "v4", 2, (struct sockaddr *)&to,
					  sizeof(to)),
		       2);
	T_CHECK_INT_EQ(rg_packet_read_from(b, buf, 8, NULL, NULL), 2);
	close_ok(a);
	close_ok(b);
}

TEST(packet_unixgram_has_paths_and_abstract_names)
{
	char a[64], b[64];
	rg_packet *p, *q;
	struct stat st;

	snprintf(a, sizeof(a), "%s/a", t_folder);
	snprintf(b, sizeof(b), "%s/b", t_folder);
	dialogue("unixgram", a, b);
	T_CHECK(stat(a, &st) != 0 && stat(b, &st) != 0);
	snprintf(b, sizeof(b), "@rg-packet-%d", (int)getpid());
	dialogue("unixgram", "@", b);
	p = packet_at("unixgram", b);
	T_CHECK_STR_EQ(rg_packet_addr(p), b);
	T_CHECK_INT_EQ(rg_listen_packet("unixgram", b, &q), -EADDRINUSE);
	close_ok(p);
	/* A path that is somebody else's by now stays. */
	p = packet_at("unixgram", a);
	T_CHECK_STR_EQ(rg_packet_addr(p), a);
	T_CHECK_INT_EQ(unlink(a), 0);
	q = packet_at("unixgram", a);
	close_ok(p);
	T_CHECK_INT_EQ(stat(a, &st), 0);
	rg_packet_unref(q); /* the last one, without a close */
	T_CHECK(stat(a, &st) != 0);
}

TEST(packet_bad_addresses_are_refused)
{
	rg_packet *p = packet_at("udp", "127.0.0.1:0"), *q = NULL;
	static char big[70000];

	T_CHECK_INT_EQ(rg_listen_packet("tcp", "127.0.0.1:0", &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("unix", "@x", &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet(NULL, "127.0.0.1:0", &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("udp", NULL, &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("udp", "127.0.0.1:0", NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("udp", "127.0.0.1", &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("udp6", "127.0.0.1:0", &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("udp", rg_packet_addr(p), &q),
		       -EADDRINUSE);
	T_CHECK_INT_EQ(rg_listen_packet("unixgram", "", &q), -EINVAL);
	T_CHECK_INT_EQ(rg_listen_packet("unixgram", "/none/x", &q), -ENOENT);
	T_CHECK_PTR_EQ(q, NULL);
	T_CHECK_INT_EQ(send_to(p, p, big, sizeof(big)), -EMSGSIZE);
	T_CHECK_INT_EQ(rg_packet_write_to(p, "x", 1, NULL, 0), -EDESTADDRREQ);
	T_CHECK_INT_EQ(rg_packet_close(NULL), -EINVAL);
	close_ok(p);
}

TEST(packet_parked_reads_end_in_every_way)
{
	rg_packet *p = packet_at("udp", "127.0.0.1:0");
	rg_packet *other = rg_packet_ref(p);
	char text[16];
	struct t_call r = {.fn = do_read, .object = p, .buf = text};
	rg_waitgroup w = {0};

	r.ctx = rg_ctx_with_cancel(rg_ctx_background());
	t_call_park(&r, &w);
	rg_ctx_cancel(r.ctx, 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ECANCELED);
	rg_ctx_unref(r.ctx);
	r.ctx = NULL;
	/* A deadline set while it is parked; it stays until it is taken back. */
	t_call_park(&r, &w);
	T_CHECK_INT_EQ(rg_packet_set_deadline(p, rg_now()), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ETIMEDOUT);
	T_CHECK_INT_EQ(send_to(p, p, "x", 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_packet_set_write_deadline(p, 0), 0);
	T_CHECK_INT_EQ(send_to(p, p, "x", 1), 1);
	T_CHECK_INT_EQ(rg_packet_read_from(p, r.buf, 8, NULL, NULL),
		       -ETIMEDOUT);
	/* No datagram was lost to it. */
	T_CHECK_INT_EQ(rg_packet_set_read_deadline(p, 0), 0);
	T_CHECK_INT_EQ(rg_packet_read_from(p, r.buf, 8, NULL, NULL), 1);
	t_call_park(&r, &w);
	close_ok(p);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_fd(other), -EBADF);
	T_CHECK_INT_EQ(rg_packet_read_from(other, r.buf, 8, NULL, NULL),
		       -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_set_deadline(other, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_packet_close(other), -ECANCELED);
}

struct writer {
	rg_packet *from, *to;
	_Atomic bool ended;
	ssize_t ret;
	int sent;
};

static void write_until_it_fails(void *arg)
{
	struct writer *wr = arg;

	while ((wr->ret = send_to(wr->from, wr->to, "12345678", 8)) == 8)
		wr->sent++;
	wr->ended = true;
}

TEST(packet_writers_wait_for_room)
{
	struct writer wr = {.from = packet_at("unixgram", "@"),
			    .to = packet_at("unixgram", "@")};
	rg_waitgroup w = {0};
	char buf[8];
	int seen = 0;

	spawn(&w, write_until_it_fails, &wr);
	(void)rg_sleep(20 * RG_MILLISECOND);
	T_CHECK(!wr.ended);
	for (; seen < 2000; seen++)
		T_CHECK_INT_EQ(rg_packet_read_from(wr.to, buf, 8, NULL, NULL),
			       8);
	T_CHECK(!wr.ended);
	T_CHECK_INT_EQ(rg_packet_set_write_deadline(wr.from, rg_now()), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(wr.ret, -ETIMEDOUT);
	/* All that was sent arrives. */
	for (; seen < wr.sent; seen++)
		T_CHECK_INT_EQ(rg_packet_read_from(wr.to, buf, 8, NULL, NULL),
			       8);
	rg_packet_set_read_deadline(wr.to, rg_now() + 5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_packet_read_from(wr.to, buf, 8, NULL, NULL),
		       -ETIMEDOUT);
	close_ok(wr.from);
	close_ok(wr.to);
}

TEST(packet_messages_tell_what_was_cut_and_carry_descriptors)
{
	rg_packet *a = packet_at("unixgram", "@");
	rg_packet *b = packet_at("unixgram", "@");
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} u = {.space = ""};
	struct sockaddr_storage name;
	char one[2], two[3];
	struct iovec v[2] = {{one, 2}, {two, 3}};
	struct msghdr msg = {.msg_name = &name,
			     .msg_namelen = name_of(b, &name),
			     .msg_iov = v,
			     .msg_iovlen = 2,
			     .msg_control = u.space,
			     .msg_controllen = sizeof(u.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int p[2], fd;

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &p[0], sizeof(int));
	memcpy(one, "ab", 2);
	memcpy(two, "cde", 3);
	T_CHECK_INT_EQ(rg_packet_write_msg(a, &msg), 5);
	close(p[0]);
	memset(&u, 0, sizeof(u));
	msg.msg_namelen = sizeof(name);
	msg.msg_iovlen = 1;
	T_CHECK_INT_EQ(rg_packet_read_msg(b, &msg), 2);
	T_CHECK_INT_EQ(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC), MSG_TRUNC);
	check_sender(&name, msg.msg_namelen, a);
	c = CMSG_FIRSTHDR(&msg);
	T_CHECK(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	T_CHECK_INT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	T_CHECK_INT_EQ(write(p[1], "x", 1), 1);
	T_CHECK_INT_EQ(rg_read(fd, one, 2), 1);
	close(fd);
	close(p[1]);
	close_ok(a);
	close_ok(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packet_udp_carries_datagrams),
		cmocka_unit_test(packet_udp6_carries_datagrams),
		cmocka_unit_test(packet_udp_without_a_host_hears_ipv4),
		cmocka_unit_test(packet_unixgram_has_paths_and_abstract_names),
		cmocka_unit_test(packet_bad_addresses_are_refused),
		cmocka_unit_test(packet_parked_reads_end_in_every_way),
		cmocka_unit_test(packet_writers_wait_for_room),
		cmocka_unit_test(
			packet_messages_tell_what_was_cut_and_carry_descriptors),
	};

	return cmocka_run_group_tests(tests, t_folder_make, t_folder_remove);
}
