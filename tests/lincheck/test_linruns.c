// SPDX-License-Identifier: MIT
/*
 * test_linruns - recorded runs of channels and selects are linearizable: many plans
 * (linplan.h) are carried out on the library (linrun.h), and each history is checked
 * (lincheck.h).
 *
 * mutants.sh links this program with broken channels and expects it to fail:
 *	test_linruns FIRST COUNT [SECONDS]
 * runs the plans FIRST, FIRST + 1, ... until COUNT are done or the time is over. The
 * exit code is 0 when nothing was found; else it aborts after "violation: ...".
 * With RINGGO_SEED in the environment, everything runs on one M in an order drawn
 * from the plan's number.
 */
#include "tests/support/rgtest.h"

#include <inttypes.h>
#include <stdlib.h>

#include "tests/lincheck/lincheck.h"
#include "tests/lincheck/linrun.h"

enum { SEARCH_BUDGET = 100000 };

struct tally {
	size_t runs, ops, exact, undecided;
};

static void blame(const struct lin_history *h, const struct lin_verdict *v,
		  uint64_t seed)
{
	fprintf(stderr, "violation: %s\nseed %" PRIu64 "\n", v->text, seed);
	lin_print(stderr, h);
	abort();
}

static void check(const struct lin_history *h, uint64_t seed, struct tally *t)
{
	struct lin_verdict v = {{0}};
	enum lin_answer answer;

	if (!lin_check_long(h, &v))
		blame(h, &v, seed);
	t->runs++;
	t->ops += h->n;
	if (h->n > LIN_EXACT_MAX)
		return;
	answer = lin_check_exact(h, SEARCH_BUDGET, &v);
	if (answer == LIN_BAD)
		blame(h, &v, seed);
	if (answer == LIN_GOOD)
		t->exact++;
	else
		t->undecided++;
}

static void one(uint64_t seed, bool one_thread, rg_duration patience,
		struct tally *t)
{
	struct lin_plan *p = malloc(sizeof(*p));
	struct lin_history h;

	T_CHECK(p != NULL);
	lin_plan_fill(p, seed, one_thread);
	lin_run(p, one_thread, patience, &h);
	check(&h, seed, t);
	free(h.ops);
	free(p);
}

static bool seeded(void)
{
	return getenv("RINGGO_SEED") != NULL;
}

static void runs(uint64_t first, uint64_t count, rg_duration limit,
		 rg_duration patience, struct tally *t)
{
	rg_time end = rg_now() + limit;
	char text[24];

	for (uint64_t i = 0; i < count && rg_now() < end; i++) {
		if (seeded()) {
			snprintf(text, sizeof(text), "%" PRIu64, first + i + 1);
			setenv("RINGGO_SEED", text, 1);
		}
		one(first + i, seeded(), patience, t);
	}
	printf("%zu runs, %zu operations; searched %zu, undecided %zu\n",
	       t->runs, t->ops, t->exact, t->undecided);
}

/* Others may have the machine for seconds: patience is cheap where it is not used. */
#define CONTROL_PATIENCE (30 * RG_SECOND)

static void linruns_of_many_plans_are_linearizable(void **state)
{
	struct tally t = {0};

	(void)state;
	runs(1, 100000, 4 * RG_SECOND, CONTROL_PATIENCE, &t);
	/* Not vacuous: most plans are small enough to be searched. */
	T_CHECK_INT_GE(t.runs, 20);
	T_CHECK_INT_GE(2 * t.exact, t.runs);
	T_CHECK_INT_LE(20 * t.undecided, t.runs);
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linruns_of_many_plans_are_linearizable),
	};
	struct tally t = {0};

	if (argc < 3)
		return cmocka_run_group_tests(tests, NULL, NULL);
	runs(number(argv[1]), number(argv[2]),
	     argc > 3 ? (rg_duration)number(argv[3]) * RG_SECOND : RG_HOUR,
	     argc > 3 ? 3 * RG_SECOND : CONTROL_PATIENCE, &t);
	return 0;
}
