/* SPDX-License-Identifier: MIT */
/*
 * tcpopt - making stream sockets with the options that every TCP connection gets.
 *
 * TCP_NODELAY and keep-alive (first probe after 15 s of silence, then every 15 s, 9
 * times: Go's defaults). Linux passes them from a listening socket to the sockets that
 * accept makes, so an accepted connection costs no setsockopt.
 * Sockets are left in blocking mode: the ring parks on them.
 */
#ifndef RG_NET_TCPOPT_H
#define RG_NET_TCPOPT_H

/* tcpopt_socket - a stream socket, close-on-exec; for AF_INET and AF_INET6 with the
 * options. The descriptor or a negative errno. Does not park. */
int tcpopt_socket(int family);

/* tcpopt_set - one integer option; 0 or a negative errno. */
int tcpopt_set(int fd, int level, int name, int value);

#endif
