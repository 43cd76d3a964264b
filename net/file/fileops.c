// SPDX-License-Identifier: MIT
/*
 * fileops - calls that change or describe files: rg_ftruncate, rg_statx, rg_renameat ...
 *
 * Each is one operation of the ring. What the kernel's operation lacks goes to a helper
 * thread: ftruncate before Linux 6.9, lengths of advice beyond 32 bits.
 *   I1  a call on a helper thread uses a descriptor of its own (a duplicate): the
 *       caller's number may be closed, and be somebody else's, before it runs.
 *   I2  the bound context is heeded before such a call; it is over when it returns.
 *
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/file.h>
#include <ringgo/runtime.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-iface/op_file.h"
#include "kernel-iface/probe.h"
#include "sched/cancel.h"
#include "sched/opwait.h"
#include "sched/point.h"
#include "sched/sched.h"

/* ---- on a helper thread ------------------------------------------------- */

struct aside {
	int (*fn)(struct aside *a); /* 0 or a negative errno */
	int fd, advice;
	off_t off, len;
	void *addr;
	size_t size;
	int err;
};

static void *run_aside(void *arg)
{
	struct aside *a = arg;

	a->err = a->fn(a);
	return NULL;
}

/* I2 */
static int may_call(void)
{
	struct g *gp = getg();

	if (!sched_is_on())
		return -ESRCH;
	return gp && gp->token ? cancel_token_err(gp->token) : 0;
}

static int call_aside(struct aside *a)
{
	int err = may_call();

	if (err)
		return err;
	rg_blocking(run_aside, a);
	return a->err;
}

/* I1 */
static int call_aside_on(int fd, struct aside *a)
{
	int err = may_call();

	if (err)
		return err;
	a->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (a->fd < 0 && errno != EBADF) {
		/* No descriptor is left (EMFILE; EINVAL when the limit is 0). At
		 * once, before anybody else can have the number. */
		a->fd = fd;
		return a->fn(a);
	}
	if (a->fd < 0)
		return -EBADF;
	rg_blocking(run_aside, a);
	close(a->fd);
	return a->err;
}

static int truncate_aside(struct aside *a)
{
	return ftruncate(a->fd, a->len) ? -errno : 0;
}

static int fadvise_aside(struct aside *a)
{
	return -posix_fadvise(a->fd, a->off, a->len, a->advice);
}

static int madvise_aside(struct aside *a)
{
	return madvise(a->addr, a->size, a->advice) ? -errno : 0;
}

/* ---- on a descriptor ---------------------------------------------------- */

int rg_fallocate(int fd, int mode, off_t off, off_t len)
{
	struct op_sqe s;

	sched_point();
	op_fallocate(&s, fd, mode, (uint64_t)off, (uint64_t)len);
	return opwait_fd(fd, FD_WRITE, &s);
}

int rg_ftruncate(int fd, off_t len)
{
	struct aside a = {.fn = truncate_aside, .len = len};
	struct op_sqe s;

	sched_point();
	if (!probe_has(PROBE_FTRUNCATE))
		return call_aside_on(fd, &a);
	op_ftruncate(&s, fd, (uint64_t)len);
	return opwait_fd(fd, FD_WRITE, &s);
}

int rg_fadvise(int fd, off_t off, off_t len, int advice)
{
	struct aside a = {
		.fn = fadvise_aside, .off = off, .len = len, .advice = advice};
	struct op_sqe s;

	sched_point();
	if (len < 0 || len > UINT32_MAX)
		return call_aside_on(fd, &a);
	op_fadvise(&s, fd, (uint64_t)off, (uint32_t)len, advice);
	return opwait_fd(fd, FD_READ, &s);
}

int rg_madvise(void *addr, size_t len, int advice)
{
	struct aside a = {.fn = madvise_aside,
			  .addr = addr,
			  .size = len,
			  .advice = advice};
	struct op_sqe s;

	sched_point();
	if (len > UINT32_MAX)
		return call_aside(&a);
	op_madvise(&s, addr, (uint32_t)len, advice);
	return opwait(&s, 0);
}

/* ---- by path ------------------------------------------------------------ */

int rg_statx(int dirfd, const char *path, int flags, unsigned mask,
	     struct statx *out)
{
	struct op_sqe s;

	sched_point();
	op_statx(&s, dirfd, path, flags, mask, out);
	return opwait(&s, 0);
}

int rg_renameat(int old_dirfd, const char *old_path, int new_dirfd,
		const char *new_path)
{
	struct op_sqe s;

	sched_point();
	op_renameat(&s, old_dirfd, old_path, new_dirfd, new_path);
	return opwait(&s, 0);
}

int rg_unlinkat(int dirfd, const char *path, int flags)
{
	struct op_sqe s;

	sched_point();
	op_unlinkat(&s, dirfd, path, flags);
	return opwait(&s, 0);
}

int rg_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct op_sqe s;

	sched_point();
	op_mkdirat(&s, dirfd, path, mode);
	return opwait(&s, 0);
}

int rg_linkat(int old_dirfd, const char *old_path, int new_dirfd,
	      const char *new_path, int flags)
{
	struct op_sqe s;

	sched_point();
	op_linkat(&s, old_dirfd, old_path, new_dirfd, new_path, flags);
	return opwait(&s, 0);
}

int rg_symlinkat(const char *target, int dirfd, const char *path)
{
	struct op_sqe s;

	sched_point();
	op_symlinkat(&s, target, dirfd, path);
	return opwait(&s, 0);
}
