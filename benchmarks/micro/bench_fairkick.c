// SPDX-License-Identifier: MIT
/*
 * bench_fairkick - how long a completion waits that belongs to a thread which
 * computes, while another P is idle: a goroutine starts to read a pipe, the next
 * one on the same thread computes for 10 ms, and after 3 of these a plain thread
 * writes the time into the pipe. The delay is until the reader runs.
 * n: how many times. Twin: gobench/fairkick.go.
 *
 *   I1  A try in which the reader came to run on another thread than the hog says
 *       nothing; it is done again, at most TRIES times in a row.
 */
#include "benchmarks/support/bench.h"
#include "benchmarks/support/hog.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITE_MS = 3, HOG_MS = 10, TRIES = 1000 };

struct kick {
	int pipe[2];
	pid_t reader_tid;
	double late; /* ms */
	rg_waitgroup done;
	sem_t go;
	bool is_hogged, is_over; /* before go is posted */
	_Atomic bool stop;
};

static void reader(void *arg)
{
	struct kick *k = arg;
	int64_t written;
	ssize_t n;

	k->reader_tid = gettid();
	n = rg_read(k->pipe[0], &written, sizeof written);
	k->late = (double)(bench_now_ns() - written) / 1e6;
	if (n != sizeof written)
		bench_fail("rg_read: %zd", n);
	rg_waitgroup_done(&k->done);
}

static void *writer(void *arg)
{
	struct kick *k = arg;

	for (;;) {
		int64_t now;

		while (sem_wait(&k->go))
			;
		if (k->is_over)
			return NULL;
		if (k->is_hogged)
			hog_nap(WRITE_MS * RG_MILLISECOND);
		now = bench_now_ns();
		if (write(k->pipe[1], &now, sizeof now) != sizeof now)
			bench_fail("write: %s", strerror(errno));
		if (k->is_hogged)
			hog_nap((HOG_MS - WRITE_MS) * RG_MILLISECOND);
		/* Relaxed: nothing but the flag is passed on. */
		atomic_store_explicit(&k->stop, true, memory_order_relaxed);
	}
}

/* try_once - whether k->late is a figure (I1). */
static bool try_once(struct kick *k, enum hog_kind kind)
{
	rg_waitgroup_add(&k->done, 1);
	bench_go(reader, k);
	rg_yield();
	atomic_store_explicit(&k->stop, false, memory_order_relaxed);
	k->is_hogged = k->reader_tid == gettid();
	sem_post(&k->go);
	if (k->is_hogged)
		hog_run(kind, &k->stop);
	rg_waitgroup_wait(&k->done);
	while (!atomic_load_explicit(&k->stop, memory_order_relaxed))
		rg_yield();
	return k->is_hogged;
}

static void kick(int64_t n, enum hog_kind kind, double *out)
{
	double *late = calloc((size_t)n, sizeof *late);
	struct kick k = {0};
	pthread_t thread;

	if (!late)
		bench_fail("calloc: out of memory");
	if (pipe(k.pipe))
		bench_fail("pipe: %s", strerror(errno));
	sem_init(&k.go, 0, 0);
	if (pthread_create(&thread, NULL, writer, &k))
		bench_fail("pthread_create: no thread");
	for (int64_t i = 0; i < n; i++) {
		int tries = 0;

		while (!try_once(&k, kind))
			if (++tries == TRIES)
				bench_fail("the reader never ran beside us");
		late[i] = k.late;
	}
	k.is_over = true;
	sem_post(&k.go);
	pthread_join(thread, NULL);
	sem_destroy(&k.go);
	close(k.pipe[0]);
	close(k.pipe[1]);
	bench_sort(late, (size_t)n);
	out[0] = bench_quantile(late, (size_t)n, 0.5);
	out[1] = bench_quantile(late, (size_t)n, 0.99);
	out[2] = late[n - 1];
	free(late);
}

static void kick_loop(int64_t n, double *out)
{
	kick(n, HOG_LOOP, out);
}

static void kick_malloc(int64_t n, double *out)
{
	kick(n, HOG_MALLOC, out);
}

#define ROW(suffix, fn)                                                        \
	{                                                                      \
		.name = "fair_kick_" suffix, .n = 200, .is_cold = true,        \
		.figure = {{"fair_kick_" suffix "_p50", "ms"},                 \
			   {"fair_kick_" suffix "_p99", "ms"},                 \
			   {"fair_kick_" suffix "_max", "ms"}},                \
		.once = fn,                                                    \
	}

static const struct bench_row rows[] = {
	ROW("loop", kick_loop),
	ROW("malloc", kick_malloc),
};

int main(int argc, char **argv)
{
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
