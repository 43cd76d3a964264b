// SPDX-License-Identifier: MIT
/*
 * scope - a block that is not left before the goroutines it started.
 *
 * What it gives that a group (group.c) does not: it cannot be forgotten. A group lives
 * on the heap and has to be waited for on each path out of a function; a scope lives
 * on the stack, the compiler's cleanup attribute ends it on every path, and a defer
 * does when its owner calls rg_exit further down. Goroutines may therefore be given
 * pointers to their owner's variables. It costs no allocation while nothing was
 * started, and a context only if asked for. What it does not have: a limit.
 *
 *   I1  defer_, ctx_ and FLAG_STARTED are set by the owner's first rg_scope_go, before
 *       there is a member, and cleared by the owner after the last one has ended.
 *   I2  err_ goes from 0 to the first error once; who sets it cancels ctx_.
 *   I3  the wait group's done is the last access of a member to the scope.
 * The defer is made at the first go, not at the beginning: there the lack of memory
 * can be reported, and RG_SCOPE stays an initialiser.
 * After libdill's bundles and Trio's nurseries.
 */
#include <ringgo/scope.h>

#include <ringgo/ctx.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/lockgraph.h"

enum { FLAG_STARTED = 1u << 30 };

_Static_assert(sizeof(rg_scope) == 32, "part of the ABI");

struct member {
	rg_scope *s;
	int (*fn)(void *arg);
	void *arg;
	struct g_defer *defer;
};

/* ---- the owner --------------------------------------------------------------- */

/* The owner runs rg_exit: what a cleanup would have done. */
static void owner_exits(void *arg)
{
	rg_scope *s = arg;

	s->defer_ = NULL; /* it is running */
	rg_scope_leave(s);
}

static int begin(rg_scope *s)
{
	struct g_defer *d = NULL;
	rg_ctx *ctx = NULL;

	/* On a foreign thread rg_exit panics. */
	if (is_goroutine()) {
		d = rgk_alloc(sizeof(*d));
		if (!d)
			return -ENOMEM;
	}
	if (s->flags_ & RG_SCOPE_CANCEL) {
		ctx = rg_ctx_with_cancel(rg_ctx_current());
		if (!ctx) {
			rgk_free(d);
			return -ENOMEM;
		}
	}
	if (d)
		defer_put(d, owner_exits, s);
	s->defer_ = d;
	s->ctx_ = ctx;
	s->err_ = 0;
	s->flags_ |= FLAG_STARTED;
	return 0;
}

int rg_scope_end(rg_scope *s)
{
	sched_point();
	if (s->flags_ & FLAG_STARTED) {
		rg_waitgroup_wait(&s->members_);
		if (s->defer_)
			defer_take(s->defer_);
		if (s->ctx_)
			rg_ctx_cancel(s->ctx_, 0);
		rg_ctx_unref(s->ctx_);
		s->defer_ = NULL;
		s->ctx_ = NULL;
		s->flags_ &= ~(uint32_t)FLAG_STARTED;
	}
	/* Relaxed: ordered by the wait. */
	return __atomic_load_n(&s->err_, __ATOMIC_RELAXED);
}

void rg_scope_leave(rg_scope *s)
{
	sched_point();
	if (s->ctx_)
		rg_ctx_cancel(s->ctx_, 0);
	(void)rg_scope_end(s);
}

/* ---- its goroutines ------------------------------------------------------------ */

static void leave(void *arg)
{
	rg_scope *s = arg;

	if (lockgraph_is_on())
		lockgraph_gives(&s->members_, HOLD_MEMBER);
	rg_waitgroup_done(&s->members_);
}

static void fail(rg_scope *s, int err)
{
	int32_t none = 0;

	/* Relaxed: read after the wait group's wait, which orders it. */
	if (__atomic_compare_exchange_n(&s->err_, &none, err, false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
	    s->ctx_)
		rg_ctx_cancel(s->ctx_, err);
}

static RG_CALLS_USER void member_main(void *copied)
{
	const struct member *m = copied;
	int err;

	defer_put(m->defer, leave, m->s);
	if (lockgraph_is_on())
		lockgraph_took(&m->s->members_, "rg_scope", HOLD_MEMBER,
			       (uintptr_t)m->fn);
	err = m->fn(m->arg);
	if (err < 0)
		fail(m->s, err);
}

int rg_scope_go(rg_scope *s, int (*fn)(void *arg), void *arg)
{
	struct member member = {.s = s, .fn = fn, .arg = arg};
	struct sched_go_args args = {
		.fn = member_main,
		.arg = &member,
		.copy = sizeof(member),
		.pc = (uintptr_t)__builtin_return_address(0),
		.kind = G_USER,
	};
	int err = s->flags_ & FLAG_STARTED ? 0 : begin(s);

	sched_point();
	if (err)
		return err;
	args.ctx = s->ctx_;
	member.defer = rgk_alloc(sizeof(*member.defer));
	if (!member.defer)
		return -ENOMEM;
	rg_waitgroup_add(&s->members_, 1);
	err = sched_go(&args);
	if (err < 0) {
		rg_waitgroup_done(&s->members_);
		rgk_free(member.defer);
	}
	return err;
}
