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

/* Halves the size until the address space has room (RLIMIT_AS, overcommit 2). */
static int add_chunk(struct stack_arena *a)
{
	uint32_t n = atomic_load_explicit(&a->nchunks, memory_order_relaxed);
	size_t slot = (size_t)1 << a->slot_shift;
	size_t size = (size_t)1 << CHUNK_SHIFT;
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
	a->chunks[n].base = base;
	a->chunks[n].slots = (uint32_t)(size >> a->slot_shift);
	a->chunks[n].used = 0;
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
	int err;

	rtlock_lock(&a->lock);
	err = reserve_locked(a, slot);
	rtlock_unlock(&a->lock);
	if (err)
		return err;
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
	}
	atomic_store_explicit(&a->nchunks, 0, memory_order_relaxed);
	atomic_store_explicit(&a->nslots, 0, memory_order_relaxed);
}
