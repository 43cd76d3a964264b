// SPDX-License-Identifier: MIT
/* kvexpire - see the header. */
#include "examples/kv/kvexpire.h"

#include <stdlib.h>

enum { AT_ONCE = 256 }; /* items removed under one hold of a lock */

static void place(struct kvshard *shard, size_t i, struct kvitem *it)
{
	shard->heap[i] = it;
	it->heap_at = (uint32_t)i + 1;
}

/* Find the place of it, for which i is free: towards the top, then the bottom. */
static void sift(struct kvshard *shard, size_t i, struct kvitem *it)
{
	struct kvitem **heap = shard->heap;

	for (; i && heap[(i - 1) / 2]->expires > it->expires; i = (i - 1) / 2)
		place(shard, i, heap[(i - 1) / 2]);
	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < shard->n_heap &&
		    heap[child + 1]->expires < heap[child]->expires)
			child++;
		if (child >= shard->n_heap ||
		    heap[child]->expires >= it->expires)
			break;
		place(shard, i, heap[child]);
		i = child;
	}
	place(shard, i, it);
}

void kvexpire_forget(struct kvshard *shard, struct kvitem *it)
{
	size_t i = it->heap_at;
	struct kvitem *last;

	if (!i)
		return;
	it->heap_at = 0;
	last = shard->heap[--shard->n_heap];
	if (last != it)
		sift(shard, i - 1, last);
}

static bool grow(struct kvshard *shard)
{
	size_t cap = shard->heap_cap ? 2 * shard->heap_cap : 16;
	struct kvitem **heap;

	if (shard->n_heap < shard->heap_cap)
		return true;
	heap = realloc(shard->heap, cap * sizeof *heap);
	if (!heap)
		return false;
	shard->heap = heap;
	shard->heap_cap = cap;
	return true;
}

bool kvstore_set_expiry(struct kvshard *shard, struct kvitem *it, int64_t at)
{
	if (!at) {
		kvexpire_forget(shard, it);
		it->expires = 0;
		return true;
	}
	if (!it->heap_at && !grow(shard))
		return false;
	it->expires = at;
	sift(shard, it->heap_at ? it->heap_at - 1 : shard->n_heap++, it);
	return true;
}

/* Up to AT_ONCE of one shard; whether there may be more. */
static bool expire_some(struct kvshard *shard, int64_t now)
{
	int n = 0;

	rg_mutex_lock(&shard->lock);
	while (n < AT_ONCE && shard->n_heap && shard->heap[0]->expires <= now) {
		kvstore_remove(shard, shard->heap[0]);
		n++;
	}
	shard->expired += n;
	rg_mutex_unlock(&shard->lock);
	return n == AT_ONCE;
}

void kvstore_expire(struct kvstore *s, int64_t now)
{
	for (int i = 0; i < KV_SHARDS; i++)
		while (expire_some(&s->shards[i], now))
			rg_yield();
}
