// SPDX-License-Identifier: MIT
/*
 * Attacks sockio's invariants: streams and datagrams by number, with and without
 * O_NONBLOCK and time limits of the socket, descriptors that come along, close and
 * contexts in the middle.
 */
#include "tests/net/netpair.h"
#include "tests/support/rgcall.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int loopback_socket(int type, struct sockaddr_in *name)
{
	socklen_t len = sizeof(*name);
	int fd = rg_socket(AF_INET, type | SOCK_CLOEXEC, 0);

	T_CHECK_INT_GE(fd, 0);
	*name = (struct sockaddr_in){.sin_family = AF_INET};
	name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T_CHECK_INT_EQ(bind(fd, (struct sockaddr *)name, len), 0);
	T_CHECK_INT_EQ(getsockname(fd, (struct sockaddr *)name, &len), 0);
	return fd;
}

static void make_sockets(int type, int s[2])
{
	T_CHECK_INT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s), 0);
}

static void close_both(const int s[2])
{
	T_CHECK_INT_EQ(rg_close(s[0]), 0);
	T_CHECK_INT_EQ(rg_close(s[1]), 0);
}

static ssize_t do_recv(struct t_call *c)
{
	return rg_recvfrom(c->fd, c->buf, c->n, c->flags, NULL, NULL);
}

static ssize_t do_recvfrom(struct t_call *c)
{
	c->from_len = sizeof(c->from);
	return rg_recvfrom(c->fd, c->buf, c->n, c->flags,
			   (struct sockaddr *)&c->from, &c->from_len);
}

static ssize_t do_send(struct t_call *c)
{
	return rg_sendto(c->fd, c->buf, c->n, c->flags, NULL, 0);
}

static ssize_t do_accept(struct t_call *c)
{
	c->from_len = sizeof(c->from);
	return rg_accept4(c->fd, (struct sockaddr *)&c->from, &c->from_len,
			  SOCK_CLOEXEC);
}

/* ---- streams ------------------------------------------------------------ */

static void stream_dialogue(int nonblock)
{
	struct sockaddr_in name, self;
	int l = loopback_socket(SOCK_STREAM | nonblock, &name), c;
	struct t_call a = {.fn = do_accept, .fd = l};
	struct t_call r = {.fn = do_recv, .buf = (char[8]){""}, .n = 8};
	socklen_t len = sizeof(self);
	rg_waitgroup w = {0};

	T_CHECK_INT_EQ(listen(l, 5), 0);
	t_call_park(&a, &w);
	c = rg_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | nonblock, 0);
	T_CHECK_INT_EQ(rg_connect(c, (struct sockaddr *)&name, sizeof(name)),
		       0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_GE(a.ret, 0);
	T_CHECK_INT_EQ(fcntl((int)a.ret, F_GETFD), FD_CLOEXEC);
	T_CHECK_INT_EQ(getsockname(c, (struct sockaddr *)&self, &len), 0);
	T_CHECK_INT_EQ(a.from_len, sizeof(self));
	T_CHECK_MEM_EQ(&a.from, &self, sizeof(self));
	r.fd = (int)a.ret;
	t_call_park(&r, &w);
	T_CHECK_INT_EQ(rg_sendto(c, "hello", 5, 0, NULL, 0), 5);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, 5);
	T_CHECK_MEM_EQ(r.buf, "hello", 5);
	T_CHECK_INT_EQ(rg_recvfrom(r.fd, r.buf, 8, MSG_DONTWAIT, NULL, NULL),
		       -EAGAIN);
	/* Half closed: the peer reads the end, and can still send. */
	t_call_park(&r, &w);
	T_CHECK_INT_EQ(rg_shutdown(c, SHUT_WR), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, 0);
	T_CHECK_INT_EQ(rg_sendto(r.fd, "x", 1, 0, NULL, 0), 1);
	T_CHECK_INT_EQ(rg_recvfrom(c, r.buf, 8, 0, NULL, NULL), 1);
	T_CHECK_INT_EQ(rg_sendto(c, "x", 1, 0, NULL, 0), -EPIPE);
	T_CHECK_INT_EQ(rg_shutdown(l, 77), -EINVAL);
	T_CHECK_INT_EQ(rg_shutdown(-1, SHUT_WR), -EBADF);
	close_both((int[]){r.fd, c});
	T_CHECK_INT_EQ(rg_close(l), 0);
}

TEST(sockio_streams_park_with_and_without_o_nonblock)
{
	stream_dialogue(0);
	stream_dialogue(SOCK_NONBLOCK);
}

TEST(sockio_time_limits_of_the_socket_do_not_count)
{
	const struct timeval tv = {.tv_usec = 1000};
	struct t_call r = {.fn = do_recv, .buf = (char[8]){""}, .n = 8};
	rg_waitgroup w = {0};
	int s[2];

	make_sockets(SOCK_STREAM, s);
	T_CHECK_INT_EQ(
		setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	r.fd = s[0];
	t_call_park(&r, &w);
	T_CHECK_INT_EQ(rg_sendto(s[1], "abc", 3, 0, NULL, 0), 3);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, 3);
	close_both(s);
}

TEST(sockio_sends_on_streams_are_whole)
{
	const size_t len = 2000000;
	char *data = calloc(1, len), *buf = calloc(1, len);
	struct t_call c = {.fn = do_send, .buf = data, .n = len};
	rg_waitgroup w = {0};
	size_t done = 0;
	int s[2];

	T_CHECK(data && buf);
	for (size_t i = 0; i < len; i++)
		data[i] = (char)(i * 7 + i / 255);
	make_sockets(SOCK_STREAM, s);
	c.fd = s[0];
	t_call_park(&c, &w);
	while (done < len) {
		ssize_t ret = rg_recvfrom(s[1], buf + done, len - done,
					  done ? MSG_WAITALL : 0, NULL, NULL);

		T_CHECK_INT_GT(ret, 0);
		done += (size_t)ret;
	}
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(c.ret, len);
	T_CHECK_MEM_EQ(data, buf, len);
	/* Not parking, it takes what there is room for, then nothing. */
	c.flags = MSG_DONTWAIT;
	c.ret = do_send(&c);
	T_CHECK_INT_GT(c.ret, 0);
	T_CHECK_INT_LT(c.ret, len);
	T_CHECK_INT_EQ(do_send(&c), -EAGAIN);
	free(data);
	free(buf);
	close_both(s);
}

TEST(sockio_connect_tells_why_not)
{
	struct sockaddr_in name;
	int l = loopback_socket(SOCK_STREAM, &name);
	int c = rg_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_CHECK_INT_EQ(rg_connect(c, (struct sockaddr *)&name, sizeof(name)),
		       -ECONNREFUSED);
	T_CHECK_INT_EQ(rg_connect(c, (struct sockaddr *)&name, 3), -EINVAL);
	T_CHECK_INT_EQ(rg_connect(-1, (struct sockaddr *)&name, sizeof(name)),
		       -EBADF);
	T_CHECK_INT_EQ(rg_accept4(c, NULL, NULL, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_accept4(0, NULL, NULL, 0), -ENOTSOCK);
	T_CHECK_INT_EQ(rg_socket(-1, SOCK_STREAM, 0), -EAFNOSUPPORT);
	T_CHECK_INT_EQ(rg_socket(AF_INET, 77, 0), -EINVAL);
	close_both((int[]){l, c});
}

/* ---- datagrams ---------------------------------------------------------- */

TEST(sockio_datagrams_have_senders_and_ends)
{
	struct sockaddr_in a, b;
	int fa = loopback_socket(SOCK_DGRAM, &a);
	int fb = loopback_socket(SOCK_DGRAM | SOCK_NONBLOCK, &b);
	struct t_call r = {.fn = do_recvfrom, .fd = fb, .n = 4};
	rg_waitgroup w = {0};
	char buf[8];

	r.buf = buf;
	t_call_park(&r, &w);
	T_CHECK_INT_EQ(
		rg_sendto(fa, "12", 2, 0, (struct sockaddr *)&b, sizeof(b)), 2);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.ret, 2);
	T_CHECK_INT_EQ(r.from_len, sizeof(a));
	T_CHECK_MEM_EQ(&r.from, &a, sizeof(a));
	/* An empty one is one; a long one is cut. */
	T_CHECK_INT_EQ(
		rg_sendto(fa, "", 0, 0, (struct sockaddr *)&b, sizeof(b)), 0);
	T_CHECK_INT_EQ(
		rg_sendto(fa, "123456", 6, 0, (struct sockaddr *)&b, sizeof(b)),
		6);
	T_CHECK_INT_EQ(
		rg_sendto(fa, "123456", 6, 0, (struct sockaddr *)&b, sizeof(b)),
		6);
	r.ret = -1;
	T_CHECK_INT_EQ(do_recvfrom(&r), 0);
	T_CHECK_INT_EQ(do_recvfrom(&r), 4);
	r.flags = MSG_TRUNC;
	T_CHECK_INT_EQ(do_recvfrom(&r), 6);
	r.flags = MSG_DONTWAIT;
	T_CHECK_INT_EQ(do_recvfrom(&r), -EAGAIN);
	T_CHECK_INT_EQ(
		rg_recvfrom(fb, buf, 4, 0, (struct sockaddr *)&r.from, NULL),
		-EFAULT);
	T_CHECK_INT_EQ(rg_sendto(fa, "x", 1, 0, NULL, 0), -EDESTADDRREQ);
	close_both((int[]){fa, fb});
}

/* The receiver's queue is full: what waited for it arrives whole. */
TEST(sockio_datagrams_that_waited_for_room_are_whole)
{
	char buf[8], data[8] = "1234567";
	struct t_call c = {.fn = do_send, .buf = data, .n = 8};
	rg_waitgroup w = {0};
	int s[2], sent = 0;

	make_sockets(SOCK_DGRAM, s);
	c.fd = s[0];
	c.flags = MSG_DONTWAIT;
	while ((c.ret = do_send(&c)) == 8)
		sent++;
	T_CHECK_INT_EQ(c.ret, -EAGAIN);
	c.flags = 0;
	t_call_park(&c, &w);
	for (int i = 0; i <= sent; i++) {
		T_CHECK_INT_EQ(rg_recvfrom(s[1], buf, 8, 0, NULL, NULL), 8);
		T_CHECK_MEM_EQ(buf, data, 8);
	}
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(c.ret, 8);
	T_CHECK_INT_EQ(rg_recvfrom(s[1], buf, 8, MSG_DONTWAIT, NULL, NULL),
		       -EAGAIN);
	close_both(s);
}

/* ---- descriptors that come along ---------------------------------------- */

static void send_fd(int s, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} u = {.space = ""};
	struct iovec v = {(void *)(uintptr_t) "x", 1};
	struct msghdr msg = {.msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = u.space,
			     .msg_controllen = sizeof(u.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	T_CHECK_INT_EQ(rg_sendmsg(s, &msg, 0), 1);
}

static int recv_fd(int s, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} u = {.space = ""};
	char byte;
	struct iovec v = {&byte, 1};
	struct msghdr msg = {.msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = u.space,
			     .msg_controllen = sizeof(u.space)};
	struct cmsghdr *c;
	int fd;

	T_CHECK_INT_EQ(rg_recvmsg(s, &msg, flags), 1);
	T_CHECK_INT_EQ(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
	c = CMSG_FIRSTHDR(&msg);
	T_CHECK(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static void send_fd_later(void *arg)
{
	int *s = arg, p[2];

	(void)rg_sleep(5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(write(p[1], "in it", 5), 5);
	send_fd(s[0], p[0]);
	close(p[0]);
	close(p[1]);
}

TEST(sockio_descriptors_are_passed)
{
	rg_waitgroup w = {0};
	int s[2], fd;
	char buf[8];

	make_sockets(SOCK_STREAM, s);
	for (int i = 0; i < 2; i++) {
		spawn(&w, send_fd_later, s);
		fd = recv_fd(s[1], i ? MSG_CMSG_CLOEXEC : 0);
		rg_waitgroup_wait(&w);
		T_CHECK_INT_EQ(fcntl(fd, F_GETFD), i ? FD_CLOEXEC : 0);
		T_CHECK_INT_EQ(rg_read(fd, buf, 8), 5);
		T_CHECK_MEM_EQ(buf, "in it", 5);
		T_CHECK_INT_EQ(rg_close(fd), 0);
	}
	close_both(s);
}

/* ---- the end of waiting ------------------------------------------------- */

static void ends_in_every_way(struct t_call *c, int expected_fd)
{
	rg_waitgroup w = {0};

	c->fd = expected_fd;
	c->ctx = rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	t_call_start(c, &w);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(c->ret, -ETIMEDOUT);
	rg_ctx_unref(c->ctx);
	c->ctx = rg_ctx_with_cancel(rg_ctx_background());
	t_call_park(c, &w);
	rg_ctx_cancel(c->ctx, 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(c->ret, -ECANCELED);
	rg_ctx_unref(c->ctx);
	c->ctx = NULL;
	t_call_park(c, &w);
	T_CHECK_INT_EQ(rg_close(c->fd), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(c->ret, -ECANCELED);
}

TEST(sockio_parked_calls_end_by_close_and_context)
{
	struct sockaddr_in name;
	char buf[8];
	int s[2], l;
	struct t_call r = {.fn = do_recv, .buf = buf, .n = 8};
	struct t_call f = {.fn = do_recvfrom, .buf = buf, .n = 8};
	struct t_call a = {.fn = do_accept};
	struct t_call d = {.fn = do_send, .buf = buf, .n = 8};

	make_sockets(SOCK_STREAM, s);
	ends_in_every_way(&r, s[0]);
	T_CHECK_INT_EQ(rg_close(s[1]), 0);
	ends_in_every_way(&f, loopback_socket(SOCK_DGRAM, &name));
	l = loopback_socket(SOCK_STREAM, &name);
	T_CHECK_INT_EQ(listen(l, 5), 0);
	ends_in_every_way(&a, l);
	/* Datagrams: the receiver's queue is full. */
	make_sockets(SOCK_DGRAM, s);
	d.fd = s[0];
	d.flags = MSG_DONTWAIT;
	while (do_send(&d) == 8)
		;
	d.flags = 0;
	ends_in_every_way(&d, s[0]);
	T_CHECK_INT_EQ(rg_close(s[1]), 0);
}

TEST(sockio_heed_a_context_that_has_ended)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	struct sockaddr_in name;
	struct msghdr msg = {0};
	char buf[4];
	int s[2];

	make_sockets(SOCK_STREAM, s);
	memset(&name, 0, sizeof(name));
	rg_ctx_cancel(ctx, 0);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_socket(AF_INET, SOCK_STREAM, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_connect(s[0], (struct sockaddr *)&name, 16),
		       -ECANCELED);
	T_CHECK_INT_EQ(rg_accept4(s[0], NULL, NULL, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_recvfrom(s[0], buf, 4, 0, NULL, NULL), -ECANCELED);
	T_CHECK_INT_EQ(rg_recvmsg(s[0], &msg, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_sendto(s[0], buf, 4, 0, NULL, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_sendmsg(s[0], &msg, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_shutdown(s[0], SHUT_WR), 0);
	close_both(s);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			sockio_streams_park_with_and_without_o_nonblock),
		cmocka_unit_test(sockio_time_limits_of_the_socket_do_not_count),
		cmocka_unit_test(sockio_sends_on_streams_are_whole),
		cmocka_unit_test(sockio_connect_tells_why_not),
		cmocka_unit_test(sockio_datagrams_have_senders_and_ends),
		cmocka_unit_test(
			sockio_datagrams_that_waited_for_room_are_whole),
		cmocka_unit_test(sockio_descriptors_are_passed),
		cmocka_unit_test(sockio_parked_calls_end_by_close_and_context),
		cmocka_unit_test(sockio_heed_a_context_that_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
