/* SPDX-License-Identifier: MIT */
/*
 * linhist - a history: who asked what of which channels when, and what came back.
 *
 *   I1  `call` and `ret` come from one counter that all parties increase, the first
 *       before the operation begins, the second after it is over. So a.ret < b.call
 *       means that a was over before b began, and nothing else is known.
 *   I2  a value is offered by one case of one operation only; it is never 0.
 *   I3  all operations of a history have returned: who does not return is found by
 *       the party that ran the workload (linrun.h).
 * A plain send or receive is a select with one case; what differs is only whether
 * it may come back without a winner.
 */
#ifndef RG_TESTS_LINHIST_H
#define RG_TESTS_LINHIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { LIN_CHANS = 4, LIN_CASES = 5, LIN_TEXT_LEN = 400 };

enum lin_kind {
	LIN_COMM,  /* sends and receives, one of which won, or none */
	LIN_CLOSE, /* of cases[0].chan */
	LIN_LEN,   /* of cases[0].chan; value: what it said */
};

struct lin_case {
	uint8_t chan;
	bool is_send;
	uint64_t value; /* a send's */
};

struct lin_op {
	uint8_t kind, actor, ncases;
	int8_t winner; /* index; -1: none was ready */
	bool ok;       /* the winner sent, or received a value; else closed */
	struct lin_case cases[LIN_CASES];
	uint64_t value; /* received; or a length */
	uint64_t call, ret;
};

struct lin_history {
	size_t nchans;
	size_t cap[LIN_CHANS];
	struct lin_op *ops; /* in the order of their calls: lin_sort */
	size_t n;
};

/* What a checker found: empty text means that nothing is wrong. */
struct lin_verdict {
	char text[LIN_TEXT_LEN];
};

/* lin_sort - order the operations by `call`, as the checkers expect them. */
void lin_sort(struct lin_history *h);

/* lin_print - one line an operation, for people. */
void lin_print(FILE *f, const struct lin_history *h);

/* lin_blame - note what is wrong, "kind: details"; the first complaint stays.
 * Returns false, so that a checker can return it. */
__attribute__((format(printf, 2, 3))) bool lin_blame(struct lin_verdict *v,
						     const char *fmt, ...);

/* The winning case, or NULL. */
static inline const struct lin_case *lin_winner(const struct lin_op *op)
{
	if (op->kind != LIN_COMM || op->winner < 0)
		return NULL;
	return &op->cases[op->winner];
}

#endif
