/* SPDX-License-Identifier: MIT */
/*
 * coro - a stopped flow of execution: where it goes on, and how to go there.
 *
 *   I1  a context is written by coro_switch when its flow stops, or by coro_init,
 *       and consumed by exactly one coro_switch to it.
 *   I2  callee-saved registers, the SSE and x87 control words survive a switch;
 *       the signal mask, errno and thread-locals are the thread's, but for the one
 *       that C++ keeps of its exceptions (coro_cxx): that is the flow's.
 *   I3  a flow's entry function never returns.
 *   I4  the value given as `transfer` comes out of the switch on the other side.
 */
#ifndef RGK_CORO_H
#define RGK_CORO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-iface/base/sanitize.h"

#if defined(__x86_64__)
#include "kernel-iface/arch/x86_64/switch.h"
#elif defined(__aarch64__)
#include "kernel-iface/arch/aarch64/switch.h"
#else
#error "libringgo knows x86-64 and aarch64"
#endif

typedef void coro_entry_fn(void *transfer);

/*
 * coro_cxx - the Itanium C++ ABI's __cxa_eh_globals: the exceptions that are caught and
 * not yet left, innermost first, and how many are under way. A flow that stops in a
 * catch block, or in a destructor while the stack unwinds, takes them with it: else
 * `throw;` on the next flow would throw its exception, and the end of the block would
 * free another one's. They lie in the stopped flow's frame. A program without C++
 * has no such function and pays a branch; C++ that came by dlopen is not seen.
 */
struct coro_cxx {
	void *caught;
	unsigned uncaught;
};

struct coro_cxx *__cxa_get_globals(void) __attribute__((weak));

/* The calling thread's, or NULL: constant for the life of the thread. */
static inline struct coro_cxx *coro_cxx_here(void)
{
	return __cxa_get_globals ? __cxa_get_globals() : NULL;
}

static inline struct coro_cxx coro_cxx_get(const struct coro_cxx *here)
{
	return here ? *here : (struct coro_cxx){NULL, 0};
}

static inline void coro_cxx_set(struct coro_cxx *here, struct coro_cxx value)
{
	if (here)
		*here = value;
}

/*
 * coro_switch_bare - coro_switch but for the exceptions: for who knows where the
 * thread's lie on both sides (they are a call away: 1.5 ns of a switch of 12).
 */
static inline __attribute__((always_inline)) void *
coro_switch_bare(struct coro *from, struct coro *to, void *transfer,
		 bool ending)
{
#if RG_ASAN
	__sanitizer_start_switch_fiber(ending ? NULL : &from->fake_stack,
				       to->stack_lo, to->stack_size);
#endif
#if RG_TSAN
	__tsan_switch_to_fiber(to->fiber, 1);
#endif
	transfer = coro_switch_raw(from, to, transfer);
#if RG_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
	(void)ending;
	return transfer;
}

/*
 * coro_switch - stop here, go on at *to; returns when somebody switches to *from.
 * `ending`: *from will never be switched to again.
 */
static inline __attribute__((always_inline)) void *
coro_switch(struct coro *from, struct coro *to, void *transfer, bool ending)
{
	struct coro_cxx cxx = coro_cxx_get(coro_cxx_here());

	transfer = coro_switch_bare(from, to, transfer, ending);
	/* Maybe on another thread. */
	coro_cxx_set(coro_cxx_here(), cxx);
	return transfer;
}

/* coro_started - to be called first thing by an entry function; _on: with what
 * coro_cxx_here says. */
static inline void coro_started_on(struct coro_cxx *here)
{
#if RG_ASAN
	__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
	coro_cxx_set(here, (struct coro_cxx){NULL, 0});
}

static inline void coro_started(void)
{
	coro_started_on(coro_cxx_here());
}

/*
 * coro_init - make *c start fn(transfer) on the stack that ends below stack_hi
 * (16-byte aligned) at the first switch to it. stack_lo is for sanitizers.
 */
void coro_init(struct coro *c, void *stack_lo, void *stack_hi,
	       coro_entry_fn *fn);

/* arch/ARCH/entry.S. Its first instruction is a nop that is never run. */
void coro_entry(void) __attribute__((visibility("hidden")));

static inline void *coro_start_pc(void)
{
#if defined(__x86_64__)
	return (char *)(uintptr_t)&coro_entry + 1;
#else
	return (char *)(uintptr_t)&coro_entry + 4;
#endif
}

/* coro_is_new - nobody has switched to *c since coro_init. */
static inline bool coro_is_new(const struct coro *c)
{
	return c->pc == coro_start_pc();
}

/* coro_init_thread - *c stands for the calling thread's own stack. */
void coro_init_thread(struct coro *c);

/* coro_fini - the flow ended or is abandoned; frees what a sanitizer keeps. */
void coro_fini(struct coro *c);

/*
 * coro_backtrace - return addresses of a stopped flow, innermost first, without
 * running it: the unwinder is started on a frame whose caller is the flow. Returns
 * how many were stored (<= max). The flow must not be resumed meanwhile.
 * coro_backtrace_self - of the caller, `skip` frames left out.
 */
size_t coro_backtrace(const struct coro *c, uintptr_t *pcs, size_t max);
size_t coro_backtrace_self(uintptr_t *pcs, size_t max, size_t skip);

#endif
