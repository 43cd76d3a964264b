/* SPDX-License-Identifier: MIT */
/*
 * fault - a ring that misbehaves as kernels may: faults drawn from a seed, at the seam
 * where operations enter the engine and completions leave it. RINGGO_DEBUG=faults=SEED.
 *
 *   SHORT	the kernel is asked for less than the caller asked for
 *   AGAIN	the operation ends before it did anything, as after an interruption:
 *		-EINTR, -ERESTARTSYS, -ECANCELED that nobody asked for, -EAGAIN
 *   ERROR	it cannot be done: -ENOMEM, -ENOBUFS, -EMFILE, -ENFILE
 *   CANCEL	a real request to cancel it is sent while it is in flight, at once or
 *		later; what the kernel makes of that is the result
 *   LATE	its completion is held back
 *   QUEUE	the submission queue is full, an entry into the kernel fails or a wait
 *		ends for nothing; the queues of the ring are small, so that the
 *		completion queue runs over
 *
 *   I1  nothing is made up: a count is what the kernel moved. An operation that is said
 *       to have failed was not handed to it (a NOP was, so that submission, order and
 *       wake-ups are those of an operation).
 *   I2  only what the operation's own rules allow: no part of a datagram, no part of
 *       what a pipe takes as a whole (PIPE_BUF), no result that the kernel does not
 *       give for that opcode. A close is never said to be interrupted: it would be over.
 *   I3  a completion that is held back is still in flight to everybody else; it ends
 *       HOLD_MAX_NS later at the latest, and a ring that waits does not wait longer.
 *   I4  the ring's own wake-up is left alone: a lost one would be a fault of ours.
 *   I5  without a seed a ring has no struct fault, and the one test on its way is the
 *       one that sends it to the other engine as well (ring.h, is_detoured).
 * The seed also fixes the style: how often each kind happens, to every sixth operation
 * at most. One ring's draws are in the order of its events, so they are as reproducible as
 * these: with RINGGO_SEED nearly, without it the seed fixes the style alone.
 *
 * Callers: ring.c and epring.c. `lock` is a leaf, taken under reap_lock or without.
 * Rejected: a seccomp filter or ptrace (what goes through a ring passes neither); a
 * wrapper around opwait (not on select's operations, and its completions come in time).
 */
#ifndef RGK_FAULT_H
#define RGK_FAULT_H

#include "kernel-iface/op.h"

enum fault_kind {
	FAULT_SHORT,
	FAULT_AGAIN,
	FAULT_ERROR,
	FAULT_CANCEL,
	FAULT_LATE,
	FAULT_QUEUE,
	FAULT_KINDS
};

#define FAULT_ALL ((1u << FAULT_KINDS) - 1)

struct fault;

/* fault_configure - for rings that are opened from now on; seed 0: none. kinds: bits
 * 1 << FAULT_*; 0: all. No ring is open. */
void fault_configure(uint64_t seed, unsigned kinds);

/* fault_open - 0, *out is NULL when there is no seed; or -ENOMEM. */
int fault_open(struct fault **out);
void fault_free(struct fault *f);

/* fault_entries - the queue that a ring is to have; *cq_factor: CQ entries for one of
 * the SQ. */
unsigned fault_entries(const struct fault *f, unsigned entries,
		       unsigned *cq_factor);

/* fault_refuses - act as if a queue were full, or a call had failed. */
bool fault_refuses(struct fault *f);

/*
 * fault_enter - what to push for op in place of *sqe. It lives until fault_leave.
 * fault_abandon - it could not be pushed.
 * *cancel: ask for its end at once; NULL: that would be too early (ring.h's I5).
 */
const struct op_sqe *fault_enter(struct fault *f, const struct op_sqe *sqe,
				 struct op *op, bool *cancel);
void fault_abandon(struct fault *f, struct op *op);

/* fault_victim - an operation in flight whose end is to be asked for now, or NULL.
 * reap_lock is held. */
struct op *fault_victim(struct fault *f);

/* fault_leave - the result of op, which ended with *res; true: not yet, it is held
 * back. reap_lock is held. */
bool fault_leave(struct fault *f, struct op *op, int *res, uint32_t flags);

/* fault_due - one that was held back for long enough, with its flags; ep.res is its
 * result. reap_lock is held. */
struct op *fault_due(struct fault *f, uint32_t *flags);
bool fault_has_due(struct fault *f);

/* fault_limit - how long to wait (< 0: for ever) where timeout_ns was asked for. */
int64_t fault_limit(struct fault *f, int64_t timeout_ns);

/* fault_count - how often it happened to that opcode (QUEUE: to opcode 0) since
 * fault_configure, for tests. */
uint32_t fault_count(enum fault_kind kind, unsigned opcode);

#endif
