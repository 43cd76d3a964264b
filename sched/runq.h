/* SPDX-License-Identifier: MIT */
/*
 * runq - the local run queue of a P: a bounded ring of G and one slot `next`.
 *
 * The owner puts at the tail and gets from the head; thieves take half from the head.
 *   I1  tail is written by the owner P only.
 *   I2  head only moves forward, by CAS, by whoever takes the slots it passes.
 *   I3  0 <= tail - head <= RUNQ_SIZE, as unsigned difference (both wrap).
 *   I4  `next` is set and cleared by exchange; who gets a non-NULL value owns it. It
 *       runs before the ring: a goroutine readied by the running one follows at once
 *       (ping-pong, depth-first spawning), within the same time slice.
 * Not a Chase-Lev deque: FIFO order keeps a burst of ready goroutines fair. After
 * runqput/runqgrab in Go's proc.go. Waking a thief is wake's job.
 */
#ifndef RG_SCHED_RUNQ_H
#define RG_SCHED_RUNQ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-iface/base/check.h"

struct g;

enum { RUNQ_SIZE = 256 };

struct runq {
	RG_CACHE_ALIGNED _Atomic uint32_t head;
	RG_CACHE_ALIGNED _Atomic uint32_t tail;
	_Atomic(struct g *) next;
	bool is_alone; /* const: there is one P, nobody steals */
	_Atomic(struct g *) ring[RUNQ_SIZE];
};

/* A FIFO of goroutines through schedlink, for batches; not thread-safe. */
struct gqueue {
	struct g *head, *tail;
	uint32_t len;
};
void gqueue_push(struct gqueue *q, struct g *gp);
struct g *gqueue_pop(struct gqueue *q);
void gqueue_append(struct gqueue *q, struct gqueue *from); /* from gets empty */

/* Owner only. runq_put: false when full; then runq_overflow moves half of the ring
 * and gp to *out. runq_get: next slot first if take_next, then the head. */
bool runq_put(struct runq *q, struct g *gp);
void runq_overflow(struct runq *q, struct g *gp, struct gqueue *out);
static inline struct g *runq_get(struct runq *q);

/* Owner only: put gp into `next`; what was there is returned (or NULL). */
struct g *runq_set_next(struct runq *q, struct g *gp);

/* Any thread. Moves half of victim's ring to q (owned by the caller, empty) but for
 * one that is returned; with take_next also the next slot when the ring is empty. */
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

static inline struct g *runq_get(struct runq *q)
{
	struct g *gp = runq_take_next(q);
	uint32_t head, tail;

	if (gp)
		return gp;
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

#endif
