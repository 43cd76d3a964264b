// SPDX-License-Identifier: MIT
/*
 * lockreport - see lockreport.h.
 */
#include "sync/lockreport.h"

#include <ringgo/runtime.h>

#include <unistd.h>

#include "sched/dump.h"

static void print_function(struct dumptext *d, uintptr_t pc, bool is_call)
{
	struct sym_frame f = {.function = NULL};

	symbolize_pc(d->symbols, pc, is_call, &f);
	dumptext_function(d, pc, &f);
}

static void print_goroutine(struct dumptext *d, uint64_t goid)
{
	textbuf_str(d->b, "goroutine ");
	textbuf_dec(d->b, goid);
}

static void print_step(struct dumptext *d, const struct lockstep *s,
		       uint64_t next)
{
	textbuf_str(d->b, "\t");
	print_goroutine(d, s->goid);
	textbuf_str(d->b, " waits in ");
	print_function(d, s->wait_pc, true);
	textbuf_str(d->b, " for the ");
	textbuf_str(d->b, s->what);
	textbuf_str(d->b, " at ");
	textbuf_hex(d->b, (uintptr_t)s->lock);
	textbuf_str(d->b, ", which\n\t\t");
	if (next == s->goid)
		textbuf_str(d->b, "it itself");
	else
		print_goroutine(d, next);
	if (!s->hold_pc) {
		textbuf_str(d->b, " waits to lock\n");
		return;
	}
	textbuf_str(d->b, s->how == HOLD_MEMBER ? " is in since "
			  : s->how == HOLD_READ ? " read-locked in "
						: " locked in ");
	print_function(d, s->hold_pc, s->how != HOLD_MEMBER);
	textbuf_char(d->b, '\n');
}

static void print_circle(struct dumptext *d, const struct lockcircle *c)
{
	textbuf_str(d->b, "ringgo: partial deadlock: ");
	if (c->n == 1) {
		textbuf_str(d->b, "a goroutine waits for itself\n");
	} else {
		textbuf_dec(d->b, c->n);
		textbuf_str(d->b, " goroutines wait for each other\n");
	}
	for (unsigned i = 0; i < c->n; i++)
		print_step(d, &c->step[i], c->step[(i + 1) % c->n].goid);
}

static bool is_in(const struct lockcircle *c, uint64_t goid)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->step[i].goid == goid)
			return true;
	return false;
}

static int body(struct dump *d, void *arg)
{
	const struct lockcircle *c = arg;

	print_circle(&d->text, c);
	while (!d->buf.err && dump_next(d))
		for (size_t i = 0; i < d->n; i++)
			if (is_in(c, d->portion[i].goid))
				dumptext_goroutine(&d->text, &d->portion[i]);
	return textbuf_flush(&d->buf);
}

void lockreport_say(const struct lockcircle *c)
{
	/* Out of memory, or stderr is closed: the dumps have it still. */
	(void)dump_run(STDERR_FILENO, body, (void *)(uintptr_t)c);
}

struct for_ever {
	uint64_t goid;
	enum wait_reason reason;
};

static int for_ever_body(struct dump *d, void *arg)
{
	const struct for_ever *f = arg;

	textbuf_str(&d->buf, "ringgo: partial deadlock: ");
	print_goroutine(&d->text, f->goid);
	textbuf_str(&d->buf, " waits for ever: ");
	textbuf_str(&d->buf, g_wait_reason_name(f->reason));
	textbuf_char(&d->buf, '\n');
	while (!d->buf.err && dump_next(d))
		for (size_t i = 0; i < d->n; i++)
			if (d->portion[i].goid == f->goid)
				dumptext_goroutine(&d->text, &d->portion[i]);
	return textbuf_flush(&d->buf);
}

void lockreport_for_ever(enum wait_reason reason)
{
	struct for_ever f = {.goid = rg_goid(), .reason = reason};

	/* A program that only serves has nothing better for its main one. */
	if (!f.goid || (f.goid == 1 && reason == WAIT_SELECT_NONE))
		return;
	(void)dump_run(STDERR_FILENO, for_ever_body, &f);
}

void lockreport_dump(struct dumptext *d)
{
	const struct lockcircle *c = lockgraph_circles();

	for (; c; c = c->next)
		print_circle(d, c);
}
