// SPDX-License-Identifier: MIT
/*
 * pool - items that are costly to make, cached for each P.
 *
 * A shard for each P holds stacks of items, in chunks; get takes from its own P's
 * shard, then from the others', then makes one. A pool has no garbage collector to
 * tell it when to let go; instead a put that finds that POOL_AGE_NS have passed
 * drops the items that were already there the time before, and makes the rest
 * victims, which are still to be had.
 *
 *   I1  an item is in one chunk, of one list, of one shard, under whose lock it is
 *       put and taken: never handed to two.
 *   I2  a chunk in `current` or `victims` has an item at least; one in `spare` none.
 *   I3  make, destroy, allocation and freeing happen with no lock held.
 * A lock for each shard, and not Go's lock-free chain: a goroutine cannot be pinned to
 * its P here, foreign threads take part, and a free lock is 10 ns (2026-11).
 */
/* Putting one item orders nobody who takes another; see order_of. */
#define RTLOCK_ANNOUNCED 0

#include "sync/pool.h"

#include <stdatomic.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/cpus.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sched/sched.h"

/* Long against a pause between two requests, short against a day's peak. */
#define POOL_AGE_NS (10 * RG_SECOND)

enum { CHUNK_ITEMS = 62 };

struct chunk {
	struct chunk *next;
	size_t n;
	void *items[CHUNK_ITEMS];
};

struct shard {
	RG_CACHE_ALIGNED struct rtlock lock;
	/* items; written under lock, read without it as a hint */
	_Atomic size_t n;
	/* under lock */
	struct chunk *current, *victims, *spare;
};

struct rg_pool {
	/* const */
	void *(*make)(void);
	void (*destroy)(void *);
	size_t nshards;
	_Atomic rg_time aged; /* any thread; on the coarse clock */
	struct shard shards[];
};

rg_pool *rg_pool_new(void *(*make)(void), void (*destroy)(void *))
{
	int n = sched_is_on() ? sched_nprocs() : cpus_usable();
	rg_pool *p = rgk_zalloc_aligned(
		sizeof(*p) + (size_t)n * sizeof(struct shard), RG_CACHE_LINE);

	if (!p)
		return NULL;
	p->make = make;
	p->destroy = destroy;
	p->nshards = (size_t)n;
	/* Relaxed: nobody else knows p yet. */
	atomic_store_explicit(&p->aged, sched_coarse_now(),
			      memory_order_relaxed);
	return p;
}

/* Which shard is ours: of the P, or of the foreign thread's record's address. */
static size_t shard_index(const rg_pool *p)
{
	struct m *mp = getm();
	size_t i = mp && mp->p ? mp->p->id : (uintptr_t)getg() / RG_CACHE_LINE;

	return i % p->nshards;
}

static size_t count(const struct shard *s)
{
	/* Relaxed: under the lock, or a hint. */
	return atomic_load_explicit(&s->n, memory_order_relaxed);
}

static void set_count(struct shard *s, size_t n)
{
	atomic_store_explicit(&s->n, n, memory_order_relaxed);
}

/* What ThreadSanitizer takes an item's hand-over for. Items need not be addresses. */
static char *order_of(const void *item)
{
	static char orders[256];

	return &orders[((uintptr_t)item >> 4 ^ (uintptr_t)item >> 12) %
		       sizeof(orders)];
}

/* ---- get ------------------------------------------------------------------- */

/* The newest item of a list, or NULL; the lock is held. */
static void *pop_locked(struct shard *s, struct chunk **list)
{
	struct chunk *c = *list;
	void *item;

	if (!c)
		return NULL;
	item = c->items[--c->n];
	set_count(s, count(s) - 1);
	if (!c->n) {
		*list = c->next;
		c->next = s->spare;
		s->spare = c;
	}
	return item;
}

static void *take_from(struct shard *s)
{
	void *item;

	if (!count(s))
		return NULL;
	rtlock_lock(&s->lock);
	item = pop_locked(s, &s->current);
	if (!item)
		item = pop_locked(s, &s->victims);
	rtlock_unlock(&s->lock);
	san_acquire(order_of(item));
	return item;
}

RG_CALLS_USER void *rg_pool_get(rg_pool *p)
{
	size_t own = shard_index(p);

	sched_point();
	for (size_t i = 0; i < p->nshards; i++) {
		void *item = take_from(&p->shards[(own + i) % p->nshards]);

		if (item)
			return item;
	}
	return p->make ? p->make() : NULL;
}

/* ---- dropping --------------------------------------------------------------- */

static RG_CALLS_USER void drop_item(rg_pool *p, void *item)
{
	san_acquire(order_of(item));
	if (p->destroy)
		p->destroy(item);
}

static RG_CALLS_USER void drop_chunks(rg_pool *p, struct chunk *c)
{
	while (c) {
		struct chunk *next = c->next;

		while (c->n)
			drop_item(p, c->items[--c->n]);
		rgk_free(c);
		c = next;
	}
}

static RG_CALLS_USER void age_shard(rg_pool *p, struct shard *s)
{
	struct chunk *old, *spare;
	size_t n = 0;

	rtlock_lock(&s->lock);
	old = s->victims;
	spare = s->spare;
	s->victims = s->current;
	s->current = s->spare = NULL;
	for (struct chunk *c = s->victims; c; c = c->next)
		n += c->n;
	set_count(s, n);
	rtlock_unlock(&s->lock);
	drop_chunks(p, old);
	drop_chunks(p, spare);
}

RG_CALLS_USER void pool_age(rg_pool *p)
{
	for (size_t i = 0; i < p->nshards; i++)
		age_shard(p, &p->shards[i]);
}

/* One put in POOL_AGE_NS does it. */
static RG_CALLS_USER void age_if_due(rg_pool *p)
{
	rg_time now = sched_coarse_now();
	/* Relaxed, both: it elects. The next runtime's coarse clock goes on where
	 * the last one's stood. */
	rg_time aged = atomic_load_explicit(&p->aged, memory_order_relaxed);

	if (rg_likely(now - aged < POOL_AGE_NS))
		return;
	if (atomic_compare_exchange_strong_explicit(&p->aged, &aged, now,
						    memory_order_relaxed,
						    memory_order_relaxed))
		pool_age(p);
}

RG_CALLS_USER void rg_pool_free(rg_pool *p)
{
	if (!p)
		return;
	/* What is current becomes a victim, what is a victim goes. */
	pool_age(p);
	pool_age(p);
	rgk_free(p);
}

/* ---- put --------------------------------------------------------------------- */

/* false: there is no room, and no empty chunk. The lock is held. */
static bool push_locked(struct shard *s, void *item)
{
	struct chunk *c = s->current;

	if (!c || c->n == CHUNK_ITEMS) {
		c = s->spare;
		if (!c)
			return false;
		s->spare = c->next;
		c->next = s->current;
		s->current = c;
	}
	c->items[c->n++] = item;
	set_count(s, count(s) + 1);
	return true;
}

static RG_CALLS_USER void put_slow(rg_pool *p, struct shard *s, void *item)
{
	struct chunk *c = rgk_alloc(sizeof(*c));

	if (!c) {
		drop_item(p, item);
		return;
	}
	c->n = 0;
	rtlock_lock(&s->lock);
	c->next = s->spare;
	s->spare = c;
	push_locked(s, item);
	rtlock_unlock(&s->lock);
}

RG_CALLS_USER void rg_pool_put(rg_pool *p, void *item)
{
	struct shard *s = &p->shards[shard_index(p)];
	bool ok;

	sched_point();
	if (!item)
		return;
	san_release(order_of(item));
	rtlock_lock(&s->lock);
	ok = push_locked(s, item);
	rtlock_unlock(&s->lock);
	if (rg_unlikely(!ok))
		put_slow(p, s, item);
	age_if_due(p);
}
