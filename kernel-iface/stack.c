// SPDX-License-Identifier: MIT
/*
 * stack - see stack.h for the role and the invariants.
 *
 * Measured (Zen 5, Linux 6.18, 2026-10): MADV_GUARD_INSTALL 0.6-0.7 us and one
 * mapping for a million slots; mprotect 2.9-3.4 us, two mappings each, -ENOMEM at
 * slot 32,753. Rejected: one mmap per stack (the same limit), huge pages (64 MiB
 * for 1,024 touched slots).
 */
#include "kernel-iface/stack.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/probe.h"

#ifndef MADV_GUARD_INSTALL
#define RGK_MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#else
#define RGK_MADV_GUARD_INSTALL MADV_GUARD_INSTALL
#endif

/* Address space per chunk: 1 GiB, or 16 slots where slots are large. */
enum { CHUNK_SHIFT = 30, CHUNK_SLOTS_MIN = 16 };

static _Atomic int64_t fail_after = -1;

void stack_fail_after(int64_t n)
{
	atomic_store_explicit(&fail_after, n, memory_order_relaxed);
}

static bool is_injected(void)
{
	if (rg_likely(atomic_load_explicit(&fail_after, memory_order_relaxed) <
		      0))
		return false;
	return atomic_fetch_sub_explicit(&fail_after, 1,
					 memory_order_relaxed) == 0;
}

int stack_class_of(size_t size)
{
	for (int i = 0; i < STACK_CLASSES; i++)
		if (size <= stack_slot_size((unsigned)i) - STACK_GUARD)
			return i;
	return -1;
}

void stack_arena_init(struct stack_arena *a, unsigned class_index)
{
	a->slot_shift = STACK_SLOT_MIN_SHIFT + class_index;
	a->guard_by_mprotect = !probe_has(PROBE_GUARD);
	/* Relaxed: set before other threads know the arena. */
	atomic_store_explicit(&a->nchunks, 0, memory_order_relaxed);
	atomic_store_explicit(&a->nslots, 0, memory_order_relaxed);
	atomic_store_explicit(&a->nvacant, 0, memory_order_relaxed);
}

/* Slots are aligned to their size, so that an address tells its slot. */
static char *map_aligned(size_t size, size_t align)
{
	char *p, *base;
	size_t head;

	if (is_injected())
		return NULL;
	p = mmap(NULL, size + align, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
		 0);
	if (p == MAP_FAILED)
		return NULL;
	base = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));
	head = (size_t)(base - p);
	if (head)
		munmap(p, head);
	if (align - head)
		munmap(base + size, align - head);
	return base;
}

static size_t bits_size(uint32_t slots)
{
	return (slots + 63) / 64 * sizeof(uint64_t);
}

/* mmap, not malloc: a page or two, and nothing of the user's runs under our lock. */
static _Atomic uint64_t *map_bits(uint32_t slots)
{
	void *p = mmap(NULL, bits_size(slots), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Halves the size until the address space has room (RLIMIT_AS, overcommit 2). */
static int add_chunk(struct stack_arena *a)
{
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_relaxed);
	size_t slot = (size_t)1 << a->slot_shift;
	size_t size = (size_t)1 << CHUNK_SHIFT;
	struct stack_chunk *chunk = &a->chunks[n];
	char *base = NULL;

	if (n == STACK_CHUNKS_MAX)
		return -EAGAIN;
	if (size < slot * CHUNK_SLOTS_MIN)
		size = slot * CHUNK_SLOTS_MIN;
	for (; size >= slot && !base; size /= 2) {
		base = map_aligned(size, slot);
		if (base)
			break;
	}
	if (!base)
		return -ENOMEM;
	/* Refused only where huge pages do not exist. */
	madvise(base, size, MADV_NOHUGEPAGE);
	*chunk = (struct stack_chunk){
		.base = base, .slots = (uint32_t)(size >> a->slot_shift)};
	chunk->vacant = map_bits(chunk->slots);
	if (!chunk->vacant) {
		munmap(base, size);
		return -ENOMEM;
	}
	/* C1 release, pairs with C2: the chunk before its number. */
	atomic_store_explicit(&a->nchunks, n + 1, memory_order_release);
	return 0;
}

static int install_guard(struct stack_arena *a, char *slot)
{
	if (is_injected())
		return -ENOMEM;
	if (!a->guard_by_mprotect) {
		if (!madvise(slot, STACK_GUARD, RGK_MADV_GUARD_INSTALL))
			return 0;
		/* EINVAL: an older kernel, or locked memory (mlockall). */
		if (errno != EINVAL)
			return -ENOMEM;
		a->guard_by_mprotect = true;
	}
	/* ENOMEM here is vm.max_map_count. */
	return mprotect(slot, STACK_GUARD, PROT_NONE) ? -EAGAIN : 0;
}

/* ---- vacant slots ---- */

static void vacate_locked(struct stack_arena *a, const char *slot)
{
	for (uint32_t c = 0;; c++) {
		struct stack_chunk *chunk = &a->chunks[c];
		uintptr_t i = ((uintptr_t)slot - (uintptr_t)chunk->base) >>
			      a->slot_shift;

		if (slot < chunk->base || i >= chunk->used)
			continue;
		/* Relaxed: read without the lock as a hint only. */
		atomic_fetch_or_explicit(&chunk->vacant[i / 64],
					 UINT64_C(1) << i % 64,
					 memory_order_relaxed);
		chunk->nvacant++;
		if (i / 64 < chunk->vacant_from)
			chunk->vacant_from = (uint32_t)(i / 64);
		return;
	}
}

void stack_slot_vacate(struct stack_arena *a, char *const *slots, unsigned n)
{
	rtlock_lock(&a->lock);
	for (unsigned i = 0; i < n; i++)
		vacate_locked(a, slots[i]);
	atomic_fetch_add_explicit(&a->nvacant, n, memory_order_relaxed);
	rtlock_unlock(&a->lock);
}

uint64_t stack_vacant_count(const struct stack_arena *a)
{
	/* Relaxed: a figure, and a hint. */
	return atomic_load_explicit(&a->nvacant, memory_order_relaxed);
}

static char *take_of_chunk_locked(struct stack_arena *a,
				  struct stack_chunk *chunk)
{
	uint32_t w = chunk->vacant_from;
	uint64_t word, bit;

	/* Relaxed: written under our lock. nvacant > 0, so there is one. */
	while (!(word = atomic_load_explicit(&chunk->vacant[w],
					     memory_order_relaxed)))
		w++;
	bit = word & -word;
	chunk->vacant_from = w;
	chunk->nvacant--;
	atomic_store_explicit(&chunk->vacant[w], word & ~bit,
			      memory_order_relaxed);
	atomic_fetch_sub_explicit(&a->nvacant, 1, memory_order_relaxed);
	return chunk->base + (((size_t)w * 64 + (size_t)__builtin_ctzll(bit))
			      << a->slot_shift);
}

static char *take_vacant_locked(struct stack_arena *a)
{
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_relaxed);

	if (!stack_vacant_count(a))
		return NULL;
	for (uint32_t c = 0; c < n; c++)
		if (a->chunks[c].nvacant)
			return take_of_chunk_locked(a, &a->chunks[c]);
	return NULL;
}

/* Under the lock: a slot number is taken, nothing is touched yet. */
static int reserve_locked(struct stack_arena *a, char **slot)
{
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_relaxed);
	struct stack_chunk *chunk;
	int err;

	if (a->retry) {
		*slot = a->retry;
		a->retry = NULL;
		return 0;
	}
	if (!n || a->chunks[n - 1].used == a->chunks[n - 1].slots) {
		err = add_chunk(a);
		if (err)
			return err;
		n++;
	}
	chunk = &a->chunks[n - 1];
	*slot = chunk->base + ((size_t)chunk->used++ << a->slot_shift);
	/* Relaxed: a reader may miss the newest slots. */
	atomic_fetch_add_explicit(&a->nslots, 1, memory_order_relaxed);
	return 0;
}

int stack_slot_take(struct stack_arena *a, char **slot)
{
	int err = 0;
	char *vacant;

	rtlock_lock(&a->lock);
	vacant = take_vacant_locked(a);
	if (vacant)
		*slot = vacant;
	else
		err = reserve_locked(a, slot);
	rtlock_unlock(&a->lock);
	if (err || vacant)
		return err; /* a vacant one has its guard */
	err = install_guard(a, *slot);
	if (err) {
		/* Kept for the next call; a second one failing at the same
		 * moment loses a slot of address space, no memory. */
		rtlock_lock(&a->lock);
		a->retry = *slot;
		rtlock_unlock(&a->lock);
	}
	return err;
}

uint64_t stack_slot_count(const struct stack_arena *a)
{
	return atomic_load_explicit(&a->nslots, memory_order_relaxed);
}

char *stack_slot_at(const struct stack_arena *a, uint64_t i)
{
	/* C2 acquire, pairs with C1. */
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_acquire);

	for (uint32_t c = 0; c < n; c++) {
		if (i < a->chunks[c].slots)
			return a->chunks[c].base + (i << a->slot_shift);
		i -= a->chunks[c].slots;
	}
	return NULL;
}

bool stack_slot_is_vacant(const struct stack_arena *a, uint64_t i)
{
	/* C2 acquire, pairs with C1. */
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_acquire);

	for (uint32_t c = 0; c < n; c++) {
		if (i < a->chunks[c].slots)
			return atomic_load_explicit(
				       &a->chunks[c].vacant[i / 64],
				       memory_order_relaxed) >>
				       i % 64 &
			       1;
		i -= a->chunks[c].slots;
	}
	return false;
}

char *stack_slot_of(const struct stack_arena *a, const void *addr)
{
	/* C2 acquire, pairs with C1. */
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_acquire);
	uintptr_t p = (uintptr_t)addr;

	for (uint32_t c = 0; c < n; c++) {
		uintptr_t base = (uintptr_t)a->chunks[c].base;
		uintptr_t offset = p - base;

		if (p >= base && offset < (uintptr_t)a->chunks[c].used
						  << a->slot_shift)
			return a->chunks[c].base +
			       (offset >> a->slot_shift << a->slot_shift);
	}
	return NULL;
}

size_t stack_depth(const char *lo, const char *hi)
{
	unsigned char is_there[128];
	size_t page = (size_t)getpagesize();

	while (lo < hi) {
		size_t n = ((size_t)(hi - lo) + page - 1) / page;

		if (n > sizeof is_there)
			n = sizeof is_there;
		if (mincore((void *)(uintptr_t)lo, n * page, is_there))
			return 0;
		for (size_t i = 0; i < n; i++, lo += page)
			if (is_there[i] & 1)
				return (size_t)(hi - lo);
	}
	return 0;
}

void stack_release(char *lo, char *hi)
{
	/* Can only fail on locked memory, which then simply stays. */
	if (lo < hi)
		madvise(lo, (size_t)(hi - lo), MADV_DONTNEED);
}

void stack_arena_free(struct stack_arena *a)
{
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_relaxed);

	for (uint32_t c = 0; c < n; c++) {
		size_t size = (size_t)a->chunks[c].slots << a->slot_shift;

#if RG_ASAN
		/* Whatever is mapped there next is no stack any more. */
		__asan_unpoison_memory_region(a->chunks[c].base, size);
#endif
		munmap(a->chunks[c].base, size);
		munmap((void *)(uintptr_t)a->chunks[c].vacant,
		       bits_size(a->chunks[c].slots));
	}
	atomic_store_explicit(&a->nchunks, 0, memory_order_relaxed);
	atomic_store_explicit(&a->nslots, 0, memory_order_relaxed);
	atomic_store_explicit(&a->nvacant, 0, memory_order_relaxed);
}
