// SPDX-License-Identifier: MIT
/*
 * atfork - see atfork.h.
 */
#include "sched/atfork.h"

#include <pthread.h>

#include "kernel-iface/base/forked.h"
#include "sched/getg.h"
#include "sched/sched.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int result;

static void in_child(void)
{
	/* Relaxed: there is one thread. */
	if (atomic_load_explicit(&sched.status, memory_order_relaxed) ==
	    SCHED_OFF)
		return;
	forked_is_child = true;
	getm_set(NULL);
}

static void install(void)
{
	result = -pthread_atfork(NULL, NULL, in_child);
}

int atfork_start(void)
{
	pthread_once(&once, install);
	return result;
}
