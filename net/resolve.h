/* SPDX-License-Identifier: MIT */
/*
 * resolve - from "host:port" to addresses to try, in order.
 *
 * IP literals and "localhost" (127.0.0.1, then ::1: the order in which a listener on
 * "localhost" chooses) are answered in place. Anything else goes to getaddrinfo on a
 * helper thread, because it reads files, talks to name servers and takes 10 KB of stack.
 *   I1  a caller whose context ends gets its error at once; the question lives on until
 *       the helper is done with it and is then freed by whoever lets go last.
 *   I2  goroutines that ask the same at the same time share one question; at most 32
 *       are asked at once, the others wait in line, and those that nobody waits for any
 *       more when their turn comes are not asked. Threads of the host ask by themselves.
 * Errors: -EINVAL no address; -ENXIO no such host, or none of this family; -EAGAIN the
 * name servers do not answer at the moment; -EIO they failed; -ENOMEM; the bound
 * context's error.
 */
#ifndef RG_NET_RESOLVE_H
#define RG_NET_RESOLVE_H

#include "net/addr.h"

enum { RESOLVE_MAX = 8 };

struct resolved {
	unsigned n; /* > 0 on success */
	union addr_ip addr[RESOLVE_MAX];
};

/*
 * resolve - network is ADDR_TCP, ADDR_TCP4 or ADDR_TCP6. An empty host gives the
 * loopback addresses (to dial) or, with `passive`, the any-address to listen on (IPv6's
 * for ADDR_TCP).
 * Context: goroutine or foreign thread; may park; heeds the bound context.
 */
int resolve(enum addr_network network, const struct addr_parts *parts,
	    bool passive, struct resolved *out);

#endif
