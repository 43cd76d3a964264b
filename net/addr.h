/* SPDX-License-Identifier: MIT */
/*
 * addr - addresses as text and as the kernel wants them.
 *
 * Text comes from outside and is parsed strictly: "host:port" with a decimal port,
 * "[v6]:port", ":port"; an IPv6 address without brackets, an empty or missing port, a
 * sign, a space, a number out of range are refused, and so are inet_aton's forms
 * ("127.1", "0x7f000001"), which C libraries take for addresses.
 *   I1  nothing here parks, allocates or keeps state; the one system call is
 *       if_nametoindex for a zone given by name ("[fe80::1%eth0]:80").
 *   I2  what addr_format writes for an IP socket, addr_split and addr_literal read.
 * Any thread.
 */
#ifndef RG_NET_ADDR_H
#define RG_NET_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum addr_network { ADDR_TCP, ADDR_TCP4, ADDR_TCP6, ADDR_UNIX };

/* addr_network_of - "tcp", "tcp4", "tcp6", "unix"; -EINVAL for anything else. */
int addr_network_of(const char *name);

union addr_ip {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static inline socklen_t addr_ip_len(const union addr_ip *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

/* The parts of "host:port"; host points into the text. */
struct addr_parts {
	const char *host; /* without brackets; may be empty */
	size_t host_len;
	bool in_brackets;
	uint16_t port;
};

/* addr_split - 0 or -EINVAL. */
int addr_split(const char *text, struct addr_parts *out);

/*
 * addr_literal - the address when the host is an IP literal: 0. -ENOENT: it is none
 * (a name, or empty); -EINVAL: it is neither a literal nor a possible name;
 * -ENODEV: an unknown zone.
 */
int addr_literal(const struct addr_parts *parts, union addr_ip *out);

/* The loopback and the any-address of a family (AF_INET, AF_INET6). */
void addr_loopback(int family, uint16_t port, union addr_ip *out);
void addr_any(int family, uint16_t port, union addr_ip *out);
bool addr_is_any(const union addr_ip *a);
bool addr_is_same(const union addr_ip *a, const union addr_ip *b);

/* addr_is_localhost - the name "localhost", or below it, in any case. */
bool addr_is_localhost(const char *host, size_t len);

/*
 * addr_unix - a path, or "@name" in the abstract name space; "@" alone lets the kernel
 * choose a name when it is bound. 0 or -EINVAL (empty, or longer than 107 bytes).
 */
int addr_unix(const char *path, struct sockaddr_un *out, socklen_t *len);

/* addr_is_path - a bound unix address that has a name in the file system. */
bool addr_is_path(const struct sockaddr_un *a, socklen_t len);

/*
 * addr_format - text of a socket address: "1.2.3.4:5", "[::1]:5", a path, "@name" (a
 * NUL in it shows as '@'), "" for an unnamed unix socket. An IPv4-mapped address is
 * shown as the IPv4 address it is. Returns the length; never more than size - 1, and
 * ADDR_TEXT_SIZE is always enough.
 */
#define ADDR_TEXT_SIZE 112
size_t addr_format(const struct sockaddr *sa, socklen_t len, char *buf,
		   size_t size);

#endif
