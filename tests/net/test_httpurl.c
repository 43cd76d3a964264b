// SPDX-License-Identifier: MIT
/*
 * test_httpurl - authorities, escapes, queries, clean paths and URLs, by
 * tables; each input is a copy of exactly its length, each output is tried with
 * every smaller buffer (I3).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/http/httpurl.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

static char *copy_of(const char *s, size_t n)
{
	char *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	return memcpy(copy, s, n);
}

static void check_text(const char *got, size_t len, const char *want)
{
	if (len != strlen(want) || memcmp(got, want, len) != 0)
		fail_msg("[%.*s], want [%s]", (int)len, got, want);
}

static void httpurl_hostport_is_strict(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: -EINVAL */
		int port;
		bool is_v6;
	} table[] = {
		{"h", "h", -1, false},
		{"example.com:80", "example.com", 80, false},
		{"a-b_c~d.e!$&'()*+,;=:", "a-b_c~d.e!$&'()*+,;=", -1, false},
		{"1.2.3.4:0", "1.2.3.4", 0, false},
		{"h:00080", "h", 80, false},
		{"h:65535", "h", 65535, false},
		{"[::1]", "::1", -1, true},
		{"[::1]:443", "::1", 443, true},
		{"[fe80::1%25lo]:1", "fe80::1%25lo", 1, true},
		{"[::ffff:1.2.3.4]:", "::ffff:1.2.3.4", -1, true},
		{"", NULL, 0, false},
		{":", NULL, 0, false},
		{":80", NULL, 0, false},
		{"h:65536", NULL, 0, false},
		{"h:000080", NULL, 0, false},
		{"h:-1", NULL, 0, false},
		{"h:+1", NULL, 0, false},
		{"h:8a", NULL, 0, false},
		{"h:80:80", NULL, 0, false},
		{"::1", NULL, 0, false},
		{"a:b@h", NULL, 0, false},
		{"u@h", NULL, 0, false},
		{"h%41", NULL, 0, false},
		{"a b", NULL, 0, false},
		{"a/b", NULL, 0, false},
		{"a\\b", NULL, 0, false},
		{"\xc3\xa4", NULL, 0, false},
		{"[", NULL, 0, false},
		{"[]", NULL, 0, false},
		{"[]:80", NULL, 0, false},
		{"[:]", NULL, 0, false},
		{"[::1", NULL, 0, false},
		{"[::1]x", NULL, 0, false},
		{"[::1]80", NULL, 0, false},
		{"[::g]", NULL, 0, false},
		{"[::1%25]", NULL, 0, false},
		{"[::1%lo]", NULL, 0, false},
		{"[::1]]", NULL, 0, false},
		{"x[::1]", NULL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		size_t n = strlen(table[i].text);
		char *s = copy_of(table[i].text, n);
		struct httpurl_hostport hp;
		int rc = httpurl_hostport(s, n, &hp);

		if (rc != (table[i].host ? 0 : -EINVAL))
			fail_msg("%d for [%s]", rc, table[i].text);
		if (!rc) {
			check_text(hp.host, hp.host_len, table[i].host);
			assert_int_equal(hp.port, table[i].port);
			assert_int_equal(hp.is_v6, table[i].is_v6);
		}
		free(s);
	}
}

static void httpurl_strip_port_keeps_what_it_cannot_split(void **state)
{
	static const char *const table[][2] = {
		{"", ""},           {"h", "h"},
		{"h:80", "h"},      {"h:", "h"},
		{":80", ""},        {"::1", "::1"},
		{"[::1]", "[::1]"}, {"[::1]:80", "[::1]"},
		{"a:b:c", "a:b:c"}, {"[a]b:c:d", "[a]b:c:d"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++)
		check_text(table[i][0],
			   httpurl_strip_port(table[i][0], strlen(table[i][0])),
			   table[i][1]);
}

static void httpurl_decode_undoes_escapes(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: -EINVAL */
		unsigned flags;
	} table[] = {
		{"", "", 0},
		{"abc", "abc", 0},
		{"a%20b%2Fc%2f", "a b/c/", 0},
		{"%41%7a%c3%A4", "Az\xc3\xa4", 0},
		{"a+b", "a+b", 0},
		{"a+b%2B", "a b+", HTTPURL_PLUS},
		{"%25%32%35", "%25", 0},
		{"\xc3\xa4", "\xc3\xa4", 0},
		{"%", NULL, 0},
		{"%4", NULL, 0},
		{"a%4g", NULL, 0},
		{"a%g4", NULL, 0},
		{"%%41", NULL, 0},
		{"% 41", NULL, 0},
		{"%00", NULL, 0},
		{"a%0", NULL, 0},
		{"a%00b", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		size_t n = strlen(table[i].text);
		char *s = copy_of(table[i].text, n), *out = malloc(n + 1);
		ssize_t got = httpurl_decode(out, n + 1, s, n, table[i].flags);

		assert_int_equal(httpurl_has_good_escapes(s, n),
				 table[i].want != NULL);
		if (!table[i].want) {
			assert_int_equal(got, -EINVAL);
			goto next;
		}
		assert_int_equal(got, strlen(table[i].want));
		assert_string_equal(out, table[i].want);
		for (size_t cap = 0; cap <= (size_t)got; cap++) {
			char *small = malloc(cap ? cap : 1);

			assert_int_equal(httpurl_decode(small, cap, s, n,
							table[i].flags),
					 -ENOSPC);
			free(small);
		}
		/* in place */
		memcpy(out, s, n);
		assert_int_equal(
			httpurl_decode(out, n + 1, out, n, table[i].flags),
			got);
		assert_string_equal(out, table[i].want);
	next:
		free(s);
		free(out);
	}
	assert_int_equal(httpurl_decode((char[4]){0}, 4, "a\0b", 3, 0),
			 -EINVAL);
}

static void httpurl_query_get_finds_the_first_value(void **state)
{
	static const struct {
		const char *query, *key, *want; /* NULL: -ENOENT */
	} table[] = {
		{"", "a", NULL},
		{"a=1", "a", "1"},
		{"a=1&b=2", "b", "2"},
		{"a=1&a=2", "a", "1"},
		{"a", "a", ""},
		{"a=", "a", ""},
		{"a&b=2", "b", "2"},
		{"a=b=c", "a", "b=c"},
		{"&&a=1&&", "a", "1"},
		{"=1", "", "1"},
		{"=", "", ""},
		{"&", "", NULL},
		{"a=1", "", NULL},
		{"aa=1", "a", NULL},
		{"a=1", "aa", NULL},
		{"A=1", "a", NULL},
		{"a+b=c+d%2b", "a b", "c d+"},
		{"%61=%62", "a", "b"},
		{"a%3Db=1", "a=b", "1"},
		{"a%26=1&a=2", "a", "2"},
		{"%zz=1&a=2", "a", "2"},
		{"a=%zz&a=2", "a", "2"},
		{"a=%", "a", NULL},
		{"a=%00&a=2", "a", "2"},
		{"a=1;b=2", "a", NULL},
		{"a=1;b=2&a=3", "a", "3"},
		{"a?=1&x", "a?", "1"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		size_t n = strlen(table[i].query);
		char *s = copy_of(table[i].query, n), *out = malloc(n + 1);
		ssize_t got = httpurl_query_get(s, n, table[i].key, out, n + 1);

		if (!table[i].want) {
			assert_int_equal(got, -ENOENT);
		} else {
			assert_int_equal(got, strlen(table[i].want));
			assert_string_equal(out, table[i].want);
			assert_int_equal(httpurl_query_get(s, n, table[i].key,
							   out, (size_t)got),
					 -ENOSPC);
		}
		free(s);
		free(out);
	}
}

static void httpurl_clean_is_go_s(void **state)
{
	static const char *const table[][2] = {
		{"", "/"},
		{"/", "/"},
		{"a", "/a"},
		{"a/", "/a/"},
		{"/a", "/a"},
		{"/a/", "/a/"},
		{"//", "/"},
		{"///a", "/a"},
		{"/a//b", "/a/b"},
		{"/a//", "/a/"},
		{"/.", "/"},
		{"/./", "/"},
		{"/..", "/"},
		{"/../", "/"},
		{"/../a", "/a"},
		{"/../../a/", "/a/"},
		{"/a/.", "/a"},
		{"/a/./", "/a/"},
		{"/a/..", "/"},
		{"/a/../", "/"},
		{"/a/b/..", "/a"},
		{"/a/b/../", "/a/"},
		{"/a/b/../../c", "/c"},
		{"/a/b/../../../c", "/c"},
		{"/a/./b/../c//d/", "/a/c/d/"},
		{"/...", "/..."},
		{"/.a/..b/c.", "/.a/..b/c."},
		{"/a/%2e%2e/b", "/a/%2e%2e/b"},
		{"../../etc/passwd", "/etc/passwd"},
		{"/a/..//../b", "/b"},
		{"//evil.example/..", "/"},
		{"//evil.example", "/evil.example"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		size_t n = strlen(table[i][0]);
		char *s = copy_of(table[i][0], n), *out = malloc(n + 2);
		ssize_t got = httpurl_clean(out, n + 2, s, n);

		if (got < 0 || strcmp(out, table[i][1]) != 0)
			fail_msg("%zd [%s] for [%s]", got, out, table[i][0]);
		assert_int_equal(got, strlen(out));
		assert_int_equal(httpurl_is_clean(s, n),
				 !strcmp(table[i][0], table[i][1]));
		assert_true(httpurl_is_clean(out, (size_t)got));
		for (size_t cap = 0; cap <= (size_t)got; cap++) {
			char *small = malloc(cap ? cap : 1);

			assert_int_equal(httpurl_clean(small, cap, s, n),
					 -ENOSPC);
			free(small);
		}
		free(s);
		free(out);
	}
}

/* Every path of up to 7 bytes over "/.a": clean is idempotent and agrees with
 * is_clean. */
static void httpurl_clean_of_all_short_paths_agrees(void **state)
{
	(void)state;
	for (unsigned long code = 0; code < 16384; code++) {
		char s[8], out[16], again[16];
		size_t n = 0;
		ssize_t got;

		for (unsigned long c = code; n < 7 && (c & 3); c >>= 2)
			s[n++] = "?/.a"[c & 3];
		got = httpurl_clean(out, sizeof(out), s, n);
		assert_true(got > 0 && (size_t)got <= n + 1);
		assert_int_equal(httpurl_is_clean(s, n),
				 (size_t)got == n && !memcmp(s, out, n));
		assert_int_equal(
			httpurl_clean(again, sizeof(again), out, (size_t)got),
			got);
		assert_string_equal(again, out);
	}
}

static void httpurl_split_takes_urls_apart(void **state)
{
	static const struct {
		const char *url, *host, *authority, *target;
		unsigned port;
		bool is_tls, is_v6, needs_slash;
	} table[] = {
		{"http://h", "h", "h", "", 80, 0, 0, 1},
		{"http://h/", "h", "h", "/", 80, 0, 0, 0},
		{"HTTPS://H.x:8443/a?b#c", "H.x", "H.x:8443", "/a?b", 8443, 1,
		 0, 0},
		{"https://h?q", "h", "h", "?q", 443, 1, 0, 1},
		{"http://h#f", "h", "h", "", 80, 0, 0, 1},
		{"http://h:/x", "h", "h:", "/x", 80, 0, 0, 0},
		{"http://[::1]:8080/x", "::1", "[::1]:8080", "/x", 8080, 0, 1,
		 0},
		{"http://127.0.0.1:1/a%20b?c=%zz", "127.0.0.1", "127.0.0.1:1",
		 "/a%20b?c=%zz", 1, 0, 0, 0},
		{"http://h/a:b@c//d", "h", "h", "/a:b@c//d", 80, 0, 0, 0},
		{"http://h/?http://i/", "h", "h", "/?http://i/", 80, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		size_t n = strlen(table[i].url);
		char *s = copy_of(table[i].url, n);
		struct httpurl u;

		assert_int_equal(httpurl_split(s, n, &u), 0);
		check_text(u.host, u.host_len, table[i].host);
		check_text(u.authority, u.authority_len, table[i].authority);
		check_text(u.target, u.target_len, table[i].target);
		assert_int_equal(u.port, table[i].port);
		assert_int_equal(u.is_tls, table[i].is_tls);
		assert_int_equal(u.is_v6, table[i].is_v6);
		assert_int_equal(u.needs_slash, table[i].needs_slash);
		free(s);
	}
}

static void httpurl_split_refuses_what_is_no_http_url(void **state)
{
	static const struct {
		const char *url;
		int error;
	} table[] = {
		{"", -EINVAL},
		{"h", -EINVAL},
		{"/x", -EINVAL},
		{"//h/x", -EINVAL},
		{"http:", -EINVAL},
		{"http:/h", -EINVAL},
		{"http//h", -EINVAL},
		{"://h", -EINVAL},
		{" http://h", -EINVAL},
		{"1http://h", -EINVAL},
		{"ht_tp://h", -EINVAL},
		{"http://", -EINVAL},
		{"http:///x", -EINVAL},
		{"http://?x", -EINVAL},
		{"http://:80/", -EINVAL},
		{"http://u@h/", -EINVAL},
		{"http://u:p@h/", -EINVAL},
		{"http://h:0/", -EINVAL},
		{"http://h:65536/", -EINVAL},
		{"http://h:x/", -EINVAL},
		{"http://[::1/", -EINVAL},
		{"http://h\\x/", -EINVAL},
		{"http://h /", -EINVAL},
		{"http://h/a b", -EINVAL},
		{"http://h/a\r\nX: y", -EINVAL},
		{"http://h/a\x7f", -EINVAL},
		{"http://h/\xc3\xa4", -EINVAL},
		{"http://h/?a\nb", -EINVAL},
		{"http://h/#a\nb", -EINVAL},
		{"http://h/%4", -EINVAL},
		{"http://h/%00", -EINVAL},
		{"ftp://h/", -EPROTONOSUPPORT},
		{"httpx://h/", -EPROTONOSUPPORT},
		{"file:///etc/passwd", -EPROTONOSUPPORT},
		{"http+unix://h/", -EPROTONOSUPPORT},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		size_t n = strlen(table[i].url);
		char *s = copy_of(table[i].url, n);
		struct httpurl u;
		int rc = httpurl_split(s, n, &u);

		if (rc != table[i].error)
			fail_msg("%d for [%s]", rc, table[i].url);
		free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httpurl_hostport_is_strict),
		cmocka_unit_test(httpurl_strip_port_keeps_what_it_cannot_split),
		cmocka_unit_test(httpurl_decode_undoes_escapes),
		cmocka_unit_test(httpurl_query_get_finds_the_first_value),
		cmocka_unit_test(httpurl_clean_is_go_s),
		cmocka_unit_test(httpurl_clean_of_all_short_paths_agrees),
		cmocka_unit_test(httpurl_split_takes_urls_apart),
		cmocka_unit_test(httpurl_split_refuses_what_is_no_http_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
