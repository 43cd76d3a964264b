// SPDX-License-Identifier: MIT
/*
 * fdpass - descriptors that travel with the bytes of a unix connection.
 *
 *   I1  every descriptor that the kernel has given to the process is the caller's or is
 *       closed: there is room for as many as one message can carry.
 *   I2  descriptors go with the first byte of a write; the rest of it follows without
 *       them.
 * Only plain connections of AF_UNIX: other families ignore SCM_RIGHTS without a word.
 *
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/net.h>

#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-iface/op_net.h"
#include "net/conn.h"
#include "sched/opwait.h"
#include "sched/point.h"

static_assert(RG_CONN_FDS_MAX == 253, "SCM_MAX_FD of Linux");

union control {
	struct cmsghdr align;
	/* and the sender's credentials, should the program have asked for them */
	char space[CMSG_SPACE(RG_CONN_FDS_MAX * sizeof(int)) +
		   CMSG_SPACE(sizeof(struct ucred))];
};

/* A call is in progress. */
static int check_family(const struct rg_conn *c)
{
	socklen_t len = sizeof(int);
	int domain = 0;

	if (!conn_is_stream(c))
		return -EOPNOTSUPP;
	if (getsockopt(c->nf.fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return -errno;
	return domain == AF_UNIX ? 0 : -EOPNOTSUPP;
}

/* ---- writing ------------------------------------------------------------ */

static ssize_t send_first(struct rg_conn *c, const void *buf, size_t n,
			  const int *fds, int n_fds)
{
	struct iovec v = {(void *)(uintptr_t)buf, n};
	size_t size = (size_t)n_fds * sizeof(int);
	union control u;
	struct msghdr msg = {.msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = u.space,
			     .msg_controllen = CMSG_SPACE(size)};
	struct cmsghdr *h = &u.align; /* the first one */
	struct op_sqe s;

	memset(&u, 0, sizeof(u));
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(h), fds, size);
	op_sendmsg(&s, c->nf.fd, &msg, MSG_NOSIGNAL);
	return opwait_fd_again(c->nf.fd, FD_WRITE, &s);
}

static ssize_t write_locked(struct rg_conn *c, const void *buf, size_t n,
			    const int *fds, int n_fds)
{
	ssize_t done = check_family(c), ret;

	if (!done)
		done = send_first(c, buf, n, fds, n_fds);
	if (done < 0 || (size_t)done == n)
		return done;
	ret = c->ops->write(c, (const char *)buf + done, n - (size_t)done,
			    false);
	return ret < 0 ? ret : (ssize_t)n;
}

ssize_t rg_conn_write_fds(rg_conn *c, const void *buf, size_t n, const int *fds,
			  int n_fds)
{
	ssize_t ret;

	sched_point();
	if (n == 0 || n > SSIZE_MAX || n_fds < 1 || n_fds > RG_CONN_FDS_MAX)
		return -EINVAL;
	ret = netfd_lock(&c->nf, FD_WRITE);
	if (ret)
		return ret;
	ret = write_locked(c, buf, n, fds, n_fds);
	netfd_unlock(&c->nf, FD_WRITE);
	return ret;
}

/* ---- reading ------------------------------------------------------------ */

/* I1. What has no room in fds, or is not all that was sent, is closed. */
static int deliver(struct cmsghdr *h, int *fds, int room, bool is_cut)
{
	int n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));

	for (int i = 0; i < n; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(h) + (size_t)i * sizeof(int), sizeof(fd));
		if (is_cut || i >= room)
			close(fd);
		else
			fds[i] = fd;
	}
	return n;
}

static ssize_t read_locked(struct rg_conn *c, void *buf, size_t n, int *fds,
			   int *n_fds)
{
	struct iovec v = {buf, n};
	union control u;
	struct msghdr msg = {.msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = u.space,
			     .msg_controllen = sizeof(u.space)};
	int room = *n_fds;
	struct op_sqe s;
	ssize_t ret = check_family(c);
	bool is_cut;

	if (ret)
		return ret;
	op_recvmsg(&s, c->nf.fd, &msg, MSG_CMSG_CLOEXEC);
	ret = opwait_fd_again(c->nf.fd, FD_READ, &s);
	if (ret < 0)
		return ret;
	is_cut = msg.msg_flags & MSG_CTRUNC;
	*n_fds = 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h;
	     h = CMSG_NXTHDR(&msg, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			*n_fds = deliver(h, fds, room, is_cut);
	}
	if (is_cut)
		*n_fds = -EMFILE;
	return ret;
}

ssize_t rg_conn_read_fds(rg_conn *c, void *buf, size_t n, int *fds, int *n_fds)
{
	ssize_t ret;

	sched_point();
	if (n == 0 || *n_fds < 0)
		return -EINVAL;
	ret = netfd_lock(&c->nf, FD_READ);
	if (ret)
		return ret;
	ret = read_locked(c, buf, n, fds, n_fds);
	netfd_unlock(&c->nf, FD_READ);
	return ret;
}
