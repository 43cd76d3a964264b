/* SPDX-License-Identifier: MIT */
/*
 * labels - the sets of labels that goroutines carry (ringgo/labels.h).
 *
 *   I1  a set is const from its making to its end; it ends with its last reference.
 *       A goroutine's record has one, and is changed by that goroutine only.
 *   I2  the record points to the new set before the old one is let go: whoever reads
 *       through it while the goroutine stands still (a signal handler on its
 *       thread, a frozen world) finds a whole set.
 */
#ifndef RG_SCHED_LABELS_H
#define RG_SCHED_LABELS_H

#include "sched/g.h"

struct labels;

/* labels_ref - NULL is nothing; returns s. labels_unref - may free. */
struct labels *labels_ref(struct labels *s);
void labels_unref(struct labels *s);

/* labels_restore - the end of rg_labels_do: a defer that owns its argument, a reference
 * to the set from before. */
void labels_restore(void *former);

static inline struct labels *labels_of(const struct g *gp)
{
	/* Relaxed: gp stands still, or is the caller (I2). */
	return atomic_load_explicit(&gp->labels, memory_order_relaxed);
}

/*
 * labels_copy - the first pairs of s (NULL: none) that fit whole into size bytes, as
 * "key\0value\0...", the rest of them zero; how many pairs. Async-signal-safe: neither locks nor calls anything.
 */
unsigned labels_copy(const struct labels *s, char *out, size_t size);

#endif
