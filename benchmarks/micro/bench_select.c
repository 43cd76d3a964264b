// SPDX-License-Identifier: MIT
/*
 * bench_select - a select of 4 receives.
 *
 * select_block: unbuffered channels that one producer serves in turn. An
 * operation is one item. select_ready: channels of capacity 1, all full; the item
 * is put back, so an operation is one select and one send.
 * Twin: gobench/select.go.
 */
#include "benchmarks/support/bench.h"

struct producer {
	rg_chan *c[4];
	int64_t n;
};

static void produce(void *arg)
{
	struct producer *p = arg;

	for (int64_t i = 0; i < p->n; i++)
		rg_send(p->c[i % 4], (int64_t)1);
}

static void make_channels(rg_chan **c, size_t capacity)
{
	for (int i = 0; i < 4; i++)
		c[i] = bench_make(sizeof(int64_t), capacity);
}

static void drop_channels(rg_chan **c)
{
	for (int i = 0; i < 4; i++)
		rg_chan_unref(c[i]);
}

/* The producer's last send ends inside our last receive, so it may still look at
 * the channel when we are through: it holds references of its own. */
static void produce_and_drop(void *arg)
{
	struct producer *p = arg;

	produce(p);
	drop_channels(p->c);
}

static void select_block(int64_t n)
{
	struct producer p = {.n = n};
	int64_t sum = 0, v = 0;

	make_channels(p.c, 0);
	rg_case cases[4] = {RG_RECV(p.c[0], &v), RG_RECV(p.c[1], &v),
			    RG_RECV(p.c[2], &v), RG_RECV(p.c[3], &v)};
	for (int i = 0; i < 4; i++)
		rg_chan_ref(p.c[i]);
	bench_go_copy(produce_and_drop, &p, sizeof p);
	for (int64_t i = 0; i < n; i++) {
		rg_select(cases, 4);
		sum += v;
	}
	if (sum != n)
		bench_fail("select: items were lost");
	drop_channels(p.c);
}

static void select_ready(int64_t n)
{
	rg_chan *c[4];
	int64_t v = 1;

	make_channels(c, 1);
	rg_case cases[4] = {RG_RECV(c[0], &v), RG_RECV(c[1], &v),
			    RG_RECV(c[2], &v), RG_RECV(c[3], &v)};
	for (int i = 0; i < 4; i++)
		rg_send(c[i], v);
	for (int64_t i = 0; i < n; i++)
		rg_send(c[rg_select(cases, 4)], v);
	drop_channels(c);
}

static const struct bench_row rows[] = {
	{.name = "select_block",
	 .n = 500000,
	 .figure = {{"select_block", "ns/op"}},
	 .timed = select_block},
	{.name = "select_ready",
	 .n = 1000000,
	 .figure = {{"select_ready", "ns/op"}},
	 .timed = select_ready},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
