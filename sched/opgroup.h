/* SPDX-License-Identifier: MIT */
/*
 * opgroup - a goroutine parked on several operations in flight, and on something else
 * besides: a select's channels, a deadline.
 *
 * The operations are wait_ops (waitop.h) that belong to a group. Their completions do
 * not ready the goroutine by themselves:
 *   G1  a completion claims gp->wake_state, as everybody does who may wake gp; who wins
 *       is group.first, and gp is readied for it. Then the wait_op is marked done (D1).
 *   G2  a wait_op that is done and in no cancel queue drops its reference of the group;
 *       who drops the last one readies gp.
 *   G3  gp holds a reference, too. It ends the wait by asking for the end of what is
 *       still in flight, and parks; its own reference is dropped in the commit step.
 *
 *   I1  the group and its wait_ops are on gp's stack or its caller's memory, and nobody
 *       touches them once opgroup_end has returned: each was done, with its terminal
 *       CQE seen or never sent, and nobody had it queued, when its reference was dropped.
 *   I2  gp is readied once a park: in its own park by the winner of wake_state, in
 *       opgroup_end's by the last reference, which cannot be dropped before gp's own
 *       is, that is before its context has been saved.
 *   I3  nothing parks between opgroup_add and opgroup_send, which is called in the commit
 *       step of the park (as in opwait.c: a canceller that finds a wait_op queues it to
 *       an M that is about to have the operation), or opgroup_end.
 *   I4  wake_state is claimed by completions only between opgroup_send and the end of
 *       opgroup_end: so a goroutine that uses a group calls wake_begin before the park,
 *       and parks by sched_park_until, whose gate keeps it from running on before the
 *       operations have been sent.
 * Rejected: one goroutine for each descriptor, which sends on a channel: it has to be
 * cancelled and waited for just the same, and costs a stack.
 * The model is tests/model/opgroup.pml.
 *
 * Callers: on a goroutine.
 */
#ifndef RG_SCHED_OPGROUP_H
#define RG_SCHED_OPGROUP_H

#include "sched/fdesc.h"
#include "sched/park.h"
#include "sched/waitop.h"

struct op_group {
	struct g *gp;          /* const */
	struct wait_op *ops;   /* gp's: what was added, the last one first */
	struct wait_op *first; /* whose completion woke gp, or NULL */
	_Atomic uint32_t
		refs; /* gp's, and one for each wait_op that is not over */
};

void opgroup_begin(struct op_group *group);

/*
 * opgroup_add - w is to be one operation of the group, described by *sqe, which lives as
 * long. fd >= 0: on that descriptor, whose deadline for dir and whose close it heeds.
 * 0; -ECANCELED: being closed; -ETIMEDOUT; -EBADF; -ENOMEM; WAIT_OP_LATER. w is no part
 * of the group then.
 */
int opgroup_add(struct op_group *group, struct wait_op *w,
		const struct op_sqe *sqe, int fd, enum fd_dir dir);

/* opgroup_send - queue all of them for the kernel. In a commit step. */
void opgroup_send(struct op_group *group);

/* opgroup_end - what is in flight is cancelled and waited for. Afterwards wait_op_outcome
 * says of each what became of it: -ECANCELED of what did not happen. wait_arg: for
 * dumps, and for who forgets a select. Parks. */
void opgroup_end(struct op_group *group, const void *wait_arg);

/* For netpoll.c. G1: w completed. G2: one reference less. */
void opgroup_event(struct wait_op *w, struct ready_list *ready);
void opgroup_drop(struct op_group *group, struct ready_list *ready);

#endif
