// SPDX-License-Identifier: MIT
/*
 * bench_channel - ping-pong over two unbuffered channels (an operation is one
 * round trip) and items through one channel of 128 (an operation is one item),
 * from 1 goroutine to 1 and from 4 to 4. Twin: gobench/channel.go.
 */
#include "benchmarks/support/bench.h"

/* What a goroutine works on: it owns one reference of each channel, for its peer may
 * be through with them while it is still inside its last call. */
struct ends {
	rg_chan *in, *out;
	int64_t n;
	rg_waitgroup *done;
};

static void start(void (*fn)(void *arg), struct ends e)
{
	if (e.in)
		rg_chan_ref(e.in);
	rg_chan_ref(e.out);
	bench_go_copy(fn, &e, sizeof e);
}

static void drop(struct ends *e)
{
	rg_chan_unref(e->in);
	rg_chan_unref(e->out);
}

static void echo(void *arg)
{
	struct ends *e = arg;
	int64_t v;

	while (rg_recv(e->in, &v))
		rg_send(e->out, v + 1);
	rg_chan_close(e->out);
	drop(e);
}

static void ping_pong(int64_t n)
{
	struct ends e = {.in = bench_make(sizeof(int64_t), 0),
			 .out = bench_make(sizeof(int64_t), 0)};
	int64_t v;

	start(echo, e);
	for (int64_t i = 0; i < n; i++) {
		rg_send(e.in, i);
		if (!rg_recv(e.out, &v) || v != i + 1)
			bench_fail("ping-pong: a number came back wrong");
	}
	rg_chan_close(e.in);
	while (rg_recv(e.out, &v))
		;
	drop(&e);
}

static void produce(void *arg)
{
	struct ends *e = arg;

	for (int64_t i = 0; i < e->n; i++)
		rg_send(e->out, (int64_t)1);
	rg_waitgroup_done(e->done);
	drop(e);
}

static void consume(void *arg)
{
	struct ends *e = arg;
	int64_t sum = 0, v;

	while (rg_recv(e->in, &v))
		sum += v;
	rg_send(e->out, sum);
	drop(e);
}

static void buffered(int k, int64_t n)
{
	rg_waitgroup producers = {0};
	rg_chan *c = bench_make(sizeof(int64_t), 128);
	rg_chan *sums = bench_make(sizeof(int64_t), (size_t)k);
	struct ends p = {.out = c, .n = n / k, .done = &producers};
	struct ends q = {.in = c, .out = sums};
	int64_t total = 0, sum;

	rg_waitgroup_add(&producers, k);
	for (int i = 0; i < k; i++) {
		start(produce, p);
		start(consume, q);
	}
	rg_waitgroup_wait(&producers);
	rg_chan_close(c);
	for (int i = 0; i < k; i++) {
		rg_recv(sums, &sum);
		total += sum;
	}
	if (total != n / k * k)
		bench_fail("buffered: items were lost");
	rg_chan_unref(c);
	rg_chan_unref(sums);
}

static void buffered_1x1(int64_t n)
{
	buffered(1, n);
}

static void buffered_4x4(int64_t n)
{
	buffered(4, n);
}

static const struct bench_row rows[] = {
	{.name = "chan_pingpong",
	 .n = 500000,
	 .figure = {{"chan_pingpong", "ns/op"}},
	 .timed = ping_pong},
	{.name = "chan_buf_1x1",
	 .n = 4000000,
	 .figure = {{"chan_buf_1x1", "ns/op"}},
	 .timed = buffered_1x1},
	{.name = "chan_buf_4x4",
	 .n = 4000000,
	 .figure = {{"chan_buf_4x4", "ns/op"}},
	 .timed = buffered_4x4},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
