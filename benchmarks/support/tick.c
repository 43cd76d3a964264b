// SPDX-License-Identifier: MIT
/* tick - see tick.h for the role and the invariant. */
#include "benchmarks/support/tick.h"

#include <stdlib.h>

#include "benchmarks/support/bench.h"

void tick_log_init(struct tick_log *log, int64_t ms)
{
	/* No more than one a millisecond, and some to spare. */
	log->cap = (size_t)ms + 1000;
	log->n = 0;
	log->late = calloc(log->cap, sizeof *log->late);
	if (!log->late)
		bench_fail("calloc: out of memory");
}

void tick_until(struct tick_log *log, const _Atomic bool *stop)
{
	/* Relaxed: nothing but the flag is passed on. */
	while (!atomic_load_explicit(stop, memory_order_relaxed)) {
		int64_t start = bench_now_ns();
		int err = rg_sleep(RG_MILLISECOND);

		if (err)
			bench_fail("rg_sleep: %s", rg_strerror(err));
		if (log->n == log->cap)
			bench_fail("the ticker ticks too fast");
		log->late[log->n++] =
			(double)(bench_now_ns() - start - RG_MILLISECOND) / 1e6;
	}
}

void tick_log_figures(struct tick_log *log, double *out)
{
	if (!log->n)
		bench_fail("the ticker never ticked");
	bench_sort(log->late, log->n);
	out[0] = bench_quantile(log->late, log->n, 0.5);
	out[1] = bench_quantile(log->late, log->n, 0.99);
	out[2] = log->late[log->n - 1];
	free(log->late);
}
