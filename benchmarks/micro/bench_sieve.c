// SPDX-License-Identifier: MIT
/*
 * bench_sieve - the first 1,000 primes by a pipeline of one filter a prime over
 * unbuffered channels. The generator stops at the 1,000th prime and the closing
 * runs down the pipeline: no goroutine is left over. Twin: gobench/sieve.go.
 */
#include "benchmarks/support/bench.h"

#define LAST_PRIME 7919

struct filter {
	rg_chan *in, *out;
	int64_t prime;
};

static void generate(void *arg)
{
	rg_chan *out = arg;

	for (int64_t v = 2; v <= LAST_PRIME; v++)
		rg_send(out, v);
	rg_chan_close(out);
	rg_chan_unref(out);
}

static void filter(void *arg)
{
	struct filter *f = arg;
	int64_t v;

	while (rg_recv(f->in, &v)) {
		if (v % f->prime)
			rg_send(f->out, v);
	}
	rg_chan_unref(f->in);
	rg_chan_close(f->out);
	rg_chan_unref(f->out);
}

static void sieve(int64_t n)
{
	rg_chan *c = bench_make(sizeof(int64_t), 0);
	int64_t prime;
	int primes = 0;

	(void)n;
	bench_go(generate, rg_chan_ref(c));
	while (rg_recv(c, &prime)) {
		rg_chan *out = bench_make(sizeof(int64_t), 0);
		struct filter f = {c, rg_chan_ref(out), prime};

		primes++;
		bench_go_copy(filter, &f, sizeof f);
		c = out;
	}
	rg_chan_unref(c);
	if (primes != 1000)
		bench_fail("sieve: %d primes", primes);
}

static const struct bench_row rows[] = {
	{.name = "sieve",
	 .n = 1000,
	 .figure = {{"sieve", "ms"}},
	 .timed = sieve},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
