/* SPDX-License-Identifier: MIT */
/*
 * entry - aarch64: where a new flow begins, and a frame that unwinds into a stopped
 * one. See the x86-64 file for the idea; here x19 holds ctx in coro_walk:
 *   CFA = *(x19 + 0) (its sp),  pc (as x30) at x19 + 16,  x29 at x19 + 8.
 */
	.section rgcb, "ax", %progbits
	.globl	coro_entry, coro_entry_end
	.hidden	coro_entry, coro_entry_end
	.type	coro_entry, %function
	.p2align 4
coro_entry:
	.cfi_startproc
	.cfi_undefined x30
	.cfi_undefined x29
	nop
	mov	x29, xzr
	ldr	x1, [sp]
	blr	x1
	brk	#1
	.cfi_endproc
coro_entry_end:
	.size	coro_entry, . - coro_entry

	.text
	.globl	coro_walk
	.hidden	coro_walk
	.type	coro_walk, %function
	.p2align 4
coro_walk:
	.cfi_startproc
	stp	x19, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x30, 8
	mov	x19, x0
	mov	x0, x2
	.cfi_remember_state
	.cfi_escape 0x0f, 3, 0x83, 0x00, 0x06	/* CFA: breg x19 + 0, deref */
	.cfi_escape 0x10, 30, 2, 0x83, 16	/* x30 at x19 + 16 */
	.cfi_escape 0x10, 29, 2, 0x83, 8	/* x29 at x19 + 8 */
	.cfi_undefined x19
	blr	x1
	nop
	.cfi_restore_state
	ldp	x19, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
	.cfi_restore x19
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	coro_walk, . - coro_walk

	.section .note.GNU-stack, "", %progbits
