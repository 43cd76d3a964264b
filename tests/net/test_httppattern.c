// SPDX-License-Identifier: MIT
/*
 * test_httppattern - patterns: their syntax and limits by tables, conflicts at
 * the registration that refuses them, and how two compare (I2) by counting
 * which of many requests each matches in a slow model.
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

#include "kernel-iface/alloc.h"
#include "net/http/httpmux.h"
#include "tests/net/muxmodel.h"

static void handler(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)w;
	(void)r;
	(void)arg;
}

static void add(struct rg_http_mux *m, const char *pattern)
{
	struct httpmux_error err;

	if (httpmux_add(m, pattern, handler, NULL, &err))
		fail_msg("%s: %s (%s)", pattern, err.reason,
			 err.other ? err.other : "");
	assert_null(err.reason);
	assert_null(err.other);
}

/* ---- syntax ---- */

/* "METHOD|HOST|seg|seg..." of a parsed pattern. */
static void describe(const struct httppattern *p, char *out, size_t size)
{
	size_t n = (size_t)snprintf(out, size, "%s|%s", p->method, p->host);

	for (uint32_t i = 0; i < p->nsegs; i++) {
		static const char *const forms[] = {
			[HTTPSEG_LITERAL] = "|%s",
			[HTTPSEG_WILD] = "|{%s}",
			[HTTPSEG_REST] = "|{%s...}",
			[HTTPSEG_END] = "|{$}%s",
		};
		const char *form = forms[p->segs[i].kind];

		assert_int_equal(strlen(p->segs[i].text), p->segs[i].len);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		n += (size_t)snprintf(out + n, size - n, form, p->segs[i].text);
#pragma GCC diagnostic pop
	}
}

static void httppattern_valid_ones_are_parsed(void **state)
{
	static const char *const table[][3] = {
		/* pattern, parts, the one path that matches */
		{"/", "||{...}", NULL},
		{"/a", "||a", "/a"},
		{"/a/", "||a|{...}", NULL},
		{"/path/to/something", "||path|to|something",
		 "/path/to/something"},
		{"/{w1}/lit/{w2}", "||{w1}|lit|{w2}", NULL},
		{"/{w1}/lit/{w2}/", "||{w1}|lit|{w2}|{...}", NULL},
		{"example.com/", "|example.com|{...}", NULL},
		{"Example.COM/a", "|example.com|a", "/a"},
		{"[::1]/a", "|[::1]|a", "/a"},
		{"GET /", "GET||{...}", NULL},
		{"GET \t /x", "GET||x", "/x"},
		{"get /", "get||{...}", NULL},
		{"POST example.com/foo/{w}", "POST|example.com|foo|{w}", NULL},
		{"/{$}", "||{$}", "/"},
		{"/foo/{$}", "||foo|{$}", "/foo/"},
		{"DELETE example.com/a/{foo12}/{$}",
		 "DELETE|example.com|a|{foo12}|{$}", NULL},
		{"/{a}/foo/{rest...}", "||{a}|foo|{rest...}", NULL},
		{"/{_a}/{\xc3\xa4}", "||{_a}|{\xc3\xa4}", NULL},
		{"//", "|||{...}", NULL},
		{"/foo///./../bar", "||foo|||.|..|bar", NULL},
		{"a.com/foo//", "|a.com|foo||{...}", NULL},
		{"CONNECT //x", "CONNECT|||x", NULL},
		{"/%61%2Fb/c%20", "||a/b|c ", NULL},
		{"/100%", "||100%", NULL},
		{"/%41%zz", "||%41%zz", NULL},
		{"/a}b", "||a}b", "/a}b"},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		struct httppattern *p;
		const char *reason;
		char text[256];

		if (httppattern_parse(table[i][0], &p, &reason))
			fail_msg("%s: %s", table[i][0], reason);
		describe(p, text, sizeof(text));
		assert_string_equal(text, table[i][1]);
		assert_string_equal(p->text, table[i][0]);
		assert_string_equal(p->path, strchr(table[i][0], '/'));
		assert_int_equal(p->literal != NULL, table[i][2] != NULL);
		if (p->literal) {
			assert_int_equal(p->literal_len, strlen(table[i][2]));
			assert_memory_equal(p->literal, table[i][2],
					    p->literal_len);
		}
		rgk_free(p);
	}
}

static void httppattern_invalid_ones_are_refused(void **state)
{
	static const char *const table[][2] = {
		{"", "no '/'"},
		{" ", "method"},
		{" /", "method"},
		{"A=B /", "method"},
		{"G\xc3T /", "method"},
		{"GET", "no '/'"},
		{"GET ", "no '/'"},
		{"{a}/b", "first '/'"},
		{"GET a b/c", "host"},
		{"GET a\"b/c", "host"},
		{"example.com:80/", "port"},
		{"/{w}x", "whole segment"},
		{"/x{w}", "whole segment"},
		{"/{wx", "whole segment"},
		{"/{", "whole segment"},
		{"/{a$}", "identifier"},
		{"/{1a}", "identifier"},
		{"/{a-b}", "identifier"},
		{"/{a.}", "identifier"},
		{"/{$...}", "identifier"},
		{"/{}", "without a name"},
		{"/{...}", "without a name"},
		{"/{$}/", "end"},
		{"/{$}/x", "end"},
		{"/{a...}/", "end"},
		{"/{a...}/x", "end"},
		{"/a/{x}/b/{x...}", "same name"},
		{"/{x}/{x}", "same name"},
		{"GET //", "unclean"},
		{"GET /a/./b", "unclean"},
		{"GET /a/../b", "unclean"},
	};
	struct rg_http_mux m = {0};
	struct httpmux_error err;

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		int rc = httpmux_add(&m, table[i][0], handler, NULL, &err);

		if (rc != -EINVAL || !strstr(err.reason, table[i][1]))
			fail_msg("%d (%s) for [%s]", rc, err.reason,
				 table[i][0]);
		assert_null(err.other);
		assert_int_equal(
			httpmux_add(&m, table[i][0], handler, NULL, NULL),
			-EINVAL);
	}
	assert_int_equal(httpmux_add(&m, "/", NULL, NULL, &err), -EINVAL);
	assert_int_equal(httpmux_add(&m, NULL, handler, NULL, NULL), -EINVAL);
	httpmux_destroy(&m);
}

static void httppattern_limits_hold(void **state)
{
	struct rg_http_mux m = {0};
	char s[HTTPPATTERN_MAX_LEN + 8] = "";

	(void)state;
	for (int i = 0; i <= HTTPPATTERN_MAX_PARAMS; i++) {
		sprintf(s + strlen(s), "/{p%d}", i);
		assert_int_equal(httpmux_add(&m, s, handler, NULL, NULL),
				 i < HTTPPATTERN_MAX_PARAMS ? 0 : -EINVAL);
	}
	s[0] = '\0';
	for (int i = 0; i <= HTTPPATTERN_MAX_SEGMENTS; i++) {
		strcat(s, "/s");
		assert_int_equal(httpmux_add(&m, s, handler, NULL, NULL),
				 i < HTTPPATTERN_MAX_SEGMENTS ? 0 : -EINVAL);
	}
	memset(s, 'x', sizeof(s));
	s[0] = '/';
	s[HTTPPATTERN_MAX_LITERAL + 1] = '\0';
	add(&m, s);
	s[HTTPPATTERN_MAX_LITERAL + 1] = 'x';
	s[HTTPPATTERN_MAX_LITERAL + 2] = '\0';
	assert_int_equal(httpmux_add(&m, s, handler, NULL, NULL), -EINVAL);
	s[HTTPPATTERN_MAX_LITERAL + 2] = 'x';
	s[HTTPPATTERN_MAX_LEN + 1] = '\0';
	assert_int_equal(httpmux_add(&m, s, handler, NULL, NULL), -EINVAL);
	httpmux_destroy(&m);
}

/* ---- conflicts ---- */

static void httppattern_conflicts_are_found_at_registration(void **state)
{
	static const struct {
		const char *first, *second;
		bool is_conflict;
	} table[] = {
		{"/a", "/a", true},
		{"/a", "/{x}", false},
		{"/{x}", "/{y}", true},
		{"/a/{x}", "/{y}/b", true},
		{"/a/{x}/c", "/{y}/b/d", false},
		{"/a/{x...}", "/a/{y}/b", false},
		{"/a/", "/a/{x...}", true},
		{"/a/", "/a/{$}", false},
		{"/{x}/", "/a/{y}", false}, /* the second is within the first */
		{"/a/{x}", "/{y}/{z...}", false},
		{"/{x}/b", "/a/", true},
		{"/{$}", "/{x}", false},
		{"GET /a", "/a", false},
		{"GET /a", "GET /a", true},
		{"GET /a", "POST /a", false},
		{"GET /a", "HEAD /a", false},
		{"GET /{x}", "HEAD /a", false},
		{"GET /a", "HEAD /{x}", true},
		{"GET /{x}", "/a", true},
		{"GET /a", "/{x}", false},
		{"GET /", "/a", true},
		{"h/a", "/a", false},
		{"h/a", "H/a", true},
		{"h/a", "i/a", false},
		{"GET h/{x}", "h/a", true},
		{"/%61", "/a", true},
		{"/a%2Fb", "/a/b", false},
	};

	(void)state;
	for (size_t i = 0; i < N(table); i++) {
		struct rg_http_mux m = {0};
		struct httpmux_error err;
		int rc;

		add(&m, table[i].first);
		rc = httpmux_add(&m, table[i].second, handler, NULL, &err);
		if (rc != (table[i].is_conflict ? -EEXIST : 0))
			fail_msg("%d for %s and %s", rc, table[i].first,
				 table[i].second);
		if (rc)
			assert_string_equal(err.other, table[i].first);
		httpmux_destroy(&m);
		add(&m, table[i].second);
		assert_int_equal(
			httpmux_add(&m, table[i].first, handler, NULL, NULL),
			rc);
		httpmux_destroy(&m);
	}
}

static void httppattern_two_compare_as_the_sets_they_match(void **state)
{
	struct httppattern *parsed[MAX_PATTERNS];
	const char *reason;

	(void)state;
	make_patterns();
	make_paths();
	assert_true(npatterns > 500 && npaths > 100);
	for (size_t i = 0; i < npatterns; i++)
		assert_int_equal(
			httppattern_parse(patterns[i], &parsed[i], &reason), 0);
	/* some of all pairs, with all differences of their numbers */
	for (size_t i = 0; i < npatterns; i++) {
		for (size_t j = i % 17; j < npatterns; j += 17) {
			enum httprelation got =
				httppattern_compare(parsed[i], parsed[j]);
			enum httprelation want =
				model_compare(patterns[i], patterns[j]);

			if (got != want)
				fail_msg("%d, want %d for %s and %s", got, want,
					 patterns[i], patterns[j]);
			assert_int_equal(
				httppattern_is_conflict(parsed[i], parsed[j]),
				want == HTTPREL_EQUAL ||
					want == HTTPREL_OVERLAP);
		}
	}
	for (size_t i = 0; i < npatterns; i++)
		rgk_free(parsed[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httppattern_valid_ones_are_parsed),
		cmocka_unit_test(httppattern_invalid_ones_are_refused),
		cmocka_unit_test(httppattern_limits_hold),
		cmocka_unit_test(
			httppattern_conflicts_are_found_at_registration),
		cmocka_unit_test(
			httppattern_two_compare_as_the_sets_they_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
