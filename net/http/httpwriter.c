// SPDX-License-Identifier: MIT
/*
 * httpwriter - see httpwriter.h. The handler's fields are httpfields.c's business.
 */
#include "net/http/httpwriter.h"

#include <stdarg.h>
#include <stdio.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "net/http/httpchunk.h"
#include "net/http/httprequest.h"
#include "net/http/httpsniff.h"
#include "net/http/httpstatus.h"

/* What commit adds to the handler's fields, at most: status line, Date,
 * Content-Type (of httpsniff), framing, Connection, empty line. */
#define AUTO_MAX 256

#define PIECE(p, n)                                                            \
	(struct iovec)                                                         \
	{                                                                      \
		.iov_base = (void *)(uintptr_t)(p), .iov_len = (n)             \
	}

void httpwriter_begin(rg_http_writer *w, rg_http_request *r,
		      struct httpout *out)
{
	w->out = out;
	w->request = r;
	w->is_head = false;
	w->is_http10 = false;
	w->close = false;
	w->committed = false;
	w->chunked = false;
	w->has_type = false;
	w->has_date = false;
	w->has_encoding = false;
	w->err = 0;
	w->status = 0;
	w->declared = -1;
	w->written = 0;
	w->fields = w->fields_lent;
	w->fields_len = 0;
	w->fields_cap = HTTPWRITER_FIELDS;
	w->body_len = 0;
}

void httpwriter_abandon(rg_http_writer *w)
{
	if (rg_unlikely(w->fields != w->fields_lent))
		rgk_free(w->fields);
	w->fields = w->fields_lent;
	w->fields_cap = HTTPWRITER_FIELDS;
	w->fields_len = 0;
}

static char *put_text(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return p + n;
}

#define PUT(p, literal) put_text((p), literal, sizeof(literal) - 1)

static char *put_decimal(char *p, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return put_text(p, digits + at, sizeof(digits) - at);
}

/* Decide how the body ends (I2). known: its length, or -1. */
static char *put_framing(rg_http_writer *w, char *p, int64_t known)
{
	if (w->declared >= 0) {
		/* Too few bytes: the client must not wait for the rest. */
		if (known >= 0 && known < w->declared && !w->is_head)
			w->close = true;
		known = w->declared;
	} else if (w->is_head && !known) {
		return p; /* the handler left it out: nothing is known */
	}
	if (known >= 0) {
		p = PUT(p, "Content-Length: ");
		p = put_decimal(p, (uint64_t)known);
		return PUT(p, "\r\n");
	}
	if (w->is_http10) {
		w->close = true;
		return p;
	}
	w->chunked = true;
	return PUT(p, "Transfer-Encoding: chunked\r\n");
}

static char *put_type(char *p, const char *body, size_t len)
{
	const char *type = httpsniff(body, len);

	p = PUT(p, "Content-Type: ");
	p = put_text(p, type, strlen(type));
	return PUT(p, "\r\n");
}

/* The head; len is the body's whole length or -1, its first n bytes at start. */
static int commit(rg_http_writer *w, int64_t len, const char *start, size_t n)
{
	int status = w->status ? w->status : 200;
	bool has_body = httpstatus_has_body(status);
	char *p;

	if (HTTPOUT_SIZE - w->out->len < AUTO_MAX + w->fields_len)
		httpout_flush(w->out);
	p = httpout_room(w->out, AUTO_MAX / 2);
	if (!p)
		goto failed;
	w->committed = true;
	if (!httprequest_allows_reuse(w->request))
		w->close = true;
	p += httpstatus_line(p, status);
	if (!w->has_date) {
		p = PUT(p, "Date: ");
		p = put_text(p, httpdate_now(&w->date), HTTPDATE_LEN);
		p = PUT(p, "\r\n");
	}
	w->out->len = (uint32_t)(p - w->out->buf);
	httpout_put(w->out, &PIECE(w->fields, w->fields_len), 1);
	p = httpout_room(w->out, AUTO_MAX / 2);
	if (!p)
		goto failed;
	if (has_body) {
		if (!w->has_type && !w->has_encoding && n)
			p = put_type(p, start, n);
		p = put_framing(w, p, len);
	}
	if (w->close)
		p = PUT(p, "Connection: close\r\n");
	else if (w->is_http10)
		p = PUT(p, "Connection: keep-alive\r\n");
	p = PUT(p, "\r\n");
	w->out->len = (uint32_t)(p - w->out->buf);
	return 0;
failed:
	w->err = w->out->err;
	return w->err;
}

/* Put out what is in body and n bytes more. */
static int emit(rg_http_writer *w, const void *buf, size_t n)
{
	char head[HTTPCHUNK_HEAD];
	struct iovec v[4];
	int nv = 0;

	if (w->is_head || !(w->body_len + n)) {
		w->body_len = 0;
		return 0;
	}
	if (w->chunked) {
		size_t len = httpchunk_format(head, w->body_len + n);

		v[nv++] = PIECE(head, len);
	}
	v[nv++] = PIECE(w->body, w->body_len);
	v[nv++] = PIECE(buf, n);
	if (w->chunked)
		v[nv++] = PIECE("\r\n", 2);
	w->body_len = 0;
	w->err = httpout_put(w->out, v, nv);
	return w->err;
}

/* May n more bytes of body be written? 0, or why not. */
static int check_write(const rg_http_writer *w, size_t n)
{
	if (rg_unlikely(w->err))
		return w->err;
	if (w->status && !httpstatus_has_body(w->status))
		return n ? -EINVAL : 0;
	if (w->declared >= 0 && n > (uint64_t)(w->declared - w->written))
		return -EMSGSIZE;
	return 0;
}

static RG_NOINLINE int write_through(rg_http_writer *w, const void *buf,
				     size_t n)
{
	if (!w->committed) {
		const char *start = w->body_len ? w->body : buf;

		if (commit(w, -1, start, w->body_len ? w->body_len : n) < 0)
			return w->err;
	}
	if (emit(w, buf, n) < 0)
		httprequest_failed(w->request, w->err);
	return w->err;
}

ssize_t rg_http_write(rg_http_writer *w, const void *buf, size_t n)
{
	int err = check_write(w, n);

	if (rg_unlikely(err || !n))
		return err;
	if (rg_likely(n <= HTTPWRITER_BODY - w->body_len)) {
		memcpy(w->body + w->body_len, buf, n);
		w->body_len += (uint32_t)n;
	} else if (write_through(w, buf, n) < 0) {
		return w->err;
	}
	w->written += (int64_t)n;
	return (ssize_t)n;
}

/* The text did not fit behind what is buffered. */
static RG_COLD RG_PRINTF(3, 0) int print_slow(rg_http_writer *w, size_t n,
					      const char *fmt, va_list args)
{
	char *text = rgk_alloc(n + 1);
	ssize_t res;

	if (!text)
		return -ENOMEM;
	vsnprintf(text, n + 1, fmt, args);
	res = rg_http_write(w, text, n);
	rgk_free(text);
	return (int)res;
}

int rg_http_printf(rg_http_writer *w, const char *fmt, ...)
{
	size_t room = HTTPWRITER_BODY - w->body_len;
	va_list args;
	int n, err;

	va_start(args, fmt);
	n = vsnprintf(w->body + w->body_len, room, fmt, args);
	va_end(args);
	if (n < 0)
		return -EINVAL;
	if ((size_t)n >= room) {
		va_start(args, fmt);
		n = print_slow(w, (size_t)n, fmt, args);
		va_end(args);
		return n;
	}
	err = check_write(w, (size_t)n);
	if (err)
		return err;
	w->body_len += (uint32_t)n;
	w->written += n;
	return n;
}

int rg_http_flush(rg_http_writer *w)
{
	if (w->err)
		return w->err;
	if (!w->committed && commit(w, -1, w->body, w->body_len) < 0)
		goto failed;
	if (emit(w, NULL, 0) < 0)
		goto failed;
	w->err = httpout_flush(w->out);
	if (!w->err)
		return 0;
failed:
	httprequest_failed(w->request, w->err);
	return w->err;
}

/* A response before the response: 103 and its like. */
static void send_informational(rg_http_writer *w, int code)
{
	char line[HTTPSTATUS_LINE_MAX];
	struct iovec v[3];

	if (w->is_http10 || w->committed || w->err)
		return;
	v[0] = PIECE(line, httpstatus_line(line, code));
	v[1] = PIECE(w->fields, w->fields_len);
	v[2] = PIECE("\r\n", 2);
	w->err = httpout_put(w->out, v, 3);
	if (!w->err)
		w->err = httpout_flush(w->out);
}

void rg_http_status(rg_http_writer *w, int code)
{
	if (w->committed)
		return;
	if (code >= 100 && code < 200 && code != 101) {
		send_informational(w, code);
		return;
	}
	/* 101 would need the connection to be handed over. */
	w->status = code >= 200 && code <= 999 ? code : 500;
}

int httpwriter_end(rg_http_writer *w)
{
	if (rg_unlikely(w->err))
		return w->err;
	if (rg_likely(!w->committed)) {
		if (w->status && !httpstatus_has_body(w->status))
			w->body_len = 0;
		if (commit(w, w->written, w->body, w->body_len) < 0)
			return w->err;
	}
	if (emit(w, NULL, 0) < 0)
		return w->err;
	if (w->chunked && !w->is_head) {
		const struct iovec last =
			PIECE(HTTPCHUNK_LAST, sizeof(HTTPCHUNK_LAST) - 1);

		w->err = httpout_put(w->out, &last, 1);
	}
	if (w->declared > w->written && !w->is_head)
		w->close = true;
	return w->err;
}

int httpwriter_reply(rg_http_writer *w, int status, const char *text)
{
	w->fields_len = 0;
	w->has_type = w->has_date = w->has_encoding = false;
	w->status = status;
	w->declared = -1;
	w->written = 0;
	w->body_len = 0;
	rg_http_set_header(w, "Content-Type", "text/plain; charset=utf-8");
	rg_http_set_header(w, "X-Content-Type-Options", "nosniff");
	if (text)
		rg_http_printf(w, "%d %s: %s\n", status,
			       httpstatus_text(status), text);
	else
		rg_http_printf(w, "%d %s\n", status, httpstatus_text(status));
	return httpwriter_end(w);
}
