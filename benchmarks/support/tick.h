/* SPDX-License-Identifier: MIT */
/*
 * tick - the lateness of a goroutine that sleeps 1 ms again and again, kept and
 * summed up, for the fairness rows.
 *
 *   I1  Each sleep counts, the first and the last too: where a hog keeps everybody
 *       out until it ends, the one sleep says how long that was.
 */
#ifndef BENCHMARKS_SUPPORT_TICK_H
#define BENCHMARKS_SUPPORT_TICK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tick_log {
	double *late; /* ms */
	size_t n, cap;
};

/* tick_log_init - room for a ticker that goes on for ms. */
void tick_log_init(struct tick_log *log, int64_t ms);

/* tick_until - sleep 1 ms again and again until *stop. Context: goroutine. */
void tick_until(struct tick_log *log, const _Atomic bool *stop);

/* tick_log_figures - median, 99 of 100 and the most to out[0..2], in ms. Frees. */
void tick_log_figures(struct tick_log *log, double *out);

#endif
