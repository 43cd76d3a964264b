// SPDX-License-Identifier: MIT
/*
 * ctx - contexts: a tree whose branches can be ended.
 *
 * Each context that can end embeds the cancel token that parking calls look at, the
 * channel that is closed when it ends, and a timer for its deadline: deriving one is
 * one allocation, and nothing can fail afterwards. No goroutine serves a context.
 *
 * A tree (a child of an endless context, or one that without_cancel cut off, and all
 * below it) has one lock, in its root. Ending a branch has two phases:
 *   E1  under the tree's lock, parents before children: every context of the branch
 *       gets its error and cause, its done channel is closed, it leaves the tree.
 *       So whoever calls cancel, and comes second, finds all of it ended, too.
 *   E2  after the lock, for each of them: the goroutines are readied, its token is
 *       fired (which wakes operations that heed it), its timer is stopped, and the
 *       function that waits for its end is handed on (ctxafter.c).
 *
 *   I1  a child holds a reference to its parent; a parent knows its children, but
 *       does not own them: the last unref takes a context out under the tree's
 *       lock, so what is in the tree is alive while that is held.
 *   I2  `firing` is held from E1 to the end of E2 on that context. The last unref
 *       takes it before it frees.
 *   I3  err is set once; cause before it.
 *   I4  a timer is armed before its context is in the tree, and stopped in E2 or by
 *       the last unref: these are serialised by `firing`.
 * E1 and E2 also run as a timer's callback, on a scheduler stack: nothing in them
 * allocates, frees or parks, and a callback does not stop its own timer. A timer
 * that E2 waits for belongs to a context further down, so no circle of waiting
 * callbacks can close.
 * Lock ranks: tree, then channel. firing is taken inside the tree's lock at E1 when
 * nobody else can have it, and kept; the last unref takes it alone.
 *
 * Not a lock for each context, as Go has it: with a goroutine's stack the recursion
 * down a deep tree must be a loop, and a loop over half-locked parents cannot give
 * "all ended when cancel returns" to a second caller.
 */
#include "sync/ctx.h"

#include "kernel-iface/alloc.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/afterfunc.h"
#include "sync/notify.h"

static rg_ctx background = {.deadline = RG_FOREVER, .kind = CTX_BACKGROUND};
static rg_ctx todo = {.deadline = RG_FOREVER, .kind = CTX_TODO};

static struct rtlock *tree_lock(rg_ctx *c)
{
	return &c->root->tree_lock;
}

/* ---- ending -------------------------------------------------------------- */

/* Contexts on their way from E1 to E2. */
struct ended {
	rg_ctx *first;
	rg_ctx **end;
	struct ready_list ready;
};

/* Without a scheduling point: locks may be held. */
static int err_of(const rg_ctx *c)
{
	/* C2 acquire, pairs with C1. */
	int err = atomic_load_explicit(&c->err, memory_order_acquire);

	if (err)
		san_acquire((void *)(uintptr_t)c);
	return err;
}

static int cause_of(const rg_ctx *c)
{
	/* Relaxed: ordered by C2. */
	return err_of(c) ? atomic_load_explicit(&c->cause, memory_order_relaxed)
			 : 0;
}

static void end_one(rg_ctx *c, int err, int cause, struct ended *e)
{
	/* Relaxed: written under the tree's lock only. */
	if (atomic_load_explicit(&c->err, memory_order_relaxed))
		return;
	atomic_store_explicit(&c->cause, cause, memory_order_relaxed);
	san_release(c);
	/* C1 release, pairs with C2 in err_of. */
	atomic_store_explicit(&c->err, err, memory_order_release);
	chan_close_into(&c->done, &e->ready);
	rtlock_lock(&c->firing);
	c->next_ended = NULL;
	*e->end = c;
	e->end = &c->next_ended;
}

/* E1: c and all below it. The tree's lock is held; c's siblings are left alone. */
static void end_branch(rg_ctx *c, int err, int cause, struct ended *e)
{
	rg_ctx *at = c;

	end_one(c, err, cause, e);
	while (at) {
		struct list *link = list_pop_front(&at->children);

		if (link) {
			at = container_of(link, rg_ctx, sibling);
			end_one(at, err, cause, e);
		} else {
			at = at == c ? NULL : at->parent;
		}
	}
}

/* E2. in_timer: the context whose timer's callback this is, or NULL. */
static void finish_ended(struct ended *e, const rg_ctx *in_timer)
{
	rg_ctx *c = e->first;

	sched_ready_all(&e->ready);
	while (c) {
		rg_ctx *next = c->next_ended;

		/* Its error cannot be another's: err was set by us. */
		cancel_token_fire(&c->token, err_of(c));
		if (c->has_timer && c != in_timer)
			timer_stop(&c->timer);
		if (c->after)
			afterfunc_due(c->after);
		/* From here on c may be freed. */
		rtlock_unlock(&c->firing);
		c = next;
	}
}

static void end(rg_ctx *c, int err, int cause, const rg_ctx *in_timer)
{
	struct ended e = {.end = &e.first};

	rtlock_lock(tree_lock(c));
	end_branch(c, err, cause, &e);
	if (list_is_linked(&c->sibling))
		list_del(&c->sibling);
	rtlock_unlock(tree_lock(c));
	finish_ended(&e, in_timer);
}

/* Context: a timer's callback. */
static void deadline_passed(struct timer *t, void *arg, rg_time now)
{
	rg_ctx *c = arg;
	void *flow = san_flow_make("deadline");
	void *self = san_flow_on(flow);

	(void)now;
	san_acquire(t);
	end(c, -ETIMEDOUT, c->expiry, c);
	san_flow_back(self);
	san_flow_free(flow);
}

static void check_reason(int reason)
{
	if (reason > 0)
		rg_panic("context: the reason %d is no negative errno", reason);
}

void rg_ctx_cancel(rg_ctx *c, int reason)
{
	sched_point();
	if (!c)
		rg_panic("cancel of nil context");
	if (ctx_is_endless(c))
		rg_panic("cancel of the %s context",
			 c == &todo ? "todo" : "background");
	check_reason(reason);
	end(c, -ECANCELED, reason ? reason : -ECANCELED, NULL);
}

/* ---- life ----------------------------------------------------------------- */

static void free_block(rg_chan *done)
{
	rgk_free(container_of(done, rg_ctx, done));
}

/* Put c below its parent, or end it if that has ended. */
static void join_tree(rg_ctx *c)
{
	struct ended e = {.end = &e.first};
	rg_ctx *parent = c->parent;
	int err;

	if (c->root == c)
		return;
	rtlock_lock(tree_lock(c));
	err = err_of(parent);
	if (err)
		end_one(c, err, cause_of(parent), &e);
	else if (!err_of(c))
		list_push_back(&parent->children, &c->sibling);
	rtlock_unlock(tree_lock(c));
	finish_ended(&e, NULL);
}

rg_ctx *ctx_make(rg_ctx *parent, enum ctx_kind kind, rg_time deadline)
{
	rg_ctx *c;
	bool is_root;

	if (!parent)
		rg_panic("cannot create context from nil parent");
	c = rgk_zalloc_aligned(sizeof(*c), RG_CACHE_LINE);
	if (!c)
		return NULL;
	is_root = ctx_is_endless(parent) || kind == CTX_WITHOUT_CANCEL;
	chan_init(&c->done, 0, 0, CHAN_RECV_ONLY, free_block);
	c->kind = kind;
	c->parent = rg_ctx_ref(parent);
	c->root = is_root ? c : parent->root;
	c->expiry = -ETIMEDOUT;
	/* Relaxed: nobody else knows c yet. */
	atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
	c->deadline = is_root ? RG_FOREVER : parent->deadline;
	c->has_timer = deadline < c->deadline;
	if (c->has_timer)
		c->deadline = deadline;
	return c;
}

rg_ctx *ctx_enter(rg_ctx *c)
{
	if (c->has_timer && c->deadline <= rg_now()) {
		c->has_timer = false;
		join_tree(c);
		end(c, -ETIMEDOUT, c->expiry, NULL);
		return c;
	}
	san_release(&c->timer); /* to what it calls */
	if (c->has_timer &&
	    timer_start(&c->timer, c->deadline, 0, deadline_passed, c) < 0) {
		c->has_timer = false;
		rg_ctx_unref(c);
		return NULL;
	}
	join_tree(c);
	return c;
}

rg_ctx *rg_ctx_background(void)
{
	return &background;
}

rg_ctx *rg_ctx_todo(void)
{
	return &todo;
}

rg_ctx *rg_ctx_with_cancel(rg_ctx *parent)
{
	rg_ctx *c;

	sched_point();
	c = ctx_make(parent, CTX_CANCEL, RG_FOREVER);
	return c ? ctx_enter(c) : NULL;
}

rg_ctx *rg_ctx_without_cancel(rg_ctx *parent)
{
	rg_ctx *c;

	sched_point();
	c = ctx_make(parent, CTX_WITHOUT_CANCEL, RG_FOREVER);
	return c ? ctx_enter(c) : NULL;
}

rg_ctx *rg_ctx_with_deadline_cause(rg_ctx *parent, rg_time t, int cause)
{
	rg_ctx *c;

	sched_point();
	check_reason(cause);
	c = ctx_make(parent, CTX_DEADLINE, t);
	if (!c)
		return NULL;
	if (cause)
		c->expiry = cause;
	return ctx_enter(c);
}

rg_ctx *rg_ctx_with_timeout_cause(rg_ctx *parent, rg_duration d, int cause)
{
	return rg_ctx_with_deadline_cause(parent, timer_after(d), cause);
}

rg_ctx *rg_ctx_with_deadline(rg_ctx *parent, rg_time t)
{
	return rg_ctx_with_deadline_cause(parent, t, 0);
}

rg_ctx *rg_ctx_with_timeout(rg_ctx *parent, rg_duration d)
{
	return rg_ctx_with_deadline_cause(parent, timer_after(d), 0);
}

rg_ctx *rg_ctx_ref(rg_ctx *c)
{
	/* Relaxed: the caller has a reference, which keeps c. */
	if (c && !ctx_is_endless(c))
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

/* Out of the tree, without the end: err keeps its own timer's callback off, which finds
 * it under the lock. false: it had ended. */
static bool leave_tree(rg_ctx *c)
{
	bool was_alive;

	rtlock_lock(tree_lock(c));
	was_alive = !err_of(c);
	if (list_is_linked(&c->sibling))
		list_del(&c->sibling);
	/* Relaxed: who reads it without the lock has no reference. */
	if (was_alive)
		atomic_store_explicit(&c->err, -ECANCELED,
				      memory_order_relaxed);
	rtlock_unlock(tree_lock(c));
	return was_alive;
}

bool ctx_retire(rg_ctx *c)
{
	bool was_alive = leave_tree(c);

	/* An E2 under way has it. */
	rtlock_lock(&c->firing);
	rtlock_unlock(&c->firing);
	return was_alive;
}

/* The last reference is gone: out of the tree, past any E2, and away. */
static void ctx_free(rg_ctx *c)
{
	if (c->kind == CTX_SIGNALS)
		(void)notify_forget_ctx(c);
	(void)leave_tree(c);
	rtlock_lock(&c->firing);
	if (c->has_timer)
		timer_stop(&c->timer);
	rtlock_unlock(&c->firing);
	rg_chan_unref(&c->done);
}

void rg_ctx_unref(rg_ctx *c)
{
	/* A chain of parents is a loop: it may be longer than the stack. */
	while (c && !ctx_is_endless(c)) {
		rg_ctx *parent = c->parent;

		san_release(&c->refs);
		/* R1 release and acquire, pair with each other: what former
		 * owners did to c comes before it is freed. */
		if (atomic_fetch_sub_explicit(&c->refs, 1,
					      memory_order_acq_rel) != 1)
			return;
		san_acquire(&c->refs);
		ctx_free(c);
		c = parent;
	}
}

/* ---- asking ---------------------------------------------------------------- */

rg_chan *rg_ctx_done(rg_ctx *c)
{
	return ctx_is_endless(c) ? NULL : &c->done;
}

int rg_ctx_err(const rg_ctx *c)
{
	sched_point();
	return err_of(c);
}

int rg_ctx_cause(const rg_ctx *c)
{
	sched_point();
	return cause_of(c);
}

rg_time rg_ctx_deadline(const rg_ctx *c)
{
	return c->deadline;
}

/* ---- the goroutine's own ---------------------------------------------------- */

struct cancel_token *ctx_token(rg_ctx *c)
{
	return c && !ctx_is_endless(c) ? &c->token : NULL;
}

rg_ctx *rg_ctx_bind(rg_ctx *c)
{
	struct g *gp = getg();
	rg_ctx *former;

	if (!is_goroutine())
		rg_panic("rg_ctx_bind on a thread that runs no goroutine");
	former = gp->ctx_bound;
	gp->ctx_bound = rg_ctx_ref(c);
	gp->token = ctx_token(c);
	return former;
}

rg_ctx *rg_ctx_current(void)
{
	rg_ctx *c = is_goroutine() ? getg()->ctx_bound : NULL;

	return c ? c : &background;
}
