/* SPDX-License-Identifier: MIT */
/*
 * ringgo/timer.h - timers and tickers with the semantics of Go 1.23 and later.
 *
 * A timer's channel has length and capacity 0: after stop or reset returned, no
 * stale value can be received. None of these calls parks, but stop and reset wait
 * for each other when they meet on one timer.
 */
#ifndef RINGGO_TIMER_H
#define RINGGO_TIMER_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

typedef struct rg_timer rg_timer;
typedef struct rg_ticker rg_ticker;

/* rg_timer_new - fires once after d, sending the rg_time of the moment. NULL: no
 * memory, or no runtime. stop and reset return true when the timer was active; reset
 * panics when out of memory. The channel is for receiving: a send or close panics. */
RG_API rg_timer *rg_timer_new(rg_duration d);
RG_API bool rg_timer_stop(rg_timer *t);
RG_API bool rg_timer_reset(rg_timer *t, rg_duration d);
RG_API rg_chan *rg_timer_chan(rg_timer *t); /* lent; NULL for rg_after_func */
RG_API void rg_timer_free(rg_timer *t);     /* stops it; NULL is nothing */

/* rg_after_func - fn(arg) in a goroutine of its own after d. */
RG_API rg_timer *rg_after_func(rg_duration d, void (*fn)(void *arg), void *arg);

/* rg_ticker_new - a tick every d, phase kept, ticks dropped for a slow receiver.
 * d <= 0 panics. stop does not close the channel. */
RG_API rg_ticker *rg_ticker_new(rg_duration d);
RG_API void rg_ticker_stop(rg_ticker *t);
RG_API void rg_ticker_reset(rg_ticker *t, rg_duration d);
RG_API rg_chan *rg_ticker_chan(rg_ticker *t);
RG_API void rg_ticker_free(rg_ticker *t);

/* rg_after - a channel that gets one rg_time after d. The caller owns one
 * reference; dropping it early is fine. Panics when out of memory. */
RG_API rg_chan *rg_after(rg_duration d);

RG_END_DECLS

#endif
