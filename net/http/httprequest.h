/* SPDX-License-Identifier: MIT */
/*
 * httprequest - one request as its handler sees it.
 *
 *   I1  the head stays where it was parsed until the request ends (httpin.h I1).
 *       Texts given to the handler end with a NUL written over the delimiter behind
 *       them; where that byte is needed, or the text has escapes, they are copied
 *       to `scratch`.
 *   I2  the context is made at the first question for it and ends when the request
 *       does, at the latest. While it exists a goroutine watches for the client's
 *       end; a handler that never asks costs none.
 *   I3  before anything waits for more of the body, what is held for the client is
 *       sent: it may wait for that before it goes on.
 * One goroutine at a time: the one that runs the handler.
 * Rejected: watching every connection while its handler runs, as Go does (a second
 * operation in flight for each request, for the few handlers that ask).
 */
#ifndef RG_HTTPREQUEST_H
#define RG_HTTPREQUEST_H

#include <ringgo/http.h>

#include "net/http/httpmux.h"
#include "net/http/httpout.h"
#include "net/http/httpparse.h"
#include "net/http/httpreader.h"

/* An unread body of at most this is dropped to keep the connection. */
#define HTTPREQUEST_DRAIN (256 << 10)

enum { HTTPREQUEST_SCRATCH = 512 };

struct httpconn;
struct scratch_block;

struct rg_http_request {
	/* const while the request is answered */
	struct httpconn *hc;
	const struct httphead *head;
	char *base; /* first byte of the head */
	struct httpout *out;
	rg_http_writer *writer;

	struct httpmux_match match;
	struct httpreader body;
	bool wants_continue; /* 100 is to be sent before the body is read */
	bool has_failed;     /* the connection is of no use any more */
	rg_ctx *ctx;         /* I2; a reference, or NULL */
	const char *path;    /* decoded, or NULL: not asked for yet */

	uint32_t scratch_len;
	struct scratch_block *more_scratch; /* heap, newest first */
	char scratch[HTTPREQUEST_SCRATCH];
};

/* httprequest_begin - head was parsed in in; at its first body byte is in->pos. */
void httprequest_begin(rg_http_request *r, struct httpconn *hc,
		       const struct httphead *head, struct httpin *in,
		       struct httpout *out);

/* httprequest_end - ends the context, frees what r holds. */
void httprequest_end(rg_http_request *r);

/* httprequest_failed - reading or writing failed: the context ends with reason. */
void httprequest_failed(rg_http_request *r, int reason);

/* httprequest_allows_reuse - as far as the request is concerned another one may
 * follow on the connection. */
bool httprequest_allows_reuse(const rg_http_request *r);

/* httprequest_alloc - n bytes that live as long as r; NULL: no memory. */
char *httprequest_alloc(rg_http_request *r, size_t n);

#endif
