// SPDX-License-Identifier: MIT
/*
 * singleflight - one call for all who ask for the same at the same time.
 *
 * A call under way is a block with its key, its result, and a wait group that those
 * wait for who came second. The calls of one rg_singleflight are a binary trie over
 * the bits of the keys' hash, in which each call is a node: no table to grow, and
 * zeroed memory is an empty one.
 *
 *   I1  the trie and `waiters` are under the mutex. A node lies on the path that its
 *       hash describes; any node below it may take its place.
 *   I2  a call is in the trie until fn has ended, by return or by rg_exit, or it was
 *       forgotten; nobody joins it afterwards. There is one of a key at most. Its result is written before the wait group's done,
 *       and const from then on.
 *   I3  refs: the caller that runs fn, and each that waits; the last one frees.
 *   I4  those who wait do not touch the rg_singleflight after they unlocked it.
 * After golang.org/x/sync/singleflight; the trie is Chris Wellons' hash trie.
 */
#include "sync/singleflight.h"

#include <ringgo/runtime.h>

#include <stdatomic.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/textmap.h"
#include "sched/point.h"
#include "sched/sched.h"

_Static_assert(sizeof(rg_singleflight) == 16, "part of the ABI");

struct flight {
	struct flight *child[2]; /* I1 */
	uint64_t hash;           /* const */
	rg_singleflight *s;      /* const; for the one who runs fn */
	size_t waiters;          /* I1 */
	bool is_forgotten;       /* I1; not in the trie any more */
	_Atomic size_t refs;     /* I3; any thread */
	rg_waitgroup landed;
	void *value; /* I2 */
	int err;     /* I2 */
	char key[];
};

/* ---- the trie; s->mutex_ is held ------------------------------------------- */

/* FNV-1a, then spread: the trie looks at the high bits first. Where s lies differs
 * from run to run, and so does which keys collide. */
static uint64_t hash_key(const rg_singleflight *s, const char *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)s;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	return h * UINT64_C(0x9E3779B97F4A7C15);
}

static struct flight *root_of(const rg_singleflight *s)
{
	return s->calls_;
}

static struct flight *find(const rg_singleflight *s, const char *key,
			   uint64_t hash)
{
	struct flight *f = root_of(s);

	for (uint64_t h = hash; f; h <<= 1) {
		if (f->hash == hash && !strcmp(f->key, key))
			return f;
		f = f->child[h >> 63];
	}
	return NULL;
}

static void insert(struct flight *f)
{
	struct flight *root = root_of(f->s), **at = &root;

	for (uint64_t h = f->hash; *at; h <<= 1)
		at = &(*at)->child[h >> 63];
	*at = f;
	f->s->calls_ = root;
}

static void take_out(struct flight *f)
{
	struct flight *root = root_of(f->s), **at = &root, **leaf_at, *leaf;

	for (uint64_t h = f->hash; *at != f; h <<= 1)
		at = &(*at)->child[h >> 63];
	leaf_at = at;
	while ((*leaf_at)->child[0] || (*leaf_at)->child[1])
		leaf_at = &(*leaf_at)->child[!(*leaf_at)->child[0]];
	leaf = *leaf_at;
	*leaf_at = NULL;
	if (leaf != f) {
		leaf->child[0] = f->child[0];
		leaf->child[1] = f->child[1];
		*at = leaf;
	}
	f->s->calls_ = root;
}

/* ---- a call ------------------------------------------------------------------ */

static struct flight *flight_new(rg_singleflight *s, const char *key,
				 uint64_t hash)
{
	size_t len = strlen(key) + 1;
	struct flight *f = rgk_zalloc(sizeof(*f) + len);

	if (!f)
		return NULL;
	memcpy(f->key, key, len);
	f->hash = hash;
	f->s = s;
	/* Relaxed: nobody else knows f yet. */
	atomic_store_explicit(&f->refs, 1, memory_order_relaxed);
	rg_waitgroup_add(&f->landed, 1);
	/* Unless fn returns. */
	f->err = -ECANCELED;
	return f;
}

static void flight_unref(struct flight *f)
{
	san_release(f);
	/* F1 release and acquire, pairs with itself: what others read of f comes
	 * before it is freed. */
	if (atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	san_acquire(f);
	rgk_free(f);
}

/* fn has ended. Whether anybody waited for it. */
static bool land(struct flight *f)
{
	rg_singleflight *s = f->s;
	bool shared;

	rg_mutex_lock(&s->mutex_);
	if (!f->is_forgotten)
		take_out(f);
	shared = f->waiters > 0;
	rg_mutex_unlock(&s->mutex_);
	rg_waitgroup_done(&f->landed);
	flight_unref(f);
	return shared;
}

static void land_on_exit(void *f)
{
	land(f);
}

/* As the one who does it. d: stands in for the return; NULL on a foreign thread, where
 * rg_exit panics. */
static RG_CALLS_USER int run(struct flight *f, struct g_defer *d,
			     int (*fn)(void *arg, void **value), void *arg,
			     void **value, bool *shared)
{
	void *made = NULL;
	bool was_shared;
	int err;

	if (d)
		defer_put(d, land_on_exit, f);
	err = fn(arg, &made);
	if (d)
		defer_take(d);
	f->value = made;
	f->err = err;
	was_shared = land(f);
	if (value)
		*value = made;
	if (shared)
		*shared = was_shared;
	return err;
}

static int join(struct flight *f, void **value, bool *shared)
{
	int err;

	rg_waitgroup_wait(&f->landed);
	err = f->err;
	if (value)
		*value = f->value;
	if (shared)
		*shared = true;
	flight_unref(f);
	return err;
}

RG_CALLS_USER int rg_singleflight_do(rg_singleflight *s, const char *key,
				     int (*fn)(void *arg, void **value),
				     void *arg, void **value, bool *shared)
{
	uint64_t hash = hash_key(s, key);
	struct g_defer *d = NULL;
	struct flight *f;

	sched_point();
	rg_mutex_lock(&s->mutex_);
	f = find(s, key, hash);
	if (f) {
		f->waiters++;
		/* Relaxed: the call itself has a reference still. */
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
		rg_mutex_unlock(&s->mutex_);
		return join(f, value, shared);
	}
	f = flight_new(s, key, hash);
	if (f && is_goroutine()) {
		d = rgk_alloc(sizeof(*d));
		if (!d) {
			rgk_free(f);
			f = NULL;
		}
	}
	if (f)
		insert(f);
	rg_mutex_unlock(&s->mutex_);
	return f ? run(f, d, fn, arg, value, shared) : -ENOMEM;
}

void rg_singleflight_forget(rg_singleflight *s, const char *key)
{
	struct flight *f;

	sched_point();
	rg_mutex_lock(&s->mutex_);
	f = find(s, key, hash_key(s, key));
	if (f) {
		take_out(f);
		f->is_forgotten = true;
	}
	rg_mutex_unlock(&s->mutex_);
}

size_t singleflight_waiters(rg_singleflight *s, const char *key)
{
	struct flight *f;
	size_t n;

	rg_mutex_lock(&s->mutex_);
	f = find(s, key, hash_key(s, key));
	n = f ? f->waiters : 0;
	rg_mutex_unlock(&s->mutex_);
	return n;
}
