// SPDX-License-Identifier: MIT
/*
 * test_httpparse - which heads are refused, with which status, and at which
 * limit: tables, each case fed in every way (I1), exactly as long as it is
 * (I3); I2 and I5 by junk without an end; I6 by framings with two readings,
 * most of them attempts to smuggle. What accepted heads say is test_httphead's
 * part.
 */
#include <stdio.h>
#include <time.h>

#include "tests/net/headcase.h"

/* ---- tables of faults and of accepted heads ---- */

struct verdict {
	int status; /* 0: accepted */
	const char *text;
	size_t len; /* some hold NUL bytes */
};
#define V(status, s)                                                           \
	{                                                                      \
		status, s, sizeof(s) - 1                                       \
	}

static void check_verdicts(int kind, const struct verdict *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct httpparse p;
		int rc = parse(&p, kind, v[i].text, v[i].len);
		int status = rc == HTTPPARSE_ERROR ? p.status : 0;

		if (rc == HTTPPARSE_MORE || status != v[i].status)
			fail_msg("%d %d (%s), want %d for [%s]", rc, status,
				 p.reason ? p.reason : "", v[i].status,
				 v[i].text);
		if (rc == HTTPPARSE_ERROR)
			assert_true(strlen(p.reason) > 3);
		else
			assert_int_equal(p.head.len, v[i].len);
	}
}
#define CHECK(kind, table)                                                     \
	check_verdicts(kind, table, sizeof(table) / sizeof((table)[0]))

static void httpparse_request_line_is_checked(void **state)
{
	static const struct verdict table[] = {
		V(0, "GET / HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "GET / HTTP/1.0\r\n\r\n"),
		V(0, "!#$%&'*+-.^_`|~0aZ / HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "get / HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "\nGET / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "\rGET / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, " GET / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "G@T / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "G(T / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "G\xc3T / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /  HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET  HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
		V(400, "GET / x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /\tx HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /\x1f HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "G\0T / HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /\r\n" HOST "\r\n"),
		V(400, "GET /\n"),
		V(400, "GET\r\n" HOST "\r\n"),
		V(400, "GET / HTTP/1.1\n" HOST "\r\n"),
		V(400, "GET / HTTP/1.1\r" HOST "\r\n"),
		V(400, "GET / HTTP/1.1\r\r\n" HOST "\r\n"),
		V(400, "GET / http/1.1\r\n" HOST "\r\n"),
		V(400, "GET / HTTP/11\r\n" HOST "\r\n"),
		V(400, "GET / HTTP/1.10\r\n" HOST "\r\n"),
		V(400, "GET / HTTP/11.1\r\n" HOST "\r\n"),
		V(400, "GET / HTTP/1.\r\n" HOST "\r\n"),
		V(400, "GET / HTTPS/1.1\r\n" HOST "\r\n"),
		V(400, "GET / XTTP/1.1\r\n" HOST "\r\n"),
		V(505, "GET / HTTP/0.9\r\n" HOST "\r\n"),
		V(505, "GET / HTTP/1.2\r\n" HOST "\r\n"),
		V(505, "GET / HTTP/2.0\r\n" HOST "\r\n"),
		V(505, "GET / HTTP/3.0\r\n" HOST "\r\n"),
		V(505, "PRI * HTTP/2.0\r\n\r\n"),
		/* a TLS client on the wrong port */
		V(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
	};

	(void)state;
	CHECK(REQUEST, table);
}

static void httpparse_target_forms_are_checked(void **state)
{
	static const struct verdict table[] = {
		V(0, "GET /%20%c3%A4?%zz HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "GET /\"<>[\\]^`{|}# HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "GET //x//y HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "OPTIONS / HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "CONNECT h:443 HTTP/1.1\r\n\r\n"),
		V(0, "CONNECT [::1]:443 HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "CONNECT /rpc HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "GET http://h HTTP/1.1\r\n" HOST "\r\n"),
		V(0, "GET HTTPS://h:1/x?y HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "OPTIONS *x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET h:443 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET h HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET ?x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET ../x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET \\x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT h HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT h: HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT h:65536 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT :443 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT u@h:443 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT http://h/ HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "CONNECT []%20%48%54%54%50%2f%31%2e%31%0a%4d%79 "
		       "HTTP/1.0\r\n\r\n"),
		V(400, "GET http:// HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET http:///x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET http:/x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET ftp://h/x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET http://u:p@h/ HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET http://h:x/ HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET http://h#/ HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET http://h/%4 HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /% HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /%4?x HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /%4g HTTP/1.1\r\n" HOST "\r\n"),
		V(400, "GET /%00 HTTP/1.1\r\n" HOST "\r\n"),
	};

	(void)state;
	CHECK(REQUEST, table);
}

static void httpparse_fields_are_checked(void **state)
{
	static const struct verdict table[] = {
		V(0, GET "Foo: bar\r\n\r\n"),
		V(0, GET "X-Foo:bar\r\n\r\n"),
		V(0, GET "Foo:\r\n\r\n"),
		V(0, GET "Foo: \t a b\tc \t\r\n\r\n"),
		V(0, GET "foo: foo\xff\xc3\xa4\x80 foo\r\n\r\n"),
		V(0, GET "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"),
		V(0, GET "a:b:c\r\n\r\n"),
		V(400, GET "A space: foo\r\n\r\n"),
		V(400, GET "Foo : bar\r\n\r\n"),
		V(400, GET "Foo\t: bar\r\n\r\n"),
		V(400, GET ": bar\r\n\r\n"),
		V(400, GET "foo\xff"
			   "bar: foo\r\n\r\n"),
		V(400, GET "foo@bar: foo\r\n\r\n"),
		V(400, GET "foo\0bar: foo\r\n\r\n"),
		V(400, GET "foo: foo\0foo\r\n\r\n"),
		V(400, GET "foo: foo\x7f"
			   "foo\r\n\r\n"),
		V(400, GET "foo: foo\x01"
			   "foo\r\n\r\n"),
		V(400, GET "foo: foo\x0b"
			   "foo\r\n\r\n"),
		V(400, GET "foo: foo\x1f"
			   "foo\r\n\r\n"),
		V(400, GET "foo: bar\r\n folded\r\n\r\n"),
		V(400, GET "foo: bar\r\n\tfolded\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\n\tHost: h\r\n\r\n"),
		V(400, GET "foo\r\n\r\n"),
		V(400, GET "foo: bar\n\r\n"),
		V(400, GET "foo: bar\r\r\n\r\n"),
		V(400, GET "foo: bar\rX: y\r\n\r\n"),
		V(400, GET "foo: bar\r\n\n"),
		V(400, GET "foo: bar\r\n\rx"),
		V(400, GET "\rX: y\r\n\r\n"),
	};

	(void)state;
	CHECK(REQUEST, table);
}

/* What Go's TestServerValidatesHostHeader asks for, and more. */
static void httpparse_host_is_checked(void **state)
{
	static const struct verdict table[] = {
		V(400, "GET / HTTP/1.1\r\n\r\n"),
		V(0, "GET / HTTP/1.1\r\nHost: \r\n\r\n"),
		V(0, "GET / HTTP/1.1\r\nhOST:1.2.3.4\r\n\r\n"),
		V(0, "GET / HTTP/1.1\r\nHost: foo-bar_baz.com:80\r\n\r\n"),
		V(0, "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n"),
		V(0, "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
		V(0, "GET / HTTP/1.1\r\nHost: [::1%25en0]:80\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: \x06\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: \xff\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: {\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: h/x\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: h\\x\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
		V(400, "GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n"),
		V(400, "GET http://h/ HTTP/1.1\r\n\r\n"),
		V(0, "GET / HTTP/1.0\r\n\r\n"),
		V(400, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
		V(400, "GET / HTTP/1.0\r\nHost: \xff\r\n\r\n"),
	};

	(void)state;
	CHECK(REQUEST, table);
}

static void httpparse_framing_with_two_readings_is_refused(void **state)
{
	static const struct verdict table[] = {
		V(0, POST CL "0\r\n\r\n"),
		V(0, POST CL "3\r\n\r\n"),
		V(0, POST CL "003\r\n\r\n"),
		V(0, POST CL "\t3 \r\n\r\n"),
		V(0, POST CL "9223372036854775807\r\n\r\n"),
		V(0, POST CL "3\r\n" CL "3\r\n\r\n"),
		V(0, POST CL "3\r\n" CL "03\r\n\r\n"),
		V(400, POST CL "9223372036854775808\r\n\r\n"),
		V(400, POST CL "18446744073709551617\r\n\r\n"),
		V(400, POST CL "99999999999999999999999999\r\n\r\n"),
		V(400, POST CL "\r\n\r\n"),
		V(400, POST CL "+3\r\n\r\n"),
		V(400, POST CL "-3\r\n\r\n"),
		V(400, POST CL "0x3\r\n\r\n"),
		V(400, POST CL "3 3\r\n\r\n"),
		V(400, POST CL "3.0\r\n\r\n"),
		V(400, POST CL "1,1\r\n\r\n"),
		V(400, POST CL "1, 1\r\n\r\n"),
		V(400, POST CL "3;x\r\n\r\n"),
		V(400, POST CL "3\xff\r\n\r\n"),
		V(400, POST CL "3\r\n" CL "4\r\n\r\n"),
		V(400, "HEAD / HTTP/1.1\r\n" HOST CL "4\r\n" CL "5\r\n\r\n"),
		V(0, POST TE "chunked\r\n\r\n"),
		V(0, POST TE " \tCHUNKED\t\r\n\r\n"),
		V(400, POST TE "chunked\r\n" CL "3\r\n\r\n"),
		V(400, POST CL "3\r\n" TE "chunked\r\n\r\n"),
		V(400, POST CL "0\r\n" TE "gzip\r\n\r\n"),
		V(400, "POST / HTTP/1.0\r\n" TE "chunked\r\n\r\n"),
		V(400, "POST / HTTP/1.0\r\n" TE "gzip\r\n\r\n"),
		V(501, POST TE "\r\n\r\n"),
		V(501, POST TE "fugazi\r\n\r\n"),
		V(501, POST TE "identity\r\n\r\n"),
		V(501, POST TE "xchunked\r\n\r\n"),
		V(501, POST TE "chunkedx\r\n\r\n"),
		V(501, POST TE "\"chunked\"\r\n\r\n"),
		V(501, POST TE "chunked;q=1\r\n\r\n"),
		V(501, POST TE "gzip, chunked\r\n\r\n"),
		V(501, POST TE "chunked, identity\r\n\r\n"),
		V(501, POST TE "chunked, chunked\r\n\r\n"),
		V(501, POST TE "chunked,\r\n\r\n"),
		V(501, POST TE "chunked\r\n" TE "chunked\r\n\r\n"),
		V(501, POST TE "chunked\r\n" TE "identity\r\n\r\n"),
		V(501, POST TE "identity\r\n" TE "chunked\r\n\r\n"),
		V(400, POST TE "\x0b"
			       "chunked\r\n\r\n"),
		V(400, POST "Transfer-Encoding : chunked\r\n\r\n"),
		V(0, POST "Transfer_Encoding: x\r\n\r\n"),
		V(400, POST "Content-Length\t: 3\r\n\r\n"),
		V(417, POST "Expect: 200-ok\r\n\r\n"),
		V(417, POST "Expect: 100-continue, x\r\n\r\n"),
		V(417, POST "Expect: 100-continue\r\nExpect: x\r\n\r\n"),
		V(417, "GET / HTTP/1.0\r\nExpect: x\r\n\r\n"),
		V(0, POST "Expect: 100-Continue\r\n\r\n"),
		V(0, POST "Expect:\r\n\r\n"),
	};

	(void)state;
	CHECK(REQUEST, table);
}

static void httpparse_response_is_checked(void **state)
{
	static const struct verdict table[] = {
		V(0, "HTTP/1.1 200 OK\r\n\r\n"),
		V(0, "HTTP/1.0 200 OK\r\n\r\n"),
		V(0, "HTTP/1.1 200 \r\n\r\n"),
		V(0, "HTTP/1.1 200\r\n\r\n"),
		V(0, "HTTP/1.1 100 Continue\r\n\r\n"),
		V(0, "HTTP/1.1 599 X\r\n\r\n"),
		V(0, "HTTP/1.1 404 Not F\xc3\xb6und \t\r\n\r\n"),
		V(0, "HTTP/1.1 200 OK\r\nHost: {\r\nHost: b\r\n\r\n"),
		V(400, "\r\nHTTP/1.1 200 OK\r\n\r\n"),
		V(400, "HTTP/1.1 099 X\r\n\r\n"),
		V(400, "HTTP/1.1 600 X\r\n\r\n"),
		V(400, "HTTP/1.1 20 OK\r\n\r\n"),
		V(400, "HTTP/1.1 2000 OK\r\n\r\n"),
		V(400, "HTTP/1.1  200 OK\r\n\r\n"),
		V(400, "HTTP/1.1\t200 OK\r\n\r\n"),
		V(400, "HTTP/1.1 200\tOK\r\n\r\n"),
		V(400, "HTTP/1.2 200 OK\r\n\r\n"),
		V(400, "HTTP/2.0 200 OK\r\n\r\n"),
		V(400, "http/1.1 200 OK\r\n\r\n"),
		V(400, "ICY 200 OK\r\n\r\n"),
		V(400, "HTTP/1.1 200 O\x01K\r\n\r\n"),
		V(400, "HTTP/1.1 200 O\0K\r\n\r\n"),
		V(400, "HTTP/1.1 200 OK\n\r\n"),
		V(400, "HTTP/1.1 200 OK\rX: y\r\n\r\n"),
		V(400, "HTTP/1.1 200\n\r\n"),
		V(400, "HTTP/1.1 200 OK\r\nX : y\r\n\r\n"),
		V(400, "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n"),
		V(400, "HTTP/1.1 200 OK\r\n" CL "3\r\n" CL "4\r\n\r\n"),
		V(400, "HTTP/1.1 200 OK\r\n" CL "3\r\n" TE "chunked\r\n\r\n"),
		V(400, "HTTP/1.0 200 OK\r\n" TE "chunked\r\n\r\n"),
		V(400, "HTTP/1.1 200 OK\r\n" TE "gzip\r\n\r\n"),
	};

	(void)state;
	CHECK(RESPONSE, table);
}

static void httpparse_trailer_is_checked(void **state)
{
	static const struct verdict table[] = {
		V(0, "\r\n"),
		V(0, "Checksum: 1\r\nx: y\r\n\r\n"),
		V(400, "\n"),
		V(400, "\rx"),
		V(400, " x: y\r\n\r\n"),
		V(400, "x\r\n\r\n"),
		V(400, "x : y\r\n\r\n"),
		V(400, "x: y\n\n"),
		V(400, "Content-length: 1\r\n\r\n"),
		V(400, "tRANSFER-eNCODING: chunked\r\n\r\n"),
		V(400, "Host: x\r\n\r\n"),
		V(400, "Trailer: x\r\n\r\n"),
		V(400, "Authorization: x\r\n\r\n"),
		V(400, "Content-Encoding: x\r\n\r\n"),
		V(431, "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\ni"),
	};

	(void)state;
	CHECK(TRAILER, table);
}

/* ---- limits ---- */

static void httpparse_at_its_limits_accepts_and_beyond_refuses(void **state)
{
	static const char line[] = "GET /2345678 HTTP/1.1\r\n";
	static const char head[] = "GET /2345678 HTTP/1.1\r\n" HOST "\r\n";
	struct httplimits l;
	struct httpparse p;

	(void)state;
	limits = &l;
	for (uint32_t n = 1; n < 60; n++) {
		l = (struct httplimits){.max_head = 1000, .max_line = n};
		if (n >= strlen(line)) {
			assert_int_equal(parse_text(&p, REQUEST, head), 1);
		} else {
			assert_int_equal(parse_text(&p, REQUEST, head), -1);
			assert_int_equal(p.status, 414);
		}
		l = (struct httplimits){.max_head = n, .max_line = 1000};
		if (n >= strlen(head)) {
			assert_int_equal(parse_text(&p, REQUEST, head), 1);
			continue;
		}
		assert_int_equal(parse_text(&p, REQUEST, head), -1);
		assert_int_equal(p.status, n < strlen(line) ? 414 : 431);
	}
	/* empty lines before the request count for the head only */
	l = (struct httplimits){.max_head = 1000, .max_line = sizeof(line) - 1};
	assert_int_equal(parse_text(&p, REQUEST,
				    "\r\n\r\nGET /2345678 HTTP/1.1\r\n" HOST
				    "\r\n"),
			 HTTPPARSE_OK);
	l.max_head = 3;
	assert_int_equal(parse_text(&p, REQUEST, "\r\n\r\n"), HTTPPARSE_ERROR);
	assert_int_equal(p.status, 431);
	l = (struct httplimits){.max_head = 1000, .max_line = 16};
	assert_int_equal(parse_text(&p, RESPONSE, "HTTP/1.1 200 OK.\r\n\r\n"),
			 HTTPPARSE_ERROR);
	assert_int_equal(p.status, 431);
	limits = NULL;
}

static void httpparse_too_many_fields_is_431(void **state)
{
	char s[512] = GET;
	struct httpparse p;

	(void)state;
	for (int i = 1; i < NFIELDS; i++)
		strcat(s, "a: b\r\n");
	strcat(s, "\r\n");
	assert_int_equal(parse_text(&p, REQUEST, s), HTTPPARSE_OK);
	assert_int_equal(p.head.nfields, NFIELDS);
	strcpy(s + strlen(s) - 2, "a: b\r\n\r\n");
	assert_int_equal(parse_text(&p, REQUEST, s), HTTPPARSE_ERROR);
	assert_int_equal(p.status, 431);
}

static void httpparse_long_method_is_501(void **state)
{
	char s[256];
	struct httpparse p;

	(void)state;
	for (int n = HTTPPARSE_MAX_METHOD; n <= HTTPPARSE_MAX_METHOD + 1; n++) {
		memset(s, 'M', (size_t)n);
		strcpy(s + n, " / HTTP/1.1\r\n" HOST "\r\n");
		if (n <= HTTPPARSE_MAX_METHOD) {
			assert_int_equal(parse_text(&p, REQUEST, s), 1);
			continue;
		}
		assert_int_equal(parse_text(&p, REQUEST, s), -1);
		assert_int_equal(p.status, 501);
	}
}

/* I2 and I5: a MiB byte by byte is refused at the limit, in a moment. If
 * each call ed at everything again this would be 5e11 bytes: hours. */
static void httpparse_junk_by_bytes_is_refused_in_time(void **state)
{
	static const char *const starts[] = {
		"GET /",
		"GET / HTTP/1.1\r\nHost: h\r\nX",
		"GET / HTTP/1.1\r\nX:",
	};
	const size_t size = HTTPPARSE_MAX_HEAD + 1;
	char *s = malloc(size);
	clock_t start = clock();

	(void)state;
	assert_non_null(s);
	for (size_t i = 0; i < 3; i++) {
		static const int want[] = {414, 431, 431};
		struct httpparse p;
		int rc = HTTPPARSE_MORE;
		size_t n = 0;

		memset(s, 'x', size);
		memcpy(s, starts[i], strlen(starts[i]));
		init(&p, REQUEST, fields[0]);
		while (rc == HTTPPARSE_MORE && n < size)
			rc = httpparse_run(&p, s, n++);
		assert_int_equal(rc, HTTPPARSE_ERROR);
		assert_int_equal(p.status, want[i]);
		assert_int_equal(n - 1,
				 i ? HTTPPARSE_MAX_HEAD : HTTPPARSE_MAX_LINE);
	}
	free(s);
	/* 0.02 s; some 30 s if each call looked at everything again */
	assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

static void httpparse_idle_means_nothing_has_come(void **state)
{
	struct httpparse p;

	(void)state;
	init(&p, REQUEST, fields[0]);
	assert_true(httpparse_is_idle(&p));
	assert_int_equal(httpparse_run(&p, "", 0), HTTPPARSE_MORE);
	assert_true(httpparse_is_idle(&p));
	assert_int_equal(httpparse_run(&p, "\r\n", 2), HTTPPARSE_MORE);
	assert_true(httpparse_is_idle(&p));
	assert_int_equal(httpparse_run(&p, "\r\nG", 3), HTTPPARSE_MORE);
	assert_false(httpparse_is_idle(&p));
	init(&p, RESPONSE, fields[0]);
	assert_int_equal(httpparse_run(&p, "", 0), HTTPPARSE_MORE);
	assert_true(httpparse_is_idle(&p));
	assert_int_equal(httpparse_run(&p, "H", 1), HTTPPARSE_MORE);
	assert_false(httpparse_is_idle(&p));
}

/* Values and targets of every length around the scans' block sizes, with each
 * byte value at each place: the table alone decides (httpchar.h, I3). */
static void httpparse_every_byte_at_every_place_is_judged_alike(void **state)
{
	(void)state;
	for (size_t n = 1; n < 40; n++) {
		for (unsigned c = 0; c < 256; c++) {
			size_t at = (c * 7 + n) % n, len;
			bool is_value = c == '\t' || (c >= ' ' && c != 0x7f);
			bool is_target = c > ' ' && c < 0x7f && c != '%';
			char s[128];
			struct httpparse p;

			len = (size_t)sprintf(s, GET "Value: %*s", (int)n, "");
			memset(s + len - n, 'v', n);
			s[len - n + at] = (char)c;
			len += (size_t)sprintf(s + len, "\r\n\r\n");
			init(&p, REQUEST, fields[0]);
			assert_int_equal(run_copy(&p, s, len),
					 is_value ? 1 : -1);
			len = (size_t)sprintf(s, "GET /%*s", (int)n, "");
			memset(s + len - n, 't', n);
			s[len - n + at] = (char)c;
			len += (size_t)sprintf(s + len,
					       " HTTP/1.1\r\n" HOST "\r\n");
			init(&p, REQUEST, fields[0]);
			assert_int_equal(run_copy(&p, s, len),
					 is_target ? 1 : -1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httpparse_request_line_is_checked),
		cmocka_unit_test(httpparse_target_forms_are_checked),
		cmocka_unit_test(httpparse_fields_are_checked),
		cmocka_unit_test(httpparse_host_is_checked),
		cmocka_unit_test(
			httpparse_framing_with_two_readings_is_refused),
		cmocka_unit_test(httpparse_response_is_checked),
		cmocka_unit_test(httpparse_trailer_is_checked),
		cmocka_unit_test(
			httpparse_at_its_limits_accepts_and_beyond_refuses),
		cmocka_unit_test(httpparse_too_many_fields_is_431),
		cmocka_unit_test(httpparse_long_method_is_501),
		cmocka_unit_test(httpparse_junk_by_bytes_is_refused_in_time),
		cmocka_unit_test(httpparse_idle_means_nothing_has_come),
		cmocka_unit_test(
			httpparse_every_byte_at_every_place_is_judged_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
