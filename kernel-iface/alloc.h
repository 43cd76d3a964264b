/* SPDX-License-Identifier: MIT */
/*
 * alloc - the runtime's own memory.
 *
 * jemalloc by its own names (mallocx, sdallocx), so that the host's malloc stays
 * whatever it is: with a plain shared link the host keeps libc's malloc although
 * libjemalloc is loaded. ALLOC=libc builds and sanitizer builds use malloc.
 *
 *   I1  every function may fail; NULL is -ENOMEM for the caller to report.
 *   I2  never called by the scheduler, the signal handlers or with a runtime lock
 *       held: a goroutine preempted inside malloc must not be able to stop them.
 *   I3  tests can make the n-th call fail: alloc_fail_after.
 */
#ifndef RGK_ALLOC_H
#define RGK_ALLOC_H

#include <stddef.h>
#include <stdint.h>

void *rgk_alloc(size_t size);
void *rgk_zalloc(size_t size);
void *rgk_realloc(void *p, size_t size);
void rgk_free(void *p); /* NULL is nothing */

/* A zeroed block aligned to `align` (a power of two); freed by rgk_free. */
void *rgk_zalloc_aligned(size_t size, size_t align);
char *rgk_strdup(const char *s);

/* Fault injection: the call n calls from now fails once (0: the next); negative:
 * off. Any thread; for tests. */
void alloc_fail_after(int64_t n);

/* Calls that returned memory minus calls that gave some back: leak tests. */
int64_t alloc_live(void);

#endif
