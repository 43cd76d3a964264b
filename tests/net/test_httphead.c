// SPDX-License-Identifier: MIT
/*
 * test_httphead - what the parser says of the heads it accepts: slices, target,
 * method, keep-alive, and how the body is framed (httpparse.h, I6), each case
 * fed in every way (I1).
 */
#include <stdio.h>

#include "tests/net/headcase.h"

static void httphead_request_is_summarised(void **state)
{
	static const char s[] = "\r\nPOST /a%20b/c?x=1&y=? HTTP/1.1\r\n"
				"HOST: \texample.com:8080 \r\n"
				"Empty:\r\n"
				"Content-Length: 42\r\n"
				"Expect: 100-continue\r\n"
				"X-A: one\r\n"
				"x-a:  two words \r\n"
				"\r\n"
				"body";
	struct httpparse p;
	const struct httpfield *f;
	const struct httphead *h = &p.head;

	(void)state;
	assert_int_equal(parse_text(&p, REQUEST, s), HTTPPARSE_OK);
	assert_int_equal(h->len, strlen(s) - 4);
	assert_int_equal(h->method, HTTP_POST);
	assert_int_equal(h->form, HTTPTARGET_ORIGIN);
	assert_int_equal(h->minor, 1);
	check_slice(s, h->method_name, "POST");
	check_slice(s, h->target, "/a%20b/c?x=1&y=?");
	check_slice(s, h->path, "/a%20b/c");
	check_slice(s, h->query, "x=1&y=?");
	assert_true(h->has_query);
	check_slice(s, h->host, "example.com:8080");
	assert_int_equal(h->body, HTTPBODY_LENGTH);
	assert_int_equal(h->content_length, 42);
	assert_true(h->keep_alive);
	assert_true(h->expect_continue);
	assert_false(h->has_upgrade);
	assert_int_equal(h->nfields, 6);
	check_slice(s, h->fields[0].name, "HOST");
	check_slice(s, h->fields[1].name, "Empty");
	check_slice(s, h->fields[1].value, "");
	f = httphead_find(h, s, "X-a", 3, NULL);
	assert_non_null(f);
	check_slice(s, f->value, "one");
	f = httphead_find(h, s, "X-a", 3, f);
	assert_non_null(f);
	check_slice(s, f->value, "two words");
	assert_null(httphead_find(h, s, "X-a", 3, f));
	assert_null(httphead_find(h, s, "X-", 2, NULL));
}

static void httphead_target_is_split(void **state)
{
	static const struct {
		const char *start, *path, *query, *host;
		enum httptarget form;
		bool has_query;
	} table[] = {
		{"GET /", "/", "", "h", HTTPTARGET_ORIGIN, false},
		{"GET /?", "/", "", "h", HTTPTARGET_ORIGIN, true},
		{"GET /a?b?c", "/a", "b?c", "h", HTTPTARGET_ORIGIN, true},
		{"GET /%41?%", "/%41", "%", "h", HTTPTARGET_ORIGIN, true},
		{"GET http://x:1", "", "", "x:1", HTTPTARGET_ABSOLUTE, false},
		{"GET http://x?q", "", "q", "x", HTTPTARGET_ABSOLUTE, true},
		{"PUT https://[::1]/a?b", "/a", "b", "[::1]",
		 HTTPTARGET_ABSOLUTE, true},
		{"OPTIONS *", "", "", "h", HTTPTARGET_ASTERISK, false},
		{"CONNECT x:443", "", "", "x:443", HTTPTARGET_AUTHORITY, false},
		{"CONNECT /x", "/x", "", "h", HTTPTARGET_ORIGIN, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char s[128];
		struct httpparse p;

		snprintf(s, sizeof(s), "%s HTTP/1.1\r\n" HOST "\r\n",
			 table[i].start);
		assert_int_equal(parse_text(&p, REQUEST, s), HTTPPARSE_OK);
		check_slice(s, p.head.path, table[i].path);
		check_slice(s, p.head.query, table[i].query);
		check_slice(s, p.head.host, table[i].host);
		check_slice(s, p.head.target, strchr(table[i].start, ' ') + 1);
		assert_int_equal(p.head.form, table[i].form);
		assert_int_equal(p.head.has_query, table[i].has_query);
	}
}

static void httphead_methods_are_known(void **state)
{
	(void)state;
	for (int m = HTTP_OTHER + 1; m < HTTP_NMETHODS; m++) {
		const char *name = httpmethod_name((enum httpmethod)m);
		char s[64];
		struct httpparse p;

		snprintf(s, sizeof(s), "%s /:1 HTTP/1.1\r\n" HOST "\r\n", name);
		assert_int_equal(parse_text(&p, REQUEST, s), HTTPPARSE_OK);
		assert_int_equal(p.head.method, m);
		check_slice(s, p.head.method_name, name);
	}
	assert_null(httpmethod_name(HTTP_OTHER));
	assert_int_equal(httpmethod_parse("get", 3), HTTP_OTHER);
	assert_int_equal(httpmethod_parse("GETS", 4), HTTP_OTHER);
	assert_int_equal(httpmethod_parse("", 0), HTTP_OTHER);
}

static void httphead_connection_decides_keep_alive(void **state)
{
	static const struct {
		int minor;
		const char *fields;
		bool keep_alive, has_upgrade;
	} table[] = {
		{1, "", true, false},
		{0, "", false, false},
		{1, "Connection: close\r\n", false, false},
		{1, "Connection: CLOSE\r\n", false, false},
		{0, "Connection: Keep-Alive\r\n", true, false},
		{0, "Connection: keep-alive, close\r\n", false, false},
		{0, "Connection: a,, \tkeep-alive\t ,b\r\n", true, false},
		{1, "Connection: Upgrade\r\n", true, true},
		{1, "Connection: keep-alive,Upgrade\r\n", true, true},
		{1, "Connection: x\r\nConnection: close\r\n", false, false},
		{1, "Connection: closed\r\n", true, false},
		{1, "Connection: \"close\"\r\n", true, false},
		{1, "Connection:\r\n", true, false},
		{1, "Connection: ,\r\n", true, false},
		{1, "Connectiom: close\r\n", true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char s[128];
		struct httpparse p;

		snprintf(s, sizeof(s), "GET / HTTP/1.%d\r\n" HOST "%s\r\n",
			 table[i].minor, table[i].fields);
		assert_int_equal(parse_text(&p, REQUEST, s), HTTPPARSE_OK);
		assert_int_equal(p.head.keep_alive, table[i].keep_alive);
		assert_int_equal(p.head.has_upgrade, table[i].has_upgrade);
	}
}

static void httphead_request_body_is_framed(void **state)
{
	static const struct {
		const char *text;
		enum httpbody body;
		int64_t length;
		bool expect;
	} table[] = {
		{GET "\r\n", HTTPBODY_NONE, -1, false},
		{POST CL "0\r\n\r\n", HTTPBODY_NONE, 0, false},
		{POST CL "007\r\n\r\n", HTTPBODY_LENGTH, 7, false},
		{POST TE "chunked\r\n\r\n", HTTPBODY_CHUNKED, -1, false},
		{POST CL "9223372036854775807\r\n\r\n", HTTPBODY_LENGTH,
		 INT64_MAX, false},
		{POST "Expect: 100-continue\r\n" CL "1\r\n\r\n",
		 HTTPBODY_LENGTH, 1, true},
		{POST "Expect: 100-continue\r\n" TE "chunked\r\n\r\n",
		 HTTPBODY_CHUNKED, -1, true},
		{POST "Expect: 100-continue\r\n" CL "0\r\n\r\n", HTTPBODY_NONE,
		 0, false},
		{POST "Expect: 100-continue\r\n\r\n", HTTPBODY_NONE, -1, false},
		{"POST / HTTP/1.0\r\nExpect: 100-continue\r\n" CL "1\r\n\r\n",
		 HTTPBODY_LENGTH, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct httpparse p;

		assert_int_equal(parse_text(&p, REQUEST, table[i].text),
				 HTTPPARSE_OK);
		assert_int_equal(p.head.body, table[i].body);
		assert_int_equal(p.head.content_length, table[i].length);
		assert_int_equal(p.head.expect_continue, table[i].expect);
	}
}

static void httphead_response_body_is_framed(void **state)
{
	static const struct {
		enum httpmethod method;
		const char *text;
		enum httpbody body;
		int64_t length;
		bool keep_alive;
	} table[] = {
		{HTTP_GET, "HTTP/1.1 200 OK\r\n\r\n", HTTPBODY_CLOSE, -1,
		 false},
		{HTTP_GET, "HTTP/1.1 200 OK\r\n" CL "0\r\n\r\n", HTTPBODY_NONE,
		 0, true},
		{HTTP_GET, "HTTP/1.1 200 OK\r\n" CL "5\r\n\r\n",
		 HTTPBODY_LENGTH, 5, true},
		{HTTP_GET, "HTTP/1.0 200 OK\r\n" CL "5\r\n\r\n",
		 HTTPBODY_LENGTH, 5, false},
		{HTTP_GET, "HTTP/1.1 200\r\n" TE "chunked\r\n\r\n",
		 HTTPBODY_CHUNKED, -1, true},
		{HTTP_GET,
		 "HTTP/1.1 200\r\nConnection: close\r\n" CL "1\r\n\r\n",
		 HTTPBODY_LENGTH, 1, false},
		{HTTP_HEAD, "HTTP/1.1 200 OK\r\n" CL "5\r\n\r\n", HTTPBODY_NONE,
		 5, true},
		{HTTP_HEAD, "HTTP/1.1 200 OK\r\n" TE "chunked\r\n\r\n",
		 HTTPBODY_NONE, -1, true},
		{HTTP_HEAD, "HTTP/1.1 200 OK\r\n\r\n", HTTPBODY_NONE, -1, true},
		{HTTP_GET, "HTTP/1.1 100 Continue\r\n\r\n", HTTPBODY_NONE, -1,
		 true},
		{HTTP_GET, "HTTP/1.1 204 No\r\n" CL "5\r\n\r\n", HTTPBODY_NONE,
		 5, true},
		{HTTP_GET, "HTTP/1.1 304 No\r\n" CL "5\r\n\r\n", HTTPBODY_NONE,
		 5, true},
		{HTTP_CONNECT, "HTTP/1.1 200 OK\r\n\r\n", HTTPBODY_NONE, -1,
		 true},
		{HTTP_CONNECT, "HTTP/1.1 400 No\r\n\r\n", HTTPBODY_CLOSE, -1,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct httpparse p;

		to_method = table[i].method;
		assert_int_equal(parse_text(&p, RESPONSE, table[i].text),
				 HTTPPARSE_OK);
		assert_int_equal(p.head.body, table[i].body);
		assert_int_equal(p.head.content_length, table[i].length);
		assert_int_equal(p.head.keep_alive, table[i].keep_alive);
	}
	to_method = HTTP_GET;
}

static void httphead_response_is_summarised(void **state)
{
	static const char s[] = "HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n";
	struct httpparse p;

	(void)state;
	assert_int_equal(parse_text(&p, RESPONSE, s), HTTPPARSE_OK);
	assert_int_equal(p.head.status, 404);
	assert_int_equal(p.head.minor, 0);
	check_slice(s, p.head.reason, "Not Found");
	assert_int_equal(p.head.nfields, 1);
	check_slice(s, p.head.fields[0].name, "A");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httphead_request_is_summarised),
		cmocka_unit_test(httphead_target_is_split),
		cmocka_unit_test(httphead_methods_are_known),
		cmocka_unit_test(httphead_connection_decides_keep_alive),
		cmocka_unit_test(httphead_request_body_is_framed),
		cmocka_unit_test(httphead_response_body_is_framed),
		cmocka_unit_test(httphead_response_is_summarised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
