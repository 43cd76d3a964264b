// SPDX-License-Identifier: MIT
/*
 * threadend - see threadend.h.
 */
#include "sched/threadend.h"

#include <pthread.h>

#include <ringgo/base.h>

#include "sched/g.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int result;

static void on_end(void *value)
{
	(void)value;
	/* A forked child has no worker: threads of its own may end. */
	if (getm())
		rg_panic("pthread_exit or pthread_cancel in a goroutine");
}

static void make_key(void)
{
	result = -pthread_key_create(&key, on_end);
}

int threadend_watch(void)
{
	pthread_once(&once, make_key);
	if (result)
		return result;
	/* Any value but NULL has the destructor called. */
	return -pthread_setspecific(key, &key);
}

void threadend_release(void)
{
	/* To NULL: needs no memory. */
	if (!result)
		pthread_setspecific(key, NULL);
}
