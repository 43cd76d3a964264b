// SPDX-License-Identifier: MIT
/*
 * runq - see runq.h for the role and the invariants.
 */
#include "sched/runq.h"

#include "sched/g.h"

void gqueue_push(struct gqueue *q, struct g *gp)
{
	gp->schedlink = NULL;
	if (q->tail)
		q->tail->schedlink = gp;
	else
		q->head = gp;
	q->tail = gp;
	q->len++;
}

struct g *gqueue_pop(struct gqueue *q)
{
	struct g *gp = q->head;

	if (!gp)
		return NULL;
	q->head = gp->schedlink;
	if (!q->head)
		q->tail = NULL;
	q->len--;
	gp->schedlink = NULL;
	return gp;
}

void gqueue_append(struct gqueue *q, struct gqueue *from)
{
	if (!from->head)
		return;
	if (q->tail)
		q->tail->schedlink = from->head;
	else
		q->head = from->head;
	q->tail = from->tail;
	q->len += from->len;
	from->head = from->tail = NULL;
	from->len = 0;
}

static inline void slot_set(struct runq *q, uint32_t i, struct g *gp)
{
	atomic_store_explicit(&q->ring[i % RUNQ_SIZE], gp,
			      memory_order_relaxed);
}

bool runq_put(struct runq *q, struct g *gp)
{
	/* B4 acquire, pairs with B3: a slot is written only after whoever took
	 * it has read it. Tail: relaxed, ours (I1). */
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	if (rg_unlikely(tail - head >= RUNQ_SIZE))
		return false;
	slot_set(q, tail, gp);
	/* B1 release, pairs with B2 in runq_steal: the slot, and all that gp
	 * points to, is visible before the new tail is. */
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
	return true;
}

void runq_overflow(struct runq *q, struct g *gp, struct gqueue *out)
{
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	uint32_t n = (tail - head) / 2;
	struct g *batch[RUNQ_SIZE / 2];

	for (uint32_t i = 0; i < n; i++)
		batch[i] = runq_slot(q, head + i);
	/* B3 release, pairs with B4; fails when a thief was quicker, and then
	 * there is room. */
	if (n && atomic_compare_exchange_strong_explicit(
			 &q->head, &head, head + n, memory_order_release,
			 memory_order_relaxed)) {
		for (uint32_t i = 0; i < n; i++)
			gqueue_push(out, batch[i]);
	}
	gqueue_push(out, gp);
}

struct g *runq_set_next(struct runq *q, struct g *gp)
{
	/* Relaxed load: a thief may only clear it. */
	struct g *old = atomic_load_explicit(&q->next, memory_order_relaxed);

	if (!old) {
		/* N1 release, pairs with N2 in take_next: nobody else writes a
		 * non-NULL value, so a plain store cannot lose one (I4). */
		atomic_store_explicit(&q->next, gp, memory_order_release);
		return NULL;
	}
	/* N1 release; acquire, pairs with our own or another N1. */
	return atomic_exchange_explicit(&q->next, gp, memory_order_acq_rel);
}

struct g *runq_steal(struct runq *q, struct runq *victim, bool want_next)
{
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	for (;;) {
		/* B4 acquire, pairs with B3. */
		uint32_t head = atomic_load_explicit(&victim->head,
						     memory_order_acquire);
		/* B2 acquire, pairs with B1: the slots up to it. */
		uint32_t end = atomic_load_explicit(&victim->tail,
						    memory_order_acquire);
		uint32_t n = end - head;

		n -= n / 2;
		if (!n)
			return want_next ? runq_take_next(victim) : NULL;
		if (n > RUNQ_SIZE / 2)
			continue; /* head and tail were read apart */
		for (uint32_t i = 0; i < n; i++)
			slot_set(q, tail + i, runq_slot(victim, head + i));
		/* B3 release, pairs with B4. */
		if (!atomic_compare_exchange_strong_explicit(
			    &victim->head, &head, head + n,
			    memory_order_acq_rel, memory_order_relaxed))
			continue;
		n--;
		/* B1 release, pairs with B2. */
		if (n)
			atomic_store_explicit(&q->tail, tail + n,
					      memory_order_release);
		return runq_slot(q, tail + n);
	}
}

static struct g *take_first(struct runq *victim)
{
	/* B4 acquire, pairs with B3. */
	uint32_t head =
		atomic_load_explicit(&victim->head, memory_order_acquire);

	for (;;) {
		/* B2 acquire, pairs with B1: the slots up to it. */
		uint32_t end = atomic_load_explicit(&victim->tail,
						    memory_order_acquire);
		struct g *gp = runq_slot(victim, head);

		if (head == end)
			return NULL;
		/* B3 release, pairs with B4: the slot was read. */
		if (atomic_compare_exchange_weak_explicit(
			    &victim->head, &head, head + 1,
			    memory_order_acq_rel, memory_order_acquire))
			return gp;
	}
}

void runq_drain(struct runq *victim, struct gqueue *out)
{
	struct g *gp = runq_take_next(victim);

	if (gp)
		gqueue_push(out, gp);
	while ((gp = take_first(victim)))
		gqueue_push(out, gp);
}

bool runq_is_empty(const struct runq *q)
{
	return runq_len(q) == 0;
}

uint32_t runq_len(const struct runq *q)
{
	/* Acquire, pairs with B3 and B1: tail is at least as new as head. */
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_acquire);
	struct g *next = atomic_load_explicit(&q->next, memory_order_relaxed);

	return tail - head + (next != NULL);
}
