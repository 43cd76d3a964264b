// SPDX-License-Identifier: MIT
/*
 * sockopt - sockets with their options; see the header.
 */
#include "net/sockopt.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"

#define KEEPALIVE_DEFAULT (15 * RG_SECOND)
#define KEEPALIVE_COUNT   9

#define KNOWN_FLAGS                                                            \
	(RG_NET_REUSE_PORT | RG_NET_DELAY | RG_NET_NO_KEEPALIVE |              \
	 RG_NET_RESET_ON_CLOSE)

struct option {
	int level, name, value;
};

int sockopt_set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0
								       : -errno;
}

static int set_all(int fd, const struct option *options, size_t n)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = sockopt_set(fd, options[i].level, options[i].name,
				  options[i].value);
	return err;
}

/* Whole seconds, at least one; the kernel's limit is 32767. */
static int seconds_of(rg_duration d)
{
	rg_duration s = (d + RG_SECOND - 1) / RG_SECOND;

	return s < SHRT_MAX ? (int)s : SHRT_MAX;
}

static int set_tcp(int fd, const rg_net_options *o)
{
	bool is_alive = !(o->flags & RG_NET_NO_KEEPALIVE);
	int idle = seconds_of(o->keepalive ? o->keepalive : KEEPALIVE_DEFAULT);
	const struct option options[] = {
		{IPPROTO_TCP, TCP_NODELAY, !(o->flags & RG_NET_DELAY)},
		{SOL_SOCKET, SO_KEEPALIVE, is_alive},
		{IPPROTO_TCP, TCP_KEEPIDLE, idle},
		{IPPROTO_TCP, TCP_KEEPINTVL, idle},
		{IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
	};

	return set_all(fd, options, is_alive ? 5 : 2);
}

static int set_common(int fd, const rg_net_options *o)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};
	int err = 0;

	if (o->flags & RG_NET_REUSE_PORT)
		err = sockopt_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err && o->recv_buffer)
		err = sockopt_set(fd, SOL_SOCKET, SO_RCVBUF, o->recv_buffer);
	if (!err && o->send_buffer)
		err = sockopt_set(fd, SOL_SOCKET, SO_SNDBUF, o->send_buffer);
	if (!err && o->flags & RG_NET_RESET_ON_CLOSE &&
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) != 0)
		err = -errno;
	return err;
}

static int set_options(int fd, int family, int type, const rg_net_options *o)
{
	bool is_ip = family == AF_INET || family == AF_INET6;
	int err = set_common(fd, o);

	if (err || !is_ip)
		return err;
	if (type == SOCK_STREAM)
		return set_tcp(fd, o);
	return sockopt_set(fd, SOL_SOCKET, SO_BROADCAST, 1);
}

int sockopt_open(int family, int type, const rg_net_options *o)
{
	static const rg_net_options defaults;
	int fd, err;

	if (!o)
		o = &defaults;
	if (o->flags & ~KNOWN_FLAGS || o->keepalive < 0 || o->recv_buffer < 0 ||
	    o->send_buffer < 0 || o->backlog < 0)
		return -EINVAL;
	/* The ring closes it, which ThreadSanitizer does not see. */
	san_quiet_begin();
	fd = socket(family, type | SOCK_CLOEXEC, 0);
	san_quiet_end();
	if (fd < 0)
		return -errno;
	err = set_options(fd, family, type, o);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

int sockopt_control(int fd, const rg_net_options *o)
{
	int err = o && o->control ? o->control(fd, o->control_arg) : 0;

	return err < 0 ? err : 0;
}
