// SPDX-License-Identifier: MIT
/*
 * racelimit - see racelimit.h.
 *
 * Whose runtime it is, is a matter of the program, not of this library: gcc's is a
 * shared object of its own by default, clang's a part of the executable. Newer ones of
 * gcc carry more, but cannot be told apart from here; the variable is for them.
 */
#include "sched/racelimit.h"

#if RG_TSAN
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"

/* Of 8,128: threads, flows of helpers, and those that are over count as well. */
enum { LIMIT_OF_GCC = 7000 };

static _Atomic int64_t limit; /* 0: not looked up yet */
static _Atomic int64_t live;
static _Atomic bool was_said;

static bool is_gccs(void)
{
	Dl_info info;

	return dladdr((void *)(uintptr_t)&__tsan_create_fiber, &info) &&
	       info.dli_fname && strstr(info.dli_fname, "libtsan.so");
}

RG_COLD static int64_t look_up(void)
{
	const char *s = getenv("RINGGO_RACE_GOROUTINES");
	int64_t n = s ? strtoll(s, NULL, 10) : 0;

	if (n <= 0)
		n = is_gccs() ? LIMIT_OF_GCC : INT64_MAX;
	/* Relaxed: everybody finds the same. */
	atomic_store_explicit(&limit, n, memory_order_relaxed);
	return n;
}

RG_COLD static void say(int64_t n)
{
	char text[256];
	int len;

	if (atomic_exchange_explicit(&was_said, true, memory_order_relaxed))
		return;
	len = snprintf(text, sizeof text,
		       "ringgo: the race detector carries %lld goroutines%s: "
		       "rg_go fails with EAGAIN\n",
		       (long long)n,
		       is_gccs() ? " with gcc's runtime (clang's carries more)"
				 : "");
	/* Nobody to tell that nobody could be told. */
	if (write(STDERR_FILENO, text, (size_t)len) < 0)
		return;
}

int racelimit_take(void)
{
	/* Relaxed, all: a count. */
	int64_t n = atomic_load_explicit(&limit, memory_order_relaxed);

	if (rg_unlikely(!n))
		n = look_up();
	if (rg_likely(atomic_fetch_add_explicit(&live, 1,
						memory_order_relaxed) < n))
		return 0;
	racelimit_give();
	say(n);
	return -EAGAIN;
}

void racelimit_give(void)
{
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
}
#endif
