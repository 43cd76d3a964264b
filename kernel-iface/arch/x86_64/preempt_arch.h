/* SPDX-License-Identifier: MIT */
/*
 * preempt_arch - what preempt.S and kernel-iface/preempt.c know of each other.
 */
#ifndef RGK_ARCH_PREEMPT_ARCH_H
#define RGK_ARCH_PREEMPT_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PREEMPT_RED_ZONE = 128,
	/* pc, rflags, rbp, 14 registers, the call's return address, alignment */
	PREEMPT_FRAME = 8 * 18 + 64,
	PREEMPT_RETURN_SIZE = 16, /* distance of the returned-to trampolines */
	PREEMPT_RETURN_ENTRY = 1, /* after the nop */
	PREEMPT_RETURNS = 64,
};

/* Code; only their addresses mean something. */
extern const char preempt_text_start[], preempt_text_end[];
extern const char preempt_redirected[], preempt_returns[];

/* Read by the code; const after preempt_start. */
extern uint64_t preempt_xsave_size; /* 64-byte steps */
extern uint32_t preempt_xsave_mask; /* of XCR0: what is saved */
extern uint32_t preempt_mxcsr;
extern bool preempt_has_xsavec;

/* True return addresses of hijacked frames. */
extern uintptr_t preempt_hijack_pcs[PREEMPT_RETURNS];

#endif
