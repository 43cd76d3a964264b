/* SPDX-License-Identifier: MIT */
/*
 * ringgo/file.h - files, folders and the ways bytes go from one descriptor to another.
 *
 * Names and arguments are POSIX's with rg_ before them, as in ringgo/io.h: each call
 * parks, heeds the bound context, and returns what POSIX's does, but a failure as a
 * negative errno. Without a runtime: -ESRCH. What the kernel has begun on a disk is
 * waited for: -ECANCELED and -ETIMEDOUT mean that it did not happen.
 */
#ifndef RINGGO_FILE_H
#define RINGGO_FILE_H

#include <ringgo/base.h>

struct statx;

RG_BEGIN_DECLS

/* rg_fallocate - the Linux call: mode 0, or FALLOC_FL_*. */
RG_API int rg_fallocate(int fd, int mode, off_t off, off_t len);
RG_API int rg_ftruncate(int fd, off_t len);

/* rg_statx - fills *out; path "" with AT_EMPTY_PATH asks for dirfd itself. */
RG_API int rg_statx(int dirfd, const char *path, int flags, unsigned mask,
		    struct statx *out);

/* Paths are relative to their dirfd (AT_FDCWD: the working folder). */
RG_API int rg_renameat(int old_dirfd, const char *old_path, int new_dirfd,
		       const char *new_path);
RG_API int rg_unlinkat(int dirfd, const char *path, int flags);
RG_API int rg_mkdirat(int dirfd, const char *path, mode_t mode);
RG_API int rg_linkat(int old_dirfd, const char *old_path, int new_dirfd,
		     const char *new_path, int flags);
RG_API int rg_symlinkat(const char *target, int dirfd, const char *path);

/* rg_fadvise - posix_fadvise(2). rg_madvise - madvise(2). */
RG_API int rg_fadvise(int fd, off_t off, off_t len, int advice);
RG_API int rg_madvise(void *addr, size_t len, int advice);

/*
 * rg_splice - move up to len bytes; one of the two is a pipe. An offset that is given
 * is used in place of the file's position and moved on. Parks until fd_in has bytes
 * and fd_out has room, unless flags has SPLICE_F_NONBLOCK: then -EAGAIN. Returns how
 * many were moved, 0 at the end of the input.
 * rg_tee - the same from pipe to pipe, and the bytes stay in fd_in, too.
 */
RG_API ssize_t rg_splice(int fd_in, off_t *off_in, int fd_out, off_t *off_out,
			 size_t len, unsigned flags);
RG_API ssize_t rg_tee(int fd_in, int fd_out, size_t len, unsigned flags);

/*
 * rg_sendfile - copy up to n bytes of the file fd_in to any descriptor, inside the
 * kernel. From *off, which is moved on by what was sent, or (off NULL) from the file's
 * position, which is. Returns how many were sent: fewer than n at the end of the file,
 * or when something failed after some were sent; the next call tells what. What was
 * not sent is not skipped. -EINVAL: fd_in cannot be sent from (a stream, a folder),
 * fd_out was opened with O_APPEND.
 */
RG_API ssize_t rg_sendfile(int fd_out, int fd_in, off_t *off, size_t n);

/*
 * rg_dir_open - list the folder path. rg_dir_next - 1: *out is the next entry, in the
 * order of the file system, without "." and ".."; its name is valid until the next call
 * with d. 0: that was all; or a negative errno. One goroutine at a time.
 * rg_dir_close - does not heed the bound context.
 */
typedef struct rg_dir rg_dir;

typedef struct rg_dir_entry {
	const char *name;
	uint64_t ino;
	unsigned char type; /* DT_REG ...; DT_UNKNOWN where it is not known */
} rg_dir_entry;

RG_API int rg_dir_open(int dirfd, const char *path, rg_dir **out);
RG_API int rg_dir_next(rg_dir *d, rg_dir_entry *out);
RG_API int rg_dir_close(rg_dir *d);

RG_END_DECLS

#endif
