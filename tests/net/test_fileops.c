// SPDX-License-Identifier: MIT
/*
 * Attacks fileops' invariants and rawio's vectors at an offset: what each call does to
 * the file system, its errors, contexts, calls on a helper thread (RINGGO_URING takes
 * the operation away), with descriptors or without one to spare.
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[] = "/tmp/rg-fileops-XXXXXX";
static int dir; /* folder */

static int file_open(const char *name, const char *text)
{
	int fd =
		openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	T_CHECK_INT_GE(fd, 0);
	T_CHECK_INT_EQ(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static off_t size_of(int fd)
{
	struct stat st;

	T_CHECK_INT_EQ(fstat(fd, &st), 0);
	return st.st_size;
}

static bool exists(const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

TEST(fileops_vectors_at_an_offset_leave_the_position)
{
	int fd = file_open("f", "0123456789"), p[2];
	char a[3], b[4];
	struct iovec v[2] = {{a, 3}, {b, 4}};

	T_CHECK_INT_EQ(lseek(fd, 5, SEEK_SET), 5);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 2, 1), 7);
	T_CHECK_MEM_EQ(a, "123", 3);
	T_CHECK_MEM_EQ(b, "4567", 4);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 2, 8), 2);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 2, 10), 0);
	memcpy(a, "abc", 3);
	memcpy(b, "defg", 4);
	T_CHECK_INT_EQ(rg_pwritev(fd, v, 2, 8), 7);
	T_CHECK_INT_EQ(size_of(fd), 15);
	T_CHECK_INT_EQ(lseek(fd, 0, SEEK_CUR), 5);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 2, -1), -EINVAL);
	T_CHECK_INT_EQ(rg_pwritev(fd, v, 2, -1), -EINVAL);
	T_CHECK_INT_EQ(rg_preadv(fd, v, -1, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_pwritev(fd, v, IOV_MAX + 1, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_preadv(fd, v, 0, 0), 0);
	T_CHECK_INT_EQ(rg_preadv(-1, v, 0, 0), -EBADF);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(rg_preadv(p[0], v, 2, 0), -ESPIPE);
	T_CHECK_INT_EQ(rg_pwritev(p[1], v, 2, 0), -ESPIPE);
	close(p[0]);
	close(p[1]);
	close(fd);
}

TEST(fileops_names_come_and_go)
{
	struct statx stx;
	char target[8];
	int fd;

	close(file_open("a", "12345"));
	T_CHECK_INT_EQ(rg_renameat(dir, "a", dir, "b"), 0);
	T_CHECK(!exists("a") && exists("b"));
	T_CHECK_INT_EQ(rg_linkat(dir, "b", dir, "c", 0), 0);
	T_CHECK_INT_EQ(rg_statx(dir, "c", 0, STATX_SIZE | STATX_NLINK, &stx),
		       0);
	T_CHECK_INT_EQ(stx.stx_size, 5u);
	T_CHECK_INT_EQ(stx.stx_nlink, 2u);
	T_CHECK_INT_EQ(rg_symlinkat("b", dir, "s"), 0);
	T_CHECK_INT_EQ(readlinkat(dir, "s", target, 8), 1);
	T_CHECK_INT_EQ(
		rg_statx(dir, "s", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stx), 0);
	T_CHECK(S_ISLNK(stx.stx_mode));
	T_CHECK_INT_EQ(rg_mkdirat(dir, "d", 0700), 0);
	T_CHECK_INT_EQ(rg_mkdirat(dir, "d", 0700), -EEXIST);
	T_CHECK_INT_EQ(rg_statx(dir, "d", 0, STATX_MODE, &stx), 0);
	T_CHECK_INT_EQ(stx.stx_mode & 0777, 0700);
	T_CHECK_INT_EQ(rg_renameat(dir, "c", dir, "d/c"), 0);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "d", AT_REMOVEDIR), -ENOTEMPTY);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "d/c", 0), 0);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "d", AT_REMOVEDIR), 0);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "s", 0), 0);
	fd = openat(dir, "b", O_RDONLY | O_CLOEXEC);
	T_CHECK_INT_EQ(rg_statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &stx), 0);
	T_CHECK_INT_EQ(stx.stx_nlink, 1u);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "b", 0), 0);
	T_CHECK(!exists("b") && !exists("c") && !exists("d") && !exists("s"));
	close(fd);
}

TEST(fileops_bad_names_are_refused)
{
	struct statx stx;

	T_CHECK_INT_EQ(rg_renameat(dir, "none", dir, "x"), -ENOENT);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "none", 0), -ENOENT);
	T_CHECK_INT_EQ(rg_mkdirat(dir, "none/x", 0700), -ENOENT);
	T_CHECK_INT_EQ(rg_linkat(dir, "none", dir, "x", 0), -ENOENT);
	T_CHECK_INT_EQ(rg_symlinkat("x", dir, "none/x"), -ENOENT);
	T_CHECK_INT_EQ(rg_statx(dir, "none", 0, STATX_SIZE, &stx), -ENOENT);
	T_CHECK_INT_EQ(rg_statx(dir, NULL, 0, STATX_SIZE, &stx), -EFAULT);
	T_CHECK_INT_EQ(rg_statx(dir, ".", 0, STATX_SIZE, NULL), -EFAULT);
	T_CHECK_INT_EQ(rg_unlinkat(-5, "x", 0), -EBADF);
	T_CHECK_INT_EQ(rg_mkdirat(dir, NULL, 0700), -EFAULT);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "x", 0x10000), -EINVAL);
}

TEST(fileops_space_is_allocated)
{
	int fd = file_open("f", "x"), p[2];

	T_CHECK_INT_EQ(rg_fallocate(fd, 0, 0, 100000), 0);
	T_CHECK_INT_EQ(size_of(fd), 100000);
	T_CHECK_INT_EQ(rg_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000), 0);
	T_CHECK_INT_EQ(size_of(fd), 100000);
	T_CHECK_INT_EQ(rg_fallocate(fd, 0, -1, 10), -EINVAL);
	T_CHECK_INT_EQ(rg_fallocate(fd, 0, 0, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_fallocate(-1, 0, 0, 10), -EBADF);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(rg_fallocate(p[1], 0, 0, 10), -ESPIPE);
	close(p[0]);
	close(p[1]);
	close(fd);
}

TEST(fileops_advice_of_any_length)
{
	const size_t huge = (size_t)5 << 30;
	long page = sysconf(_SC_PAGESIZE);
	int fd = file_open("f", "some text");
	char *m;

	T_CHECK_INT_EQ(rg_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, 9, POSIX_FADV_DONTNEED), 0);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, (off_t)huge, POSIX_FADV_WILLNEED), 0);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, 9, 77), -EINVAL);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, (off_t)huge, 77), -EINVAL);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), -EINVAL);
	T_CHECK_INT_EQ(rg_fadvise(-1, 0, 9, POSIX_FADV_NORMAL), -EBADF);
	T_CHECK_INT_EQ(rg_fadvise(-1, 0, (off_t)huge, POSIX_FADV_NORMAL),
		       -EBADF);
	close(fd);
	m = mmap(NULL, huge, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	T_CHECK(m != MAP_FAILED);
	m[0] = m[huge - 1] = 1;
	T_CHECK_INT_EQ(rg_madvise(m, (size_t)page, MADV_DONTNEED), 0);
	T_CHECK_INT_EQ(m[0], 0);
	T_CHECK_INT_EQ(m[huge - 1], 1);
	T_CHECK_INT_EQ(rg_madvise(m, huge, MADV_DONTNEED), 0);
	T_CHECK_INT_EQ(m[huge - 1], 0);
	T_CHECK_INT_EQ(rg_madvise(m + 1, 10, MADV_DONTNEED), -EINVAL);
	T_CHECK_INT_EQ(rg_madvise(m + 1, huge, MADV_DONTNEED), -EINVAL);
	T_CHECK_INT_EQ(rg_madvise(m, huge, 7777), -EINVAL);
	T_CHECK_INT_EQ(munmap(m, huge), 0);
}

TEST(fileops_heed_a_context_that_has_ended)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	int fd = file_open("f", "12345");
	struct statx stx;
	char a[4];
	struct iovec v = {a, 4};

	rg_ctx_cancel(ctx, 0);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_ftruncate(fd, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_fallocate(fd, 0, 0, 100), -ECANCELED);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, 0, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, (off_t)5 << 30, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_madvise(NULL, 0, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_preadv(fd, &v, 1, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_pwritev(fd, &v, 1, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_renameat(dir, "f", dir, "g"), -ECANCELED);
	T_CHECK_INT_EQ(rg_linkat(dir, "f", dir, "g", 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_symlinkat("f", dir, "g"), -ECANCELED);
	T_CHECK_INT_EQ(rg_mkdirat(dir, "g", 0700), -ECANCELED);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "f", 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_statx(dir, "f", 0, STATX_SIZE, &stx), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	T_CHECK_INT_EQ(size_of(fd), 5);
	T_CHECK(exists("f") && !exists("g"));
	close(fd);
}

/* ---- ftruncate, with the kernel's operation and without it ---------------- */

static void truncates(void *arg)
{
	int fd = file_open("f", "0123456789"), p[2], ro;

	(void)arg;
	T_CHECK_INT_EQ(rg_ftruncate(fd, 4), 0);
	T_CHECK_INT_EQ(size_of(fd), 4);
	T_CHECK_INT_EQ(rg_ftruncate(fd, (off_t)5 << 30), 0);
	T_CHECK_INT_EQ(size_of(fd), (off_t)5 << 30);
	T_CHECK_INT_EQ(rg_ftruncate(fd, 0), 0);
	T_CHECK_INT_EQ(size_of(fd), 0);
	T_CHECK_INT_EQ(rg_ftruncate(fd, -1), -EINVAL);
	T_CHECK_INT_EQ(rg_ftruncate(-1, 0), -EBADF);
	T_CHECK_INT_EQ(rg_ftruncate(987654, 0), -EBADF);
	ro = openat(dir, "f", O_RDONLY | O_CLOEXEC);
	T_CHECK_INT_EQ(rg_ftruncate(ro, 0), -EINVAL);
	close(ro);
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(rg_ftruncate(p[1], 0), -EINVAL);
	close(p[0]);
	close(p[1]);
	close(fd);
}

static void *truncate_on_thread(void *arg)
{
	T_CHECK_INT_EQ(rg_ftruncate(*(int *)arg, 3), 0);
	return NULL;
}

static void truncates_for_other_threads(void *arg)
{
	int fd = file_open("f", "0123456789");

	(void)arg;
	join(t_thread(truncate_on_thread, &fd));
	T_CHECK_INT_EQ(size_of(fd), 3);
	close(fd);
}

static void truncates_without_descriptors(void *arg)
{
	int fd = file_open("f", "0123456789");
	struct rlimit old, none;

	(void)arg;
	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	T_CHECK_INT_EQ(rg_ftruncate(fd, 6), 0);
	T_CHECK_INT_EQ(rg_ftruncate(fd, -1), -EINVAL);
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	T_CHECK_INT_EQ(size_of(fd), 6);
	close(fd);
}

static void truncates_within_its_context(void *arg)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	int fd = file_open("f", "0123456789");

	(void)arg;
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_ftruncate(fd, 6), 0);
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_ftruncate(fd, 2), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	T_CHECK_INT_EQ(size_of(fd), 6);
	close(fd);
}

static void run_both(void (*fn)(void *arg))
{
	T_CHECK_INT_EQ(setenv("RINGGO_URING", "off:ftruncate", 1), 0);
	run_and_count(fn, NULL);
	T_CHECK_INT_EQ(unsetenv("RINGGO_URING"), 0);
	run_and_count(fn, NULL);
}

#define BOTH(name, fn)                                                         \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		run_both(fn);                                                  \
	}

BOTH(fileops_ftruncate_sets_the_length, truncates)
BOTH(fileops_ftruncate_from_a_foreign_thread, truncates_for_other_threads)
BOTH(fileops_ftruncate_needs_no_descriptor, truncates_without_descriptors)
BOTH(fileops_ftruncate_heeds_the_context, truncates_within_its_context)

static void fileops_without_a_runtime_are_refused(void **state)
{
	int fd = file_open("f", "12345");

	(void)state;
	T_CHECK_INT_EQ(rg_ftruncate(fd, 0), -ESRCH);
	T_CHECK_INT_EQ(rg_fadvise(fd, 0, (off_t)5 << 30, 0), -ESRCH);
	T_CHECK_INT_EQ(rg_unlinkat(dir, "f", 0), -ESRCH);
	T_CHECK_INT_EQ(size_of(fd), 5);
	close(fd);
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	(void)unlinkat(dir, "f", 0);
	close(dir);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			fileops_vectors_at_an_offset_leave_the_position),
		cmocka_unit_test(fileops_names_come_and_go),
		cmocka_unit_test(fileops_bad_names_are_refused),
		cmocka_unit_test(fileops_space_is_allocated),
		cmocka_unit_test(fileops_advice_of_any_length),
		cmocka_unit_test(fileops_heed_a_context_that_has_ended),
		cmocka_unit_test(fileops_ftruncate_sets_the_length),
		cmocka_unit_test(fileops_ftruncate_from_a_foreign_thread),
		cmocka_unit_test(fileops_ftruncate_needs_no_descriptor),
		cmocka_unit_test(fileops_ftruncate_heeds_the_context),
		cmocka_unit_test(fileops_without_a_runtime_are_refused),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
