/* SPDX-License-Identifier: MIT */
/*
 * hog - goroutines that compute and never call the runtime, for the fairness rows.
 *
 *   I1  A hog enters nothing of libringgo: it ends when a plain thread has set a
 *       flag that it reads between its rounds. So it ends on time even where
 *       nothing takes the processor away from it.
 *   I2  Rounds of equal kinds are equal work: they can be counted and compared.
 * The twin in Go is benchmarks/peers/go/hog.
 */
#ifndef BENCHMARKS_SUPPORT_HOG_H
#define BENCHMARKS_SUPPORT_HOG_H

#include <ringgo.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum hog_kind {
	HOG_NONE,
	HOG_LOOP,   /* arithmetic, no call at all */
	HOG_MALLOC, /* malloc and free */
	HOG_QSORT,  /* a comparison called by qsort */
};

/* hog_kind_of - "none", "loop", "malloc", "qsort"; -1: none of these. */
int hog_kind_of(const char *name);

/* hog_run - compute until *stop; how many rounds (0.1 to 1 ms each). Any thread. */
int64_t hog_run(enum hog_kind kind, const _Atomic bool *stop);

/* A flag that a thread of its own sets after some time. */
struct hog_alarm {
	_Atomic bool stop;
	int64_t after_ns;
	pthread_t thread;
};

/* hog_alarm_set - stop becomes true after_ns from now. hog_alarm_wait - it has, and
 * the thread has ended; blocks the calling thread until then. */
void hog_alarm_set(struct hog_alarm *a, int64_t after_ns);
void hog_alarm_wait(struct hog_alarm *a);

/* hog_nap - nanosleep(2) of the thread for all of ns, whatever signals come. */
void hog_nap(int64_t ns);

/* Goroutines that hog until *stop. */
struct hog_herd {
	enum hog_kind kind;
	const _Atomic bool *stop;
	rg_waitgroup done;
	_Atomic int64_t rounds; /* of all, once done */
};

/* hog_herd_start - n of them (none for HOG_NONE). hog_herd_wait - until they ended.
 * Context: goroutine. */
void hog_herd_start(struct hog_herd *h, int n, enum hog_kind kind,
		    const _Atomic bool *stop);
void hog_herd_wait(struct hog_herd *h);

#endif
