/* SPDX-License-Identifier: MIT */
/*
 * clock - the monotonic clock in nanoseconds (20 ns a call, through the vdso).
 */
#ifndef RGK_CLOCK_H
#define RGK_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t clock_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* clock_after - d from now, without overflow; d < 0 counts as 0. */
static inline int64_t clock_after(int64_t d)
{
	int64_t now = clock_now();

	if (d <= 0)
		return now;
	return d > INT64_MAX - now ? INT64_MAX : now + d;
}

#endif
