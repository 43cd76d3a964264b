// SPDX-License-Identifier: MIT
/*
 * dial - connect to an address.
 *
 *   I1  every descriptor made here becomes the connection or is closed, also when the
 *       bound context ends in the middle: connect is awaited, then closed.
 *   I2  the addresses of a name take part in a race (dialrace.c), or, when the caller
 *       wants none, are tried in the order of the resolver. With a deadline bound, each
 *       gets an equal share of the time left then, but 2 s where there are 2 s left: one
 *       that swallows packets does not use up the others' time.
 *   I3  what is returned is the failure that says most (dial_worse), and of several the
 *       first one: its address is the preferred one.
 * A connection to itself (the kernel chose the port that we dial as our own, and TCP's
 * simultaneous open did the rest) and a spurious "address not available" are retried
 * twice, after Go's net/tcpsock_posix.go.
 *
 * Callers: goroutines and foreign threads.
 */
#include "net/dial.h"

#include <ringgo/ctx.h>
#include <ringgo/net.h>
#include <ringgo/runtime.h>

#include <unistd.h>

#include "kernel-iface/op_net.h"
#include "net/sockopt.h"
#include "sched/bubble.h"
#include "sched/cancel.h"
#include "sched/g.h"
#include "sched/opwait.h"
#include "sched/point.h"

#define SHARE_MIN     (2 * RG_SECOND)
#define DELAY_DEFAULT (250 * RG_MILLISECOND)

/* ---- time --------------------------------------------------------------- */

int dial_context_error(void)
{
	struct g *gp = getg();

	return gp && gp->token ? cancel_token_err(gp->token) : 0;
}

/* I2: until when the next of n_left addresses may be tried. */
static rg_time share_of(rg_time deadline, rg_time now, unsigned n_left)
{
	rg_duration left, share;

	if (deadline == RG_FOREVER || n_left <= 1 || deadline <= now)
		return deadline;
	left = deadline - now;
	share = left / n_left;
	if (share < SHARE_MIN)
		share = left < SHARE_MIN ? left : SHARE_MIN;
	return now + share;
}

/* ---- one address -------------------------------------------------------- */

static int bind_local(const struct dialling *d, int fd, int family)
{
	if (d->local.sa.sa_family == AF_UNSPEC || family == AF_UNIX)
		return 0;
	if (d->local.sa.sa_family != family)
		return -EAFNOSUPPORT;
	return bind(fd, &d->local.sa, addr_ip_len(&d->local)) ? -errno : 0;
}

int dial_open(const struct dialling *d, int family)
{
	int fd = sockopt_open(family, SOCK_STREAM, d->o), err;

	if (fd < 0)
		return fd;
	err = sockopt_control(fd, d->o);
	if (!err)
		err = bind_local(d, fd, family);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/* A connected socket of its own, or a negative errno. */
static int connect_socket(const struct dialling *d, const struct sockaddr *sa,
			  socklen_t len, rg_time deadline)
{
	int fd = dial_open(d, sa->sa_family);
	struct op_sqe s;
	int err;

	if (fd < 0)
		return fd;
	op_connect(&s, fd, sa, len);
	err = opwait_fd_until(fd, FD_WRITE, &s, deadline);
	if (err >= 0)
		return fd;
	close(fd); /* I1: nothing is in flight any more */
	return err;
}

bool dial_is_self(int fd, union addr_ip *peer)
{
	union addr_ip self;
	socklen_t self_len = sizeof(self), peer_len = sizeof(*peer);

	return getsockname(fd, &self.sa, &self_len) == 0 &&
	       getpeername(fd, &peer->sa, &peer_len) == 0 &&
	       addr_is_same(&self, peer);
}

void dial_close_self(int fd)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
}

static int dial_ip(const struct dialling *d, const union addr_ip *a,
		   rg_time deadline)
{
	for (int tries = 0;; tries++) {
		union addr_ip peer = *a;
		int fd = connect_socket(d, &a->sa, addr_ip_len(a), deadline);

		if (fd == -EADDRNOTAVAIL && tries < DIAL_RETRIES)
			continue;
		if (fd < 0)
			return fd;
		if (!dial_is_self(fd, &peer)) {
			conn_adopt(d->c, fd, &peer, addr_ip_len(&peer));
			return 0;
		}
		dial_close_self(fd);
		if (tries == DIAL_RETRIES)
			return -ECONNREFUSED;
	}
}

/* ---- all of them -------------------------------------------------------- */

/* It did not come to asking the peer. */
static bool is_ours(int err)
{
	return err == -ENETUNREACH || err == -EADDRNOTAVAIL ||
	       err == -EAFNOSUPPORT || err == -EPROTONOSUPPORT;
}

bool dial_worse(int a, int b)
{
	return b && (!a || (is_ours(a) && !is_ours(b)));
}

static int dial_in_turn(const struct dialling *d, const struct resolved *r)
{
	rg_time deadline = rg_ctx_deadline(rg_ctx_current());
	int told = 0;

	for (unsigned i = 0; i < r->n; i++) {
		int err = dial_ip(d, &r->addr[i],
				  share_of(deadline, rg_now(), r->n - i));

		if (!err)
			return 0;
		if (dial_context_error())
			return dial_context_error();
		if (dial_worse(told, err))
			told = err; /* I3 */
	}
	return told;
}

static int dial_tcp(const struct dialling *d, enum addr_network network,
		    const char *address)
{
	rg_duration delay = d->o ? d->o->fallback_delay : 0;
	struct addr_parts parts;
	struct resolved r;
	int err = addr_split(address, &parts);

	if (!err)
		err = resolve(network, &parts, false, &r);
	if (err)
		return err;
	/* The clock of a bubble stands still while there is I/O. */
	if (r.n == 1 || delay < 0 || bubble_current())
		return dial_in_turn(d, &r);
	return dial_race(d, &r, delay ? delay : DELAY_DEFAULT);
}

static int dial_unix(const struct dialling *d, const char *address)
{
	struct sockaddr_un un;
	socklen_t len;
	int fd = addr_unix(address, &un, &len);

	if (fd)
		return fd;
	if (len <= offsetof(struct sockaddr_un, sun_path))
		return -EINVAL; /* "@": only a listener lets a name be chosen */
	fd = connect_socket(d, (const struct sockaddr *)&un, len, RG_FOREVER);
	if (fd < 0)
		return fd;
	conn_adopt(d->c, fd, NULL, 0);
	return 0;
}

/* "host:port", the host a literal or empty. */
static int read_local(const char *address, union addr_ip *out)
{
	struct addr_parts parts;
	int err = addr_split(address, &parts);

	if (!err)
		err = addr_literal(&parts, out);
	return err == -ENOENT ? -EINVAL : err;
}

int rg_dial_with(const char *network, const char *address,
		 const rg_net_options *o, rg_conn **out)
{
	struct dialling d = {.o = o, .local = {.sa = {.sa_family = AF_UNSPEC}}};
	int net = addr_network_of(network);
	int err = 0;

	sched_point();
	if (net < 0 || !address || !out)
		return -EINVAL;
	if (o && o->local_address)
		err = read_local(o->local_address, &d.local);
	if (err)
		return err;
	d.c = conn_alloc();
	if (!d.c)
		return -ENOMEM;
	err = net == ADDR_UNIX ? dial_unix(&d, address)
			       : dial_tcp(&d, (enum addr_network)net, address);
	if (err) {
		conn_discard(d.c);
		return err;
	}
	*out = d.c;
	return 0;
}

int rg_dial(const char *network, const char *address, rg_conn **out)
{
	return rg_dial_with(network, address, NULL, out);
}
