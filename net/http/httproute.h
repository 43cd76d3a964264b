/* SPDX-License-Identifier: MIT */
/*
 * httproute - from a request to its handler: the public side of muxes, and the
 * answers that need no handler (not found, method not allowed, redirect).
 *
 * Beyond Go's patterns a mux knows "*": every request that no pattern matches, with
 * its target as sent, before any cleaning or redirect; also OPTIONS * and CONNECT.
 *   I1  a mux is not freed while a server uses it (the user's duty).
 * Any goroutine or thread; serving runs the handler, which may park.
 */
#ifndef RG_HTTPROUTE_H
#define RG_HTTPROUTE_H

#include <ringgo/http.h>

/* httproute_default - the mux of rg_http_handle. */
rg_http_mux *httproute_default(void);

/* httproute_find - the handler of r, or one of the built-in answers; r->match is
 * filled. Never NULL. */
rg_http_handler *httproute_find(rg_http_mux *m, rg_http_request *r, void **arg);

#endif
