/* SPDX-License-Identifier: MIT */
/*
 * ringgo/map.h - a map that many goroutines and threads use at once: Go's sync.Map.
 *
 * Keys are bytes and are copied: of one size, given at the start (8 for a uint64_t or
 * a pointer, with its address as the key; a struct must have no padding, or zeroed
 * padding), or strings. Values are pointers, NULL included, that the map does not
 * look at.
 *
 * Who owns a value? With retain and release a value is counted. The map has one
 * reference for each that it holds: storing takes over the caller's, when the call
 * succeeds; what a call gives back through a pointer is a reference of the caller's
 * own, which it releases. So a value that is just being replaced is never freed
 * under a reader. NULL is not counted. Without them the map only copies pointers, and the caller sees to
 * it that they live.
 *
 * Each call is atomic, rg_map_clear included; rg_map_range is a walk through a map
 * that may change meanwhile. None parks; release may.
 */
#ifndef RINGGO_MAP_H
#define RINGGO_MAP_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

typedef struct rg_map rg_map;

typedef struct rg_map_options {
	/* Takes one more reference. Runs under a lock: it may not park nor use
	 * the map. An atomic increment is what is meant. */
	void (*retain)(void *value);
	/* Gives one up. Runs without a lock: it may park and use the map. */
	void (*release)(void *value);
	void *reserved[2]; /* zero */
} rg_map_options;

/*
 * rg_map_new - an empty map. key_size: bytes of a key; 0: keys are strings that end in
 * NUL. More than 65,536 panics. options may be NULL. NULL: out of memory.
 */
RG_API rg_map *rg_map_new(size_t key_size, const rg_map_options *options);

/* rg_map_free - release all values and free the map; nobody uses it any more. NULL is
 * nothing. */
RG_API void rg_map_free(rg_map *m);

/* rg_map_load - whether key is there; *value is its value then, else NULL. */
RG_API bool rg_map_load(rg_map *m, const void *key, void **value);

/* rg_map_store - set key's value. 0, or -ENOMEM: nothing was changed. */
RG_API int rg_map_store(rg_map *m, const void *key, void *value);

/*
 * rg_map_load_or_store - set key's value unless it has one. 1: it had, the caller keeps
 * its reference of value; 0: it was set; -ENOMEM. In *actual (which may be NULL) is
 * the value it has now, a reference of the caller's own in either case.
 */
RG_API int rg_map_load_or_store(rg_map *m, const void *key, void *value,
				void **actual);

/* rg_map_swap - set key's value. 1: *previous is the one it had; 0: it had none, NULL;
 * -ENOMEM. */
RG_API int rg_map_swap(rg_map *m, const void *key, void *value,
		       void **previous);

/* rg_map_load_and_delete - delete key; *value is what it had, or NULL.
 * rg_map_delete - the same, and the value is released. Whether it was there. */
RG_API bool rg_map_load_and_delete(rg_map *m, const void *key, void **value);
RG_API bool rg_map_delete(rg_map *m, const void *key);

/* rg_map_compare_and_swap - set key's value if it has the value old_value (which is
 * released then; pointers are compared). rg_map_compare_and_delete - delete it then.
 * Whether that was done. The caller's own reference of old stays the caller's. */
RG_API bool rg_map_compare_and_swap(rg_map *m, const void *key, void *old_value,
				    void *new_value);
RG_API bool rg_map_compare_and_delete(rg_map *m, const void *key,
				      void *old_value);

/*
 * rg_map_range - call fn for the keys that are there, in no order, until it returns
 * false. No key is visited twice, one that is there all the time is visited, and one
 * that comes, goes or changes meanwhile at a moment of the walk. fn may park, use
 * the map, and end its goroutine; key lives until it returns, and so does value,
 * which the map holds for it.
 */
RG_API void rg_map_range(rg_map *m,
			 bool (*fn)(const void *key, void *value, void *arg),
			 void *arg);

/* rg_map_clear - delete all keys at one moment. */
RG_API void rg_map_clear(rg_map *m);

/* rg_map_len - how many keys there are; while it changes, roughly. */
RG_API size_t rg_map_len(const rg_map *m);

RG_END_DECLS

#endif
