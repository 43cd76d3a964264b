// SPDX-License-Identifier: MIT
/*
 * Attacks optable's I1 (every opcode has its line, and the right one) and tries every
 * builder of op_net.h, op_file.h and op_wait.h on a ring of its own: what it describes
 * is what the kernel does, and what the table calls cancellable is cancelled.
 * Skipped parts: the ring itself when io_uring is refused (exit 77).
 */
#include "tests/support/rgtest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kernel-iface/op_file.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/op_wait.h"
#include "kernel-iface/optable.h"

static struct io_uring ring;
static unsigned kernel_major, kernel_minor;

/* ---- the table ---------------------------------------------------------- */

static void optable_names_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RGK_OP_COUNT; i++) {
		assert_non_null(op_name(i));
		assert_true(op_name(i)[0] != '\0');
		for (unsigned j = 0; j < i; j++)
			T_CHECK(strcmp(op_name(i), op_name(j)) != 0);
	}
}

static void optable_knows_well_known_lines(void **state)
{
	const struct op_info *info = op_info(IORING_OP_RECV);

	(void)state;
	assert_string_equal(info->name, "recv");
	assert_int_equal(info->family, OP_NET);
	assert_string_equal(op_family_name(info->family), "net");
	assert_int_equal(info->cancel, OP_CANCEL_ALWAYS);
	assert_true(op_info_is_since(info, 5, 6));
	assert_true(op_info_is_since(info, 6, 0));
	assert_false(op_info_is_since(info, 5, 5));
	assert_false(op_info_is_since(info, 4, 20));
	assert_string_equal(op_name(RGK_OP_FUTEX_WAIT), "futex wait");
	assert_string_equal(op_name(51), "futex wait");
	assert_int_equal(op_info(IORING_OP_FSYNC)->cancel, OP_CANCEL_QUEUED);
}

static void optable_beyond_the_end_is_unknown(void **state)
{
	(void)state;
	assert_string_equal(op_name(RGK_OP_COUNT), "unknown");
	assert_string_equal(op_name(255), "unknown");
	assert_string_equal(op_name((unsigned)-1), "unknown");
	assert_false(op_info_is_since(op_info(255), 99, 0));
	assert_string_equal(op_family_name(99), "unknown");
}

static void optable_agrees_with_the_kernel(void **state)
{
	struct io_uring_probe *p = io_uring_get_probe_ring(&ring);

	(void)state;
	assert_non_null(p);
	for (unsigned i = 0; i < RGK_OP_COUNT; i++) {
		bool there = i <= p->last_op &&
			     p->ops[i].flags & IO_URING_OP_SUPPORTED;

		if (op_info_is_since(op_info(i), kernel_major, kernel_minor) &&
		    !there)
			T_FAIL("%s is missing in Linux %u.%u", op_name(i),
			       kernel_major, kernel_minor);
	}
	io_uring_free_probe(p);
}

/* ---- operations that end ------------------------------------------------ */

static void submit(const struct op_sqe *s, uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	T_CHECK(sqe != NULL);
	*sqe = s->sqe;
	sqe->user_data = user_data;
	T_CHECK_INT_EQ(io_uring_submit(&ring), 1);
}

/* The result of whatever completes next, which must be user_data. */
static int reap(uint64_t user_data)
{
	struct __kernel_timespec limit = {.tv_sec = 10};
	struct io_uring_cqe *cqe;
	int res;

	if (io_uring_wait_cqe_timeout(&ring, &cqe, &limit) != 0)
		T_FAIL("nothing completed for 10 s");
	T_CHECK_INT_EQ(cqe->user_data, user_data);
	res = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return res;
}

static int run(const struct op_sqe *s)
{
	submit(s, 1);
	return reap(1);
}

static void op_file_builders_do_what_they_say(void **state)
{
	char dir[] = "/tmp/rg-optable-XXXXXX", buf[16] = "";
	struct iovec v[2];
	struct op_sqe s;
	int dirfd, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	T_CHECK(dirfd >= 0);
	op_openat(&s, dirfd, "f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	fd = run(&s);
	T_CHECK(fd >= 0);

	op_write(&s, fd, "0123456789", 10, OP_OFF_CURRENT);
	T_CHECK_INT_EQ(run(&s), 10);
	op_write(&s, fd, "ab", 2, 3);
	T_CHECK_INT_EQ(run(&s), 2);
	op_read(&s, fd, buf, sizeof(buf), OP_OFF_CURRENT);
	T_CHECK_INT_EQ(run(&s), 0); /* the position is at the end */
	op_read(&s, fd, buf, sizeof(buf), 0);
	T_CHECK_INT_EQ(run(&s), 10);
	T_CHECK_STR_EQ(buf, "012ab56789");

	v[0] = (struct iovec){.iov_base = buf, .iov_len = 1};
	v[1] = (struct iovec){.iov_base = buf + 4, .iov_len = 2};
	op_readv(&s, fd, v, 2, 1);
	T_CHECK_INT_EQ(run(&s), 3);
	T_CHECK_MEM_EQ(buf, "112a2a", 6); /* "1" to [0], "2a" to [4] */
	op_writev(&s, fd, v, 2, 8);
	T_CHECK_INT_EQ(run(&s), 3);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_END), 11);
	op_fsync(&s, fd, false);
	T_CHECK_INT_EQ(run(&s), 0);
	op_fsync(&s, fd, true);
	T_CHECK_INT_EQ(run(&s), 0);

	op_close(&s, fd);
	T_CHECK_INT_EQ(run(&s), 0);
	T_CHECK_INT_EQ(fcntl(fd, F_GETFD), -1);
	op_unlinkat(&s, dirfd, "f", 0);
	T_CHECK_INT_EQ(run(&s), 0);
	T_CHECK_INT_EQ(run(&s), -ENOENT);
	close(dirfd);
	T_CHECK_INT_EQ(rmdir(dir), 0);
}

static int listen_unix(struct sockaddr_un *un, socklen_t *len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(bind(fd, (struct sockaddr *)un, sizeof(sa_family_t)), 0);
	T_CHECK_INT_EQ(listen(fd, 4), 0);
	*len = sizeof(*un);
	T_CHECK_INT_EQ(getsockname(fd, (struct sockaddr *)un, len), 0);
	return fd;
}

static void op_net_builders_do_what_they_say(void **state)
{
	char a[] = "abc", b[] = "defg", buf[8];
	struct iovec v[2] = {{a, 3}, {b, 4}};
	struct msghdr msg = {.msg_iov = v, .msg_iovlen = 2};
	struct sockaddr_un un;
	socklen_t len;
	struct op_sqe s;
	int l = listen_unix(&un, &len);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), server;

	(void)state;
	op_connect(&s, client, (struct sockaddr *)&un, len);
	T_CHECK_INT_EQ(run(&s), 0);
	op_accept(&s, l, NULL, NULL, SOCK_CLOEXEC);
	server = run(&s);
	T_CHECK(server >= 0);
	T_CHECK_INT_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);

	op_send(&s, client, "hello", 5, MSG_NOSIGNAL);
	T_CHECK_INT_EQ(run(&s), 5);
	op_recv(&s, server, buf, sizeof(buf), 0);
	T_CHECK_INT_EQ(run(&s), 5);
	T_CHECK_MEM_EQ(buf, "hello", 5);
	op_sendmsg(&s, server, &msg, MSG_NOSIGNAL);
	T_CHECK_INT_EQ(run(&s), 7);
	memset(a, 0, 3);
	memset(b, 0, 4);
	op_recvmsg(&s, client, &msg, 0);
	T_CHECK_INT_EQ(run(&s), 7);
	T_CHECK_STR_EQ(a, "abc");
	T_CHECK_STR_EQ(b, "defg");
	close(server);
	op_send(&s, client, "x", 1, MSG_NOSIGNAL);
	T_CHECK_INT_EQ(run(&s), -EPIPE);
	close(client);
	close(l);
}

static void op_wait_builders_do_what_they_say(void **state)
{
	static uint32_t word = 7;
	struct op_sqe s;
	int p[2];

	(void)state;
	op_nop(&s);
	T_CHECK_INT_EQ(run(&s), 0);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	op_poll(&s, p[1], POLLOUT);
	T_CHECK_INT_EQ(run(&s), POLLOUT);
	close(p[0]);
	op_poll(&s, p[1], 0);
	T_CHECK_INT_EQ(run(&s), POLLERR);
	close(p[1]);
	op_cancel(&s, 12345);
	T_CHECK_INT_EQ(run(&s), -ENOENT);

	if (!op_info_is_since(op_info(RGK_OP_FUTEX_WAIT), kernel_major,
			      kernel_minor))
		return;
	op_futex_wait(&s, &word, 8);
	T_CHECK_INT_EQ(run(&s), -EAGAIN);
	op_futex_wait(&s, &word, 7);
	submit(&s, 2);
	op_futex_wake(&s, &word, 1);
	submit(&s, 3);
	for (int i = 0; i < 2; i++) {
		struct io_uring_cqe *cqe;

		T_CHECK_INT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
		T_CHECK_INT_EQ(cqe->res, cqe->user_data == 2 ? 0 : 1);
		io_uring_cqe_seen(&ring, cqe);
	}
}

/* ---- operations that are ended ------------------------------------------ */

/* Both completions, in any order: success of the cancellation (a futex wait's gives 1,
 * how many it found), -ECANCELED of its victim. */
static void check_cancelled(const struct op_sqe *s)
{
	struct op_sqe cancel;

	submit(s, 2);
	op_cancel(&cancel, 2);
	submit(&cancel, 3);
	for (int i = 0; i < 2; i++) {
		struct __kernel_timespec limit = {.tv_sec = 10};
		struct io_uring_cqe *cqe;

		if (io_uring_wait_cqe_timeout(&ring, &cqe, &limit) != 0)
			T_FAIL("%s is not cancelled", op_name(s->sqe.opcode));
		if (cqe->user_data == 2)
			T_CHECK_INT_EQ(cqe->res, -ECANCELED);
		else if (cqe->res < 0)
			T_FAIL("cancelling %s: %d", op_name(s->sqe.opcode),
			       cqe->res);
		io_uring_cqe_seen(&ring, cqe);
	}
}

static void optable_cancellable_operations_are_cancelled(void **state)
{
	static char buf[1 << 16];
	static uint32_t word;
	struct iovec v = {buf, sizeof(buf)};
	struct msghdr msg = {.msg_iov = &v, .msg_iovlen = 1};
	struct sockaddr_un un;
	socklen_t len;
	struct op_sqe s;
	int l = listen_unix(&un, &len), pair[2], p[2];

	(void)state;
	T_CHECK_INT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	op_accept(&s, l, NULL, NULL, 0);
	check_cancelled(&s);
	op_recv(&s, pair[0], buf, sizeof(buf), 0);
	check_cancelled(&s);
	op_recvmsg(&s, pair[0], &msg, 0);
	check_cancelled(&s);
	op_read(&s, p[0], buf, sizeof(buf), OP_OFF_CURRENT);
	check_cancelled(&s);
	op_readv(&s, p[0], &v, 1, OP_OFF_CURRENT);
	check_cancelled(&s);
	op_poll(&s, p[0], POLLIN);
	check_cancelled(&s);
	while (send(pair[0], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	op_send(&s, pair[0], buf, sizeof(buf), MSG_NOSIGNAL);
	check_cancelled(&s);
	op_sendmsg(&s, pair[0], &msg, MSG_NOSIGNAL);
	check_cancelled(&s);
	if (op_info_is_since(op_info(RGK_OP_FUTEX_WAIT), kernel_major,
			     kernel_minor)) {
		op_futex_wait(&s, &word, 0);
		check_cancelled(&s);
	}
	for (int i = 0; i < 2; i++) {
		close(pair[i]);
		close(p[i]);
	}
	close(l);
}

static void op_lengths_are_cut_to_what_the_kernel_takes(void **state)
{
	struct op_sqe s;

	(void)state;
	op_read(&s, 0, NULL, SIZE_MAX, 0);
	assert_int_equal(s.sqe.len, 0x7ffff000);
	op_send(&s, 0, NULL, (size_t)1 << 32, 0);
	assert_int_equal(s.sqe.len, 0x7ffff000);
	op_recv(&s, 0, NULL, 5, 0);
	assert_int_equal(s.sqe.len, 5);
	memset(&s, 0xff, sizeof(s));
	op_nop(&s);
	assert_int_equal(s.sqe.user_data, 0);
	assert_int_equal(s.sqe.addr3, 0);
}

static int open_ring(void **state)
{
	struct utsname u;
	int err = io_uring_queue_init(8, &ring, 0);

	(void)state;
	if (err < 0) {
		fprintf(stderr, "skipped: io_uring is refused: %s\n",
			strerror(-err));
		exit(77);
	}
	T_CHECK_INT_EQ(uname(&u), 0);
	T_CHECK_INT_EQ(sscanf(u.release, "%u.%u", &kernel_major, &kernel_minor),
		       2);
	return 0;
}

static int close_ring(void **state)
{
	(void)state;
	io_uring_queue_exit(&ring);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(optable_names_are_unique),
		cmocka_unit_test(optable_knows_well_known_lines),
		cmocka_unit_test(optable_beyond_the_end_is_unknown),
		cmocka_unit_test(optable_agrees_with_the_kernel),
		cmocka_unit_test(op_file_builders_do_what_they_say),
		cmocka_unit_test(op_net_builders_do_what_they_say),
		cmocka_unit_test(op_wait_builders_do_what_they_say),
		cmocka_unit_test(optable_cancellable_operations_are_cancelled),
		cmocka_unit_test(op_lengths_are_cut_to_what_the_kernel_takes),
	};

	return cmocka_run_group_tests(tests, open_ring, close_ring);
}
