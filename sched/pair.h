/* SPDX-License-Identifier: MIT */
/*
 * pair - threads for goroutines: an M, its ring, its P; how they come and end.
 *
 *   I1  pairs of the start are made by the starting thread; more are made, one by one,
 *       by the maker, a thread that sleeps until sysmon or rg_gomaxprocs want some.
 *       Neither sysmon nor a signal handler can make a thread: pthread_create
 *       allocates, and a thread that was stopped in a handler may hold malloc's lock.
 *   I2  a pair that is there stays until the runtime ends.
 *   I3  with one pair the run queue works without locked instructions (runq.is_alone).
 *       Before a second one joins, the first is told, and has been seen outside the
 *       queue's code since (`quiesced`).
 *   I4  PAIRS_SPARE more than nprocs at most, and one for each goroutine that is
 *       locked to a thread: a ring costs locked memory.
 *   I5  the thread of an M may end, with a goroutine that was locked to it
 *       (lockthread.h). M and P are vacant until the maker has given them a new
 *       thread; sysmon fires their timers meanwhile, and asks again when no thread
 *       could be had. nms counts Ms that are not vacant.
 */
#ifndef RG_SCHED_PAIR_H
#define RG_SCHED_PAIR_H

#include "sched/sched.h"

enum { PAIRS_SPARE = 64 };

/* ---- start and stop, by run.c ---- */

/* pair_alloc - n pairs without threads. 0 or -ENOMEM. */
int pair_alloc(int n);
void pair_free_all(void);

/* pair_start_threads - the threads of Ms first to n - 1; waits until each can run or
 * failed. pair_keep_started - drops those that failed and says so; -errno when M0 is
 * among them. pair_place - those that are there, idle. */
void pair_start_threads(int first, int n);
int pair_keep_started(int n);
void pair_place(void);

/* The caller's own thread is M0. 0 or a negative errno. */
int pair_begin_own(struct m *m0);
void pair_end_own(struct m *m0);
/* Runs goroutines until the runtime stops; ends with pair_end_own. */
void pair_run_own(struct m *m0);

struct m *pair_m(int id);

/* pair_await - all Ms but `own` of them ended by then; false: some did not.
 * pair_join - afterwards. */
bool pair_await(int own, rg_time deadline);
void pair_join(void);

/* True when a thread's first allocation would find room. */
bool pair_has_room(void);

/* pair_maker_start - false: no thread; then there are no spare pairs, ever.
 * pair_maker_stop - joins it. */
bool pair_maker_start(void);
void pair_maker_stop(void);

/* ---- while it runs ---- */

/* pair_want - n pairs at least. pair_want_more - one more than there are. Any thread,
 * signal handlers too. They are made soon, or not at all (no thread, no memory). */
void pair_want(int n);
void pair_want_more(void);

/* There are as many as there may be (I4), or no more can be made. */
bool pair_is_limit(void);

/* pair_look_for_shortage - true: threads are missing (vacant Ms, or work and nobody to do
 * it), and the maker was told. sysmon. */
bool pair_look_for_shortage(void);

/* The maker waits for the first pair (I3): whoever sees it computing kicks it. */
bool pair_is_awaited(void);

/* The M was seen outside the run queue's code (I3). */
static inline void pair_quiesced(struct m *mp)
{
	/* Release, pairs with pair.c: what it did before. */
	atomic_fetch_add_explicit(&mp->quiesced, 1, memory_order_release);
}

#endif
