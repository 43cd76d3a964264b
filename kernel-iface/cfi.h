/* SPDX-License-Identifier: MIT */
/*
 * cfi - one step of an unwind by DWARF call frame information, for handlers.
 *
 * As the system's unwinder, with less and with bounds: it starts from any registers
 * (no need to climb out of the handler first), never allocates or locks, and
 *   I1  reads nothing but [lo, hi) of the stack and the unwind table of the object that
 *       the dynamic linker's lock-free index names for the pc: a wrong frame cannot
 *       make it fault, whereas libgcc reads code at any pc it computes;
 *   I2  says CFI_BAD of what it does not know, never a guess;
 *   I3  every step moves the canonical frame address up: a walk ends.
 * It knows what compilers and assemblers emit for code that runs: all register rules,
 * expressions without branches, version 1 and 3 of the tables with a search table.
 *
 * Any thread, handlers included; errno is not touched.
 */
#ifndef RGK_CFI_H
#define RGK_CFI_H

#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* By DWARF's numbers; x86-64: 7 is rsp, 16 the return address. Others: none. */
enum { CFI_SP = 7, CFI_PC = 16, CFI_REGISTERS = 17 };

struct cfi_walk {
	uintptr_t reg[CFI_REGISTERS];
	uint32_t known;   /* bit i: reg[i] is right */
	bool is_exact;    /* pc is the next instruction, not a return address */
	uintptr_t lo, hi; /* of the stack */
	uintptr_t *return_at; /* after a step: where pc was; NULL: no memory */
};

enum cfi_step {
	CFI_CALLER, /* the registers are the caller's */
	CFI_END,    /* the outermost frame: its return address is undefined */
	CFI_NONE,   /* nothing is known of the pc */
	CFI_BAD,    /* broken, out of bounds, or beyond what is known here */
};

/* The interrupted registers; false: not on this CPU. */
bool cfi_from_signal(struct cfi_walk *w, const ucontext_t *uc, uintptr_t lo,
		     uintptr_t hi);
enum cfi_step cfi_step(struct cfi_walk *w);

/* The bounds of the procedure around a pc, as its FDE has them. False: unknown. */
bool cfi_procedure(uintptr_t pc, uintptr_t *start, uintptr_t *end);

#endif
