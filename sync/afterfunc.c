// SPDX-License-Identifier: MIT
/*
 * afterfunc - from a timer's callback to a goroutine that runs the user's function.
 *
 * A callback may not allocate, and starting a goroutine may. So the callback puts its
 * timer on a list and readies the one system goroutine, the starter, that takes
 * timers from there and starts a goroutine for each. When no goroutine can be had
 * for lack of memory it tries again every RETRY_NS: the call comes late, but it
 * comes.
 *
 *   I1  the list, `waiting`, `starter` and each timer's `due` link are under `lock`.
 *   I2  the starter copies fn and arg out under `lock`: a timer that is off the list
 *       may be freed, also by its own function.
 *   I3  a starter belongs to one runtime and ends with it. The next rg_after_func, in
 *       a later runtime, makes a new one and drops what the old one left: that
 *       runtime's goroutines have ended, too.
 * The goroutine is no child of who made the timer: it inherits no context.
 * Lock rank: innermost, like a channel's.
 * Not a goroutine parked for each timer: that is 4 KB for what mostly never runs.
 */
#include "sync/timerchan.h"

#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include "kernel-iface/base/rtlock.h"
#include "sched/park.h"
#include "sched/sched.h"

#define RETRY_NS RG_MILLISECOND

static struct rtlock lock;
static struct list due;   /* fired, their functions not yet started */
static struct g *starter; /* NULL: none yet, or one is about to run */
static struct g *waiting; /* the starter, parked for something on the list */

/* ---- the starter ------------------------------------------------------------ */

static void pause_starter(void)
{
	wake_begin(getg());
	sched_park_until(NULL, NULL, timer_after(RETRY_NS), false, WAIT_SLEEP,
			 NULL);
}

static void start_function(void (*fn)(void *arg), void *arg)
{
	const struct sched_go_args args = {
		.fn = fn,
		.arg = arg,
		/* Dumps look for the call before this address. */
		.pc = (uintptr_t)rg_after_func + 1,
		.kind = G_USER,
	};

	while (sched_go(&args) < 0)
		pause_starter();
}

static bool become_starter(void)
{
	bool is_first;

	/* What it inherited is not for those that it starts. */
	rg_ctx_unref(rg_ctx_bind(NULL));
	rtlock_lock(&lock);
	is_first = !starter;
	if (is_first)
		starter = getg();
	rtlock_unlock(&lock);
	return is_first;
}

static void starter_main(void *unused)
{
	void (*fn)(void *arg);
	struct list *link;
	rg_timer *t;
	void *arg;

	(void)unused;
	if (!become_starter())
		return;
	for (;;) {
		rtlock_lock(&lock);
		link = list_pop_front(&due);
		if (!link) {
			waiting = getg();
			sched_park_unlock(&lock, WAIT_SLEEP, &due);
			continue;
		}
		t = container_of(link, rg_timer, due);
		fn = t->fn;
		arg = t->arg;
		rtlock_unlock(&lock);
		start_function(fn, arg);
	}
}

/* Of this runtime, that is: the record of a former one's is gone. */
static bool is_alive(struct g *gp)
{
	if (sched_g_of_address(gp) != gp || gp->fn != starter_main)
		return false;
	return g_state(gp) != G_IDLE && g_state(gp) != G_DEAD;
}

int afterfunc_prepare(void)
{
	bool has_starter;

	rtlock_lock(&lock);
	if (starter && !is_alive(starter)) {
		starter = NULL;
		waiting = NULL;
		list_for_each_safe(it, after, &due) {
			list_del(it);
		}
	}
	has_starter = starter != NULL;
	rtlock_unlock(&lock);
	if (has_starter)
		return 0;
	/* Of several made at once, the first to run stays. */
	return sched_go_system(starter_main, NULL, "after_func");
}

/* ---- the timer's side -------------------------------------------------------- */

void afterfunc_fire(struct timer *timer, void *arg, rg_time now)
{
	rg_timer *t = arg;
	struct g *gp;

	(void)timer;
	(void)now;
	rtlock_lock(&lock);
	list_push_back(&due, &t->due);
	gp = waiting;
	waiting = NULL;
	rtlock_unlock(&lock);
	if (gp)
		sched_ready(gp);
}

bool afterfunc_cancel(rg_timer *t)
{
	bool was_due;

	rtlock_lock(&lock);
	was_due = list_is_linked(&t->due);
	if (was_due)
		list_del(&t->due);
	rtlock_unlock(&lock);
	return was_due;
}
