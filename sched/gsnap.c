// SPDX-License-Identifier: MIT
/*
 * gsnap - see gsnap.h for the role and the invariants.
 *
 * Where a stack is taken from: the goroutine's thread wrote it down when it was
 * frozen; or the goroutine is stopped and its context is walked; or it is on a thread
 * that did not answer, and nothing is known.
 */
#include "sched/gsnap.h"

#include <string.h>

#include "kernel-iface/opcodes.h"
#include "sched/labels.h"
#include "sched/sched.h"
#include "sched/waitop.h"

struct taking {
	struct g *gp;
	struct gsnap *out;
};

/* By hand: ThreadSanitizer knows the library's strnlen, but no frozen world. */
static void copy_name(void *arg)
{
	struct taking *t = arg;
	const char *name = t->gp->name;
	size_t n = 0;

	if (!name)
		return;
	for (; n < GSNAP_NAME_LEN - 1 && name[n]; n++)
		t->out->name[n] = name[n];
	t->out->name[n] = '\0';
}

static void copy_labels(void *arg)
{
	struct taking *t = arg;

	t->out->nlabels = (uint16_t)labels_copy(
		labels_of(t->gp), t->out->labels, GSNAP_LABELS_LEN);
}

static void copy_op(void *arg)
{
	struct taking *t = arg;
	const struct wait_op *w = t->gp->wop;

	if (!w || t->out->wait_reason != WAIT_IO)
		return;
	t->out->opcode = w->op.opcode;
	/* The entry's fd is a process id there. */
	t->out->fd = w->op.opcode == RGK_OP_WAITID ? -1 : w->op.fd;
	t->out->has_op = true;
}

static void walk_stopped(void *arg)
{
	struct taking *t = arg;
	struct freeze_stack *s = &t->out->stack;

	s->n = (uint16_t)coro_backtrace(&t->gp->ctx, s->pcs, FREEZE_FRAMES);
	s->is_cut = s->n == FREEZE_FRAMES;
}

/* Made by coro_init and not switched to yet: its stack pointer is still where the
 * address of the entry function is kept. */
static bool is_fresh(const struct g *gp)
{
	return gp->ctx.fp == NULL;
}

static void take_stack(struct g *gp, const struct freeze_stack *own,
		       struct gsnap *out)
{
	const struct freeze_seen *seen = own ? NULL : freeze_find(gp);
	struct taking t = {gp, out};

	if (own) {
		out->stack = *own;
	} else if (seen) {
		out->stack = seen->stack;
	} else if (out->state == G_RUNNING && freeze_missed()) {
		out->is_unavailable = true;
	} else if (is_fresh(gp)) {
		out->is_fresh = true;
		out->stack.exact_top = true;
		out->stack.pcs[0] = out->fn;
		out->stack.n = 1;
	} else if (!freeze_guarded(walk_stopped, &t)) {
		out->is_unavailable = true;
		out->stack.n = 0;
	}
}

void gsnap_take(struct g *gp, const struct freeze_stack *own, struct gsnap *out)
{
	struct taking t = {gp, out};

	out->goid = gp->goid;
	out->bubble_id = gp->bubble_id;
	out->creator_goid = gp->creator_goid;
	out->creator_pc = gp->creator_pc;
	out->fn = (uintptr_t)gp->fn;
	out->wait_since = gp->wait_since;
	out->state = (uint8_t)g_state(gp);
	out->wait_reason = gp->wait_reason;
	out->kind = gp->kind;
	out->is_locked = gp->special & G_LOCKED;
	out->is_unavailable = out->is_fresh = out->has_op = false;
	out->fd = -1;
	out->stack_size = (uint32_t)(gp->stack_hi - gp->stack_lo);
	out->stack_depth = (uint32_t)stack_depth(gp->stack_lo, gp->stack_hi);
	out->name[0] = '\0';
	out->nlabels = 0;
	out->stack.n = 0;
	out->stack.exact_top = out->stack.is_cut = false;
	/* A name that is just being replaced, a wild pointer: without them. */
	if (!freeze_guarded(copy_name, &t))
		out->name[0] = '\0';
	if (!freeze_guarded(copy_labels, &t))
		out->nlabels = 0;
	if (!freeze_guarded(copy_op, &t))
		out->has_op = false;
	take_stack(gp, own, out);
}

static struct g *walk_step(struct gsnap_walk *w)
{
	while (w->class_index < STACK_CLASSES) {
		struct stack_arena *a = &sched.stacks[w->class_index];
		char *slot = NULL;

		if (w->slot < stack_slot_count(a))
			slot = stack_slot_at(a, w->slot++);
		if (slot)
			return sched_g_of_address(slot);
		w->class_index++;
		w->slot = 0;
	}
	return NULL;
}

size_t gsnap_next(struct gsnap_walk *w, struct gsnap *out, size_t max)
{
	size_t n = 0;
	struct g *gp;

	while (n < max && (gp = walk_step(w))) {
		enum g_state s = g_state(gp);
		bool is_self = gp == w->self;

		if (s == G_IDLE || s == G_DEAD || (is_self && w->skips_self))
			continue;
		gsnap_take(gp, is_self ? w->self_stack : NULL, &out[n++]);
	}
	return n;
}

uint64_t gsnap_bound(void)
{
	uint64_t n = 0;

	for (unsigned c = 0; c < STACK_CLASSES; c++)
		n += stack_slot_count(&sched.stacks[c]);
	return n;
}
