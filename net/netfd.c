// SPDX-License-Identifier: MIT
/*
 * netfd - a descriptor shared by goroutines; see the header.
 *
 * The word: CLOSED, LOCK and WAIT of each direction, then 28 bits of references and 28
 * bits of calls in progress. Memory order: a call that leaves releases what it did to
 * the object, whoever takes the lock next, closes or frees acquires it (N1, N2).
 */
#include "net/netfd.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>

#include "kernel-iface/base/check.h"
#include "sched/cancel.h"
#include "sched/park.h"

#define CLOSED     UINT64_C(1)
#define LOCK(dir)  (UINT64_C(2) << (dir))
#define WAIT(dir)  (UINT64_C(8) << (dir))
#define REF        (UINT64_C(1) << 8)
#define CALL       (UINT64_C(1) << 36)
#define COUNT_MASK ((UINT64_C(1) << 28) - 1)

static_assert(FD_DIRS == 2, "two bits each for LOCK and WAIT");

/* One call that waits for LOCK(dir), on its own stack. */
struct waiter {
	struct list link;
	struct g *gp;
};

static inline uint64_t refs_of(uint64_t word)
{
	return word / REF & COUNT_MASK;
}

static inline uint64_t calls_of(uint64_t word)
{
	return word / CALL & COUNT_MASK;
}

static inline uint64_t word_of(const struct netfd *nf)
{
	/* Relaxed: a first guess for a compare-and-swap, or read under nf->lock. */
	return atomic_load_explicit(&nf->word, memory_order_relaxed);
}

static inline bool swap_word(struct netfd *nf, uint64_t *old, uint64_t to)
{
	/* N1 acquire and release, pairs with itself and with N2: who gets in after
	 * somebody left sees what that one did. */
	bool done = atomic_compare_exchange_weak_explicit(
		&nf->word, old, to, memory_order_acq_rel, memory_order_relaxed);

	if (done) {
		san_acquire(nf);
		san_release(nf);
	}
	return done;
}

void netfd_init(struct netfd *nf, int fd, void (*release)(struct netfd *nf))
{
	*nf = (struct netfd){.release = release, .fd = fd};
	/* Relaxed: nobody else knows the object yet. */
	atomic_store_explicit(&nf->word, REF, memory_order_relaxed);
}

void netfd_ref(struct netfd *nf)
{
	/* Relaxed: the caller's own reference keeps the object alive. */
	uint64_t old =
		atomic_fetch_add_explicit(&nf->word, REF, memory_order_relaxed);

	RG_ASSERT(refs_of(old) > 0 && refs_of(old) < COUNT_MASK);
}

void netfd_unref(struct netfd *nf)
{
	uint64_t old;

	san_release(nf);
	/* N2 acquire and release, pairs with N1: the last one sees all that was
	 * done to the object. */
	old = atomic_fetch_sub_explicit(&nf->word, REF, memory_order_acq_rel);
	RG_ASSERT(refs_of(old) > 0);
	if (refs_of(old) == 1 && calls_of(old) == 0) {
		san_acquire(nf);
		nf->release(nf);
	}
}

bool netfd_is_shut(const struct netfd *nf)
{
	return word_of(nf) & CLOSED;
}

/* ---- getting in and out ------------------------------------------------- */

int netfd_enter(struct netfd *nf)
{
	uint64_t w = word_of(nf);

	do {
		if (w & CLOSED)
			return -ECANCELED;
	} while (!swap_word(nf, &w, w + CALL));
	return 0;
}

/*
 * Leave with nf->lock held, which is released: clear `bits`, then ready `next`, which
 * has the lock of a direction now, and the closer when this was the last call (I3).
 */
RG_COLD static void leave_locked(struct netfd *nf, uint64_t bits,
				 struct g *next)
{
	struct g *closer = NULL;
	uint64_t w = word_of(nf), to;

	do {
		to = (w & ~bits) - CALL;
	} while (!swap_word(nf, &w, to));
	if (calls_of(to) == 0) {
		closer = nf->closer;
		nf->closer = NULL;
	}
	rtlock_unlock(&nf->lock);
	if (next)
		sched_ready(next);
	if (closer)
		sched_ready(closer);
	/* A closer has a reference: then this is false, and nf may be gone. */
	if (refs_of(to) == 0 && calls_of(to) == 0)
		nf->release(nf);
}

void netfd_leave(struct netfd *nf)
{
	uint64_t w = word_of(nf), to;

	do {
		if (rg_unlikely(w & CLOSED)) {
			rtlock_lock(&nf->lock);
			leave_locked(nf, 0, NULL);
			return;
		}
		to = w - CALL;
	} while (!swap_word(nf, &w, to));
	if (refs_of(to) == 0 && calls_of(to) == 0)
		nf->release(nf);
}

/* ---- the lock of a direction -------------------------------------------- */

/* Under nf->lock. 0: got the lock; -EAGAIN: WAIT is set, queue up; -ECANCELED. */
static int take_or_announce(struct netfd *nf, enum fd_dir dir)
{
	uint64_t w = word_of(nf);

	for (;;) {
		if (w & CLOSED)
			return -ECANCELED;
		if (!(w & LOCK(dir))) {
			if (swap_word(nf, &w, w | LOCK(dir)))
				return 0;
		} else if (w & WAIT(dir) || swap_word(nf, &w, w | WAIT(dir))) {
			return -EAGAIN;
		}
	}
}

/* Queued and parked, nf->lock held; it is released. WAKE_EVENT: LOCK(dir) is ours. */
static enum wake_state wait_for_lock(struct netfd *nf, enum fd_dir dir,
				     struct g *gp)
{
	struct waiter self = {.gp = gp};
	enum wake_state how;

	wake_begin(gp);
	list_push_back(&nf->waiters[dir], &self.link);
	how = sched_park_until(park_commit_unlock, &nf->lock, RG_FOREVER, true,
			       WAIT_IO, nf);
	if (how == WAKE_EVENT)
		return how;
	rtlock_lock(&nf->lock);
	if (list_is_linked(&self.link)) {
		list_del(&self.link);
		/* Relaxed: only repeats what the list, under the lock, says. */
		if (list_is_empty(&nf->waiters[dir]))
			atomic_fetch_and_explicit(&nf->word, ~WAIT(dir),
						  memory_order_relaxed);
	}
	rtlock_unlock(&nf->lock);
	return how;
}

RG_COLD static int lock_slow(struct netfd *nf, enum fd_dir dir)
{
	struct g *gp = getg();
	int err = gp ? netfd_enter(nf) : -ENOMEM;

	if (err)
		return err;
	rtlock_lock(&nf->lock);
	err = take_or_announce(nf, dir);
	if (err != -EAGAIN) {
		rtlock_unlock(&nf->lock);
	} else if (wait_for_lock(nf, dir, gp) != WAKE_EVENT) {
		err = cancel_token_err(gp->token);
	} else if (!netfd_is_shut(nf)) {
		err = 0;
	} else {
		netfd_unlock(nf, dir);
		return -ECANCELED;
	}
	if (err)
		netfd_leave(nf);
	return err;
}

int netfd_lock(struct netfd *nf, enum fd_dir dir)
{
	uint64_t w = word_of(nf);

	do {
		if (rg_unlikely(w & CLOSED))
			return -ECANCELED;
		if (rg_unlikely(w & LOCK(dir)))
			return lock_slow(nf, dir);
	} while (!swap_word(nf, &w, (w | LOCK(dir)) + CALL));
	return 0;
}

RG_COLD static void unlock_slow(struct netfd *nf, enum fd_dir dir)
{
	struct g *next = NULL;
	uint64_t bits = 0;

	rtlock_lock(&nf->lock);
	list_for_each_safe(it, after, &nf->waiters[dir]) {
		struct waiter *w = container_of(it, struct waiter, link);

		list_del(it);
		/* One whose context ended is not told: it only finds itself
		 * unlinked. */
		if (wake_claim(w->gp, WAKE_EVENT)) {
			next = w->gp;
			break;
		}
	}
	if (!next)
		bits |= LOCK(dir);
	if (list_is_empty(&nf->waiters[dir]))
		bits |= WAIT(dir);
	leave_locked(nf, bits, next);
}

void netfd_unlock(struct netfd *nf, enum fd_dir dir)
{
	uint64_t w = word_of(nf), to;

	do {
		if (rg_unlikely(w & (CLOSED | WAIT(dir)))) {
			unlock_slow(nf, dir);
			return;
		}
		to = (w & ~LOCK(dir)) - CALL;
	} while (!swap_word(nf, &w, to));
	if (rg_unlikely(refs_of(to) == 0 && calls_of(to) == 0))
		nf->release(nf);
}

/* ---- the end ------------------------------------------------------------ */

int netfd_shut(struct netfd *nf)
{
	/* N1, as in swap_word. */
	uint64_t old = atomic_fetch_or_explicit(&nf->word, CLOSED,
						memory_order_acq_rel);
	int err;

	if (old & CLOSED)
		return -ECANCELED;
	if (calls_of(old) == 0) {
		san_acquire(nf);
		return 0;
	}
	err = fdesc_shutdown(nf->fd);
	rtlock_lock(&nf->lock);
	while (calls_of(word_of(nf)) > 0) {
		nf->closer = getg();
		if (nf->closer) {
			sched_park_unlock(&nf->lock, WAIT_CLOSE, nf);
		} else {
			/* A foreign thread, no memory to park it. */
			rtlock_unlock(&nf->lock);
			sched_yield();
		}
		rtlock_lock(&nf->lock);
	}
	rtlock_unlock(&nf->lock);
	/* -ENOMEM: it has no entry, so nothing was in flight. -ECANCELED: the
	 * program closes our number behind our back, and the entry is its. */
	if (!err)
		fdesc_reopen(nf->fd);
	san_acquire(nf);
	return 0;
}
