// SPDX-License-Identifier: MIT
/*
 * Attacks splice's invariants: the same bytes at odd offsets and parts, both sides
 * waited for without a kernel thread being kept, close and contexts on either side, no
 * byte skipped when sending fails.
 */
#include "tests/net/netpair.h"
#include "tests/support/rgcall.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE = 1000003 };

static char data[FILE_SIZE];

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

/* A file without a name that holds data. */
static int data_file(void)
{
	char path[] = "/tmp/rg-splice-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	T_CHECK_INT_GE(fd, 0);
	T_CHECK_INT_EQ(unlink(path), 0);
	for (size_t i = 0; i < FILE_SIZE; i++)
		data[i] = (char)byte_at(i);
	T_CHECK_INT_EQ(write(fd, data, FILE_SIZE), FILE_SIZE);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void make_pipe(int p[2])
{
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
}

static void close_pipe(const int p[2])
{
	close(p[0]);
	close(p[1]);
}

static void make_sockets(int s[2])
{
	T_CHECK_INT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s),
		       0);
}

static ssize_t do_splice(struct t_call *m)
{
	return rg_splice(m->fd, m->off, m->other_fd, NULL, m->n, 0);
}

static ssize_t do_tee(struct t_call *m)
{
	return rg_tee(m->fd, m->other_fd, m->n, 0);
}

static ssize_t do_sendfile(struct t_call *m)
{
	return rg_sendfile(m->other_fd, m->fd, m->off, m->n);
}

/* ---- splice ------------------------------------------------------------- */

TEST(splice_file_to_pipe_to_file_at_offsets)
{
	int in = data_file(), out = data_file(), p[2];
	off_t from = 101, to = 7;
	char buf[50];

	make_pipe(p);
	T_CHECK_INT_EQ(rg_splice(in, &from, p[1], NULL, 33, 0), 33);
	T_CHECK_INT_EQ(from, 134);
	T_CHECK_INT_EQ(lseek(in, 0, SEEK_CUR), 0);
	T_CHECK_INT_EQ(rg_splice(p[0], NULL, out, &to, 1000, 0), 33);
	T_CHECK_INT_EQ(to, 40);
	T_CHECK_INT_EQ(pread(out, buf, 40, 0), 40);
	T_CHECK_MEM_EQ(buf, data, 7);
	T_CHECK_MEM_EQ(buf + 7, data + 101, 33);
	/* Without an offset: the file's position. */
	T_CHECK_INT_EQ(lseek(in, 5, SEEK_SET), 5);
	T_CHECK_INT_EQ(rg_splice(in, NULL, p[1], NULL, 10, 0), 10);
	T_CHECK_INT_EQ(lseek(in, 0, SEEK_CUR), 15);
	T_CHECK_INT_EQ(read(p[0], buf, 50), 10);
	T_CHECK_MEM_EQ(buf, data + 5, 10);
	from = FILE_SIZE;
	T_CHECK_INT_EQ(rg_splice(in, &from, p[1], NULL, 10, 0), 0);
	close_pipe(p);
	close(in);
	close(out);
}

TEST(splice_bad_arguments_are_refused)
{
	int in = data_file(), p[2], s[2];
	off_t at = -1;

	make_pipe(p);
	make_sockets(s);
	T_CHECK_INT_EQ(rg_splice(in, &at, p[1], NULL, 10, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_splice(in, NULL, p[1], &at, 10, 0), -EINVAL);
	at = 0;
	T_CHECK_INT_EQ(rg_splice(in, NULL, p[1], &at, 10, 0), -ESPIPE);
	T_CHECK_INT_EQ(rg_splice(in, NULL, s[1], NULL, 10, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_splice(in, NULL, -1, NULL, 10, 0), -EBADF);
	T_CHECK_INT_EQ(rg_splice(-1, NULL, p[1], NULL, 10, 0), -EBADF);
	T_CHECK_INT_EQ(rg_splice(987654, NULL, p[1], NULL, 10, 0), -EBADF);
	T_CHECK_INT_EQ(rg_splice(in, NULL, -1, NULL, 0, 0), -EBADF);
	T_CHECK_INT_EQ(rg_splice(in, NULL, p[1], NULL, 0, 0), 0);
	T_CHECK_INT_EQ(rg_splice(in, NULL, p[1], NULL, 10, 0x4000), -EINVAL);
	T_CHECK_INT_EQ(rg_tee(in, p[1], 10, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_tee(-1, p[1], 10, 0), -EBADF);
	close_pipe(p);
	close_pipe(s);
	close(in);
}

TEST(splice_waits_for_either_side_unless_told_not_to)
{
	struct t_call m = {.fn = do_splice, .n = 100};
	rg_waitgroup w = {0};
	int p[2], q[2], s[2];
	char buf[8];

	make_pipe(p);
	make_pipe(q);
	make_sockets(s);
	T_CHECK_INT_EQ(rg_splice(p[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK),
		       -EAGAIN);
	T_CHECK_INT_EQ(rg_splice(s[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK),
		       -EAGAIN);
	m.fd = p[0];
	m.other_fd = q[1];
	t_call_park(&m, &w);
	T_CHECK_INT_EQ(write(p[1], "abc", 3), 3);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(m.ret, 3);
	T_CHECK_INT_EQ(read(q[0], buf, 8), 3);
	/* From a socket. */
	m.fd = s[0];
	t_call_park(&m, &w);
	T_CHECK_INT_EQ(write(s[1], "abcd", 4), 4);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(m.ret, 4);
	/* A full pipe. */
	while (write(p[1], data, 4096) == 4096 &&
	       rg_poll(p[1], POLLOUT, 0) == POLLOUT)
		;
	m.fd = s[0];
	m.other_fd = p[1];
	T_CHECK_INT_EQ(write(s[1], "xy", 2), 2);
	t_call_park(&m, &w);
	while (!m.ended) {
		T_CHECK_INT_EQ(read(p[0], data, 4096), 4096);
		(void)rg_sleep(RG_MILLISECOND);
	}
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(m.ret, 2);
	close_pipe(p);
	close_pipe(q);
	close_pipe(s);
}

TEST(splice_ends_and_broken_pipes_are_told)
{
	int p[2], q[2], s[2];

	make_pipe(p);
	make_pipe(q);
	make_sockets(s);
	close(p[1]);
	T_CHECK_INT_EQ(rg_splice(p[0], NULL, q[1], NULL, 10, 0), 0);
	close(p[0]);
	T_CHECK_INT_EQ(write(q[1], "abc", 3), 3);
	close(s[1]);
	T_CHECK_INT_EQ(rg_splice(q[0], NULL, s[0], NULL, 10, 0), -EPIPE);
	make_pipe(p);
	close(p[0]);
	T_CHECK_INT_EQ(rg_splice(q[0], NULL, p[1], NULL, 10, 0), -EPIPE);
	T_CHECK_INT_EQ(rg_tee(q[0], p[1], 10, 0), -EPIPE);
	close(p[1]);
	close_pipe(q);
	close(s[0]);
}

/* fn waits for `in`, then for `out`: close of either ends it, and so does a context. */
static void ends_in_every_way(ssize_t (*fn)(struct t_call *m), const int in[2],
			      const int out[2])
{
	struct t_call m = {.fn = fn, .fd = in[0], .other_fd = out[1], .n = 10};
	rg_waitgroup w = {0};
	char buf[8];

	m.ctx = rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	t_call_start(&m, &w);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(m.ret, -ETIMEDOUT);
	rg_ctx_unref(m.ctx);
	m.ctx = rg_ctx_with_cancel(rg_ctx_background());
	t_call_park(&m, &w);
	rg_ctx_cancel(m.ctx, 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(m.ret, -ECANCELED);
	rg_ctx_unref(m.ctx);
	m.ctx = NULL;
	/* It took nothing. */
	T_CHECK_INT_EQ(write(in[1], "abc", 3), 3);
	T_CHECK_INT_EQ(rg_read(in[0], buf, 8), 3);
	t_call_park(&m, &w);
	T_CHECK_INT_EQ(rg_close(in[0]), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(m.ret, -ECANCELED);
	close(in[1]);
	close_pipe(out);
}

TEST(splice_parked_ends_by_close_and_context)
{
	int p[2], q[2];

	make_pipe(p);
	make_pipe(q);
	ends_in_every_way(do_splice, p, q);
	make_sockets(p);
	make_pipe(q);
	ends_in_every_way(do_splice, p, q);
	make_pipe(p);
	make_pipe(q);
	ends_in_every_way(do_tee, p, q);
}

TEST(tee_leaves_the_bytes)
{
	int p[2], q[2];
	char buf[8];

	make_pipe(p);
	make_pipe(q);
	T_CHECK_INT_EQ(write(p[1], "abcde", 5), 5);
	T_CHECK_INT_EQ(rg_tee(p[0], q[1], 3, 0), 3);
	T_CHECK_INT_EQ(read(q[0], buf, 8), 3);
	T_CHECK_MEM_EQ(buf, "abc", 3);
	T_CHECK_INT_EQ(read(p[0], buf, 8), 5);
	T_CHECK_MEM_EQ(buf, "abcde", 5);
	T_CHECK_INT_EQ(rg_tee(p[0], q[1], 3, SPLICE_F_NONBLOCK), -EAGAIN);
	close_pipe(p);
	close_pipe(q);
}

/* ---- sendfile ----------------------------------------------------------- */

struct receiver {
	int fd;
	size_t n; /* received */
	char *buf;
};

static void receive_all(void *arg)
{
	struct receiver *r = arg;
	ssize_t ret;

	while ((ret = rg_read(r->fd, r->buf + r->n, FILE_SIZE - r->n)) > 0)
		r->n += (size_t)ret;
	T_CHECK_INT_EQ(ret, 0);
}

TEST(sendfile_sends_the_same_bytes_in_any_parts)
{
	static const size_t parts[] = {1, 4095, 4097, 65537, 300001};
	int in = data_file(), s[2];
	struct receiver r = {.buf = malloc(FILE_SIZE + 1)};
	rg_waitgroup w = {0};
	size_t done = 0;

	T_CHECK(r.buf != NULL);
	make_sockets(s);
	r.fd = s[1];
	spawn(&w, receive_all, &r);
	for (size_t i = 0; done < FILE_SIZE; i = (i + 1) % 5) {
		off_t at = (off_t)done;
		bool by_position = i % 2;
		ssize_t ret;

		T_CHECK_INT_EQ(lseek(in, (off_t)done, SEEK_SET), done);
		ret = rg_sendfile(s[0], in, by_position ? NULL : &at, parts[i]);
		T_CHECK_INT_GT(ret, 0);
		T_CHECK(ret == (ssize_t)parts[i] ||
			done + (size_t)ret == FILE_SIZE);
		T_CHECK_INT_EQ(at - (off_t)done, by_position ? 0 : ret);
		T_CHECK_INT_EQ(lseek(in, 0, SEEK_CUR) - (off_t)done,
			       by_position ? ret : 0);
		done += (size_t)ret;
	}
	T_CHECK_INT_EQ(lseek(in, 0, SEEK_END), FILE_SIZE);
	T_CHECK_INT_EQ(rg_sendfile(s[0], in, NULL, 10), 0);
	close(s[0]);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.n, FILE_SIZE);
	for (size_t i = 0; i < FILE_SIZE; i++)
		T_CHECK_INT_EQ((unsigned char)r.buf[i], byte_at(i));
	free(r.buf);
	close(s[1]);
	close(in);
}

TEST(sendfile_to_a_file_and_its_errors)
{
	int in = data_file(), out = data_file(), p[2];
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	off_t at = 3;
	char buf[10];

	make_pipe(p);
	T_CHECK_INT_EQ(rg_sendfile(out, in, &at, 10), 10);
	T_CHECK_INT_EQ(at, 13);
	T_CHECK_INT_EQ(pread(out, buf, 10, 0), 10);
	T_CHECK_MEM_EQ(buf, data + 3, 10);
	T_CHECK_INT_EQ(rg_sendfile(out, p[0], NULL, 10), -EINVAL);
	T_CHECK_INT_EQ(rg_sendfile(out, dir, NULL, 10), -EINVAL);
	T_CHECK_INT_EQ(rg_sendfile(out, -1, NULL, 10), -EBADF);
	T_CHECK_INT_EQ(rg_sendfile(-1, in, NULL, 10), -EBADF);
	T_CHECK_INT_EQ(rg_sendfile(-1, in, NULL, 0), -EBADF);
	T_CHECK_INT_EQ(rg_sendfile(out, in, NULL, 0), 0);
	at = -1;
	T_CHECK_INT_EQ(rg_sendfile(out, in, &at, 10), -EINVAL);
	/* Nothing was skipped by what failed. */
	T_CHECK_INT_EQ(lseek(in, 0, SEEK_CUR), 0);
	T_CHECK_INT_EQ(fcntl(out, F_SETFL, O_APPEND), 0);
	T_CHECK_INT_EQ(rg_sendfile(out, in, NULL, 10), -EINVAL);
	T_CHECK_INT_EQ(lseek(in, 0, SEEK_CUR), 0);
	close_pipe(p);
	close(dir);
	close(in);
	close(out);
}

static bool has_bytes(void *fd)
{
	struct pollfd p = {.fd = *(int *)fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

TEST(sendfile_cut_short_skips_no_byte)
{
	struct t_call m = {.fn = do_sendfile, .n = FILE_SIZE};
	struct receiver r = {.buf = malloc(FILE_SIZE + 1)};
	rg_waitgroup w = {0};
	off_t at = 11;
	int s[2];

	T_CHECK(r.buf != NULL);
	make_sockets(s);
	m.fd = data_file();
	m.other_fd = s[0];
	m.off = &at;
	m.ctx = rg_ctx_with_cancel(rg_ctx_background());
	/* The receiver takes nothing: it stops in the middle. */
	t_call_park(&m, &w);
	T_WAIT_UNTIL(has_bytes, &s[1]);
	rg_ctx_cancel(m.ctx, 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_GT(m.ret, 0);
	T_CHECK_INT_LT(m.ret, FILE_SIZE);
	T_CHECK_INT_EQ(at, 11 + m.ret);
	rg_ctx_bind(m.ctx);
	T_CHECK_INT_EQ(rg_sendfile(s[0], m.fd, &at, 10), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(m.ctx);
	T_CHECK_INT_EQ(at, 11 + m.ret);
	r.fd = s[1];
	spawn(&w, receive_all, &r);
	T_CHECK_INT_EQ(rg_sendfile(s[0], m.fd, &at, FILE_SIZE),
		       FILE_SIZE - 11 - m.ret);
	close(s[0]);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(r.n, FILE_SIZE - 11);
	for (size_t i = 0; i < r.n; i++)
		T_CHECK_INT_EQ((unsigned char)r.buf[i], byte_at(i + 11));
	free(r.buf);
	close(s[1]);
	close(m.fd);
}

TEST(sendfile_to_a_peer_that_went_is_epipe)
{
	int in = data_file(), s[2];

	make_sockets(s);
	close(s[1]);
	T_CHECK_INT_EQ(rg_sendfile(s[0], in, NULL, 100), -EPIPE);
	T_CHECK_INT_EQ(lseek(in, 0, SEEK_CUR), 0);
	close(s[0]);
	close(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splice_file_to_pipe_to_file_at_offsets),
		cmocka_unit_test(splice_bad_arguments_are_refused),
		cmocka_unit_test(
			splice_waits_for_either_side_unless_told_not_to),
		cmocka_unit_test(splice_ends_and_broken_pipes_are_told),
		cmocka_unit_test(splice_parked_ends_by_close_and_context),
		cmocka_unit_test(tee_leaves_the_bytes),
		cmocka_unit_test(sendfile_sends_the_same_bytes_in_any_parts),
		cmocka_unit_test(sendfile_to_a_file_and_its_errors),
		cmocka_unit_test(sendfile_cut_short_skips_no_byte),
		cmocka_unit_test(sendfile_to_a_peer_that_went_is_epipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
