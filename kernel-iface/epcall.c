// SPDX-License-Identifier: MIT
/*
 * epcall - see epcall.h.
 *
 * Each opcode has a function that tries and, where it can come to that, one that is run
 * aside. Both look at op->ep.moved first: an operation is tried as often as its file
 * gets ready.
 */
#include "kernel-iface/epcall.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/fifo.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/probe.h"

/* Of phase. */
enum { CONNECTING = 1 };

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
		 uint64_t e)
{
	long ret = syscall(nr, a, b, c, d, e, 0);

	return ret < 0 ? -errno : ret;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static const struct io_uring_sqe *sqe_of(const struct op *op)
{
	return &op->ep.sqe->sqe;
}

static int wait_for(struct op *op, unsigned events)
{
	op->ep.mask = (uint16_t)events;
	return EPCALL_POLL;
}

/* ---- what a descriptor is ---- */

/* Of statx: S_IFMT, or a negative errno. */
static int kind_at(int dirfd, const char *path, unsigned flags)
{
	struct statx st;
	long err = call(SYS_statx, (uint64_t)dirfd, address(path), flags,
			STATX_TYPE, address(&st));

	return err ? (int)err : st.stx_mode & S_IFMT;
}

static int kind_of(int fd)
{
	return kind_at(fd, "", AT_EMPTY_PATH);
}

/* Reads and writes go on until everything is moved. */
static bool is_storage(int fd)
{
	int kind = kind_of(fd);

	return kind == S_IFREG || kind == S_IFBLK;
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;

	return !call(SYS_getsockopt, (uint64_t)fd, SOL_SOCKET, SO_TYPE,
		     address(&type), address(&len)) &&
	       type == SOCK_STREAM;
}

/* The events that are there now, or a negative errno. */
static int poll_now(int fd, unsigned events)
{
	struct pollfd p = {.fd = fd, .events = (short)events};
	struct timespec none = {0, 0};
	long ret;

	if (fd < 0)
		return -EBADF;
	ret = call(SYS_ppoll, address(&p), 1, address(&none), 0, 0);
	if (ret < 0)
		return (int)ret;
	if (p.revents & POLLNVAL)
		return -EBADF;
	return ret ? p.revents : 0;
}

/* ---- O_NONBLOCK for the time of a call ---- */

/* For all descriptors: two of them can be one open file. Held across calls that do not
 * wait; no other lock is taken meanwhile. */
static struct rtlock toggle_lock;

/* The former flags, or -1: nothing was changed. */
static long set_nonblock(int fd)
{
	long flags = call(SYS_fcntl, (uint64_t)fd, F_GETFL, 0, 0, 0);

	if (flags < 0 || flags & O_NONBLOCK)
		return -1;
	call(SYS_fcntl, (uint64_t)fd, F_SETFL, (uint64_t)(flags | O_NONBLOCK),
	     0, 0);
	return flags;
}

static void restore_flags(int fd, long former)
{
	if (former >= 0)
		call(SYS_fcntl, (uint64_t)fd, F_SETFL, (uint64_t)former, 0, 0);
}

/* ---- vectors ---- */

/*
 * What is left of n buffers after `done` bytes: *rest of them from where *first points,
 * which is *one when a buffer was moved in part, or when only `limit` bytes may be.
 */
static const struct iovec *vector_rest(const struct iovec *v, size_t n,
				       size_t done, size_t limit,
				       struct iovec *one, size_t *rest)
{
	while (n && done >= v->iov_len) {
		done -= v->iov_len;
		v++;
		n--;
	}
	if (!n || (!done && limit >= OP_IO_MAX)) {
		*rest = n;
		return v;
	}
	one->iov_base = (char *)v->iov_base + done;
	one->iov_len = v->iov_len - done;
	if (one->iov_len > limit)
		one->iov_len = limit;
	*rest = 1;
	return one;
}

static size_t vector_total(const struct iovec *v, size_t n)
{
	size_t total = 0;

	for (size_t i = 0; i < n && total < OP_IO_MAX; i++)
		total += v[i].iov_len;
	return total < OP_IO_MAX ? total : OP_IO_MAX;
}

/* ---- read and write ---- */

static bool is_write(const struct io_uring_sqe *s)
{
	return s->opcode == IORING_OP_WRITE || s->opcode == IORING_OP_WRITEV;
}

static bool is_vector(const struct io_uring_sqe *s)
{
	return s->opcode == IORING_OP_READV || s->opcode == IORING_OP_WRITEV;
}

/* The buffers as an array: the caller's, or whole, filled. */
static const struct iovec *buffers(const struct io_uring_sqe *s,
				   struct iovec *whole, size_t *n)
{
	if (is_vector(s)) {
		*n = s->len;
		return (const struct iovec *)(uintptr_t)s->addr;
	}
	whole->iov_base = (void *)(uintptr_t)s->addr;
	whole->iov_len = s->len;
	*n = 1;
	return whole;
}

static size_t wanted(const struct io_uring_sqe *s)
{
	struct iovec whole;
	size_t n;
	const struct iovec *v = buffers(s, &whole, &n);

	return vector_total(v, n);
}

/* One call from where it stands. */
static long transfer(struct op *op, size_t limit, unsigned flags)
{
	const struct io_uring_sqe *s = sqe_of(op);
	struct iovec whole, one;
	uint64_t off = s->off;
	size_t n;
	const struct iovec *v = buffers(s, &whole, &n);
	long ret;

	v = vector_rest(v, n, op->ep.moved, limit, &one, &n);
	if (off != OP_OFF_CURRENT)
		off += op->ep.moved;
	ret = syscall(is_write(s) ? SYS_pwritev2 : SYS_preadv2, s->fd, v, n,
		      off, 0, flags);
	return ret < 0 ? -errno : ret;
}

/* After one transfer: was that all? Files of storage go on after a part. */
static bool is_over(struct op *op, long ret, bool *is_file)
{
	op->ep.moved += (uint32_t)ret;
	if (!ret || op->ep.moved >= wanted(sqe_of(op)))
		return true;
	if (!*is_file)
		*is_file = is_storage(sqe_of(op)->fd);
	return !*is_file;
}

static int moved_or(const struct op *op, long err)
{
	return op->ep.moved ? (int)op->ep.moved : (int)err;
}

static unsigned direction(const struct io_uring_sqe *s)
{
	return is_write(s) ? POLLOUT : POLLIN;
}

/* read(2) on a socket, where the kernel knows no RWF_NOWAIT for it. */
static long socket_transfer(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	struct msghdr msg = {0};
	struct iovec whole, one;
	size_t n;
	const struct iovec *v = buffers(s, &whole, &n);

	msg.msg_iov = (struct iovec *)(uintptr_t)vector_rest(
		v, n, op->ep.moved, OP_IO_MAX, &one, &n);
	msg.msg_iovlen = n;
	return call(is_write(s) ? SYS_sendmsg : SYS_recvmsg, (uint64_t)s->fd,
		    address(&msg), MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
}

/* Without RWF_NOWAIT. */
static int rw_carefully(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	int kind = kind_of(s->fd), ready;
	long ret, flags;

	if (kind < 0)
		return kind;
	if (kind != S_IFSOCK) {
		if (kind == S_IFREG || kind == S_IFBLK || kind == S_IFDIR)
			return EPCALL_ASIDE;
		flags = call(SYS_fcntl, (uint64_t)s->fd, F_GETFL, 0, 0, 0);
		if (flags >= 0 && !(flags & O_NONBLOCK)) {
			ready = poll_now(s->fd, direction(s));
			return ready < 0 ? ready
			       : ready   ? EPCALL_ASIDE
					 : wait_for(op, direction(s));
		}
	}
	ret = kind == S_IFSOCK ? socket_transfer(op)
			       : transfer(op, OP_IO_MAX, 0);
	if (ret == -EAGAIN)
		return wait_for(op, direction(s));
	return (int)ret;
}

static int rw_try(struct op *op)
{
	bool is_file = false;
	long ret;

	do {
		ret = probe_has(PROBE_NOWAIT)
			      ? transfer(op, OP_IO_MAX, RWF_NOWAIT)
			      : -EOPNOTSUPP;
		if (ret == -EOPNOTSUPP || ret == -ENOSYS)
			return rw_carefully(op);
		/* A file that cannot be polled goes aside. */
		if (ret == -EAGAIN)
			return wait_for(op, direction(sqe_of(op)));
		if (ret < 0)
			return moved_or(op, ret);
	} while (!is_over(op, ret, &is_file));
	return (int)op->ep.moved;
}

static int rw_aside(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	bool is_file = is_storage(s->fd);
	size_t limit = is_file || !is_write(s) ? OP_IO_MAX : PIPE_BUF;
	long ret;

	do {
		ret = transfer(op, limit, 0);
		if (ret == -EAGAIN && !is_file)
			return wait_for(op, direction(s));
		if (ret < 0)
			return moved_or(op, ret);
	} while (!is_over(op, ret, &is_file));
	return (int)op->ep.moved;
}

/* ---- sockets ---- */

/* What readiness a receive or a send waits for. */
static unsigned socket_events(const struct io_uring_sqe *s)
{
	if (s->opcode == IORING_OP_SEND || s->opcode == IORING_OP_SENDMSG)
		return POLLOUT;
	if (s->msg_flags & MSG_ERRQUEUE)
		return POLLERR;
	return POLLIN;
}

static bool goes_on_after_part(const struct io_uring_sqe *s)
{
	return (s->msg_flags & (MSG_WAITALL | MSG_PEEK | MSG_TRUNC)) ==
		       MSG_WAITALL &&
	       is_stream(s->fd);
}

/* The verdict on one call's result, unless *again: once more. */
static int socket_verdict(struct op *op, long ret, size_t total, bool *again)
{
	const struct io_uring_sqe *s = sqe_of(op);

	*again = false;
	if (ret == -EAGAIN && !(s->msg_flags & MSG_DONTWAIT))
		return wait_for(op, socket_events(s));
	if (ret < 0)
		return moved_or(op, ret);
	op->ep.moved += (uint32_t)ret;
	*again = ret && op->ep.moved < total && goes_on_after_part(s);
	return (int)op->ep.moved;
}

/* MSG_WAITALL is done here: with MSG_DONTWAIT the kernel may give a part. */
static uint64_t socket_flags(const struct io_uring_sqe *s)
{
	return (s->msg_flags & ~(unsigned)MSG_WAITALL) | MSG_DONTWAIT |
	       MSG_NOSIGNAL;
}

static int plain_try(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	long nr = s->opcode == IORING_OP_SEND ? SYS_sendto : SYS_recvfrom;
	bool again;
	int res;

	do {
		long ret = syscall(nr, s->fd, s->addr + op->ep.moved,
				   (size_t)s->len - op->ep.moved,
				   socket_flags(s), NULL, 0);

		res = socket_verdict(op, ret < 0 ? -errno : ret, s->len,
				     &again);
	} while (again);
	return res;
}

static int message_try(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	struct msghdr *msg = (void *)(uintptr_t)s->addr;
	long nr = s->opcode == IORING_OP_SENDMSG ? SYS_sendmsg : SYS_recvmsg;
	struct msghdr part;
	struct iovec one;
	size_t total = 0, n;
	bool again;
	int res;

	do {
		struct msghdr *used = msg;
		long ret;

		if (op->ep.moved) {
			/* The name and control data went with the first. */
			part = (struct msghdr){0};
			if (nr == SYS_sendmsg) {
				part.msg_name = msg->msg_name;
				part.msg_namelen = msg->msg_namelen;
			}
			part.msg_iov = (struct iovec *)(uintptr_t)vector_rest(
				msg->msg_iov, msg->msg_iovlen, op->ep.moved,
				OP_IO_MAX, &one, &n);
			part.msg_iovlen = n;
			used = &part;
		}
		ret = call(nr, (uint64_t)s->fd, address(used), socket_flags(s),
			   0, 0);
		/* The kernel took it, so it can be read. */
		if (ret > 0 && s->msg_flags & MSG_WAITALL)
			total = vector_total(msg->msg_iov, msg->msg_iovlen);
		res = socket_verdict(op, ret, total, &again);
	} while (again);
	return res;
}

static int accept_try(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	long ret;

	set_nonblock(s->fd);
	ret = call(SYS_accept4, (uint64_t)s->fd, s->addr, s->addr2,
		   s->accept_flags, 0);
	return ret == -EAGAIN ? wait_for(op, POLLIN) : (int)ret;
}

static long connect_now(const struct io_uring_sqe *s)
{
	long ret, former;

	rtlock_lock(&toggle_lock);
	former = set_nonblock(s->fd);
	ret = call(SYS_connect, (uint64_t)s->fd, s->addr, s->addr2, 0, 0);
	restore_flags(s->fd, former);
	rtlock_unlock(&toggle_lock);
	return ret;
}

/* The second call, not SO_ERROR, tells what became of the first: only that lets the
 * socket connect once more after a failure. */
static int connect_try(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	const struct sockaddr *to = (const void *)(uintptr_t)s->addr;
	bool is_begun = op->ep.phase == CONNECTING;
	long ret = connect_now(s);

	/* The listener's queue is full; the kernel read the address. */
	if (ret == -EAGAIN && to->sa_family == AF_UNIX)
		return EPCALL_LATER;
	if (ret == -EINPROGRESS || (is_begun && ret == -EALREADY)) {
		op->ep.phase = CONNECTING;
		return wait_for(op, POLLOUT);
	}
	return is_begun && ret == -EISCONN ? 0 : (int)ret;
}

static int poll_try(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	int ready = poll_now(s->fd, s->poll32_events & 0xffff);

	return ready ? ready : wait_for(op, s->poll32_events & 0xffff);
}

/* ---- splice and tee ---- */

static bool may_be_spliced_here(int kind)
{
	return kind == S_IFIFO || kind == S_IFSOCK;
}

static int splice_call(const struct io_uring_sqe *s)
{
	int64_t off_in = (int64_t)s->splice_off_in, off_out = (int64_t)s->off;
	long ret;

	if (s->opcode == IORING_OP_TEE)
		return (int)call(SYS_tee, (uint64_t)s->splice_fd_in,
				 (uint64_t)s->fd, s->len, s->splice_flags, 0);
	ret = syscall(SYS_splice, s->splice_fd_in, off_in < 0 ? NULL : &off_in,
		      s->fd, off_out < 0 ? NULL : &off_out, (size_t)s->len,
		      s->splice_flags);
	return ret < 0 ? -errno : (int)ret;
}

/* The callers' flags say that pipes do not wait. */
static int splice_try(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	int in = kind_of(s->splice_fd_in), out = kind_of(s->fd), fd, ret;
	long former;

	if (in < 0 || out < 0)
		return in < 0 ? in : out;
	if (!may_be_spliced_here(in) || !may_be_spliced_here(out))
		return EPCALL_ASIDE;
	fd = in == S_IFSOCK ? s->splice_fd_in : s->fd;
	if (in == out)
		return splice_call(s);
	rtlock_lock(&toggle_lock);
	former = set_nonblock(fd);
	ret = splice_call(s);
	restore_flags(fd, former);
	rtlock_unlock(&toggle_lock);
	return ret;
}

/* ---- open and close ---- */

static long open_with(const struct io_uring_sqe *s, unsigned more)
{
	return call(SYS_openat, (uint64_t)s->fd, s->addr, s->open_flags | more,
		    s->len, 0);
}

static int as_asked(const struct io_uring_sqe *s, int fd)
{
	long flags = call(SYS_fcntl, (uint64_t)fd, F_GETFL, 0, 0, 0);

	if (flags >= 0 && !(s->open_flags & O_NONBLOCK))
		call(SYS_fcntl, (uint64_t)fd, F_SETFL,
		     (uint64_t)flags & ~(uint64_t)O_NONBLOCK, 0, 0);
	return fd;
}

/* waits: as open(2) does, for the other side. */
static int open_fifo(struct op *op, bool waits)
{
	const struct io_uring_sqe *s = sqe_of(op);
	int fd = op->ep.kept_fd;

	if (fd < 0)
		fd = (int)open_with(s, O_NONBLOCK);
	if (fd == -ENXIO && waits)
		return EPCALL_LATER;
	if (fd < 0)
		return fd;
	op->ep.kept_fd = fd;
	if (waits && (s->open_flags & O_ACCMODE) == O_RDONLY &&
	    !fifo_has_met_writer(fd))
		return EPCALL_LATER;
	op->ep.kept_fd = -1;
	return as_asked(s, fd);
}

/* As a ring opens: the first attempt never waits, unless the flags keep it from being
 * made at all (rawio.c's I4). */
static int open_aside(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);
	unsigned flags = s->open_flags;
	bool waits = (s->flags & IOSQE_ASYNC) || (flags & (O_CREAT | O_TRUNC));

	if (!(flags & (O_NONBLOCK | O_DIRECTORY | O_PATH)) &&
	    (flags & O_ACCMODE) != O_RDWR &&
	    (op->ep.kept_fd >= 0 ||
	     kind_at(s->fd, (const char *)(uintptr_t)s->addr,
		     flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) == S_IFIFO))
		return open_fifo(op, waits);
	return (int)open_with(s, 0);
}

/* Only what is known not to wait: a socket without SO_LINGER's time, a pipe. */
static int close_try(struct op *op)
{
	int fd = sqe_of(op)->fd;
	struct linger l = {0};
	socklen_t len = sizeof l;
	long ret = call(SYS_getsockopt, (uint64_t)fd, SOL_SOCKET, SO_LINGER,
			address(&l), address(&len));

	if (ret ? kind_of(fd) == S_IFIFO : !l.l_onoff || !l.l_linger)
		return (int)call(SYS_close, (uint64_t)fd, 0, 0, 0, 0);
	return EPCALL_ASIDE;
}

/* ---- what only a helper thread does ---- */

static int file_aside(const struct io_uring_sqe *s)
{
	uint64_t fd = (uint64_t)s->fd;

	switch (s->opcode) {
	case IORING_OP_FSYNC:
		return (int)call(s->fsync_flags & IORING_FSYNC_DATASYNC
					 ? SYS_fdatasync
					 : SYS_fsync,
				 fd, 0, 0, 0, 0);
	case IORING_OP_CLOSE:
		return (int)call(SYS_close, fd, 0, 0, 0, 0);
	case IORING_OP_FALLOCATE:
		return (int)call(SYS_fallocate, fd, s->len, s->off, s->addr, 0);
	case RGK_OP_FTRUNCATE:
		return (int)call(SYS_ftruncate, fd, s->off, 0, 0, 0);
	case IORING_OP_FADVISE:
		return (int)call(SYS_fadvise64, fd, s->off, s->len,
				 s->fadvise_advice, 0);
	case IORING_OP_MADVISE:
		return (int)call(SYS_madvise, s->addr, s->len,
				 s->fadvise_advice, 0, 0);
	case IORING_OP_STATX:
		return (int)call(SYS_statx, fd, s->addr, s->statx_flags, s->len,
				 s->off);
	case IORING_OP_UNLINKAT:
		return (int)call(SYS_unlinkat, fd, s->addr, s->unlink_flags, 0,
				 0);
	case IORING_OP_RENAMEAT:
		return (int)call(SYS_renameat2, fd, s->addr, s->len, s->off,
				 s->rename_flags);
	case IORING_OP_MKDIRAT:
		return (int)call(SYS_mkdirat, fd, s->addr, s->len, 0, 0);
	case IORING_OP_LINKAT:
		return (int)call(SYS_linkat, fd, s->addr, s->len, s->off,
				 s->hardlink_flags);
	case IORING_OP_SYMLINKAT:
		return (int)call(SYS_symlinkat, s->addr, fd, s->off, 0, 0);
	default:
		return -EINVAL;
	}
}

int epcall_aside(struct op *op)
{
	const struct io_uring_sqe *s = sqe_of(op);

	switch (s->opcode) {
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
		return rw_aside(op);
	case IORING_OP_OPENAT:
		return open_aside(op);
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		return splice_call(s);
	default:
		return file_aside(s);
	}
}

/* ---- the table ---- */

int epcall_try(struct op *op)
{
	switch (sqe_of(op)->opcode) {
	case IORING_OP_NOP:
		return 0;
	case IORING_OP_RECV:
	case IORING_OP_SEND:
		return plain_try(op);
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
		return message_try(op);
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
		return rw_try(op);
	case IORING_OP_ACCEPT:
		return accept_try(op);
	case IORING_OP_CONNECT:
		return connect_try(op);
	case IORING_OP_POLL_ADD:
		return poll_try(op);
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		return splice_try(op);
	case IORING_OP_CLOSE:
		return close_try(op);
	default:
		return EPCALL_ASIDE;
	}
}

bool epcall_is_ready(const struct op *op)
{
	return poll_now(sqe_of(op)->fd, op->ep.mask) != 0;
}

int epcall_cancelled(struct op *op)
{
	if (op->ep.kept_fd >= 0)
		call(SYS_close, (uint64_t)op->ep.kept_fd, 0, 0, 0, 0);
	op->ep.kept_fd = -1;
	return moved_or(op, -ECANCELED);
}
