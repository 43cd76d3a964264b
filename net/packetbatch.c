// SPDX-License-Identifier: MIT
/*
 * packetbatch - many datagrams by one system call: recvmmsg, sendmmsg, and UDP's
 * segmentation offloads.
 *
 *   I1  the ring has no operation for several datagrams, so these calls are made in place,
 *       without waiting (MSG_DONTWAIT), by a call that is counted in the descriptor
 *       (netfd_enter): its number cannot be another's. What is not there is polled for
 *       in the ring, and that wait heeds close, deadline and context.
 *   I2  before it is made, a call in place fails where an operation would: after close, a
 *       deadline that has passed, the end of the context (opwait_would_fail).
 *   I3  a goroutine that always finds datagrams, or room, lets the others run every
 *       IN_PLACE_MAX calls.
 *   I4  what was moved counts: an error after it is the next call's.
 *
 * Callers: goroutines and foreign threads.
 */
#include "net/packet.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#include <ringgo/runtime.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/op_wait.h"
#include "net/dgram.h"
#include "sched/opwait.h"
#include "sched/point.h"

#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* The kernel's own limit of segments was 64 until Linux 6.9. */
enum { IN_PLACE_MAX = 32, SEGMENTS_MAX = 64, SLICE = 16 };

/* Whether UDP_SEGMENT works on the socket. */
enum { SEGMENTS_UNKNOWN, SEGMENTS_WORK, SEGMENTS_DO_NOT };

/* I3 */
static void made_in_place(rg_packet *p)
{
	if (atomic_fetch_add_explicit(&p->in_place, 1, memory_order_relaxed) %
		    IN_PLACE_MAX ==
	    IN_PLACE_MAX - 1)
		rg_yield();
}

/* ---- batches -------------------------------------------------------------- */

static int read_some(int fd, struct mmsghdr *msgs, unsigned n)
{
	int ret = opwait_would_fail(fd, FD_READ), saved; /* I2 */

	if (ret)
		return ret;
	saved = errno;
	ret = recvmmsg(fd, msgs, n, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (ret < 0)
		ret = -errno;
	errno = saved;
	if (ret < 0)
		return ret;
	opwait_saw_input();
	return ret;
}

int rg_packet_read_batch(rg_packet *p, struct mmsghdr *msgs, unsigned n)
{
	int fd, ret;

	sched_point();
	if (!n)
		return -EINVAL;
	ret = netfd_enter(&p->nf);
	if (ret)
		return ret;
	fd = p->nf.fd;
	for (;;) {
		struct op_sqe s;

		ret = read_some(fd, msgs, n);
		if (ret == -EINTR)
			continue;
		if (ret != -EAGAIN)
			break;
		op_poll(&s, fd, POLLIN);
		ret = opwait_fd(fd, FD_READ, &s);
		if (ret < 0)
			break;
	}
	netfd_leave(&p->nf);
	if (ret > 0)
		made_in_place(p);
	return ret;
}

static int write_some(int fd, struct mmsghdr *msgs, unsigned n)
{
	int ret = opwait_would_fail(fd, FD_WRITE), saved; /* I2 */

	if (ret)
		return ret;
	opwait_made_output();
	saved = errno;
	ret = sendmmsg(fd, msgs, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (ret < 0)
		ret = -errno;
	errno = saved;
	return ret;
}

/* The descriptor is entered. How many, or a negative errno (I4). */
static int write_all(int fd, struct mmsghdr *msgs, unsigned n)
{
	unsigned done = 0;
	int64_t nap = 0;

	while (done < n) {
		int ret = write_some(fd, msgs + done, n - done);

		if (ret == -EINTR)
			continue;
		if (ret == -EAGAIN)
			ret = dgram_wait(fd, &nap);
		else if (ret > 0)
			nap = 0;
		if (ret < 0)
			return done ? (int)done : ret;
		done += (unsigned)ret;
	}
	return (int)done;
}

int rg_packet_write_batch(rg_packet *p, struct mmsghdr *msgs, unsigned n)
{
	int ret;

	sched_point();
	if (!n || n > INT32_MAX)
		return -EINVAL;
	ret = netfd_enter(&p->nf);
	if (ret)
		return ret;
	ret = write_all(p->nf.fd, msgs, n);
	netfd_leave(&p->nf);
	if (ret > 0)
		made_in_place(p);
	return ret;
}

/* ---- segments ------------------------------------------------------------- */

struct to {
	const struct sockaddr *name;
	socklen_t len;
};

/* One after the other, SLICE at a time; how many bytes. */
static ssize_t write_slices(rg_packet *p, const char *buf, size_t n,
			    size_t segment, struct to to)
{
	size_t done = 0;

	while (done < n) {
		struct mmsghdr msgs[SLICE];
		struct iovec v[SLICE];
		unsigned k = 0;
		int ret;

		memset(msgs, 0, sizeof msgs);
		for (size_t at = done; at < n && k < SLICE; at += segment) {
			size_t len = n - at < segment ? n - at : segment;

			v[k] = (struct iovec){(void *)(uintptr_t)(buf + at),
					      len};
			msgs[k].msg_hdr.msg_name = (void *)(uintptr_t)to.name;
			msgs[k].msg_hdr.msg_namelen = to.len;
			msgs[k].msg_hdr.msg_iov = &v[k];
			msgs[k++].msg_hdr.msg_iovlen = 1;
		}
		ret = rg_packet_write_batch(p, msgs, k);
		if (ret <= 0)
			return done ? (ssize_t)done : ret;
		for (int i = 0; i < ret; i++)
			done += v[i].iov_len;
	}
	return (ssize_t)done;
}

/* By the kernel; -EOPNOTSUPP: it does not. */
static ssize_t write_offloaded(rg_packet *p, const char *buf, size_t n,
			       size_t segment, struct to to)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char room[CMSG_SPACE(sizeof(uint16_t))];
	} u;
	struct iovec v = {(void *)(uintptr_t)buf, n};
	struct msghdr msg = {.msg_name = (void *)(uintptr_t)to.name,
			     .msg_namelen = to.len,
			     .msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = u.room,
			     .msg_controllen = sizeof u.room};
	uint16_t size = (uint16_t)segment;
	struct cmsghdr *c;
	ssize_t ret;

	memset(&u, 0, sizeof u);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof size);
	memcpy(CMSG_DATA(c), &size, sizeof size);
	ret = rg_packet_write_msg(p, &msg);
	/* EIO: a device on the way computes no checksums. EINVAL, EMSGSIZE: larger
	 * than its frames; alone each may still pass, in fragments. */
	return ret == -EIO || ret == -EINVAL || ret == -EMSGSIZE ? -EOPNOTSUPP
								 : ret;
}

static bool can_offload(rg_packet *p)
{
	int state = atomic_load_explicit(&p->segments, memory_order_relaxed);
	int value;
	socklen_t len = sizeof value;

	if (state != SEGMENTS_UNKNOWN)
		return state == SEGMENTS_WORK;
	if (netfd_enter(&p->nf))
		return false; /* closed: write_slices says so */
	state = getsockopt(p->nf.fd, SOL_UDP, UDP_SEGMENT, &value, &len)
			? SEGMENTS_DO_NOT
			: SEGMENTS_WORK;
	netfd_leave(&p->nf);
	atomic_store_explicit(&p->segments, state, memory_order_relaxed);
	return state == SEGMENTS_WORK;
}

ssize_t rg_packet_write_segments(rg_packet *p, const void *buf, size_t n,
				 size_t segment, const struct sockaddr *to,
				 socklen_t to_len)
{
	struct to receiver = {to, to_len};
	ssize_t ret = -EOPNOTSUPP;

	sched_point();
	if (!segment || !n || (n - 1) / segment >= SEGMENTS_MAX)
		return -EINVAL;
	if (n > segment && segment <= UINT16_MAX && can_offload(p))
		ret = write_offloaded(p, buf, n, segment, receiver);
	return ret == -EOPNOTSUPP ? write_slices(p, buf, n, segment, receiver)
				  : ret;
}

int rg_packet_set_gro(rg_packet *p, bool on)
{
	int value = on, err;

	sched_point();
	err = netfd_enter(&p->nf);
	if (err)
		return err;
	if (setsockopt(p->nf.fd, SOL_UDP, UDP_GRO, &value, sizeof value))
		err = -errno;
	netfd_leave(&p->nf);
	return err;
}

/* How long each datagram of msg is, which came with ret bytes. */
static size_t segment_of(struct msghdr *msg, size_t ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		int size;

		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof size);
		return (size_t)size;
	}
	return ret;
}

ssize_t rg_packet_read_segments(rg_packet *p, void *buf, size_t n,
				size_t *segment, struct sockaddr_storage *from,
				socklen_t *from_len)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char room[CMSG_SPACE(sizeof(int))];
	} u;
	struct iovec v = {buf, n};
	struct msghdr msg = {.msg_name = from,
			     .msg_namelen = from ? sizeof(*from) : 0,
			     .msg_iov = &v,
			     .msg_iovlen = 1,
			     .msg_control = u.room,
			     .msg_controllen = sizeof u.room};
	ssize_t ret = rg_packet_read_msg(p, &msg);

	if (ret < 0)
		return ret;
	if (from_len)
		*from_len = msg.msg_namelen;
	if (segment)
		*segment = segment_of(&msg, (size_t)ret);
	return ret;
}
