/* SPDX-License-Identifier: MIT */
/*
 * rtlock - the lock inside the runtime: held for tens of nanoseconds, never across
 * a park, a system call or a call into user code.
 *
 *   I1  zeroed memory is an unlocked lock.
 *   I2  unlocking is one release store: no locked instruction, no waiter count.
 *   I3  a waiter stays away for a microsecond or more, some times, then yields its CPU, then sleeps in growing steps
 *       up to 200 us: with few cores the holder may be off its CPU, and a waiter of
 *       higher real-time priority must not keep it there.
 *   I4  never taken in a signal handler.
 *   I5  the order in which locks may nest is written at each lock's declaration.
 *   I6  to ThreadSanitizer the lock of an object that a program uses orders what the
 *       program does; a lock of the runtime's own does not, or every goroutine that
 *       was ever scheduled would be ordered with all others, and no race of theirs be
 *       seen. Files (or layers: Makefile) say -DRTLOCK_ANNOUNCED=0 for the latter.
 * Not a futex mutex: telling waiters costs a locked instruction in each unlock
 * (5 ns), on each channel operation; contention here is rare and short.
 */
#ifndef RGK_BASE_RTLOCK_H
#define RGK_BASE_RTLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"

#ifndef RTLOCK_ANNOUNCED
#define RTLOCK_ANNOUNCED 1
#endif

struct rtlock {
	_Atomic uint32_t held;
};

void rtlock_lock_slow(struct rtlock *l);

static inline bool rtlock_try(struct rtlock *l)
{
	uint32_t expected = 0;

	/* L1 acquire, pairs with L2: what the last holder wrote is visible. */
	if (!atomic_compare_exchange_strong_explicit(&l->held, &expected, 1,
						     memory_order_acquire,
						     memory_order_relaxed))
		return false;
	if (RTLOCK_ANNOUNCED)
		san_acquire(l);
	return true;
}

static inline void rtlock_lock(struct rtlock *l)
{
	if (rg_likely(rtlock_try(l)))
		return;
	rtlock_lock_slow(l);
	if (RTLOCK_ANNOUNCED)
		san_acquire(l);
}

static inline void rtlock_unlock(struct rtlock *l)
{
	if (RTLOCK_ANNOUNCED)
		san_release(l);
	/* L2 release, pairs with L1. */
	atomic_store_explicit(&l->held, 0, memory_order_release);
}

/*
 * rtlock_unlock_left - unlock for a flow that was left with the lock held, from the
 * next one on the thread. To a sanitizer the next one says nothing by that: what the
 * left one did was announced by itself (san_release) before the switch.
 */
static inline void rtlock_unlock_left(struct rtlock *l)
{
	/* L2 release, pairs with L1. */
	atomic_store_explicit(&l->held, 0, memory_order_release);
}

/* Only for assertions: somebody holds it. */
static inline bool rtlock_is_held(struct rtlock *l)
{
	return atomic_load_explicit(&l->held, memory_order_relaxed) != 0;
}

#endif
