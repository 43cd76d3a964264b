// SPDX-License-Identifier: MIT
/*
 * meet - latches, barriers, wait groups: what those who meet at one know of each other.
 *
 * See race.h. They may be freed by whoever comes out first, and a barrier's next round
 * begins while others have not yet come out of the last one: neither may hide an order
 * nor make one.
 */
#include "tests/race/race.h"

#include <stdlib.h>

static rg_latch latch;
static rg_barrier barrier;

/* ---- latches ---- */

static void knocks(void *arg)
{
	(void)arg;
	before();
	rg_latch_count_down(&latch);
	after();
}

static void case_latch_wait(void)
{
	rg_latch_init(&latch, 1);
	rg_go(knocks, NULL);
	rg_latch_wait(&latch);
	reads();
}

static void case_latch_is_open(void)
{
	rg_latch_init(&latch, 1);
	rg_go(knocks, NULL);
	while (!rg_latch_is_open(&latch))
		rg_yield();
	reads();
}

static void knocks_first(void *arg)
{
	knocks(arg);
	flag_set(1);
}

static void knocks_second(void *arg)
{
	(void)arg;
	flag_wait(1);
	rg_latch_count_down(&latch);
}

/* Not only the knock that opens counts. */
static void case_latch_knocks(void)
{
	rg_latch_init(&latch, 2);
	rg_go(knocks_first, NULL);
	rg_go(knocks_second, NULL);
	rg_latch_wait(&latch);
	reads();
}

/* Who opens it knows of the others. */
static void case_latch_opener(void)
{
	rg_latch_init(&latch, 2);
	rg_go(knocks_first, NULL);
	flag_wait(1);
	rg_latch_count_down(&latch);
	reads();
}

static void writes_and_knocks(void *arg)
{
	(void)arg;
	shared = 1;
	rg_latch_count_down(&latch);
	flag_set(1);
}

/* Nobody knows of a knock that came when it was open. */
static void case_latch_late(void)
{
	rg_latch_init(&latch, racy ? 1 : 2);
	rg_latch_count_down(&latch);
	rg_go(writes_and_knocks, NULL);
	flag_wait(1);
	rg_latch_wait(&latch);
	reads();
}

/* What is freed by the one that is out first, under the others' feet. On one P: who has
 * said that it will wait does so before another one runs. */
static rg_latch *passing;
static rg_waitgroup *passing_group;

static void says_it_waits(void)
{
	__atomic_fetch_add(&flag, 1, __ATOMIC_RELAXED);
}

static void waits_at_passing(void *arg)
{
	(void)arg;
	says_it_waits();
	rg_latch_wait(passing);
	reads();
}

static void opens_passing(void *arg)
{
	(void)arg;
	before();
	rg_latch_count_down(passing);
	after();
}

static void case_latch_freed(void)
{
	passing = malloc(sizeof(*passing));
	rg_latch_init(passing, 2);
	for (int i = 0; i < 2; i++)
		rg_go(waits_at_passing, NULL);
	flag_wait(2);
	rg_go(opens_passing, NULL);
	rg_latch_count_down(passing);
	rg_latch_wait(passing);
	free(passing);
}

static void waits_for_passing_group(void *arg)
{
	(void)arg;
	says_it_waits();
	rg_waitgroup_wait(passing_group);
	reads();
}

static void is_done_with_passing(void *arg)
{
	(void)arg;
	before();
	rg_waitgroup_done(passing_group);
	after();
}

static void case_waitgroup_freed(void)
{
	passing_group = calloc(1, sizeof(*passing_group));
	rg_waitgroup_add(passing_group, 2);
	for (int i = 0; i < 2; i++)
		rg_go(waits_for_passing_group, NULL);
	flag_wait(2);
	rg_go(is_done_with_passing, NULL);
	rg_waitgroup_done(passing_group);
	rg_waitgroup_wait(passing_group);
	free(passing_group);
}

static void is_done_last(void *arg)
{
	(void)arg;
	rg_sleep(2 * RG_MILLISECOND);
	if (racy)
		rg_waitgroup_done(passing_group);
	else
		rg_waitgroup_wait(passing_group);
	reads();
	flag_set(1);
}

static void waits_for_all(void *arg)
{
	(void)arg;
	rg_waitgroup_wait(passing_group);
}

/* To be done last, which wakes who waits, is not to wait for the others. */
static void case_waitgroup_last(void)
{
	rg_waitgroup group = {0};

	passing_group = &group;
	rg_waitgroup_add(&group, racy ? 2 : 1);
	rg_go(waits_for_all, NULL);
	rg_go(is_done_last, NULL);
	shared = 1;
	rg_waitgroup_done(&group);
	flag_wait(1);
	wait_for_all();
}

/* ---- barriers ---- */

static void arrives(void *arg)
{
	(void)arg;
	before();
	rg_barrier_wait(&barrier);
	after();
}

static void arrives_late(void *arg)
{
	rg_sleep(2 * RG_MILLISECOND);
	arrives(arg);
}

static void case_barrier_first(void)
{
	rg_barrier_init(&barrier, 2);
	rg_go(arrives, NULL);
	rg_sleep(2 * RG_MILLISECOND);
	rg_barrier_wait(&barrier);
	reads();
}

static void case_barrier_last(void)
{
	rg_barrier_init(&barrier, 2);
	rg_go(arrives_late, NULL);
	rg_barrier_wait(&barrier);
	reads();
}

static void only_arrives(void *arg)
{
	(void)arg;
	rg_barrier_wait(&barrier);
}

/* Two who park know of each other, too. */
static void case_barrier_third(void)
{
	rg_barrier_init(&barrier, 3);
	rg_go(arrives, NULL);
	rg_go(only_arrives, NULL);
	rg_barrier_wait(&barrier);
	reads();
}

static void writes_between(void *arg)
{
	(void)arg;
	before();
	rg_barrier_wait(&barrier);
	after();
	rg_barrier_wait(&barrier);
}

/* Who arrives for the next round is not in this one. */
static void case_barrier_rounds(void)
{
	rg_barrier_init(&barrier, 2);
	rg_go(writes_between, NULL);
	rg_barrier_wait(&barrier);
	reads();
	rg_barrier_wait(&barrier);
}

/* The same, the other one ends the round: it goes on while this one wakes up. */
static void writes_between_late(void *arg)
{
	rg_sleep(2 * RG_MILLISECOND);
	writes_between(arg);
}

static void case_barrier_rounds_late(void)
{
	rg_barrier_init(&barrier, 2);
	rg_go(writes_between_late, NULL);
	rg_barrier_wait(&barrier);
	reads();
	rg_barrier_wait(&barrier);
}

static void leaves(void *arg)
{
	(void)arg;
	before();
	rg_barrier_leave(&barrier);
	after();
}

static void case_barrier_leave(void)
{
	rg_barrier_init(&barrier, 2);
	rg_go(leaves, NULL);
	rg_barrier_wait(&barrier);
	reads();
}

static void leaves_and_reads(void *arg)
{
	(void)arg;
	rg_sleep(2 * RG_MILLISECOND);
	if (racy)
		rg_barrier_leave(&barrier);
	else
		rg_barrier_wait(&barrier);
	reads();
}

/* To leave is not to wait. */
static void case_barrier_leaver(void)
{
	rg_barrier_init(&barrier, 2);
	rg_go(leaves_and_reads, NULL);
	shared = 1;
	rg_barrier_wait(&barrier);
}

static rg_barrier *round_table;

static void arrives_and_reads(void *arg)
{
	(void)arg;
	rg_barrier_wait(round_table);
	reads();
}

static void arrives_last_and_frees(void *arg)
{
	(void)arg;
	rg_sleep(2 * RG_MILLISECOND);
	rg_barrier_wait(round_table);
	free(round_table);
}

static void case_barrier_freed(void)
{
	round_table = malloc(sizeof(*round_table));
	rg_barrier_init(round_table, 4);
	for (int i = 0; i < 2; i++)
		rg_go(arrives_and_reads, NULL);
	rg_go(arrives_last_and_frees, NULL);
	before();
	rg_barrier_wait(round_table);
	after();
}

int main(int argc, char **argv)
{
	static const struct race_case cases[] = {
		{"latch_wait", case_latch_wait},
		{"latch_is_open", case_latch_is_open},
		{"latch_knocks", case_latch_knocks},
		{"latch_opener", case_latch_opener},
		{"latch_late", case_latch_late},
		{"latch_freed", case_latch_freed},
		{"waitgroup_freed", case_waitgroup_freed},
		{"waitgroup_last", case_waitgroup_last},
		{"barrier_first", case_barrier_first},
		{"barrier_last", case_barrier_last},
		{"barrier_third", case_barrier_third},
		{"barrier_rounds", case_barrier_rounds},
		{"barrier_rounds_late", case_barrier_rounds_late},
		{"barrier_leave", case_barrier_leave},
		{"barrier_leaver", case_barrier_leaver},
		{"barrier_freed", case_barrier_freed},
	};

	if (argc > 1 && (!strcmp(argv[1], "latch_freed") ||
			 !strcmp(argv[1], "waitgroup_freed")))
		setenv("RINGGO_MAXPROCS", "1", 1);
	return race_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
