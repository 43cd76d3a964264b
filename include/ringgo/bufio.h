/* SPDX-License-Identifier: MIT */
/*
 * ringgo/bufio.h - buffered reading and writing, of a connection or a descriptor.
 *
 * A reader belongs to one goroutine at a time, and so does a writer; a connection may
 * have one of each, used by two. They hold a reference to a connection; a descriptor is
 * lent and must outlive them. A failed read or write does not end a reader: after
 * -ETIMEDOUT it goes on where it stopped. A writer keeps its first failure, since what
 * had been sent by then is not known.
 */
#ifndef RINGGO_BUFIO_H
#define RINGGO_BUFIO_H

#include <ringgo/base.h>
#include <ringgo/net.h>

RG_BEGIN_DECLS

typedef struct rg_reader rg_reader;
typedef struct rg_writer rg_writer;

/* size: of the buffer, in bytes; 0: 4096; at least 16. NULL: out of memory. */
RG_API rg_reader *rg_reader_new(rg_conn *c, size_t size);
RG_API rg_reader *rg_reader_new_fd(int fd, size_t size);
RG_API void rg_reader_free(rg_reader *r); /* what it has read is lost */

/* rg_reader_read - up to n bytes, at least one; 0: the end (or n is 0).
 * rg_reader_read_full - n bytes unless the stream ends first; what was read. A failure
 * after some bytes leaves them in buf and *done (may be NULL) says how many. */
RG_API ssize_t rg_reader_read(rg_reader *r, void *buf, size_t n);
RG_API ssize_t rg_reader_read_full(rg_reader *r, void *buf, size_t n,
				   size_t *done);

/*
 * rg_reader_peek - *data shows the next n bytes, or fewer when the stream ends before:
 * the number. -ENOBUFS: n is more than the buffer holds. *data is valid until the next
 * call with r.
 * rg_reader_discard - skip n bytes, or fewer when the stream ends before: the number.
 * A failure skips none that it does not count in *done (may be NULL).
 * rg_reader_buffered - how many bytes can be had without parking.
 */
RG_API ssize_t rg_reader_peek(rg_reader *r, size_t n, const char **data);
RG_API ssize_t rg_reader_discard(rg_reader *r, size_t n, size_t *done);
RG_API size_t rg_reader_buffered(const rg_reader *r);

/*
 * rg_reader_line - *line is the next line with its "\n" (the last one may have none),
 * not terminated by a NUL; its length, 0 at the end of the stream. -ENOBUFS: it is longer
 * than the buffer; nothing is consumed, and peek shows its beginning. *line is valid
 * until the next call with r.
 */
RG_API ssize_t rg_reader_line(rg_reader *r, const char **line);

RG_API rg_writer *rg_writer_new(rg_conn *c, size_t size);
RG_API rg_writer *rg_writer_new_fd(int fd, size_t size);
RG_API void rg_writer_free(rg_writer *w); /* what was not flushed is lost */

/*
 * rg_writer_write - all n bytes, into the buffer or on their way: n, or a negative
 * errno, which every later call returns, too.
 * rg_writer_printf - the same with printf's format; the length. At most what the buffer
 * holds: -EMSGSIZE otherwise, and nothing is written; that failure does not stay.
 * rg_writer_flush - what is in the buffer goes out: 0 or a negative errno.
 * rg_writer_buffered - how many bytes a flush would send.
 */
RG_API ssize_t rg_writer_write(rg_writer *w, const void *buf, size_t n);
RG_API ssize_t rg_writer_printf(rg_writer *w, const char *fmt, ...)
	RG_PRINTF(2, 3);
RG_API int rg_writer_flush(rg_writer *w);
RG_API size_t rg_writer_buffered(const rg_writer *w);

RG_END_DECLS

#endif
