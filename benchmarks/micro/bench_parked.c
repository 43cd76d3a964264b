// SPDX-License-Identifier: MIT
/*
 * bench_parked - a million goroutines that wait on one channel: bytes each, all
 * told (resident memory and page tables), the time to start them and the time to
 * wake them all by closing the channel. Twin: gobench/parked.go.
 */
#include "benchmarks/support/bench.h"

struct crowd {
	rg_waitgroup started, done;
	rg_chan *gate;
};

static void wait_at_gate(void *arg)
{
	struct crowd *c = arg;

	rg_waitgroup_done(&c->started);
	rg_chan_recv(c->gate, NULL);
	rg_waitgroup_done(&c->done);
}

static double resident_kib(void)
{
	return bench_status_kib("VmRSS") + bench_status_kib("VmPTE");
}

static void parked(int64_t n, double *out)
{
	struct crowd c = {.gate = bench_make(0, 0)};
	double before;
	int64_t start;

	rg_waitgroup_add(&c.started, (int)n);
	rg_waitgroup_add(&c.done, (int)n);
	before = resident_kib();
	start = bench_now_ns();
	for (int64_t i = 0; i < n; i++)
		bench_go(wait_at_gate, &c);
	rg_waitgroup_wait(&c.started);
	out[1] = (double)(bench_now_ns() - start) / 1e6;
	out[0] = (resident_kib() - before) * 1024 / (double)n;
	start = bench_now_ns();
	rg_chan_close(c.gate);
	rg_waitgroup_wait(&c.done);
	out[2] = (double)(bench_now_ns() - start) / 1e6;
	rg_chan_unref(c.gate);
}

static const struct bench_row rows[] = {
	{.name = "parked",
	 .n = 1000000,
	 .is_cold = true,
	 .figure = {{"parked", "B"},
		    {"parked_create", "ms"},
		    {"parked_wake", "ms"}},
	 .once = parked},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
