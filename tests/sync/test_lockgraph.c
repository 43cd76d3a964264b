// SPDX-License-Identifier: MIT
/*
 * test_lockgraph - RINGGO_DEBUG=deadlock=1: I1 to I5 of sync/lockgraph.h. Each program
 * runs in a process of its own, whose main goroutine is not part of the deadlock.
 */
#include "tests/sync/synctest.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "sched/sched.h"
#include "sync/lockgraph.h"

static rg_mutex a, b, c;
static rg_rwmutex rw;
static rg_once once;
static rg_waitgroup wg;
static rg_chan *step;

struct program {
	void (*fn)(void *arg);
	const char *debug;
};

static void run_program(void *arg)
{
	struct program *p = arg;

	setenv("RINGGO_DEBUG", p->debug, 1);
	t_run_with(2, p->fn, NULL);
}

/* What a program says on stderr; the caller frees it. */
static char *output_of(void (*fn)(void *arg), const char *debug)
{
	struct program p = {fn, debug};

	return t_expect_output(run_program, &p, 0);
}

static void expect_text(void (*fn)(void *arg), const char *const *texts)
{
	char *out = output_of(fn, "deadlock=1");

	for (; *texts; texts++)
		T_CHECK_STR_HAS(out, *texts);
	free(out);
}

static void expect_silence(void (*fn)(void *arg), const char *debug)
{
	char *out = output_of(fn, debug);

	T_CHECK(!strstr(out, "deadlock"));
	free(out);
}

/* ---- circles --------------------------------------------------------------------- */

static void a_then_b(void *arg)
{
	(void)arg;
	rg_mutex_lock(&a);
	rg_send(step, 1);
	WAIT_FOR(b.state_ != 0);
	rg_mutex_lock(&b);
	T_FAIL("not reached");
}

static void crosswise(void *arg)
{
	int one;

	(void)arg;
	step = rg_make(int, 0);
	rg_mutex_lock(&c);
	T_CHECK_INT_EQ(rg_go(a_then_b, NULL), 0);
	rg_recv(step, &one);
	rg_chan_unref(step);
}

static void b_then_a(void *arg)
{
	(void)arg;
	rg_mutex_lock(&b);
	rg_mutex_lock(&a);
	T_FAIL("not reached");
}

static void crosswise_body(void *arg)
{
	crosswise(arg);
	T_CHECK_INT_EQ(rg_go(b_then_a, NULL), 0);
	WAIT_FOR(parklot_count(&a) == 1 && parklot_count(&b) == 1);
	/* The others go on. */
	rg_mutex_unlock(&c);
	T_CHECK_INT_EQ(rg_dump(1, 2), 0);
}

static void lockgraph_mutexes_taken_crosswise_are_reported(void **state)
{
	static const char *const texts[] = {
		"ringgo: partial deadlock: 2 goroutines wait for each other",
		"waits in a_then_b for the rg_mutex at 0x",
		"waits in b_then_a for the rg_mutex at 0x",
		"locked in a_then_b",
		"locked in b_then_a",
		"[sync.Mutex.Lock",
		NULL};
	char *out;

	(void)state;
	expect_text(crosswise_body, texts);
	/* Once when it was found, once in the dump. */
	out = output_of(crosswise_body, "deadlock=1");
	{
		const char *first = strstr(out, "partial deadlock");
		const char *second =
			first ? strstr(first + 1, "partial deadlock") : NULL;

		T_CHECK(second != NULL);
		T_CHECK(!strstr(second + 1, "partial deadlock"));
	}
	free(out);
	expect_silence(crosswise_body, "leak=0");
}

static void lock_twice(void *arg)
{
	(void)arg;
	rg_mutex_lock(&a);
	rg_mutex_lock(&a);
	T_FAIL("not reached");
}

static void twice_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_go(lock_twice, NULL), 0);
	WAIT_FOR(parklot_count(&a) == 1);
}

static void do_once(void *arg)
{
	rg_once_do(&once, do_once, arg);
}

static void once_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_go(do_once, NULL), 0);
	WAIT_FOR(parklot_count(&once.mutex_) == 1);
}

static void lockgraph_lock_taken_twice_is_reported(void **state)
{
	static const char *const texts[] = {
		"partial deadlock: a goroutine waits for itself",
		"waits in lock_twice for the rg_mutex at 0x",
		"it itself locked in lock_twice", NULL};
	static const char *const once_texts[] = {
		"partial deadlock: a goroutine waits for itself",
		"waits in once_slow for the rg_mutex", NULL};

	(void)state;
	expect_text(twice_body, texts);
	expect_text(once_body, once_texts);
}

/* ---- readers ----------------------------------------------------------------------- */

static void read_twice(void *arg)
{
	(void)arg;
	rg_rwmutex_rlock(&rw);
	WAIT_FOR(parklot_count(&rw) == 1);
	rg_rwmutex_rlock(&rw);
	T_FAIL("not reached");
}

static void write_once(void *arg)
{
	(void)arg;
	rg_rwmutex_lock(&rw);
}

static void readers_body(void *arg)
{
	(void)arg;
	/* So that the writer comes second. */
	rg_rwmutex_rlock(&rw);
	T_CHECK_INT_EQ(rg_go(write_once, NULL), 0);
	WAIT_FOR(parklot_count(&rw) == 1);
	rg_rwmutex_runlock(&rw);
	t_wait_goroutines(1);
	rg_rwmutex_unlock(&rw);
}

static void read_twice_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_go(read_twice, NULL), 0);
	WAIT_FOR(rw.state_ != 0);
	T_CHECK_INT_EQ(rg_go(write_once, NULL), 0);
	WAIT_FOR(parklot_count((char *)&rw + 1) == 1);
}

static void lockgraph_read_lock_taken_twice_is_reported(void **state)
{
	static const char *const texts[] = {
		"partial deadlock: 2 goroutines wait for each other",
		"waits in read_twice for the rg_rwmutex at 0x", "waits to lock",
		"read-locked in read_twice", NULL};

	(void)state;
	expect_text(read_twice_body, texts);
	expect_silence(readers_body, "deadlock=1");
}

/* ---- members ------------------------------------------------------------------------ */

static void wait_for_own(void *arg)
{
	rg_waitgroup_wait(arg);
	T_FAIL("not reached");
}

static void own_wg_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_waitgroup_go(&wg, wait_for_own, &wg), 0);
	WAIT_FOR(parklot_count(&wg) == 1);
}

static int waiting_member(void *arg)
{
	return rg_group_wait(arg);
}

static void own_group_body(void *arg)
{
	rg_group *g = rg_group_new(rg_ctx_background());

	(void)arg;
	T_CHECK_INT_EQ(rg_group_go(g, waiting_member, g), 0);
	WAIT_FOR(lockgraph_circles() != NULL);
	/* What it says comes before it parks. */
	WAIT_FOR(parklot_count(lockgraph_circles()->step[0].lock) == 1);
}

static void want_a(void *arg)
{
	(void)arg;
	rg_mutex_lock(&a);
	rg_mutex_unlock(&a);
}

static void hold_and_wait(void *arg)
{
	(void)arg;
	rg_mutex_lock(&a);
	T_CHECK_INT_EQ(rg_waitgroup_go(&wg, want_a, NULL), 0);
	rg_waitgroup_wait(&wg);
	rg_mutex_unlock(&a);
}

static void held_wait_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_go(hold_and_wait, NULL), 0);
	WAIT_FOR(parklot_count(&wg) == 1 && parklot_count(&a) == 1);
}

static void lockgraph_wait_for_ones_own_group_is_reported(void **state)
{
	static const char *const texts[] = {
		"partial deadlock: a goroutine waits for itself",
		"waits in wait_for_own for the rg_waitgroup at 0x",
		"it itself is in since wait_for_own", NULL};
	static const char *const group_texts[] = {
		"partial deadlock: a goroutine waits for itself",
		"is in since waiting_member", NULL};
	static const char *const held_texts[] = {
		"partial deadlock: 2 goroutines wait for each other",
		"waits in hold_and_wait for the rg_waitgroup",
		"waits in want_a for the rg_mutex",
		"is in since want_a",
		"locked in hold_and_wait",
		NULL};

	(void)state;
	expect_text(own_wg_body, texts);
	expect_text(own_group_body, group_texts);
	expect_text(held_wait_body, held_texts);
}

/* ---- for ever ------------------------------------------------------------------------ */

static void nil_recv(void *arg)
{
	rg_chan_recv(arg, NULL);
	T_FAIL("not reached");
}

static void no_cases(void *arg)
{
	(void)arg;
	rg_select(NULL, 0);
	T_FAIL("not reached");
}

static bool is_not_for_ever(struct g *gp, void *arg)
{
	(void)arg;
	return g_state(gp) != G_WAITING ||
	       (gp->wait_reason != WAIT_CHAN_RECV_NIL &&
		gp->wait_reason != WAIT_SELECT_NONE);
}

static struct g *parked_for_ever;

static bool find_for_ever(struct g *gp, void *arg)
{
	(void)arg;
	if (!is_not_for_ever(gp, NULL))
		parked_for_ever = gp;
	return !parked_for_ever;
}

static void wait_for_ever(void (*fn)(void *arg))
{
	T_CHECK_INT_EQ(rg_go(fn, NULL), 0);
	WAIT_FOR((sched_each_g(find_for_ever, NULL), parked_for_ever));
}

static void nil_body(void *arg)
{
	(void)arg;
	wait_for_ever(nil_recv);
}

static void no_cases_body(void *arg)
{
	(void)arg;
	wait_for_ever(no_cases);
}

static void lockgraph_wait_for_nothing_is_reported(void **state)
{
	static const char *const nil_texts[] = {
		"partial deadlock: goroutine 2 waits for ever: chan receive "
		"(nil chan)\ngoroutine 2 [",
		"nil_recv(...)", NULL};
	static const char *const none_texts[] = {
		"partial deadlock: goroutine 2 waits for ever: select "
		"(no cases)\ngoroutine 2 [",
		"no_cases(...)", NULL};

	(void)state;
	expect_text(nil_body, nil_texts);
	expect_text(no_cases_body, none_texts);
	expect_silence(nil_body, "deadlock=0");
}

/* ---- what is none -------------------------------------------------------------------- */

enum { LOCKS = 6, WORKERS = 8, TURNS = 3000 };

static struct {
	rg_mutex m[LOCKS];
	rg_rwmutex rw[LOCKS];
	rg_waitgroup w;
} storm;

static void take_turns(void *arg)
{
	uint64_t rng = (uintptr_t)arg * UINT64_C(0x9E3779B97F4A7C15) + 1;

	for (int i = 0; i < TURNS; i++) {
		int low, high;

		rng = rng * UINT64_C(6364136223846793005) + 1;
		low = (int)(rng >> 40) % (LOCKS - 1);
		high = low + 1 + (int)((rng >> 50) % (LOCKS - 1 - low));
		rg_mutex_lock(&storm.m[low]);
		if (rng >> 63)
			rg_rwmutex_rlock(&storm.rw[high]);
		else
			rg_rwmutex_lock(&storm.rw[high]);
		if (i % 64 == 0)
			rg_yield();
		rg_mutex_unlock(&storm.m[low]);
		if (rng >> 63)
			rg_rwmutex_runlock(&storm.rw[high]);
		else
			rg_rwmutex_unlock(&storm.rw[high]);
	}
}

/* All take their locks in one order: whatever waits for whatever, it is no circle. */
static void storm_body(void *arg)
{
	(void)arg;
	for (intptr_t i = 0; i < WORKERS; i++)
		T_CHECK_INT_EQ(
			rg_waitgroup_go(&storm.w, take_turns, (void *)(i + 1)),
			0);
	rg_waitgroup_wait(&storm.w);
	T_CHECK(!lockgraph_circles());
}

static void unlock_g(void *arg)
{
	WAIT_FOR(parklot_count(arg) == 1);
	rg_mutex_unlock(arg);
}

/* A mutex as a signal: what one locks another unlocks. After the first time that is
 * known. */
static void handed_body(void *arg)
{
	(void)arg;
	rg_mutex_lock(&a);
	T_CHECK_INT_EQ(rg_waitgroup_go(&wg, unlock_g, &a), 0);
	T_CHECK_INT_EQ(rg_go(want_a, NULL), 0);
	rg_waitgroup_wait(&wg);
	t_wait_goroutines(1);
	for (int i = 0; i < 10; i++) {
		rg_mutex_lock(&a);
		T_CHECK_INT_EQ(rg_waitgroup_go(&wg, unlock_g, &a), 0);
		rg_mutex_lock(&a);
		rg_mutex_unlock(&a);
		rg_waitgroup_wait(&wg);
	}
}

static void lockgraph_locks_in_order_or_handed_on_are_no_deadlock(void **state)
{
	(void)state;
	expect_silence(storm_body, "deadlock=1");
	expect_silence(handed_body, "deadlock=1");
}

/* ---- the end of a runtime ---------------------------------------------------------- */

static void two_runtimes(void *arg)
{
	int64_t live;

	(void)arg;
	setenv("RINGGO_DEBUG", "deadlock=1", 1);
	t_run_with(2, own_wg_body, NULL);
	live = alloc_live();
	for (int i = 0; i < 3; i++) {
		memset(&wg, 0, sizeof wg);
		t_run_with(2, own_wg_body, NULL);
		T_CHECK(!lockgraph_circles());
		T_CHECK_INT_EQ(alloc_live(), live);
	}
}

static void lockgraph_is_empty_after_the_runtime(void **state)
{
	(void)state;
	free(t_expect_output(two_runtimes, NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			lockgraph_mutexes_taken_crosswise_are_reported),
		cmocka_unit_test(lockgraph_lock_taken_twice_is_reported),
		cmocka_unit_test(lockgraph_read_lock_taken_twice_is_reported),
		cmocka_unit_test(lockgraph_wait_for_ones_own_group_is_reported),
		cmocka_unit_test(lockgraph_wait_for_nothing_is_reported),
		cmocka_unit_test(
			lockgraph_locks_in_order_or_handed_on_are_no_deadlock),
		cmocka_unit_test(lockgraph_is_empty_after_the_runtime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
