// SPDX-License-Identifier: MIT
/*
 * test_seed - attacks the invariants of sched/seed.h: the same seed takes the same way
 * (I3), others take other ones, the clock is logical (I4), and programs with a fault
 * in their order are caught by a seed among the first LIMIT, which then catches them
 * again, decision for decision.
 */
#include "tests/support/rgtest.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "sched/seed.h"
#include "sched/timer.h"
#include "tests/stress/seedrun.h"

enum { LIMIT = 200 };

static void forget_seed(void)
{
	unsetenv("RINGGO_SEED");
	unsetenv("RINGGO_MAXPROCS");
}

/* ---- programs with a fault: true when it showed --------------------------- */

static rg_waitgroup wg;
static rg_mutex mutex;
static int shared;
static bool has_shown;

static void run_pair(void (*fn)(void *arg))
{
	rg_waitgroup_add(&wg, 2);
	for (intptr_t i = 0; i < 2; i++)
		seedrun_go(fn, (void *)i);
	rg_waitgroup_wait(&wg);
}

/* The value is read and written in two critical sections. */
static void adds_in_two_steps(void *arg)
{
	int seen;

	(void)arg;
	rg_mutex_lock(&mutex);
	seen = shared;
	rg_mutex_unlock(&mutex);
	rg_mutex_lock(&mutex);
	shared = seen + 1;
	rg_mutex_unlock(&mutex);
	rg_waitgroup_done(&wg);
}

static void lost_update(void)
{
	shared = 0;
	run_pair(adds_in_two_steps);
	has_shown = shared != 2;
}

/* `if` where `while` belongs. */
static rg_cond filled;

static void takes_without_loop(void *arg)
{
	(void)arg;
	rg_mutex_lock(&mutex);
	if (!shared)
		rg_cond_wait(&filled, &mutex);
	if (--shared < 0)
		has_shown = true;
	rg_mutex_unlock(&mutex);
	rg_waitgroup_done(&wg);
}

static void puts_one(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		rg_mutex_lock(&mutex);
		shared++;
		rg_cond_broadcast(&filled);
		rg_mutex_unlock(&mutex);
		rg_yield();
	}
	rg_waitgroup_done(&wg);
}

static void missing_loop(void)
{
	shared = 0;
	has_shown = false;
	rg_waitgroup_add(&wg, 1);
	seedrun_go(puts_one, NULL);
	run_pair(takes_without_loop);
}

/* What len said is not so any more. */
static rg_chan *queue;

static void takes_if_len(void *arg)
{
	int value;

	(void)arg;
	if (rg_chan_len(queue) > 0 && rg_chan_try_recv(queue, &value) != 1)
		has_shown = true;
	rg_waitgroup_done(&wg);
}

static void check_then_act(void)
{
	has_shown = false;
	T_CHECK((queue = rg_make(int, 1)) != NULL);
	rg_send(queue, 1);
	run_pair(takes_if_len);
	rg_chan_unref(queue);
}

/* Two locks in two orders: a deadlock, and so the end of the program. */
static rg_mutex locks[2];

static void locks_both(void *arg)
{
	int first = (int)(intptr_t)arg;

	rg_mutex_lock(&locks[first]);
	rg_mutex_lock(&locks[!first]);
	rg_mutex_unlock(&locks[!first]);
	rg_mutex_unlock(&locks[first]);
	rg_waitgroup_done(&wg);
}

static void lock_order(void)
{
	run_pair(locks_both);
}

static int run_entry(void *arg)
{
	void (*const *program)(void) = arg;

	(*program)();
	return 0;
}

static struct seed_account run(void (*program)(void), uint64_t seed)
{
	seedrun_set(seed);
	wg = (rg_waitgroup){0};
	mutex = (rg_mutex){0};
	filled = (rg_cond){0};
	has_shown = false;
	T_CHECK_INT_EQ(rg_run(NULL, run_entry, &program), 0);
	forget_seed();
	return seed_account();
}

/* Some seeds show the fault, others do not; the first that does, does it again. */
static void expect_found(void (*program)(void))
{
	struct seed_account found = {0}, again;
	int shown = 0;

	for (uint64_t seed = 1; seed <= LIMIT; seed++) {
		struct seed_account a = run(program, seed);

		if (has_shown && !shown++)
			found = a;
	}
	T_CHECK_INT_GT(shown, 0);
	T_CHECK_INT_LT(shown, LIMIT);
	for (int i = 0; i < 3; i++) {
		again = run(program, found.seed);
		T_CHECK(has_shown);
		T_CHECK_INT_EQ(again.decisions, found.decisions);
		T_CHECK_INT_EQ(again.hash, found.hash);
	}
}

static void seed_finds_a_lost_update(void **state)
{
	(void)state;
	expect_found(lost_update);
}

static void seed_finds_a_wait_without_a_loop(void **state)
{
	(void)state;
	expect_found(missing_loop);
}

static void seed_finds_a_check_before_an_act(void **state)
{
	(void)state;
	expect_found(check_then_act);
}

static void leaves(int sig)
{
	(void)sig;
	_exit(0);
}

/* In a child, until one deadlocks: under the seeds 1 to LIMIT, or the one. */
static void run_lock_order(void *arg)
{
	uint64_t only = *(uint64_t *)arg;

	signal(SIGABRT, leaves);
	for (uint64_t seed = only ? only : 1; seed <= (only ? only : LIMIT);
	     seed++) {
		memset(locks, 0, sizeof(locks));
		(void)run(lock_order, seed);
	}
	_exit(3);
}

static char *seed_line_of(uint64_t seed)
{
	char *out = t_expect_output(run_lock_order, &seed, 0);
	char *line, *end;

	T_CHECK_STR_HAS(out, "all goroutines are asleep - deadlock!");
	T_CHECK_STR_HAS(out, "sync.Mutex.Lock");
	T_CHECK((line = strstr(out, "RINGGO_SEED=")) != NULL);
	T_CHECK((end = strchr(line, '\n')) != NULL);
	line = strndup(line, (size_t)(end - line));
	T_CHECK(line);
	free(out);
	return line;
}

static void seed_finds_a_lock_order_and_the_report_names_it(void **state)
{
	char *found = seed_line_of(0);
	uint64_t seed = strtoull(found + strlen("RINGGO_SEED="), NULL, 10);
	char *again;

	(void)state;
	assert_in_range(seed, 1, LIMIT);
	again = seed_line_of(seed);
	assert_string_equal(found, again);
	assert_non_null(strstr(found, " decisions, hash 0x"));
	free(found);
	free(again);
}

/* ---- the order ------------------------------------------------------------ */

enum { PARTIES = 8 };

static char order[PARTIES + 1];
static int norder;

/* On one P, which is what orders it; ThreadSanitizer is told. */
static void note(intptr_t who)
{
	san_acquire(order);
	order[norder++] = (char)('a' + who);
	san_release(order);
}

static void notes_itself(void *arg)
{
	note((intptr_t)arg);
	rg_waitgroup_done(&wg);
}

static void many_start(void)
{
	norder = 0;
	rg_waitgroup_add(&wg, PARTIES);
	for (intptr_t i = 0; i < PARTIES; i++)
		seedrun_go(notes_itself, (void *)i);
	rg_waitgroup_wait(&wg);
}

static void notes_timer(struct timer *t, void *arg, rg_time now)
{
	(void)t;
	(void)now;
	note((intptr_t)arg);
}

static void timers_fire_together(void)
{
	static struct timer t[PARTIES];

	norder = 0;
	san_release(order);
	for (intptr_t i = 0; i < PARTIES; i++)
		T_CHECK(!timer_start(&t[i], SEED_EPOCH + RG_HOUR, 0,
				     notes_timer, (void *)i));
	do {
		T_CHECK_INT_EQ(rg_sleep(RG_HOUR), 0);
		san_acquire(order);
	} while (norder < PARTIES);
}

/* How many different orders the seeds 1 to n give; each is given twice. */
static int count_orders(void (*program)(void), int n)
{
	char seen[64][PARTIES + 1];
	int count = 0;

	for (int s = 1; s <= n; s++) {
		struct seed_account first = run(program, (uint64_t)s), second;
		bool is_new = true;
		char before[PARTIES + 1];

		memcpy(before, order, sizeof(before));
		second = run(program, (uint64_t)s);
		T_CHECK_STR_EQ(order, before);
		T_CHECK_INT_EQ(first.hash, second.hash);
		T_CHECK_INT_EQ(first.decisions, second.decisions);
		for (int i = 0; i < count; i++)
			is_new &= strcmp(seen[i], order) != 0;
		if (is_new)
			memcpy(seen[count++], order, sizeof(order));
	}
	return count;
}

static void seed_the_same_gives_the_same_order_and_others_do_not(void **state)
{
	(void)state;
	assert_in_range(count_orders(many_start, 40), 20, 40);
	assert_in_range(count_orders(timers_fire_together, 40), 20, 40);
}

/* ---- the clock ------------------------------------------------------------- */

static void sleeps_long(void)
{
	rg_time start = rg_now();

	T_CHECK(start >= SEED_EPOCH && start < SEED_EPOCH + RG_SECOND);
	T_CHECK_INT_EQ(rg_sleep(1000 * RG_HOUR), 0);
	T_CHECK(rg_now() - start >= 1000 * RG_HOUR);
	T_CHECK(rg_now() - start < 1001 * RG_HOUR);
}

static void spins_for_a_moment(void)
{
	rg_time end = rg_now() + 100 * RG_MICROSECOND;

	while (rg_now() < end)
		;
}

static void seed_the_clock_jumps_when_nothing_can_run(void **state)
{
	int64_t start = t_now_ns();

	(void)state;
	(void)run(sleeps_long, 7);
	(void)run(spins_for_a_moment, 7);
	assert_true(t_now_ns() - start < 10 * RG_SECOND);
}

static void *works(void *arg)
{
	struct timespec ms = {.tv_nsec = 20000000};

	nanosleep(&ms, NULL);
	return arg;
}

static void waits_for_helper(void *arg)
{
	*(void **)arg = rg_blocking(works, arg);
	rg_waitgroup_done(&wg);
}

/* I4: a helper is at work, so an hour does not pass in a moment. */
static void helper_and_deadline(void)
{
	void *result = NULL;
	rg_chan *never = rg_make(int, 0);
	rg_case c = RG_RECV(never, NULL);
	rg_time start = rg_now();

	rg_waitgroup_add(&wg, 1);
	seedrun_go(waits_for_helper, &result);
	T_CHECK_INT_EQ(rg_select_until(&c, 1, start + 5 * RG_MILLISECOND),
		       -ETIMEDOUT);
	rg_waitgroup_wait(&wg);
	T_CHECK_PTR_EQ(result, &result);
	T_CHECK(rg_now() - start >= 19 * RG_MILLISECOND);
	T_CHECK(rg_now() - start < RG_MINUTE);
	rg_chan_unref(never);
}

static void seed_the_clock_waits_for_helpers(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++)
		(void)run(helper_and_deadline, seed);
}

/* ---- the environment ------------------------------------------------------- */

static int four_ps(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_gomaxprocs(0), 4);
	return 0;
}

static void run_text(void *arg)
{
	setenv("RINGGO_MAXPROCS", "4", 1);
	setenv("RINGGO_SEED", arg, 1);
	setenv("RINGGO_DEBUG", "seed=1", 1);
	T_CHECK_INT_EQ(rg_run(NULL, four_ps, NULL), 0);
	T_CHECK(!seed_is_on());
}

static void expect_text(char *value, const char *text)
{
	char *out = t_expect_output(run_text, value, 0);

	T_CHECK_STR_HAS(out, text);
	free(out);
}

static void seed_of_any_64_bits_is_taken_and_nothing_else(void **state)
{
	(void)state;
	expect_text((char[]){"0"}, "ringgo: RINGGO_SEED=0, ");
	expect_text((char[]){"18446744073709551615"},
		    "ringgo: RINGGO_SEED=18446744073709551615, ");
	expect_text((char[]){"18446744073709551616"},
		    "is not a number of at most 64 bits: ignored");
	expect_text((char[]){"-1"}, "RINGGO_SEED='-1' is not a number");
	expect_text((char[]){"7x"}, "RINGGO_SEED='7x' is not a number");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			seed_the_same_gives_the_same_order_and_others_do_not),
		cmocka_unit_test(seed_finds_a_lost_update),
		cmocka_unit_test(seed_finds_a_wait_without_a_loop),
		cmocka_unit_test(seed_finds_a_check_before_an_act),
		cmocka_unit_test(
			seed_finds_a_lock_order_and_the_report_names_it),
		cmocka_unit_test(seed_the_clock_jumps_when_nothing_can_run),
		cmocka_unit_test(seed_the_clock_waits_for_helpers),
		cmocka_unit_test(seed_of_any_64_bits_is_taken_and_nothing_else),
	};

	forget_seed();
	unsetenv("RINGGO_DEBUG");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
