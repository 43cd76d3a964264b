// SPDX-License-Identifier: MIT
/*
 * rgcall - see the header.
 */
#include "tests/support/rgcall.h"

#include "tests/support/rgtest.h"

static void run(void *arg)
{
	struct t_call *c = arg;

	if (c->ctx)
		rg_ctx_bind(c->ctx);
	c->started = true;
	c->ret = c->fn(c);
	c->ended = true;
	if (c->ctx)
		rg_ctx_unref(rg_ctx_bind(NULL));
}

static bool has_started(void *arg)
{
	struct t_call *c = arg;

	return c->started;
}

void t_call_start(struct t_call *c, rg_waitgroup *w)
{
	c->started = c->ended = false;
	T_CHECK_INT_EQ(rg_waitgroup_go(w, run, c), 0);
}

void t_call_park(struct t_call *c, rg_waitgroup *w)
{
	t_call_start(c, w);
	T_WAIT_UNTIL(has_started, c);
	(void)rg_sleep(5 * RG_MILLISECOND);
	T_CHECK(!c->ended);
}
