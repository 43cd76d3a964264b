// SPDX-License-Identifier: MIT
/*
 * bench_switch - what a switch costs: goroutines that do nothing but yield.
 * An operation is one yield of one goroutine. Twin: gobench/switch.go.
 */
#include "benchmarks/support/bench.h"

struct yielder {
	rg_waitgroup *done;
	int64_t n;
};

static void yielder(void *arg)
{
	struct yielder *y = arg;

	for (int64_t i = 0; i < y->n; i++)
		rg_yield();
	rg_waitgroup_done(y->done);
}

static void yield_among(int k, int64_t n)
{
	rg_waitgroup done = {0};
	struct yielder y = {&done, n / k};

	rg_waitgroup_add(&done, k);
	for (int i = 0; i < k; i++)
		bench_go_copy(yielder, &y, sizeof y);
	rg_waitgroup_wait(&done);
}

static void yield_2(int64_t n)
{
	yield_among(2, n);
}

static void yield_1000(int64_t n)
{
	yield_among(1000, n);
}

static const struct bench_row rows[] = {
	{.name = "yield_2",
	 .n = 2000000,
	 .figure = {{"yield_2", "ns/op"}},
	 .timed = yield_2},
	{.name = "yield_1000",
	 .n = 2000000,
	 .figure = {{"yield_1000", "ns/op"}},
	 .timed = yield_1000},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
