/* SPDX-License-Identifier: MIT */
/*
 * raw - what the bare servers share: the listening socket and what they answer.
 *
 * A bare server shows the limit: a loop around the kernel's interface, no
 * goroutines, one thread. Each takes its mode as its only argument:
 *   echo  every byte goes back;
 *   http  "GET /hello HTTP/1.1" with any header fields is answered by 200 and
 *         "Hello, World!". That is all the parser knows: it compares the request
 *         line and looks for the empty line; fields are not looked at, there is no
 *         Date field, anything else closes the connection. A real server does
 *         more, and the difference is what it is measured for.
 *
 *   I1  What is sent for n requests are the first n * RAW_REPLY_LEN bytes of
 *       raw_replies, which never change: they need no buffer of a connection.
 */
#ifndef BENCHMARKS_PEERS_RAW_H
#define BENCHMARKS_PEERS_RAW_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define RAW_BUF     1024
#define RAW_REQUEST "GET /hello HTTP/1.1\r\n"
#define RAW_REPLY                                                              \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"                      \
	"Content-Length: 13\r\n\r\nHello, World!"
#define RAW_REPLY_LEN (sizeof RAW_REPLY - 1)
#define RAW_REPLIES   (RAW_BUF / (sizeof RAW_REQUEST - 1))

static char raw_replies[RAW_REPLIES * RAW_REPLY_LEN + 1];

__attribute__((noreturn)) static inline void raw_die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(err));
	exit(1);
}

/* raw_mode - parse the only argument: true for http. Fills the replies. */
static inline bool raw_mode(int argc, char **argv)
{
	bool http = argc == 2 && !strcmp(argv[1], "http");

	if (!http && (argc != 2 || strcmp(argv[1], "echo") != 0)) {
		fprintf(stderr, "usage: %s echo|http\n", argv[0]);
		exit(2);
	}
	for (size_t i = 0; i < RAW_REPLIES; i++)
		memcpy(raw_replies + i * RAW_REPLY_LEN, RAW_REPLY,
		       RAW_REPLY_LEN);
	return http;
}

/* raw_listen - a listening socket on a free port of 127.0.0.1, announced. */
static inline int raw_listen(int extra_type)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	struct rlimit files;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | extra_type, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) ||
	    listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&a, &len))
		raw_die("listen", errno);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files))
			raw_die("setrlimit", errno);
	}
	printf("listening 127.0.0.1:%d\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static inline void raw_nodelay(int fd)
{
	int on = 1;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		raw_die("TCP_NODELAY", errno);
}

/*
 * raw_requests - count the complete requests at the start of in[0..len); *used is
 * their length. Returns -1 when one of them is not the request.
 */
static inline int raw_requests(const char *in, size_t len, size_t *used)
{
	const char *at = in, *end;
	int n = 0;

	while ((end = memmem(at, (size_t)(in + len - at), "\r\n\r\n", 4))) {
		if ((size_t)(end + 2 - at) < sizeof RAW_REQUEST - 1 ||
		    memcmp(at, RAW_REQUEST, sizeof RAW_REQUEST - 1) != 0)
			return -1;
		at = end + 4;
		n++;
	}
	*used = (size_t)(at - in);
	return n;
}

#endif
