// SPDX-License-Identifier: MIT
/*
 * Files opened with O_DIRECT: aligned reads and writes pass by the page cache and are
 * never made in place (inplace's I4), the kernel's refusal of others comes back as it
 * is, and a close or a context's end in the middle loses nothing.
 */
#include "tests/net/netpair.h"
#include "tests/support/rgfolder.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sched/fdesc.h"

enum { BLOCK = 65536, BLOCKS = 64 };

/* The kernel's layout; glibc 2.36 has no names for these. */
enum { DIOALIGN = 0x2000, MEM_ALIGN_AT = 152, OFFSET_ALIGN_AT = 156 };
static_assert(sizeof(struct statx) == 256, "statx is the kernel's");

static bool is_supported(void)
{
	int fd = openat(t_folder_fd, "d", O_RDWR | O_CREAT | O_DIRECT, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int direct_open(void)
{
	int fd = rg_openat(t_folder_fd, "d",
			   O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	T_CHECK_INT_GE(fd, 0);
	return fd;
}

static char *aligned(void)
{
	void *p;

	T_CHECK_INT_EQ(posix_memalign(&p, 4096, BLOCK), 0);
	return p;
}

static void fill(int fd)
{
	char *buf = aligned();

	for (int i = 0; i < BLOCKS; i++) {
		memset(buf, i, BLOCK);
		T_CHECK_INT_EQ(rg_pwrite(fd, buf, BLOCK, (off_t)i * BLOCK),
			       BLOCK);
	}
	free(buf);
}

/* What statx says is enough: read with just that, and not with less. */
TEST(odirect_alignment_is_what_statx_tells)
{
	int fd = direct_open();
	uint32_t mem, offset;
	struct statx stx;
	char *buf = aligned();

	T_CHECK_INT_EQ(ftruncate(fd, 0), 0);
	fill(fd);
	T_CHECK_INT_EQ(rg_statx(fd, "", AT_EMPTY_PATH, DIOALIGN, &stx), 0);
	memcpy(&mem, (char *)&stx + MEM_ALIGN_AT, sizeof(mem));
	memcpy(&offset, (char *)&stx + OFFSET_ALIGN_AT, sizeof(offset));
	if (stx.stx_mask & DIOALIGN) { /* Linux 6.1 */
		T_CHECK(mem > 0 && offset > 0);
		T_CHECK_INT_EQ(rg_pread(fd, buf + mem, offset,
					(off_t)(BLOCK + offset)),
			       offset);
		T_CHECK_INT_EQ(buf[mem], 1);
	}
	T_CHECK_INT_EQ(rg_pread(fd, buf, BLOCK, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_pread(fd, buf, 100, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_pread(fd, buf + 1, 4096, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_pwrite(fd, buf, 100, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_pwrite(fd, buf, 4096, 7), -EINVAL);
	free(buf);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

TEST(odirect_reads_are_never_made_in_place)
{
	int fd = direct_open();
	struct fdesc *f = fdesc_get(fd);
	char *buf = aligned();

	T_CHECK_INT_EQ(ftruncate(fd, 0), 0);
	fill(fd);
	for (int i = 0; i < BLOCKS; i++) {
		T_CHECK_INT_EQ(rg_read(fd, buf, BLOCK), BLOCK);
		T_CHECK_INT_EQ(buf[0], i);
		T_CHECK_INT_EQ(buf[BLOCK - 1], i);
	}
	T_CHECK_INT_EQ(rg_read(fd, buf, BLOCK), 0);
	T_CHECK_INT_EQ(fdesc_enter(f), -EAGAIN); /* it is known */
	/* A file may end anywhere. */
	T_CHECK_INT_EQ(ftruncate(fd, BLOCK + 5), 0);
	T_CHECK_INT_EQ(rg_pread(fd, buf, BLOCK, BLOCK), 5);
	T_CHECK_INT_EQ(rg_pread(fd, buf, BLOCK, 2 * BLOCK), 0);
	free(buf);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

/* Calls without an offset follow each other, also of several goroutines. */
TEST(odirect_the_position_moves)
{
	int fd = direct_open();
	char *buf = aligned();
	struct iovec v[2] = {{buf, BLOCK / 2}, {buf + BLOCK / 2, BLOCK / 2}};

	T_CHECK_INT_EQ(ftruncate(fd, 0), 0);
	for (int i = 0; i < 8; i++) {
		memset(buf, 'a' + i, BLOCK);
		T_CHECK_INT_EQ(i % 2 ? rg_write(fd, buf, BLOCK)
				     : rg_writev(fd, v, 2),
			       BLOCK);
	}
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_CUR), 8 * BLOCK);
	T_CHECK_INT_EQ(lseek(fd, BLOCK, SEEK_SET), BLOCK);
	for (int i = 1; i < 8; i++) {
		T_CHECK_INT_EQ(i % 2 ? rg_read(fd, buf, BLOCK)
				     : rg_readv(fd, v, 2),
			       BLOCK);
		T_CHECK(buf[0] == 'a' + i && buf[BLOCK - 1] == 'a' + i);
	}
	T_CHECK_INT_EQ(rg_read(fd, buf, BLOCK), 0);
	/* A failure moves nothing. */
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_SET), 0);
	T_CHECK_INT_EQ(rg_read(fd, buf + 1, BLOCK - 1), -EINVAL);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	/* At the end, wherever it stands. */
	T_CHECK_INT_EQ(fcntl(fd, F_SETFL, O_DIRECT | O_APPEND), 0);
	T_CHECK_INT_EQ(rg_write(fd, buf, BLOCK), BLOCK);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_CUR), 9 * BLOCK);
	free(buf);
	T_CHECK_INT_EQ(rg_close(fd), 0);
}

struct sequence {
	rg_waitgroup done;
	int fd;
	_Atomic int seen[BLOCKS];
};

static void read_next(void *arg)
{
	struct sequence *s = arg;
	char *buf = aligned();
	ssize_t ret;

	while ((ret = rg_read(s->fd, buf, BLOCK)) > 0) {
		T_CHECK_INT_EQ(ret, BLOCK);
		T_CHECK_INT_EQ(buf[0], buf[BLOCK - 1]);
		s->seen[(unsigned char)buf[0] % BLOCKS]++;
	}
	T_CHECK_INT_EQ(ret, 0);
	free(buf);
}

TEST(odirect_each_block_goes_to_one_reader)
{
	struct sequence s = {.fd = direct_open()};

	T_CHECK_INT_EQ(ftruncate(s.fd, 0), 0);
	fill(s.fd);
	for (int i = 0; i < 8; i++)
		spawn(&s.done, read_next, &s);
	rg_waitgroup_wait(&s.done);
	for (int i = 0; i < BLOCKS; i++)
		T_CHECK_INT_EQ(s.seen[i], 1);
	T_CHECK_INT_EQ(rg_close(s.fd), 0);
}

struct readers {
	rg_waitgroup done;
	int fd;
	rg_ctx *ctx;
	_Atomic int started, whole, refused;
};

static void read_blocks(void *arg)
{
	struct readers *r = arg;
	char *buf = aligned();
	int first = r->started++;
	bool is_refused = false;

	rg_ctx_bind(r->ctx);
	for (int i = 0; i < 16; i++) {
		int block = (first * 7 + i * 3) % BLOCKS;
		ssize_t ret = rg_pread(r->fd, buf, BLOCK, (off_t)block * BLOCK);

		if (ret != BLOCK) {
			T_CHECK(ret == -ECANCELED || ret == -EBADF);
			is_refused = true;
			break;
		}
		T_CHECK_INT_EQ(buf[0], block);
		T_CHECK_INT_EQ(buf[BLOCK - 1], block);
	}
	if (is_refused)
		r->refused++;
	else
		r->whole++;
	rg_ctx_unref(rg_ctx_bind(NULL));
	free(buf);
}

static void start_readers(struct readers *r, int n)
{
	r->fd = direct_open();
	fill(r->fd);
	for (int i = 0; i < n; i++)
		spawn(&r->done, read_blocks, r);
	while (r->started < n)
		rg_yield();
}

TEST(odirect_many_readers_at_once)
{
	struct readers r = {.fd = -1};

	start_readers(&r, 32);
	rg_waitgroup_wait(&r.done);
	T_CHECK_INT_EQ(r.whole, 32);
	T_CHECK_INT_EQ(rg_close(r.fd), 0);
}

/* Each read is whole or did not happen, and each reader hears of the end. */
TEST(odirect_close_and_cancel_under_reads)
{
	for (int by_close = 0; by_close < 2; by_close++) {
		struct readers r = {.fd = -1};

		r.ctx = rg_ctx_with_cancel(rg_ctx_background());
		start_readers(&r, 16);
		if (by_close)
			T_CHECK_INT_EQ(rg_close(r.fd), 0);
		else
			rg_ctx_cancel(r.ctx, 0);
		rg_waitgroup_wait(&r.done);
		T_CHECK_INT_EQ(r.refused + r.whole, 16);
		if (!by_close)
			T_CHECK_INT_EQ(rg_close(r.fd), 0);
		rg_ctx_unref(r.ctx);
	}
}

static bool without_odirect;

static int make_folder(void **state)
{
	int err = t_folder_make(state);

	if (!err)
		without_odirect = !is_supported();
	return err;
}

static int remove_folder(void **state)
{
	(void)unlinkat(t_folder_fd, "d", 0);
	return t_folder_remove(state);
}

/* tmpfs before Linux 6.5 */
static int skip_without(void **state)
{
	(void)state;
	if (without_odirect) {
		print_message("no O_DIRECT in %s\n", t_folder);
		(void)remove_folder(state);
		exit(77);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(odirect_alignment_is_what_statx_tells,
				       skip_without),
		cmocka_unit_test(odirect_reads_are_never_made_in_place),
		cmocka_unit_test(odirect_the_position_moves),
		cmocka_unit_test(odirect_each_block_goes_to_one_reader),
		cmocka_unit_test(odirect_many_readers_at_once),
		cmocka_unit_test(odirect_close_and_cancel_under_reads),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
