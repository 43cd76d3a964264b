/* SPDX-License-Identifier: MIT */
/*
 * ringgo/ctx.h - contexts: cancellation, deadlines and values that travel down a tree.
 *
 * Reference counted; a constructor returns one reference and NULL when out of
 * memory (a NULL parent panics). A child ends when its parent does. While a context
 * is bound to a goroutine, its parking calls heed it: rg_sleep, rg_sem_acquire and
 * all file, socket, network and HTTP calls but the close family return its error.
 * Unless it says otherwise a call may come from any thread and does not park.
 */
#ifndef RINGGO_CTX_H
#define RINGGO_CTX_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

/* Lent, never end, and are alike; todo says that the right one is not known yet. */
RG_API rg_ctx *rg_ctx_background(void);
RG_API rg_ctx *rg_ctx_todo(void);

RG_API rg_ctx *rg_ctx_with_cancel(rg_ctx *parent);
RG_API rg_ctx *rg_ctx_with_deadline(rg_ctx *parent, rg_time t);
RG_API rg_ctx *rg_ctx_with_timeout(rg_ctx *parent, rg_duration d);

/* The same with a cause for when the time is up: a negative errno, 0 means
 * -ETIMEDOUT. The error is -ETIMEDOUT in any case. */
RG_API rg_ctx *rg_ctx_with_deadline_cause(rg_ctx *parent, rg_time t, int cause);
RG_API rg_ctx *rg_ctx_with_timeout_cause(rg_ctx *parent, rg_duration d,
					 int cause);

/* rg_ctx_with_value - a child that carries value under key, which is compared as a
 * pointer: take the address of a static object. A NULL key panics. value stays the
 * caller's, and must live as long as the context and all below it.
 * rg_ctx_value - what c or the nearest one above it carries; NULL: nothing. */
RG_API rg_ctx *rg_ctx_with_value(rg_ctx *parent, const void *key, void *value);
RG_API void *rg_ctx_value(const rg_ctx *c, const void *key);

/* rg_ctx_without_cancel - has the parent's values and nothing else of it: neither its
 * end nor its deadline. */
RG_API rg_ctx *rg_ctx_without_cancel(rg_ctx *parent);

/*
 * rg_ctx_with_signals - a child that ends, with the cause -EINTR, when one of the n
 * signals arrives; from now on they do not have their default action. They have it
 * again (unless others listen, rg_signal_notify) after rg_ctx_stop_signals, which
 * leaves the context alone, or with the last reference: a second ^C during a long
 * shutdown ends the program if stop was called.
 * 0; -EINVAL: n is 0, or one of them cannot be caught; -ESRCH: no runtime; -ENOMEM,
 * -EMFILE. *out is untouched on failure. rg_ctx_stop_signals: 0; -ENOENT: it listens
 * to none. Both may park, and so may the last rg_ctx_unref of such a context.
 */
RG_API int rg_ctx_with_signals(rg_ctx *parent, const int *signals, size_t n,
			       rg_ctx **out);
RG_API int rg_ctx_stop_signals(rg_ctx *c);

/* rg_ctx_cancel - end c and all below it. reason: a negative errno, 0 means
 * -ECANCELED; the first one stays. When it returns all of them have ended. The
 * background and the todo one panic. */
RG_API void rg_ctx_cancel(rg_ctx *c, int reason);

RG_API rg_chan *
rg_ctx_done(rg_ctx *c); /* closed when c ends; lent; NULL: never */
RG_API int rg_ctx_err(const rg_ctx *c);   /* 0 | -ECANCELED | -ETIMEDOUT */
RG_API int rg_ctx_cause(const rg_ctx *c); /* 0 | the first reason */

/* rg_ctx_deadline - when c ends at the latest: the earliest of its own and those above
 * it. RG_FOREVER: it has none. */
RG_API rg_time rg_ctx_deadline(const rg_ctx *c);

/* rg_ctx_format - write how c was made, "background.with_cancel.with_value", to buf,
 * cut to size bytes with the final 0 (none if size is 0). The whole length. */
RG_API size_t rg_ctx_format(const rg_ctx *c, char *buf, size_t size);

/*
 * rg_ctx_after_func - when c has ended, run fn(arg) in a goroutine of its own, which
 * inherits no context; at once if it has already. At most once. The call keeps c,
 * and costs no goroutine until then. NULL: out of memory, or no runtime. A runtime
 * that ends takes its calls with it, as it does goroutines.
 * rg_ctx_after_stop - true: fn has not been started for it, and never will be. false:
 * it was started, or stopped before; it may run still.
 * rg_ctx_after_free - stop, and give it back; NULL is nothing. fn may call it.
 */
typedef struct rg_ctx_after rg_ctx_after;
RG_API rg_ctx_after *rg_ctx_after_func(rg_ctx *c, void (*fn)(void *arg),
				       void *arg);
RG_API bool rg_ctx_after_stop(rg_ctx_after *a);
RG_API void rg_ctx_after_free(rg_ctx_after *a);

RG_API rg_ctx *rg_ctx_ref(rg_ctx *c);
RG_API void rg_ctx_unref(rg_ctx *c);

/* rg_ctx_bind - bind c (takes a reference of its own) to this goroutine; returns the
 * former one with its reference, or NULL. NULL unbinds. Goroutines that it starts
 * inherit it. Panics on a foreign thread. */
RG_API rg_ctx *rg_ctx_bind(rg_ctx *c);
RG_API rg_ctx *rg_ctx_current(void); /* the bound one, or background; lent */

RG_END_DECLS

#endif
