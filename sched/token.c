// SPDX-License-Identifier: MIT
/*
 * token - see token.h for the role and the invariants.
 *
 * Everything here is rare: a P that runs out of work, a thread that blocks, a change of
 * rg_gomaxprocs. The lists are LIFO but for those who wait: the M that slept last is
 * the warmest.
 */
#include "sched/token.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sched/pair.h"
#include "sched/wake.h"

static struct list *list_of(enum p_status status)
{
	switch (status) {
	case P_IDLE:
		return &sched.idle_ps;
	case P_SPARE:
		return &sched.spare_ps;
	case P_WAITING:
		return &sched.waiting_ps;
	case P_RUNNING:
	case P_LOST:
	case P_AWAY:
		break;
	}
	return NULL;
}

static bool is_busy(enum p_status status)
{
	return status == P_RUNNING || status == P_LOST || status == P_WAITING;
}

void token_set(struct p *pp, enum p_status status)
{
	enum p_status old = p_status(pp);
	struct list *to = list_of(status);
	int busy = is_busy(status) - is_busy(old);
	int idle = (status == P_IDLE) - (old == P_IDLE);

	if (list_of(old))
		list_del(&pp->link);
	if (status == P_WAITING) {
		list_push_back(to, &pp->link);
		pp->waiting_since = sched_coarse_now();
	} else if (to) {
		list_push_front(to, &pp->link);
	}
	sched.nrunning += (status == P_RUNNING) - (old == P_RUNNING);
	if (pp->home->is_urgent)
		atomic_fetch_add_explicit(&sched.nurgent,
					  (status == P_WAITING) -
						  (old == P_WAITING),
					  memory_order_relaxed);
	/* Relaxed: read without the lock as a hint. */
	atomic_store_explicit(&pp->status, status, memory_order_relaxed);
	/* Seq_cst, pairs with sysmon's look before its long sleep. */
	if (busy)
		atomic_fetch_add_explicit(&sched.nbusy_ps, busy,
					  memory_order_seq_cst);
	/* Seq_cst, pairs with the load in wake_p_slow (W3). */
	if (idle)
		atomic_fetch_add_explicit(&sched.nidle_ps, idle,
					  memory_order_seq_cst);
}

static struct p *first_of(struct list *l)
{
	return list_is_empty(l) ? NULL : container_of(l->next, struct p, link);
}

static int nidle(void)
{
	return atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed);
}

static int nurgent(void)
{
	return atomic_load_explicit(&sched.nurgent, memory_order_relaxed);
}

static void note_settle(uint32_t bit, bool is_set)
{
	uint32_t old =
		atomic_load_explicit(&sched.settle, memory_order_relaxed);

	/* Relaxed: under the lock; readers look again under it. */
	atomic_store_explicit(&sched.settle, is_set ? old | bit : old & ~bit,
			      memory_order_relaxed);
}

static void grant(struct p *pp, struct m **granted)
{
	struct m *mp = pp->home;

	token_set(pp, P_RUNNING);
	mp->is_given = true;
	/* R1 release, pairs with R2 in interrupt.c. Under the lock, as all that
	 * ends a sleep: set later it could be taken for the next grant. */
	atomic_fetch_or_explicit(&mp->resume, RESUME_GRANTED,
				 memory_order_release);
	sched.turn_was_bound = mp->bound == BOUND_LOCKED;
	note_settle(SETTLE_DUE, nurgent() > 0);
	/* It got one before, lost it, and is to be woken for that one yet: that
	 * will do, and its place in that list is needed. */
	if (mp->is_waking)
		return;
	mp->is_waking = true;
	mp->next_granted = *granted;
	*granted = mp;
}

struct m *token_balance(void)
{
	struct m *granted = NULL;
	struct p *pp;

	for (;;) {
		int free = sched_nprocs() - sched.nrunning - nidle();

		if (free < 0 && nidle())
			token_set(first_of(&sched.idle_ps), P_SPARE);
		else if ((pp = first_of(&sched.waiting_ps)) &&
			 (free > 0 || nidle())) {
			if (free <= 0)
				token_set(first_of(&sched.idle_ps), P_SPARE);
			grant(pp, &granted);
		} else if (free > 0 && (pp = first_of(&sched.spare_ps)))
			token_set(pp, P_IDLE);
		else
			break;
	}
	note_settle(SETTLE_EXCESS, sched.nrunning > sched_nprocs());
	return granted;
}

struct p *token_take_idle(void)
{
	struct p *pp = first_of(&sched.idle_ps);

	if (pp)
		token_set(pp, P_RUNNING);
	return pp;
}

bool token_take_own(struct m *mp)
{
	struct p *pp = mp->own;

	if (!nidle() || (p_status(pp) != P_IDLE && p_status(pp) != P_SPARE))
		return false;
	if (p_status(pp) == P_SPARE)
		token_set(first_of(&sched.idle_ps), P_SPARE);
	token_set(pp, P_RUNNING);
	return true;
}

/* Where it sleeps: too often is harmless, and it may have seen its token before. */
static void wake_m(struct m *mp)
{
	/* Relaxed: it is in one place or the other since it was granted. */
	if (atomic_load_explicit(&mp->resume, memory_order_relaxed) &
	    RESUME_ASLEEP)
		syscall(SYS_futex, &mp->resume, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
	else if (mp != getm()) /* who looks before it sleeps */
		ring_wake(&mp->ring);
}

void token_wake_granted(struct m *list)
{
	while (list) {
		struct m *mp = list;

		rtlock_lock(&sched.lock);
		list = mp->next_granted;
		mp->is_waking = false;
		rtlock_unlock(&sched.lock);
		wake_m(mp);
	}
}

void token_join(struct p *pp)
{
	struct m *granted;

	rtlock_lock(&sched.lock);
	pp->status = P_AWAY;
	token_set(pp, P_SPARE);
	granted = token_balance();
	rtlock_unlock(&sched.lock);
	token_wake_granted(granted);
	wake_p();
}

/* All of the run queue to the global one: anybody's from now on. By its M. */
static void empty_queue(struct p *pp)
{
	struct gqueue out = {0};
	struct g *gp;

	while ((gp = runq_get(&pp->runq)))
		gqueue_push(&out, gp);
	global_put(&out);
}

/* For what was put before a token was idle. */
static void wake_for_rest(void)
{
	/* Fence, pairs with W2 of wake.c. */
	atomic_thread_fence(memory_order_seq_cst);
	if (wake_is_work_anywhere())
		wake_p();
}

/* ---- blocked threads ---- */

bool token_rob(struct p *pp)
{
	struct gqueue out = {0};

	if (p_status(pp) != P_LOST || runq_is_empty(&pp->runq))
		return false;
	runq_drain(&pp->runq, &out);
	global_put(&out);
	return true;
}

bool token_take_away(struct p *pp)
{
	struct m *granted = NULL;
	bool ok, is_short;

	rtlock_lock(&sched.lock);
	/* Without a pair to use it, a token is of no use. */
	is_short = list_is_empty(&sched.spare_ps) &&
		   list_is_empty(&sched.waiting_ps);
	ok = p_status(pp) == P_RUNNING && !is_short;
	if (ok) {
		token_set(pp, P_LOST);
		/* Relaxed: a number by itself. */
		atomic_fetch_add_explicit(&sched.tokens_taken, 1,
					  memory_order_relaxed);
		granted = token_balance();
	}
	rtlock_unlock(&sched.lock);
	if (is_short)
		pair_want_more();
	token_wake_granted(granted);
	token_rob(pp);
	wake_for_rest();
	return ok;
}

bool token_give_back(struct p *pp)
{
	bool ok;

	rtlock_lock(&sched.lock);
	ok = p_status(pp) == P_LOST && nidle();
	if (ok) {
		token_set(first_of(&sched.idle_ps), P_SPARE);
		token_set(pp, P_RUNNING);
	}
	rtlock_unlock(&sched.lock);
	return ok;
}

/* ---- of the calling M ---- */

/* A lost P takes a token that is idle. Under the lock. */
static void find_lost(struct p *pp)
{
	if (p_status(pp) != P_LOST || !nidle())
		return;
	token_set(first_of(&sched.idle_ps), P_SPARE);
	token_set(pp, P_RUNNING);
}

/* I6: who got its token and ran nothing yet keeps it; nobody waits for its turn. Under
 * the lock. */
static bool is_turn_over(const struct p *pp)
{
	uint32_t settle =
		atomic_load_explicit(&sched.settle, memory_order_relaxed);

	return settle & SETTLE_EXCESS ||
	       (settle & SETTLE_DUE &&
		atomic_load_explicit(&pp->schedtick, memory_order_relaxed) !=
			pp->turn_tick);
}

static enum p_status status_without(const struct m *mp)
{
	if (mp->bound != BOUND_NOT)
		return mp->is_ready ? P_WAITING : P_AWAY;
	return atomic_load_explicit(&mp->npinned, memory_order_relaxed)
		       ? P_WAITING
		       : P_SPARE;
}

/* I6. The spare pair that a bound M's token goes to, or NULL: it goes where
 * token_balance sends it. Under the lock. */
static struct p *successor(const struct m *mp)
{
	struct p *pp = mp->own;

	if (mp->bound == BOUND_NOT || p_status(pp) != P_RUNNING ||
	    sched.nrunning > sched_nprocs() || nidle() || !sched.global.len)
		return NULL;
	if (list_is_empty(&sched.waiting_ps) || mp->gave_way ||
	    sched.turn_was_bound)
		return first_of(&sched.spare_ps);
	return NULL;
}

/* Under the lock. */
static void hand_to(struct p *to)
{
	token_set(to, P_RUNNING);
	to->home->is_given = true;
	sched.turn_was_bound = false;
}

void token_drop(struct m *mp)
{
	struct p *pp = mp->own, *to;
	struct m *granted;
	bool is_short;

	empty_queue(pp);
	if (mp->spinning) {
		mp->spinning = false;
		/* Seq_cst, pairs with W3 of wake.c. */
		atomic_fetch_sub_explicit(&sched.nspinning, 1,
					  memory_order_seq_cst);
	}
	rtlock_lock(&sched.lock);
	mp->p = NULL;
	to = successor(mp);
	if (to)
		hand_to(to);
	token_set(pp, status_without(mp));
	granted = token_balance();
	/* Pairs that are there are asked to look by what follows. */
	is_short =
		sched.global.len && !to && !nidle() && mp->bound != BOUND_NOT;
	if (nurgent())
		note_settle(SETTLE_DUE, true);
	rtlock_unlock(&sched.lock);
	if (to)
		wake_m(to->home);
	token_wake_granted(granted);
	if (is_short)
		pair_want_more();
	wake_for_rest();
}

/* ---- bound Ms ---- */

void token_ready_bound(struct m *mp, bool is_urgent)
{
	struct p *pp = mp->own;
	struct m *granted = NULL;

	rtlock_lock(&sched.lock);
	mp->is_ready = true;
	mp->is_urgent = is_urgent;
	/* Else its M is awake, and looks. */
	if (p_status(pp) == P_AWAY) {
		token_set(pp, P_WAITING);
		granted = token_balance();
		if (is_urgent && p_status(pp) == P_WAITING)
			note_settle(SETTLE_DUE, true);
	}
	rtlock_unlock(&sched.lock);
	token_wake_granted(granted);
}

/* Somebody could use the token of an M whose goroutine gives way. Under the lock. */
static bool is_wanted(void)
{
	return !nidle() &&
	       (!list_is_empty(&sched.waiting_ps) ||
		(sched.global.len && !list_is_empty(&sched.spare_ps)));
}

bool token_turn_bound(struct m *mp)
{
	struct p *pp = mp->own;
	bool runs;

	if (!runq_is_empty(&pp->runq))
		empty_queue(pp);
	rtlock_lock(&sched.lock);
	find_lost(pp);
	runs = mp->is_ready && p_status(pp) == P_RUNNING && !is_turn_over(pp) &&
	       !(mp->gave_way && is_wanted());
	if (runs)
		mp->is_ready = mp->is_urgent = false;
	rtlock_unlock(&sched.lock);
	return runs;
}

struct m *token_take_spare(void)
{
	struct p *pp;

	rtlock_lock(&sched.lock);
	pp = first_of(&sched.spare_ps);
	if (pp)
		token_set(pp, P_AWAY);
	rtlock_unlock(&sched.lock);
	return pp ? pp->home : NULL;
}

void token_adopt(struct m *mp)
{
	rtlock_lock(&sched.lock);
	token_set(mp->own, P_AWAY);
	rtlock_unlock(&sched.lock);
}

/* ---- unbound ones ---- */

bool token_settle(struct m *mp)
{
	struct p *pp = mp->own;
	bool keeps;

	rtlock_lock(&sched.lock);
	find_lost(pp);
	keeps = p_status(pp) == P_RUNNING && !is_turn_over(pp);
	rtlock_unlock(&sched.lock);
	if (keeps)
		return true;
	token_drop(mp);
	return false;
}

bool token_pass_on(struct m *mp)
{
	struct p *pp = mp->own, *to = NULL;
	struct m *granted = NULL;
	bool ok = true, is_short = false;

	rtlock_lock(&sched.lock);
	if (p_status(pp) == P_RUNNING) {
		/* To a spare pair, which looks for work; else, by balancing,
		 * to who waited longest. */
		to = first_of(&sched.spare_ps);
		is_short = !to;
		/* Those who wait would leave what is queued where it is: one
		 * more pair is better, as long as there may be one. */
		ok = to || (first_of(&sched.waiting_ps) &&
			    (pair_is_limit() || !sched.global.len));
	}
	if (ok) {
		/* R3 acq_rel, pairs with R1 and with interrupt_poke: who poked
		 * before is seen by the look that follows. */
		atomic_exchange_explicit(&mp->resume, RESUME_ASLEEP,
					 memory_order_acq_rel);
		if (to) {
			token_set(to, P_RUNNING);
			to->home->is_given = true;
		}
		token_set(pp, P_WAITING);
		granted = token_balance();
	}
	rtlock_unlock(&sched.lock);
	if (is_short)
		pair_want_more();
	if (!ok)
		return false;
	empty_queue(pp);
	if (to)
		wake_m(to->home);
	token_wake_granted(granted);
	return true;
}

/* ---- sysmon, rg_gomaxprocs ---- */

static void hurry_all(void)
{
	struct p *pp;

	sched_for_each_p(pp) {
		/* Relaxed: the owner's next switch at the latest but one. */
		atomic_store_explicit(
			&pp->house_at,
			atomic_load_explicit(&pp->schedtick,
					     memory_order_relaxed),
			memory_order_relaxed);
	}
}

bool token_check_due(rg_time now, int64_t ns)
{
	struct p *pp;
	bool is_due;

	rtlock_lock(&sched.lock);
	pp = first_of(&sched.waiting_ps);
	is_due = pp && now - pp->waiting_since >= ns;
	if (is_due)
		note_settle(SETTLE_DUE, true);
	rtlock_unlock(&sched.lock);
	if (is_due)
		hurry_all();
	return is_due;
}

static int set_procs(int n, const _Atomic bool *still)
{
	struct m *granted = NULL;
	int old;

	if (n > SCHED_MAX_PROCS)
		n = SCHED_MAX_PROCS;
	rtlock_lock(&sched.lock);
	old = sched_nprocs();
	/* Relaxed: cleared before the lock was taken to set a number. */
	if (!still || atomic_load_explicit(still, memory_order_relaxed)) {
		/* Relaxed: a number that may change at any time. */
		atomic_store_explicit(&sched.nprocs, n, memory_order_relaxed);
		granted = token_balance();
	}
	rtlock_unlock(&sched.lock);
	token_wake_granted(granted);
	hurry_all();
	pair_want(sched_nprocs());
	wake_p();
	return old;
}

int token_set_procs(int n)
{
	return set_procs(n, NULL);
}

void token_follow_procs(int n, const _Atomic bool *still)
{
	(void)set_procs(n, still);
}
