/* SPDX-License-Identifier: MIT */
/*
 * bubbletest - what the tests of the synctest bubble share: bodies in a bubble.
 */
#ifndef RG_TESTS_BUBBLETEST_H
#define RG_TESTS_BUBBLETEST_H

#include "tests/sync/synctest.h"

#include <ringgo/synctest.h>

#define EPOCH_NS (INT64_C(946684800) * RG_SECOND)

static inline void *pointer(void (*fn)(void *arg))
{
	return (void *)(uintptr_t)fn;
}

static inline void in_bubble(void *fn)
{
	T_CHECK_INT_EQ(rg_synctest_run((void (*)(void *))(uintptr_t)fn, NULL),
		       0);
}

static inline void go(void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_go(fn, arg), 0);
}

/* A body in a bubble, under 1, 2 and 4 Ps. */
static inline void bubble_run(void (*fn)(void *arg))
{
	t_run_with(1, in_bubble, pointer(fn));
	t_run_with(2, in_bubble, pointer(fn));
	t_run_with(4, in_bubble, pointer(fn));
}

/* A goroutine that sleeps for a second; *start is an hour later then. */
static inline void sleep_1s(void *start)
{
	rg_sleep(RG_SECOND);
	T_CHECK_INT_EQ(rg_now() - *(rg_time *)start, RG_SECOND);
	*(rg_time *)start += RG_HOUR;
}

#endif
