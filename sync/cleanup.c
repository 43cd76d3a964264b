// SPDX-License-Identifier: MIT
/*
 * cleanup - see cleanup.h.
 */
#include "sync/cleanup.h"

#include <ringgo/base.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"

void cleanup_begin(struct cleanup *c, void (*finish)(void *arg), void *arg,
		   const char *who)
{
	struct g *gp;

	*c = (struct cleanup){.finish = finish, .arg = arg};
	if (!is_goroutine())
		return;
	gp = getg();
	c->defer = rgk_alloc(sizeof *c->defer);
	if (!c->defer)
		rg_panic("out of memory: %s", who);
	*c->defer = (struct g_defer){gp->defers, finish, arg};
	gp->defers = c->defer;
}

/* Take the defer out: fn may have put others before it (I2). */
static void undefer(struct g_defer *d)
{
	struct g_defer **at = &getg()->defers;

	while (*at && *at != d)
		at = &(*at)->next;
	RG_ASSERT(*at == d);
	*at = d->next;
	rgk_free(d);
}

void cleanup_end(struct cleanup *c)
{
	if (c->defer)
		undefer(c->defer);
	c->finish(c->arg);
}
