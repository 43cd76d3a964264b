/* SPDX-License-Identifier: MIT */
/*
 * httpresponse - a response as the client's user holds it: its head, and its body as
 * it is read.
 *
 *   I1  `link` is the connection as long as the response needs it; it goes back to
 *       the pool as soon as the body's end was read and both sides want that, else
 *       it is closed with the response.
 *   I2  the head stays in place until the response is closed (httpin.h I1).
 * One goroutine or thread at a time. Reading parks.
 */
#ifndef RG_HTTPRESPONSE_H
#define RG_HTTPRESPONSE_H

#include <ringgo/http.h>

#include "net/http/httpin.h"
#include "net/http/httpparse.h"
#include "net/http/httppool.h"
#include "net/http/httpreader.h"

enum {
	HTTPRESPONSE_IN = 4096,
	HTTPRESPONSE_FIELDS = 200,
	HTTPRESPONSE_HEAD = 1 << 20, /* bytes of one head */
	HTTPRESPONSE_INFO = 32,      /* heads of 1xx before the final one */
};

struct rg_http_response {
	rg_http_client *client; /* a reference */
	struct httplink *link;  /* I1 */
	bool may_reuse;         /* as far as our side is concerned */
	struct httpin in;
	struct httpparse parse;
	struct httpreader body;
	char number[8]; /* status text where there is no reason phrase */
	struct httpfield fields[HTTPRESPONSE_FIELDS];
	char in_lent[HTTPRESPONSE_IN];
};

/* httpresponse_new - for a request on link, which stays the caller's until
 * read_head succeeded. NULL: no memory. */
rg_http_response *httpresponse_new(rg_http_client *client,
				   struct httplink *link);

/* httpresponse_read_head - the final head of the response to a request with that
 * method. 0; -EPIPE: the peer closed before the first byte; -EBADMSG; or of read. */
int httpresponse_read_head(rg_http_response *resp, enum httpmethod method);

/* httpresponse_free - without the link. */
void httpresponse_free(rg_http_response *resp);

/* httpresponse_settle - gives the link back if the body is read. */
void httpresponse_settle(rg_http_response *resp);

#endif
