/* SPDX-License-Identifier: MIT */
/*
 * ringgo/labels.h - strings that say what a goroutine works on: Go's pprof labels.
 *
 * A goroutine has a set of them, key to value, and those that it starts begin with
 * the same set. rg_dump shows them, and tells goroutines with equal stacks apart by
 * them. A set is shared and never changed: setting makes a new one. Only goroutines
 * have labels: on other threads the calls below panic, but rg_label_get. None parks.
 */
#ifndef RINGGO_LABELS_H
#define RINGGO_LABELS_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

typedef struct rg_label {
	const char *key;   /* not NULL, not "" */
	const char *value; /* NULL: without this key */
} rg_label;

/* rg_labels_set - the n labels are added to those of this goroutine, or take the place
 * of those with equal keys (of several, the last); all is copied. Goroutines that it
 * started before keep theirs. 0, -ENOMEM or -EINVAL, and then nothing is changed. */
RG_API int rg_labels_set(const rg_label *labels, size_t n);

/* rg_labels_do - the same for the time of fn(arg), which is called if and only if the
 * result is 0: afterwards, also by rg_exit, the labels are what they were before. */
RG_API int rg_labels_do(const rg_label *labels, size_t n, void (*fn)(void *arg),
			void *arg);

/* rg_label_get - the value of key; NULL: none. Lent until this goroutine changes its
 * labels. */
RG_API const char *rg_label_get(const char *key);

RG_END_DECLS

#endif
