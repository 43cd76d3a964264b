// SPDX-License-Identifier: MIT
/*
 * splice - bytes from one descriptor to another inside the kernel: rg_splice, rg_tee,
 * rg_sendfile.
 *
 *   I1  the operation is started when both sides are ready: the kernel gives it to a
 *       worker thread, which would be kept by a side that is not. Waiting is a poll,
 *       so that either side's close, deadline and the bound context end it. Where
 *       somebody else was faster, a pipe says -EAGAIN and we wait again; a socket makes
 *       the worker wait, which a close of that socket ends as well.
 *   I2  sendfile reads at an offset of its own and moves the caller's, or the file's
 *       position, by what has left the pipe in between: what a failure leaves in the
 *       pipe was never taken from anybody.
 *   I3  the pipe of a sendfile is its own and is closed before it returns.
 * Rejected: pipes kept for the next sendfile (descriptors that the program did not
 * open, for the price of two system calls in a copy of 64 KiB and more).
 *
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/file.h>
#include <ringgo/runtime.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-iface/op_file.h"
#include "kernel-iface/op_wait.h"
#include "sched/opwait.h"
#include "sched/point.h"

#define PIPE_SIZE_WANTED (256 * 1024)

/* ---- waiting for both sides --------------------------------------------- */

static int wait_for(int fd, enum fd_dir dir)
{
	struct op_sqe s;
	int ret;

	op_poll(&s, fd, dir == FD_READ ? POLLIN : POLLOUT);
	ret = opwait_fd(fd, dir, &s);
	return ret < 0 ? ret : 0;
}

/* I1. 0: both are ready, or have failed in a way that the operation will tell. */
static int wait_for_both(int fd_in, int fd_out, bool may_wait)
{
	struct pollfd p[2] = {{.fd = fd_in, .events = POLLIN},
			      {.fd = fd_out, .events = POLLOUT}};

	for (;;) {
		int err;

		if (poll(p, 2, 0) < 0)
			return -errno;
		if ((p[0].revents | p[1].revents) & POLLNVAL)
			return -EBADF;
		if (p[0].revents && p[1].revents)
			return 0;
		if (!may_wait)
			return -EAGAIN;
		err = p[0].revents ? wait_for(fd_out, FD_WRITE)
				   : wait_for(fd_in, FD_READ);
		if (err)
			return err;
	}
}

static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* s moves bytes from fd_in to fd_out and never waits for a pipe. */
static ssize_t move(const struct op_sqe *s, int fd_in, int fd_out,
		    bool may_wait)
{
	for (;;) {
		int err;
		ssize_t ret;

		if (fd_in < 0 || fd_out < 0)
			return -EBADF;
		err = wait_for_both(fd_in, fd_out, may_wait);
		if (err)
			return err;
		/* Bound to the side that can make the worker wait. */
		ret = is_pipe(fd_in) ? opwait_fd(fd_out, FD_WRITE, s)
				     : opwait_fd(fd_in, FD_READ, s);
		if (ret != -EAGAIN || !may_wait)
			return ret;
	}
}

/* ---- splice and tee ----------------------------------------------------- */

ssize_t rg_splice(int fd_in, off_t *off_in, int fd_out, off_t *off_out,
		  size_t len, unsigned flags)
{
	struct op_sqe s;
	ssize_t ret;

	sched_point();
	if ((off_in && *off_in < 0) || (off_out && *off_out < 0))
		return -EINVAL;
	if (len == 0)
		return fd_in < 0 || fd_out < 0 ? -EBADF : 0;
	op_splice(&s, fd_in, off_in ? (uint64_t)*off_in : OP_OFF_CURRENT,
		  fd_out, off_out ? (uint64_t)*off_out : OP_OFF_CURRENT,
		  op_io_len(len), flags | SPLICE_F_NONBLOCK);
	ret = move(&s, fd_in, fd_out, !(flags & SPLICE_F_NONBLOCK));
	if (ret > 0 && off_in)
		*off_in += ret;
	if (ret > 0 && off_out)
		*off_out += ret;
	return ret;
}

ssize_t rg_tee(int fd_in, int fd_out, size_t len, unsigned flags)
{
	struct op_sqe s;

	sched_point();
	if (len == 0)
		return fd_in < 0 || fd_out < 0 ? -EBADF : 0;
	op_tee(&s, fd_in, fd_out, op_io_len(len), flags | SPLICE_F_NONBLOCK);
	return move(&s, fd_in, fd_out, !(flags & SPLICE_F_NONBLOCK));
}

/* ---- sendfile ----------------------------------------------------------- */

/* What is in the pipe goes to fd_out. How much did, and in *err what ended it. */
static size_t drain(int pipe_out, int fd_out, size_t n, int *err)
{
	size_t done = 0;

	*err = 0;
	while (done < n) {
		ssize_t ret =
			rg_splice(pipe_out, NULL, fd_out, NULL, n - done, 0);

		if (ret <= 0) {
			*err = ret ? (int)ret : -EIO;
			break;
		}
		done += (size_t)ret;
	}
	return done;
}

/* From *off, through the pipe. What was sent; a failure after some were is left for
 * the next call. */
static ssize_t copy_through(const int pipe_fds[2], int fd_out, int fd_in,
			    off_t *off, size_t n)
{
	size_t done = 0;
	int err = 0;

	while (done < n && !err) {
		off_t at = *off;
		ssize_t got =
			rg_splice(fd_in, &at, pipe_fds[1], NULL, n - done, 0);
		size_t sent;

		if (got <= 0) {
			err = (int)got;
			break; /* the end of the file, or its failure */
		}
		sent = drain(pipe_fds[0], fd_out, (size_t)got, &err);
		*off += (off_t)sent; /* I2 */
		done += sent;
	}
	return done ? (ssize_t)done : err;
}

static ssize_t send_from(int fd_out, int fd_in, off_t *off, size_t n)
{
	int fds[2];
	ssize_t ret;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	/* A larger one costs fewer rounds; it may be refused. */
	if (n > PIPE_SIZE_WANTED / 4)
		(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE_WANTED);
	ret = copy_through(fds, fd_out, fd_in, off, n);
	close(fds[0]);
	close(fds[1]);
	return ret;
}

ssize_t rg_sendfile(int fd_out, int fd_in, off_t *off, size_t n)
{
	ssize_t ret;
	off_t own;

	sched_point();
	own = lseek(fd_in, 0, SEEK_CUR);
	if (own < 0)
		return errno == ESPIPE ? -EINVAL : -errno;
	if (off && *off < 0)
		return -EINVAL;
	if (n == 0)
		return fcntl(fd_out, F_GETFD) < 0 ? -EBADF : 0;
	ret = send_from(fd_out, fd_in, off ? off : &own, n);
	if (ret > 0 && !off && lseek(fd_in, own, SEEK_SET) < 0)
		return -errno;
	return ret;
}
