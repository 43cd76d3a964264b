/* SPDX-License-Identifier: MIT */
/*
 * chan - the body of a channel, and the moves on it that need its lock.
 *
 * chan.c (one channel) and select.c (many) are built from the inline functions here:
 * they are the hot path, and each of them is short.
 *
 *   I1  every field under "lock" is changed with the lock held; those declared
 *       _Atomic are also read without it, as hints or by the reasoning in chan.c.
 *   I2  cap > 0 and count > 0: recvq has no waiter that can still be woken.
 *       count < cap: neither has sendq. (A select that was woken by another
 *       channel may still stand in a queue; waitq_pop skips it.)
 *   I3  a closed channel has empty queues but for such stale selects.
 *   I4  the waker of a sudog copies the value, sets success and, for a select,
 *       gp->park_slot under the channel's lock, and readies gp after unlocking it. A
 *       woken goroutine reads its own sudog only: not the channel, which its waker's
 *       peer may have freed by then.
 *   I5  after the unlock no call touches the channel again: whoever drops the last
 *       reference may free it as soon as it has had the lock.
 * Lock rank: a channel's lock comes after a context tree's. While it is held, only
 * other channels' are taken, in the order of their addresses (select.c), and a
 * timer heap's, by a select with a deadline.
 */
#ifndef RG_SYNC_CHAN_H
#define RG_SYNC_CHAN_H

#include <ringgo/chan.h>

#include <stdatomic.h>
#include <string.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/bubble.h"
#include "sched/park.h"

/* rg_chan.flags; written under the lock. */
enum {
	CHAN_CLOSED = 1,
	CHAN_RECV_ONLY = 2,    /* a user may neither send nor close */
	CHAN_HIDES_BUFFER = 4, /* a timer's: len and cap are 0 */
	CHAN_BUBBLED = 8,      /* of a synctest bubble; const after creation */
};

/* A goroutine that waits on one channel; on its stack, or in its select's memory. */
struct sudog {
	struct sudog *next, *prev; /* under the channel's lock */
	struct g *gp;              /* const */
	void *elem;                /* const; NULL: the value is dropped */
	bool is_select;            /* const; gp->wake_state elects its waker */
	bool queued;               /* under the channel's lock */
	bool success; /* written by the waker: a value passed; else closed */
};

struct waitq {
	struct sudog *_Atomic first;
	struct sudog *last;
};

struct rg_chan {
	/* under lock; one cache line */
	struct rtlock lock;
	uint16_t elem_size; /* const */
	_Atomic uint8_t flags;
	uint8_t spare;
	_Atomic size_t count;
	size_t cap;  /* const */
	size_t head; /* index of the oldest element, < cap unless cap is 0 */
	struct waitq recvq, sendq;

	_Atomic uint32_t refs; /* any thread */
	uint32_t bubble;       /* const: id of its bubble; 0: none */
	/* const: runs when refs comes to 0, and frees c; NULL: rgk_free(c) */
	void (*on_free)(rg_chan *c);
	_Alignas(16) char buf[];
};

_Static_assert(offsetof(struct rg_chan, refs) == 64,
	       "the hot fields fill a line");

/*
 * chan_init - make zeroed memory a channel with one reference; its owner gives room
 * for capacity * elem_size bytes at c->buf. See rg_chan_make for users' channels.
 */
void chan_init(rg_chan *c, uint16_t elem_size, size_t capacity, uint8_t flags,
	       void (*on_free)(rg_chan *c));

/* chan_close_into - close c unless it is closed; who has to be readied is put on
 * `ready`. Takes c's lock. Any thread, g0, timer callbacks. */
void chan_close_into(rg_chan *c, struct ready_list *ready);

/* chan_offer - the try-send of the library itself, which may send on its receive-only
 * channels: false when full or closed. Any thread, g0, timer callbacks. */
bool chan_offer(rg_chan *c, const void *elem);

/* chan_drain - drop what is buffered; whether there was anything. */
bool chan_drain(rg_chan *c);

/* chan_forget, select_forget - gp, parked in a channel operation or a select, will
 * never run again: its runtime ended. */
void chan_forget(struct g *gp);
void select_forget(struct g *gp);

/* chan_self - getg() for those who are about to park; panics when out of memory. */
struct g *chan_self(void);

/* Why send and close on c are not to be: closed, or not for users. */
RG_NORETURN void chan_refuse_send(rg_chan *c);

/* ---- waiter queues; c->lock is held ------------------------------------ */

static inline struct sudog *waitq_first(const struct waitq *q)
{
	/* Relaxed: under the lock, or a hint. */
	return atomic_load_explicit(&q->first, memory_order_relaxed);
}

static inline void waitq_set_first(struct waitq *q, struct sudog *sg)
{
	/* Q1 release, pairs with the acquire loads in chan_looks_empty and
	 * chan_looks_full. */
	atomic_store_explicit(&q->first, sg, memory_order_release);
}

/* lock: of q's channel. */
static inline void waitq_push(struct waitq *q, struct sudog *sg,
			      struct rtlock *lock)
{
	struct sudog *last = q->last;

	/* The lock is released later, on another stack: what this goroutine
	 * did up to here counts as done before that. */
	san_release(lock);
	sg->next = NULL;
	sg->prev = last;
	sg->queued = true;
	q->last = sg;
	if (last)
		last->next = sg;
	else
		waitq_set_first(q, sg);
}

static inline void waitq_remove(struct waitq *q, struct sudog *sg)
{
	if (sg->prev)
		sg->prev->next = sg->next;
	else
		waitq_set_first(q, sg->next);
	if (sg->next)
		sg->next->prev = sg->prev;
	else
		q->last = sg->prev;
	sg->queued = false;
}

/* The first waiter that is ours to wake, unlinked; NULL: none. */
static inline struct sudog *waitq_pop(struct waitq *q)
{
	struct sudog *sg;

	while ((sg = waitq_first(q))) {
		struct sudog *next = sg->next;

		if (next)
			next->prev = NULL;
		else
			q->last = NULL;
		waitq_set_first(q, next);
		sg->queued = false;
		if (!sg->is_select)
			return sg;
		if (wake_claim(sg->gp, WAKE_EVENT)) {
			sg->gp->park_slot = sg;
			san_release(sg->gp);
			return sg;
		}
	}
	return NULL;
}

/* ---- elements ----------------------------------------------------------- */

static RG_ALWAYS_INLINE void elem_copy(void *dst, const void *src, size_t size)
{
	if (rg_likely(size == 8))
		memcpy(dst, src, 8);
	else if (size)
		memcpy(dst, src, size);
}

static inline char *chan_slot(rg_chan *c, size_t i)
{
	return c->buf + i * c->elem_size;
}

static inline size_t chan_count(const rg_chan *c)
{
	/* Relaxed: under the lock, or a hint. */
	return atomic_load_explicit(&c->count, memory_order_relaxed);
}

static inline void chan_set_count(rg_chan *c, size_t n)
{
	/* Q2 release, pairs with the acquire loads in chan_looks_empty and
	 * chan_looks_full. */
	atomic_store_explicit(&c->count, n, memory_order_release);
}

static inline unsigned chan_flags(const rg_chan *c)
{
	/* Relaxed: under the lock, or a hint. */
	return atomic_load_explicit(&c->flags, memory_order_relaxed);
}

/* Panics when c is a bubble's and the caller is not of it. */
static inline void chan_check_bubble(const rg_chan *c, const char *what)
{
	if (rg_unlikely(chan_flags(c) & CHAN_BUBBLED))
		bubble_check(c->bubble, what, "channel");
}

/* The value is where it belongs: sg's goroutine may be readied after the unlock. */
static inline struct g *sudog_done(struct sudog *sg)
{
	sg->success = true;
	san_release(sg);
	return sg->gp;
}

/* ---- the moves; c->lock is held ----------------------------------------- */

/*
 * chan_send_locked - hand *elem to a parked receiver or buffer it. false: neither is
 * possible. *wake gets who is to be readied after the unlock, or is left alone. The
 * caller has seen that c is not closed.
 */
static RG_ALWAYS_INLINE bool chan_send_locked(rg_chan *c, const void *elem,
					      struct g **wake)
{
	size_t n = chan_count(c), at;
	struct sudog *sg;

	if (waitq_first(&c->recvq) && (sg = waitq_pop(&c->recvq))) {
		if (sg->elem)
			elem_copy(sg->elem, elem, c->elem_size);
		*wake = sudog_done(sg);
		return true;
	}
	if (n == c->cap)
		return false;
	at = c->head + n;
	if (at >= c->cap)
		at -= c->cap;
	elem_copy(chan_slot(c, at), elem, c->elem_size);
	chan_set_count(c, n + 1);
	return true;
}

/* Take the oldest element; a parked sender's value takes its place at the end. */
static RG_ALWAYS_INLINE void chan_take_locked(rg_chan *c, void *elem, size_t n,
					      struct g **wake)
{
	size_t at = c->head;
	struct sudog *sg = NULL;
	char *slot = chan_slot(c, at);

	if (elem)
		elem_copy(elem, slot, c->elem_size);
	c->head = ++at == c->cap ? 0 : at;
	if (waitq_first(&c->sendq))
		sg = waitq_pop(&c->sendq);
	if (sg) {
		/* The buffer is full (I2): the slot just emptied is its end. */
		elem_copy(slot, sg->elem, c->elem_size);
		*wake = sudog_done(sg);
	} else {
		chan_set_count(c, n - 1);
	}
}

/* chan_recv_locked - 1 received, 0 closed and drained (*elem is zeroed), -EAGAIN. */
static RG_ALWAYS_INLINE int chan_recv_locked(rg_chan *c, void *elem,
					     struct g **wake)
{
	size_t n = chan_count(c);
	struct sudog *sg;

	if (n) {
		chan_take_locked(c, elem, n, wake);
		return 1;
	}
	if (waitq_first(&c->sendq) && (sg = waitq_pop(&c->sendq))) {
		if (elem)
			elem_copy(elem, sg->elem, c->elem_size);
		*wake = sudog_done(sg);
		return 1;
	}
	if (rg_likely(!(chan_flags(c) & CHAN_CLOSED)))
		return -EAGAIN;
	if (elem)
		memset(elem, 0, c->elem_size);
	return 0;
}

#endif
