// SPDX-License-Identifier: MIT
/*
 * cfi - see cfi.h: rules applied to registers. The rules are cfitable's.
 */
#include "kernel-iface/cfi.h"

#include "kernel-iface/base/check.h"
#include "kernel-iface/cfitable.h"

bool cfi_procedure(uintptr_t pc, uintptr_t *start, uintptr_t *end)
{
	struct fde f;

	if (!cfitable_find(pc, &f))
		return false;
	*start = f.start;
	*end = f.end;
	return true;
}

#if CFITABLE_IS_KNOWN

enum { EXPRESSION_STACK = 16 };

/* ---- expressions ---- */

struct expression {
	const struct cfi_walk *w;
	uintptr_t stack[EXPRESSION_STACK];
	unsigned n;
	bool is_bad;
};

static bool read_stack(const struct cfi_walk *w, uintptr_t at, uintptr_t *value)
{
	if ((at & 7) || at < w->lo || at > w->hi - sizeof *value)
		return false;
	*value = *(const uintptr_t *)at;
	return true;
}

static void push(struct expression *e, uintptr_t value)
{
	if (e->n == EXPRESSION_STACK)
		e->is_bad = true;
	else
		e->stack[e->n++] = value;
}

static uintptr_t pop(struct expression *e)
{
	if (e->n)
		return e->stack[--e->n];
	e->is_bad = true;
	return 0;
}

static uintptr_t get(struct expression *e, unsigned reg)
{
	if (reg < CFI_REGISTERS && (e->w->known >> reg & 1))
		return e->w->reg[reg];
	e->is_bad = true;
	return 0;
}

static uintptr_t binary(struct expression *e, uint8_t op, uintptr_t a,
			uintptr_t b)
{
	intptr_t x = (intptr_t)a, y = (intptr_t)b;

	switch (op) {
	case 0x1a:
		return a & b;
	case 0x1c:
		return a - b;
	case 0x1e:
		return a * b;
	case 0x21:
		return a | b;
	case 0x22:
		return a + b;
	case 0x24:
		return b < 64 ? a << b : 0;
	case 0x25:
		return b < 64 ? a >> b : 0;
	case 0x26:
		return (uintptr_t)(x >> (b < 64 ? b : 63));
	case 0x27:
		return a ^ b;
	case 0x29:
		return x == y;
	case 0x2a:
		return x >= y;
	case 0x2b:
		return x > y;
	case 0x2c:
		return x <= y;
	case 0x2d:
		return x < y;
	case 0x2e:
		return x != y;
	default:
		e->is_bad = true;
		return 0;
	}
}

static void evaluate_op(struct expression *e, struct cursor *c, uint8_t op)
{
	uintptr_t a, b;

	if (op >= 0x30 && op <= 0x4f) { /* lit */
		push(e, op - 0x30);
		return;
	}
	if (op >= 0x70 && op <= 0x8f) { /* breg */
		a = get(e, op - 0x70);
		push(e, a + (uintptr_t)read_sleb(c));
		return;
	}
	switch (op) {
	case 0x06: /* deref */
		if (!read_stack(e->w, pop(e), &a))
			e->is_bad = true;
		else
			push(e, a);
		return;
	case 0x08: /* const1u */
		push(e, read_fixed(c, 1));
		return;
	case 0x09: /* const1s */
		push(e, (uintptr_t)sign_extend(read_fixed(c, 1), 8));
		return;
	case 0x0a: /* const2u */
		push(e, read_fixed(c, 2));
		return;
	case 0x0b: /* const2s */
		push(e, (uintptr_t)sign_extend(read_fixed(c, 2), 16));
		return;
	case 0x10: /* constu */
		push(e, read_uleb(c));
		return;
	case 0x11: /* consts */
		push(e, (uintptr_t)read_sleb(c));
		return;
	case 0x12: /* dup */
		a = pop(e);
		push(e, a);
		push(e, a);
		return;
	case 0x13: /* drop */
		pop(e);
		return;
	case 0x23: /* plus_uconst */
		a = pop(e);
		push(e, a + read_uleb(c));
		return;
	default:
		b = pop(e);
		a = pop(e);
		push(e, binary(e, op, a, b));
	}
}

/* The expression n bytes from the FDE's base; `first` is put on its stack. */
static bool evaluate(const struct cfi_walk *w, const struct fde *f, int32_t n,
		     const uintptr_t *first, uintptr_t *value)
{
	struct expression e = {.w = w};
	struct cursor c = {.at = f->base + n, .end = f->program.end};

	/* The block may be the CIE's, which may lie beyond the FDE's. */
	if (c.at >= f->initial.at && c.at < f->initial.end)
		c.end = f->initial.end;
	uint64_t len = read_uleb(&c);
	if (!has_bytes(&c, len))
		return false;
	c.end = c.at + len;
	if (first)
		push(&e, *first);
	while (c.at < c.end && !c.is_bad && !e.is_bad)
		evaluate_op(&e, &c, *c.at++);
	*value = pop(&e);
	return !c.is_bad && !e.is_bad;
}

/* ---- a step ---- */

static bool find_cfa(const struct cfi_walk *w, const struct fde *f,
		     const struct row *row, uintptr_t *cfa)
{
	unsigned reg = row->cfa_register;

	if (row->cfa_is_expression)
		return evaluate(w, f, row->cfa_n, NULL, cfa);
	*cfa = w->reg[reg] + (uintptr_t)(intptr_t)row->cfa_n;
	return w->known >> reg & 1;
}

/* Register `reg` of the caller, into *next. False: its rule cannot be applied. */
static bool restore(struct cfi_walk *next, const struct cfi_walk *w,
		    const struct fde *f, const struct row *row, unsigned reg,
		    uintptr_t cfa)
{
	int32_t n = row->n[reg];
	uintptr_t at = cfa + (uintptr_t)(intptr_t)n, value = 0;
	bool is_known = true, is_memory = false, ok = true;

	switch ((enum rule)row->rule[reg]) {
	case RULE_SAME:
		return true;
	case RULE_UNDEFINED:
		is_known = false;
		break;
	case RULE_OFFSET:
		is_memory = true;
		break;
	case RULE_VAL_OFFSET:
		value = at;
		break;
	case RULE_REGISTER:
		ok = n >= 0 && n < CFI_REGISTERS;
		value = ok ? w->reg[n] : 0;
		is_known = ok && (w->known >> n & 1);
		break;
	case RULE_EXPRESSION:
		ok = evaluate(w, f, n, &cfa, &at);
		is_memory = true;
		break;
	case RULE_VAL_EXPRESSION:
		ok = evaluate(w, f, n, &cfa, &value);
		break;
	}
	if (ok && is_memory)
		ok = read_stack(w, at, &value);
	next->reg[reg] = value;
	next->known &= ~(UINT32_C(1) << reg);
	next->known |= (uint32_t)is_known << reg;
	if (reg == CFI_PC)
		next->return_at = ok && is_memory ? (uintptr_t *)at : NULL;
	return ok;
}

static enum cfi_step apply(struct cfi_walk *w, const struct fde *f,
			   const struct row *row)
{
	struct cfi_walk next = *w;
	uintptr_t cfa;

	if (row->rule[CFI_PC] == RULE_UNDEFINED)
		return CFI_END;
	if (row->rule[CFI_PC] == RULE_SAME || !find_cfa(w, f, row, &cfa))
		return CFI_BAD;
	if ((cfa & 7) || cfa <= w->reg[CFI_SP] || cfa > w->hi)
		return CFI_BAD;
	next.reg[CFI_SP] = cfa;
	for (unsigned i = 0; i < CFI_REGISTERS; i++)
		if (!restore(&next, w, f, row, i, cfa))
			return CFI_BAD;
	if (next.reg[CFI_SP] <= w->reg[CFI_SP] || next.reg[CFI_SP] > w->hi)
		return CFI_BAD;
	next.is_exact = f->is_signal;
	*w = next;
	return CFI_CALLER;
}

enum cfi_step cfi_step(struct cfi_walk *w)
{
	uintptr_t target = w->reg[CFI_PC] - !w->is_exact;
	struct row row;
	struct fde f;

	if (!cfitable_find(target, &f))
		return CFI_NONE;
	return cfitable_row(&f, target, &row) ? apply(w, &f, &row) : CFI_BAD;
}

bool cfi_from_signal(struct cfi_walk *w, const ucontext_t *uc, uintptr_t lo,
		     uintptr_t hi)
{
	static const uint8_t greg[CFI_REGISTERS] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
		REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};

	for (unsigned i = 0; i < CFI_REGISTERS; i++)
		w->reg[i] = (uintptr_t)uc->uc_mcontext.gregs[greg[i]];
	w->known = (UINT32_C(1) << CFI_REGISTERS) - 1;
	w->is_exact = true;
	w->lo = lo;
	w->hi = hi;
	w->return_at = NULL;
	return true;
}

#else

bool cfi_from_signal(struct cfi_walk *w, const ucontext_t *uc, uintptr_t lo,
		     uintptr_t hi)
{
	(void)w;
	(void)uc;
	(void)lo;
	(void)hi;
	return false;
}

enum cfi_step cfi_step(struct cfi_walk *w)
{
	(void)w;
	return CFI_NONE;
}

#endif
