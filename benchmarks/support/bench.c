// SPDX-License-Identifier: MIT
/*
 * bench - the harness of the micro benchmarks; bench.h says how it is used.
 *
 * The figures are kept until the runtime has stopped and printed then, so that
 * stdio never runs beside a measurement. Time is taken by clock_gettime and not
 * by rg_now: a clock must not depend on what it measures.
 */
#include "benchmarks/support/bench.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAX_REPS 101

struct options {
	int procs;
	int reps;
	int64_t n; /* 0: the row's own */
	const char *row;
};

struct job {
	const struct bench_row *row;
	int reps;
	int64_t n;
	double sample[BENCH_FIGURES][MAX_REPS];
};

void bench_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("bench: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	/* Not exit(3): other goroutines may be running on other threads. */
	_exit(1);
}

void bench_go(void (*fn)(void *arg), void *arg)
{
	int err = rg_go(fn, arg);

	if (err)
		bench_fail("rg_go: %s", rg_strerror(err));
}

void bench_go_copy(void (*fn)(void *arg), const void *arg, size_t size)
{
	int err = rg_go_copy(fn, arg, size);

	if (err)
		bench_fail("rg_go_copy: %s", rg_strerror(err));
}

rg_chan *bench_make(size_t elem_size, size_t capacity)
{
	rg_chan *c = rg_chan_make(elem_size, capacity);

	if (!c)
		bench_fail("rg_chan_make: out of memory");
	return c;
}

int64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * RG_SECOND + t.tv_nsec;
}

double bench_cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

double bench_status_kib(const char *name)
{
	char line[256];
	size_t len = strlen(name);
	double kib = -1;
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		bench_fail("/proc/self/status cannot be opened");
	while (kib < 0 && fgets(line, sizeof line, f)) {
		if (!strncmp(line, name, len) && line[len] == ':')
			kib = strtod(line + len + 1, NULL);
	}
	fclose(f);
	if (kib < 0)
		bench_fail("/proc/self/status has no %s", name);
	return kib;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_sort(double *v, size_t n)
{
	qsort(v, n, sizeof *v, compare);
}

double bench_quantile(const double *sorted, size_t n, double q)
{
	return sorted[(size_t)(q * (double)(n - 1))];
}

/* run_once - one repetition; the figures go to out. */
static void run_once(const struct bench_row *row, int64_t n, double *out)
{
	int64_t start;

	if (row->once) {
		row->once(n, out);
		return;
	}
	start = bench_now_ns();
	row->timed(n);
	out[0] = (double)(bench_now_ns() - start);
	out[0] /= strcmp(row->figure[0].unit, "ms") ? (double)n : 1e6;
}

/* warm_up - a tenth of the operations; where the time of the whole is the figure, n
 * is the size of the scenario and it is run once as it is. */
static int64_t warm_up(const struct job *job)
{
	if (!strcmp(job->row->figure[0].unit, "ms"))
		return job->n;
	return job->n / 10 + 1;
}

static int run_job(void *arg)
{
	struct job *job = arg;
	double out[BENCH_FIGURES] = {0};

	if (!job->row->is_cold)
		run_once(job->row, warm_up(job), out);
	for (int i = 0; i < job->reps; i++) {
		run_once(job->row, job->n, out);
		for (size_t f = 0; f < BENCH_FIGURES; f++)
			job->sample[f][i] = out[f];
	}
	return 0;
}

static void print_job(struct job *job, int procs)
{
	size_t reps = (size_t)job->reps;

	for (size_t f = 0; f < BENCH_FIGURES; f++) {
		const struct bench_figure *fig = &job->row->figure[f];
		double *v = job->sample[f];

		if (!fig->name)
			break;
		bench_sort(v, reps);
		printf("{\"bench\":\"%s\",\"impl\":\"ringgo\",\"procs\":%d,"
		       "\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,"
		       "\"max\":%.6g,\"reps\":%d,\"n\":%lld}\n",
		       fig->name, procs, fig->unit,
		       (v[(reps - 1) / 2] + v[reps / 2]) / 2, v[0], v[reps - 1],
		       job->reps, (long long)job->n);
	}
	fflush(stdout);
}

/* run_row - one row in a runtime of its own. Returns 0, or why it could not. */
static int run_row(const struct bench_row *row, const struct options *o)
{
	static struct job job;
	rg_config config = {.maxprocs = o->procs};
	int err;

	job.row = row;
	job.reps = row->is_cold ? 1 : o->reps;
	job.n = o->n ? o->n : row->n;
	err = rg_run(&config, run_job, &job);
	if (!err)
		print_job(&job, o->procs);
	return err;
}

static int64_t number(const char *text, int64_t max)
{
	char *end;
	long long v = strtoll(text, &end, 10);

	if (*end || end == text || v < 1 || v > max)
		bench_fail("%s: not a number of 1 to %lld", text,
			   (long long)max);
	return v;
}

static void list_rows(const struct bench_row *rows, size_t n_rows)
{
	for (size_t i = 0; i < n_rows; i++)
		puts(rows[i].name);
}

static void parse(int argc, char **argv, struct options *o, bool *list)
{
	static const struct option known[] = {
		{"procs", required_argument, NULL, 'p'},
		{"reps", required_argument, NULL, 'r'},
		{"n", required_argument, NULL, 'n'},
		{"row", required_argument, NULL, 'o'},
		{"list", no_argument, NULL, 'l'},
		{0},
	};
	int c;

	while ((c = getopt_long_only(argc, argv, "", known, NULL)) != -1) {
		if (c == 'p')
			o->procs = (int)number(optarg, 1024);
		else if (c == 'r')
			o->reps = (int)number(optarg, MAX_REPS);
		else if (c == 'n')
			o->n = number(optarg, INT64_C(1) << 40);
		else if (c == 'o')
			o->row = optarg;
		else if (c == 'l')
			*list = true;
		else
			_exit(2);
	}
	if (optind != argc)
		bench_fail("%s: unexpected argument", argv[optind]);
}

int bench_main(int argc, char **argv, const struct bench_row *rows,
	       size_t n_rows)
{
	struct options o = {.procs = 1, .reps = 3};
	bool list = false;
	bool found = false;

	parse(argc, argv, &o, &list);
	if (list) {
		list_rows(rows, n_rows);
		return 0;
	}
	for (size_t i = 0; i < n_rows; i++) {
		if (o.row && strcmp(o.row, rows[i].name) != 0)
			continue;
		found = true;
		if (run_row(&rows[i], &o))
			return 1;
	}
	if (!found)
		bench_fail("no row named %s", o.row);
	return 0;
}
