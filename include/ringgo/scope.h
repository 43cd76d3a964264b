/* SPDX-License-Identifier: MIT */
/*
 * ringgo/scope.h - a block that is not left before the goroutines it started.
 *
 *	int copy_both(struct pair *p)
 *	{
 *		RG_SCOPE(scope, RG_SCOPE_CANCEL);
 *		int err = rg_scope_go(&scope, copy_up, p);
 *
 *		if (err)
 *			return err;		// waits, too
 *		err = rg_scope_go(&scope, copy_down, p);
 *		if (err)
 *			return err;		// cancels copy_up, and waits for it
 *		return rg_scope_end(&scope);
 *	}
 *
 * So a goroutine may use what lives on the stack of who started it. A scope belongs to
 * the goroutine or thread that made it, and stays where it is.
 */
#ifndef RINGGO_SCOPE_H
#define RINGGO_SCOPE_H

#include <ringgo/base.h>
#include <ringgo/sync.h>

RG_BEGIN_DECLS

/* The first error ends the context that is bound to the goroutines of the scope, a
 * child of their creator's, with itself as the reason; so does leaving the scope other
 * than by rg_scope_end. Without it nothing is cancelled. */
#define RG_SCOPE_CANCEL 1u

typedef struct rg_scope {
	rg_waitgroup members_;
	rg_ctx *ctx_;
	void *defer_;
	uint32_t flags_;
	int32_t err_;
} rg_scope;

/* RG_SCOPE_INIT - initialises a scope; its owner has to call rg_scope_end.
 * RG_SCOPE - defines a variable that is waited for wherever its block is left: by
 * return, break, goto, a C++ exception, and by rg_exit below it. */
#define RG_SCOPE_INIT(flags)                                                   \
	{                                                                      \
		{0}, 0, 0, (uint32_t)(flags), 0                                \
	}
#define RG_SCOPE(name, flags)                                                  \
	rg_scope name __attribute__((cleanup(rg_scope_leave))) =               \
		RG_SCOPE_INIT(flags)

/*
 * rg_scope_go - run fn(arg) in a goroutine of the scope; a negative result is an
 * error. Returns as rg_go does. For its owner, and for its goroutines. Does not park.
 */
RG_API int rg_scope_go(rg_scope *s, int (*fn)(void *arg), void *arg);

/* rg_scope_end - wait until all have ended; the first error or 0. Afterwards the scope
 * may be used again. Parks, and heeds no context. For its owner. */
RG_API int rg_scope_end(rg_scope *s);

/* rg_scope_leave - what RG_SCOPE calls: with RG_SCOPE_CANCEL end the context, then
 * wait. Nothing after rg_scope_end. */
RG_API void rg_scope_leave(rg_scope *s);

RG_END_DECLS

#endif
