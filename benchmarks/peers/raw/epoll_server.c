// SPDX-License-Identifier: MIT
/*
 * epoll_server - TCP echo or HTTP hello as a bare epoll loop of one thread.
 *
 * Level-triggered: recv into the loop's own buffer, answer at once. Only what a
 * full socket refuses, or half a request, is kept with the connection, so an idle
 * connection owns no buffer. raw.h says what is answered.
 */
#include "raw.h"

#include <sys/epoll.h>

#define EVENTS 512

struct conn {
	int fd;
	char *held; /* half a request (http) or unsent bytes (echo) */
	size_t held_len;
	const char *out; /* unsent: in raw_replies, or at held */
	size_t out_len;
};

static bool is_http;
static int ep;

static void watch(struct conn *c, int op, unsigned int events)
{
	struct epoll_event e = {.events = events, .data.ptr = c};

	if (epoll_ctl(ep, op, c->fd, &e))
		raw_die("epoll_ctl", errno);
}

static void drop(struct conn *c)
{
	close(c->fd);
	free(c->held);
	free(c);
}

/* hold - keep len bytes with the connection. */
static void hold(struct conn *c, const char *buf, size_t len)
{
	if (!c->held)
		c->held = malloc(RAW_BUF);
	if (!c->held)
		raw_die("malloc", ENOMEM);
	memmove(c->held, buf, len);
	c->held_len = len;
}

static void release(struct conn *c)
{
	free(c->held);
	c->held = NULL;
	c->held_len = 0;
}

/* send_out - send what is due; what the socket refuses stays. False: gone. */
static bool send_out(struct conn *c)
{
	while (c->out_len) {
		ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out += n;
		c->out_len -= (size_t)n;
	}
	return true;
}

static bool answer_echo(struct conn *c, const char *buf, size_t len)
{
	c->out = buf;
	c->out_len = len;
	if (!send_out(c))
		return false;
	if (c->out_len) {
		hold(c, c->out, c->out_len);
		c->out = c->held;
	}
	return true;
}

static bool answer_http(struct conn *c, const char *buf, size_t len)
{
	size_t used;
	int n = raw_requests(buf, len, &used);

	if (n < 0 || (n == 0 && len == RAW_BUF))
		return false;
	if (used < len)
		hold(c, buf + used, len - used);
	else if (c->held)
		release(c);
	c->out = raw_replies;
	c->out_len = (size_t)n * RAW_REPLY_LEN;
	return send_out(c);
}

/* readable - one recv and its answer. False: the connection is gone. */
static bool readable(struct conn *c)
{
	static char buf[RAW_BUF];
	size_t len = c->held_len;
	ssize_t n;

	if (len)
		memcpy(buf, c->held, len);
	n = recv(c->fd, buf + len, RAW_BUF - len, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	len += (size_t)n;
	if (!(is_http ? answer_http : answer_echo)(c, buf, len))
		return false;
	if (c->out_len)
		watch(c, EPOLL_CTL_MOD, EPOLLOUT);
	return true;
}

static bool writable(struct conn *c)
{
	if (!send_out(c))
		return false;
	if (!c->out_len) {
		if (!is_http)
			release(c);
		watch(c, EPOLL_CTL_MOD, EPOLLIN);
	}
	return true;
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL,
			     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);

		if (!c)
			raw_die("calloc", ENOMEM);
		c->fd = fd;
		raw_nodelay(fd);
		watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		raw_die("accept", errno);
}

int main(int argc, char **argv)
{
	struct epoll_event ready[EVENTS], e = {.events = EPOLLIN};
	int listener;

	is_http = raw_mode(argc, argv);
	listener = raw_listen(SOCK_NONBLOCK);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e))
		raw_die("epoll", errno);
	for (;;) {
		int n = epoll_wait(ep, ready, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			raw_die("epoll_wait", errno);
		for (int i = 0; i < n; i++) {
			struct conn *c = ready[i].data.ptr;

			if (!c)
				accept_all(listener);
			else if (!(c->out_len ? writable : readable)(c))
				drop(c);
		}
	}
}
