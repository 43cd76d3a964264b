/* SPDX-License-Identifier: MIT */
/*
 * switch - the context switch of aarch64 (AAPCS64), inline.
 *
 * As on x86-64: the compiler saves what is live, all registers but sp and x29 are
 * declared clobbered (also x18, which is a plain temporary on Linux); saved by hand
 * are sp, x29, the address to go on at and fpcr. Offsets are known to entry.S; coro.c asserts them.
 */
#ifndef RGK_ARCH_SWITCH_H
#define RGK_ARCH_SWITCH_H

#include <stddef.h>
#include <stdint.h>

struct coro {
	void *sp;
	void *fp;
	void *pc;
	uint64_t fpcr;
#ifdef RG_CORO_SANITIZED
	void *fake_stack;
	void *stack_lo;
	size_t stack_size;
	void *fiber;
#endif
};

static inline __attribute__((always_inline)) void *
coro_switch_raw(struct coro *from, struct coro *to, void *transfer)
{
	register void *x0 __asm__("x0") = transfer;
	register struct coro *x1 __asm__("x1") = from;
	register struct coro *x2 __asm__("x2") = to;

	__asm__ volatile(
		"mov x3, sp\n\t"
		"adr x4, 1f\n\t"
		"mrs x5, fpcr\n\t"
		"stp x3, x29, [x1]\n\t"
		"stp x4, x5, [x1, #16]\n\t"
		"ldp x3, x29, [x2]\n\t"
		"ldp x4, x5, [x2, #16]\n\t"
		"msr fpcr, x5\n\t"
		"mov sp, x3\n\t"
		"br x4\n"
		"1:\n\t"
		: "+r"(x0), "+r"(x1), "+r"(x2)
		:
		: "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
		  "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
		  "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",
		  "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
		  "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
		  "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
		  "v25", "v26", "v27", "v28", "v29", "v30", "v31");
	return x0;
}

#endif
