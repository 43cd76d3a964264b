/* SPDX-License-Identifier: MIT */
/*
 * deadlock - "all goroutines are asleep".
 */
#ifndef RG_SCHED_DEADLOCK_H
#define RG_SCHED_DEADLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Under sched.lock, by an M about to sleep: nothing of the runtime will ever run
 * again by itself. Cheap. */
bool deadlock_is_likely_locked(void);

/* The rest of the question, without the lock: is there a thread that the runtime does
 * not know, which may still wake somebody? If not: panics. Returns when there is
 * one: to be asked again after DEADLOCK_RECHECK_NS, as that thread may end. */
#define DEADLOCK_RECHECK_NS INT64_C(1000000000)
void deadlock_check(void);

/* deadlock_unknown_threads - how many threads there are of which it cannot be said that
 * they wake nobody; -1: cannot tell. Some system calls. */
int deadlock_unknown_threads(void);

#endif
