// SPDX-License-Identifier: MIT
/*
 * lockthread - see lockthread.h for the role and the invariants.
 *
 * A bound M costs a token's hand-over for each park of its goroutine, two thread wake-ups
 * in all, as in Go. What completes while it submits costs none: it looks before it
 * gives the token up.
 */
#include "sched/lockthread.h"

#include <ringgo/runtime.h>

#include "kernel-iface/clock.h"
#include "kernel-iface/textmap.h"
#include "sched/interrupt.h"
#include "sched/netpoll.h"
#include "sched/pair.h"
#include "sched/seed.h"
#include "sched/spawn.h"
#include "sched/switch.h"
#include "sched/token.h"
#include "sched/wake.h"

/* Between two requests for what is in flight on the ring of a thread that ends. */
#define ASK_AGAIN_NS (10 * RG_MILLISECOND)

int lockthread_count(void)
{
	/* Relaxed: a number by itself. */
	return atomic_load_explicit(&sched.nlocked, memory_order_relaxed);
}

static void count_locked(int by)
{
	atomic_fetch_add_explicit(&sched.nlocked, by, memory_order_relaxed);
}

/* I2: with 0 it is due from now on, until somebody plans it anew. */
static void plan_house(struct p *pp, uint32_t ticks)
{
	/* Relaxed: the owner looks, or takes the P under the lock. */
	atomic_store_explicit(
		&pp->house_at,
		atomic_load_explicit(&pp->schedtick, memory_order_relaxed) +
			ticks,
		memory_order_relaxed);
}

static void bind_g(struct m *mp, struct g *gp)
{
	mp->bound = BOUND_LOCKED;
	mp->bound_g = gp;
	mp->gave_way = false;
	gp->special |= G_LOCKED;
	plan_house(mp->own, 0);
	count_locked(1);
}

static void unbind_g(struct m *mp, struct g *gp, enum m_bound then)
{
	mp->bound = then;
	mp->bound_g = NULL;
	mp->lock_count = 0;
	if (then == BOUND_NOT)
		plan_house(mp->own, SCHED_TICK);
	gp->special &= (uint8_t)~G_LOCKED;
	count_locked(-1);
}

/* ---- runnable ---- */

void lockthread_ready(struct g *gp)
{
	token_ready_bound(gp->m, true);
}

void lockthread_give_way(struct m *mp, struct g *gp)
{
	mp->gave_way = true;
	/* Who was stopped waits like others that were (I5 of interrupt.h). */
	token_ready_bound(mp, gp->wait_reason != WAIT_PREEMPTED);
}

void lockthread_refused(struct m *mp)
{
	token_ready_bound(mp, false);
}

/* ---- a bound M ---- */

/* Others that used this M before may be waiting for its ring and its timers. */
static void serve(struct m *mp)
{
	if (!mp->p)
		return;
	netpoll(mp, true);
	timer_heap_run(&mp->p->timers, clock_now());
}

static bool is_drained(const struct m *mp)
{
	/* Relaxed: who asks for a cancellation counts before it can be found
	 * done; see netpoll_cancel. */
	return ring_inflight(&mp->ring) == 0 && !netpoll_has_requests(mp) &&
	       !mp->reaped.head &&
	       !atomic_load_explicit(&mp->cancels_due, memory_order_relaxed);
}

/* Ended unasked, an operation is done again, elsewhere (opwait.c). What the kernel does not
 * find between two attempts of it is asked for again. */
static void ask_back(struct m *mp)
{
	rg_time last = 0;

	while (!sched_is_stopping() && !is_drained(mp)) {
		rg_time now = clock_now();

		if (!mp->unsent_head && now - last >= ASK_AGAIN_NS) {
			ring_cancel_all(&mp->ring);
			last = now;
		}
		wake_nap(mp, ASK_AGAIN_NS);
	}
}

/* I5. */
static void retire(struct m *mp)
{
	spawn_give_free(mp->own);
	token_drop(mp);
	if (!mp->is_caller)
		ask_back(mp);
	while (mp->is_caller && !sched_is_stopping())
		wake_nap(mp, -1);
}

bool lockthread_is_over(const struct m *mp)
{
	return mp->bound == BOUND_ENDED && !mp->is_caller;
}

struct g *lockthread_find(struct m *mp)
{
	if (mp->bound == BOUND_ENDED) {
		retire(mp);
		return NULL;
	}
	while (!sched_is_stopping()) {
		serve(mp);
		if (mp->p && token_turn_bound(mp)) {
			mp->gave_way = false;
			return mp->bound_g;
		}
		if (mp->p)
			token_drop(mp);
		mp->gave_way = false;
		if (!wake_first_p(mp))
			return NULL;
	}
	return NULL;
}

void lockthread_end(struct m *mp, struct g *gp)
{
	unbind_g(mp, gp, BOUND_ENDED);
}

/* A helper thread would be another thread, and one made here would inherit what was done
 * to this one (I6). */
RG_CALLS_USER void *lockthread_call(void *(*fn)(void *arg), void *arg)
{
	token_take_away(getm()->own);
	return fn(arg);
}

/* ---- the main goroutine ---- */

void lockthread_begin_main(struct m *mp, struct g *gp)
{
	gp->m = mp;
	bind_g(mp, gp);
	token_adopt(mp);
	token_ready_bound(mp, false);
}

void lockthread_leave_main(void)
{
	struct m *mp = getm();

	if (mp->bound == BOUND_LOCKED)
		unbind_g(mp, mp->curg, BOUND_NOT);
}

/* ---- to lock ---- */

/* The pairs that are needed when everybody who is locked waits for somebody who is not. */
static void want_pairs(void)
{
	pair_want(sched_nprocs() + lockthread_count());
}

static bool commit_move(struct g *gp, void *arg)
{
	struct m *to = arg;

	g_set_state(gp, G_RUNNABLE);
	gp->m = to;
	bind_g(to, gp);
	token_ready_bound(to, true);
	return true;
}

/* I4. False: there is no spare M. */
static bool move_to_spare(struct m *mp, struct g *gp)
{
	struct m *to = token_take_spare();

	if (!to)
		return false;
	interrupt_leave(mp, gp);
	gp->wait_reason = WAIT_NONE;
	switch_to(mp, gp, switch_pick(mp), commit_move, to);
	return true;
}

static RG_NOINLINE void lock_first(struct m *mp, struct g *gp)
{
	if (sched_nprocs() + lockthread_count() >= SCHED_MAX_MS)
		rg_panic("rg_lock_os_thread: %d goroutines are locked to "
			 "threads: no more",
			 lockthread_count());
	/* Relaxed: our own thread adds. */
	if (atomic_load_explicit(&mp->npinned, memory_order_relaxed)) {
		if (move_to_spare(mp, gp)) {
			getm()->lock_count = 1;
			want_pairs();
			return;
		}
		/* No thread to be had: others may have them. */
		interrupt_unpin(mp, RG_FOREVER);
	}
	bind_g(mp, gp);
	mp->lock_count = 1;
	want_pairs();
}

void rg_lock_os_thread(void)
{
	struct m *mp;

	if (!is_goroutine() || seed_is_on())
		return;
	mp = getm();
	if (mp->bound == BOUND_LOCKED)
		mp->lock_count++;
	else
		lock_first(mp, mp->curg);
}

void rg_unlock_os_thread(void)
{
	struct m *mp;

	if (!is_goroutine() || seed_is_on())
		return;
	mp = getm();
	if (mp->bound == BOUND_LOCKED && --mp->lock_count == 0)
		unbind_g(mp, mp->curg, BOUND_NOT);
}
