/* SPDX-License-Identifier: MIT */
/*
 * stack - slots of address space for stacks, with guards.
 *
 * Chunks of address space (NORESERVE, no huge pages) are cut into equal slots, one
 * size class each. A slot's lowest GUARD bytes are a guard; the rest is committed
 * by touching it. Slots are never unmapped before stack_arena_free.
 *   I1  fresh slots are handed out in ascending order within a chunk. Reuse is the
 *       caller's free list (LIFO, warm); what lies there for long is given back
 *       without its memory (stack_slot_vacate), and handed out before fresh ones.
 *   I2  slot number i of an arena is valid for i < stack_slot_count; the mapping is
 *       readable for ever: records kept in a slot are type-stable.
 *   I3  a guard is MADV_GUARD_INSTALL where the kernel has it (no mapping of its own:
 *       a million guarded stacks with default sysctls), else mprotect, which ends
 *       with -ENOMEM at vm.max_map_count.
 * The guard is several pages, as a frame larger than a page can jump over one
 * (seen: 32 KiB over 4 KiB); the build also uses -fstack-clash-protection.
 */
#ifndef RGK_STACK_H
#define RGK_STACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel-iface/base/rtlock.h"

enum {
	STACK_GUARD = 16 * 1024,
	STACK_SLOT_MIN_SHIFT = 15, /* 32 KiB slots: 16 KiB usable */
	STACK_SLOT_MAX_SHIFT = 30,
	STACK_CLASSES = STACK_SLOT_MAX_SHIFT - STACK_SLOT_MIN_SHIFT + 1,
	STACK_CHUNKS_MAX = 1024,
};

struct stack_chunk {
	char *base;
	uint32_t slots, used;
	/* under the arena's lock; the bits may be read without */
	uint32_t nvacant;
	uint32_t vacant_from;     /* no bit is set in the words before */
	_Atomic uint64_t *vacant; /* a bit a slot */
};

struct stack_arena {
	struct rtlock lock;
	unsigned slot_shift;
	bool guard_by_mprotect;
	char *retry; /* under lock: its guard could not be installed */
	/* under lock; chunks below nchunks are also readable without */
	_Atomic uint32_t nchunks;
	_Atomic uint64_t nslots; /* handed out, vacant ones included */
	_Atomic uint64_t nvacant;
	struct stack_chunk chunks[STACK_CHUNKS_MAX];
};

/* stack_class_of - the class whose slots have `size` usable bytes; -1: too large. */
int stack_class_of(size_t size);
static inline size_t stack_slot_size(unsigned class_index)
{
	return (size_t)1 << (STACK_SLOT_MIN_SHIFT + class_index);
}

void stack_arena_init(struct stack_arena *a, unsigned class_index);

/*
 * stack_slot_take - a fresh slot with its guard in place. 0 and *slot (its lowest
 * address), -ENOMEM: no address space or memory for tables, -EAGAIN: the limit of
 * mappings (vm.max_map_count) or of chunks is reached. Any thread.
 */
int stack_slot_take(struct stack_arena *a, char **slot);

/*
 * stack_slot_vacate - take back n slots whose pages the caller gave back, or is about to
 * leave as they are: they are handed out again as they are, with their guards.
 */
void stack_slot_vacate(struct stack_arena *a, char *const *slots, unsigned n);
uint64_t stack_vacant_count(const struct stack_arena *a);

/* Whether the i-th slot is vacant: a look, outdated at once. */
bool stack_slot_is_vacant(const struct stack_arena *a, uint64_t i);

/* The i-th slot ever handed out (i < stack_slot_count). Any thread, no lock. */
uint64_t stack_slot_count(const struct stack_arena *a);
char *stack_slot_at(const struct stack_arena *a, uint64_t i);

/* The slot of this arena that holds addr (guard included), or NULL. */
char *stack_slot_of(const struct stack_arena *a, const void *addr);

/*
 * stack_depth - how many bytes below hi are in memory, down to the lowest page of
 * [lo, hi) that is: what the stack was used for since its pages were given back, in
 * whole pages. A system call for each 512 KiB; no lock.
 */
size_t stack_depth(const char *lo, const char *hi);

/* Give the pages of [lo, hi) back; they read as zero afterwards. */
void stack_release(char *lo, char *hi);
void stack_arena_free(struct stack_arena *a); /* nothing runs on it any more */

/* Fault injection for tests: the n-th mmap or guard from now fails once. */
void stack_fail_after(int64_t n);

#endif
