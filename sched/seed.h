/* SPDX-License-Identifier: MIT */
/*
 * seed - the deterministic scheduler: RINGGO_SEED=n.
 *
 * One M runs all goroutines. The Ps that were asked for exist as logical ones, each
 * with a queue and a `next`; which of them is served, what it runs, what it steals, who
 * gives way at a scheduling point, in which order timers fire that are due together:
 * each is drawn from one generator that starts with n. So the same program with the
 * same seed takes the same way, and another seed takes another one.
 *
 *   I1  everything here is used by the one M, but for the clock, which any thread may
 *       read.
 *   I2  goroutines become runnable as always, on the run queue of the one P or on the
 *       global queue; before each choice both are emptied into the logical queues.
 *       So there is one place that chooses, and production code has one branch, in
 *       switch_pick, which sends every switch there.
 *   I3  every draw is counted and goes into a hash, and so does the id of each
 *       goroutine that is run: two runs with the same hash took the same way.
 *   I4  the clock is a logical one. It starts at SEED_EPOCH and moves by a drawn step
 *       with each choice, by a nanosecond when a goroutine reads it, and jumps to the
 *       next timer when nothing can run. It does not jump while anything outside may
 *       still make somebody runnable (an operation in flight, a helper thread, a
 *       signal that is waited for, a thread that is not the runtime's): then the M
 *       sleeps, and the clock moves as the real one does.
 *   I5  a goroutine held back (so that others get far ahead of it, as if its thread
 *       had lost its CPU) is run at the latest when nothing else can.
 *   I6  a seed also fixes the style: how often goroutines give way, how far the order
 *       is from first in, first out, how large the clock's steps are. One style finds
 *       what another one does not.
 * Not reproducible: what comes from outside: threads that are not the runtime's,
 * rg_blocking, signals, other processes, the real time, addresses (the program's own
 * use of them).
 * Rejected: a real P each, with one of them running at a time: the order would depend
 * on the kernel's waking of threads, or the hand-over on a lock in every switch.
 */
#ifndef RG_SCHED_SEED_H
#define RG_SCHED_SEED_H

#include <ringgo/base.h>

#include "kernel-iface/clock.h"
#include "sched/point.h"

struct g;
struct m;
struct textbuf;

/* One hour: it is neither 0 nor, by its looks, a real time. */
#define SEED_EPOCH (3600 * RG_SECOND)

/* seed_is_on - a seeded runtime is on, or being started or stopped. Any thread. */
static inline bool seed_is_on(void)
{
	/* Relaxed: changes while there is one thread. */
	return rg_unlikely(atomic_load_explicit(&sched_attention.bits,
						memory_order_relaxed) &
			   ATTENTION_SEED);
}

/* seed_start - from the environment; procs: the Ps asked for. Returns how many are
 * to be made. seed_stop: the runtime has ended, or was not started. */
int seed_start(int procs);
void seed_stop(void);

int seed_procs(void); /* logical Ps */

/* seed_find - what to run next; NULL: nothing, sleep (I4). On g0. */
struct g *seed_find(struct m *mp);

/* seed_wants_yield - whether the calling goroutine gives way here. */
bool seed_wants_yield(void);

/* seed_coin - true or false; false without a seed. By the M, or false. */
bool seed_coin(void);

/* seed_now - the logical clock. Any thread. */
rg_time seed_now(void);

/* sched_now - the clock of timers and deadlines outside of bubbles. Any thread. */
static inline rg_time sched_now(void)
{
	return seed_is_on() ? seed_now() : clock_now();
}

/* How far the present runtime, or the last one, has come. */
struct seed_account {
	uint64_t seed, decisions, hash;
};
struct seed_account seed_account(void);

/* seed_print - "RINGGO_SEED=n, N decisions, hash H", a line; nothing without a seed.
 * For panics. */
void seed_print(struct textbuf *b);

#endif
