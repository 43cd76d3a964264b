/* SPDX-License-Identifier: MIT */
/*
 * ringgo/packet.h - datagram sockets: UDP and unix.
 *
 * One call moves one datagram, whole; an empty one is one, too. Several goroutines may
 * read and write at once. Calls heed the socket's deadlines and the bound context;
 * -ECANCELED: closed by us, or the context ended.
 */
#ifndef RINGGO_PACKET_H
#define RINGGO_PACKET_H

#include <ringgo/base.h>
#include <ringgo/net.h>
#include <sys/socket.h>

RG_BEGIN_DECLS

struct mmsghdr; /* <sys/socket.h>, with _GNU_SOURCE */

typedef struct rg_packet rg_packet;

/*
 * rg_listen_packet - network "udp", "udp4", "udp6" (address "host:port", as rg_listen)
 * or "unixgram" (a path, which is removed at close; "@name": abstract; "@": the kernel
 * chooses a name). 0 and *out, or a negative errno.
 * rg_listen_packet_with - with options; those of streams do not matter.
 */
RG_API int rg_listen_packet(const char *network, const char *address,
			    rg_packet **out);
RG_API int rg_listen_packet_with(const char *network, const char *address,
				 const rg_net_options *options,
				 rg_packet **out);

/*
 * rg_packet_read_from - parks for a datagram. Returns how many bytes are in buf: what is
 * longer than n is cut, as by recvfrom(2), and only rg_packet_read_msg tells (MSG_TRUNC
 * in msg_flags). from and from_len may be NULL; *from_len is set, 0 for a sender
 * without a name.
 * rg_packet_write_to - sends one; parks while there is no room. n or a negative errno:
 * -EMSGSIZE it is too long, -ECONNREFUSED nobody is bound there (unix).
 */
RG_API ssize_t rg_packet_read_from(rg_packet *p, void *buf, size_t n,
				   struct sockaddr_storage *from,
				   socklen_t *from_len);
RG_API ssize_t rg_packet_write_to(rg_packet *p, const void *buf, size_t n,
				  const struct sockaddr *to, socklen_t to_len);

/* rg_packet_read_msg, rg_packet_write_msg - the same as recvmsg(2) and sendmsg(2):
 * several buffers, control data, flags. Descriptors that come along are
 * close-on-exec. */
RG_API ssize_t rg_packet_read_msg(rg_packet *p, struct msghdr *msg);
RG_API ssize_t rg_packet_write_msg(rg_packet *p, const struct msghdr *msg);

/*
 * rg_packet_read_batch - as recvmmsg(2): parks for a datagram and takes what else is there,
 * up to n; msg_len and msg_hdr of each are set (MSG_TRUNC in msg_flags: it was cut).
 * Returns how many, at least 1, or a negative errno.
 * rg_packet_write_batch - as sendmmsg(2): sends all n in order, parks while there is no
 * room. Returns n; fewer when one could not be sent, which is the first of the others
 * (the next call says why); or a negative errno: none was sent. n == 0: -EINVAL.
 * One system call moves up to 1,024.
 */
RG_API int rg_packet_read_batch(rg_packet *p, struct mmsghdr *msgs, unsigned n);
RG_API int rg_packet_write_batch(rg_packet *p, struct mmsghdr *msgs,
				 unsigned n);

/*
 * rg_packet_write_segments - buf as datagrams of `segment` bytes each, the last one maybe
 * shorter, to one receiver: by UDP's segmentation offload (UDP_SEGMENT) where the kernel
 * and the socket have it, else one after the other. Parks while there is no room. Returns
 * n; or how many bytes went out before a failure, a multiple of `segment`; or a negative
 * errno: -EINVAL segment is 0, n is, or there are more than 64 of them; -EMSGSIZE.
 * rg_packet_set_gro - take datagrams of one sender that came together as one (UDP_GRO).
 * 0; -ENOPROTOOPT, -EOPNOTSUPP: the kernel or the socket cannot.
 * rg_packet_read_segments - as rg_packet_read_from; *segment is how long each datagram in
 * buf is but the last: the result itself unless several came. buf should hold 64 KiB.
 */
RG_API ssize_t rg_packet_write_segments(rg_packet *p, const void *buf, size_t n,
					size_t segment,
					const struct sockaddr *to,
					socklen_t to_len);
RG_API int rg_packet_set_gro(rg_packet *p, bool on);
RG_API ssize_t rg_packet_read_segments(rg_packet *p, void *buf, size_t n,
				       size_t *segment,
				       struct sockaddr_storage *from,
				       socklen_t *from_len);

/* Points in time, 0 = none; they affect calls already parked, and fail every call
 * until they are set anew. */
RG_API int rg_packet_set_deadline(rg_packet *p, rg_time t);
RG_API int rg_packet_set_read_deadline(rg_packet *p, rg_time t);
RG_API int rg_packet_set_write_deadline(rg_packet *p, rg_time t);

/* rg_packet_close - ends it for everyone, wakes whoever is parked on it (-ECANCELED),
 * gives up the caller's reference, always. The first call returns when the descriptor
 * is closed, another one -ECANCELED at once. rg_packet_ref - for a second goroutine
 * that uses p; the last rg_packet_unref without a close closes. */
RG_API int rg_packet_close(rg_packet *p);
RG_API rg_packet *rg_packet_ref(rg_packet *p);
RG_API void rg_packet_unref(rg_packet *p);

RG_API const char *rg_packet_addr(const rg_packet *p); /* lives as long as p */
RG_API int rg_packet_fd(const rg_packet *p); /* lent; -EBADF: closed */

RG_END_DECLS

#endif
