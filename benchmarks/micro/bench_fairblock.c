// SPDX-License-Identifier: MIT
/*
 * bench_fairblock - how late a goroutine wakes up that sleeps 1 ms again and again,
 * beside as many goroutines as there are Ps that block their threads all the time,
 * 20 ms at a time: in read(2) of a pipe, in nanosleep(2), in a condition of the
 * C library. A plain thread feeds the pipes and signals the condition.
 * n: milliseconds that it goes on. Twin: gobench/fairblock.go.
 */
#include "benchmarks/support/bench.h"
#include "benchmarks/support/hog.h"
#include "benchmarks/support/tick.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_MS = 20 };

struct block {
	void (*wait)(struct block *b);
	const _Atomic bool *stop;
	int pipe[2];
	pthread_mutex_t lock;
	pthread_cond_t cond;
	uint64_t signals; /* under lock */
	int n;
	rg_waitgroup done;
};

static void in_read(struct block *b)
{
	char c;
	ssize_t got;

	/* errno right after the call: nothing in between parks. */
	do
		got = read(b->pipe[0], &c, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		bench_fail("read: %zd", got);
}

static void in_nanosleep(struct block *b)
{
	(void)b;
	hog_nap(BLOCK_MS * RG_MILLISECOND);
}

static void in_cond(struct block *b)
{
	uint64_t seen;

	pthread_mutex_lock(&b->lock);
	for (seen = b->signals; seen == b->signals;)
		pthread_cond_wait(&b->cond, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

static bool is_over(const struct block *b)
{
	return atomic_load_explicit(b->stop, memory_order_relaxed);
}

static void blocker(void *arg)
{
	struct block *b = arg;

	while (!is_over(b))
		b->wait(b);
	rg_waitgroup_done(&b->done);
}

/* A byte for each blocker and one signal every BLOCK_MS, and once more at the end,
 * so that nobody is left waiting. */
static void *feed(void *arg)
{
	struct block *b = arg;
	bool last;

	do {
		hog_nap(BLOCK_MS * RG_MILLISECOND);
		last = is_over(b);
		pthread_mutex_lock(&b->lock);
		b->signals++;
		pthread_cond_broadcast(&b->cond);
		pthread_mutex_unlock(&b->lock);
		for (int i = 0; b->wait == in_read && i < b->n; i++)
			if (write(b->pipe[1], "", 1) != 1)
				bench_fail("write: %s", strerror(errno));
	} while (!last);
	return NULL;
}

static void ticker(int64_t ms, void (*wait)(struct block *b), double *out)
{
	struct hog_alarm alarm;
	struct block b = {.wait = wait, .stop = &alarm.stop};
	struct tick_log log;
	pthread_t feeder;

	pthread_mutex_init(&b.lock, NULL);
	pthread_cond_init(&b.cond, NULL);
	if (pipe(b.pipe))
		bench_fail("pipe: %s", strerror(errno));
	tick_log_init(&log, ms);
	hog_alarm_set(&alarm, ms * RG_MILLISECOND);
	b.n = rg_gomaxprocs(0);
	if (pthread_create(&feeder, NULL, feed, &b))
		bench_fail("pthread_create: no thread");
	rg_waitgroup_add(&b.done, b.n);
	for (int i = 0; i < b.n; i++)
		bench_go(blocker, &b);
	tick_until(&log, &alarm.stop);
	rg_waitgroup_wait(&b.done);
	pthread_join(feeder, NULL);
	hog_alarm_wait(&alarm);
	close(b.pipe[0]);
	close(b.pipe[1]);
	pthread_cond_destroy(&b.cond);
	pthread_mutex_destroy(&b.lock);
	tick_log_figures(&log, out);
}

static void fair_read(int64_t n, double *out)
{
	ticker(n, in_read, out);
}

static void fair_nanosleep(int64_t n, double *out)
{
	ticker(n, in_nanosleep, out);
}

static void fair_cond(int64_t n, double *out)
{
	ticker(n, in_cond, out);
}

#define ROW(suffix)                                                            \
	{                                                                      \
		.name = "fair_" #suffix, .n = 2000, .is_cold = true,           \
		.figure = {{"fair_" #suffix "_p50", "ms"},                     \
			   {"fair_" #suffix "_p99", "ms"},                     \
			   {"fair_" #suffix "_max", "ms"}},                    \
		.once = fair_##suffix,                                         \
	}

static const struct bench_row rows[] = {
	ROW(read),
	ROW(nanosleep),
	ROW(cond),
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
