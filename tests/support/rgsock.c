// SPDX-License-Identifier: MIT
/*
 * rgsock - plain blocking sockets on 127.0.0.1; see the header.
 */
#include "tests/support/rgsock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/support/rgtest.h"

#define SILENCE_S 20

pthread_t t_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, fn, arg);

	if (err)
		T_FAIL("pthread_create: %s", strerror(err));
	return thread;
}

void *t_join(pthread_t thread)
{
	void *ret = NULL;
	int err = pthread_join(thread, &ret);

	if (err)
		T_FAIL("pthread_join: %s", strerror(err));
	return ret;
}

uint16_t t_port_of(const char *address)
{
	const char *colon = address ? strrchr(address, ':') : NULL;
	char *end = NULL;
	unsigned long port;

	if (!colon)
		T_FAIL("no port in \"%s\"", address ? address : "NULL");
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port == 0 || port > UINT16_MAX)
		T_FAIL("no port in \"%s\"", address);
	return (uint16_t)port;
}

static struct sockaddr_in loopback(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void set_up(int fd)
{
	const struct timeval limit = {.tv_sec = SILENCE_S};
	const int on = 1;

	T_CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
			   sizeof(limit)) == 0);
	T_CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
			   sizeof(limit)) == 0);
	T_CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
}

int t_tcp_try_connect(uint16_t port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	set_up(fd);
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int t_tcp_connect(uint16_t port)
{
	int fd = t_tcp_try_connect(port);

	if (fd < 0)
		T_FAIL("connect to port %u: %s", (unsigned)port, strerror(-fd));
	return fd;
}

int t_tcp_listen(uint16_t *port)
{
	struct sockaddr_in a = loopback(0);
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	T_CHECK(fd >= 0);
	T_CHECK(bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0);
	T_CHECK(listen(fd, SOMAXCONN) == 0);
	T_CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*port = ntohs(a.sin_port);
	return fd;
}

int t_tcp_accept(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	int fd;

	if (poll(&p, 1, SILENCE_S * 1000) != 1)
		T_FAIL("nobody connected");
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	T_CHECK(fd >= 0);
	set_up(fd);
	return fd;
}

ssize_t t_try_send(int fd, const void *buf, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, buf, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void t_send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = t_try_send(fd, p, len);

		if (n < 0)
			T_FAIL("send: %s", strerror((int)-n));
		p += n;
		len -= (size_t)n;
	}
}

void t_send_str(int fd, const char *text)
{
	t_send_all(fd, text, strlen(text));
}

ssize_t t_recv(int fd, void *buf, size_t len)
{
	ssize_t n;

	do {
		n = recv(fd, buf, len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

void t_recv_exactly(int fd, void *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = t_recv(fd, (char *)buf + got, len - got);

		if (n < 0)
			T_FAIL("recv: %s", strerror((int)-n));
		if (n == 0)
			T_FAIL("end of stream after %zu of %zu bytes", got,
			       len);
		got += (size_t)n;
	}
}

size_t t_recv_all(int fd, char *buf, size_t size)
{
	size_t got = 0;

	for (;;) {
		char beyond;
		bool full = got == size - 1;
		ssize_t n = t_recv(fd, full ? &beyond : buf + got,
				   full ? 1 : size - 1 - got);

		if (n == 0 || n == -ECONNRESET)
			break;
		if (n < 0)
			T_FAIL("recv after %zu bytes: %s", got,
			       strerror((int)-n));
		if (full)
			T_FAIL("the peer sent more than %zu bytes", size - 1);
		got += (size_t)n;
	}
	buf[got] = '\0';
	return got;
}

size_t t_recv_until(int fd, char *buf, size_t size, const char *mark)
{
	size_t mark_len = strlen(mark);
	size_t got = 0;

	while (got < mark_len ||
	       memcmp(buf + got - mark_len, mark, mark_len) != 0) {
		ssize_t n;

		if (got == size - 1)
			T_FAIL("no mark in %zu bytes", got);
		/* Byte by byte: what follows the mark stays in the socket. */
		n = t_recv(fd, buf + got, 1);
		if (n <= 0)
			T_FAIL("%s after %zu bytes, before the mark: %.*s",
			       n ? strerror((int)-n) : "end of stream", got,
			       (int)(got < 400 ? got : 400), buf);
		got++;
	}
	buf[got] = '\0';
	return got;
}

int t_silent_for(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 0;
}

void t_close(int fd)
{
	T_CHECK(close(fd) == 0);
}

void t_close_write(int fd)
{
	T_CHECK(shutdown(fd, SHUT_WR) == 0);
}

void t_reset(int fd)
{
	const struct linger hard = {.l_onoff = 1, .l_linger = 0};

	T_CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) ==
		0);
	t_close(fd);
}
