// SPDX-License-Identifier: MIT
/*
 * timerchan - rg_timer, rg_ticker, rg_after: timers that send on a channel.
 *
 * The channel holds one value, which len and cap do not show. The callback offers the
 * time to it and never waits: a ticker's slow receiver loses ticks. Stopping is to
 * stop the timer, after which its callback is not running (timer.h, I3), and then
 * to drain the channel: so no value from before the stop is ever received after
 * it, and taking the value out counts as having been in time.
 *
 *   I1  a timer's calls are serialised by its mutex, which parks when two
 *       goroutines stop or reset the same timer at once: starting a timer may
 *       allocate, so a runtime lock may not be held around it.
 *   I2  the callback takes the channel's lock only.
 *   I3  the channel of a timer or ticker has a reference of its own, and so may
 *       outlive it; that of rg_after has its timer inside, and stops it when the
 *       last reference is dropped.
 * As in Go from 1.23 on.
 */
#include "sync/timerchan.h"

#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "sched/bubble.h"
#include "sched/point.h"
#include "sync/chan.h"

enum { TIMER_CHAN_FLAGS = CHAN_RECV_ONLY | CHAN_HIDES_BUFFER };

struct rg_ticker {
	rg_timer t;
};

/* A channel that is also a timer. */
struct after {
	struct timer timer;
	RG_CACHE_ALIGNED struct rg_chan chan; /* its buffer follows */
};

static void send_time(struct timer *t, void *arg, rg_time now)
{
	void *flow = san_flow_make("timer");
	void *self = san_flow_on(flow);

	san_acquire(t);
	/* false, when full: the tick is dropped. */
	(void)chan_offer(arg, &now);
	san_flow_back(self);
	san_flow_free(flow);
}

/* of rg_after_func. */
static void call_function(struct timer *timer, void *arg, rg_time now)
{
	rg_timer *t = arg;
	void *flow = san_flow_make("timer");
	void *self = san_flow_on(flow);

	(void)now;
	san_acquire(timer);
	afterfunc_due(&t->call);
	san_flow_back(self);
	san_flow_free(flow);
}

/* ---- both kinds ------------------------------------------------------------ */

static bool start_locked(rg_timer *t, rg_time when, rg_duration period)
{
	san_release(&t->timer); /* to what it calls */
	if (t->chan)
		return timer_start(&t->timer, when, period, send_time,
				   t->chan) == 0;
	return timer_start(&t->timer, when, period, call_function, t) == 0;
}

static bool stop_locked(rg_timer *t)
{
	bool armed = timer_stop(&t->timer);
	bool fired = t->chan ? chan_drain(t->chan) : afterfunc_cancel(&t->call);

	return armed || fired;
}

static void need(const void *t, const char *what)
{
	if (!t)
		rg_panic("%s: nil timer", what);
}

/* An armed timer of a bubble is that bubble's; what is left of one that has ended is
 * not armed, and may be freed by anybody. */
static void check_bubble(rg_timer *t, const char *what)
{
	if (rg_unlikely(t->bubble))
		bubble_check(t->bubble, what, "timer");
}

static bool stop(rg_timer *t)
{
	bool was_active;

	rg_mutex_lock(&t->mutex);
	was_active = stop_locked(t);
	rg_mutex_unlock(&t->mutex);
	return was_active;
}

static bool reset(rg_timer *t, rg_duration d, rg_duration period)
{
	bool was_active, started;

	check_bubble(t, "reset of");
	rg_mutex_lock(&t->mutex);
	was_active = stop_locked(t);
	started = start_locked(t, timer_after(d), period);
	rg_mutex_unlock(&t->mutex);
	if (!started)
		rg_panic("out of memory: reset of a timer");
	return was_active;
}

static void destroy(rg_timer *t)
{
	stop(t);
	rg_chan_unref(t->chan);
	rgk_free(t);
}

/* period 0: once. fn NULL: a channel. NULL: out of memory. */
static rg_timer *timer_make(rg_duration d, rg_duration period,
			    void (*fn)(void *arg), void *arg)
{
	rg_timer *t = rgk_zalloc(sizeof(*t));

	if (!t)
		return NULL;
	t->bubble = bubble_id();
	/* Dumps look for the call before the address. */
	t->call.fn = fn;
	t->call.arg = arg;
	t->call.pc = (uintptr_t)rg_after_func + 1;
	if (!fn) {
		t->chan = rg_chan_make(sizeof(rg_time), 1);
		if (!t->chan)
			goto free_t;
		/* Relaxed: nobody else knows it yet. */
		atomic_store_explicit(
			&t->chan->flags,
			(uint8_t)(chan_flags(t->chan) | TIMER_CHAN_FLAGS),
			memory_order_relaxed);
	}
	if (start_locked(t, timer_after(d), period))
		return t;
	rg_chan_unref(t->chan);
free_t:
	rgk_free(t);
	return NULL;
}

/* ---- timers ----------------------------------------------------------------- */

rg_timer *rg_timer_new(rg_duration d)
{
	sched_point();
	return timer_make(d, 0, NULL, NULL);
}

rg_timer *rg_after_func(rg_duration d, void (*fn)(void *arg), void *arg)
{
	sched_point();
	if (!fn)
		rg_panic("rg_after_func: nil function");
	if (afterfunc_prepare() < 0)
		return NULL;
	return timer_make(d, 0, fn, arg);
}

bool rg_timer_stop(rg_timer *t)
{
	sched_point();
	need(t, "rg_timer_stop");
	check_bubble(t, "stop of");
	return stop(t);
}

bool rg_timer_reset(rg_timer *t, rg_duration d)
{
	sched_point();
	need(t, "rg_timer_reset");
	if (!t->chan && afterfunc_prepare() < 0)
		rg_panic("out of memory: reset of a timer");
	return reset(t, d, 0);
}

rg_chan *rg_timer_chan(rg_timer *t)
{
	need(t, "rg_timer_chan");
	return t->chan;
}

void rg_timer_free(rg_timer *t)
{
	if (t)
		destroy(t);
}

/* ---- tickers ---------------------------------------------------------------- */

rg_ticker *rg_ticker_new(rg_duration d)
{
	sched_point();
	if (d <= 0)
		rg_panic("non-positive interval for rg_ticker_new");
	/* An rg_ticker is its rg_timer. */
	return (rg_ticker *)(void *)timer_make(d, d, NULL, NULL);
}

void rg_ticker_stop(rg_ticker *t)
{
	sched_point();
	need(t, "rg_ticker_stop");
	check_bubble(&t->t, "stop of");
	stop(&t->t);
}

void rg_ticker_reset(rg_ticker *t, rg_duration d)
{
	sched_point();
	need(t, "rg_ticker_reset");
	if (d <= 0)
		rg_panic("non-positive interval for rg_ticker_reset");
	reset(&t->t, d, d);
}

rg_chan *rg_ticker_chan(rg_ticker *t)
{
	need(t, "rg_ticker_chan");
	return t->t.chan;
}

void rg_ticker_free(rg_ticker *t)
{
	if (t)
		destroy(&t->t);
}

/* ---- after ------------------------------------------------------------------ */

static void free_after(rg_chan *c)
{
	struct after *a = container_of(c, struct after, chan);

	timer_stop(&a->timer);
	rgk_free(a);
}

rg_chan *rg_after(rg_duration d)
{
	struct after *a =
		rgk_zalloc_aligned(sizeof(*a) + sizeof(rg_time), RG_CACHE_LINE);

	sched_point();
	if (!a)
		rg_panic("out of memory: rg_after");
	chan_init(&a->chan, sizeof(rg_time), 1, TIMER_CHAN_FLAGS, free_after);
	san_release(&a->timer); /* to what it calls */
	if (timer_start(&a->timer, timer_after(d), 0, send_time, &a->chan) < 0)
		rg_panic("out of memory: rg_after");
	return &a->chan;
}
