// SPDX-License-Identifier: MIT
/*
 * opgroup - see opgroup.h for the protocol and the invariants.
 */
#include "sched/opgroup.h"

#include <errno.h>

#include "sched/netpoll.h"
#include "sched/sched.h"

void opgroup_begin(struct op_group *group)
{
	group->gp = getg();
	group->ops = group->first = NULL;
	/* Relaxed: published by the locks under which wait_ops are linked. */
	atomic_store_explicit(&group->refs, 1, memory_order_relaxed);
}

int opgroup_add(struct op_group *group, struct wait_op *w,
		const struct op_sqe *sqe, int fd, enum fd_dir dir)
{
	struct fdesc *f = NULL;
	int err;

	if (fd >= 0) {
		f = fdesc_get(fd);
		if (!f)
			return fdesc_is_valid(fd) ? -ENOMEM : -EBADF;
	}
	wait_op_init(w, group->gp, sqe);
	w->group = group;
	w->fdesc = f;
	/* Relaxed: as in opgroup_begin. Before it can be found. */
	atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
	err = f ? wait_op_link(f, dir, w) : 0;
	if (err) {
		/* Relaxed: it was never to be found. */
		atomic_fetch_sub_explicit(&group->refs, 1,
					  memory_order_relaxed);
		return err;
	}
	w->group_next = group->ops;
	group->ops = w;
	return 0;
}

void opgroup_send(struct op_group *group)
{
	for (struct wait_op *w = group->ops; w; w = w->group_next) {
		w->sent = true;
		netpoll_push(w->mp, w);
	}
}

void opgroup_event(struct wait_op *w, struct ready_list *ready)
{
	struct op_group *group = w->group;

	/* first: passed to gp by readying it. */
	if (wake_claim(group->gp, WAKE_EVENT)) {
		group->first = w;
		ready_list_add(ready, group->gp);
	}
}

/* True: that was the last one. */
static bool drop(struct op_group *group)
{
	/* R1 acq_rel, pairs with itself: what all did comes before the end. */
	return atomic_fetch_sub_explicit(&group->refs, 1,
					 memory_order_acq_rel) == 1;
}

void opgroup_drop(struct op_group *group, struct ready_list *ready)
{
	/* Afterwards it may be gone, unless we are the last. */
	struct g *gp = group->gp;

	if (drop(group))
		ready_list_add(ready, gp);
}

/* G3. */
static bool commit_drop(struct g *gp, void *arg)
{
	(void)gp;
	return !drop(arg);
}

/* It was not sent: who found it before may have queued it, to be dropped later. */
static void withdraw(struct wait_op *w)
{
	uint32_t old;

	w->res = -ECANCELED;
	/* D1 acq_rel, as the reaper's, pairs with D2 and D3. */
	old = atomic_fetch_or_explicit(&w->state, WOP_DONE,
				       memory_order_acq_rel);
	if (!(old & WOP_QUEUED))
		drop(w->group); /* not the last: gp's is there */
}

void opgroup_end(struct op_group *group, const void *wait_arg)
{
	for (struct wait_op *w = group->ops; w; w = w->group_next) {
		if (!w->sent)
			withdraw(w);
		else if (w != group->first)
			netpoll_cancel(w, -ECANCELED);
	}
	/* R1 acquire: nobody else has one. */
	if (atomic_load_explicit(&group->refs, memory_order_acquire) > 1)
		sched_park(commit_drop, group, WAIT_SELECT, wait_arg);
	for (struct wait_op *w = group->ops; w; w = w->group_next)
		if (w->fdesc)
			wait_op_unlink(w->fdesc, w);
}
