/* SPDX-License-Identifier: MIT */
/*
 * httpquick - which handlers have been quick lately.
 *
 * Answers to pipelined requests may leave in one write, but none should wait for a
 * handler that sleeps. Whether the next one will cannot be known; so a handler must
 * have been quick many times in a row before earlier answers wait for it.
 *   I1  purely a hint: what is wrong here costs a write, or delays an answer once.
 *   I2  a handler is known by its function; two that fall into the same slot take
 *       it from each other.
 * Any thread, no lock, never parks. Zeroed memory knows nobody.
 * Rejected: always batching (a client that waits for the first answer before it
 * goes on would wait for the second handler); never (a write for each answer).
 */
#ifndef RG_HTTPQUICK_H
#define RG_HTTPQUICK_H

#include <ringgo/http.h>

#include <stdatomic.h>

enum { HTTPQUICK_SLOTS = 32, HTTPQUICK_TRUSTED = 16, HTTPQUICK_MAX = 64 };

/* Up to this a handler is quick; beyond ten times this it is slow. */
#define HTTPQUICK_LIMIT (100 * RG_MICROSECOND)

struct httpquick {
	struct {
		_Atomic uintptr_t fn;
		_Atomic uint32_t score;
	} slots[HTTPQUICK_SLOTS];
};

static inline uint32_t httpquick_slot(rg_http_handler *fn)
{
	return (uint32_t)(((uintptr_t)fn >> 4) * 0x9e3779b1u >> 16) %
	       HTTPQUICK_SLOTS;
}

static inline bool httpquick_is_trusted(struct httpquick *q,
					rg_http_handler *fn)
{
	uint32_t i = httpquick_slot(fn);

	/* Relaxed throughout: I1. */
	return atomic_load_explicit(&q->slots[i].fn, memory_order_relaxed) ==
		       (uintptr_t)fn &&
	       atomic_load_explicit(&q->slots[i].score, memory_order_relaxed) >=
		       HTTPQUICK_TRUSTED;
}

static inline void httpquick_note(struct httpquick *q, rg_http_handler *fn,
				  rg_duration took)
{
	uint32_t i = httpquick_slot(fn);
	uint32_t score = 0;

	if (atomic_load_explicit(&q->slots[i].fn, memory_order_relaxed) ==
	    (uintptr_t)fn)
		score = atomic_load_explicit(&q->slots[i].score,
					     memory_order_relaxed);
	else
		atomic_store_explicit(&q->slots[i].fn, (uintptr_t)fn,
				      memory_order_relaxed);
	if (took > 10 * HTTPQUICK_LIMIT)
		score = 0;
	else if (took > HTTPQUICK_LIMIT)
		score /= 2;
	else if (score < HTTPQUICK_MAX)
		score++;
	else
		return; /* no store: the line stays shared */
	atomic_store_explicit(&q->slots[i].score, score, memory_order_relaxed);
}

#endif
