/* SPDX-License-Identifier: MIT */
/*
 * op_net - descriptions of socket operations.
 *
 * Each builder fills all of *s but user_data. Nothing is copied: buffers, addresses,
 * iovecs and msghdrs must live until the terminal completion.
 * Any thread; no system call.
 * SHUTDOWN, BIND and LISTEN have no builder: the kernel hands the first to a worker
 * thread (io_shutdown_prep sets REQ_F_FORCE_ASYNC) although shutdown(2), like the two
 * others, does not block on a stream socket.
 */
#ifndef RGK_OP_NET_H
#define RGK_OP_NET_H

#include <sys/socket.h>

#include "kernel-iface/op_sqe.h"

/* op_accept - result: the new descriptor. addr and len may be NULL; flags:
 * SOCK_CLOEXEC. */
static inline void op_accept(struct op_sqe *s, int fd, struct sockaddr *addr,
			     socklen_t *len, int flags)
{
	io_uring_prep_accept(op_sqe_clear(s), fd, addr, len, flags);
}

static inline void op_connect(struct op_sqe *s, int fd,
			      const struct sockaddr *addr, socklen_t len)
{
	io_uring_prep_connect(op_sqe_clear(s), fd, addr, len);
}

static inline void op_recv(struct op_sqe *s, int fd, void *buf, size_t n,
			   int flags)
{
	io_uring_prep_recv(op_sqe_clear(s), fd, buf, op_io_len(n), flags);
}

/* op_send - with MSG_WAITALL the kernel goes on after a short send; a cancelled one
 * still reports what was sent. */
static inline void op_send(struct op_sqe *s, int fd, const void *buf, size_t n,
			   int flags)
{
	io_uring_prep_send(op_sqe_clear(s), fd, buf, op_io_len(n), flags);
}

static inline void op_recvmsg(struct op_sqe *s, int fd, struct msghdr *msg,
			      unsigned flags)
{
	io_uring_prep_recvmsg(op_sqe_clear(s), fd, msg, flags);
}

static inline void op_sendmsg(struct op_sqe *s, int fd,
			      const struct msghdr *msg, unsigned flags)
{
	io_uring_prep_sendmsg(op_sqe_clear(s), fd, msg, flags);
}

#endif
