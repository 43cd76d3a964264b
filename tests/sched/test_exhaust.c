// SPDX-License-Identifier: MIT
/*
 * exhaust - rg_go when no stack can be had: it returns -ENOMEM or -EAGAIN, every
 * goroutine that exists goes on and ends, later ones are born again; stack.c's
 * invariant I3, spawn.c's new_g.
 *
 * The limits that run out are the real ones: RLIMIT_AS, and vm.max_map_count with
 * the guards that cost a mapping each (RINGGO_URING=off:guard). Every case has a
 * process of its own.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"

enum { MANY = 400 * 1000, MAP_COUNT_MAX = 100 * 1000 };

static rg_waitgroup wg;
static _Atomic int64_t born, ended;
static rg_chan *gate;

static void waits_at_the_gate(void *arg)
{
	int64_t v;

	atomic_fetch_add_explicit(&born, 1, memory_order_relaxed);
	T_CHECK(!rg_chan_recv(gate, &v));
	atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed);
	rg_waitgroup_done(arg);
}

static void *double_it(void *arg)
{
	int *n = arg;

	*n *= 2;
	return n;
}

static void sends_back(void *arg)
{
	int64_t v = 42;

	rg_chan_send(arg, &v);
}

/* All that needs no new stack works as ever. (Before the limit, too: tables of
 * descriptors are there then.) */
static void check_alive(void)
{
	rg_time before = rg_now();
	int fds[2], n = 21;
	char c = 'x';

	T_CHECK_INT_EQ(rg_sleep(2 * RG_MILLISECOND), 0);
	T_CHECK(rg_now() - before >= 2 * RG_MILLISECOND);
	T_CHECK_PTR_EQ(rg_blocking(double_it, &n), &n);
	T_CHECK_INT_EQ(n, 42);
	rg_yield();
	T_CHECK(pipe(fds) == 0);
	T_CHECK_INT_EQ(rg_write(fds[1], &c, 1), 1);
	T_CHECK_INT_EQ(rg_read(fds[0], &c, 1), 1);
	T_CHECK_INT_EQ(rg_close(fds[0]), 0);
	T_CHECK_INT_EQ(rg_close(fds[1]), 0);
}

/* One more can be born, and end. */
static void check_one_more(void)
{
	rg_chan *c = rg_make(int64_t, 0);
	int64_t v = 0;

	T_CHECK(c != NULL);
	T_CHECK_INT_EQ(rg_go(sends_back, c), 0);
	T_CHECK(rg_chan_recv(c, &v));
	T_CHECK_INT_EQ(v, 42);
	rg_chan_unref(c);
}

/* Goroutines that park at the gate, until there is no stack for another one. */
static int64_t fill(const rg_go_options *o, int *err)
{
	int64_t n;

	for (n = 0; n < MANY; n++) {
		rg_waitgroup_add(&wg, 1);
		*err = rg_go_with(o, waits_at_the_gate, &wg);
		if (*err)
			break;
	}
	rg_waitgroup_done(&wg);
	T_CHECK_INT_LT(n, MANY);
	return n;
}

/* The first refusal is not the last: nothing changes by asking again. */
static void check_stays_refused(const rg_go_options *o)
{
	int64_t before = rg_num_goroutine(), blocks = alloc_live();

	for (int i = 0; i < 1000; i++) {
		int err = rg_go_with(o, waits_at_the_gate, &wg);

		T_CHECK(err == -ENOMEM || err == -EAGAIN);
	}
	/* Who sent back (check_one_more) may end meanwhile. */
	T_CHECK_INT_LE(rg_num_goroutine(), before);
	T_CHECK_INT_EQ(alloc_live(), blocks);
}

static bool all_are_born(void *arg)
{
	const int64_t *n = arg;

	return atomic_load_explicit(&born, memory_order_relaxed) == *n;
}

static void release(int64_t n)
{
	rg_chan_close(gate);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(ended, n);
	t_wait_goroutines(1);
	rg_chan_unref(gate);
}

static void open_gate_anew(void)
{
	gate = rg_make(int64_t, 0);
	T_CHECK(gate != NULL);
	born = ended = 0;
}

static void set_address_space(rlim_t limit)
{
	struct rlimit r;

	T_CHECK(getrlimit(RLIMIT_AS, &r) == 0);
	r.rlim_cur = limit;
	T_CHECK(setrlimit(RLIMIT_AS, &r) == 0);
}

static void limit_what_is_left(size_t more)
{
	set_address_space(t_status_kb("VmSize") * 1024 + more);
}

/* ---- RLIMIT_AS ---- */

struct plan {
	int procs;
	size_t more; /* bytes of address space beyond what is in use */
	rg_go_options options;
};

static void without_address_space(void *arg)
{
	const struct plan *plan = arg;
	const rg_go_options *o = &plan->options;
	int64_t n;
	int err;

	check_alive();
	for (int round = 0; round < 3; round++) {
		open_gate_anew();
		limit_what_is_left(plan->more);
		n = fill(o, &err);
		T_CHECK_INT_EQ(err, -ENOMEM);
		T_CHECK_INT_GE(n, 8);
		check_stays_refused(o);
		T_WAIT_UNTIL(all_are_born, &n);
		check_alive();
		release(n);
		/* Stacks of the dead serve the new, the limit as it is. */
		for (int i = 0; i < 1000; i++)
			check_one_more();
		set_address_space(RLIM_INFINITY);
	}
	/* More than there ever were. */
	open_gate_anew();
	rg_waitgroup_add(&wg, (int)n + 100);
	for (int64_t i = 0; i < n + 100; i++)
		T_CHECK_INT_EQ(rg_go_with(o, waits_at_the_gate, &wg), 0);
	release(n + 100);
}

static void run_without_address_space(void *arg)
{
	struct plan *plan = arg;

	t_run_with(plan->procs, without_address_space, plan);
	t_run_with(plan->procs, without_address_space, plan);
	T_CHECK_INT_EQ(alloc_live(), 0);
}

static void exhaust_address_space_fails_go_and_nothing_else(void **state)
{
	struct plan plans[] = {
		{1, 24 << 20, {.stack_size = 1 << 20}},
		{2, 24 << 20, {.stack_size = 1 << 20, .name = "big"}},
		{2, (size_t)2 << 30, {.stack_size = 64 << 20}},
		{2, 24 << 20, {.stack_size = 0}},
	};

	(void)state;
	if (RG_ASAN || RG_TSAN) /* their shadows need terabytes */
		skip();
	for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
		t_expect_exit(run_without_address_space, &plans[i], 0, NULL);
}

/* ---- spawners on several Ms at once ---- */

enum { SPAWNERS = 8 };

static _Atomic int64_t spawned, refused;

static void spawns_until_refused(void *arg)
{
	const rg_go_options o = {.stack_size = 200 * 1024};

	for (int i = 0; i < 20 * 1000; i++) {
		int err;

		rg_waitgroup_add(&wg, 1);
		err = rg_go_with(&o, waits_at_the_gate, &wg);
		if (!err) {
			atomic_fetch_add_explicit(&spawned, 1,
						  memory_order_relaxed);
			continue;
		}
		rg_waitgroup_done(&wg);
		T_CHECK(err == -ENOMEM || err == -EAGAIN);
		atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
	}
	rg_waitgroup_done(arg);
}

static void many_spawners(void *arg)
{
	static rg_waitgroup spawners;
	int64_t n;

	(void)arg;
	check_alive();
	open_gate_anew();
	rg_waitgroup_add(&spawners, SPAWNERS);
	for (int i = 0; i < SPAWNERS; i++)
		T_CHECK_INT_EQ(rg_go(spawns_until_refused, &spawners), 0);
	limit_what_is_left((size_t)100 << 20);
	rg_waitgroup_wait(&spawners);
	n = spawned;
	T_CHECK_INT_GT(refused, 0);
	T_CHECK_INT_EQ(n + refused, SPAWNERS * 20 * 1000);
	T_WAIT_UNTIL(all_are_born, &n);
	check_alive();
	release(n);
	check_one_more();
}

static void run_many_spawners(void *arg)
{
	t_run_with(4, many_spawners, arg);
	T_CHECK_INT_EQ(alloc_live(), 0);
}

static void exhaust_by_several_spawners_counts_right(void **state)
{
	(void)state;
	if (RG_ASAN || RG_TSAN)
		skip();
	t_expect_exit(run_many_spawners, NULL, 0, NULL);
}

/* ---- vm.max_map_count ---- */

static long map_count_max(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	char line[32];
	long n = 0;

	T_CHECK(f != NULL);
	if (fgets(line, sizeof line, f))
		n = strtol(line, NULL, 10);
	fclose(f);
	return n;
}

static void without_mappings(void *arg)
{
	int64_t expected = map_count_max() / 2, n;
	int err;

	(void)arg;
	for (int round = 0; round < 2; round++) {
		open_gate_anew();
		n = fill(NULL, &err);
		T_CHECK_INT_EQ(err, -EAGAIN);
		/* Two mappings each. */
		T_CHECK_INT_GT(n, expected - 1000);
		T_CHECK_INT_LE(n, expected);
		check_stays_refused(NULL);
		T_WAIT_UNTIL(all_are_born, &n);
		check_alive();
		release(n);
		for (int i = 0; i < 1000; i++)
			check_one_more();
	}
}

static void run_without_mappings(void *arg)
{
	size_t maps;

	(void)arg;
	T_CHECK(setenv("RINGGO_URING", "off:guard", 1) == 0);
	t_run_with(2, without_mappings, NULL);
	maps = t_maps();
	T_CHECK_INT_LT(maps, 1000);
	/* The runtime gave all of them back. */
	t_run_with(2, without_mappings, NULL);
	T_CHECK_INT_LT(t_maps(), maps + 100);
	T_CHECK_INT_EQ(alloc_live(), 0);
}

static void exhaust_mappings_fails_go_and_nothing_else(void **state)
{
	(void)state;
	if (RG_ASAN || RG_TSAN)
		skip();
	if (map_count_max() > MAP_COUNT_MAX) {
		print_message("vm.max_map_count is large: gigabytes of "
			      "stacks\n");
		skip();
	}
	t_expect_exit(run_without_mappings, NULL, 0, NULL);
}

/* ---- locked memory ---- */

/* MADV_GUARD_INSTALL is refused after mlockall: the other guard comes in by itself. */
static void locked(void *arg)
{
	(void)arg;
	open_gate_anew();
	rg_waitgroup_add(&wg, 200);
	for (int i = 0; i < 200; i++)
		T_CHECK_INT_EQ(rg_go(waits_at_the_gate, &wg), 0);
	check_alive();
	release(200);
}

static void run_locked(void *arg)
{
	T_CHECK(mlockall(MCL_FUTURE | MCL_ONFAULT) == 0);
	t_run_with(2, locked, arg);
	T_CHECK(munlockall() == 0);
	t_run_with(2, locked, arg);
}

static void exhaust_is_far_when_memory_is_locked(void **state)
{
	(void)state;
	/* Others may lock little: refusal_by_memlock_... */
	if (RG_ASAN || RG_TSAN || geteuid())
		skip();
	t_expect_exit(run_locked, NULL, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			exhaust_address_space_fails_go_and_nothing_else),
		cmocka_unit_test(exhaust_by_several_spawners_counts_right),
		cmocka_unit_test(exhaust_mappings_fails_go_and_nothing_else),
		cmocka_unit_test(exhaust_is_far_when_memory_is_locked),
	};

	/* The counts at the limit are exact: no thread is made beside, which
	 * would take room and may give it back. */
	setenv("RINGGO_DEBUG", "asyncpreemptoff=1", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
