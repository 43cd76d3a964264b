// SPDX-License-Identifier: MIT
/*
 * public - the small calls of <ringgo/runtime.h> and <ringgo/base.h>.
 */
#include <ringgo/runtime.h>

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/cpus.h"
#include "kernel-iface/textmap.h"
#include "sched/bubble.h"
#include "sched/cancel.h"
#include "sched/getg.h"
#include "sched/park.h"
#include "sched/point.h"
#include "sched/procslimit.h"
#include "sched/sched.h"
#include "sched/seed.h"
#include "sched/token.h"

enum { NAME_LEN = 32 };

const char *rg_strerror(int err)
{
	const char *text = strerrordesc_np(err < 0 ? -err : err);

	return text ? text : "Unknown error";
}

void rg_yield(void)
{
	struct m *mp = getm();

	if (rg_likely(mp && mp->curg != &mp->g0))
		sched_yield_g();
	else
		sched_yield();
}

int rg_preempt_allow(const void *code_address)
{
	return textmap_allow(code_address);
}

uint64_t rg_goid(void)
{
	return is_goroutine() ? getg()->goid : 0;
}

void rg_set_name(const char *fmt, ...)
{
	struct g *gp = getg();
	va_list args;

	if (!is_goroutine())
		return; /* a thread's name is its owner's */
	if (!gp->name)
		gp->name = rgk_zalloc(NAME_LEN);
	if (!gp->name)
		return; /* only a label for dumps */
	va_start(args, fmt);
	vsnprintf(gp->name, NAME_LEN, fmt, args);
	va_end(args);
}

int rg_gomaxprocs(int n)
{
	if (!sched_is_on())
		return 0;
	if (seed_is_on()) /* logical ones, const */
		return seed_procs();
	if (n <= 0)
		return sched_nprocs();
	procslimit_fix();
	return token_set_procs(n);
}

int rg_num_cpu(void)
{
	return cpus_usable();
}

int64_t rg_num_goroutine(void)
{
	int64_t n = atomic_load_explicit(&sched.foreign_created,
					 memory_order_relaxed);
	struct p *pp;

	if (!sched_is_on())
		return 0;
	/* Relaxed: a gauge; ended first, so that it is never too small by
	 * those that come and go meanwhile. */
	sched_for_each_p(pp) {
		/* Acquire, pairs with nothing: keeps the loads in this order. */
		n -= (int64_t)atomic_load_explicit(&pp->ended,
						   memory_order_acquire);
	}
	sched_for_each_p(pp) {
		n += (int64_t)atomic_load_explicit(&pp->created,
						   memory_order_relaxed);
	}
	return n;
}

rg_time rg_now(void)
{
	struct bubble *b = bubble_current();

	return b ? bubble_now(b) : sched_now();
}

int64_t rg_unix_nano(void)
{
	struct bubble *b = bubble_current();

	/* A bubble's clock is both clocks. */
	if (rg_unlikely(b))
		return bubble_now(b);
	return clock_ns(CLOCK_REALTIME);
}

int64_t rg_time_to_unix_nano(rg_time t)
{
	if (rg_unlikely(bubble_current()))
		return t;
	return clock_ns(CLOCK_REALTIME) - sched_now() + t;
}

static int foreign_sleep(rg_duration d)
{
	rg_time end = clock_after(d);
	struct timespec ts = {.tv_sec = end / RG_SECOND,
			      .tv_nsec = end % RG_SECOND};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		; /* EINTR: the rest */
	return 0;
}

int rg_sleep(rg_duration d)
{
	rg_time deadline;
	struct g *gp;
	int err;

	sched_point();
	if (!is_goroutine())
		return d > 0 ? foreign_sleep(d) : 0;
	gp = getg();
	err = gp->token ? cancel_token_err(gp->token) : 0;
	if (err || d <= 0)
		return err;
	deadline = timer_after(d);
	wake_begin(gp);
	if (sched_park_until(NULL, NULL, deadline, true, WAIT_SLEEP, NULL) ==
	    WAKE_CANCEL)
		return cancel_token_err(gp->token);
	/* Early only when the timer could not be armed. */
	return rg_now() < deadline ? -ENOMEM : 0;
}

/* xorshift64*: quality enough to choose among cases and victims. */
uint32_t sched_rand(void)
{
	struct m *mp = getm();
	uint64_t *state = mp ? &mp->rng : getg_foreign_rng();
	uint64_t x = *state;

	if (!x)
		x = (uint64_t)clock_now() ^ (uint64_t)(uintptr_t)state;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return (uint32_t)(x * 2685821657736338717u >> 32);
}
