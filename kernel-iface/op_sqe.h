/* SPDX-License-Identifier: MIT */
/*
 * op_sqe - what the builders of all opcode families share.
 */
#ifndef RGK_OP_SQE_H
#define RGK_OP_SQE_H

#include <string.h>

#include "kernel-iface/op.h"

/* Linux's MAX_RW_COUNT: no read or write moves more at once. */
#define OP_IO_MAX ((size_t)0x7ffff000)

/* Longer lengths are cut, as read(2) does; a short result is ordinary anyway. */
static inline unsigned op_io_len(size_t n)
{
	return (unsigned)(n < OP_IO_MAX ? n : OP_IO_MAX);
}

/* All bytes defined, whatever a version of liburing leaves alone. */
static inline struct io_uring_sqe *op_sqe_clear(struct op_sqe *s)
{
	memset(s, 0, sizeof(*s));
	return &s->sqe;
}

#endif
