// SPDX-License-Identifier: MIT
/* reclaim - see reclaim.h for the role and the invariants. */
#include "kernel-iface/reclaim.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"

/* PIDFD_SELF_THREAD_GROUP of Linux 6.14. */
enum { RGK_PIDFD_SELF = -10001 };

/* Not known to be missing. */
static _Atomic bool is_batched = true;

void reclaim_add(struct reclaim *r, char *lo, char *hi)
{
	uintptr_t page = (uintptr_t)getpagesize();
	uintptr_t from = ((uintptr_t)lo + page - 1) & ~(page - 1);
	uintptr_t to = (uintptr_t)hi & ~(page - 1);

	RG_ASSERT(r->n < RECLAIM_MAX);
	if (from >= to)
		return;
	r->range[r->n].iov_base = (char *)from;
	r->range[r->n++].iov_len = to - from;
}

bool reclaim_is_batched(void)
{
	/* Relaxed: whoever sees the old value finds out for itself. */
	return atomic_load_explicit(&is_batched, memory_order_relaxed);
}

/* How many bytes, from the first range on, were given back by one call; 0 and less:
 * none. */
static int64_t flush_batch(const struct reclaim *r)
{
	long n = syscall(SYS_process_madvise, RGK_PIDFD_SELF, r->range, r->n,
			 MADV_DONTNEED, 0);

	if (n >= 0)
		return n;
	/* EBADF, ESRCH: no such name for oneself; EINVAL: an older kernel, or
	 * locked memory in the first range; EPERM, ENOSYS: forbidden, missing. */
	if (errno != EAGAIN && errno != EINTR && errno != ENOMEM)
		atomic_store_explicit(&is_batched, false, memory_order_relaxed);
	return -errno;
}

static int64_t flush_singly(const struct reclaim *r, unsigned first)
{
	int64_t bytes = 0;

	for (unsigned i = first; i < r->n; i++) {
		const struct iovec *v = &r->range[i];

		if (madvise(v->iov_base, v->iov_len, MADV_DONTNEED))
			return -errno;
		bytes += (int64_t)v->iov_len;
	}
	return bytes;
}

int64_t reclaim_flush(struct reclaim *r)
{
	int64_t batch = 0, single;
	int64_t covered = 0;
	unsigned first = 0;

	if (r->n && reclaim_is_batched())
		batch = flush_batch(r);
	/* Whole ranges that the call has dealt with; DONTNEED twice on the one
	 * it stopped in does no harm. */
	while (first < r->n &&
	       covered + (int64_t)r->range[first].iov_len <= batch)
		covered += (int64_t)r->range[first++].iov_len;
	single = flush_singly(r, first);
	r->n = 0;
	return single < 0 ? single : covered + single;
}
