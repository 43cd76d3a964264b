// SPDX-License-Identifier: MIT
/*
 * fuzz_httpparse - the parser of heads against a slow one that was written for
 * this purpose: it reads byte by byte from the start, knows no state, no table
 * and no block scan, and stops where the input ends.
 *
 * Input: a byte for the kind (its low two bits: 0, 3 request, 1 response, 2
 * trailer), a byte that says how to cut, then the head.
 *   1  the whole input in one call gives what the slow parser gives
 *   2  so does the input in pieces, the buffer moving between calls
 *   3  an accepted head, written again from its slices, means the same
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/httpparse.h"

#define NFIELDS  6
#define MAX_LINE 200
#define MAX_HEAD 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #x);        \
			abort();                                               \
		}                                                              \
	} while (0)

enum { REQUEST, RESPONSE, TRAILER };

/* ---- the slow parser ---- */

struct slow {
	const uint8_t *s;
	size_t n, i;
	size_t limit;     /* of the element */
	int limit_status; /* what reaching it means */
	int kind;
	int status; /* 0: ok; 1: more; else the fault */
	/* findings, as httphead */
	struct httphead h;
	struct httpfield fields[NFIELDS];
	int nhost, ncoding, nlength;
	bool is_chunked, is_close, is_keep, is_100, is_bad_expect;
};

/* The next byte, not taken yet, or -1 with the status set. */
static int look(struct slow *p)
{
	if (p->i >= p->limit)
		p->status = p->limit_status;
	else if (p->i >= p->n)
		p->status = 1;
	else
		return p->s[p->i];
	return -1;
}

static bool bad(struct slow *p, int status)
{
	if (!p->status)
		p->status = status;
	return false;
}

static bool expect_text(struct slow *p, const char *text, int status)
{
	for (; *text; text++, p->i++) {
		int c = look(p);

		if (c < 0)
			return false;
		if (*text == '0' ? c < '0' || c > '9' : c != *text)
			return bad(p, status);
	}
	return true;
}

static bool is_tchar(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') ||
	       (c > 0 && strchr("!#$%&'*+-.^_`|~", c));
}

/* RFC 3986: unreserved and sub-delims. */
static bool is_regname(int c)
{
	return (is_tchar(c) && !strchr("#%^`|", c)) ||
	       (c > 0 && strchr("(),;=", c));
}

static bool is_vchar(int c)
{
	return c == '\t' || (c >= 0x20 && c <= 0x7e) || c >= 0x80;
}

static bool same_text(const uint8_t *s, size_t n, const char *text)
{
	size_t i;

	for (i = 0; i < n && text[i]; i++) {
		int c = s[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c != text[i])
			return false;
	}
	return i == n && !text[i];
}

static struct httpslice cut(size_t from, size_t to)
{
	return (struct httpslice){(uint32_t)from, (uint32_t)(to - from)};
}

static bool slow_method(struct slow *p)
{
	size_t start = p->i;
	int c;

	while ((c = look(p)) >= 0 && is_tchar(c))
		if (++p->i - start > HTTPPARSE_MAX_METHOD)
			return bad(p, 501);
	if (c < 0 || c != ' ' || p->i == start)
		return bad(p, 400);
	p->h.method_name = cut(start, p->i);
	for (int m = 1; m < HTTP_NMETHODS; m++) {
		const char *name = httpmethod_name((enum httpmethod)m);

		if (strlen(name) == p->i - start &&
		    !memcmp(name, p->s + start, p->i - start))
			p->h.method = (enum httpmethod)m;
	}
	p->i++;
	return true;
}

static bool slow_hex(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

/* host[:port] in s[from..to); *has_port: there are digits. */
static bool slow_authority(const uint8_t *s, size_t from, size_t to,
			   bool *has_port)
{
	size_t i = from, digits;
	long port = 0;

	if (i < to && s[i] == '[') {
		for (i++;
		     i < to && (slow_hex(s[i]) || s[i] == ':' || s[i] == '.');)
			i++;
		if (i - from < 3)
			return false;
		if (i < to && s[i] == '%') {
			size_t zone = i + 3;

			if (to - i < 4 || s[i + 1] != '2' || s[i + 2] != '5')
				return false;
			for (i = zone; i < to && s[i] != ']'; i++)
				if (!is_regname(s[i]))
					return false;
			if (i == zone)
				return false;
		}
		if (i >= to || s[i++] != ']')
			return false;
	} else {
		for (; i < to && s[i] != ':'; i++)
			if (!is_regname(s[i]))
				return false;
		if (i == from)
			return false;
	}
	if (i < to && s[i] != ':')
		return false;
	digits = i < to ? to - i - 1 : 0;
	for (i++; i < to; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		port = port * 10 + (s[i] - '0');
		if (port > 65535)
			return false;
	}
	*has_port = digits > 0;
	return digits <= 5;
}

static bool slow_path(struct slow *p, size_t from, size_t to)
{
	size_t i = from;

	for (; i < to && p->s[i] != '?'; i++)
		if (p->s[i] == '%' &&
		    (to - i < 3 || !slow_hex(p->s[i + 1]) ||
		     !slow_hex(p->s[i + 2]) ||
		     (p->s[i + 1] == '0' && p->s[i + 2] == '0')))
			return bad(p, 400);
	p->h.path = cut(from, i);
	if (i < to) {
		p->h.has_query = true;
		p->h.query = cut(i + 1, to);
	}
	return true;
}

static bool slow_target(struct slow *p, size_t from, size_t to)
{
	const uint8_t *t = p->s + from;
	size_t n = to - from, i;
	bool has_port;

	if (*t == '/')
		return slow_path(p, from, to);
	p->h.path = cut(from, from);
	if (n == 1 && *t == '*') {
		p->h.form = HTTPTARGET_ASTERISK;
		return p->h.method == HTTP_OPTIONS || bad(p, 400);
	}
	if (p->h.method == HTTP_CONNECT) {
		p->h.form = HTTPTARGET_AUTHORITY;
		p->h.host = cut(from, to);
		return (slow_authority(p->s, from, to, &has_port) &&
			has_port) ||
		       bad(p, 400);
	}
	if (n > 7 && same_text(t, 7, "http://"))
		from += 7;
	else if (n > 8 && same_text(t, 8, "https://"))
		from += 8;
	else
		return bad(p, 400);
	for (i = from; i < to && p->s[i] != '/' && p->s[i] != '?';)
		i++;
	if (!slow_authority(p->s, from, i, &has_port))
		return bad(p, 400);
	p->h.form = HTTPTARGET_ABSOLUTE;
	p->h.host = cut(from, i);
	return slow_path(p, i, to);
}

static bool slow_request_line(struct slow *p)
{
	size_t start, end, version;
	int nblank = 0, c;

	while ((c = look(p)) == '\r') {
		if (!expect_text(p, "\r\n", 400))
			return false;
		if (++nblank > HTTPPARSE_MAX_BLANK)
			return bad(p, 400);
	}
	if (c < 0)
		return false;
	p->limit = p->i + MAX_LINE < MAX_HEAD ? p->i + MAX_LINE : MAX_HEAD;
	p->limit_status = 414;
	if (!slow_method(p))
		return false;
	start = p->i;
	while ((c = look(p)) > 0x20 && c < 0x7f)
		p->i++;
	end = p->i;
	if (c < 0 || c != ' ' || end == start)
		return bad(p, 400);
	p->h.target = cut(start, end);
	version = ++p->i;
	if (!expect_text(p, "HTTP/0.0\r\n", 400))
		return false;
	if (memcmp(p->s + version, "HTTP/1.", 7) != 0 ||
	    p->s[version + 7] > '1')
		return bad(p, 505);
	p->h.minor = p->s[version + 7] - '0';
	return slow_target(p, start, end);
}

static bool slow_status_line(struct slow *p)
{
	int c;

	p->limit = MAX_LINE;
	p->limit_status = 431;
	if (!expect_text(p, "HTTP/0.0 000", 400) || (c = look(p)) < 0)
		return false;
	p->h.status = atoi((const char *)memcpy((char[4]){0}, p->s + 9, 3));
	if (memcmp(p->s, "HTTP/1.", 7) != 0 || p->s[7] > '1' ||
	    p->h.status < 100 || p->h.status > 599 || (c != ' ' && c != '\r'))
		return bad(p, 400);
	p->h.minor = p->s[7] - '0';
	p->i += c == ' ';
	p->h.reason.off = (uint32_t)p->i;
	while ((c = look(p)) >= 0 && is_vchar(c))
		p->i++;
	p->h.reason.len = (uint32_t)p->i - p->h.reason.off;
	return expect_text(p, "\r\n", 400);
}

static bool slow_length(struct slow *p, const uint8_t *v, size_t n)
{
	__int128 length = 0;

	if (!n)
		return bad(p, 400);
	for (size_t i = 0; i < n; i++) {
		if (v[i] < '0' || v[i] > '9')
			return bad(p, 400);
		length = length * 10 + (v[i] - '0');
		if (length > INT64_MAX)
			return bad(p, 400);
	}
	if (p->nlength++ && p->h.content_length != (int64_t)length)
		return bad(p, 400);
	p->h.content_length = (int64_t)length;
	return true;
}

static void slow_connection(struct slow *p, const uint8_t *v, size_t n)
{
	while (n) {
		size_t len = 0, from = 0, to;

		while (len < n && v[len] != ',')
			len++;
		to = len;
		while (from < to && strchr(" \t", v[from]))
			from++;
		while (to > from && strchr(" \t", v[to - 1]))
			to--;
		p->is_close |= same_text(v + from, to - from, "close");
		p->is_keep |= same_text(v + from, to - from, "keep-alive");
		p->h.has_upgrade |= same_text(v + from, to - from, "upgrade");
		len += len < n;
		v += len;
		n -= len;
	}
}

static bool slow_meaning(struct slow *p, const struct httpfield *f)
{
	static const char *const forbidden[] = {
		"host",
		"content-length",
		"transfer-encoding",
		"connection",
		"trailer",
		"te",
		"upgrade",
		"expect",
		"keep-alive",
		"authorization",
		"content-type",
		"content-encoding",
		"content-range",
		"cookie",
		"set-cookie",
		"proxy-authorization",
	};
	const uint8_t *name = p->s + f->name.off, *v = p->s + f->value.off;
	size_t nlen = f->name.len, n = f->value.len;

	if (p->kind == TRAILER) {
		for (size_t i = 0; i < sizeof(forbidden) / sizeof(char *); i++)
			if (same_text(name, nlen, forbidden[i]))
				return bad(p, 400);
		return true;
	}
	if (same_text(name, nlen, "host") && p->kind == REQUEST) {
		for (size_t i = 0; i < n; i++)
			if (!is_regname(v[i]) && !memchr(":[]%", v[i], 4))
				return bad(p, 400);
		if (p->nhost++)
			return bad(p, 400);
		if (p->h.form == HTTPTARGET_ORIGIN ||
		    p->h.form == HTTPTARGET_ASTERISK)
			p->h.host = f->value;
	}
	if (same_text(name, nlen, "content-length"))
		return slow_length(p, v, n);
	if (same_text(name, nlen, "transfer-encoding"))
		p->is_chunked = same_text(v, n, "chunked") && !p->ncoding++;
	if (same_text(name, nlen, "transfer-encoding") && !p->is_chunked)
		p->ncoding += 2;
	if (same_text(name, nlen, "expect") && n) {
		if (same_text(v, n, "100-continue"))
			p->is_100 = true;
		else
			p->is_bad_expect = true;
	}
	if (same_text(name, nlen, "connection"))
		slow_connection(p, v, n);
	return true;
}

static bool slow_fields(struct slow *p)
{
	int c;

	p->limit = MAX_HEAD;
	p->limit_status = 431;
	while ((c = look(p)) >= 0 && c != '\r') {
		size_t start = p->i, colon, end;
		struct httpfield *f = &p->fields[p->h.nfields];

		if (p->h.nfields == NFIELDS)
			return bad(p, 431);
		while ((c = look(p)) >= 0 && is_tchar(c))
			p->i++;
		colon = p->i++;
		if (c != ':' || colon == start)
			return bad(p, 400);
		while ((c = look(p)) >= 0 && is_vchar(c))
			p->i++;
		end = p->i;
		if (!expect_text(p, "\r\n", 400))
			return false;
		f->name = cut(start, colon);
		for (start = colon + 1; start < end && (p->s[start] == ' ' ||
							p->s[start] == '\t');)
			start++;
		while (end > start &&
		       (p->s[end - 1] == ' ' || p->s[end - 1] == '\t'))
			end--;
		f->value = cut(start, end);
		p->h.nfields++;
		if (!slow_meaning(p, f))
			return false;
	}
	return c >= 0 && expect_text(p, "\r\n", 400);
}

static bool slow_finish(struct slow *p, enum httpmethod to_method)
{
	struct httphead *h = &p->h;
	bool is_request = p->kind == REQUEST;

	h->len = (uint32_t)p->i;
	if (p->kind == TRAILER)
		return true;
	if (is_request && h->minor && !p->nhost && h->method != HTTP_CONNECT)
		return bad(p, 400);
	if (p->ncoding && (!h->minor || p->nlength))
		return bad(p, 400);
	if (p->ncoding > 1)
		return bad(p, is_request ? 501 : 400);
	if (is_request && p->is_bad_expect)
		return bad(p, 417);
	h->keep_alive = !p->is_close && (h->minor || p->is_keep);
	if (p->ncoding)
		h->body = HTTPBODY_CHUNKED;
	else if (h->content_length > 0)
		h->body = HTTPBODY_LENGTH;
	else if (!is_request && h->content_length < 0)
		h->body = HTTPBODY_CLOSE;
	if (is_request) {
		h->expect_continue = p->is_100 && h->minor && h->body;
		return true;
	}
	if (to_method == HTTP_HEAD || h->status / 100 == 1 ||
	    h->status == 204 || h->status == 304 ||
	    (to_method == HTTP_CONNECT && h->status / 100 == 2))
		h->body = HTTPBODY_NONE;
	if (h->body == HTTPBODY_CLOSE)
		h->keep_alive = false;
	return true;
}

static void slow_parse(struct slow *p, int kind, enum httpmethod to_method,
		       const uint8_t *s, size_t n)
{
	memset(p, 0, sizeof(*p));
	p->s = s;
	p->n = n;
	p->kind = kind;
	p->limit = MAX_HEAD;
	p->limit_status = 431;
	p->h.content_length = -1;
	p->h.fields = p->fields;
	if (kind == REQUEST && !slow_request_line(p))
		return;
	if (kind == RESPONSE && !slow_status_line(p))
		return;
	if (slow_fields(p))
		slow_finish(p, to_method);
}

/* ---- comparing ---- */

static void check_slices(const struct httpslice *a, const struct httpslice *b)
{
	CHECK(a->len == b->len);
	/* An empty slice may be anywhere. */
	CHECK(!a->len || a->off == b->off);
}

static void check_head(const struct httphead *a, const struct httphead *b)
{
	CHECK(a->len == b->len && a->nfields == b->nfields);
	for (uint32_t i = 0; i < a->nfields; i++) {
		check_slices(&a->fields[i].name, &b->fields[i].name);
		check_slices(&a->fields[i].value, &b->fields[i].value);
		CHECK(a->fields[i].value.off + a->fields[i].value.len < a->len);
	}
	CHECK(a->minor == b->minor && a->keep_alive == b->keep_alive);
	CHECK(a->has_upgrade == b->has_upgrade && a->body == b->body);
	CHECK(a->content_length == b->content_length);
	CHECK(a->expect_continue == b->expect_continue);
	CHECK(a->has_query == b->has_query && a->method == b->method);
	CHECK(a->form == b->form && a->status == b->status);
	check_slices(&a->method_name, &b->method_name);
	check_slices(&a->target, &b->target);
	check_slices(&a->path, &b->path);
	check_slices(&a->query, &b->query);
	check_slices(&a->host, &b->host);
	check_slices(&a->reason, &b->reason);
}

static void init(struct httpparse *p, int kind, enum httpmethod to_method,
		 struct httpfield *fields)
{
	static const struct httplimits limits = {MAX_HEAD, MAX_LINE};

	if (kind == REQUEST)
		httpparse_init_request(p, fields, NFIELDS, &limits);
	else if (kind == RESPONSE)
		httpparse_init_response(p, fields, NFIELDS, &limits, to_method);
	else
		httpparse_init_trailer(p, fields, NFIELDS, &limits);
}

/* Run on memory of exactly n bytes. */
static int run(struct httpparse *p, const uint8_t *s, size_t n)
{
	char *copy = malloc(n ? n : 1);
	int rc;

	CHECK(copy);
	memcpy(copy, s, n);
	rc = httpparse_run(p, copy, n);
	free(copy);
	return rc;
}

static void check_result(const struct httpparse *p, int rc,
			 const struct slow *slow)
{
	if (slow->status == 1) {
		CHECK(rc == HTTPPARSE_MORE);
	} else if (slow->status) {
		CHECK(rc == HTTPPARSE_ERROR && p->status == slow->status);
		CHECK(p->reason && *p->reason);
	} else {
		CHECK(rc == HTTPPARSE_OK);
		check_head(&p->head, &slow->h);
	}
}

static size_t put(char *out, size_t len, const uint8_t *s,
		  const struct httpslice *v, const char *after)
{
	memcpy(out + len, s + v->off, v->len);
	len += v->len;
	memcpy(out + len, after, strlen(after));
	return len + strlen(after);
}

/* What was understood, said again, is understood in the same way. */
static void check_again(const struct httphead *h, const uint8_t *s, int kind,
			enum httpmethod to_method)
{
	char out[2 * MAX_HEAD], version[16];
	struct httpfield fields[NFIELDS];
	struct httpparse p;
	size_t len = 0;

	snprintf(version, sizeof(version), "HTTP/1.%d", h->minor);
	if (kind == REQUEST) {
		len = put(out, len, s, &h->method_name, " ");
		len = put(out, len, s, &h->target, " ");
		len += (size_t)sprintf(out + len, "%s\r\n", version);
	} else if (kind == RESPONSE) {
		len += (size_t)sprintf(out, "%s %d ", version, h->status);
		len = put(out, len, s, &h->reason, "\r\n");
	}
	for (uint32_t i = 0; i < h->nfields; i++) {
		len = put(out, len, s, &h->fields[i].name, ":");
		len = put(out, len, s, &h->fields[i].value, "\r\n");
	}
	memcpy(out + len, "\r\n", 2);
	len += 2;
	init(&p, kind, to_method, fields);
	/* A reason that was left out costs one byte more now. */
	if (len > MAX_HEAD)
		return;
	CHECK(httpparse_run(&p, out, len) == HTTPPARSE_OK);
	CHECK(p.head.len == len && p.head.nfields == h->nfields);
	CHECK(p.head.body == h->body && p.head.keep_alive == h->keep_alive);
	CHECK(p.head.content_length == h->content_length);
	CHECK(p.head.method == h->method && p.head.path.len == h->path.len);
	CHECK(p.head.host.len == h->host.len && p.head.status == h->status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int kinds[] = {REQUEST, RESPONSE, TRAILER, REQUEST};
	struct httpfield fields[NFIELDS];
	enum httpmethod to_method;
	struct httpparse p;
	struct slow slow;
	size_t n, step;
	int kind, rc;

	if (size < 2)
		return 0;
	kind = kinds[data[0] & 3];
	to_method = (enum httpmethod)(data[0] / 4 % HTTP_NMETHODS);
	step = data[1] % 17 + 1u;
	data += 2;
	size -= 2;
	slow_parse(&slow, kind, to_method, data, size);
	init(&p, kind, to_method, fields);
	rc = run(&p, data, size);
	check_result(&p, rc, &slow);
	if (rc == HTTPPARSE_OK)
		check_again(&p.head, data, kind, to_method);
	init(&p, kind, to_method, fields);
	for (n = 0, rc = HTTPPARSE_MORE; rc == HTTPPARSE_MORE; n += step) {
		rc = run(&p, data, n < size ? n : size);
		if (n >= size)
			break;
	}
	check_result(&p, rc, &slow);
	return 0;
}
