// SPDX-License-Identifier: MIT
/*
 * fuzz_httpchunk - the decoder of chunked bodies against a slow one that was
 * written for this purpose and reads byte by byte from the start.
 *
 * Input: a byte that says how to cut, then the body and what follows it.
 *   1  the whole input in one go gives what the slow decoder gives
 *   2  so does the input in pieces, what was not used coming again
 *   3  the data, encoded and decoded again, is the same
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/httpchunk.h"

#define NFIELDS     3
#define MAX_TRAILER 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #x);        \
			abort();                                               \
		}                                                              \
	} while (0)

/* What became of a body. */
struct outcome {
	int rc; /* HTTPCHUNK_MORE, _END or _ERROR */
	int status;
	size_t used; /* with END */
	uint32_t nfields;
	uint8_t *data;
	size_t len;
};

/* ---- the slow decoder ---- */

struct slow {
	const uint8_t *s;
	size_t n, i;
	int rc, status;
};

static int look(struct slow *p)
{
	return p->i < p->n ? p->s[p->i] : -1; /* -1: more */
}

static bool bad(struct slow *p, int status)
{
	if (look(p) >= 0 || status == 431) {
		p->rc = HTTPCHUNK_ERROR;
		p->status = status;
	}
	return false;
}

static bool take(struct slow *p, char c)
{
	if (look(p) != c)
		return bad(p, 400);
	p->i++;
	return true;
}

static int hex_value(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_text(int c)
{
	return c == '\t' || (c >= ' ' && c < 0x7f) || c >= 0x80;
}

/* One more byte of a size line that began at start may come. */
static bool has_room(struct slow *p, size_t start)
{
	if (p->i - start < HTTPCHUNK_MAX_LINE)
		return true;
	p->rc = HTTPCHUNK_ERROR;
	p->status = 400;
	return false;
}

/* The size line; its length without CRLF goes to *line. */
static bool slow_size(struct slow *p, uint64_t *size, size_t *line)
{
	size_t start = p->i;
	unsigned __int128 value = 0;

	while (hex_value(look(p)) >= 0) {
		value = value * 16 + (unsigned)hex_value(look(p));
		if (p->i - start == 16 || value > INT64_MAX)
			return bad(p, 400);
		p->i++;
	}
	if (p->i == start)
		return bad(p, 400);
	if (look(p) == ' ' || look(p) == '\t') {
		while (has_room(p, start) &&
		       (look(p) == ' ' || look(p) == '\t'))
			p->i++;
		if (p->rc)
			return false;
		if (look(p) != ';')
			return bad(p, 400);
	}
	if (look(p) == ';')
		while (has_room(p, start) && is_text(look(p)))
			p->i++;
	if (p->rc)
		return false;
	*line = p->i - start;
	*size = (uint64_t)value;
	return take(p, '\r') && take(p, '\n');
}

static bool slow_field(struct slow *p)
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
	char name[MAX_TRAILER + 1] = "";
	size_t len = 0;

	for (;; p->i++) {
		int c = look(p);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		      (c >= 'A' && c <= 'Z') ||
		      (c > 0 && strchr("!#$%&'*+-.^_`|~", c))))
			break;
		name[len++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	if (!len)
		return bad(p, 400);
	if (!take(p, ':'))
		return false;
	while (is_text(look(p)))
		p->i++;
	if (!take(p, '\r') || !take(p, '\n'))
		return false;
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(char *); i++)
		if (!strcmp(name, forbidden[i])) {
			p->rc = HTTPCHUNK_ERROR;
			p->status = 400;
		}
	return !p->rc;
}

/* The trailer of a body whose last chunk ended; as if no more than MAX_TRAILER
 * bytes were there, and then it is too long. */
static bool slow_trailer(struct slow *p, struct outcome *o)
{
	size_t n = p->n;
	bool is_cut = n - p->i >= MAX_TRAILER, ok = true;

	if (is_cut)
		p->n = p->i + MAX_TRAILER;
	while (ok && look(p) >= 0 && look(p) != '\r') {
		if (o->nfields == NFIELDS)
			return bad(p, 431);
		ok = slow_field(p);
		o->nfields += ok;
	}
	ok = ok && take(p, '\r') && take(p, '\n');
	if (!ok && !p->rc && is_cut) /* would need more than the limit */
		return bad(p, 431);
	p->n = n;
	return ok;
}

static void slow_decode(const uint8_t *s, size_t n, struct outcome *o)
{
	struct slow p = {.s = s, .n = n};
	uint64_t size = 1;
	int64_t excess = 0;
	size_t line;

	while (size && slow_size(&p, &size, &line)) {
		size_t there = p.n - p.i;

		excess += (int64_t)line + 4 - 16;
		excess -= 2 * (int64_t)(size < INT32_MAX ? size : INT32_MAX);
		if (excess < 0)
			excess = 0;
		if (excess > HTTPCHUNK_MAX_EXCESS) {
			p.rc = HTTPCHUNK_ERROR;
			p.status = 400;
			break;
		}
		if (there > size)
			there = (size_t)size;
		memcpy(o->data + o->len, p.s + p.i, there);
		o->len += there;
		p.i += there;
		if (size && !(take(&p, '\r') && take(&p, '\n')))
			break;
	}
	if (!p.rc && !size && p.i && p.s[p.i - 1] == '\n' &&
	    slow_trailer(&p, o))
		p.rc = HTTPCHUNK_END;
	o->rc = p.rc;
	o->status = p.status;
	o->used = p.i;
}

/* ---- comparing ---- */

/* Feed s in pieces of `piece` bytes, each call on memory of exactly its
 * size. */
static void decode(const uint8_t *s, size_t n, size_t piece, struct outcome *o)
{
	static const struct httplimits limits = {MAX_TRAILER, 0};
	struct httpfield fields[NFIELDS];
	struct httpchunk c;
	size_t used = 0, there = 0;

	httpchunk_init(&c, fields, NFIELDS, &limits);
	do {
		size_t pos = 0, len;
		char *copy;

		there = there + piece < n ? there + piece : n;
		len = there - used;
		copy = malloc(len ? len : 1);
		CHECK(copy);
		memcpy(copy, s + used, len);
		do {
			struct httpchunk_step step;

			o->rc = httpchunk_next(&c, copy + pos, len - pos,
					       &step);
			CHECK(step.used <= len - pos);
			if (o->rc == HTTPCHUNK_DATA) {
				CHECK(step.data_len > 0);
				CHECK(step.data + step.data_len ==
				      copy + pos + step.used);
				memcpy(o->data + o->len, step.data,
				       step.data_len);
				o->len += step.data_len;
			}
			pos += step.used;
		} while (o->rc == HTTPCHUNK_DATA);
		used += pos;
		free(copy);
	} while (o->rc == HTTPCHUNK_MORE && there < n);
	o->status = c.status;
	o->used = used;
	o->nfields = o->rc == HTTPCHUNK_END ? c.trailer.head.nfields : 0;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	CHECK(a->rc == b->rc);
	CHECK(a->rc != HTTPCHUNK_ERROR || a->status == b->status);
	CHECK(a->len == b->len && !memcmp(a->data, b->data, a->len));
	if (a->rc == HTTPCHUNK_END)
		CHECK(a->used == b->used && a->nfields == b->nfields);
}

/* Encode data in chunks of `piece` bytes and decode that. */
static void check_again(const uint8_t *data, size_t len, size_t piece)
{
	size_t n = 0, cap = len + (len / piece + 2) * (HTTPCHUNK_HEAD + 2);
	uint8_t *text = malloc(cap);
	struct outcome o = {.data = malloc(len + 1)};

	CHECK(text && o.data);
	for (size_t i = 0; i < len; i += piece) {
		size_t part = len - i < piece ? len - i : piece;

		n += httpchunk_format((char *)text + n, part);
		memcpy(text + n, data + i, part);
		n += part;
		memcpy(text + n, "\r\n", 2);
		n += 2;
	}
	memcpy(text + n, HTTPCHUNK_LAST, strlen(HTTPCHUNK_LAST));
	n += strlen(HTTPCHUNK_LAST);
	CHECK(n <= cap);
	decode(text, n, piece, &o);
	CHECK(o.rc == HTTPCHUNK_END && o.used == n);
	CHECK(o.len == len && !memcmp(o.data, data, len));
	free(text);
	free(o.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome slow = {0}, whole = {0}, pieces = {0};
	size_t piece;

	if (size < 1)
		return 0;
	piece = data[0] % 17 + 1u;
	data++;
	size--;
	slow.data = malloc(size + 1);
	whole.data = malloc(size + 1);
	pieces.data = malloc(size + 1);
	CHECK(slow.data && whole.data && pieces.data);
	slow_decode(data, size, &slow);
	decode(data, size, size + 1, &whole);
	check_same(&slow, &whole);
	decode(data, size, piece, &pieces);
	check_same(&slow, &pieces);
	if (whole.rc == HTTPCHUNK_END)
		check_again(whole.data, whole.len, piece);
	free(slow.data);
	free(whole.data);
	free(pieces.data);
	return 0;
}
