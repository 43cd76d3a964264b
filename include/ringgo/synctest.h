/* SPDX-License-Identifier: MIT */
/*
 * ringgo/synctest.h - tests of concurrent code on a fake clock, as with Go's
 * testing/synctest.
 *
 *	static void check(void *arg)
 *	{
 *		rg_time start = rg_now();
 *		rg_sleep(RG_HOUR);                    // takes no time at all
 *		assert(rg_now() - start == RG_HOUR);  // exactly
 *	}
 *	rg_synctest_run(check, NULL);
 *
 * rg_synctest_run makes a bubble: the goroutine that runs fn and all that are started
 * in it, directly or not. Each bubble has a clock of its own, which starts at
 * midnight UTC 2000-01-01. rg_now, rg_sleep, timers, tickers, rg_after,
 * rg_after_func, deadlines of contexts and of select use it. It stands still while
 * any goroutine of the bubble runs or can be woken from outside the bubble, and
 * otherwise jumps to the next moment for which something is due.
 *
 * A goroutine is durably blocked when only the bubble itself can wake it:
 *	- a send or receive on a channel made in the bubble, or on NULL;
 *	- a select whose cases are all such (or that has none);
 *	- rg_cond_wait, rg_sem_acquire, rg_sleep;
 *	- rg_waitgroup_wait, when rg_waitgroup_add was called in the bubble.
 * Not so: mutexes, I/O, rg_blocking, channels from outside. Time waits for these.
 *
 * When all goroutines of the bubble are durably blocked, rg_synctest_wait returns,
 * if it was called; else the clock goes on, unless the goroutine that ran fn has
 * returned, with which time ends; else that is a deadlock, and panics.
 *
 * Channels, timers, tickers and contexts made in a bubble belong to it, and so does a
 * wait group from the first add in it until its counter is 0 again: to use one from
 * outside panics (freeing is fine, after the bubble has ended). Contexts are to be
 * derived from those of the bubble or from the background: no context is bound to
 * the goroutine that runs fn. I/O goes on in real time: a deadline given to a
 * connection in a bubble is as far away in real time as it is on the bubble's clock.
 */
#ifndef RINGGO_SYNCTEST_H
#define RINGGO_SYNCTEST_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

/*
 * rg_synctest_run - run fn(arg) in a goroutine of a new bubble and wait until all
 * goroutines of the bubble have exited. 0, or -ENOMEM, or -ESRCH when the caller is
 * no goroutine; fn was not called then. Panics when it is called in a bubble, and
 * when goroutines remain that will never be woken. Parks; heeds no context.
 */
RG_API int rg_synctest_run(void (*fn)(void *arg), void *arg);

/*
 * rg_synctest_wait - park until all other goroutines of the bubble are durably
 * blocked. The clock stands still meanwhile. Panics outside a bubble, and when
 * another goroutine of the bubble is in this call.
 */
RG_API void rg_synctest_wait(void);

RG_END_DECLS

#endif
