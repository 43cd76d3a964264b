/* SPDX-License-Identifier: MIT */
/*
 * httpcall - one request of the client: what the user asked for, checked, and as
 * bytes; and what a redirect makes of it.
 *
 *   I1  nothing that could end a line or start another message gets into the head:
 *       the method is a token, the URL was split by httpurl, names and values hold
 *       no control bytes, and framing fields are the library's alone.
 *   I2  credentials that were dropped at a redirect to another host stay dropped.
 * Does not park; any thread. Sources: RFC 9110 sections 7.2, 8.6 and 15.4, Go's
 * net/http client.go.
 */
#ifndef RG_HTTPCALL_H
#define RG_HTTPCALL_H

#include <ringgo/http.h>

#include "net/http/httpparse.h"
#include "net/http/httpurl.h"

struct httpcall {
	char *url_text; /* heap; url points into it */
	struct httpurl url;
	const char *method; /* the user's, or static */
	enum httpmethod method_id;
	const char *const *headers; /* the user's */
	const void *body;           /* the user's */
	size_t body_len;
	bool drop_credentials; /* I2 */
	bool drop_host;        /* a Host of the user's was for another host */
	bool drop_content;     /* the body and its fields: now a GET */
	bool wants_close;      /* the user asked for "Connection: close" */
	bool is_idempotent;
};

/* httpcall_init - 0; -EINVAL, -EPROTONOSUPPORT or -ENOMEM: c needs no fini. */
int httpcall_init(struct httpcall *c, const rg_http_call *user);
void httpcall_fini(struct httpcall *c);

/* httpcall_head - the head as bytes, freed with rgk_free. 0 or -ENOMEM. */
int httpcall_head(const struct httpcall *c, char **out, size_t *len);

/* httpcall_key - "host:port" to dial, in lower case, freed with rgk_free. */
char *httpcall_key(const struct httpcall *c);

/* httpcall_redirect - follow location, as a response of that status asks.
 * 0, or the errors of init; then c is as before. */
int httpcall_redirect(struct httpcall *c, int status, const char *location);

#endif
