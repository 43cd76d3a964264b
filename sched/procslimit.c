// SPDX-License-Identifier: MIT
/*
 * procslimit - see procslimit.h for the role and the invariants.
 *
 * A look reads two or three small files, some 20 us. What was the default before is
 * remembered, not compared with the present number: fewer threads than wanted may
 * have been had at start.
 */
#include "sched/procslimit.h"

#include <stdatomic.h>

#include "kernel-iface/cpus.h"
#include "sched/token.h"

/* Relaxed, all of them: each says something by itself. */
static _Atomic bool follows;
static _Atomic int64_t interval = RG_SECOND, nlooks;

/* sysmon's, once it runs */
static int last;
static rg_time last_look;

void procslimit_start(int n)
{
	last = n;
	last_look = 0;
	atomic_store_explicit(&nlooks, 0, memory_order_relaxed);
	atomic_store_explicit(&follows, n > 0, memory_order_relaxed);
}

void procslimit_fix(void)
{
	atomic_store_explicit(&follows, false, memory_order_relaxed);
}

void procslimit_set_interval(rg_duration ns)
{
	atomic_store_explicit(&interval, ns, memory_order_relaxed);
}

int64_t procslimit_looks(void)
{
	return atomic_load_explicit(&nlooks, memory_order_relaxed);
}

void procslimit_look(rg_time now)
{
	int n;

	if (!atomic_load_explicit(&follows, memory_order_relaxed) ||
	    now - last_look <
		    atomic_load_explicit(&interval, memory_order_relaxed))
		return;
	last_look = now;
	atomic_fetch_add_explicit(&nlooks, 1, memory_order_relaxed);
	n = cpus_procs();
	if (n == last)
		return;
	last = n;
	token_follow_procs(n, &follows);
}
