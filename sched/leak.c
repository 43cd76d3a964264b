// SPDX-License-Identifier: MIT
/*
 * leak - see leak.h for the role and the form.
 *
 *   I1  a goroutine that lives during the whole walk is counted exactly once
 *       (gsnap.h, I2); the caller's own and the runtime's are not.
 *   I2  reporting does not depend on the caller's context: a cancelled one would
 *       forbid the writing.
 * Records of one size are mapped for the worst case and sorted by the hash of what
 * makes a group: equal ones lie together then. The hash only sorts; groups are told
 * apart by the fields themselves.
 */
#include "sched/leak.h"

#include <ringgo/runtime.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/textmap.h"
#include "sched/debugenv.h"
#include "sched/dump.h"
#include "sched/sched.h"
#include "sched/timer.h"

/* BIRTHS: goroutines born during the walk that have room. API_DEPTH: frames among
 * which the call into the library is looked for. */
enum { BIRTHS = 4096, API_DEPTH = 8 };

#define POLL_NS RG_MILLISECOND

/* Goroutines that were there before. */
struct rg_leaks {
	size_t n, max;
	struct known {
		uint64_t goid, zero; /* two numbers: dwarfline_sort's key */
	} * known;
};

/* One goroutine, then one group of them. */
struct record {
	uint64_t key, tie; /* dwarfline_sort's key */
	uintptr_t creator_pc, fn;
	uintptr_t where[2]; /* a frame and its caller's; 0: none */
	rg_time since;      /* the earliest */
	uint64_t count;
	uint8_t state, reason;
	bool where_is_exact; /* the first */
};

struct survey {
	struct record *record;
	size_t n, max;
	int64_t total;
	uint64_t self; /* goid of who asks */
	const struct rg_leaks *before;
	bool parked_only, says;
	const char *title;
};

/* ---- whom ---- */

static bool is_known(const struct rg_leaks *l, uint64_t goid)
{
	size_t lo = 0, hi = l ? l->n : 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->known[mid].goid == goid)
			return true;
		if (l->known[mid].goid < goid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static bool counts(const struct survey *s, const struct gsnap *g)
{
	return g->kind == G_USER && g->goid != s->self &&
	       (!s->parked_only || g->state == G_WAITING) &&
	       !is_known(s->before, g->goid);
}

/*
 * The frame that called the library and its caller. A call in tail position leaves no
 * frame: then nothing of the library's public face may be seen, and it is the first
 * that is not the library's, if it is one archive with the program, or the top one.
 */
static void take_where(struct dump *d, const struct freeze_stack *s,
		       struct record *r)
{
	unsigned first, last, found;
	struct sym_frame f;

	dumptext_visible(&d->text, s, &first, &last);
	found = first;
	for (unsigned i = first; i + 1 < last && i < first + API_DEPTH; i++)
		if (textmap_class(s->pcs[i]) == TEXT_RUNTIME ||
		    (dumptext_symbol(&d->text, s, i, &f) && f.function &&
		     !strncmp(f.function, "rg_", 3)))
			found = i + 1;
	if (found < last)
		r->where[0] = s->pcs[found];
	if (found + 1 < last)
		r->where[1] = s->pcs[found + 1];
	r->where_is_exact = s->exact_top && found == 0;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ (h >> 32);
}

static void add(struct dump *d, struct survey *s, const struct gsnap *g)
{
	struct record *r;

	s->total++;
	if (!s->says || s->n == s->max)
		return;
	r = &s->record[s->n];
	*r = (struct record){.tie = s->n++,
			     .creator_pc = g->creator_pc,
			     .fn = g->fn,
			     .since = g->wait_since,
			     .count = 1,
			     .state = g->state,
			     .reason = g->state == G_WAITING ? g->wait_reason
							     : WAIT_NONE};
	if (g->stack.n)
		take_where(d, &g->stack, r);
	r->key = mix(mix(mix(0, r->creator_pc), r->fn), r->where[0]);
	r->key = mix(mix(r->key, r->where[1]), r->state * 256u + r->reason);
}

/* ---- groups ---- */

static bool is_same(const struct record *a, const struct record *b)
{
	return a->creator_pc == b->creator_pc && a->fn == b->fn &&
	       a->where[0] == b->where[0] && a->where[1] == b->where[1] &&
	       a->state == b->state && a->reason == b->reason;
}

/* One record for each group, the most frequent first. */
static void group(struct survey *s)
{
	size_t n = 0;

	dwarfline_sort(s->record, s->n, sizeof *s->record);
	for (size_t i = 0; i < s->n; i++) {
		struct record *r = &s->record[i];
		struct record *last = n ? &s->record[n - 1] : NULL;

		if (!last || !is_same(last, r)) {
			s->record[n++] = *r;
			continue;
		}
		last->count++;
		if (r->since < last->since)
			last->since = r->since;
	}
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		s->record[i].key = ~s->record[i].count;
		s->record[i].tie = i;
	}
	dwarfline_sort(s->record, n, sizeof *s->record);
}

/* ---- printing ---- */

static void symbol(struct dump *d, uintptr_t pc, bool is_exact,
		   struct sym_frame *f)
{
	memset(f, 0, sizeof *f);
	if (d->text.symbols)
		(void)symbolize_pc(d->text.symbols, pc, !is_exact, f);
}

static void print_place(struct dump *d, uintptr_t pc, bool is_exact)
{
	struct sym_frame f;

	symbol(d, pc, is_exact, &f);
	dumptext_function(&d->text, pc, &f);
	if (!f.file)
		return;
	textbuf_str(&d->buf, " at ");
	textbuf_str(&d->buf, f.file);
	textbuf_char(&d->buf, ':');
	textbuf_dec(&d->buf, f.line);
}

static void print_group(struct dump *d, const struct record *r)
{
	struct textbuf *b = &d->buf;
	const char *reason = g_wait_reason_name(r->reason);
	struct sym_frame f;

	textbuf_str(b, "ringgo: leak: ");
	textbuf_dec(b, r->count);
	textbuf_str(b, " of ");
	symbol(d, r->fn, true, &f);
	dumptext_function(&d->text, r->fn, &f);
	if (r->creator_pc) {
		textbuf_str(b, ", created by ");
		print_place(d, r->creator_pc, false);
	}
	textbuf_str(b, ": ");
	textbuf_str(b, *reason ? reason : g_state_name((enum g_state)r->state));
	for (int i = 0; i < 2 && r->where[i]; i++) {
		textbuf_str(b, i ? " < " : " in ");
		print_place(d, r->where[i], !i && r->where_is_exact);
	}
	if (r->state == G_WAITING && d->text.now > r->since) {
		textbuf_str(b, ", for up to ");
		textbuf_duration(b, d->text.now - r->since);
	}
	textbuf_char(b, '\n');
}

static int print(struct dump *d, struct survey *s)
{
	struct textbuf *b = &d->buf;

	group(s);
	textbuf_str(b, "ringgo: leak: ");
	textbuf_dec(b, (uint64_t)s->total);
	textbuf_str(b, s->total == 1 ? " goroutine " : " goroutines ");
	textbuf_str(b, s->title);
	textbuf_char(b, '\n');
	for (size_t i = 0; i < s->n && !b->err; i++)
		print_group(d, &s->record[i]);
	return textbuf_flush(b);
}

/* ---- the walk ---- */

/* dump_run's body: count, and print if there is something. */
static int survey(struct dump *d, void *arg)
{
	struct survey *s = arg;
	size_t len;
	int err = 0;

	s->max = gsnap_bound() + BIRTHS;
	len = s->max * sizeof *s->record;
	s->record = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->record == MAP_FAILED)
		return -ENOMEM;
	while (dump_next(d))
		for (size_t i = 0; i < d->n; i++)
			if (counts(s, &d->portion[i]))
				add(d, s, &d->portion[i]);
	if (s->total && s->says)
		err = print(d, s);
	munmap(s->record, len);
	return err;
}

/* I2. The token is the running goroutine's own: only it looks at it. */
static int run(int fd, dump_body *body, void *arg)
{
	struct g *gp = is_goroutine() ? getg() : NULL;
	struct cancel_token *token = gp ? gp->token : NULL;
	int err;

	if (gp)
		gp->token = NULL;
	err = dump_run(fd, body, arg);
	if (gp)
		gp->token = token;
	return err;
}

int leak_at_end(int result)
{
	struct survey s = {.self = rg_goid(),
			   .parked_only = true,
			   .says = true,
			   .title = "still parked at the end"};

	if (!debugenv.leak || run(STDERR_FILENO, survey, &s) == -ENOMEM)
		return result;
	return s.total && debugenv.leak > 1 && !result ? LEAK_EXIT_CODE
						       : result;
}

/* ---- public ---- */

static bool make_room(struct rg_leaks *l)
{
	size_t max = l->max ? 2 * l->max : 64;
	struct known *known;

	if (l->n < l->max)
		return true;
	known = rgk_alloc(max * sizeof *known);
	if (!known)
		return false;
	if (l->n)
		memcpy(known, l->known, l->n * sizeof *known);
	rgk_free(l->known);
	l->known = known;
	l->max = max;
	return true;
}

static int note_all(struct dump *d, void *arg)
{
	struct rg_leaks *l = arg;

	while (dump_next(d)) {
		for (size_t i = 0; i < d->n; i++) {
			if (!make_room(l))
				return -ENOMEM;
			l->known[l->n++] =
				(struct known){.goid = d->portion[i].goid};
		}
	}
	dwarfline_sort(l->known, l->n, sizeof *l->known);
	return 0;
}

static void leaks_free(rg_leaks *l)
{
	rgk_free(l->known);
	rgk_free(l);
}

rg_leaks *rg_leak_begin(void)
{
	rg_leaks *l = rgk_zalloc(sizeof *l);

	if (!l)
		return NULL;
	/* Nothing is written: the descriptor is not looked at. */
	if (sched_is_on() && run(STDERR_FILENO, note_all, l)) {
		leaks_free(l);
		return NULL;
	}
	return l;
}

/* How many are left, or a negative errno. */
static int64_t look(const rg_leaks *before, bool says, int fd)
{
	struct survey s = {.self = rg_goid(),
			   .before = before,
			   .says = says,
			   .title = "left over"};
	int err = run(fd, survey, &s);

	return err ? err : s.total;
}

int64_t rg_leak_end(rg_leaks *before, rg_duration grace, int fd)
{
	rg_time end = timer_after(grace);
	int64_t left = 0;

	while (sched_is_on() && (left = look(before, false, fd)) > 0 &&
	       rg_now() < end)
		/* A context that has ended makes it return at once. */
		if (rg_sleep(POLL_NS))
			rg_yield();
	if (left > 0 && fd >= 0 && sched_is_on())
		left = look(before, true, fd);
	leaks_free(before);
	return left;
}
