// SPDX-License-Identifier: MIT
/*
 * stack - attacks I1-I3 of kernel-iface/stack.h: guards, order, limits, faults; and
 * reclaim.h.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/probe.h"
#include "kernel-iface/reclaim.h"
#include "kernel-iface/stack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#if RG_TSAN || RG_ASAN
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

static struct stack_arena arena;

static void open_arena(size_t usable)
{
	int c = stack_class_of(usable);

	assert_true(c >= 0);
	assert_int_equal(probe_init(), 0);
	memset(&arena, 0, sizeof arena);
	stack_arena_init(&arena, (unsigned)c);
}

static void stack_class_holds_the_asked_size(void **state)
{
	(void)state;
	assert_int_equal(stack_class_of(1), 0);
	for (size_t size = 1024; size < (64u << 20); size = size * 2 + 1) {
		int c = stack_class_of(size);

		assert_true(stack_slot_size((unsigned)c) - STACK_GUARD >= size);
		assert_true(c == 0 ||
			    stack_slot_size((unsigned)c - 1) - STACK_GUARD <
				    size);
	}
	assert_int_equal(stack_class_of(SIZE_MAX / 2), -1);
}

static void stack_slots_are_distinct_aligned_and_found_again(void **state)
{
	char *slots[100];

	(void)state;
	open_arena(48 * 1024);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(stack_slot_take(&arena, &slots[i]), 0);
		assert_int_equal((uintptr_t)slots[i] % 65536, 0);
		memset(slots[i] + STACK_GUARD, i, 65536 - STACK_GUARD);
	}
	assert_int_equal(stack_slot_count(&arena), 100);
	for (int i = 0; i < 100; i++) {
		assert_ptr_equal(stack_slot_at(&arena, (uint64_t)i), slots[i]);
		assert_ptr_equal(stack_slot_of(&arena, slots[i] + 65535),
				 slots[i]);
		assert_int_equal(slots[i][40000], i);
	}
	assert_null(stack_slot_of(&arena, &arena));
	assert_null(stack_slot_of(&arena, slots[99] + 65536));
	stack_arena_free(&arena);
}

static void touch_guard(void *arg)
{
	volatile char *p = arg;

	signal(SIGSEGV, SIG_DFL); /* not cmocka's handler */
	*p = 1;
	exit(0);
}

static void check_guard(void)
{
	char *slot;

	assert_int_equal(stack_slot_take(&arena, &slot), 0);
	slot[STACK_GUARD] = 1;
	t_expect_signal(touch_guard, slot + STACK_GUARD - 1, SIGSEGV, NULL);
	t_expect_signal(touch_guard, slot, SIGSEGV, NULL);
	/* Giving pages back leaves the guard. */
	stack_release(slot + STACK_GUARD, slot + 65536);
	assert_int_equal(slot[STACK_GUARD], 0);
	t_expect_signal(touch_guard, slot + STACK_GUARD - 1, SIGSEGV, NULL);
}

static void stack_guard_faults(void **state)
{
	(void)state;
	open_arena(48 * 1024);
	check_guard();
	stack_arena_free(&arena);
}

static void stack_guard_by_mprotect_faults_too(void **state)
{
	(void)state;
	setenv("RINGGO_URING", "off:guard", 1);
	open_arena(48 * 1024);
	unsetenv("RINGGO_URING");
	assert_true(arena.guard_by_mprotect);
	check_guard();
	stack_arena_free(&arena);
	assert_int_equal(probe_init(), 0);
}

static void stack_injected_failures_are_reported_and_recovered(void **state)
{
	char *first, *second;

	(void)state;
	open_arena(48 * 1024);
	stack_fail_after(0); /* the chunk's mapping, at every size */
	assert_int_equal(stack_slot_take(&arena, &first), 0);
	stack_fail_after(0); /* the guard */
	assert_int_equal(stack_slot_take(&arena, &second), -ENOMEM);
	assert_int_equal(stack_slot_take(&arena, &second), 0);
	/* The slot that failed is the one handed out: none was lost. */
	assert_ptr_equal(second, first + 65536);
	assert_int_equal(stack_slot_count(&arena), 2);
	stack_fail_after(-1);
	stack_arena_free(&arena);
}

static void exhaust_address_space(void *arg)
{
	struct rlimit limit = {256u << 20, 256u << 20};
	char *slot;
	int n = 0, err;

	(void)arg;
	if (setrlimit(RLIMIT_AS, &limit))
		exit(9);
	while (!(err = stack_slot_take(&arena, &slot)))
		n++;
	fprintf(stderr, "%d slots, %s\n", n, strerror(-err));
	/* Chunks shrink until they fit, then the error is clear. */
	exit(err == -ENOMEM && n > 500 ? 3 : 4);
}

static void stack_address_space_limit_gives_enomem(void **state)
{
	(void)state;
	if (IS_SANITIZED) /* whose shadow memory needs the address space */
		skip();
	open_arena(48 * 1024);
	t_expect_exit(exhaust_address_space, NULL, 3, NULL);
	stack_arena_free(&arena);
}

static void stack_vacated_slots_come_back_before_fresh_ones(void **state)
{
	char *slots[200], *again;
	struct reclaim r = {0};

	(void)state;
	open_arena(48 * 1024);
	for (int i = 0; i < 200; i++) {
		assert_int_equal(stack_slot_take(&arena, &slots[i]), 0);
		slots[i][STACK_GUARD] = 1;
	}
	for (int i = 0; i < 60; i++)
		reclaim_add(&r, slots[70 + i] + STACK_GUARD,
			    slots[70 + i] + 65536);
	assert_int_equal(reclaim_flush(&r), 60 * (65536 - STACK_GUARD));
	assert_int_equal(r.n, 0);
	stack_slot_vacate(&arena, &slots[70], 60);
	assert_int_equal(stack_vacant_count(&arena), 60);
	assert_true(stack_slot_is_vacant(&arena, 70));
	assert_true(stack_slot_is_vacant(&arena, 129));
	assert_false(stack_slot_is_vacant(&arena, 69));
	assert_false(stack_slot_is_vacant(&arena, 130));
	for (int i = 0; i < 60; i++) {
		assert_int_equal(stack_slot_take(&arena, &again), 0);
		assert_ptr_equal(again, slots[70 + i]);
		assert_int_equal(again[STACK_GUARD], 0);
	}
	assert_int_equal(stack_vacant_count(&arena), 0);
	assert_int_equal(slots[69][STACK_GUARD], 1);
	assert_int_equal(stack_slot_take(&arena, &again), 0);
	assert_ptr_equal(again, slots[199] + 65536);
	assert_int_equal(stack_slot_count(&arena), 201);
	stack_arena_free(&arena);
}

static void reclaim_takes_whole_pages_only(void **state)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct reclaim r = {0};

	(void)state;
	assert_true(p != MAP_FAILED);
	memset(p, 1, 4 * 4096);
	reclaim_add(&r, p + 1, p + 4096 + 4095);
	assert_int_equal(r.n, 0);
	reclaim_add(&r, p + 1, p + 3 * 4096 + 1);
	assert_int_equal(r.n, 1);
	assert_int_equal(reclaim_flush(&r), 2 * 4096);
	assert_int_equal(p[4095], 1);
	assert_int_equal(p[4096], 0);
	assert_int_equal(p[3 * 4096 - 1], 0);
	assert_int_equal(p[3 * 4096], 1);
	assert_int_equal(munmap(p, 4 * 4096), 0);
}

static void reclaim_of_locked_memory_is_refused(void **state)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct reclaim r = {0};

	(void)state;
	assert_true(p != MAP_FAILED);
	/* The sanitizers' mlock does nothing. */
	if (IS_SANITIZED || mlock(p, 4096))
		skip();
	*p = 1;
	reclaim_add(&r, p, p + 4096);
	assert_int_equal(reclaim_flush(&r), -EINVAL);
	assert_int_equal(*p, 1);
	assert_int_equal(munmap(p, 4096), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_class_holds_the_asked_size),
		cmocka_unit_test(
			stack_slots_are_distinct_aligned_and_found_again),
		cmocka_unit_test(stack_guard_faults),
		cmocka_unit_test(stack_guard_by_mprotect_faults_too),
		cmocka_unit_test(
			stack_injected_failures_are_reported_and_recovered),
		cmocka_unit_test(stack_address_space_limit_gives_enomem),
		cmocka_unit_test(
			stack_vacated_slots_come_back_before_fresh_ones),
		cmocka_unit_test(reclaim_takes_whole_pages_only),
		cmocka_unit_test(reclaim_of_locked_memory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
