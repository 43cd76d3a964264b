/* SPDX-License-Identifier: MIT */
/*
 * futexlock - the runtime's sleeping mutex and condition, for what is rare and slow:
 * starting, stopping and waiting for the runtime, registering routes.
 *
 *   I1  zeroed memory is an unlocked lock, and a condition nobody waits for.
 *   I2  threads sleep in the kernel, never a goroutine as such: an M that waits is
 *       away with its P until it gets the lock, so nothing parks under one.
 *   I3  a wait may end without a wake-up; callers test what they wait for, in a loop.
 *       A broadcast under the lock, or after it, is missed by nobody who took the
 *       lock before that and waits.
 *   I4  errno is as it was. Never in a signal handler.
 * Not pthread_mutex_t: libringgo.a would bring pthread's locks into the program's
 * dynamic imports, and textmap could not tell them from the program's own, whose
 * presence forbids preemption by a switch of stacks. Not rtlock: its waiters poll.
 * After Drepper, "Futexes are tricky", the third mutex.
 */
#ifndef RGK_BASE_FUTEXLOCK_H
#define RGK_BASE_FUTEXLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"

enum { FUTEXLOCK_FREE, FUTEXLOCK_HELD, FUTEXLOCK_WAITED_FOR };

struct futexlock {
	_Atomic uint32_t state;
};

/* The number of broadcasts, as a futex word. */
struct futexcond {
	_Atomic uint32_t turn;
};

void futexlock_lock_slow(struct futexlock *l);
void futexlock_wake_slow(struct futexlock *l);

static inline bool futexlock_try(struct futexlock *l)
{
	uint32_t expected = FUTEXLOCK_FREE;

	/* F1 acquire, pairs with F2: what the last holder wrote is visible. */
	if (!atomic_compare_exchange_strong_explicit(
		    &l->state, &expected, FUTEXLOCK_HELD, memory_order_acquire,
		    memory_order_relaxed))
		return false;
	san_acquire(l);
	return true;
}

static inline void futexlock_lock(struct futexlock *l)
{
	if (rg_unlikely(!futexlock_try(l)))
		futexlock_lock_slow(l);
}

static inline void futexlock_unlock(struct futexlock *l)
{
	san_release(l);
	/* F2 release, pairs with F1. */
	if (rg_unlikely(atomic_exchange_explicit(&l->state, FUTEXLOCK_FREE,
						 memory_order_release) ==
			FUTEXLOCK_WAITED_FOR))
		futexlock_wake_slow(l);
}

/*
 * futexcond_wait - unlock l, sleep until a broadcast or until deadline_ns (absolute,
 * CLOCK_MONOTONIC; INT64_MAX: none), lock l. 0, which need not mean a broadcast, or
 * -ETIMEDOUT: deadline_ns is past.
 */
int futexcond_wait(struct futexcond *c, struct futexlock *l,
		   int64_t deadline_ns);

/* futexcond_broadcast - end all waits on c; with or without the lock. */
void futexcond_broadcast(struct futexcond *c);

#endif
