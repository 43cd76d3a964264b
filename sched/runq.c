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

/* How many newborns there are; any thread. */
static uint32_t newborns(const struct runq *q)
{
	/* Acquire, pairs with D3 and D1: bottom is at least as new as top. */
	uint32_t top = atomic_load_explicit(&q->top, memory_order_acquire);
	uint32_t bottom =
		atomic_load_explicit(&q->bottom, memory_order_acquire);

	return (int32_t)(bottom - top) > 0 ? bottom - top : 0;
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

void runq_overflow(struct runq *q, struct g *gp, struct gqueue *out)
{
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	struct g *batch[RUNQ_BATCH];

	for (uint32_t i = 0; i < RUNQ_BATCH; i++)
		batch[i] = runq_slot(q, head + i);
	/* B3 release, pairs with B4; fails when a thief was quicker, and then
	 * there is room. */
	if (atomic_compare_exchange_strong_explicit(
		    &q->head, &head, head + RUNQ_BATCH, memory_order_release,
		    memory_order_relaxed)) {
		for (uint32_t i = 0; i < RUNQ_BATCH; i++)
			gqueue_push(out, batch[i]);
	}
	gqueue_push(out, gp);
}

/* ---- newborns ---- */

/* How often it is the ring's turn while there are newborns. */
enum { RING_TURN = 8 };

static inline struct g *newborn_slot(struct runq *q, uint32_t i)
{
	/* Relaxed: published by bottom (D1), owned through top (D3). */
	return atomic_load_explicit(&q->newborn[i % NEWBORN_MAX],
				    memory_order_relaxed);
}

bool runq_bear(struct runq *q, struct g *gp)
{
	uint32_t bottom =
		atomic_load_explicit(&q->bottom, memory_order_relaxed);
	/* D4 acquire, pairs with D3: a slot is written only after whoever took
	 * it has read it. */
	uint32_t top = atomic_load_explicit(&q->top, memory_order_acquire);

	if (rg_unlikely(bottom - top >= NEWBORN_MAX))
		return false;
	atomic_store_explicit(&q->newborn[bottom % NEWBORN_MAX], gp,
			      memory_order_relaxed);
	/* D1 release, pairs with D2: the slot and what gp points to. */
	atomic_store_explicit(&q->bottom, bottom + 1, memory_order_release);
	return true;
}

/* Any thread: the oldest. NULL also when another one was quicker. */
static struct g *take_oldest(struct runq *victim)
{
	/* Seq_cst, both, and in this order: pairs with D5. Acquire in it: D2
	 * with D1, D4 with D3. */
	uint32_t top = atomic_load_explicit(&victim->top, memory_order_seq_cst);
	uint32_t bottom =
		atomic_load_explicit(&victim->bottom, memory_order_seq_cst);
	struct g *gp;

	if ((int32_t)(bottom - top) <= 0)
		return NULL;
	gp = newborn_slot(victim, top);
	/* D3 release (in seq_cst), pairs with D4: the slot was read. */
	if (!atomic_compare_exchange_strong_explicit(
		    &victim->top, &top, top + 1, memory_order_seq_cst,
		    memory_order_relaxed))
		return NULL;
	return gp;
}

/* Owner: the youngest. */
static struct g *take_youngest(struct runq *q)
{
	uint32_t bottom =
		atomic_load_explicit(&q->bottom, memory_order_relaxed) - 1;
	uint32_t top;
	struct g *gp;

	if (q->is_alone) {
		/* Relaxed: one thread, and there is one. */
		atomic_store_explicit(&q->bottom, bottom, memory_order_relaxed);
		return newborn_slot(q, bottom);
	}
	/* D5 seq_cst, both, and in this order: pairs with take_oldest. Either a
	 * thief sees the new bottom, or we see its top. */
	atomic_exchange_explicit(&q->bottom, bottom, memory_order_seq_cst);
	top = atomic_load_explicit(&q->top, memory_order_seq_cst);
	if ((int32_t)(bottom - top) > 0)
		return newborn_slot(q, bottom);
	gp = NULL;
	/* D3, for the last one: against thieves. */
	if (bottom == top &&
	    atomic_compare_exchange_strong_explicit(&q->top, &top, top + 1,
						    memory_order_seq_cst,
						    memory_order_relaxed))
		gp = newborn_slot(q, bottom);
	/* Relaxed: as it was, and now equal to top. */
	atomic_store_explicit(&q->bottom, bottom + 1, memory_order_relaxed);
	return gp;
}

void runq_promote(struct runq *q)
{
	struct g *gp;

	/* Thieves only make more room. */
	if (runq_ring_len(q) < RUNQ_SIZE && (gp = take_oldest(q)))
		RG_ASSERT(runq_put(q, gp));
}

void runq_settle(struct runq *q)
{
	while (runq_has_newborn(q) && runq_ring_len(q) < RUNQ_SIZE)
		runq_promote(q);
}

struct g *runq_get_in_turn(struct runq *q)
{
	struct g *gp = NULL;

	if (++q->turn % RING_TURN == 0)
		gp = runq_get_ring(q);
	if (!gp)
		gp = take_youngest(q);
	return gp ? gp : runq_get_ring(q);
}

/* ---- next ---- */

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

/* ---- thieves ---- */

/* Half of victim's newborns, oldest first, to q, but for the first. */
static struct g *steal_newborns(struct runq *q, struct runq *victim)
{
	/* Relaxed: a guess; each is taken for itself. */
	uint32_t n =
		atomic_load_explicit(&victim->bottom, memory_order_relaxed) -
		atomic_load_explicit(&victim->top, memory_order_relaxed);
	struct g *first = take_oldest(victim), *gp;

	if (!first || n > NEWBORN_MAX)
		return first;
	for (n /= 2; n > 1 && (gp = take_oldest(victim)); n--)
		RG_ASSERT(runq_bear(q, gp));
	return first;
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
		struct g *gp;

		n -= n / 2;
		if (!n) {
			gp = steal_newborns(q, victim);
			return gp || !want_next ? gp : runq_take_next(victim);
		}
		if (n > RUNQ_SIZE / 2)
			continue; /* head and tail were read apart */
		if (n > RUNQ_BATCH)
			n = RUNQ_BATCH;
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

void runq_drain(struct runq *victim, struct gqueue *out)
{
	struct g *gp = runq_take_next(victim);

	if (gp)
		gqueue_push(out, gp);
	while ((gp = take_first(victim)))
		gqueue_push(out, gp);
	while (newborns(victim)) {
		gp = take_oldest(victim);
		if (gp)
			gqueue_push(out, gp);
	}
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

	return tail - head + newborns(q) + (next != NULL);
}
