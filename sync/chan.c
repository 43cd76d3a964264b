// SPDX-License-Identifier: MIT
/*
 * chan - channels: send, receive, close, and their life.
 *
 * One runtime lock a channel, held for the copy of one element. A sender that finds
 * a parked receiver writes the value to where that wants it, on buffered channels
 * too, and the reverse; so a parked goroutine finds its business done when it runs
 * again and does not look at the channel any more (chan.h, I4, I5). Waiters are
 * records on the parked goroutines' own stacks, which do not move: waiting allocates
 * nothing. Both queues are strictly first in, first out.
 *
 * try_send and try_recv first look without the lock, so that polling a channel that
 * is not ready costs no locked instruction. That look has to be right about one
 * moment within the call, for a caller who knows that its peer is ready must not
 * be told that it is not:
 *   F1  send: c is seen open, and full. A closed channel never becomes full, so
 *       whatever the order of the two loads, there was a moment of both.
 *   F2  receive: c is seen empty (acquire), then open. Channels are not reopened, so
 *       it was open when it was empty. Seen closed, the lock decides. The acquire
 *       matters: who emptied a channel that was closed before has published both
 *       facts, and the flag may not be loaded before the emptiness.
 *
 * Not lock-free: a send must look at two queues and a buffer at once, and a
 * select at several channels.
 * After Go's runtime/chan.go.
 */
#include "sync/chan.h"

#include "kernel-iface/alloc.h"
#include "sched/point.h"
#include "sync/lockreport.h"

#define ELEM_SIZE_MAX 65535

/* ---- life --------------------------------------------------------------- */

void chan_init(rg_chan *c, uint16_t elem_size, size_t capacity, uint8_t flags,
	       void (*on_free)(rg_chan *c))
{
	c->elem_size = elem_size;
	c->cap = capacity;
	c->on_free = on_free;
	c->bubble = bubble_id();
	if (rg_unlikely(c->bubble))
		flags |= CHAN_BUBBLED;
	/* Relaxed: nobody else knows c yet. */
	atomic_store_explicit(&c->flags, flags, memory_order_relaxed);
	atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
}

rg_chan *rg_chan_make(size_t elem_size, size_t capacity)
{
	size_t size;
	rg_chan *c;

	if (elem_size > ELEM_SIZE_MAX ||
	    __builtin_mul_overflow(elem_size, capacity, &size) ||
	    __builtin_add_overflow(size, sizeof(*c), &size) ||
	    size > PTRDIFF_MAX)
		return NULL;
	c = rgk_zalloc_aligned(size, RG_CACHE_LINE);
	if (!c)
		return NULL;
	chan_init(c, (uint16_t)elem_size, capacity, 0, NULL);
	return c;
}

rg_chan *rg_chan_ref(rg_chan *c)
{
	/* Relaxed: the caller has a reference, which keeps c. */
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void rg_chan_unref(rg_chan *c)
{
	if (!c)
		return;
	/* R1 release and acquire, pair with each other: what all former owners
	 * did to c comes before it is freed. */
	san_release(&c->refs);
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	san_acquire(&c->refs);
	if (waitq_first(&c->recvq) || waitq_first(&c->sendq))
		rg_panic("channel freed while goroutines wait on it");
	if (c->on_free)
		c->on_free(c);
	else
		rgk_free(c);
}

size_t rg_chan_len(const rg_chan *c)
{
	sched_point();
	return c && !(chan_flags(c) & CHAN_HIDES_BUFFER) ? chan_count(c) : 0;
}

size_t rg_chan_cap(const rg_chan *c)
{
	return c && !(chan_flags(c) & CHAN_HIDES_BUFFER) ? c->cap : 0;
}

/* ---- what should not be ------------------------------------------------- */

RG_COLD RG_NORETURN void chan_refuse_send(rg_chan *c)
{
	if (chan_flags(c) & CHAN_CLOSED)
		rg_panic("send on closed channel");
	rg_panic("send on receive-only channel (a timer's or a context's)");
}

RG_COLD RG_NORETURN static void refuse_elem(const char *what, size_t size,
					    const rg_chan *c)
{
	rg_panic("%s: element size %zu does not match the channel's %zu", what,
		 size, (size_t)c->elem_size);
}

RG_COLD RG_NORETURN static void refuse_null_elem(void)
{
	rg_panic("send of a NULL element on a channel whose element size is "
		 "not 0");
}

RG_COLD RG_NORETURN static void park_for_ever(enum wait_reason reason)
{
	(void)chan_self();
	if (lockgraph_is_on())
		lockreport_for_ever(reason);
	for (;;)
		sched_park(NULL, NULL, reason, NULL);
}

struct g *chan_self(void)
{
	struct g *gp = getg();

	if (rg_unlikely(!gp))
		rg_panic("out of memory: this thread cannot wait");
	return gp;
}

/* ---- send --------------------------------------------------------------- */

/* c->lock is held, and released when the context has been saved. */
static RG_NOINLINE void send_parked(rg_chan *c, const void *elem)
{
	struct sudog sg = {
		.gp = chan_self(),
		.elem = (void *)(uintptr_t)elem,
	};

	waitq_push(&c->sendq, &sg, &c->lock);
	sg.gp->park_slot = &sg;
	sched_park_unlock(&c->lock,
			  chan_flags(c) & CHAN_BUBBLED ? WAIT_SYNCTEST_CHAN_SEND
						       : WAIT_CHAN_SEND,
			  c);
	san_acquire(&sg);
	if (rg_unlikely(!sg.success))
		rg_panic("send on closed channel");
}

/* All of a send but its fast way; c->lock is held. */
static RG_NOINLINE bool send_locked(rg_chan *c, const void *elem, bool block)
{
	struct g *wake = NULL;
	bool sent;

	chan_check_bubble(c, "send on");
	if (rg_unlikely(chan_flags(c) & (CHAN_CLOSED | CHAN_RECV_ONLY))) {
		rtlock_unlock(&c->lock);
		chan_refuse_send(c);
	}
	sent = chan_send_locked(c, elem, &wake);
	if (!sent && block) {
		send_parked(c, elem);
		return true;
	}
	rtlock_unlock(&c->lock);
	if (wake)
		sched_ready(wake);
	return sent;
}

static RG_NOINLINE bool send_slow(rg_chan *c, const void *elem, bool block)
{
	if (!elem && c->elem_size)
		refuse_null_elem();
	rtlock_lock(&c->lock);
	return send_locked(c, elem, block);
}

/* The fast way: 8 bytes into the buffer. It calls nothing, so needs no frame. */
static RG_ALWAYS_INLINE bool chan_send(rg_chan *c, const void *elem, bool block)
{
	size_t n, at;

	if (rg_unlikely(!elem || !rtlock_try(&c->lock)))
		return send_slow(c, elem, block);
	n = chan_count(c);
	if (n == c->cap || c->elem_size != 8 || chan_flags(c) ||
	    waitq_first(&c->recvq))
		return send_locked(c, elem, block);
	at = c->head + n;
	if (at >= c->cap)
		at -= c->cap;
	memcpy(c->buf + 8 * at, elem, 8);
	chan_set_count(c, n + 1);
	rtlock_unlock(&c->lock);
	return true;
}

RG_COLD static void send_at_point(rg_chan *c, const void *elem)
{
	sched_point_slow();
	chan_send(c, elem, true);
}

void rg_chan_send(rg_chan *c, const void *elem)
{
	if (rg_unlikely(!c))
		park_for_ever(WAIT_CHAN_SEND_NIL);
	if (sched_point_is_due())
		send_at_point(c, elem);
	else
		chan_send(c, elem, true);
}

void rg_chan_send_sized(rg_chan *c, const void *elem, size_t size)
{
	if (rg_unlikely(!c))
		park_for_ever(WAIT_CHAN_SEND_NIL);
	if (rg_unlikely(size != c->elem_size))
		refuse_elem("rg_send", size, c);
	if (sched_point_is_due())
		send_at_point(c, elem);
	else
		chan_send(c, elem, true);
}

/* F1: nobody can take a value now, as far as can be seen without the lock. */
static bool chan_looks_full(rg_chan *c)
{
	/* Acquire, pairs with Q1 and Q2. */
	if (c->cap == 0)
		return !atomic_load_explicit(&c->recvq.first,
					     memory_order_acquire);
	return atomic_load_explicit(&c->count, memory_order_acquire) == c->cap;
}

bool rg_chan_try_send(rg_chan *c, const void *elem)
{
	sched_point();
	if (!c)
		return false;
	chan_check_bubble(c, "send on");
	if (!(chan_flags(c) & CHAN_CLOSED) && chan_looks_full(c))
		return false;
	return chan_send(c, elem, false);
}

bool chan_offer(rg_chan *c, const void *elem)
{
	struct g *wake = NULL;
	bool sent = false;

	rtlock_lock(&c->lock);
	if (!(chan_flags(c) & CHAN_CLOSED))
		sent = chan_send_locked(c, elem, &wake);
	rtlock_unlock(&c->lock);
	if (wake)
		sched_ready(wake);
	return sent;
}

/* ---- receive ------------------------------------------------------------ */

/* c->lock is held, and released when the context has been saved. */
static RG_NOINLINE bool recv_parked(rg_chan *c, void *elem)
{
	struct sudog sg = {.gp = chan_self(), .elem = elem};

	waitq_push(&c->recvq, &sg, &c->lock);
	sg.gp->park_slot = &sg;
	sched_park_unlock(&c->lock,
			  chan_flags(c) & CHAN_BUBBLED ? WAIT_SYNCTEST_CHAN_RECV
						       : WAIT_CHAN_RECV,
			  c);
	san_acquire(&sg);
	return sg.success;
}

/* All of a receive but its fast way; c->lock is held. */
static RG_NOINLINE bool recv_locked(rg_chan *c, void *elem)
{
	struct g *wake = NULL;
	int got;

	chan_check_bubble(c, "receive on");
	got = chan_recv_locked(c, elem, &wake);
	if (got < 0)
		return recv_parked(c, elem);
	rtlock_unlock(&c->lock);
	if (wake)
		sched_ready(wake);
	return got;
}

static RG_NOINLINE bool recv_slow(rg_chan *c, void *elem)
{
	rtlock_lock(&c->lock);
	return recv_locked(c, elem);
}

/* The fast way, as in chan_send. */
static RG_ALWAYS_INLINE bool chan_recv(rg_chan *c, void *elem)
{
	size_t n, at;

	if (rg_unlikely(!elem || !rtlock_try(&c->lock)))
		return recv_slow(c, elem);
	n = chan_count(c);
	if (!n || c->elem_size != 8 || chan_flags(c) || waitq_first(&c->sendq))
		return recv_locked(c, elem);
	at = c->head;
	memcpy(elem, c->buf + 8 * at, 8);
	c->head = ++at == c->cap ? 0 : at;
	chan_set_count(c, n - 1);
	rtlock_unlock(&c->lock);
	return true;
}

RG_COLD static bool recv_at_point(rg_chan *c, void *elem)
{
	sched_point_slow();
	return chan_recv(c, elem);
}

bool rg_chan_recv(rg_chan *c, void *elem)
{
	if (rg_unlikely(!c))
		park_for_ever(WAIT_CHAN_RECV_NIL);
	if (sched_point_is_due())
		return recv_at_point(c, elem);
	return chan_recv(c, elem);
}

bool rg_chan_recv_sized(rg_chan *c, void *elem, size_t size)
{
	if (rg_unlikely(!c))
		park_for_ever(WAIT_CHAN_RECV_NIL);
	if (rg_unlikely(size != c->elem_size))
		refuse_elem("rg_recv", size, c);
	if (sched_point_is_due())
		return recv_at_point(c, elem);
	return chan_recv(c, elem);
}

/* F2: nothing is to be had now, as far as can be seen without the lock. */
static bool chan_looks_empty(rg_chan *c)
{
	/* Acquire, pairs with Q1 and Q2. */
	if (c->cap == 0)
		return !atomic_load_explicit(&c->sendq.first,
					     memory_order_acquire);
	return atomic_load_explicit(&c->count, memory_order_acquire) == 0;
}

int rg_chan_try_recv(rg_chan *c, void *elem)
{
	struct g *wake = NULL;
	int got;

	sched_point();
	if (!c)
		return -EAGAIN;
	chan_check_bubble(c, "receive on");
	if (chan_looks_empty(c) && !(chan_flags(c) & CHAN_CLOSED))
		return -EAGAIN;
	rtlock_lock(&c->lock);
	got = chan_recv_locked(c, elem, &wake);
	rtlock_unlock(&c->lock);
	if (wake)
		sched_ready(wake);
	return got;
}

/* ---- close -------------------------------------------------------------- */

static void fail_waiters(rg_chan *c, struct waitq *q, bool zero,
			 struct ready_list *ready)
{
	struct sudog *sg;

	while ((sg = waitq_pop(q))) {
		if (zero && sg->elem && c->elem_size)
			memset(sg->elem, 0, c->elem_size);
		/* success is false since sg was made. */
		san_release(sg);
		ready_list_add(ready, sg->gp);
	}
}

/* false: c was closed, or its flags forbid it. The lock is held. */
static bool close_locked(rg_chan *c, unsigned forbid, struct ready_list *ready)
{
	unsigned flags = chan_flags(c);

	if (flags & forbid)
		return false;
	/* Relaxed: who empties the channel afterwards does it under the lock,
	 * and publishes by Q1 or Q2 (F2). */
	atomic_store_explicit(&c->flags, (uint8_t)(flags | CHAN_CLOSED),
			      memory_order_relaxed);
	fail_waiters(c, &c->recvq, true, ready);
	fail_waiters(c, &c->sendq, false, ready);
	return true;
}

void rg_chan_close(rg_chan *c)
{
	struct ready_list ready = {0};
	unsigned flags;
	bool done;

	sched_point();
	if (!c)
		rg_panic("close of nil channel");
	chan_check_bubble(c, "close of");
	rtlock_lock(&c->lock);
	flags = chan_flags(c);
	done = close_locked(c, CHAN_CLOSED | CHAN_RECV_ONLY, &ready);
	rtlock_unlock(&c->lock);
	if (done)
		sched_ready_all(&ready);
	else if (flags & CHAN_CLOSED)
		rg_panic("close of closed channel");
	else
		rg_panic("close of receive-only channel (a timer's or a "
			 "context's)");
}

void chan_close_into(rg_chan *c, struct ready_list *ready)
{
	chan_check_bubble(c, "close of");
	rtlock_lock(&c->lock);
	close_locked(c, CHAN_CLOSED, ready);
	rtlock_unlock(&c->lock);
}

bool chan_drain(rg_chan *c)
{
	bool had;

	rtlock_lock(&c->lock);
	had = chan_count(c) > 0;
	chan_set_count(c, 0);
	c->head = 0;
	rtlock_unlock(&c->lock);
	return had;
}

void chan_forget(struct g *gp)
{
	/* What it waits on is not freed while it waits. */
	rg_chan *c = gp->wait_arg;
	struct sudog *sg = gp->park_slot;

	rtlock_lock(&c->lock);
	if (sg->queued)
		waitq_remove(gp->wait_reason == WAIT_CHAN_SEND ||
					     gp->wait_reason ==
						     WAIT_SYNCTEST_CHAN_SEND
				     ? &c->sendq
				     : &c->recvq,
			     sg);
	rtlock_unlock(&c->lock);
}
