/* SPDX-License-Identifier: MIT */
/*
 * entry - where a new flow begins, and a frame that unwinds into a stopped one.
 *
 * coro_entry: sp points at the address of the entry function, 16-byte aligned; rax
 * holds the transfer value. The return address of this frame is undefined, which
 * ends every backtrace. The nop lies inside the procedure and before the first
 * address ever run, because unwinders look up pc - 1.
 *
 * coro_walk(ctx, fn, arg): calls fn(arg) with CFI that says "the caller is the flow
 * in *ctx". rbx holds ctx:
 *   CFA = *(rbx + 0) (its sp),  rip at rbx + 16,  rbp at rbx + 8.
 */
	.section rgcb, "ax", @progbits
	.globl	coro_entry, coro_entry_end
	.hidden	coro_entry, coro_entry_end
	.type	coro_entry, @function
	.p2align 4
coro_entry:
	.cfi_startproc
	.cfi_undefined rip
	.cfi_undefined rbp
	nop
coro_entry_start:
	xorl	%ebp, %ebp
	movq	%rax, %rdi
	call	*(%rsp)
	ud2
	.cfi_endproc
coro_entry_end:
	.size	coro_entry, . - coro_entry

	.text
	.globl	coro_walk
	.hidden	coro_walk
	.type	coro_walk, @function
	.p2align 4
coro_walk:
	.cfi_startproc
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset rbx, 0
	movq	%rdi, %rbx
	movq	%rdx, %rdi
	.cfi_remember_state
	.cfi_escape 0x0f, 3, 0x73, 0x00, 0x06	/* CFA: breg rbx + 0, deref */
	.cfi_escape 0x10, 16, 2, 0x73, 16	/* rip at rbx + 16 */
	.cfi_escape 0x10, 6, 2, 0x73, 8		/* rbp at rbx + 8 */
	.cfi_undefined rbx
	call	*%rsi
	nop
	.cfi_restore_state
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbx
	ret
	.cfi_endproc
	.size	coro_walk, . - coro_walk

	.section .note.GNU-stack, "", @progbits
