// SPDX-License-Identifier: MIT
/*
 * apart - timers, helper threads, stacks: what they order, and what only looks ordered.
 *
 * See race.h. Goroutines that do not talk to each other share the scheduler's locks,
 * timer heaps, threads, stacks; to the detector that must be nothing.
 */
#include "tests/race/race.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum { SOON = RG_MILLISECOND, LATER = 4 * RG_MILLISECOND };

static void writes_soon(void *arg)
{
	(void)arg;
	shared = 1;
	rg_sleep(SOON);
}

static void reads_later(void *arg)
{
	(void)arg;
	rg_sleep(LATER);
	reads();
}

static void reads_now(void *arg)
{
	(void)arg;
	reads();
	flag_set(1);
}

/* Sleeping orders nobody, in whatever order it ends. */
static void case_sleep(void)
{
	if (racy)
		rg_go(reads_later, NULL);
	writes_soon(NULL);
	if (!racy)
		rg_go(reads_later, NULL);
}

static void yields_then_reads(void *arg)
{
	(void)arg;
	flag_wait(1);
	for (int i = 0; i < 200; i++)
		rg_yield();
	reads();
}

/* Nor does the run queue, be it the local or the global one. */
static void case_yield(void)
{
	if (racy)
		rg_go(yields_then_reads, NULL);
	shared = 1;
	flag_set(1);
	for (int i = 0; i < 200; i++)
		rg_yield();
	if (!racy)
		rg_go(yields_then_reads, NULL);
}

static void writes_and_ends(void *arg)
{
	(void)arg;
	shared = 1;
	if (arg)
		rg_waitgroup_done(arg);
}

/* Who runs on the stack of one that has ended knows nothing of it. */
static void case_stack(void)
{
	rg_waitgroup group = {0};

	rg_waitgroup_add(&group, 1);
	rg_go(writes_and_ends, racy ? NULL : &group);
	if (racy)
		wait_for_all();
	else
		rg_waitgroup_wait(&group);
	rg_go(reads_now, NULL);
	flag_wait(1);
}

/* ---- timers ---- */

static void nothing(void *arg)
{
	(void)arg;
}

static void case_after_func(void)
{
	before();
	rg_after_func(SOON, reads_now, NULL);
	after();
	flag_wait(1);
}

static void writes_and_arms(void *arg)
{
	shared = 1;
	if (!racy)
		rg_after_func(SOON, reads_now, arg);
}

/* Two functions know nothing of each other, although the same goroutine starts both. */
static void case_after_funcs(void)
{
	rg_after_func(SOON, writes_and_arms, NULL);
	if (racy)
		rg_after_func(LATER, reads_now, NULL);
	flag_wait(1);
}

static rg_chan *result;

static void sends_result(void *arg)
{
	(void)arg;
	before();
	rg_send(result, 1);
	after();
}

static void case_after_func_result(void)
{
	int v;

	result = rg_make(int, 0);
	rg_after_func(SOON, sends_result, NULL);
	rg_recv(result, &v);
	reads();
}

static void receives_time(void *arg)
{
	rg_time when;

	rg_recv((rg_chan *)arg, &when);
	reads();
	flag_set(1);
}

/* Arming comes before what the timer sends; another's arming does not. */
static void case_timer(void)
{
	rg_timer *t = rg_timer_new(RG_HOUR);

	rg_go(receives_time, rg_timer_chan(t));
	before();
	rg_timer_reset(t, LATER);
	after();
	rg_after_func(SOON, nothing, NULL);
	flag_wait(1);
	rg_timer_free(t);
}

static void case_ticker(void)
{
	rg_ticker *t = rg_ticker_new(RG_HOUR);

	rg_go(receives_time, rg_ticker_chan(t));
	before();
	rg_ticker_reset(t, LATER);
	after();
	rg_timer_free(rg_timer_new(SOON));
	flag_wait(1);
	rg_ticker_free(t);
}

static rg_ctx *limited;

static void waits_for_end(void *arg)
{
	rg_ctx *c;

	(void)arg;
	while (!(c = __atomic_load_n(&limited, __ATOMIC_RELAXED)))
		rg_yield();
	rg_chan_recv(rg_ctx_done(c), NULL);
	reads();
	flag_set(1);
}

/* Making a context comes before what follows its end. */
static void case_deadline(void)
{
	rg_ctx *c;

	rg_go(waits_for_end, NULL);
	before();
	c = rg_ctx_with_timeout(rg_ctx_background(), SOON);
	__atomic_store_n(&limited, c, __ATOMIC_RELAXED);
	after();
	flag_wait(1);
	rg_ctx_unref(c);
}

static void case_ctx_after_func(void)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());
	rg_ctx_after *a = rg_ctx_after_func(c, reads_now, NULL);

	before();
	rg_ctx_cancel(c, 0);
	after();
	flag_wait(1);
	rg_ctx_after_free(a);
	rg_ctx_unref(c);
}

/* ---- threads that many share ---- */

static void *writes_there(void *arg)
{
	shared = 1;
	return arg;
}

static void *reads_there(void *arg)
{
	reads();
	return arg;
}

static void has_it_written(void *arg)
{
	rg_blocking(writes_there, NULL);
	if (arg)
		rg_waitgroup_done(arg);
	flag_set(1);
}

/* Two calls on one helper thread know nothing of each other. */
static void case_helper(void)
{
	rg_waitgroup group = {0};

	rg_waitgroup_add(&group, 1);
	rg_go(has_it_written, racy ? NULL : &group);
	flag_wait(1);
	if (!racy)
		rg_waitgroup_wait(&group);
	rg_blocking(reads_there, NULL);
}

/* ---- what a thread has once ---- */

static void uses_errno(void *arg)
{
	if (arg && racy)
		shared = 1;
	for (int i = 0; i < 50; i++) {
		errno = i;
		rg_yield();
		if (errno != i)
			abort();
	}
	flag_set(1);
}

static void *uses_errno_there(void *arg)
{
	errno = EDOM;
	return arg;
}

/* It is each goroutine's own, and each call's on a helper thread. */
static void case_errno(void)
{
	for (intptr_t i = 0; i < 4; i++)
		rg_go(uses_errno, (void *)i);
	uses_errno(NULL);
	for (int i = 0; i < 4; i++)
		rg_blocking(uses_errno_there, NULL);
	reads();
}

static void opens_and_closes(void *arg)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)arg;
	if (racy)
		shared = 1;
	rg_close(fd);
	flag_set(1);
}

/* A descriptor's number, used again. */
static void case_number(void)
{
	rg_go(opens_and_closes, NULL);
	flag_wait(1);
	rg_close(open("/dev/null", O_RDONLY | O_CLOEXEC));
	reads();
}

int main(int argc, char **argv)
{
	static const struct race_case cases[] = {
		{"sleep", case_sleep},
		{"yield", case_yield},
		{"stack", case_stack},
		{"after_func", case_after_func},
		{"after_funcs", case_after_funcs},
		{"after_func_result", case_after_func_result},
		{"timer", case_timer},
		{"ticker", case_ticker},
		{"deadline", case_deadline},
		{"ctx_after_func", case_ctx_after_func},
		{"helper", case_helper},
		{"errno", case_errno},
		{"number", case_number},
	};

	return race_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
