/* SPDX-License-Identifier: MIT */
/*
 * netpair - what the tests of net share: connected pairs, helpers for goroutines.
 */
#ifndef RG_TESTS_NETPAIR_H
#define RG_TESTS_NETPAIR_H

#include "tests/support/rgtest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static inline rg_listener *listen_at(const char *network, const char *address)
{
	rg_listener *l = NULL;

	T_CHECK_INT_EQ(rg_listen(network, address, &l), 0);
	return l;
}

struct pair {
	rg_conn *a, *b; /* dialled, accepted */
};

static inline struct pair pair_make(const char *network, const char *address)
{
	struct pair p;
	rg_listener *l = listen_at(network, address);

	/* The backlog holds the connection until it is accepted. */
	T_CHECK_INT_EQ(rg_dial(network, rg_listener_addr(l), &p.a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &p.b), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	return p;
}

static inline struct pair pair_tcp(void)
{
	return pair_make("tcp", "127.0.0.1:0");
}

/* 0 when somebody answers at host:port, or the negative errno. */
static inline int dial_port(const char *network, const char *host,
			    uint16_t port)
{
	char address[64];
	rg_conn *c;
	int err;

	snprintf(address, sizeof(address), "%s:%u", host, (unsigned)port);
	err = rg_dial(network, address, &c);
	if (!err)
		T_CHECK_INT_EQ(rg_conn_close(c), 0);
	return err;
}

static inline void pair_close(struct pair *p)
{
	T_CHECK_INT_EQ(rg_conn_close(p->a), 0);
	T_CHECK_INT_EQ(rg_conn_close(p->b), 0);
}

/* A connected plain socket. In place of t_tcp_connect, whose time limit makes signals
 * of the runtime interrupt it on a worker thread. The backlog must have room. */
static inline int raw_connect(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void *join_blocking(void *arg)
{
	return t_join(*(pthread_t *)arg);
}

/* t_join on a goroutine: does not stall its worker. */
static inline void join(pthread_t t)
{
	rg_blocking(join_blocking, &t);
}

/* Start fn(arg) as a goroutine that w waits for. */
static inline void spawn(rg_waitgroup *w, void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_waitgroup_go(w, fn, arg), 0);
}

static inline void read_exactly(rg_conn *c, void *buf, size_t n)
{
	char *p = buf;

	while (n > 0) {
		ssize_t ret = rg_conn_read(c, p, n);

		if (ret <= 0)
			T_FAIL("read: %zd with %zu bytes missing", ret, n);
		p += ret;
		n -= (size_t)ret;
	}
}

/* A call on a goroutine of its own, with its result and how long it took. */
struct call {
	rg_conn *c;
	void *buf;
	size_t n;
	_Atomic bool started, ended;
	ssize_t ret;
	rg_duration took;
};

static inline void call_read(void *arg)
{
	struct call *call = arg;
	rg_time start = rg_now();

	call->started = true;
	call->ret = rg_conn_read(call->c, call->buf, call->n);
	call->took = rg_now() - start;
	call->ended = true;
}

static inline void call_write(void *arg)
{
	struct call *call = arg;
	rg_time start = rg_now();

	call->started = true;
	call->ret = rg_conn_write(call->c, call->buf, call->n);
	call->took = rg_now() - start;
	call->ended = true;
}

static inline bool call_has_started(void *arg)
{
	struct call *call = arg;

	return call->started;
}

/* The call has begun and has had the time to park. */
static inline void call_is_parked(struct call *call)
{
	T_WAIT_UNTIL(call_has_started, call);
	(void)rg_sleep(5 * RG_MILLISECOND);
	T_CHECK(!call->ended);
}

/* A body that is one test of the program, run by run_and_count below. */
#define TEST(name)                                                             \
	static void name##_body(void *arg);                                    \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		run_and_count(name##_body, NULL);                              \
	}                                                                      \
	static void name##_body(void *arg __attribute__((unused)))

/* Run body as the main goroutine on as many Ps as there are CPUs and on one; neither
 * leaves a descriptor behind. */
static inline void run_and_count(void (*body)(void *arg), void *arg)
{
	for (int procs = 0; procs < 2; procs++) {
		int fds = t_open_fds();

		t_run_with(procs, body, arg);
		T_CHECK_INT_EQ(t_open_fds(), fds);
	}
}

#endif
