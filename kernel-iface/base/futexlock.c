// SPDX-License-Identifier: MIT
/*
 * futexlock - where threads sleep; fast paths and invariants are in futexlock.h.
 */
#include "kernel-iface/base/futexlock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Returns 0, or -ETIMEDOUT. That the word had changed, or a signal came, ends the
 * sleep like a wake-up; a kernel that knows no futex (-ENOSYS) makes it polling.
 */
static int sleep_while(_Atomic uint32_t *word, uint32_t value,
		       int64_t deadline_ns)
{
	const struct timespec ts = {deadline_ns / 1000000000,
				    deadline_ns % 1000000000};
	int saved = errno, err = 0;

	san_signals();
	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
		    deadline_ns == INT64_MAX ? NULL : &ts, NULL,
		    FUTEX_BITSET_MATCH_ANY) < 0 &&
	    errno == ETIMEDOUT)
		err = -ETIMEDOUT;
	san_signals();
	errno = saved;
	return err;
}

static void wake(_Atomic uint32_t *word, int n)
{
	int saved = errno;

	/* May fail with EFAULT when the word's memory is gone: then who held the
	 * lock next has freed it, and nobody waits. */
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
	errno = saved;
}

RG_COLD void futexlock_lock_slow(struct futexlock *l)
{
	/* Who once waited leaves the mark: others may be asleep still.
	 * Acquire, pairs with F2. */
	while (atomic_exchange_explicit(&l->state, FUTEXLOCK_WAITED_FOR,
					memory_order_acquire) != FUTEXLOCK_FREE)
		sleep_while(&l->state, FUTEXLOCK_WAITED_FOR, INT64_MAX);
	san_acquire(l);
}

RG_COLD void futexlock_wake_slow(struct futexlock *l)
{
	wake(&l->state, 1);
}

int futexcond_wait(struct futexcond *c, struct futexlock *l,
		   int64_t deadline_ns)
{
	/* Relaxed: broadcasts of what l guards come after a lock of l by another,
	 * so after the unlock below; the kernel compares the word again. */
	uint32_t turn = atomic_load_explicit(&c->turn, memory_order_relaxed);
	int err;

	futexlock_unlock(l);
	err = sleep_while(&c->turn, turn, deadline_ns < 0 ? 0 : deadline_ns);
	futexlock_lock(l);
	return err;
}

void futexcond_broadcast(struct futexcond *c)
{
	/* Relaxed: what was changed is under the lock; the word only ends sleeps. */
	atomic_fetch_add_explicit(&c->turn, 1, memory_order_relaxed);
	wake(&c->turn, INT_MAX);
}
