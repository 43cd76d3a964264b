/* SPDX-License-Identifier: MIT */
/*
 * blocking - helper threads for calls that would block an M (rg_blocking).
 *
 *   I1  at most BLOCKING_MAX threads; one more is made when a call finds none idle;
 *       one that was idle for 10 s ends. The most recently idle one is used first,
 *       so that the others can end.
 *   I2  a call waits in the queue only while BLOCKING_MAX others run, or while its
 *       helper is being born; helpers take from the queue in order.
 *   I3  helpers have all signals but those of faults blocked; they run no
 *       goroutine.
 *   I4  sched.blocking_busy counts the goroutines that helpers will ready.
 *   I5  requests live on the stack of the parked goroutine: this file allocates
 *       nothing.
 */
#ifndef RG_SCHED_BLOCKING_H
#define RG_SCHED_BLOCKING_H

#include <stdint.h>

enum { BLOCKING_MAX = 256 };

int64_t blocking_threads(void); /* helper threads, idle ones included */
int64_t blocking_queued(void);  /* calls that wait for one */

/*
 * blocking_stop - the runtime ends: idle helpers are joined, busy ones get 100 ms to
 * finish. One that does not is left behind, detached: its call's goroutine is not
 * touched when it returns at last, but the call's argument may lie in that
 * goroutine's stack. Returns how many were left: then stacks must stay mapped.
 */
int blocking_stop(void);

/* For tests: how long an idle helper lives. */
void blocking_set_idle_ns(int64_t ns);

#endif
