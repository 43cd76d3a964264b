// SPDX-License-Identifier: MIT
/*
 * The HTTP client against the library's own server and against scripted servers
 * that behave badly: httpclient.h I1 to I3, httpcall.h I1 and I2, httppool.h I1 to
 * I3, httpresponse.h I1.
 */
#include "tests/net/httpfixture.h"

/* ---- a scripted server ----------------------------------------------------------- */

/* Replies in order, each after a whole request. CLOSE ends the connection and waits
 * for the next; the last reply's connection is closed, too. */
#define CLOSE ((const char *)1)
/* Take the request and end the connection without an answer. */
#define DROP ((const char *)2)

struct scripted {
	const char *const *replies; /* ends with NULL */
	int listener;
	uint16_t port;
	pthread_t thread;
	bool is_joined;
	int nrequests, nconns;
	char requests[16][2048]; /* heads, then bodies */
};

static void take_request(struct scripted *s, int fd)
{
	char *text = s->requests[s->nrequests++ % 16];
	size_t len = t_recv_until(fd, text, 1024, "\r\n\r\n");
	const char *cl = strstr(text, "Content-Length: ");
	size_t body = cl ? strtoul(cl + 16, NULL, 10) : 0;

	T_CHECK(body < 1000);
	t_recv_exactly(fd, text + len, body);
	text[len + body] = '\0';
}

static void *scripted_main(void *arg)
{
	struct scripted *s = arg;
	int fd = -1;

	for (const char *const *r = s->replies; *r; r++) {
		if (*r == CLOSE) {
			t_close(fd);
			fd = -1;
			continue;
		}
		if (fd < 0) {
			fd = t_tcp_accept(s->listener);
			s->nconns++;
		}
		take_request(s, fd);
		if (*r != DROP) {
			t_send_str(fd, *r);
			continue;
		}
		t_close(fd);
		fd = -1;
	}
	if (fd >= 0)
		t_close(fd);
	return NULL;
}

static struct scripted *scripted_start(const char *const *replies)
{
	struct scripted *s = calloc(1, sizeof(*s));

	T_CHECK(s != NULL);
	s->replies = replies;
	s->listener = t_tcp_listen(&s->port);
	s->thread = t_thread(scripted_main, s);
	return s;
}

static void *join_thread(void *arg)
{
	return t_join(((struct scripted *)arg)->thread);
}

/* Its script is done: what it saw may be looked at. */
static void scripted_wait(struct scripted *s)
{
	if (!s->is_joined)
		rg_blocking(join_thread, s);
	s->is_joined = true;
}

static void scripted_end(struct scripted *s)
{
	scripted_wait(s);
	t_close(s->listener);
	free(s);
}

static const char *url_of(uint16_t port, const char *target)
{
	static char url[4][256];
	static int turn;
	char *out = url[turn++ % 4];

	snprintf(out, sizeof(url[0]), "http://127.0.0.1:%u%s", (unsigned)port,
		 target);
	return out;
}

/* The whole body as text, in a static buffer. */
static const char *body_of(rg_http_response *resp)
{
	static char text[100000];
	size_t len = 0;
	ssize_t n;

	while ((n = rg_http_response_read(resp, text + len,
					  sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	T_CHECK_INT_EQ(n, 0);
	text[len] = '\0';
	return text;
}

static rg_http_response *get(rg_http_client *c, const char *url)
{
	const rg_http_call call = {.url = url};
	rg_http_response *resp = NULL;
	int err = rg_http_do(c, &call, &resp);

	if (err)
		T_FAIL("%s: %s", url, rg_strerror(err));
	return resp;
}

static int get_error(rg_http_client *c, const rg_http_call *call)
{
	rg_http_response *resp = NULL;
	int err = rg_http_do(c, call, &resp);

	T_CHECK(err < 0 && !resp);
	return err;
}

/* Runs fn as a goroutine with a client of its own; nothing may be left. */
struct client_test {
	void (*fn)(rg_http_client *c);
	rg_http_client_options options;
};

static void client_body(void *arg)
{
	struct client_test *t = arg;
	rg_http_client *c = rg_http_client_new(&t->options);
	rg_listener *l;
	int fds;

	T_CHECK(c != NULL);
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), 0);
	rg_listener_close(l);
	fds = t_program_fds();
	t->fn(c);
	rg_http_client_free(c);
	t_wait_goroutines(1);
	T_CHECK_INT_EQ(t_program_fds(), fds);
}

static void client_run(void (*fn)(rg_http_client *c))
{
	struct client_test t = {.fn = fn};

	t_run(client_body, &t);
}

/* ---- against our own server ------------------------------------------------------- */

static void own_server_main(void *arg)
{
	struct fixture *f = arg;
	rg_http_client *c = rg_http_client_new(NULL);
	char body[] = "some body", want[64];
	const char *const headers[] = {"X-Sent", "hi", NULL};
	rg_http_response *resp;

	T_CHECK(c != NULL);
	for (int i = 0; i < 3; i++) {
		resp = get(c, url_of(f->port, "/hello"));
		T_CHECK_INT_EQ(rg_http_response_status(resp), 200);
		T_CHECK_STR_EQ(rg_http_response_status_text(resp), "200 OK");
		T_CHECK_STR_EQ(rg_http_response_header(resp, "content-length"),
			       "13");
		T_CHECK_PTR_EQ(rg_http_response_header(resp, "X-None"), NULL);
		T_CHECK_STR_EQ(body_of(resp), "hello, world\n");
		rg_http_response_close(resp);
	}
	resp = get(c, url_of(f->port, "/bytes?n=60000"));
	T_CHECK_INT_EQ(strlen(body_of(resp)), 60000);
	rg_http_response_close(resp);
	resp = get(c, url_of(f->port, "/headers/x?q=y"));
	T_CHECK_STR_HAS(body_of(resp), "sent=(null) path=/headers/x item=x");
	rg_http_response_close(resp);
	for (int i = 0; i < 2; i++) {
		const rg_http_call call = {.method = i ? "PATCH" : "POST",
					   .url = url_of(f->port, "/echo"),
					   .headers = headers,
					   .body = body,
					   .body_len = sizeof(body) - 1};

		T_CHECK_INT_EQ(rg_http_do(c, &call, &resp), 0);
		snprintf(want, sizeof(want), "%s /echo 9 ", call.method);
		T_CHECK_STR_HAS(body_of(resp), want);
		rg_http_response_close(resp);
	}
	rg_http_client_free(c);
	rg_send(f->events, 99);
}

static void own_server_script(struct fixture *f)
{
	int event;

	T_CHECK_INT_EQ(rg_go(own_server_main, f), 0);
	rg_recv(f->events, &event);
	T_CHECK_INT_EQ(event, 99);
}

static void httpclient_talks_to_own_server(void **state)
{
	(void)state;
	fixture_run(NULL, own_server_script);
}

/* ---- framing ----------------------------------------------------------------------- */

static void framing(rg_http_client *c)
{
	static const char *const replies[] = {
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n"
		"\r\nHTTP/1.1 200 Fine\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"2;x\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
		"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
		CLOSE,
		"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nxy",
		CLOSE,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n"
		"\r\nz",
		NULL};
	static const struct {
		int status;
		const char *text, *body;
	} want[] = {
		{200, "200 Fine", "abc"},
		{200, "200 OK", "abc"},
		{204, "204 No Content", ""},
		{304, "304 Not Modified", ""},
		{404, "404", ""},
		{200, "200 OK", "until the end"},
		{200, "200 OK", "xy"},
		{200, "200 OK", "z"},
	};
	struct scripted *s = scripted_start(replies);

	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		rg_http_response *resp = get(c, url_of(s->port, "/"));

		T_CHECK_INT_EQ(rg_http_response_status(resp), want[i].status);
		T_CHECK_STR_EQ(rg_http_response_status_text(resp),
			       want[i].text);
		T_CHECK_STR_EQ(body_of(resp), want[i].body);
		rg_http_response_close(resp);
	}
	scripted_wait(s);
	T_CHECK_INT_EQ(s->nconns, 3);
	T_CHECK_STR_HAS(s->requests[0], "GET / HTTP/1.1\r\nHost: 127.0.0.1:");
	T_CHECK_STR_HAS(s->requests[0], "\r\nUser-Agent: ringgo/");
	T_CHECK(!strstr(s->requests[0], "Content-Length"));
	scripted_end(s);
}

static void httpclient_reads_every_framing_and_reuses(void **state)
{
	(void)state;
	client_run(framing);
}

static void bad_responses(rg_http_client *c)
{
	static const char *const replies[] = {
		"nonsense\r\n\r\n",
		CLOSE,
		"HTTP/2.0 200 OK\r\n\r\n",
		CLOSE,
		"HTTP/1.1 99 Low\r\n\r\n",
		CLOSE,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
		"Content-Length: 4\r\n\r\nabc",
		CLOSE,
		"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
		CLOSE,
		"HTTP/1.1 101 Switching\r\n\r\n",
		CLOSE,
		"HTTP/1.1 200 OK\r\nContent-Le",
		CLOSE,
		NULL};
	struct scripted *s = scripted_start(replies);
	const rg_http_call call = {.url = url_of(s->port, "/")};

	for (int i = 0; i < 7; i++)
		T_CHECK_INT_EQ(get_error(c, &call), -EBADMSG);
	scripted_end(s);
}

static void httpclient_malformed_response_is_refused(void **state)
{
	(void)state;
	client_run(bad_responses);
}

static void short_bodies(rg_http_client *c)
{
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		CLOSE,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
		CLOSE,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz",
		CLOSE,
		NULL};
	struct scripted *s = scripted_start(replies);

	for (int i = 0; i < 3; i++) {
		rg_http_response *resp = get(c, url_of(s->port, "/"));
		char buf[16];
		ssize_t n;

		while ((n = rg_http_response_read(resp, buf, 2)) > 0)
			;
		T_CHECK_INT_EQ(n, -EBADMSG);
		T_CHECK_INT_EQ(rg_http_response_read(resp, buf, 2), -EBADMSG);
		rg_http_response_close(resp);
	}
	scripted_end(s);
}

static void httpclient_body_cut_short_is_an_error(void **state)
{
	(void)state;
	client_run(short_bodies);
}

/* ---- what is refused before anything is sent ------------------------------------------ */

static void refusals(rg_http_client *c)
{
	static const char *const injected[] = {"X", "a\r\nEvil: b", NULL};
	static const char *const bad_name[] = {"X Y", "a", NULL};
	static const char *const framing_field[] = {"Content-Length", "3",
						    NULL};
	static const char *const half[] = {"X", NULL};
	static const char *const upgrade[] = {"Connection", "upgrade", NULL};
	const struct {
		rg_http_call call;
		int err;
	} cases[] = {
		{{.url = NULL}, -EINVAL},
		{{.url = ""}, -EPROTONOSUPPORT},
		{{.url = "https://127.0.0.1/"}, -EPROTONOSUPPORT},
		{{.url = "ftp://127.0.0.1/"}, -EPROTONOSUPPORT},
		{{.url = "http://user@127.0.0.1/"}, -EINVAL},
		{{.url = "http:///path"}, -EINVAL},
		{{.url = "http://127.0.0.1/a b"}, -EINVAL},
		{{.url = "http://127.0.0.1/\r\nX: y"}, -EINVAL},
		{{.url = "http://127.0.0.1:99999/"}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .method = "G ET"}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .method = "CONNECT"}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .headers = injected}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .headers = bad_name}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .headers = framing_field},
		 -EINVAL},
		{{.url = "http://127.0.0.1:1/", .headers = half}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .headers = upgrade}, -EINVAL},
		{{.url = "http://127.0.0.1:1/", .body_len = 3}, -EINVAL},
		{{.url = "http://127.0.0.1:1/"}, -ECONNREFUSED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int err = get_error(c, &cases[i].call);

		if (err != cases[i].err &&
		    !(i == 1 && err == -EINVAL)) /* no scheme: either */
			T_FAIL("case %zu: %s", i, rg_strerror(err));
	}
	T_CHECK_INT_EQ(rg_http_do(c, NULL, NULL), -EINVAL);
}

static void httpclient_senseless_calls_are_refused(void **state)
{
	(void)state;
	client_run(refusals);
}

/* ---- reuse and retry -------------------------------------------------------------------- */

static void retry(rg_http_client *c)
{
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
		DROP, /* the kept connection ends under the second request */
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb",
		DROP, /* the same, but a POST is not sent twice */
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc",
		NULL};
	struct scripted *s = scripted_start(replies);
	const rg_http_call post = {.method = "POST",
				   .url = url_of(s->port, "/"),
				   .body = "x",
				   .body_len = 1};
	rg_http_response *resp;

	resp = get(c, url_of(s->port, "/"));
	T_CHECK_STR_EQ(body_of(resp), "a");
	rg_http_response_close(resp);
	resp = get(c, url_of(s->port, "/"));
	T_CHECK_STR_EQ(body_of(resp), "b");
	rg_http_response_close(resp);
	T_CHECK_INT_EQ(get_error(c, &post), -EPIPE);
	resp = get(c, url_of(s->port, "/"));
	T_CHECK_STR_EQ(body_of(resp), "c");
	rg_http_response_close(resp);
	scripted_wait(s);
	T_CHECK_INT_EQ(s->nconns, 3);
	T_CHECK_INT_EQ(s->nrequests, 5);
	scripted_end(s);
}

static void
httpclient_retries_idempotent_request_on_stale_connection(void **state)
{
	(void)state;
	client_run(retry);
}

static void unread(rg_http_client *c)
{
	static char big[60000];
	const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", /* here */
		big, /* not all here: closed */
		CLOSE,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\njunk",
		CLOSE,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		NULL};
	struct scripted *s;
	int n = sprintf(big,
			"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n");

	memset(big + n, 'x', sizeof(big) - 1 - (size_t)n);
	s = scripted_start(replies);
	for (int i = 0; i < 4; i++)
		rg_http_response_close(get(c, url_of(s->port, "/")));
	scripted_wait(s);
	T_CHECK_INT_EQ(s->nconns, 3);
	scripted_end(s);
}

static void httpclient_unread_body_decides_about_reuse(void **state)
{
	(void)state;
	client_run(unread);
}

/* ---- redirects ---------------------------------------------------------------------------- */

#define REDIRECT(code, to)                                                     \
	"HTTP/1.1 " code " X\r\nLocation: " to "\r\nContent-Length: 4\r\n\r\n" \
	"gone"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static void redirects(rg_http_client *c)
{
	static const char *const replies[] = {
		REDIRECT("302", "next?x=1"),
		REDIRECT("301", "../up"),
		REDIRECT("307", "?only=query"),
		OK, /* a GET */
		REDIRECT("303", "/see"),
		OK, /* a POST becomes a GET */
		REDIRECT("307", "/again"),
		OK, /* a POST stays one */
		"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n", /* no target */
		REDIRECT("302", "https://127.0.0.1/"),
		CLOSE,
		NULL};
	static const char *const headers[] = {"Content-Type", "text/x",
					      "Authorization", "secret", NULL};
	struct scripted *s = scripted_start(replies);
	rg_http_call post = {.method = "POST",
			     .url = url_of(s->port, "/post"),
			     .headers = headers,
			     .body = "data",
			     .body_len = 4};
	rg_http_response *resp = get(c, url_of(s->port, "/a/b/c"));

	T_CHECK_STR_EQ(body_of(resp), "ok");
	rg_http_response_close(resp);
	T_CHECK_INT_EQ(rg_http_do(c, &post, &resp), 0);
	rg_http_response_close(resp);
	T_CHECK_INT_EQ(rg_http_do(c, &post, &resp), 0);
	rg_http_response_close(resp);
	resp = get(c, url_of(s->port, "/"));
	T_CHECK_INT_EQ(rg_http_response_status(resp), 302);
	rg_http_response_close(resp);
	T_CHECK_INT_EQ(get_error(c, &post), -EPROTONOSUPPORT);
	scripted_wait(s);
	T_CHECK_STR_HAS(s->requests[1], "GET /a/b/next?x=1 HTTP/1.1\r\n");
	T_CHECK_STR_HAS(s->requests[2], "GET /a/up HTTP/1.1\r\n");
	T_CHECK_STR_HAS(s->requests[3], "GET /a/up?only=query HTTP/1.1\r\n");
	T_CHECK_STR_HAS(s->requests[4], "\r\n\r\ndata");
	T_CHECK_STR_HAS(s->requests[5], "GET /see HTTP/1.1\r\n");
	T_CHECK(!strstr(s->requests[5], "Content-"));
	T_CHECK_STR_HAS(s->requests[5], "Authorization: secret\r\n");
	T_CHECK_STR_HAS(s->requests[7], "POST /again HTTP/1.1\r\n");
	T_CHECK_STR_HAS(s->requests[7], "Content-Type: text/x\r\n");
	T_CHECK_STR_HAS(s->requests[7], "\r\n\r\ndata");
	T_CHECK_INT_EQ(s->nconns, 1);
	scripted_end(s);
}

static void httpclient_follows_redirects(void **state)
{
	(void)state;
	client_run(redirects);
}

static void other_host(rg_http_client *c)
{
	static char reply[256];
	const char *const first[] = {reply, NULL};
	static const char *const second[] = {REDIRECT("302", "/back"), OK,
					     NULL};
	static const char *const headers[] = {
		"Authorization", "secret", "Cookie", "a=b", "Host",
		"alias",         "X-Kept", "yes",    NULL};
	struct scripted *b = scripted_start(second), *a;
	rg_http_call call = {.headers = headers};
	rg_http_response *resp;

	snprintf(reply, sizeof(reply),
		 "HTTP/1.1 302 X\r\nLocation: http://localhost:%u/other\r\n"
		 "Content-Length: 0\r\n\r\n",
		 (unsigned)b->port);
	a = scripted_start(first);
	call.url = url_of(a->port, "/");
	T_CHECK_INT_EQ(rg_http_do(c, &call, &resp), 0);
	rg_http_response_close(resp);
	scripted_wait(a);
	scripted_wait(b);
	T_CHECK_STR_HAS(a->requests[0], "Host: alias\r\n");
	T_CHECK_STR_HAS(a->requests[0], "Cookie: a=b\r\n");
	for (int i = 0; i < 2; i++) {
		T_CHECK_STR_HAS(b->requests[i], "Host: localhost:");
		T_CHECK_STR_HAS(b->requests[i], "X-Kept: yes\r\n");
		T_CHECK(!strstr(b->requests[i], "alias"));
		T_CHECK(!strstr(b->requests[i], "secret"));
		T_CHECK(!strstr(b->requests[i], "Cookie"));
	}
	scripted_end(a);
	scripted_end(b);
}

static void httpclient_redirect_to_other_host_drops_credentials(void **state)
{
	(void)state;
	client_run(other_host);
}

static void endless(rg_http_client *c)
{
	const char *replies[13];
	struct scripted *s;
	rg_http_call call = {0};

	for (int i = 0; i < 11; i++)
		replies[i] = REDIRECT("302", "/again");
	replies[11] = NULL;
	s = scripted_start(replies);
	call.url = url_of(s->port, "/");
	T_CHECK_INT_EQ(get_error(c, &call), -ELOOP);
	scripted_wait(s);
	T_CHECK_INT_EQ(s->nrequests, 11);
	scripted_end(s);
}

static void httpclient_gives_up_after_ten_redirects(void **state)
{
	(void)state;
	client_run(endless);
}

/* ---- time -------------------------------------------------------------------------------- */

static void time_limits_script(struct fixture *f)
{
	int event;

	rg_recv(f->events, &event);
}

static void time_limits_main(void *arg)
{
	struct fixture *f = arg;
	rg_http_client *c = rg_http_client_new(NULL);
	rg_http_call call = {.url = url_of(f->port, "/slow?ms=3000"),
			     .timeout = 200 * RG_MILLISECOND};
	rg_time start = rg_now();
	rg_http_response *resp;
	rg_ctx *limit;

	T_CHECK_INT_EQ(get_error(c, &call), -ETIMEDOUT);
	T_CHECK_INT_GE(rg_now() - start, 200 * RG_MILLISECOND);
	T_CHECK_INT_LT(rg_now() - start, 2 * RG_SECOND);
	/* The goroutine's context, too. */
	call.timeout = 0;
	limit = rg_ctx_with_timeout(rg_ctx_background(), 100 * RG_MILLISECOND);
	T_CHECK(limit != NULL);
	rg_ctx_unref(rg_ctx_bind(limit));
	T_CHECK_INT_EQ(get_error(c, &call), -ETIMEDOUT);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(limit);
	/* A time limit that was kept leaves a usable connection behind. */
	call.url = url_of(f->port, "/hello");
	call.timeout = 300 * RG_MILLISECOND;
	T_CHECK_INT_EQ(rg_http_do(c, &call, &resp), 0);
	T_CHECK_STR_EQ(body_of(resp), "hello, world\n");
	rg_http_response_close(resp);
	rg_sleep(400 * RG_MILLISECOND);
	resp = get(c, url_of(f->port, "/hello"));
	T_CHECK_STR_EQ(body_of(resp), "hello, world\n");
	rg_http_response_close(resp);
	rg_http_client_free(c);
	rg_send(f->events, 1);
}

static void time_script(struct fixture *f)
{
	T_CHECK_INT_EQ(rg_go(time_limits_main, f), 0);
	time_limits_script(f);
}

static void httpclient_time_limit_and_context_end_a_call(void **state)
{
	(void)state;
	fixture_run(NULL, time_script);
}

/* From a thread that the runtime does not own. */
static void foreign_script(struct fixture *f)
{
	rg_http_client *c = rg_http_client_new(NULL);
	rg_http_response *resp;

	T_CHECK(c != NULL);
	for (int i = 0; i < 3; i++) {
		resp = get(c, url_of(f->port, "/bytes?n=10000"));
		T_CHECK_INT_EQ(strlen(body_of(resp)), 10000);
		rg_http_response_close(resp);
	}
	rg_http_client_free(c);
}

static void httpclient_works_on_foreign_thread(void **state)
{
	(void)state;
	fixture_run(NULL, foreign_script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httpclient_talks_to_own_server),
		cmocka_unit_test(httpclient_reads_every_framing_and_reuses),
		cmocka_unit_test(httpclient_malformed_response_is_refused),
		cmocka_unit_test(httpclient_body_cut_short_is_an_error),
		cmocka_unit_test(httpclient_senseless_calls_are_refused),
		cmocka_unit_test(
			httpclient_retries_idempotent_request_on_stale_connection),
		cmocka_unit_test(httpclient_unread_body_decides_about_reuse),
		cmocka_unit_test(httpclient_follows_redirects),
		cmocka_unit_test(
			httpclient_redirect_to_other_host_drops_credentials),
		cmocka_unit_test(httpclient_gives_up_after_ten_redirects),
		cmocka_unit_test(httpclient_time_limit_and_context_end_a_call),
		cmocka_unit_test(httpclient_works_on_foreign_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
