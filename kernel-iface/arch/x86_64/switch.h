/* SPDX-License-Identifier: MIT */
/*
 * switch - the context switch of x86-64 (System V ABI), inline.
 *
 * The compiler saves what is live around the statement: every general register but
 * rsp and rbp, and all vector registers, are declared clobbered. Saved by hand are
 * rsp, rbp, the address to go on at, mxcsr and the x87 control word (the ABI makes
 * their control bits callee-saved). Nothing is pushed: a leaf function may keep data
 * in its red zone.
 *   I1  the frame's CFA does not move inside the statement, so unwinding a stopped
 *       flow from (pc, sp, fp) is exact: see coro_walk in entry.S.
 *   I2  offsets below are known to entry.S; coro.c asserts them.
 * Inline and by `jmp`: an out-of-line switch that ends in `ret` costs 9-11 ns, as the
 * return-address predictor is always wrong; this one costs 3-5 (Zen 5, 2026-10). No
 * shadow stacks (SHSTK): neither CPU nor kernel here have them; the object's
 * property note does not claim support.
 */
#ifndef RGK_ARCH_SWITCH_H
#define RGK_ARCH_SWITCH_H

#include <stddef.h>
#include <stdint.h>

struct coro {
	void *sp;
	void *fp;
	void *pc;
	uint32_t mxcsr;
	uint16_t fcw;
	uint16_t unused;
#ifdef RG_CORO_SANITIZED
	void *fake_stack;
	void *stack_lo;
	size_t stack_size;
	void *fiber;
#endif
};

/* Compiled for AVX-512 there are more registers that may hold something. */
#ifdef __AVX512F__
#define SWITCH_AVX512_CLOBBERS                                                 \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",       \
		"xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", \
		"xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define SWITCH_AVX512_CLOBBERS
#endif

static inline __attribute__((always_inline)) void *
coro_switch_raw(struct coro *from, struct coro *to, void *transfer)
{
	__asm__ volatile("movq %%rsp, 0(%[from])\n\t"
			 "movq %%rbp, 8(%[from])\n\t"
			 "leaq 1f(%%rip), %%rdx\n\t"
			 "movq %%rdx, 16(%[from])\n\t"
			 "stmxcsr 24(%[from])\n\t"
			 "fnstcw 28(%[from])\n\t"
			 "movq 16(%[to]), %%rdx\n\t"
			 "ldmxcsr 24(%[to])\n\t"
			 "fldcw 28(%[to])\n\t"
			 "movq 8(%[to]), %%rbp\n\t"
			 "movq 0(%[to]), %%rsp\n\t"
			 "jmp *%%rdx\n"
			 "1:\n\t"
			 : "+a"(transfer), [from] "+D"(from), [to] "+S"(to)
			 :
			 : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12",
			   "r13", "r14", "r15", "memory", "cc", "xmm0", "xmm1",
			   "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			   "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
			   "xmm14", "xmm15" SWITCH_AVX512_CLOBBERS);
	return transfer;
}

#endif
