// SPDX-License-Identifier: MIT
/*
 * bench_skynet - a tree of goroutines, ten children each, down to a million
 * leaves that report their number; every inner one reports the sum. The time of
 * the whole, and the peak of the process's resident memory. Twin:
 * gobench/skynet.go.
 */
#include "benchmarks/support/bench.h"

#define LEAVES INT64_C(1000000)

struct node {
	rg_chan *up;
	int64_t num, size;
};

static void skynet(void *arg)
{
	struct node *self = arg;
	int64_t sum = 0, v;

	if (self->size == 1) {
		rg_send(self->up, self->num);
		rg_chan_unref(self->up);
		return;
	}
	rg_chan *c = bench_make(sizeof(int64_t), 0);

	for (int64_t i = 0; i < 10; i++) {
		int64_t size = self->size / 10;
		struct node child = {rg_chan_ref(c), self->num + i * size,
				     size};

		bench_go_copy(skynet, &child, sizeof child);
	}
	for (int i = 0; i < 10; i++) {
		rg_recv(c, &v);
		sum += v;
	}
	rg_chan_unref(c);
	rg_send(self->up, sum);
	rg_chan_unref(self->up);
}

/* The tree has a million leaves by definition: n is not heeded. */
static void run_skynet(int64_t n, double *out)
{
	int64_t start = bench_now_ns();
	rg_chan *c = bench_make(sizeof(int64_t), 0);
	struct node root = {rg_chan_ref(c), 0, LEAVES};
	int64_t sum;

	(void)n;
	bench_go_copy(skynet, &root, sizeof root);
	rg_recv(c, &sum);
	rg_chan_unref(c);
	out[0] = (double)(bench_now_ns() - start) / 1e6;
	out[1] = bench_status_kib("VmHWM") / 1024;
	if (sum != LEAVES * (LEAVES - 1) / 2)
		bench_fail("skynet: the sum is wrong");
}

static const struct bench_row rows[] = {
	{.name = "skynet",
	 .n = LEAVES,
	 .figure = {{"skynet", "ms"}, {"skynet_peak", "MiB"}},
	 .once = run_skynet},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
