/* SPDX-License-Identifier: MIT */
/*
 * kvstore - keys, their string values and when they expire, in 64 shards with a mutex
 * each, so that goroutines on several Ps seldom meet.
 *
 *   I1  A shard, and every item of it, is touched under its lock only.
 *   I2  Who holds several locks took them in the order of the shards' numbers.
 *   I3  An item with an expiry is in the heap of its shard, the next to expire on top;
 *       one without is not.
 *   I4  What has expired is never shown: find removes it (lazily), and kvstore_expire
 *       takes the rest away (actively), so that keys nobody asks for cost no memory.
 * A table doubles when it has as many items as buckets, and all at once: its shard is
 * locked for that long, a 64th of the keys.
 *
 * Times are milliseconds since 1970, since a snapshot has to mean the same tomorrow.
 */
#ifndef KVSTORE_H
#define KVSTORE_H

#include <ringgo.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KV_SHARDS = 64 };

struct kvitem {
	struct kvitem *next; /* in its bucket */
	uint64_t hash;
	int64_t expires;  /* ms since 1970; 0: never */
	uint32_t heap_at; /* index in the heap + 1; 0: not in it */
	uint32_t key_len;
	uint32_t len;  /* bytes of the value */
	uint32_t cap;  /* bytes at value */
	uint32_t room; /* bytes for a short value behind the key */
	char *value;   /* there, or an allocation of its own */
	char key[];
};

struct kvshard {
	rg_mutex lock;
	struct kvitem **buckets;
	size_t n_buckets; /* a power of two, or 0 */
	size_t n;
	struct kvitem **heap;
	size_t n_heap, heap_cap;
	size_t bytes; /* of items and values */
	int64_t hits, misses, expired;
} __attribute__((aligned(64)));

struct kvstore {
	struct kvshard shards[KV_SHARDS];
	uint64_t seed[2]; /* of the hash; const after init */
};

/* A key with where it belongs. */
struct kvkey {
	struct kvshard *shard;
	const char *p;
	size_t len;
	uint64_t hash;
};

struct kvstore_sums {
	int64_t n, n_expiring, bytes, hits, misses, expired;
};

/* kvstore_new - NULL: no memory. kvstore_free - nobody uses it any more. */
struct kvstore *kvstore_new(void);
void kvstore_free(struct kvstore *s);

struct kvkey kvstore_key(struct kvstore *s, const char *key, size_t len);

/* Several shards at once: a mask has bit i for shard i. */
uint64_t kvstore_bit(const struct kvstore *s, const struct kvkey *k);
void kvstore_lock(struct kvstore *s, uint64_t mask);
void kvstore_unlock(struct kvstore *s, uint64_t mask);

/* The rest is called under the lock of the shard that is meant. */

/* kvstore_find - the item, or NULL; counts as a hit or miss if is_read. */
struct kvitem *kvstore_find(const struct kvkey *k, int64_t now, bool is_read);

/* kvstore_put - it (what find returned) has the value of len bytes from now on; a new
 * item is made when it is NULL. data NULL: the bytes are the caller's to fill in; as
 * many as it had are kept. Its expiry is untouched. NULL: no memory, nothing happened. */
struct kvitem *kvstore_put(const struct kvkey *k, struct kvitem *it,
			   const void *data, size_t len);
void kvstore_remove(struct kvshard *shard, struct kvitem *it);

/* kvstore_set_expiry - 0: never. false: no memory, nothing happened. */
bool kvstore_set_expiry(struct kvshard *shard, struct kvitem *it, int64_t at);

/* These lock by themselves.
 * kvstore_expire - remove what has expired, shard by shard.
 * kvstore_clear - remove everything, at one point in time.
 * kvstore_sum - figures, shard by shard; is_reset: the counters restart at 0. */
void kvstore_expire(struct kvstore *s, int64_t now);
void kvstore_clear(struct kvstore *s);
struct kvstore_sums kvstore_sum(struct kvstore *s, bool is_reset);

/*
 * kvstore_each - visit every item, locking a shard at a time.
 * kvstore_scan - visit some, about n of them, from cursor on (0: the beginning); the
 * next cursor, 0 at the end. What is there during the whole of a scan is visited, maybe
 * twice, also when tables grow or shrink meanwhile.
 */
typedef void kvstore_visit(const struct kvitem *it, void *arg);
void kvstore_each(struct kvstore *s, kvstore_visit *fn, void *arg);
uint64_t kvstore_scan(struct kvstore *s, uint64_t cursor, int64_t n,
		      kvstore_visit *fn, void *arg);

#endif
