/* SPDX-License-Identifier: MIT */
/*
 * httpwriter - the response of one request: head, framing, body.
 *
 *   I1  `committed` is set once, when the head is put out; until then status and
 *       fields may change, afterwards they are ignored.
 *   I2  a body that fits into `body` leaves with its head and a Content-Length in
 *       one piece; a longer or flushed one is chunked (or, to a client of 1.0, ends
 *       with the connection), unless the handler declared its length.
 *   I3  `fields` holds what the handler set as it will be sent, each name once but
 *       Set-Cookie. Framing never comes from there: Content-Length, Connection and
 *       Transfer-Encoding are kept out.
 *   I4  no CR, LF or NUL of a handler's value reaches the wire.
 * One goroutine at a time: the one that runs the handler. Writing may park.
 * The fixed parts are large enough that an ordinary response allocates nothing.
 */
#ifndef RG_HTTPWRITER_H
#define RG_HTTPWRITER_H

#include <ringgo/http.h>

#include "net/http/httpdate.h"
#include "net/http/httpout.h"

enum { HTTPWRITER_BODY = 4096, HTTPWRITER_FIELDS = 512 };

struct rg_http_writer {
	/* const while one request is answered */
	struct httpout *out;
	rg_http_request *request;
	bool is_head;   /* answers HEAD: no body is sent */
	bool is_http10; /* to a client that cannot read chunks */

	bool close; /* the connection ends with this response */
	bool committed;
	bool chunked;
	bool has_type; /* set by the handler, or suppressed */
	bool has_date;
	bool has_encoding; /* Content-Encoding: the bytes say nothing */
	int err;           /* no memory or a failed write: sticky */
	int status;        /* 0: not set, 200 */
	int64_t declared;  /* Content-Length by the handler; -1: none */
	int64_t written;   /* body bytes taken from the handler */
	char *fields;
	uint32_t fields_len, fields_cap;
	uint32_t body_len;    /* in body, not put out yet */
	struct httpdate date; /* outlives the request */
	char fields_lent[HTTPWRITER_FIELDS];
	char body[HTTPWRITER_BODY];
};

/* httpwriter_begin - a response to r; the struct was zeroed or ended before. */
void httpwriter_begin(rg_http_writer *w, rg_http_request *r,
		      struct httpout *out);

/* httpwriter_end - all of the response is put out (not flushed). Returns w->err. */
int httpwriter_end(rg_http_writer *w);

/* httpwriter_abandon - free what w holds, whatever its state. */
void httpwriter_abandon(rg_http_writer *w);

/* httpwriter_reply - a whole response with a short text (NULL: the status alone); w
 * is not committed. What the handler set is dropped. */
int httpwriter_reply(rg_http_writer *w, int status, const char *text);

/* Nothing has been said by the handler yet. */
static inline bool httpwriter_is_untouched(const rg_http_writer *w)
{
	return !w->committed && !w->status && !w->written;
}

#endif
