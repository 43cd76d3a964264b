// SPDX-License-Identifier: MIT
/*
 * preempt - see preempt.h; the trampolines themselves are in arch/.
 *
 * The size of the xsave area is asked of CPUID's leaf 0xD, once. In the compacted
 * format (xsavec) components follow each other, some at 64 bytes; in the standard one
 * each has its place. Only what a compiler's code may use is saved: AMX tiles would
 * cost 8 KiB of each stack, PKRU is the thread's.
 */
#include "kernel-iface/preempt.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"

void (*preempt_switch_hook)(void);

#if defined(__x86_64__) && !RG_ASAN && !RG_TSAN
#define HAS_TRAMPOLINES 1
#else
#define HAS_TRAMPOLINES 0
#endif

#if defined(__x86_64__)

#include <cpuid.h>

#include "kernel-iface/arch/x86_64/preempt_arch.h"

static_assert((int)PREEMPT_RETURNS == (int)PREEMPT_HIJACKS_MAX, "preempt.S");
static_assert(PREEMPT_HIJACKS_MAX == 64, "a word of bits");

enum {
	XSTATE_X87 = 1 << 0,
	XSTATE_SSE = 1 << 1,
	XSTATE_AVX = 1 << 2,
	XSTATE_AVX512 = 7 << 5,
	XSTATE_PKRU = 1 << 9,
	XSTATE_SAVED = XSTATE_X87 | XSTATE_SSE | XSTATE_AVX | XSTATE_AVX512,
	SW_RESERVED = 464, /* of the kernel's frame: says what it is */
	XSAVE_HEADER = 512,
	XSAVE_LEGACY = XSAVE_HEADER + 64,
	XSTATE_MAGIC = 0x46505853,
	XSAVE_LEAF = 0xd,
	ARCH_SHSTK_STATUS_ = 0x5005,
};

uint64_t preempt_xsave_size;
uint32_t preempt_xsave_mask;
uint32_t preempt_mxcsr = 0x1f80;
bool preempt_has_xsavec;
uintptr_t preempt_hijack_pcs[PREEMPT_RETURNS];

static _Atomic bool is_supported;
static _Atomic uint64_t used; /* bit i: trampoline i is somebody's */

static uint64_t read_xcr0(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

/* Bytes of an area for the components in mask. */
static uint64_t area_size(uint32_t mask, bool is_compacted)
{
	uint64_t end = XSAVE_LEGACY;

	for (unsigned i = 2; i < 32; i++) {
		uint32_t size, at, flags, unused;

		if (!(mask >> i & 1))
			continue;
		__cpuid_count(XSAVE_LEAF, i, size, at, flags, unused);
		if (!is_compacted) {
			end = at + size > end ? at + size : end;
			continue;
		}
		if (flags & 2)
			end = (end + 63) & ~UINT64_C(63);
		end += size;
	}
	return (end + 63) & ~UINT64_C(63);
}

static bool has_shadow_stack(void)
{
	unsigned long features = 0;

	/* Kernels before 6.6 do not know the call, and have none. */
	return !syscall(SYS_arch_prctl, ARCH_SHSTK_STATUS_, &features) &&
	       features;
}

static bool probe_cpu(void)
{
	uint32_t a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	if (!__get_cpuid_count(XSAVE_LEAF, 1, &a, &b, &c, &d))
		return false;
	preempt_has_xsavec = a >> 1 & 1;
	preempt_xsave_mask = (uint32_t)read_xcr0() & XSTATE_SAVED;
	preempt_xsave_size = area_size(preempt_xsave_mask, preempt_has_xsavec);
	return true;
}

void preempt_start(void)
{
	int saved = errno;
	bool yes = HAS_TRAMPOLINES && probe_cpu() && !has_shadow_stack();

	/* P1 release, pairs with P2: the sizes are there. */
	atomic_store_explicit(&is_supported, yes, memory_order_release);
	errno = saved;
}

bool preempt_is_supported(void)
{
	/* P2 acquire, pairs with P1. */
	return atomic_load_explicit(&is_supported, memory_order_acquire);
}

size_t preempt_room(void)
{
	return PREEMPT_RED_ZONE + PREEMPT_FRAME + preempt_xsave_size +
	       PREEMPT_HOOK_ROOM;
}

bool preempt_is_trampoline(uintptr_t pc)
{
	return pc >= (uintptr_t)preempt_text_start &&
	       pc < (uintptr_t)preempt_text_end;
}

bool preempt_has_foreign_state(const ucontext_t *uc)
{
	const char *area = (const char *)uc->uc_mcontext.fpregs;
	uint64_t in_use;
	uint32_t magic;

	if (!area)
		return false;
	memcpy(&magic, area + SW_RESERVED, sizeof magic);
	if (magic != XSTATE_MAGIC)
		return false;
	/* The kernel's frame has the standard format; its header says what is not
	 * in its initial state. */
	memcpy(&in_use, area + XSAVE_HEADER, sizeof in_use);
	return in_use & ~(uint64_t)(preempt_xsave_mask | XSTATE_PKRU);
}

void preempt_redirect(ucontext_t *uc)
{
	greg_t *r = uc->uc_mcontext.gregs;
	uintptr_t *sp = (uintptr_t *)(r[REG_RSP] - PREEMPT_RED_ZONE);

	*--sp = (uintptr_t)r[REG_RIP];
	r[REG_RSP] = (greg_t)(uintptr_t)sp;
	r[REG_RIP] = (greg_t)(uintptr_t)preempt_redirected;
}

/* The number of a free trampoline, which is now the caller's; 0: there is none. */
static unsigned take_trampoline(void)
{
	/* Relaxed: a guess; the exchange below decides. */
	uint64_t seen = atomic_load_explicit(&used, memory_order_relaxed);

	while (~seen) {
		unsigned i = (unsigned)__builtin_ctzll(~seen);

		/* P3 acquire, pairs with P4: its last user has read its word. */
		if (atomic_compare_exchange_weak_explicit(
			    &used, &seen, seen | UINT64_C(1) << i,
			    memory_order_acquire, memory_order_relaxed))
			return i + 1;
	}
	return 0;
}

static uintptr_t trampoline_address(unsigned index)
{
	return (uintptr_t)preempt_returns +
	       (size_t)(index - 1) * PREEMPT_RETURN_SIZE + PREEMPT_RETURN_ENTRY;
}

bool preempt_hijack_arm(struct preempt_hijack *h, uintptr_t *slot)
{
	unsigned index;

	if (h->index)
		return false;
	index = take_trampoline();
	if (!index)
		return false;
	h->slot = slot;
	h->pc = *slot;
	h->index = index;
	preempt_hijack_pcs[index - 1] = h->pc;
	/* For the compiler: the flow's own thread runs this, in a handler. */
	__asm__ volatile("" ::: "memory");
	*slot = trampoline_address(index);
	return true;
}

void preempt_hijack_disarm(struct preempt_hijack *h)
{
	unsigned index = h->index;

	if (!index)
		return;
	if (*h->slot == trampoline_address(index))
		*h->slot = h->pc;
	h->slot = NULL;
	h->index = 0;
	/* P4 release, pairs with P3: the trampoline's word was read. */
	atomic_fetch_and_explicit(&used, ~(UINT64_C(1) << (index - 1)),
				  memory_order_release);
}

#else

void preempt_start(void)
{
}

bool preempt_is_supported(void)
{
	return false;
}

size_t preempt_room(void)
{
	return PREEMPT_HOOK_ROOM;
}

bool preempt_is_trampoline(uintptr_t pc)
{
	(void)pc;
	return false;
}

bool preempt_has_foreign_state(const ucontext_t *uc)
{
	(void)uc;
	return true;
}

void preempt_redirect(ucontext_t *uc)
{
	(void)uc;
	rgk_check_failed("preempt: there is no trampoline on this CPU");
}

bool preempt_hijack_arm(struct preempt_hijack *h, uintptr_t *slot)
{
	(void)h;
	(void)slot;
	return false;
}

void preempt_hijack_disarm(struct preempt_hijack *h)
{
	(void)h;
}

#endif
