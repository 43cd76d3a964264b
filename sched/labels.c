// SPDX-License-Identifier: MIT
/*
 * labels - see labels.h for the role and the invariants.
 *
 * A set is one block: its pairs in the order of their keys, as strings one behind the
 * other. So equal sets are equal bytes, and a dump or a profiler copies them without
 * following pointers. Sets are small: looking up is a walk.
 *
 * After Go's runtime/pprof, where a context carries the labels; here the goroutine
 * does, as its profiler needs them there in any case.
 */
#include "sched/labels.h"

#include <ringgo/labels.h>

#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/textmap.h"
#include "sched/sched.h"

struct labels {
	_Atomic uint32_t refs; /* any thread */
	uint32_t n;            /* pairs */
	char text[];           /* key, value, key, value, ... */
};

struct labels *labels_ref(struct labels *s)
{
	/* Relaxed: the caller's goroutine has a reference, which keeps s. */
	if (s)
		atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void labels_unref(struct labels *s)
{
	if (!s)
		return;
	san_release(s);
	/* L1 release and acquire, pairs with itself: what others read of s comes
	 * before it is freed. */
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	san_acquire(s);
	rgk_free(s);
}

static const char *after(const char *string)
{
	return string + strlen(string) + 1;
}

/* By hand: this is for signal handlers, and for a world that ThreadSanitizer does not
 * know to be frozen. */
unsigned labels_copy(const struct labels *s, char *out, size_t size)
{
	size_t at = 0, whole = 0;
	unsigned n = 0;
	bool is_value = false;

	while (s && n < s->n && at < size) {
		out[at] = s->text[at];
		if (!out[at++]) {
			if (is_value) {
				n++;
				whole = at;
			}
			is_value = !is_value;
		}
	}
	/* What did not fit whole is not there. */
	for (at = whole; at < size; at++)
		out[at] = '\0';
	return n;
}

/* ---- making sets ------------------------------------------------------------- */

/* Put l where its key belongs, or in the place of the one with its key. */
static size_t place(rg_label *pairs, size_t n, rg_label l)
{
	size_t at = n;

	while (at && strcmp(pairs[at - 1].key, l.key) > 0)
		at--;
	if (at && !strcmp(pairs[at - 1].key, l.key)) {
		pairs[at - 1] = l;
		return n;
	}
	memmove(&pairs[at + 1], &pairs[at], (n - at) * sizeof *pairs);
	pairs[at] = l;
	return n + 1;
}

/* Those of s and of the n labels, sorted. */
static size_t merge(rg_label *pairs, const struct labels *s,
		    const rg_label *labels, size_t n)
{
	const char *key = s ? s->text : NULL;
	size_t total = 0;

	for (uint32_t i = 0; s && i < s->n; i++) {
		const char *value = after(key);

		pairs[total++] = (rg_label){key, value};
		key = after(value);
	}
	for (size_t i = 0; i < n; i++)
		total = place(pairs, total, labels[i]);
	return total;
}

/* The pairs as a set; *out is NULL if none has a value. */
static int pack(const rg_label *pairs, size_t n, struct labels **out)
{
	size_t len = 0;
	struct labels *s;
	char *p;

	*out = NULL;
	for (size_t i = 0; i < n; i++)
		if (pairs[i].value)
			len += strlen(pairs[i].key) + strlen(pairs[i].value) +
			       2;
	if (!len)
		return 0;
	s = rgk_zalloc(sizeof *s + len);
	if (!s)
		return -ENOMEM;
	/* Relaxed: nobody else knows it yet. */
	atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
	p = s->text;
	for (size_t i = 0; i < n; i++) {
		if (!pairs[i].value)
			continue;
		p = stpcpy(p, pairs[i].key) + 1;
		p = stpcpy(p, pairs[i].value) + 1;
		s->n++;
	}
	*out = s;
	return 0;
}

static int make(const struct labels *s, const rg_label *labels, size_t n,
		struct labels **out)
{
	rg_label *pairs;
	int err;

	if (!labels && n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!labels[i].key || !*labels[i].key)
			return -EINVAL;
	if (n > SIZE_MAX / sizeof *pairs / 2)
		return -ENOMEM;
	pairs = rgk_alloc(((s ? s->n : 0) + n + 1) * sizeof *pairs);
	if (!pairs)
		return -ENOMEM;
	err = pack(pairs, merge(pairs, s, labels, n), out);
	rgk_free(pairs);
	return err;
}

/* ---- public -------------------------------------------------------------------- */

static struct g *self(const char *call)
{
	if (!is_goroutine())
		rg_panic("%s outside a goroutine", call);
	return getg();
}

static void replace(struct g *gp, struct labels *s)
{
	/* L2 release, pairs with the reads of whoever stopped this goroutine
	 * (I2): s is whole. */
	atomic_store_explicit(&gp->labels, s, memory_order_release);
}

int rg_labels_set(const rg_label *labels, size_t n)
{
	struct g *gp = self("rg_labels_set");
	struct labels *former = labels_of(gp), *s;
	int err = make(former, labels, n, &s);

	if (err)
		return err;
	replace(gp, s);
	labels_unref(former);
	return 0;
}

void labels_restore(void *former)
{
	struct g *gp = getg();
	struct labels *s = labels_of(gp);

	replace(gp, former);
	labels_unref(s);
}

RG_CALLS_USER int rg_labels_do(const rg_label *labels, size_t n,
			       void (*fn)(void *arg), void *arg)
{
	struct g *gp = self("rg_labels_do");
	struct labels *former = labels_of(gp), *s;
	struct g_defer *d;
	int err = make(former, labels, n, &s);

	if (err)
		return err;
	d = rgk_alloc(sizeof *d);
	if (!d) {
		labels_unref(s);
		return -ENOMEM;
	}
	/* Its reference goes to the defer. */
	defer_put(d, labels_restore, former);
	replace(gp, s);
	fn(arg);
	defer_take(d);
	labels_restore(former);
	return 0;
}

const char *rg_label_get(const char *key)
{
	struct labels *s = is_goroutine() ? labels_of(getg()) : NULL;
	const char *at = s ? s->text : NULL;

	if (!key)
		return NULL;
	for (uint32_t i = 0; s && i < s->n; i++) {
		const char *value = after(at);

		if (!strcmp(at, key))
			return value;
		at = after(value);
	}
	return NULL;
}
