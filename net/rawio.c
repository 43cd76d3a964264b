// SPDX-License-Identifier: MIT
/*
 * rawio - POSIX calls on any descriptor that park: rg_read ... rg_poll.
 *
 *   I1  one call is one operation, except that -EAGAIN (a file with O_NONBLOCK for which
 *       the ring does not wait by itself: terminals and some character devices) becomes
 *       a poll and another try, and that reads of files take what is in memory first
 *       (inplace.h): the operation is for what is not. A read of a file is short at
 *       its end only, either way.
 *   I2  a negative offset never reaches the ring, where it would mean the file's
 *       position; neither does an offset for a stream, which POSIX refuses (ESPIPE) and
 *       the ring ignores.
 *   I3  a call that moves no byte does not park.
 *   I4  opening a FIFO waits for the other side. The ring first tries every open as if
 *       O_NONBLOCK were given (when the path is in the cache), which gives a reader at
 *       once and a writer -ENXIO; seen with Linux 6.18. Then a worker thread of the
 *       kernel opens it once more; but not more than FIFO_WORKERS wait like that, since
 *       the same workers do all other work on files (ring.h). Whoever finds these taken
 *       looks again after 1 to 16 ms. Not so for devices that wait in open (a serial
 *       line for its carrier): these should be opened with O_NONBLOCK anyway.
 *   I5  the position of a file with O_DIRECT moves by what was read or written: io_uring
 *       sets it only where the operation ends at its submission (seen with Linux 6.18),
 *       which such a one does not. So it is looked up and set here, one call at a time.
 * The direction given to the wait decides whose deadline counts: reads and polls for
 * input FD_READ, everything else FD_WRITE.
 *
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/io.h>
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/fifo.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/op_wait.h"
#include "net/file/inplace.h"
#include "sched/cancel.h"
#include "sched/fdesc.h"
#include "sched/g.h"
#include "sched/opwait.h"
#include "sched/point.h"

/* No failure is told by errno (it is the caller's): lseek(2) and fcntl(2) with a negative
 * errno. These do not park. */
static off_t seek(int fd, off_t off, int whence)
{
	int saved = errno;
	off_t ret = lseek(fd, off, whence);

	if (ret < 0)
		ret = -errno;
	errno = saved;
	return ret;
}

static int flags_of(int fd)
{
	int saved = errno;
	int ret = fcntl(fd, F_GETFL);

	if (ret < 0)
		ret = -errno;
	errno = saved;
	return ret;
}

static bool is_direct(int fd)
{
	int flags = flags_of(fd);

	return flags >= 0 && flags & O_DIRECT;
}

/* I5. Collisions cost time: nothing that can wait for a peer is seekable. */
enum { POSITION_LOCKS = 16 };
static rg_mutex position_locks[POSITION_LOCKS];

RG_COLD static int run_with_position(int fd, enum fd_dir dir, struct op_sqe *s)
{
	rg_mutex *lock = &position_locks[(unsigned)fd % POSITION_LOCKS];
	off_t at;
	int ret;

	rg_mutex_lock(lock);
	at = seek(fd, 0, SEEK_CUR);
	if (at >= 0)
		s->sqe.off = (uint64_t)at;
	ret = at >= 0 ? opwait_fd_again(fd, dir, s) : (int)at;
	if (ret > 0 && dir == FD_WRITE && flags_of(fd) & O_APPEND)
		seek(fd, 0, SEEK_END);
	else if (ret > 0)
		seek(fd, at + ret, SEEK_SET);
	rg_mutex_unlock(lock);
	return ret;
}

/* A read or write where the position may count. */
static int run_transfer(int fd, enum fd_dir dir, struct op_sqe *s)
{
	if (s->sqe.off == OP_OFF_CURRENT && rg_unlikely(is_direct(fd)) &&
	    seek(fd, 0, SEEK_CUR) >= 0)
		return run_with_position(fd, dir, s);
	return opwait_fd_again(fd, dir, s);
}

/* I3 */
static int empty_call(int fd)
{
	return fd < 0 ? -EBADF : 0;
}

/* I2 */
static int check_offset(int fd, off_t off)
{
	off_t at;

	if (off < 0)
		return -EINVAL;
	at = seek(fd, 0, SEEK_CUR);
	return at >= 0 ? 0 : (int)at;
}

/* A read that could not be made in place. */
static ssize_t read_by_ring(int fd, const struct iovec *v, int n, uint64_t off)
{
	struct op_sqe s;
	int err;

	if (off != OP_OFF_CURRENT) {
		err = check_offset(fd, (off_t)off);
		if (err)
			return err;
	}
	if (n == 1)
		op_read(&s, fd, v->iov_base, v->iov_len, off);
	else
		op_readv(&s, fd, v, (unsigned)n, off);
	return run_transfer(fd, FD_READ, &s);
}

static ssize_t read_part(int fd, const struct iovec *v, int n, uint64_t off)
{
	ssize_t ret = inplace_read(fd, v, n, off);

	return ret == -EAGAIN ? read_by_ring(fd, v, n, off) : ret;
}

/* The first `done` bytes are there, from what was in memory: the rest, as far as the
 * file goes. A failure is the next call's to report. */
RG_COLD static ssize_t read_rest(int fd, const struct iovec *v, int n,
				 uint64_t off, size_t done)
{
	size_t end = 0; /* of the buffers up to this one */

	for (int i = 0; i < n && done < OP_IO_MAX; i++) {
		end += v[i].iov_len;
		while (done < end) {
			char *stop = (char *)v[i].iov_base + v[i].iov_len;
			struct iovec one = {stop - (end - done), end - done};
			ssize_t ret = read_part(
				fd, &one, 1,
				off == OP_OFF_CURRENT ? off : off + done);

			if (ret <= 0)
				return (ssize_t)done;
			done += (size_t)ret;
		}
	}
	return (ssize_t)done;
}

/* total bytes are asked for, at least one; off was looked at. */
static ssize_t read_some(int fd, const struct iovec *v, int n, uint64_t off,
			 size_t total)
{
	ssize_t ret = inplace_read(fd, v, n, off);

	if (rg_unlikely(ret == -EAGAIN))
		return read_by_ring(fd, v, n, off);
	if (rg_unlikely(ret > 0 && (size_t)ret < total))
		return read_rest(fd, v, n, off, (size_t)ret);
	return ret;
}

/* One buffer, n > 0. */
static ssize_t read_buffer(int fd, void *buf, size_t n, uint64_t off)
{
	struct iovec one = {buf, op_io_len(n)};

	return read_some(fd, &one, 1, off, one.iov_len);
}

ssize_t rg_read(int fd, void *buf, size_t n)
{
	sched_point();
	if (n == 0)
		return empty_call(fd);
	return read_buffer(fd, buf, n, OP_OFF_CURRENT);
}

ssize_t rg_write(int fd, const void *buf, size_t n)
{
	struct op_sqe s;

	sched_point();
	if (n == 0)
		return empty_call(fd);
	op_write(&s, fd, buf, n, OP_OFF_CURRENT);
	return run_transfer(fd, FD_WRITE, &s);
}

/* How many bytes are to be moved, or a negative errno. */
static ssize_t check_vector(const struct iovec *v, int n)
{
	size_t total = 0;

	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		if (v[i].iov_len > (size_t)SSIZE_MAX - total)
			return -EINVAL;
		total += v[i].iov_len;
	}
	return (ssize_t)total;
}

ssize_t rg_readv(int fd, const struct iovec *v, int n)
{
	ssize_t ret = check_vector(v, n);

	sched_point();
	if (ret <= 0)
		return ret ? ret : empty_call(fd);
	return read_some(fd, v, n, OP_OFF_CURRENT, (size_t)ret);
}

ssize_t rg_writev(int fd, const struct iovec *v, int n)
{
	ssize_t ret = check_vector(v, n);
	struct op_sqe s;

	sched_point();
	if (ret <= 0)
		return ret ? ret : empty_call(fd);
	op_writev(&s, fd, v, (unsigned)n, OP_OFF_CURRENT);
	return run_transfer(fd, FD_WRITE, &s);
}

ssize_t rg_pread(int fd, void *buf, size_t n, off_t off)
{
	sched_point();
	if (off < 0 || n == 0)
		return check_offset(fd, off);
	return read_buffer(fd, buf, n, (uint64_t)off);
}

ssize_t rg_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	int err = check_offset(fd, off);
	struct op_sqe s;

	sched_point();
	if (err || n == 0)
		return err;
	op_write(&s, fd, buf, n, (uint64_t)off);
	return opwait_fd_again(fd, FD_WRITE, &s);
}

ssize_t rg_preadv(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t ret = check_vector(v, n);

	sched_point();
	if (ret < 0)
		return ret;
	if (off < 0 || ret == 0)
		return check_offset(fd, off);
	return read_some(fd, v, n, (uint64_t)off, (size_t)ret);
}

ssize_t rg_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	ssize_t ret = check_vector(v, n);
	struct op_sqe s;
	int err;

	sched_point();
	err = ret < 0 ? (int)ret : check_offset(fd, off);
	if (err || ret == 0)
		return err;
	op_writev(&s, fd, v, (unsigned)n, (uint64_t)off);
	return opwait_fd_again(fd, FD_WRITE, &s);
}

ssize_t rg_read_full(int fd, void *buf, size_t n)
{
	char *p = buf;
	size_t done = 0;

	sched_point();
	if (n > SSIZE_MAX)
		return -EINVAL;
	if (n == 0)
		return empty_call(fd);
	while (done < n) {
		ssize_t ret = rg_read(fd, p + done, n - done);

		if (ret < 0)
			return ret;
		if (ret == 0)
			break;
		done += (size_t)ret;
	}
	return (ssize_t)done;
}

ssize_t rg_write_full(int fd, const void *buf, size_t n)
{
	const char *p = buf;
	size_t done = 0;

	sched_point();
	if (n > SSIZE_MAX)
		return -EINVAL;
	if (n == 0)
		return empty_call(fd);
	while (done < n) {
		ssize_t ret = rg_write(fd, p + done, n - done);

		if (ret < 0)
			return ret;
		if (ret == 0)
			return -EIO; /* takes nothing and says no reason */
		done += (size_t)ret;
	}
	return (ssize_t)done;
}

/* ---- I4 ---- */

enum { FIFO_WORKERS = 16 };
#define FIFO_PAUSE_MAX (16 * RG_MILLISECOND)

static _Atomic int fifo_workers; /* taken */

static bool take_worker(void)
{
	/* Relaxed: a number, which guards nothing. */
	if (atomic_fetch_add_explicit(&fifo_workers, 1, memory_order_relaxed) <
	    FIFO_WORKERS)
		return true;
	atomic_fetch_sub_explicit(&fifo_workers, 1, memory_order_relaxed);
	return false;
}

/* On a worker thread of the kernel, which waits as open(2) does. -EAGAIN: none is to be
 * had now. */
static int open_waiting(const struct op_sqe *s)
{
	struct op_sqe waits = *s;
	int ret;

	if (!take_worker())
		return -EAGAIN;
	waits.sqe.flags |= IOSQE_ASYNC;
	ret = opwait(&waits, 0);
	atomic_fetch_sub_explicit(&fifo_workers, 1, memory_order_relaxed);
	return ret;
}

/* Before another look: 0, or that the context has ended. */
static int fifo_pause(rg_duration *pause)
{
	int err = rg_sleep(*pause);

	if (*pause < FIFO_PAUSE_MAX)
		*pause *= 2;
	return err;
}

/* Nobody reads it yet. */
RG_COLD static int wait_for_reader(const struct op_sqe *s)
{
	rg_duration pause = RG_MILLISECOND;

	for (;;) {
		int ret = open_waiting(s), err;

		if (ret != -EAGAIN)
			return ret;
		err = fifo_pause(&pause);
		if (err)
			return err;
		ret = opwait(s, 0);
		if (ret != -ENXIO)
			return ret;
	}
}

/*
 * fd is what the ring gave for a FIFO opened for reading: without waiting for a writer
 * (I4). It keeps what a writer may send meanwhile, and is the one that is returned.
 */
RG_COLD static int wait_for_writer(int fd, const struct op_sqe *s)
{
	rg_duration pause = RG_MILLISECOND;
	int second = -EAGAIN;

	while (second == -EAGAIN) {
		if (fifo_has_met_writer(fd))
			return fd;
		second = open_waiting(s);
		if (second == -EAGAIN)
			second = fifo_pause(&pause) ?: -EAGAIN;
	}
	if (second < 0) {
		fdesc_close(fd);
		return second;
	}
	fdesc_close(second);
	return fd;
}

/* I4. The kernel's first attempt never waits, unless one of these says that it always
 * leaves the work to its worker threads; others never wait. */
static bool may_have_to_wait(int flags)
{
	return !(flags &
		 (O_NONBLOCK | O_CREAT | O_TRUNC | O_DIRECTORY | O_PATH)) &&
	       (flags & O_ACCMODE) != O_RDWR;
}

static int open_file(struct op_sqe *s, int flags)
{
	struct stat st;
	int ret = opwait(s, 0);

	if (!may_have_to_wait(flags))
		return ret;
	if (ret == -ENXIO && (flags & O_ACCMODE) == O_WRONLY)
		return wait_for_reader(s);
	if (ret >= 0 && (flags & O_ACCMODE) == O_RDONLY &&
	    fstat(ret, &st) == 0 && S_ISFIFO(st.st_mode))
		return wait_for_writer(ret, s);
	return ret;
}

int rg_openat(int dirfd, const char *path, int flags, ...)
{
	struct op_sqe s;
	mode_t mode = 0;
	int fd;

	sched_point();
	if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	op_openat(&s, dirfd, path, flags, mode);
	fd = open_file(&s, flags);
	if (fd >= 0)
		fdesc_forget(fd); /* its number was closed past rg_close */
	return fd;
}

int rg_close(int fd)
{
	sched_point();
	return fd < 0 ? -EBADF : fdesc_close(fd);
}

static int sync_file(int fd, bool data_only)
{
	struct op_sqe s;

	op_fsync(&s, fd, data_only);
	return opwait_fd(fd, FD_WRITE, &s);
}

int rg_fsync(int fd)
{
	sched_point();
	return sync_file(fd, false);
}

int rg_fdatasync(int fd)
{
	sched_point();
	return sync_file(fd, true);
}

/* Whether fd is ready at this moment: no need to park for that. */
static int poll_now(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	struct g *gp = getg();
	int err = gp && gp->token ? cancel_token_err(gp->token) : 0;
	int ret;

	if (err)
		return err;
	ret = poll(&p, 1, 0);
	if (ret < 0)
		return -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	return ret ? p.revents : -ETIMEDOUT;
}

int rg_poll(int fd, short events, rg_duration timeout)
{
	enum fd_dir dir =
		(events & (POLLIN | POLLOUT)) == POLLOUT ? FD_WRITE : FD_READ;
	struct op_sqe s;

	sched_point();
	if (fd < 0)
		return -EBADF;
	if (timeout == 0)
		return poll_now(fd, events);
	op_poll(&s, fd, (unsigned short)events);
	if (timeout < 0 || timeout == RG_FOREVER)
		return opwait_fd(fd, dir, &s);
	return opwait_fd_until(fd, dir, &s, timer_after(timeout));
}
