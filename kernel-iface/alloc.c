// SPDX-License-Identifier: MIT
/*
 * alloc - see alloc.h. The counters are what tests need; relaxed, as nothing is
 * published through them.
 */
#include "kernel-iface/alloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"

#if RG_ALLOC_JEMALLOC
#include <jemalloc/jemalloc.h>
#endif

/* Calls left before one fails; negative: never. */
static _Atomic int64_t fail_after = -1;
static _Atomic int64_t live;

void alloc_fail_after(int64_t n)
{
	atomic_store_explicit(&fail_after, n, memory_order_relaxed);
}

int64_t alloc_live(void)
{
	return atomic_load_explicit(&live, memory_order_relaxed);
}

static bool is_injected(void)
{
	if (rg_likely(atomic_load_explicit(&fail_after, memory_order_relaxed) <
		      0))
		return false;
	return atomic_fetch_sub_explicit(&fail_after, 1,
					 memory_order_relaxed) == 0;
}

static void *count(void *p)
{
	if (p)
		atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
	return p;
}

#if RG_ALLOC_JEMALLOC
static void *raw_alloc(size_t size, size_t align, bool zero)
{
	int flags = zero ? MALLOCX_ZERO : 0;

	if (align)
		flags |= MALLOCX_ALIGN(align);
	return mallocx(size ? size : 1, flags);
}

static void *raw_realloc(void *p, size_t size)
{
	return p ? rallocx(p, size ? size : 1, 0) : raw_alloc(size, 0, false);
}

static void raw_free(void *p)
{
	dallocx(p, 0);
}
#else
static void *libc_alloc(size_t size, size_t align, bool zero)
{
	void *p = NULL;

	if (align) {
		if (posix_memalign(&p, align, size ? size : 1))
			return NULL;
		return zero ? memset(p, 0, size) : p;
	}
	return zero ? calloc(1, size ? size : 1) : malloc(size ? size : 1);
}

static void *raw_alloc(size_t size, size_t align, bool zero)
{
	void *p;

	san_quiet_begin();
	p = libc_alloc(size, align, zero);
	san_quiet_end();
	return p;
}

static void *raw_realloc(void *p, size_t size)
{
	san_quiet_begin();
	p = realloc(p, size ? size : 1);
	san_quiet_end();
	return p;
}

static void raw_free(void *p)
{
	san_quiet_begin();
	free(p);
	san_quiet_end();
}
#endif

void *rgk_alloc(size_t size)
{
	return is_injected() ? NULL : count(raw_alloc(size, 0, false));
}

void *rgk_zalloc(size_t size)
{
	return is_injected() ? NULL : count(raw_alloc(size, 0, true));
}

void *rgk_zalloc_aligned(size_t size, size_t align)
{
	return is_injected() ? NULL : count(raw_alloc(size, align, true));
}

void *rgk_realloc(void *p, size_t size)
{
	void *q;

	if (is_injected())
		return NULL;
	q = raw_realloc(p, size);
	return p ? q : count(q);
}

void rgk_free(void *p)
{
	if (!p)
		return;
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
	raw_free(p);
}

char *rgk_strdup(const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = rgk_alloc(size);

	return copy ? memcpy(copy, s, size) : NULL;
}
