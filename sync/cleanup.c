// SPDX-License-Identifier: MIT
/*
 * cleanup - see cleanup.h.
 */
#include "sync/cleanup.h"

#include <ringgo/base.h>

#include "kernel-iface/alloc.h"
#include "sched/sched.h"

void cleanup_begin(struct cleanup *c, void (*finish)(void *arg), void *arg,
		   const char *who)
{
	*c = (struct cleanup){.finish = finish, .arg = arg};
	if (!is_goroutine())
		return;
	c->defer = rgk_alloc(sizeof *c->defer);
	if (!c->defer)
		rg_panic("out of memory: %s", who);
	defer_put(c->defer, finish, arg);
}

void cleanup_end(struct cleanup *c)
{
	if (c->defer)
		defer_take(
			c->defer); /* fn may have put others before it (I2) */
	c->finish(c->arg);
}
