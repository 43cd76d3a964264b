/* SPDX-License-Identifier: MIT */
/*
 * ctx - what the layers above may know of a context beyond its public face.
 */
#ifndef RG_SYNC_CTX_H
#define RG_SYNC_CTX_H

#include <ringgo/ctx.h>

/* ctx_deadline - when c ends at the latest; RG_FOREVER: never by itself. */
rg_time ctx_deadline(const rg_ctx *c);

/* ctx_token - what its goroutines' parking calls look at; NULL: c never ends. Lent. */
struct cancel_token *ctx_token(rg_ctx *c);

#endif
