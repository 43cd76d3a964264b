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
#include "kernel-iface/opcodes.h"

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

static inline void op_renameat(struct op_sqe *s, int old_dirfd,
			       const char *old_path, int new_dirfd,
			       const char *new_path)
{
	io_uring_prep_renameat(op_sqe_clear(s), old_dirfd, old_path, new_dirfd,
			       new_path, 0);
}

static inline void op_mkdirat(struct op_sqe *s, int dirfd, const char *path,
			      mode_t mode)
{
	io_uring_prep_mkdirat(op_sqe_clear(s), dirfd, path, mode);
}

static inline void op_linkat(struct op_sqe *s, int old_dirfd,
			     const char *old_path, int new_dirfd,
			     const char *new_path, int flags)
{
	io_uring_prep_linkat(op_sqe_clear(s), old_dirfd, old_path, new_dirfd,
			     new_path, flags);
}

static inline void op_symlinkat(struct op_sqe *s, const char *target, int dirfd,
				const char *path)
{
	io_uring_prep_symlinkat(op_sqe_clear(s), target, dirfd, path);
}

static inline void op_statx(struct op_sqe *s, int dirfd, const char *path,
			    int flags, unsigned mask, struct statx *out)
{
	io_uring_prep_statx(op_sqe_clear(s), dirfd, path, flags, mask, out);
}

static inline void op_fallocate(struct op_sqe *s, int fd, int mode,
				uint64_t off, uint64_t len)
{
	struct io_uring_sqe *sqe = op_sqe_clear(s);

	/* By hand: liburing's takes off_t or __u64, depending on its version. */
	io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, (unsigned)mode,
			 off);
	sqe->addr = len;
}

/* op_ftruncate - Linux 6.9. */
static inline void op_ftruncate(struct op_sqe *s, int fd, uint64_t len)
{
	io_uring_prep_rw(RGK_OP_FTRUNCATE, op_sqe_clear(s), fd, NULL, 0, len);
}

/* op_fadvise, op_madvise - 32 bits of length: before Linux 6.11 there are no more. */
static inline void op_fadvise(struct op_sqe *s, int fd, uint64_t off,
			      uint32_t len, int advice)
{
	struct io_uring_sqe *sqe = op_sqe_clear(s);

	io_uring_prep_rw(IORING_OP_FADVISE, sqe, fd, NULL, len, off);
	sqe->fadvise_advice = (uint32_t)advice;
}

static inline void op_madvise(struct op_sqe *s, void *addr, uint32_t len,
			      int advice)
{
	struct io_uring_sqe *sqe = op_sqe_clear(s);

	io_uring_prep_rw(IORING_OP_MADVISE, sqe, -1, addr, len, 0);
	sqe->fadvise_advice = (uint32_t)advice;
}

/* op_splice - offsets as for read; OP_OFF_CURRENT on a pipe. The kernel always hands
 * it to a worker thread. op_tee - from pipe to pipe. */
static inline void op_splice(struct op_sqe *s, int fd_in, uint64_t off_in,
			     int fd_out, uint64_t off_out, unsigned len,
			     unsigned flags)
{
	io_uring_prep_splice(op_sqe_clear(s), fd_in, (int64_t)off_in, fd_out,
			     (int64_t)off_out, len, flags);
}

static inline void op_tee(struct op_sqe *s, int fd_in, int fd_out, unsigned len,
			  unsigned flags)
{
	io_uring_prep_tee(op_sqe_clear(s), fd_in, fd_out, len, flags);
}

#endif
