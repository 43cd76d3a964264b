// SPDX-License-Identifier: MIT
/*
 * victims - see victims.h: what keeps values in all registers, frames of unusual shape,
 * and calls into libraries.
 */
#include "tests/preemptflags/victims.h"

#include <alloca.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= UINT64_C(0x9E3779B97F4A7C15);
	return x ^ x >> 29;
}

/* As many values alive as there are registers, and some more. */
static uint64_t integers(uint64_t seed)
{
	uint64_t v[18];

	for (unsigned i = 0; i < 18; i++)
		v[i] = mix(seed + i);
	for (int round = 0; round < 300; round++)
		for (unsigned i = 0; i < 18; i++)
			v[i] += v[(i + 1) % 18] * 3 ^ v[(i + 7) % 18] >> 5;
	for (unsigned i = 1; i < 18; i++)
		v[0] ^= v[i];
	return v[0];
}

/* Vectors, where the compiler makes any. */
static uint64_t doubles(uint64_t seed)
{
	double v[64], sum = 0;
	uint64_t out;

	for (unsigned i = 0; i < 64; i++)
		v[i] = (double)(mix(seed + i) >> 20);
	for (int round = 0; round < 100; round++)
		for (unsigned i = 0; i < 64; i++)
			v[i] = v[i] * 0.75 + (double)i;
	for (unsigned i = 0; i < 64; i++)
		sum += sqrt(v[i]);
	memcpy(&out, &sum, sizeof out);
	return out;
}

static uint64_t long_doubles(uint64_t seed)
{
	long double x = (long double)(seed % 1000) + 1, sum = 0;

	for (int i = 1; i < 400; i++) {
		x = x * 1.000001L + 1 / (long double)i;
		sum += x;
	}
	return (uint64_t)(sum * 1e6L);
}

static __attribute__((noinline)) uint64_t recurse(uint64_t x, int depth)
{
	volatile uint64_t here[4] = {x, x + 1, x + 2, x + 3};

	if (!depth)
		return mix(x);
	return recurse(mix(x + here[depth % 4]), depth - 1) + here[0] +
	       recurse(x ^ here[3], depth > 3 ? depth - 3 : 0);
}

static uint64_t recursion(uint64_t seed)
{
	return recurse(seed, 16);
}

/* The stack pointer moves by what only run time knows. */
static uint64_t moving_stack(uint64_t seed)
{
	uint64_t sum = 0;

	for (unsigned n = 1; n < 40; n++) {
		size_t size = 16 + mix(seed + n) % 64;
		unsigned char *p = alloca(size);

		memset(p, (int)n, size);
		for (size_t i = 0; i < size; i++)
			sum = sum * 31 + p[i];
	}
	return sum;
}

static __attribute__((noinline)) uint64_t add_up(int n, ...)
{
	uint64_t sum = 0;
	va_list args;

	va_start(args, n);
	for (int i = 0; i < n; i++) {
		sum += va_arg(args, uint64_t);
		sum ^= (uint64_t)va_arg(args, double);
	}
	va_end(args);
	return sum;
}

struct large {
	uint64_t word[12];
};

static __attribute__((noinline)) struct large by_value(struct large l,
						       uint64_t x)
{
	for (unsigned i = 0; i < 12; i++)
		l.word[i] = mix(l.word[i] + x);
	return l;
}

static uint64_t arguments(uint64_t seed)
{
	struct large l = {{seed}};
	uint64_t sum = 0;

	for (unsigned i = 0; i < 60; i++) {
		sum += add_up(6, seed, 1.5, sum, 2.5, seed + i, 3.0, seed, 4.0,
			      sum, 5.0, seed, (double)i);
		l = by_value(l, sum);
	}
	return sum ^ l.word[11];
}

static __attribute__((noinline)) uint64_t pick(unsigned n, uint64_t x)
{
	switch (n) {
	case 0:
		return mix(x);
	case 1:
		return x * 7;
	case 2:
		return x ^ x << 13;
	case 3:
		return x + 0x1234567;
	case 4:
		return ~x;
	case 5:
		return x >> 3 | x << 61;
	default:
		return x - n;
	}
}

/* Tables of jumps and indirect calls (endbr64). */
static uint64_t jumps(uint64_t seed)
{
	uint64_t (*volatile fn)(unsigned, uint64_t) = pick;

	for (unsigned i = 0; i < 500; i++)
		seed = fn((unsigned)(seed % 9), seed + i);
	return seed;
}

static int by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t libraries(uint64_t seed)
{
	uint64_t v[40], sum = 0;
	char text[100];

	for (unsigned i = 0; i < 40; i++)
		v[i] = mix(seed + i);
	qsort(v, 40, sizeof *v, by_number);
	for (unsigned i = 0; i < 40; i += 8) {
		char *p = malloc(1 + v[i] % 500);

		if (!p)
			abort();
		snprintf(text, sizeof text, "%llu %g", (unsigned long long)v[i],
			 (double)v[i]);
		p[0] = text[i % 16];
		sum = sum * 31 + strtoull(text, NULL, 10) + (unsigned char)p[0];
		free(p);
	}
	return sum;
}

const struct victim victims[] = {
	{"integers", integers},
	{"doubles", doubles},
	{"long doubles", long_doubles},
	{"recursion", recursion},
	{"moving stack", moving_stack},
	{"arguments", arguments},
	{"jumps", jumps},
	{"libraries", libraries},
	{NULL, NULL},
};
