// SPDX-License-Identifier: MIT
/*
 * mutex - a word in the user's memory; waiters are in the parking lot.
 *
 * Free lock and unlock are one compare-and-swap each. An unlock with waiters wakes
 * the oldest one, but whoever comes first takes the mutex (a running goroutine
 * would otherwise have to stop at each turn). A waiter that has been woken and
 * finds the mutex taken waits again at the front; once that has lasted for
 * STARVING_NS, the next unlock hands the mutex over to it, still locked, and goes on
 * to hand over until a waiter comes that waited less, or the last.
 *
 *   I1  M_PARKED: there are waiters in the lot; set and cleared under the bucket's
 *       lock only, and only while M_LOCKED is set.
 *   I2  M_WOKEN: one waiter was woken and has neither got the mutex nor parked
 *       again. Unlocks wake nobody then: it takes care of the rest.
 *   I3  M_STARVING: who holds the mutex got it by hand after a long wait: its
 *       unlock hands over, too. While it is set M_LOCKED is.
 *   I4  the atomic operation that unlocks is the last access to the mutex's memory
 *       by the one who unlocks: the next owner may free it.
 * After Go's sync.Mutex, and WebKit's Lock for where the bits live. Go's starving
 * newcomers queue at once; here they find it locked and do the same.
 */
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include <stdatomic.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sync/lockgraph.h"
#include "sync/parklot.h"

enum { M_LOCKED = 1, M_PARKED = 2, M_WOKEN = 4, M_STARVING = 8 };

/* Go's figure: long against a hold, short against what people notice. */
#define STARVING_NS RG_MILLISECOND

/* Looks at a mutex held on another CPU before parking for it. */
enum { SPIN_ROUNDS = 30 };

_Static_assert(sizeof(rg_mutex) == 8, "part of the ABI");

static inline uint32_t load(const rg_mutex *m)
{
	/* Relaxed: what is done about it is a compare-and-swap. */
	return __atomic_load_n(&m->state_, __ATOMIC_RELAXED);
}

/* M1 acquire, pairs with M2: what was done under the mutex before. */
static inline bool cas_acquire(rg_mutex *m, uint32_t old, uint32_t new)
{
	return __atomic_compare_exchange_n(&m->state_, &old, new, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* M2 release, pairs with M1. */
static inline bool cas_release(rg_mutex *m, uint32_t old, uint32_t new)
{
	return __atomic_compare_exchange_n(&m->state_, &old, new, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* ---- lock ---------------------------------------------------------------- */

struct locker {
	struct parked parked;
	rg_mutex *m;
	uint32_t woken; /* M_WOKEN since it was woken once (I2), else 0 */
	rg_time since;  /* when it parked first */
	struct lockwait wait;
};

/* Under the bucket's lock: queue only behind an owner, and say that one waits. */
static bool still_locked(void *arg)
{
	struct locker *l = arg;
	uint32_t s, want;

	do {
		s = load(l->m);
		if (!(s & M_LOCKED))
			return false;
		want = (s | M_PARKED) & ~l->woken;
		/* Relaxed: the bucket's lock orders it against unlocks. */
	} while (s != want && !__atomic_compare_exchange_n(
				      &l->m->state_, &s, want, false,
				      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return lockgraph_parks(&l->wait);
}

/* The mutex is ours and was never unlocked: go on handing over, or stop it. */
static void accept_hand_over(rg_mutex *m, bool waited_long)
{
	/* M_STARVING and M_LOCKED are set. Relaxed: acquired by the park. */
	if (!waited_long || !(load(m) & M_PARKED))
		__atomic_fetch_and(&m->state_, ~(uint32_t)M_STARVING,
				   __ATOMIC_RELAXED);
}

/* A goroutine takes the coarse clock, which runs while goroutines do: two readings of
 * the real one were a quarter of a contended lock (2026-11). */
static rg_time waiting_clock(void)
{
	return is_goroutine() ? sched_coarse_now() : rg_now();
}

/* true: locked. */
static bool lock_parked(struct locker *l)
{
	bool again = l->woken;

	if (!again)
		l->since = waiting_clock();
	if (!parklot_park(&l->parked, l->m, still_locked, l, again,
			  WAIT_MUTEX)) {
		lockgraph_report(&l->wait);
		return false;
	}
	l->parked.starving = waiting_clock() - l->since >= STARVING_NS;
	if (l->parked.handed) {
		san_acquire(l->m);
		accept_hand_over(l->m, l->parked.starving);
		return true;
	}
	l->woken = M_WOKEN;
	return false;
}

/* Worth looking again soon: the owner may be running on another CPU, and nobody is
 * queued before us. */
static bool spin(const rg_mutex *m)
{
	if (sched_nprocs() < 2)
		return false;
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		uint32_t s = load(m);

		if (!(s & M_LOCKED))
			return true;
		if (s & M_PARKED)
			return false;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield" ::: "memory");
#endif
	}
	return false;
}

static RG_NOINLINE void lock_slow(rg_mutex *m, uintptr_t pc)
{
	struct locker l = {.m = m,
			   .wait = {.lock = m, .what = "rg_mutex", .pc = pc}};

	for (;;) {
		uint32_t s = load(m);

		if (!(s & M_LOCKED)) {
			if (cas_acquire(m, s, (s | M_LOCKED) & ~l.woken))
				return;
		} else if (!spin(m) && lock_parked(&l)) {
			return;
		}
	}
}

static inline void lock(rg_mutex *m, uintptr_t pc)
{
	if (rg_unlikely(!cas_acquire(m, 0, M_LOCKED)))
		lock_slow(m, pc);
	san_acquire(m);
}

RG_COLD static void lock_at_point(rg_mutex *m, uintptr_t pc)
{
	sched_point();
	lock(m, pc);
	if (lockgraph_is_on())
		lockgraph_took(m, "rg_mutex", HOLD_WRITE, pc);
}

/* The fast path has no frame: pc, for the lock graph, is a matter of the other one. */
void rg_mutex_lock(rg_mutex *m)
{
	if (sched_point_is_due() || lockgraph_is_on())
		lock_at_point(m, (uintptr_t)__builtin_return_address(0));
	else
		lock(m, 0);
}

bool rg_mutex_try_lock(rg_mutex *m)
{
	uint32_t s;

	sched_point();
	s = load(m);
	while (!(s & M_LOCKED)) {
		if (cas_acquire(m, s, s | M_LOCKED)) {
			san_acquire(m);
			if (lockgraph_is_on())
				lockgraph_took(
					m, "rg_mutex", HOLD_WRITE,
					(uintptr_t)__builtin_return_address(0));
			return true;
		}
		s = load(m);
	}
	return false;
}

/* ---- unlock -------------------------------------------------------------- */

/*
 * Under the bucket's lock, with M_LOCKED and M_PARKED set and M_WOKEN clear. These
 * only the owner changes, who is us: a plain store will do, but for M_PARKED, which
 * a newcomer may set again: not without the bucket's lock.
 */
static void release_to(void *arg, struct parked *first, bool more)
{
	rg_mutex *m = arg;
	uint32_t s = more ? M_PARKED : 0;

	if (lockgraph_is_on() && first)
		lockgraph_wakes(m, first->gp);
	if (first && (first->starving || (load(m) & M_STARVING))) {
		first->handed = true;
		s |= M_LOCKED | M_STARVING;
	} else if (first) {
		s |= M_WOKEN;
	}
	/* M2 release, pairs with M1 and with the ready of the first waiter. */
	__atomic_store_n(&m->state_, s, __ATOMIC_RELEASE);
}

static RG_NOINLINE void unlock_slow(rg_mutex *m)
{
	for (;;) {
		uint32_t s = load(m);

		if (!(s & M_LOCKED))
			rg_panic("unlock of unlocked mutex");
		if ((s & M_PARKED) && !(s & M_WOKEN)) {
			parklot_unpark_one(m, release_to, m);
			return;
		}
		/* Nobody waits, or one was woken and looks after the rest. */
		if (cas_release(m, s, s & (M_PARKED | M_WOKEN)))
			return;
	}
}

static inline void unlock(rg_mutex *m)
{
	san_release(m);
	if (rg_unlikely(!cas_release(m, M_LOCKED, 0)))
		unlock_slow(m);
}

RG_COLD static void unlock_at_point(rg_mutex *m)
{
	sched_point();
	if (lockgraph_is_on())
		lockgraph_gives(m, HOLD_WRITE);
	unlock(m);
}

void rg_mutex_unlock(rg_mutex *m)
{
	if (sched_point_is_due() || lockgraph_is_on())
		unlock_at_point(m);
	else
		unlock(m);
}
