// SPDX-License-Identifier: MIT
/*
 * The HTTP server with clients that are broken, slow, gone or too many: status and
 * close for malformed input, limits, time limits, clients that vanish (httpconn.h
 * I2), the end of the server (httpserver.h I1 to I3).
 */
#include "kernel-iface/alloc.h"
#include "tests/net/httpfixture.h"

/* ---- malformed requests ---------------------------------------------------------- */

struct bad {
	int status;
	const char *request;
};

#define HEAD(fields) "GET /echo HTTP/1.1\r\nHost: t\r\n" fields "\r\n"
#define POST(fields, body)                                                     \
	"POST /echo HTTP/1.1\r\nHost: t\r\n" fields "\r\n" body
#define CHUNKED(body) POST("Transfer-Encoding: chunked\r\n", body)

static const struct bad bads[] = {
	/* the request line */
	{400, "GARBAGE\r\n\r\n"},
	{400, "GET  /echo HTTP/1.1\r\nHost: t\r\n\r\n"},
	{400, "GET /ec ho HTTP/1.1\r\nHost: t\r\n\r\n"},
	{400, "GET echo HTTP/1.1\r\nHost: t\r\n\r\n"},
	{400, "GET /echo HTTP/1.1\nHost: t\n\n"},
	{400, "G@T /echo HTTP/1.1\r\nHost: t\r\n\r\n"},
	{400, "GET /\x01 HTTP/1.1\r\nHost: t\r\n\r\n"},
	{505, "GET /echo HTTP/2.0\r\nHost: t\r\n\r\n"},
	{400, "GET /echo HTPP/1.1\r\nHost: t\r\n\r\n"},
	/* Host */
	{400, "GET /echo HTTP/1.1\r\n\r\n"},
	{400, HEAD("Host: t\r\n")},
	{400, "GET /echo HTTP/1.1\r\nHost: a b\r\n\r\n"},
	/* fields */
	{400, HEAD("Name : v\r\n")},
	{400, HEAD(" folded: v\r\n")},
	{400, HEAD("A: b\r\n c\r\n")},
	{400, HEAD("A\r\n")},
	{400, HEAD(": v\r\n")},
	{400, HEAD("A: b\x01\r\n")},
	{400, HEAD("A: b\rc\r\n")},
	{400, HEAD("A: b\n")},
	/* framing */
	{400, POST("Content-Length: +3\r\n", "abc")},
	{400, POST("Content-Length: -3\r\n", "abc")},
	{400, POST("Content-Length: 3x\r\n", "abc")},
	{400, POST("Content-Length: 3, 4\r\n", "abc")},
	{400, POST("Content-Length: 3\r\nContent-Length: 4\r\n", "abc")},
	{400, POST("Content-Length: 99999999999999999999\r\n", "abc")},
	{400, POST("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		   "0\r\n\r\n")},
	{501, POST("Transfer-Encoding: gzip, chunked\r\n", "")},
	{400, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
	{417, POST("Expect: something\r\n", "")},
};

/* The body is read by the handler: it answers 400, and the connection ends. */
static const char *const bad_bodies[] = {
	CHUNKED("xyz\r\n"),
	CHUNKED("3\r\nabcd\r\n0\r\n\r\n"),
	CHUNKED("3\nabc\r\n0\r\n\r\n"),
	CHUNKED("-1\r\n\r\n"),
	CHUNKED("0x3\r\nabc\r\n0\r\n\r\n"),
	CHUNKED("ffffffffffffffff\r\nabc"),
	CHUNKED("11111111111111111\r\nabc"),
	CHUNKED("3\r\nabc\r\n0\r\nBad Trailer: x\r\n\r\n"),
	CHUNKED("3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n"),
};

/* A reply with that status, and then the end. The connection must not be reset
 * before the reply could be read. */
static void expect_refusal(int fd, int status)
{
	static struct reply r;

	recv_reply(fd, &r);
	if (r.status != status)
		T_FAIL("status %d, expected %d: %s", r.status, status, r.body);
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	expect_end(fd);
	t_close(fd);
}

static void malformed_script(struct fixture *f)
{
	for (size_t i = 0; i < sizeof(bads) / sizeof(*bads); i++) {
		int fd = t_tcp_connect(f->port);

		t_send_str(fd, bads[i].request);
		expect_refusal(fd, bads[i].status);
	}
	for (size_t i = 0; i < sizeof(bad_bodies) / sizeof(*bad_bodies); i++) {
		int fd = t_tcp_connect(f->port);

		t_send_str(fd, bad_bodies[i]);
		expect_refusal(fd, 400);
	}
}

static void httpabuse_malformed_request_is_refused_and_closed(void **state)
{
	(void)state;
	fixture_run(NULL, malformed_script);
}

static void cut_short_script(struct fixture *f)
{
	static const char *const requests[] = {
		"GET /hel",
		"GET /hello HTTP/1.1\r\nHost: t\r\n",
		"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nab",
		CHUNKED("5\r\nab"),
		CHUNKED("2\r\nab\r\n"),
		CHUNKED("0\r\nTrailer: x\r\n"),
	};

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		int fd = t_tcp_connect(f->port);

		t_send_str(fd, requests[i]);
		t_close_write(fd);
		expect_refusal(fd, 400);
	}
	/* Nothing at all is no fault. */
	for (int i = 0; i < 2; i++) {
		int fd = t_tcp_connect(f->port);

		t_send_str(fd, i ? "\r\n" : "");
		t_close_write(fd);
		expect_end(fd);
		t_close(fd);
	}
}

static void httpabuse_request_cut_short_is_refused(void **state)
{
	(void)state;
	fixture_run(NULL, cut_short_script);
}

/* ---- limits ------------------------------------------------------------------------ */

static void send_filled(int fd, const char *before, size_t n, const char *after)
{
	char *fill = malloc(n);

	T_CHECK(fill != NULL);
	memset(fill, 'a', n);
	t_send_str(fd, before);
	/* The server may refuse it long before its end. */
	for (size_t sent = 0; sent < n;) {
		ssize_t got = t_try_send(fd, fill + sent, n - sent);

		if (got < 0)
			break;
		sent += (size_t)got;
	}
	t_try_send(fd, after, strlen(after));
	free(fill);
}

static void limits_script(struct fixture *f)
{
	static struct reply r;
	int fd = t_tcp_connect(f->port);

	send_filled(fd, "GET /", 17000, " HTTP/1.1\r\nHost: t\r\n\r\n");
	expect_refusal(fd, 414);
	fd = t_tcp_connect(f->port);
	send_filled(fd, "GET /hello HTTP/1.1\r\nHost: t\r\nA: ", 40000,
		    "\r\n\r\n");
	expect_refusal(fd, 431);
	fd = t_tcp_connect(f->port);
	send_filled(fd, "", 100000, "");
	expect_refusal(fd, 501);
	/* Just below. */
	fd = t_tcp_connect(f->port);
	send_filled(fd, "GET /hello HTTP/1.1\r\nHost: t\r\nA: ", 30000,
		    "\r\n\r\n");
	recv_reply(fd, &r);
	T_CHECK_INT_EQ(r.status, 200);
	/* Bodies: refused by their length, or when they get too long. */
	ask(fd,
	    "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n"
	    "0123456789",
	    &r);
	T_CHECK_INT_EQ(r.status, 200);
	t_send_str(fd, "POST /echo HTTP/1.1\r\nHost: t\r\n"
		       "Content-Length: 11\r\n\r\n01234567890");
	expect_refusal(fd, 413);
	fd = t_tcp_connect(f->port);
	t_send_str(fd, CHUNKED("b\r\n01234567890\r\n0\r\n\r\n"));
	recv_reply(fd, &r);
	T_CHECK_STR_HAS(r.body, "error -90 after 10\n");
	expect_end(fd);
	t_close(fd);
}

static void httpabuse_limits_are_kept(void **state)
{
	const rg_http_server_options o = {.max_header_bytes = 32 << 10,
					  .max_body_bytes = 10};

	(void)state;
	fixture_run(&o, limits_script);
}

static void max_connections_script(struct fixture *f)
{
	int fds[3];
	static struct reply r;

	for (int i = 0; i < 2; i++) {
		fds[i] = t_tcp_connect(f->port);
		ask(fds[i], REQUEST("GET /hello"), &r);
	}
	fds[2] = t_tcp_connect(f->port); /* waits in the backlog */
	t_send_str(fds[2], REQUEST("GET /hello"));
	T_CHECK(t_silent_for(fds[2], 200));
	t_close(fds[0]);
	recv_reply(fds[2], &r);
	T_CHECK_INT_EQ(r.status, 200);
	t_close(fds[1]);
	t_close(fds[2]);
}

static void httpabuse_connections_beyond_the_limit_wait(void **state)
{
	const rg_http_server_options o = {.max_connections = 2};

	(void)state;
	fixture_run(&o, max_connections_script);
}

/* ---- time limits --------------------------------------------------------------------- */

static int64_t ms_since(int64_t start)
{
	return (t_now_ns() - start) / RG_MILLISECOND;
}

static void slow_loris_script(struct fixture *f)
{
	static const char text[] = "GET /hello HTTP/1.1\r\nHost: t\r\nA: ";
	int fd = t_tcp_connect(f->port);
	int64_t start = t_now_ns();
	static struct reply r;

	t_send_str(fd, text);
	while (ms_since(start) < 5000 && t_silent_for(fd, 50))
		if (t_try_send(fd, "x", 1) < 0)
			break;
	recv_reply(fd, &r);
	T_CHECK_INT_EQ(r.status, 408);
	T_CHECK_INT_GE(ms_since(start), 280);
	T_CHECK_INT_LT(ms_since(start), 2000);
	expect_end(fd);
	t_close(fd);
	/* Not a byte: closed without a word. */
	fd = t_tcp_connect(f->port);
	expect_end(fd);
	t_close(fd);
}

static void httpabuse_slow_header_is_cut_off(void **state)
{
	const rg_http_server_options o = {.header_timeout =
						  300 * RG_MILLISECOND};

	(void)state;
	fixture_run(&o, slow_loris_script);
}

static void timeouts_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	int64_t start = t_now_ns();
	static struct reply r;

	ask(fd, REQUEST("GET /hello"), &r);
	expect_end(fd); /* idle */
	T_CHECK_INT_GE(ms_since(start), 180);
	t_close(fd);
	/* The body does not come. */
	fd = t_tcp_connect(f->port);
	start = t_now_ns();
	t_send_str(fd, "POST /echo HTTP/1.1\r\nHost: t\r\n"
		       "Content-Length: 5\r\n\r\nab");
	recv_reply(fd, &r);
	T_CHECK_STR_HAS(r.body, "error -110 after 2\n");
	T_CHECK_INT_GE(ms_since(start), 350);
	expect_end(fd);
	t_close(fd);
	/* A handler may take its time: no time limit is its own. */
	fd = t_tcp_connect(f->port);
	ask(fd, REQUEST("GET /slow?ms=900"), &r);
	T_CHECK_STR_EQ(r.body, "slept\n");
	ask(fd, REQUEST("GET /hello"), &r);
	T_CHECK_INT_EQ(r.status, 200);
	t_close(fd);
}

static void httpabuse_idle_and_read_time_limits(void **state)
{
	const rg_http_server_options o = {
		.idle_timeout = 200 * RG_MILLISECOND,
		.read_timeout = 400 * RG_MILLISECOND,
	};

	(void)state;
	fixture_run(&o, timeouts_script);
}

static void write_timeout_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	char buf[4096];
	size_t got = 0;
	ssize_t n;

	/* More than any socket buffer holds, and nobody reads. */
	t_send_str(fd, REQUEST("GET /bytes?n=200000000"));
	T_CHECK(!t_silent_for(fd, 5000));
	rg_sleep(900 * RG_MILLISECOND);
	while ((n = t_recv(fd, buf, sizeof(buf))) > 0)
		got += (size_t)n;
	T_CHECK_INT_LT(got, 200000000);
	t_close(fd);
}

static void httpabuse_client_that_does_not_read_is_cut_off(void **state)
{
	const rg_http_server_options o = {.write_timeout =
						  300 * RG_MILLISECOND};

	(void)state;
	fixture_run(&o, write_timeout_script);
}

/* ---- vanishing clients --------------------------------------------------------------- */

enum { VANISH = 1250 };

/* Each of these closes at another moment, one half with a reset. */
static void vanish_script(struct fixture *f)
{
	static const char *const requests[] = {
		"GET /he",
		"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n"
		"some",
		CHUNKED("10\r\nabc"),
		REQUEST("GET /bytes?n=300000"),
	};

	for (int i = 0; i < VANISH; i++)
		for (int j = 0; j < 8; j++) {
			int fd = t_tcp_connect(f->port);

			t_send_str(fd, requests[j / 2]);
			if (j % 2)
				t_reset(fd);
			else
				t_close(fd);
		}
}

static void httpabuse_ten_thousand_vanishing_clients_leave_nothing(void **state)
{
	(void)state;
	fixture_run(NULL, vanish_script);
}

/* ---- out of memory ------------------------------------------------------------------- */

/* The n-th allocation from now on fails, for each n: a client may be turned away, but
 * the next one is served. */
static void no_memory_script(struct fixture *f)
{
	static struct reply r;
	char byte;

	for (int n = 0; n < 25; n++) {
		int fd;

		alloc_fail_after(n);
		fd = t_tcp_connect(f->port);
		t_send_str(fd, REQUEST("GET /headers/a%20b?q=long+enough"));
		T_CHECK_INT_LE(t_recv(fd, &byte, 1), 1);
		alloc_fail_after(-1);
		t_close(fd);
		fd = t_tcp_connect(f->port);
		ask(fd, REQUEST("GET /hello"), &r);
		T_CHECK_INT_EQ(r.status, 200);
		t_close(fd);
	}
}

static void httpabuse_out_of_memory_ends_one_connection_at_most(void **state)
{
	(void)state;
	fixture_run(NULL, no_memory_script);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void shut_down(void *arg)
{
	struct fixture *f = arg;

	rg_send(f->events, 7);
	T_CHECK_INT_EQ(rg_http_server_shutdown(f->server, NULL), 0);
	rg_send(f->events, 8);
}

static void graceful_script(struct fixture *f)
{
	int idle = t_tcp_connect(f->port), active = t_tcp_connect(f->port);
	int event, refused;
	static struct reply r;

	ask(idle, REQUEST("GET /hello"), &r);
	t_send_str(active, REQUEST("GET /slow?ms=1500&tell=1"));
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, 1);
	T_CHECK_INT_EQ(rg_go(shut_down, f), 0);
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, 7);
	expect_end(idle);
	T_CHECK(t_silent_for(active, 200));
	T_CHECK_INT_EQ(rg_chan_try_recv(f->events, &event), -EAGAIN);
	refused = t_tcp_try_connect(f->port);
	T_CHECK_INT_EQ(refused, -ECONNREFUSED);
	recv_reply(active, &r);
	T_CHECK_STR_EQ(r.body, "slept\n");
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	expect_end(active);
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, 8);
	t_close(idle);
	t_close(active);
}

static void httpabuse_shutdown_waits_for_active_requests(void **state)
{
	(void)state;
	fixture_run(NULL, graceful_script);
}

static void cut_script(struct fixture *f)
{
	rg_ctx *limit;
	int fd = t_tcp_connect(f->port), event;
	int64_t start;

	t_send_str(fd, REQUEST("GET /context"));
	rg_recv(f->events, &event);
	limit = rg_ctx_with_timeout(rg_ctx_background(), 100 * RG_MILLISECOND);
	T_CHECK(limit != NULL);
	start = t_now_ns();
	T_CHECK_INT_EQ(rg_http_server_shutdown(f->server, limit), -ETIMEDOUT);
	T_CHECK_INT_LT(ms_since(start), 1000);
	rg_ctx_unref(limit);
	expect_end(fd);
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, -ECANCELED);
	t_close(fd);
}

static void httpabuse_shutdown_with_limit_cuts(void **state)
{
	(void)state;
	fixture_run(NULL, cut_script);
}

static void late_body(void *arg)
{
	rg_http_server *s = rg_http_server_new(NULL);
	rg_listener *l;

	(void)arg;
	T_CHECK(s != NULL);
	T_CHECK_INT_EQ(rg_http_server_shutdown(s, NULL), 0);
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), 0);
	T_CHECK_INT_EQ(rg_http_server_serve(s, l), -ECANCELED);
	T_CHECK_INT_EQ(rg_http_server_shutdown(s, NULL), 0);
	rg_http_server_free(s);
	T_CHECK_INT_LT(rg_http_listen_and_serve("no address", NULL), 0);
}

static void httpabuse_serve_after_shutdown_is_refused(void **state)
{
	(void)state;
	t_run(late_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			httpabuse_malformed_request_is_refused_and_closed),
		cmocka_unit_test(httpabuse_request_cut_short_is_refused),
		cmocka_unit_test(httpabuse_limits_are_kept),
		cmocka_unit_test(httpabuse_connections_beyond_the_limit_wait),
		cmocka_unit_test(httpabuse_slow_header_is_cut_off),
		cmocka_unit_test(httpabuse_idle_and_read_time_limits),
		cmocka_unit_test(
			httpabuse_client_that_does_not_read_is_cut_off),
		cmocka_unit_test(
			httpabuse_ten_thousand_vanishing_clients_leave_nothing),
		cmocka_unit_test(
			httpabuse_out_of_memory_ends_one_connection_at_most),
		cmocka_unit_test(httpabuse_shutdown_waits_for_active_requests),
		cmocka_unit_test(httpabuse_shutdown_with_limit_cuts),
		cmocka_unit_test(httpabuse_serve_after_shutdown_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
