/* SPDX-License-Identifier: MIT */
/*
 * race - what the programs of this folder share: cases by name, each in two ways.
 *
 *   PROGRAM NAME        `shared` is written and read in an order that the case makes:
 *                       silent, exit code 0
 *   PROGRAM NAME racy   the same without that order: a data race, exit code 66
 *   PROGRAM             prints the names
 *
 * Built and run by tests/race.sh as a user's programs, each at its own exit code. The
 * racy access may come before or after the other in time; the detector must not care.
 * What a case has to wait for without any order it waits for by flag_wait.
 */
#ifndef RG_TESTS_RACE_H
#define RG_TESTS_RACE_H

#include <ringgo.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int shared;
static bool racy;
static int flag; /* orders nothing: relaxed */

/* The releasing side writes before its release, or, racy, after it. */
static inline void before(void)
{
	if (!racy)
		shared = 1;
}

static inline void after(void)
{
	if (racy)
		shared = 1;
}

static inline void reads(void)
{
	(void)*(volatile int *)&shared;
}

static inline void flag_set(int value)
{
	__atomic_store_n(&flag, value, __ATOMIC_RELAXED);
}

static inline void flag_wait(int value)
{
	while (__atomic_load_n(&flag, __ATOMIC_RELAXED) != value)
		rg_sleep(100 * RG_MICROSECOND);
}

struct race_case {
	const char *name;
	void (*run)(void);
};

static inline void wait_for_all(void)
{
	while (rg_num_goroutine() > 1)
		rg_yield();
}

static int race_app(void *arg)
{
	const struct race_case *c = arg;

	c->run();
	/* Whoever is left runs to its end, also who is started late. */
	wait_for_all();
	rg_sleep(2 * RG_MILLISECOND);
	wait_for_all();
	return 0;
}

static inline int race_main(int argc, char **argv,
			    const struct race_case *cases, int n)
{
	racy = argc > 2 && !strcmp(argv[2], "racy");
	for (int i = 0; i < n; i++) {
		if (argc < 2) {
			puts(cases[i].name);
		} else if (!strcmp(cases[i].name, argv[1])) {
			int code = rg_run(NULL, race_app,
					  (void *)(uintptr_t)&cases[i]);

			/* The end of rg_run comes after everything. */
			reads();
			return code;
		}
	}
	return argc < 2 ? 0 : 2;
}

#endif
