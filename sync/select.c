// SPDX-License-Identifier: MIT
/*
 * select - wait for the first of several channels; selectops.c has the cases that are
 * none.
 *
 * The quick way comes first: look at all cases without a lock, choose one of those
 * that look ready, lock that channel alone and do it. What looked ready and is not
 * any more costs one lock; a select whose cases are often ready never sorts, never
 * locks twice, and never touches the goroutine.
 *
 * Otherwise, as in Go's selectgo:
 *   S1  lock all channels, in the order of their addresses, each once;
 *   S2  look again: that nothing is ready is only true under all the locks, and
 *       rg_select_try may say so only then (two looks at two moments can miss a
 *       value that moved meanwhile);
 *   S3  enqueue a sudog on every channel;
 *   S4  park; the commit step unlocks all. The first channel operation to win
 *       gp->wake_state, or the deadline, wakes the goroutine; others drop its
 *       sudog from their queue and go on;
 *   S5  take the losing sudogs out of their queues, one lock at a time.
 *
 *   I1  the memory of a select (sudogs, lock order) is not touched by anybody once
 *       S5 is through: wakers touch a sudog under its channel's lock while it is
 *       queued, or as the winner before gp is readied; the commit step holds the
 *       lock of the channel that it unlocks last, so S5 cannot pass it, unless
 *       that channel's waker won: then the commit step is over.
 *   I2  the choice is uniform over the ready cases: they are counted, one is drawn.
 *       No shuffled order is kept: under the locks nothing changes between the
 *       counting and the taking, but for stale selects that are dropped by it, upon
 *       which it is counted again.
 *   I3  one goroutine never meets itself: its sudogs are queued after S2.
 *   I4  other cases than channels cost those that have none nothing: the look for a
 *       NULL channel finds them, as a negative number.
 * Up to SMALL_CASES cases live on the goroutine's stack; more are allocated.
 */
#include "sync/select.h"

#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/lockreport.h"

/* What a case that is no channel counts for: more than all that are. */
#define OTHER_CASE (UINT64_C(1) << 32)

/* ---- choosing ------------------------------------------------------------ */

/* 1, 0, or OTHER_CASE (I4). */
static uint64_t case_is_ready(const rg_case *cs)
{
	rg_chan *c = cs->chan_;

	if (rg_unlikely((intptr_t)c <= 0)) {
		if (!c)
			return 0;
		return c == SELECT_READY ? 1 : OTHER_CASE;
	}
	if (cs->is_send_)
		return waitq_first(&c->recvq) || chan_count(c) < c->cap ||
		       (chan_flags(c) & (CHAN_CLOSED | CHAN_RECV_ONLY));
	return chan_count(c) || waitq_first(&c->sendq) ||
	       (chan_flags(c) & CHAN_CLOSED);
}

/* 0 .. n-1 without bias (Lemire, "Fast random integer generation in an interval",
 * 2019): a draw from the short rest of the 32-bit range is repeated. */
static uint32_t draw_below(uint32_t n)
{
	uint64_t m = (uint64_t)sched_rand() * n;

	if ((uint32_t)m < n) {
		uint32_t rest = -n % n;

		while ((uint32_t)m < rest)
			m = (uint64_t)sched_rand() * n;
	}
	return (uint32_t)(m >> 32);
}

/* The index of one case that is or looks ready; -1: none; or SELECT_MIXED. */
static int draw_ready(const rg_case *cases, size_t n)
{
	uint64_t bits = 0, nready = 0;
	uint32_t skip = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t ready = case_is_ready(&cases[i]);

		nready += ready;
		/* For n <= 64, exactly who is ready. */
		bits |= ready << (i & 63);
	}
	if (nready == 0)
		return -1;
	if (nready > 1) {
		if (rg_unlikely(nready >= OTHER_CASE))
			return SELECT_MIXED;
		skip = draw_below((uint32_t)nready);
	}
	if (n <= 64) {
		while (skip--)
			bits &= bits - 1;
		return __builtin_ctzll(bits);
	}
	for (size_t i = 0; i < n; i++)
		if (case_is_ready(&cases[i]) && skip-- == 0)
			return (int)i;
	/* Unlocked, the second look may see fewer. */
	return -1;
}

/* Do the case if it is ready; c is locked. *refused: a send that must panic. */
static bool case_do_locked(rg_case *cs, struct g **wake, bool *refused)
{
	rg_chan *c = cs->chan_;
	int got;

	if (!cs->is_send_) {
		got = chan_recv_locked(c, cs->elem_, wake);
		cs->ok = got > 0;
		return got >= 0;
	}
	if (rg_unlikely(chan_flags(c) & (CHAN_CLOSED | CHAN_RECV_ONLY))) {
		*refused = true;
		return true;
	}
	cs->ok = chan_send_locked(c, cs->elem_, wake);
	return cs->ok;
}

/* The way without parking and with one lock: an index, -1 or SELECT_MIXED. */
static RG_ALWAYS_INLINE int select_quick(rg_case *cases, size_t n)
{
	struct g *wake = NULL;
	bool done, refused = false;
	int i = draw_ready(cases, n);
	rg_chan *c;

	if (i < 0)
		return i;
	c = cases[i].chan_;
	chan_check_bubble(c, "select on");
	rtlock_lock(&c->lock);
	done = case_do_locked(&cases[i], &wake, &refused);
	rtlock_unlock(&c->lock);
	if (wake)
		sched_ready(wake);
	if (rg_unlikely(refused))
		chan_refuse_send(c);
	return done ? i : -1;
}

/* ---- locking all --------------------------------------------------------- */

static void sift_down(rg_chan **a, size_t at, size_t n)
{
	rg_chan *c = a[at];
	size_t child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n &&
		    (uintptr_t)a[child] < (uintptr_t)a[child + 1])
			child++;
		if ((uintptr_t)a[child] <= (uintptr_t)c)
			break;
		a[at] = a[child];
		at = child;
	}
	a[at] = c;
}

static void sort_heap(rg_chan **a, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift_down(a, i, n);
	for (size_t i = n; i-- > 1;) {
		rg_chan *top = a[0];

		a[0] = a[i];
		a[i] = top;
		sift_down(a, 0, i);
	}
}

/* Linear when the channels come in the order in which they were made. */
static void sort_insertion(rg_chan **a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		rg_chan *c = a[i];
		size_t j = i;

		for (; j > 0 && (uintptr_t)a[j - 1] > (uintptr_t)c; j--)
			a[j] = a[j - 1];
		a[j] = c;
	}
}

static void find_lock_order(struct sel *s)
{
	rg_chan **a = s->order;
	size_t n = 0, distinct = 0;

	for (size_t i = 0; i < s->n; i++)
		if (case_has_chan(&s->cases[i]))
			a[n++] = s->cases[i].chan_;
	if (n <= SMALL_CASES)
		sort_insertion(a, n);
	else
		sort_heap(a, n);
	for (size_t i = 0; i < n; i++)
		if (distinct == 0 || a[distinct - 1] != a[i])
			a[distinct++] = a[i];
	s->norder = distinct;
}

/* Whether the select waits for its own bubble's channels only. */
static void note_bubbles(struct sel *s)
{
	s->is_durable = bubble_current() != NULL && !s->group;
	for (size_t i = 0; i < s->norder; i++) {
		s->is_durable &= (chan_flags(s->order[i]) & CHAN_BUBBLED) != 0;
		chan_check_bubble(s->order[i], "select on");
	}
}

static void lock_all(const struct sel *s)
{
	for (size_t i = 0; i < s->norder; i++)
		rtlock_lock(&s->order[i]->lock);
}

static void unlock_all(const struct sel *s)
{
	rg_chan **order = s->order;

	/* *s and the array may be gone after the last unlock (I1). */
	for (size_t left = s->norder; left > 0; left--) {
		rg_chan *c = *order++;

		rtlock_unlock(&c->lock);
	}
}

/* As unlock_all, on another stack; enqueue_all has announced what we did. */
static bool commit_unlock_all(struct g *gp, void *arg)
{
	const struct sel *s = arg;
	rg_chan **order = s->order;

	(void)gp;
	for (size_t left = s->norder; left > 0; left--) {
		rg_chan *c = *order++;

		rtlock_unlock_left(&c->lock);
	}
	return true;
}

/* The gate of sched_park_until keeps *s until this has returned. */
static bool commit_unlock_and_send(struct g *gp, void *arg)
{
	const struct sel *s = arg;

	commit_unlock_all(gp, arg);
	opgroup_send(s->group);
	return true;
}

/* ---- S2 to S5 ------------------------------------------------------------- */

/* S2: do a ready case and unlock all; -1: none is ready, all stay locked. */
static int take_ready(struct sel *s)
{
	struct g *wake = NULL;
	bool refused = false;
	int i;

	do {
		i = draw_ready(s->cases, s->n);
		if (i < 0)
			return -1;
	} while (case_has_chan(&s->cases[i]) &&
		 !case_do_locked(&s->cases[i], &wake, &refused));
	unlock_all(s);
	if (wake)
		sched_ready(wake);
	if (rg_unlikely(refused))
		chan_refuse_send(s->cases[i].chan_);
	return i;
}

static struct waitq *case_queue(const rg_case *cs)
{
	return cs->is_send_ ? &cs->chan_->sendq : &cs->chan_->recvq;
}

/* S3 */
static void enqueue_all(struct sel *s, struct g *gp)
{
	for (size_t i = 0; i < s->n; i++) {
		rg_case *cs = &s->cases[i];

		if (!cs->chan_)
			continue;
		s->sudogs[i] = (struct sudog){
			.gp = gp,
			.elem = cs->elem_,
			.is_select = true,
		};
		waitq_push(case_queue(cs), &s->sudogs[i], &cs->chan_->lock);
	}
}

/* S5. Each loser's lock is taken even if its sudog has left the queue: I1. */
static void dequeue_losers(struct sel *s, const struct sudog *winner)
{
	for (size_t i = 0; i < s->n; i++) {
		rg_chan *c = s->cases[i].chan_;
		struct sudog *sg = &s->sudogs[i];

		if (!c || sg == winner)
			continue;
		rtlock_lock(&c->lock);
		if (sg->queued)
			waitq_remove(case_queue(&s->cases[i]), sg);
		rtlock_unlock(&c->lock);
	}
}

static enum wait_reason wait_reason(const struct sel *s)
{
	if (!s->n)
		return WAIT_SELECT_NONE;
	return s->is_durable ? WAIT_SYNCTEST_SELECT : WAIT_SELECT;
}

/* S3 to S5; all channels are locked. */
static int select_parked(struct sel *s, rg_time deadline)
{
	enum wait_reason reason = wait_reason(s);
	struct g *gp = chan_self();
	struct sudog *winner;
	rg_case *cs;

	if (lockgraph_is_on() && !s->n && deadline == RG_FOREVER)
		lockreport_for_ever(reason);
	wake_begin(gp);
	gp->park_slot = NULL;
	enqueue_all(s, gp);
	if (s->group)
		sched_park_until(commit_unlock_and_send, s, deadline, false,
				 reason, s);
	else if (deadline == RG_FOREVER)
		sched_park(commit_unlock_all, s, reason, s);
	else
		sched_park_until(commit_unlock_all, s, deadline, false, reason,
				 s);
	/* Set by the waker that won, and by no other. */
	san_acquire(gp);
	winner = gp->park_slot;
	gp->park_slot = NULL;
	dequeue_losers(s, winner);
	if (!winner && s->group && s->group->first)
		return SELECT_OP;
	if (!winner)
		return -ETIMEDOUT;
	san_acquire(winner);
	cs = &s->cases[winner - s->sudogs];
	cs->ok = winner->success;
	if (rg_unlikely(cs->is_send_ && !cs->ok))
		rg_panic("send on closed channel");
	return (int)(cs - s->cases);
}

void select_forget(struct g *gp)
{
	struct sel *s = gp->wait_arg;

	dequeue_losers(s, NULL);
	if (s->ops)
		selops_forget(s->ops);
}

int select_locked(struct sel *s, rg_time deadline)
{
	int i;

	find_lock_order(s);
	note_bubbles(s);
	lock_all(s);
	i = take_ready(s);
	if (i >= 0)
		return i;
	if (deadline)
		return select_parked(s, deadline);
	unlock_all(s);
	return -EAGAIN;
}

/* ---- entry ---------------------------------------------------------------- */

static RG_NOINLINE int select_small(rg_case *cases, size_t n, rg_time deadline)
{
	struct sudog sudogs[SMALL_CASES];
	rg_chan *order[SMALL_CASES];
	struct sel s = {
		.cases = cases, .n = n, .sudogs = sudogs, .order = order};

	return select_locked(&s, deadline);
}

static RG_NOINLINE int select_big(rg_case *cases, size_t n, rg_time deadline)
{
	struct sudog *sudogs =
		rgk_alloc(n * (sizeof(*sudogs) + sizeof(rg_chan *)));
	struct sel s = {.cases = cases, .n = n, .sudogs = sudogs};
	int i;

	if (!sudogs)
		rg_panic("out of memory: select of %zu cases", n);
	s.order = (rg_chan **)(void *)(sudogs + n);
	i = select_locked(&s, deadline);
	rgk_free(sudogs);
	return i;
}

static RG_NOINLINE int select_slow(rg_case *cases, size_t n, rg_time deadline)
{
	if (n <= SMALL_CASES)
		return select_small(cases, n, deadline);
	return select_big(cases, n, deadline);
}

static void check_n(size_t n)
{
	if (rg_unlikely(n > CASES_MAX))
		rg_panic("select: %zu cases, at most %d are possible", n,
			 CASES_MAX);
}

int rg_select(rg_case *cases, size_t n)
{
	int i;

	sched_point();
	check_n(n);
	i = select_quick(cases, n);
	if (rg_likely(i >= 0))
		return i;
	if (rg_unlikely(i == SELECT_MIXED))
		return select_mixed(cases, n, RG_FOREVER);
	do {
		i = select_slow(cases, n, RG_FOREVER);
	} while (i < 0);
	return i;
}

int rg_select_try(rg_case *cases, size_t n)
{
	int i;

	sched_point();
	check_n(n);
	i = select_quick(cases, n);
	if (i >= 0)
		return i;
	if (rg_unlikely(i == SELECT_MIXED))
		return select_mixed(cases, n, 0);
	/* Of one channel, what was seen without a lock would do, but for the
	 * order of loads that chan.c's try calls keep. */
	return select_slow(cases, n, 0);
}

int rg_select_until(rg_case *cases, size_t n, rg_time deadline)
{
	int i;

	sched_point();
	check_n(n);
	i = select_quick(cases, n);
	if (i >= 0)
		return i;
	if (rg_unlikely(i == SELECT_MIXED))
		/* 0 would be a try. */
		return select_mixed(cases, n, deadline > 0 ? deadline : 1);
	if (deadline != RG_FOREVER && deadline <= rg_now()) {
		i = select_slow(cases, n, 0);
		return i == -EAGAIN ? -ETIMEDOUT : i;
	}
	return select_slow(cases, n, deadline);
}
