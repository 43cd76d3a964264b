// SPDX-License-Identifier: MIT
/*
 * linsearch - the search for an order, all channels of a history together.
 *
 * Depth first: of the operations not yet placed, those come next that began before
 * every other one of them was over; each that the state allows is tried. A state
 * that was left without success is remembered by the set of placed operations and
 * what the channels hold, and not entered again.
 *   W1  what changes no state (a length, a refusal, "closed") is placed as soon as
 *       it is allowed, and nothing else is tried then: an order with it later is
 *       also one with it now.
 *   W2  on a channel of capacity 0 a send is placed together with the receive of
 *       its value; both must be next.
 *   W3  the set remembers a 64-bit hash of what the channels hold: two that differ
 *       and collide make it miss an order once in 10^19 comparisons.
 * After Wing and Gong, "Testing and verifying concurrent objects" (1993), with the
 * memory of Lowe, "Testing for linearizability" (2017).
 */
#include "tests/lincheck/lincheck.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct queue {
	bool closed;
	uint8_t head, n;
	uint8_t ops[LIN_EXACT_MAX]; /* the sends; a ring */
};

struct state {
	uint64_t placed; /* bit i: operation i */
	struct queue q[LIN_CHANS];
};

struct seen {
	uint64_t placed, held;
};

struct search {
	const struct lin_history *h;
	size_t left;       /* steps of the budget */
	struct seen *seen; /* placed 0: free */
	size_t mask, nseen;
	unsigned deepest;      /* how many were placed at most */
	uint64_t deepest_mask; /* which */
	uint8_t partner[LIN_EXACT_MAX];
};

enum { NO_PARTNER = 255 };

/* The winning case of an operation; any, where it has none. */
static const struct lin_case *won_of(const struct lin_op *op)
{
	return &op->cases[op->winner < 0 ? 0 : op->winner];
}

/* ---- what a state allows ---------------------------------------------------------- */

static bool case_could_proceed(const struct search *s, const struct state *st,
			       const struct lin_case *cs)
{
	const struct queue *q = &st->q[cs->chan];
	size_t cap = s->h->cap[cs->chan];

	if (q->closed)
		return true;
	/* Capacity 0: not seen from outside. */
	if (cap == 0)
		return false;
	return cs->is_send ? q->n < cap : q->n > 0;
}

static bool none_could_proceed(const struct search *s, const struct state *st,
			       const struct lin_op *op)
{
	for (int i = 0; i < op->ncases; i++)
		if (case_could_proceed(s, st, &op->cases[i]))
			return false;
	return true;
}

/* W1 */
static bool changes_nothing(const struct lin_op *op)
{
	const struct lin_case *won = lin_winner(op);

	return op->kind == LIN_LEN ||
	       (op->kind == LIN_COMM && (!won || (!won->is_send && !op->ok)));
}

static bool pure_op_is_allowed(const struct search *s, const struct state *st,
			       const struct lin_op *op)
{
	const struct lin_case *won = lin_winner(op);
	const struct queue *q;

	if (op->kind == LIN_COMM && !won)
		return none_could_proceed(s, st, op);
	q = &st->q[won ? won->chan : op->cases[0].chan];
	return won ? q->closed && q->n == 0 : q->n == op->value;
}

/* Send or receive through a buffer. */
static bool place_buffered(const struct search *s, struct state *st, size_t i)
{
	const struct lin_op *op = &s->h->ops[i];
	const struct lin_case *won = won_of(op);
	struct queue *q = &st->q[won->chan];

	if (won->is_send) {
		if (q->closed || q->n == s->h->cap[won->chan])
			return false;
		q->ops[(q->head + q->n++) % LIN_EXACT_MAX] = (uint8_t)i;
		return true;
	}
	if (q->n == 0 ||
	    won_of(&s->h->ops[q->ops[q->head]])->value != op->value)
		return false;
	q->head = (uint8_t)((q->head + 1) % LIN_EXACT_MAX);
	q->n--;
	return true;
}

static bool is_next(const struct search *s, const struct state *st, size_t i,
		    uint64_t first_ret)
{
	return !(st->placed & UINT64_C(1) << i) &&
	       s->h->ops[i].call < first_ret;
}

/* Place operation i, which is next, in *st; false: the state does not allow it. */
static bool place(const struct search *s, struct state *st, size_t i,
		  uint64_t first_ret)
{
	const struct lin_op *op = &s->h->ops[i];
	const struct lin_case *won = won_of(op);

	if (op->kind == LIN_CLOSE) {
		if (st->q[op->cases[0].chan].closed)
			return false;
		st->q[op->cases[0].chan].closed = true;
	} else if (s->h->cap[won->chan] > 0) {
		if (!place_buffered(s, st, i))
			return false;
	} else {
		/* W2; the receive is placed by its send. */
		uint8_t peer = s->partner[i];

		if (!won->is_send || peer == NO_PARTNER ||
		    st->q[won->chan].closed || !is_next(s, st, peer, first_ret))
			return false;
		st->placed |= UINT64_C(1) << peer;
	}
	st->placed |= UINT64_C(1) << i;
	return true;
}

/* ---- memory ------------------------------------------------------------------------ */

static uint64_t mix(uint64_t h, uint64_t x)
{
	h = (h ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t hash_held(const struct search *s, const struct state *st)
{
	uint64_t h = 1;

	for (size_t c = 0; c < s->h->nchans; c++) {
		const struct queue *q = &st->q[c];

		h = mix(h, (uint64_t)q->n << 1 | q->closed);
		for (unsigned i = 0; i < q->n; i++)
			h = mix(h, q->ops[(q->head + i) % LIN_EXACT_MAX]);
	}
	return h;
}

/* Where x is, or belongs. */
static struct seen *slot_of(struct seen *table, size_t mask, struct seen x)
{
	size_t at = mix(x.held, x.placed) & mask;

	while (table[at].placed &&
	       (table[at].placed != x.placed || table[at].held != x.held))
		at = (at + 1) & mask;
	return &table[at];
}

static struct seen *new_table(size_t size)
{
	struct seen *table = calloc(size, sizeof(*table));

	if (!table)
		abort();
	return table;
}

static void grow(struct search *s)
{
	size_t size = 2 * (s->mask + 1);
	struct seen *table = new_table(size);

	for (size_t i = 0; i <= s->mask; i++)
		if (s->seen[i].placed)
			*slot_of(table, size - 1, s->seen[i]) = s->seen[i];
	free(s->seen);
	s->seen = table;
	s->mask = size - 1;
}

/* Whether the state was known; now it is. */
static bool remember(struct search *s, const struct state *st)
{
	struct seen x = {st->placed, hash_held(s, st)};
	struct seen *slot = slot_of(s->seen, s->mask, x);

	if (slot->placed)
		return true;
	*slot = x;
	if (2 * ++s->nseen > s->mask)
		grow(s);
	return false;
}

/* ---- the search -------------------------------------------------------------------- */

static uint64_t all_of(size_t n)
{
	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static uint64_t first_return(const struct search *s, const struct state *st)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < s->h->n; i++)
		if (!(st->placed & UINT64_C(1) << i) &&
		    s->h->ops[i].ret < first)
			first = s->h->ops[i].ret;
	return first;
}

/* W1, until there is no more; returns when the next return will be. */
static uint64_t place_pure(const struct search *s, struct state *st)
{
	uint64_t first_ret;
	bool again;

	do {
		again = false;
		first_ret = first_return(s, st);
		for (size_t i = 0; i < s->h->n; i++) {
			if (!is_next(s, st, i, first_ret) ||
			    !changes_nothing(&s->h->ops[i]) ||
			    !pure_op_is_allowed(s, st, &s->h->ops[i]))
				continue;
			st->placed |= UINT64_C(1) << i;
			again = true;
		}
	} while (again);
	return first_ret;
}

static void note_depth(struct search *s, const struct state *st)
{
	unsigned n = (unsigned)__builtin_popcountll(st->placed);

	if (n < s->deepest)
		return;
	s->deepest = n;
	s->deepest_mask = st->placed;
}

static enum lin_answer descend(struct search *s, const struct state *from)
{
	struct state st = *from;
	uint64_t first_ret = place_pure(s, &st);
	enum lin_answer answer = LIN_BAD;

	note_depth(s, &st);
	if (st.placed == all_of(s->h->n))
		return LIN_GOOD;
	if (s->left == 0)
		return LIN_UNDECIDED;
	s->left--;
	if (st.placed && remember(s, &st))
		return LIN_BAD;
	for (size_t i = 0; i < s->h->n && answer == LIN_BAD; i++) {
		struct state next = st;

		if (is_next(s, &st, i, first_ret) &&
		    !changes_nothing(&s->h->ops[i]) &&
		    place(s, &next, i, first_ret))
			answer = descend(s, &next);
	}
	return answer;
}

static void find_partners(struct search *s)
{
	memset(s->partner, NO_PARTNER, sizeof(s->partner));
	for (size_t i = 0; i < s->h->n; i++) {
		const struct lin_case *a = lin_winner(&s->h->ops[i]);

		if (!a || !a->is_send)
			continue;
		for (size_t j = 0; j < s->h->n; j++) {
			const struct lin_op *op = &s->h->ops[j];
			const struct lin_case *b = lin_winner(op);

			if (b && !b->is_send && op->ok && a->chan == b->chan &&
			    a->value == op->value)
				s->partner[i] = (uint8_t)j;
		}
	}
}

static void blame_first_left(const struct search *s, struct lin_verdict *v)
{
	size_t i = (size_t)__builtin_ctzll(~s->deepest_mask);

	lin_blame(v,
		  "linearizability: no order agrees; with %u of %zu operations "
		  "placed, none fits, the first left began at %" PRIu64,
		  s->deepest, s->h->n, s->h->ops[i].call);
}

enum lin_answer lin_check_exact(const struct lin_history *h, size_t budget,
				struct lin_verdict *v)
{
	struct search s = {.h = h, .left = budget};
	struct state st = {0};
	enum lin_answer answer;

	if (h->n > LIN_EXACT_MAX)
		return LIN_UNDECIDED;
	if (h->n == 0)
		return LIN_GOOD;
	s.mask = 255;
	s.seen = new_table(s.mask + 1);
	find_partners(&s);
	answer = descend(&s, &st);
	free(s.seen);
	if (answer == LIN_BAD)
		blame_first_left(&s, v);
	return answer;
}
