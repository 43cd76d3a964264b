// SPDX-License-Identifier: MIT
/*
 * stress_linruns - test_linruns with plans that nobody has seen: their numbers come
 * from the clock. RG_LINRUNS_FIRST=n starts at n: a violation prints its number.
 */
#include "tests/support/rgtest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lincheck/linseries.h"

static uint64_t first_number(void)
{
	const char *text = getenv("RG_LINRUNS_FIRST");

	return text ? strtoull(text, NULL, 10) : (uint64_t)rg_unix_nano();
}

static void check_for(rg_duration limit, bool one_thread)
{
	struct lin_series s = {.first = first_number(),
			       .count = UINT64_MAX,
			       .limit = limit,
			       .patience = LIN_PATIENCE,
			       .one_thread = one_thread};

	printf("from plan %" PRIu64 "\n", s.first);
	lin_series_run(&s);
	T_CHECK_INT_GE(2 * s.exact, s.runs);
	T_CHECK_INT_LE(20 * s.undecided, s.runs);
}

static void linruns_of_new_plans_are_linearizable(void **state)
{
	(void)state;
	check_for(90 * RG_SECOND, getenv("RINGGO_SEED") != NULL);
}

static void linruns_of_new_plans_on_one_thread_are_linearizable(void **state)
{
	(void)state;
	check_for(30 * RG_SECOND, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(linruns_of_new_plans_are_linearizable),
		cmocka_unit_test(
			linruns_of_new_plans_on_one_thread_are_linearizable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
