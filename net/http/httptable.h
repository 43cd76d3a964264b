/* SPDX-License-Identifier: MIT */
/*
 * httptable - a hash table by text that readers use without a lock while one
 * writer at a time adds entries: the router's only container.
 *
 *   I1  an entry, once found, stays: nothing is removed, and the table that one
 *       outgrows stays as it is for readers that stand on it.
 *   I2  an entry starts with a struct httptable_key, which holds a copy of its
 *       text.
 *   I3  at most 3/4 of the slots are taken, so a search ends.
 *   I4  all memory hangs on a list of blocks and is freed together with it.
 * Writers (get, alloc, free_all) need the owner's lock; httptable_find needs
 * nothing. Never parks. Keys are the program's own, so the hash need not
 * withstand an attacker.
 */
#ifndef RG_HTTPTABLE_H
#define RG_HTTPTABLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct httptable;
struct httptable_block;

struct httptable_key {
	const char *text; /* NUL-terminated */
	uint32_t len;
	uint32_t hash;
};

/* Zeroed memory of the list of blocks, or NULL. */
void *httptable_alloc(struct httptable_block **blocks, size_t size);
void httptable_free_all(struct httptable_block **blocks);

/* The entry with that key in the table *tp (NULL: an empty one), or NULL. */
void *httptable_find(struct httptable *_Atomic *tp, const char *text,
		     size_t len);

/* The same, but an entry of `size` zeroed bytes is created if it is not
 * there; NULL: no memory, and nothing has changed for readers. */
void *httptable_get(struct httptable_block **blocks,
		    struct httptable *_Atomic *tp, const char *text, size_t len,
		    size_t size);

/*
 * httptable_next - the entries in no order: *pos is 0 at first; NULL: no more.
 * Entries added meanwhile may be missed or, if the table grew, seen twice.
 */
void *httptable_next(struct httptable *_Atomic *tp, uint32_t *pos);

#endif
