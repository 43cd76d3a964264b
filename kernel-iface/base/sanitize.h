/* SPDX-License-Identifier: MIT */
/*
 * sanitize - what the sanitizers have to be told, and nothing where there is none.
 *
 * ThreadSanitizer: runtime locks and hand-overs are announced by san_acquire and
 * san_release, because fibers are switched with the no-sync flag (else every
 * switch would order everything and hide races). AddressSanitizer: see coro.c.
 */
#ifndef RGK_BASE_SANITIZE_H
#define RGK_BASE_SANITIZE_H

#include <stddef.h>
#include <string.h>

/* The library itself is compiled without ThreadSanitizer's instrumentation (a
 * goroutine's switch is a race in its eyes) and told of it by -DRG_TSAN=1. */
#ifndef RG_TSAN
#define RG_TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define RG_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RG_ASAN 1
#endif
#endif
#ifndef RG_ASAN
#define RG_ASAN 0
#endif

#if RG_TSAN || RG_ASAN
#define RG_CORO_SANITIZED 1
#endif

/*
 * SAN_IS_ON - built for a sanitizer that follows each flow's stack or holds signals
 * back: a signal handler may not switch flows then.
 */
#define SAN_IS_ON (RG_TSAN || RG_ASAN)

#if RG_ASAN
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
void __sanitizer_start_switch_fiber(void **fake_stack_save, const void *bottom,
				    size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack_save,
				     const void **bottom_old, size_t *size_old);
#endif

#if RG_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
static inline void san_acquire(void *addr)
{
	__tsan_acquire(addr);
}
static inline void san_release(void *addr)
{
	__tsan_release(addr);
}

/* san_signals - ThreadSanitizer holds a signal back until the thread next calls
 * libc; a raw system call that waits is none. So: before and after such a wait. */
static inline void san_signals(void)
{
	static size_t (*volatile const any_call)(const char *s) = strlen;

	(void)any_call("");
}
#else
static inline void san_signals(void)
{
}
static inline void san_acquire(void *addr)
{
	(void)addr;
}
static inline void san_release(void *addr)
{
	(void)addr;
}
#endif

#endif
