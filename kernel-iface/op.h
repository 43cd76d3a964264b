/* SPDX-License-Identifier: MIT */
/*
 * op - one operation given to the kernel, and its description.
 *
 * An op is what a completion finds: user_data carries its address and generation.
 * Its memory is type-stable and it lives at least until its terminal CQE. An op_sqe
 * is the description: the submission entry without user_data, filled by the
 * builders of op_net.h, op_file.h and op_wait.h, one opcode family each. Copying it
 * into a queue is 64 bytes; in return it can be kept, retried or sent to another
 * thread's ring, and the engine without io_uring (epring.h) reads it: hence it lives
 * as long as the op does.
 */
#ifndef RGK_OP_H
#define RGK_OP_H

#include <liburing.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/base/list.h"

/* flags of a completion: IORING_CQE_F_*. */
struct op;
typedef void op_done(struct op *op, int res, uint32_t flags, void *reaper);

/* The kernel's answer to a request to cancel op: 0 (its CQE comes, or has come),
 * -ENOENT or -EALREADY; see ring_push_cancel. */
typedef void op_answered(struct op *op, int res, void *reaper);

struct op_sqe {
	struct io_uring_sqe sqe;
};

struct ring;

/* What the epoll engine knows of an operation in flight; epring.h says who may look.
 * io_uring leaves it alone. Here, because the engine must not allocate. */
struct op_ep {
	const struct op_sqe *sqe;
	struct ring *ring;
	struct list link;  /* of the one place it is at */
	int64_t retry_at;  /* OP_AT_LATER: when; clock_now */
	int res;           /* OP_AT_DONE */
	uint32_t moved;    /* bytes so far */
	int kept_fd;       /* -1; opened, and not yet the result */
	uint16_t mask;     /* OP_AT_WATCHED: poll events */
	uint8_t phase;     /* epcall.c: what was done already */
	uint8_t fruitless; /* readiness that was none */
	uint8_t rounds;    /* at OP_AT_LATER */
	_Atomic uint8_t place;
	_Atomic bool is_cancelled; /* asked for while it could not be ended */
	int16_t fault;             /* fault.c's, where there is one */
	uint16_t fault_slot;
};

struct op {
	op_done *done;
	op_answered *answered; /* before ring_push_cancel */
	uint16_t gen;          /* incremented by op_begin */
	uint8_t opcode;
	bool inflight; /* owner thread of the ring, or its reaper */
	int fd;        /* -1: none; for dumps */
	struct op_ep ep;
};

#define OP_GEN_SHIFT 48

static inline uint64_t op_user_data(const struct op *op)
{
	return (uint64_t)(uintptr_t)op | (uint64_t)op->gen << OP_GEN_SHIFT;
}

static inline struct op *op_of_user_data(uint64_t data)
{
	return (struct op *)(uintptr_t)(data &
					((UINT64_C(1) << OP_GEN_SHIFT) - 1));
}

static inline uint16_t op_gen_of_user_data(uint64_t data)
{
	return (uint16_t)(data >> OP_GEN_SHIFT);
}

#endif
