// SPDX-License-Identifier: MIT
/*
 * bench_fairticker - how late a goroutine wakes up that sleeps 1 ms again and again,
 * beside as many goroutines that compute as there are Ps (support/hog.h: a loop
 * without a call, malloc and free, a comparison under qsort), and beside none.
 * n: milliseconds that it goes on. Twin: gobench/fairticker.go.
 */
#include "benchmarks/support/bench.h"
#include "benchmarks/support/hog.h"
#include "benchmarks/support/tick.h"

static void ticker(int64_t ms, enum hog_kind kind, double *out)
{
	struct hog_alarm alarm;
	struct hog_herd hogs;
	struct tick_log log;

	tick_log_init(&log, ms);
	hog_alarm_set(&alarm, ms * RG_MILLISECOND);
	hog_herd_start(&hogs, rg_gomaxprocs(0), kind, &alarm.stop);
	tick_until(&log, &alarm.stop);
	hog_herd_wait(&hogs);
	hog_alarm_wait(&alarm);
	tick_log_figures(&log, out);
}

static void none(int64_t n, double *out)
{
	ticker(n, HOG_NONE, out);
}

static void loop(int64_t n, double *out)
{
	ticker(n, HOG_LOOP, out);
}

static void in_malloc(int64_t n, double *out)
{
	ticker(n, HOG_MALLOC, out);
}

static void in_qsort(int64_t n, double *out)
{
	ticker(n, HOG_QSORT, out);
}

#define ROW(suffix, fn)                                                        \
	{                                                                      \
		.name = "fair_" suffix, .n = 3000, .is_cold = true,            \
		.figure = {{"fair_" suffix "_p50", "ms"},                      \
			   {"fair_" suffix "_p99", "ms"},                      \
			   {"fair_" suffix "_max", "ms"}},                     \
		.once = fn,                                                    \
	}

static const struct bench_row rows[] = {
	ROW("none", none),
	ROW("loop", loop),
	ROW("malloc", in_malloc),
	ROW("qsort", in_qsort),
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
