// SPDX-License-Identifier: MIT
/*
 * dumpgroup - the dump of debug 1: how many goroutines stand where.
 *
 *	goroutine profile: total 1002
 *	1000 @ 0x401136 0x4011aa
 *	#	0x401136	wait_for_work+0x26	/src/pool.c:42
 *	#	0x4011aa	worker+0x1a	/src/pool.c:60
 *	# state: chan receive; names: "worker-1" "worker-2" "worker-3" ...
 *
 * The form of Go's runtime/pprof, debug=1: pprof reads the count lines and skips what
 * begins with '#'. Runtime frames are left out before stacks are compared. Goroutines
 * with different labels are in different groups; theirs has a line of its own behind
 * the count: # labels: {"request":"17"}
 *
 * Groups live in one mapping, reserved for the worst case (each goroutine a group) and
 * committed by touching; they are found through an open-addressed table of indices.
 */
#include "sched/dump.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "sched/sched.h"

enum { NAMES = 3, BIRTHS = 4096 };

struct group {
	uint64_t count;
	uint64_t hash;
	uint8_t state, wait_reason; /* of the first; see is_mixed */
	bool is_mixed;              /* members differ in state or reason */
	uint8_t nnames;
	uint16_t n;
	uint16_t nlabels;
	char names[NAMES + 1][GSNAP_NAME_LEN]; /* the last: there are more */
	char labels[GSNAP_LABELS_LEN];         /* of each of them */
	uintptr_t pcs[FREEZE_FRAMES];          /* return addresses, all */
};

/* Two numbers in front: dwarfline_sort's key. */
struct order {
	uint64_t descending, index;
};

struct groups {
	struct group *group;
	struct order *order;
	uint32_t *table; /* index + 1; 0: empty */
	uint64_t mask;   /* of the table */
	uint64_t n, max;
	uint64_t total;
	size_t len; /* of the mapping at group */
};

/* Goroutines born during the dump have room for BIRTHS groups. */
static int groups_map(struct groups *gs)
{
	uint64_t slots = 1;
	char *p;

	gs->max = gsnap_bound() + BIRTHS;
	while (slots < 2 * gs->max)
		slots *= 2;
	gs->mask = slots - 1;
	gs->len = gs->max * (sizeof *gs->group + sizeof *gs->order) +
		  slots * sizeof *gs->table;
	p = mmap(NULL, gs->len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	gs->group = (struct group *)(void *)p;
	p += gs->max * sizeof *gs->group;
	gs->order = (struct order *)(void *)p;
	p += gs->max * sizeof *gs->order;
	gs->table = (uint32_t *)(void *)p;
	return 0;
}

/* FNV-1a, by words. */
static uint64_t hash_of(const uintptr_t *pcs, unsigned n)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (unsigned i = 0; i < n; i++) {
		h = (h ^ pcs[i]) * UINT64_C(1099511628211);
		h ^= h >> 32;
	}
	return h;
}

/* Labels are sorted, and what follows the last one is zero. */
static bool has_labels_of(const struct group *g, const struct gsnap *s)
{
	return g->nlabels == s->nlabels &&
	       (!s->nlabels || !memcmp(g->labels, s->labels, sizeof s->labels));
}

/* The group of this stack and of s's labels, made if there is none; NULL: no room. */
static struct group *find(struct groups *gs, const struct gsnap *s,
			  const uintptr_t *pcs, unsigned n)
{
	uint64_t hash = hash_of(pcs, n), at;
	struct group *g;

	for (size_t i = 0; s->nlabels && i < sizeof s->labels; i++)
		hash = (hash ^ (unsigned char)s->labels[i]) *
		       UINT64_C(1099511628211);
	hash ^= hash >> 32;
	at = hash & gs->mask;

	for (; gs->table[at]; at = (at + 1) & gs->mask) {
		g = &gs->group[gs->table[at] - 1];
		if (g->hash == hash && g->n == n &&
		    !memcmp(g->pcs, pcs, n * sizeof *pcs) &&
		    has_labels_of(g, s))
			return g;
	}
	if (gs->n == gs->max)
		return NULL;
	g = &gs->group[gs->n++];
	gs->table[at] = (uint32_t)gs->n;
	g->hash = hash;
	g->n = (uint16_t)n;
	memcpy(g->pcs, pcs, n * sizeof *pcs);
	g->nlabels = s->nlabels;
	if (s->nlabels)
		memcpy(g->labels, s->labels, sizeof g->labels);
	return g;
}

static void note_name(struct group *g, const char *name)
{
	if (!*name || g->nnames > NAMES)
		return;
	for (unsigned i = 0; i < g->nnames; i++)
		if (!strcmp(g->names[i], name))
			return;
	memcpy(g->names[g->nnames++], name, GSNAP_NAME_LEN);
}

static void add(struct dump *d, struct groups *gs, const struct gsnap *s)
{
	uintptr_t pcs[FREEZE_FRAMES];
	unsigned first, last, n = 0;
	struct group *g;

	if (s->kind != G_USER)
		return;
	gs->total++;
	dumptext_visible(&d->text, &s->stack, &first, &last);
	for (unsigned i = first; i < last; i++)
		pcs[n++] = s->stack.pcs[i] +
			   (s->stack.exact_top && i == 0 ? 1 : 0);
	g = find(gs, s, pcs, n);
	if (!g)
		return;
	if (g->count &&
	    (g->state != s->state || g->wait_reason != s->wait_reason))
		g->is_mixed = true;
	g->state = s->state;
	g->wait_reason = s->wait_reason;
	g->count++;
	note_name(g, s->name);
}

/* ---- printing ---- */

static void print_frame(struct dump *d, uintptr_t pc)
{
	struct textbuf *b = &d->buf;
	struct sym_frame f = {0};

	if (d->text.symbols)
		(void)symbolize_pc(d->text.symbols, pc, true, &f);
	textbuf_str(b, "#\t");
	textbuf_hex(b, pc);
	textbuf_char(b, '\t');
	dumptext_function(&d->text, pc, &f);
	if (f.function) {
		textbuf_char(b, '+');
		textbuf_hex(b, f.function_offset);
	}
	textbuf_char(b, '\t');
	textbuf_str(b, f.file ? f.file : "??");
	textbuf_char(b, ':');
	textbuf_dec(b, f.line);
	textbuf_char(b, '\n');
}

static void print_state(struct dump *d, const struct group *g)
{
	struct textbuf *b = &d->buf;
	const char *reason = g_wait_reason_name(g->wait_reason);
	unsigned n = g->nnames > NAMES ? NAMES : g->nnames;

	textbuf_str(b, "# state: ");
	if (g->is_mixed)
		textbuf_str(b, "various");
	else if (g->state == G_WAITING && *reason)
		textbuf_str(b, reason);
	else
		textbuf_str(b, g_state_name((enum g_state)g->state));
	if (n)
		textbuf_str(b, "; names:");
	for (unsigned i = 0; i < n; i++) {
		textbuf_char(b, ' ');
		textbuf_quoted(b, g->names[i], GSNAP_NAME_LEN);
	}
	if (g->nnames > NAMES)
		textbuf_str(b, " ...");
	textbuf_str(b, "\n\n");
}

/* pprof refuses a count without an address: an unknown stack has the address 0. */
static void print_group(struct dump *d, const struct group *g)
{
	struct textbuf *b = &d->buf;

	textbuf_dec(b, g->count);
	textbuf_str(b, " @");
	for (unsigned i = 0; i < g->n; i++) {
		textbuf_char(b, ' ');
		textbuf_hex(b, g->pcs[i]);
	}
	if (!g->n)
		textbuf_str(b, " 0x0");
	textbuf_char(b, '\n');
	if (g->nlabels) {
		textbuf_str(b, "# labels: ");
		dumptext_labels(&d->text, g->labels, g->nlabels);
		textbuf_char(b, '\n');
	}
	for (unsigned i = 0; i < g->n; i++)
		print_frame(d, g->pcs[i]);
	print_state(d, g);
}

static void print_groups(struct dump *d, struct groups *gs)
{
	textbuf_str(&d->buf, "goroutine profile: total ");
	textbuf_dec(&d->buf, gs->total);
	textbuf_char(&d->buf, '\n');
	for (uint64_t i = 0; i < gs->n; i++)
		gs->order[i] = (struct order){~gs->group[i].count, i};
	dwarfline_sort(gs->order, gs->n, sizeof *gs->order);
	for (uint64_t i = 0; i < gs->n && !d->buf.err; i++)
		print_group(d, &gs->group[gs->order[i].index]);
}

int dump_grouped(struct dump *d, void *arg)
{
	struct groups gs = {0};
	int err = groups_map(&gs);

	(void)arg;
	if (err)
		return err;
	while (dump_next(d))
		for (size_t i = 0; i < d->n; i++)
			add(d, &gs, &d->portion[i]);
	print_groups(d, &gs);
	munmap(gs.group, gs.len);
	return textbuf_flush(&d->buf);
}
