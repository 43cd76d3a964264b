// SPDX-License-Identifier: MIT
/*
 * stress_linruns - test_linruns with plans that nobody has seen: their numbers come
 * from the clock. RG_LINRUNS_FIRST=n starts at n: a violation prints its number.
 * RG_LINRUNS_SECONDS (120) is for both tests together.
 */
#include "tests/support/rgtest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lincheck/linseries.h"

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* n quarters of the time. */
static rg_duration quarters(int n)
{
	return (rg_duration)number("RG_LINRUNS_SECONDS", 120) * RG_SECOND * n /
	       4;
}

static void check_for(rg_duration limit, bool one_thread)
{
	struct lin_series s = {
		.first = number("RG_LINRUNS_FIRST", (uint64_t)rg_unix_nano()),
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
	check_for(quarters(3), getenv("RINGGO_SEED") != NULL);
}

static void linruns_of_new_plans_on_one_thread_are_linearizable(void **state)
{
	(void)state;
	check_for(quarters(1), true);
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
