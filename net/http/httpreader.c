// SPDX-License-Identifier: MIT
/*
 * httpreader - see httpreader.h.
 */
#include "net/http/httpreader.h"

#include <string.h>

#include "kernel-iface/base/check.h"

/* From here on a read bypasses the buffer: a copy of less costs next to nothing,
 * and filling the buffer may bring the next message along. */
#define DIRECT_MIN 1024

void httpreader_init(struct httpreader *r, struct httpin *in,
		     const struct httphead *h)
{
	r->in = in;
	r->base = in->start + h->len;
	r->kind = h->body;
	r->eof = h->body == HTTPBODY_NONE;
	r->err = 0;
	r->left = h->body == HTTPBODY_LENGTH ? h->content_length : 0;
	r->delivered = 0;
	r->max = 0;
	r->span = NULL;
	r->span_len = 0;
	r->before_wait = NULL;
	r->arg = NULL;
	if (h->body == HTTPBODY_CHUNKED) {
		struct httplimits limits = {.max_head = HTTPREADER_TRAILER};

		httpchunk_init(&r->chunk, r->trailer, HTTPREADER_FIELDS,
			       &limits);
	}
}

/* The peer's end: the end of a body without other bounds, else too early. */
static int peer_closed(struct httpreader *r)
{
	if (r->kind != HTTPBODY_CLOSE)
		return -EBADMSG;
	r->eof = true;
	return 0;
}

static int may_wait(struct httpreader *r)
{
	return r->before_wait ? r->before_wait(r->arg) : 0;
}

/* More bytes into the buffer: 1, 0 the peer closed, or an error. */
static int refill(struct httpreader *r)
{
	struct httpin *in = r->in;
	uint32_t kept = in->len - in->pos;
	ssize_t n = may_wait(r);

	if (n < 0)
		return (int)n;
	if (!kept) {
		n = httpin_fill_body(in, r->base);
	} else {
		/* An unfinished trailer: it stays together. */
		memmove(in->buf + r->base, in->buf + in->pos, kept);
		in->pos = r->base;
		in->len = r->base + kept;
		if (in->len == in->cap)
			return -EBADMSG;
		n = httpin_fill(in);
	}
	return n > 0 ? 1 : (int)n;
}

static void take_span(struct httpreader *r, size_t n)
{
	r->span = r->in->buf + r->in->pos;
	r->span_len = n;
	r->in->pos += (uint32_t)n;
}

/* Like all span_*: 1: a span is set, 0: more bytes are wanted or, if eof is set,
 * there are none; negative: the body is malformed. */
static int span_chunked(struct httpreader *r)
{
	struct httpin *in = r->in;
	struct httpchunk_step step;
	int rc = httpchunk_next(&r->chunk, in->buf + in->pos, in->len - in->pos,
				&step);

	in->pos += (uint32_t)step.used;
	if (rc == HTTPCHUNK_DATA) {
		r->span = step.data;
		r->span_len = step.data_len;
		return 1;
	}
	if (rc == HTTPCHUNK_END)
		r->eof = true;
	return rc == HTTPCHUNK_ERROR ? -EBADMSG : 0;
}

static int span_buffered(struct httpreader *r)
{
	struct httpin *in = r->in;
	size_t n = in->len - in->pos;

	if (r->kind == HTTPBODY_CHUNKED)
		return span_chunked(r);
	if (r->kind == HTTPBODY_LENGTH) {
		if (n > (uint64_t)r->left)
			n = (size_t)r->left;
		r->left -= (int64_t)n;
		r->eof = !r->left;
	}
	if (n)
		take_span(r, n);
	return n > 0;
}

/* Sets the next span, waiting for it: 1, 0 end, or an error. */
static int next_span(struct httpreader *r)
{
	for (;;) {
		int rc = r->eof ? 0 : span_buffered(r);

		if (rc || r->eof)
			return rc;
		rc = refill(r);
		if (rc < 0)
			return rc;
		if (!rc)
			return peer_closed(r);
	}
}

/* How many bytes may be read past the buffer (I3). */
static uint64_t direct_len(const struct httpreader *r)
{
	if (r->in->pos != r->in->len || r->eof)
		return 0;
	if (r->kind == HTTPBODY_CHUNKED)
		return httpchunk_direct(&r->chunk);
	return r->kind == HTTPBODY_LENGTH ? (uint64_t)r->left : SIZE_MAX;
}

static ssize_t read_direct(struct httpreader *r, void *buf, size_t n)
{
	ssize_t got = may_wait(r);

	if (got < 0)
		return got;
	got = rg_conn_read(r->in->conn, buf, n);
	if (!got)
		return peer_closed(r);
	if (got < 0 || r->kind == HTTPBODY_CLOSE)
		return got;
	if (r->kind == HTTPBODY_CHUNKED) {
		httpchunk_took(&r->chunk, (uint64_t)got);
	} else {
		r->left -= got;
		r->eof = !r->left;
	}
	return got;
}

static ssize_t read_some(struct httpreader *r, void *buf, size_t n)
{
	int rc = 1;

	if (!r->span_len && n >= DIRECT_MIN) {
		uint64_t direct = direct_len(r);

		if (direct)
			return read_direct(r, buf, n < direct ? n : direct);
	}
	if (!r->span_len)
		rc = next_span(r);
	if (rc <= 0)
		return rc;
	if (n > r->span_len)
		n = r->span_len;
	memcpy(buf, r->span, n);
	r->span += n;
	r->span_len -= n;
	return (ssize_t)n;
}

ssize_t httpreader_read(struct httpreader *r, void *buf, size_t n)
{
	ssize_t got;

	if (r->err)
		return r->err;
	if (!n)
		return 0;
	got = read_some(r, buf, n);
	if (got < 0) {
		r->err = (int)got;
		return got;
	}
	r->delivered += got;
	if (rg_likely(!r->max || r->delivered <= r->max))
		return got;
	r->err = -EMSGSIZE;
	got -= r->delivered - r->max;
	return got > 0 ? got : -EMSGSIZE;
}

int httpreader_drain(struct httpreader *r, int64_t limit)
{
	int rc = 0;

	while (!r->err) {
		limit -= (int64_t)r->span_len;
		r->span_len = 0;
		if (r->eof)
			return 0;
		if (limit <= 0 || limit < r->left)
			return -EFBIG;
		rc = next_span(r);
		if (rc < 0)
			r->err = rc;
	}
	return r->err;
}
