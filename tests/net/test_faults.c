// SPDX-License-Identifier: MIT
/*
 * faults - traffic over every opcode on rings that misbehave (kernel-iface/fault.h): what
 * went in comes out, in order; descriptors, goroutines, memory and operations in flight
 * are at the end what they were before. opwait.h's I1 to I3, waitop.h's I3, opgroup.h's
 * G1 to G3, fdesc.h, and the loops of net.
 *
 *	PROGRAM [CASE]
 *
 * Each case is run under the seeds 1 .. RG_FAULT_SEEDS; with FAULT_SEED=n under that one.
 * Of an odd seed all faults are of the kinds that the library hides: no call may fail.
 * An even one also draws errors (-ENOMEM, -EMFILE), which callers see: nothing has happened
 * then, and what they asked for is done by asking again. Every third seed has two Ps,
 * others one; every fifth runs under the seeded scheduler.
 */
#include "tests/support/rgfolder.h"
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/fault.h"
#include "kernel-iface/optable.h"
#include "kernel-iface/probe.h"

enum { SEEDS_DEFAULT = 200, SEED_SECONDS = 20, BYTES = 24 * 1024 };

static uint64_t seed;
static char replay[256];
static rg_waitgroup wg;
static uint64_t happened[FAULT_KINDS][RGK_OP_COUNT]; /* in all runs */

/* ---- calls under faults ---------------------------------------------------- */

static bool has_errors(void)
{
	return seed % 2 == 0;
}

/* ret is of a fault that callers see: ask again. */
static bool is_fault(ssize_t ret)
{
	if (ret != -ENOMEM && ret != -ENOBUFS && ret != -EMFILE &&
	    ret != -ENFILE)
		return false;
	if (!has_errors())
		T_FAIL("%s without a fault", rg_strerror((int)ret));
	return true;
}

/* The result of a call that was not refused by a fault. */
#define TRY(call)                                                              \
	({                                                                     \
		ssize_t t_ret_;                                                \
		do                                                             \
			t_ret_ = (call);                                       \
		while (is_fault(t_ret_));                                      \
		t_ret_;                                                        \
	})

#define CHECK_OK(call) T_CHECK_INT_EQ(TRY(call), 0)

static uint32_t noise(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* The byte at an offset of a stream; streams differ. */
static unsigned char byte_at(unsigned stream, size_t off)
{
	return (unsigned char)(off * 31 + (off >> 8) + stream * 77);
}

static void fill_bytes(unsigned char *buf, size_t n, unsigned stream,
		       size_t off)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(stream, off + i);
}

static void check_bytes(const unsigned char *buf, size_t n, unsigned stream,
			size_t off)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != byte_at(stream, off + i))
			T_FAIL("stream %u: byte %zu is %u, expected %u", stream,
			       off + i, buf[i], byte_at(stream, off + i));
}

static void start(void (*fn)(void *arg), void *arg)
{
	rg_waitgroup_add(&wg, 1);
	T_CHECK_INT_EQ(rg_go(fn, arg), 0);
}

/* ---- streams: either kind of connection, or a pair of descriptors ----------- */

struct stream {
	unsigned id;
	rg_conn *c; /* NULL: fd */
	int fd;
};

/* One write, of part or all; a failure has written nothing. */
static ssize_t write_once(struct stream *s, const unsigned char *buf, size_t n,
			  uint32_t how)
{
	struct iovec v[2] = {{(void *)(uintptr_t)buf, n / 3},
			     {(void *)(uintptr_t)(buf + n / 3), n - n / 3}};

	if (s->c && !has_errors() && how % 3 == 0)
		return rg_conn_write(s->c, buf, n);
	if (s->c && !has_errors() && how % 3 == 1)
		return rg_conn_writev(s->c, v, 2);
	if (s->c)
		return rg_conn_write_some(s->c, buf, n);
	if (!has_errors() && how % 3 == 0)
		return rg_write_full(s->fd, buf, n);
	return how % 2 ? rg_writev(s->fd, v, 2) : rg_write(s->fd, buf, n);
}

static void sends_stream(void *arg)
{
	struct stream *s = arg;
	unsigned char buf[4096];
	uint32_t state = (uint32_t)seed + s->id;

	for (size_t off = 0; off < BYTES;) {
		size_t n = 1 + noise(&state) % sizeof(buf);
		ssize_t ret;

		if (n > BYTES - off)
			n = BYTES - off;
		fill_bytes(buf, n, s->id, off);
		ret = TRY(write_once(s, buf, n, noise(&state)));
		T_CHECK_INT_GT(ret, 0);
		T_CHECK_INT_LE(ret, n);
		off += (size_t)ret;
	}
	if (s->c)
		T_CHECK_INT_EQ(rg_conn_close_write(s->c), 0);
	else
		CHECK_OK(rg_close(s->fd));
	rg_waitgroup_done(&wg);
}

static ssize_t read_once(struct stream *s, unsigned char *buf, size_t n,
			 uint32_t how)
{
	struct iovec v[2] = {{buf, n / 3}, {buf + n / 3, n - n / 3}};

	if (s->c)
		return rg_conn_read(s->c, buf, n);
	return how % 2 ? rg_readv(s->fd, v, 2) : rg_read(s->fd, buf, n);
}

static void receives_stream(void *arg)
{
	struct stream *s = arg;
	unsigned char buf[4096];
	uint32_t state = (uint32_t)seed * 3 + s->id;
	size_t off = 0;

	for (;;) {
		size_t n = 1 + noise(&state) % sizeof(buf);
		ssize_t ret = TRY(read_once(s, buf, n, noise(&state)));

		T_CHECK_INT_GE(ret, 0);
		if (!ret)
			break;
		check_bytes(buf, (size_t)ret, s->id, off);
		off += (size_t)ret;
	}
	T_CHECK_INT_EQ(off, BYTES);
	if (!s->c)
		CHECK_OK(rg_close(s->fd));
	rg_waitgroup_done(&wg);
}

/* Both directions of a connection at once. */
static void exchange(rg_conn *a, rg_conn *b, unsigned id)
{
	struct stream there[2] = {{.id = id, .c = a}, {.id = id, .c = b}};
	struct stream back[2] = {{.id = id + 1, .c = b},
				 {.id = id + 1, .c = a}};

	start(sends_stream, &there[0]);
	start(receives_stream, &there[1]);
	start(sends_stream, &back[0]);
	start(receives_stream, &back[1]);
	rg_waitgroup_wait(&wg);
}

struct accepting {
	rg_listener *l;
	rg_conn *c;
};

static void accepts(void *arg)
{
	struct accepting *a = arg;

	CHECK_OK(rg_listener_accept(a->l, &a->c));
	rg_waitgroup_done(&wg);
}

static void connect_pair(const char *network, const char *address, rg_conn **a,
			 rg_conn **b)
{
	struct accepting acc = {0};

	CHECK_OK(rg_listen(network, address, &acc.l));
	start(accepts, &acc);
	CHECK_OK(rg_dial(network, rg_listener_addr(acc.l), a));
	rg_waitgroup_wait(&wg);
	*b = acc.c;
	CHECK_OK(rg_listener_close(acc.l));
}

static void tcp(void)
{
	rg_conn *a, *b;

	connect_pair("tcp", "127.0.0.1:0", &a, &b);
	exchange(a, b, 1);
	CHECK_OK(rg_conn_close(a));
	CHECK_OK(rg_conn_close(b));
}

static void pipes(void)
{
	struct stream w = {.id = 9}, r = {.id = 9};
	int fds[2];

	T_CHECK(pipe2(fds, O_CLOEXEC) == 0);
	r.fd = fds[0];
	w.fd = fds[1];
	start(sends_stream, &w);
	start(receives_stream, &r);
	rg_waitgroup_wait(&wg);
}

/* ---- buffered ---------------------------------------------------------------- */

static void writes_lines(void *arg)
{
	rg_writer *w = rg_writer_new(arg, 100);

	T_CHECK(w != NULL);
	for (int i = 0; i < 300; i++)
		while (is_fault(rg_writer_printf(w, "line %d of 300\n", i)))
			;
	CHECK_OK(rg_writer_flush(w));
	rg_writer_free(w);
	T_CHECK_INT_EQ(rg_conn_close_write(arg), 0);
	rg_waitgroup_done(&wg);
}

static void buffered(void)
{
	char expected[32];
	const char *line;
	rg_reader *r;
	rg_conn *a, *b;

	/* A writer's failure stays (bufio.h): hidden kinds only. */
	if (has_errors())
		return;
	connect_pair("unix", t_folder_path("buf"), &a, &b);
	start(writes_lines, a);
	r = rg_reader_new(b, 64);
	for (int i = 0; i < 300; i++) {
		ssize_t n = rg_reader_line(r, &line);
		int len = snprintf(expected, sizeof(expected), "line %d of 300",
				   i);

		T_CHECK_INT_GE(n, len);
		T_CHECK_MEM_EQ(line, expected, (size_t)len);
	}
	T_CHECK_INT_EQ(rg_reader_line(r, &line), 0);
	rg_reader_free(r);
	rg_waitgroup_wait(&wg);
	CHECK_OK(rg_conn_close(a));
	CHECK_OK(rg_conn_close(b));
}

/* ---- descriptors that travel ---------------------------------------------------- */

static void sends_pipe(void *arg)
{
	unsigned char text[64];
	int fds[2];

	T_CHECK(pipe2(fds, O_CLOEXEC) == 0);
	fill_bytes(text, sizeof(text), 5, 0);
	T_CHECK_INT_EQ(write(fds[1], "x", 1), 1);
	/* A failure after the first part has sent them: hidden kinds only. */
	T_CHECK_INT_EQ(rg_conn_write_fds(arg, text, sizeof(text), fds, 2),
		       sizeof(text));
	CHECK_OK(rg_close(fds[0]));
	CHECK_OK(rg_close(fds[1]));
	rg_waitgroup_done(&wg);
}

static void passing(void)
{
	unsigned char text[64];
	int fds[4], n_fds = 4, got = 0;
	ssize_t ret;
	rg_conn *a, *b;
	char c;

	if (has_errors())
		return;
	connect_pair("unix", t_folder_path("pass"), &a, &b);
	start(sends_pipe, a);
	for (size_t off = 0; off < sizeof(text); off += (size_t)ret) {
		ret = rg_conn_read_fds(b, text + off, sizeof(text) - off,
				       fds + got, &n_fds);
		T_CHECK_INT_GT(ret, 0);
		T_CHECK_INT_GE(n_fds, 0);
		got += n_fds;
		n_fds = 4 - got;
	}
	T_CHECK_INT_EQ(got, 2);
	check_bytes(text, sizeof(text), 5, 0);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(rg_read(fds[0], &c, 1), 1);
	CHECK_OK(rg_close(fds[0]));
	CHECK_OK(rg_close(fds[1]));
	CHECK_OK(rg_conn_close(a));
	CHECK_OK(rg_conn_close(b));
}

/* ---- datagrams -------------------------------------------------------------------- */

enum { DATAGRAMS = 40, DATAGRAM_MAX = 1200 };

static size_t datagram_len(unsigned i)
{
	return 1 + (i * 97 + seed * 13) % DATAGRAM_MAX;
}

struct two_packets {
	rg_packet *from, *to;
	struct sockaddr_in from_addr, to_addr;
};

static void name_of(rg_packet *p, struct sockaddr_in *in)
{
	socklen_t len = sizeof(*in);

	T_CHECK(!getsockname(rg_packet_fd(p), (struct sockaddr *)in, &len));
}

static void sends_datagrams(void *arg)
{
	struct two_packets *p = arg;
	unsigned char buf[DATAGRAM_MAX];

	for (unsigned i = 0; i < DATAGRAMS; i++) {
		size_t n = datagram_len(i);
		struct iovec v[2] = {{buf, n / 2}, {buf + n / 2, n - n / 2}};
		struct msghdr msg = {.msg_name = &p->to_addr,
				     .msg_namelen = sizeof(p->to_addr),
				     .msg_iov = v,
				     .msg_iovlen = 2};

		fill_bytes(buf, n, i, 0);
		T_CHECK_INT_EQ(TRY(rg_packet_write_msg(p->from, &msg)), n);
	}
	rg_waitgroup_done(&wg);
}

static void datagrams(void)
{
	unsigned char buf[DATAGRAM_MAX + 1];
	struct sockaddr_storage from;
	struct two_packets p;
	socklen_t len;

	CHECK_OK(rg_listen_packet("udp", "127.0.0.1:0", &p.from));
	CHECK_OK(rg_listen_packet("udp", "127.0.0.1:0", &p.to));
	name_of(p.from, &p.from_addr);
	name_of(p.to, &p.to_addr);
	start(sends_datagrams, &p);
	for (unsigned i = 0; i < DATAGRAMS; i++) {
		ssize_t n = TRY(rg_packet_read_from(p.to, buf, sizeof(buf),
						    &from, &len));

		T_CHECK_INT_EQ(n, datagram_len(i));
		check_bytes(buf, (size_t)n, i, 0);
		T_CHECK_INT_EQ(len, sizeof(p.from_addr));
		T_CHECK_MEM_EQ(&from, &p.from_addr, sizeof(p.from_addr));
	}
	rg_waitgroup_wait(&wg);
	CHECK_OK(rg_packet_close(p.from));
	CHECK_OK(rg_packet_close(p.to));
}

/* ---- sockets by number ---------------------------------------------------------------- */

static void echoes_messages(void *arg)
{
	int fd = *(int *)arg, conn;
	unsigned char buf[500];
	struct iovec v[2] = {{buf, 100}, {buf + 100, 400}};
	ssize_t n;

	conn = (int)TRY(rg_accept4(fd, NULL, NULL, SOCK_CLOEXEC));
	T_CHECK_INT_GE(conn, 0);
	for (;;) {
		struct msghdr msg = {.msg_iov = v, .msg_iovlen = 2};

		n = TRY(rg_recvmsg(conn, &msg, 0));
		T_CHECK_INT_GE(n, 0);
		if (!n)
			break;
		for (size_t off = 0; off < (size_t)n;) {
			ssize_t sent = TRY(rg_sendto(
				conn, buf + off, (size_t)n - off, 0, NULL, 0));

			T_CHECK_INT_GT(sent, 0);
			off += (size_t)sent;
		}
	}
	CHECK_OK(rg_close(conn));
	rg_waitgroup_done(&wg);
}

static void numbers(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *sa = (struct sockaddr *)&in;
	socklen_t len = sizeof(in);
	int l = rg_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	unsigned char out[2000], in_buf[2000];
	struct iovec v[2] = {{out, 700}, {out + 700, 1300}};
	struct msghdr msg = {.msg_iov = v, .msg_iovlen = 2};
	size_t off = 0;

	T_CHECK(!bind(l, sa, len) && !listen(l, 8));
	T_CHECK(!getsockname(l, sa, &len));
	start(echoes_messages, &l);
	fd = rg_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK_OK(rg_connect(fd, sa, len));
	fill_bytes(out, sizeof(out), 7, 0);
	off = (size_t)TRY(rg_sendmsg(fd, &msg, 0));
	while (off < sizeof(out)) {
		ssize_t n = TRY(rg_sendto(fd, out + off, sizeof(out) - off, 0,
					  NULL, 0));

		T_CHECK_INT_GT(n, 0);
		off += (size_t)n;
	}
	for (off = 0; off < sizeof(in_buf);) {
		ssize_t n = TRY(rg_recvfrom(
			fd, in_buf + off, sizeof(in_buf) - off, 0, NULL, NULL));

		T_CHECK_INT_GT(n, 0);
		off += (size_t)n;
	}
	check_bytes(in_buf, sizeof(in_buf), 7, 0);
	T_CHECK_INT_EQ(rg_shutdown(fd, SHUT_WR), 0);
	rg_waitgroup_wait(&wg);
	CHECK_OK(rg_close(fd));
	CHECK_OK(rg_close(l));
}

/* ---- files ------------------------------------------------------------------------------- */

static void write_file(int fd)
{
	unsigned char buf[3000];
	struct iovec v[2] = {{buf, 1000}, {buf + 1000, 2000}};
	size_t off = 0;

	while (off < BYTES) {
		size_t n =
			sizeof(buf) < BYTES - off ? sizeof(buf) : BYTES - off;
		ssize_t ret;

		fill_bytes(buf, n, 3, off);
		ret = n < sizeof(buf) || off % 2
			      ? TRY(rg_pwrite(fd, buf, n, (off_t)off))
			      : TRY(rg_pwritev(fd, v, 2, (off_t)off));
		T_CHECK_INT_GT(ret, 0);
		off += (size_t)ret;
	}
}

static void read_file(int fd)
{
	unsigned char buf[5000];
	struct iovec v[2] = {{buf, 77}, {buf + 77, sizeof(buf) - 77}};
	size_t off = 0;
	ssize_t n;

	do {
		n = off % 2 ? TRY(rg_pread(fd, buf, sizeof(buf), (off_t)off))
			    : TRY(rg_preadv(fd, v, 2, (off_t)off));
		T_CHECK_INT_GE(n, 0);
		check_bytes(buf, (size_t)n, 3, off);
		off += (size_t)n;
	} while (n);
	T_CHECK_INT_EQ(off, BYTES);
}

static int open_at(const char *name, int flags)
{
	int fd =
		(int)TRY(rg_openat(t_folder_fd, name, flags | O_CLOEXEC, 0600));

	T_CHECK_INT_GE(fd, 0);
	return fd;
}

static void check_size(const char *name, uint64_t size)
{
	struct statx st;

	CHECK_OK(rg_statx(t_folder_fd, name, 0, STATX_SIZE, &st));
	T_CHECK_INT_EQ(st.stx_size, size);
}

static void files(void)
{
	int fd = open_at("file", O_RDWR | O_CREAT | O_EXCL), d = t_folder_fd;

	CHECK_OK(rg_fallocate(fd, 0, 0, BYTES));
	write_file(fd);
	CHECK_OK(rg_fdatasync(fd));
	CHECK_OK(rg_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	read_file(fd);
	CHECK_OK(rg_close(fd));
	check_size("file", BYTES);
	CHECK_OK(rg_renameat(d, "file", d, "other"));
	CHECK_OK(rg_linkat(d, "other", d, "second", 0));
	CHECK_OK(rg_symlinkat("other", d, "soft"));
	CHECK_OK(rg_mkdirat(d, "dir", 0700));
	fd = open_at("soft", O_RDWR);
	read_file(fd);
	CHECK_OK(rg_ftruncate(fd, 100));
	CHECK_OK(rg_fsync(fd));
	CHECK_OK(rg_close(fd));
	check_size("second", 100);
	CHECK_OK(rg_unlinkat(d, "soft", 0));
	CHECK_OK(rg_unlinkat(d, "other", 0));
	CHECK_OK(rg_unlinkat(d, "second", 0));
	CHECK_OK(rg_unlinkat(d, "dir", AT_REMOVEDIR));
	T_CHECK_INT_EQ(TRY(rg_openat(d, "file", O_RDONLY)), -ENOENT);
}

/* ---- splice, tee, sendfile ------------------------------------------------------------------ */

static void sends_file(void *arg)
{
	struct stream *s = arg;
	int fd = open_at("source", O_RDWR | O_CREAT | O_TRUNC);
	off_t off = 0;

	write_file(fd);
	while (off < BYTES) {
		off_t before = off;
		ssize_t n = TRY(rg_sendfile(rg_conn_fd(s->c), fd, &off,
					    BYTES - (size_t)off));

		T_CHECK_INT_GT(n, 0);
		T_CHECK_INT_EQ(off, before + n);
	}
	CHECK_OK(rg_close(fd));
	CHECK_OK(rg_unlinkat(t_folder_fd, "source", 0));
	T_CHECK_INT_EQ(rg_conn_close_write(s->c), 0);
	rg_waitgroup_done(&wg);
}

/* What comes from a socket goes through a pipe, twice. */
static void splices(void *arg)
{
	struct stream *s = arg;
	unsigned char one[4096], two[4096];
	int p[2], q[2];
	size_t off = 0;
	ssize_t n;

	T_CHECK(!pipe2(p, O_CLOEXEC) && !pipe2(q, O_CLOEXEC));
	while ((n = TRY(rg_splice(rg_conn_fd(s->c), NULL, p[1], NULL,
				  sizeof(one), 0)))) {
		size_t got = 0;

		T_CHECK_INT_GT(n, 0);
		while (got < (size_t)n) {
			ssize_t teed = TRY(rg_tee(p[0], q[1], (size_t)n, 0));
			ssize_t rest = teed;

			T_CHECK_INT_GT(teed, 0);
			T_CHECK_INT_EQ(read(q[0], two, sizeof(two)), teed);
			while (rest) {
				ssize_t ret =
					TRY(rg_read(p[0], one, (size_t)rest));

				T_CHECK_INT_GT(ret, 0);
				check_bytes(one, (size_t)ret, s->id, off + got);
				T_CHECK_MEM_EQ(one, two + (teed - rest),
					       (size_t)ret);
				got += (size_t)ret;
				rest -= ret;
			}
		}
		off += got;
	}
	T_CHECK_INT_EQ(off, BYTES);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(rg_close(p[i]));
		CHECK_OK(rg_close(q[i]));
	}
	rg_waitgroup_done(&wg);
}

static void splicing(void)
{
	struct stream from = {.id = 3}, to = {.id = 3};

	connect_pair("unix", t_folder_path("splice"), &from.c, &to.c);
	start(sends_file, &from);
	start(splices, &to);
	rg_waitgroup_wait(&wg);
	CHECK_OK(rg_conn_close(from.c));
	CHECK_OK(rg_conn_close(to.c));
}

/* ---- waiting: children, polls, futexes, selects ------------------------------------------------ */

static pid_t spawn_exit(int code)
{
	char text[16];
	char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			text, NULL};
	char *env[] = {NULL};
	pid_t pid;

	snprintf(text, sizeof(text), "exit %d", code);
	T_CHECK(!posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, env));
	return pid;
}

static void children(void)
{
	siginfo_t info = {0};
	pid_t pid = spawn_exit(7);

	CHECK_OK(rg_waitid(P_PID, (id_t)pid, &info, WEXITED));
	T_CHECK_INT_EQ(info.si_pid, pid);
	T_CHECK_INT_EQ(info.si_status, 7);
	T_CHECK_INT_EQ(TRY(rg_waitid(P_PID, (id_t)pid, NULL, WEXITED)),
		       -ECHILD);
}

static void writes_later(void *arg)
{
	rg_sleep(200 * RG_MICROSECOND);
	T_CHECK_INT_EQ(write(*(int *)arg, "y", 1), 1);
	rg_waitgroup_done(&wg);
}

static void polls(void)
{
	char c = 0;
	int fds[2];

	T_CHECK(pipe2(fds, O_CLOEXEC) == 0);
	T_CHECK_INT_EQ(TRY(rg_poll(fds[0], POLLIN, RG_MILLISECOND)),
		       -ETIMEDOUT);
	start(writes_later, &fds[1]);
	T_CHECK_INT_EQ(TRY(rg_poll(fds[0], POLLIN, 20 * RG_SECOND)), POLLIN);
	T_CHECK_INT_EQ(read(fds[0], &c, 1), 1);
	rg_waitgroup_wait(&wg);
	CHECK_OK(rg_close(fds[0]));
	CHECK_OK(rg_close(fds[1]));
}

static void sends_number(void *arg)
{
	int64_t v = 5;

	rg_sleep(100 * RG_MICROSECOND);
	rg_chan_send(arg, &v);
	rg_waitgroup_done(&wg);
}

/* Three events, in whatever order, each taken once. */
static void selects(void)
{
	rg_chan *ch = rg_make(int64_t, 0);
	int64_t v = 0;
	int fds[2], seen_poll = 0, seen_chan = 0;
	char c;

	T_CHECK(pipe2(fds, O_CLOEXEC) == 0);
	start(writes_later, &fds[1]);
	start(sends_number, ch);
	while (seen_poll + seen_chan < 2) {
		rg_case cases[] = {
			RG_POLL(fds[0], POLLIN),
			RG_RECV(seen_chan ? NULL : ch, &v),
			RG_AFTER(20 * RG_SECOND),
		};
		int i = rg_select(cases, 3);

		if (i == 1) {
			T_CHECK_INT_EQ(v, 5);
			seen_chan++;
			continue;
		}
		T_CHECK_INT_EQ(i, 0);
		if (is_fault(cases[0].res))
			continue;
		T_CHECK_INT_EQ(cases[0].res, POLLIN);
		T_CHECK_INT_EQ(read(fds[0], &c, 1), 1);
		seen_poll++;
	}
	rg_waitgroup_wait(&wg);
	rg_chan_unref(ch);
	CHECK_OK(rg_close(fds[0]));
	CHECK_OK(rg_close(fds[1]));
}

static uint32_t word;

static void changes_word(void *arg)
{
	rg_sleep(200 * RG_MICROSECOND);
	__atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
	(void)arg;
	rg_waitgroup_done(&wg);
}

/* Not woken, but asked for again and again: the value is what counts. */
static void futexes(void)
{
	if (!probe_has(PROBE_FUTEX) || t_is_epoll())
		return;
	__atomic_store_n(&word, 0, __ATOMIC_SEQ_CST);
	start(changes_word, NULL);
	for (;;) {
		rg_case cases[] = {RG_FUTEX(&word, 0),
				   RG_AFTER(RG_MILLISECOND)};
		int i = rg_select(cases, 2);

		if (i == 0 && !is_fault(cases[0].res)) {
			T_CHECK_INT_EQ(cases[0].res, 0);
			break;
		}
	}
	T_CHECK_INT_EQ(__atomic_load_n(&word, __ATOMIC_SEQ_CST), 1);
	rg_waitgroup_wait(&wg);
}

/* ---- the ends of what is in flight ------------------------------------------------------------------ */

static void expect_nothing_then_all(rg_conn *reader, rg_conn *writer)
{
	char buf[16];

	T_CHECK_INT_EQ(rg_conn_set_read_deadline(
			       reader, rg_now() + 300 * RG_MICROSECOND),
		       0);
	T_CHECK_INT_EQ(TRY(rg_conn_read(reader, buf, sizeof(buf))), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_set_read_deadline(reader, 0), 0);
	T_CHECK_INT_EQ(TRY(rg_conn_write_some(writer, "z", 1)), 1);
	T_CHECK_INT_EQ(TRY(rg_conn_read(reader, buf, sizeof(buf))), 1);
	T_CHECK_INT_EQ(buf[0], 'z');
}

struct ending {
	rg_conn *c;
	rg_ctx *ctx;
	_Atomic int64_t bytes;
	ssize_t end;
};

/* Until it is ended; counts what it got before. */
static void reads_to_the_end(void *arg)
{
	struct ending *e = arg;
	char buf[32];
	ssize_t n;

	if (e->ctx)
		rg_ctx_unref(rg_ctx_bind(e->ctx));
	while ((n = TRY(rg_conn_read(e->c, buf, sizeof(buf)))) > 0)
		atomic_fetch_add_explicit(&e->bytes, n, memory_order_relaxed);
	e->end = n;
	if (e->ctx)
		rg_ctx_unref(rg_ctx_bind(NULL));
	rg_waitgroup_done(&wg);
}

static bool has_bytes(void *arg)
{
	struct ending *e = arg;

	return atomic_load_explicit(&e->bytes, memory_order_relaxed) == 1;
}

/* A byte, then the reader is parked or about to; then its end. What comes after the end
 * is still there. */
static void end_by_context(rg_conn *a, rg_conn *b)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	struct ending e = {.c = b, .ctx = ctx};
	char c;

	start(reads_to_the_end, &e);
	T_CHECK_INT_EQ(TRY(rg_conn_write_some(a, "1", 1)), 1);
	T_WAIT_UNTIL(has_bytes, &e);
	rg_ctx_cancel(ctx, 0);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(e.end, -ECANCELED);
	T_CHECK_INT_EQ(TRY(rg_conn_write_some(a, "2", 1)), 1);
	T_CHECK_INT_EQ(TRY(rg_conn_read(b, &c, 1)), 1);
	T_CHECK_INT_EQ(c, '2');
	rg_ctx_unref(ctx);
}

static void end_by_close(rg_conn *b)
{
	struct ending e = {.c = rg_conn_ref(b)};

	start(reads_to_the_end, &e);
	rg_sleep(100 * RG_MICROSECOND);
	CHECK_OK(rg_conn_close(b));
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(e.end, -ECANCELED);
	T_CHECK_INT_EQ(e.bytes, 0);
	rg_conn_unref(e.c);
}

static void endings(void)
{
	rg_conn *a, *b;

	connect_pair("tcp", "127.0.0.1:0", &a, &b);
	expect_nothing_then_all(b, a);
	end_by_context(a, b);
	end_by_close(b);
	CHECK_OK(rg_conn_close(a));
}

static void accepts_until_closed(void *arg)
{
	rg_conn *c;
	ssize_t err;

	while ((err = TRY(rg_listener_accept(arg, &c))) == 0)
		CHECK_OK(rg_conn_close(c));
	T_CHECK_INT_EQ(err, -ECANCELED);
	rg_listener_unref(arg);
	rg_waitgroup_done(&wg);
}

/* Numbers are used again and again while completions are late. */
static void storm(void)
{
	rg_listener *l;
	rg_conn *c;

	CHECK_OK(rg_listen("tcp", "127.0.0.1:0", &l));
	start(accepts_until_closed, rg_listener_ref(l));
	for (int i = 0; i < 10; i++) {
		CHECK_OK(rg_dial("tcp", rg_listener_addr(l), &c));
		CHECK_OK(rg_conn_close(c));
	}
	CHECK_OK(rg_listener_close(l));
	rg_waitgroup_wait(&wg);
}

/* ---- runs ------------------------------------------------------------------------------------------- */

static const struct fault_case {
	const char *name;
	void (*body)(void);
} cases[] = {
	{"tcp", tcp},         {"pipes", pipes},         {"buffered", buffered},
	{"passing", passing}, {"datagrams", datagrams}, {"numbers", numbers},
	{"files", files},     {"splicing", splicing},   {"children", children},
	{"polls", polls},     {"selects", selects},     {"futexes", futexes},
	{"endings", endings}, {"storm", storm},
};

enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static bool is_quiet(void *arg)
{
	rg_stats s;

	(void)arg;
	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof(s)), 0);
	return s.ring_inflight == 0;
}

static const char *only, *program;

static int run_cases(void *arg)
{
	int fds = t_program_fds();

	(void)arg;
	for (int i = 0; i < CASES; i++) {
		if (only && strcmp(only, cases[i].name) != 0)
			continue;
		cases[i].body();
		t_wait_goroutines(1);
		T_WAIT_UNTIL(is_quiet, NULL);
		if (t_program_fds() != fds)
			T_FAIL("%s: %d descriptors, %d before", cases[i].name,
			       t_program_fds(), fds);
	}
	return 0;
}

static void set_text(const char *name, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	T_CHECK(!setenv(name, text, 1));
}

/* What a failure, or a hang, prints last. */
static void say_replay(int sig)
{
	if (write(STDERR_FILENO, replay, strlen(replay)) < 0)
		_exit(126);
	signal(sig, SIG_DFL);
	raise(sig == SIGALRM ? SIGQUIT : sig);
}

static void run_seed(void)
{
	const rg_config config = {.maxprocs = seed % 3 == 0 ? 2 : 1,
				  .ring_entries = seed % 4 ? 0 : 8};
	int64_t blocks = alloc_live();

	snprintf(replay, sizeof(replay),
		 "\nagain: FAULT_SEED=%" PRIu64 " %s %s\n", seed, program,
		 only ? only : "");
	set_text("RINGGO_DEBUG", "faults=%" PRIu64 ",faultkinds=%u", seed,
		 FAULT_ALL & ~(has_errors() ? 0u : 1u << FAULT_ERROR));
	/* What one P orders is not ordered to ThreadSanitizer. */
	if (seed % 5 == 0 && !RG_TSAN)
		set_text("RINGGO_SEED", "%" PRIu64, seed);
	else
		unsetenv("RINGGO_SEED");
	alarm(SEED_SECONDS);
	T_CHECK_INT_EQ(rg_run(&config, run_cases, NULL), 0);
	alarm(0);
	T_CHECK_INT_EQ(alloc_live(), blocks);
	for (int k = 0; k < FAULT_KINDS; k++)
		for (unsigned op = 0; op < RGK_OP_COUNT; op++)
			happened[k][op] += fault_count((enum fault_kind)k, op);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void faults_of_any_seed_lose_nothing_and_leave_nothing(void **state)
{
	uint64_t one = number("FAULT_SEED", 0);
	uint64_t n =
		number("RG_FAULT_SEEDS",
		       RG_TSAN || RG_ASAN ? SEEDS_DEFAULT / 8 : SEEDS_DEFAULT);

	(void)state;
	for (seed = one ? one : 1; seed <= (one ? one : n); seed++)
		run_seed();
}

static uint64_t total(enum fault_kind kind)
{
	uint64_t n = 0;

	for (unsigned op = 0; op < RGK_OP_COUNT; op++)
		n += happened[kind][op];
	return n;
}

/* What the library issues, by what the traffic above does on any kernel and engine. */
static const uint8_t issued[] = {
	IORING_OP_READ,      IORING_OP_WRITE,     IORING_OP_READV,
	IORING_OP_WRITEV,    IORING_OP_RECV,      IORING_OP_SEND,
	IORING_OP_RECVMSG,   IORING_OP_SENDMSG,   IORING_OP_ACCEPT,
	IORING_OP_CONNECT,   IORING_OP_POLL_ADD,  IORING_OP_CLOSE,
	IORING_OP_OPENAT,    IORING_OP_STATX,     IORING_OP_FSYNC,
	IORING_OP_FALLOCATE, IORING_OP_FADVISE,   IORING_OP_RENAMEAT,
	IORING_OP_LINKAT,    IORING_OP_SYMLINKAT, IORING_OP_MKDIRAT,
	IORING_OP_UNLINKAT,  IORING_OP_SPLICE,    IORING_OP_TEE,
};

static const uint8_t shortened[] = {
	IORING_OP_READ,    IORING_OP_WRITE,   IORING_OP_READV,
	IORING_OP_WRITEV,  IORING_OP_RECV,    IORING_OP_SEND,
	IORING_OP_RECVMSG, IORING_OP_SENDMSG, IORING_OP_SPLICE,
};

static void check_happened(enum fault_kind kind, unsigned op)
{
	if (!happened[kind][op])
		T_FAIL("fault %d never happened to %s", kind, op_name(op));
}

static void faults_of_each_kind_met_each_operation(void **state)
{
	(void)state;
	if (number("FAULT_SEED", 0) || only || RG_TSAN || RG_ASAN)
		skip();
	for (size_t i = 0; i < sizeof(issued); i++) {
		check_happened(FAULT_AGAIN, issued[i]);
		check_happened(FAULT_ERROR, issued[i]);
		check_happened(FAULT_CANCEL, issued[i]);
		check_happened(FAULT_LATE, issued[i]);
	}
	for (size_t i = 0; i < sizeof(shortened); i++)
		check_happened(FAULT_SHORT, shortened[i]);
	for (int k = 0; k < FAULT_KINDS; k++)
		print_message("%d: %" PRIu64 " faults\n", k,
			      total((enum fault_kind)k));
	T_CHECK_INT_GT(total(FAULT_QUEUE), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			faults_of_any_seed_lose_nothing_and_leave_nothing),
		cmocka_unit_test(faults_of_each_kind_met_each_operation),
	};

	program = argv[0];
	only = argc > 1 ? argv[1] : NULL;
	signal(SIGABRT, say_replay);
	signal(SIGALRM, say_replay);
	return cmocka_run_group_tests(tests, t_folder_make, t_folder_remove);
}
