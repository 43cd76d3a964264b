// SPDX-License-Identifier: MIT
/*
 * inplace - see inplace.h.
 */
#include "net/file/inplace.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringgo/runtime.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/probe.h"
#include "sched/cancel.h"
#include "sched/fdesc.h"
#include "sched/g.h"
#include "sched/opwait.h"

/* I5, in units of 16 KiB and of one call. */
enum { TURN = 64, UNIT_SHIFT = 14 };

static void give_way(struct g *gp)
{
	if (rg_likely(gp->in_place < TURN))
		return;
	gp->in_place = 0;
	rg_yield();
}

static void count(struct g *gp, size_t moved)
{
	size_t units = 1 + (moved >> UNIT_SHIFT);

	gp->in_place = (uint8_t)(units < TURN ? gp->in_place + units : TURN);
}

/* I4. To ThreadSanitizer a question of ours is no use of the descriptor by the program. */
static bool is_cached_file(int fd)
{
	struct stat st;
	int flags, err;

	san_quiet_begin();
	err = fstat(fd, &st);
	san_quiet_end();
	if (err || !S_ISREG(st.st_mode))
		return false;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && !(flags & O_DIRECT);
}

/* The call itself: no cancellation point of libc's, no interceptor. */
static ssize_t read_now(int fd, const struct iovec *v, int n, uint64_t off)
{
	/* The offset's high word counts on 32-bit machines alone. */
	long ret = syscall(SYS_preadv2, fd, v, n, off, 0, RWF_NOWAIT);

	return ret < 0 ? -errno : ret;
}

/* It is no error of the file's: this is not the way to read it. */
static bool is_refusal(ssize_t ret)
{
	return ret == -EOPNOTSUPP || ret == -ENOSYS;
}

static ssize_t try(struct fdesc *f, int fd, const struct iovec *v, int n,
		   uint64_t off)
{
	int known = fdesc_enter(f), saved = errno; /* nothing here parks */
	ssize_t ret = -EOPNOTSUPP;

	if (known < 0)
		return known;
	if (known || is_cached_file(fd))
		ret = read_now(fd, v, n, off);
	if (is_refusal(ret)) {
		fdesc_note(f, FDESC_NEVER);
		ret = -EAGAIN;
	} else if (!known) {
		fdesc_note(f, FDESC_IN_PLACE);
	}
	fdesc_leave(f);
	errno = saved;
	return ret == -EINTR ? -EAGAIN : ret;
}

ssize_t inplace_read(int fd, const struct iovec *v, int n, uint64_t off)
{
	struct g *gp;
	struct fdesc *f;
	ssize_t ret;

	if (!is_goroutine() || !probe_has(PROBE_NOWAIT))
		return -EAGAIN;
	f = fdesc_get(fd);
	gp = getg();
	if (!f || (gp->token && cancel_token_err(gp->token)))
		return -EAGAIN;
	give_way(gp);
	ret = try(f, fd, v, n, off);
	if (ret >= 0) {
		count(gp, (size_t)ret);
		opwait_saw_input();
	}
	return ret;
}
