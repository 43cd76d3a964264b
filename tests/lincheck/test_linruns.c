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
 *
 * With RINGGO_SEED in the environment no other thread takes part: the watcher is a
 * goroutine, too.
 */
#include "tests/support/rgtest.h"

#include <stdlib.h>

#include "tests/lincheck/linseries.h"

/* Not vacuous: most plans are small enough to be searched, and are. */
static void check_tally(const struct lin_series *s)
{
	T_CHECK_INT_GE(s->runs, 20);
	T_CHECK_INT_GE(2 * s->exact, s->runs);
	T_CHECK_INT_LE(20 * s->undecided, s->runs);
}

static void linruns_of_many_plans_are_linearizable(void **state)
{
	struct lin_series s = {.first = 1,
			       .count = 100000,
			       .limit = 4 * RG_SECOND,
			       .patience = LIN_PATIENCE,
			       .one_thread = getenv("RINGGO_SEED") != NULL};

	(void)state;
	lin_series_run(&s);
	check_tally(&s);
}

static void linruns_on_one_thread_are_linearizable(void **state)
{
	struct lin_series s = {.first = 200000,
			       .count = 100000,
			       .limit = 2 * RG_SECOND,
			       .patience = LIN_PATIENCE,
			       .one_thread = true};

	(void)state;
	lin_series_run(&s);
	check_tally(&s);
}

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linruns_of_many_plans_are_linearizable),
		cmocka_unit_test(linruns_on_one_thread_are_linearizable),
	};
	struct lin_series s = {.limit = RG_HOUR,
			       .patience = LIN_PATIENCE,
			       .one_thread = getenv("RINGGO_SEED") != NULL};

	if (argc < 3)
		return cmocka_run_group_tests(tests, NULL, NULL);
	s.first = number(argv[1]);
	s.count = number(argv[2]);
	if (argc > 3) {
		s.limit = (rg_duration)number(argv[3]) * RG_SECOND;
		s.patience = 3 * RG_SECOND;
	}
	lin_series_run(&s);
	return 0;
}
