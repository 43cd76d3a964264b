// SPDX-License-Identifier: MIT
/*
 * epring - the engine without io_uring: attacks I1-I6 of kernel-iface/epring.h, I1-I3 of
 * epcall.h and opthread.h. What holds for both engines is in test_ring.c, and the whole
 * suite runs on this one, too; here are the places an operation can be at when it is
 * cancelled, transfers in parts, numbers that are used again, and what fails.
 *
 * A helper thread is kept busy by a splice(2) from a file into a pipe that is full.
 * RG-LDFLAGS: -Wl,--wrap=pthread_create
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/list.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/epring.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/op_wait.h"
#include "kernel-iface/opthread.h"
#include "kernel-iface/ring.h"

enum { BIG = 1 << 20 };

/* An operation, its description and what became of it. */
struct act {
	struct op op;
	struct op_sqe s;
	int res;
	_Atomic int calls;
};

static struct ring ring;
static unsigned char out[BIG], in[BIG];

static void on_done(struct op *op, int res, uint32_t flags, void *reaper)
{
	struct act *a = container_of(op, struct act, op);

	(void)reaper;
	assert_int_equal(flags, 0);
	a->res = res;
	/* Release: another thread may wait for it. */
	atomic_fetch_add_explicit(&a->calls, 1, memory_order_release);
}

static void push(struct act *a)
{
	a->op.done = on_done;
	a->calls = 0;
	assert_int_equal(ring_push(&ring, &a->s, &a->op), 0);
}

/* Pushed, and tried. */
static void begin(struct act *a)
{
	push(a);
	assert_int_equal(ring_enter(&ring), 0);
}

static void reap(void)
{
	while (ring_reap(&ring, 64, NULL))
		;
}

/* Serve the ring for a while: what is ready is done, and nothing else. */
static void look(void)
{
	ring_enter(&ring);
	reap();
	ring_enter(&ring);
	reap();
}

static int end_of(struct act *a)
{
	int64_t end = clock_now() + 10 * RG_SECOND;

	reap();
	while (!a->calls) {
		assert_true(clock_now() < end);
		ring_wait(&ring, 5 * RG_SECOND);
		reap();
	}
	assert_int_equal(a->calls, 1);
	return a->res;
}

static int run(struct act *a)
{
	push(a);
	return end_of(a);
}

static int cancel(struct act *a)
{
	assert_int_equal(ring_push_cancel(&ring, &a->op), 1);
	return end_of(a);
}

static bool is_waiting(struct act *a)
{
	look();
	return !a->calls;
}

static void init_engine(const char *features)
{
	assert_int_equal(setenv("RINGGO_ENGINE", "epoll", 1), 0);
	if (features)
		assert_int_equal(setenv("RINGGO_URING", features, 1), 0);
	assert_int_equal(probe_init(), 0);
	unsetenv("RINGGO_URING");
	assert_int_equal(probe_engine(), PROBE_EPOLL);
}

static void open_with(const char *features)
{
	init_engine(features);
	assert_int_equal(ring_open(&ring, 8), 0);
}

static int open_engine(void **state)
{
	(void)state;
	open_with(NULL);
	return 0;
}

static int close_engine(void **state)
{
	(void)state;
	assert_int_equal(ring_inflight(&ring), 0);
	ring_close(&ring);
	ring_forget(&ring);
	assert_int_equal(opthread_count(), 0);
	return 0;
}

/* The same without RWF_NOWAIT, as on an old kernel. */
static int open_old(void **state)
{
	(void)state;
	open_with("off:nowait");
	return 0;
}

static void fill(void)
{
	for (int i = 0; i < BIG; i++)
		out[i] = (unsigned char)(i * 7 + i / 251);
	memset(in, 0, sizeof in);
}

static void make_pair(int sv[2], int type)
{
	int small = 4096;

	assert_int_equal(socketpair(AF_UNIX, type, 0, sv), 0);
	assert_int_equal(
		setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small),
		0);
}

static void close_pair(const int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* ---- transfers in parts ---- */

/* Reads what comes, with read(2), until n bytes are there; the other end is served. */
static void drain(int fd, size_t n, struct act *sender)
{
	size_t done = 0;
	ssize_t got;

	while (done < n) {
		got = recv(fd, in + done, n - done, MSG_DONTWAIT);
		if (got > 0)
			done += (size_t)got;
		else
			assert_int_equal(errno, EAGAIN);
		if (sender)
			look();
	}
	assert_memory_equal(in, out, n);
}

static void epring_send_of_all_goes_on_until_all_is_sent(void **state)
{
	struct act a = {0};
	int sv[2];

	(void)state;
	fill();
	make_pair(sv, SOCK_STREAM);
	op_send(&a.s, sv[0], out, BIG, MSG_WAITALL);
	begin(&a);
	assert_true(is_waiting(&a));
	drain(sv[1], BIG, &a);
	assert_int_equal(end_of(&a), BIG);
	close_pair(sv);
}

static void epring_send_that_fits_in_part_is_short(void **state)
{
	struct act a = {0};
	int sv[2], sent;

	(void)state;
	fill();
	make_pair(sv, SOCK_STREAM);
	op_send(&a.s, sv[0], out, BIG, 0);
	sent = run(&a);
	assert_in_range(sent, 1, BIG - 1);
	drain(sv[1], (size_t)sent, NULL);
	close_pair(sv);
}

static void epring_cancelled_send_says_what_was_sent(void **state)
{
	struct act a = {0};
	int sv[2], sent;

	(void)state;
	fill();
	make_pair(sv, SOCK_STREAM);
	op_send(&a.s, sv[0], out, BIG, MSG_WAITALL);
	begin(&a);
	assert_true(is_waiting(&a));
	sent = cancel(&a);
	assert_in_range(sent, 1, BIG - 1);
	drain(sv[1], (size_t)sent, NULL);
	assert_int_equal(recv(sv[1], in, 1, MSG_DONTWAIT), -1);
	close_pair(sv);
}

/* Buffers of 0, 1, 10,007 ... bytes: parts end inside of them. */
static size_t cut(struct iovec *v, size_t n, unsigned char *buf)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		v[i].iov_base = buf + at;
		v[i].iov_len = i % 3 * 10007 + i % 2;
		at += v[i].iov_len;
	}
	return at;
}

static void epring_messages_in_parts_are_whole(void **state)
{
	struct iovec v[40], w[33];
	struct msghdr send = {.msg_iov = v, .msg_iovlen = 40};
	struct msghdr recv = {.msg_iov = w, .msg_iovlen = 33};
	struct act a = {0}, b = {0};
	size_t n;
	int sv[2];

	(void)state;
	fill();
	make_pair(sv, SOCK_STREAM);
	n = cut(v, 40, out);
	cut(w, 33, in);
	w[32].iov_len = n - (size_t)((unsigned char *)w[32].iov_base - in);
	op_sendmsg(&a.s, sv[0], &send, MSG_WAITALL);
	op_recvmsg(&b.s, sv[1], &recv, MSG_WAITALL);
	push(&a);
	push(&b);
	assert_int_equal(end_of(&b), n);
	assert_int_equal(end_of(&a), n);
	assert_memory_equal(in, out, n);
	close_pair(sv);
}

static void epring_receive_of_all_ends_with_the_stream(void **state)
{
	struct act a = {0};
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	op_recv(&a.s, sv[0], in, 100, MSG_WAITALL);
	begin(&a);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(write(sv[1], "ab", 2), 2);
		assert_true(is_waiting(&a));
	}
	close(sv[1]);
	assert_int_equal(end_of(&a), 6);
	assert_memory_equal(in, "ababab", 6);
	close(sv[0]);
}

static void epring_datagram_ends_a_receive_of_all(void **state)
{
	struct act a = {0};
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_DGRAM);
	op_recv(&a.s, sv[0], in, 100, MSG_WAITALL);
	begin(&a);
	assert_int_equal(write(sv[1], "abc", 3), 3);
	assert_int_equal(end_of(&a), 3);
	close_pair(sv);
}

static void epring_peek_of_all_takes_nothing(void **state)
{
	struct act a = {0};
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	assert_int_equal(write(sv[1], "abc", 3), 3);
	op_recv(&a.s, sv[0], in, 100, MSG_PEEK | MSG_WAITALL);
	assert_int_equal(run(&a), 3);
	op_recv(&a.s, sv[0], in, 100, MSG_DONTWAIT);
	assert_int_equal(run(&a), 3);
	assert_int_equal(run(&a), -EAGAIN);
	close_pair(sv);
}

/* ---- several operations on one descriptor ---- */

static void epring_both_directions_wait_apart(void **state)
{
	struct act send = {0}, recv = {0}, hup = {0};
	int sv[2], sent;

	(void)state;
	fill();
	make_pair(sv, SOCK_STREAM);
	op_recv(&recv.s, sv[0], in, 10, 0);
	op_send(&send.s, sv[0], out, BIG, MSG_WAITALL);
	op_poll(&hup.s, sv[0], 0);
	begin(&recv);
	begin(&send);
	begin(&hup);
	assert_int_equal(write(sv[1], "x", 1), 1);
	assert_int_equal(end_of(&recv), 1);
	assert_true(is_waiting(&send) && is_waiting(&hup));
	/* Cancelling one leaves the others armed. */
	sent = cancel(&send);
	assert_in_range(sent, 1, BIG);
	assert_true(is_waiting(&hup));
	close(sv[1]);
	assert_true(end_of(&hup) & POLLHUP);
	close(sv[0]);
}

static void epring_receives_are_served_in_their_order(void **state)
{
	struct act a[5] = {0};
	char byte[5];
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	for (int i = 0; i < 5; i++) {
		op_recv(&a[i].s, sv[0], &byte[i], 1, 0);
		begin(&a[i]);
	}
	assert_int_equal(cancel(&a[2]), -ECANCELED);
	assert_int_equal(write(sv[1], "abcd", 4), 4);
	for (int i = 0; i < 5; i++)
		if (i != 2)
			assert_int_equal(end_of(&a[i]), 1);
	assert_memory_equal(byte, "ab", 2);
	assert_memory_equal(byte + 3, "cd", 2);
	close_pair(sv);
}

/* ---- numbers that are used again ---- */

static void epring_number_used_again_is_the_new_file(void **state)
{
	int first[2], second[2];
	struct act a = {0};

	(void)state;
	for (int i = 0; i < 3; i++) {
		make_pair(first, SOCK_STREAM);
		op_recv(&a.s, first[0], in, 10, 0);
		begin(&a);
		assert_true(is_waiting(&a));
		assert_int_equal(cancel(&a), -ECANCELED);
		close_pair(first);
		make_pair(second, SOCK_STREAM);
		assert_int_equal(second[0], first[0]);
		begin(&a);
		assert_int_equal(write(second[1], "xyz", 3), 3);
		assert_int_equal(end_of(&a), 3);
		close_pair(second);
	}
}

/* I2: the old file lives on under another number, and is registered. */
static void epring_event_of_a_former_file_ends_nothing(void **state)
{
	int first[2], second[2], keeper;
	struct act a = {0};

	(void)state;
	make_pair(first, SOCK_STREAM);
	keeper = dup(first[0]);
	op_recv(&a.s, first[0], in, 10, 0);
	begin(&a);
	/* It has been armed, and is disarmed by its event. */
	assert_int_equal(write(first[1], "x", 1), 1);
	assert_int_equal(end_of(&a), 1);
	close(first[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, second), 0);
	assert_int_equal(second[0], first[0]);
	begin(&a);
	assert_int_equal(write(first[1], "old", 3), 3);
	assert_true(is_waiting(&a));
	assert_int_equal(write(second[1], "new", 3), 3);
	assert_int_equal(end_of(&a), 3);
	assert_memory_equal(in, "new", 3);
	close(keeper);
	close(first[1]);
	close_pair(second);
}

/* I2: what nobody waits for wakes nobody. */
static void epring_descriptor_of_a_cancelled_operation_is_silent(void **state)
{
	struct act a = {0};
	int64_t start;
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	op_recv(&a.s, sv[0], in, 10, 0);
	begin(&a);
	assert_true(is_waiting(&a));
	assert_int_equal(cancel(&a), -ECANCELED);
	assert_int_equal(write(sv[1], "x", 1), 1);
	start = clock_now();
	ring_wait(&ring, 20 * RG_MILLISECOND);
	assert_true(clock_now() - start >= 20 * RG_MILLISECOND);
	close_pair(sv);
}

static void
epring_number_closed_under_an_operation_leaves_it_waiting(void **state)
{
	struct act a = {0}, b = {0};
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	op_recv(&a.s, sv[0], in, 10, 0);
	begin(&a);
	close(sv[0]);
	assert_true(is_waiting(&a));
	assert_int_equal(cancel(&a), -ECANCELED);
	/* An operation that comes too late hears of it. */
	op_recv(&b.s, sv[0], in, 10, 0);
	assert_int_equal(run(&b), -EBADF);
	op_poll(&b.s, sv[0], POLLIN);
	assert_int_equal(run(&b), -EBADF);
	op_close(&b.s, sv[0]);
	assert_int_equal(run(&b), -EBADF);
	close(sv[1]);
}

/* ---- cancelled at each place ---- */

static void epring_cancelled_before_it_is_tried_does_nothing(void **state)
{
	struct act a = {0};
	char byte;
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	op_send(&a.s, sv[0], "x", 1, 0);
	push(&a);
	assert_int_equal(ring_pending(&ring), 1);
	assert_int_equal(cancel(&a), -ECANCELED);
	assert_int_equal(ring_pending(&ring), 0);
	assert_int_equal(recv(sv[1], &byte, 1, MSG_DONTWAIT), -1);
	close_pair(sv);
}

static void epring_cancel_that_comes_too_late_changes_nothing(void **state)
{
	struct act a = {0};

	(void)state;
	op_nop(&a.s);
	assert_int_equal(run(&a), 0);
	assert_int_equal(ring_push_cancel(&ring, &a.op), 1);
	look();
	assert_int_equal(a.calls, 1);
	assert_int_equal(ring_inflight(&ring), 0);
	/* Done, and not reaped. */
	begin(&a);
	assert_int_equal(a.calls, 0);
	assert_int_equal(cancel(&a), 0);
}

static int listen_unix(struct sockaddr_un *name, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	name->sun_family = AF_UNIX;
	*len = sizeof(sa_family_t);
	assert_int_equal(bind(fd, (struct sockaddr *)name, *len), 0);
	*len = sizeof *name;
	assert_int_equal(getsockname(fd, (struct sockaddr *)name, len), 0);
	assert_int_equal(listen(fd, 0), 0);
	return fd;
}

static void epring_connect_waits_for_a_place_in_the_queue(void **state)
{
	struct sockaddr_un name;
	struct act a = {0}, b = {0}, c = {0};
	int listener, fds[3], peer;
	socklen_t len;
	int64_t start;

	(void)state;
	listener = listen_unix(&name, &len);
	for (int i = 0; i < 3; i++)
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
	op_connect(&a.s, fds[0], (struct sockaddr *)&name, len);
	assert_int_equal(run(&a), 0);
	op_connect(&b.s, fds[1], (struct sockaddr *)&name, len);
	begin(&b);
	assert_true(is_waiting(&b));
	op_connect(&c.s, fds[2], (struct sockaddr *)&name, len);
	begin(&c);
	assert_int_equal(cancel(&c), -ECANCELED);
	/* The flag of the socket is as it was. */
	assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
	start = clock_now();
	assert_int_equal(end_of(&b), 0);
	/* Nobody told; the ring looked again by itself. */
	assert_true(clock_now() - start < 2 * RG_SECOND);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(peer);
	close(listener);
}

/* ---- helper threads ---- */

static _Atomic int
	fail_creations; /* how many to let pass, then fail; < 0: none */

int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg);

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg)
{
	if (fail_creations == 0)
		return EAGAIN;
	if (fail_creations > 0)
		fail_creations--;
	return __real_pthread_create(t, attr, fn, arg);
}

/* An operation that keeps a helper thread until its pipe is read. */
struct busy {
	struct act a;
	int file, pipe[2];
};

static void busy_begin(struct busy *b)
{
	memset(b, 0, sizeof *b);
	b->file = memfd_create("busy", MFD_CLOEXEC);
	assert_int_equal(write(b->file, "data", 4), 4);
	assert_int_equal(pipe2(b->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(fcntl(b->pipe[1], F_SETPIPE_SZ, 4096), 4096);
	assert_int_equal(write(b->pipe[1], out, 4096), 4096);
	assert_int_equal(fcntl(b->pipe[1], F_SETFL, 0), 0);
	op_splice(&b->a.s, b->file, 0, b->pipe[1], OP_OFF_CURRENT, 4, 0);
	begin(&b->a);
}

static void busy_read(struct busy *b)
{
	assert_int_equal(read(b->pipe[0], in, 4096), 4096);
}

static void busy_end(struct busy *b)
{
	assert_int_equal(end_of(&b->a), 4);
	close_pair(b->pipe);
	close(b->file);
}

static bool is_running(void *arg)
{
	struct act *a = arg;

	return atomic_load_explicit(&a->op.ep.place, memory_order_relaxed) ==
	       OP_AT_ASIDE;
}

static void stat_cwd(struct act *a, struct statx *st)
{
	op_statx(&a->s, AT_FDCWD, ".", 0, STATX_TYPE, st);
}

static void epring_call_that_has_begun_is_waited_for(void **state)
{
	struct busy b;

	(void)state;
	busy_begin(&b);
	T_WAIT_UNTIL(is_running, &b.a);
	ring_push_cancel(&ring, &b.a.op);
	assert_true(is_waiting(&b.a));
	busy_read(&b);
	busy_end(&b);
}

static void epring_call_that_is_queued_is_cancelled(void **state)
{
	struct busy b;
	struct act a = {0};
	struct statx st;

	(void)state;
	fail_creations = 0; /* there will be one helper, and it is busy */
	busy_begin(&b);
	T_WAIT_UNTIL(is_running, &b.a);
	stat_cwd(&a, &st);
	begin(&a);
	assert_true(is_waiting(&a));
	assert_int_equal(cancel(&a), -ECANCELED);
	begin(&a);
	busy_read(&b);
	busy_end(&b);
	assert_int_equal(end_of(&a), 0);
	assert_true(S_ISDIR(st.stx_mode));
	fail_creations = -1;
}

static void epring_helpers_grow_as_long_as_they_are_busy(void **state)
{
	enum { N = OPTHREAD_MAX + 8 };
	struct busy *b = calloc(N, sizeof *b);
	int running = 0;

	(void)state;
	assert_non_null(b);
	for (int i = 0; i < N; i++)
		busy_begin(&b[i]);
	for (int i = 0; i < OPTHREAD_MAX; i++)
		T_WAIT_UNTIL(is_running, &b[i].a);
	assert_int_equal(opthread_count(), OPTHREAD_MAX);
	for (int i = 0; i < N; i++)
		running += is_running(&b[i].a);
	assert_int_equal(running, OPTHREAD_MAX);
	for (int i = 0; i < N; i++)
		busy_read(&b[i]);
	for (int i = 0; i < N; i++)
		busy_end(&b[i]);
	free(b);
}

static bool is_one_helper(void *arg)
{
	(void)arg;
	return opthread_count() == 1;
}

static void epring_idle_helpers_end_but_for_one(void **state)
{
	struct busy b[6];
	struct statx st;
	struct act a = {0};

	(void)state;
	opthread_set_idle_ns(5 * RG_MILLISECOND);
	for (int i = 0; i < 6; i++)
		busy_begin(&b[i]);
	for (int i = 0; i < 6; i++)
		T_WAIT_UNTIL(is_running, &b[i].a);
	assert_true(opthread_count() >= 6);
	for (int i = 0; i < 6; i++)
		busy_read(&b[i]);
	for (int i = 0; i < 6; i++)
		busy_end(&b[i]);
	/* Those that sleep since before sleep on. */
	for (int i = 0; i < 8; i++) {
		stat_cwd(&a, &st);
		assert_int_equal(run(&a), 0);
	}
	T_WAIT_UNTIL(is_one_helper, NULL);
	stat_cwd(&a, &st);
	assert_int_equal(run(&a), 0);
	opthread_set_idle_ns(10 * RG_SECOND);
}

static void
epring_stop_cancels_what_is_queued_and_waits_for_the_rest(void **state)
{
	struct busy b;
	struct statx st;
	struct act a = {0}, c = {0};

	(void)state;
	fail_creations = 0;
	busy_begin(&b);
	T_WAIT_UNTIL(is_running, &b.a);
	stat_cwd(&a, &st);
	begin(&a);
	stat_cwd(&c, &st);
	push(&c);
	ring_cancel_all(&ring);
	assert_int_equal(end_of(&a), -ECANCELED);
	assert_int_equal(end_of(&c), -ECANCELED);
	assert_true(is_waiting(&b.a));
	busy_read(&b);
	busy_end(&b);
	/* And then it goes on. */
	stat_cwd(&a, &st);
	assert_int_equal(run(&a), 0);
	fail_creations = -1;
}

/* ---- FIFOs ---- */

static char *fifo_path(void)
{
	static char path[] = "/tmp/ringgo-fifo.XXXXXX";
	char *dir;

	strcpy(path, "/tmp/ringgo-fifo.XXXXXX");
	dir = mkdtemp(path);
	assert_non_null(dir);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	return path;
}

static void waiting_open(struct act *a, const char *path, int flags)
{
	op_openat(&a->s, AT_FDCWD, path, flags | O_CLOEXEC, 0);
	a->s.sqe.flags |= IOSQE_ASYNC;
	begin(a);
}

static void epring_fifo_waits_for_its_other_side(void **state)
{
	char *path = fifo_path();
	struct act r = {0}, w = {0};
	int fds = t_open_fds(), reader, writer;

	(void)state;
	waiting_open(&r, path, O_RDONLY);
	for (int i = 0; i < 5; i++) {
		ring_wait(&ring, 2 * RG_MILLISECOND);
		assert_true(is_waiting(&r));
	}
	assert_int_equal(cancel(&r), -ECANCELED);
	assert_int_equal(t_open_fds(), fds);
	waiting_open(&w, path, O_WRONLY);
	for (int i = 0; i < 5; i++) {
		ring_wait(&ring, 2 * RG_MILLISECOND);
		assert_true(is_waiting(&w));
	}
	waiting_open(&r, path, O_RDONLY);
	reader = end_of(&r);
	writer = end_of(&w);
	assert_true(reader >= 0 && writer >= 0);
	/* As asked for. */
	assert_false(fcntl(reader, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(writer, F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(writer, "x", 1), 1);
	assert_int_equal(read(reader, in, 1), 1);
	close(reader);
	close(writer);
	/* A writer that came and went. */
	waiting_open(&r, path, O_RDONLY);
	while (ring_wait(&ring, RG_MILLISECOND),
	       (writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0)
		reap();
	close(writer);
	reader = end_of(&r);
	assert_true(reader >= 0);
	close(reader);
	/* The first attempt of a ring does not wait. */
	op_openat(&w.s, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	assert_int_equal(run(&w), -ENXIO);
	assert_int_equal(t_open_fds(), fds);
	unlink(path);
}

static bool is_posted(void *arg)
{
	struct act *a = arg;

	return atomic_load_explicit(&a->op.ep.place, memory_order_relaxed) ==
	       OP_AT_DONE;
}

/* The helper said "look again", and nobody has read that yet. */
static void cancel_posted(bool all)
{
	char *path = fifo_path();
	int fds = t_open_fds();
	struct act r = {0};

	waiting_open(&r, path, O_RDONLY);
	T_WAIT_UNTIL(is_posted, &r);
	assert_int_equal(r.calls, 0);
	if (all)
		ring_cancel_all(&ring);
	else
		ring_push_cancel(&ring, &r.op);
	reap();
	assert_int_equal(r.calls, 1);
	assert_int_equal(r.res, -ECANCELED);
	assert_int_equal(t_open_fds(), fds);
	unlink(path);
}

static void epring_cancel_finds_what_a_helper_gave_back(void **state)
{
	(void)state;
	cancel_posted(false);
	cancel_posted(true);
}

/* ---- without RWF_NOWAIT ---- */

static void epring_old_kernel_reads_and_writes_files(void **state)
{
	struct iovec v[2] = {{out, 1000}, {out + 1000, 9000}};
	struct iovec w[2] = {{in, 4000}, {in + 4000, 60000}};
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct act a = {0};

	(void)state;
	fill();
	op_writev(&a.s, fd, v, 2, OP_OFF_CURRENT);
	assert_int_equal(run(&a), 10000);
	op_write(&a.s, fd, out + 10000, 10, OP_OFF_CURRENT);
	assert_int_equal(run(&a), 10);
	op_readv(&a.s, fd, w, 2, 0);
	assert_int_equal(run(&a), 10010);
	assert_memory_equal(in, out, 10010);
	op_read(&a.s, fd, in, 100, 10005);
	assert_int_equal(run(&a), 5);
	op_read(&a.s, fd, in, 100, OP_OFF_CURRENT);
	assert_int_equal(run(&a), 0);
	op_read(&a.s, fd, NULL, 100, 0);
	assert_int_equal(run(&a), -EFAULT);
	close(fd);
}

static void read_when_written(struct act *a, int reader, int writer)
{
	op_read(&a->s, reader, in, 100, OP_OFF_CURRENT);
	begin(a);
	assert_true(is_waiting(a));
	assert_int_equal(cancel(a), -ECANCELED);
	begin(a);
	assert_int_equal(write(writer, "abc", 3), 3);
	assert_int_equal(end_of(a), 3);
	assert_memory_equal(in, "abc", 3);
}

static void write_until_full(struct act *a, int writer, int reader)
{
	int total = 0;

	do {
		op_write(&a->s, writer, out, BIG, OP_OFF_CURRENT);
		begin(a);
		/* A helper may be at it. */
		for (int i = 0; i < 100 && !a->calls; i++) {
			ring_wait(&ring, RG_MILLISECOND);
			reap();
		}
		if (a->calls)
			total += a->res;
		assert_true(!a->calls || a->res > 0);
	} while (a->calls);
	assert_in_range(total, 4096, BIG - 1);
	assert_int_equal(cancel(a), -ECANCELED);
	begin(a);
	while (total > 0) {
		ssize_t n = read(reader, in, 4096);

		assert_true(n > 0);
		total -= (int)n;
	}
	assert_true(end_of(a) > 0);
}

static void use_pipe(int flags)
{
	struct act a = {0};
	int fds[2];

	fill();
	assert_int_equal(pipe2(fds, O_CLOEXEC | flags), 0);
	read_when_written(&a, fds[0], fds[1]);
	write_until_full(&a, fds[1], fds[0]);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, flags);
	close_pair(fds);
}

static void epring_pipe_never_makes_the_thread_wait(void **state)
{
	(void)state;
	use_pipe(0);
	use_pipe(O_NONBLOCK);
}

static void epring_socket_is_read_and_written_like_a_file(void **state)
{
	struct act a = {0};
	int sv[2];

	(void)state;
	fill();
	make_pair(sv, SOCK_STREAM);
	read_when_written(&a, sv[0], sv[1]);
	write_until_full(&a, sv[0], sv[1]);
	close_pair(sv);
}

/* A refusal is not waited for. */
static void epring_bad_calls_fail_at_once(void **state)
{
	int counter = eventfd(0, EFD_CLOEXEC), dir = open(".", O_RDONLY);
	struct act a = {0};

	(void)state;
	op_read(&a.s, counter, in, 4, OP_OFF_CURRENT);
	assert_int_equal(run(&a), -EINVAL);
	op_read(&a.s, dir, in, 4, OP_OFF_CURRENT);
	assert_int_equal(run(&a), -EISDIR);
	op_write(&a.s, dir, in, 4, OP_OFF_CURRENT);
	assert_int_equal(run(&a), -EBADF);
	op_recv(&a.s, dir, in, 4, 0);
	assert_int_equal(run(&a), -ENOTSOCK);
	op_accept(&a.s, dir, NULL, NULL, 0);
	assert_int_equal(run(&a), -ENOTSOCK);
	op_poll(&a.s, -1, POLLIN);
	assert_int_equal(run(&a), -EBADF);
	memset(&a.s, 0, sizeof a.s);
	a.s.sqe.opcode =
		IORING_OP_EPOLL_CTL; /* the library has no use for it */
	assert_int_equal(run(&a), -EINVAL);
	close(counter);
	close(dir);
}

/* ---- readiness that is none ---- */

/* An error that nobody fetches makes poll(2) say POLLERR for ever, and there is nothing
 * in the queue of errors. */
static void epring_false_readiness_is_no_loop(void **state)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int dead = socket(AF_INET, SOCK_DGRAM, 0), fd;
	socklen_t len = sizeof to;
	struct pollfd p = {.events = 0};
	char control[64];
	struct msghdr msg = {.msg_control = control,
			     .msg_controllen = sizeof control};
	struct act a = {0};
	uint64_t before;
	int64_t end;

	(void)state;
	assert_int_equal(bind(dead, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(getsockname(dead, (struct sockaddr *)&to, &len), 0);
	close(dead);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(send(fd, "x", 1, 0), 1);
	p.fd = fd;
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(p.revents & POLLERR);
	op_recvmsg(&a.s, fd, &msg, MSG_ERRQUEUE);
	begin(&a);
	before = atomic_load_explicit(&ring.enters, memory_order_relaxed);
	end = clock_now() + 100 * RG_MILLISECOND;
	while (clock_now() < end)
		ring_wait(&ring, end - clock_now());
	assert_true(is_waiting(&a));
	/* 100 ms: FRUITLESS_MAX at once, then every 16 ms. */
	assert_in_range(
		atomic_load_explicit(&ring.enters, memory_order_relaxed) -
			before,
		1, 150);
	assert_int_equal(cancel(&a), -ECANCELED);
	close(fd);
}

/* ---- other threads ---- */

struct reaper {
	pthread_t thread;
	_Atomic bool stop;
	_Atomic int64_t reaped;
};

/* As sysmon does. */
static void *reap_foreign(void *arg)
{
	struct reaper *r = arg;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		unsigned n = ring_reap_foreign(&ring, 64, NULL);

		atomic_fetch_add_explicit(&r->reaped, n, memory_order_relaxed);
		sched_yield();
	}
	return NULL;
}

/* Waits without entering the ring: whose completion is it? */
static void await_foreign(struct act *a)
{
	int64_t end = clock_now() + 10 * RG_SECOND;

	while (!atomic_load_explicit(&a->calls, memory_order_acquire))
		assert_true(clock_now() < end);
}

static void epring_readiness_is_served_by_another_thread(void **state)
{
	struct reaper r = {0};
	struct act a = {0};
	int sv[2];

	(void)state;
	make_pair(sv, SOCK_STREAM);
	assert_int_equal(pthread_create(&r.thread, NULL, reap_foreign, &r), 0);
	for (int i = 0; i < 100; i++) {
		op_recv(&a.s, sv[0], in, 1, 0);
		begin(&a);
		assert_int_equal(write(sv[1], "x", 1), 1);
		await_foreign(&a);
		assert_int_equal(a.res, 1);
	}
	atomic_store_explicit(&r.stop, true, memory_order_relaxed);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.reaped, 100);
	close_pair(sv);
}

/* A byte, a cancellation, another thread that reaps: the byte is delivered or is still
 * there. */
static void epring_cancel_against_completion_loses_nothing(void **state)
{
	struct reaper r = {0};
	int sv[2], done = 0, cancelled = 0;
	struct act a = {0};
	char byte;

	(void)state;
	make_pair(sv, SOCK_STREAM);
	assert_int_equal(pthread_create(&r.thread, NULL, reap_foreign, &r), 0);
	for (int i = 0; i < 3000; i++) {
		op_recv(&a.s, sv[0], in, 1, 0);
		begin(&a);
		assert_int_equal(write(sv[1], "x", 1), 1);
		for (int k = i % 64; k > 0; k--)
			sched_yield();
		ring_push_cancel(&ring, &a.op);
		await_foreign(&a);
		if (a.res == 1) {
			done++;
			continue;
		}
		assert_int_equal(a.res, -ECANCELED);
		assert_int_equal(recv(sv[0], &byte, 1, MSG_DONTWAIT), 1);
		cancelled++;
	}
	atomic_store_explicit(&r.stop, true, memory_order_relaxed);
	pthread_join(r.thread, NULL);
	reap();
	assert_int_equal(done + cancelled, 3000);
	assert_int_equal(recv(sv[0], &byte, 1, MSG_DONTWAIT), -1);
	close_pair(sv);
}

/* I4: the owner sleeps without a limit, a helper thread ends the call. */
static void epring_helper_wakes_the_sleeping_owner(void **state)
{
	struct statx st;
	struct act a = {0};

	(void)state;
	for (int i = 0; i < 2000; i++) {
		stat_cwd(&a, &st);
		push(&a);
		while (!a.calls) {
			ring_wait(&ring, -1);
			reap();
		}
		assert_int_equal(a.res, 0);
	}
}

/* ---- what fails ---- */

static void check_open_fails(int err)
{
	int fds = t_open_fds();
	int64_t blocks = alloc_live();

	assert_int_equal(ring_open(&ring, 8), err);
	assert_int_equal(t_open_fds(), fds);
	assert_int_equal(alloc_live(), blocks);
	assert_int_equal(opthread_count(), 0);
}

static rlim_t set_nofile(rlim_t n)
{
	struct rlimit r;
	rlim_t former;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
	former = r.rlim_cur;
	r.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	return former;
}

static void check_open_with_files(rlim_t more)
{
	int next = dup(STDIN_FILENO), fds, err;
	rlim_t former;

	assert_true(next >= 0);
	close(next);
	fds = t_open_fds();
	former = set_nofile((rlim_t)next + more);
	err = ring_open(&ring, 8);
	set_nofile(former);
	assert_int_equal(err, more < 2 ? -EMFILE : 0);
	if (!err)
		close_engine(NULL);
	assert_int_equal(t_open_fds(), fds);
	assert_int_equal(opthread_count(), 0);
}

static void epring_open_without_resources_leaves_nothing(void **state)
{
	(void)state;
	init_engine(NULL);
	for (rlim_t n = 0; n < 3; n++)
		check_open_with_files(n);
	alloc_fail_after(0);
	check_open_fails(-ENOMEM);
	fail_creations = 0;
	check_open_fails(-EAGAIN);
	fail_creations = -1;
	open_engine(NULL);
	close_engine(NULL);
}

static void lacks_pwait2(void *arg)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_epoll_pwait2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof code / sizeof code[0], code};
	int64_t before, took;
	struct act a = {0};
	int sv[2];

	(void)arg;
	T_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	T_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	open_engine(NULL);
	make_pair(sv, SOCK_STREAM);
	op_recv(&a.s, sv[0], in, 1, 0);
	push(&a);
	before = clock_now();
	ring_wait(&ring, 3 * RG_MILLISECOND);
	took = clock_now() - before;
	T_CHECK_INT_GE(took, 3 * RG_MILLISECOND);
	T_CHECK(write(sv[1], "x", 1) == 1);
	ring_wait(&ring, -1);
	reap();
	T_CHECK_INT_EQ(a.res, 1);
	close_pair(sv);
	close_engine(NULL);
}

static void epring_kernel_without_pwait2_waits_as_exactly(void **state)
{
	(void)state;
	t_expect_exit(lacks_pwait2, NULL, 0, NULL);
}

#define ON(fn)     cmocka_unit_test_setup_teardown(fn, open_engine, close_engine)
#define ON_OLD(fn) cmocka_unit_test_setup_teardown(fn, open_old, close_engine)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON(epring_send_of_all_goes_on_until_all_is_sent),
		ON(epring_send_that_fits_in_part_is_short),
		ON(epring_cancelled_send_says_what_was_sent),
		ON(epring_messages_in_parts_are_whole),
		ON(epring_receive_of_all_ends_with_the_stream),
		ON(epring_datagram_ends_a_receive_of_all),
		ON(epring_peek_of_all_takes_nothing),
		ON(epring_both_directions_wait_apart),
		ON(epring_receives_are_served_in_their_order),
		ON(epring_number_used_again_is_the_new_file),
		ON(epring_event_of_a_former_file_ends_nothing),
		ON(epring_descriptor_of_a_cancelled_operation_is_silent),
		ON(epring_number_closed_under_an_operation_leaves_it_waiting),
		ON(epring_cancelled_before_it_is_tried_does_nothing),
		ON(epring_cancel_that_comes_too_late_changes_nothing),
		ON(epring_connect_waits_for_a_place_in_the_queue),
		ON(epring_call_that_has_begun_is_waited_for),
		ON(epring_call_that_is_queued_is_cancelled),
		ON(epring_helpers_grow_as_long_as_they_are_busy),
		ON(epring_idle_helpers_end_but_for_one),
		ON(epring_stop_cancels_what_is_queued_and_waits_for_the_rest),
		ON(epring_fifo_waits_for_its_other_side),
		ON(epring_cancel_finds_what_a_helper_gave_back),
		ON(epring_pipe_never_makes_the_thread_wait),
		ON(epring_socket_is_read_and_written_like_a_file),
		ON_OLD(epring_old_kernel_reads_and_writes_files),
		ON_OLD(epring_pipe_never_makes_the_thread_wait),
		ON_OLD(epring_socket_is_read_and_written_like_a_file),
		ON_OLD(epring_messages_in_parts_are_whole),
		ON(epring_bad_calls_fail_at_once),
		ON(epring_false_readiness_is_no_loop),
		ON(epring_readiness_is_served_by_another_thread),
		ON(epring_cancel_against_completion_loses_nothing),
		ON(epring_helper_wakes_the_sleeping_owner),
		cmocka_unit_test(epring_open_without_resources_leaves_nothing),
		cmocka_unit_test(epring_kernel_without_pwait2_waits_as_exactly),
	};

	fail_creations = -1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
