// SPDX-License-Identifier: MIT
/*
 * Attacks listener's invariants: addresses, options and what they cost, shortages,
 * cancellation in every moment, paths of unix sockets.
 * Calls of setsockopt and of the name calls are counted:
 * RG-LDFLAGS: -Wl,--wrap=setsockopt,--wrap=getsockname,--wrap=getpeername,--wrap=socket
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"

#define TEST(name)                                                             \
	static void name##_body(void *arg);                                    \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		run_and_count(name##_body, NULL);                              \
	}                                                                      \
	static void name##_body(void *arg __attribute__((unused)))

/* ---- what is wrapped ---------------------------------------------------- */

static _Atomic int socket_calls; /* setsockopt, getsockname, getpeername */
static _Atomic bool without_ipv6;

int __real_setsockopt(int fd, int level, int name, const void *v, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *v, socklen_t n);
int __wrap_setsockopt(int fd, int level, int name, const void *v, socklen_t n)
{
	socket_calls++;
	return __real_setsockopt(fd, level, name, v, n);
}

int __real_getsockname(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getsockname(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
	socket_calls++;
	return __real_getsockname(fd, a, n);
}

int __real_getpeername(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getpeername(int fd, struct sockaddr *a, socklen_t *n);
int __wrap_getpeername(int fd, struct sockaddr *a, socklen_t *n)
{
	socket_calls++;
	return __real_getpeername(fd, a, n);
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	if (family == AF_INET6 && without_ipv6) {
		errno = EAFNOSUPPORT;
		return -1;
	}
	return __real_socket(family, type, protocol);
}

static struct rlimit saved_limit;

/* ---- addresses ---------------------------------------------------------- */

static rg_listener *listen_at(const char *network, const char *address)
{
	rg_listener *l = NULL;

	T_CHECK_INT_EQ(rg_listen(network, address, &l), 0);
	return l;
}

static int dial_port(const char *network, const char *host, uint16_t port)
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

TEST(listen_port_zero_picks_one)
{
	static const struct {
		const char *network, *address, *host;
	} cases[] = {
		{"tcp", "127.0.0.1:0", "127.0.0.1:"},
		{"tcp4", ":0", "0.0.0.0:"},
		{"tcp4", "localhost:0", "127.0.0.1:"},
		{"tcp", "localhost:0", "127.0.0.1:"},
		{"tcp", "0.0.0.0:0", "0.0.0.0:"},
		{"tcp", ":0", "[::]:"},
		{"tcp", "[::]:0", "[::]:"},
		{"tcp6", ":0", "[::]:"},
		{"tcp6", "localhost:0", "[::1]:"},
		{"tcp6", "[::1]:0", "[::1]:"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rg_listener *l = listen_at(cases[i].network, cases[i].address);

		T_CHECK_MEM_EQ(rg_listener_addr(l), cases[i].host,
			       strlen(cases[i].host));
		T_CHECK(t_port_of(rg_listener_addr(l)) > 0);
		T_CHECK_INT_EQ(rg_listener_close(l), 0);
	}
}

TEST(listen_refuses_nonsense)
{
	static const struct {
		const char *network, *address;
		int err;
	} cases[] = {
		{"udp", ":0", -EINVAL},
		{NULL, ":0", -EINVAL},
		{"tcp", NULL, -EINVAL},
		{"tcp", "", -EINVAL},
		{"tcp", "8080", -EINVAL},
		{"tcp", "127.0.0.1", -EINVAL},
		{"tcp", "127.0.0.1:http", -EINVAL},
		{"tcp", "127.0.0.1:65536", -EINVAL},
		{"tcp", "::1:80", -EINVAL},
		{"tcp4", "[::1]:0", -EINVAL},
		{"tcp6", "127.0.0.1:0", -EINVAL},
		{"tcp", "192.0.2.1:0", -EADDRNOTAVAIL},
		{"unix", "", -EINVAL},
		{"unix", NULL, -EINVAL},
		{"unix", "/nonexistent/folder/socket", -ENOENT},
	};
	rg_listener *const untouched = (rg_listener *)&saved_limit;
	rg_listener *l = untouched;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = rg_listen(cases[i].network, cases[i].address, &l);

		if (err != cases[i].err)
			T_FAIL("%s %s: %d", cases[i].network, cases[i].address,
			       err);
		T_CHECK_PTR_EQ(l, untouched);
	}
	T_CHECK_INT_EQ(rg_listen("tcp", ":0", NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_listener_close(NULL), -EINVAL);
	T_CHECK_PTR_EQ(rg_listener_ref(NULL), NULL);
	rg_listener_unref(NULL);
}

TEST(listen_all_addresses_means_both_families)
{
	rg_listener *l = listen_at("tcp", ":0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	rg_conn *c;

	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_STR_HAS(rg_conn_remote_addr(c), "127.0.0.1:");
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(dial_port("tcp", "[::1]", port), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_STR_HAS(rg_conn_remote_addr(c), "[::1]:");
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);

	l = listen_at("tcp6", ":0");
	port = t_port_of(rg_listener_addr(l));
	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), -ECONNREFUSED);
	T_CHECK_INT_EQ(dial_port("tcp", "[::1]", port), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(listen_on_a_machine_without_ipv6)
{
	rg_listener *l;

	without_ipv6 = true;
	l = listen_at("tcp", ":0");
	T_CHECK_MEM_EQ(rg_listener_addr(l), "0.0.0.0:", 8);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK_INT_EQ(rg_listen("tcp6", ":0", &l), -EAFNOSUPPORT);
	without_ipv6 = false;
}

TEST(listen_port_in_use_is_refused_and_free_after_close)
{
	struct pair p;
	rg_listener *l = listen_at("tcp", "127.0.0.1:0"), *other;
	char address[64];

	strcpy(address, rg_listener_addr(l));
	T_CHECK_INT_EQ(rg_listen("tcp", address, &other), -EADDRINUSE);
	/* A connection of ours stays behind in TIME_WAIT. */
	T_CHECK_INT_EQ(rg_dial("tcp", address, &p.a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &p.b), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	l = listen_at("tcp", address);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- options ------------------------------------------------------------ */

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	T_CHECK_INT_EQ(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

TEST(accept_costs_no_further_system_call)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	int before = socket_calls, fd;
	rg_conn *c;

	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_STR_HAS(rg_conn_remote_addr(c), "127.0.0.1:");
	T_CHECK_INT_EQ(socket_calls, before);
	T_CHECK_STR_EQ(rg_conn_local_addr(c), rg_listener_addr(l));
	T_CHECK_INT_EQ(socket_calls, before + 1);
	/* Inherited from the listener all the same. */
	fd = rg_conn_fd(c);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	T_CHECK_INT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 15);
	T_CHECK_INT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 15);
	T_CHECK_INT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	t_close(client);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

static void check_backlog(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	FILE *f = fopen("/proc/sys/net/core/somaxconn", "re");
	unsigned limit = 0;

	T_CHECK(f && fscanf(f, "%u", &limit) == 1);
	fclose(f);
	/* For a listening socket tcpi_sacked is the backlog. */
	T_CHECK_INT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	T_CHECK_INT_EQ(info.tcpi_sacked, limit);
}

TEST(listen_takes_the_backlog_of_the_system)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	int port = t_port_of(rg_listener_addr(l)), fds = t_open_fds();
	bool found = false;

	for (int fd = 0; fd < fds + 64; fd++) {
		struct sockaddr_in a;
		socklen_t len = sizeof(a);

		if (getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
		    a.sin_family == AF_INET && ntohs(a.sin_port) == port) {
			check_backlog(fd);
			found = true;
		}
	}
	T_CHECK(found);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- close and contexts ------------------------------------------------- */

struct accept_call {
	rg_listener *l;
	rg_ctx *ctx;
	rg_conn *c;
	_Atomic bool started, ended;
	int ret;
};

static void call_accept(void *arg)
{
	struct accept_call *call = arg;

	if (call->ctx)
		rg_ctx_bind(call->ctx);
	call->started = true;
	call->ret = rg_listener_accept(call->l, &call->c);
	call->ended = true;
	if (call->ctx)
		rg_ctx_unref(rg_ctx_bind(NULL));
}

static bool accept_has_started(void *arg)
{
	struct accept_call *call = arg;

	return call->started;
}

TEST(listener_close_wakes_all_acceptors)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call calls[10];
	char address[64];
	rg_waitgroup w = {0};
	rg_conn *c;

	strcpy(address, rg_listener_addr(l));
	for (int i = 0; i < 10; i++) {
		calls[i] = (struct accept_call){.l = l};
		spawn(&w, call_accept, &calls[i]);
		T_WAIT_UNTIL(accept_has_started, &calls[i]);
	}
	(void)rg_sleep(10 * RG_MILLISECOND);
	rg_listener_ref(l);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	/* It is closed when close returns: the port is free. */
	T_CHECK_INT_EQ(rg_dial("tcp", address, &c), -ECONNREFUSED);
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 10; i++)
		T_CHECK_INT_EQ(calls[i].ret, -ECANCELED);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), -ECANCELED);
	T_CHECK_STR_EQ(rg_listener_addr(l), address);
	T_CHECK_INT_EQ(rg_listener_close(l), -ECANCELED);
}

TEST(listener_close_and_listen_again_never_collide)
{
	char address[64] = "127.0.0.1:0";

	for (int i = 0; i < 200; i++) {
		rg_listener *l = listen_at("tcp", address);
		struct accept_call call = {.l = l};
		rg_waitgroup w = {0};

		strcpy(address, rg_listener_addr(l));
		spawn(&w, call_accept, &call);
		if (i % 2)
			rg_yield();
		T_CHECK_INT_EQ(rg_listener_close(rg_listener_ref(l)), 0);
		rg_waitgroup_wait(&w);
		T_CHECK_INT_EQ(call.ret, -ECANCELED);
		rg_listener_unref(l);
	}
}

TEST(listener_last_unref_closes)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));

	rg_listener_unref(rg_listener_ref(l));
	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), 0);
	rg_listener_unref(l);
	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), -ECONNREFUSED);
}

TEST(accept_heeds_the_bound_context)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	rg_time start = rg_now();
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	rg_conn *c;

	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), -ETIMEDOUT);
	T_CHECK(rg_now() - start >= 20 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), -ETIMEDOUT);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	T_CHECK_INT_EQ(
		dial_port("tcp", "127.0.0.1", t_port_of(rg_listener_addr(l))),
		0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* Connections arrive just when the accept is cancelled: each is delivered to this or
 * to the next accept, none is lost. */
TEST(accept_that_is_cancelled_loses_no_connection)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	int delivered = 0, cancelled = 0;

	for (int i = 0; i < 400; i++) {
		rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
		struct accept_call call = {.l = l, .ctx = ctx};
		rg_waitgroup w = {0};
		int client;

		spawn(&w, call_accept, &call);
		T_WAIT_UNTIL(accept_has_started, &call);
		if (i % 4 == 0)
			rg_yield();
		if (i % 2) {
			client = raw_connect(port);
			rg_ctx_cancel(ctx, 0);
		} else {
			rg_ctx_cancel(ctx, 0);
			if (i % 8 == 0)
				rg_waitgroup_wait(&w);
			client = raw_connect(port);
		}
		rg_waitgroup_wait(&w);
		if (call.ret == 0) {
			delivered++;
		} else {
			T_CHECK_INT_EQ(call.ret, -ECANCELED);
			cancelled++;
			T_CHECK_INT_EQ(rg_listener_accept(l, &call.c), 0);
		}
		t_send_str(client, "x");
		T_CHECK_INT_EQ(rg_conn_read(call.c, &(char){0}, 1), 1);
		T_CHECK_INT_EQ(rg_conn_close(call.c), 0);
		t_reset(client);
		rg_ctx_unref(ctx);
	}
	T_CHECK_INT_EQ(delivered + cancelled, 400);
	T_CHECK_INT_GE(cancelled, 50);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- shortages ---------------------------------------------------------- */

/* No descriptor above those that are open. */
static void limit_fds(void)
{
	int fd = dup(0);
	struct rlimit limit;

	T_CHECK(fd >= 0);
	close(fd);
	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &saved_limit), 0);
	limit = saved_limit;
	limit.rlim_cur = (rlim_t)fd;
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void unlimit_fds(void)
{
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &saved_limit), 0);
}

static int64_t ring_sqes(void)
{
	rg_stats stats;

	T_CHECK_INT_EQ(rg_stats_read(&stats, sizeof(stats)), 0);
	return stats.ring_sqes;
}

TEST(accept_without_descriptors_backs_off_and_recovers)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call call = {.l = l};
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	rg_waitgroup w = {0};
	int64_t sqes;

	limit_fds();
	sqes = ring_sqes();
	spawn(&w, call_accept, &call);
	(void)rg_sleep(120 * RG_MILLISECOND);
	T_CHECK(!call.ended);
	/* 5, 10, 20, 40, 80 ms: it does not spin. */
	T_CHECK_INT_LT(ring_sqes() - sqes, 60);
	unlimit_fds();
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, 0);
	t_close(client);
	T_CHECK_INT_EQ(rg_conn_close(call.c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(accept_that_backs_off_heeds_close_and_context)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call closed = {.l = l}, cancelled = {.l = l},
			   timed = {.l = l};
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	rg_waitgroup w = {0};
	rg_time start;

	cancelled.ctx = rg_ctx_with_cancel(rg_ctx_background());
	timed.ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 300 * RG_MILLISECOND);
	limit_fds();
	spawn(&w, call_accept, &closed);
	spawn(&w, call_accept, &cancelled);
	spawn(&w, call_accept, &timed);
	/* The wait of 640 ms has begun 65 ms ago. */
	(void)rg_sleep(700 * RG_MILLISECOND);
	T_CHECK(!closed.ended && !cancelled.ended && timed.ended);
	start = rg_now();
	rg_ctx_cancel(cancelled.ctx, 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	rg_waitgroup_wait(&w);
	T_CHECK(rg_now() - start < 450 * RG_MILLISECOND);
	unlimit_fds();
	T_CHECK_INT_EQ(closed.ret, -ECANCELED);
	T_CHECK_INT_EQ(cancelled.ret, -ECANCELED);
	T_CHECK_INT_EQ(timed.ret, -ETIMEDOUT);
	rg_ctx_unref(cancelled.ctx);
	rg_ctx_unref(timed.ctx);
	t_close(client);
}

TEST(listen_without_descriptors_or_memory_says_so)
{
	rg_listener *l;
	int64_t live;

	limit_fds();
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), -EMFILE);
	unlimit_fds();
	live = alloc_live();
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), -ENOMEM);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(alloc_live(), live);
}

TEST(accept_without_memory_backs_off_and_recovers)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	rg_time start = rg_now();
	rg_conn *c;

	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	alloc_fail_after(-1);
	T_CHECK(rg_now() - start >= 5 * RG_MILLISECOND);
	t_close(client);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- clients that vanish ------------------------------------------------ */

enum { ABRUPT = 10000 };

struct server {
	rg_listener *l;
	uint16_t port;
	_Atomic int handled;
};

struct handled {
	rg_conn *c;
	struct server *s;
};

static void serve_one(void *arg)
{
	struct handled h = *(struct handled *)arg;
	char buf[512];
	ssize_t n;

	while ((n = rg_conn_read(h.c, buf, sizeof(buf))) > 0) {
		if (rg_conn_write(h.c, buf, (size_t)n) != n)
			break;
	}
	(void)rg_conn_close(h.c);
	h.s->handled++;
}

static void serve(void *arg)
{
	struct server *s = arg;
	struct handled h = {.s = s};
	int err;

	while ((err = rg_listener_accept(s->l, &h.c)) == 0)
		T_CHECK_INT_EQ(rg_go_copy(serve_one, &h, sizeof(h)), 0);
	T_CHECK_INT_EQ(err, -ECANCELED);
}

static void *vanish(void *arg)
{
	struct server *s = arg;

	for (int i = 0; i < ABRUPT; i++) {
		int fd = t_tcp_connect(s->port);

		if (i % 3)
			(void)t_try_send(fd, "half a request", 14);
		if (i % 3 == 2)
			(void)t_recv(fd, (char[4]){0}, 4);
		t_reset(fd);
	}
	return NULL;
}

static bool all_are_handled(void *arg)
{
	struct server *s = arg;

	return s->handled == ABRUPT;
}

static void abrupt_closes(void *arg)
{
	struct server s = {.l = listen_at("tcp", "127.0.0.1:0")};
	int fds = t_open_fds();
	int64_t live = alloc_live();
	rg_waitgroup w = {0};
	pthread_t client;

	(void)arg;
	s.port = t_port_of(rg_listener_addr(s.l));
	spawn(&w, serve, &s);
	client = t_thread(vanish, &s);
	T_WAIT_UNTIL(all_are_handled, &s);
	join(client);
	T_CHECK_INT_EQ(t_open_fds(), fds);
	T_CHECK_INT_EQ(rg_listener_close(rg_listener_ref(s.l)), 0);
	rg_waitgroup_wait(&w);
	t_wait_goroutines(1);
	/* The connection that accept had ready is gone, too. */
	T_CHECK_INT_LE(alloc_live(), live + 64);
	rg_listener_unref(s.l);
}

static void accept_survives_clients_that_vanish(void **state)
{
	int fds = t_open_fds();

	(void)state;
	t_run(abrupt_closes, NULL);
	T_CHECK_INT_EQ(t_open_fds(), fds);
}

/* ---- unix --------------------------------------------------------------- */

static char folder[] = "/tmp/rg-listener-XXXXXX";

static char *path_in(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

TEST(listen_unix_path_is_removed_at_close)
{
	char *path = path_in("s");
	rg_listener *l = listen_at("unix", path), *other;
	rg_conn *a, *b;

	T_CHECK(exists(path));
	T_CHECK_STR_EQ(rg_listener_addr(l), path);
	T_CHECK_INT_EQ(rg_listen("unix", path, &other), -EADDRINUSE);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(rg_dial("unix", path, &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_INT_EQ(rg_conn_write(a, "u", 1), 1);
	T_CHECK_INT_EQ(rg_conn_read(b, &(char){0}, 1), 1);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK(!exists(path));
	T_CHECK_INT_EQ(rg_dial("unix", path, &a), -ENOENT);

	l = listen_at("unix", path);
	rg_listener_unref(l);
	T_CHECK(!exists(path));
}

TEST(listen_unix_removes_only_what_it_bound)
{
	char *path = path_in("t");
	rg_listener *l = listen_at("unix", path), *other;

	/* Somebody put his own socket there. */
	T_CHECK_INT_EQ(unlink(path), 0);
	other = listen_at("unix", path);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(rg_listener_close(other), 0);
	T_CHECK(!exists(path));
	/* A path that is there, whatever it is, is not touched. */
	T_CHECK_INT_EQ(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)),
		       0);
	T_CHECK_INT_EQ(rg_listen("unix", path, &l), -EADDRINUSE);
	T_CHECK(exists(path));
	T_CHECK_INT_EQ(unlink(path), 0);
	/* Gone before close: nothing to remove, no error. */
	l = listen_at("unix", path);
	T_CHECK_INT_EQ(unlink(path), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

TEST(listen_unix_abstract_names)
{
	rg_listener *l = listen_at("unix", "@rg-test-listener"), *other;
	rg_conn *a, *b;

	T_CHECK_STR_EQ(rg_listener_addr(l), "@rg-test-listener");
	T_CHECK_INT_EQ(rg_listen("unix", "@rg-test-listener", &other),
		       -EADDRINUSE);
	T_CHECK_INT_EQ(rg_dial("unix", "@rg-test-listener", &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	/* "@": the kernel chooses. */
	l = listen_at("unix", "@");
	T_CHECK_INT_GT(strlen(rg_listener_addr(l)), 1);
	T_CHECK_INT_EQ(rg_dial("unix", rg_listener_addr(l), &a), 0);
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK_INT_EQ(rg_dial("unix", "@", &a), -EINVAL);
}

/* ---- foreign threads ---------------------------------------------------- */

static void *foreign_accept(void *arg)
{
	struct accept_call *call = arg;

	call_accept(call);
	return NULL;
}

TEST(accept_works_from_a_foreign_thread)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call call = {.l = l};
	pthread_t t = t_thread(foreign_accept, &call);

	T_CHECK_INT_EQ(
		dial_port("tcp", "127.0.0.1", t_port_of(rg_listener_addr(l))),
		0);
	join(t);
	T_CHECK_INT_EQ(call.ret, 0);
	T_CHECK_INT_EQ(rg_conn_close(call.c), 0);
	call.started = false;
	t = t_thread(foreign_accept, &call);
	T_WAIT_UNTIL(accept_has_started, &call);
	(void)rg_sleep(10 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	join(t);
	T_CHECK_INT_EQ(call.ret, -ECANCELED);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listen_port_zero_picks_one),
		cmocka_unit_test(listen_refuses_nonsense),
		cmocka_unit_test(listen_all_addresses_means_both_families),
		cmocka_unit_test(listen_on_a_machine_without_ipv6),
		cmocka_unit_test(
			listen_port_in_use_is_refused_and_free_after_close),
		cmocka_unit_test(accept_costs_no_further_system_call),
		cmocka_unit_test(listen_takes_the_backlog_of_the_system),
		cmocka_unit_test(listener_close_wakes_all_acceptors),
		cmocka_unit_test(listener_close_and_listen_again_never_collide),
		cmocka_unit_test(listener_last_unref_closes),
		cmocka_unit_test(accept_heeds_the_bound_context),
		cmocka_unit_test(accept_that_is_cancelled_loses_no_connection),
		cmocka_unit_test(
			accept_without_descriptors_backs_off_and_recovers),
		cmocka_unit_test(accept_that_backs_off_heeds_close_and_context),
		cmocka_unit_test(listen_without_descriptors_or_memory_says_so),
		cmocka_unit_test(accept_without_memory_backs_off_and_recovers),
		cmocka_unit_test(accept_survives_clients_that_vanish),
		cmocka_unit_test(listen_unix_path_is_removed_at_close),
		cmocka_unit_test(listen_unix_removes_only_what_it_bound),
		cmocka_unit_test(listen_unix_abstract_names),
		cmocka_unit_test(accept_works_from_a_foreign_thread),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
