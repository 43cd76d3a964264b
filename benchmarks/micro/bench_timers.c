// SPDX-License-Identifier: MIT
/*
 * bench_timers - how late a goroutine wakes up that sleeps 1 ms again and again
 * with nothing else running; what creating and stopping a timer costs among a
 * million; and a million goroutines that sleep once each, 1 to 1000 ms: CPU
 * seconds and lateness. Twin: gobench/timers.go.
 */
#include "benchmarks/support/bench.h"

#include <stdlib.h>

static void *zeroed(int64_t n, size_t size)
{
	void *p = calloc((size_t)n, size);

	if (!p)
		bench_fail("calloc: out of memory");
	return p;
}

static void sleep_1ms(int64_t n, double *out)
{
	double *late = zeroed(n, sizeof *late);

	for (int64_t i = 0; i < n; i++) {
		int64_t start = bench_now_ns();

		rg_sleep(RG_MILLISECOND);
		late[i] =
			(double)(bench_now_ns() - start - RG_MILLISECOND) / 1e3;
	}
	bench_sort(late, (size_t)n);
	out[0] = bench_quantile(late, (size_t)n, 0.5);
	out[1] = bench_quantile(late, (size_t)n, 0.99);
	out[2] = late[n - 1];
	free(late);
}

static void timers(int64_t n, double *out)
{
	rg_timer **t = zeroed(n, sizeof(rg_timer *));
	int64_t start = bench_now_ns();

	for (int64_t i = 0; i < n; i++) {
		rg_duration spread = i * 7919 % 1000003;

		t[i] = rg_timer_new(RG_HOUR + spread * RG_MICROSECOND);
		if (!t[i])
			bench_fail("rg_timer_new: out of memory");
	}
	out[0] = (double)(bench_now_ns() - start) / (double)n;
	start = bench_now_ns();
	for (int64_t i = 0; i < n; i++) {
		if (!rg_timer_stop(t[i]))
			bench_fail("timers: a timer was not active");
	}
	out[1] = (double)(bench_now_ns() - start) / (double)n;
	for (int64_t i = 0; i < n; i++)
		rg_timer_free(t[i]);
	free(t);
}

struct sleeper {
	double *late;
	rg_waitgroup *done;
	int64_t i;
};

static void sleeper(void *arg)
{
	struct sleeper *s = arg;
	rg_duration d = (1 + s->i % 1000) * RG_MILLISECOND;
	int64_t start = bench_now_ns();

	rg_sleep(d);
	s->late[s->i] = (double)(bench_now_ns() - start - d) / 1e6;
	rg_waitgroup_done(s->done);
}

static void sleepers(int64_t n, double *out)
{
	rg_waitgroup done = {0};
	struct sleeper s = {zeroed(n, sizeof *s.late), &done, 0};
	double cpu = bench_cpu_seconds();

	rg_waitgroup_add(&done, (int)n);
	for (; s.i < n; s.i++)
		bench_go_copy(sleeper, &s, sizeof s);
	rg_waitgroup_wait(&done);
	out[0] = bench_cpu_seconds() - cpu;
	bench_sort(s.late, (size_t)n);
	out[1] = bench_quantile(s.late, (size_t)n, 0.5);
	out[2] = bench_quantile(s.late, (size_t)n, 0.99);
	free(s.late);
}

static const struct bench_row rows[] = {
	{.name = "sleep_1ms",
	 .n = 1000,
	 .is_cold = true,
	 .figure = {{"sleep_1ms_p50", "us"},
		    {"sleep_1ms_p99", "us"},
		    {"sleep_1ms_max", "us"}},
	 .once = sleep_1ms},
	{.name = "timers",
	 .n = 1000000,
	 .figure = {{"timer_create", "ns/op"}, {"timer_stop", "ns/op"}},
	 .once = timers},
	{.name = "sleepers",
	 .n = 1000000,
	 .is_cold = true,
	 .figure = {{"sleepers_cpu", "s"},
		    {"sleepers_p50", "ms"},
		    {"sleepers_p99", "ms"}},
	 .once = sleepers},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
