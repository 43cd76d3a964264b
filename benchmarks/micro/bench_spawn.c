// SPDX-License-Identifier: MIT
/*
 * bench_spawn - what a goroutine costs that starts and ends.
 *
 * spawn_one waits for each before it starts the next; spawn_stream starts one
 * after the other and waits once, at the end; spawn_batch waits after every
 * thousand. Twin: gobench/spawn.go.
 */
#include "benchmarks/support/bench.h"

static void finish(void *arg)
{
	rg_waitgroup_done(arg);
}

static void spawn_one(int64_t n)
{
	rg_waitgroup done = {0};

	for (int64_t i = 0; i < n; i++) {
		rg_waitgroup_add(&done, 1);
		bench_go(finish, &done);
		rg_waitgroup_wait(&done);
	}
}

static void spawn_stream(int64_t n)
{
	rg_waitgroup done = {0};

	rg_waitgroup_add(&done, (int)n);
	for (int64_t i = 0; i < n; i++)
		bench_go(finish, &done);
	rg_waitgroup_wait(&done);
}

static void spawn_batch(int64_t n)
{
	rg_waitgroup done = {0};

	for (int64_t i = 0; i < n; i += 1000) {
		rg_waitgroup_add(&done, 1000);
		for (int j = 0; j < 1000; j++)
			bench_go(finish, &done);
		rg_waitgroup_wait(&done);
	}
}

static const struct bench_row rows[] = {
	{.name = "spawn_one",
	 .n = 500000,
	 .figure = {{"spawn_one", "ns/op"}},
	 .timed = spawn_one},
	{.name = "spawn_stream",
	 .n = 300000,
	 .figure = {{"spawn_stream", "ns/op"}},
	 .timed = spawn_stream},
	{.name = "spawn_batch",
	 .n = 1000000,
	 .figure = {{"spawn_batch", "ns/op"}},
	 .timed = spawn_batch},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
