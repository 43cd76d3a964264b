// SPDX-License-Identifier: MIT
/* hog - see hog.h for the role and the invariants. */
#include "benchmarks/support/hog.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "benchmarks/support/bench.h"

enum { STEPS = 100000, BLOCKS = 2000, KEYS = 1024 };

int hog_kind_of(const char *name)
{
	static const char *const names[] = {"none", "loop", "malloc", "qsort"};

	for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

/* An odd constant's multiples: cheap, and no compiler sees through it. */
static uint64_t next(uint64_t x)
{
	return x * 6364136223846793005u + 1442695040888963407u;
}

static uint64_t round_loop(uint64_t x)
{
	for (int i = 0; i < STEPS; i++)
		x = next(x);
	return x;
}

static uint64_t round_malloc(uint64_t x)
{
	for (int i = 0; i < BLOCKS; i++) {
		char *volatile p;

		x = next(x);
		p = malloc(16 + (x >> 33) % 1000);
		if (!p)
			bench_fail("malloc: out of memory");
		*p = (char)x;
		free(p);
	}
	return x;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static uint64_t round_qsort(uint64_t x)
{
	uint32_t v[KEYS];

	for (int i = 0; i < KEYS; i++) {
		x = next(x);
		v[i] = (uint32_t)(x >> 32);
	}
	qsort(v, KEYS, sizeof *v, compare);
	return x ^ v[KEYS / 2];
}

int64_t hog_run(enum hog_kind kind, const _Atomic bool *stop)
{
	static uint64_t (*const fn[])(uint64_t x) = {
		[HOG_LOOP] = round_loop,
		[HOG_MALLOC] = round_malloc,
		[HOG_QSORT] = round_qsort,
	};
	uint64_t x = 1;
	int64_t rounds = 0;

	/* Relaxed: nothing but the flag is passed on. */
	while (!atomic_load_explicit(stop, memory_order_relaxed)) {
		x = fn[kind](x);
		rounds++;
	}
	__asm__ volatile("" : : "r"(x));
	return rounds;
}

void hog_nap(int64_t ns)
{
	struct timespec t = {.tv_sec = ns / RG_SECOND,
			     .tv_nsec = ns % RG_SECOND};

	/* EINTR leaves what remains in t. */
	while (nanosleep(&t, &t))
		;
}

static void *sleep_and_stop(void *arg)
{
	struct hog_alarm *a = arg;

	hog_nap(a->after_ns);
	/* Relaxed: nothing but the flag is passed on. */
	atomic_store_explicit(&a->stop, true, memory_order_relaxed);
	return NULL;
}

void hog_alarm_set(struct hog_alarm *a, int64_t after_ns)
{
	atomic_store_explicit(&a->stop, false, memory_order_relaxed);
	a->after_ns = after_ns;
	if (pthread_create(&a->thread, NULL, sleep_and_stop, a))
		bench_fail("pthread_create: no thread");
}

void hog_alarm_wait(struct hog_alarm *a)
{
	pthread_join(a->thread, NULL);
}

static void hog(void *arg)
{
	struct hog_herd *h = arg;
	int64_t rounds = hog_run(h->kind, h->stop);

	/* Relaxed: read after the wait group. */
	atomic_fetch_add_explicit(&h->rounds, rounds, memory_order_relaxed);
	rg_waitgroup_done(&h->done);
}

void hog_herd_start(struct hog_herd *h, int n, enum hog_kind kind,
		    const _Atomic bool *stop)
{
	*h = (struct hog_herd){.kind = kind, .stop = stop};
	if (kind == HOG_NONE)
		return;
	rg_waitgroup_add(&h->done, n);
	for (int i = 0; i < n; i++)
		bench_go(hog, h);
}

void hog_herd_wait(struct hog_herd *h)
{
	rg_waitgroup_wait(&h->done);
}
