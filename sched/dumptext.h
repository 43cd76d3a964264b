/* SPDX-License-Identifier: MIT */
/*
 * dumptext - a goroutine as text, in the form of Go's tracebacks.
 *
 *	goroutine 7 [chan receive, 3 minutes]:
 *	fetch(...)
 *		/src/fetch.c:123 +0x1f
 *	created by main_run in goroutine 1
 *		/src/main.c:99 +0x2a
 *	# name "fetcher", for 193.4s
 *
 * Go's tools read it: what Go does not have (name, operation in flight, exact age,
 * system goroutine) stands in a line behind the last frame, which they take for text
 * that is none of theirs. Frames of the runtime itself, the parking ones on top and
 * the entry at the bottom, are left out.
 *
 * Any context, handlers and the frozen world included; needs 8 KiB of stack.
 */
#ifndef RG_SCHED_DUMPTEXT_H
#define RG_SCHED_DUMPTEXT_H

#include "kernel-iface/symbolize.h"
#include "sched/gsnap.h"
#include "sched/textbuf.h"

struct dumptext {
	struct textbuf *b;
	struct symbolizer *symbols; /* NULL: addresses only */
	rg_time now;
};

/* dumptext_goroutine - the above and an empty line. */
void dumptext_goroutine(struct dumptext *d, const struct gsnap *g);

/* dumptext_labels - {"key":"value", "key2":"value2"}, of labels_copy's n pairs. */
void dumptext_labels(struct dumptext *d, const char *pairs, unsigned n);

/* dumptext_who - "goroutine 7 "fetcher", created by main_run". */
void dumptext_who(struct dumptext *d, const struct gsnap *g);

/* dumptext_header - "goroutine 7 [chan receive]:" and the line's end. */
void dumptext_header(struct dumptext *d, const struct gsnap *g);

/* dumptext_frame - the two lines of one frame. */
void dumptext_frame(struct dumptext *d, uintptr_t pc, bool is_exact);

/* dumptext_tail - creator, extras and the empty line. */
void dumptext_tail(struct dumptext *d, const struct gsnap *g);

/* dumptext_visible - the frames [*first, *last) of s that are not the runtime's. */
void dumptext_visible(struct dumptext *d, const struct freeze_stack *s,
		      unsigned *first, unsigned *last);

/* dumptext_symbol - what is at frame i of s. */
bool dumptext_symbol(struct dumptext *d, const struct freeze_stack *s,
		     unsigned i, struct sym_frame *out);

/* dumptext_function - its name, or object+offset, or the address. */
void dumptext_function(struct dumptext *d, uintptr_t pc,
		       const struct sym_frame *f);

#endif
