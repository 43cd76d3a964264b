// SPDX-License-Identifier: MIT
/*
 * rtlock - the waiting side; the fast path and the invariants are in rtlock.h.
 */
#include "kernel-iface/base/rtlock.h"

#include <sched.h>
#include <time.h>

#include "kernel-iface/base/forked.h"

enum { SPIN_ROUNDS = 8, YIELD_ROUNDS = 16, NAP_MAX_NS = 200 * 1000 };

#if defined(__x86_64__)
/*
 * The first wait is long, and each is twice as long as the one before: who holds the
 * lock goes on to use it, in its own cache, and does some hundred operations until the
 * waiter looks again; each look takes the line away from it. (A channel of 128 that four
 * goroutines send to and four receive from, on two Ps: 52 ns an item with looks 0.1 us
 * apart, 12 with these; 2026-11.) In ticks of the time stamp counter, some 0.4 ns each:
 * what a `pause` takes differs by a factor of ten between processors and hypervisors.
 */
enum { BACKOFF_MIN = 2048, BACKOFF_MAX = 32768 };

static void back_off(unsigned ticks)
{
	uint64_t begun = __builtin_ia32_rdtsc();

	do
		__builtin_ia32_pause();
	while (__builtin_ia32_rdtsc() - begun < ticks);
}
#else
enum { BACKOFF_MIN = 64, BACKOFF_MAX = 512 };

static void back_off(unsigned n)
{
	while (n--)
		__asm__ volatile("yield" ::: "memory");
}
#endif

static bool is_free(struct rtlock *l)
{
	/* Relaxed: only a hint; rtlock_try acquires. */
	return atomic_load_explicit(&l->held, memory_order_relaxed) == 0;
}

RG_COLD void rtlock_lock_slow(struct rtlock *l)
{
	struct timespec nap = {0, 10 * 1000};
	unsigned wait = BACKOFF_MIN;

	for (int i = 0; i < SPIN_ROUNDS; i++) {
		back_off(wait);
		if (is_free(l) && rtlock_try(l))
			return;
		if (wait < BACKOFF_MAX)
			wait *= 2;
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
