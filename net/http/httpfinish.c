// SPDX-License-Identifier: MIT
/*
 * httpfinish - see httpfinish.h.
 */
#include "net/http/httpfinish.h"

#include <ringgo/runtime.h>

#include "net/http/httpconn.h"
#include "net/http/httpserver.h"
#include "sched/timer.h"

/* How long and how much is waited for by a lingering close. */
#define LINGER_TIME  (500 * RG_MILLISECOND)
#define LINGER_BYTES (1 << 20)

/* Without a header timeout: how long the rest of an unread body may take. */
#define DRAIN_TIME (10 * RG_SECOND)

static void linger(struct httpconn *hc, struct httpblock *b)
{
	struct httpin *in = &b->in;
	size_t left = LINGER_BYTES;
	ssize_t n = 1;

	if (rg_conn_close_write(hc->conn) < 0 ||
	    httpconn_set_read_deadline(hc, timer_after(LINGER_TIME)) < 0)
		return;
	while (n > 0 && left > 0) {
		size_t want = left < in->cap ? left : in->cap;

		n = rg_conn_read(hc->conn, in->buf, want);
		if (n > 0)
			left -= (size_t)n;
	}
}

static void end_request(struct httpblock *b)
{
	httprequest_end(&b->request);
	httpwriter_abandon(&b->writer);
}

void httpfinish_refuse(struct httpconn *hc, struct httpblock *b, int status,
		       const char *reason)
{
	httprequest_begin(&b->request, hc, &b->parse.head, &b->in, &b->out);
	b->request.has_failed = true; /* no reuse */
	httpwriter_begin(&b->writer, &b->request, &b->out);
	b->request.writer = &b->writer;
	b->writer.close = true;
	httpwriter_reply(&b->writer, status, reason);
	if (httpout_flush(&b->out) == 0)
		linger(hc, b);
	end_request(b);
}

/* The handler read a body that was no good and said nothing. */
static int status_of_body(int err)
{
	switch (err) {
	case -EMSGSIZE:
		return 413;
	case -EBADMSG:
		return 400;
	case -ETIMEDOUT:
		return 408;
	default:
		return 0;
	}
}

/* The client may wait for the response before it sends the rest, so that goes
 * first. True: the body is at its end. */
static bool drain(struct httpconn *hc, struct httpblock *b)
{
	rg_duration timeout = hc->server->header_timeout;
	struct httpreader *body = &b->request.body;

	if (httpreader_is_done(body))
		return true;
	if (httpout_flush(&b->out) < 0)
		return false;
	body->before_wait = NULL;
	return httpconn_set_read_deadline(
		       hc, timer_after(timeout ? timeout : DRAIN_TIME)) == 0 &&
	       httpreader_drain(body, HTTPREQUEST_DRAIN) == 0;
}

static RG_NOINLINE bool last_response(struct httpconn *hc, struct httpblock *b)
{
	/* More than was asked for has come, or may be on its way. */
	bool is_sending =
		!httpreader_is_done(&b->request.body) || b->in.len > b->in.pos;

	if (httpout_flush(&b->out) == 0 && is_sending)
		linger(hc, b);
	end_request(b);
	return false;
}

bool httpfinish(struct httpconn *hc, struct httpblock *b)
{
	struct rg_http_request *r = &b->request;
	struct rg_http_writer *w = &b->writer;
	int status = status_of_body(r->body.err);

	if (rg_unlikely(status && httpwriter_is_untouched(w)))
		httpwriter_reply(w, status, NULL);
	else
		httpwriter_end(w);
	if (rg_unlikely(w->err)) {
		end_request(b);
		return false;
	}
	if (rg_unlikely(w->close || !drain(hc, b)))
		return last_response(hc, b);
	end_request(b);
	return true;
}
