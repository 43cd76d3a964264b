// SPDX-License-Identifier: MIT
/*
 * map - the concurrent map: shards, each a hash table under a lock of its own.
 *
 * The low bits of a key's hash pick the shard, the high bits the bucket. A bucket is a
 * chain of entries in the order of (hash, key); as the bucket's number is the hash's
 * high part, the whole shard is in that order, whatever the size of its table. A
 * walk therefore needs no more than the last entry it visited to go on, and a table
 * that grows meanwhile does not disturb it.
 *
 *   I1  table and chains are under the shard's lock; hash and key of an entry are
 *       const, its value is under the lock.
 *   I2  the chains of one shard, one behind the other, ascend strictly by (hash, key):
 *       a key is there once, and a walk that goes on behind an entry visits no key
 *       twice and passes over none that stays.
 *   I3  an entry in a chain has a reference; so has one in the hands of a walk, and
 *       lives when it was deleted meanwhile. The map's reference of the value goes
 *       with the value, to whoever takes it out.
 *   I4  under a lock: no allocation, no freeing, nothing of the user's but retain.
 *       Locks of several shards are taken in ascending order.
 *   I5  where growing finds no memory the table stays as it is, and gets slower.
 *   I6  a table grows bit by bit: while `old` is there its buckets below `moved` are empty
 *       and their entries in `bucket`, where each has four; the others are empty in
 *       `bucket`. Each insertion moves MOVES of them, so that all are moved long before
 *       the next growth. No lock is held for longer than some hundred entries take.
 * Rejected: lock-free reading as in Go's HashTrieMap. There the collector frees an
 * entry when the last reader has left; here that needs epochs or hazard pointers in
 * every reader, which may be a foreign thread or be stopped for long, and a value
 * taken without a lock could be released before it is retained. A free lock is 10 ns.
 */
#include "sync/map.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sched/seed.h"
#include "sync/cleanup.h"

enum {
	SHARD_BITS = 5,
	NSHARDS = 1 << SHARD_BITS,
	FIRST_BITS = 2, /* of a shard's first table, which lies in the shard */
	MAX_BITS = 40,
	KEY_MAX = 65536,
	BATCH = 16,  /* entries that a walk takes under one lock */
	LOOKS = 512, /* buckets that a walk looks into under one lock */
	MOVES = 4,   /* buckets of the old table that an insertion moves */
};

struct entry {
	struct entry *next;
	uint64_t hash;
	void *value;
	_Atomic size_t refs; /* any thread */
	char key[];
};

struct shard {
	RG_CACHE_ALIGNED struct rtlock lock;
	unsigned bits; /* log2 of the number of buckets */
	unsigned old_bits;
	struct entry **bucket; /* `first` or rgk_alloc's */
	struct entry **old;    /* likewise; NULL: not growing (I6) */
	uint64_t moved;
	_Atomic size_t n; /* written under lock */
	struct entry *first[1 << FIRST_BITS];
};

struct rg_map {
	struct shard shards[NSHARDS];
	/* const */
	size_t key_size; /* 0: strings */
	uint64_t seed;
	rg_map_options options;
};

/* What a call looks for. */
struct wanted {
	const void *key;
	size_t len; /* bytes of key, a string's NUL included */
	uint64_t hash;
	struct shard *s;
};

/* ---- keys ------------------------------------------------------------------ */

/* Both halves of the product: every bit of x reaches every bit of the result. */
static uint64_t fold(uint64_t x)
{
	unsigned __int128 p =
		(unsigned __int128)x * UINT64_C(0x9E3779B97F4A7C15);

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint64_t hash_bytes(uint64_t seed, const char *p, size_t len)
{
	uint64_t h = seed ^ len, word;

	for (; len > sizeof word; p += sizeof word, len -= sizeof word) {
		memcpy(&word, p, sizeof word);
		h = fold(h ^ word) + seed;
	}
	word = 0;
	memcpy(&word, p, len);
	return fold(fold(h ^ word) ^ seed);
}

static struct wanted want(rg_map *m, const void *key)
{
	struct wanted w = {.key = key,
			   .len = m->key_size ? m->key_size : strlen(key) + 1};

	w.hash = hash_bytes(m->seed, key, w.len);
	w.s = &m->shards[w.hash & (NSHARDS - 1)];
	return w;
}

static int compare_keys(const rg_map *m, const void *a, const void *b)
{
	return m->key_size ? memcmp(a, b, m->key_size) : strcmp(a, b);
}

/* Is e before (hash, key), at it, behind it: the order of I2. */
static int compare(const rg_map *m, const struct entry *e, uint64_t hash,
		   const void *key)
{
	if (e->hash != hash)
		return e->hash < hash ? -1 : 1;
	return compare_keys(m, e->key, key);
}

/* ---- entries and values ------------------------------------------------------ */

static struct entry *entry_new(const struct wanted *w, void *value)
{
	struct entry *e = rgk_alloc(sizeof *e + w->len);

	if (!e)
		return NULL;
	*e = (struct entry){.hash = w->hash, .value = value, .refs = 1};
	memcpy(e->key, w->key, w->len);
	return e;
}

static void entry_ref(struct entry *e)
{
	/* Relaxed: who refers to it has a reference, or the lock. */
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
}

static void entry_unref(struct entry *e)
{
	/* E1 acq_rel, pairs with itself: the others' last looks come first. */
	if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
		rgk_free(e);
}

static void retain(const rg_map *m, void *value)
{
	if (m->options.retain && value)
		m->options.retain(value);
}

static void release(const rg_map *m, void *value)
{
	if (m->options.release && value)
		m->options.release(value);
}

/* ---- a shard's table; the lock is held ---------------------------------------- */

/* Whether the bucket for hash is one of the old table. */
static bool is_in_old(const struct shard *s, uint64_t hash)
{
	return rg_unlikely(s->old != NULL) &&
	       hash >> (64 - s->old_bits) >= s->moved;
}

static struct entry **bucket_of(const struct shard *s, uint64_t hash)
{
	if (is_in_old(s, hash))
		return &s->old[hash >> (64 - s->old_bits)];
	return &s->bucket[hash >> (64 - s->bits)];
}

/* The first hash of the bucket behind that of hash; 0: it is the last one. */
static uint64_t next_bucket(const struct shard *s, uint64_t hash)
{
	unsigned shift = 64 - (is_in_old(s, hash) ? s->old_bits : s->bits);

	return ((hash >> shift) + 1) << shift;
}

/* Where the entry is, or would be inserted; *found tells which. */
static struct entry **find(const rg_map *m, const struct wanted *w, bool *found)
{
	struct entry **at = bucket_of(w->s, w->hash);
	int order = 1;

	while (*at && (order = compare(m, *at, w->hash, w->key)) < 0)
		at = &(*at)->next;
	*found = *at && order == 0;
	return at;
}

static size_t count(const struct shard *s)
{
	/* Relaxed: under the lock, or roughly. */
	return atomic_load_explicit(&s->n, memory_order_relaxed);
}

static void set_count(struct shard *s, size_t n)
{
	atomic_store_explicit(&s->n, n, memory_order_relaxed);
}

static void insert(struct shard *s, struct entry **at, struct entry *e)
{
	e->next = *at;
	*at = e;
	set_count(s, count(s) + 1);
}

static struct entry *unlink_at(struct shard *s, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	set_count(s, count(s) - 1);
	return e;
}

/* The entries of one bucket of the old table, which are in order, to the new one. */
static void move_bucket(struct shard *s, uint64_t i)
{
	struct entry **tail = NULL, *e = s->old[i], *next;
	uint64_t last = 0;

	s->old[i] = NULL;
	for (; e; e = next) {
		uint64_t b = e->hash >> (64 - s->bits);

		next = e->next;
		e->next = NULL;
		if (!tail || b != last)
			tail = &s->bucket[b];
		*tail = e;
		tail = &e->next;
		last = b;
	}
}

/* Go on growing. When that was the end: the old table, for free_table. */
static struct entry **move_some(struct shard *s)
{
	struct entry **old = s->old;

	if (rg_likely(!old))
		return NULL;
	for (int i = 0; i < MOVES; i++)
		move_bucket(s, s->moved++);
	if (s->moved < UINT64_C(1) << s->old_bits)
		return NULL;
	s->old = NULL;
	return old;
}

/* ---- growing ------------------------------------------------------------------ */

static bool is_full(const struct shard *s)
{
	return count(s) > UINT64_C(1) << s->bits && s->bits < MAX_BITS &&
	       !s->old;
}

static void free_table(struct shard *s, struct entry **table)
{
	if (table && table != s->first)
		rgk_free(table);
}

/* Without the lock. Four times as large: the entries are moved the less often. */
static RG_NOINLINE void grow(struct shard *s, unsigned bits)
{
	unsigned more = bits + 2;
	struct entry **table = rgk_zalloc(sizeof *table << more);

	if (!table)
		return; /* I5 */
	rtlock_lock(&s->lock);
	if (s->bits != bits || s->old) {
		rtlock_unlock(&s->lock);
		rgk_free(table);
		return; /* another one did it, or cleared the map */
	}
	s->old = s->bucket;
	s->old_bits = bits;
	s->moved = 0;
	s->bucket = table;
	s->bits = more;
	rtlock_unlock(&s->lock);
}

/* ---- the calls ------------------------------------------------------------------ */

bool rg_map_load(rg_map *m, const void *key, void **value)
{
	struct wanted w = want(m, key);
	void *v = NULL;
	bool found;
	struct entry **at;

	sched_point();
	rtlock_lock(&w.s->lock);
	at = find(m, &w, &found);
	if (found) {
		v = (*at)->value;
		if (value)
			retain(m, v);
	}
	rtlock_unlock(&w.s->lock);
	if (value)
		*value = v;
	return found;
}

/*
 * set - the value of key becomes value, and *old what it was; if keeps, it stays what
 * it is and *old is a new reference of it, whether it was there or not. 1: it was
 * there, 0, or -ENOMEM.
 */
static int set(rg_map *m, const void *key, void *value, bool keeps, void **old)
{
	struct wanted w = want(m, key);
	struct entry *fresh = NULL, **at, **emptied = NULL;
	bool found, full = false;
	unsigned bits = 0;

	for (;;) {
		rtlock_lock(&w.s->lock);
		at = find(m, &w, &found);
		if (found || fresh)
			break;
		rtlock_unlock(&w.s->lock);
		fresh = entry_new(&w, value);
		if (!fresh)
			return -ENOMEM;
	}
	*old = found ? (*at)->value : NULL;
	if (found && !keeps)
		(*at)->value = value;
	if (keeps) {
		*old = found ? *old : value;
		retain(m, *old);
	}
	if (!found) {
		insert(w.s, at, fresh);
		fresh = NULL;
		emptied = move_some(w.s);
		full = is_full(w.s);
		bits = w.s->bits;
	}
	rtlock_unlock(&w.s->lock);
	rgk_free(fresh);
	free_table(w.s, emptied);
	if (full)
		grow(w.s, bits);
	return found;
}

int rg_map_swap(rg_map *m, const void *key, void *value, void **previous)
{
	void *old = NULL;
	int had;

	sched_point();
	had = set(m, key, value, false, &old);
	if (had < 0)
		return had;
	if (previous)
		*previous = old;
	else
		release(m, old);
	return had;
}

int rg_map_store(rg_map *m, const void *key, void *value)
{
	int had = rg_map_swap(m, key, value, NULL);

	return had < 0 ? had : 0;
}

int rg_map_load_or_store(rg_map *m, const void *key, void *value, void **actual)
{
	void *now = NULL;
	int had;

	sched_point();
	had = set(m, key, value, true, &now);
	if (had < 0)
		return had;
	if (actual)
		*actual = now;
	else
		release(m, now);
	return had;
}

/* Deletes key, if it has the value *only (NULL: any). Its value is the caller's. */
static bool take(rg_map *m, const void *key, void *const *only, void **value)
{
	struct wanted w = want(m, key);
	struct entry *e = NULL, **at;
	bool found;

	*value = NULL;
	rtlock_lock(&w.s->lock);
	at = find(m, &w, &found);
	if (found && (!only || (*at)->value == *only)) {
		e = unlink_at(w.s, at);
		*value = e->value;
	}
	rtlock_unlock(&w.s->lock);
	if (e)
		entry_unref(e);
	return e;
}

bool rg_map_load_and_delete(rg_map *m, const void *key, void **value)
{
	void *old;
	bool had;

	sched_point();
	had = take(m, key, NULL, &old);
	if (value)
		*value = old;
	else
		release(m, old);
	return had;
}

bool rg_map_delete(rg_map *m, const void *key)
{
	return rg_map_load_and_delete(m, key, NULL);
}

bool rg_map_compare_and_delete(rg_map *m, const void *key, void *old_value)
{
	void *old;
	bool done;

	sched_point();
	done = take(m, key, &old_value, &old);
	release(m, old);
	return done;
}

bool rg_map_compare_and_swap(rg_map *m, const void *key, void *old_value,
			     void *new_value)
{
	struct wanted w = want(m, key);
	struct entry **at;
	bool found;

	sched_point();
	rtlock_lock(&w.s->lock);
	at = find(m, &w, &found);
	found = found && (*at)->value == old_value;
	if (found)
		(*at)->value = new_value;
	rtlock_unlock(&w.s->lock);
	if (found)
		release(m, old_value);
	return found;
}

size_t rg_map_len(const rg_map *m)
{
	size_t n = 0;

	sched_point();
	for (int i = 0; i < NSHARDS; i++)
		n += count(&m->shards[i]);
	return n;
}

/* ---- range ---------------------------------------------------------------------- */

/* A walk: what it has taken out and not visited yet, and where it goes on. */
struct walk {
	rg_map *m;
	unsigned shard;
	uint64_t at_hash;   /* everything of the shard below it was visited */
	struct entry *last; /* visited; a reference; or NULL */
	bool is_through;    /* the shard */
	struct {
		struct entry *e;
		void *value;
	} batch[BATCH];
	unsigned n, at; /* of batch: [at, n) are not given back yet */
};

/* The first entry of its bucket that is not before w->at_hash, nor w->last or before
 * it; or NULL. Lock held. */
static struct entry *go_on(const struct walk *w, const struct shard *s)
{
	struct entry *e = *bucket_of(s, w->at_hash);

	while (e && e->hash < w->at_hash)
		e = e->next;
	while (w->last && e &&
	       compare(w->m, e, w->last->hash, w->last->key) <= 0)
		e = e->next;
	return e;
}

/* Some of the next entries of the shard, perhaps none. false: that was the end. */
static bool fill_some(struct walk *w, const struct shard *s)
{
	struct entry *e = go_on(w, s);

	for (int looks = 0; w->n < BATCH; e = e->next) {
		while (!e) {
			w->at_hash = next_bucket(s, w->at_hash);
			if (!w->at_hash)
				return false;
			e = *bucket_of(s, w->at_hash);
			if (!e && ++looks == LOOKS)
				return true;
		}
		entry_ref(e);
		retain(w->m, e->value);
		w->batch[w->n].e = e;
		w->batch[w->n++].value = e->value;
	}
	w->at_hash = w->batch[w->n - 1].e->hash;
	return true;
}

/* Take the next entries of the shard; false: there is none. */
static bool fill(struct walk *w)
{
	struct shard *s = &w->m->shards[w->shard];

	w->n = w->at = 0;
	while (!w->n && !w->is_through) {
		rtlock_lock(&s->lock);
		w->is_through = !fill_some(w, s);
		rtlock_unlock(&s->lock);
	}
	return w->n;
}

static void set_last(struct walk *w, struct entry *e)
{
	struct entry *former = w->last;

	w->last = e;
	if (former)
		entry_unref(former);
}

/* The walk's cleanup: what was taken and not visited is given back. */
static void end_walk(void *arg)
{
	struct walk *w = arg;

	while (w->at < w->n) {
		unsigned i = w->at++;

		release(w->m, w->batch[i].value);
		entry_unref(w->batch[i].e);
	}
	set_last(w, NULL);
}

/* false: fn wants no more. */
static RG_CALLS_USER bool
visit_batch(struct walk *w, bool (*fn)(const void *key, void *value, void *arg),
	    void *arg)
{
	while (w->at < w->n) {
		unsigned i = w->at;
		bool more = fn(w->batch[i].e->key, w->batch[i].value, arg);

		w->at++;
		set_last(w, w->batch[i].e);
		release(w->m, w->batch[i].value);
		if (!more)
			return false;
	}
	return true;
}

RG_CALLS_USER void
rg_map_range(rg_map *m, bool (*fn)(const void *key, void *value, void *arg),
	     void *arg)
{
	struct walk w = {.m = m};
	struct cleanup c;
	bool more = true;

	sched_point();
	cleanup_begin(&c, end_walk, &w, "rg_map_range");
	for (; more && w.shard < NSHARDS; w.shard++) {
		while (more && fill(&w))
			more = visit_batch(&w, fn, arg);
		set_last(&w, NULL);
		w.at_hash = 0;
		w.is_through = false;
	}
	cleanup_end(&c);
}

/* ---- life ------------------------------------------------------------------------ */

static void reset_shard(struct shard *s)
{
	memset(s->first, 0, sizeof s->first);
	s->bucket = s->first;
	s->bits = FIRST_BITS;
	s->old = NULL;
	set_count(s, 0);
}

static void drop_chain(const rg_map *m, struct entry *e)
{
	while (e) {
		struct entry *next = e->next;

		release(m, e->value);
		entry_unref(e);
		e = next;
	}
}

static void drop_table(const rg_map *m, struct entry **table, unsigned bits)
{
	for (uint64_t i = 0; i < UINT64_C(1) << bits; i++)
		drop_chain(m, table[i]);
}

/* The tables of a shard that was cleared. */
struct dropped {
	struct entry **table, **old; /* NULL: none, or it lies in the shard */
	struct entry *chain[1 << FIRST_BITS]; /* which this is then */
	unsigned bits, old_bits;
};

static struct dropped take_tables(struct shard *s)
{
	struct dropped d = {.bits = s->bits, .old_bits = s->old_bits};

	if (s->bucket != s->first)
		d.table = s->bucket;
	if (s->old != s->first)
		d.old = s->old;
	memcpy(d.chain, s->first, sizeof s->first);
	reset_shard(s);
	return d;
}

static void drop(const rg_map *m, struct dropped *d)
{
	drop_table(m, d->chain, FIRST_BITS);
	if (d->table)
		drop_table(m, d->table, d->bits);
	if (d->old)
		drop_table(m, d->old, d->old_bits);
	rgk_free(d->table);
	rgk_free(d->old);
}

/* At one moment for all shards: every lock is held while the tables are taken away,
 * which is quick, as only their addresses are. */
void rg_map_clear(rg_map *m)
{
	struct dropped d[NSHARDS];

	sched_point();
	for (int i = 0; i < NSHARDS; i++)
		rtlock_lock(&m->shards[i].lock);
	for (int i = 0; i < NSHARDS; i++)
		d[i] = take_tables(&m->shards[i]);
	for (int i = 0; i < NSHARDS; i++)
		rtlock_unlock(&m->shards[i].lock);
	for (int i = 0; i < NSHARDS; i++)
		drop(m, &d[i]);
}

rg_map *rg_map_new(size_t key_size, const rg_map_options *options)
{
	rg_map *m;

	if (key_size > KEY_MAX)
		rg_panic("rg_map_new: a key of %zu bytes", key_size);
	m = rgk_zalloc_aligned(sizeof *m, RG_CACHE_LINE);
	if (!m)
		return NULL;
	m->key_size = key_size;
	if (seed_is_on())
		m->seed = fold(sched_rand());
	else
		m->seed = fold((uintptr_t)m ^ fold((uint64_t)clock_now()));
	if (options)
		m->options = *options;
	for (int i = 0; i < NSHARDS; i++)
		reset_shard(&m->shards[i]);
	return m;
}

void rg_map_free(rg_map *m)
{
	if (!m)
		return;
	for (int i = 0; i < NSHARDS; i++) {
		struct dropped d = take_tables(&m->shards[i]);

		drop(m, &d);
	}
	rgk_free(m);
}

uint64_t map_seed(const rg_map *m)
{
	return m->seed;
}
