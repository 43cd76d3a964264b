/* SPDX-License-Identifier: MIT */
/*
 * reclaim - memory given back to the kernel, range by range, in batches.
 *
 *   I1  what was given back reads as zero afterwards; guards stay.
 *   I2  a batch that is flushed is gone, whether or not the kernel took all of it.
 * One process_madvise(MADV_DONTNEED) of 64 ranges shoots the TLBs of the other CPUs
 * down once instead of 64 times: 0.6 us a range, not 11 (Zen 5, Linux 6.18, a thread
 * running on the other core; 2026-10). It may be done to oneself since 6.13, and needs
 * no descriptor for that since 6.14; elsewhere each range is a call of its own.
 */
#ifndef RGK_RECLAIM_H
#define RGK_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum { RECLAIM_MAX = 64 };

struct reclaim {
	unsigned n;
	struct iovec range[RECLAIM_MAX];
};

/* reclaim_add - the whole pages within [lo, hi); nothing if there are none. The batch
 * has room (n < RECLAIM_MAX). */
void reclaim_add(struct reclaim *r, char *lo, char *hi);

/*
 * reclaim_flush - give the ranges back, empty the batch. How many bytes were given, or
 * a negative errno of the first range that was refused (-EINVAL: locked memory);
 * others of the batch may have been given then. Any thread; no lock.
 */
int64_t reclaim_flush(struct reclaim *r);

/* reclaim_is_batched - whether a batch is one call here. */
bool reclaim_is_batched(void);

#endif
