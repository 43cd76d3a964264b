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

	if (second) {
		second->prev = NULL;
		second->last = first->last;
		second->next_addr = first->next_addr;
		*at = second;
	} else {
		*at = first->next_addr;
	}
}

bool parklot_park(struct parked *w, const void *addr, parklot_check *check,
		  void *arg, bool front, enum wait_reason reason)
{
	struct bucket *b = bucket_of((uintptr_t)addr);

	w->gp = getg();
	if (rg_unlikely(!w->gp))
		rg_panic("out of memory: this thread cannot wait");
	w->addr = (uintptr_t)addr;
	w->handed = false;
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

		san_release(w);
		sched_ready_tail(gp);
		w = next;
	}
}

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
	struct parked **at;

	rtlock_lock(&b->lock);
	at = find(b, w->addr);
	RG_ASSERT(*at);
	if (*at == w) {
		pop(at);
	} else {
		w->prev->next = w->next;
		if (w->next)
			w->next->prev = w->prev;
		else
			(*at)->last = w->prev;
	}
	rtlock_unlock(&b->lock);
}
