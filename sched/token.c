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
	note_settle(SETTLE_DUE, false);
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
	else
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
	bool ok;

	rtlock_lock(&sched.lock);
	/* Without a pair to use it, a token is of no use. */
	ok = p_status(pp) == P_RUNNING && (!list_is_empty(&sched.spare_ps) ||
					   !list_is_empty(&sched.waiting_ps));
	if (ok) {
		token_set(pp, P_LOST);
		/* Relaxed: a number by itself. */
		atomic_fetch_add_explicit(&sched.tokens_taken, 1,
					  memory_order_relaxed);
		granted = token_balance();
	}
	rtlock_unlock(&sched.lock);
	if (!ok)
		pair_want_more();
	token_wake_granted(granted);
	token_rob(pp);
	wake_p(); /* what waited while no token was idle */
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

void token_drop(struct m *mp)
{
	struct p *pp = mp->own;
	struct m *granted;

	empty_queue(pp);
	if (mp->spinning) {
		mp->spinning = false;
		/* Seq_cst, pairs with W3 of wake.c. */
		atomic_fetch_sub_explicit(&sched.nspinning, 1,
					  memory_order_seq_cst);
	}
	rtlock_lock(&sched.lock);
	mp->p = NULL;
	token_set(pp, atomic_load_explicit(&mp->npinned, memory_order_relaxed)
			      ? P_WAITING
			      : P_SPARE);
	granted = token_balance();
	rtlock_unlock(&sched.lock);
	token_wake_granted(granted);
	wake_p(); /* for what was put before a token was idle */
}

bool token_settle(struct m *mp)
{
	struct p *pp = mp->own;
	bool keeps;

	rtlock_lock(&sched.lock);
	if (p_status(pp) == P_LOST && nidle()) {
		token_set(first_of(&sched.idle_ps), P_SPARE);
		token_set(pp, P_RUNNING);
	}
	keeps = p_status(pp) == P_RUNNING &&
		!atomic_load_explicit(&sched.settle, memory_order_relaxed);
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
	bool ok = true;

	rtlock_lock(&sched.lock);
	if (p_status(pp) == P_RUNNING) {
		/* To a spare pair, which looks for work; else, by balancing,
		 * to who waited longest. */
		to = first_of(&sched.spare_ps);
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
	if (!to)
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

int token_set_procs(int n)
{
	struct m *granted;
	int old;

	if (n > SCHED_MAX_PROCS)
		n = SCHED_MAX_PROCS;
	rtlock_lock(&sched.lock);
	old = sched_nprocs();
	/* Relaxed: a number that may change at any time. */
	atomic_store_explicit(&sched.nprocs, n, memory_order_relaxed);
	granted = token_balance();
	rtlock_unlock(&sched.lock);
	token_wake_granted(granted);
	hurry_all();
	pair_want(n);
	wake_p();
	return old;
}
