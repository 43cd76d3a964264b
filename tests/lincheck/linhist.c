// SPDX-License-Identifier: MIT
/*
 * linhist - ordering and printing of histories; see the header.
 */
#include "tests/lincheck/linhist.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

static int by_call(const void *a, const void *b)
{
	const struct lin_op *x = a, *y = b;

	return x->call < y->call ? -1 : x->call > y->call;
}

void lin_sort(struct lin_history *h)
{
	if (h->n)
		qsort(h->ops, h->n, sizeof(*h->ops), by_call);
}

bool lin_blame(struct lin_verdict *v, const char *fmt, ...)
{
	va_list ap;

	if (v->text[0])
		return false;
	va_start(ap, fmt);
	if (vsnprintf(v->text, sizeof(v->text), fmt, ap) <= 0)
		v->text[0] = '?';
	va_end(ap);
	return false;
}

static void print_case(FILE *f, const struct lin_op *op, int i)
{
	const struct lin_case *cs = &op->cases[i];

	fprintf(f, " %s c%d", cs->is_send ? "send" : "recv", cs->chan);
	if (cs->is_send)
		fprintf(f, " %" PRIx64, cs->value);
	if (i != op->winner)
		return;
	if (cs->is_send)
		fputs(" done", f);
	else if (op->ok)
		fprintf(f, " = %" PRIx64, op->value);
	else
		fputs(" = closed", f);
}

void lin_print(FILE *f, const struct lin_history *h)
{
	for (size_t c = 0; c < h->nchans; c++)
		fprintf(f, "c%zu: capacity %zu\n", c, h->cap[c]);
	for (size_t i = 0; i < h->n; i++) {
		const struct lin_op *op = &h->ops[i];

		fprintf(f, "%6" PRIu64 " %6" PRIu64 "  actor %-2d", op->call,
			op->ret, op->actor);
		if (op->kind == LIN_CLOSE)
			fprintf(f, " close c%d", op->cases[0].chan);
		else if (op->kind == LIN_LEN)
			fprintf(f, " len c%d = %" PRIu64, op->cases[0].chan,
				op->value);
		else
			for (int j = 0; j < op->ncases; j++)
				print_case(f, op, j);
		if (op->kind == LIN_COMM && op->winner < 0)
			fputs(": none", f);
		fputc('\n', f);
	}
}
