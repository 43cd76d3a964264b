/* SPDX-License-Identifier: MIT */
/*
 * waitop - one operation in flight and the goroutine parked on it.
 *
 * Lives on the goroutine's stack until the call returns, see sched/opwait.h.
 *   I1  state gets WOP_DONE by the reaper, WOP_QUEUED from the request to cancel it
 *       until that has been answered by the kernel, or needed no answer; the goroutine
 *       is readied by whoever leaves it DONE and not QUEUED. So both its completion
 *       and its cancellation's find the wait_op alive.
 *   I2  cancel_err is set once, before WOP_QUEUED.
 *   I3  A cancellation that the kernel answers with -ENOENT while the operation is in
 *       flight is sent again (ring_push_cancel says why): at once TRIES_AT_ONCE times,
 *       then after a pause that grows.
 *   I4  one of a group readies nobody by itself: opgroup.h.
 */
#ifndef RG_SCHED_WAITOP_H
#define RG_SCHED_WAITOP_H

#include "kernel-iface/base/list.h"
#include "kernel-iface/op.h"
#include "sched/cancel.h"
#include "sched/fdesc.h"

enum { WOP_DONE = 1, WOP_QUEUED = 2 };

struct g;
struct m;
struct op_group;

struct wait_op {
	struct op op;
	struct g *gp;
	struct m *mp; /* whose ring it is in */
	const struct op_sqe *sqe;
	int res;
	uint8_t not_found; /* I3: answers so far; under reap_lock, or queued */
	rg_time retry_at;  /* owner M: while on its `later` list */
	bool sent;         /* by its call: given to netpoll_push */
	bool unsent;       /* owner M: waits for room in the SQ */
	_Atomic int cancel_err;
	_Atomic uint32_t state;
	struct wait_op *cancel_next, *unsent_next;
	struct list fd_link; /* under fdesc.lock */
	struct cancel_waiter token_waiter;

	struct op_group *group; /* const; NULL: none, and then not: */
	struct wait_op *group_next;
	struct fdesc *fdesc; /* in whose list it is, or NULL */
};

/* wait_op_init - for gp, the caller, on this M: nothing parks before it is pushed. */
void wait_op_init(struct wait_op *w, struct g *gp, const struct op_sqe *sqe);

/*
 * wait_op_link - into the list of the operations in flight on a descriptor. 0;
 * -ECANCELED: it is being closed; -ETIMEDOUT: its deadline passed. WAIT_OP_LATER: its
 * number is given to close(2) at this moment; yield, then begin anew.
 * wait_op_unlink - who closes it hears of the last one.
 */
enum { WAIT_OP_LATER = 1 };
int wait_op_link(struct fdesc *f, enum fd_dir dir, struct wait_op *w);
void wait_op_unlink(struct fdesc *f, struct wait_op *w);

/* wait_op_outcome - what the caller is told, by one that is done; -EINTR: nothing
 * happened and nobody asked for that: do it again. */
int wait_op_outcome(const struct wait_op *w);

#endif
