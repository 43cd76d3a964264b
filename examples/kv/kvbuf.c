// SPDX-License-Identifier: MIT
/* kvbuf - see the header. */
#include "examples/kv/kvbuf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/kv/kvtext.h"

bool kvbuf_reserve(struct kvbuf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *data;

	if (b->cap - b->len >= n)
		return true;
	while (cap - b->len < n)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data) {
		b->is_failed = true;
		return false;
	}
	b->data = data;
	b->cap = cap;
	return true;
}

void kvbuf_add(struct kvbuf *b, const void *data, size_t n)
{
	if (b->is_failed || !kvbuf_reserve(b, n))
		return;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
}

void kvbuf_printf(struct kvbuf *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0)
		kvbuf_add(b, text, (size_t)n < sizeof text ? (size_t)n : 511);
}

void kvbuf_drop(struct kvbuf *b, size_t n)
{
	b->len -= n;
	if (n && b->len)
		memmove(b->data, b->data + n, b->len);
}

void kvbuf_trim(struct kvbuf *b, size_t keep)
{
	char *data;

	if (b->cap <= keep || b->len > keep || !keep)
		return;
	data = realloc(b->data, keep);
	if (data) {
		b->data = data;
		b->cap = keep;
	}
}

void kvbuf_free(struct kvbuf *b)
{
	free(b->data);
	*b = (struct kvbuf){0};
}

/* ---- replies ----------------------------------------------------------------------- */

enum { HEADER_MAX = KV_INT_MAX_LEN + 3 };

/* "$12\r\n" and its like, at p; what follows it. */
static char *put_header(char *p, char type, int64_t v)
{
	*p++ = type;
	p += kv_format_int(p, v);
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static void add_header(struct kvbuf *b, char type, int64_t v)
{
	if (!b->is_failed && kvbuf_reserve(b, HEADER_MAX))
		b->len = (size_t)(put_header(b->data + b->len, type, v) -
				  b->data);
}

void kvreply_error(struct kvbuf *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	kvbuf_add(b, "-", 1);
	kvbuf_add(b, text, strlen(text));
	kvbuf_add(b, "\r\n", 2);
}

void kvreply_status(struct kvbuf *b, const char *text)
{
	kvbuf_add(b, "+", 1);
	kvbuf_add(b, text, strlen(text));
	kvbuf_add(b, "\r\n", 2);
}

void kvreply_int(struct kvbuf *b, int64_t v)
{
	add_header(b, ':', v);
}

void kvreply_bulk(struct kvbuf *b, const void *data, size_t n)
{
	char *p;

	if (b->is_failed || !kvbuf_reserve(b, HEADER_MAX + n + 2))
		return;
	p = put_header(b->data + b->len, '$', (int64_t)n);
	if (n)
		memcpy(p, data, n);
	memcpy(p + n, "\r\n", 2);
	b->len = (size_t)(p + n + 2 - b->data);
}

void kvreply_text(struct kvbuf *b, const char *text)
{
	kvreply_bulk(b, text, strlen(text));
}

void kvreply_null(struct kvbuf *b)
{
	kvbuf_add(b, "$-1\r\n", 5);
}

void kvreply_array(struct kvbuf *b, size_t n)
{
	add_header(b, '*', (int64_t)n);
}

void kvreply_null_array(struct kvbuf *b)
{
	kvbuf_add(b, "*-1\r\n", 5);
}
