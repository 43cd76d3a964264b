/* SPDX-License-Identifier: MIT */
/*
 * ringgo/socket.h - sockets by their number: POSIX's calls, parking.
 *
 * As ringgo/io.h. O_NONBLOCK and SOCK_NONBLOCK make no difference (MSG_DONTWAIT does:
 * -EAGAIN), nor do SO_RCVTIMEO and SO_SNDTIMEO: the bound context limits the time.
 * -EPIPE: the peer is gone; no signal.
 */
#ifndef RINGGO_SOCKET_H
#define RINGGO_SOCKET_H

#include <ringgo/base.h>
#include <sys/socket.h>

RG_BEGIN_DECLS

/* rg_socket - does not park. */
RG_API int rg_socket(int domain, int type, int protocol);

/* rg_connect - 0 when connected. After -ECANCELED or -ETIMEDOUT the socket may still
 * be connecting: close it. */
RG_API int rg_connect(int fd, const struct sockaddr *addr, socklen_t len);

/* rg_accept4 - the new descriptor; addr and len may be NULL. flags: SOCK_CLOEXEC,
 * SOCK_NONBLOCK. */
RG_API int rg_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);

/* Receiving. from and from_len may be NULL. A datagram longer than n is cut; with
 * MSG_TRUNC in flags its whole length is returned, and rg_recvmsg says so in
 * msg_flags. Descriptors that come along are close-on-exec with MSG_CMSG_CLOEXEC. */
RG_API ssize_t rg_recvfrom(int fd, void *buf, size_t n, int flags,
			   struct sockaddr *from, socklen_t *from_len);
RG_API ssize_t rg_recvmsg(int fd, struct msghdr *msg, int flags);

/* Sending. On a stream all of it is sent, as by send(2) on a blocking socket, unless
 * an error or a cancellation comes in between (then how much was), flags has
 * MSG_DONTWAIT, or control data is sent along. to may be NULL. */
RG_API ssize_t rg_sendto(int fd, const void *buf, size_t n, int flags,
			 const struct sockaddr *to, socklen_t to_len);
RG_API ssize_t rg_sendmsg(int fd, const struct msghdr *msg, int flags);

/* rg_shutdown - as shutdown(2); wakes who is parked on that direction. Does not park,
 * does not heed the bound context. */
RG_API int rg_shutdown(int fd, int how);

RG_END_DECLS

#endif
