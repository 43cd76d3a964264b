/* SPDX-License-Identifier: MIT */
/*
 * op_wait - descriptions of operations that only wait, and of those on other
 * operations.
 *
 * As op_net.h. Waiting for a time is not here: an idle ring waits with a timeout in
 * io_uring_enter, timers live in the scheduler.
 */
#ifndef RGK_OP_WAIT_H
#define RGK_OP_WAIT_H

#include <poll.h>
#include <signal.h>

#include "kernel-iface/op_sqe.h"
#include "kernel-iface/opcodes.h"

static inline void op_nop(struct op_sqe *s)
{
	io_uring_prep_nop(op_sqe_clear(s));
}

/* op_poll - result: the revents. events as in poll(2); POLLERR and POLLHUP are
 * always reported, also for events 0. */
static inline void op_poll(struct op_sqe *s, int fd, unsigned events)
{
	io_uring_prep_poll_add(op_sqe_clear(s), fd, events);
}

/*
 * op_cancel - end the operation that was submitted to the same ring with user_data.
 * Result: >= 0 it was found, -ENOENT it was not, -EALREADY a worker executes it; the
 * operation's own completion tells what became of it.
 */
static inline void op_cancel(struct op_sqe *s, uint64_t user_data)
{
	io_uring_prep_cancel64(op_sqe_clear(s), user_data, 0);
}

/*
 * op_futex_wait - until *word, 32 bits and private to the process, is woken; result 0,
 * or -EAGAIN when *word != expected. op_futex_wake - at most n waiters, also those in
 * futex(2); result: how many. Linux 6.7.
 */
static inline void op_futex_wait(struct op_sqe *s, const uint32_t *word,
				 uint32_t expected)
{
	struct io_uring_sqe *sqe = op_sqe_clear(s);

	io_uring_prep_rw(RGK_OP_FUTEX_WAIT, sqe,
			 (int)(RGK_FUTEX2_SIZE_U32 | RGK_FUTEX2_PRIVATE), word,
			 0, expected);
	sqe->addr3 = UINT32_MAX; /* mask: any wake */
}

static inline void op_futex_wake(struct op_sqe *s, const uint32_t *word,
				 uint32_t n)
{
	struct io_uring_sqe *sqe = op_sqe_clear(s);

	io_uring_prep_rw(RGK_OP_FUTEX_WAKE, sqe,
			 (int)(RGK_FUTEX2_SIZE_U32 | RGK_FUTEX2_PRIVATE), word,
			 0, n);
	sqe->addr3 = UINT32_MAX;
}

/* op_waitid - waitid(2) without a struct rusage; *info, or NULL, is filled before the
 * completion. The result is 0 for a child of any thread of the process, also with
 * WNOHANG and none. Linux 6.7. */
static inline void op_waitid(struct op_sqe *s, unsigned idtype, id_t id,
			     siginfo_t *info, int options)
{
	struct io_uring_sqe *sqe = op_sqe_clear(s);

	io_uring_prep_rw(RGK_OP_WAITID, sqe, (int)id, NULL, idtype, 0);
	sqe->file_index = (uint32_t)options;
	sqe->addr2 = (uint64_t)(uintptr_t)info;
}

#endif
