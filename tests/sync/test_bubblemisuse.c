// SPDX-License-Identifier: MIT
/*
 * Deadlock in a synctest bubble, and its misuse: use of what is the bubble's from
 * outside (I7), bubbles in bubbles, waits in the wrong place.
 */
#include "tests/sync/bubbletest.h"

static void run_body(void *fn)
{
	t_run_with(2, (void (*)(void *))(uintptr_t)fn, NULL);
}

static void run_bubbled(void *fn)
{
	t_run_with(2, in_bubble, fn);
}

/* The body, in a bubble and not, panics with text. */
static void bubble_panics(void (*fn)(void *arg), const char *text)
{
	t_expect_abort(run_bubbled, pointer(fn), text);
}

static void panics(void (*fn)(void *arg), const char *text)
{
	t_expect_abort(run_body, pointer(fn), text);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* ---- deadlock -------------------------------------------------------------------- */

static void recv_for_ever(void *arg)
{
	rg_chan *c = rg_chan_make(8, 0);

	(void)arg;
	rg_chan_recv(c, NULL);
}

static void recv_nil(void *arg)
{
	(void)arg;
	rg_chan_recv(NULL, NULL);
}

static void leave_blocked(void *arg)
{
	(void)arg;
	go(recv_for_ever, NULL);
}

/* Time ends with the main goroutine. */
static void leave_sleeper(void *arg)
{
	go(sleep_1s, arg);
}

static void bubble_deadlock_panics(void **state)
{
	static const char all[] = "deadlock: all goroutines in bubble are "
				  "blocked";
	static const char exited[] = "deadlock: main bubble goroutine has "
				     "exited but blocked goroutines remain";

	(void)state;
	bubble_panics(recv_for_ever, all);
	bubble_panics(recv_nil, all);
	bubble_panics(recv_for_ever,
		      "[chan receive (durable), synctest bubble ");
	bubble_panics(recv_for_ever, "[running, synctest bubble ");
	bubble_panics(leave_blocked, exited);
	bubble_panics(leave_sleeper, exited);
}

/* ---- misuse ----------------------------------------------------------------------- */

static void nested(void *arg)
{
	(void)arg;
	in_bubble(pointer(nothing));
}

static void wait_outside(void *arg)
{
	(void)arg;
	rg_synctest_wait();
}

static void just_wait(void *arg)
{
	(void)arg;
	rg_synctest_wait();
}

static void wait_twice(void *arg)
{
	(void)arg;
	go(just_wait, NULL);
	go(just_wait, NULL);
	for (;;)
		rg_yield();
}

static void bubble_wait_and_run_in_the_wrong_place_panic(void **state)
{
	(void)state;
	bubble_panics(nested,
		      "synctest.Run called from within a synctest bubble");
	panics(wait_outside, "goroutine is not in a bubble");
	bubble_panics(wait_twice, "wait already in progress");
}

/* Something of a bubble, that has ended or not, and a goroutine outside. */
static struct {
	rg_chan *c;
	rg_timer *t;
	rg_ticker *ticker;
	rg_ctx *ctx;
	rg_waitgroup wg;
	rg_mutex m;
	rg_cond cond;
	rg_sem sem;
} own;

static void make_own(void *capacity)
{
	const int64_t v = 1;

	own.c = rg_chan_make(8, capacity ? 2 : 0);
	if (capacity)
		rg_chan_send(own.c, &v);
	own.t = rg_timer_new(RG_HOUR);
	own.ticker = rg_ticker_new(RG_HOUR);
	own.ctx = rg_ctx_with_cancel(rg_ctx_background());
}

static void make_buffered(void)
{
	T_CHECK_INT_EQ(rg_synctest_run(make_own, pointer(make_own)), 0);
}

static void send_it(void *arg)
{
	const int64_t v = 1;

	(void)arg;
	make_buffered();
	rg_chan_send(own.c, &v);
}

static void recv_it(void *arg)
{
	int64_t v;

	(void)arg;
	make_buffered();
	rg_chan_recv(own.c, &v);
}

static void try_send_it(void *arg)
{
	T_CHECK_INT_EQ(rg_synctest_run(make_own, NULL), 0);
	rg_chan_try_send(own.c, &arg);
}

static void try_recv_it(void *arg)
{
	T_CHECK_INT_EQ(rg_synctest_run(make_own, NULL), 0);
	rg_chan_try_recv(own.c, &arg);
}

static void close_it(void *arg)
{
	(void)arg;
	make_buffered();
	rg_chan_close(own.c);
}

static void select_it(void *arg)
{
	int64_t v;

	(void)arg;
	make_buffered();
	rg_select_try((rg_case[]){RG_RECV(own.c, &v)}, 1);
}

static void select_empty(void *arg)
{
	int64_t v;

	(void)arg;
	T_CHECK_INT_EQ(rg_synctest_run(make_own, NULL), 0);
	rg_select_try((rg_case[]){RG_RECV(own.c, &v)}, 1);
}

static void recv_in_other_bubble(void *arg)
{
	int64_t v;

	(void)arg;
	rg_chan_recv(own.c, &v);
}

static void two_bubbles(void *arg)
{
	(void)arg;
	make_buffered();
	in_bubble(pointer(recv_in_other_bubble));
}

static void bubble_channel_from_outside_panics(void **state)
{
	(void)state;
	panics(send_it, "send on synctest channel from outside bubble");
	panics(recv_it, "receive on synctest channel from outside bubble");
	panics(try_send_it, "send on synctest channel from outside bubble");
	panics(try_recv_it, "receive on synctest channel from outside bubble");
	panics(close_it, "close of synctest channel from outside bubble");
	panics(select_it, "select on synctest channel from outside bubble");
	panics(select_empty, "select on synctest channel from outside bubble");
	panics(two_bubbles, "receive on synctest channel from outside bubble");
}

static void stop_it(void *arg)
{
	(void)arg;
	make_buffered();
	rg_timer_stop(own.t);
}

static void reset_it(void *arg)
{
	(void)arg;
	make_buffered();
	rg_timer_reset(own.t, 1);
}

static void stop_ticker(void *arg)
{
	(void)arg;
	make_buffered();
	rg_ticker_stop(own.ticker);
}

static void cancel_it(void *arg)
{
	(void)arg;
	make_buffered();
	rg_ctx_cancel(own.ctx, 0);
}

static void bubble_timer_and_ctx_from_outside_panic(void **state)
{
	(void)state;
	panics(stop_it, "stop of synctest timer from outside bubble");
	panics(reset_it, "reset of synctest timer from outside bubble");
	panics(stop_ticker, "stop of synctest timer from outside bubble");
	panics(cancel_it, "close of synctest channel from outside bubble");
}

static void add_one(void *arg)
{
	(void)arg;
	rg_waitgroup_add(&own.wg, 1);
}

static void done_outside(void *arg)
{
	(void)arg;
	in_bubble(pointer(add_one));
	rg_waitgroup_done(&own.wg);
}

static void add_inside_too(void *arg)
{
	add_one(arg);
	in_bubble(pointer(add_one));
}

static void add_in_two(void *arg)
{
	(void)arg;
	in_bubble(pointer(add_one));
	in_bubble(pointer(add_one));
}

static void add_and_done(void *arg)
{
	add_one(arg);
	rg_waitgroup_done(&own.wg);
}

static void add_in_turn(void *arg)
{
	in_bubble(pointer(add_and_done));
	add_and_done(arg);
	in_bubble(pointer(add_and_done));
}

static void bubble_waitgroup_in_and_out_panics(void **state)
{
	(void)state;
	panics(done_outside, "inside and outside synctest bubble");
	panics(add_inside_too, "inside and outside synctest bubble");
	panics(add_in_two, "from multiple synctest bubbles");
	run_both(add_in_turn, NULL);
}

static void spin(void *arg)
{
	(void)arg;
	for (;;)
		rg_yield();
}

static void cond_in_bubble(void *arg)
{
	go(spin, NULL); /* no deadlock, thus */
	rg_mutex_lock(&own.m);
	rg_chan_close(arg);
	rg_cond_wait(&own.cond, &own.m);
}

static void signal_outside(void *c)
{
	rg_chan_recv(c, NULL);
	rg_mutex_lock(&own.m);
	rg_mutex_unlock(&own.m);
	rg_cond_signal(&own.cond);
}

static void cond_outside(void *arg)
{
	rg_chan *c = rg_chan_make(0, 0);

	(void)arg;
	go(signal_outside, c);
	rg_synctest_run(cond_in_bubble, c);
}

static void bubble_cond_signal_from_outside_panics(void **state)
{
	(void)state;
	panics(cond_outside, "semaphore wake of synctest goroutine from "
			     "outside bubble");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bubble_deadlock_panics),
		cmocka_unit_test(bubble_wait_and_run_in_the_wrong_place_panic),
		cmocka_unit_test(bubble_channel_from_outside_panics),
		cmocka_unit_test(bubble_timer_and_ctx_from_outside_panic),
		cmocka_unit_test(bubble_waitgroup_in_and_out_panics),
		cmocka_unit_test(bubble_cond_signal_from_outside_panics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
