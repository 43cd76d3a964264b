// SPDX-License-Identifier: MIT
/*
 * bubble - see bubble.h for the role and the invariants.
 */
#include "sched/bubble.h"

#include <errno.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sched/seed.h"

/* Midnight UTC 2000-01-01, in seconds since 1970. */
#define BUBBLE_EPOCH (INT64_C(946684800) * RG_SECOND)

struct bubble {
	uint32_t id; /* const */
	struct rtlock lock;
	int64_t total;   /* goroutines, the root included */
	int64_t running; /* I2 */
	int64_t active;  /* I3 */
	struct g *root;
	struct g *main;   /* runs fn */
	struct g *waiter; /* parked in rg_synctest_wait */
	bool is_waiting;  /* somebody is in rg_synctest_wait */
	bool main_exited;
	_Atomic rg_time now; /* written by the root, I5 */
	struct timer_heap timers;

	/* const: for its start, and for its end */
	void (*fn)(void *arg);
	void *arg;
	rg_ctx *root_ctx; /* was bound to the root */
	struct cancel_token *root_token;
};

_Atomic uint32_t bubble_live;

static _Atomic uint32_t last_id;

struct bubble *bubble_current_slow(void)
{
	struct m *mp = getm();

	return mp ? mp->curg->bubble : NULL;
}

uint32_t bubble_id_of(const struct bubble *b)
{
	return b->id;
}

RG_COLD void bubble_check(uint32_t owner, const char *what, const char *thing)
{
	if (bubble_id() != owner)
		rg_panic("%s synctest %s from outside bubble", what, thing);
}

rg_time bubble_now(const struct bubble *b)
{
	/* Relaxed: it moves when no other goroutine of the bubble runs. */
	return atomic_load_explicit(&b->now, memory_order_relaxed);
}

struct timer_heap *bubble_timers(struct bubble *b)
{
	return &b->timers;
}

rg_time bubble_real_time(rg_time t)
{
	struct bubble *b = bubble_current();
	rg_time now;

	if (!b || t <= 0 || t == RG_FOREVER)
		return t;
	now = sched_now();
	t -= bubble_now(b);
	if (t <= -now)
		return 1; /* long past; 0 would be "none" */
	return t > RG_FOREVER - now ? RG_FOREVER : now + t;
}

/* ---- counting --------------------------------------------------------------- */

bool bubble_is_durable(enum wait_reason reason)
{
	switch ((int)reason) {
	case WAIT_CHAN_RECV_NIL:
	case WAIT_CHAN_SEND_NIL:
	case WAIT_SELECT_NONE:
	case WAIT_SLEEP:
	case WAIT_COND:
	case WAIT_SEMAPHORE:
	case WAIT_SYNCTEST_RUN:
	case WAIT_SYNCTEST_WAIT:
	case WAIT_SYNCTEST_CHAN_RECV:
	case WAIT_SYNCTEST_CHAN_SEND:
	case WAIT_SYNCTEST_SELECT:
	case WAIT_SYNCTEST_WAITGROUP:
	case WAIT_SYNCTEST_LATCH:
	case WAIT_SYNCTEST_BARRIER:
		return true;
	default:
		return false;
	}
}

/* I3: who is to be readied after the unlock, now that the bubble is idle; it will
 * take back `active`. NULL: it is not idle. */
static struct g *wake_if_idle_locked(struct bubble *b)
{
	RG_ASSERT(b->running >= 0 && b->active >= 0 && b->total > 0);
	if (b->running || b->active)
		return NULL;
	b->active++;
	/* What is due at this moment comes before the end of a wait. Relaxed:
	 * whoever arms timers of the bubble is counted. */
	if (b->waiter &&
	    atomic_load_explicit(&b->timers.earliest, memory_order_relaxed) >
		    bubble_now(b))
		return b->waiter;
	return b->root;
}

static void unlock_and_wake(struct bubble *b)
{
	struct g *gp = wake_if_idle_locked(b);

	san_release(b);
	rtlock_unlock(&b->lock);
	if (gp)
		sched_ready(gp);
}

/* The one who was woken by an idle bubble runs. Locked. */
static void woken_locked(struct bubble *b)
{
	san_acquire(b);
	b->active--;
	RG_ASSERT(b->active >= 0);
}

void bubble_hold(struct bubble *b)
{
	rtlock_lock(&b->lock);
	b->active++;
	rtlock_unlock(&b->lock);
}

void bubble_release(struct bubble *b)
{
	rtlock_lock(&b->lock);
	b->active--;
	unlock_and_wake(b);
}

bool bubble_commit(struct g *gp, void *park)
{
	/* Once the commit has published it, gp may run and its stack change. */
	struct bubble_park p = *(const struct bubble_park *)park;
	struct bubble *b = gp->bubble;
	bool parks;

	rtlock_lock(&b->lock);
	b->active++;
	b->running--;
	gp->special |= G_BLOCKED;
	rtlock_unlock(&b->lock);
	parks = !p.commit || p.commit(gp, p.arg);
	rtlock_lock(&b->lock);
	b->active--;
	if (!parks) {
		b->running++;
		gp->special &= (uint8_t)~G_BLOCKED;
	}
	unlock_and_wake(b);
	return parks;
}

/* Cond and semaphore belong to no bubble: those who wait there do. */
static void check_waker(struct g *gp)
{
	if (bubble_current() == gp->bubble)
		return;
	if (gp->wait_reason == WAIT_COND ||
	    (gp->wait_reason == WAIT_SEMAPHORE &&
	     atomic_load_explicit(&gp->wake_state, memory_order_relaxed) !=
		     WAKE_CANCEL))
		rg_panic("semaphore wake of synctest goroutine from outside "
			 "bubble");
}

void bubble_ready(struct g *gp)
{
	struct bubble *b = gp->bubble;

	if (!(gp->special & G_BLOCKED))
		return;
	check_waker(gp);
	rtlock_lock(&b->lock);
	b->running++;
	gp->special &= (uint8_t)~G_BLOCKED;
	rtlock_unlock(&b->lock);
}

/* What has nothing to do with bubbles. */
enum { G_KEPT = G_HIJACKED | G_LOCKED };

void bubble_join(struct bubble *b, struct g *gp)
{
	gp->bubble = b;
	gp->bubble_id = b->id;
	gp->special = (uint8_t)((gp->special & G_KEPT) | G_IN_BUBBLE);
	rtlock_lock(&b->lock);
	b->total++;
	b->running++;
	rtlock_unlock(&b->lock);
}

static void detach(struct g *gp)
{
	gp->bubble = NULL;
	gp->bubble_id = 0;
	gp->special &= G_KEPT;
}

void bubble_leave(struct g *gp)
{
	struct bubble *b = gp->bubble;

	detach(gp);
	rtlock_lock(&b->lock);
	b->total--;
	b->running--;
	b->main_exited |= gp == b->main;
	unlock_and_wake(b);
}

/* ---- run ---------------------------------------------------------------------- */

static void count_bubbles(int by)
{
	/* Relaxed: see bubble_current. */
	atomic_fetch_add_explicit(&bubble_live, (uint32_t)by,
				  memory_order_relaxed);
}

static struct bubble *bubble_make(struct g *root)
{
	struct bubble *b = rgk_zalloc(sizeof *b);

	if (!b)
		return NULL;
	/* Relaxed: only uniqueness matters (I7). */
	b->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) +
		1;
	atomic_store_explicit(&b->now, BUBBLE_EPOCH, memory_order_relaxed);
	timer_heap_init(&b->timers);
	b->root = root;
	count_bubbles(1);
	bubble_join(b, root);
	root->special |= G_IS_ROOT;
	/* No context from outside ends waits in here: what the root starts
	 * would inherit it. */
	b->root_ctx = root->ctx_bound;
	b->root_token = root->token;
	root->ctx_bound = NULL;
	root->token = NULL;
	return b;
}

static void bubble_free(struct bubble *b)
{
	b->root->ctx_bound = b->root_ctx;
	b->root->token = b->root_token;
	detach(b->root);
	/* What is armed still fires no more. */
	timer_heap_free(&b->timers);
	count_bubbles(-1);
	rgk_free(b);
}

void bubble_forget(struct g *gp)
{
	/* The others' pointers may dangle by now. */
	if (gp->special & G_IS_ROOT)
		bubble_free(gp->bubble);
	else
		detach(gp);
}

static RG_CALLS_USER void main_of_bubble(void *arg)
{
	struct bubble *b = arg;

	b->main = getg();
	b->fn(b->arg);
}

/* The bubble is idle and nobody waits for that: set the clock to what is due next.
 * false: nothing is, or time has ended. */
static bool advance(struct bubble *b)
{
	/* Relaxed: nobody of the bubble runs. */
	rg_time next =
		atomic_load_explicit(&b->timers.earliest, memory_order_relaxed);

	if (next <= bubble_now(b))
		return true;
	if (b->main_exited || next == RG_FOREVER)
		return false;
	atomic_store_explicit(&b->now, next, memory_order_relaxed);
	return true;
}

/* The root, until it alone is left: true; or the others never wake up. */
static bool serve(struct bubble *b)
{
	bool goes_on, is_alone;

	do {
		timer_heap_run(&b->timers, bubble_now(b));
		sched_park(NULL, NULL, WAIT_SYNCTEST_RUN, b);
		rtlock_lock(&b->lock);
		woken_locked(b);
		is_alone = b->total == 1;
		goes_on = !is_alone && advance(b);
		rtlock_unlock(&b->lock);
	} while (goes_on);
	return is_alone;
}

int rg_synctest_run(void (*fn)(void *arg), void *arg)
{
	struct sched_go_args args = {
		.fn = main_of_bubble,
		.pc = (uintptr_t)__builtin_return_address(0),
		.kind = G_USER};
	struct bubble *b;
	int err;

	if (!is_goroutine())
		return -ESRCH;
	if (getg()->bubble)
		rg_panic("synctest.Run called from within a synctest bubble");
	b = bubble_make(getg());
	if (!b)
		return -ENOMEM;
	b->fn = fn;
	b->arg = arg;
	args.arg = b;
	err = sched_go(&args);
	if (!err && !serve(b))
		rg_panic("deadlock: %s",
			 b->main_exited ? "main bubble goroutine has exited "
					  "but blocked goroutines remain"
					: "all goroutines in bubble are "
					  "blocked");
	bubble_free(b);
	return err;
}

/* ---- wait ---------------------------------------------------------------------- */

static bool commit_wait(struct g *gp, void *arg)
{
	struct bubble *b = arg;

	rtlock_lock(&b->lock);
	b->waiter = gp;
	rtlock_unlock(&b->lock);
	return true;
}

void rg_synctest_wait(void)
{
	struct bubble *b = bubble_current();
	bool was_waiting;

	sched_point();
	if (!b)
		rg_panic("rg_synctest_wait: goroutine is not in a bubble");
	rtlock_lock(&b->lock);
	was_waiting = b->is_waiting;
	b->is_waiting = true;
	rtlock_unlock(&b->lock);
	if (was_waiting)
		rg_panic("rg_synctest_wait: wait already in progress");
	sched_park(commit_wait, b, WAIT_SYNCTEST_WAIT, b);
	rtlock_lock(&b->lock);
	woken_locked(b);
	b->waiter = NULL;
	b->is_waiting = false;
	rtlock_unlock(&b->lock);
}
