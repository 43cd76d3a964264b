// SPDX-License-Identifier: MIT
/*
 * dirlist - what is in a folder, read on helper threads: io_uring has no getdents.
 *
 *   I1  the descriptor is the object's own, opened here: it is closed by rg_dir_close
 *       only, so no call on a helper thread meets another file.
 *   I2  0 <= start <= end <= DIR_BUF_SIZE; between them lie whole entries that the
 *       kernel gave and nobody has had.
 * One goroutine at a time.
 */
#include <ringgo/file.h>
#include <ringgo/io.h>
#include <ringgo/runtime.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "sched/cancel.h"
#include "sched/fdesc.h"
#include "sched/point.h"
#include "sched/sched.h"

#define DIR_BUF_SIZE 16384

struct rg_dir {
	int fd; /* I1 */
	size_t start, end;
	int err; /* a helper's result */
	_Alignas(struct dirent64) char buf[DIR_BUF_SIZE];
};

int rg_dir_open(int dirfd, const char *path, rg_dir **out)
{
	rg_dir *d;

	sched_point();
	d = rgk_alloc(sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->start = d->end = 0;
	d->fd = rg_openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd < 0) {
		int err = d->fd;

		rgk_free(d);
		return err;
	}
	*out = d;
	return 0;
}

int rg_dir_close(rg_dir *d)
{
	int err;

	sched_point();
	if (!d)
		return -EINVAL;
	err = fdesc_close(d->fd);
	rgk_free(d);
	return err;
}

static void *fill(void *arg)
{
	rg_dir *d = arg;
	long n = syscall(SYS_getdents64, d->fd, d->buf, sizeof(d->buf));

	d->err = n < 0 ? -errno : 0;
	d->start = 0;
	d->end = n < 0 ? 0 : (size_t)n;
	return NULL;
}

/* > 0: there is an entry. */
static int fill_aside(rg_dir *d)
{
	struct g *gp = getg();
	int err = gp && gp->token ? cancel_token_err(gp->token) : 0;

	if (!sched_is_on())
		return -ESRCH;
	if (err)
		return err;
	rg_blocking(fill, d);
	return d->err ? d->err : d->end > 0;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

int rg_dir_next(rg_dir *d, rg_dir_entry *out)
{
	sched_point();
	for (;;) {
		const struct dirent64 *e =
			(const struct dirent64 *)(const void *)(d->buf +
								d->start);

		if (d->start == d->end) {
			int ret = fill_aside(d);

			if (ret <= 0)
				return ret;
			continue;
		}
		d->start += e->d_reclen;
		if (is_dot(e->d_name))
			continue;
		*out = (rg_dir_entry){
			.name = e->d_name, .ino = e->d_ino, .type = e->d_type};
		return 1;
	}
}
