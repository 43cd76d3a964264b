// SPDX-License-Identifier: MIT
/*
 * ctxafter - rg_ctx_after_func: a function that runs when a context has ended.
 *
 * It is a child of that context, which nobody sees: it ends when its parent does, and
 * handing the function to afterfunc.c is part of its end (E2 in ctx.c). So it keeps
 * its parent, works for parents whose own references are gone, costs no goroutine
 * before its time, and is found again by stop: in the tree, or among what is due.
 *   I1  the function is handed on by whoever ended the child, once: ended contexts do
 *       not end again.
 *   I2  stop either takes the child out of the tree before its end, or waits for the
 *       end's second phase; then the function is due, started, or was stopped.
 * Not a waiter in the parent's token: the end of a runtime empties the tokens' lists,
 * and this call outlives it.
 */
#include "kernel-iface/alloc.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/afterfunc.h"
#include "sync/ctx.h"

struct rg_ctx_after {
	rg_ctx *c; /* the child; its only reference */
	struct afterfunc call;
};

rg_ctx_after *rg_ctx_after_func(rg_ctx *parent, void (*fn)(void *arg),
				void *arg)
{
	rg_ctx_after *a;

	sched_point();
	if (!fn)
		rg_panic("rg_ctx_after_func: nil function");
	if (!parent)
		rg_panic("cannot create context from nil parent");
	if (afterfunc_prepare() < 0)
		return NULL;
	a = rgk_zalloc(sizeof(*a));
	if (!a)
		return NULL;
	a->c = ctx_make(parent, CTX_AFTER, RG_FOREVER);
	if (!a->c) {
		rgk_free(a);
		return NULL;
	}
	a->call.fn = fn;
	a->call.arg = arg;
	/* Dumps look for the call before the address. */
	a->call.pc = (uintptr_t)rg_ctx_after_func + 1;
	a->c->after = &a->call;
	/* It has no timer: cannot fail. fn may run from here on, and free a. */
	(void)ctx_enter(a->c);
	return a;
}

bool rg_ctx_after_stop(rg_ctx_after *a)
{
	sched_point();
	if (!a)
		rg_panic("rg_ctx_after_stop of nil");
	if (ctx_retire(a->c))
		return true;
	return afterfunc_cancel(&a->call);
}

void rg_ctx_after_free(rg_ctx_after *a)
{
	if (!a)
		return;
	(void)rg_ctx_after_stop(a);
	rg_ctx_unref(a->c);
	rgk_free(a);
}
