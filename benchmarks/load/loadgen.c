// SPDX-License-Identifier: MIT
/*
 * loadgen - drives a server of benchmarks/net/ or one of its peers.
 *
 *	loadgen echo|http [OPTION...]   closed loop, a fixed number of messages
 *	loadgen open-echo ...           open loop: --rate messages a second, whether
 *	                                or not answers come
 *	loadgen idle-echo|idle-http ... connections that exchange one message and
 *	                                rest: the server's memory for each
 *	loadgen cpu PID                 CPU nanoseconds PID has used so far
 *	loadgen port                    a port of 127.0.0.1 that is free
 *
 * Options: --port P, --conns C, --messages M, --rate R, --pid SERVER (its CPU time
 * and memory are read), --bench NAME, --impl NAME, --procs P (go into the output).
 *
 * One thread and plain epoll, nothing of libringgo: a generator must not share
 * code with what it judges. Each connection has one message under way; every byte
 * that comes back is verified: echo messages differ by connection and turn, an
 * HTTP response must be 200 with the body that hello promises. A tenth of the
 * messages warms up; CPU, time and latencies are taken over the rest.
 *
 *   I1  Anything unexpected (a wrong byte, a closed connection, nothing for ten
 *       seconds) ends the program with 1 and a reason: a figure is of a run in
 *       which everything was right.
 *   I2  One message a connection at a time, so a message fits the socket's
 *       buffer and send takes all of it.
 *
 * The server's CPU time is read by its process CPU clock, which has the precision
 * of the scheduler; /proc/PID/stat counts the same in ticks of 10 ms. A closed
 * loop hides queueing: latencies are for comparing peers in the same run. In an open
 * loop each message has a time at which it is to be sent, and its latency counts from
 * then, also if it had to wait for the answer to the one before (I2).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE  64
#define BUF      1024
#define EVENTS   512
#define STALL_MS 10000
#define REQUEST  "GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
#define BODY     "Hello, World!"

struct conn {
	int fd;
	uint64_t turn;    /* messages sent */
	int64_t start_ns; /* when the one under way was (to be) sent */
	bool is_waiting;  /* for the answer */
	size_t len;       /* bytes of the answer so far */
	char buf[BUF];
};

struct args {
	bool http;
	int port;
	size_t conns;
	size_t messages;
	int rate;  /* messages a second; 0: closed loop */
	pid_t pid; /* 0: not known */
	const char *bench, *impl;
	int procs;
};

static struct args args = {.conns = 64,
			   .messages = 200000,
			   .bench = "load",
			   .impl = "unknown",
			   .procs = 1};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt,
								...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("loadgen: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		die("clock_gettime: %s", strerror(errno));
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* cpu_ns - user and system time of a process, all of its threads. */
static int64_t cpu_ns(pid_t pid)
{
	clockid_t clock;
	int err;

	if (!pid)
		return 0;
	err = clock_getcpuclockid(pid, &clock);
	if (err)
		die("CPU clock of %d: %s", (int)pid, strerror(err));
	return clock_ns(clock);
}

/* status_kib - one kB line of /proc/PID/status. */
static double status_kib(const char *name)
{
	char line[256];
	size_t len = strlen(name);
	double kib = -1;
	FILE *f;

	snprintf(line, sizeof line, "/proc/%d/status", (int)args.pid);
	f = fopen(line, "re");
	if (!f)
		die("%s: %s", line, strerror(errno));
	while (kib < 0 && fgets(line, sizeof line, f)) {
		if (!strncmp(line, name, len) && line[len] == ':')
			kib = strtod(line + len + 1, NULL);
	}
	fclose(f);
	if (kib < 0)
		die("the server's status has no %s", name);
	return kib;
}

static void report(const char *suffix, const char *unit, double v, size_t n)
{
	printf("{\"bench\":\"%s%s\",\"impl\":\"%s\",\"procs\":%d,"
	       "\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,"
	       "\"reps\":1,\"n\":%zu}\n",
	       args.bench, suffix, args.impl, args.procs, unit, v, v, v, n);
}

/* ---- one message ----------------------------------------------------------- */

/* fill - the echo message of this connection and turn. */
static void fill(const struct conn *c, uint64_t turn, char *msg)
{
	uint64_t x = (turn << 20 ^ (uint64_t)c->fd) * 0x9e3779b97f4a7c15u;

	for (size_t i = 0; i < MESSAGE; i += sizeof x) {
		x ^= x >> 29;
		x *= 0xbf58476d1ce4e5b9u;
		memcpy(msg + i, &x, sizeof x);
	}
}

static void send_next(struct conn *c)
{
	char msg[MESSAGE];
	const char *p = REQUEST;
	size_t len = sizeof REQUEST - 1;
	ssize_t n;

	c->turn++;
	c->len = 0;
	c->is_waiting = true;
	if (!args.http) {
		fill(c, c->turn, msg);
		p = msg;
		len = MESSAGE;
	}
	c->start_ns = clock_ns(CLOCK_MONOTONIC);
	do
		n = send(c->fd, p, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		die("send: %s", strerror(errno));
	if ((size_t)n != len)
		die("send took %zd of %zu bytes", n, len);
}

static bool echo_is_whole(const struct conn *c)
{
	char msg[MESSAGE];

	if (c->len < MESSAGE)
		return false;
	fill(c, c->turn, msg);
	if (c->len > MESSAGE || memcmp(c->buf, msg, MESSAGE) != 0)
		die("a wrong echo came back in turn %llu",
		    (unsigned long long)c->turn);
	return true;
}

/* response_is_whole - false: more is to come; a wrong one ends the program. */
static bool response_is_whole(struct conn *c)
{
	const char *body, *field;
	size_t len;

	c->buf[c->len] = 0;
	body = strstr(c->buf, "\r\n\r\n");
	if (!body)
		return false;
	body += 4;
	if (strncmp(c->buf, "HTTP/1.1 200 ", 13) != 0)
		die("the response is not 200: %.40s", c->buf);
	field = strcasestr(c->buf, "\r\nContent-Length:");
	if (!field || field > body)
		die("the response has no Content-Length");
	len = strtoul(field + 17, NULL, 10);
	if (len != sizeof BODY - 1)
		die("the body has %zu bytes", len);
	if (strlen(body) < len)
		return false;
	if (strcmp(body, BODY) != 0)
		die("the body is wrong: %.40s", body);
	return true;
}

/* receive - one recv; true when the answer is complete and right. */
static bool receive(struct conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, BUF - 1 - c->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0)
		die("recv: %s", strerror(errno));
	if (n == 0)
		die("the server closed a connection (or sent too much)");
	c->len += (size_t)n;
	return args.http ? response_is_whole(c) : echo_is_whole(c);
}

/* ---- connections ----------------------------------------------------------- */

static void connect_one(struct conn *c)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)args.port)};
	int on = 1;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&a, sizeof a))
		die("connect: %s", strerror(errno));
	if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		die("TCP_NODELAY: %s", strerror(errno));
}

static struct conn *make_conns(void)
{
	struct conn *conns = calloc(args.conns, sizeof *conns);
	struct rlimit files;

	if (!conns)
		die("calloc: %s", strerror(errno));
	if (getrlimit(RLIMIT_NOFILE, &files))
		die("getrlimit: %s", strerror(errno));
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("setrlimit: %s", strerror(errno));
	if (files.rlim_max < args.conns + 16)
		die("%zu connections: the limit of open files is %llu",
		    args.conns, (unsigned long long)files.rlim_max);
	return conns;
}

/* ---- closed loop ----------------------------------------------------------- */

struct load {
	size_t done, warm;
	uint32_t *lat_ns; /* messages - warm values */
	int64_t start_ns, cpu_start_ns;
};

static void count_one(struct load *l, const struct conn *c)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	if (l->done >= l->warm)
		l->lat_ns[l->done - l->warm] = (uint32_t)(now - c->start_ns);
	if (++l->done == l->warm) {
		l->start_ns = now;
		l->cpu_start_ns = cpu_ns(args.pid);
	}
}

static int open_all(struct conn *conns)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0)
		die("epoll_create1: %s", strerror(errno));
	for (size_t i = 0; i < args.conns; i++) {
		struct epoll_event e = {.events = EPOLLIN,
					.data.ptr = &conns[i]};

		connect_one(&conns[i]);
		if (epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &e))
			die("epoll_ctl: %s", strerror(errno));
	}
	return ep;
}

static void drive(int ep, struct load *l)
{
	struct epoll_event ready[EVENTS];

	while (l->done < args.messages) {
		int n = epoll_wait(ep, ready, EVENTS, STALL_MS);

		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		if (n == 0)
			die("stalled after %zu of %zu messages", l->done,
			    args.messages);
		for (int i = 0; i < n && l->done < args.messages; i++) {
			struct conn *c = ready[i].data.ptr;

			if (!receive(c))
				continue;
			count_one(l, c);
			send_next(c);
		}
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* ---- open loop ------------------------------------------------------------- */

/* due_ns - when the message number j of all is to be sent; j % conns is its
 * connection. */
static int64_t due_ns(int64_t start, uint64_t j)
{
	return start + (int64_t)(j * 1000000000u / (uint64_t)args.rate);
}

/* send_due - the next message of connection i, if its time has come. */
static void send_due(struct conn *c, size_t i, int64_t start)
{
	int64_t due = due_ns(start, c->turn * args.conns + i);

	if (c->is_waiting || due > clock_ns(CLOCK_MONOTONIC))
		return;
	send_next(c);
	c->start_ns = due;
}

/* wait_until - for answers, no longer than until `due`. */
static int wait_until(int ep, struct epoll_event *ready, int64_t due)
{
	int64_t left = due - clock_ns(CLOCK_MONOTONIC);
	struct timespec t = {0};
	int n;

	if (left > 0) {
		t.tv_sec = left / 1000000000;
		t.tv_nsec = left % 1000000000;
	}
	n = epoll_pwait2(ep, ready, EVENTS, &t, NULL);
	if (n < 0 && errno != EINTR)
		die("epoll_pwait2: %s", strerror(errno));
	return n;
}

static void drive_open(int ep, struct load *l, struct conn *conns)
{
	struct epoll_event ready[EVENTS];
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	int64_t heard = start;
	uint64_t next = 0; /* all before it are sent, or wait for an answer */

	while (l->done < args.messages) {
		int n = wait_until(ep, ready, due_ns(start, next));
		int64_t now = clock_ns(CLOCK_MONOTONIC);

		for (int i = 0; i < n && l->done < args.messages; i++) {
			struct conn *c = ready[i].data.ptr;

			if (!receive(c))
				continue;
			heard = now;
			count_one(l, c);
			c->is_waiting = false;
			send_due(c, (size_t)(c - conns), start);
		}
		for (; due_ns(start, next) <= now; next++)
			send_due(&conns[next % args.conns], next % args.conns,
				 start);
		if (now - heard > STALL_MS * INT64_C(1000000))
			die("stalled after %zu of %zu messages", l->done,
			    args.messages);
	}
}

/* ---- either loop ----------------------------------------------------------- */

static void start_closed(int ep, struct load *l, struct conn *conns)
{
	for (size_t i = 0; i < args.conns; i++)
		send_next(&conns[i]);
	drive(ep, l);
}

static void loop(void)
{
	struct conn *conns = make_conns();
	struct load l = {.warm = args.messages / 10};
	size_t n = args.messages - l.warm;
	int ep = open_all(conns);
	double wall, cpu;

	l.lat_ns = calloc(n, sizeof *l.lat_ns);
	if (!l.lat_ns)
		die("calloc: %s", strerror(errno));
	if (args.rate)
		drive_open(ep, &l, conns);
	else
		start_closed(ep, &l, conns);
	cpu = (double)(cpu_ns(args.pid) - l.cpu_start_ns) / 1e9;
	wall = (double)(clock_ns(CLOCK_MONOTONIC) - l.start_ns) / 1e9;
	qsort(l.lat_ns, n, sizeof *l.lat_ns, compare);
	if (args.pid)
		report("", "s/Mop", cpu / (double)n * 1e6, n);
	report("_rate", "op/s", (double)n / wall, n);
	report("_p50", "us", l.lat_ns[n / 2] / 1e3, n);
	report("_p99", "us", l.lat_ns[(size_t)((double)n * 0.99)] / 1e3, n);
	report("_max", "us", l.lat_ns[n - 1] / 1e3, n);
	free(l.lat_ns);
	free(conns);
	close(ep);
}

/* ---- idle connections ------------------------------------------------------ */

/* exchange - one message there and back on a blocking socket. */
static void exchange(struct conn *c)
{
	struct timeval limit = {.tv_sec = STALL_MS / 1000};

	if (setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit))
		die("SO_RCVTIMEO: %s", strerror(errno));
	send_next(c);
	while (!receive(c)) {
		if (clock_ns(CLOCK_MONOTONIC) - c->start_ns >
		    STALL_MS * INT64_C(1000000))
			die("no answer on an idle connection");
	}
}

static void rest(void)
{
	struct timespec second = {.tv_sec = 1};

	nanosleep(&second, NULL);
}

static void idle(void)
{
	struct conn *conns = make_conns();
	size_t n = args.conns - 1;
	double rss, pte;

	if (!args.pid || !n)
		die("idle needs --pid and at least 2 connections");
	/* The first one pays for what the server sets up once. */
	connect_one(&conns[0]);
	exchange(&conns[0]);
	rest();
	rss = status_kib("VmRSS");
	pte = status_kib("VmPTE");
	for (size_t i = 1; i <= n; i++) {
		connect_one(&conns[i]);
		exchange(&conns[i]);
	}
	rest();
	rss = (status_kib("VmRSS") - rss) * 1024 / (double)n;
	pte = (status_kib("VmPTE") - pte) * 1024 / (double)n;
	for (size_t i = 0; i <= n; i++)
		exchange(&conns[i]); /* all of them must still be served */
	report("", "B", rss + pte, n);
	report("_rss", "B", rss, n);
	free(conns);
}

/* ---- arguments ------------------------------------------------------------- */

static int number(const char *text)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (*end || end == text || v < 1 || v > 1000000000)
		die("%s: not a number of 1 to 1000000000", text);
	return (int)v;
}

static void free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		die("bind: %s", strerror(errno));
	printf("%d\n", ntohs(a.sin_port));
	close(fd);
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{"port", required_argument, NULL, 'p'},
		{"conns", required_argument, NULL, 'c'},
		{"messages", required_argument, NULL, 'm'},
		{"rate", required_argument, NULL, 'r'},
		{"pid", required_argument, NULL, 'i'},
		{"bench", required_argument, NULL, 'b'},
		{"impl", required_argument, NULL, 'l'},
		{"procs", required_argument, NULL, 'P'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case 'p':
			args.port = number(optarg);
			break;
		case 'c':
			args.conns = (size_t)number(optarg);
			break;
		case 'm':
			args.messages = (size_t)number(optarg);
			break;
		case 'r':
			args.rate = number(optarg);
			break;
		case 'i':
			args.pid = number(optarg);
			break;
		case 'b':
			args.bench = optarg;
			break;
		case 'l':
			args.impl = optarg;
			break;
		case 'P':
			args.procs = number(optarg);
			break;
		default:
			exit(2);
		}
	}
	if (args.port < 1 || args.port > 65535)
		die("--port is missing or out of range");
	if (args.messages < 10 * args.conns)
		args.messages = 10 * args.conns;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool is_idle = !strncmp(what, "idle-", 5);
	bool is_open = !strcmp(what, "open-echo");
	const char *protocol = is_idle || is_open ? what + 5 : what;

	if (argc == 3 && !strcmp(what, "cpu")) {
		printf("%lld\n", (long long)cpu_ns(number(argv[2])));
		return 0;
	}
	if (argc == 2 && !strcmp(what, "port")) {
		free_port();
		return 0;
	}
	args.http = !strcmp(protocol, "http");
	if (!args.http && strcmp(protocol, "echo") != 0)
		die("what? echo, http, open-echo, idle-echo, idle-http, cpu or "
		    "port");
	parse(argc - 1, argv + 1);
	if (is_open != (args.rate > 0))
		die("--rate belongs to open-echo");
	if (is_idle)
		idle();
	else
		loop();
	return 0;
}
