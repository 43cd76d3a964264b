/* SPDX-License-Identifier: MIT */
/*
 * op_file - descriptions of operations on files of any kind.
 *
 * As op_net.h: all of *s but user_data is filled, nothing is copied, buffers and paths
 * live until the terminal completion.
 * off is OP_OFF_CURRENT for read(2)'s meaning (the file's position, or a stream), else
 * >= 0: a caller's negative offset must be refused before, or it would mean that.
 */
#ifndef RGK_OP_FILE_H
#define RGK_OP_FILE_H

#include "kernel-iface/op_sqe.h"

#define OP_OFF_CURRENT ((uint64_t)-1)

static inline void op_read(struct op_sqe *s, int fd, void *buf, size_t n,
			   uint64_t off)
{
	io_uring_prep_read(op_sqe_clear(s), fd, buf, op_io_len(n), off);
}

static inline void op_write(struct op_sqe *s, int fd, const void *buf, size_t n,
			    uint64_t off)
{
	io_uring_prep_write(op_sqe_clear(s), fd, buf, op_io_len(n), off);
}

/* n iovecs, 0 < n <= IOV_MAX. */
static inline void op_readv(struct op_sqe *s, int fd, const struct iovec *v,
			    unsigned n, uint64_t off)
{
	io_uring_prep_readv(op_sqe_clear(s), fd, v, n, off);
}

static inline void op_writev(struct op_sqe *s, int fd, const struct iovec *v,
			     unsigned n, uint64_t off)
{
	io_uring_prep_writev(op_sqe_clear(s), fd, v, n, off);
}

/* op_openat - result: the descriptor. */
static inline void op_openat(struct op_sqe *s, int dirfd, const char *path,
			     int flags, mode_t mode)
{
	io_uring_prep_openat(op_sqe_clear(s), dirfd, path, flags, mode);
}

static inline void op_close(struct op_sqe *s, int fd)
{
	io_uring_prep_close(op_sqe_clear(s), fd);
}

static inline void op_fsync(struct op_sqe *s, int fd, bool data_only)
{
	io_uring_prep_fsync(op_sqe_clear(s), fd,
			    data_only ? IORING_FSYNC_DATASYNC : 0);
}

static inline void op_unlinkat(struct op_sqe *s, int dirfd, const char *path,
			       int flags)
{
	io_uring_prep_unlinkat(op_sqe_clear(s), dirfd, path, flags);
}

#endif
