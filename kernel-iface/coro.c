// SPDX-License-Identifier: MIT
/*
 * coro - preparing contexts and walking stopped ones; see coro.h and arch/.
 *
 * coro_backtrace does not interpret CFI itself: coro_walk (assembly) gives the
 * system's unwinder a frame whose caller is the stopped flow. _Unwind_Backtrace is
 * lock-free since glibc 2.35 (_dl_find_object) and allocates nothing after its
 * first call; probe the first call at start, not in a signal handler.
 */
#include "kernel-iface/coro.h"

#include <pthread.h>
#include <string.h>
#include <unwind.h>

#include "kernel-iface/base/check.h"

static_assert(offsetof(struct coro, sp) == 0, "arch/switch.h");
static_assert(offsetof(struct coro, fp) == 8, "arch/switch.h");
static_assert(offsetof(struct coro, pc) == 16, "arch/switch.h");

/* arch/ARCH/entry.S */
void coro_walk(const struct coro *c, void (*fn)(void *arg), void *arg);

/* A flow starts with the control words of the thread that starts it. */
static inline void init_control_words(struct coro *c)
{
#if defined(__x86_64__)
	__asm__ volatile("stmxcsr %0" : "=m"(c->mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(c->fcw));
#else
	__asm__ volatile("mrs %0, fpcr" : "=r"(c->fpcr));
#endif
}

void coro_init(struct coro *c, void *stack_lo, void *stack_hi,
	       coro_entry_fn *fn)
{
	void **top = (void **)stack_hi - 2;

	RG_DCHECK(((uintptr_t)stack_hi & 15) == 0);
	c->fp = NULL;
	memcpy(top, &fn, sizeof fn);
	c->sp = top;
	c->pc = coro_start_pc();
	init_control_words(c);
#if defined(RG_CORO_SANITIZED)
	c->fake_stack = NULL;
	c->fiber = NULL;
	c->stack_lo = stack_lo;
	c->stack_size = (size_t)((char *)stack_hi - (char *)stack_lo);
#if RG_TSAN
	c->fiber = __tsan_create_fiber(0);
#endif
#else
	(void)stack_lo;
#endif
}

void coro_init_thread(struct coro *c)
{
	memset(c, 0, sizeof *c);
#if defined(RG_CORO_SANITIZED)
	pthread_attr_t attr;

	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &c->stack_lo, &c->stack_size);
		pthread_attr_destroy(&attr);
	}
#if RG_TSAN
	c->fiber = __tsan_get_current_fiber();
#endif
#endif
}

void coro_fini(struct coro *c)
{
#if RG_TSAN
	if (c->fiber)
		__tsan_destroy_fiber(c->fiber);
	c->fiber = NULL;
#else
	(void)c;
#endif
}

struct walk {
	uintptr_t *pcs;
	size_t n, max, skip;
};

static _Unwind_Reason_Code walk_step(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	uintptr_t pc = _Unwind_GetIP(context);

	if (w->skip) {
		w->skip--;
		return _URC_NO_REASON;
	}
	if (!pc || w->n == w->max)
		return _URC_END_OF_STACK;
	w->pcs[w->n++] = pc;
	return _URC_NO_REASON;
}

static RG_NOINLINE void walk_from_here(void *arg)
{
	_Unwind_Backtrace(walk_step, arg);
	/* Not a tail call: this frame is one of the two left out. */
	__asm__ volatile("" ::: "memory");
}

size_t coro_backtrace(const struct coro *c, uintptr_t *pcs, size_t max)
{
	/* Left out: walk_from_here and coro_walk itself. */
	struct walk w = {.pcs = pcs, .max = max, .skip = 2};

	coro_walk(c, walk_from_here, &w);
	return w.n;
}

size_t coro_backtrace_self(uintptr_t *pcs, size_t max, size_t skip)
{
	struct walk w = {.pcs = pcs, .max = max, .skip = skip + 1};

	_Unwind_Backtrace(walk_step, &w);
	return w.n;
}
