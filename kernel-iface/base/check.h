/* SPDX-License-Identifier: MIT */
/*
 * check - assertions, branch hints and function attributes.
 *
 * RG_ASSERT stays in release builds and guards state transitions and ownership;
 * RG_DCHECK is for debug builds (-DRG_DEBUG). A failed check ends in
 * rgk_check_failed, which sched replaces by a panic with a goroutine dump.
 */
#ifndef RGK_BASE_CHECK_H
#define RGK_BASE_CHECK_H

#include <assert.h>

#define rg_likely(x)     __builtin_expect(!!(x), 1)
#define rg_unlikely(x)   __builtin_expect(!!(x), 0)
#define RG_NOINLINE      __attribute__((noinline))
#define RG_COLD          __attribute__((cold, noinline))
#define RG_ALWAYS_INLINE inline __attribute__((always_inline))
#define RG_CACHE_LINE    64
#define RG_CACHE_ALIGNED __attribute__((aligned(RG_CACHE_LINE)))

/* Called with "file:line: expression"; must not return. Set once at start. */
extern void (*rgk_check_hook)(const char *what);
void rgk_check_failed(const char *what) __attribute__((noreturn, cold));

#define RG_STR2_(x) #x
#define RG_STR_(x)  RG_STR2_(x)
#define RG_ASSERT(x)                                                           \
	do {                                                                   \
		if (rg_unlikely(!(x)))                                         \
			rgk_check_failed(__FILE__ ":" RG_STR_(                 \
				__LINE__) ": assertion failed: " #x);          \
	} while (0)
#ifdef RG_DEBUG
#define RG_DCHECK(x) RG_ASSERT(x)
#else
#define RG_DCHECK(x) ((void)sizeof(!(x)))
#endif

#endif
