/* SPDX-License-Identifier: MIT */
/*
 * racelimit - how many goroutines the race detector carries; nothing in other builds.
 *
 * To ThreadSanitizer a goroutine is a thread. Its runtime up to gcc 12's ends the
 * program at 8,128 of them; clang's from 14 on has no number of its own (400,000 live
 * ones were measured, 17 KB each). Before that rg_go fails with -EAGAIN, and the
 * reason is said once.
 *
 *   RINGGO_RACE_GOROUTINES=n   the number, instead of what is known of the runtime
 */
#ifndef RG_SCHED_RACELIMIT_H
#define RG_SCHED_RACELIMIT_H

#include <errno.h>
#include <stdint.h>

#include "kernel-iface/base/sanitize.h"

#if RG_TSAN
/* racelimit_take - for one more: 0 or -EAGAIN. Any thread. */
int racelimit_take(void);
void racelimit_give(void);
#else
static inline int racelimit_take(void)
{
	return 0;
}
static inline void racelimit_give(void)
{
}
#endif

#endif
