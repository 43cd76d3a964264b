// SPDX-License-Identifier: MIT
/*
 * seed_time - contexts, timers, deadlines and bubbles under many seeds. The clock is a
 * logical one: nothing here takes the time that it names.
 */
#include "tests/stress/seedrun.h"

#include <errno.h>

enum { PARTIES = 6 };

static rg_waitgroup wg;
static int ended, fired;

static void run_parties(int n, void (*fn)(void *arg))
{
	rg_waitgroup_add(&wg, n);
	for (intptr_t i = 0; i < n; i++)
		seedrun_go(fn, (void *)i);
	rg_waitgroup_wait(&wg);
}

/* ---- a tree of contexts ---- */

static rg_ctx *tree[15];

static void note_after(void *arg)
{
	(void)arg;
	fired++;
}

static void waits_for_end(void *arg)
{
	rg_ctx *c = tree[(intptr_t)arg];
	rg_ctx_after *a = rg_ctx_after_func(c, note_after, NULL);

	T_CHECK(a);
	rg_ctx_unref(rg_ctx_bind(c));
	if (seedrun_draw(2))
		T_CHECK(rg_sleep(RG_HOUR) < 0);
	else
		T_CHECK(!rg_chan_recv(rg_ctx_done(c), NULL));
	T_CHECK(rg_ctx_err(c) && rg_ctx_cause(c));
	ended++;
	/* Its function has started, or never will. */
	if (rg_ctx_after_stop(a))
		fired++;
	rg_ctx_after_free(a);
	rg_waitgroup_done(&wg);
}

static bool all_fired(void)
{
	return fired == 15;
}

static void trees(void)
{
	ended = fired = 0;
	for (int i = 0; i < 15; i++) {
		rg_ctx *above = i ? tree[(i - 1) / 2] : rg_ctx_background();

		tree[i] = seedrun_draw(3)
				  ? rg_ctx_with_cancel(above)
				  : rg_ctx_with_timeout(above,
							seedrun_draw(100000));
		T_CHECK(tree[i]);
	}
	rg_waitgroup_add(&wg, 15);
	for (intptr_t i = 0; i < 15; i++)
		seedrun_go(waits_for_end, (void *)i);
	for (int i = 0; i < 4; i++) {
		rg_sleep(seedrun_draw(20000));
		rg_ctx_cancel(tree[seedrun_draw(15)], 0);
	}
	rg_ctx_cancel(tree[0], -EIO);
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_EQ(ended, 15);
	while (!all_fired())
		rg_yield();
	for (int i = 15; i-- > 0;)
		rg_ctx_unref(tree[i]);
}

/* ---- timers: each fires or is stopped, once ---- */

static void drives_timer(void *arg)
{
	rg_timer *t = rg_timer_new(seedrun_draw(20000));
	int armed = 1, stopped = 0, got = 0;
	rg_time when;

	(void)arg;
	T_CHECK(t);
	for (int i = 0; i < 8; i++) {
		rg_sleep(seedrun_draw(10000));
		if (seedrun_draw(2)) {
			got += rg_chan_try_recv(rg_timer_chan(t), &when) == 1;
		} else {
			stopped += rg_timer_reset(t, seedrun_draw(20000));
			armed++;
		}
	}
	stopped += rg_timer_stop(t);
	T_CHECK_INT_EQ(rg_chan_try_recv(rg_timer_chan(t), &when), -EAGAIN);
	T_CHECK_INT_EQ(armed, stopped + got);
	rg_timer_free(t);
	rg_waitgroup_done(&wg);
}

static void drives_ticker(void *arg)
{
	rg_ticker *t = rg_ticker_new(1000);
	rg_time when, before = 0;

	(void)arg;
	T_CHECK(t);
	for (int i = 0; i < 8; i++) {
		T_CHECK(rg_recv(rg_ticker_chan(t), &when));
		T_CHECK_INT_LT(before, when);
		before = when;
	}
	rg_ticker_free(t);
	rg_waitgroup_done(&wg);
}

static void drives_after(void *arg)
{
	rg_timer *t = rg_after_func(seedrun_draw(5000), note_after, NULL);

	(void)arg;
	T_CHECK(t);
	rg_sleep(seedrun_draw(5000));
	if (rg_timer_stop(t))
		fired++;
	rg_timer_free(t);
	rg_waitgroup_done(&wg);
}

static void timers(void)
{
	fired = 0;
	run_parties(PARTIES, drives_timer);
	run_parties(2, drives_ticker);
	run_parties(15, drives_after);
	while (!all_fired())
		rg_yield();
}

/* ---- an event, a deadline and a cancellation race ---- */

static rg_chan *c;
static rg_ctx *common;
static int sent, taken;

static void waits_somehow(void *arg)
{
	rg_time deadline = rg_now() + seedrun_draw(30000);
	int value = 0, i;
	rg_case cases[] = {RG_RECV(c, &value),
			   RG_RECV(rg_ctx_done(common), NULL)};

	(void)arg;
	i = rg_select_until(cases, 2, deadline);
	T_CHECK(i == 0 || i == 1 || i == -ETIMEDOUT);
	T_CHECK(i != -ETIMEDOUT || rg_now() >= deadline);
	T_CHECK(i != 1 || rg_ctx_err(common) == -ECANCELED);
	if (i == 0)
		taken += value;
	rg_waitgroup_done(&wg);
}

static void sends_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < 6; i++) {
		int one = 1;

		rg_sleep(seedrun_draw(8000));
		sent += rg_chan_try_send(c, &one);
	}
	rg_ctx_cancel(common, 0);
	rg_waitgroup_done(&wg);
}

static void races(void)
{
	int left = 0, value;

	sent = taken = 0;
	T_CHECK((c = rg_make(int, seedrun_draw(2))) != NULL);
	T_CHECK((common = rg_ctx_with_cancel(rg_ctx_background())) != NULL);
	rg_waitgroup_add(&wg, 1);
	seedrun_go(sends_some, NULL);
	run_parties(12, waits_somehow);
	while (rg_chan_try_recv(c, &value) == 1)
		left += value;
	T_CHECK_INT_EQ(sent, taken + left);
	rg_chan_unref(c);
	rg_ctx_unref(common);
}

/* ---- a bubble beside goroutines on the other clock ---- */

static int steps;

static void sleeps_in_bubble(void *arg)
{
	rg_sleep((intptr_t)arg * RG_SECOND);
	steps++;
}

static void in_bubble(void *arg)
{
	rg_time start = rg_now();

	(void)arg;
	steps = 0;
	for (intptr_t i = 1; i <= 5; i++)
		seedrun_go(sleeps_in_bubble, (void *)i);
	for (int i = 1; i <= 5; i++) {
		rg_sleep(RG_SECOND);
		rg_synctest_wait();
		T_CHECK_INT_EQ(steps, i);
		T_CHECK_INT_EQ(rg_now() - start, i * RG_SECOND);
	}
}

static void bubble_party(void *arg)
{
	if ((intptr_t)arg % 3)
		rg_sleep(seedrun_draw(20000));
	else
		T_CHECK(!rg_synctest_run(in_bubble, NULL));
	rg_waitgroup_done(&wg);
}

static void bubbles(void)
{
	run_parties(3, bubble_party);
}

int main(int argc, char **argv)
{
	static const struct seed_case cases[] = {
		{.name = "trees", .body = trees},
		{.name = "timers", .body = timers},
		{.name = "races", .body = races},
		{.name = "bubbles", .body = bubbles},
	};

	return seedrun_main(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}
