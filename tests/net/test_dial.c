// SPDX-License-Identifier: MIT
/*
 * Attacks dial's and resolve's invariants: every descriptor becomes the connection or
 * is closed, contexts end every step at once, time is shared among addresses.
 * getaddrinfo and socket are replaced: names ending in ".test" are answered here.
 * RG-LDFLAGS: -Wl,--wrap=getaddrinfo,--wrap=freeaddrinfo,--wrap=socket
 */
#include "tests/net/netpair.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "net/dial.h"

/* ---- what is replaced --------------------------------------------------- */

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* Linux 6.3 */
#endif

static _Atomic unsigned forced_port; /* the only local port; 0: any */
static _Atomic int asked, sockets;
static _Atomic int slow_ms, asking, asking_max;

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
	int fd = __real_socket(family, type, protocol);
	uint32_t port = forced_port;

	sockets++;
	if (fd >= 0 && port) {
		uint32_t range = port << 16 | port;

		T_CHECK_INT_EQ(setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE,
					  &range, sizeof(range)),
			       0);
	}
	return fd;
}

/* The answers, IPv4 or IPv6 literals, and how the question ends without. */
static const struct answer {
	const char *name;
	int eai;
	const char *literals[3];
} answers[] = {
	{"one.test", 0, {"127.0.0.1"}},
	{"six.test", 0, {"::1"}},
	/* nobody is on .9; .1 answers */
	{"second.test", 0, {"127.0.0.9", "127.0.0.1"}},
	{"both.test", 0, {"::1", "127.0.0.1"}},
	{"twins.test", 0, {"127.0.0.1", "127.0.0.1", "127.0.0.1"}},
	{"turns.test", 0, {"127.0.0.9", "127.0.0.8", "::1"}},
	/* the first is no peer at all */
	{"ours.test", 0, {"255.255.255.255", "127.0.0.1"}},
	{"nobody.test", EAI_NONAME, {0}},
	{"later.test", EAI_AGAIN, {0}},
	{"broken.test", EAI_FAIL, {0}},
	{"memory.test", EAI_MEMORY, {0}},
	{"empty.test", 0, {0}},
	{"system.test", EAI_SYSTEM, {0}},
	{"*", 0, {"127.0.0.1"}}, /* any other one */
};

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out);
void __wrap_freeaddrinfo(struct addrinfo *list);

static struct addrinfo *entry_of(const char *literal, int family)
{
	struct addrinfo *ai = calloc(1, sizeof(*ai));
	struct sockaddr_in *in = calloc(1, sizeof(*in));
	struct sockaddr_in6 *in6 = calloc(1, sizeof(*in6));

	T_CHECK(ai && in && in6);
	if (inet_pton(AF_INET, literal, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		ai->ai_addr = (struct sockaddr *)in;
		ai->ai_addrlen = sizeof(*in);
		free(in6);
	} else {
		T_CHECK_INT_EQ(inet_pton(AF_INET6, literal, &in6->sin6_addr),
			       1);
		in6->sin6_family = AF_INET6;
		ai->ai_addr = (struct sockaddr *)in6;
		ai->ai_addrlen = sizeof(*in6);
		free(in);
	}
	ai->ai_family = ai->ai_addr->sa_family;
	if (family == AF_UNSPEC || family == ai->ai_family)
		return ai;
	free(ai->ai_addr);
	free(ai);
	return NULL;
}

int __wrap_getaddrinfo(const char *host, const char *service,
		       const struct addrinfo *hints, struct addrinfo **out)
{
	struct timespec ts = {.tv_nsec = slow_ms * 1000000L};
	const struct answer *a = answers;
	struct addrinfo **end = out;

	asked++;
	T_CHECK(rg_goid() == 0 && !service);
	if (++asking > asking_max)
		asking_max = asking;
	nanosleep(&ts, NULL);
	asking--;
	while (a->name[0] != '*' && strcmp(a->name, host) != 0) {
		a++;
		T_CHECK(a < answers + sizeof(answers) / sizeof(answers[0]));
	}
	*out = NULL;
	if (a->eai == EAI_SYSTEM)
		errno = ENFILE;
	for (int i = 0; !a->eai && i < 3 && a->literals[i]; i++) {
		*end = entry_of(a->literals[i], hints->ai_family);
		if (*end)
			end = &(*end)->ai_next;
	}
	return a->eai;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	while (list) {
		struct addrinfo *next = list->ai_next;

		free(list->ai_addr);
		free(list);
		list = next;
	}
}

/* ---- helpers ------------------------------------------------------------ */

static int dial_to(const char *network, const char *host, uint16_t port,
		   rg_conn **c)
{
	char address[128];

	snprintf(address, sizeof(address), "%s:%u", host, (unsigned)port);
	return rg_dial(network, address, c);
}

static int dial_delayed(const char *host, uint16_t port, rg_duration delay,
			rg_conn **c)
{
	const rg_net_options o = {.fallback_delay = delay};
	char address[128];

	snprintf(address, sizeof(address), "%s:%u", host, (unsigned)port);
	return rg_dial_with("tcp", address, &o, c);
}

static void check_reaches(rg_listener *l, const char *network, const char *host)
{
	uint16_t port = t_port_of(rg_listener_addr(l));
	rg_conn *a, *b;

	T_CHECK_INT_EQ(dial_to(network, host, port, &a), 0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &b), 0);
	T_CHECK_STR_EQ(rg_conn_local_addr(a), rg_conn_remote_addr(b));
	T_CHECK_STR_EQ(rg_conn_remote_addr(a), rg_conn_local_addr(b));
	T_CHECK_INT_EQ(rg_conn_close(a), 0);
	T_CHECK_INT_EQ(rg_conn_close(b), 0);
}

/* A port of 127.0.0.1 whose SYNs are not answered: its queue is full. */
struct hole {
	int listener, clients[8];
	uint16_t port;
};

static void hole_open(struct hole *h, uint32_t address)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(address);
	h->listener = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_CHECK_INT_EQ(bind(h->listener, (struct sockaddr *)&a, len), 0);
	T_CHECK_INT_EQ(listen(h->listener, 0), 0);
	T_CHECK_INT_EQ(getsockname(h->listener, (struct sockaddr *)&a, &len),
		       0);
	h->port = ntohs(a.sin_port);
	for (int i = 0; i < 8; i++) {
		h->clients[i] = __real_socket(
			AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(h->clients[i], (struct sockaddr *)&a, len);
	}
}

static void hole_close(struct hole *h)
{
	for (int i = 0; i < 8; i++)
		close(h->clients[i]);
	close(h->listener);
}

#define HOLE_9 ((INADDR_LOOPBACK & 0xffffff00) | 9)

/* A hole on 127.0.0.9, and somebody who listens on `host` at the same port, which may
 * be anybody's there. */
static rg_listener *hole_open_beside(struct hole *h, const char *host)
{
	rg_listener *l = NULL;
	char address[32];
	int err = -EADDRINUSE;

	for (int i = 0; i < 50 && err == -EADDRINUSE; i++) {
		if (i)
			hole_close(h);
		hole_open(h, HOLE_9);
		snprintf(address, sizeof(address), "%s:%u", host,
			 (unsigned)h->port);
		err = rg_listen("tcp", address, &l);
	}
	T_CHECK_INT_EQ(err, 0);
	return l;
}

/* ---- the ordinary ------------------------------------------------------- */

TEST(dial_reaches_literals_and_localhost_without_a_resolver)
{
	rg_listener *both = listen_at("tcp", ":0");
	rg_listener *v6 = listen_at("tcp6", "[::1]:0");
	int before = asked;

	check_reaches(both, "tcp", "127.0.0.1");
	check_reaches(both, "tcp", "[::1]");
	check_reaches(both, "tcp4", "localhost");
	check_reaches(both, "tcp6", "localhost");
	check_reaches(both, "tcp", "LOCALHOST");
	check_reaches(both, "tcp", "");
	check_reaches(both, "tcp", "0.0.0.0");
	check_reaches(both, "tcp", "[::]");
	check_reaches(both, "tcp", "[::ffff:127.0.0.1]");
	/* Nobody is on 127.0.0.1: the second address is tried. */
	check_reaches(v6, "tcp", "localhost");
	T_CHECK_INT_EQ(asked, before);
	T_CHECK_INT_EQ(rg_listener_close(both), 0);
	T_CHECK_INT_EQ(rg_listener_close(v6), 0);
}

TEST(dial_refuses_nonsense)
{
	static const struct {
		const char *network, *address;
		int err;
	} cases[] = {
		{"udp", "127.0.0.1:1", -EINVAL},
		{NULL, "127.0.0.1:1", -EINVAL},
		{"tcp", NULL, -EINVAL},
		{"tcp", "127.0.0.1", -EINVAL},
		{"tcp", "127.0.0.1:x", -EINVAL},
		{"tcp", "127.1:80", -EINVAL},
		{"tcp", "not a name:80", -EINVAL},
		{"tcp4", "[::1]:1", -EINVAL},
		{"tcp6", "127.0.0.1:1", -EINVAL},
		{"tcp", "127.0.0.1:1", -ECONNREFUSED},
		{"tcp", "localhost:1", -ECONNREFUSED},
		{"unix", "", -EINVAL},
		{"unix", "/nonexistent/socket", -ENOENT},
		{"unix", "@rg-nobody-listens", -ECONNREFUSED},
	};
	static int place;
	rg_conn *const untouched = (rg_conn *)&place;
	rg_conn *c = untouched;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int err = rg_dial(cases[i].network, cases[i].address, &c);

		if (err != cases[i].err)
			T_FAIL("%s %s: %d", cases[i].network, cases[i].address,
			       err);
		T_CHECK_PTR_EQ(c, untouched);
	}
	T_CHECK_INT_EQ(rg_dial("tcp", "127.0.0.1:1", NULL), -EINVAL);
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_dial("tcp", "127.0.0.1:1", &c), -ENOMEM);
	alloc_fail_after(-1);
}

TEST(dial_sets_the_options_of_every_connection)
{
	struct pair p = pair_tcp();
	socklen_t len = sizeof(int);
	int on = 0;

	T_CHECK_INT_EQ(getsockopt(rg_conn_fd(p.a), IPPROTO_TCP, 1, &on, &len),
		       0); /* TCP_NODELAY */
	T_CHECK_INT_EQ(on, 1);
	on = 0;
	T_CHECK_INT_EQ(getsockopt(rg_conn_fd(p.a), SOL_SOCKET, SO_KEEPALIVE,
				  &on, &len),
		       0);
	T_CHECK_INT_EQ(on, 1);
	pair_close(&p);
}

/* ---- names -------------------------------------------------------------- */

TEST(dial_asks_the_resolver_for_names)
{
	rg_listener *l = listen_at("tcp", ":0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	static const struct {
		const char *network, *host;
		int err;
	} failing[] = {
		{"tcp", "nobody.test", -ENXIO}, {"tcp", "later.test", -EAGAIN},
		{"tcp", "broken.test", -EIO},   {"tcp", "memory.test", -ENOMEM},
		{"tcp", "empty.test", -ENXIO},  {"tcp6", "one.test", -ENXIO},
		{"tcp4", "six.test", -ENXIO},   {"tcp", "system.test", -ENFILE},
	};
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());

	/* Once without, once with a context that could end: two ways to wait. */
	for (int bound = 0; bound < 2; bound++) {
		if (bound)
			rg_ctx_bind(ctx);
		check_reaches(l, "tcp", "one.test");
		check_reaches(l, "tcp", "six.test");
		check_reaches(l, "tcp4", "both.test");
		check_reaches(l, "tcp6", "both.test");
		for (size_t i = 0; i < sizeof(failing) / sizeof(failing[0]);
		     i++) {
			rg_conn *c;
			int err = dial_to(failing[i].network, failing[i].host,
					  port, &c);

			if (err != failing[i].err)
				T_FAIL("%s: %d", failing[i].host, err);
		}
	}
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	t_wait_goroutines(1);
}

TEST(listen_asks_the_resolver_for_names)
{
	rg_listener *l = listen_at("tcp", "both.test:0");

	T_CHECK_MEM_EQ(rg_listener_addr(l), "127.0.0.1:", 10);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK_INT_EQ(rg_listen("tcp", "nobody.test:0", &l), -ENXIO);
}

TEST(dial_tries_each_address_once)
{
	rg_listener *l = listen_at("tcp4", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	int before;
	rg_conn *c;

	check_reaches(l, "tcp", "second.test");
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	before = sockets;
	T_CHECK_INT_EQ(dial_to("tcp", "twins.test", port, &c), -ECONNREFUSED);
	T_CHECK_INT_EQ(sockets, before + 1);
	T_CHECK_INT_EQ(dial_to("tcp", "second.test", port, &c), -ECONNREFUSED);
	T_CHECK_INT_EQ(sockets, before + 3);
}

static _Atomic int ticks;
static _Atomic bool enough;

static void count_ticks(void *arg)
{
	(void)arg;
	while (!enough) {
		ticks++;
		(void)rg_sleep(RG_MILLISECOND);
	}
}

TEST(dial_that_resolves_stalls_nobody)
{
	rg_waitgroup w = {0};
	int before;
	rg_conn *c;

	enough = false;
	spawn(&w, count_ticks, NULL);
	slow_ms = 100;
	before = ticks;
	T_CHECK_INT_EQ(dial_to("tcp", "nobody.test", 1, &c), -ENXIO);
	T_CHECK_INT_GT(ticks - before, 10);
	slow_ms = 0;
	enough = true;
	rg_waitgroup_wait(&w);
}

static rg_ctx *bind_timeout(rg_duration d)
{
	rg_ctx *ctx = rg_ctx_with_timeout(rg_ctx_background(), d);

	T_CHECK(ctx != NULL);
	T_CHECK_PTR_EQ(rg_ctx_bind(ctx), NULL);
	return ctx;
}

static void unbind(rg_ctx *ctx)
{
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

TEST(dial_context_ends_the_wait_for_the_resolver)
{
	rg_time start = rg_now();
	rg_ctx *ctx = bind_timeout(20 * RG_MILLISECOND);
	int64_t live;
	rg_conn *c;

	slow_ms = 800;
	T_CHECK_INT_EQ(dial_to("tcp", "one.test", 1, &c), -ETIMEDOUT);
	T_CHECK(rg_now() - start < 700 * RG_MILLISECOND);
	live = alloc_live();
	T_CHECK_INT_EQ(dial_to("tcp", "one.test", 1, &c), -ETIMEDOUT);
	T_CHECK_INT_EQ(alloc_live(), live);
	unbind(ctx);
	/* The question is answered, nobody listens, and it is freed. */
	t_wait_goroutines(1);
	T_CHECK_INT_LT(alloc_live(), live);
	slow_ms = 0;
}

/* ---- one question for all, and not too many --------------------------------- */

struct lookup {
	char name[32];
	int want;
	rg_duration timeout; /* 0: none */
};

static void look_up(void *arg)
{
	struct lookup *l = arg;
	rg_ctx *ctx = NULL;
	rg_host_addr addr[2];

	if (l->timeout) {
		ctx = rg_ctx_with_timeout(rg_ctx_background(), l->timeout);
		rg_ctx_bind(ctx);
	}
	T_CHECK_INT_EQ(rg_lookup_host(l->name, addr, 2), l->want);
	if (l->want == 1)
		T_CHECK_STR_EQ(addr[0].text, "127.0.0.1");
	if (ctx)
		unbind(ctx);
}

TEST(resolve_goroutines_that_ask_the_same_share_the_question)
{
	struct lookup same = {.name = "shared.test", .want = 1};
	struct lookup late = {"shared.test", -ETIMEDOUT, RG_MILLISECOND};
	rg_waitgroup w = {0};
	int before = asked;
	int64_t live = alloc_live();

	slow_ms = 60;
	for (int i = 0; i < 20; i++)
		spawn(&w, look_up, i % 4 ? &same : &late);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(asked, before + 1);
	/* It is forgotten when it has been answered. */
	t_wait_goroutines(1);
	slow_ms = 0;
	look_up(&same);
	T_CHECK_INT_EQ(asked, before + 2);
	t_wait_goroutines(1);
	T_CHECK_INT_LE(alloc_live(), live + 4); /* timer heaps */
}

static bool all_places_are_taken(void *arg)
{
	(void)arg;
	return asking == 32;
}

TEST(resolve_asks_at_most_32_at_once)
{
	enum { N = 80, IMPATIENT = 10 };
	static struct lookup many[N];
	rg_waitgroup w = {0};
	int before = asked;

	asking_max = 0;
	slow_ms = 200;
	for (int i = 0; i < N; i++) {
		snprintf(many[i].name, sizeof(many[i].name), "n%d.many", i);
		many[i].want = 1;
		many[i].timeout = 0;
		if (i == N - IMPATIENT)
			T_WAIT_UNTIL(all_places_are_taken, NULL);
		/* Gone before their turn comes. */
		if (i >= N - IMPATIENT) {
			many[i].want = -ETIMEDOUT;
			many[i].timeout = RG_MILLISECOND;
		}
		spawn(&w, look_up, &many[i]);
	}
	rg_waitgroup_wait(&w);
	t_wait_goroutines(1);
	T_CHECK_INT_LE(asking_max, 32);
	T_CHECK_INT_EQ(asked, before + N - IMPATIENT);
	slow_ms = 0;
}

/* ---- connecting --------------------------------------------------------- */

static void cancel_soon(void *arg)
{
	(void)rg_sleep(20 * RG_MILLISECOND);
	rg_ctx_cancel(arg, 0);
}

TEST(dial_context_ends_a_connect)
{
	struct hole h;
	rg_time start;
	rg_ctx *ctx;
	rg_waitgroup w = {0};
	int fds;
	rg_conn *c;

	hole_open(&h, INADDR_LOOPBACK);
	fds = t_program_fds();
	start = rg_now();
	ctx = bind_timeout(30 * RG_MILLISECOND);
	T_CHECK_INT_EQ(dial_to("tcp", "127.0.0.1", h.port, &c), -ETIMEDOUT);
	T_CHECK(rg_now() - start >= 30 * RG_MILLISECOND);
	T_CHECK(rg_now() - start < 900 * RG_MILLISECOND);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	unbind(ctx);

	ctx = rg_ctx_with_cancel(rg_ctx_background());
	spawn(&w, cancel_soon, ctx);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(dial_to("tcp", "127.0.0.1", h.port, &c), -ECANCELED);
	T_CHECK_INT_EQ(dial_to("tcp", "127.0.0.1", h.port, &c), -ECANCELED);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	rg_waitgroup_wait(&w);
	unbind(ctx);
	hole_close(&h);
}

TEST(dial_address_that_swallows_packets_leaves_time_for_the_next)
{
	struct hole h;
	rg_listener *l = hole_open_beside(&h, "127.0.0.1");
	rg_time start = rg_now();
	rg_ctx *ctx = bind_timeout(4100 * RG_MILLISECOND);
	rg_conn *c;

	/* second.test: 127.0.0.9 swallows, 127.0.0.1 listens. */
	T_CHECK_INT_EQ(dial_delayed("second.test", h.port, -1, &c), 0);
	T_CHECK(rg_now() - start >= 2 * RG_SECOND);
	T_CHECK(rg_now() - start < 4 * RG_SECOND);
	unbind(ctx);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	hole_close(&h);
}

/* ---- several addresses at once ------------------------------------------- */

/* Blocking mode, as that of every connection. */
static void check_mode(const rg_conn *c)
{
	T_CHECK_INT_EQ(fcntl(rg_conn_fd(c), F_GETFL) & O_NONBLOCK, 0);
}

TEST(dial_race_address_that_swallows_packets_costs_the_delay)
{
	struct hole h;
	rg_time start;
	rg_ctx *ctx;
	rg_conn *c, *peer;
	rg_listener *l = hole_open_beside(&h, "127.0.0.1");
	int fds = t_program_fds();

	start = rg_now();
	T_CHECK_INT_EQ(dial_to("tcp", "second.test", h.port, &c), 0);
	T_CHECK(rg_now() - start >= 250 * RG_MILLISECOND);
	T_CHECK(rg_now() - start < 1900 * RG_MILLISECOND);
	T_CHECK_STR_EQ(rg_conn_remote_addr(c), rg_listener_addr(l));
	check_mode(c);
	T_CHECK_INT_EQ(rg_listener_accept(l, &peer), 0);
	T_CHECK_INT_EQ(rg_conn_write(c, "x", 1), 1);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_conn_close(peer), 0);
	T_CHECK_INT_EQ(t_program_fds(), fds);

	/* A deadline that is nearer than the delay leaves both their share. */
	start = rg_now();
	ctx = bind_timeout(200 * RG_MILLISECOND);
	T_CHECK_INT_EQ(dial_delayed("second.test", h.port, RG_HOUR, &c), 0);
	T_CHECK(rg_now() - start >= 100 * RG_MILLISECOND);
	unbind(ctx);
	T_CHECK_INT_EQ(rg_listener_accept(l, &peer), 0);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_conn_close(peer), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	T_CHECK_INT_EQ(t_program_fds(), fds - 1);
	hole_close(&h);
}

TEST(dial_race_families_take_turns)
{
	struct hole h;
	rg_listener *l = hole_open_beside(&h, "[::1]");
	int before = sockets;
	rg_conn *c;

	/* Not .8, which the resolver has before ::1. */
	T_CHECK_INT_EQ(
		dial_delayed("turns.test", h.port, 20 * RG_MILLISECOND, &c), 0);
	T_CHECK_INT_EQ(sockets, before + 2);
	T_CHECK_STR_EQ(rg_conn_remote_addr(c), rg_listener_addr(l));
	check_mode(c);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	hole_close(&h);
}

TEST(dial_race_tells_the_failure_that_says_most)
{
	int fds = t_program_fds();
	rg_time start = rg_now();
	rg_conn *c;

	/* Nobody waits: each failure starts the next attempt. */
	T_CHECK_INT_EQ(dial_delayed("second.test", 1, RG_HOUR, &c),
		       -ECONNREFUSED);
	/* A broadcast address is no peer: connect says ENETUNREACH or EACCES. */
	T_CHECK_INT_EQ(dial_delayed("ours.test", 1, RG_HOUR, &c) < 0, 1);
	T_CHECK(rg_now() - start < 10 * RG_SECOND);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	T_CHECK(dial_worse(-ENETUNREACH, -ECONNREFUSED));
	T_CHECK(!dial_worse(-ECONNREFUSED, -ENETUNREACH));
	T_CHECK(!dial_worse(-ECONNREFUSED, -ETIMEDOUT));
	T_CHECK(!dial_worse(-EAFNOSUPPORT, -ENETUNREACH));
	T_CHECK(dial_worse(0, -ENETUNREACH));
}

static int sockets_before;

static bool both_were_made(void *arg)
{
	(void)arg;
	return sockets == sockets_before + 2;
}

static void cancel_when_both_are_under_way(void *arg)
{
	T_WAIT_UNTIL(both_were_made, NULL);
	cancel_soon(arg);
}

TEST(dial_race_context_ends_all_attempts)
{
	struct hole h;
	rg_listener *l;
	struct sockaddr_in a = {.sin_family = AF_INET};
	static const rg_net_options one = {.backlog = 1};
	int full[8], fds, err = -EADDRINUSE;
	rg_waitgroup w = {0};
	char address[32];
	rg_ctx *ctx;
	rg_conn *c;

	/* Both addresses swallow. */
	for (int i = 0; i < 50 && err == -EADDRINUSE; i++) {
		if (i)
			hole_close(&h);
		hole_open(&h, HOLE_9);
		snprintf(address, sizeof(address), "127.0.0.1:%u",
			 (unsigned)h.port);
		err = rg_listen_with("tcp", address, &one, &l);
	}
	T_CHECK_INT_EQ(err, 0);
	a.sin_port = htons(h.port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 8; i++) {
		full[i] = __real_socket(
			AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(full[i], (struct sockaddr *)&a, sizeof(a));
	}
	fds = t_program_fds();
	sockets_before = sockets;
	ctx = rg_ctx_with_cancel(rg_ctx_background());
	spawn(&w, cancel_when_both_are_under_way, ctx);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(dial_delayed("second.test", h.port, RG_MILLISECOND, &c),
		       -ECANCELED);
	T_CHECK_INT_EQ(sockets, sockets_before + 2);
	unbind(ctx);
	rg_waitgroup_wait(&w);
	ctx = bind_timeout(30 * RG_MILLISECOND);
	T_CHECK_INT_EQ(dial_delayed("second.test", h.port, RG_MILLISECOND, &c),
		       -ETIMEDOUT);
	unbind(ctx);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	for (int i = 0; i < 8; i++)
		close(full[i]);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	hole_close(&h);
}

TEST(dial_never_connects_to_itself)
{
	uint16_t port;
	int l = t_tcp_listen(&port), range_ok;
	uint32_t range = (uint32_t)port << 16 | port;
	int before;
	rg_conn *c;

	range_ok = setsockopt(l, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &range,
			      sizeof(range)) == 0;
	t_close(l);
	if (!range_ok)
		return; /* before Linux 6.3 the case cannot be provoked */
	/* The kernel has no other local port to choose than the one dialled. */
	forced_port = port;
	before = sockets;
	T_CHECK_INT_EQ(dial_to("tcp", "127.0.0.1", port, &c), -ECONNREFUSED);
	T_CHECK_INT_EQ(sockets, before + 3);
	forced_port = 0;
}

TEST(dial_unix_waits_for_room_in_the_backlog)
{
	int l = __real_socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
	struct sockaddr_un {
		sa_family_t family;
		char name[32];
	} un = {AF_UNIX, ""};
	char name[sizeof un.name];
	rg_conn *first, *c;
	rg_ctx *ctx;
	int fds, n;

	/* The name of nobody else who runs this test. */
	n = snprintf(name, sizeof name, "@rg-full-%d", (int)getpid());
	memcpy(un.name + 1, name + 1, (size_t)n - 1);
	T_CHECK_INT_EQ(bind(l, (struct sockaddr *)&un,
			    (socklen_t)(sizeof un.family + (size_t)n)),
		       0);
	T_CHECK_INT_EQ(listen(l, 0), 0);
	T_CHECK_INT_EQ(rg_dial("unix", name, &first), 0);
	fds = t_program_fds();
	ctx = bind_timeout(30 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_dial("unix", name, &c), -ETIMEDOUT);
	unbind(ctx);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	peer = accept(l, NULL, NULL);
	T_CHECK_INT_EQ(rg_dial("unix", name, &c), 0);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_conn_close(first), 0);
	close(peer);
	close(l);
}

/* The context ends at any moment of a dial that would succeed. */
TEST(dial_that_is_cancelled_leaks_nothing)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	int fds = t_program_fds(), connected = 0;

	for (int i = 0; i < 300; i++) {
		rg_ctx *ctx = bind_timeout((i % 30) * 5 * RG_MICROSECOND);
		rg_conn *c;
		int err = dial_to("tcp", "127.0.0.1", port, &c);

		unbind(ctx);
		if (err == 0) {
			connected++;
			T_CHECK_INT_EQ(rg_conn_close(c), 0);
		} else {
			T_CHECK_INT_EQ(err, -ETIMEDOUT);
		}
	}
	T_CHECK_INT_EQ(t_program_fds(), fds);
	T_CHECK_INT_LE(connected, 300);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- foreign threads ---------------------------------------------------- */

static void *foreign_dial(void *arg)
{
	uint16_t *port = arg;
	rg_conn *c;

	T_CHECK_INT_EQ(dial_to("tcp", "one.test", *port, &c), 0);
	T_CHECK_INT_EQ(rg_conn_write(c, "hello", 5), 5);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(dial_to("tcp", "nobody.test", *port, &c), -ENXIO);
	return NULL;
}

TEST(dial_works_from_a_foreign_thread)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	pthread_t t = t_thread(foreign_dial, &port);
	char buf[5];
	rg_conn *c;

	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	read_exactly(c, buf, 5);
	T_CHECK_INT_EQ(rg_conn_read(c, buf, 5), 0);
	join(t);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			dial_reaches_literals_and_localhost_without_a_resolver),
		cmocka_unit_test(dial_refuses_nonsense),
		cmocka_unit_test(dial_sets_the_options_of_every_connection),
		cmocka_unit_test(dial_asks_the_resolver_for_names),
		cmocka_unit_test(listen_asks_the_resolver_for_names),
		cmocka_unit_test(dial_tries_each_address_once),
		cmocka_unit_test(dial_that_resolves_stalls_nobody),
		cmocka_unit_test(dial_context_ends_the_wait_for_the_resolver),
		cmocka_unit_test(
			resolve_goroutines_that_ask_the_same_share_the_question),
		cmocka_unit_test(resolve_asks_at_most_32_at_once),
		cmocka_unit_test(dial_context_ends_a_connect),
		cmocka_unit_test(
			dial_address_that_swallows_packets_leaves_time_for_the_next),
		cmocka_unit_test(
			dial_race_address_that_swallows_packets_costs_the_delay),
		cmocka_unit_test(dial_race_families_take_turns),
		cmocka_unit_test(dial_race_tells_the_failure_that_says_most),
		cmocka_unit_test(dial_race_context_ends_all_attempts),
		cmocka_unit_test(dial_never_connects_to_itself),
		cmocka_unit_test(dial_unix_waits_for_room_in_the_backlog),
		cmocka_unit_test(dial_that_is_cancelled_leaks_nothing),
		cmocka_unit_test(dial_works_from_a_foreign_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
