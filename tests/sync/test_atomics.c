// SPDX-License-Identifier: MIT
/*
 * test_atomics - C's atomics on goroutines mean what they mean on threads: SEMANTICS 65.
 * A goroutine may park in between and go on elsewhere.
 */
#include "tests/sync/synctest.h"

enum { ROUNDS = 5000 };

static struct {
	_Alignas(64) _Atomic uint64_t x;
	_Alignas(64) _Atomic uint64_t y;
	_Alignas(64) _Atomic int round[2];
	_Atomic int neither;
	uint64_t seen[2];
} hammer;

/* Both have come to round r. */
static void meet(int me, int r)
{
	hammer.round[me] = r;
	while (hammer.round[!me] < r)
		rg_yield();
}

/* Each writes one and reads the other: not both may read the old value. */
static void store_then_load(int me)
{
	for (int i = 1; i <= ROUNDS; i++) {
		meet(me, 2 * i - 1);
		if (me) {
			hammer.x = (uint64_t)i << 32 | (uint64_t)i;
			hammer.seen[1] = hammer.y;
		} else {
			hammer.y = (uint64_t)i << 32 | (uint64_t)i;
			hammer.seen[0] = hammer.x;
		}
		meet(me, 2 * i);
		T_CHECK_INT_EQ(hammer.seen[me] >> 32,
			       hammer.seen[me] & UINT32_MAX);
		if (!me && hammer.seen[0] >> 32 != (uint64_t)i &&
		    hammer.seen[1] >> 32 != (uint64_t)i)
			hammer.neither++;
	}
}

static void first(void *arg)
{
	(void)arg;
	store_then_load(0);
}

static void second(void *arg)
{
	(void)arg;
	store_then_load(1);
}

static void hammer_body(void *arg)
{
	rg_waitgroup w = {0};

	(void)arg;
	memset(&hammer, 0, sizeof hammer);
	T_CHECK_INT_EQ(rg_waitgroup_go(&w, first, NULL), 0);
	T_CHECK_INT_EQ(rg_waitgroup_go(&w, second, NULL), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(hammer.neither, 0);
}

static void atomics_are_sequentially_consistent(void **state)
{
	(void)state;
	run_both(hammer_body, NULL);
}

static void count_up(void *arg)
{
	_Atomic uint64_t *n = arg;

	for (int i = 0; i < ROUNDS; i++) {
		atomic_fetch_add(n, (UINT64_C(1) << 32) + 1);
		if (i % 256 == 0)
			rg_yield();
	}
}

/* On a goroutine's stack they are aligned as the compiler takes them to be. */
static void stack_body(void *arg)
{
	_Alignas(64) _Atomic uint64_t n = 0;
	rg_waitgroup w = {0};
	long double align;

	(void)arg;
	T_CHECK_INT_EQ((uintptr_t)&n % 64, 0);
	T_CHECK_INT_EQ((uintptr_t)&align % _Alignof(max_align_t), 0);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&w, count_up, &n), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(n >> 32, 4 * ROUNDS);
	T_CHECK_INT_EQ(n & UINT32_MAX, 4 * ROUNDS);
}

static void atomics_on_a_stack_are_aligned_and_lose_nothing(void **state)
{
	(void)state;
	run_both(stack_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(atomics_are_sequentially_consistent),
		cmocka_unit_test(
			atomics_on_a_stack_are_aligned_and_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
