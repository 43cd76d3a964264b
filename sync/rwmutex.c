// SPDX-License-Identifier: MIT
/*
 * rwmutex - many readers or one writer, in a word; waiters are in the parking lot.
 *
 * The word counts the readers that hold the mutex and says whether a writer does,
 * and who waits. Writers queue at the mutex's address, readers at the next byte's.
 * Whoever waited is handed the mutex, never woken to try again: the last reader
 * hands it to the oldest writer, a writer to all the readers that wait, else to the
 * next writer. So each kind lets the other one pass in turn, as in Go.
 *
 *   I1  R_W_WAITS and R_R_WAITS: there may be waiters in that queue. Set under its
 *       bucket's lock while the mutex is held, cleared under it by a holder. A free
 *       mutex is 0.
 *   I2  readers wait only while a writer holds the mutex or waits for it. New ones
 *       do not pass a waiting writer.
 *   I3  the atomic operation that unlocks, or hands over, is the last access to the
 *       mutex's memory by the one who unlocks; those to whom it was handed do not
 *       look at it again. So the last one to unlock may free it.
 *   I4  a queue may turn out to be empty, because those who waited ended with their
 *       runtime: then the holder clears the flag, holds on, and looks again.
 * Not Go's way, a mutex for the writers beside counters: unlocking both is two
 * operations, which contradicts I3. No barging writers: a hand-over costs a switch of
 * goroutines, not one of threads.
 */
#include <ringgo/runtime.h>
#include <ringgo/sync.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/point.h"
#include "sync/lockgraph.h"
#include "sync/parklot.h"

enum { R_WRITER = 1, R_W_WAITS = 2, R_R_WAITS = 4, R_READER = 8 };

#define READERS_MAX (UINT32_MAX - R_READER)

_Static_assert(sizeof(rg_rwmutex) == 8, "part of the ABI");

static inline uint32_t load(const rg_rwmutex *m)
{
	/* Relaxed: what is done about it is a compare-and-swap. */
	return __atomic_load_n(&m->state_, __ATOMIC_RELAXED);
}

/* RW1 acquire, pairs with RW2: what was done under the mutex before. */
static inline bool cas_acquire(rg_rwmutex *m, uint32_t *old, uint32_t new)
{
	return __atomic_compare_exchange_n(&m->state_, old, new, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* RW2 release, pairs with RW1. Acquire, too: a reader that hands over passes on what
 * the readers before it released. */
static inline bool cas_release(rg_rwmutex *m, uint32_t *old, uint32_t new)
{
	return __atomic_compare_exchange_n(&m->state_, old, new, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static const void *writers_at(const rg_rwmutex *m)
{
	return m;
}

static const void *readers_at(const rg_rwmutex *m)
{
	return (const char *)m + 1;
}

/* A call that waits. */
struct waiting {
	rg_rwmutex *m;
	struct parked parked;
	struct lockwait wait;
};

static struct waiting waiting(rg_rwmutex *m, enum lock_how how, uintptr_t pc)
{
	return (struct waiting){.m = m,
				.wait = {.lock = m,
					 .what = "rg_rwmutex",
					 .how = (uint8_t)how,
					 .pc = pc}};
}

static void note_taken(const rg_rwmutex *m, enum lock_how how, uintptr_t pc)
{
	if (lockgraph_is_on())
		lockgraph_took(m, "rg_rwmutex", how, pc);
}

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* ---- handing over ---------------------------------------------------------- */

struct release {
	rg_rwmutex *m;
	uint32_t held; /* what the caller gives up: R_WRITER or R_READER */
	bool done;     /* false: nobody was there (I4), it is held still */
};

static void take(const rg_rwmutex *m, struct parkq *q)
{
	if (lockgraph_is_on())
		lockgraph_wakes(m, parkq_oldest(q)->gp);
	parkq_take(q);
}

static void release_to_readers(void *arg, struct parkq *q)
{
	struct release *r = arg;
	rg_rwmutex *m = r->m;
	uint32_t s = load(m), n = 0, given;

	for (; parkq_oldest(q); n++)
		take(m, q);
	r->done = n > 0;
	given = n ? n * R_READER - r->held : 0;
	while (!cas_release(m, &s, (s & ~(uint32_t)R_R_WAITS) + given))
		continue;
}

static void release_to_writer(void *arg, struct parkq *q)
{
	struct release *r = arg;
	rg_rwmutex *m = r->m;
	uint32_t s = load(m), new;

	r->done = parkq_oldest(q);
	if (r->done)
		take(m, q);
	do {
		/* Readers may come to wait at any moment, nothing else can
		 * change: the caller is a writer or the last reader. */
		new = s & ~(uint32_t)R_W_WAITS;
		if (r->done)
			new = new - r->held + R_WRITER;
		if (parkq_oldest(q))
			new |= R_W_WAITS;
	} while (!cas_release(m, &s, new));
}

/* false: nobody was there. */
static bool hand_over(rg_rwmutex *m, bool to_readers, uint32_t held)
{
	struct release r = {.m = m, .held = held};

	if (to_readers)
		parklot_unpark(readers_at(m), release_to_readers, &r);
	else
		parklot_unpark(writers_at(m), release_to_writer, &r);
	return r.done;
}

/* ---- writers --------------------------------------------------------------- */

static bool writer_waits(void *arg)
{
	struct waiting *w = arg;
	rg_rwmutex *m = w->m;
	uint32_t s = load(m);

	while (s) {
		/* The order is the bucket lock's; RW1 for the one case that
		 * matters, s == 0, is lock_slow's. */
		if ((s & R_W_WAITS) || cas_acquire(m, &s, s | R_W_WAITS))
			return lockgraph_parks(&w->wait);
	}
	return false;
}

static RG_NOINLINE void lock_slow(rg_rwmutex *m, uintptr_t pc)
{
	struct waiting w = waiting(m, HOLD_WRITE, pc);
	uint32_t free;

	do {
		if (parklot_park(&w.parked, writers_at(m), writer_waits, &w,
				 false, WAIT_RWMUTEX_LOCK))
			return;
		lockgraph_report(&w.wait);
		free = 0;
	} while (!cas_acquire(m, &free, R_WRITER));
}

/* To ThreadSanitizer readers are ordered after writers, and writers after all, but not
 * readers after readers. */
static inline void *readers_order(rg_rwmutex *m)
{
	return &m->reserved_;
}

static inline void writer_enters(rg_rwmutex *m)
{
	san_acquire(m);
	san_acquire(readers_order(m));
}

bool rg_rwmutex_try_lock(rg_rwmutex *m)
{
	uint32_t free = 0;

	sched_point();
	if (!cas_acquire(m, &free, R_WRITER))
		return false;
	writer_enters(m);
	note_taken(m, HOLD_WRITE, CALLER);
	return true;
}

void rg_rwmutex_lock(rg_rwmutex *m)
{
	uint32_t free = 0;

	sched_point();
	if (rg_unlikely(!cas_acquire(m, &free, R_WRITER)))
		lock_slow(m, CALLER);
	writer_enters(m);
	note_taken(m, HOLD_WRITE, CALLER);
}

static RG_NOINLINE void unlock_slow(rg_rwmutex *m)
{
	for (;;) {
		uint32_t s = load(m);

		if (!(s & R_WRITER))
			rg_panic("Unlock of unlocked RWMutex");
		if (s == R_WRITER) {
			if (cas_release(m, &s, 0))
				return;
		} else if (hand_over(m, s & R_R_WAITS, R_WRITER)) {
			return;
		}
	}
}

void rg_rwmutex_unlock(rg_rwmutex *m)
{
	uint32_t s = R_WRITER;

	sched_point();
	san_release(m);
	if (lockgraph_is_on())
		lockgraph_gives(m, HOLD_WRITE);
	if (rg_unlikely(!cas_release(m, &s, 0)))
		unlock_slow(m);
}

/* ---- readers --------------------------------------------------------------- */

static inline bool try_read(rg_rwmutex *m)
{
	uint32_t s = load(m);

	while (!(s & (R_WRITER | R_W_WAITS))) {
		if (rg_unlikely(s >= READERS_MAX))
			rg_panic("too many readers of an RWMutex");
		if (cas_acquire(m, &s, s + R_READER))
			return true;
	}
	return false;
}

static bool reader_waits(void *arg)
{
	struct waiting *w = arg;
	rg_rwmutex *m = w->m;
	uint32_t s = load(m);

	while (s & (R_WRITER | R_W_WAITS)) {
		if ((s & R_R_WAITS) || cas_acquire(m, &s, s | R_R_WAITS))
			return lockgraph_parks(&w->wait);
	}
	return false;
}

static RG_NOINLINE void rlock_slow(rg_rwmutex *m, uintptr_t pc)
{
	struct waiting w = waiting(m, HOLD_READ, pc);

	while (!parklot_park(&w.parked, readers_at(m), reader_waits, &w, false,
			     WAIT_RWMUTEX_RLOCK)) {
		lockgraph_report(&w.wait);
		if (try_read(m))
			return;
	}
}

bool rg_rwmutex_try_rlock(rg_rwmutex *m)
{
	sched_point();
	if (!try_read(m))
		return false;
	san_acquire(m);
	note_taken(m, HOLD_READ, CALLER);
	return true;
}

void rg_rwmutex_rlock(rg_rwmutex *m)
{
	sched_point();
	if (rg_unlikely(!try_read(m)))
		rlock_slow(m, CALLER);
	san_acquire(m);
	note_taken(m, HOLD_READ, CALLER);
}

void rg_rwmutex_runlock(rg_rwmutex *m)
{
	uint32_t s;

	sched_point();
	if (lockgraph_is_on())
		lockgraph_gives(m, HOLD_READ);
	san_release(readers_order(m)); /* to the next writer */
	s = load(m);
	for (;;) {
		if (rg_unlikely(s < R_READER))
			rg_panic("RUnlock of unlocked RWMutex");
		if (s >= 2 * R_READER || s == R_READER) {
			if (rg_likely(cas_release(m, &s, s - R_READER)))
				return;
			continue;
		}
		/* The last one, and somebody waits. */
		if (hand_over(m, !(s & R_W_WAITS), R_READER))
			return;
		s = load(m);
	}
}
