/* SPDX-License-Identifier: MIT */
/*
 * point - where a goroutine may be made to give way: the entries of the library.
 *
 * Every public operation that could park, or that another goroutine could be waiting
 * for, begins with sched_point. It is one load of a word that is 0 nearly always; who
 * wants the attention of running goroutines sets a bit there.
 *   I1  a point is passed by the caller's own business only: with no lock of the
 *       runtime held, not in the commit step of a park, not in a timer's callback
 *       (a bubble's root runs those on its own stack: bubble.h, I5), and so never in
 *       sched_ready, chan_offer and others that callbacks use.
 *   I2  after it the goroutine may be on another thread, as after a park (park.h, I4).
 *   I3  on a scheduler's stack and on foreign threads it does nothing.
 */
#ifndef RG_SCHED_POINT_H
#define RG_SCHED_POINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/base/check.h"

enum {
	ATTENTION_SEED = 1,    /* seed.h: set while a seeded runtime is on */
	ATTENTION_PREEMPT = 2, /* a time slice has ended */
};

/* Read everywhere, written seldom: a cache line of its own. */
struct attention {
	RG_CACHE_ALIGNED _Atomic uint32_t bits;
};
extern struct attention sched_attention;

RG_COLD RG_NOINLINE void sched_point_slow(void);

/* sched_point_is_due - for functions so short that a call would cost them a frame: they
 * leave by a tail call to one that begins with sched_point_slow. */
static inline bool sched_point_is_due(void)
{
	/* Relaxed: a hint; what is behind a bit looks for itself. */
	return rg_unlikely(atomic_load_explicit(&sched_attention.bits,
						memory_order_relaxed));
}

static inline void sched_point(void)
{
	if (sched_point_is_due())
		sched_point_slow();
}

#endif
