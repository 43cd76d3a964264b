// SPDX-License-Identifier: MIT
/*
 * httptable - see httptable.h. Open addressing with linear search.
 */
#include "net/http/httptable.h"

#include <stdbool.h>
#include <string.h>

#include "kernel-iface/alloc.h"

struct httptable {
	uint32_t mask;
	uint32_t n; /* writers only */
	struct httptable_key *_Atomic slots[];
};

struct httptable_block {
	struct httptable_block *next;
	max_align_t memory[];
};

#define FIRST_SLOTS 4

void *httptable_alloc(struct httptable_block **blocks, size_t size)
{
	struct httptable_block *b = rgk_zalloc(sizeof(*b) + size);

	if (!b)
		return NULL;
	b->next = *blocks;
	*blocks = b;
	return b->memory;
}

void httptable_free_all(struct httptable_block **blocks)
{
	while (*blocks) {
		struct httptable_block *b = *blocks;

		*blocks = b->next;
		rgk_free(b);
	}
}

static uint32_t hash_text(const char *s, size_t len)
{
	const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = len * factor, w;

	for (; len >= 8; s += 8, len -= 8) {
		memcpy(&w, s, 8);
		h = (h ^ w) * factor;
		h ^= h >> 32;
	}
	w = 0;
	for (size_t i = 0; i < len; i++)
		w = w << 8 | (uint8_t)s[i];
	h = (h ^ w) * factor;
	return (uint32_t)(h >> 32);
}

static bool is_key(const struct httptable_key *k, const char *text, size_t len,
		   uint32_t hash)
{
	return k->hash == hash && k->len == len && !memcmp(k->text, text, len);
}

void *httptable_find(struct httptable *_Atomic *tp, const char *text,
		     size_t len)
{
	/* T1 acquire, pairs with T2: the table is complete. */
	struct httptable *t = atomic_load_explicit(tp, memory_order_acquire);
	uint32_t hash;

	if (!t)
		return NULL;
	hash = hash_text(text, len);
	for (uint32_t i = hash;; i++) {
		/* T3 acquire, pairs with T4: the entry is complete. */
		struct httptable_key *k = atomic_load_explicit(
			&t->slots[i & t->mask], memory_order_acquire);

		if (!k || is_key(k, text, len, hash))
			return k;
	}
}

void *httptable_next(struct httptable *_Atomic *tp, uint32_t *pos)
{
	/* T1 acquire, pairs with T2: the table is complete. */
	struct httptable *t = atomic_load_explicit(tp, memory_order_acquire);

	while (t && *pos <= t->mask) {
		/* T3 acquire, pairs with T4: the entry is complete. */
		struct httptable_key *k = atomic_load_explicit(
			&t->slots[(*pos)++], memory_order_acquire);

		if (k)
			return k;
	}
	return NULL;
}

static void put(struct httptable *t, struct httptable_key *k)
{
	uint32_t i = k->hash;

	/* relaxed: the owner's lock orders writers */
	while (atomic_load_explicit(&t->slots[i & t->mask],
				    memory_order_relaxed))
		i++;
	t->n++;
	/* T4 release, pairs with T3. */
	atomic_store_explicit(&t->slots[i & t->mask], k, memory_order_release);
}

/* A table of twice the size with the same entries (old may be NULL). */
static struct httptable *grow(struct httptable_block **blocks,
			      struct httptable *old)
{
	uint32_t nslots = old ? 2 * (old->mask + 1) : FIRST_SLOTS;
	struct httptable *t = httptable_alloc(
		blocks, sizeof(*t) + nslots * sizeof(t->slots[0]));

	if (!t)
		return NULL;
	t->mask = nslots - 1;
	for (uint32_t i = 0; old && i <= old->mask; i++) {
		/* relaxed: the owner's lock orders writers */
		struct httptable_key *k = atomic_load_explicit(
			&old->slots[i], memory_order_relaxed);

		if (k)
			put(t, k);
	}
	return t;
}

void *httptable_get(struct httptable_block **blocks,
		    struct httptable *_Atomic *tp, const char *text, size_t len,
		    size_t size)
{
	struct httptable_key *k = httptable_find(tp, text, len);
	/* relaxed: the owner's lock orders writers */
	struct httptable *t = atomic_load_explicit(tp, memory_order_relaxed);
	char *copy;

	if (k)
		return k;
	k = httptable_alloc(blocks, size + len + 1);
	if (!k)
		return NULL;
	if (!t || 4 * (t->n + 1) > 3 * (t->mask + 1)) {
		t = grow(blocks, t);
		if (!t)
			return NULL;
		/* T2 release, pairs with T1. */
		atomic_store_explicit(tp, t, memory_order_release);
	}
	copy = (char *)k + size;
	memcpy(copy, text, len);
	*k = (struct httptable_key){copy, (uint32_t)len, hash_text(text, len)};
	put(t, k);
	return k;
}
