/* SPDX-License-Identifier: MIT */
/*
 * asymbar - one side's memory barrier that spares the other side its own.
 *
 * Of two threads that each store one word and then load the other's, at least one has
 * to see the other's store. With a full barrier between store and load on both sides
 * it does. Here the frequent side has asymbar_light, which only holds the compiler;
 * the rare side has asymbar_heavy, which makes every running thread of the process
 * pass a full barrier (membarrier(2), private expedited: an interrupt to each CPU that
 * runs one of them; a thread that does not run has passed one when it stopped).
 *   I1  around a heavy call, all that a thread did before its barrier is visible to
 *       the caller afterwards, and all that it does after it sees what the caller did
 *       before.
 */
#ifndef RGK_ASYMBAR_H
#define RGK_ASYMBAR_H

#include <stdatomic.h>
#include <stdbool.h>

/* asymbar_init - false: the kernel refuses, asymbar_heavy must not be used. */
bool asymbar_init(void);

static inline void asymbar_light(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

/* asymbar_heavy - false: it was refused, nothing is ordered. Microseconds. */
bool asymbar_heavy(void);

#endif
