/* SPDX-License-Identifier: MIT */
/*
 * httpfixture - a server under test with a set of handlers, and a client made of
 * plain sockets on a thread of its own.
 *
 *	static void script(struct fixture *f) { ... t_tcp_connect(f->port) ... }
 *	fixture_run(NULL, script);
 *
 * fixture_run starts a runtime and the server, runs the script on a helper thread,
 * shuts the server down and checks that no goroutine and no descriptor is left.
 */
#ifndef RG_TESTS_HTTPFIXTURE_H
#define RG_TESTS_HTTPFIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/rgtest.h"

struct fixture {
	const rg_http_server_options *options;
	void (*script)(struct fixture *f);
	rg_http_server *server;
	rg_listener *listener;
	uint16_t port;
	int serve_result;
	rg_chan *events;    /* int: what handlers report */
	bool was_shut_down; /* by the script */
};

/* ---- handlers ----------------------------------------------------------------- */

static inline int fixture_number(rg_http_request *r, const char *key)
{
	const char *text = rg_http_query(r, key);

	return text ? atoi(text) : 0;
}

static inline void on_hello(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	rg_http_write(w, "hello, world\n", 13);
}

/* Reads the whole body in pieces of ?piece= bytes. */
static inline void on_echo(rg_http_writer *w, rg_http_request *r, void *arg)
{
	int piece = fixture_number(r, "piece");
	unsigned sum = 0;
	long len = 0;
	char buf[8192];
	ssize_t n;

	(void)arg;
	if (piece <= 0 || piece > (int)sizeof(buf))
		piece = sizeof(buf);
	while ((n = rg_http_body_read(r, buf, (size_t)piece)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			sum = sum * 31 + (unsigned char)buf[i];
		len += n;
	}
	if (n < 0) {
		rg_http_status(w, 400);
		rg_http_printf(w, "error %d after %ld\n", (int)n, len);
		return;
	}
	rg_http_printf(w, "%s %s %ld %u\n", rg_http_method(r),
		       rg_http_target(r), len, sum);
}

/* Says nothing of the body at all. */
static inline void on_ignore(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	rg_http_write(w, "ignored\n", 8);
}

/* ?n= bytes in writes of ?piece=. */
static inline void on_bytes(rg_http_writer *w, rg_http_request *r, void *arg)
{
	int n = fixture_number(r, "n"), piece = fixture_number(r, "piece");
	char buf[2048];

	(void)arg;
	memset(buf, 'x', sizeof(buf));
	if (piece <= 0 || piece > (int)sizeof(buf))
		piece = sizeof(buf);
	while (n > 0) {
		int now = n < piece ? n : piece;

		if (rg_http_write(w, buf, (size_t)now) != now)
			return;
		n -= now;
	}
}

static inline void on_flush(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	rg_http_write(w, "first,", 6);
	rg_http_flush(w);
	rg_http_write(w, "second", 6);
}

/* Declares ?len= and writes ?n= bytes; reports what the last write returned. */
static inline void on_declared(rg_http_writer *w, rg_http_request *r, void *arg)
{
	struct fixture *f = arg;
	int res = 0;

	rg_http_set_header(w, "Content-Length", rg_http_query(r, "len"));
	for (int i = fixture_number(r, "n"); i > 0; i--)
		res = (int)rg_http_write(w, "y", 1);
	rg_send(f->events, res);
}

static inline void on_status(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)arg;
	rg_http_status(w, fixture_number(r, "code"));
	rg_http_write(w, "text\n", 5);
}

static inline void on_close(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	rg_http_set_header(w, "Connection", "close");
	rg_http_write(w, "bye\n", 4);
}

static inline void on_exit_early(rg_http_writer *w, rg_http_request *r,
				 void *arg)
{
	(void)arg;
	if (rg_http_query(r, "flush")) {
		rg_http_write(w, "some", 4);
		rg_http_flush(w);
	}
	rg_exit();
}

static inline void on_slow(rg_http_writer *w, rg_http_request *r, void *arg)
{
	struct fixture *f = arg;

	if (rg_http_query(r, "tell"))
		rg_send(f->events, 1);
	rg_sleep(fixture_number(r, "ms") * RG_MILLISECOND);
	rg_http_printf(w, "slept\n");
}

/* Waits until its context ends, at most 5 s; reports the cause. */
static inline void on_context(rg_http_writer *w, rg_http_request *r, void *arg)
{
	struct fixture *f = arg;
	rg_ctx *c = rg_http_ctx(r);
	rg_case cases[] = {RG_RECV(rg_ctx_done(c), NULL)};

	rg_send(f->events, 0);
	if (rg_select_until(cases, 1, rg_now() + 5 * RG_SECOND) < 0)
		rg_send(f->events, 1);
	else
		rg_send(f->events, rg_ctx_cause(c));
	rg_http_write(w, "done\n", 5);
}

static inline void on_headers(rg_http_writer *w, rg_http_request *r, void *arg)
{
	const char *sent = rg_http_header(r, "x-sent");

	(void)arg;
	rg_http_set_header(w, "X-One", "first");
	rg_http_set_header(w, "x-one", "second");
	rg_http_set_header(w, "X-Gone", "x");
	rg_http_set_header(w, "X-Gone", NULL);
	rg_http_set_header(w, "X-Split", "a\r\nX-Injected: b");
	rg_http_set_header(w, "Bad Name", "x");
	rg_http_set_header(w, "Transfer-Encoding", "gzip");
	rg_http_set_header(w, "Set-Cookie", "a=1");
	rg_http_set_header(w, "Set-Cookie", "b=2");
	rg_http_printf(w, "sent=%s path=%s item=%s q=%s none=%s\n",
		       sent ? sent : "(null)", rg_http_path(r),
		       rg_http_path_value(r, "item"), rg_http_query(r, "q"),
		       rg_http_query(r, "none") ? "there" : "null");
}

static inline void on_hints(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	rg_http_set_header(w, "Link", "</style.css>; rel=preload");
	rg_http_status(w, 103);
	rg_http_status(w, 200);
	rg_http_write(w, "page\n", 5);
}

static inline void fixture_mount(rg_http_mux *m, struct fixture *f)
{
	const struct {
		const char *pattern;
		rg_http_handler *fn;
	} all[] = {
		{"/hello", on_hello},     {"/echo", on_echo},
		{"/ignore", on_ignore},   {"/bytes", on_bytes},
		{"/flush", on_flush},     {"/declared", on_declared},
		{"/status", on_status},   {"/close", on_close},
		{"/exit", on_exit_early}, {"/slow", on_slow},
		{"/context", on_context}, {"GET /headers/{item}", on_headers},
		{"/hints", on_hints},     {"GET /get-only", on_hello},
		{"/tree/", on_hello},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		T_CHECK_INT_EQ(
			rg_http_mux_handle(m, all[i].pattern, all[i].fn, f), 0);
}

/* ---- running ------------------------------------------------------------------ */

static inline void fixture_serve(void *arg)
{
	struct fixture *f = arg;

	f->serve_result = rg_http_server_serve(f->server, f->listener);
}

static inline void *fixture_script(void *arg)
{
	struct fixture *f = arg;

	f->script(f);
	return NULL;
}

static inline void fixture_body(void *arg)
{
	struct fixture *f = arg;
	rg_http_server_options o = {0};
	rg_waitgroup serving = {0};
	int fds;

	if (f->options)
		o = *f->options;
	/* What the runtime opens at its first operation is not a leak. */
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &f->listener), 0);
	rg_listener_close(f->listener);
	fds = t_program_fds();
	o.mux = rg_http_mux_new();
	f->events = rg_make(int, 64);
	T_CHECK(o.mux && f->events);
	fixture_mount(o.mux, f);
	f->server = rg_http_server_new(&o);
	T_CHECK(f->server != NULL);
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &f->listener), 0);
	f->port = t_port_of(rg_listener_addr(f->listener));
	T_CHECK_INT_EQ(rg_waitgroup_go(&serving, fixture_serve, f), 0);
	rg_blocking(fixture_script, f);
	T_CHECK_INT_EQ(rg_http_server_shutdown(f->server, NULL), 0);
	rg_waitgroup_wait(&serving);
	T_CHECK_INT_EQ(f->serve_result, -ECANCELED);
	rg_http_server_free(f->server);
	rg_http_mux_free(o.mux);
	rg_chan_unref(f->events);
	t_wait_goroutines(1);
	T_CHECK_INT_EQ(t_program_fds(), fds);
}

static inline void fixture_run(const rg_http_server_options *o,
			       void (*script)(struct fixture *f))
{
	struct fixture f = {.options = o, .script = script};

	t_run(fixture_body, &f);
}

/* ---- talking ------------------------------------------------------------------ */

struct reply {
	int status;
	char head[8192];
	char body[70000];
	size_t body_len;
};

/* The value of a field of a head, in a static buffer; NULL: not there. */
static inline const char *reply_field(const struct reply *r, const char *name)
{
	static _Thread_local char value[1024];
	size_t n = strlen(name);
	const char *line = strstr(r->head, "\r\n");

	for (; line; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, n) || line[n] != ':')
			continue;
		line += n + 1 + strspn(line + n + 1, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(line, "\r"),
			 line);
		return value;
	}
	return NULL;
}

static inline void reply_chunks(int fd, struct reply *r)
{
	char line[64];

	for (;;) {
		size_t n;

		t_recv_until(fd, line, sizeof(line), "\r\n");
		n = strtoul(line, NULL, 16);
		T_CHECK(r->body_len + n < sizeof(r->body));
		t_recv_exactly(fd, r->body + r->body_len, n);
		r->body_len += n;
		t_recv_exactly(fd, line, 2);
		T_CHECK(!memcmp(line, "\r\n", 2));
		if (!n)
			return;
	}
}

/* One response, its body by its framing; has_body false: to HEAD. */
static inline void recv_reply_to(int fd, struct reply *r, bool has_body)
{
	const char *len;

	r->body_len = 0;
	t_recv_until(fd, r->head, sizeof(r->head), "\r\n\r\n");
	T_CHECK(!strncmp(r->head, "HTTP/1.1 ", 9));
	r->status = atoi(r->head + 9);
	len = reply_field(r, "Content-Length");
	if (!has_body || r->status < 200 || r->status == 204 ||
	    r->status == 304) {
		;
	} else if (reply_field(r, "Transfer-Encoding")) {
		reply_chunks(fd, r);
	} else if (len) {
		r->body_len = strtoul(len, NULL, 10);
		T_CHECK(r->body_len < sizeof(r->body));
		t_recv_exactly(fd, r->body, r->body_len);
	} else {
		r->body_len = t_recv_all(fd, r->body, sizeof(r->body));
	}
	r->body[r->body_len] = '\0';
}

static inline void recv_reply(int fd, struct reply *r)
{
	recv_reply_to(fd, r, true);
}

static inline void ask(int fd, const char *request, struct reply *r)
{
	t_send_str(fd, request);
	recv_reply(fd, r);
}

/* The peer has closed: nothing more comes. */
static inline void expect_end(int fd)
{
	char byte;

	T_CHECK_INT_EQ(t_recv(fd, &byte, 1), 0);
}

#define REQUEST(line) line " HTTP/1.1\r\nHost: test\r\n\r\n"

#endif
