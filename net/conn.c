// SPDX-License-Identifier: MIT
/*
 * conn - a stream connection; see the header.
 *
 * Sockets are in blocking mode: the ring parks on a socket that is not ready, whatever
 * O_NONBLOCK says. One operation is one submission; sends carry MSG_WAITALL, so that the
 * kernel itself goes on after a short send (Linux 5.19), and the loop here is for what
 * was cut short by a signal, a cancellation or the limit of one operation.
 */
#include "net/conn.h"

#include <limits.h>
#include <string.h>
#include <sys/uio.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/op_net.h"
#include "sched/opwait.h"
#include "sched/point.h"

#define BOTH_DIRS (1u << FD_READ | 1u << FD_WRITE)

/* ---- the plain stream --------------------------------------------------- */

static ssize_t stream_read(struct rg_conn *c, void *buf, size_t n)
{
	struct op_sqe s;

	op_recv(&s, c->nf.fd, buf, n, 0);
	return opwait_fd_again(c->nf.fd, FD_READ, &s);
}

static ssize_t stream_write(struct rg_conn *c, const void *buf, size_t n,
			    bool some)
{
	const char *p = buf;
	size_t done = 0;
	struct op_sqe s;

	while (done < n) {
		int ret;

		op_send(&s, c->nf.fd, p + done, n - done,
			some ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_WAITALL);
		ret = opwait_fd_again(c->nf.fd, FD_WRITE, &s);
		if (ret < 0)
			return ret;
		done += (size_t)ret;
		if (some)
			break;
	}
	return (ssize_t)done;
}

/* Whole buffers as many as one sendmsg takes; what it left of a buffer is sent by
 * itself, so the caller's vector is never copied nor changed. */
static ssize_t stream_writev(struct rg_conn *c, const struct iovec *v, int n,
			     size_t total)
{
	size_t done = 0;

	while (done < total) {
		struct msghdr msg = {
			.msg_iov = (struct iovec *)(uintptr_t)v,
			.msg_iovlen = (size_t)(n < IOV_MAX ? n : IOV_MAX)};
		struct op_sqe s;
		size_t left;
		int ret;

		op_sendmsg(&s, c->nf.fd, &msg, MSG_NOSIGNAL | MSG_WAITALL);
		ret = opwait_fd_again(c->nf.fd, FD_WRITE, &s);
		if (ret < 0)
			return ret;
		done += (size_t)ret;
		left = (size_t)ret;
		for (; n > 0 && left >= v->iov_len; v++, n--)
			left -= v->iov_len;
		if (left > 0) {
			size_t rest = v->iov_len - left;
			ssize_t sent = stream_write(
				c, (const char *)v->iov_base + left, rest,
				false);

			if (sent < 0)
				return sent;
			done += rest;
			v++;
			n--;
		}
	}
	return (ssize_t)done;
}

static int stream_close_write(struct rg_conn *c)
{
	/* Directly: shutdown of a stream socket does not block, and the ring
	 * would start a kernel thread for it. */
	return shutdown(c->nf.fd, SHUT_WR) == 0 ? 0 : -errno;
}

static int stream_set_deadline(struct rg_conn *c, unsigned dirs, rg_time t)
{
	return fdesc_set_deadline(c->nf.fd, dirs, t);
}

static int stream_close(struct rg_conn *c)
{
	return fdesc_close(c->nf.fd);
}

static void stream_free(struct rg_conn *c)
{
	rgk_free(c);
}

static const struct conn_ops stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.writev = stream_writev,
	.close_write = stream_close_write,
	.set_deadline = stream_set_deadline,
	.close = stream_close,
	.free = stream_free,
};

/* ---- life --------------------------------------------------------------- */

static struct rg_conn *conn_of(struct netfd *nf)
{
	return container_of(nf, struct rg_conn, nf);
}

/* No reference and no call is left. */
static void conn_release(struct netfd *nf)
{
	struct rg_conn *c = conn_of(nf);

	if (!netfd_is_shut(nf))
		(void)c->ops->close(c);
	/* Relaxed: netfd's counts order everything before the release. */
	rgk_free(atomic_load_explicit(&c->local_text, memory_order_relaxed));
	rgk_free(atomic_load_explicit(&c->remote_text, memory_order_relaxed));
	c->ops->free(c);
}

void conn_init(struct rg_conn *c, int fd, const struct conn_ops *ops)
{
	memset(c, 0, sizeof(*c));
	netfd_init(&c->nf, fd, conn_release);
	c->ops = ops;
}

struct rg_conn *conn_alloc(void)
{
	return rgk_alloc(sizeof(struct rg_conn));
}

void conn_adopt(struct rg_conn *c, int fd, const union addr_ip *peer,
		socklen_t peer_len)
{
	conn_init(c, fd, &stream_ops);
	if (peer && peer_len >= sizeof(peer->in) && peer_len <= sizeof(*peer)) {
		memcpy(&c->remote, peer, peer_len);
		c->remote_len = peer_len;
	}
}

bool conn_is_stream(const struct rg_conn *c)
{
	return c->ops == &stream_ops;
}

void conn_discard(struct rg_conn *c)
{
	rgk_free(c);
}

rg_conn *rg_conn_ref(rg_conn *c)
{
	if (c)
		netfd_ref(&c->nf);
	return c;
}

void rg_conn_unref(rg_conn *c)
{
	if (c)
		netfd_unref(&c->nf);
}

int rg_conn_close(rg_conn *c)
{
	int err;

	sched_point();
	if (!c)
		return -EINVAL;
	err = netfd_shut(&c->nf);
	if (!err)
		err = c->ops->close(c);
	netfd_unref(&c->nf);
	return err;
}

/* ---- reading and writing ------------------------------------------------ */

/* A call that moves no byte: does not park. */
static int empty_call(const rg_conn *c)
{
	return netfd_is_shut(&c->nf) ? -ECANCELED : 0;
}

ssize_t rg_conn_read(rg_conn *c, void *buf, size_t n)
{
	ssize_t ret;

	sched_point();
	if (n == 0)
		return empty_call(c);
	ret = netfd_lock(&c->nf, FD_READ);
	if (ret)
		return ret;
	ret = c->ops->read(c, buf, n);
	netfd_unlock(&c->nf, FD_READ);
	return ret;
}

static ssize_t write_bytes(rg_conn *c, const void *buf, size_t n, bool some)
{
	ssize_t ret;

	if (n == 0)
		return empty_call(c);
	if (n > SSIZE_MAX)
		return -EINVAL;
	ret = netfd_lock(&c->nf, FD_WRITE);
	if (ret)
		return ret;
	ret = c->ops->write(c, buf, n, some);
	netfd_unlock(&c->nf, FD_WRITE);
	return ret;
}

ssize_t rg_conn_write(rg_conn *c, const void *buf, size_t n)
{
	sched_point();
	return write_bytes(c, buf, n, false);
}

ssize_t rg_conn_write_some(rg_conn *c, const void *buf, size_t n)
{
	sched_point();
	return write_bytes(c, buf, n, true);
}

ssize_t rg_conn_writev(rg_conn *c, const struct iovec *v, int n)
{
	size_t total = 0;
	ssize_t ret;

	sched_point();
	if (n < 0)
		return -EINVAL;
	for (int i = 0; i < n; i++) {
		if (v[i].iov_len > (size_t)SSIZE_MAX - total)
			return -EINVAL;
		total += v[i].iov_len;
	}
	if (total == 0)
		return empty_call(c);
	ret = netfd_lock(&c->nf, FD_WRITE);
	if (ret)
		return ret;
	ret = c->ops->writev(c, v, n, total);
	netfd_unlock(&c->nf, FD_WRITE);
	return ret;
}

int rg_conn_close_write(rg_conn *c)
{
	int err;

	sched_point();
	err = netfd_enter(&c->nf);
	if (err)
		return err;
	err = c->ops->close_write(c);
	netfd_leave(&c->nf);
	return err;
}

/* ---- deadlines ---------------------------------------------------------- */

static int set_deadline(rg_conn *c, unsigned dirs, rg_time t)
{
	int err = netfd_enter(&c->nf);

	if (err)
		return err;
	err = c->ops->set_deadline(c, dirs, t);
	netfd_leave(&c->nf);
	return err;
}

int rg_conn_set_deadline(rg_conn *c, rg_time t)
{
	return set_deadline(c, BOTH_DIRS, t);
}

int rg_conn_set_read_deadline(rg_conn *c, rg_time t)
{
	return set_deadline(c, 1u << FD_READ, t);
}

int rg_conn_set_write_deadline(rg_conn *c, rg_time t)
{
	return set_deadline(c, 1u << FD_WRITE, t);
}

/* ---- addresses ---------------------------------------------------------- */

/* The text of a socket name that the kernel is asked for; the length, 0: unknown. */
static size_t ask_name(const struct rg_conn *c, bool remote, char *buf,
		       size_t size)
{
	struct sockaddr_storage ss;
	struct sockaddr *sa = (struct sockaddr *)&ss;
	socklen_t len = sizeof(ss);
	/* Calls are counted in what is otherwise a constant object. */
	struct netfd *nf = (struct netfd *)(uintptr_t)&c->nf;
	int err;

	if (netfd_enter(nf) != 0)
		return 0;
	err = remote ? getpeername(nf->fd, sa, &len)
		     : getsockname(nf->fd, sa, &len);
	netfd_leave(nf);
	return err ? 0 : addr_format(sa, len, buf, size);
}

static const char *name_text(const struct rg_conn *c, bool remote)
{
	_Atomic(char *) *slot =
		(_Atomic(char *) *)(uintptr_t)(remote ? &c->remote_text
						      : &c->local_text);
	/* A1 acquire, pairs with A2: the text behind the pointer. */
	char *text = atomic_load_explicit(slot, memory_order_acquire);
	char *seen = NULL;
	char buf[ADDR_TEXT_SIZE];
	size_t len;

	if (text)
		return text;
	len = remote && c->remote_len
		      ? addr_format(&c->remote.sa, c->remote_len, buf,
				    sizeof(buf))
		      : ask_name(c, remote, buf, sizeof(buf));
	text = len ? rgk_strdup(buf) : NULL;
	if (!text)
		return "";
	/* A2 release, pairs with A1; acquire for another one's text. */
	if (atomic_compare_exchange_strong_explicit(slot, &seen, text,
						    memory_order_acq_rel,
						    memory_order_acquire))
		return text;
	rgk_free(text);
	return seen;
}

const char *rg_conn_local_addr(const rg_conn *c)
{
	return name_text(c, false);
}

const char *rg_conn_remote_addr(const rg_conn *c)
{
	return name_text(c, true);
}

int rg_conn_fd(const rg_conn *c)
{
	return netfd_is_shut(&c->nf) ? -EBADF : c->nf.fd;
}
