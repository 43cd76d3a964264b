/* SPDX-License-Identifier: MIT */
/*
 * sockopt - making sockets with their options.
 *
 * TCP gets TCP_NODELAY and keep-alive (first probe after 15 s of silence, then every
 * 15 s, 9 times: Go's defaults) unless rg_net_options says otherwise; UDP may send to
 * broadcast addresses, as in Go. Linux passes them from a listening socket to the
 * sockets that accept makes, so an accepted connection costs no setsockopt.
 * Sockets are left in blocking mode: the ring parks on them.
 * Any thread; nothing here parks.
 */
#ifndef RG_NET_SOCKOPT_H
#define RG_NET_SOCKOPT_H

#include <ringgo/net.h>

/* sockopt_open - a socket of type SOCK_STREAM or SOCK_DGRAM, close-on-exec, with the
 * options; o may be NULL. The descriptor or a negative errno. */
int sockopt_open(int family, int type, const rg_net_options *o);

/* sockopt_control - what the user's hook says: 0 or a negative errno. */
int sockopt_control(int fd, const rg_net_options *o);

/* sockopt_set - one integer option; 0 or a negative errno. */
int sockopt_set(int fd, int level, int name, int value);

#endif
