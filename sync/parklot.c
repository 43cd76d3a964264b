// SPDX-License-Identifier: MIT
/*
 * parklot - the buckets; what they are for is in the header.
 *
 * A bucket is a list of addresses, each represented by its oldest waiter, and
 * behind each a queue of the others: a thousand waiters on one mutex do not slow a
 * neighbour in the same bucket down. Buckets are static memory of a cache line
 * each, of which the kernel gives only what is touched.
 *
 * After WebKit's ParkingLot and the table of semaRoots in Go's runtime/sema.go. Go
 * keeps the addresses of a bucket in a treap; with 4,096 buckets there is rarely
 * more than one at a time.
 */
/* Objects share a bucket's lock (base/rtlock.h, I6). */
#define RTLOCK_ANNOUNCED 0

#include "sync/parklot.h"

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/base/sanitize.h"
#include "sched/park.h"

enum { BUCKET_BITS = 12 };

struct bucket {
	RG_CACHE_ALIGNED struct rtlock lock;
	struct parked *first; /* by next_addr; under lock */
};

static struct bucket buckets[1 << BUCKET_BITS];

static struct bucket *bucket_of(uintptr_t addr)
{
	/* Fibonacci hashing: neighbours spread, high bits are the good ones. */
	uint64_t h = (uint64_t)addr * UINT64_C(0x9E3779B97F4A7C15);

	return &buckets[h >> (64 - BUCKET_BITS)];
}

/* Where the pointer to the oldest waiter at addr is, or would be. */
static struct parked **find(struct bucket *b, uintptr_t addr)
{
	struct parked **at = &b->first;

	while (*at && (*at)->addr != addr)
		at = &(*at)->next_addr;
	return at;
}

static void push(struct bucket *b, struct parked *w, bool front)
{
	struct parked **at = find(b, w->addr);
	struct parked *first = *at;

	w->next = w->prev = NULL;
	w->queued = true;
	if (!first) {
		w->last = w;
		w->next_addr = NULL;
		*at = w;
	} else if (front) {
		w->next = first;
		first->prev = w;
		w->last = first->last;
		w->next_addr = first->next_addr;
		*at = w;
	} else {
		w->prev = first->last;
		first->last->next = w;
		first->last = w;
	}
}

/* Unlink the oldest waiter, to which *at points. */
static void pop(struct parked **at)
{
	struct parked *first = *at, *second = first->next;

	first->queued = false;
	if (second) {
		second->prev = NULL;
		second->last = first->last;
		second->next_addr = first->next_addr;
		*at = second;
	} else {
		*at = first->next_addr;
	}
}

/* Unlink w, wherever it stands. */
static void unlink_parked(struct bucket *b, struct parked *w)
{
	struct parked **at = find(b, w->addr);

	RG_ASSERT(*at);
	if (*at == w) {
		pop(at);
		return;
	}
	w->queued = false;
	w->prev->next = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		(*at)->last = w->prev;
}

static void init_parked(struct parked *w, const void *addr)
{
	w->gp = getg();
	if (rg_unlikely(!w->gp))
		rg_panic("out of memory: this thread cannot wait");
	w->addr = (uintptr_t)addr;
	w->heeds = false;
	w->handed = false;
}

bool parklot_park(struct parked *w, const void *addr, parklot_check *check,
		  void *arg, bool front, enum wait_reason reason)
{
	struct bucket *b = bucket_of((uintptr_t)addr);

	init_parked(w, addr);
	rtlock_lock(&b->lock);
	if (!check(arg)) {
		rtlock_unlock(&b->lock);
		return false;
	}
	push(b, w, front);
	/* The lock is released later, on another stack. */
	san_release(&b->lock);
	w->gp->park_slot = w;
	sched_park_unlock(&b->lock, reason, addr);
	san_acquire(w);
	return true;
}

void parklot_unpark_one(const void *addr, parklot_release_one *release,
			void *arg)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	struct parked **at, *first;
	struct g *gp = NULL;

	rtlock_lock(&b->lock);
	at = find(b, (uintptr_t)addr);
	first = *at;
	release(arg, first, first && first->next);
	if (first) {
		gp = first->gp;
		pop(at);
		san_release(first);
	}
	rtlock_unlock(&b->lock);
	if (gp)
		sched_ready(gp);
}

void parklot_unpark_all(const void *addr, parklot_release_all *release,
			void *arg)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	struct parked **at, *w = NULL;

	rtlock_lock(&b->lock);
	if (release(arg)) {
		at = find(b, (uintptr_t)addr);
		w = *at;
		if (w)
			*at = w->next_addr;
	}
	rtlock_unlock(&b->lock);
	while (w) {
		/* Readied, its record is gone. */
		struct parked *next = w->next;
		struct g *gp = w->gp;

		w->queued = false;
		san_release(w);
		sched_ready_tail(gp);
		w = next;
	}
}

/* ---- the general form ------------------------------------------------------ */

struct parked *parkq_oldest(const struct parkq *q)
{
	struct parked *w = *q->at;

	/* When the last one is taken, another address' stands there. */
	return w && w->addr == q->addr ? w : NULL;
}

bool parkq_take(struct parkq *q)
{
	struct parked *w = *q->at;

	pop(q->at);
	if (w->heeds && !wake_claim(w->gp, WAKE_EVENT))
		return false;
	san_release(w);
	if (w->gp)
		ready_list_add(&q->ready, w->gp);
	return true;
}

static struct parkq queue_at(struct bucket *b, uintptr_t addr)
{
	return (struct parkq){.at = find(b, addr), .addr = addr};
}

/* Unlock b and ready who was taken. */
static void ready_taken(struct bucket *b, struct parkq *q)
{
	struct g *first = q->ready.head;

	rtlock_unlock(&b->lock);
	if (first && first == q->ready.tail)
		sched_ready(first);
	else
		sched_ready_all(&q->ready);
}

void parklot_unpark(const void *addr, parklot_release *release, void *arg)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	struct parkq q;

	rtlock_lock(&b->lock);
	q = queue_at(b, (uintptr_t)addr);
	release(arg, &q);
	ready_taken(b, &q);
}

/* ---- waiting that heeds the context ------------------------------------------ */

/* The bucket is locked. If the context has ended by now it is in no queue, whether
 * it is about to be readied or was not parked at all. */
static bool commit_heeding(struct g *gp, void *arg)
{
	struct parked *w = arg;
	struct bucket *b = bucket_of(w->addr);

	/* Relaxed: see wake_claim. */
	if (atomic_load_explicit(&gp->wake_state, memory_order_relaxed) !=
	    WAKE_NONE)
		unlink_parked(b, w);
	rtlock_unlock_left(&b->lock);
	return true;
}

enum wake_state parklot_park_heeding(struct parked *w, const void *addr,
				     parklot_checkq *check, void *arg,
				     enum wait_reason reason)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	enum wake_state how;
	struct parkq q;

	init_parked(w, addr);
	w->heeds = true;
	rtlock_lock(&b->lock);
	q = queue_at(b, (uintptr_t)addr);
	if (!check(arg, &q)) {
		rtlock_unlock(&b->lock);
		return WAKE_NONE;
	}
	wake_begin(w->gp);
	push(b, w, false);
	san_release(&b->lock);
	w->gp->park_slot = w;
	how = sched_park_until(commit_heeding, w, RG_FOREVER, true, reason,
			       addr);
	san_acquire(w);
	return how;
}

void parklot_leave(struct parked *w, parklot_release *release, void *arg)
{
	struct bucket *b = bucket_of(w->addr);
	struct parkq q;

	rtlock_lock(&b->lock);
	if (w->queued)
		unlink_parked(b, w);
	q = queue_at(b, w->addr);
	release(arg, &q);
	ready_taken(b, &q);
}

/* ---- waiting in two steps ------------------------------------------------------ */

void parklot_queue(struct parked *w, const void *addr, void (*mark)(void *arg),
		   void *arg)
{
	struct bucket *b = bucket_of((uintptr_t)addr);

	init_parked(w, addr);
	/* Not to be readied before it parks. */
	w->gp = NULL;
	rtlock_lock(&b->lock);
	mark(arg);
	push(b, w, false);
	rtlock_unlock(&b->lock);
}

void parklot_sleep(struct parked *w, enum wait_reason reason)
{
	struct bucket *b = bucket_of(w->addr);
	struct g *gp = getg();

	rtlock_lock(&b->lock);
	if (!w->queued) {
		rtlock_unlock(&b->lock);
		san_acquire(w);
		return;
	}
	w->gp = gp;
	gp->park_slot = w;
	san_release(&b->lock);
	sched_park_unlock(&b->lock, reason, (const void *)w->addr);
	san_acquire(w);
}

/* ---- tests, the end of a runtime --------------------------------------------- */

size_t parklot_count(const void *addr)
{
	struct bucket *b = bucket_of((uintptr_t)addr);
	size_t n = 0;

	rtlock_lock(&b->lock);
	for (struct parked *w = *find(b, (uintptr_t)addr); w; w = w->next)
		n++;
	rtlock_unlock(&b->lock);
	return n;
}

void parklot_forget(struct g *gp)
{
	struct parked *w = gp->park_slot;
	struct bucket *b = bucket_of(w->addr);

	rtlock_lock(&b->lock);
	if (w->queued)
		unlink_parked(b, w);
	rtlock_unlock(&b->lock);
}
