// SPDX-License-Identifier: MIT
/*
 * httpframing - see httpframing.h.
 *
 * Each field that matters is noted in p->seen or p->head when its line is
 * complete; what only the whole head can tell is judged at its end. So the
 * order of faults is the order of the bytes.
 */
#include "net/http/httpframing.h"

#include <string.h>

#include "kernel-iface/base/check.h"
#include "net/http/httpchar.h"

enum {
	SEEN_HOST = 1,
	SEEN_LENGTH = 2,
	SEEN_CODING = 4,
	SEEN_CODING_BAD = 8, /* not exactly one "chunked" */
	SEEN_EXPECT_100 = 16,
	SEEN_EXPECT_BAD = 32,
	SEEN_CLOSE = 64,
	SEEN_KEEP_ALIVE = 128,
	SEEN_UPGRADE = 256,
};

/* ---- what fields say ---- */

static int see_host(struct httpparse *p, const uint8_t *b, struct httpslice v)
{
	if (p->kind == KIND_RESPONSE)
		return STEP_NEXT;
	if (p->seen & SEEN_HOST)
		return httpparse_fail(p, 400, "more than one Host");
	if (!httpchar_all(b + v.off, v.len, HTTPCHAR_HOST))
		return httpparse_fail(p, 400, "invalid byte in Host");
	p->seen |= SEEN_HOST;
	/* RFC 9112 3.2.2: the target's authority wins over the field. */
	if (p->head.form == HTTPTARGET_ORIGIN ||
	    p->head.form == HTTPTARGET_ASTERISK)
		p->head.host = v;
	return STEP_NEXT;
}

static int see_length(struct httpparse *p, const uint8_t *b, struct httpslice v)
{
	int64_t n = 0;

	if (!v.len)
		return httpparse_fail(p, 400, "empty Content-Length");
	for (uint32_t i = 0; i < v.len; i++) {
		uint8_t c = b[v.off + i];

		if (!httpchar_is(c, HTTPCHAR_DIGIT))
			return httpparse_fail(p, 400,
					      "Content-Length is no number");
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, c - '0', &n))
			return httpparse_fail(p, 400,
					      "Content-Length too large");
	}
	if ((p->seen & SEEN_LENGTH) && p->head.content_length != n)
		return httpparse_fail(p, 400,
				      "different values of Content-Length");
	p->seen |= SEEN_LENGTH;
	p->head.content_length = n;
	return STEP_NEXT;
}

static int see_coding(struct httpparse *p, const uint8_t *b, struct httpslice v)
{
	if ((p->seen & SEEN_CODING) || v.len != 7 ||
	    !httpchar_is_name(b + v.off, "chunked", 7))
		p->seen |= SEEN_CODING_BAD;
	p->seen |= SEEN_CODING;
	return STEP_NEXT;
}

static int see_expect(struct httpparse *p, const uint8_t *b, struct httpslice v)
{
	if (v.len == 12 && httpchar_is_name(b + v.off, "100-continue", 12))
		p->seen |= SEEN_EXPECT_100;
	else if (v.len)
		p->seen |= SEEN_EXPECT_BAD;
	return STEP_NEXT;
}

static int see_connection(struct httpparse *p, const uint8_t *b,
			  struct httpslice v)
{
	uint32_t end = v.off + v.len;

	for (uint32_t off = v.off; off < end;) {
		const uint8_t *comma =
			httpchar_find2(b + off, b + end, ',', ',');
		uint32_t stop = (uint32_t)(comma - b);
		struct httpslice s = httpslice_trim(b, off, stop);
		const uint8_t *t = b + s.off;

		if (s.len == 5 && httpchar_is_name(t, "close", 5))
			p->seen |= SEEN_CLOSE;
		else if (s.len == 10 && httpchar_is_name(t, "keep-alive", 10))
			p->seen |= SEEN_KEEP_ALIVE;
		else if (s.len == 7 && httpchar_is_name(t, "upgrade", 7))
			p->seen |= SEEN_UPGRADE;
		off = stop + 1;
	}
	return STEP_NEXT;
}

/* RFC 9110 6.5.1: what decides framing, routing, access or how to process. */
static const char *const forbidden_in_trailer[] = {
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

static int see_trailer(struct httpparse *p, const uint8_t *name, uint32_t len)
{
	size_t n = sizeof(forbidden_in_trailer) / sizeof(char *);

	for (size_t i = 0; i < n; i++)
		if (strlen(forbidden_in_trailer[i]) == len &&
		    httpchar_is_name(name, forbidden_in_trailer[i], len))
			return httpparse_fail(p, 400,
					      "field not allowed in a trailer");
	return STEP_NEXT;
}

int httpframing_field(struct httpparse *p, const uint8_t *b,
		      const struct httpfield *f)
{
	const uint8_t *name = b + f->name.off;

	if (rg_unlikely(p->kind == KIND_TRAILER))
		return see_trailer(p, name, f->name.len);
	switch (f->name.len) {
	case 4:
		if (httpchar_is_name(name, "host", 4))
			return see_host(p, b, f->value);
		break;
	case 6:
		if (httpchar_is_name(name, "expect", 6))
			return see_expect(p, b, f->value);
		break;
	case 10:
		if (httpchar_is_name(name, "connection", 10))
			return see_connection(p, b, f->value);
		break;
	case 14:
		if (httpchar_is_name(name, "content-length", 14))
			return see_length(p, b, f->value);
		break;
	case 17:
		if (httpchar_is_name(name, "transfer-encoding", 17))
			return see_coding(p, b, f->value);
		break;
	default:
		break;
	}
	return STEP_NEXT;
}

/* ---- the whole head ---- */

static void set_connection(struct httpparse *p)
{
	struct httphead *h = &p->head;

	h->has_upgrade = p->seen & SEEN_UPGRADE;
	h->keep_alive = !(p->seen & SEEN_CLOSE) &&
			(h->minor == 1 || (p->seen & SEEN_KEEP_ALIVE));
}

/* RFC 9112 6.1 and 6.3: what may be smuggling is refused, not repaired. */
static int check_coding(struct httpparse *p)
{
	if (!(p->seen & SEEN_CODING))
		return STEP_NEXT;
	if (p->head.minor == 0)
		return httpparse_fail(p, 400,
				      "Transfer-Encoding with HTTP/1.0");
	if (p->seen & SEEN_LENGTH)
		return httpparse_fail(p, 400,
				      "Transfer-Encoding and Content-Length");
	if (p->seen & SEEN_CODING_BAD)
		return httpparse_fail(p, p->kind == KIND_REQUEST ? 501 : 400,
				      "Transfer-Encoding other than chunked");
	return STEP_NEXT;
}

static int finish_request(struct httpparse *p)
{
	struct httphead *h = &p->head;

	if (!(p->seen & SEEN_HOST) && h->minor == 1 &&
	    h->method != HTTP_CONNECT)
		return httpparse_fail(p, 400, "HTTP/1.1 without Host");
	if (check_coding(p) != STEP_NEXT)
		return HTTPPARSE_ERROR;
	if (p->seen & SEEN_EXPECT_BAD)
		return httpparse_fail(p, 417, "unknown expectation");
	if (p->seen & SEEN_CODING)
		h->body = HTTPBODY_CHUNKED;
	else if (h->content_length > 0)
		h->body = HTTPBODY_LENGTH;
	h->expect_continue = (p->seen & SEEN_EXPECT_100) && h->minor == 1 &&
			     h->body != HTTPBODY_NONE;
	set_connection(p);
	return HTTPPARSE_OK;
}

static bool is_bodiless(const struct httpparse *p)
{
	int s = p->head.status;

	return p->to_method == HTTP_HEAD || s < 200 || s == 204 || s == 304 ||
	       (p->to_method == HTTP_CONNECT && s < 300);
}

static int finish_response(struct httpparse *p)
{
	struct httphead *h = &p->head;

	if (check_coding(p) != STEP_NEXT)
		return HTTPPARSE_ERROR;
	if (is_bodiless(p))
		h->body = HTTPBODY_NONE;
	else if (p->seen & SEEN_CODING)
		h->body = HTTPBODY_CHUNKED;
	else if (p->seen & SEEN_LENGTH)
		h->body = h->content_length ? HTTPBODY_LENGTH : HTTPBODY_NONE;
	else
		h->body = HTTPBODY_CLOSE;
	set_connection(p);
	h->keep_alive = h->keep_alive && h->body != HTTPBODY_CLOSE;
	return HTTPPARSE_OK;
}

int httpframing_finish(struct httpparse *p)
{
	if (p->kind == KIND_REQUEST)
		return finish_request(p);
	return p->kind == KIND_RESPONSE ? finish_response(p) : HTTPPARSE_OK;
}
