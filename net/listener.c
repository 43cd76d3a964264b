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
 * A shortage (descriptors, memory) is waited out: 5 ms, doubling to 1 s. The wait is a
 * poll for no event with a deadline, so that close and the bound context end it.
 *
 * Callers: goroutines and foreign threads. After Go's net.Listener and its Serve loop.
 */
#include <ringgo/net.h>
#include <ringgo/runtime.h>

#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/op_net.h"
#include "kernel-iface/op_wait.h"
#include "net/bound.h"
#include "net/conn.h"
#include "sched/opwait.h"
#include "sched/point.h"
#include "sched/seed.h"

#define BACKOFF_FIRST (5 * RG_MILLISECOND)
#define BACKOFF_MAX   RG_SECOND

struct rg_listener {
	struct netfd nf;
	struct bound bound; /* const after rg_listen */
};

/* ---- life --------------------------------------------------------------- */

static void listener_release(struct netfd *nf)
{
	struct rg_listener *l = container_of(nf, struct rg_listener, nf);

	if (!netfd_is_shut(nf))
		(void)bound_close(&l->bound);
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
		err = bound_close(&l->bound);
	netfd_unref(&l->nf);
	return err;
}

const char *rg_listener_addr(const rg_listener *l)
{
	return l->bound.text;
}

/* ---- listen ------------------------------------------------------------- */

int rg_listen_with(const char *network, const char *address,
		   const rg_net_options *o, rg_listener **out)
{
	struct rg_listener *l;
	int err;

	if (!out)
		return -EINVAL;
	l = rgk_zalloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	err = bound_open(SOCK_STREAM, network, address, o, &l->bound);
	if (err)
		goto free_listener;
	/* The kernel cuts it to net.core.somaxconn of this network namespace. */
	if (listen(l->bound.fd, o && o->backlog ? o->backlog : INT_MAX) != 0) {
		err = -errno;
		goto abandon;
	}
	netfd_init(&l->nf, l->bound.fd, listener_release);
	*out = l;
	return 0;

abandon:
	bound_abandon(&l->bound);
free_listener:
	rgk_free(l);
	return err;
}

int rg_listen(const char *network, const char *address, rg_listener **out)
{
	return rg_listen_with(network, address, NULL, out);
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
	fd = opwait_fd_again(l->nf.fd, FD_READ, &s);
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
