// SPDX-License-Identifier: MIT
/*
 * sigframe - see sigframe.h.
 *
 * The system's unwinder walks from the handler through the kernel's signal frame,
 * whose CFI restores every register of the interrupted code; frames up to there are
 * left out by their pc.
 */
#include "sched/sigframe.h"

#include <ucontext.h>
#include <unwind.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/coro.h"

uintptr_t sigframe_pc(const void *context)
{
	const ucontext_t *uc = context;

#if defined(__x86_64__)
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
#else
	return (uintptr_t)uc->uc_mcontext.pc;
#endif
}

uintptr_t sigframe_sp(const void *context)
{
	const ucontext_t *uc = context;

#if defined(__x86_64__)
	return (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
#else
	return (uintptr_t)uc->uc_mcontext.sp;
#endif
}

/* The return address when the interrupted pc is no code: what a call has left. */
static uintptr_t caller_of_wild_pc(const void *context)
{
#if defined(__x86_64__)
	return *(const uintptr_t *)sigframe_sp(context);
#else
	const ucontext_t *uc = context;

	return (uintptr_t)uc->uc_mcontext.regs[30];
#endif
}

struct walk {
	uintptr_t start;
	bool is_inside; /* the interrupted frame was reached */
	bool (*frame)(uintptr_t pc, void *arg);
	void *arg;
	size_t n;
};

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	uintptr_t pc = _Unwind_GetIP(context);

	if (!w->is_inside && pc != w->start)
		return _URC_NO_REASON;
	w->is_inside = true;
	if (!pc && w->n)
		return _URC_END_OF_STACK;
	w->n++;
	return w->frame(pc, w->arg) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

size_t sigframe_unwind(const void *context,
		       bool (*frame)(uintptr_t pc, void *arg), void *arg)
{
	struct walk w = {
		.start = sigframe_pc(context), .frame = frame, .arg = arg};
	uintptr_t caller;

	_Unwind_Backtrace(step, &w);
	if (w.n > 1)
		return w.n;
	if (!w.n && !frame(w.start, arg))
		return 1;
	caller = caller_of_wild_pc(context);
	if (!caller)
		return 1;
	frame(caller, arg);
	return 2;
}

void sigframe_prime(void)
{
	uintptr_t pcs[2];

	(void)coro_backtrace_self(pcs, 2, 0);
}
