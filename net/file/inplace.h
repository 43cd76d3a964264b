/* SPDX-License-Identifier: MIT */
/*
 * inplace - reads of what lies in the page cache, by a system call and no operation.
 *
 *   I1  preadv2 with RWF_NOWAIT, on regular files only: it copies what is in memory and
 *       never waits for a disk. Where that comes to its end before the file does, what
 *       is there is the result, and the caller goes on from there.
 *   I2  the call stands between fdesc_enter and fdesc_leave, so rg_close waits for it;
 *       a closed descriptor, a passed deadline and an ended context are an operation's
 *       to report, and no call is made.
 *   I3  0 is the end of the file, and no guess: what is not in memory is -EAGAIN.
 *   I4  which files: asked once (fstat, and O_DIRECT, which would wait for the disk in
 *       spite of the flag), kept with the descriptor. A file system that does not
 *       know the flag (/proc, tmpfs) says so at the first read, which is the last
 *       one that is tried in place. When the guess is wrong, since the number was closed
 *       past rg_close and is another file's, RWF_NOWAIT is right for that one, too.
 *   I5  whoever finds everything in memory would never park: after 64 reads of 4 KiB, or
 *       1 MiB, it yields.
 * Goroutines only: a foreign thread may still be here when the runtime's tables go.
 * A read through the ring costs a queue entry, a park and a reap for the same copy;
 * docs/io.md has the figures.
 */
#ifndef RG_NET_FILE_INPLACE_H
#define RG_NET_FILE_INPLACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * inplace_read - into n buffers, at off or OP_OFF_CURRENT; how many bytes, or a negative
 * errno. -EAGAIN: nothing was done, use an operation. Yields at times.
 */
ssize_t inplace_read(int fd, const struct iovec *v, int n, uint64_t off);

#endif
