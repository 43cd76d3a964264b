// SPDX-License-Identifier: MIT
/*
 * atfork - see atfork.h.
 */
#include "sched/atfork.h"

#include <pthread.h>

#include "kernel-iface/base/forked.h"
#include "kernel-iface/base/futexlock.h"
#include "sched/getg.h"
#include "sched/sched.h"

/* Not pthread_once: a program's imports are looked through for it (lockimports.h). */
static struct futexlock lock;
static bool is_installed;

static void in_child(void)
{
	/* Relaxed: there is one thread. */
	if (atomic_load_explicit(&sched.status, memory_order_relaxed) ==
	    SCHED_OFF)
		return;
	forked_is_child = true;
	getm_set(NULL);
}

int atfork_start(void)
{
	int err = 0;

	futexlock_lock(&lock);
	if (!is_installed)
		err = -pthread_atfork(NULL, NULL, in_child);
	is_installed = !err;
	futexlock_unlock(&lock);
	return err;
}
