// SPDX-License-Identifier: MIT
/*
 * The small pure parts below server and client: dates, status lines, media types,
 * checks of names and values, the hint about quick handlers, redirects' targets.
 */
#include <stdio.h>
#include <time.h>

#include "net/http/httpcall.h"
#include "net/http/httpdate.h"
#include "net/http/httpfields.h"
#include "net/http/httpquick.h"
#include "net/http/httpsniff.h"
#include "net/http/httpstatus.h"
#include "tests/support/rgtest.h"

static void check_date(int64_t seconds)
{
	char ours[HTTPDATE_LEN + 1] = {0}, theirs[64];
	time_t t = (time_t)seconds;
	struct tm tm;

	httpdate_format(ours, seconds);
	gmtime_r(&t, &tm);
	strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	T_CHECK_STR_EQ(ours, theirs);
}

static void httpdate_is_what_libc_says(void **state)
{
	(void)state;
	check_date(784111777); /* RFC 9110's own example */
	for (int64_t t = -86400LL * 366 * 100; t < 86400LL * 366 * 1000;
	     t += 86400LL * 7 + 12345)
		check_date(t);
	for (int64_t day = 0; day < 1500; day++) { /* around a leap year */
		check_date(1704067200 + day * 86400 - 1);
		check_date(1704067200 + day * 86400);
	}
}

static void httpdate_now_changes_with_the_second(void **state)
{
	struct httpdate d = {0};
	char first[HTTPDATE_LEN];

	(void)state;
	memcpy(first, httpdate_now(&d), HTTPDATE_LEN);
	T_CHECK_INT_LE(d.second - time(NULL), 1);
	T_CHECK_INT_GE(d.second - time(NULL), -1);
	d.second -= 5; /* as if it were old */
	T_CHECK_MEM_EQ(httpdate_now(&d) + 25, " GMT", 4);
	T_CHECK_INT_GT(d.second, 1600000000);
}

static void httpstatus_lines(void **state)
{
	static const struct {
		int code;
		const char *line;
	} cases[] = {
		{200, "HTTP/1.1 200 OK\r\n"},
		{404, "HTTP/1.1 404 Not Found\r\n"},
		{511, "HTTP/1.1 511 Network Authentication Required\r\n"},
		{203, "HTTP/1.1 203 Non-Authoritative Information\r\n"},
		{299, "HTTP/1.1 299 \r\n"},
		{999, "HTTP/1.1 999 \r\n"},
	};
	char line[HTTPSTATUS_LINE_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		line[httpstatus_line(line, cases[i].code)] = '\0';
		T_CHECK_STR_EQ(line, cases[i].line);
	}
	for (int code = 100; code < 1000; code++)
		T_CHECK(httpstatus_line(line, code) <= HTTPSTATUS_LINE_MAX);
	T_CHECK(!httpstatus_has_body(100) && !httpstatus_has_body(204));
	T_CHECK(!httpstatus_has_body(304) && httpstatus_has_body(200));
}

static void httpsniff_names_the_type(void **state)
{
	static const struct {
		const char *type, *bytes;
		size_t len;
	} cases[] = {
#define CASE(type, bytes) {type, bytes, sizeof(bytes) - 1}
		CASE("text/plain; charset=utf-8", ""),
		CASE("text/plain; charset=utf-8", "hello, world\n"),
		CASE("text/plain; charset=utf-8", "gr\xc3\xbc\xc3\x9f"),
		CASE("application/octet-stream", "hello\x01world"),
		CASE("application/octet-stream", "x\0"),
		CASE("text/html; charset=utf-8", " \n<!DOCTYPE html>..."),
		CASE("text/html; charset=utf-8", "<HtMl ><bOdY>"),
		CASE("text/html; charset=utf-8", "<!-- comment"),
		CASE("text/plain; charset=utf-8", "<htmlx>"),
		CASE("text/plain; charset=utf-8", "<html"),
		CASE("text/xml; charset=utf-8", "\n<?xml version"),
		CASE("application/pdf", "%PDF-1.7"),
		CASE("image/png", "\x89PNG\r\n\x1a\n\0\0"),
		CASE("image/jpeg", "\xff\xd8\xff\xe0"),
		CASE("image/gif", "GIF89a.."),
		CASE("image/webp", "RIFF....WEBPVP8 "),
		CASE("application/x-gzip", "\x1f\x8b\x08\0"),
		CASE("application/wasm", "\0asm\1"),
		CASE("video/mp4", "\0\0\0\x18"
				  "ftypmp42"),
		CASE("text/plain; charset=utf-8", "\xef\xbb\xbfhi"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		T_CHECK_STR_EQ(httpsniff(cases[i].bytes, cases[i].len),
			       cases[i].type);
}

static void httpfields_refuse_what_could_end_a_line(void **state)
{
	(void)state;
	T_CHECK(httpfields_is_name("X-Name!"));
	T_CHECK(!httpfields_is_name(""));
	T_CHECK(!httpfields_is_name("X Y"));
	T_CHECK(!httpfields_is_name("X:"));
	T_CHECK(!httpfields_is_name("X\n"));
	T_CHECK(httpfields_is_value("a b\tc \xc3\xbc"));
	T_CHECK(!httpfields_is_value("a\rb"));
	T_CHECK(!httpfields_is_value("a\nb"));
	T_CHECK(!httpfields_is_value("a\x7f"));
	T_CHECK(httpfields_has_token("close", "close"));
	T_CHECK(httpfields_has_token("a , Close,b", "close"));
	T_CHECK(!httpfields_has_token("closed", "close"));
	T_CHECK(!httpfields_has_token("", "close"));
	T_CHECK(!httpfields_has_token(" , ", "close"));
}

static void nobody(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)w;
	(void)r;
	(void)arg;
}

static void httpquick_trusts_after_many_and_forgets_at_once(void **state)
{
	static struct httpquick q;

	(void)state;
	T_CHECK(!httpquick_is_trusted(&q, nobody));
	for (int i = 0; i < HTTPQUICK_TRUSTED; i++) {
		T_CHECK(!httpquick_is_trusted(&q, nobody));
		httpquick_note(&q, nobody, RG_MICROSECOND);
	}
	T_CHECK(httpquick_is_trusted(&q, nobody));
	httpquick_note(&q, nobody, 2 * RG_SECOND);
	T_CHECK(!httpquick_is_trusted(&q, nobody));
}

/* ---- redirects --------------------------------------------------------------------- */

static void check_redirect(const char *from, const char *location,
			   const char *to)
{
	const rg_http_call user = {.url = from};
	struct httpcall c;
	int err;

	T_CHECK_INT_EQ(httpcall_init(&c, &user), 0);
	err = httpcall_redirect(&c, 302, location);
	if (!to) {
		T_CHECK_INT_LT(err, 0);
		T_CHECK_STR_EQ(c.url_text, from);
	} else {
		T_CHECK_INT_EQ(err, 0);
		T_CHECK_STR_EQ(c.url_text, to);
	}
	httpcall_fini(&c);
}

static void httpcall_resolves_references(void **state)
{
	static const struct {
		const char *location, *to;
	} cases[] = {
		/* RFC 3986 section 5.4, as far as http needs it */
		{"g", "http://a/b/c/g"},
		{"./g", "http://a/b/c/g"},
		{"g/", "http://a/b/c/g/"},
		{"/g", "http://a/g"},
		{"//g", "http://g"},
		{"?y", "http://a/b/c/d;p?y"},
		{"g?y", "http://a/b/c/g?y"},
		{"g?y#s", "http://a/b/c/g?y#s"},
		{"", "http://a/b/c/d;p?q"},
		{"../g", "http://a/b/g"},
		{"../../../g", "http://a/g"},
		{"http://other:81/x", "http://other:81/x"},
		{"https://other/", NULL},
		{"mailto:a@b", NULL},
		{"/with space", NULL},
		{"//user@host/", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		check_redirect("http://a/b/c/d;p?q", cases[i].location,
			       cases[i].to);
	check_redirect("http://a", "g", "http://a/g");
	check_redirect("http://a?q", "g", "http://a/g");
	check_redirect("http://[::1]:8080/x", "y", "http://[::1]:8080/y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httpdate_is_what_libc_says),
		cmocka_unit_test(httpdate_now_changes_with_the_second),
		cmocka_unit_test(httpstatus_lines),
		cmocka_unit_test(httpsniff_names_the_type),
		cmocka_unit_test(httpfields_refuse_what_could_end_a_line),
		cmocka_unit_test(
			httpquick_trusts_after_many_and_forgets_at_once),
		cmocka_unit_test(httpcall_resolves_references),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
