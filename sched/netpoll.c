// SPDX-License-Identifier: MIT
/*
 * netpoll - see netpoll.h and waitop.h.
 *
 * The cancel queue is a LIFO filled by compare-and-swap from any thread and emptied by
 * one exchange: the order of cancellations does not matter.
 */
#include "sched/netpoll.h"

#include <errno.h>

#include "kernel-iface/clock.h"
#include "sched/lockthread.h"
#include "sched/opgroup.h"
#include "sched/wake.h"

enum { REAP_BATCH = 256 };

/* waitop.h I3. What is between two attempts is found by the second or third request;
 * what goes on without end (a disk, a server of files) is asked every 16 ms. */
enum { TRIES_AT_ONCE = 16, PAUSE_SHIFTS = 4 };

/* w is done, and in no cancel queue. */
static inline void end_wait(struct wait_op *w, struct ready_list *ready)
{
	if (rg_likely(!w->group))
		ready_list_add(ready, w->gp);
	else
		opgroup_drop(w->group, ready);
}

/* op->done of every wait_op; under reap_lock. reaper: a ready_list. */
static void wait_op_done(struct op *op, int res, uint32_t flags, void *reaper)
{
	struct wait_op *w = container_of(op, struct wait_op, op);
	uint32_t old;

	(void)flags;
	w->res = res;
	if (rg_unlikely(w->group != NULL))
		opgroup_event(w, reaper);
	/* D1 acq_rel, pairs with D2: res is visible to whoever readies. */
	old = atomic_fetch_or_explicit(&w->state, WOP_DONE,
				       memory_order_acq_rel);
	if (!(old & WOP_QUEUED))
		end_wait(w, reaper);
}

static void push_unsent(struct m *mp, struct wait_op *w)
{
	w->unsent = true;
	w->unsent_next = NULL;
	if (mp->unsent_tail)
		mp->unsent_tail->unsent_next = w;
	else
		mp->unsent_head = w;
	mp->unsent_tail = w;
}

void netpoll_push(struct m *mp, struct wait_op *w)
{
	w->op.done = wait_op_done;
	if (rg_unlikely(mp->unsent_head ||
			ring_push(&mp->ring, w->sqe, &w->op)))
		push_unsent(mp, w);
}

static void send_unsent(struct m *mp)
{
	while (mp->unsent_head) {
		struct wait_op *w = mp->unsent_head;

		if (ring_push(&mp->ring, w->sqe, &w->op))
			return;
		mp->unsent_head = w->unsent_next;
		if (!mp->unsent_head)
			mp->unsent_tail = NULL;
		w->unsent = false;
	}
}

static void remove_unsent(struct m *mp, struct wait_op *w)
{
	struct wait_op **link = &mp->unsent_head, *before = NULL;

	while (*link != w) {
		before = *link;
		link = &before->unsent_next;
	}
	*link = w->unsent_next;
	if (mp->unsent_tail == w)
		mp->unsent_tail = before;
	w->unsent = false;
}

static void note_cancel(struct m *mp, int by)
{
	/* Relaxed: published by D3, with the request. */
	atomic_fetch_add_explicit(&mp->cancels_due, by, memory_order_relaxed);
}

static void queue_cancel(struct wait_op *w)
{
	struct m *mp = w->mp;
	struct wait_op *head =
		atomic_load_explicit(&mp->cancel_queue, memory_order_relaxed);

	do {
		w->cancel_next = head;
		/* K1 release, pairs with K2 in serve_cancels. */
	} while (!atomic_compare_exchange_weak_explicit(
		&mp->cancel_queue, &head, w, memory_order_release,
		memory_order_relaxed));
}

void netpoll_cancel(struct wait_op *w, int err)
{
	struct m *mp = w->mp;
	int none = 0;
	uint32_t state;

	/* Relaxed: read by the goroutine after D1/D2. */
	if (!atomic_compare_exchange_strong_explicit(&w->cancel_err, &none, err,
						     memory_order_relaxed,
						     memory_order_relaxed))
		return;
	state = atomic_load_explicit(&w->state, memory_order_relaxed);
	/* Before anybody can find it both queued and done. */
	note_cancel(mp, 1);
	do {
		if (state & WOP_DONE) {
			note_cancel(mp, -1);
			return;
		}
		/* D3 release, pairs with D1: cancel_err. */
	} while (!atomic_compare_exchange_weak_explicit(
		&w->state, &state, state | WOP_QUEUED, memory_order_release,
		memory_order_relaxed));
	queue_cancel(w);
	/* Fence, pairs with S5 in wake.c: a sleeper is seen, or it sees us. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&mp->ring.sleeping, memory_order_relaxed))
		ring_wake(&mp->ring);
}

/* op->answered of every wait_op; under reap_lock. reaper: a ready_list. */
static void wait_op_answered(struct op *op, int res, void *reaper)
{
	struct wait_op *w = container_of(op, struct wait_op, op);
	struct m *mp = w->mp; /* w may be gone once it is answered */
	uint32_t old = atomic_load_explicit(&w->state, memory_order_relaxed);

	if (rg_unlikely(res == -ENOENT && !(old & WOP_DONE))) {
		if (w->not_found < UINT8_MAX)
			w->not_found++;
		queue_cancel(w);
		return;
	}
	/* D2 acq_rel, pairs with D1. */
	old = atomic_fetch_and_explicit(&w->state, ~(uint32_t)WOP_QUEUED,
					memory_order_acq_rel);
	if (old & WOP_DONE)
		end_wait(w, reaper);
	note_cancel(mp, -1);
}

static rg_duration pause_of(const struct wait_op *w)
{
	unsigned n = w->not_found - TRIES_AT_ONCE;

	return RG_MILLISECOND << (n < PAUSE_SHIFTS ? n : PAUSE_SHIFTS);
}

static bool is_done(const struct wait_op *w)
{
	/* Relaxed: a look; D2 comes before anything is read. */
	return atomic_load_explicit(&w->state, memory_order_relaxed) & WOP_DONE;
}

static void put_off(struct m *mp, struct wait_op *w)
{
	w->retry_at = clock_now() + pause_of(w);
	w->cancel_next = mp->later;
	mp->later = w;
}

/* false: the SQ is full; w stays queued. */
static bool serve_cancel(struct m *mp, struct wait_op *w)
{
	uint32_t old = atomic_load_explicit(&w->state, memory_order_relaxed);

	if (!(old & WOP_DONE)) {
		if (w->unsent) {
			remove_unsent(mp, w);
			w->res = -ECANCELED;
			if (w->group)
				opgroup_event(w, &mp->reaped);
			atomic_fetch_or_explicit(&w->state, WOP_DONE,
						 memory_order_relaxed);
		} else {
			int ret;

			w->op.answered = wait_op_answered;
			ret = ring_push_cancel(&mp->ring, &w->op);
			if (ret <= 0)
				return ret == 0; /* the rest: when answered */
		}
	}
	/* D2 acq_rel, pairs with D1. */
	old = atomic_fetch_and_explicit(&w->state, ~(uint32_t)WOP_QUEUED,
					memory_order_acq_rel);
	if (old & WOP_DONE)
		end_wait(w, &mp->reaped);
	note_cancel(mp, -1);
	return true;
}

static void serve_cancels(struct m *mp)
{
	struct wait_op *w, *next;

	/* Relaxed: a look. */
	if (!atomic_load_explicit(&mp->cancel_queue, memory_order_relaxed))
		return;
	/* K2 acquire, pairs with K1. */
	w = atomic_exchange_explicit(&mp->cancel_queue, NULL,
				     memory_order_acquire);
	for (; w; w = next) {
		next = w->cancel_next;
		if (rg_unlikely(w->not_found >= TRIES_AT_ONCE))
			put_off(mp, w);
		else if (!serve_cancel(mp, w))
			queue_cancel(w); /* again in the next round */
	}
}

static void serve_later(struct m *mp)
{
	struct wait_op *w = mp->later, *next;
	rg_time now = clock_now();

	mp->later = NULL;
	for (; w; w = next) {
		next = w->cancel_next;
		if ((is_done(w) || w->retry_at <= now) && serve_cancel(mp, w))
			continue;
		w->cancel_next = mp->later;
		mp->later = w;
	}
}

int64_t netpoll_limit(const struct m *mp, int64_t limit)
{
	rg_time now;

	if (rg_likely(!mp->later))
		return limit;
	now = clock_now();
	for (const struct wait_op *w = mp->later; w; w = w->cancel_next) {
		int64_t left = w->retry_at - now;

		if (is_done(w) || left < 0)
			left = 0;
		if (limit < 0 || left < limit)
			limit = left;
	}
	return limit;
}

bool netpoll_has_requests(const struct m *mp)
{
	return mp->unsent_head ||
	       atomic_load_explicit(&mp->cancel_queue, memory_order_relaxed);
}

bool netpoll_is_quiet(const struct m *mp)
{
	/* Relaxed: a look. It counts what is put off as well. */
	return !ring_inflight(&mp->ring) && !ring_has_work(&mp->ring) &&
	       !netpoll_has_requests(mp) &&
	       !atomic_load_explicit(&mp->cancels_due, memory_order_relaxed);
}

void netpoll_serve(struct m *mp)
{
	if (rg_unlikely(mp->unsent_head != NULL))
		send_unsent(mp);
	if (rg_unlikely(mp->later != NULL))
		serve_later(mp);
	serve_cancels(mp);
}

static void submit(struct m *mp)
{
	netpoll_serve(mp);
	if (ring_pending(&mp->ring) || ring_has_work(&mp->ring))
		/* An error means: reap first. The next round tries again. */
		ring_enter(&mp->ring);
}

void netpoll_reap(struct m *mp)
{
	while (ring_reap(&mp->ring, REAP_BATCH, &mp->reaped) == REAP_BATCH)
		;
}

static void make_runnable(struct ready_list *from, struct gqueue *out)
{
	struct g *gp = from->head, *next;

	from->head = from->tail = NULL;
	for (; gp; gp = next) {
		next = gp->schedlink;
		g_set_state(gp, G_RUNNABLE);
		if (rg_unlikely(lockthread_is_locked(gp)))
			lockthread_ready(gp);
		else
			gqueue_push(out, gp);
	}
}

void netpoll_take_reaped(struct m *mp, struct gqueue *out)
{
	make_runnable(&mp->reaped, out);
}

bool netpoll_rescue(struct m *mp)
{
	struct ready_list reaped = {0};
	struct gqueue out = {0};
	bool found;

	ring_reap_foreign(&mp->ring, REAP_BATCH, &reaped);
	make_runnable(&reaped, &out);
	found = out.len > 0;
	global_put(&out);
	return found;
}

bool netpoll_wants_kick(struct m *mp)
{
	/* Relaxed: a look. */
	return ring_wants_kick(&mp->ring) ||
	       atomic_load_explicit(&mp->cancel_queue, memory_order_relaxed);
}

bool netpoll_kick(struct m *mp)
{
	struct gqueue ready = {0};

	if (!netpoll_wants_kick(mp) && !ring_has_work(&mp->ring))
		return false;
	submit(mp);
	netpoll_reap(mp);
	netpoll_take_reaped(mp, &ready);
	global_put(&ready);
	return true;
}

bool netpoll(struct m *mp, bool may_enter)
{
	struct gqueue ready = {0};
	struct g *gp;

	if (may_enter)
		submit(mp);
	netpoll_reap(mp);
	if (!mp->reaped.head)
		return false;
	netpoll_take_reaped(mp, &ready);
	while (ready.head) {
		gp = gqueue_pop(&ready);
		if (!runq_put(&mp->p->runq, gp)) {
			struct gqueue rest = {0};

			gqueue_push(&rest, gp);
			gqueue_append(&rest, &ready);
			global_put(&rest);
		}
	}
	if (runq_len(&mp->p->runq) > 1)
		wake_p();
	return true;
}

void netpoll_drain(struct m *mp)
{
	enum { ROUND_NS = 10 * 1000 * 1000 };

	while (mp->unsent_head)
		remove_unsent(mp, mp->unsent_head);
	while (ring_inflight(&mp->ring) > 0) {
		ring_cancel_all(&mp->ring);
		ring_wait(&mp->ring, ROUND_NS);
		netpoll_reap(mp);
	}
	mp->reaped.head = mp->reaped.tail = NULL;
	mp->later = NULL;
}
