// SPDX-License-Identifier: MIT
/*
 * afterfunc - from an event to a goroutine that runs the user's function.
 *
 * A timer's callback may not allocate, nor may what ends a context, and starting a
 * goroutine may. So they put a function on a list and ready the one system goroutine,
 * the starter, that takes them from there and starts a goroutine for each. When no goroutine can be had
 * for lack of memory it tries again every RETRY_NS: the call comes late, but it
 * comes.
 *
 *   I1  the list, `waiting`, `starter` and each `due` link are under `lock`.
 *   I2  the starter copies fn and arg out under `lock`: what is off the list may be
 *       freed, also by its own function.
 *   I3  a starter belongs to one runtime and ends with it; what was due then is
 *       dropped, as all goroutines are. The next prepare makes a new one.
 *   I4  in a synctest bubble it is of the bubble in which its turn came, and which is
 *       held from then until it was started: in between it is not idle.
 * The goroutine is no child of who asked for it: it inherits no context.
 * Lock rank: innermost, like a channel's.
 * Not a goroutine parked for each function: that is 4 KB for what mostly never runs.
 */
/* The list orders nobody (base/rtlock.h, I6); see afterfunc_due. */
#define RTLOCK_ANNOUNCED 0

#include "sync/afterfunc.h"

#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include "kernel-iface/base/rtlock.h"
#include "sched/bubble.h"
#include "sched/park.h"
#include "sched/sched.h"
#include "sched/switch.h"
#include "sched/timer.h"

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

/* flow: what starts the goroutine, to ThreadSanitizer: it knows who asked for this one,
 * and nobody who asked for another. */
static void start_function(const struct afterfunc *a, void *flow)
{
	const struct sched_go_args args = {
		.fn = a->fn,
		.arg = a->arg,
		.pc = a->pc,
		.kind = G_USER,
		.bubble = a->bubble,
	};

	for (;;) {
		void *self = san_flow_on(flow);
		int err = sched_go(&args);

		san_flow_back(self);
		if (!err)
			break;
		pause_starter();
	}
	if (a->bubble)
		bubble_release(a->bubble);
}

/* Copies what is linked there, with what it knows. The lock is held. */
static void *take_locked(struct list *link, struct afterfunc *copy)
{
	struct afterfunc *a = container_of(link, struct afterfunc, due);
	void *flow = san_flow_make("after_func");
	void *self = san_flow_on(flow);

	san_acquire(a);
	san_flow_back(self);
	*copy = *a;
	return flow;
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
	struct afterfunc copy;
	struct list *link;
	void *flow;

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
		flow = take_locked(link, &copy);
		rtlock_unlock(&lock);
		start_function(&copy, flow);
		san_flow_free(flow);
	}
}

int afterfunc_prepare(void)
{
	bool has_starter;
	void *self;
	int err;

	rtlock_lock(&lock);
	has_starter = starter != NULL;
	rtlock_unlock(&lock);
	if (has_starter)
		return 0;
	/* Of several made at once, the first to run stays. */
	self = sched_flow_on();
	err = sched_go_system(starter_main, NULL, "after_func");
	sched_flow_back(self);
	return err;
}

void afterfunc_reset(void)
{
	rtlock_lock(&lock);
	starter = NULL;
	waiting = NULL;
	list_for_each_safe(it, after, &due) {
		list_del(it);
	}
	rtlock_unlock(&lock);
}

/* ---- whoever asks for it ---------------------------------------------------- */

void afterfunc_due(struct afterfunc *a)
{
	struct g *gp;
	void *self;

	if (!sched_is_on())
		return;
	a->bubble = bubble_current();
	if (a->bubble)
		bubble_hold(a->bubble);
	san_release(a); /* to its function */
	rtlock_lock(&lock);
	list_push_back(&due, &a->due);
	gp = waiting;
	waiting = NULL;
	rtlock_unlock(&lock);
	if (!gp)
		return;
	self = sched_flow_on();
	sched_ready(gp);
	sched_flow_back(self);
}

bool afterfunc_cancel(struct afterfunc *a)
{
	bool was_due;

	rtlock_lock(&lock);
	was_due = list_is_linked(&a->due);
	if (was_due)
		list_del(&a->due);
	rtlock_unlock(&lock);
	if (was_due && a->bubble)
		bubble_release(a->bubble);
	return was_due;
}
