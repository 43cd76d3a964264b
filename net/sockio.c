// SPDX-License-Identifier: MIT
/*
 * sockio - sockets by their number: rg_socket ... rg_shutdown.
 *
 *   I1  one call is one operation; -EAGAIN without MSG_DONTWAIT (the kernel gave up
 *       waiting by itself) becomes a poll and another try.
 *   I2  sends never raise SIGPIPE.
 *   I3  on streams the kernel goes on after a short send (MSG_WAITALL). Not with
 *       control data: before Linux 6.8 what was sent once more took it along again.
 * A message's name and buffers are those of the caller; where POSIX's call has no
 * msghdr, it lives in our frame, which is parked until the operation is over.
 *
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/socket.h>

#include <unistd.h>

#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/op_net.h"
#include "net/dgram.h"
#include "sched/cancel.h"
#include "sched/g.h"
#include "sched/opwait.h"
#include "sched/point.h"

/* I1 */
static int run(int fd, enum fd_dir dir, const struct op_sqe *s, int flags)
{
	return flags & MSG_DONTWAIT ? opwait_fd(fd, dir, s)
				    : opwait_fd_again(fd, dir, s);
}

int rg_socket(int domain, int type, int protocol)
{
	struct g *gp = getg();
	int err, fd;

	sched_point();
	err = gp && gp->token ? cancel_token_err(gp->token) : 0;
	if (err)
		return err;
	/* The ring closes it, which ThreadSanitizer does not see. */
	san_quiet_begin();
	fd = socket(domain, type, protocol);
	san_quiet_end();
	return fd < 0 ? -errno : fd;
}

int rg_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct op_sqe s;

	sched_point();
	op_connect(&s, fd, addr, len);
	return opwait_fd(fd, FD_WRITE, &s);
}

int rg_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct op_sqe s;

	sched_point();
	op_accept(&s, fd, addr, len, flags);
	return run(fd, FD_READ, &s, 0);
}

ssize_t rg_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct op_sqe s;

	sched_point();
	op_recvmsg(&s, fd, msg, (unsigned)flags);
	return run(fd, FD_READ, &s, flags);
}

ssize_t rg_recvfrom(int fd, void *buf, size_t n, int flags,
		    struct sockaddr *from, socklen_t *from_len)
{
	struct iovec v = {buf, n};
	struct msghdr msg = {.msg_name = from, .msg_iov = &v, .msg_iovlen = 1};
	struct op_sqe s;
	ssize_t ret;

	sched_point();
	if (!from) {
		op_recv(&s, fd, buf, n, flags);
		return run(fd, FD_READ, &s, flags);
	}
	if (!from_len)
		return -EFAULT;
	msg.msg_namelen = *from_len;
	ret = rg_recvmsg(fd, &msg, flags);
	if (ret >= 0)
		*from_len = msg.msg_namelen;
	return ret;
}

static bool is_stream(int fd)
{
	socklen_t len = sizeof(int);
	int type = 0;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_STREAM;
}

/* How the operation is to be sent: its flags, from the caller's. */
static int send_flags(int fd, int flags, bool has_control)
{
	flags |= MSG_NOSIGNAL; /* I2 */
	if (!is_stream(fd))
		return flags | MSG_DONTWAIT; /* dgram.h says why */
	if (flags & MSG_DONTWAIT || has_control)
		return flags;
	return flags | MSG_WAITALL; /* I3 */
}

static ssize_t send_by(int fd, const struct op_sqe *s, int asked, int used)
{
	if (used & MSG_DONTWAIT && !(asked & MSG_DONTWAIT))
		return dgram_send(fd, s);
	return run(fd, FD_WRITE, s, used);
}

ssize_t rg_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	bool has_control = msg && msg->msg_controllen > 0;
	int used = send_flags(fd, flags, has_control);
	struct op_sqe s;

	sched_point();
	op_sendmsg(&s, fd, (struct msghdr *)(uintptr_t)msg, (unsigned)used);
	return send_by(fd, &s, flags, used);
}

ssize_t rg_sendto(int fd, const void *buf, size_t n, int flags,
		  const struct sockaddr *to, socklen_t to_len)
{
	struct iovec v = {(void *)(uintptr_t)buf, n};
	const struct msghdr msg = {.msg_name = (void *)(uintptr_t)to,
				   .msg_namelen = to_len,
				   .msg_iov = &v,
				   .msg_iovlen = 1};
	struct op_sqe s;
	int used;

	sched_point();
	if (to)
		return rg_sendmsg(fd, &msg, flags);
	used = send_flags(fd, flags, false);
	op_send(&s, fd, buf, n, used);
	return send_by(fd, &s, flags, used);
}

int rg_shutdown(int fd, int how)
{
	sched_point();
	/* In place: it does not block, and the ring starts a thread for it. */
	return shutdown(fd, how) == 0 ? 0 : -errno;
}
