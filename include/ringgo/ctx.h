/* SPDX-License-Identifier: MIT */
/*
 * ringgo/ctx.h - contexts: cancellation and deadlines that travel down a tree.
 *
 * Reference counted; a constructor returns one reference and NULL when out of
 * memory (a NULL parent panics). A child ends when its parent does. While a context
 * is bound to a goroutine, its parking calls heed it: rg_sleep, rg_sem_acquire and
 * all file, socket, network and HTTP calls but the close family return its error.
 */
#ifndef RINGGO_CTX_H
#define RINGGO_CTX_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

RG_API rg_ctx *rg_ctx_background(void); /* lent; never ends */
RG_API rg_ctx *rg_ctx_with_cancel(rg_ctx *parent);
RG_API rg_ctx *rg_ctx_with_deadline(rg_ctx *parent, rg_time t);
RG_API rg_ctx *rg_ctx_with_timeout(rg_ctx *parent, rg_duration d);

/* rg_ctx_cancel - end c and all below it. reason: a negative errno, 0 means
 * -ECANCELED; the first one stays. Does not park. The background one panics. */
RG_API void rg_ctx_cancel(rg_ctx *c, int reason);

RG_API rg_chan *
rg_ctx_done(rg_ctx *c); /* closed when c ends; lent; NULL: never */
RG_API int rg_ctx_err(const rg_ctx *c);   /* 0 | -ECANCELED | -ETIMEDOUT */
RG_API int rg_ctx_cause(const rg_ctx *c); /* 0 | the first reason */

RG_API rg_ctx *rg_ctx_ref(rg_ctx *c);
RG_API void rg_ctx_unref(rg_ctx *c);

/* rg_ctx_bind - bind c (takes a reference of its own) to this goroutine; returns the
 * former one with its reference, or NULL. NULL unbinds. Goroutines that it starts
 * inherit it. Panics on a foreign thread. */
RG_API rg_ctx *rg_ctx_bind(rg_ctx *c);
RG_API rg_ctx *rg_ctx_current(void); /* the bound one, or background; lent */

RG_END_DECLS

#endif
