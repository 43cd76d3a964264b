// SPDX-License-Identifier: MIT
/* kvstore - see the header. Of expiries there is kvexpire.c. */
#include "examples/kv/kvstore.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "examples/kv/kvexpire.h"
#include "examples/kv/kvhash.h"

enum {
	MIN_BUCKETS = 16,
	SHORT_VALUE = 64, /* bytes; one cache miss fewer than elsewhere */
};

struct kvstore *kvstore_new(void)
{
	struct kvstore *s = aligned_alloc(64, sizeof *s);

	if (!s)
		return NULL;
	memset(s, 0, sizeof *s);
	if (getrandom(s->seed, sizeof s->seed, GRND_NONBLOCK) < 0)
		s->seed[0] =
			(uint64_t)rg_unix_nano(); /* too early after boot */
	return s;
}

static char *room_of(struct kvitem *it)
{
	return it->key + it->key_len;
}

static void free_item(struct kvitem *it)
{
	if (it->value != room_of(it))
		free(it->value);
	free(it);
}

static void clear(struct kvshard *shard)
{
	for (size_t i = 0; i < shard->n_buckets; i++)
		for (struct kvitem *it = shard->buckets[i], *next; it;
		     it = next) {
			next = it->next;
			free_item(it);
		}
	free(shard->buckets);
	free(shard->heap);
	shard->buckets = shard->heap = NULL;
	shard->n_buckets = shard->n = shard->bytes = 0;
	shard->n_heap = shard->heap_cap = 0;
}

void kvstore_free(struct kvstore *s)
{
	if (s)
		for (int i = 0; i < KV_SHARDS; i++)
			clear(&s->shards[i]);
	free(s);
}

/* ---- locks ------------------------------------------------------------------------- */

struct kvkey kvstore_key(struct kvstore *s, const char *key, size_t len)
{
	uint64_t hash = kvhash(s->seed, key, len);

	return (struct kvkey){&s->shards[hash >> 58], key, len, hash};
}

uint64_t kvstore_bit(const struct kvstore *s, const struct kvkey *k)
{
	return (uint64_t)1 << (k->shard - s->shards);
}

void kvstore_lock(struct kvstore *s, uint64_t mask)
{
	for (; mask; mask &= mask - 1)
		rg_mutex_lock(&s->shards[__builtin_ctzll(mask)].lock);
}

void kvstore_unlock(struct kvstore *s, uint64_t mask)
{
	for (; mask; mask &= mask - 1)
		rg_mutex_unlock(&s->shards[__builtin_ctzll(mask)].lock);
}

/* ---- a shard's table --------------------------------------------------------------- */

static struct kvitem **bucket(const struct kvshard *shard, uint64_t hash)
{
	return &shard->buckets[hash & (shard->n_buckets - 1)];
}

/* Without memory the table stays as it is: longer chains, or more room than needed. */
static bool resize(struct kvshard *shard, size_t n)
{
	struct kvshard to = {.buckets = calloc(n, sizeof *to.buckets),
			     .n_buckets = n};

	if (!to.buckets)
		return shard->n_buckets != 0;
	for (size_t i = 0; i < shard->n_buckets; i++)
		for (struct kvitem *it = shard->buckets[i], *next; it;
		     it = next) {
			struct kvitem **b = bucket(&to, it->hash);

			next = it->next;
			it->next = *b;
			*b = it;
		}
	free(shard->buckets);
	shard->buckets = to.buckets;
	shard->n_buckets = n;
	return true;
}

struct kvitem *kvstore_find(const struct kvkey *k, int64_t now, bool is_read)
{
	struct kvitem *it = NULL;

	if (k->shard->n)
		for (it = *bucket(k->shard, k->hash); it; it = it->next)
			if (it->hash == k->hash && it->key_len == k->len &&
			    !memcmp(it->key, k->p, k->len))
				break;
	if (it && it->expires && it->expires <= now) {
		kvstore_remove(k->shard, it);
		k->shard->expired++;
		it = NULL;
	}
	if (is_read && it)
		k->shard->hits++;
	else if (is_read)
		k->shard->misses++;
	return it;
}

static size_t bytes_of(struct kvitem *it)
{
	size_t n = sizeof *it + it->key_len + it->room;

	return it->value == room_of(it) ? n : n + it->cap;
}

/* For a value of len bytes, which is not there yet. */
static struct kvitem *add(const struct kvkey *k, size_t len)
{
	uint32_t room = len > SHORT_VALUE ? 0 : len < 16 ? 16 : (uint32_t)len;
	struct kvshard *shard = k->shard;
	struct kvitem *it;

	if (shard->n >= shard->n_buckets &&
	    !resize(shard,
		    shard->n_buckets ? 2 * shard->n_buckets : MIN_BUCKETS))
		return NULL;
	it = malloc(sizeof *it + k->len + room);
	if (!it)
		return NULL;
	*it = (struct kvitem){.next = *bucket(shard, k->hash),
			      .hash = k->hash,
			      .key_len = (uint32_t)k->len,
			      .room = room,
			      .cap = room};
	it->value = room_of(it);
	memcpy(it->key, k->p, k->len);
	*bucket(shard, k->hash) = it;
	shard->n++;
	shard->bytes += bytes_of(it);
	return it;
}

/* Room for len bytes of value, and not much more than twice that; what is there stays.
 * A value that has left its place behind the key does not go back. */
static bool fit(struct kvshard *shard, struct kvitem *it, size_t len,
		bool is_growing)
{
	size_t cap = len < 16 ? 16 : is_growing ? len + len / 2 : len;
	bool is_behind = it->value == room_of(it);
	char *value;

	if (len <= it->cap && (is_behind || it->cap <= 2 * cap))
		return true;
	if (cap > UINT32_MAX)
		cap = UINT32_MAX;
	value = realloc(is_behind ? NULL : it->value, cap);
	if (!value)
		return it->cap >= len;
	if (is_behind)
		memcpy(value, it->value, it->len);
	shard->bytes -= bytes_of(it);
	it->value = value;
	it->cap = (uint32_t)cap;
	shard->bytes += bytes_of(it);
	return true;
}

struct kvitem *kvstore_put(const struct kvkey *k, struct kvitem *it,
			   const void *data, size_t len)
{
	bool is_new = !it;

	if (is_new && !(it = add(k, len)))
		return NULL;
	if (!fit(k->shard, it, len, !is_new && !data)) {
		if (is_new)
			kvstore_remove(k->shard, it);
		return NULL;
	}
	if (data)
		memcpy(it->value, data, len);
	it->len = (uint32_t)len;
	return it;
}

void kvstore_remove(struct kvshard *shard, struct kvitem *it)
{
	struct kvitem **p = bucket(shard, it->hash);

	while (*p != it)
		p = &(*p)->next;
	*p = it->next;
	kvexpire_forget(shard, it);
	shard->n--;
	shard->bytes -= bytes_of(it);
	free_item(it);
	if (shard->n_buckets > MIN_BUCKETS && shard->n < shard->n_buckets / 8)
		(void)resize(shard, shard->n_buckets / 2);
}

/* ---- all of them ------------------------------------------------------------------- */

void kvstore_clear(struct kvstore *s)
{
	kvstore_lock(s, UINT64_MAX);
	for (int i = 0; i < KV_SHARDS; i++)
		clear(&s->shards[i]);
	kvstore_unlock(s, UINT64_MAX);
}

struct kvstore_sums kvstore_sum(struct kvstore *s, bool is_reset)
{
	struct kvstore_sums sums = {0};

	for (int i = 0; i < KV_SHARDS; i++) {
		struct kvshard *shard = &s->shards[i];

		rg_mutex_lock(&shard->lock);
		sums.n += (int64_t)shard->n;
		sums.n_expiring += (int64_t)shard->n_heap;
		sums.bytes += (int64_t)(shard->bytes +
					shard->n_buckets * sizeof(void *) +
					shard->heap_cap * sizeof(void *));
		sums.hits += shard->hits;
		sums.misses += shard->misses;
		sums.expired += shard->expired;
		if (is_reset)
			shard->hits = shard->misses = shard->expired = 0;
		rg_mutex_unlock(&shard->lock);
	}
	return sums;
}

static int64_t visit_bucket(const struct kvshard *shard, size_t i,
			    kvstore_visit *fn, void *arg)
{
	int64_t n = 0;

	for (const struct kvitem *it = shard->buckets[i]; it;
	     it = it->next, n++)
		fn(it, arg);
	return n;
}

void kvstore_each(struct kvstore *s, kvstore_visit *fn, void *arg)
{
	for (int i = 0; i < KV_SHARDS; i++) {
		struct kvshard *shard = &s->shards[i];

		rg_mutex_lock(&shard->lock);
		for (size_t b = 0; b < shard->n_buckets; b++)
			visit_bucket(shard, b, fn, arg);
		rg_mutex_unlock(&shard->lock);
	}
}

static uint64_t reverse_bits(uint64_t v)
{
	uint64_t r = 0;

	for (int i = 0; i < 64; i++, v >>= 1)
		r = r << 1 | (v & 1);
	return r;
}

/*
 * A cursor is a bucket above 6 bits of shard. Buckets are counted with their bits in
 * reverse: then the buckets that one of a smaller or larger table is merged with or
 * split into are neighbours, and those before it stay before it (Pieter Noordhuis'
 * idea, of Redis).
 */
uint64_t kvstore_scan(struct kvstore *s, uint64_t cursor, int64_t n,
		      kvstore_visit *fn, void *arg)
{
	uint64_t at = cursor / KV_SHARDS, i = cursor % KV_SHARDS;

	for (; i < KV_SHARDS; i++, at = 0) {
		struct kvshard *shard = &s->shards[i];
		uint64_t mask;

		rg_mutex_lock(&shard->lock);
		mask = shard->n_buckets ? shard->n_buckets - 1 : 0;
		do {
			if (shard->n_buckets)
				n -= 1 +
				     visit_bucket(shard, at & mask, fn, arg);
			at = reverse_bits(reverse_bits(at | ~mask) + 1);
		} while (at && n > 0);
		rg_mutex_unlock(&shard->lock);
		if (n <= 0 && at)
			return at * KV_SHARDS + i;
		if (n <= 0 && i + 1 < KV_SHARDS)
			return i + 1;
	}
	return 0;
}
