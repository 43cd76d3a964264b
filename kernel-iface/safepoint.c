// SPDX-License-Identifier: MIT
/*
 * safepoint - see safepoint.h.
 *
 * The frames, innermost first, have to read as
 *      library* (user | pass | calls-user)* entry
 * with a frame of a user, or one to pass through, at the border: none of the first kind is
 * a switch, some are a hijack of the outermost one's return. Functions to pass through
 * hold no lock, so they may be stopped in, too: else a hijack of qsort's own return would
 * stand in the way of all stops in its callbacks until it ends. The state machine sees each frame once, and walks to the
 * entry before it says yes: an exact chain, with a call before each return address, is
 * the proof that the unwinding was right.
 */
#include "kernel-iface/safepoint.h"

#include "kernel-iface/base/check.h"
#include "kernel-iface/cfi.h"
#include "kernel-iface/textmap.h"

/* arch/ARCH/entry.S */
extern const char coro_entry[], coro_entry_end[];

struct chain {
	const struct safepoint_flow *flow;
	struct safepoint *out;
	bool is_inside;  /* a user's frame was seen: only callers follow */
	uintptr_t *slot; /* the return address of the last library frame */
};

void safepoint_start(void)
{
	preempt_start();
	textmap_start();
}

#define SAFEPOINT_NAME_(name, text) text,
const char *safepoint_name(enum safepoint_verdict verdict)
{
	static const char *const names[] = {
		SAFEPOINT_VERDICTS(SAFEPOINT_NAME_)};

	static_assert(sizeof names / sizeof *names == SAFEPOINT_VERDICT_COUNT,
		      "one name each");
	return verdict < SAFEPOINT_VERDICT_COUNT ? names[verdict] : "?";
}

static bool refuse(struct chain *c, enum safepoint_verdict why, uintptr_t pc)
{
	c->out->verdict = why;
	c->out->pc = pc;
	return false;
}

static bool is_entry(uintptr_t pc)
{
	return pc >= (uintptr_t)coro_entry && pc < (uintptr_t)coro_entry_end;
}

/* A frame of library code at the inner end; return_at is its own. */
static bool see_library(struct chain *c, uintptr_t pc)
{
	return c->is_inside ? refuse(c, SAFEPOINT_CALLBACK, pc) : true;
}

/* One frame. False: the verdict is there. */
static bool see_frame(struct chain *c, uintptr_t pc)
{
	switch (textmap_class(pc)) {
	case TEXT_USER:
	case TEXT_PASS:
		c->is_inside = true;
		return true;
	case TEXT_USER_LOCKS:
		return refuse(c, SAFEPOINT_LOCKS, pc);
	case TEXT_LIBRARY:
	case TEXT_VDSO:
		return see_library(c, pc);
	case TEXT_CALLS_USER:
		return c->is_inside ? true : refuse(c, SAFEPOINT_RUNTIME, pc);
	case TEXT_RUNTIME:
		return refuse(c,
			      preempt_is_trampoline(pc) ? SAFEPOINT_PENDING
							: SAFEPOINT_RUNTIME,
			      pc);
	case TEXT_UNWINDER:
		return refuse(c, SAFEPOINT_EXCEPTION, pc);
	case TEXT_LINKER:
		return refuse(c, SAFEPOINT_LINKER, pc);
	case TEXT_SETJMP:
		return refuse(c, SAFEPOINT_SETJMP, pc);
	case TEXT_VFORK:
		return refuse(c, SAFEPOINT_VFORK, pc);
	case TEXT_UNKNOWN:
		break;
	}
	return refuse(c, SAFEPOINT_UNKNOWN, pc);
}

/*
 * The bytes before a return address are a call: e8 and four of displacement, or ff with
 * 2 in the middle of its second byte. A table that is wrong (hand-written assembly that
 * pushes and says nothing) gives a pushed word out as the address, which may well be a
 * function's. pc - 1 is known to be code.
 */
static bool is_after_call(uintptr_t pc)
{
	const unsigned char *at = (const unsigned char *)pc;

	if (textmap_class(pc - 7) == TEXT_UNKNOWN)
		return false;
	if (at[-5] == 0xe8)
		return true;
	for (int n = 2; n <= 7; n++)
		if (at[-n] == 0xff && (at[1 - n] & 0x38) == 0x10)
			return true;
	return false;
}

static void conclude(struct chain *c)
{
	size_t room = preempt_room();

	if (!c->slot) {
		c->out->verdict = SAFEPOINT_SWITCH;
		return;
	}
	/* At the landing sp is above the slot, and more is free than now. */
	if ((uintptr_t)c->slot < c->flow->stack_lo + room) {
		refuse(c, SAFEPOINT_NO_ROOM, 0);
		return;
	}
	c->out->verdict = SAFEPOINT_HIJACK;
	c->out->slot = c->slot;
}

static void walk(struct chain *c, struct cfi_walk *w)
{
	while (c->out->frames < SAFEPOINT_FRAMES_MAX) {
		uintptr_t pc = w->reg[CFI_PC] - !w->is_exact;
		enum cfi_step step;

		c->out->frames++;
		if (!see_frame(c, pc))
			return;
		if (!w->is_exact && !is_after_call(w->reg[CFI_PC])) {
			refuse(c, SAFEPOINT_NO_UNWIND, pc);
			return;
		}
		step = cfi_step(w);
		if (step == CFI_END && is_entry(pc)) {
			conclude(c);
			return;
		}
		if (step != CFI_CALLER || !w->return_at) {
			refuse(c, SAFEPOINT_NO_UNWIND, pc);
			return;
		}
		/* The pc in a signal's frame is no return address. */
		if (!c->is_inside && w->is_exact) {
			refuse(c, SAFEPOINT_CALLBACK, pc);
			return;
		}
		if (!c->is_inside)
			c->slot = w->return_at;
	}
	refuse(c, SAFEPOINT_DEEP, 0);
}

void safepoint_decide(const ucontext_t *uc, const struct safepoint_flow *flow,
		      struct safepoint *out)
{
	struct chain c = {.flow = flow, .out = out};
	struct cfi_walk w;

	*out = (struct safepoint){.verdict = SAFEPOINT_UNSUPPORTED};
	if (!preempt_is_supported() || !textmap_is_usable() ||
	    textmap_malloc_is_inside() ||
	    !cfi_from_signal(&w, uc, flow->stack_lo, flow->stack_hi))
		return;
	if (w.reg[CFI_SP] < flow->stack_lo || w.reg[CFI_SP] >= flow->stack_hi)
		refuse(&c, SAFEPOINT_NOT_ON_STACK, w.reg[CFI_PC]);
	else if (w.reg[CFI_SP] < flow->stack_lo + preempt_room())
		refuse(&c, SAFEPOINT_NO_ROOM, w.reg[CFI_PC]);
	else if (preempt_has_foreign_state(uc))
		refuse(&c, SAFEPOINT_CPU_STATE, w.reg[CFI_PC]);
	else
		walk(&c, &w);
}

/* What the runtime itself may have called from where it calls user code, too. */
static bool is_system(enum text_class class, uintptr_t pc)
{
	return class == TEXT_UNWINDER || class == TEXT_LINKER ||
	       class == TEXT_VDSO || textmap_is_libc(pc);
}

bool safepoint_is_outside(const ucontext_t *uc,
			  const struct safepoint_flow *flow)
{
	bool is_user = false; /* a frame of somebody else's was seen */
	struct cfi_walk w;

	if (!textmap_is_usable() ||
	    !cfi_from_signal(&w, uc, flow->stack_lo, flow->stack_hi) ||
	    w.reg[CFI_SP] < flow->stack_lo || w.reg[CFI_SP] >= flow->stack_hi)
		return false;
	for (unsigned n = 0; n < SAFEPOINT_FRAMES_MAX; n++) {
		uintptr_t pc = w.reg[CFI_PC] - !w.is_exact;
		enum text_class class = textmap_class(pc);
		enum cfi_step step;

		if (class == TEXT_RUNTIME || class == TEXT_UNKNOWN ||
		    (class == TEXT_CALLS_USER && !is_user))
			return false;
		is_user = is_user || !is_system(class, pc);
		step = cfi_step(&w);
		if (step == CFI_END)
			return is_entry(pc);
		if (step != CFI_CALLER)
			return false;
	}
	return false;
}
