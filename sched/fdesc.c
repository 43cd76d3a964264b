// SPDX-License-Identifier: MIT
/*
 * fdesc - see fdesc.h for the role and the invariants.
 *
 * The table has two levels; a chunk is made at first use of a number in it and stays.
 */
#include "sched/fdesc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/op_file.h"
#include "sched/bubble.h"
#include "sched/netpoll.h"
#include "sched/opwait.h"
#include "sched/seed.h"

enum { CHUNK = 256, CHUNKS = 32768 }; /* up to 8,388,608 descriptors */

static struct fdesc *_Atomic table[CHUNKS];

static RG_NOINLINE struct fdesc *make_chunk(unsigned i)
{
	struct fdesc *chunk = rgk_zalloc(CHUNK * sizeof *chunk);
	struct fdesc *none = NULL;

	if (!chunk)
		return NULL;
	san_release(table);
	/* T1 release, pairs with T2; acquire for the winner's. */
	if (atomic_compare_exchange_strong_explicit(&table[i], &none, chunk,
						    memory_order_acq_rel,
						    memory_order_acquire))
		return chunk;
	rgk_free(chunk);
	return none;
}

bool fdesc_is_valid(int fd)
{
	return fd >= 0 && (unsigned)fd / CHUNK < CHUNKS;
}

struct fdesc *fdesc_get(int fd)
{
	unsigned i = (unsigned)fd / CHUNK;
	struct fdesc *chunk;

	if (fd < 0 || i >= CHUNKS)
		return NULL;
	/* T2 acquire, pairs with T1. */
	chunk = atomic_load_explicit(&table[i], memory_order_acquire);
	if (rg_unlikely(!chunk))
		chunk = make_chunk(i);
	return chunk ? &chunk[(unsigned)fd % CHUNK] : NULL;
}

void fdesc_reset_all(void)
{
	san_acquire(table);
	for (unsigned i = 0; i < CHUNKS; i++) {
		struct fdesc *chunk =
			atomic_load_explicit(&table[i], memory_order_relaxed);

		atomic_store_explicit(&table[i], NULL, memory_order_relaxed);
		rgk_free(chunk);
	}
}

static void cancel_inflight(struct fdesc *f, enum fd_dir dir, int err)
{
	list_for_each(it, &f->inflight[dir]) {
		netpoll_cancel(container_of(it, struct wait_op, fd_link), err);
	}
}

static void timer_fired(struct timer *t, void *arg, rg_time now);

/* Arm the timer for the earliest deadline, unless it fires before. Locked. 0 or
 * -ENOMEM. */
static int arm_locked(struct fdesc *f)
{
	rg_time first = 0;

	for (int d = 0; d < FD_DIRS; d++)
		if (f->deadline[d] && !f->expired[d] &&
		    (!first || f->deadline[d] < first))
			first = f->deadline[d];
	if (!first || first == RG_FOREVER)
		return 0;
	if (f->timer_at) {
		if (f->timer_at <= first)
			return 0;
		/* An earlier deadline than ever asked for: rare. The callback
		 * takes our lock, so it must not be waited for: it finds
		 * timer_at changed and does nothing. */
		if (!timer_try_stop(&f->timer)) {
			f->timer_at = first;
			return 0; /* it is firing now and will re-arm */
		}
		f->timer_at = 0;
	}
	if (timer_start_real(&f->timer, first, timer_fired, f))
		return -ENOMEM;
	f->timer_at = first;
	return 0;
}

/* ---- calls in place: I4, I5 ---- */

static void set_gate(struct fdesc *f, uint32_t bits)
{
	/* G1 acq_rel, pairs with G2, G3: a call that came before is counted, and one
	 * that left before is over; a later one sees the bits. */
	atomic_fetch_or_explicit(&f->gate, bits, memory_order_acq_rel);
}

static void clear_gate(struct fdesc *f, uint32_t bits)
{
	/* G4 release, pairs with G2: the number is as new for who enters then. */
	atomic_fetch_and_explicit(&f->gate, ~bits, memory_order_release);
}

int fdesc_enter(struct fdesc *f)
{
	uint32_t old = atomic_load_explicit(&f->gate, memory_order_relaxed);

	do {
		if (old & (FDESC_SHUT | FDESC_LATE | FDESC_NEVER))
			return -EAGAIN;
		/* G2 acquire, pairs with G4. Relaxed: another look. */
	} while (!atomic_compare_exchange_weak_explicit(&f->gate, &old, old + 1,
							memory_order_acquire,
							memory_order_relaxed));
	return (int)(old & FDESC_IN_PLACE);
}

static RG_NOINLINE void tell_closer(struct fdesc *f)
{
	struct g *closer;

	rtlock_lock(&f->lock);
	closer = fdesc_take_closer_locked(f);
	rtlock_unlock(&f->lock);
	if (closer)
		sched_ready(closer);
}

void fdesc_leave(struct fdesc *f)
{
	/* G3 release, pairs with G1 and with the look of fdesc_take_closer_locked:
	 * the call is over. */
	uint32_t old =
		atomic_fetch_sub_explicit(&f->gate, 1, memory_order_release);

	if (rg_unlikely((old & (FDESC_USERS | FDESC_SHUT)) == (FDESC_SHUT | 1)))
		tell_closer(f);
}

void fdesc_note(struct fdesc *f, uint32_t what)
{
	/* Relaxed: a guess. */
	atomic_fetch_or_explicit(&f->gate, what, memory_order_relaxed);
}

void fdesc_forget(int fd)
{
	struct fdesc *f = fdesc_get(fd);

	if (f)
		clear_gate(f, FDESC_IN_PLACE | FDESC_NEVER);
}

/* ---- deadlines ---- */

static void expire_locked(struct fdesc *f, rg_time now)
{
	for (int d = 0; d < FD_DIRS; d++) {
		if (!f->deadline[d] || f->deadline[d] > now || f->expired[d])
			continue;
		f->expired[d] = true;
		if (d == FD_READ)
			set_gate(f, FDESC_LATE);
		cancel_inflight(f, (enum fd_dir)d, -ETIMEDOUT);
	}
}

static void timer_fired(struct timer *t, void *arg, rg_time now)
{
	struct fdesc *f = arg;

	(void)t;
	rtlock_lock(&f->lock);
	f->timer_at = 0;
	expire_locked(f, now);
	/* No memory: waiting on would be for ever. */
	if (arm_locked(f))
		for (int d = 0; d < FD_DIRS; d++)
			if (f->deadline[d] && !f->expired[d])
				cancel_inflight(f, (enum fd_dir)d, -ENOMEM);
	rtlock_unlock(&f->lock);
}

int fdesc_set_deadline(int fd, unsigned dirs, rg_time t)
{
	struct fdesc *f = fdesc_get(fd);
	int err = 0;

	if (!f)
		return fdesc_is_valid(fd) ? -ENOMEM : -EBADF;
	t = bubble_real_time(t);
	rtlock_lock(&f->lock);
	if (f->state == FDESC_CLOSING) {
		rtlock_unlock(&f->lock);
		return -ECANCELED;
	}
	for (int d = 0; d < FD_DIRS; d++) {
		if (!(dirs & 1u << d))
			continue;
		f->deadline[d] = t;
		f->expired[d] = false;
	}
	if (t) {
		expire_locked(f, sched_now());
		err = arm_locked(f);
	}
	/* Not before: from one that passed to another that has there is no gap. */
	if (!f->expired[FD_READ])
		clear_gate(f, FDESC_LATE);
	rtlock_unlock(&f->lock);
	return err;
}

static bool is_idle(const struct fdesc *f)
{
	return list_is_empty(&f->inflight[FD_READ]) &&
	       list_is_empty(&f->inflight[FD_WRITE]) &&
	       /* Acquire, pairs with G3. */
	       !(atomic_load_explicit(&f->gate, memory_order_acquire) &
		 FDESC_USERS);
}

struct g *fdesc_take_closer_locked(struct fdesc *f)
{
	struct g *closer = f->closer;

	if (rg_likely(!closer) || !is_idle(f))
		return NULL;
	f->closer = NULL;
	return closer;
}

enum fdesc_state fdesc_lock(struct fdesc *f)
{
	for (;;) {
		rtlock_lock(&f->lock);
		if (rg_likely(f->state != FDESC_HANDED))
			return f->state;
		rtlock_unlock(&f->lock);
		rg_yield();
	}
}

int fdesc_shutdown(int fd)
{
	struct fdesc *f = fdesc_get(fd);

	if (!f)
		return fdesc_is_valid(fd) ? -ENOMEM : -EBADF;
	if (fdesc_lock(f) == FDESC_CLOSING) {
		rtlock_unlock(&f->lock);
		return -ECANCELED;
	}
	f->state = FDESC_CLOSING;
	set_gate(f, FDESC_SHUT);
	if (is_idle(f)) {
		rtlock_unlock(&f->lock);
		return 0;
	}
	cancel_inflight(f, FD_READ, -ECANCELED);
	cancel_inflight(f, FD_WRITE, -ECANCELED);
	f->closer = getg();
	sched_park_unlock(&f->lock, WAIT_CLOSE, f);
	return 0;
}

/* Nothing is in flight; forget the old user's deadlines. */
static void set_state(struct fdesc *f, enum fdesc_state state)
{
	rtlock_lock(&f->lock);
	f->state = state;
	for (int d = 0; d < FD_DIRS && state == FDESC_HANDED; d++) {
		f->deadline[d] = 0;
		f->expired[d] = false;
	}
	if (state == FDESC_OPEN)
		clear_gate(f, ~(uint32_t)FDESC_USERS);
	rtlock_unlock(&f->lock);
}

void fdesc_reopen(int fd)
{
	struct fdesc *f = fdesc_get(fd);

	set_state(f, FDESC_HANDED);
	set_state(f, FDESC_OPEN);
}

static int close_now(int fd)
{
	struct op_sqe sqe;
	int err;

	if (!sched_is_on())
		return close(fd) ? -errno : 0;
	op_close(&sqe, fd);
	san_closes(fd);
	err = opwait(&sqe, OPWAIT_NOCANCEL);
	/* Never started: the descriptor must not leak. */
	if (err == -ENOMEM || err == -EAGAIN || err == -ESRCH)
		return close(fd) ? -errno : 0;
	return err;
}

int fdesc_close(int fd)
{
	int err = fdesc_shutdown(fd);

	if (err == -ENOMEM) /* no entry: nothing of ours is in flight */
		return close(fd) ? -errno : 0;
	if (err)
		return err;
	set_state(fdesc_get(fd), FDESC_HANDED);
	err = close_now(fd);
	set_state(fdesc_get(fd), FDESC_OPEN);
	return err;
}
