// SPDX-License-Identifier: MIT
/*
 * group - goroutines that work on one thing and end with its first error.
 *
 * A wait group, a context, and a count for the limit. A goroutine's share in all of
 * them is given up by a defer of its own, so that rg_exit does it, too.
 *
 *   I1  err, active and limit are under mutex; err is set once, and who sets it
 *       cancels the context after the unlock.
 *   I2  the wait group's done is the last access of a goroutine to the group: wait
 *       frees it after that.
 * After golang.org/x/sync/errgroup, whose channel of tokens is a count here: waiting
 * for a slot heeds no context, as in Go. Beyond Go, the group's context is bound to
 * its goroutines: their sleeps and I/O end with it.
 */
#include <ringgo/ctx.h>
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/lockgraph.h"

struct rg_group {
	rg_ctx *ctx; /* const; a reference */
	rg_waitgroup members;
	rg_mutex mutex;
	rg_cond slot_free; /* or the limit was changed */
	int64_t active;    /* I1 */
	int limit;         /* I1; negative: none */
	int err;           /* I1 */
};

rg_group *rg_group_new(rg_ctx *parent)
{
	rg_group *g = rgk_zalloc(sizeof(*g));

	if (!g)
		return NULL;
	g->limit = -1;
	g->ctx = rg_ctx_with_cancel(parent);
	if (!g->ctx) {
		rgk_free(g);
		return NULL;
	}
	return g;
}

rg_ctx *rg_group_ctx(rg_group *g)
{
	return g->ctx;
}

void rg_group_set_limit(rg_group *g, int n)
{
	rg_mutex_lock(&g->mutex);
	if (g->active)
		rg_panic("errgroup: modify limit while %lld goroutines in the "
			 "group are still active",
			 (long long)g->active);
	g->limit = n;
	rg_cond_broadcast(&g->slot_free);
	rg_mutex_unlock(&g->mutex);
}

/* ---- goroutines in the group ------------------------------------------------ */

struct member {
	rg_group *g;
	int (*fn)(void *arg);
	void *arg;
	struct g_defer *defer;
};

static bool is_full(const rg_group *g)
{
	return g->limit >= 0 && g->active >= g->limit;
}

/* false: there is no room, and may_wait is not set. */
static bool join(rg_group *g, bool may_wait)
{
	bool joins;

	rg_mutex_lock(&g->mutex);
	while (may_wait && is_full(g))
		rg_cond_wait(&g->slot_free, &g->mutex);
	joins = !is_full(g);
	if (joins)
		g->active++;
	rg_mutex_unlock(&g->mutex);
	if (joins)
		rg_waitgroup_add(&g->members, 1);
	return joins;
}

static void leave(void *arg)
{
	rg_group *g = arg;

	rg_mutex_lock(&g->mutex);
	g->active--;
	rg_cond_signal(&g->slot_free);
	rg_mutex_unlock(&g->mutex);
	if (lockgraph_is_on())
		lockgraph_gives(&g->members, HOLD_MEMBER);
	rg_waitgroup_done(&g->members);
}

static void fail(rg_group *g, int err)
{
	bool is_first;

	rg_mutex_lock(&g->mutex);
	is_first = !g->err;
	if (is_first)
		g->err = err;
	rg_mutex_unlock(&g->mutex);
	if (is_first)
		rg_ctx_cancel(g->ctx, err);
}

static RG_CALLS_USER void group_main(void *copied)
{
	const struct member *member = copied;
	int err;

	defer_put(member->defer, leave, member->g);
	if (lockgraph_is_on())
		lockgraph_took(&member->g->members, "rg_group", HOLD_MEMBER,
			       (uintptr_t)member->fn);
	err = member->fn(member->arg);
	if (err < 0)
		fail(member->g, err);
}

/* pc: where the public call returns to. */
static int start(rg_group *g, int (*fn)(void *arg), void *arg, bool may_wait,
		 uintptr_t pc)
{
	struct member member = {.g = g, .fn = fn, .arg = arg};
	struct sched_go_args args = {
		.fn = group_main,
		.arg = &member,
		.copy = sizeof(member),
		.ctx = g->ctx,
		.pc = pc,
		.kind = G_USER,
	};
	int err = -ENOMEM;

	if (!join(g, may_wait))
		return -EBUSY;
	/* Here, where a lack of memory can be reported. */
	member.defer = rgk_alloc(sizeof(*member.defer));
	if (!member.defer)
		goto leave_group;
	err = sched_go(&args);
	if (err < 0)
		goto free_defer;
	return err;

free_defer:
	rgk_free(member.defer);
leave_group:
	leave(g);
	return err;
}

int rg_group_go(rg_group *g, int (*fn)(void *arg), void *arg)
{
	sched_point();
	return start(g, fn, arg, true, (uintptr_t)__builtin_return_address(0));
}

int rg_group_try_go(rg_group *g, int (*fn)(void *arg), void *arg)
{
	sched_point();
	return start(g, fn, arg, false, (uintptr_t)__builtin_return_address(0));
}

int rg_group_wait(rg_group *g)
{
	int err;

	sched_point();
	rg_waitgroup_wait(&g->members);
	err = g->err;
	rg_ctx_cancel(g->ctx, err);
	rg_ctx_unref(g->ctx);
	rgk_free(g);
	return err;
}
