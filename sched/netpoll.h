/* SPDX-License-Identifier: MIT */
/*
 * netpoll - an M and its ring: submit, reap, cancel on request.
 *
 *   I1  all of it is called by the M itself, on g0, but for netpoll_cancel and
 *       netpoll_rescue and netpoll_wants_kick.
 *   I2  completions put their goroutines on mp->reaped; they become runnable when
 *       netpoll_take_reaped hands them to a queue.
 */
#ifndef RG_SCHED_NETPOLL_H
#define RG_SCHED_NETPOLL_H

#include "sched/sched.h"
#include "sched/waitop.h"

/* Queue what was asked of this M: cancellations, operations that found the SQ full.
 * May end waits (mp->reaped). */
void netpoll_serve(struct m *mp);
void netpoll_reap(struct m *mp); /* completions onto mp->reaped */

/* netpoll_take_reaped - mp->reaped, marked runnable, appended to *out. */
void netpoll_take_reaped(struct m *mp, struct gqueue *out);

/*
 * Reap and make runnable on this M's P: true when something became so. may_enter:
 * submit before that, with a system call where something is queued; without it only
 * what is already in the CQ is taken (an M about to sleep submits and waits in one).
 */
bool netpoll(struct m *mp, bool may_enter);

/* netpoll_rescue - reap another M's ring for it: what became runnable goes to the
 * global queue. Any thread (sysmon). */
bool netpoll_rescue(struct m *mp);

/*
 * netpoll_kick - submit what is queued, take what is complete to the global queue.
 * True: there was something. By the handler of a signal on mp's thread, outside the
 * runtime. netpoll_wants_kick - is there something? A look, by any thread.
 */
bool netpoll_kick(struct m *mp);
bool netpoll_wants_kick(struct m *mp);

/* netpoll_limit - how long mp may sleep (< 0: no limit) when limit is what others allow:
 * until the next cancellation that is to be sent again. By mp. */
int64_t netpoll_limit(const struct m *mp, int64_t limit);

/* netpoll_is_quiet - nobody will be made runnable by mp's ring: nothing is in flight, and
 * nobody waits to get there or for the end of a cancellation whose operation is over. By
 * mp, or while mp sleeps. */
bool netpoll_is_quiet(const struct m *mp);

/* Cancel requests or operations that found the SQ full are waiting. */
bool netpoll_has_requests(const struct m *mp);

/* Queue an operation for the kernel; w->mp is set to mp. The goroutine parks next. */
void netpoll_push(struct m *mp, struct wait_op *w);

/* Ask for the end of w's operation with err (the first one stays). Any thread; the
 * caller holds a lock under which w is linked, so w is alive. */
void netpoll_cancel(struct wait_op *w, int err);

/* The runtime is stopping: cancel everything in flight on mp's ring and wait for the
 * last completion. Nobody is readied. */
void netpoll_drain(struct m *mp);

#endif
