// SPDX-License-Identifier: MIT
/*
 * Attacks inplace's invariants and fdesc's I4 and I5: what is in memory is read with no
 * operation, what is not is read in full all the same; the end of a file; close and
 * reuse of the number in the middle; files that know no RWF_NOWAIT; deadlines, contexts
 * and bad arguments answer as the ring does; nobody is kept waiting.
 */
#include "tests/net/netpair.h"
#include "tests/support/rgcall.h"
#include "tests/support/rgfolder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/probe.h"
#include "sched/fdesc.h"

enum { PAGE = 4096, PAGES = 64, SIZE = PAGE * PAGES };

static char expected[SIZE];

/* The operations that body's reads took; the runtime's own are a few. */
static int64_t operations(void)
{
	rg_stats s;

	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof(s)), 0);
	return s.ring_sqes;
}

/* "f", SIZE bytes long, each page unlike the others, on the disk. */
static int make_file(void)
{
	int fd = openat(t_folder_fd, "f",
			O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_CHECK_INT_GE(fd, 0);
	for (int i = 0; i < SIZE; i++)
		expected[i] = (char)(i / PAGE * 7 + i % 251);
	T_CHECK_INT_EQ(write(fd, expected, SIZE), SIZE);
	T_CHECK_INT_EQ(fsync(fd), 0);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* A number of which the runtime takes none for itself. */
enum { NUMBER = 500 };

static void renumber(int fd)
{
	T_CHECK_INT_EQ(dup3(fd, NUMBER, O_CLOEXEC), NUMBER);
	T_CHECK_INT_EQ(close(fd), 0);
}

static ssize_t try_read(int fd, off_t off)
{
	char byte;
	struct iovec v = {&byte, 1};
	ssize_t ret = preadv2(fd, &v, 1, off, RWF_NOWAIT);

	return ret < 0 ? -errno : ret;
}

/* Is a page of the file in memory? Unlike a read this brings it no nearer. */
static bool is_in_memory(int fd, int page)
{
	unsigned char there;
	void *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);

	T_CHECK(p != MAP_FAILED);
	T_CHECK_INT_EQ(mincore((char *)p + (size_t)page * PAGE, PAGE, &there),
		       0);
	T_CHECK_INT_EQ(munmap(p, SIZE), 0);
	return there & 1;
}

/* Out of memory with all but the first page; others may hold it there for a while. */
static bool is_dropped(void *arg)
{
	int fd = *(int *)arg;
	char byte;

	T_CHECK_INT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	T_CHECK_INT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	T_CHECK_INT_EQ(pread(fd, &byte, 1, 0), 1);
	return is_in_memory(fd, 0) && !is_in_memory(fd, 1) &&
	       !is_in_memory(fd, PAGES - 1);
}

static bool has_nowait;

/* Whether the folder's file system drops pages and says what it has not got. */
static void look_at_folder(void)
{
	int fd = make_file();

	has_nowait = try_read(fd, 0) == 1;
	close(fd);
}

static bool reads_in_place(void)
{
	return has_nowait && probe_has(PROBE_NOWAIT);
}

TEST(inplace_cached_reads_take_no_operation)
{
	int fd = make_file();
	char buf[PAGE];
	struct iovec v[2] = {{buf, 10}, {buf + 10, PAGE - 10}};
	int64_t before = operations();

	for (int i = 0; i < 4 * PAGES; i++) {
		int page = i * 37 % PAGES;
		off_t at = (off_t)page * PAGE;

		memset(buf, 0, PAGE);
		if (i % 2)
			T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, at), PAGE);
		else
			T_CHECK_INT_EQ(rg_preadv(fd, v, 2, at), PAGE);
		T_CHECK_MEM_EQ(buf, expected + at, PAGE);
	}
	for (int i = 0; i < PAGES; i++) {
		if (i % 2)
			T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), PAGE);
		else
			T_CHECK_INT_EQ(rg_readv(fd, v, 2), PAGE);
		T_CHECK_MEM_EQ(buf, expected + i * PAGE, PAGE);
	}
	if (reads_in_place())
		T_CHECK_INT_LT(operations() - before, 2 * PAGES);
	else
		T_CHECK_INT_GE(operations() - before, 5 * PAGES);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

TEST(inplace_what_is_not_in_memory_is_read_in_full)
{
	int fd = make_file();
	char *buf = malloc(SIZE + 1);
	struct iovec v[4] = {{buf, 100},
			     {buf + 100, 2 * PAGE},
			     {NULL, 0},
			     {buf + 100 + 2 * PAGE, SIZE}};
	int64_t by_ring = 0;

	T_CHECK(buf);
	/* A read that finds nothing starts to fetch it; it may be there by the
	 * time of the second look. */
	for (int i = 0; i < 1000 && !by_ring; i++) {
		int64_t before;

		if (has_nowait)
			T_WAIT_UNTIL(is_dropped, &fd);
		memset(buf, 0, SIZE);
		before = operations();
		T_CHECK_INT_EQ(rg_pread(fd, buf, SIZE, 0), SIZE);
		by_ring = operations() - before;
		T_CHECK_MEM_EQ(buf, expected, SIZE);
	}
	T_CHECK_INT_GE(by_ring, 1);
	for (int by_position = 0; by_position < 2; by_position++) {
		memset(buf, 0, SIZE);
		if (has_nowait)
			T_WAIT_UNTIL(is_dropped, &fd);
		/* The edge lies within the second buffer. */
		T_CHECK_INT_EQ(by_position ? rg_readv(fd, v, 4)
					   : rg_preadv(fd, v, 4, 0),
			       SIZE);
		T_CHECK_MEM_EQ(buf, expected, SIZE);
	}
	T_CHECK_INT_EQ(lseek(fd, 100, SEEK_SET), 100);
	if (has_nowait)
		T_WAIT_UNTIL(is_dropped, &fd);
	T_CHECK_INT_EQ(rg_read(fd, buf, SIZE), SIZE - 100);
	T_CHECK_MEM_EQ(buf, expected + 100, SIZE - 100);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_CUR), SIZE);
	/* Nothing of it is in memory. */
	if (has_nowait)
		T_WAIT_UNTIL(is_dropped, &fd);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, 9 * PAGE), PAGE);
	T_CHECK_MEM_EQ(buf, expected + 9 * PAGE, PAGE);
	free(buf);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

TEST(inplace_the_end_of_a_file_is_the_end)
{
	int fd = make_file();
	char buf[2 * PAGE];
	struct iovec v[2] = {{buf, PAGE}, {buf + PAGE, PAGE}};

	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, SIZE), 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, SIZE + 10), 0);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 2, SIZE - 7), 7);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 2, SIZE - PAGE - 7), PAGE + 7);
	T_CHECK_INT_EQ(lseek(fd, SIZE - 5, SEEK_SET), SIZE - 5);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), 5);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), 0);
	T_CHECK_INT_EQ(rg_readv(fd, v, 2), 0);
	/* It grows: that was no end for good. */
	T_CHECK_INT_EQ(pwrite(fd, "more", 4, SIZE), 4);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), 4);
	T_CHECK_MEM_EQ(buf, "more", 4);
	T_CHECK_INT_EQ(ftruncate(fd, 10), 0);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, 4), 6);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

TEST(inplace_files_without_the_flag_go_through_the_ring)
{
	int fd = open("/proc/self/limits", O_RDONLY | O_CLOEXEC);
	int mem = memfd_create("inplace", MFD_CLOEXEC);
	char a[8192], b[8192];
	ssize_t n;

	T_CHECK_INT_GE(fd, 0);
	n = pread(fd, a, sizeof(a), 0);
	T_CHECK_INT_GT(n, 100);
	for (int i = 0; i < 3; i++) {
		int64_t before = operations();

		T_CHECK_INT_EQ(rg_pread(fd, b, sizeof(b), 0), n);
		T_CHECK_INT_GE(operations() - before, 1);
		T_CHECK_MEM_EQ(a, b, (size_t)n);
	}
	T_CHECK_INT_EQ(rg_read_full(fd, b, sizeof(b)), n);
	T_CHECK_INT_EQ(rg_read(fd, b, sizeof(b)), 0);
	T_CHECK_INT_EQ(rg_close(fd), 0);
	T_CHECK_INT_EQ(write(mem, "memory", 6), 6);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(rg_pread(mem, b, sizeof(b), 2), 4);
		T_CHECK_MEM_EQ(b, "mory", 4);
	}
	T_CHECK_INT_EQ(rg_close(mem), 0);
}

TEST(inplace_bad_arguments_are_the_kernels_to_refuse)
{
	int fd = make_file(), p[2];
	char buf[16];

	for (int i = 0; i < 2; i++) {
		T_CHECK_INT_EQ(rg_pread(fd, (void *)8, 16, 0), -EFAULT);
		T_CHECK_INT_EQ(rg_read(fd, (void *)8, 16), -EFAULT);
		T_CHECK_INT_EQ(rg_pread(fd, buf, 16, -1), -EINVAL);
		T_CHECK_INT_EQ(rg_pread(fd, buf, 0, 0), 0);
		T_CHECK_INT_EQ(rg_pread(fd, buf, 16, 1), 16);
	}
	T_CHECK_INT_EQ(rg_close(fd), 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, 16, 0), -EBADF);
	T_CHECK_INT_EQ(rg_read(fd, buf, 16), -EBADF);
	fd = openat(t_folder_fd, "f", O_WRONLY | O_CLOEXEC);
	T_CHECK_INT_EQ(rg_read(fd, buf, 16), -EBADF);
	T_CHECK_INT_EQ(rg_close(fd), 0);
	fd = openat(t_folder_fd, ".", O_RDONLY | O_CLOEXEC);
	T_CHECK_INT_EQ(rg_read(fd, buf, 16), -EISDIR);
	T_CHECK_INT_EQ(rg_close(fd), 0);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(rg_pread(p[0], buf, 16, 0), -ESPIPE);
	T_CHECK_INT_EQ(rg_close(p[0]), 0);
	T_CHECK_INT_EQ(rg_close(p[1]), 0);
}

TEST(inplace_contexts_and_deadlines_are_heeded)
{
	const int fd = NUMBER;
	char buf[PAGE];
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());

	renumber(make_file());
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, 0), PAGE);
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), PAGE);
	T_CHECK_MEM_EQ(buf, expected, PAGE); /* nothing was read meanwhile */
	T_CHECK_INT_EQ(fdesc_set_deadline(fd, 1u << FD_WRITE, 1), 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, 0), PAGE);
	T_CHECK_INT_EQ(fdesc_set_deadline(fd, 1u << FD_READ, 1), 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, 0), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), -ETIMEDOUT);
	T_CHECK_INT_EQ(
		fdesc_set_deadline(fd, 1u << FD_READ, rg_now() + RG_MINUTE), 0);
	T_CHECK_INT_EQ(rg_read(fd, buf, PAGE), PAGE);
	T_CHECK_MEM_EQ(buf, expected + PAGE, PAGE);
	T_CHECK_INT_EQ(fdesc_set_deadline(fd, 1u << FD_READ, 1), 0);
	/* The number's next user has none. */
	T_CHECK_INT_EQ(rg_close(fd), 0);
	renumber(make_file());
	T_CHECK_INT_EQ(rg_read(NUMBER, buf, PAGE), PAGE);
	T_CHECK_INT_EQ(rg_close(NUMBER), 0);
}

/* A deadline that passes while a goroutine does nothing but read. */
TEST(inplace_a_deadline_ends_a_loop_of_reads)
{
	int fd = make_file();
	char buf[PAGE];
	ssize_t ret;

	T_CHECK_INT_EQ(fdesc_set_deadline(fd, 1u << FD_READ,
					  rg_now() + 20 * RG_MILLISECOND),
		       0);
	do
		ret = rg_pread(fd, buf, PAGE, 0);
	while (ret == PAGE);
	T_CHECK_INT_EQ(ret, -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

/* ---- close, and the number's next user ---- */

struct closer {
	rg_waitgroup done;
	int fd;
	_Atomic bool ended;
};

static void close_it(void *arg)
{
	struct closer *c = arg;

	T_CHECK_INT_EQ(rg_close(c->fd), 0);
	c->ended = true;
}

static bool refuses_calls(void *arg)
{
	struct fdesc *f = arg;
	int ret = fdesc_enter(f);

	if (ret >= 0)
		fdesc_leave(f);
	return ret < 0;
}

TEST(inplace_close_waits_for_a_call_in_place)
{
	struct closer c = {.fd = make_file()};
	struct fdesc *f = fdesc_get(c.fd);
	struct stat before, after;

	T_CHECK_INT_EQ(fstat(c.fd, &before), 0);
	T_CHECK_INT_GE(fdesc_enter(f), 0);
	T_CHECK_INT_GE(fdesc_enter(f), 0);
	spawn(&c.done, close_it, &c);
	T_WAIT_UNTIL(refuses_calls, f);
	fdesc_leave(f);
	(void)rg_sleep(5 * RG_MILLISECOND);
	T_CHECK(!c.ended);
	T_CHECK_INT_GE(fcntl(c.fd, F_GETFD), 0);
	fdesc_leave(f);
	rg_waitgroup_wait(&c.done);
	/* The number may be sysmon's by now, for a moment. */
	T_CHECK(fstat(c.fd, &after) != 0 || after.st_ino != before.st_ino ||
		after.st_dev != before.st_dev);
	T_CHECK_INT_EQ(fdesc_enter(f), 0); /* nothing is known of the next */
	fdesc_leave(f);
}

enum { BIG = 16 << 20 };

struct big_read {
	rg_waitgroup done;
	int fd;
	char *buf;
	_Atomic bool started;
	ssize_t ret;
};

static void read_big(void *arg)
{
	struct big_read *r = arg;

	r->started = true;
	r->ret = rg_pread(r->fd, r->buf, BIG, 0);
}

/* When rg_close returns, nothing is written to the buffer any more. */
TEST(inplace_close_during_a_long_read)
{
	struct big_read r = {.buf = malloc(BIG)};

	T_CHECK(r.buf);
	memset(r.buf, 'x', BIG);
	for (int i = 0; i < 8; i++) {
		char last;

		r.fd = openat(t_folder_fd, "f",
			      O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		memset(r.buf, 'x', BIG);
		T_CHECK_INT_EQ(write(r.fd, r.buf, BIG), BIG);
		memset(r.buf, 0, BIG);
		r.started = false;
		spawn(&r.done, read_big, &r);
		while (!r.started)
			rg_yield();
		T_CHECK_INT_EQ(rg_close(r.fd), 0);
		last = r.buf[BIG - 1];
		rg_waitgroup_wait(&r.done);
		if (r.ret == BIG)
			T_CHECK_INT_EQ(last, 'x');
		else
			T_CHECK(r.ret == -ECANCELED || r.ret == -EBADF);
	}
	free(r.buf);
}

static ssize_t do_read(struct t_call *c)
{
	return rg_read(c->fd, c->buf, c->n);
}

/* The number, a file's a moment ago, is a pipe's end now. */
static void pipe_parks(void)
{
	char buf[8];
	struct t_call c = {.fn = do_read, .fd = NUMBER, .buf = buf, .n = 8};
	rg_waitgroup done = {0};
	int p[2];

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	renumber(p[0]);
	t_call_park(&c, &done);
	T_CHECK_INT_EQ(write(p[1], "pipe", 4), 4);
	rg_waitgroup_wait(&done);
	T_CHECK_INT_EQ(c.ret, 4);
	T_CHECK_MEM_EQ(buf, "pipe", 4);
	T_CHECK_INT_EQ(close(p[1]), 0);
	T_CHECK_INT_EQ(rg_read(NUMBER, buf, 8), 0);
}

static int64_t operations_of_reads(int fd)
{
	int64_t before = operations();
	char buf[PAGE];

	for (int i = 0; i < PAGES; i++) {
		T_CHECK_INT_EQ(rg_pread(fd, buf, PAGE, i * PAGE), PAGE);
		T_CHECK_MEM_EQ(buf, expected + i * PAGE, PAGE);
	}
	return operations() - before;
}

TEST(inplace_the_numbers_next_user_is_looked_at_anew)
{
	for (int i = 0; i < 2; i++) {
		renumber(make_file());
		if (reads_in_place())
			T_CHECK_INT_LT(operations_of_reads(NUMBER), PAGES / 2);
		T_CHECK_INT_EQ(rg_close(NUMBER), 0);
		pipe_parks();
		T_CHECK_INT_EQ(rg_close(NUMBER), 0);
	}
	/* Past rg_close: the runtime does not know, and reads rightly. */
	renumber(make_file());
	T_CHECK_INT_GE(operations_of_reads(NUMBER), 0);
	T_CHECK_INT_EQ(close(NUMBER), 0);
	pipe_parks();
	T_CHECK_INT_EQ(close(NUMBER), 0);
	renumber(make_file());
	T_CHECK_INT_GE(operations_of_reads(NUMBER), 0);
	T_CHECK_INT_EQ(rg_close(NUMBER), 0);
}

/* What was known of the number before is not said of the file that rg_openat gives. */
TEST(inplace_an_opened_file_is_looked_at_anew)
{
	int last = -1, same = 0;

	T_CHECK_INT_EQ(rg_close(make_file()), 0);
	for (int i = 0; i < 1000 && same < 3; i++) {
		int fd = rg_openat(t_folder_fd, "f", O_RDONLY | O_CLOEXEC);

		T_CHECK_INT_GE(fd, 0);
		same += fd == last;
		if (fd == last && reads_in_place())
			T_CHECK_INT_LT(operations_of_reads(fd), PAGES / 2);
		last = fd;
		fdesc_note(fdesc_get(fd), FDESC_NEVER);
		T_CHECK_INT_EQ(close(fd), 0);
	}
	T_CHECK_INT_EQ(same, 3);
}

/* ---- many ---- */

struct storm {
	rg_waitgroup done;
	_Atomic bool stop;
	_Atomic int64_t reads;
};

static void read_until_stopped(void *arg)
{
	struct storm *s = arg;
	char buf[PAGE];

	for (unsigned i = 0; !s->stop; i++) {
		off_t at = (off_t)(i * 31 % PAGES) * PAGE;
		ssize_t ret = rg_pread(NUMBER, buf, PAGE, at);

		s->reads++;
		if (ret == PAGE) {
			T_CHECK_MEM_EQ(buf, expected + at, PAGE);
			continue;
		}
		T_CHECK(ret == -ECANCELED || ret == -EBADF);
		rg_yield();
	}
}

TEST(inplace_readers_and_a_closer_race)
{
	struct storm s = {0};
	char buf[PAGE];

	renumber(make_file());

	for (int i = 0; i < 8; i++)
		spawn(&s.done, read_until_stopped, &s);
	for (int i = 0; i < 300; i++) {
		if (i % 3)
			rg_yield();
		T_CHECK_INT_EQ(rg_close(NUMBER), 0);
		renumber(openat(t_folder_fd, "f", O_RDONLY | O_CLOEXEC));
		T_CHECK_INT_EQ(rg_pread(NUMBER, buf, PAGE, PAGE), PAGE);
	}
	s.stop = true;
	rg_waitgroup_wait(&s.done);
	T_CHECK_INT_GT(s.reads, 8);
	T_CHECK_INT_EQ(rg_close(NUMBER), 0);
}

static void set_flag(void *arg)
{
	*(_Atomic bool *)arg = true;
}

/* One P: the other goroutine runs when the reader gives way, long before the end of its
 * time slice, which is thousands of reads. */
static void reader_gives_way(void *arg)
{
	int fd = make_file(), reads = 0;
	_Atomic bool flag = false;
	rg_waitgroup done = {0};
	char buf[16];

	(void)arg;
	spawn(&done, set_flag, &flag);
	for (; !flag; reads++)
		T_CHECK_INT_EQ(rg_pread(fd, buf, 16, reads % SIZE), 16);
	T_CHECK_INT_LE(reads, 100);
	rg_waitgroup_wait(&done);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

static void inplace_a_reader_gives_way(void **state)
{
	(void)state;
	t_run_with(1, reader_gives_way, NULL);
}

static int make_folder(void **state)
{
	int err = t_folder_make(state);

	if (!err)
		look_at_folder();
	return err;
}

static int remove_folder(void **state)
{
	(void)unlinkat(t_folder_fd, "f", 0);
	return t_folder_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inplace_cached_reads_take_no_operation),
		cmocka_unit_test(inplace_what_is_not_in_memory_is_read_in_full),
		cmocka_unit_test(inplace_the_end_of_a_file_is_the_end),
		cmocka_unit_test(
			inplace_files_without_the_flag_go_through_the_ring),
		cmocka_unit_test(
			inplace_bad_arguments_are_the_kernels_to_refuse),
		cmocka_unit_test(inplace_contexts_and_deadlines_are_heeded),
		cmocka_unit_test(inplace_a_deadline_ends_a_loop_of_reads),
		cmocka_unit_test(inplace_close_waits_for_a_call_in_place),
		cmocka_unit_test(inplace_close_during_a_long_read),
		cmocka_unit_test(
			inplace_the_numbers_next_user_is_looked_at_anew),
		cmocka_unit_test(inplace_an_opened_file_is_looked_at_anew),
		cmocka_unit_test(inplace_readers_and_a_closer_race),
		cmocka_unit_test(inplace_a_reader_gives_way),
	};

	int failed = cmocka_run_group_tests(tests, make_folder, NULL);

	/* Once more as where nothing can be read in place. */
	setenv("RINGGO_URING", "off:nowait", 1);
	return failed + cmocka_run_group_tests(tests, NULL, remove_folder);
}
