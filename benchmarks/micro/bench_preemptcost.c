// SPDX-License-Identifier: MIT
/*
 * bench_preemptcost - what preemption costs who computes: twice as many hogs as Ps, with
 * preemption and without it (RINGGO_DEBUG=asyncpreemptoff=1), in turns. Figures: by
 * how many per cent the rounds for a second of CPU time of the whole process are
 * fewer with it; how many more switches a second there are. Without preemption half
 * of the hogs compute from start to end and the others never; the work is the same.
 */
#include "benchmarks/support/bench.h"
#include "benchmarks/support/hog.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROCS = 2, TURNS = 11, TURN_MS = 300 };

struct turn {
	double rounds;   /* a second of CPU time */
	double switches; /* a second */
};

static int64_t switches(void)
{
	rg_stats s;

	if (rg_stats_read(&s, sizeof s))
		bench_fail("rg_stats_read");
	return s.switches;
}

static int one_turn(void *arg)
{
	struct turn *t = arg;
	struct hog_alarm alarm;
	struct hog_herd hogs;
	int64_t before = switches();
	int64_t start = bench_now_ns();
	double cpu = bench_cpu_seconds();
	double seconds;

	hog_alarm_set(&alarm, TURN_MS * RG_MILLISECOND);
	hog_herd_start(&hogs, 2 * PROCS, HOG_LOOP, &alarm.stop);
	hog_herd_wait(&hogs);
	seconds = (double)(bench_now_ns() - start) / 1e9;
	t->rounds = (double)atomic_load_explicit(&hogs.rounds,
						 memory_order_relaxed) /
		    (bench_cpu_seconds() - cpu);
	t->switches = (double)(switches() - before) / seconds;
	hog_alarm_wait(&alarm);
	return 0;
}

static struct turn run(const char *debug)
{
	rg_config config = {.maxprocs = PROCS};
	struct turn t;

	if (setenv("RINGGO_DEBUG", debug, 1))
		bench_fail("setenv: out of memory");
	if (rg_run(&config, one_turn, &t))
		bench_fail("rg_run");
	return t;
}

static void report(const char *name, const char *unit, double *v)
{
	bench_sort(v, TURNS);
	printf("{\"bench\":\"%s\",\"impl\":\"ringgo\",\"procs\":%d,"
	       "\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,\"max\":%.6g,"
	       "\"reps\":%d,\"n\":%d}\n",
	       name, PROCS, unit, v[TURNS / 2], v[0], v[TURNS - 1], TURNS,
	       TURN_MS);
}

int main(void)
{
	double cost[TURNS], rate[TURNS];

	for (int i = 0; i < TURNS; i++) {
		struct turn on = run("");
		struct turn off = run("asyncpreemptoff=1");

		cost[i] = 100 * (off.rounds - on.rounds) / off.rounds;
		rate[i] = on.switches - off.switches;
	}
	report("preempt_cost", "%", cost);
	report("preempt_rate", "1/s", rate);
	return 0;
}
