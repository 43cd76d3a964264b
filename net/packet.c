// SPDX-License-Identifier: MIT
/*
 * packet - datagram sockets, UDP and unix.
 *
 *   I1  reads and writes take no lock: the kernel hands over whole datagrams, so calls
 *       of several goroutines cannot mix.
 *   I2  a datagram that the kernel handed out is delivered: an operation that succeeded
 *       although it was to be cancelled still counts.
 * A msghdr of ours lives in the frame of the parked call.
 *
 * Callers: goroutines and foreign threads. After Go's net.PacketConn.
 */
#include "net/packet.h"

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/op_net.h"
#include "net/dgram.h"
#include "sched/opwait.h"
#include "sched/point.h"

/* ---- life --------------------------------------------------------------- */

static void packet_release(struct netfd *nf)
{
	struct rg_packet *p = container_of(nf, struct rg_packet, nf);

	if (!netfd_is_shut(nf))
		(void)bound_close(&p->bound);
	rgk_free(p);
}

int rg_listen_packet_with(const char *network, const char *address,
			  const rg_net_options *options, rg_packet **out)
{
	struct rg_packet *p;
	int err;

	sched_point();
	if (!out)
		return -EINVAL;
	p = rgk_zalloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	err = bound_open(SOCK_DGRAM, network, address, options, &p->bound);
	if (err) {
		rgk_free(p);
		return err;
	}
	netfd_init(&p->nf, p->bound.fd, packet_release);
	*out = p;
	return 0;
}

int rg_listen_packet(const char *network, const char *address, rg_packet **out)
{
	return rg_listen_packet_with(network, address, NULL, out);
}

rg_packet *rg_packet_ref(rg_packet *p)
{
	if (p)
		netfd_ref(&p->nf);
	return p;
}

void rg_packet_unref(rg_packet *p)
{
	if (p)
		netfd_unref(&p->nf);
}

int rg_packet_close(rg_packet *p)
{
	int err;

	sched_point();
	if (!p)
		return -EINVAL;
	err = netfd_shut(&p->nf);
	if (!err)
		err = bound_close(&p->bound);
	netfd_unref(&p->nf);
	return err;
}

const char *rg_packet_addr(const rg_packet *p)
{
	return p->bound.text;
}

int rg_packet_fd(const rg_packet *p)
{
	return netfd_is_shut(&p->nf) ? -EBADF : p->nf.fd;
}

/* ---- datagrams ---------------------------------------------------------- */

ssize_t rg_packet_read_msg(rg_packet *p, struct msghdr *msg)
{
	struct op_sqe s;
	int ret;

	sched_point();
	ret = netfd_enter(&p->nf);
	if (ret)
		return ret;
	op_recvmsg(&s, p->nf.fd, msg, MSG_CMSG_CLOEXEC);
	ret = opwait_fd_again(p->nf.fd, FD_READ, &s);
	netfd_leave(&p->nf);
	return ret;
}

ssize_t rg_packet_write_msg(rg_packet *p, const struct msghdr *msg)
{
	struct op_sqe s;
	int ret;

	sched_point();
	ret = netfd_enter(&p->nf);
	if (ret)
		return ret;
	op_sendmsg(&s, p->nf.fd, (struct msghdr *)(uintptr_t)msg,
		   MSG_NOSIGNAL | MSG_DONTWAIT);
	ret = dgram_send(p->nf.fd, &s);
	netfd_leave(&p->nf);
	return ret;
}

ssize_t rg_packet_read_from(rg_packet *p, void *buf, size_t n,
			    struct sockaddr_storage *from, socklen_t *from_len)
{
	struct iovec v = {buf, n};
	struct msghdr msg = {.msg_name = from,
			     .msg_namelen = from ? sizeof(*from) : 0,
			     .msg_iov = &v,
			     .msg_iovlen = 1};
	ssize_t ret = rg_packet_read_msg(p, &msg);

	if (ret >= 0 && from_len)
		*from_len = msg.msg_namelen;
	return ret;
}

ssize_t rg_packet_write_to(rg_packet *p, const void *buf, size_t n,
			   const struct sockaddr *to, socklen_t to_len)
{
	struct iovec v = {(void *)(uintptr_t)buf, n};
	const struct msghdr msg = {.msg_name = (void *)(uintptr_t)to,
				   .msg_namelen = to_len,
				   .msg_iov = &v,
				   .msg_iovlen = 1};

	return rg_packet_write_msg(p, &msg);
}

/* ---- deadlines ---------------------------------------------------------- */

static int set_deadline(rg_packet *p, unsigned dirs, rg_time t)
{
	int err = netfd_enter(&p->nf);

	if (err)
		return err;
	err = fdesc_set_deadline(p->nf.fd, dirs, t);
	netfd_leave(&p->nf);
	return err;
}

int rg_packet_set_deadline(rg_packet *p, rg_time t)
{
	return set_deadline(p, 1u << FD_READ | 1u << FD_WRITE, t);
}

int rg_packet_set_read_deadline(rg_packet *p, rg_time t)
{
	return set_deadline(p, 1u << FD_READ, t);
}

int rg_packet_set_write_deadline(rg_packet *p, rg_time t)
{
	return set_deadline(p, 1u << FD_WRITE, t);
}
