// SPDX-License-Identifier: MIT
/*
 * coro_cross - the context switch of another architecture, without a test library:
 * exits 0 when everything holds, says what does not and exits 1 otherwise. Built and
 * run by tests/aarch64.sh; works natively, too.
 */
#include "kernel-iface/coro.h"

#include <fenv.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel-iface/base/check.h"

void (*rgk_check_hook)(const char *what);

void rgk_check_failed(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static struct coro main_flow, flow;
static _Alignas(16) char stack[64 * 1024];
static int rounding;

/* Integers and doubles that live across switches, in both flows. */
static __attribute__((noinline)) double busy(struct coro *from, struct coro *to,
					     double seed)
{
	double a = seed, b = seed * 3, c = seed * 5, d = seed * 7;
	uint64_t x = (uint64_t)seed, y = x * 3, z = x * 5, w = x * 7;

	for (int i = 0; i < 1000; i++) {
		a = a * 0.5 + b;
		c = c * 0.25 + d;
		x += y ^ z;
		coro_switch(from, to, NULL, false);
		b = b * 0.5 + c / 3;
		d = d * 0.5 + a / 7;
		w += x;
		y ^= w >> 3;
		z += y;
	}
	return a + b + c + d + (double)(x & 0xffff) + (double)(w & 0xffff);
}

static __attribute__((noinline)) int descend(int depth)
{
	int sum = 0;

	if (!depth) {
		coro_switch(&flow, &main_flow, NULL, false);
		return 1;
	}
	sum = descend(depth - 1);
	__asm__ volatile("" : "+r"(sum)); /* not a tail call */
	return sum + 1;
}

static double flow_sum;

static void entry(void *transfer)
{
	coro_started();
	RG_ASSERT(transfer == &main_flow);
	fesetround(FE_UPWARD);
	RG_ASSERT(descend(10) == 11);
	rounding = fegetround();
	fesetround(FE_TONEAREST);
	flow_sum = busy(&flow, &main_flow, 99);
	coro_switch(&flow, &main_flow, NULL, true);
	abort();
}

int main(void)
{
	static struct coro self;
	double alone_main, alone_flow, sum;
	uintptr_t pcs[32];

	coro_init_thread(&self);
	alone_main = busy(&self, &self, 42);
	alone_flow = busy(&self, &self, 99);
	coro_init_thread(&main_flow);
	coro_init(&flow, stack, stack + sizeof stack, entry);
	coro_switch(&main_flow, &flow, &main_flow, false);
	RG_ASSERT(fegetround() == FE_TONEAREST);
	/* 11 x descend, entry, coro_entry. */
	RG_ASSERT(coro_backtrace(&flow, pcs, 32) == 13 ||
		  coro_backtrace(&flow, pcs, 32) == 12);
	coro_switch(&main_flow, &flow, NULL, false);
	RG_ASSERT(rounding == FE_UPWARD);
	sum = busy(&main_flow, &flow, 42); /* its last switch ends the flow */
	RG_ASSERT(sum == alone_main);
	RG_ASSERT(flow_sum == alone_flow);
	return 0;
}
