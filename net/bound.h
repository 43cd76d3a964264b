/* SPDX-License-Identifier: MIT */
/*
 * bound - sockets bound to an address given as text: what listeners and packet sockets
 * have in common.
 *
 *   I1  a path is removed at the end only if it is still the socket that we bound (same
 *       device and inode; the open socket keeps the inode from being reused).
 *   I2  after a failure there is no descriptor and no path left.
 * Of the addresses of a name the first IPv4 one is taken, as in Go; an any-address
 * without a family is that of both, or of IPv4 on a machine without IPv6.
 *
 * Callers: goroutines and foreign threads; resolving a name and the end park.
 */
#ifndef RG_NET_BOUND_H
#define RG_NET_BOUND_H

#include <ringgo/net.h>

#include <sys/types.h>

#include "net/addr.h"

struct bound {
	int fd;
	bool owns_path;
	dev_t dev;
	ino_t ino;
	char text[ADDR_TEXT_SIZE]; /* the address; the path to remove */
};

/*
 * bound_open - type SOCK_STREAM knows the networks "tcp" ... "unix", SOCK_DGRAM "udp"
 * ... "unixgram". o may be NULL. 0, or a negative errno (-EINVAL: network or address
 * make no sense).
 * bound_close - removes the path, ends what is parked on the descriptor, closes it. 0
 * or a negative errno. bound_abandon - the same for one that nobody has used.
 */
int bound_open(int type, const char *network, const char *address,
	       const rg_net_options *o, struct bound *out);
int bound_close(struct bound *b);
void bound_abandon(struct bound *b);

#endif
