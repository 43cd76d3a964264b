/* SPDX-License-Identifier: MIT */
/*
 * bench - the harness of the micro benchmarks.
 *
 * A program lists its rows and calls bench_main. A row is one scenario: it does
 * one thing n times and yields one or more figures. The harness starts the
 * runtime, runs each row in the main goroutine (a warm-up, then the
 * repetitions) and prints one JSON line a figure. benchmarks/peers/go/gobench
 * has the same rows in Go and prints the same lines.
 *
 *   I1  A row has exactly one of `timed` (the harness takes the time: unit
 *       "ns/op" divides by n, "ms" does not) and `once` (fills out[] itself).
 *   I2  When a row's function returns, all goroutines it started have ended or
 *       are about to: nothing of one repetition disturbs the next.
 *   I3  A cold row runs once in a process and is not warmed up, because
 *       first-touched memory is its subject or it takes long by its nature.
 */
#ifndef BENCHMARKS_SUPPORT_BENCH_H
#define BENCHMARKS_SUPPORT_BENCH_H

#include <ringgo.h>

#include <stddef.h>
#include <stdint.h>

#define BENCH_FIGURES 4

struct bench_figure {
	const char *name; /* what it is reported under */
	const char *unit;
};

struct bench_row {
	const char *name; /* the same as the Go twin's */
	int64_t n;        /* operations of a repetition */
	bool is_cold;
	struct bench_figure figure[BENCH_FIGURES]; /* up to a NULL name */
	void (*timed)(int64_t n);
	void (*once)(int64_t n, double *out);
};

/*
 * bench_main - parse the arguments, run the rows asked for, print the lines.
 * Options: --procs P, --n N, --reps R, --row NAME, --list. Returns main's value.
 */
int bench_main(int argc, char **argv, const struct bench_row *rows,
	       size_t n_rows);

/* bench_fail - print why and end the process with 1. Context: any. */
__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *fmt,
								...);

/* bench_go, bench_go_copy, bench_make - rg_go, rg_go_copy, rg_chan_make that
 * cannot fail: out of memory ends the benchmark. */
void bench_go(void (*fn)(void *arg), void *arg);
void bench_go_copy(void (*fn)(void *arg), const void *arg, size_t size);
rg_chan *bench_make(size_t elem_size, size_t capacity);

int64_t bench_now_ns(void);                /* CLOCK_MONOTONIC */
double bench_cpu_seconds(void);            /* user and system, whole process */
double bench_status_kib(const char *name); /* a kB line of /proc/self/status */

/* bench_sort - ascending; bench_quantile - of n sorted values. */
void bench_sort(double *v, size_t n);
double bench_quantile(const double *sorted, size_t n, double q);

#endif
