// SPDX-License-Identifier: MIT
/*
 * Attacks fdpass's invariants: descriptors arrive with their bytes, close-on-exec, each
 * is the receiver's or closed (run_and_count looks), also with no room and none left.
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

static struct pair pair_unix(void)
{
	return pair_make("unix", "@");
}

static void check_same(int fd, int other)
{
	char byte = 'b', got = 0;

	T_CHECK_INT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	T_CHECK_INT_EQ(write(other, &byte, 1), 1);
	T_CHECK_INT_EQ(rg_read(fd, &got, 1), 1);
	T_CHECK_INT_EQ(got, byte);
}

struct late {
	rg_conn *c;
	int fd;
};

static void send_late(void *arg)
{
	struct late *l = arg;

	(void)rg_sleep(5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_conn_write_fds(l->c, "late", 4, &l->fd, 1), 4);
}

TEST(fdpass_descriptors_come_with_their_bytes)
{
	struct pair p = pair_unix();
	int pp[2], fds[4] = {-1, -1, -1, -1}, n = 4;
	struct late l = {.c = p.a};
	rg_waitgroup w = {0};
	char buf[8];

	T_CHECK_INT_EQ(pipe2(pp, O_CLOEXEC), 0);
	l.fd = pp[0];
	spawn(&w, send_late, &l);
	T_CHECK_INT_EQ(rg_conn_read_fds(p.b, buf, 8, fds, &n), 4);
	rg_waitgroup_wait(&w);
	T_CHECK_MEM_EQ(buf, "late", 4);
	T_CHECK_INT_EQ(n, 1);
	T_CHECK_INT_EQ(fds[1], -1);
	check_same(fds[0], pp[1]);
	close(fds[0]);
	/* Bytes alone; the end. */
	T_CHECK_INT_EQ(rg_conn_write(p.a, "x", 1), 1);
	n = 4;
	T_CHECK_INT_EQ(rg_conn_read_fds(p.b, buf, 8, fds, &n), 1);
	T_CHECK_INT_EQ(n, 0);
	T_CHECK_INT_EQ(rg_conn_close_write(p.a), 0);
	n = 4;
	T_CHECK_INT_EQ(rg_conn_read_fds(p.b, buf, 8, fds, &n), 0);
	T_CHECK_INT_EQ(n, 0);
	close(pp[0]);
	close(pp[1]);
	pair_close(&p);
}

TEST(fdpass_without_room_they_are_closed)
{
	struct pair p = pair_unix();
	int pp[2], many[RG_CONN_FDS_MAX], fds[2] = {-1, -1}, n = 1;
	char buf[8];

	T_CHECK_INT_EQ(pipe2(pp, O_CLOEXEC), 0);
	for (int i = 0; i < RG_CONN_FDS_MAX; i++)
		many[i] = pp[0];
	T_CHECK_INT_EQ(rg_conn_write_fds(p.a, "x", 1, many, RG_CONN_FDS_MAX),
		       1);
	T_CHECK_INT_EQ(rg_conn_read_fds(p.b, buf, 8, fds, &n), 1);
	T_CHECK_INT_EQ(n, RG_CONN_FDS_MAX);
	T_CHECK_INT_EQ(fds[1], -1);
	check_same(fds[0], pp[1]);
	close(fds[0]);
	n = 0;
	T_CHECK_INT_EQ(rg_conn_write_fds(p.a, "x", 1, many, 2), 1);
	T_CHECK_INT_EQ(rg_conn_read_fds(p.b, buf, 8, NULL, &n), 1);
	T_CHECK_INT_EQ(n, 2);
	/* An ordinary read drops them. */
	T_CHECK_INT_EQ(rg_conn_write_fds(p.a, "x", 1, many, 2), 1);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, 8), 1);
	close(pp[0]);
	close(pp[1]);
	pair_close(&p);
}

TEST(fdpass_without_descriptors_the_bytes_come)
{
	struct pair p = pair_unix();
	int pp[2], fds[2] = {-1, -1}, n = 2;
	struct rlimit old, none;
	char buf[8];

	T_CHECK_INT_EQ(pipe2(pp, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(rg_conn_write_fds(p.a, "abc", 3, pp, 2), 3);
	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	T_CHECK_INT_EQ(rg_conn_read_fds(p.b, buf, 8, fds, &n), 3);
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	T_CHECK_INT_EQ(n, -EMFILE);
	T_CHECK(fds[0] == -1 && fds[1] == -1);
	T_CHECK_MEM_EQ(buf, "abc", 3);
	close(pp[0]);
	close(pp[1]);
	pair_close(&p);
}

struct receiver {
	rg_conn *c;
	size_t n;
	int fd;
};

static void receive(void *arg)
{
	struct receiver *r = arg;
	static char buf[65536];
	ssize_t ret;

	for (;;) {
		int fds[4], n = 4;

		ret = rg_conn_read_fds(r->c, buf, sizeof(buf), fds, &n);
		if (ret <= 0)
			break;
		/* With the first byte, and only with it. */
		T_CHECK_INT_EQ(n, r->n ? 0 : 1);
		if (n)
			r->fd = fds[0];
		r->n += (size_t)ret;
	}
	T_CHECK_INT_EQ(ret, 0);
}

TEST(fdpass_long_writes_carry_them_once)
{
	const size_t len = 1000000;
	struct pair p = pair_unix();
	struct receiver r = {.c = p.b};
	rg_waitgroup w = {0};
	char *data = calloc(1, len);
	int pp[2];

	T_CHECK(data != NULL);
	T_CHECK_INT_EQ(pipe2(pp, O_CLOEXEC), 0);
	spawn(&w, receive, &r);
	T_CHECK_INT_EQ(rg_conn_write_fds(p.a, data, len, pp, 1), len);
	T_CHECK_INT_EQ(rg_conn_close_write(p.a), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.n, len);
	check_same(r.fd, pp[1]);
	close(r.fd);
	free(data);
	close(pp[0]);
	close(pp[1]);
	pair_close(&p);
}

TEST(fdpass_bad_calls_are_refused)
{
	struct pair u = pair_unix(), t = pair_tcp();
	int fds[2] = {0, 987654}, n = 2;
	char buf[4];

	T_CHECK_INT_EQ(rg_conn_write_fds(t.a, "x", 1, fds, 1), -EOPNOTSUPP);
	T_CHECK_INT_EQ(rg_conn_read_fds(t.a, buf, 4, fds, &n), -EOPNOTSUPP);
	T_CHECK_INT_EQ(rg_conn_write_fds(u.a, "", 0, fds, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_conn_write_fds(u.a, "x", 1, fds, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_conn_write_fds(u.a, "x", 1, fds, 254), -EINVAL);
	T_CHECK_INT_EQ(rg_conn_write_fds(u.a, "x", 1, fds, 2), -EBADF);
	T_CHECK_INT_EQ(rg_conn_read_fds(u.a, buf, 0, fds, &n), -EINVAL);
	n = -1;
	T_CHECK_INT_EQ(rg_conn_read_fds(u.a, buf, 4, fds, &n), -EINVAL);
	n = 2;
	rg_conn_set_read_deadline(u.a, rg_now() + 5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_conn_read_fds(u.a, buf, 4, fds, &n), -ETIMEDOUT);
	pair_close(&u);
	pair_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fdpass_descriptors_come_with_their_bytes),
		cmocka_unit_test(fdpass_without_room_they_are_closed),
		cmocka_unit_test(fdpass_without_descriptors_the_bytes_come),
		cmocka_unit_test(fdpass_long_writes_carry_them_once),
		cmocka_unit_test(fdpass_bad_calls_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
