// SPDX-License-Identifier: MIT
/*
 * bench_chain - n goroutines linked by unbuffered channels; one number runs
 * through and each adds 1. Time of building and running it, warm. Twin:
 * gobench/chain.go.
 */
#include "benchmarks/support/bench.h"

struct link {
	rg_chan *left, *right;
};

static void link_up(void *arg)
{
	struct link *l = arg;
	int64_t v;

	rg_recv(l->right, &v);
	rg_chan_unref(l->right);
	rg_send(l->left, v + 1);
	rg_chan_unref(l->left);
}

static void chain(int64_t n)
{
	rg_chan *first = bench_make(sizeof(int64_t), 0);
	rg_chan *left = rg_chan_ref(first);
	int64_t v;

	for (int64_t i = 0; i < n; i++) {
		struct link l = {left, bench_make(sizeof(int64_t), 0)};

		/* The link owns its left end and one reference of its right
		 * end; the other one goes to its neighbour. */
		left = rg_chan_ref(l.right);
		bench_go_copy(link_up, &l, sizeof l);
	}
	rg_send(left, (int64_t)0);
	rg_chan_unref(left);
	rg_recv(first, &v);
	rg_chan_unref(first);
	if (v != n)
		bench_fail("chain: the number is wrong");
}

static const struct bench_row rows[] = {
	{.name = "chain",
	 .n = 10000,
	 .figure = {{"chain", "ms"}},
	 .timed = chain},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
