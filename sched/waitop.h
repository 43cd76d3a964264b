/* SPDX-License-Identifier: MIT */
/*
 * waitop - one operation in flight and the goroutine parked on it.
 *
 * Lives on the goroutine's stack until the call returns, see sched/opwait.h.
 *   I1  state gets WOP_DONE by the reaper, WOP_QUEUED while it is in a cancel queue;
 *       the goroutine is readied by whoever leaves it DONE and not QUEUED.
 *   I2  cancel_err is set once, before WOP_QUEUED.
 */
#ifndef RG_SCHED_WAITOP_H
#define RG_SCHED_WAITOP_H

#include "kernel-iface/base/list.h"
#include "kernel-iface/op.h"
#include "sched/cancel.h"

enum { WOP_DONE = 1, WOP_QUEUED = 2 };

struct fdesc;
struct g;
struct m;

struct wait_op {
	struct op op;
	struct g *gp;
	struct m *mp; /* whose ring it is in */
	const struct op_sqe *sqe;
	int res;
	bool sent;   /* by its call: given to netpoll_push */
	bool unsent; /* owner M: waits for room in the SQ */
	_Atomic int cancel_err;
	_Atomic uint32_t state;
	struct wait_op *cancel_next, *unsent_next;
	struct list fd_link; /* under fdesc.lock */
	struct cancel_waiter token_waiter;
};

#endif
