/* SPDX-License-Identifier: MIT */
/*
 * netfd - a descriptor shared by goroutines: references, calls in progress, one lock a
 * direction, and a close that is the last thing done with the number.
 *
 * All of it is one 64-bit word, so an uncontended call costs two compare-and-swaps:
 * one that says "I am in, and I hold the read side", one that takes it back.
 *   I1  `fd` is used only between netfd_enter (or netfd_lock) and its counterpart. No
 *       call gets in once CLOSED is set, and the number is closed only when none is
 *       in: a late call never hits the number's next owner.
 *   I2  LOCK(d) is held by at most one call; WAIT(d) is set iff waiters[d] is not
 *       empty, and both change together under `lock`. The lock is handed over in
 *       order, so writers neither interleave nor overtake.
 *   I3  once CLOSED is set a call leaves under `lock`: the closer looks at the count
 *       under it, so no leaving call touches the object after the closer went on.
 *   I4  `release` is called exactly once: when there is neither a reference nor a
 *       call in progress. A call in progress keeps the object alive.
 * Waiting for a lock heeds the bound context. It has no deadline of its own: the holder
 * is woken by the descriptor's deadline or by close and passes the lock on, and whoever
 * gets it fails in the same way at once.
 *
 * Callers: goroutines and foreign threads. `lock` is a leaf: nothing is taken under it.
 * After fdMutex in Go's internal/poll/fd_mutex.go. Rejected: two rg_mutex and a counter
 * (four atomics a call, and a mutex does not heed contexts).
 */
#ifndef RG_NET_NETFD_H
#define RG_NET_NETFD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/base/list.h"
#include "kernel-iface/base/rtlock.h"
#include "sched/fdesc.h"

struct g;

struct netfd {
	_Atomic uint64_t word; /* any thread */
	/* const after init */
	void (*release)(struct netfd *nf); /* I4; may park */
	int fd;

	/* under lock */
	struct rtlock lock;
	struct list waiters[FD_DIRS]; /* struct waiter of netfd.c */
	struct g *closer;             /* waits for the calls in progress */
};

/* netfd_init - fd now belongs to nf; one reference. */
void netfd_init(struct netfd *nf, int fd, void (*release)(struct netfd *nf));

void netfd_ref(struct netfd *nf);
void netfd_unref(struct netfd *nf); /* the last one: may park */

/* netfd_enter - nf->fd may be used until netfd_leave. 0, or -ECANCELED: closed. */
int netfd_enter(struct netfd *nf);
void netfd_leave(struct netfd *nf);

/*
 * netfd_lock - enter, and be the only one in direction dir. Parks while somebody else
 * is. 0; -ECANCELED: closed; the bound context's error.
 */
int netfd_lock(struct netfd *nf, enum fd_dir dir);
void netfd_unlock(struct netfd *nf, enum fd_dir dir);

/*
 * netfd_shut - the first half of a close: no call gets in any more, operations in
 * flight are cancelled, and all calls have left when it returns. 0: the caller is the
 * one to close the number; -ECANCELED: another one did or does. The caller holds a
 * reference. Parks; does not heed the bound context.
 */
int netfd_shut(struct netfd *nf);

/* netfd_is_shut - close has begun. May be stale at once. */
bool netfd_is_shut(const struct netfd *nf);

#endif
