/* SPDX-License-Identifier: MIT */
/*
 * runq - the local run queue of a P: a bounded ring of G, one slot `next`, and a deque
 * of newborns, goroutines that have not run yet.
 *
 * The owner puts at the ring's tail and gets from its head; thieves take from the head.
 * Newborns the owner takes youngest first and thieves take oldest first, as Cilk does:
 * a tree of goroutines is walked depth first, so that few of them are alive at once
 * and their stacks are warm, and a thief gets the largest subtree (skynet: a million
 * leaves with 130,000 alive in FIFO order, some hundreds in this one).
 *   I1  tail and bottom are written by the owner P only.
 *   I2  head and top only move forward, by CAS, by whoever takes the slots they pass.
 *       The owner takes the youngest by moving bottom back, and by a CAS of top when
 *       it is the last one (Chase and Lev; orders after Le, Pop, Cohen and Zappa
 *       Nardelli, "Correct and efficient work-stealing for weak memory models", 2013).
 *   I3  0 <= tail - head <= RUNQ_SIZE, as unsigned difference (both wrap);
 *       0 <= bottom - top <= NEWBORN_MAX, but for -1 while the owner finds it empty.
 *   I4  `next` is set and cleared by exchange; who gets a non-NULL value owns it. It
 *       runs before the others: a goroutine readied by the running one follows at once
 *       (ping-pong, depth-first spawning), within the same time slice.
 *   I5  neither starves the other: ring and newborns take turns, and of the newborns
 *       the oldest goes to the ring from time to time (runq_promote), all of them before
 *       a goroutine that yields (runq_settle).
 * The ring is no deque: FIFO order keeps a burst of ready goroutines fair. It is
 * larger than Go's 256 so that a service with a thousand busy connections does not
 * pass them through the global queue (yield with 1,000 goroutines: 31 ns with 256
 * slots, 12.5 with 2,048). After runqput/runqgrab in Go's proc.go. Waking a thief is
 * wake's job.
 */
#ifndef RG_SCHED_RUNQ_H
#define RG_SCHED_RUNQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-iface/base/check.h"

struct g;

/* At most RUNQ_BATCH goroutines change queues at once: a thief's copy must end before
 * the owner's next get, or it never succeeds. */
enum { RUNQ_SIZE = 2048, RUNQ_BATCH = 128, NEWBORN_MAX = 1024 };

struct runq {
	RG_CACHE_ALIGNED _Atomic uint32_t head;
	_Atomic uint32_t top; /* the oldest newborn */
	RG_CACHE_ALIGNED _Atomic uint32_t tail;
	_Atomic uint32_t bottom; /* behind the youngest newborn */
	_Atomic(struct g *) next;
	bool is_alone; /* const: there is one P, nobody steals */
	uint8_t turn;  /* own */
	_Atomic(struct g *) ring[RUNQ_SIZE];
	_Atomic(struct g *) newborn[NEWBORN_MAX];
};

/* A FIFO of goroutines through schedlink, for batches; not thread-safe. */
struct gqueue {
	struct g *head, *tail;
	uint32_t len;
};
void gqueue_push(struct gqueue *q, struct g *gp);
struct g *gqueue_pop(struct gqueue *q);
void gqueue_append(struct gqueue *q, struct gqueue *from); /* from gets empty */

/* Owner only. runq_put: false when full; then runq_overflow moves a batch of the ring's
 * oldest and gp to *out. runq_get: next slot first, then the ring's head and the
 * youngest newborn in turns. */
bool runq_put(struct runq *q, struct g *gp);
void runq_overflow(struct runq *q, struct g *gp, struct gqueue *out);
static inline struct g *runq_get(struct runq *q);

/* Owner only: gp has not run yet; false when there are NEWBORN_MAX. */
bool runq_bear(struct runq *q, struct g *gp);

/* Owner only (I5): the oldest newborn, or all, oldest first, to the ring's tail, as far
 * as there is room. */
void runq_promote(struct runq *q);
void runq_settle(struct runq *q);

/* Owner only: put gp into `next`; what was there is returned (or NULL). */
struct g *runq_set_next(struct runq *q, struct g *gp);

/* Any thread. Moves half of victim's ring, RUNQ_BATCH at most, to q (owned by the caller,
 * empty) but for one that is returned; of its older newborns when the ring is empty; with
 * take_next also the next slot when there are none. */
struct g *runq_steal(struct runq *q, struct runq *victim, bool take_next);

/* Any thread; the owner may use it meanwhile. Appends all that is there to *out. */
void runq_drain(struct runq *victim, struct gqueue *out);

/* A snapshot: nothing to run. May be stale as soon as it returns. */
bool runq_is_empty(const struct runq *q);
uint32_t runq_len(const struct runq *q); /* next included */

/* Relaxed: slots are published by tail (B1) and owned through head (B3). */
static inline struct g *runq_slot(struct runq *q, uint32_t i)
{
	return atomic_load_explicit(&q->ring[i % RUNQ_SIZE],
				    memory_order_relaxed);
}

/* The ring alone. Owner only: exact but for thieves, who only take. */
static inline uint32_t runq_ring_len(const struct runq *q)
{
	/* B4 acquire, pairs with B3. Tail: relaxed, ours (I1). */
	uint32_t head = atomic_load_explicit(&q->head, memory_order_acquire);

	return atomic_load_explicit(&q->tail, memory_order_relaxed) - head;
}

static inline struct g *runq_take_next(struct runq *q)
{
	/* Relaxed: a look; N2 acquire, pairs with N1. */
	struct g *gp = atomic_load_explicit(&q->next, memory_order_relaxed);

	if (!gp)
		return NULL;
	if (q->is_alone) {
		atomic_store_explicit(&q->next, NULL, memory_order_relaxed);
		return gp;
	}
	return atomic_exchange_explicit(&q->next, NULL, memory_order_acquire);
}

/* Owner only. */
static inline bool runq_has_newborn(const struct runq *q)
{
	/* Relaxed: bottom is ours; a thief may only take. */
	return atomic_load_explicit(&q->bottom, memory_order_relaxed) !=
	       atomic_load_explicit(&q->top, memory_order_relaxed);
}

/* With newborns there. */
struct g *runq_get_in_turn(struct runq *q);

static inline struct g *runq_get_ring(struct runq *q)
{
	uint32_t head, tail;
	struct g *gp;

	/* B4 acquire, pairs with B3. */
	head = atomic_load_explicit(&q->head, memory_order_acquire);
	for (;;) {
		tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
		if (head == tail)
			return NULL;
		gp = runq_slot(q, head);
		if (q->is_alone) {
			/* Relaxed: one thread. Saves the locked instruction,
			 * a third of a switch. */
			atomic_store_explicit(&q->head, head + 1,
					      memory_order_relaxed);
			return gp;
		}
		/* B3 release, pairs with B4: the slot was read. */
		if (atomic_compare_exchange_weak_explicit(
			    &q->head, &head, head + 1, memory_order_acq_rel,
			    memory_order_acquire))
			return gp;
	}
}

static inline struct g *runq_get(struct runq *q)
{
	struct g *gp = runq_take_next(q);

	if (gp)
		return gp;
	if (runq_has_newborn(q))
		return runq_get_in_turn(q);
	return runq_get_ring(q);
}

#endif
