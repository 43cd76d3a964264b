// SPDX-License-Identifier: MIT
/*
 * park - see park.h for the rule and the invariants.
 */
#include "sched/park.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/forked.h"
#include "kernel-iface/clock.h"
#include "sched/bubble.h"
#include "sched/cancel.h"
#include "sched/seed.h"
#include "sched/interrupt.h"
#include "sched/lockthread.h"
#include "sched/switch.h"
#include "sched/wake.h"

/* ---- foreign threads ---- */

/* When deadline is on the kernel's clock: not the same under a seed. */
static rg_time real_time(rg_time deadline)
{
	rg_duration left;

	if (!seed_is_on())
		return deadline < 0 ? 0 : deadline;
	left = deadline < 0 ? 0 : deadline - seed_now();
	return clock_after(left);
}

/* Sleep while *word is 0, until deadline; false: the deadline passed. */
static bool futex_wait(_Atomic uint32_t *word, rg_time deadline)
{
	/* A negative time is long past; the kernel would call it invalid. */
	rg_time until = real_time(deadline);
	struct timespec ts = {.tv_sec = until / RG_SECOND,
			      .tv_nsec = until % RG_SECOND};
	struct timespec *limit = deadline == RG_FOREVER ? NULL : &ts;

	/* X2 acquire, pairs with X1. */
	while (!atomic_load_explicit(word, memory_order_acquire)) {
		/* FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time. */
		long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, 0,
				 limit, NULL, FUTEX_BITSET_MATCH_ANY);

		if (r < 0 && errno == ETIMEDOUT)
			return false;
	}
	return true;
}

static void foreign_ready(struct g *gp)
{
	_Atomic uint32_t *word = &gp->futex;

	/* X1 release, pairs with X2. After this store the thread may be gone:
	 * waking an address that is no longer mapped is harmless. */
	atomic_store_explicit(word, 1, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static enum wake_state foreign_park(struct g *gp, park_commit *commit,
				    void *arg, rg_time deadline)
{
	int saved = *rg_errno_location();
	enum wake_state how = WAKE_EVENT;

	forked_check();
	/* Relaxed: a count for statistics. */
	atomic_fetch_add_explicit(&sched.foreign_waiters, 1,
				  memory_order_relaxed);
	if (!commit || commit(gp, arg)) {
		if (!futex_wait(&gp->futex, deadline)) {
			if (wake_claim(gp, WAKE_TIMER))
				how = WAKE_TIMER;
			else
				futex_wait(&gp->futex, RG_FOREVER);
		}
		if (how == WAKE_EVENT)
			atomic_store_explicit(&gp->futex, 0,
					      memory_order_relaxed);
		san_acquire(gp);
	}
	atomic_fetch_sub_explicit(&sched.foreign_waiters, 1,
				  memory_order_relaxed);
	*rg_errno_location() = saved;
	return how;
}

/* ---- goroutines ---- */

RG_COLD static void park_misuse(void)
{
	rg_panic("a parking call on the scheduler's stack (timer callback?)");
}

RG_COLD void park_wrong_stack(const struct g *gp)
{
	if (gp->kind == G_FOREIGN)
		return;
	if (gp->kind == G_ZERO)
		park_misuse();
	rg_panic("a parking call off the goroutine's stack (signal handler, or "
		 "longjmp out of it?)");
}

static inline void note_wait(struct g *gp, enum wait_reason reason,
			     const void *wait_arg)
{
	gp->wait_reason = (uint8_t)reason;
	gp->wait_arg = (void *)(uintptr_t)wait_arg;
	gp->wait_since = sched_coarse_now();
	g_set_state(gp, G_WAITING);
}

void sched_park(park_commit *commit, void *arg, enum wait_reason reason,
		const void *wait_arg)
{
	struct m *mp = getm();
	struct g *gp;

	if (rg_unlikely(!mp)) {
		foreign_park(getg(), commit, arg, RG_FOREVER);
		return;
	}
	gp = mp->curg;
	if (rg_unlikely(gp == &mp->g0))
		park_misuse();
	note_wait(gp, reason, wait_arg);
	interrupt_leave(mp, gp);
	if (rg_unlikely(gp->special & G_IN_BUBBLE) &&
	    bubble_is_durable(reason)) {
		struct bubble_park park = {commit, arg};

		/* The counting is done on the next flow: see
		 * sched_park_unlock. */
		san_release(gp->bubble);
		switch_to(mp, gp, switch_pick(mp), bubble_commit, &park);
		return;
	}
	switch_to(mp, gp, switch_pick(mp), commit, arg);
}

bool park_commit_unlock(struct g *gp, void *lock)
{
	(void)gp;
	rtlock_unlock_left(lock);
	return true;
}

void sched_park_unlock(struct rtlock *l, enum wait_reason reason,
		       const void *wait_arg)
{
	/* The unlocking itself happens on the next flow: what we wrote under
	 * the lock is announced by us. */
	san_release(l);
	sched_park(park_commit_unlock, l, reason, wait_arg);
}

void switch_refused(struct m *mp, struct g *prev)
{
	struct g *old;

	g_set_state(prev, G_RUNNABLE);
	prev->wait_reason = WAIT_NONE;
	if (lockthread_is_locked(prev)) {
		lockthread_refused(mp);
		return;
	}
	old = runq_set_next(&mp->p->runq, prev);
	if (old)
		sched_ready_tail(old);
}

void sched_put_tail(struct p *pp, struct g *gp)
{
	if (rg_unlikely(!runq_put(&pp->runq, gp))) {
		struct gqueue out = {0};

		runq_overflow(&pp->runq, gp, &out);
		global_put(&out);
	}
}

static inline void make_runnable(struct g *gp)
{
	RG_DCHECK(g_state(gp) != G_RUNNING && g_state(gp) != G_DEAD);
	g_set_state(gp, G_RUNNABLE);
}

/* A foreign thread is woken, or the thread that gp is locked to: true; a bubble hears
 * that gp will run. */
static RG_NOINLINE bool ready_special(struct g *gp)
{
	if (gp->kind == G_FOREIGN) {
		foreign_ready(gp);
		return true;
	}
	bubble_ready(gp);
	if (!lockthread_is_locked(gp))
		return false;
	make_runnable(gp);
	lockthread_ready(gp);
	return true;
}

void sched_ready(struct g *gp)
{
	struct m *mp = getm();
	struct g *old;

	san_release(gp);
	if (rg_unlikely(gp->special) && ready_special(gp))
		return;
	make_runnable(gp);
	if (rg_unlikely(!mp || !mp->p)) {
		global_put_one(gp);
		return;
	}
	old = runq_set_next(&mp->p->runq, gp);
	if (old) {
		sched_put_tail(mp->p, old);
		wake_p();
	}
}

void sched_ready_tail(struct g *gp)
{
	san_release(gp);
	sched_ready_quiet(gp);
}

void sched_ready_quiet(struct g *gp)
{
	struct m *mp = getm();

	if (rg_unlikely(gp->special) && ready_special(gp))
		return;
	make_runnable(gp);
	if (rg_unlikely(!mp || !mp->p)) {
		global_put_one(gp);
		return;
	}
	sched_put_tail(mp->p, gp);
	/* One alone runs here when its readier parks; sysmon rescues it from a
	 * readier that computes on (wake.c). */
	if (runq_len(&mp->p->runq) > 1)
		wake_p();
}

void ready_list_add(struct ready_list *l, struct g *gp)
{
	gp->schedlink = NULL;
	if (l->tail)
		l->tail->schedlink = gp;
	else
		l->head = gp;
	l->tail = gp;
}

void sched_ready_all(struct ready_list *l)
{
	struct g *gp = l->head, *next;

	l->head = l->tail = NULL;
	for (; gp; gp = next) {
		next = gp->schedlink;
		sched_ready_tail(gp);
	}
}

/* ---- yield ---- */

static bool commit_yield_locked(struct g *gp, void *arg)
{
	(void)arg;
	g_set_state(gp, G_RUNNABLE);
	lockthread_give_way(gp->m, gp);
	return true;
}

/* What to do with gp, which yields. */
static inline park_commit *leave_by(struct m *mp, struct g *gp,
				    park_commit *usual)
{
	if (rg_likely(!(gp->special & (G_HIJACKED | G_LOCKED))))
		return usual;
	interrupt_leave(mp, gp);
	return lockthread_is_locked(gp) ? commit_yield_locked : usual;
}

static bool commit_yield(struct g *gp, void *arg)
{
	(void)arg;
	g_set_state(gp, G_RUNNABLE);
	if (rg_unlikely(runq_has_newborn(&gp->m->p->runq)))
		runq_settle(&gp->m->p->runq);
	sched_put_tail(gp->m->p, gp);
	return true;
}

void sched_yield_g(void)
{
	struct m *mp = getm();
	struct g *gp = mp->curg, *next = switch_pick(mp);
	park_commit *commit = leave_by(mp, gp, commit_yield);

	/* Nothing local, but a tick's housekeeping may find something. Only a
	 * loop of yields comes here often; it must see the ring and timers. */
	gp->wait_reason = WAIT_NONE;
	switch_to(mp, gp, next, commit, NULL);
}

bool sched_yield_to_child(void)
{
	struct m *mp = getm();
	struct g *child;

	if (!mp || !mp->p || mp->curg == &mp->g0 || mp->curg->special ||
	    seed_is_on())
		return false;
	/* Relaxed: a thief may only take it. What it points to stays a record. */
	child = atomic_load_explicit(&mp->p->runq.next, memory_order_relaxed);
	if (!child || !coro_is_new(&child->ctx) ||
	    runq_has_newborn(&mp->p->runq))
		return false;
	sched_yield_g();
	return true;
}

static bool commit_yield_global(struct g *gp, void *arg)
{
	(void)arg;
	g_set_state(gp, G_RUNNABLE);
	global_put_one(gp);
	return true;
}

void sched_yield_global(void)
{
	struct m *mp = getm();
	struct g *gp = mp->curg;
	park_commit *commit = leave_by(mp, gp, commit_yield_global);

	gp->wait_reason = WAIT_NONE;
	switch_to(mp, gp, switch_pick(mp), commit, NULL);
}

/* ---- waits with several ends ---- */

struct until {
	struct rtlock gate; /* held until the commit is over */
	struct cancel_waiter waiter;
	struct g *gp;
	struct cancel_token *token;
	bool is_linked;
	rg_time deadline;
	struct timer_place place; /* when deadline is not RG_FOREVER */
	park_commit *commit;
	void *arg;
};

static void until_timer(struct timer *t, void *arg, rg_time now)
{
	struct g *gp = arg;

	(void)t;
	(void)now;
	if (!wake_claim(gp, WAKE_TIMER))
		return;
	/* In a bubble time passes when all have done what they do: that does
	 * order. */
	if (gp->bubble)
		sched_ready_tail(gp);
	else
		sched_ready_quiet(gp);
}

static void until_cancel(struct cancel_waiter *w, int err,
			 struct ready_list *ready)
{
	struct until *u = container_of(w, struct until, waiter);

	(void)err;
	if (wake_claim(u->gp, WAKE_CANCEL))
		ready_list_add(ready, u->gp);
}

/* Arms what can end the wait, then publishes it (the caller's commit). gp may be
 * readied from the first step on; it waits at the gate for the last. */
static bool until_commit(struct g *gp, void *arg)
{
	struct until *u = arg;
	bool parks = true;

	if (u->token) {
		u->is_linked = !cancel_wait_begin(u->token, &u->waiter);
		if (!u->is_linked && wake_claim(gp, WAKE_CANCEL))
			parks = false;
	}
	if (u->deadline != RG_FOREVER) {
		if (parks)
			timer_start_reserved(&u->place, &gp->timer, u->deadline,
					     until_timer, gp);
		else
			timer_unreserve(&u->place);
	}
	if (u->commit)
		u->commit(gp, u->arg);
	rtlock_unlock_left(&u->gate);
	return parks;
}

enum wake_state sched_park_until(park_commit *commit, void *arg,
				 rg_time deadline, bool heed_token,
				 enum wait_reason reason, const void *wait_arg)
{
	struct g *gp = getg();
	struct until u = {.gp = gp,
			  .waiter.on_cancel = until_cancel,
			  .deadline = deadline,
			  .commit = commit,
			  .arg = arg};

	san_release(arg); /* as in sched_park_unlock: usually the lock */
	if (rg_unlikely(gp->kind == G_FOREIGN))
		return foreign_park(gp, commit, arg, deadline);
	park_check_stack(gp);
	u.token = heed_token ? gp->token : NULL;
	if (deadline != RG_FOREVER && timer_reserve(&u.place)) {
		/* Its wakers need the lock that the commit releases to find
		 * it: none can have been quicker. */
		RG_ASSERT(wake_claim(gp, WAKE_TIMER));
		if (commit)
			commit(gp, arg);
		return WAKE_TIMER;
	}
	rtlock_lock(&u.gate);
	sched_park(until_commit, &u, reason, wait_arg);
	/* The commit runs to its end before anything of ours is reused. */
	rtlock_lock(&u.gate);
	if (deadline != RG_FOREVER)
		timer_stop(&gp->timer);
	if (u.is_linked)
		cancel_wait_end(u.token, &u.waiter);
	return (enum wake_state)atomic_load_explicit(&gp->wake_state,
						     memory_order_relaxed);
}
