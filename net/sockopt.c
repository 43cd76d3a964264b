// SPDX-License-Identifier: MIT
/*
 * tcpopt - stream sockets with their options; see the header.
 */
#include "net/tcpopt.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

int tcpopt_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0
								       : -errno;
}

static int set_defaults(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},
		{SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 15},
		{IPPROTO_TCP, TCP_KEEPINTVL, 15},
		{IPPROTO_TCP, TCP_KEEPCNT, 9},
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(options) / sizeof(options[0]);
	     i++)
		err = tcpopt_set(fd, options[i].level, options[i].name,
				 options[i].value);
	return err;
}

int tcpopt_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (family != AF_INET && family != AF_INET6)
		return fd;
	err = set_defaults(fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
