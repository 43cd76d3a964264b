// SPDX-License-Identifier: MIT
/*
 * bench_shrink - what is left of stacks that were used once: n goroutines each touch
 * 40 KiB of stack and wait. Bytes each right then (resident memory and page tables),
 * when it has stopped to become less, and when they have ended and the same has
 * happened again; and the seconds that the first of these took.
 */
#include "benchmarks/support/bench.h"

#include <string.h>

enum { FRAME = 2048, FRAMES = 19 };

struct crowd {
	rg_waitgroup started, done;
	rg_chan *gate;
};

static __attribute__((noinline)) int go_deep(int frames)
{
	char bytes[FRAME];

	memset(bytes, frames, sizeof bytes);
	__asm__ volatile("" : : "r"(bytes) : "memory");
	return frames ? go_deep(frames - 1) + bytes[0] : 0;
}

static void deep_then_wait(void *arg)
{
	struct crowd *c = arg;

	go_deep(FRAMES);
	rg_waitgroup_done(&c->started);
	rg_chan_recv(c->gate, NULL);
	rg_waitgroup_done(&c->done);
}

static double resident_kib(void)
{
	return bench_status_kib("VmRSS") + bench_status_kib("VmPTE");
}

/* Until less than 1 % went for 6 s. Seconds until the last of it. */
static double settle(void)
{
	int64_t start = bench_now_ns(), last = start;
	double least = resident_kib();

	while (bench_now_ns() - last < 6 * RG_SECOND) {
		double now;

		rg_sleep(100 * RG_MILLISECOND);
		now = resident_kib();
		if (now < least * 0.99) {
			least = now;
			last = bench_now_ns();
		}
	}
	return (double)(last - start) / 1e9;
}

static void shrink(int64_t n, double *out)
{
	struct crowd c = {.gate = bench_make(0, 0)};
	double before = resident_kib();

	rg_waitgroup_add(&c.started, (int)n);
	rg_waitgroup_add(&c.done, (int)n);
	for (int64_t i = 0; i < n; i++)
		bench_go(deep_then_wait, &c);
	rg_waitgroup_wait(&c.started);
	out[0] = (resident_kib() - before) * 1024 / (double)n;
	out[3] = settle();
	out[1] = (resident_kib() - before) * 1024 / (double)n;
	rg_chan_close(c.gate);
	rg_waitgroup_wait(&c.done);
	rg_chan_unref(c.gate);
	settle();
	out[2] = (resident_kib() - before) * 1024 / (double)n;
}

static const struct bench_row rows[] = {
	{.name = "shrink",
	 .n = 100000,
	 .is_cold = true,
	 .figure = {{"shrink_used", "B"},
		    {"shrink_parked", "B"},
		    {"shrink_ended", "B"},
		    {"shrink_time", "s"}},
	 .once = shrink},
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
