// SPDX-License-Identifier: MIT
/*
 * rtlock - the waiting side; the fast path and the invariants are in rtlock.h.
 */
#include "kernel-iface/base/rtlock.h"

#include <sched.h>
#include <time.h>

#include "kernel-iface/base/forked.h"

enum { SPIN_ROUNDS = 64, YIELD_ROUNDS = 16, NAP_MAX_NS = 200 * 1000 };

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

static bool is_free(struct rtlock *l)
{
	/* Relaxed: only a hint; rtlock_try acquires. */
	return atomic_load_explicit(&l->held, memory_order_relaxed) == 0;
}

RG_COLD void rtlock_lock_slow(struct rtlock *l)
{
	struct timespec nap = {0, 10 * 1000};

	for (int i = 0; i < SPIN_ROUNDS; i++) {
		cpu_relax();
		if (is_free(l) && rtlock_try(l))
			return;
	}
	for (int i = 0; i < YIELD_ROUNDS; i++) {
		sched_yield();
		if (is_free(l) && rtlock_try(l))
			return;
	}
	forked_check();
	for (;;) {
		/* An interrupted nap only looks earlier. */
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		if (is_free(l) && rtlock_try(l))
			return;
		if (nap.tv_nsec < NAP_MAX_NS)
			nap.tv_nsec *= 2;
	}
}
