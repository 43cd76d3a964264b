/* SPDX-License-Identifier: MIT */
/*
 * seedrun - the main function of a program that runs under many seeds (sched/seed.h).
 *
 *	PROGRAM [CASE]
 *
 * runs each case, or the one, under the seeds 1 .. RG_SEEDS (20), on four logical Ps;
 * with RINGGO_SEED set, under that seed alone. What fails aborts, after which the
 * command that does it again is printed. Every REPLAY_EVERYth seed is run twice, and
 * both have to come to the same decisions. For programs linked with all of the library.
 */
#ifndef RG_TESTS_SEEDRUN_H
#define RG_TESTS_SEEDRUN_H

#include "tests/support/rgtest.h"

struct seed_case {
	const char *name;
	void (*body)(void); /* the main goroutine; leaves no goroutine behind */
	void (*raw)(uint64_t seed); /* instead: starts its runtime itself */
	bool has_io; /* decisions depend on the kernel: not compared */
};

int seedrun_main(int argc, char **argv, const struct seed_case *cases,
		 size_t n);

/* seedrun_draw - 0 .. n-1, from the seed, for what the program itself varies. */
uint32_t seedrun_draw(uint32_t n);

/* seedrun_go - rg_go, which has to succeed. */
void seedrun_go(void (*fn)(void *arg), void *arg);

/* seedrun_set - RINGGO_SEED=seed and four Ps for the next runtime. */
void seedrun_set(uint64_t seed);

#endif
