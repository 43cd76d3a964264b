// SPDX-License-Identifier: MIT
/*
 * The HTTP server with well-behaved clients: framing of responses (httpwriter.h I1
 * to I4), bodies of requests (httpreader.h I1 to I3), keep-alive, pipelining
 * (httpconn.h I1), 100-continue, contexts, routing.
 */
#include "tests/net/httpfixture.h"

static void small_body_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	for (int i = 0; i < 3; i++) {
		ask(fd, REQUEST("GET /hello"), &r);
		T_CHECK_INT_EQ(r.status, 200);
		T_CHECK_STR_EQ(r.body, "hello, world\n");
		T_CHECK_STR_EQ(reply_field(&r, "Content-Length"), "13");
		T_CHECK_STR_EQ(reply_field(&r, "Content-Type"),
			       "text/plain; charset=utf-8");
		T_CHECK(!reply_field(&r, "Transfer-Encoding"));
		T_CHECK(!reply_field(&r, "Connection"));
		T_CHECK_INT_EQ(strlen(reply_field(&r, "Date")), 29);
	}
	t_close(fd);
}

static void httpserver_small_body_has_length_type_and_date(void **state)
{
	(void)state;
	fixture_run(NULL, small_body_script);
}

static void check_bytes(int fd, int n, int piece, bool is_chunked)
{
	char request[128];
	static struct reply r;

	snprintf(request, sizeof(request),
		 "GET /bytes?n=%d&piece=%d HTTP/1.1\r\nHost: t\r\n\r\n", n,
		 piece);
	ask(fd, request, &r);
	T_CHECK_INT_EQ(r.status, 200);
	T_CHECK_INT_EQ(r.body_len, n);
	T_CHECK_INT_EQ(strspn(r.body, "x"), n);
	T_CHECK_INT_EQ(!!reply_field(&r, "Transfer-Encoding"), is_chunked);
	T_CHECK_INT_EQ(!!reply_field(&r, "Content-Length"), !is_chunked);
}

static void body_size_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);

	check_bytes(fd, 0, 0, false);
	check_bytes(fd, 1, 0, false);
	check_bytes(fd, 4096, 0, false);
	check_bytes(fd, 4096, 7, false);
	check_bytes(fd, 4097, 0, true);
	check_bytes(fd, 5000, 1, true);
	check_bytes(fd, 65536, 1000, true);
	t_close(fd);
}

static void httpserver_large_body_is_chunked(void **state)
{
	(void)state;
	fixture_run(NULL, body_size_script);
}

static void flush_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	ask(fd, REQUEST("GET /flush"), &r);
	T_CHECK_STR_EQ(reply_field(&r, "Transfer-Encoding"), "chunked");
	T_CHECK_STR_EQ(r.body, "first,second");
	/* A client of 1.0 cannot read chunks: the end is the end. */
	ask(fd, "GET /flush HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &r);
	T_CHECK(!reply_field(&r, "Transfer-Encoding"));
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	T_CHECK_STR_EQ(r.body, "first,second");
	expect_end(fd);
	t_close(fd);
}

static void httpserver_flushed_body_is_chunked_or_ends_with_close(void **state)
{
	(void)state;
	fixture_run(NULL, flush_script);
}

static void declared_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port), res;
	static struct reply r;

	ask(fd, REQUEST("GET /declared?len=3&n=3"), &r);
	T_CHECK_STR_EQ(r.body, "yyy");
	rg_recv(f->events, &res);
	T_CHECK_INT_EQ(res, 1);
	/* One too many: it is refused, the rest is right. */
	ask(fd, REQUEST("GET /declared?len=3&n=4"), &r);
	T_CHECK_STR_EQ(r.body, "yyy");
	rg_recv(f->events, &res);
	T_CHECK_INT_EQ(res, -EMSGSIZE);
	/* Too few: the client sees a body cut short, not a hang. */
	t_send_str(fd, REQUEST("GET /declared?len=5&n=2"));
	t_recv_until(fd, r.head, sizeof(r.head), "\r\n\r\n");
	T_CHECK_STR_EQ(reply_field(&r, "Content-Length"), "5");
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	T_CHECK_INT_EQ(t_recv_all(fd, r.body, sizeof(r.body)), 2);
	rg_recv(f->events, &res);
	t_close(fd);
	/* No number: as if it had not been set. */
	fd = t_tcp_connect(f->port);
	ask(fd, REQUEST("GET /declared?len=3x&n=2"), &r);
	T_CHECK_STR_EQ(reply_field(&r, "Content-Length"), "2");
	rg_recv(f->events, &res);
	t_close(fd);
}

static void httpserver_declared_length_is_kept(void **state)
{
	(void)state;
	fixture_run(NULL, declared_script);
}

static void bodiless_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r, head;

	for (int i = 0; i < 2; i++) {
		static const char *const codes[] = {
			REQUEST("GET /status?code=204"),
			REQUEST("GET /status?code=304")};

		ask(fd, codes[i], &r);
		T_CHECK_INT_EQ(r.status, i ? 304 : 204);
		T_CHECK(!reply_field(&r, "Content-Length"));
		T_CHECK(!reply_field(&r, "Content-Type"));
		T_CHECK(!reply_field(&r, "Transfer-Encoding"));
	}
	ask(fd, REQUEST("GET /hello"), &r);
	t_send_str(fd, REQUEST("HEAD /hello"));
	recv_reply_to(fd, &head, false);
	T_CHECK_INT_EQ(head.status, 200);
	T_CHECK_STR_EQ(reply_field(&head, "Content-Length"), "13");
	T_CHECK_STR_EQ(reply_field(&head, "Content-Type"),
		       "text/plain; charset=utf-8");
	t_send_str(fd, REQUEST("HEAD /bytes?n=9000"));
	recv_reply_to(fd, &head, false);
	T_CHECK_STR_EQ(reply_field(&head, "Transfer-Encoding"), "chunked");
	/* Had there been a body, this would not parse. */
	ask(fd, REQUEST("GET /hello"), &r);
	T_CHECK_STR_EQ(r.body, "hello, world\n");
	t_close(fd);
}

static void httpserver_head_204_and_304_have_no_body(void **state)
{
	(void)state;
	fixture_run(NULL, bodiless_script);
}

static void status_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	ask(fd, REQUEST("GET /status?code=418"), &r);
	T_CHECK(!strncmp(r.head, "HTTP/1.1 418 I'm a teapot\r\n", 27));
	ask(fd, REQUEST("GET /status?code=299"), &r);
	T_CHECK(!strncmp(r.head, "HTTP/1.1 299 \r\n", 15));
	ask(fd, REQUEST("GET /status?code=101"), &r);
	T_CHECK_INT_EQ(r.status, 500);
	ask(fd, REQUEST("GET /status?code=12345"), &r);
	T_CHECK_INT_EQ(r.status, 500);
	/* 103 is an answer before the answer; a client of 1.0 gets none. */
	ask(fd, REQUEST("GET /hints"), &r);
	T_CHECK_INT_EQ(r.status, 103);
	T_CHECK_STR_EQ(reply_field(&r, "Link"), "</style.css>; rel=preload");
	recv_reply(fd, &r);
	T_CHECK_INT_EQ(r.status, 200);
	T_CHECK_STR_EQ(r.body, "page\n");
	t_close(fd);
}

static void httpserver_status_line_has_code_and_text(void **state)
{
	(void)state;
	fixture_run(NULL, status_script);
}

static void headers_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	ask(fd,
	    "GET /headers/a%20b?q=1+2&none HTTP/1.1\r\nHost: t\r\n"
	    "X-SENT:   value with spaces \t \r\n\r\n",
	    &r);
	T_CHECK_STR_EQ(r.body, "sent=value with spaces path=/headers/a b "
			       "item=a b q=1 2 none=there\n");
	T_CHECK_STR_EQ(reply_field(&r, "X-One"), "second");
	T_CHECK(!strstr(r.head, "first"));
	T_CHECK(!reply_field(&r, "X-Gone"));
	T_CHECK(!reply_field(&r, "X-Injected"));
	T_CHECK(!strstr(r.head, "Bad Name"));
	T_CHECK(!reply_field(&r, "Transfer-Encoding"));
	T_CHECK_STR_HAS(r.head, "Set-Cookie: a=1\r\n");
	T_CHECK_STR_HAS(r.head, "Set-Cookie: b=2\r\n");
	t_close(fd);
}

static void httpserver_header_values_cannot_inject(void **state)
{
	(void)state;
	fixture_run(NULL, headers_script);
}

/* ---- connections --------------------------------------------------------------- */

static void keep_alive_script(struct fixture *f)
{
	static struct reply r;
	int fd = t_tcp_connect(f->port);

	ask(fd, "GET /hello HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
	    &r);
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	expect_end(fd);
	t_close(fd);

	fd = t_tcp_connect(f->port);
	ask(fd, "GET /hello HTTP/1.0\r\n\r\n", &r);
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	T_CHECK_STR_EQ(r.body, "hello, world\n");
	expect_end(fd);
	t_close(fd);

	fd = t_tcp_connect(f->port);
	for (int i = 0; i < 3; i++) {
		ask(fd, "GET /hello HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
		    &r);
		T_CHECK_STR_EQ(reply_field(&r, "Connection"), "keep-alive");
	}
	ask(fd, REQUEST("GET /close"), &r);
	T_CHECK_STR_EQ(r.body, "bye\n");
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	expect_end(fd);
	t_close(fd);
}

static void httpserver_connection_rules_of_1_0_and_1_1(void **state)
{
	(void)state;
	fixture_run(NULL, keep_alive_script);
}

enum { PIPELINED = 300 };

static void pipelining_script(struct fixture *f)
{
	static char out[PIPELINED * 64];
	int fd = t_tcp_connect(f->port);
	char want[64];
	static struct reply r;
	size_t len = 0;

	for (int round = 0; round < 3; round++) {
		len = 0;
		for (int i = 0; i < PIPELINED; i++)
			len += (size_t)sprintf(out + len,
					       "PUT /echo?%d HTTP/1.1\r\n"
					       "Host: t\r\n"
					       "Content-Length: 2\r\n\r\n%02d",
					       i, i % 100);
		t_send_all(fd, out, len);
		for (int i = 0; i < PIPELINED; i++) {
			recv_reply(fd, &r);
			snprintf(want, sizeof(want), "PUT /echo?%d 2 %d\n", i,
				 ('0' + i % 100 / 10) * 31 + '0' + i % 10);
			T_CHECK_STR_EQ(r.body, want);
		}
	}
	t_close(fd);
}

static void httpserver_pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	fixture_run(NULL, pipelining_script);
}

static void pipelined_slow_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	int64_t start = t_now_ns();
	static struct reply r;

	t_send_str(fd, REQUEST("GET /hello") REQUEST("GET /slow?ms=500")
			       REQUEST("GET /hello"));
	recv_reply(fd, &r);
	T_CHECK_INT_LT(t_now_ns() - start, 400 * RG_MILLISECOND);
	recv_reply(fd, &r);
	T_CHECK_STR_EQ(r.body, "slept\n");
	recv_reply(fd, &r);
	T_CHECK_STR_EQ(r.body, "hello, world\n");
	t_close(fd);
}

static void httpserver_answer_does_not_wait_for_slow_handler(void **state)
{
	(void)state;
	fixture_run(NULL, pipelined_slow_script);
}

static void dribble_script(struct fixture *f)
{
	static const char text[] = "\r\nPOST /echo HTTP/1.1\r\nHost: t\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n"
				   "3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n"
				   "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n";
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	for (size_t i = 0; i < sizeof(text) - 1; i++)
		t_send_all(fd, text + i, 1);
	recv_reply(fd, &r);
	T_CHECK_STR_HAS(r.body, "POST /echo 4 ");
	recv_reply(fd, &r);
	T_CHECK_STR_EQ(r.body, "hello, world\n");
	t_close(fd);
}

static void httpserver_bytes_one_by_one_are_the_same_request(void **state)
{
	(void)state;
	fixture_run(NULL, dribble_script);
}

/* ---- bodies of requests --------------------------------------------------------- */

static unsigned sum_of(const char *p, size_t n)
{
	unsigned sum = 0;

	while (n--)
		sum = sum * 31 + (unsigned char)*p++;
	return sum;
}

static char *make_body(size_t n)
{
	char *p = malloc(n + 1);

	T_CHECK(p != NULL);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 7 + i / 251);
	return p;
}

static void send_chunked(int fd, const char *p, size_t n, size_t piece)
{
	char line[32];

	while (n) {
		size_t now = n < piece ? n : piece;

		snprintf(line, sizeof(line), "%zx\r\n", now);
		t_send_str(fd, line);
		t_send_all(fd, p, now);
		t_send_str(fd, "\r\n");
		p += now;
		n -= now;
	}
	t_send_str(fd, "0\r\n\r\n");
}

static void check_upload(int fd, size_t n, size_t piece, int read_piece)
{
	char *body = make_body(n), text[256];
	static struct reply r;

	snprintf(text, sizeof(text),
		 piece ? "POST /echo?piece=%d HTTP/1.1\r\nHost: t\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n"
		       : "POST /echo?piece=%d HTTP/1.1\r\nHost: t\r\n"
			 "Content-Length: %zu\r\n\r\n",
		 read_piece, n);
	t_send_str(fd, text);
	if (piece)
		send_chunked(fd, body, n, piece);
	else
		t_send_all(fd, body, n);
	recv_reply(fd, &r);
	snprintf(text, sizeof(text), "POST /echo?piece=%d %zu %u\n", read_piece,
		 n, sum_of(body, n));
	T_CHECK_STR_EQ(r.body, text);
	free(body);
}

static void upload_script(struct fixture *f)
{
	static const size_t sizes[] = {0,    1,     100,    3000,
				       4096, 10000, 100000, 3000000};
	static const int pieces[] = {0, 1, 1000, 1024, 5000};
	int fd = t_tcp_connect(f->port);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t j = 0; j < sizeof(pieces) / sizeof(*pieces); j++) {
			if (sizes[i] > 100000 && pieces[j] == 1)
				continue;
			check_upload(fd, sizes[i], 0, pieces[j]);
			check_upload(fd, sizes[i], 1 + sizes[i] / 7, pieces[j]);
			if (sizes[i] <= 3000)
				check_upload(fd, sizes[i], 1, pieces[j]);
		}
	t_close(fd);
}

static void httpserver_bodies_arrive_whole(void **state)
{
	(void)state;
	fixture_run(NULL, upload_script);
}

static void unread_script(struct fixture *f)
{
	char *body = make_body(400 << 10), text[128];
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	/* Small enough to be dropped: the connection goes on. */
	for (int chunked = 0; chunked < 2; chunked++) {
		t_send_str(fd, chunked ? "POST /ignore HTTP/1.1\r\nHost: t\r\n"
					 "Transfer-Encoding: chunked\r\n\r\n"
				       : "POST /ignore HTTP/1.1\r\nHost: t\r\n"
					 "Content-Length: 200000\r\n\r\n");
		if (chunked)
			send_chunked(fd, body, 200000, 7000);
		else
			t_send_all(fd, body, 200000);
		recv_reply(fd, &r);
		T_CHECK_STR_EQ(r.body, "ignored\n");
		T_CHECK(!reply_field(&r, "Connection"));
	}
	ask(fd, REQUEST("GET /hello"), &r);
	T_CHECK_STR_EQ(r.body, "hello, world\n");
	/* Too large: the response says so, arrives whole, then it ends. */
	snprintf(text, sizeof(text),
		 "POST /ignore HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n"
		 "\r\n",
		 400 << 10);
	t_send_str(fd, text);
	t_send_all(fd, body, 300 << 10);
	recv_reply(fd, &r);
	T_CHECK_STR_EQ(r.body, "ignored\n");
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	expect_end(fd);
	t_close(fd);
	free(body);
}

static void
httpserver_unread_small_body_is_dropped_large_one_closes(void **state)
{
	(void)state;
	fixture_run(NULL, unread_script);
}

static void expect_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	t_send_str(fd, "POST /echo HTTP/1.1\r\nHost: t\r\n"
		       "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	recv_reply(fd, &r);
	T_CHECK_INT_EQ(r.status, 100);
	T_CHECK_STR_EQ(r.head, "HTTP/1.1 100 Continue\r\n\r\n");
	t_send_str(fd, "abc");
	recv_reply(fd, &r);
	T_CHECK_STR_HAS(r.body, "POST /echo 3 ");
	/* The handler does not read: no 100, and the end. */
	ask(fd,
	    "POST /ignore HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
	    "Content-Length: 3\r\n\r\n",
	    &r);
	T_CHECK_INT_EQ(r.status, 200);
	T_CHECK_STR_EQ(reply_field(&r, "Connection"), "close");
	expect_end(fd);
	t_close(fd);
	/* Nothing to send, nothing to continue. */
	fd = t_tcp_connect(f->port);
	ask(fd, "GET /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\r\n",
	    &r);
	T_CHECK_INT_EQ(r.status, 200);
	ask(fd, "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: magic\r\n\r\n", &r);
	T_CHECK_INT_EQ(r.status, 417);
	expect_end(fd);
	t_close(fd);
}

static void httpserver_expect_continue_is_answered_at_first_read(void **state)
{
	(void)state;
	fixture_run(NULL, expect_script);
}

/* ---- handlers -------------------------------------------------------------------- */

static void exit_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	/* What was answered before is still sent. */
	t_send_str(fd, REQUEST("GET /hello") REQUEST("GET /exit"));
	recv_reply(fd, &r);
	T_CHECK_STR_EQ(r.body, "hello, world\n");
	expect_end(fd);
	t_close(fd);
	fd = t_tcp_connect(f->port);
	t_send_str(fd, REQUEST("GET /exit?flush=1"));
	t_recv_until(fd, r.head, sizeof(r.head), "\r\n\r\n");
	t_recv_all(fd, r.body, sizeof(r.body));
	T_CHECK_STR_EQ(r.body, "4\r\nsome\r\n");
	t_close(fd);
	fd = t_tcp_connect(f->port);
	ask(fd, REQUEST("GET /hello"), &r);
	T_CHECK_INT_EQ(r.status, 200);
	t_close(fd);
}

static void httpserver_handler_that_exits_ends_its_connection_only(void **state)
{
	(void)state;
	fixture_run(NULL, exit_script);
}

static void context_script(struct fixture *f)
{
	int fd = t_tcp_connect(f->port), event;
	static struct reply r;

	t_send_str(fd, REQUEST("GET /context"));
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, 0);
	t_close(fd);
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, -EPIPE);
	/* A client that stays: the context ends with its own time only. */
	fd = t_tcp_connect(f->port);
	t_send_str(fd, REQUEST("GET /context"));
	rg_recv(f->events, &event);
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, 1);
	recv_reply(fd, &r);
	T_CHECK_STR_EQ(r.body, "done\n");
	ask(fd, REQUEST("GET /hello"), &r);
	t_close(fd);
}

static void httpserver_context_ends_when_client_goes_away(void **state)
{
	(void)state;
	fixture_run(NULL, context_script);
}

static void routing_script(struct fixture *f)
{
	static const struct {
		const char *request;
		int status;
		const char *field, *value;
	} cases[] = {
		{REQUEST("GET /nowhere"), 404, NULL, NULL},
		{REQUEST("POST /get-only"), 405, "Allow", "GET, HEAD"},
		{REQUEST("HEAD /get-only"), 200, NULL, NULL},
		{REQUEST("GET /tree?a=b"), 307, "Location", "/tree/?a=b"},
		{REQUEST("GET /tree/../hello"), 307, "Location", "/hello"},
		{REQUEST("GET //hello"), 307, "Location", "/hello"},
		{REQUEST("GET /tree/deep/er"), 200, NULL, NULL},
		{REQUEST("GET http://test/hello"), 200, NULL, NULL},
		{REQUEST("OPTIONS *"), 404, NULL, NULL},
	};
	int fd = t_tcp_connect(f->port);
	static struct reply r;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		t_send_str(fd, cases[i].request);
		recv_reply_to(fd, &r, *cases[i].request != 'H');
		T_CHECK_INT_EQ(r.status, cases[i].status);
		if (cases[i].field)
			T_CHECK_STR_EQ(reply_field(&r, cases[i].field),
				       cases[i].value);
	}
	t_close(fd);
}

static void httpserver_routes_and_redirects(void **state)
{
	(void)state;
	fixture_run(NULL, routing_script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			httpserver_small_body_has_length_type_and_date),
		cmocka_unit_test(httpserver_large_body_is_chunked),
		cmocka_unit_test(
			httpserver_flushed_body_is_chunked_or_ends_with_close),
		cmocka_unit_test(httpserver_declared_length_is_kept),
		cmocka_unit_test(httpserver_head_204_and_304_have_no_body),
		cmocka_unit_test(httpserver_status_line_has_code_and_text),
		cmocka_unit_test(httpserver_header_values_cannot_inject),
		cmocka_unit_test(httpserver_connection_rules_of_1_0_and_1_1),
		cmocka_unit_test(
			httpserver_pipelined_requests_are_answered_in_order),
		cmocka_unit_test(
			httpserver_answer_does_not_wait_for_slow_handler),
		cmocka_unit_test(
			httpserver_bytes_one_by_one_are_the_same_request),
		cmocka_unit_test(httpserver_bodies_arrive_whole),
		cmocka_unit_test(
			httpserver_unread_small_body_is_dropped_large_one_closes),
		cmocka_unit_test(
			httpserver_expect_continue_is_answered_at_first_read),
		cmocka_unit_test(
			httpserver_handler_that_exits_ends_its_connection_only),
		cmocka_unit_test(httpserver_context_ends_when_client_goes_away),
		cmocka_unit_test(httpserver_routes_and_redirects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
