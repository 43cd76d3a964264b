/* SPDX-License-Identifier: MIT */
/*
 * ctx - the body of a context, and how ctx.c, ctxvalue.c, ctxafter.c make one.
 *
 * See ctx.c for the invariants. Every kind is a whole node of the tree, with a token
 * and a channel of its own: one that carries a value can be bound, ended and waited
 * for like any other, and nobody has to look for the nearest one that can.
 */
#ifndef RG_SYNC_CTX_H
#define RG_SYNC_CTX_H

#include <ringgo/ctx.h>

#include "kernel-iface/base/list.h"
#include "kernel-iface/base/rtlock.h"
#include "sched/cancel.h"
#include "sched/timer.h"
#include "sync/chan.h"

/* The two that never end come first. */
#define CTX_KINDS(X)                                                           \
	X(CTX_BACKGROUND, "background")                                        \
	X(CTX_TODO, "todo")                                                    \
	X(CTX_CANCEL, "with_cancel")                                           \
	X(CTX_DEADLINE, "with_deadline")                                       \
	X(CTX_VALUE, "with_value")                                             \
	X(CTX_WITHOUT_CANCEL, "without_cancel")                                \
	X(CTX_AFTER, "after_func")                                             \
	X(CTX_SIGNALS, "with_signals")

#define CTX_ENUM(name, text) name,
enum ctx_kind { CTX_KINDS(CTX_ENUM) };

struct afterfunc;

struct rg_ctx {
	/* const after creation */
	rg_ctx *parent;   /* a reference; NULL: never ends */
	rg_ctx *root;     /* whose tree_lock counts; self for a root */
	rg_time deadline; /* the earliest from here up; RG_FOREVER: none */
	enum ctx_kind kind;
	int expiry;     /* the cause when the deadline passes */
	bool has_timer; /* the deadline is its own */
	const void *key;
	void *value;
	struct afterfunc *after; /* to be called at its end, or NULL */

	_Atomic uint32_t refs; /* any thread */

	/* under the tree's lock; err and cause also read without it */
	struct list children;
	struct list sibling;
	_Atomic int err;
	_Atomic int cause;

	struct rtlock tree_lock; /* of a root */
	struct rtlock firing;    /* I2 */
	rg_ctx *next_ended;      /* from E1 to E2, its caller's */

	struct cancel_token token;
	struct timer timer;

	RG_CACHE_ALIGNED struct rg_chan done; /* its last reference is ours */
};

static inline bool ctx_is_endless(const rg_ctx *c)
{
	return c->kind <= CTX_TODO;
}

/*
 * ctx_make - a context below parent that nobody can see yet; NULL: out of memory. Its
 * maker fills in what belongs to its kind, then calls
 * ctx_enter - puts it into the tree, or ends it if its parent or its time has ended;
 * returns it, or NULL when out of memory: then it is gone.
 */
rg_ctx *ctx_make(rg_ctx *parent, enum ctx_kind kind, rg_time deadline);
rg_ctx *ctx_enter(rg_ctx *c);

/* ctx_retire - c, which nobody is bound to, will not end any more: out of the tree with
 * it. false: it has ended, and what that brings about has been done. */
bool ctx_retire(rg_ctx *c);

/* ctx_token - what its goroutines' parking calls look at; NULL: c never ends. Lent. */
struct cancel_token *ctx_token(rg_ctx *c);

#endif
