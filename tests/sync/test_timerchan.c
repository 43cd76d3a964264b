// SPDX-License-Identifier: MIT
/*
 * test_timerchan - timers, tickers, rg_after, rg_after_func: SEMANTICS 80 to 86 and
 * 88; I1 to I3 of sync/timerchan.c and sync/afterfunc.c.
 */
#include "tests/sync/bubbletest.h"

#include <stdlib.h>

#include "kernel-iface/alloc.h"
#include "sched/timer.h"

static rg_timer *make_timer(rg_duration d)
{
	rg_timer *t = rg_timer_new(d);

	T_CHECK(t != NULL);
	return t;
}

static rg_time recv_time(rg_chan *c)
{
	rg_time v = 0;

	T_CHECK(rg_recv(c, &v));
	return v;
}

/* Fired, and its value is in the channel: which does not show it. */
static void wait_fired(rg_timer *t)
{
	WAIT_FOR(chan_count(rg_timer_chan(t)) == 1);
	T_CHECK_INT_EQ(rg_chan_len(rg_timer_chan(t)), 0);
}

/* ---- firing ------------------------------------------------------------------ */

static void fires_body(void *arg)
{
	rg_time start = rg_now(), v;
	rg_timer *t = make_timer(3 * RG_MILLISECOND);

	(void)arg;
	T_CHECK_INT_EQ(rg_chan_cap(rg_timer_chan(t)), 0);
	v = recv_time(rg_timer_chan(t));
	T_CHECK_INT_GE(v - start, 3 * RG_MILLISECOND);
	T_CHECK_INT_GE(rg_now(), v);
	T_CHECK_INT_EQ(rg_chan_try_recv(rg_timer_chan(t), &v), -EAGAIN);
	T_CHECK(!rg_timer_stop(t));
	rg_timer_free(t);
	/* Not positive: at once. */
	t = make_timer(0);
	recv_time(rg_timer_chan(t));
	rg_timer_free(t);
	t = make_timer(INT64_MIN);
	recv_time(rg_timer_chan(t));
	rg_timer_free(t);
	rg_timer_free(NULL);
}

static void timer_sends_the_time_once(void **state)
{
	(void)state;
	run_both(fires_body, NULL);
}

static void order_body(void *arg)
{
	enum { N = 20 };
	rg_time start = rg_now();
	rg_timer *t[N];

	(void)arg;
	/* Timer i is the i-th to be due, and not the i-th to be made. */
	for (int k = 0; k < N; k++) {
		int i = k * 7 % N;

		t[i] = make_timer((i + 1) * RG_MILLISECOND);
	}
	for (int i = N - 1; i >= 0; i--)
		T_CHECK_INT_EQ(recv_time(rg_timer_chan(t[i])) - start,
			       (i + 1) * RG_MILLISECOND);
	for (int i = 0; i < N; i++)
		rg_timer_free(t[i]);
}

static void timer_many_fire_in_the_order_of_deadlines(void **state)
{
	(void)state;
	bubble_run(order_body);
}

static void huge_body(void *arg)
{
	static const rg_duration huge[] = {RG_FOREVER, RG_FOREVER - 1,
					   RG_FOREVER / 2};

	(void)arg;
	for (int i = 0; i < 3; i++) {
		rg_timer *t = make_timer(huge[i]);
		rg_ticker *k = rg_ticker_new(huge[i]);
		rg_chan *a = rg_after(huge[i]);

		T_CHECK(k != NULL);
		rg_sleep(RG_MILLISECOND);
		T_CHECK_INT_EQ(rg_chan_try_recv(rg_timer_chan(t), NULL),
			       -EAGAIN);
		T_CHECK_INT_EQ(rg_chan_try_recv(rg_ticker_chan(k), NULL),
			       -EAGAIN);
		T_CHECK_INT_EQ(rg_chan_try_recv(a, NULL), -EAGAIN);
		T_CHECK(rg_timer_stop(t));
		rg_timer_free(t);
		rg_ticker_free(k);
		rg_chan_unref(a);
	}
}

static void timer_huge_duration_is_not_in_the_past(void **state)
{
	(void)state;
	run_both(huge_body, NULL);
}

/* ---- stop, reset ---------------------------------------------------------------- */

static void stop_body(void *arg)
{
	rg_timer *t = make_timer(RG_HOUR);
	rg_chan *c = rg_timer_chan(t);
	rg_time v, start;

	(void)arg;
	T_CHECK(rg_timer_stop(t));
	T_CHECK(!rg_timer_stop(t));
	/* Fired and not received: the stop takes it back. */
	T_CHECK(!rg_timer_reset(t, 0));
	wait_fired(t);
	T_CHECK(rg_timer_stop(t));
	T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), -EAGAIN);
	T_CHECK(!rg_timer_stop(t));
	/* Fired and received. */
	rg_timer_reset(t, 0);
	recv_time(c);
	T_CHECK(!rg_timer_stop(t));
	/* A reset leaves no stale value either. */
	rg_timer_reset(t, 0);
	wait_fired(t);
	start = rg_now();
	T_CHECK(rg_timer_reset(t, 2 * RG_MILLISECOND));
	T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), -EAGAIN);
	T_CHECK_INT_GE(recv_time(c), start + 2 * RG_MILLISECOND);
	/* Active: earlier and later. */
	rg_timer_reset(t, RG_HOUR);
	T_CHECK(rg_timer_reset(t, RG_MILLISECOND));
	recv_time(c);
	rg_timer_reset(t, RG_MILLISECOND);
	T_CHECK(rg_timer_reset(t, RG_HOUR));
	rg_sleep(3 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), -EAGAIN);
	rg_timer_free(t);
}

static void timer_stop_and_reset_leave_no_stale_value(void **state)
{
	(void)state;
	run_both(stop_body, NULL);
}

static void no_timer_stop(void *arg)
{
	(void)arg;
	rg_timer_stop(NULL);
}

static void no_timer_reset(void *arg)
{
	(void)arg;
	rg_timer_reset(NULL, 1);
}

static void timer_chan_send(void *arg)
{
	rg_timer *t = make_timer(RG_HOUR);

	(void)arg;
	rg_send(rg_timer_chan(t), (rg_time)1);
}

static void timer_chan_close(void *arg)
{
	rg_timer *t = make_timer(RG_HOUR);

	(void)arg;
	rg_chan_close(rg_timer_chan(t));
}

static void timer_misuse_panics(void **state)
{
	(void)state;
	abort_both(no_timer_stop, "nil timer");
	abort_both(no_timer_reset, "nil timer");
	abort_both(timer_chan_send, "receive-only channel");
	abort_both(timer_chan_close, "receive-only channel");
}

static void memory_body(void *arg)
{
	int64_t live;

	(void)arg;
	rg_sleep(1);
	live = alloc_live();
	for (int64_t n = 0; n < 2; n++) {
		alloc_fail_after(n);
		T_CHECK(rg_timer_new(RG_HOUR) == NULL);
	}
	alloc_fail_after(-1);
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	for (int i = 0; i < 100; i++) {
		rg_chan *c = rg_chan_ref(rg_after(i % 2 ? 0 : RG_HOUR));

		/* Dropped early; the second reference is the last. */
		rg_chan_unref(c);
		rg_chan_unref(c);
		rg_timer_free(make_timer(i % 2 ? 0 : RG_HOUR));
		rg_ticker_free(rg_ticker_new(RG_HOUR));
	}
	T_CHECK_INT_LE(alloc_live() - live, LIVE_SLACK);
	T_CHECK_INT_EQ(timer_count(), 0);
}

static void timer_freed_at_any_time_leaves_nothing(void **state)
{
	(void)state;
	run_both(memory_body, NULL);
}

static void after_body(void *arg)
{
	rg_time start = rg_now();
	rg_chan *c = rg_after(2 * RG_MILLISECOND);
	rg_timer *t;

	(void)arg;
	T_CHECK_INT_GE(recv_time(c) - start, 2 * RG_MILLISECOND);
	rg_chan_unref(c);
	/* The channel outlives its timer. */
	t = make_timer(RG_HOUR);
	c = rg_chan_ref(rg_timer_chan(t));
	rg_timer_free(t);
	T_CHECK_INT_EQ(rg_chan_try_recv(c, NULL), -EAGAIN);
	rg_chan_unref(c);
}

static void after_gives_one_time(void **state)
{
	(void)state;
	run_both(after_body, NULL);
}

/* ---- tickers ------------------------------------------------------------------------ */

static void ticks_body(void *arg)
{
	rg_time start = rg_now(), v;
	rg_ticker *k = rg_ticker_new(RG_MILLISECOND);
	rg_chan *c = rg_ticker_chan(k);

	(void)arg;
	T_CHECK(k != NULL);
	for (int i = 1; i <= 10; i++)
		T_CHECK_INT_EQ(recv_time(c) - start, i * RG_MILLISECOND);
	/* A slow receiver: ticks are dropped, one is kept. */
	rg_sleep(10 * RG_MILLISECOND);
	rg_synctest_wait();
	T_CHECK_INT_EQ(chan_count(c), 1);
	T_CHECK_INT_EQ(rg_chan_len(c) + rg_chan_cap(c), 0);
	/* Stop: nothing stale, nothing new, not closed. */
	rg_ticker_stop(k);
	rg_sleep(3 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), -EAGAIN);
	start = rg_now();
	rg_ticker_reset(k, 2 * RG_MILLISECOND);
	T_CHECK_INT_EQ(recv_time(c) - start, 2 * RG_MILLISECOND);
	T_CHECK_INT_EQ(recv_time(c) - start, 4 * RG_MILLISECOND);
	rg_ticker_free(k);
	rg_ticker_free(NULL);
}

static void ticker_ticks_drops_and_stops(void **state)
{
	(void)state;
	bubble_run(ticks_body);
}

static void phase_body(void *arg)
{
	enum { PERIOD = 2 * RG_MILLISECOND };
	rg_time start = rg_now(), first, late;
	rg_ticker *k = rg_ticker_new(PERIOD);
	rg_chan *c = rg_ticker_chan(k);

	(void)arg;
	T_CHECK(k != NULL);
	first = recv_time(c);
	/* Miss some; what comes then is still on the grid, never early. */
	rg_sleep(5 * PERIOD);
	recv_time(c);
	for (int i = 0; i < 5; i++) {
		late = recv_time(c);
		T_CHECK_INT_GE((late - start) / PERIOD, 6 + i);
	}
	T_CHECK_INT_GE(first - start, PERIOD);
	rg_ticker_free(k);
}

static void ticker_keeps_its_phase(void **state)
{
	(void)state;
	run_both(phase_body, NULL);
}

static void bad_ticker(void *arg)
{
	(void)arg;
	rg_ticker_new(0);
}

static void bad_ticker_reset(void *arg)
{
	(void)arg;
	rg_ticker_reset(rg_ticker_new(RG_HOUR), -1);
}

static void ticker_non_positive_interval_panics(void **state)
{
	(void)state;
	abort_both(bad_ticker, "non-positive interval");
	abort_both(bad_ticker_reset, "non-positive interval");
}

/* ---- rg_after_func -------------------------------------------------------------------- */

struct func {
	_Atomic int ran;
	_Atomic uint64_t goid;
	rg_timer *t;
	rg_chan *gate;
};

static void note_run(void *arg)
{
	struct func *f = arg;

	T_CHECK(rg_ctx_current() == rg_ctx_background());
	atomic_store(&f->goid, rg_goid());
	atomic_fetch_add(&f->ran, 1);
	if (f->gate)
		rg_chan_recv(f->gate, NULL);
}

static rg_timer *make_func(rg_duration d, void (*fn)(void *arg), void *arg)
{
	rg_timer *t = rg_after_func(d, fn, arg);

	T_CHECK(t != NULL);
	return t;
}

static void func_body(void *arg)
{
	struct func f = {.ran = 0};
	rg_timer *t;
	rg_ctx *c = rg_ctx_with_cancel(rg_ctx_background());

	(void)arg;
	/* A context of the maker is not inherited. */
	T_CHECK(c && rg_ctx_bind(c) == NULL);
	t = make_func(RG_MILLISECOND, note_run, &f);
	T_CHECK(rg_timer_chan(t) == NULL);
	WAIT_FOR(atomic_load(&f.ran) == 1);
	T_CHECK(atomic_load(&f.goid) != rg_goid());
	T_CHECK(atomic_load(&f.goid) != 0);
	T_CHECK(!rg_timer_stop(t));
	T_CHECK(!rg_timer_reset(t, RG_HOUR));
	T_CHECK(rg_timer_reset(t, 0));
	WAIT_FOR(atomic_load(&f.ran) == 2);
	T_CHECK(!rg_timer_reset(t, RG_HOUR));
	T_CHECK(rg_timer_stop(t));
	T_CHECK(!rg_timer_stop(t));
	rg_timer_free(t);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(c);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&f.ran), 2);
}

static void after_func_runs_in_its_own_goroutine(void **state)
{
	(void)state;
	run_both(func_body, NULL);
}

/* Stop does not wait for a function that runs; it may park. */
static void parked_func_body(void *arg)
{
	struct func f = {.ran = 0, .gate = rg_chan_make(0, 0)};
	rg_timer *a = make_func(0, note_run, &f);
	rg_timer *b = make_func(0, note_run, &f);

	(void)arg;
	T_CHECK(f.gate != NULL);
	WAIT_FOR(receivers(f.gate) == 2);
	T_CHECK(!rg_timer_stop(a));
	rg_timer_free(a);
	rg_timer_free(b);
	rg_chan_send(f.gate, NULL);
	rg_chan_send(f.gate, NULL);
	wait_all();
	rg_chan_unref(f.gate);
}

static void after_func_stop_does_not_wait_for_the_function(void **state)
{
	(void)state;
	run_both(parked_func_body, NULL);
}

static void free_own_timer(void *arg)
{
	struct func *f = arg;

	/* main stores it before it looks for `ran`. */
	while (!atomic_load_explicit(&f->goid, memory_order_acquire))
		rg_yield();
	rg_timer_free(f->t);
	atomic_fetch_add(&f->ran, 1);
}

static void own_free_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct func f = {.ran = 0};

		f.t = make_func(0, free_own_timer, &f);
		atomic_store_explicit(&f.goid, 1, memory_order_release);
		WAIT_FOR(atomic_load(&f.ran) == 1);
	}
}

static void after_func_may_free_its_own_timer(void **state)
{
	(void)state;
	run_both(own_free_body, NULL);
}

/* Whoever starts the functions is made anew in each runtime. */
static void after_func_works_in_the_next_runtime(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		run_both(func_body, NULL);
}

/* ---- storms ------------------------------------------------------------------------------ */

struct storm {
	rg_timer *t;
	_Atomic int64_t stops, ran;
};

static void count_run(void *arg)
{
	atomic_fetch_add(&((struct storm *)arg)->ran, 1);
}

static void reset_stop(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < 300; i++) {
		rg_timer_reset(s->t, (i % 4) * 20 * RG_MICROSECOND);
		if (i % 3 == 0)
			rg_yield();
		if (rg_timer_stop(s->t))
			atomic_fetch_add(&s->stops, 1);
	}
}

static void *reset_stop_t(void *arg)
{
	reset_stop(arg);
	return NULL;
}

/* Many goroutines and a thread stop and reset one timer; then nothing comes. */
static void storm_with(rg_timer *t, struct storm *s)
{
	pthread_t thread;

	s->t = t;
	for (int i = 0; i < 8; i++)
		must_go(reset_stop, s);
	must_thread(&thread, reset_stop_t, s);
	must_join(thread);
	wait_all();
	rg_timer_stop(t);
}

static void storm_body(void *arg)
{
	struct storm s = {.t = NULL};
	rg_timer *t = make_timer(RG_HOUR);

	(void)arg;
	storm_with(t, &s);
	T_CHECK_INT_EQ(rg_chan_try_recv(rg_timer_chan(t), NULL), -EAGAIN);
	rg_timer_free(t);
	t = make_func(RG_HOUR, count_run, &s);
	storm_with(t, &s);
	/* Each reset starts it once at most. */
	T_CHECK_INT_LE(atomic_load(&s.ran), 9 * 300);
	rg_timer_free(t);
	T_CHECK_INT_GT(atomic_load(&s.stops), 0);
	T_CHECK_INT_EQ(timer_count(), 0);
}

static void timer_storm_of_stop_and_reset_is_safe(void **state)
{
	(void)state;
	run_both(storm_body, NULL);
}

static void afters(void *arg)
{
	_Atomic int *n = arg;

	for (int i = 0; i < 200; i++) {
		rg_chan *a = rg_after(i % 5 * 30 * RG_MICROSECOND);
		rg_chan *b = rg_after(i % 3 * 40 * RG_MICROSECOND);
		rg_time v;
		rg_case cases[] = {RG_RECV(a, &v), RG_RECV(b, &v)};

		T_CHECK_INT_GE(rg_select(cases, 2), 0);
		/* The other may be firing at this moment. */
		rg_chan_unref(a);
		rg_chan_unref(b);
		atomic_fetch_add(n, 1);
	}
}

static void after_storm_body(void *arg)
{
	_Atomic int n = 0;

	(void)arg;
	for (int i = 0; i < 30; i++)
		must_go(afters, &n);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&n), 6000);
	T_CHECK_INT_EQ(timer_count(), 0);
}

static void after_storm_drops_channels_that_fire(void **state)
{
	(void)state;
	run_both(after_storm_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_sends_the_time_once),
		cmocka_unit_test(timer_many_fire_in_the_order_of_deadlines),
		cmocka_unit_test(timer_huge_duration_is_not_in_the_past),
		cmocka_unit_test(timer_stop_and_reset_leave_no_stale_value),
		cmocka_unit_test(timer_misuse_panics),
		cmocka_unit_test(timer_freed_at_any_time_leaves_nothing),
		cmocka_unit_test(after_gives_one_time),
		cmocka_unit_test(ticker_ticks_drops_and_stops),
		cmocka_unit_test(ticker_keeps_its_phase),
		cmocka_unit_test(ticker_non_positive_interval_panics),
		cmocka_unit_test(after_func_runs_in_its_own_goroutine),
		cmocka_unit_test(
			after_func_stop_does_not_wait_for_the_function),
		cmocka_unit_test(after_func_may_free_its_own_timer),
		cmocka_unit_test(after_func_works_in_the_next_runtime),
		cmocka_unit_test(timer_storm_of_stop_and_reset_is_safe),
		cmocka_unit_test(after_storm_drops_channels_that_fire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
