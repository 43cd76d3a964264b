/* SPDX-License-Identifier: MIT */
/*
 * epcall - one operation as system calls: what the epoll engine does with the opcode
 * of a description.
 *
 *   I1  epcall_try never waits: not for a peer, not for a disk. epcall_aside may wait
 *       for a disk, and for what was ready a moment ago and was then taken by somebody
 *       else (see below).
 *   I2  results are io_uring's: partial transfers, MSG_WAITALL, what O_NONBLOCK and
 *       SO_RCVTIMEO do (nothing). What was moved before a failure, or before a
 *       cancellation, is the result.
 *   I3  raw system calls only: to ThreadSanitizer and AddressSanitizer they are as
 *       invisible as what a ring does.
 *
 * How to read without waiting. A descriptor's O_NONBLOCK is not ours to set: it belongs
 * to the open file, and other processes may share it.
 *	sockets		MSG_DONTWAIT
 *	others		preadv2 and pwritev2 with RWF_NOWAIT (pipes: Linux 6.4, and not
 *			after a splice; most file systems for reads)
 *	O_NONBLOCK	a plain call
 *	the rest	wait for readiness, then a helper thread; a write then takes
 *			PIPE_BUF bytes at most, which there is room for
 * Three calls have no such form. connect and a splice with a socket set O_NONBLOCK for
 * the time of the call, under one lock for all threads of the process. accept sets it
 * for good: of several processes that take turns at setting and clearing it, one would
 * wait in the end.
 * A FIFO that waits for its other side is opened with O_NONBLOCK, again and again.
 */
#ifndef RGK_EPCALL_H
#define RGK_EPCALL_H

#include "kernel-iface/op.h"

/* Verdicts, besides results. POLL: try again when op->ep.mask is there. ASIDE: a helper
 * thread's. LATER: try again after a while, nothing will tell when. */
enum { EPCALL_POLL = -10000, EPCALL_ASIDE, EPCALL_LATER };

static inline bool epcall_is_result(int res)
{
	return res > -4096;
}

/* epcall_try - on the M, or by whoever serves its readiness. */
int epcall_try(struct op *op);

/* epcall_is_ready - poll(2) says that what op waits for is there. */
bool epcall_is_ready(const struct op *op);

/* epcall_aside - on a helper thread. */
int epcall_aside(struct op *op);

/* epcall_cancelled - what became of op, which is at none of these calls and will not
 * come to one again: what it moved, or -ECANCELED. */
int epcall_cancelled(struct op *op);

#endif
