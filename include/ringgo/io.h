/* SPDX-License-Identifier: MIT */
/*
 * ringgo/io.h - POSIX calls on any descriptor that park instead of blocking.
 *
 * Names and arguments are POSIX's with rg_ before them; the result is theirs too,
 * but a failure is a negative errno. Every call heeds the bound context. A buffer
 * is the caller's again when the call returns, also when it was cancelled.
 * O_NONBLOCK on a socket or pipe makes no difference: these calls park.
 */
#ifndef RINGGO_IO_H
#define RINGGO_IO_H

#include <ringgo/base.h>

struct iovec;

RG_BEGIN_DECLS

/*
 * Reads and writes. What of a regular file is in memory is read without parking, and such
 * a read is short at the file's end only. With O_DIRECT buffer, offset and length must be
 * aligned as rg_statx tells (STATX_DIOALIGN), or the kernel says -EINVAL.
 */
RG_API ssize_t rg_read(int fd, void *buf, size_t n);
RG_API ssize_t rg_write(int fd, const void *buf, size_t n);
RG_API ssize_t rg_readv(int fd, const struct iovec *v, int n);
RG_API ssize_t rg_writev(int fd, const struct iovec *v, int n);
RG_API ssize_t rg_pread(int fd, void *buf, size_t n, off_t off);
RG_API ssize_t rg_pwrite(int fd, const void *buf, size_t n, off_t off);
RG_API ssize_t rg_preadv(int fd, const struct iovec *v, int n, off_t off);
RG_API ssize_t rg_pwritev(int fd, const struct iovec *v, int n, off_t off);

/* rg_read_full - n bytes unless the stream ends first; what was read.
 * rg_write_full - all n bytes, or a negative errno. */
RG_API ssize_t rg_read_full(int fd, void *buf, size_t n);
RG_API ssize_t rg_write_full(int fd, const void *buf, size_t n);

/* rg_openat - mode is read when flags has O_CREAT or O_TMPFILE. */
RG_API int rg_openat(int dirfd, const char *path, int flags, ...);

/* rg_close - cancels what is in flight on fd, wakes who is parked on it (they get
 * -ECANCELED), then closes. Does not heed the bound context. -EIO: it is closed, and
 * what was written before may be lost, also because of a signal. */
RG_API int rg_close(int fd);

RG_API int rg_fsync(int fd);
RG_API int rg_fdatasync(int fd);

/* rg_poll - wait for events (POLLIN, ...) on one descriptor; the revents, or
 * -ETIMEDOUT. timeout < 0 or RG_FOREVER: no limit. */
RG_API int rg_poll(int fd, short events, rg_duration timeout);

RG_END_DECLS

#endif
