/* SPDX-License-Identifier: MIT */
/*
 * control - the lock of start, stop and the making of threads.
 *
 * Not for goroutines: host threads, Ms at their birth and end, the maker.
 */
#ifndef RG_SCHED_CONTROL_H
#define RG_SCHED_CONTROL_H

#include <ringgo/runtime.h>

#include <stdbool.h>

void control_lock(void);
void control_unlock(void);

/* control_wait - with the lock held: until control_changed, or a spurious wake-up.
 * control_wait_until - false: the time came. */
void control_wait(void);
bool control_wait_until(rg_time deadline);

/* control_changed - wake all who wait. */
void control_changed(void);

#endif
