/* SPDX-License-Identifier: MIT */
/*
 * linseries - carry out and check one plan after the other.
 */
#ifndef RG_TESTS_LINSERIES_H
#define RG_TESTS_LINSERIES_H

#include <ringgo.h>

#include <stddef.h>

struct lin_series {
	uint64_t first, count; /* the plans' numbers */
	rg_duration limit;     /* no new run after that */
	rg_duration patience;  /* linrun.h */
	bool one_thread;       /* goroutines on one M, no other thread */
	bool is_quiet;         /* print nothing but violations */
	/* results */
	size_t runs, ops;
	size_t exact, undecided; /* of those small enough to be searched */
};

/* Others may have the machine for seconds: patience is cheap where it is not used. */
#define LIN_PATIENCE (30 * RG_SECOND)

/*
 * lin_series_run - until `count` are done or `limit` is over; prints a line with the
 * results. A run or a history that is not as it should be: prints "violation: kind:
 * ...", the number and the history, and aborts. Context: no runtime runs.
 */
void lin_series_run(struct lin_series *s);

#endif
