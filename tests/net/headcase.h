/* SPDX-License-Identifier: MIT */
/*
 * headcase - feed a head to the parser in every way: whole, byte by byte, cut
 * at each position, the buffer moving between calls and never longer than what
 * is there (so a sanitizer sees a read too far). All ways must agree
 * (httpparse.h, I1).
 */
#ifndef TESTS_NET_HEADCASE_H
#define TESTS_NET_HEADCASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/http/httpparse.h"

#define HOST "Host: h\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define CL   "Content-Length: "
#define TE   "Transfer-Encoding: "

#define NFIELDS 8

enum { REQUEST, RESPONSE, TRAILER };

static struct httpfield fields[3][NFIELDS];
static const struct httplimits *limits;
static enum httpmethod to_method = HTTP_GET;

static inline void init(struct httpparse *p, int kind, struct httpfield *f)
{
	if (kind == REQUEST)
		httpparse_init_request(p, f, NFIELDS, limits);
	else if (kind == RESPONSE)
		httpparse_init_response(p, f, NFIELDS, limits, to_method);
	else
		httpparse_init_trailer(p, f, NFIELDS, limits);
}

static inline bool is_same_slice(struct httpslice a, struct httpslice b)
{
	return a.off == b.off && a.len == b.len;
}

static inline bool is_same_head(const struct httphead *a,
				const struct httphead *b)
{
	for (uint32_t i = 0; i < a->nfields && i < b->nfields; i++)
		if (!is_same_slice(a->fields[i].name, b->fields[i].name) ||
		    !is_same_slice(a->fields[i].value, b->fields[i].value))
			return false;
	return a->len == b->len && a->nfields == b->nfields &&
	       a->minor == b->minor && a->keep_alive == b->keep_alive &&
	       a->has_upgrade == b->has_upgrade && a->body == b->body &&
	       a->content_length == b->content_length &&
	       a->expect_continue == b->expect_continue &&
	       a->has_query == b->has_query && a->method == b->method &&
	       a->form == b->form && a->status == b->status &&
	       is_same_slice(a->method_name, b->method_name) &&
	       is_same_slice(a->target, b->target) &&
	       is_same_slice(a->path, b->path) &&
	       is_same_slice(a->query, b->query) &&
	       is_same_slice(a->host, b->host) &&
	       is_same_slice(a->reason, b->reason);
}

/* Run on a copy of exactly n bytes, so that a sanitizer sees a read too far. */
static inline int run_copy(struct httpparse *p, const char *s, size_t n)
{
	char *copy = malloc(n ? n : 1);
	int rc;

	assert_non_null(copy);
	memcpy(copy, s, n);
	rc = httpparse_run(p, copy, n);
	free(copy);
	return rc;
}

static inline void check_same(const struct httpparse *whole, int rc,
			      const struct httpparse *cut, int cut_rc,
			      const char *s)
{
	if (rc != cut_rc ||
	    (rc == HTTPPARSE_ERROR &&
	     (whole->status != cut->status || whole->reason != cut->reason)) ||
	    (rc == HTTPPARSE_OK && !is_same_head(&whole->head, &cut->head)))
		fail_msg("cuts matter: %d %d %s, %d %d %s for [%s]", rc,
			 whole->status, whole->reason ? whole->reason : "",
			 cut_rc, cut->status, cut->reason ? cut->reason : "",
			 s);
}

/* Parse s whole into *p, and compare with every way to feed it. */
static inline int parse(struct httpparse *p, int kind, const char *s, size_t n)
{
	struct httpparse cut;
	int rc, cut_rc = HTTPPARSE_MORE;

	init(p, kind, fields[0]);
	rc = run_copy(p, s, n);
	if (rc != HTTPPARSE_MORE)
		assert_int_equal(httpparse_run(p, s, n), rc);
	init(&cut, kind, fields[1]);
	for (size_t i = 0; i <= n && cut_rc == HTTPPARSE_MORE; i++)
		cut_rc = run_copy(&cut, s, i);
	check_same(p, rc, &cut, cut_rc, s);
	for (size_t i = 0; i <= n; i++) {
		init(&cut, kind, fields[2]);
		cut_rc = run_copy(&cut, s, i);
		if (cut_rc == HTTPPARSE_MORE)
			cut_rc = run_copy(&cut, s, n);
		check_same(p, rc, &cut, cut_rc, s);
	}
	return rc;
}

static inline int parse_text(struct httpparse *p, int kind, const char *s)
{
	return parse(p, kind, s, strlen(s));
}

static inline void check_slice(const char *s, struct httpslice got,
			       const char *want)
{
	if (got.len != strlen(want) || memcmp(s + got.off, want, got.len) != 0)
		fail_msg("[%.*s], want [%s] in [%s]", (int)got.len, s + got.off,
			 want, s);
}

#endif
