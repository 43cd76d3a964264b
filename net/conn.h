/* SPDX-License-Identifier: MIT */
/*
 * conn - a stream connection: what rg_conn is made of.
 *
 * The public functions check, lock and dispatch to `ops`: the plain stream of conn.c,
 * or another layer over one (TLS), which embeds struct rg_conn as its first member.
 *   I1  ops->read runs with the read side locked, ops->write and ops->writev with the
 *       write side; ops->close_write and ops->set_deadline inside netfd_enter. None of
 *       them runs before conn_init or after ops->close began.
 *   I2  ops->close runs exactly once, when no call is in progress (netfd_shut), by
 *       rg_conn_close or, when nobody called it, by the last rg_conn_unref.
 *   I3  ops->free runs after close, exactly once; it frees the memory.
 *   I4  an address text is made at the first question, by compare-and-swap; the loser
 *       frees its own. Accepting costs no getsockname and no text.
 * Closing: rg_conn_close always gives up the caller's reference. The first one returns
 * when the descriptor is closed; a later one (of a goroutine with a reference of its
 * own) returns -ECANCELED at once, as Go's ErrClosed.
 *
 * Callers: goroutines and foreign threads.
 */
#ifndef RG_NET_CONN_H
#define RG_NET_CONN_H

#include <ringgo/net.h>

#include "net/addr.h"
#include "net/netfd.h"

struct conn_ops {
	/* n > 0. Some bytes, 0 at the end of the stream, or a negative errno. */
	ssize_t (*read)(struct rg_conn *c, void *buf, size_t n);
	/* n > 0. All n bytes (some: at least one), or a negative errno. */
	ssize_t (*write)(struct rg_conn *c, const void *buf, size_t n,
			 bool some);
	/* All `total` > 0 bytes of n > 0 buffers, or a negative errno. */
	ssize_t (*writev)(struct rg_conn *c, const struct iovec *v, int n,
			  size_t total);
	int (*close_write)(struct rg_conn *c);
	/* dirs: mask of 1 << FD_READ, 1 << FD_WRITE. */
	int (*set_deadline)(struct rg_conn *c, unsigned dirs, rg_time t);
	int (*close)(struct rg_conn *c);
	void (*free)(struct rg_conn *c);
};

struct rg_conn {
	struct netfd nf;
	const struct conn_ops *ops; /* const after init */

	/* const after init; the peer as accept or connect said it: 0 when it is to
	 * be asked for (unix) */
	union addr_ip remote;
	socklen_t remote_len;

	/* any thread; I4 */
	_Atomic(char *) local_text, remote_text;
};

/* conn_init - of an embedding object: one reference, no peer address known. */
void conn_init(struct rg_conn *c, int fd, const struct conn_ops *ops);

/*
 * conn_alloc - a plain stream without a descriptor yet; NULL: out of memory.
 * conn_adopt - fd is its own from now on; peer may be NULL (or no IP address).
 * conn_discard - frees one that never adopted.
 */
struct rg_conn *conn_alloc(void);
void conn_adopt(struct rg_conn *c, int fd, const union addr_ip *peer,
		socklen_t peer_len);
void conn_discard(struct rg_conn *c);

/* conn_is_stream - c is a plain stream, nothing lies between it and its socket. */
bool conn_is_stream(const struct rg_conn *c);

#endif
