// SPDX-License-Identifier: MIT
/*
 * bound - see the header.
 */
#include "net/bound.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-iface/op_file.h"
#include "net/resolve.h"
#include "net/sockopt.h"
#include "sched/fdesc.h"
#include "sched/opwait.h"

struct opening {
	int type;
	bool v6_only;
	const rg_net_options *o;
};

/* ---- the path of a unix socket ------------------------------------------ */

static void note_path(struct bound *b, const struct sockaddr *sa, socklen_t len)
{
	const struct sockaddr_un *un =
		(const struct sockaddr_un *)(const void *)sa;
	struct stat st;

	if (sa->sa_family != AF_UNIX || !addr_is_path(un, len) ||
	    lstat(un->sun_path, &st) != 0)
		return;
	b->owns_path = true;
	b->dev = st.st_dev;
	b->ino = st.st_ino;
}

/* I1. Before the descriptor is closed. */
static void remove_path(const struct bound *b)
{
	struct op_sqe s;
	struct stat st;
	int err;

	if (!b->owns_path || lstat(b->text, &st) != 0 || st.st_dev != b->dev ||
	    st.st_ino != b->ino)
		return;
	op_unlinkat(&s, AT_FDCWD, b->text, 0);
	err = opwait(&s, OPWAIT_NOCANCEL);
	/* Never started: the name must not stay. Else: gone in the meantime,
	 * or the folder is read-only: not ours to mend. */
	if (err == -ESRCH || err == -ENOMEM || err == -EAGAIN)
		(void)unlink(b->text);
}

int bound_close(struct bound *b)
{
	remove_path(b);
	return fdesc_close(b->fd);
}

void bound_abandon(struct bound *b)
{
	remove_path(b);
	close(b->fd);
}

/* ---- one address -------------------------------------------------------- */

/* From here on a path may exist: the caller abandons b after a failure. */
static int bind_to(struct bound *b, const struct sockaddr *sa, socklen_t len)
{
	struct sockaddr_un name;
	socklen_t name_len = sizeof(name);

	if (bind(b->fd, sa, len) != 0)
		return -errno;
	note_path(b, sa, len);
	if (getsockname(b->fd, (struct sockaddr *)&name, &name_len) != 0)
		return -errno;
	addr_format((struct sockaddr *)&name, name_len, b->text,
		    sizeof(b->text));
	return 0;
}

static int open_at(const struct opening *how, const struct sockaddr *sa,
		   socklen_t len, struct bound *out)
{
	struct bound b = {.fd = sockopt_open(sa->sa_family, how->type, how->o)};
	int err = 0;

	if (b.fd < 0)
		return b.fd;
	if (how->type == SOCK_STREAM && sa->sa_family != AF_UNIX)
		err = sockopt_set(b.fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!err && sa->sa_family == AF_INET6)
		err = sockopt_set(b.fd, IPPROTO_IPV6, IPV6_V6ONLY,
				  how->v6_only);
	if (!err)
		err = sockopt_control(b.fd, how->o);
	if (!err)
		err = bind_to(&b, sa, len);
	if (err) {
		bound_abandon(&b);
		return err;
	}
	*out = b;
	return 0;
}

/* ---- an address as text -------------------------------------------------- */

/* What addr and resolve know is the family: a packet network is its stream twin. */
static int network_of(int type, const char *name)
{
	static const char *const twins[][2] = {{"udp", "tcp"},
					       {"udp4", "tcp4"},
					       {"udp6", "tcp6"},
					       {"unixgram", "unix"}};

	if (type == SOCK_STREAM)
		return addr_network_of(name);
	for (size_t i = 0; name && i < sizeof(twins) / sizeof(twins[0]); i++) {
		if (strcmp(name, twins[i][0]) == 0)
			return addr_network_of(twins[i][1]);
	}
	return -EINVAL;
}

static const union addr_ip *choose(const struct resolved *r)
{
	for (unsigned i = 0; i < r->n; i++) {
		if (r->addr[i].sa.sa_family == AF_INET)
			return &r->addr[i];
	}
	return &r->addr[0];
}

static bool lacks_ipv6(int err)
{
	return err == -EAFNOSUPPORT || err == -EADDRNOTAVAIL ||
	       err == -EPROTONOSUPPORT;
}

static int open_unix(const struct opening *how, const char *address,
		     struct bound *out)
{
	struct sockaddr_un un;
	socklen_t len;
	int err = addr_unix(address, &un, &len);

	if (err)
		return err;
	return open_at(how, (const struct sockaddr *)&un, len, out);
}

static int open_ip(struct opening *how, enum addr_network net,
		   const char *address, struct bound *out)
{
	struct addr_parts parts;
	const union addr_ip *a;
	struct resolved r;
	union addr_ip v4;
	int err = addr_split(address, &parts);

	if (!err)
		err = resolve(net, &parts, true, &r);
	if (err)
		return err;
	a = choose(&r);
	how->v6_only = net == ADDR_TCP6 || !addr_is_any(a);
	err = open_at(how, &a->sa, addr_ip_len(a), out);
	if (lacks_ipv6(err) && net == ADDR_TCP && addr_is_any(a) &&
	    a->sa.sa_family == AF_INET6) {
		/* A machine without IPv6: all addresses are all IPv4 ones. */
		addr_any(AF_INET, parts.port, &v4);
		err = open_at(how, &v4.sa, addr_ip_len(&v4), out);
	}
	return err;
}

int bound_open(int type, const char *network, const char *address,
	       const rg_net_options *o, struct bound *out)
{
	struct opening how = {.type = type, .o = o};
	int net = network_of(type, network);

	if (net < 0 || !address)
		return -EINVAL;
	if (net == ADDR_UNIX)
		return open_unix(&how, address, out);
	return open_ip(&how, (enum addr_network)net, address, out);
}
