// SPDX-License-Identifier: MIT
/*
 * linseries - plan, run, check, many times; see the header.
 */
#include "tests/lincheck/linseries.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/lincheck/lincheck.h"
#include "tests/lincheck/linrun.h"

/* Plans of linplan.c need some hundred steps. */
enum { SEARCH_BUDGET = 100000 };

__attribute__((noreturn)) static void
blame(const struct lin_history *h, const struct lin_verdict *v, uint64_t seed)
{
	fprintf(stderr, "violation: %s\nseed %" PRIu64 "\n", v->text, seed);
	lin_print(stderr, h);
	abort();
}

static void check(const struct lin_history *h, uint64_t seed,
		  struct lin_series *s)
{
	struct lin_verdict v = {{0}};
	enum lin_answer answer;

	if (!lin_check_long(h, &v))
		blame(h, &v, seed);
	s->runs++;
	s->ops += h->n;
	if (h->n > LIN_EXACT_MAX)
		return;
	answer = lin_check_exact(h, SEARCH_BUDGET, &v);
	if (answer == LIN_BAD)
		blame(h, &v, seed);
	if (answer == LIN_GOOD)
		s->exact++;
	else
		s->undecided++;
}

void lin_series_run(struct lin_series *s)
{
	struct lin_plan *p = malloc(sizeof(*p));
	rg_time end = rg_now() + s->limit;

	if (!p)
		abort();
	for (uint64_t i = 0; i < s->count && rg_now() < end; i++) {
		struct lin_history h;

		lin_plan_fill(p, s->first + i, s->one_thread);
		lin_run(p, s->one_thread, s->patience, &h);
		check(&h, s->first + i, s);
		free(h.ops);
	}
	free(p);
	if (s->is_quiet)
		return;
	printf("%zu runs, %zu operations; searched %zu, undecided %zu\n",
	       s->runs, s->ops, s->exact, s->undecided);
}
