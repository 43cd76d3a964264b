/* SPDX-License-Identifier: MIT */
/*
 * preempt - the trampolines of x86-64; see kernel-iface/preempt.h.
 *
 * preempt_redirected: the handler has put the interrupted pc below the red zone and
 * sp on it. At entry  CFA = sp + 136 (pc and red zone), rip at CFA - 136, and the
 * frame is marked as one of a signal: the pc is not a return address. `ret $128` pops
 * the pc and the red zone.
 *
 * preempt_returned_I: entered by the `ret` of a hijacked frame, so sp is the caller's.
 * I is in 0 .. 63; the true return address is in preempt_hijack_pcs[I], is pushed
 * where it was first thing, and from there on this is a function as any other. At its
 * first instruction the CFI has to find the address in the table, by an expression
 * that starts from rip: instruction I is `pushq disp(%rip)`, 6 bytes, whose last 4 are
 * the displacement, hence
 *      &preempt_hijack_pcs[I] = rip + 6 + sign_extend(*(int *)(rip + 2)).
 * The unwinder that comes from a library frame finds this address in its return slot
 * and looks up rip - 1: the nop. No word of the stack is needed, and no relocation of
 * .eh_frame.
 *
 * Frame, both: rflags, rbp <- rbp, 14 registers, (aligned) xsave area <- rsp.
 * xsavec leaves bytes 16..63 of its header alone, and xrstor wants them zero.
 */
	.section rgtext, "ax", @progbits

#define XSAVE_HEADER 512


	/* Offsets from the CFA: \base is that of the frame's first push. */
	.macro	SAVE_ALL base
	pushfq
	.cfi_adjust_cfa_offset 8
	cld
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_offset rbp, -(\base + 16)
	movq	%rsp, %rbp
	.cfi_def_cfa_register rbp
	pushq	%rax
	.cfi_offset rax, -(\base + 24)
	pushq	%rbx
	.cfi_offset rbx, -(\base + 32)
	pushq	%rcx
	.cfi_offset rcx, -(\base + 40)
	pushq	%rdx
	.cfi_offset rdx, -(\base + 48)
	pushq	%rsi
	.cfi_offset rsi, -(\base + 56)
	pushq	%rdi
	.cfi_offset rdi, -(\base + 64)
	pushq	%r8
	.cfi_offset r8, -(\base + 72)
	pushq	%r9
	.cfi_offset r9, -(\base + 80)
	pushq	%r10
	.cfi_offset r10, -(\base + 88)
	pushq	%r11
	.cfi_offset r11, -(\base + 96)
	pushq	%r12
	.cfi_offset r12, -(\base + 104)
	pushq	%r13
	.cfi_offset r13, -(\base + 112)
	pushq	%r14
	.cfi_offset r14, -(\base + 120)
	pushq	%r15
	.cfi_offset r15, -(\base + 128)
	subq	preempt_xsave_size(%rip), %rsp
	andq	$-64, %rsp
	xorl	%eax, %eax
	movq	%rax, XSAVE_HEADER(%rsp)
	movq	%rax, XSAVE_HEADER + 8(%rsp)
	movq	%rax, XSAVE_HEADER + 16(%rsp)
	movq	%rax, XSAVE_HEADER + 24(%rsp)
	movq	%rax, XSAVE_HEADER + 32(%rsp)
	movq	%rax, XSAVE_HEADER + 40(%rsp)
	movq	%rax, XSAVE_HEADER + 48(%rsp)
	movq	%rax, XSAVE_HEADER + 56(%rsp)
	movl	preempt_xsave_mask(%rip), %eax
	xorl	%edx, %edx
	cmpb	$0, preempt_has_xsavec(%rip)
	je	1f
	xsavec64 (%rsp)
	jmp	2f
1:	xsave64	(%rsp)
2:	fninit
	ldmxcsr	preempt_mxcsr(%rip)
	testb	$4, preempt_xsave_mask(%rip)
	je	3f
	vzeroupper
3:
	.endm

	.macro	RESTORE_ALL
	movl	preempt_xsave_mask(%rip), %eax
	xorl	%edx, %edx
	xrstor64 (%rsp)
	leaq	-112(%rbp), %rsp
	popq	%r15
	.cfi_restore r15
	popq	%r14
	.cfi_restore r14
	popq	%r13
	.cfi_restore r13
	popq	%r12
	.cfi_restore r12
	popq	%r11
	.cfi_restore r11
	popq	%r10
	.cfi_restore r10
	popq	%r9
	.cfi_restore r9
	popq	%r8
	.cfi_restore r8
	popq	%rdi
	.cfi_restore rdi
	popq	%rsi
	.cfi_restore rsi
	popq	%rdx
	.cfi_restore rdx
	popq	%rcx
	.cfi_restore rcx
	popq	%rbx
	.cfi_restore rbx
	popq	%rax
	.cfi_restore rax
	.cfi_def_cfa_register rsp
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore rbp
	popfq
	.cfi_adjust_cfa_offset -8
	.endm

	.globl	preempt_text_start, preempt_text_end
	.hidden	preempt_text_start, preempt_text_end
	.p2align 4
preempt_text_start:

	.globl	preempt_redirected
	.hidden	preempt_redirected
	.type	preempt_redirected, @function
preempt_redirected:
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa rsp, 136
	.cfi_offset rip, -136
	SAVE_ALL 136
	call	*preempt_switch_hook(%rip)
	RESTORE_ALL
	ret	$128
	.cfi_endproc
	.size	preempt_redirected, . - preempt_redirected

	.type	preempt_returned, @function
	.p2align 4
preempt_returned:
	.cfi_startproc
	.cfi_def_cfa rsp, 8
	.cfi_offset rip, -8
	SAVE_ALL 8
	call	*preempt_switch_hook(%rip)
	RESTORE_ALL
	ret
	.cfi_endproc
	.size	preempt_returned, . - preempt_returned

	/* The first is at preempt_returns + 1, each next 16 bytes on. */
	.globl	preempt_returns
	.hidden	preempt_returns
	.p2align 4
preempt_returns:
	.set	index, 0
	.rept	64
	.p2align 4
	.cfi_startproc
	.cfi_def_cfa rsp, 0
	/* expression(rip): breg16 + 6; breg16 + 2; deref_size 4; 32 shl; 32 shra; plus */
	.cfi_escape 0x10, 16, 13, 0x80, 6, 0x80, 2, 0x94, 4, 0x08, 32, 0x24, 0x08, 32, 0x26, 0x22
	nop
	pushq	preempt_hijack_pcs + 8 * index(%rip)
	.cfi_adjust_cfa_offset 8
	.cfi_offset rip, -8
	jmp	preempt_returned
	.cfi_endproc
	.set	index, index + 1
	.endr
	.p2align 4
preempt_text_end:

	.section .note.GNU-stack, "", @progbits
