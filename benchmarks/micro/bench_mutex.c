// SPDX-License-Identifier: MIT
/*
 * bench_mutex - lock and unlock: by one goroutine alone, by 1,000 goroutines at
 * once, and by 100 that yield while they hold it. An operation is one lock with
 * its unlock. Twin: gobench/mutex.go.
 */
#include "benchmarks/support/bench.h"

struct shared {
	rg_mutex mutex;
	int64_t counter;
	int64_t n;
	bool yields;
	rg_waitgroup done;
};

static void mutex_free(int64_t n)
{
	rg_mutex m = {0};

	for (int64_t i = 0; i < n; i++) {
		rg_mutex_lock(&m);
		rg_mutex_unlock(&m);
	}
}

static void contend(void *arg)
{
	struct shared *s = arg;

	for (int64_t i = 0; i < s->n; i++) {
		rg_mutex_lock(&s->mutex);
		s->counter++;
		if (s->yields)
			rg_yield();
		rg_mutex_unlock(&s->mutex);
	}
	rg_waitgroup_done(&s->done);
}

static void mutex_among(int k, int64_t n, bool yields)
{
	struct shared s = {.n = n / k, .yields = yields};

	rg_waitgroup_add(&s.done, k);
	for (int i = 0; i < k; i++)
		bench_go(contend, &s);
	rg_waitgroup_wait(&s.done);
	if (s.counter != n / k * k)
		bench_fail("mutex: increments were lost");
}

static void mutex_contended(int64_t n)
{
	mutex_among(1000, n, false);
}

static void mutex_yield(int64_t n)
{
	mutex_among(100, n, true);
}

static const struct bench_row rows[] = {
	{.name = "mutex_free",
	 .n = 10000000,
	 .figure = {{"mutex_free", "ns/op"}},
	 .timed = mutex_free},
	{.name = "mutex_contended",
	 .n = 1000000,
	 .figure = {{"mutex_contended", "ns/op"}},
	 .timed = mutex_contended},
	{.name = "mutex_yield",
	 .n = 300000,
	 .figure = {{"mutex_yield", "ns/op"}},
	 .timed = mutex_yield},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
