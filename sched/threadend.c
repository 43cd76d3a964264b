// SPDX-License-Identifier: MIT
/*
 * threadend - see threadend.h.
 */
#include "sched/threadend.h"

#include <pthread.h>

#include <ringgo/base.h>

#include "kernel-iface/base/futexlock.h"
#include "sched/g.h"

/* Not pthread_once: a program's imports are looked through for it (lockimports.h). */
static struct futexlock lock;
static bool has_key; /* for good */
static pthread_key_t key;

static void on_end(void *value)
{
	(void)value;
	/* A forked child has no worker: threads of its own may end. */
	if (getm())
		rg_panic("pthread_exit or pthread_cancel in a goroutine");
}

int threadend_watch(void)
{
	int err = 0;

	futexlock_lock(&lock);
	if (!has_key)
		err = -pthread_key_create(&key, on_end);
	has_key = !err;
	futexlock_unlock(&lock);
	/* Any value but NULL has the destructor called. */
	return err ? err : -pthread_setspecific(key, &key);
}

/* After a threadend_watch that went well. */
void threadend_release(void)
{
	/* To NULL: needs no memory. */
	pthread_setspecific(key, NULL);
}
