// SPDX-License-Identifier: MIT
/*
 * dumptext - see dumptext.h.
 *
 * The form is that of Go's runtime/traceback.go, as maruel/panicparse reads it: the
 * reason alone in front inside the brackets, "..." for arguments, a line that is no
 * frame only after the last one. No extra line may end in ')' (it would be a frame).
 */
#include "sched/dumptext.h"

#include <string.h>

#include "kernel-iface/optable.h"
#include "sched/g.h"

/* Frames looked at for the end of the parking machinery. */
enum { PARK_DEPTH = 8 };

/* Below this a wait is not worth a line. */
#define AGE_SHOWN RG_SECOND

static bool lookup(struct dumptext *d, uintptr_t pc, bool is_exact,
		   struct sym_frame *out)
{
	if (d->symbols && symbolize_pc(d->symbols, pc, !is_exact, out))
		return true;
	memset(out, 0, sizeof *out);
	return false;
}

bool dumptext_symbol(struct dumptext *d, const struct freeze_stack *s,
		     unsigned i, struct sym_frame *out)
{
	return lookup(d, s->pcs[i], s->exact_top && i == 0, out);
}

static bool starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

/* What stands above the call that a reader knows. */
static bool is_parking(const char *function)
{
	return starts(function, "sched_park") ||
	       starts(function, "sched_yield_g") ||
	       starts(function, "opwait") || !strcmp(function, "dump_here") ||
	       !strcmp(function, "dump_job");
}

static bool is_entry(const char *function)
{
	return starts(function, "coro_entry") || !strcmp(function, "g_main");
}

void dumptext_visible(struct dumptext *d, const struct freeze_stack *s,
		      unsigned *first, unsigned *last)
{
	struct sym_frame f;

	*first = 0;
	*last = s->n;
	for (unsigned i = 0; i < s->n && i < PARK_DEPTH; i++)
		if (dumptext_symbol(d, s, i, &f) && f.function &&
		    is_parking(f.function))
			*first = i + 1;
	while (*last > *first && dumptext_symbol(d, s, *last - 1, &f) &&
	       f.function && is_entry(f.function))
		--*last;
	if (*first < *last)
		return;
	/* Nothing but the runtime: better than nothing at all. */
	*first = 0;
	*last = s->n;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void dumptext_function(struct dumptext *d, uintptr_t pc,
		       const struct sym_frame *f)
{
	if (f->function) {
		textbuf_str(d->b, f->function);
	} else if (f->object) {
		textbuf_str(d->b, base_name(f->object));
		textbuf_char(d->b, '+');
		textbuf_hex(d->b, f->object_offset);
	} else {
		textbuf_hex(d->b, pc);
	}
}

static void position(struct dumptext *d, const struct sym_frame *f)
{
	textbuf_char(d->b, '\t');
	textbuf_str(d->b, f->file ? f->file : "??");
	textbuf_char(d->b, ':');
	textbuf_dec(d->b, f->line);
	if (f->function && f->function_offset) {
		textbuf_str(d->b, " +");
		textbuf_hex(d->b, f->function_offset);
	}
	textbuf_char(d->b, '\n');
}

void dumptext_frame(struct dumptext *d, uintptr_t pc, bool is_exact)
{
	struct sym_frame f;

	lookup(d, pc, is_exact, &f);
	dumptext_function(d, pc, &f);
	textbuf_str(d->b, "(...)\n");
	position(d, &f);
}

/* ---- the line on top ---- */

static const char *state_text(const struct gsnap *g)
{
	const char *reason = g_wait_reason_name(g->wait_reason);

	if (g->state != G_WAITING)
		return g_state_name((enum g_state)g->state);
	return *reason ? reason : "waiting";
}

/* How long it has waited; 0: it does not wait. */
static rg_duration age(const struct dumptext *d, const struct gsnap *g)
{
	return g->state == G_WAITING && d->now > g->wait_since
		       ? d->now - g->wait_since
		       : 0;
}

void dumptext_header(struct dumptext *d, const struct gsnap *g)
{
	rg_duration minutes = age(d, g) / RG_MINUTE;

	textbuf_str(d->b, "goroutine ");
	textbuf_dec(d->b, g->goid);
	textbuf_str(d->b, " [");
	textbuf_str(d->b, state_text(g));
	if (minutes) {
		textbuf_str(d->b, ", ");
		textbuf_dec(d->b, (uint64_t)minutes);
		textbuf_str(d->b, " minutes");
	}
	if (g->is_locked)
		textbuf_str(d->b, ", locked to thread");
	if (g->bubble_id) {
		textbuf_str(d->b, ", synctest bubble ");
		textbuf_dec(d->b, g->bubble_id);
	}
	textbuf_str(d->b, "]:\n");
}

/* ---- what follows the stack ---- */

static void creator(struct dumptext *d, const struct gsnap *g)
{
	struct sym_frame f;

	lookup(d, g->creator_pc, false, &f);
	textbuf_str(d->b, "created by ");
	dumptext_function(d, g->creator_pc, &f);
	if (g->creator_goid) {
		textbuf_str(d->b, " in goroutine ");
		textbuf_dec(d->b, g->creator_goid);
	}
	textbuf_char(d->b, '\n');
	position(d, &f);
}

static void extra(struct dumptext *d, bool *is_first, const char *text)
{
	textbuf_str(d->b, *is_first ? "# " : ", ");
	textbuf_str(d->b, text);
	*is_first = false;
}

void dumptext_labels(struct dumptext *d, const char *pairs, unsigned n)
{
	textbuf_char(d->b, '{');
	for (unsigned i = 0; i < 2 * n; i++) {
		if (i)
			textbuf_str(d->b, i % 2 ? ":" : ", ");
		textbuf_quoted(d->b, pairs, SIZE_MAX);
		pairs += strlen(pairs) + 1;
	}
	textbuf_char(d->b, '}');
}

static void extras(struct dumptext *d, const struct gsnap *g)
{
	bool is_first = true;

	if (g->kind == G_SYSTEM)
		extra(d, &is_first, "system goroutine");
	if (g->name[0]) {
		extra(d, &is_first, "name ");
		textbuf_quoted(d->b, g->name, sizeof g->name);
	}
	if (g->nlabels) {
		extra(d, &is_first, "labels ");
		dumptext_labels(d, g->labels, g->nlabels);
	}
	if (g->has_op) {
		extra(d, &is_first, op_name(g->opcode));
		if (g->fd >= 0) {
			textbuf_str(d->b, " on fd ");
			textbuf_dec(d->b, (uint64_t)g->fd);
		}
	}
	if (age(d, g) >= AGE_SHOWN) {
		extra(d, &is_first, "for ");
		textbuf_duration(d->b, age(d, g));
	}
	if (g->stack_size) {
		extra(d, &is_first, "stack ");
		textbuf_dec(d->b, (g->stack_depth + 1023) / 1024);
		textbuf_str(d->b, " KiB of ");
		textbuf_dec(d->b, g->stack_size / 1024);
		textbuf_str(d->b, " touched");
	}
	if (!is_first)
		textbuf_char(d->b, '\n');
}

void dumptext_tail(struct dumptext *d, const struct gsnap *g)
{
	if (g->creator_pc)
		creator(d, g);
	else if (!g->stack.n)
		textbuf_char(d->b, '\n'); /* Go's tools want it there */
	extras(d, g);
	textbuf_char(d->b, '\n');
}

void dumptext_goroutine(struct dumptext *d, const struct gsnap *g)
{
	const struct freeze_stack *s = &g->stack;
	unsigned first, last;

	dumptext_header(d, g);
	if (!s->n) /* Go's words, for its tools */
		textbuf_str(d->b, "\tgoroutine running on other thread; "
				  "stack unavailable\n");
	dumptext_visible(d, s, &first, &last);
	for (unsigned i = first; i < last; i++)
		dumptext_frame(d, s->pcs[i], s->exact_top && i == 0);
	if (s->is_cut && s->n)
		textbuf_str(d->b, "...additional frames elided...\n");
	dumptext_tail(d, g);
}

void dumptext_who(struct dumptext *d, const struct gsnap *g)
{
	struct sym_frame f;

	textbuf_str(d->b, "goroutine ");
	textbuf_dec(d->b, g->goid);
	if (g->name[0]) {
		textbuf_char(d->b, ' ');
		textbuf_quoted(d->b, g->name, sizeof g->name);
	}
	if (!g->creator_pc)
		return;
	lookup(d, g->creator_pc, false, &f);
	textbuf_str(d->b, ", created by ");
	dumptext_function(d, g->creator_pc, &f);
}
