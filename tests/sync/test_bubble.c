// SPDX-License-Identifier: MIT
/*
 * The synctest bubble: the examples of Go's testing/synctest, what is durably blocked
 * and what is not (I2, I3), the fake clock (I5).
 * Exact times are asserted everywhere: the clock is fake.
 */
#include "tests/sync/bubbletest.h"

#include <unistd.h>

/* ---- the clock ------------------------------------------------------------- */

static void time_body(void *arg)
{
	rg_time start = rg_now(), real = start;

	(void)arg;
	go(sleep_1s, &start);
	T_CHECK_INT_EQ(rg_sleep(2 * RG_SECOND), 0);
	T_CHECK_INT_EQ(start - real, RG_HOUR); /* it ran before */
	T_CHECK_INT_EQ(rg_now() - real, 2 * RG_SECOND);
}

static void bubble_sleep_takes_no_time_and_is_exact(void **state)
{
	(void)state;
	bubble_run(time_body);
}

static void epoch_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_unix_nano(), EPOCH_NS);
	T_CHECK_INT_EQ(rg_time_to_unix_nano(rg_now()), EPOCH_NS);
	T_CHECK_INT_EQ(rg_sleep(RG_MINUTE), 0);
	T_CHECK_INT_EQ(rg_unix_nano(), EPOCH_NS + RG_MINUTE);
	T_CHECK_INT_EQ(rg_time_to_unix_nano(rg_now()), EPOCH_NS + RG_MINUTE);
}

static void run_epoch(void *arg)
{
	rg_time before = rg_now();
	int64_t unix_before = rg_unix_nano();

	for (int i = 0; i < 2; i++)
		in_bubble(arg);
	T_CHECK(rg_now() >= before && rg_now() - before < RG_MINUTE);
	T_CHECK(rg_unix_nano() != EPOCH_NS && rg_unix_nano() >= unix_before);
}

static void bubble_clock_starts_in_2000_and_ends_with_it(void **state)
{
	(void)state;
	run_both(run_epoch, pointer(epoch_body));
}

enum { SLEEPERS = 50 };

struct order {
	int next;
};

struct sleeper {
	struct order *order;
	int rank;
};

static void sleep_for_rank(void *copied)
{
	const struct sleeper *s = copied;

	rg_sleep(s->rank * RG_SECOND);
	T_CHECK_INT_EQ(s->order->next, s->rank);
	s->order->next++;
}

static void order_body(void *arg)
{
	struct order order = {1};
	rg_time start = rg_now();

	(void)arg;
	for (int i = SLEEPERS; i >= 1; i--) {
		struct sleeper s = {&order, i};

		T_CHECK_INT_EQ(rg_go_copy(sleep_for_rank, &s, sizeof s), 0);
	}
	T_CHECK_INT_EQ(rg_sleep((SLEEPERS + 1) * RG_SECOND), 0);
	T_CHECK_INT_EQ(order.next, SLEEPERS + 1);
	T_CHECK_INT_EQ(rg_now() - start, (SLEEPERS + 1) * RG_SECOND);
}

static void bubble_sleepers_wake_in_the_order_of_time(void **state)
{
	(void)state;
	bubble_run(order_body);
}

/* ---- wait -------------------------------------------------------------------- */

static void set_true(void *flag)
{
	*(bool *)flag = true;
}

static void wait_body(void *arg)
{
	bool done = false;

	(void)arg;
	go(set_true, &done);
	rg_synctest_wait();
	T_CHECK(done);
}

static void bubble_wait_returns_when_the_others_are_done(void **state)
{
	(void)state;
	bubble_run(wait_body);
}

struct steps {
	rg_chan *c;
	int n;
};

static void recv_and_count(void *arg)
{
	struct steps *s = arg;
	int64_t v;

	while (rg_chan_recv(s->c, &v))
		s->n++;
}

static void wait_step_body(void *arg)
{
	struct steps s = {rg_chan_make(8, 0), 0};
	rg_time start = rg_now();

	(void)arg;
	go(recv_and_count, &s);
	for (int64_t i = 0; i < 1000; i++) {
		rg_chan_send(s.c, &i);
		rg_synctest_wait();
		T_CHECK_INT_EQ(s.n, i + 1);
	}
	rg_chan_close(s.c);
	rg_synctest_wait();
	T_CHECK_INT_EQ(rg_now(), start);
	rg_chan_unref(s.c);
}

static void bubble_wait_sees_each_step_and_time_stands_still(void **state)
{
	(void)state;
	bubble_run(wait_step_body);
}

/* ---- contexts ----------------------------------------------------------------- */

static void ctx_timeout_body(void *arg)
{
	rg_ctx *c = rg_ctx_with_timeout(rg_ctx_background(), 5 * RG_SECOND);

	(void)arg;
	rg_sleep(5 * RG_SECOND - 1);
	rg_synctest_wait();
	T_CHECK_INT_EQ(rg_ctx_err(c), 0);
	rg_sleep(1);
	rg_synctest_wait();
	T_CHECK_INT_EQ(rg_ctx_err(c), -ETIMEDOUT);
	rg_ctx_unref(c);
}

static void bubble_ctx_with_timeout_ends_at_the_nanosecond(void **state)
{
	(void)state;
	bubble_run(ctx_timeout_body);
}

static void ctx_after_body(void *arg)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());
	bool called = false;
	rg_ctx_after *a = rg_ctx_after_func(c, set_true, &called);

	(void)arg;
	rg_synctest_wait();
	T_CHECK(!called);
	rg_ctx_cancel(c, 0);
	rg_synctest_wait();
	T_CHECK(called);
	rg_ctx_after_free(a);
	rg_ctx_unref(c);
}

static void bubble_function_after_a_ctx_runs_when_it_ends(void **state)
{
	(void)state;
	bubble_run(ctx_after_body);
}

static void sleep_with_ctx(void *arg)
{
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ETIMEDOUT);
	*(rg_time *)arg = rg_now();
}

static void bound_body(void *arg)
{
	rg_ctx *c = rg_ctx_with_timeout(rg_ctx_background(), RG_MINUTE);
	rg_time start = rg_now(), end = 0;

	(void)arg;
	T_CHECK_PTR_EQ(rg_ctx_current(), rg_ctx_background());
	rg_ctx_unref(rg_ctx_bind(c));
	go(sleep_with_ctx, &end);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_sleep(2 * RG_MINUTE);
	T_CHECK_INT_EQ(end - start, RG_MINUTE);
	rg_ctx_unref(c);
}

static void with_ctx_outside(void *fn)
{
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());

	rg_ctx_unref(rg_ctx_bind(c));
	rg_ctx_cancel(c, 0);
	in_bubble(fn);
	T_CHECK_PTR_EQ(rg_ctx_current(), c);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(c);
}

static void bubble_does_not_inherit_the_callers_ctx(void **state)
{
	(void)state;
	run_both(with_ctx_outside, pointer(bound_body));
}

/* ---- timers -------------------------------------------------------------------- */

static void ticker_body(void *arg)
{
	rg_ticker *t = rg_ticker_new(RG_SECOND);
	rg_time start = rg_now(), at;
	int64_t n = 0;

	(void)arg;
	while (n < 3600) {
		T_CHECK(rg_chan_recv(rg_ticker_chan(t), &at));
		n++;
		T_CHECK_INT_EQ(at - start, n * RG_SECOND);
		T_CHECK_INT_EQ(rg_now(), at);
	}
	/* Nobody receives: one tick is kept, and it is the first missed. */
	rg_sleep(10 * RG_SECOND + RG_SECOND / 2);
	T_CHECK(rg_chan_recv(rg_ticker_chan(t), &at));
	T_CHECK_INT_EQ(at - start, (n + 1) * RG_SECOND);
	T_CHECK(rg_chan_recv(rg_ticker_chan(t), &at));
	T_CHECK_INT_EQ(at - start, (n + 11) * RG_SECOND);
	rg_ticker_free(t);
}

static void bubble_ticker_ticks_3600_times_in_an_hour(void **state)
{
	(void)state;
	bubble_run(ticker_body);
}

static void note_now(void *at)
{
	*(rg_time *)at = rg_now();
}

static void afterfunc_body(void *arg)
{
	rg_time start = rg_now(), at[3] = {0};
	rg_timer *t[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		t[i] = rg_after_func((i + 1) * RG_MINUTE, note_now, &at[i]);
	T_CHECK(rg_timer_stop(t[1]));
	rg_sleep(RG_MINUTE);
	rg_synctest_wait();
	T_CHECK_INT_EQ(at[0] - start, RG_MINUTE);
	T_CHECK(!rg_timer_reset(t[0], RG_HOUR));
	rg_sleep(3 * RG_MINUTE);
	T_CHECK_INT_EQ(at[1], 0);
	T_CHECK_INT_EQ(at[2] - start, 3 * RG_MINUTE);
	rg_sleep(RG_HOUR);
	T_CHECK_INT_EQ(at[0] - start, RG_HOUR + RG_MINUTE);
	for (int i = 0; i < 3; i++)
		rg_timer_free(t[i]);
}

static void bubble_after_func_runs_in_the_bubble_in_time(void **state)
{
	(void)state;
	bubble_run(afterfunc_body);
}

static void select_body(void *arg)
{
	rg_chan *never = rg_chan_make(8, 0), *after = rg_after(RG_SECOND);
	rg_time start = rg_now();
	int64_t v;
	rg_case cases[] = {RG_RECV(never, &v), RG_RECV(after, &v)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select_until(cases, 1, start + RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_now() - start, RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_select(cases, 2), 1);
	T_CHECK_INT_EQ(rg_now() - start, RG_SECOND);
	T_CHECK_INT_EQ(v, rg_now());
	rg_chan_unref(after);
	rg_chan_unref(never);
}

static void bubble_select_has_exact_deadlines(void **state)
{
	(void)state;
	bubble_run(select_body);
}

/* A timer that is due at once comes before the end of a wait. */
static void due_body(void *arg)
{
	rg_time at = 0;
	rg_timer *t = rg_after_func(0, note_now, &at);

	(void)arg;
	rg_synctest_wait();
	T_CHECK_INT_EQ(at, rg_now());
	rg_timer_free(t);
}

static void bubble_wait_comes_after_what_is_due_now(void **state)
{
	(void)state;
	bubble_run(due_body);
}

/* ---- what blocks durably --------------------------------------------------------- */

struct blocked {
	rg_mutex m;
	rg_cond cond;
	rg_sem sem;
	rg_waitgroup wg;
	int woken;
};

static void wait_cond(void *arg)
{
	struct blocked *b = arg;

	rg_mutex_lock(&b->m);
	rg_cond_wait(&b->cond, &b->m);
	b->woken++;
	rg_mutex_unlock(&b->m);
}

static void wait_sem(void *arg)
{
	struct blocked *b = arg;

	T_CHECK_INT_EQ(rg_sem_acquire(&b->sem, 1), 0);
	b->woken++;
}

static void wait_wg(void *arg)
{
	struct blocked *b = arg;

	rg_waitgroup_wait(&b->wg);
	b->woken++;
}

static void durable_body(void *arg)
{
	struct blocked b = {.woken = 0};

	(void)arg;
	rg_waitgroup_add(&b.wg, 1);
	go(wait_cond, &b);
	go(wait_sem, &b);
	go(wait_wg, &b);
	rg_synctest_wait();
	T_CHECK_INT_EQ(b.woken, 0);
	rg_sleep(RG_HOUR);
	T_CHECK_INT_EQ(b.woken, 0);
	rg_cond_signal(&b.cond);
	rg_synctest_wait();
	T_CHECK_INT_EQ(b.woken, 1);
	rg_sem_release(&b.sem, 1);
	rg_synctest_wait();
	T_CHECK_INT_EQ(b.woken, 2);
	rg_waitgroup_done(&b.wg);
	rg_synctest_wait();
	T_CHECK_INT_EQ(b.woken, 3);
}

static void bubble_cond_sem_and_waitgroup_block_durably(void **state)
{
	(void)state;
	bubble_run(durable_body);
}

static void *sleep_really(void *arg)
{
	(void)arg;
	usleep(20000);
	return arg;
}

struct unblocked {
	rg_mutex m;
	rg_chan *outside;
	rg_time start;
	int fds[2];
	int done;
};

static void blocking_call(void *arg)
{
	struct unblocked *u = arg;

	rg_blocking(sleep_really, NULL);
	T_CHECK_INT_EQ(rg_now(), u->start);
	rg_mutex_lock(&u->m); /* held by the main goroutine, which sleeps */
	rg_mutex_unlock(&u->m);
	T_CHECK_INT_EQ(rg_now() - u->start, 0);
	u->done++;
}

static void read_pipe(void *arg)
{
	struct unblocked *u = arg;
	char byte;

	T_CHECK_INT_EQ(rg_read(u->fds[0], &byte, 1), 1);
	T_CHECK_INT_EQ(rg_now(), u->start);
}

static void *write_later(void *arg)
{
	usleep(20000);
	T_CHECK_INT_EQ(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

static void not_durable_body(void *arg)
{
	struct unblocked *u = arg;

	u->start = rg_now();
	rg_mutex_lock(&u->m);
	go(blocking_call, u);
	go(read_pipe, u);
	rg_blocking(write_later, &u->fds[1]);
	rg_mutex_unlock(&u->m);
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), 0);
	T_CHECK_INT_EQ(u->done, 1);
}

static void run_not_durable(void *arg)
{
	struct unblocked u = {.done = 0};

	(void)arg;
	T_CHECK_INT_EQ(pipe(u.fds), 0);
	T_CHECK_INT_EQ(rg_synctest_run(not_durable_body, &u), 0);
	close(u.fds[0]);
	close(u.fds[1]);
}

static void bubble_time_waits_for_io_mutex_and_blocking_calls(void **state)
{
	(void)state;
	run_both(run_not_durable, NULL);
}

static void send_outside(void *c)
{
	const int64_t v = 7;

	rg_blocking(sleep_really, NULL);
	rg_chan_send(c, &v);
}

/* On a channel from outside time waits, in a select with others, too. */
static void outside_body(void *c)
{
	rg_chan *own = rg_chan_make(8, 0);
	rg_time start = rg_now();
	int64_t v = 0;
	rg_case cases[] = {RG_RECV(own, &v), RG_RECV(c, &v)};

	T_CHECK(rg_chan_recv(c, &v));
	T_CHECK_INT_EQ(v, 7);
	T_CHECK_INT_EQ(rg_select_until(cases, 2, start + RG_HOUR), 1);
	T_CHECK_INT_EQ(rg_now(), start);
	rg_chan_unref(own);
}

static void run_outside(void *arg)
{
	rg_chan *c = rg_chan_make(8, 0);

	(void)arg;
	go(send_outside, c);
	go(send_outside, c);
	T_CHECK_INT_EQ(rg_synctest_run(outside_body, c), 0);
	rg_chan_unref(c);
	t_wait_goroutines(1);
}

static void bubble_time_waits_for_channels_from_outside(void **state)
{
	(void)state;
	run_both(run_outside, NULL);
}

/* A deadline of I/O is as far away in real time. */
static void io_deadline_body(void *arg)
{
	rg_conn *conn = NULL;
	rg_listener *l = NULL;
	rg_time start = rg_now();
	char byte;

	(void)arg;
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), 0);
	T_CHECK_INT_EQ(rg_dial("tcp", rg_listener_addr(l), &conn), 0);
	T_CHECK_INT_EQ(rg_conn_set_deadline(conn, start + 20 * RG_MILLISECOND),
		       0);
	T_CHECK_INT_EQ(rg_conn_read(conn, &byte, 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_now(), start);
	rg_conn_close(conn);
	rg_listener_close(l);
}

static void bubble_io_deadline_is_in_real_time(void **state)
{
	(void)state;
	bubble_run(io_deadline_body);
}

/* ---- the end ------------------------------------------------------------------- */

static void late_one(void *arg)
{
	for (int i = 0; i < 100; i++)
		rg_yield();
	*(bool *)arg = true;
}

static void leave_one(void *arg)
{
	go(late_one, arg);
}

static void run_late(void *arg)
{
	bool done = false;

	(void)arg;
	T_CHECK_INT_EQ(rg_synctest_run(leave_one, &done), 0);
	T_CHECK(done);
}

static void bubble_run_waits_for_all_goroutines(void **state)
{
	(void)state;
	run_both(run_late, NULL);
}

/* What is not stopped in the bubble may be freed after it. */
struct kept {
	rg_timer *timer;
	rg_ticker *ticker;
	rg_chan *after, *chan;
	rg_ctx *ctx;
};

static void keep(void *arg)
{
	struct kept *k = arg;

	k->timer = rg_after_func(RG_HOUR, late_one, NULL);
	k->ticker = rg_ticker_new(RG_SECOND);
	k->after = rg_after(RG_HOUR);
	k->chan = rg_chan_make(8, 1);
	k->ctx = rg_ctx_with_timeout(rg_ctx_background(), RG_HOUR);
}

static void run_keep(void *arg)
{
	struct kept k;

	(void)arg;
	T_CHECK_INT_EQ(rg_synctest_run(keep, &k), 0);
	rg_timer_free(k.timer);
	rg_ticker_free(k.ticker);
	rg_chan_unref(k.after);
	rg_chan_unref(k.chan);
	rg_ctx_unref(k.ctx);
}

static void bubble_leftovers_can_be_freed_afterwards(void **state)
{
	(void)state;
	run_both(run_keep, NULL);
}

static void exits(void *arg)
{
	(void)arg;
	go(late_one, &(bool){false});
	rg_synctest_wait();
	rg_exit();
}

static void bubble_main_may_exit(void **state)
{
	(void)state;
	bubble_run(exits);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void bubble_run_outside_a_goroutine_is_refused(void **state)
{
	(void)state;
	assert_int_equal(rg_synctest_run(nothing, NULL), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bubble_sleep_takes_no_time_and_is_exact),
		cmocka_unit_test(bubble_clock_starts_in_2000_and_ends_with_it),
		cmocka_unit_test(bubble_sleepers_wake_in_the_order_of_time),
		cmocka_unit_test(bubble_wait_returns_when_the_others_are_done),
		cmocka_unit_test(
			bubble_wait_sees_each_step_and_time_stands_still),
		cmocka_unit_test(
			bubble_ctx_with_timeout_ends_at_the_nanosecond),
		cmocka_unit_test(bubble_function_after_a_ctx_runs_when_it_ends),
		cmocka_unit_test(bubble_does_not_inherit_the_callers_ctx),
		cmocka_unit_test(bubble_ticker_ticks_3600_times_in_an_hour),
		cmocka_unit_test(bubble_after_func_runs_in_the_bubble_in_time),
		cmocka_unit_test(bubble_select_has_exact_deadlines),
		cmocka_unit_test(bubble_wait_comes_after_what_is_due_now),
		cmocka_unit_test(bubble_cond_sem_and_waitgroup_block_durably),
		cmocka_unit_test(
			bubble_time_waits_for_io_mutex_and_blocking_calls),
		cmocka_unit_test(bubble_time_waits_for_channels_from_outside),
		cmocka_unit_test(bubble_io_deadline_is_in_real_time),
		cmocka_unit_test(bubble_run_waits_for_all_goroutines),
		cmocka_unit_test(bubble_leftovers_can_be_freed_afterwards),
		cmocka_unit_test(bubble_main_may_exit),
		cmocka_unit_test(bubble_run_outside_a_goroutine_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
