// SPDX-License-Identifier: MIT
/*
 * pair - attacks sched/pair.h: pairs that come late, and those that cannot be had.
 */
#include "tests/support/rgtest.h"

#include <search.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <ringgo.h>

#include "sched/interrupt.h"
#include "sched/pair.h"

static rg_waitgroup wg;

static bool are_there(void *arg)
{
	return sched_nps() >= (intptr_t)arg;
}

static void ids_body(void *arg)
{
	bool is_seen[SCHED_MAX_MS] = {false};
	struct m *mp;
	int n = 0;

	(void)arg;
	T_CHECK_INT_EQ(rg_gomaxprocs(6), 3);
	T_WAIT_UNTIL(are_there, (void *)(intptr_t)6);
	sched_for_each_m(mp)
	{
		T_CHECK(!is_seen[mp->id]);
		is_seen[mp->id] = true;
		T_CHECK_INT_EQ(mp->own->id, mp->id);
		n++;
	}
	T_CHECK_INT_EQ(n, 6);
}

static void pair_late_ones_have_ids_of_their_own(void **state)
{
	(void)state;
	t_run_with(3, ids_body, NULL);
}

/* ---- no more can be had ---- */

static _Atomic long steps[2];
static _Atomic int is_over;

/* Beneath a library's function, so the thread has to be stopped; until one of the
 * two has seen the other go on three times. */
static int compares(const void *a, const void *b)
{
	long seen = -1;

	if (a == b)
		return 0;
	for (int turns = 0; turns < 4 && !is_over;) {
		const _Atomic long *other = &steps[!*(const char *)b];

		steps[(int)*(const char *)b]++;
		turns += *other != seen;
		seen = *other;
	}
	is_over = 1;
	return -1;
}

static void spins_in_callback(void *arg)
{
	static const char other;
	const char *item = arg;
	void *root = NULL;

	T_CHECK(tsearch(item, &root, compares) != NULL);
	T_CHECK(tfind(&other, &root, compares) == NULL);
	T_CHECK(tdelete(item, &root, compares) != NULL);
	rg_waitgroup_done(&wg);
}

static void naps_raw(void *arg)
{
	(void)arg;
	usleep(20 * 1000);
	rg_waitgroup_done(&wg);
}

/* Two stopped threads, two pairs, and main in the global queue, which neither of the
 * two can look at. */
static void refused_body(void *arg)
{
	static char items[] = {0, 1};
	struct rlimit before, now;

	(void)arg;
	if (!interrupt_is_on()) {
		print_message("no preemption in this build\n");
		return;
	}
	while (!are_there((void *)(intptr_t)2)) {
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go(naps_raw, NULL), 0);
		rg_waitgroup_wait(&wg);
	}
	T_CHECK_INT_EQ(getrlimit(RLIMIT_AS, &before), 0);
	now = before;
	now.rlim_cur = (t_status_kb("VmSize") + 64 * 1024) * 1024;
	T_CHECK_INT_EQ(setrlimit(RLIMIT_AS, &now), 0);
	rg_waitgroup_add(&wg, 2);
	for (int i = 0; i < 2; i++)
		T_CHECK_INT_EQ(rg_go(spins_in_callback, &items[i]), 0);
	/* Readied by sysmon, so in the global queue. */
	while (!is_over)
		rg_sleep(RG_MILLISECOND);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(sched_nps(), 2);
	T_CHECK_INT_EQ(setrlimit(RLIMIT_AS, &before), 0);
}

static void pair_refused_keeps_nobody_from_its_turn(void **state)
{
	(void)state;
	t_run_with(1, refused_body, NULL);
}

/* ---- no more than are of use ---- */

static _Atomic int stop;

static int64_t now_ns(void)
{
	struct timespec ts;

	T_CHECK_INT_EQ(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return ts.tv_sec * RG_SECOND + ts.tv_nsec;
}

/* Loses its token in a nap, and is stopped when it computes on without. */
static int naps_and_computes(const void *a, const void *b)
{
	if (a == b)
		return 0;
	while (!stop) {
		int64_t end;

		usleep(500);
		for (end = now_ns() + 3 * RG_MILLISECOND; now_ns() < end;)
			;
	}
	return -1;
}

static void naps_in_callback(void *arg)
{
	static const char other;
	void *root = NULL;

	T_CHECK(tsearch(arg, &root, naps_and_computes) != NULL);
	T_CHECK(tfind(&other, &root, naps_and_computes) == NULL);
	T_CHECK(tdelete(arg, &root, naps_and_computes) != NULL);
	rg_waitgroup_done(&wg);
}

static void yields(void *arg)
{
	(void)arg;
	while (!stop)
		rg_yield();
	rg_waitgroup_done(&wg);
}

static bool was_suspended_often(void *arg)
{
	return interrupt_count(INTERRUPT_SUSPENDED) >= *(uint64_t *)arg + 100;
}

static void few_body(void *arg)
{
	enum { NAPPERS = 3 };
	uint64_t before = interrupt_count(INTERRUPT_SUSPENDED);
	static char items[NAPPERS];

	(void)arg;
	if (!interrupt_is_on()) {
		print_message("no preemption in this build\n");
		return;
	}
	stop = 0;
	rg_waitgroup_add(&wg, 2 * NAPPERS);
	for (int i = 0; i < NAPPERS; i++) {
		T_CHECK_INT_EQ(rg_go(naps_in_callback, &items[i]), 0);
		T_CHECK_INT_EQ(rg_go(yields, NULL), 0);
	}
	T_WAIT_UNTIL(was_suspended_often, &before);
	stop = 1;
	rg_waitgroup_wait(&wg);
	/* One each for those that nap or are stopped, one for the others, and
	 * one that was asked for in between. */
	T_CHECK_INT_LE(sched_nps(), NAPPERS + 2);
}

static void pair_number_follows_those_that_are_stuck(void **state)
{
	(void)state;
	t_run_with(1, few_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pair_late_ones_have_ids_of_their_own),
		cmocka_unit_test(pair_refused_keeps_nobody_from_its_turn),
		cmocka_unit_test(pair_number_follows_those_that_are_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
