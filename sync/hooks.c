// SPDX-License-Identifier: MIT
/*
 * hooks - what sched calls in sync, which it may not include: registered before
 * main, so that it is there when the first runtime starts.
 *
 * The end of a runtime abandons the goroutines that are left. Those that wait here
 * are taken out of the queues in which they stand while their stacks are still
 * there: channels, and the parking lot, live on, and foreign threads or the next
 * runtime may use them.
 */
#include "sched/park.h"
#include "sched/sched.h"
#include "sync/afterfunc.h"
#include "sync/chan.h"
#include "sync/ctx.h"
#include "sync/lockreport.h"
#include "sync/parklot.h"

static void retain(rg_ctx *c)
{
	rg_ctx_ref(c);
}

static bool is_in_parklot(unsigned reason)
{
	return reason == WAIT_MUTEX || reason == WAIT_WAITGROUP ||
	       reason == WAIT_RWMUTEX_LOCK || reason == WAIT_RWMUTEX_RLOCK ||
	       reason == WAIT_COND || reason == WAIT_SEMAPHORE ||
	       reason == WAIT_LATCH || reason == WAIT_BARRIER ||
	       reason == WAIT_SYNCTEST_WAITGROUP ||
	       reason == WAIT_SYNCTEST_LATCH || reason == WAIT_SYNCTEST_BARRIER;
}

static bool is_in_chan(unsigned reason)
{
	return reason == WAIT_CHAN_RECV || reason == WAIT_CHAN_SEND ||
	       reason == WAIT_SYNCTEST_CHAN_RECV ||
	       reason == WAIT_SYNCTEST_CHAN_SEND;
}

static bool is_in_select(unsigned reason)
{
	return reason == WAIT_SELECT || reason == WAIT_SYNCTEST_SELECT;
}

static bool forget(struct g *gp, void *arg)
{
	(void)arg;
	/* A select that was woken and did not run any more is still in the queues
	 * of its other channels. */
	if (g_state(gp) == G_RUNNABLE && is_in_select(gp->wait_reason))
		select_forget(gp);
	/* So may be one whose context ended its wait. */
	if (g_state(gp) == G_RUNNABLE && gp->wait_reason == WAIT_SEMAPHORE)
		parklot_forget(gp);
	if (g_state(gp) != G_WAITING)
		return true;
	if (is_in_chan(gp->wait_reason))
		chan_forget(gp);
	else if (is_in_select(gp->wait_reason))
		select_forget(gp);
	else if (is_in_parklot(gp->wait_reason))
		parklot_forget(gp);
	return true;
}

static void reset(void)
{
	sched_each_g(forget, NULL);
	afterfunc_reset();
	lockgraph_reset();
}

__attribute__((constructor)) static void register_hooks(void)
{
	static const struct sched_hooks hooks = {
		.ctx_retain = retain,
		.ctx_release = rg_ctx_unref,
		.ctx_token = ctx_token,
		.reset = reset,
		.dump_end = lockreport_dump,
	};

	sched_set_hooks(&hooks);
}
