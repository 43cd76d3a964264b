// SPDX-License-Identifier: MIT
/*
 * listener - stream sockets that listen, and accept.
 *
 *   I1  accept takes no lock: several goroutines may accept at once, each with an
 *       operation of its own; the kernel wakes one of them for a connection.
 *   I2  a connection that the kernel handed out is delivered or closed: the memory for
 *       it is there before the operation starts, and an operation that succeeded
 *       although it was to be cancelled still counts.
 *   I3  an accepted connection costs one operation and no further system call: options
 *       are inherited from the listening socket, the peer's address comes with the
 *       operation, its text is made when somebody asks.
 *   I4  a path is removed at close only if it is still the socket that we bound (same
 *       device and inode; the open socket keeps the inode from being reused).
 * A shortage (descriptors, memory) is waited out: 5 ms, doubling to 1 s. The wait is a
 * poll for no event with a deadline, so that close and the bound context end it.
 *
 * Callers: goroutines and foreign threads. After Go's net.Listener and its Serve loop.
 */
#include <ringgo/net.h>
#include <ringgo/runtime.h>

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/op_file.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/op_wait.h"
#include "net/conn.h"
#include "net/resolve.h"
#include "net/tcpopt.h"
#include "sched/opwait.h"
#include "sched/point.h"
#include "sched/seed.h"

#define BACKOFF_FIRST (5 * RG_MILLISECOND)
#define BACKOFF_MAX   RG_SECOND

struct rg_listener {
	struct netfd nf;
	/* const after rg_listen */
	bool owns_path;
	dev_t dev;
	ino_t ino;
	char text[ADDR_TEXT_SIZE]; /* also the path to remove */
};

/* ---- life --------------------------------------------------------------- */

/* I4. Before the descriptor is closed. */
static void remove_path(const struct rg_listener *l)
{
	struct op_sqe s;
	struct stat st;

	if (!l->owns_path || lstat(l->text, &st) != 0 || st.st_dev != l->dev ||
	    st.st_ino != l->ino)
		return;
	op_unlinkat(&s, AT_FDCWD, l->text, 0);
	/* Gone in the meantime, or the folder is read-only: not ours to mend. */
	if (opwait(&s, OPWAIT_NOCANCEL) == -ESRCH)
		(void)unlink(l->text);
}

static int listener_end(struct rg_listener *l)
{
	remove_path(l);
	return fdesc_close(l->nf.fd);
}

static void listener_release(struct netfd *nf)
{
	struct rg_listener *l = container_of(nf, struct rg_listener, nf);

	if (!netfd_is_shut(nf))
		(void)listener_end(l);
	rgk_free(l);
}

rg_listener *rg_listener_ref(rg_listener *l)
{
	if (l)
		netfd_ref(&l->nf);
	return l;
}

void rg_listener_unref(rg_listener *l)
{
	if (l)
		netfd_unref(&l->nf);
}

int rg_listener_close(rg_listener *l)
{
	int err;

	sched_point();
	if (!l)
		return -EINVAL;
	err = netfd_shut(&l->nf);
	if (!err)
		err = listener_end(l);
	netfd_unref(&l->nf);
	return err;
}

const char *rg_listener_addr(const rg_listener *l)
{
	return l->text;
}

/* ---- listen ------------------------------------------------------------- */

/* A bound socket that listens becomes *out. 0, or a negative errno and fd is the
 * caller's. */
static int start(struct rg_listener *l, int fd, const struct sockaddr *sa,
		 socklen_t len)
{
	struct sockaddr_un name;
	socklen_t name_len = sizeof(name);
	struct stat st;

	if (bind(fd, sa, len) != 0)
		return -errno;
	/* From here on a path exists: close removes it. */
	netfd_init(&l->nf, fd, listener_release);
	if (sa->sa_family == AF_UNIX &&
	    addr_is_path((const struct sockaddr_un *)(const void *)sa, len) &&
	    lstat(((const struct sockaddr_un *)(const void *)sa)->sun_path,
		  &st) == 0) {
		l->owns_path = true;
		l->dev = st.st_dev;
		l->ino = st.st_ino;
	}
	if (getsockname(fd, (struct sockaddr *)&name, &name_len) != 0)
		return -errno;
	addr_format((struct sockaddr *)&name, name_len, l->text,
		    sizeof(l->text));
	/* The kernel cuts it to net.core.somaxconn of this network namespace. */
	if (listen(fd, INT_MAX) != 0)
		return -errno;
	return 0;
}

static int listen_on(const struct sockaddr *sa, socklen_t len, bool v6_only,
		     rg_listener **out)
{
	struct rg_listener *l = rgk_zalloc(sizeof(*l));
	int fd, err = 0;

	if (!l)
		return -ENOMEM;
	fd = tcpopt_socket(sa->sa_family);
	if (fd < 0) {
		err = fd;
		goto free_listener;
	}
	if (sa->sa_family != AF_UNIX)
		err = tcpopt_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!err && sa->sa_family == AF_INET6)
		err = tcpopt_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only);
	if (!err)
		err = start(l, fd, sa, len);
	if (err)
		goto close_fd;
	*out = l;
	return 0;

close_fd:
	if (l->owns_path)
		remove_path(l);
	close(fd);
free_listener:
	rgk_free(l);
	return err;
}

static int listen_unix(const char *address, rg_listener **out)
{
	struct sockaddr_un un;
	socklen_t len;
	int err = addr_unix(address, &un, &len);

	if (err)
		return err;
	return listen_on((const struct sockaddr *)&un, len, false, out);
}

/* Of the addresses of a name the first IPv4 one is taken, as in Go. */
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

int rg_listen(const char *network, const char *address, rg_listener **out)
{
	int net = addr_network_of(network);
	struct addr_parts parts;
	const union addr_ip *a;
	struct resolved r;
	union addr_ip v4;
	int err;

	if (net < 0 || !address || !out)
		return -EINVAL;
	if (net == ADDR_UNIX)
		return listen_unix(address, out);
	err = addr_split(address, &parts);
	if (!err)
		err = resolve((enum addr_network)net, &parts, true, &r);
	if (err)
		return err;
	a = choose(&r);
	err = listen_on(&a->sa, addr_ip_len(a),
			net == ADDR_TCP6 || !addr_is_any(a), out);
	if (lacks_ipv6(err) && net == ADDR_TCP && addr_is_any(a) &&
	    a->sa.sa_family == AF_INET6) {
		/* A machine without IPv6: all addresses are all IPv4 ones. */
		addr_any(AF_INET, parts.port, &v4);
		err = listen_on(&v4.sa, addr_ip_len(&v4), false, out);
	}
	return err;
}

/* ---- accept ------------------------------------------------------------- */

/* Errors of the connection that was to be accepted, not of the listener (accept(2)). */
static bool is_about_peer(int err)
{
	static const int errs[] = {ECONNABORTED, EPROTO,     ENETDOWN,
				   ENOPROTOOPT,  EHOSTDOWN,  ENONET,
				   EHOSTUNREACH, ENETUNREACH};

	for (size_t i = 0; i < sizeof(errs) / sizeof(errs[0]); i++) {
		if (err == -errs[i])
			return true;
	}
	return false;
}

static bool is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOBUFS ||
	       err == -ENOMEM;
}

/* Once a process: a server that answers nobody must not be silent about it. */
static void say_shortage(int err)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;
	const char *parts[] = {"ringgo: accept: ", rg_strerror(err),
			       "; trying again (said once)\n"};
	struct iovec v[3];

	/* Relaxed: only elects. */
	if (atomic_flag_test_and_set_explicit(&said, memory_order_relaxed))
		return;
	for (int i = 0; i < 3; i++)
		v[i] = (struct iovec){(void *)(uintptr_t)parts[i],
				      strlen(parts[i])};
	/* Nobody to tell when stderr does not take it. */
	if (writev(STDERR_FILENO, v, 3) < 0)
		return;
}

/* Wait *delay and double it. 0: go on; else close or the context ended it. */
static int back_off(struct rg_listener *l, rg_duration *delay)
{
	/* Of the clock that the wait is for, also in a synctest bubble. */
	rg_time end = sched_now() + *delay;
	struct op_sqe s;
	int ret;

	/* Not for an event: a connection is waiting all the time. */
	op_poll(&s, l->nf.fd, 0);
	ret = opwait_fd_until(l->nf.fd, FD_READ, &s, timer_after(*delay));
	*delay = *delay * 2 < BACKOFF_MAX ? *delay * 2 : BACKOFF_MAX;
	if (ret == -ETIMEDOUT && sched_now() >= end)
		return 0;
	if (ret == -ENOMEM) {
		/* Not even for the wait: give way at least. */
		rg_yield();
		return 0;
	}
	return ret < 0 ? ret : 0;
}

static int accept_one(struct rg_listener *l, struct rg_conn *c)
{
	union addr_ip peer = {.sa = {.sa_family = AF_UNSPEC}};
	socklen_t len = sizeof(peer);
	struct op_sqe s;
	int fd;

	op_accept(&s, l->nf.fd, &peer.sa, &len, SOCK_CLOEXEC);
	fd = opwait_fd(l->nf.fd, FD_READ, &s);
	if (fd < 0)
		return fd;
	/* I3. A unix peer's name may be longer; it is asked for when wanted. */
	conn_adopt(c, fd, &peer,
		   peer.sa.sa_family == AF_INET || peer.sa.sa_family == AF_INET6
			   ? len
			   : 0);
	return 0;
}

static int accept_loop(struct rg_listener *l, rg_conn **out)
{
	rg_duration delay = BACKOFF_FIRST;
	struct rg_conn *c = NULL;
	int err;

	for (;;) {
		if (!c)
			c = conn_alloc();
		err = c ? accept_one(l, c) : -ENOMEM;
		if (!err) {
			*out = c;
			return 0;
		}
		if (is_shortage(err)) {
			say_shortage(err);
			err = back_off(l, &delay);
			if (err)
				break;
		} else if (!is_about_peer(err)) {
			break;
		}
	}
	conn_discard(c);
	return err;
}

int rg_listener_accept(rg_listener *l, rg_conn **out)
{
	int err;

	sched_point();
	err = netfd_enter(&l->nf);
	if (err)
		return err;
	err = accept_loop(l, out);
	netfd_leave(&l->nf);
	return err;
}
