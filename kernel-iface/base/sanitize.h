/* SPDX-License-Identifier: MIT */
/*
 * sanitize - what the sanitizers have to be told, and nothing where there is none.
 *
 * ThreadSanitizer: the library is compiled without its instrumentation, and switches
 * fibers with the no-sync flag (else every switch would order everything). What orders
 * a program's memory is announced, object by object, by san_acquire and san_release:
 *   I1  what no program can know of orders nothing: no lock of the scheduler's, no
 *       shared list, no timer that another one's timer is next to (base/rtlock.h).
 *   I2  the scheduler's memory is not looked at: san_quiet around the allocator, and
 *       in the lower layers memcpy and its like are san_quiet_* (Makefile).
 *   I3  a call on behalf of somebody (a timer's, a helper thread's) is on a flow of
 *       its own that has seen nothing yet: san_flow.
 *   I4  a stack that is used again is new memory: san_new_memory. So is errno at each
 *       switch: it is the goroutine's, wherever it lies.
 * AddressSanitizer: see coro.c.
 */
#ifndef RGK_BASE_SANITIZE_H
#define RGK_BASE_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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
void __tsan_set_fiber_name(void *fiber, const char *name);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_ignore_thread_begin(void);
void __tsan_ignore_thread_end(void);
void __tsan_read_range(void *addr, unsigned long size);
void __tsan_java_alloc(unsigned long at, unsigned long size);
void __tsan_java_free(unsigned long at, unsigned long size);
void __sanitizer_syscall_pre_impl_close(long fd);
static inline void san_acquire(void *addr)
{
	__tsan_acquire(addr);
}
static inline void san_release(void *addr)
{
	__tsan_release(addr);
}

/* What is allocated and freed in between is nobody's access. */
static inline void san_quiet_begin(void)
{
	__tsan_ignore_thread_begin();
}
static inline void san_quiet_end(void)
{
	__tsan_ignore_thread_end();
}

/* san_reads - as if this thread's program read size bytes at p here. */
static inline void san_reads(const void *p, size_t size)
{
	__tsan_read_range((void *)(uintptr_t)p, size);
}

/* san_new_memory - forget all accesses to it and all objects in it. By the only calls
 * there are for it, those of a managed heap; nothing else is done with them. */
static inline void san_new_memory(void *p, size_t size)
{
	__tsan_java_free((uintptr_t)p, size);
	__tsan_java_alloc((uintptr_t)p, size);
}

/* san_own_errno - what lies there is the caller's alone from here on, until it is
 * another's. The eight bytes around it: the detector's grain, and within libc's own. */
static inline void san_own_errno(const int *location)
{
	san_new_memory((void *)((uintptr_t)location & ~(uintptr_t)7), 8);
}

/* san_closes - fd is about to be closed past close(2): else whoever opens the number
 * next would free what the detector has kept for it, in a race with who opened it. */
static inline void san_closes(int fd)
{
	san_quiet_begin();
	__sanitizer_syscall_pre_impl_close(fd);
	san_quiet_end();
}

/* san_flow_on - be that flow (NULL: stay) until san_flow_back, on the same thread;
 * returns what san_flow_back wants. */
static inline void *san_flow_on(void *flow)
{
	void *self = __tsan_get_current_fiber();

	if (flow)
		__tsan_switch_to_fiber(flow, 1);
	return self;
}
static inline void san_flow_back(void *self)
{
	__tsan_switch_to_fiber(self, 1);
}

/* san_flow_make - a flow that knows what the caller knows; microseconds. The caller
 * will know nothing of it. For the library's own calls: the stack it borrows, and all
 * else, is not looked at. NULL outside ThreadSanitizer. */
static inline void *san_flow_make(const char *name)
{
	void *flow = __tsan_create_fiber(0), *self = san_flow_on(flow);

	san_quiet_begin();
	san_flow_back(self);
	__tsan_set_fiber_name(flow, name);
	return flow;
}
static inline void san_flow_free(void *flow)
{
	void *self = san_flow_on(flow);

	san_quiet_end();
	san_flow_back(self);
	__tsan_destroy_fiber(flow);
}

/* san_signals - ThreadSanitizer holds a signal back until the thread next calls
 * libc; a raw system call that waits is none. So: before and after such a wait. */
static inline void san_signals(void)
{
	static size_t (*volatile const any_call)(const char *s) = strlen;

	(void)any_call("");
}
#else
static inline void san_quiet_begin(void)
{
}
static inline void san_quiet_end(void)
{
}
static inline void san_reads(const void *p, size_t size)
{
	(void)p;
	(void)size;
}
static inline void san_new_memory(void *p, size_t size)
{
	(void)p;
	(void)size;
}
static inline void san_own_errno(const int *location)
{
	(void)location;
}
static inline void san_closes(int fd)
{
	(void)fd;
}
static inline void *san_flow_make(const char *name)
{
	(void)name;
	return NULL;
}
static inline void san_flow_free(void *flow)
{
	(void)flow;
}
static inline void *san_flow_on(void *flow)
{
	return flow;
}
static inline void san_flow_back(void *self)
{
	(void)self;
}
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
