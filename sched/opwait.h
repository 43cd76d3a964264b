/* SPDX-License-Identifier: MIT */
/*
 * opwait - the only place where an operation in flight meets a parked goroutine.
 *
 *   I1  a call returns after the terminal CQE of its operation: the buffer, the
 *       iovec, the address are the caller's again, whatever happened.
 *   I2  an operation is cancelled only by the M that submitted it: a canceller queues
 *       the wait_op to that M and wakes it. The goroutine is readied when the
 *       operation is done AND it is in no cancel queue.
 *   I3  a cancel that loses the race delivers the result: -ECANCELED or -ETIMEDOUT is
 *       returned only when the kernel says that the operation did not happen.
 *   I4  user_data is the address of the op and its 16-bit generation; a completion
 *       with another generation is counted and dropped.
 * From a foreign thread the operation travels through a goroutine of the runtime
 * while the thread waits on a futex.
 */
#ifndef RG_SCHED_OPWAIT_H
#define RG_SCHED_OPWAIT_H

#include <ringgo/base.h>

#include "kernel-iface/op.h"
#include "sched/fdesc.h"

/*
 * opwait_fd - run the operation described by *sqe (filled by an op_* builder, except
 * user_data) on a descriptor, parked. dir says whose deadline counts and what close
 * cancels. Heeds close, the descriptor's deadlines and the goroutine's token.
 * Returns the operation's result, or -ECANCELED (closed, context), -ETIMEDOUT,
 * -EBADF (fd negative), -ENOMEM, -ESRCH (foreign thread without a runtime).
 * EINTR without a cancellation is retried. *sqe is not modified.
 */
int opwait_fd(int fd, enum fd_dir dir, const struct op_sqe *sqe);

/* opwait_until - the same with a deadline of its own besides. */
int opwait_fd_until(int fd, enum fd_dir dir, const struct op_sqe *sqe,
		    rg_time deadline);

/*
 * opwait_would_fail - what an operation on fd in direction dir would say at once: closed, its
 * deadline has passed, the goroutine's token has ended; else 0. For calls that are made in
 * place. Any context that may park; does not park.
 */
int opwait_would_fail(int fd, enum fd_dir dir);

/* opwait_fd_again - as opwait_fd; -EAGAIN (the kernel does not wait by itself for this
 * file, or gave up doing so) becomes a poll and another try. */
int opwait_fd_again(int fd, enum fd_dir dir, const struct op_sqe *sqe);

/* opwait - an operation without a descriptor to wait on (openat, ...). */
#define OPWAIT_NOCANCEL 1u /* the token is not heeded: the close family */
int opwait(const struct op_sqe *sqe, unsigned flags);

/* opwait_saw_input - to ThreadSanitizer the caller comes after what others have written,
 * as after a read: it knows that a descriptor is readable. */
void opwait_saw_input(void);

/* opwait_made_output - and whoever reads comes after what the caller has done so far. */
void opwait_made_output(void);

#endif
