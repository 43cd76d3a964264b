// SPDX-License-Identifier: MIT
/*
 * coro - attacks I1-I4 of kernel-iface/coro.h and the unwinding of stopped flows.
 *
 * Every check runs on the test's own stack; the flows only record.
 * RG-LDFLAGS: -lm
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/coro.h"

#include <fenv.h>
#include <stdlib.h>

enum { STACK = 64 * 1024 };

static struct coro main_flow, flow;
static _Alignas(16) char stack[STACK];
static int steps;
static void *seen[4];
static uint64_t sums[4];

static void simple(void *transfer)
{
	coro_started();
	seen[0] = transfer;
	steps++;
	seen[1] = coro_switch(&flow, &main_flow, &sums[0], false);
	steps++;
	coro_switch(&flow, &main_flow, &sums[1], true);
	abort();
}

static void coro_transfer_value_comes_out_on_the_other_side(void **state)
{
	void *back;

	(void)state;
	coro_init_thread(&main_flow);
	coro_init(&flow, stack, stack + STACK, simple);
	back = coro_switch(&main_flow, &flow, &steps, false);
	assert_int_equal(steps, 1);
	assert_ptr_equal(seen[0], &steps);
	assert_ptr_equal(back, &sums[0]);
	back = coro_switch(&main_flow, &flow, &seen[2], false);
	assert_ptr_equal(seen[1], &seen[2]);
	assert_ptr_equal(back, &sums[1]);
	assert_int_equal(steps, 2);
	coro_fini(&flow);
}

/* Values that the compiler likes to keep in callee-saved registers. */
static __attribute__((noinline)) uint64_t busy(struct coro *from,
					       struct coro *to, uint64_t seed)
{
	uint64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7;
	uint64_t e = seed * 11, f = seed * 13;
	double x = (double)seed / 3, y = (double)seed / 7;

	for (int i = 0; i < 1000; i++) {
		a += b ^ (uint64_t)i;
		c += d + a;
		e ^= f + c;
		x = x * 0.5 + y;
		coro_switch(from, to, NULL, false);
		b += e;
		y += x / 3;
		f += a;
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ (uint64_t)(x * 1000) ^
	       (uint64_t)(y * 1000);
}

static struct coro self_a, self_b;

static void busy_flow(void *transfer)
{
	(void)transfer;
	coro_started();
	sums[1] = busy(&flow, &main_flow, 99);
	coro_switch(&flow, &main_flow, NULL, true);
	abort();
}

static uint64_t busy_alone(uint64_t seed)
{
	/* A switch to itself: what happens without any other flow. */
	uint64_t sum;

	coro_init_thread(&self_a);
	coro_init_thread(&self_b);
	sum = busy(&self_a, &self_a, seed);
	return sum;
}

static void coro_switch_keeps_callee_saved_registers(void **state)
{
	uint64_t alone_main = busy_alone(42), alone_flow = busy_alone(99);

	(void)state;
	coro_init_thread(&main_flow);
	coro_init(&flow, stack, stack + STACK, busy_flow);
	sums[0] = busy(&main_flow, &flow, 42);
	coro_switch(&main_flow, &flow, NULL, false);
	assert_true(sums[0] == alone_main);
	assert_true(sums[1] == alone_flow);
	coro_fini(&flow);
}

static void rounding_flow(void *transfer)
{
	(void)transfer;
	coro_started();
	fesetround(FE_UPWARD);
	coro_switch(&flow, &main_flow, NULL, false);
	steps = fegetround();
	coro_switch(&flow, &main_flow, NULL, true);
	abort();
}

static void coro_switch_keeps_floating_point_control(void **state)
{
	(void)state;
	coro_init_thread(&main_flow);
	fesetround(FE_TONEAREST);
	coro_init(&flow, stack, stack + STACK, rounding_flow);
	coro_switch(&main_flow, &flow, NULL, false);
	assert_int_equal(fegetround(), FE_TONEAREST);
	fesetround(FE_DOWNWARD);
	coro_switch(&main_flow, &flow, NULL, false);
	assert_int_equal(steps, FE_UPWARD);
	assert_int_equal(fegetround(), FE_DOWNWARD);
	fesetround(FE_TONEAREST);
	coro_fini(&flow);
}

/* In a section of its own: a program counter tells whether it lies in it. */
static __attribute__((noinline, section("text_descend"))) int descend(int depth)
{
	int sum;

	if (!depth) {
		coro_switch(&flow, &main_flow, NULL, false);
		return 1;
	}
	sum = descend(depth - 1);
	/* Not a tail call. */
	__asm__ volatile("" : "+r"(sum));
	return sum + 1;
}

static void deep_flow(void *transfer)
{
	(void)transfer;
	coro_started();
	steps = descend(10);
	coro_switch(&flow, &main_flow, NULL, true);
	abort();
}

extern const char __start_text_descend[], __stop_text_descend[];

static bool is_in_descend(uintptr_t pc)
{
	return pc > (uintptr_t)__start_text_descend &&
	       pc <= (uintptr_t)__stop_text_descend;
}

static void coro_backtrace_of_a_stopped_flow_is_exact(void **state)
{
	uintptr_t pcs[64];
	size_t n, in_descend = 0;

	(void)state;
	coro_init_thread(&main_flow);
	coro_init(&flow, stack, stack + STACK, deep_flow);
	coro_switch(&main_flow, &flow, NULL, false);
	n = coro_backtrace(&flow, pcs, 64);
	/* 11 x descend, deep_flow, and the entry that ends the chain. */
	assert_in_range(n, 12, 13);
	for (size_t i = 0; i < n; i++)
		in_descend += is_in_descend(pcs[i]);
	assert_int_equal(in_descend, 11);
	/* It was only looked at: it still runs. */
	coro_switch(&main_flow, &flow, NULL, false);
	assert_int_equal(steps, 11);
	coro_fini(&flow);
}

static void coro_backtrace_of_a_flow_never_started_ends(void **state)
{
	uintptr_t pcs[8];

	(void)state;
	coro_init(&flow, stack, stack + STACK, simple);
	assert_in_range(coro_backtrace(&flow, pcs, 8), 0, 1);
	coro_fini(&flow);
}

static void coro_backtrace_honours_the_limit(void **state)
{
	uintptr_t pcs[4] = {0, 0, 0, 7};

	(void)state;
	assert_int_equal(coro_backtrace_self(pcs, 3, 0), 3);
	assert_int_equal(pcs[3], 7);
}

int main(void)
{
	/* Flows here share variables without any order but the switch, which
	 * is none in its eyes. */
	if (RG_TSAN)
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			coro_transfer_value_comes_out_on_the_other_side),
		cmocka_unit_test(coro_switch_keeps_callee_saved_registers),
		cmocka_unit_test(coro_switch_keeps_floating_point_control),
		cmocka_unit_test(coro_backtrace_of_a_stopped_flow_is_exact),
		cmocka_unit_test(coro_backtrace_of_a_flow_never_started_ends),
		cmocka_unit_test(coro_backtrace_honours_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
