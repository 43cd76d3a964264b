// SPDX-License-Identifier: MIT
/*
 * test_lincheck - the checkers of histories: good ones pass, each kind of bad one is
 * blamed as what it is, and the two checkers agree on thousands of random ones.
 */
#include "tests/support/rgtest.h"

#include <stdlib.h>

#include "tests/lincheck/lincheck.h"
#include "tests/lincheck/linplan.h"

enum { BUDGET = 100000, ROOM = 64 };

/* ---- writing histories down --------------------------------------------------------- */

#define COMM(c, send, v, win, is_ok, got, from, to)                            \
	{                                                                      \
		.kind = LIN_COMM, .ncases = 1, .winner = (win), .ok = (is_ok), \
		.cases = {{(c), (send), (v)}}, .value = (got), .call = (from), \
		.ret = (to)                                                    \
	}
#define SENT(c, v, from, to)     COMM(c, true, v, 0, true, 0, from, to)
#define GOT(c, v, from, to)      COMM(c, false, 0, 0, true, v, from, to)
#define CLOSED(c, from, to)      COMM(c, false, 0, 0, false, 0, from, to)
#define NOT_SENT(c, v, from, to) COMM(c, true, v, -1, false, 0, from, to)
#define NOT_GOT(c, from, to)     COMM(c, false, 0, -1, false, 0, from, to)
#define CLOSE(c, from, to)                                                     \
	{                                                                      \
		.kind = LIN_CLOSE, .ncases = 1, .winner = -1,                  \
		.cases = {{(c), false, 0}}, .call = (from), .ret = (to)        \
	}
#define LEN(c, n, from, to)                                                    \
	{                                                                      \
		.kind = LIN_LEN, .ncases = 1, .winner = -1,                    \
		.cases = {{(c), false, 0}}, .value = (n), .call = (from),      \
		.ret = (to)                                                    \
	}

static bool begins(const struct lin_verdict *v, const char *kind)
{
	size_t len = strlen(kind);

	return strncmp(v->text, kind, len) == 0 && v->text[len] == ':';
}

/*
 * Channel 0 has that capacity, channel 1 capacity 1. kind NULL: both checkers accept
 * it. "linearizability": only the search finds it. Else the conditions find that
 * kind; and the search says what `exact` says.
 */
static void expect(size_t cap, const struct lin_op *ops, size_t n,
		   const char *kind, enum lin_answer exact)
{
	struct lin_op copy[ROOM];
	struct lin_history h = {2, {cap, 1}, copy, n};
	struct lin_verdict v = {{0}}, w = {{0}};
	bool only_search = kind && strcmp(kind, "linearizability") == 0;

	T_CHECK_INT_LE(n, ROOM);
	memcpy(copy, ops, n * sizeof(*ops));
	lin_sort(&h);
	if (lin_check_long(&h, &v) != (!kind || only_search))
		T_FAIL("the conditions say \"%s\"", v.text);
	if (kind && !only_search && !begins(&v, kind))
		T_FAIL("\"%s\" is not \"%s\"", v.text, kind);
	T_CHECK_INT_EQ(lin_check_exact(&h, BUDGET, &w), exact);
	T_CHECK_INT_EQ(begins(&w, "linearizability"), exact == LIN_BAD);
}

#define GOOD(cap, ...)                                                         \
	do {                                                                   \
		const struct lin_op ops_[] = {__VA_ARGS__};                    \
		expect(cap, ops_, sizeof(ops_) / sizeof(ops_[0]), NULL,        \
		       LIN_GOOD);                                              \
	} while (0)
#define BAD(cap, kind, ...)                                                    \
	do {                                                                   \
		const struct lin_op ops_[] = {__VA_ARGS__};                    \
		expect(cap, ops_, sizeof(ops_) / sizeof(ops_[0]), kind,        \
		       LIN_BAD);                                               \
	} while (0)

/* ---- by hand ------------------------------------------------------------------------ */

static void lincheck_accepts_what_channels_do(void **state)
{
	(void)state;
	GOOD(2, SENT(0, 1, 1, 2), SENT(0, 2, 3, 4), LEN(0, 2, 5, 6),
	     NOT_SENT(0, 3, 7, 8), GOT(0, 1, 9, 10), GOT(0, 2, 11, 12),
	     NOT_GOT(0, 13, 14), LEN(0, 0, 15, 16));
	/* Sends that overlap may be in either order. */
	GOOD(2, SENT(0, 1, 1, 4), SENT(0, 2, 2, 3), GOT(0, 2, 5, 6),
	     GOT(0, 1, 7, 8));
	/* A send that parks: three at once for two places, and one taken. */
	GOOD(2, SENT(0, 1, 1, 2), SENT(0, 2, 3, 4), SENT(0, 3, 5, 8),
	     GOT(0, 1, 6, 7), GOT(0, 2, 9, 10), GOT(0, 3, 11, 12));
	/* A receive that parked before the send. */
	GOOD(0, GOT(0, 1, 1, 4), SENT(0, 1, 2, 3));
	GOOD(0, SENT(0, 1, 1, 3), GOT(0, 1, 2, 4));
	/* Nobody knows whether the peer was there already. */
	GOOD(0, SENT(0, 1, 1, 6), NOT_GOT(0, 2, 3), GOT(0, 1, 4, 5));
	GOOD(1, SENT(0, 1, 1, 2), CLOSE(0, 3, 4), GOT(0, 1, 5, 6),
	     CLOSED(0, 7, 8));
	GOOD(0, CLOSED(0, 1, 4), CLOSE(0, 2, 3), CLOSED(0, 5, 6));
	GOOD(1, CLOSE(0, 1, 6), NOT_GOT(0, 2, 3), CLOSED(0, 4, 5));
}

static void lincheck_finds_lost_and_doubled_values(void **state)
{
	const struct lin_op lost[] = {SENT(0, 1, 1, 2)};

	(void)state;
	/* The search would find that the value is still in the buffer. */
	expect(1, lost, 1, "conservation", LIN_GOOD);
	BAD(1, "conservation", GOT(0, 1, 1, 2));
	BAD(1, "conservation", SENT(1, 1, 1, 2), GOT(0, 1, 3, 4));
	BAD(1, "conservation", NOT_SENT(0, 1, 1, 2), GOT(0, 1, 3, 4));
	BAD(1, "conservation", SENT(0, 1, 1, 2), GOT(0, 1, 3, 4),
	    GOT(0, 1, 5, 6));
	BAD(1, "conservation", GOT(0, 1, 1, 2), SENT(0, 1, 3, 4));
	BAD(0, "conservation", GOT(0, 1, 1, 2), SENT(0, 1, 3, 4));
	BAD(0, "conservation", SENT(0, 1, 1, 5), GOT(0, 1, 2, 6),
	    GOT(0, 1, 3, 7));
}

static void lincheck_finds_a_wrong_order(void **state)
{
	(void)state;
	BAD(2, "order", SENT(0, 1, 1, 2), SENT(0, 2, 3, 4), GOT(0, 2, 5, 6),
	    GOT(0, 1, 7, 8));
	BAD(7, "order", SENT(0, 1, 1, 2), SENT(0, 2, 3, 9), GOT(0, 2, 5, 6),
	    GOT(0, 1, 7, 8));
	/* Each send overlaps the next one. */
	BAD(7, "order", SENT(0, 1, 1, 3), SENT(0, 2, 2, 5), SENT(0, 3, 4, 6),
	    GOT(0, 3, 7, 8), GOT(0, 2, 9, 10), GOT(0, 1, 11, 12));
}

static void lincheck_finds_too_many_values(void **state)
{
	(void)state;
	BAD(1, "capacity", SENT(0, 1, 1, 2), SENT(0, 2, 3, 4), GOT(0, 1, 5, 6),
	    GOT(0, 2, 7, 8));
	BAD(1, "capacity", SENT(0, 1, 1, 4), SENT(0, 2, 2, 3), GOT(0, 1, 5, 6),
	    GOT(0, 2, 7, 8));
	BAD(1, "capacity", LEN(0, 2, 1, 2));
	BAD(0, "rendezvous", SENT(0, 1, 1, 2), GOT(0, 1, 3, 4));
}

static void lincheck_finds_a_wrong_close(void **state)
{
	(void)state;
	BAD(1, "close", CLOSED(0, 1, 2));
	BAD(1, "close", CLOSED(0, 1, 2), CLOSE(0, 3, 4));
	BAD(1, "close", SENT(0, 1, 1, 2), CLOSE(0, 3, 4), CLOSED(0, 5, 6),
	    GOT(0, 1, 7, 8));
	BAD(1, "close", CLOSE(0, 1, 2), SENT(0, 1, 3, 4), GOT(0, 1, 5, 6));
	BAD(0, "close", CLOSE(0, 1, 2), SENT(0, 1, 3, 5), GOT(0, 1, 4, 6));
	BAD(1, "close", CLOSE(0, 1, 2), CLOSE(0, 3, 4));
	BAD(1, "close", CLOSE(0, 1, 3), CLOSE(0, 2, 4));
}

static void lincheck_finds_false_refusals(void **state)
{
	(void)state;
	BAD(1, "refusal", SENT(0, 1, 1, 2), NOT_GOT(0, 3, 4), GOT(0, 1, 5, 6));
	BAD(1, "refusal", NOT_SENT(0, 1, 1, 2));
	BAD(2, "refusal", SENT(0, 1, 1, 2), NOT_SENT(0, 2, 3, 4),
	    GOT(0, 1, 5, 6));
	BAD(1, "refusal", CLOSE(0, 1, 2), NOT_GOT(0, 3, 4));
	BAD(0, "refusal", CLOSE(0, 1, 2), NOT_GOT(0, 3, 4));
}

static void lincheck_finds_impossible_lengths(void **state)
{
	(void)state;
	BAD(2, "length", LEN(0, 1, 1, 2));
	BAD(2, "length", SENT(0, 1, 1, 2), LEN(0, 0, 3, 4), GOT(0, 1, 5, 6));
	BAD(0, "capacity", LEN(0, 1, 1, 2));
}

/* No single condition is violated. */
static void lincheck_search_finds_what_conditions_miss(void **state)
{
	const struct lin_op both[] = {
		SENT(0, 1, 1, 2),
		{.kind = LIN_COMM,
		 .ncases = 2,
		 .winner = -1,
		 .cases = {{0, false, 0}, {1, false, 0}},
		 .call = 3,
		 .ret = 10},
		SENT(1, 2, 4, 5),
		GOT(0, 1, 6, 7),
		GOT(1, 2, 11, 12),
	};

	(void)state;
	/* The buffer is empty at the first refusal and full at the second. */
	BAD(1, "linearizability", SENT(0, 1, 1, 2), NOT_GOT(0, 3, 5),
	    GOT(0, 1, 4, 9), NOT_SENT(0, 2, 6, 7));
	/* A select says that there was a moment at which both were empty. */
	expect(1, both, 5, "linearizability", LIN_BAD);
}

static void lincheck_search_says_when_it_does_not_know(void **state)
{
	struct lin_op ops[LIN_EXACT_MAX + 1];
	struct lin_history h = {1, {1}, ops, LIN_EXACT_MAX + 1};
	struct lin_verdict v = {{0}};

	(void)state;
	for (uint64_t i = 0; i < LIN_EXACT_MAX + 1; i++)
		ops[i] = (struct lin_op)LEN(0, 0, 2 * i, 2 * i + 1);
	T_CHECK_INT_EQ(lin_check_exact(&h, BUDGET, &v), LIN_UNDECIDED);
	h.n = LIN_EXACT_MAX;
	T_CHECK_INT_EQ(lin_check_exact(&h, BUDGET, &v), LIN_GOOD);
	ops[0] = (struct lin_op)SENT(0, 1, 0, 1);
	T_CHECK_INT_EQ(lin_check_exact(&h, 0, &v), LIN_UNDECIDED);
	T_CHECK_INT_EQ(lin_check_exact(&h, BUDGET, &v), LIN_BAD);
}

/* ---- at random ---------------------------------------------------------------------- */

/* Histories made from an order: each operation is stretched around its place. */
struct maker {
	uint64_t rnd, at, spread, next_value;
	size_t cap, n;
	struct lin_op ops[ROOM];
	uint64_t queue[ROOM];
	size_t nqueue;
};

static void put(struct maker *m, struct lin_op op)
{
	op.call = m->at - 1 - lin_random(&m->rnd, m->spread);
	op.ret = m->at + 1 + lin_random(&m->rnd, m->spread);
	m->ops[m->n++] = op;
}

static void make_send(struct maker *m)
{
	uint64_t v = m->next_value++;

	if (m->cap == 0) {
		put(m, (struct lin_op)SENT(0, v, 0, 0));
		put(m, (struct lin_op)GOT(0, v, 0, 0));
	} else if (m->nqueue < m->cap) {
		m->queue[m->nqueue++] = v;
		put(m, (struct lin_op)SENT(0, v, 0, 0));
	} else {
		put(m, (struct lin_op)NOT_SENT(0, v, 0, 0));
	}
}

static void make_receive(struct maker *m)
{
	if (m->nqueue == 0) {
		put(m, (struct lin_op)NOT_GOT(0, 0, 0));
		return;
	}
	put(m, (struct lin_op)GOT(0, m->queue[0], 0, 0));
	memmove(m->queue, m->queue + 1, --m->nqueue * sizeof(m->queue[0]));
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = *(uint64_t *const *)a, *y = *(uint64_t *const *)b;

	return *x < *y ? -1 : *x > *y;
}

/* Times become 1, 2, 3 ... */
static void number_times(struct maker *m)
{
	uint64_t *times[2 * ROOM];
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		times[n++] = &m->ops[i].call;
		times[n++] = &m->ops[i].ret;
	}
	qsort(times, n, sizeof(times[0]), by_number);
	for (size_t i = 0; i < n; i++)
		*times[i] = i + 1;
}

static void make(struct maker *m, uint64_t seed, uint64_t spread)
{
	static const size_t caps[] = {0, 1, 2, 7};

	*m = (struct maker){.rnd = seed, .spread = spread, .next_value = 1};
	m->cap = caps[lin_random(&m->rnd, 4)];
	while (m->n < 24 || m->nqueue) {
		/* Never two operations at one place, but for a rendezvous. */
		m->at = (m->at / 10 + 1) * 10 + 1000 * (m->at == 0);
		if (m->n < 24 && lin_random(&m->rnd, 2))
			make_send(m);
		else if (m->n < 24 && lin_random(&m->rnd, 8) == 0)
			put(m, (struct lin_op)LEN(0, m->nqueue, 0, 0));
		else
			make_receive(m);
	}
	m->at += 1000;
	put(m, (struct lin_op)CLOSE(0, 0, 0));
	m->at += 1000;
	put(m, (struct lin_op)CLOSED(0, 0, 0));
}

static struct lin_history history_of(struct maker *m)
{
	struct lin_history h = {1, {m->cap}, m->ops, m->n};

	number_times(m);
	lin_sort(&h);
	return h;
}

static void lincheck_accepts_random_histories_made_from_an_order(void **state)
{
	struct maker m;

	(void)state;
	for (uint64_t seed = 0; seed < 3000; seed++) {
		struct lin_verdict v = {{0}};
		struct lin_history h;

		make(&m, seed, 1 + seed % 60);
		h = history_of(&m);
		if (!lin_check_long(&h, &v))
			T_FAIL("seed %d: %s", (int)seed, v.text);
		T_CHECK_INT_EQ(lin_check_exact(&h, BUDGET, &v), LIN_GOOD);
	}
}

/* Two receives change places: i and j, both with a value. */
static bool swap_two_receives(struct maker *m)
{
	size_t got[ROOM], n = 0;
	size_t i, j;
	uint64_t v;

	for (i = 0; i < m->n; i++)
		if (lin_winner(&m->ops[i]) && !m->ops[i].cases[0].is_send &&
		    m->ops[i].ok)
			got[n++] = i;
	if (n < 2)
		return false;
	i = lin_random(&m->rnd, n);
	j = (i + 1 + lin_random(&m->rnd, n - 1)) % n;
	v = m->ops[got[i]].value;
	m->ops[got[i]].value = m->ops[got[j]].value;
	m->ops[got[j]].value = v;
	return true;
}

/* What the conditions blame, the search must not find an order for; and the search
 * must blame every one of those whose operations hardly overlap. */
static void lincheck_checkers_agree_on_random_bad_histories(void **state)
{
	size_t blamed = 0, only_search = 0, accepted = 0;
	struct maker m;

	(void)state;
	for (uint64_t seed = 0; seed < 6000; seed++) {
		struct lin_verdict v = {{0}}, w = {{0}};
		struct lin_history h;
		enum lin_answer exact;
		bool good;

		make(&m, seed, 1 + seed % 60);
		if (!swap_two_receives(&m))
			continue;
		h = history_of(&m);
		good = lin_check_long(&h, &v);
		exact = lin_check_exact(&h, BUDGET, &w);
		T_CHECK_INT_NE(exact, LIN_UNDECIDED);
		if (!good && exact != LIN_BAD)
			T_FAIL("seed %d: not so: %s", (int)seed, v.text);
		if (seed % 60 < 4)
			T_CHECK_INT_EQ(exact, LIN_BAD);
		blamed += !good;
		only_search += good && exact == LIN_BAD;
		accepted += exact == LIN_GOOD;
	}
	printf("blamed by the conditions %zu, by the search alone %zu, "
	       "fine %zu\n",
	       blamed, only_search, accepted);
	T_CHECK_INT_GE(blamed, 1000);
	T_CHECK_INT_GE(only_search, 10);
	T_CHECK_INT_GE(accepted, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lincheck_accepts_what_channels_do),
		cmocka_unit_test(lincheck_finds_lost_and_doubled_values),
		cmocka_unit_test(lincheck_finds_a_wrong_order),
		cmocka_unit_test(lincheck_finds_too_many_values),
		cmocka_unit_test(lincheck_finds_a_wrong_close),
		cmocka_unit_test(lincheck_finds_false_refusals),
		cmocka_unit_test(lincheck_finds_impossible_lengths),
		cmocka_unit_test(lincheck_search_finds_what_conditions_miss),
		cmocka_unit_test(lincheck_search_says_when_it_does_not_know),
		cmocka_unit_test(
			lincheck_accepts_random_histories_made_from_an_order),
		cmocka_unit_test(
			lincheck_checkers_agree_on_random_bad_histories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
