/* SPDX-License-Identifier: MIT */
/*
 * epring - the engine without io_uring: what stands behind ring.h where io_uring is
 * refused.
 *
 * An operation that is pushed is tried when the ring is entered (epcall.h). What cannot
 * be had at once waits for its descriptor in the ring's epoll instance, each readiness
 * being one more try; what would wait for a disk goes to a helper thread (opthread.h).
 * Results stand in `done` until somebody reaps, as in a CQ. ring.h's invariants hold.
 *
 *   I1  an op is at one place (op->ep.place) and linked to that place's list:
 *	 PENDING, until the owner enters; by the owner alone
 *	 WATCHED, in the bucket of its descriptor; LATER, until its time; reap_lock
 *	 QUEUE and ASIDE, at the helper threads; the pool's lock
 *	 DONE, until it is reaped; done_lock
 *	 Who takes reap_lock and finds an op at one of the former three may end it.
 *   I2  a registration in epoll is armed for one event (EPOLLONESHOT), with what all
 *       ops watched on that number want. So an event finds the ops under reap_lock or
 *       finds none, and what nobody waits for is silent: the number may have been
 *       closed, be another file's, or live on in another process.
 *   I3  the epoll instance has no single owner: any thread may take its events and
 *       make the calls that they allow, under reap_lock, which is held across system
 *       calls here. None of them waits. Only its owner waits for it.
 *   I4  a helper that posts after the owner looked at `done` for the last time before
 *       it sleeps sees is_waiting and wakes it (E1, E2).
 *   I5  nothing is allocated between open and close: an op brings its own links.
 *   I6  readiness that is none, many times in a row, is not waited for any more but
 *       looked for at times: no loop around a descriptor that says one thing in poll
 *       and another in the call.
 *
 * What io_uring does and this does not: hold the file. A number that is closed with
 * close(2) under an operation (rg_close cancels it first) leaves that waiting until it
 * is cancelled, and if the number is another file's by then, that one is tried.
 *
 * Rejected: one instance for all Ms (whose M would wake for an operation?); edge-
 * triggered registrations kept for a descriptor's life, as Go's (no system call a
 * wait, but a goroutine moves between Ms, each with its instance: all would wake).
 */
#ifndef RGK_EPRING_H
#define RGK_EPRING_H

#include "kernel-iface/ring.h"

/* op->ep.place */
enum {
	OP_AT_PENDING,
	OP_AT_WATCHED,
	OP_AT_LATER,
	OP_AT_QUEUE,
	OP_AT_ASIDE,
	OP_AT_DONE
};

/* As ring_*, for a ring that was opened by epring_open. */
int epring_open(struct ring *r);
void epring_close(struct ring *r);
int epring_reopen(struct ring *r);
void epring_forget(struct ring *r);
void epring_push(struct ring *r, const struct op_sqe *sqe, struct op *op);
void epring_cancel(struct ring *r, struct op *op);
void epring_cancel_all(struct ring *r);
/* epring_cancel_locked - as epring_cancel; reap_lock is held. */
void epring_cancel_locked(struct ring *r, struct op *op);
bool epring_has_work(const struct ring *r);
void epring_enter(struct ring *r);
void epring_wait(struct ring *r, int64_t timeout_ns);
/* epring_has_done - something is to be reaped. */
bool epring_has_done(const struct ring *r);

/* epring_look - serve what is ready now, without waiting. reap_lock is held. */
void epring_look(struct ring *r);
/* epring_reap_locked - as ring_reap; reap_lock is held. */
unsigned epring_reap_locked(struct ring *r, unsigned max, void *reaper);

/* epring_post - by a helper thread: res is a result or a verdict of epcall_aside. op
 * may be gone when it returns. */
void epring_post(struct op *op, int res);

#endif
