// SPDX-License-Identifier: MIT
/*
 * go - goroutines as their users see them: start, end, defer, yield, sleep, limits,
 * fairness; sched/spawn.c, proc.c, run.c, park.c.
 */
#include "tests/support/rgtest.h"

#include "kernel-iface/alloc.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/stack.h"
#include "sched/sched.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static rg_waitgroup wg;
static _Atomic long counter;

static void add_one(void *arg)
{
	(void)arg;
	atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
	rg_waitgroup_done(&wg);
}

static void many(void *arg)
{
	(void)arg;
	counter = 0;
	for (int i = 0; i < 100000; i++) {
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go(add_one, NULL), 0);
		if (i % 1000 == 999)
			rg_waitgroup_wait(&wg);
	}
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(counter, 100000);
	t_wait_goroutines(1);
}

static void go_each_goroutine_runs_exactly_once(void **state)
{
	(void)state;
	t_run_with(1, many, NULL);
	t_run_with(2, many, NULL);
	t_run_with(7, many, NULL);
}

struct job {
	int numbers[250];
	int64_t check;
};

static void use_copy(void *arg)
{
	struct job *j = arg;
	int64_t sum = 0;

	T_CHECK_INT_EQ((uintptr_t)j % 16, 0);
	for (int i = 0; i < 250; i++)
		sum += j->numbers[i];
	T_CHECK_INT_EQ(sum, j->check);
	rg_waitgroup_done(&wg);
}

static void copies(void *arg)
{
	static char big[1025];
	struct job j;

	(void)arg;
	for (int round = 0; round < 100; round++) {
		j.check = 0;
		for (int i = 0; i < 250; i++) {
			j.numbers[i] = i * round;
			j.check += i * round;
		}
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go_copy(use_copy, &j, sizeof j), 0);
		memset(&j, 0xff, sizeof j);
	}
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(rg_go_copy(use_copy, big, sizeof big), -EINVAL);
}

static void go_copy_is_the_goroutines_own(void **state)
{
	(void)state;
	t_run_with(1, copies, NULL);
	t_run_with(2, copies, NULL);
}

static char trace[64];

static void append(void *arg)
{
	strcat(trace, arg);
}

static void exits_deep(void *arg)
{
	(void)arg;
	rg_defer(append, (void *)(uintptr_t) "a");
	rg_defer(append, (void *)(uintptr_t) "b");
	rg_defer(append, (void *)(uintptr_t) "c");
	strcat(trace, "x");
	rg_exit();
}

static void with_defers(void *arg)
{
	(void)arg;
	rg_defer((void (*)(void *))rg_waitgroup_done, &wg);
	rg_defer(append, (void *)(uintptr_t) "1");
	exits_deep(NULL);
}

static void defers(void *arg)
{
	(void)arg;
	trace[0] = 0;
	rg_waitgroup_add(&wg, 1);
	rg_go(with_defers, NULL);
	rg_waitgroup_wait(&wg);
	T_CHECK_STR_EQ(trace, "xcba1");
}

static void parks(void *text)
{
	rg_yield();
	append(text);
	T_CHECK_INT_EQ(rg_sleep(RG_MICROSECOND), 0);
	append(text);
}

/* It runs next: before those that were deferred earlier. */
static void defers_more(void *text)
{
	append(text);
	rg_defer(append, (void *)(uintptr_t) "n");
	rg_defer(parks, (void *)(uintptr_t) "p");
}

static void exits_in_defer(void *text)
{
	append(text);
	rg_exit();
}

static void with_nested_defers(void *arg)
{
	rg_defer((void (*)(void *))rg_waitgroup_done, &wg);
	rg_defer(append, (void *)(uintptr_t) "1");
	rg_defer(exits_in_defer, (void *)(uintptr_t) "x");
	rg_defer(defers_more, (void *)(uintptr_t) "m");
	rg_defer(append, (void *)(uintptr_t) "3");
	if (arg)
		rg_exit();
}

static void nested_defers(void *arg)
{
	for (intptr_t by_exit = 0; by_exit < 2; by_exit++) {
		trace[0] = '\0';
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go(with_nested_defers, (void *)by_exit), 0);
		rg_waitgroup_wait(&wg);
		T_CHECK_STR_EQ(trace, "3mppnx1");
	}
	(void)arg;
}

static void defer_may_defer_park_and_exit(void **state)
{
	(void)state;
	t_run_with(1, nested_defers, NULL);
	t_run_with(2, nested_defers, NULL);
}

static void exit_runs_defers_last_in_first_out(void **state)
{
	(void)state;
	t_run_with(1, defers, NULL);
}

static int returns_seven(void *arg)
{
	rg_go(add_one, NULL);
	return *(int *)arg;
}

static void run_returns_what_entry_returns_and_may_be_called_again(void **state)
{
	int value = 7;

	(void)state;
	memset(&wg, 0, sizeof wg);
	rg_waitgroup_add(&wg, 100);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rg_run(NULL, returns_seven, &value), 7);
	memset(&wg, 0, sizeof wg);
	assert_int_equal(rg_go(add_one, NULL), -ESRCH);
	assert_int_equal(rg_num_goroutine(), 0);
}

static void parks_for_ever(void *arg)
{
	rg_chan_recv(NULL, arg);
}

static int leaves_others(void *arg)
{
	int fds[2];

	(void)arg;
	if (pipe(fds))
		return 1;
	for (int i = 0; i < 100; i++) {
		rg_go_options o = {.name = "left behind"};

		rg_go_with(&o, parks_for_ever, NULL);
	}
	rg_sleep(RG_MILLISECOND);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void run_ends_while_others_are_parked_and_leaks_nothing(void **state)
{
	int fds = t_open_fds();
	int64_t live;

	(void)state;
	assert_int_equal(rg_run(NULL, leaves_others, NULL), 0);
	live = alloc_live();
	for (int i = 0; i < 5; i++)
		assert_int_equal(rg_run(NULL, leaves_others, NULL), 0);
	assert_int_equal(alloc_live(), live);
	assert_int_equal(t_open_fds(), fds);
}

static _Atomic int turn;

static void spin_yield(void *arg)
{
	int me = *(int *)arg;

	for (int i = 0; i < 1000; i++) {
		while (turn != me)
			rg_yield();
		turn = !me;
	}
	rg_waitgroup_done(&wg);
}

static void two_yielders(void *arg)
{
	static int ids[2] = {0, 1};

	(void)arg;
	turn = 0;
	rg_waitgroup_add(&wg, 2);
	rg_go(spin_yield, &ids[0]);
	rg_go(spin_yield, &ids[1]);
	rg_waitgroup_wait(&wg);
}

static void yield_lets_others_progress(void **state)
{
	(void)state;
	t_run_with(1, two_yielders, NULL);
	t_run_with(2, two_yielders, NULL);
}

static _Atomic bool stop;

static void ping(void *arg)
{
	rg_chan **c = arg;
	int64_t v = 0;

	while (!stop) {
		rg_chan_send(c[0], &v);
		rg_chan_recv(c[1], &v);
	}
	rg_chan_close(c[0]);
}

static void pong(void *arg)
{
	rg_chan **c = arg;
	int64_t v;

	while (rg_chan_recv(c[0], &v))
		rg_chan_send(c[1], &v);
	rg_waitgroup_done(&wg);
}

static void set_stop(void *arg)
{
	(void)arg;
	stop = true;
}

static void ping_pong_hog(void *arg)
{
	rg_chan *c[2] = {rg_make(int64_t, 0), rg_make(int64_t, 0)};

	(void)arg;
	stop = false;
	rg_waitgroup_add(&wg, 1);
	rg_go(pong, c);
	rg_go(ping, c);
	/* A third goroutine gets its turn although the pair readies each
	 * other through the next slot for ever. */
	rg_go(set_stop, NULL);
	rg_waitgroup_wait(&wg);
	t_wait_goroutines(1);
	rg_chan_unref(c[0]);
	rg_chan_unref(c[1]);
}

static void ping_pong_pair_does_not_starve_others(void **state)
{
	(void)state;
	t_run_with(1, ping_pong_hog, NULL);
	t_run_with(2, ping_pong_hog, NULL);
}

static void yield_loop_until_stop(void *arg)
{
	(void)arg;
	while (!stop)
		rg_yield();
	rg_waitgroup_done(&wg);
}

static void sleep_beside_yielders(void *arg)
{
	(void)arg;
	stop = false;
	rg_waitgroup_add(&wg, 8);
	for (int i = 0; i < 8; i++)
		rg_go(yield_loop_until_stop, NULL);
	for (int i = 0; i < 20; i++)
		T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
	stop = true;
	rg_waitgroup_wait(&wg);
}

static void timers_fire_while_all_ps_are_busy_yielding(void **state)
{
	(void)state;
	t_run_with(1, sleep_beside_yielders, NULL);
	t_run_with(2, sleep_beside_yielders, NULL);
}

static void compute(void *arg)
{
	(void)arg;
	while (!stop)
		__asm__ volatile("" ::: "memory");
	rg_waitgroup_done(&wg);
}

static void sleep_beside_hog(void *arg)
{
	(void)arg;
	stop = false;
	rg_waitgroup_add(&wg, 1);
	rg_go(compute, NULL);
	for (int i = 0; i < 20; i++)
		rg_sleep(RG_MILLISECOND);
	stop = true;
	rg_waitgroup_wait(&wg);
}

static void timers_fire_beside_a_goroutine_that_computes(void **state)
{
	(void)state;
	t_run_with(2, sleep_beside_hog, NULL);
}

static void sleeps(void *arg)
{
	rg_time before = rg_now();

	(void)arg;
	T_CHECK_INT_EQ(rg_sleep(0), 0);
	T_CHECK_INT_EQ(rg_sleep(-1), 0);
	T_CHECK_INT_EQ(rg_sleep(INT64_MIN), 0);
	for (int i = 0; i < 10; i++) {
		before = rg_now();
		T_CHECK_INT_EQ(rg_sleep(2 * RG_MILLISECOND), 0);
		T_CHECK(rg_now() - before >= 2 * RG_MILLISECOND);
	}
}

static void sleep_is_never_short(void **state)
{
	(void)state;
	t_run_with(1, sleeps, NULL);
	sleeps(NULL); /* on a foreign thread, without a runtime */
}

static void out_of_stacks(void *arg)
{
	int err;

	(void)arg;
	rg_waitgroup_add(&wg, 1);
	/* The pools are empty: a fresh stack is asked for. */
	stack_fail_after(0);
	err = rg_go(add_one, NULL);
	T_CHECK(err == -ENOMEM || err == -EAGAIN || err == 0);
	stack_fail_after(-1);
	if (err)
		T_CHECK_INT_EQ(rg_go(add_one, NULL), 0);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(rg_go_with(&(rg_go_options){.stack_size = SIZE_MAX / 2},
				  add_one, NULL),
		       -ENOMEM);
	alloc_fail_after(0);
	err = rg_go_with(&(rg_go_options){.name = "n"}, add_one, NULL);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(err, -ENOMEM);
	T_CHECK_INT_EQ(rg_num_goroutine(), 1);
}

static void go_without_memory_fails_and_breaks_nothing(void **state)
{
	(void)state;
	t_run_with(1, out_of_stacks, NULL);
}

static void ids_and_names(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_goid(), 1);
	rg_set_name("worker %d of a very long name indeed", 42);
	T_CHECK_STR_EQ(getg()->name, "worker 42 of a very long name i");
	T_CHECK_INT_EQ(rg_gomaxprocs(0), 2);
}

static void goid_and_name_are_kept(void **state)
{
	(void)state;
	t_run_with(2, ids_and_names, NULL);
	assert_int_equal(rg_goid(), 0);
}

static void big_stack(void *arg)
{
	enum { ROOM = 600 * 1024 };
	volatile char *room = __builtin_alloca(ROOM);

	(void)arg;
	for (size_t i = 0; i < ROOM; i += 4096)
		room[i] = 1;
	rg_waitgroup_done(&wg);
}

static void own_stack_size(void *arg)
{
	rg_go_options o = {.stack_size = 700 * 1024};

	(void)arg;
	for (int i = 0; i < 50; i++) {
		rg_waitgroup_add(&wg, 1);
		T_CHECK_INT_EQ(rg_go_with(&o, big_stack, NULL), 0);
	}
	rg_waitgroup_wait(&wg);
}

static void go_with_its_own_stack_size(void **state)
{
	(void)state;
	t_run_with(1, own_stack_size, NULL);
	t_run_with(2, own_stack_size, NULL);
}

static void keeps_errno(void *arg)
{
	int mine = (int)(intptr_t)arg;

	for (int i = 0; i < 1000; i++) {
		errno = mine;
		if (i % 3)
			rg_yield();
		else
			rg_sleep(100);
		T_CHECK_INT_EQ(errno, mine);
	}
	rg_waitgroup_done(&wg);
}

static void errno_each(void *arg)
{
	(void)arg;
	rg_waitgroup_add(&wg, 20);
	for (intptr_t i = 1; i <= 20; i++)
		rg_go(keeps_errno, (void *)i);
	rg_waitgroup_wait(&wg);
}

static void errno_is_the_goroutines_own(void **state)
{
	(void)state;
	t_run_with(1, errno_each, NULL);
	t_run_with(2, errno_each, NULL);
}

static int hang(void *arg)
{
	int64_t v;

	(void)arg;
	rg_recv(rg_make(int64_t, 0), &v);
	return 0;
}

static void hangs(void *arg)
{
	exit(rg_run(NULL, hang, arg));
}

static int main_exits(void *arg)
{
	(void)arg;
	rg_exit();
}

static void exits_main(void *arg)
{
	exit(rg_run(NULL, main_exits, arg));
}

static void all_asleep_is_a_deadlock(void **state)
{
	const char *text = "all goroutines are asleep - deadlock!";

	(void)state;
	t_expect_abort(hangs, NULL, text);
	t_expect_abort(exits_main, NULL, text);
}

static void *foreign_spawner(void *arg)
{
	for (int i = 0; i < 1000; i++)
		T_CHECK_INT_EQ(rg_go(add_one, NULL), 0);
	rg_yield();
	T_CHECK_INT_EQ(rg_goid(), 0);
	return arg;
}

static void spawn_from_threads(void *arg)
{
	pthread_t t[3];

	(void)arg;
	counter = 0;
	rg_waitgroup_add(&wg, 3000);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, foreign_spawner, NULL);
	rg_waitgroup_wait(&wg);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	T_CHECK_INT_EQ(counter, 3000);
	t_wait_goroutines(1);
}

static void go_from_foreign_threads(void **state)
{
	(void)state;
	t_run_with(2, spawn_from_threads, NULL);
}

static void start_and_stop_beside_a_program(void **state)
{
	(void)state;
	memset(&wg, 0, sizeof wg);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(rg_start(&(rg_config){.maxprocs = 2}), 0);
		assert_int_equal(rg_start(NULL), -EBUSY);
		counter = 0;
		rg_waitgroup_add(&wg, 100);
		for (int k = 0; k < 100; k++)
			assert_int_equal(rg_go(add_one, NULL), 0);
		rg_waitgroup_wait(&wg); /* on a foreign thread */
		assert_int_equal(counter, 100);
		rg_go(parks_for_ever, NULL);
		assert_int_equal(rg_stop(5 * RG_MILLISECOND), -ETIMEDOUT);
		assert_int_equal(rg_stop(0), -EINVAL);
	}
}

static int stops_itself(void *arg)
{
	(void)arg;
	return rg_stop(0) == -EINVAL &&
			       rg_run(NULL, stops_itself, arg) == -EBUSY
		       ? 0
		       : 1;
}

static void stop_and_run_from_a_goroutine_are_refused(void **state)
{
	(void)state;
	assert_int_equal(rg_run(NULL, stops_itself, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_each_goroutine_runs_exactly_once),
		cmocka_unit_test(go_copy_is_the_goroutines_own),
		cmocka_unit_test(exit_runs_defers_last_in_first_out),
		cmocka_unit_test(defer_may_defer_park_and_exit),
		cmocka_unit_test(
			run_returns_what_entry_returns_and_may_be_called_again),
		cmocka_unit_test(
			run_ends_while_others_are_parked_and_leaks_nothing),
		cmocka_unit_test(yield_lets_others_progress),
		cmocka_unit_test(ping_pong_pair_does_not_starve_others),
		cmocka_unit_test(timers_fire_while_all_ps_are_busy_yielding),
		cmocka_unit_test(timers_fire_beside_a_goroutine_that_computes),
		cmocka_unit_test(sleep_is_never_short),
		cmocka_unit_test(go_without_memory_fails_and_breaks_nothing),
		cmocka_unit_test(goid_and_name_are_kept),
		cmocka_unit_test(go_with_its_own_stack_size),
		cmocka_unit_test(errno_is_the_goroutines_own),
		cmocka_unit_test(all_asleep_is_a_deadlock),
		cmocka_unit_test(go_from_foreign_threads),
		cmocka_unit_test(start_and_stop_beside_a_program),
		cmocka_unit_test(stop_and_run_from_a_goroutine_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
