/* SPDX-License-Identifier: MIT */
/*
 * httpclient - calls: from a URL to a response, over a kept or a new connection,
 * along redirects.
 *
 *   I1  a request is sent a second time only if it came over a kept connection that
 *       ended before the first byte of a response, and its method is idempotent.
 *   I2  the time limit of a call counts from its start to the end of its body. The
 *       goroutine's context counts besides.
 *   I3  a client lives until it was freed and its last response is closed.
 * Any goroutine or thread; calls run side by side. They park.
 * Source for redirects and retries: Go's net/http client.go and transport.go.
 */
#ifndef RG_HTTPCLIENT_H
#define RG_HTTPCLIENT_H

#include <ringgo/http.h>

struct httplink;

rg_http_client *httpclient_ref(rg_http_client *c);
void httpclient_unref(rg_http_client *c);

/* httpclient_keep - l may serve another call. */
void httpclient_keep(rg_http_client *c, struct httplink *l);

#endif
