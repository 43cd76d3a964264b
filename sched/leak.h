/* SPDX-License-Identifier: MIT */
/*
 * leak - goroutines that are left over, grouped by who made them.
 *
 *	ringgo: leak: 3 goroutines still parked at the end
 *	ringgo: leak: 2 of worker, created by start_pool at /src/pool.c:60: chan
 *		receive in fetch at /src/pool.c:42 < worker at /src/pool.c:70, for up
 *		to 1.5s
 *
 * (one line each). Two users: the end of a runtime under RINGGO_DEBUG=leak=1, where
 * only parked goroutines count, as one that is runnable may be about to end; and the
 * public rg_leak_begin and rg_leak_end for tests, where everything counts that was
 * not there before and did not end in the time it was given.
 *
 * Left over is not lost: a server's accept loop is parked when main returns and
 * nothing is wrong with it. Which of them could never have been woken again only a
 * walk over all memory could tell.
 */
#ifndef RG_SCHED_LEAK_H
#define RG_SCHED_LEAK_H

/* What rg_run returns in place of 0 under leak=2: LeakSanitizer's exit code. */
enum { LEAK_EXIT_CODE = 23 };

/*
 * leak_at_end - report as debugenv.leak says; returns result, or LEAK_EXIT_CODE.
 * Context: the main goroutine at its end, or the thread in rg_stop; the runtime runs.
 */
int leak_at_end(int result);

#endif
