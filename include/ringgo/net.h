/* SPDX-License-Identifier: MIT */
/*
 * ringgo/net.h - stream listeners and connections.
 *
 * A connection may be read by one goroutine and written by another at once; several
 * writers do not interleave within one write. Read and write failures do not close
 * the connection. -EPIPE: the peer is gone (SIGPIPE never kills); -ECANCELED: closed
 * by us, or the bound context ended; -ETIMEDOUT: a deadline passed.
 */
#ifndef RINGGO_NET_H
#define RINGGO_NET_H

#include <ringgo/base.h>

struct iovec;

RG_BEGIN_DECLS

typedef struct rg_listener rg_listener;
typedef struct rg_conn rg_conn;

/*
 * rg_listen - network "tcp", "tcp4", "tcp6" or "unix"; address "host:port" (host
 * empty: all addresses; port 0 picks one) or a path ("@name": abstract).
 * 0 and *out, or a negative errno (-EINVAL: network or address make no sense).
 */
RG_API int rg_listen(const char *network, const char *address,
		     rg_listener **out);

/*
 * rg_net_options - how a socket is made; zero: the defaults, which are TCP_NODELAY and
 * keep-alive after 15 s. Accepted connections inherit those of their listener.
 * There is no lingering close: it would block a thread; RESET_ON_CLOSE is what is left
 * of it.
 */
enum {
	RG_NET_REUSE_PORT = 1, /* SO_REUSEPORT: several share an address */
	RG_NET_DELAY = 2,      /* Nagle's algorithm on */
	RG_NET_NO_KEEPALIVE = 4,
	RG_NET_RESET_ON_CLOSE = 8, /* what was not sent is dropped */
};

typedef struct rg_net_options {
	unsigned flags;  /* RG_NET_* */
	int backlog;     /* of a listener; 0: the kernel's maximum */
	int recv_buffer; /* bytes; 0: the kernel's default */
	int send_buffer;
	rg_duration keepalive;     /* silence before and between probes */
	const char *local_address; /* dial from this "address:port", no name */
	/* Called with each new socket before it is bound or connected; what it
	 * returns, when negative, is the call's failure. Must not park. */
	int (*control)(int fd, void *arg);
	void *control_arg;
	/* Of rg_dial_with to a name of several addresses: how long after one the next
	 * one is tried besides. 0: 250 ms; negative: one after the other. */
	rg_duration fallback_delay;
	void *reserved_[3];
} rg_net_options;

/* rg_listen_with, rg_dial_with - rg_listen and rg_dial with options (NULL: none).
 * -EINVAL: unknown flags, negative sizes. */
RG_API int rg_listen_with(const char *network, const char *address,
			  const rg_net_options *options, rg_listener **out);
RG_API int rg_dial_with(const char *network, const char *address,
			const rg_net_options *options, rg_conn **out);

/* rg_listener_accept - parks for a connection. -ECANCELED: closed. On EMFILE and the
 * like it backs off and goes on. */
RG_API int rg_listener_accept(rg_listener *l, rg_conn **out);

/* rg_listener_close - ends it, wakes who is parked in accept (-ECANCELED) and gives
 * up the caller's reference. A goroutine that may use l after another one closed it
 * holds a reference of its own. */
RG_API int rg_listener_close(rg_listener *l);
RG_API rg_listener *rg_listener_ref(rg_listener *l);
RG_API void rg_listener_unref(rg_listener *l);
RG_API const char *
rg_listener_addr(const rg_listener *l); /* lives as long as l */

/*
 * rg_dial - connect; resolves names without stalling other goroutines. Several addresses
 * of a name are tried side by side (RFC 8305), IPv4 and IPv6 in turn, each 250 ms after
 * the one before; the first connection stays. -ENXIO: no such host; -EAGAIN: no name
 * server answers; else of socket(2) and connect(2), of the first address whose failure
 * says something of the peer.
 */
RG_API int rg_dial(const char *network, const char *address, rg_conn **out);

/*
 * rg_lookup_host - the addresses of a host, at most 8, in the order in which rg_dial
 * tries them; a literal is its own, "localhost" is answered in place. Fills the first n
 * of out and returns how many there are, or a negative errno as rg_dial does (-EINVAL:
 * it can be no name). Parks, no thread of the runtime stalls; heeds the bound context.
 */
typedef struct rg_host_addr {
	char text[64]; /* "127.0.0.1", "fe80::1%eth0" */
} rg_host_addr;
RG_API int rg_lookup_host(const char *host, rg_host_addr *out, int n);

RG_API ssize_t rg_conn_read(rg_conn *c, void *buf,
			    size_t n); /* 0: end of stream */
RG_API ssize_t rg_conn_write(rg_conn *c, const void *buf,
			     size_t n); /* all of it */
RG_API ssize_t rg_conn_write_some(rg_conn *c, const void *buf, size_t n);
RG_API ssize_t rg_conn_writev(rg_conn *c, const struct iovec *v, int n);
RG_API int rg_conn_close_write(rg_conn *c);

/*
 * Descriptors over a unix connection, -EOPNOTSUPP on others.
 * rg_conn_write_fds - all n > 0 bytes; with the first one go duplicates of n_fds >= 1
 * descriptors, at most RG_CONN_FDS_MAX.
 * rg_conn_read_fds - some bytes, as rg_conn_read, and what came with them: *n_fds is how
 * many fds has room for, then how many came, all close-on-exec; those without room are
 * closed. *n_fds -EMFILE: the process had no descriptors left, none was taken; the
 * bytes are there. A plain rg_conn_read drops the descriptors.
 */
enum { RG_CONN_FDS_MAX = 253 };
RG_API ssize_t rg_conn_write_fds(rg_conn *c, const void *buf, size_t n,
				 const int *fds, int n_fds);
RG_API ssize_t rg_conn_read_fds(rg_conn *c, void *buf, size_t n, int *fds,
				int *n_fds);

/* rg_conn_close - ends it for everyone, wakes whoever is parked on it (-ECANCELED),
 * gives up the caller's reference, always. 0 or a negative errno; the first call
 * returns when the descriptor is closed, another one -ECANCELED at once. */
RG_API int rg_conn_close(rg_conn *c);
RG_API rg_conn *rg_conn_ref(rg_conn *c);
RG_API void rg_conn_unref(rg_conn *c);

/* Deadlines are points in time, 0 = none; they also affect calls already parked, and
 * fail every call until they are set anew. */
RG_API int rg_conn_set_deadline(rg_conn *c, rg_time t);
RG_API int rg_conn_set_read_deadline(rg_conn *c, rg_time t);
RG_API int rg_conn_set_write_deadline(rg_conn *c, rg_time t);

RG_API const char *
rg_conn_local_addr(const rg_conn *c); /* lives as long as c */
RG_API const char *rg_conn_remote_addr(const rg_conn *c);
RG_API int rg_conn_fd(const rg_conn *c); /* lent */

RG_END_DECLS

#endif
