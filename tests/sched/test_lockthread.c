// SPDX-License-Identifier: MIT
/*
 * lockthread - rg_lock_os_thread: lockthread.h I2 to I4, token.h I6. What becomes of threads:
 * test_threadlife.c.
 *
 * Who runs where is told by thread ids: a locked goroutine writes its own into a table,
 * and whoever else meets a thread of the table fails.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"
#include "sched/lockthread.h"

static int tid(void)
{
	return (int)syscall(SYS_gettid);
}

static bool is_locked(void)
{
	return lockthread_is_locked(getg());
}

/* ---- the table of threads that belong to one goroutine ---- */

enum { OWNED_MAX = 1024 };
static _Atomic uint64_t owned[OWNED_MAX]; /* goid << 32 | tid */
static _Atomic int nowned;

static void own_this_thread(void)
{
	int i = atomic_fetch_add(&nowned, 1);

	T_CHECK(i < OWNED_MAX);
	owned[i] = rg_goid() << 32 | (uint32_t)tid();
}

static void disown_thread(int thread)
{
	for (int i = 0; i < nowned; i++)
		if ((uint32_t)owned[i] == (uint32_t)thread)
			owned[i] = 0;
}

/* The caller may be here. */
static void check_place(void)
{
	uint64_t self = rg_goid();
	uint32_t here = (uint32_t)tid();

	for (int i = 0; i < nowned; i++) {
		uint64_t o = owned[i];

		if (o && (uint32_t)o == here && o >> 32 != self)
			T_FAIL("goroutine %llu on the thread of %llu",
			       (unsigned long long)self,
			       (unsigned long long)(o >> 32));
		if (o && o >> 32 == self && (uint32_t)o != here)
			T_FAIL("goroutine %llu left its thread",
			       (unsigned long long)self);
	}
}

static int reset(void **state)
{
	(void)state;
	memset(owned, 0, sizeof owned);
	nowned = 0;
	return 0;
}

/* ---- counts ---- */

static void counts_body(void *arg)
{
	(void)arg;
	T_CHECK(!is_locked());
	rg_unlock_os_thread(); /* nothing to undo */
	T_CHECK(!is_locked());
	rg_lock_os_thread();
	rg_lock_os_thread();
	T_CHECK(is_locked());
	rg_unlock_os_thread();
	T_CHECK(is_locked());
	rg_unlock_os_thread();
	T_CHECK(!is_locked());
	rg_unlock_os_thread();
	rg_lock_os_thread();
	T_CHECK(is_locked());
	T_CHECK_INT_EQ(lockthread_count(), 1);
	rg_unlock_os_thread();
	T_CHECK_INT_EQ(lockthread_count(), 0);
}

static void lockthread_calls_nest_and_extra_unlocks_do_nothing(void **state)
{
	(void)state;
	t_run_with(1, counts_body, NULL);
	t_run_with(4, counts_body, NULL);
}

static void *lock_in_thread(void *arg)
{
	(void)arg;
	rg_lock_os_thread();
	rg_lock_os_thread();
	rg_unlock_os_thread();
	return NULL;
}

static void foreign_body(void *arg)
{
	(void)arg;
	t_join(t_thread(lock_in_thread, NULL));
	T_CHECK_INT_EQ(lockthread_count(), 0);
}

static void lockthread_of_a_foreign_thread_does_nothing(void **state)
{
	(void)state;
	lock_in_thread(NULL); /* without a runtime */
	t_run_with(1, foreign_body, NULL);
}

/* ---- every kind of park ---- */

static _Atomic bool enough;
static rg_waitgroup wg;
static _Atomic int64_t laps;

static void wanders(void *arg)
{
	rg_chan *c = arg;
	int64_t v = 1;

	while (!enough) {
		check_place();
		laps++;
		rg_yield();
		check_place();
		rg_sleep(20 * RG_MICROSECOND);
		rg_chan_try_send(c, &v);
		check_place();
	}
	rg_waitgroup_done(&wg);
}

static void *what_thread(void *arg)
{
	*(int *)arg = tid();
	return arg;
}

static void sends(void *arg)
{
	int64_t v = 7;

	check_place();
	rg_chan_send(arg, &v);
}

static void writes(void *arg)
{
	check_place();
	T_CHECK_INT_EQ(rg_write(*(int *)arg, "x", 1), 1);
}

static rg_mutex mutex;

static void holds_the_mutex(void *arg)
{
	rg_mutex_lock(&mutex);
	rg_chan_close(arg);
	check_place();
	rg_sleep(RG_MILLISECOND);
	rg_mutex_unlock(&mutex);
}

static void park_everyhow(void)
{
	const struct timespec nap = {0, 3 * RG_MILLISECOND};
	rg_chan *c = rg_make(int64_t, 0), *held = rg_make(int64_t, 0);
	int fds[2], here = 0;
	int64_t v = 0;
	char b;

	check_place();
	T_CHECK_INT_EQ(rg_go(sends, c), 0);
	T_CHECK(rg_chan_recv(c, &v));
	T_CHECK_INT_EQ(v, 7);
	check_place();
	rg_yield();
	check_place();
	T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
	check_place();
	/* The ring closes them, which ThreadSanitizer does not see. */
	san_quiet_begin();
	T_CHECK(pipe(fds) == 0);
	san_quiet_end();
	T_CHECK_INT_EQ(rg_go(writes, &fds[1]), 0);
	T_CHECK_INT_EQ(rg_read(fds[0], &b, 1), 1);
	check_place();
	rg_close(fds[0]);
	rg_close(fds[1]);
	check_place();
	T_CHECK_INT_EQ(rg_go(holds_the_mutex, held), 0);
	T_CHECK(!rg_chan_recv(held, &v));
	rg_mutex_lock(&mutex);
	check_place();
	rg_mutex_unlock(&mutex);
	rg_blocking(what_thread, &here);
	T_CHECK_INT_EQ(here, tid());
	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	check_place();
	rg_chan_unref(c);
	rg_chan_unref(held);
}

static void changes_procs(void)
{
	int was = rg_gomaxprocs(1);

	park_everyhow();
	rg_gomaxprocs(3);
	park_everyhow();
	rg_gomaxprocs(was);
	check_place();
}

static void parks_locked(void *arg)
{
	(void)arg;
	rg_lock_os_thread();
	own_this_thread();
	park_everyhow();
	changes_procs();
	disown_thread(tid());
	rg_unlock_os_thread();
	rg_waitgroup_done(&wg);
}

static bool has_wandered(void *arg)
{
	return laps >= *(int64_t *)arg;
}

static void parks_body(void *arg)
{
	rg_chan *c = rg_make(int64_t, 4);
	int64_t before = laps, goal;

	(void)arg;
	enough = false;
	rg_waitgroup_add(&wg, 4);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(rg_go(wanders, c), 0);
	for (int i = 0; i < 3; i++) {
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go(parks_locked, NULL), 0);
	}
	parks_locked((rg_waitgroup_add(&wg, 1), NULL));
	/* The others went on beside them, and go on. */
	goal = before + 100;
	T_WAIT_UNTIL(has_wandered, &goal);
	enough = true;
	rg_waitgroup_wait(&wg);
	rg_chan_unref(c);
	T_CHECK_INT_EQ(lockthread_count(), 0);
}

static void lockthread_stays_on_its_thread_alone_over_every_park(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs *= 2) {
		reset(NULL);
		t_run_with(procs, parks_body, NULL);
	}
}

/* ---- many ---- */

enum { MANY = 200, MANY_LAPS = 5 };

static void one_of_many(void *arg)
{
	int64_t v;

	rg_lock_os_thread();
	own_this_thread();
	for (int i = 0; i < MANY_LAPS; i++) {
		T_CHECK(rg_chan_recv(arg, &v));
		check_place();
		T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
		check_place();
		rg_yield();
		check_place();
	}
	disown_thread(tid());
	rg_unlock_os_thread();
	rg_waitgroup_done(&wg);
}

static void many_body(void *arg)
{
	rg_chan *c = rg_make(int64_t, 0);

	(void)arg;
	rg_waitgroup_add(&wg, MANY);
	for (int i = 0; i < MANY; i++)
		T_CHECK_INT_EQ(rg_go(one_of_many, c), 0);
	for (int64_t i = 0; i < MANY * MANY_LAPS; i++) {
		rg_chan_send(c, &i);
		check_place();
	}
	rg_waitgroup_wait(&wg);
	rg_chan_unref(c);
}

static void lockthread_200_at_once_have_a_thread_each(void **state)
{
	(void)state;
	t_run_with(1, many_body, NULL);
	reset(NULL);
	t_run_with(4, many_body, NULL);
}

/* ---- two that play ping-pong ---- */

enum { PINGS = 1000 };

struct table {
	rg_chan *ping, *pong;
};

static void pongs(void *arg)
{
	struct table *t = arg;
	int64_t v;

	rg_lock_os_thread();
	own_this_thread();
	while (rg_chan_recv(t->ping, &v)) {
		check_place();
		rg_chan_send(t->pong, &v);
	}
	rg_chan_close(t->pong);
}

static void pings_body(void *arg)
{
	struct table t = {rg_make(int64_t, 0), rg_make(int64_t, 0)};
	int64_t v;

	(void)arg;
	T_CHECK_INT_EQ(rg_go(pongs, &t), 0);
	rg_lock_os_thread();
	own_this_thread();
	for (int64_t i = 0; i < PINGS; i++) {
		rg_chan_send(t.ping, &i);
		T_CHECK(rg_chan_recv(t.pong, &v));
		T_CHECK_INT_EQ(v, i);
		check_place();
	}
	rg_chan_close(t.ping);
	T_CHECK(!rg_chan_recv(t.pong, &v));
	rg_unlock_os_thread();
	t_wait_goroutines(1);
	rg_chan_unref(t.ping);
	rg_chan_unref(t.pong);
}

static void lockthread_two_play_ping_pong(void **state)
{
	(void)state;
	t_run_with(1, pings_body, NULL);
	reset(NULL);
	t_run_with(4, pings_body, NULL);
}

/* token.h I6: two that are always ready leave room for those that are not locked. */

static void yields_locked(void *arg)
{
	(void)arg;
	rg_lock_os_thread();
	while (!enough)
		rg_yield();
	rg_unlock_os_thread();
	rg_waitgroup_done(&wg);
}

static void yields_counting(void *arg)
{
	_Atomic int64_t *n = arg;

	for (; *n < 200; ++*n)
		rg_yield();
	rg_waitgroup_done(&wg);
}

static bool both_are_done(void *arg)
{
	_Atomic int64_t *n = arg;

	return n[0] == 200 && n[1] == 200;
}

static void turns_body(void *arg)
{
	_Atomic int64_t n[2] = {0, 0};

	(void)arg;
	enough = false;
	rg_waitgroup_add(&wg, 4);
	for (int i = 0; i < 2; i++) {
		T_CHECK_INT_EQ(rg_go(yields_locked, NULL), 0);
		T_CHECK_INT_EQ(rg_go(yields_counting, &n[i]), 0);
	}
	T_WAIT_UNTIL(both_are_done, n);
	enough = true;
	rg_waitgroup_wait(&wg);
}

static void lockthread_yielding_ones_let_others_run(void **state)
{
	(void)state;
	t_run_with(1, turns_body, NULL);
	t_run_with(2, turns_body, NULL);
}

/* ---- beside hogs ---- */

static volatile uint64_t sink;

static void computes(void *arg)
{
	(void)arg;
	while (!enough)
		for (int i = 0; i < 1000; i++)
			sink += (uint64_t)i;
	rg_waitgroup_done(&wg);
}

static void computes_locked(void *arg)
{
	rg_lock_os_thread();
	own_this_thread();
	while (!enough) {
		for (int i = 0; i < 1000; i++)
			sink += (uint64_t)i;
		check_place();
	}
	disown_thread(tid());
	rg_unlock_os_thread();
	computes(arg);
}

static void hogs_body(void *arg)
{
	(void)arg;
	enough = false;
	rg_waitgroup_add(&wg, 6);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(rg_go(computes, NULL), 0);
		T_CHECK_INT_EQ(rg_go(computes_locked, NULL), 0);
	}
	rg_lock_os_thread();
	own_this_thread();
	for (int i = 0; i < 20; i++) {
		T_CHECK_INT_EQ(rg_sleep(2 * RG_MILLISECOND), 0);
		check_place();
		rg_yield();
		check_place();
	}
	enough = true;
	rg_waitgroup_wait(&wg);
	rg_unlock_os_thread();
}

static void lockthread_is_preempted_and_stays_on_its_thread(void **state)
{
	(void)state;
	if (SAN_IS_ON)
		skip(); /* nobody is preempted */
	for (int procs = 1; procs <= 4; procs *= 2) {
		reset(NULL);
		t_run_with(procs, hogs_body, NULL);
	}
}

/* ---- I4: who was preempted on a thread has it to itself until it parks ---- */

static void computes_in_place(void *arg)
{
	int here = tid();

	while (!enough) {
		for (int i = 0; i < 1000; i++)
			sink += (uint64_t)i;
		/* Its thread-locals are there. */
		T_CHECK_INT_EQ(tid(), here);
		check_place();
	}
	rg_waitgroup_done(arg);
}

static bool has_two_threads(void *arg)
{
	rg_stats s;

	(void)arg;
	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	return s.threads >= 2;
}

static void moves_body(void *arg)
{
	int moved = 0;

	(void)arg;
	rg_gomaxprocs(2);
	T_WAIT_UNTIL(has_two_threads, NULL);
	rg_gomaxprocs(1);
	enough = false;
	rg_waitgroup_add(&wg, 1);
	T_CHECK_INT_EQ(rg_go(computes_in_place, &wg), 0);
	for (int i = 0; i < 1000 && !moved; i++) {
		int before;

		T_CHECK_INT_EQ(rg_sleep(2 * RG_MILLISECOND), 0);
		before = tid();
		rg_lock_os_thread();
		moved += tid() != before;
		own_this_thread();
		T_CHECK_INT_EQ(rg_sleep(2 * RG_MILLISECOND), 0);
		check_place();
		reset(NULL);
		rg_unlock_os_thread();
	}
	enough = true;
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(moved, 1);
}

static void lockthread_leaves_a_thread_to_who_was_preempted_on_it(void **state)
{
	(void)state;
	if (SAN_IS_ON || rg_preempt_allow((const void *)(uintptr_t)&tid))
		skip(); /* no stack is left */
	t_run_with(1, moves_body, NULL);
}

/* ---- main ---- */

static void main_body(void *arg)
{
	rg_lock_os_thread();
	T_CHECK_INT_EQ(tid(), *(int *)arg);
	T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
	T_CHECK_INT_EQ(tid(), *(int *)arg);
}

static void lockthread_main_has_the_thread_that_called_run(void **state)
{
	int here = tid();

	(void)state;
	for (int i = 0; i < 20; i++)
		t_run_with(1 + i % 4, main_body, &here);
}

static _Atomic int last_tid;

static void exits_main(void *arg)
{
	(void)arg;
	rg_lock_os_thread();
	last_tid = tid();
	rg_exit();
}

static void ends_it_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		T_CHECK_INT_NE(tid(), last_tid);
		rg_sleep(RG_MILLISECOND);
	}
	exit(3);
}

static void main_ends_first(void *arg)
{
	T_CHECK_INT_EQ(rg_go(ends_it_all, NULL), 0);
	exits_main(arg);
}

static void run_main_ends_first(void *arg)
{
	(void)arg;
	t_run_with(1, main_ends_first, NULL);
}

static void lockthread_main_that_ends_locked_leaves_the_rest(void **state)
{
	(void)state;
	t_expect_exit(run_main_ends_first, NULL, 3, "");
}

/* ---- what is started by a locked one; a seed ---- */

static void is_not_locked(void *arg)
{
	T_CHECK(!is_locked());
	rg_chan_close(arg);
}

static void child_body(void *arg)
{
	rg_chan *c = rg_make(int64_t, 0);

	(void)arg;
	rg_lock_os_thread();
	T_CHECK_INT_EQ(rg_go(is_not_locked, c), 0);
	T_CHECK(!rg_chan_recv(c, NULL));
	rg_unlock_os_thread();
	rg_chan_unref(c);
}

static void lockthread_is_not_inherited(void **state)
{
	(void)state;
	t_run_with(1, child_body, NULL);
	t_run_with(2, child_body, NULL);
}

static void seeded_body(void *arg)
{
	rg_chan *c = rg_make(int64_t, 0);
	int here = tid();

	(void)arg;
	rg_lock_os_thread();
	T_CHECK(!is_locked());
	T_CHECK_INT_EQ(rg_go(sends, c), 0);
	T_CHECK(rg_chan_recv(c, NULL));
	T_CHECK_INT_EQ(tid(), here);
	rg_chan_unref(c);
}

static void lockthread_under_a_seed_there_is_one_thread(void **state)
{
	(void)state;
	setenv("RINGGO_SEED", "7", 1);
	t_run_with(4, seeded_body, NULL);
	unsetenv("RINGGO_SEED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, reset)
		T(lockthread_calls_nest_and_extra_unlocks_do_nothing),
		T(lockthread_of_a_foreign_thread_does_nothing),
		T(lockthread_stays_on_its_thread_alone_over_every_park),
		T(lockthread_200_at_once_have_a_thread_each),
		T(lockthread_two_play_ping_pong),
		T(lockthread_yielding_ones_let_others_run),
		T(lockthread_is_preempted_and_stays_on_its_thread),
		T(lockthread_leaves_a_thread_to_who_was_preempted_on_it),
		T(lockthread_main_has_the_thread_that_called_run),
		T(lockthread_main_that_ends_locked_leaves_the_rest),
		T(lockthread_is_not_inherited),
		T(lockthread_under_a_seed_there_is_one_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
