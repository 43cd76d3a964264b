// SPDX-License-Identifier: MIT
/*
 * seed_linruns - the plans of tests/lincheck under seeds: a plan and its order of
 * goroutines each have the same number, and the history is checked.
 */
#include "tests/lincheck/linseries.h"
#include "tests/stress/seedrun.h"

static void plan_is_linearizable(uint64_t seed)
{
	struct lin_series s = {.first = seed,
			       .count = 1,
			       .limit = RG_HOUR,
			       .patience = LIN_PATIENCE,
			       .one_thread = true,
			       .is_quiet = true};

	lin_series_run(&s);
	T_CHECK_INT_EQ(s.runs, 1);
}

int main(int argc, char **argv)
{
	static const struct seed_case cases[] = {
		{.name = "plan", .raw = plan_is_linearizable},
	};

	return seedrun_main(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}
