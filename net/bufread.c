// SPDX-License-Identifier: MIT
/*
 * bufread - rg_reader: buffered reading of a connection or a descriptor.
 *
 *   I1  start <= end <= size; what lies between them was read and not delivered. It
 *       moves to the front only when room is needed behind it, so what peek and line
 *       show stays where it is until the next call.
 *   I2  a byte leaves the buffer only in a call that succeeds with it: a line that is
 *       cut by a failure is still there.
 *   I3  a read that is at least as long as the buffer, with nothing in it, goes to the
 *       caller's memory directly.
 * One goroutine at a time; calls park while nothing is there. After Go's bufio.Reader.
 */
#include <ringgo/bufio.h>
#include <ringgo/io.h>

#include <limits.h>
#include <string.h>

#include "kernel-iface/alloc.h"

#define SIZE_DEFAULT 4096
#define SIZE_MIN     16

struct rg_reader {
	rg_conn *c; /* its own reference; NULL: fd */
	int fd;
	size_t start, end, size; /* I1 */
	char buf[];
};

static rg_reader *reader_new(rg_conn *c, int fd, size_t size)
{
	rg_reader *r;

	if (!size)
		size = SIZE_DEFAULT;
	if (size < SIZE_MIN)
		size = SIZE_MIN;
	if (size > SSIZE_MAX - sizeof(*r))
		return NULL;
	r = rgk_alloc(sizeof(*r) + size);
	if (!r)
		return NULL;
	*r = (rg_reader){.c = rg_conn_ref(c), .fd = fd, .size = size};
	return r;
}

rg_reader *rg_reader_new(rg_conn *c, size_t size)
{
	return reader_new(c, -1, size);
}

rg_reader *rg_reader_new_fd(int fd, size_t size)
{
	return reader_new(NULL, fd, size);
}

void rg_reader_free(rg_reader *r)
{
	if (!r)
		return;
	rg_conn_unref(r->c);
	rgk_free(r);
}

size_t rg_reader_buffered(const rg_reader *r)
{
	return r->end - r->start;
}

/* ---- filling ------------------------------------------------------------ */

static ssize_t source_read(rg_reader *r, void *buf, size_t n)
{
	return r->c ? rg_conn_read(r->c, buf, n) : rg_read(r->fd, buf, n);
}

/* One read behind what is there; there must be room when that is at the front. */
static ssize_t fill(rg_reader *r)
{
	ssize_t ret;

	if (r->start == r->end) {
		r->start = r->end = 0;
	} else if (r->end == r->size) {
		memmove(r->buf, r->buf + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	ret = source_read(r, r->buf + r->end, r->size - r->end);
	if (ret > 0)
		r->end += (size_t)ret;
	return ret;
}

static size_t take(rg_reader *r, void *buf, size_t n)
{
	size_t there = rg_reader_buffered(r);

	if (n > there)
		n = there;
	memcpy(buf, r->buf + r->start, n);
	r->start += n;
	return n;
}

/* ---- reading ------------------------------------------------------------ */

ssize_t rg_reader_read(rg_reader *r, void *buf, size_t n)
{
	if (n == 0)
		return 0;
	if (r->start == r->end) {
		ssize_t ret;

		if (n >= r->size) /* I3 */
			return source_read(r, buf, n);
		ret = fill(r);
		if (ret <= 0)
			return ret;
	}
	return (ssize_t)take(r, buf, n);
}

ssize_t rg_reader_read_full(rg_reader *r, void *buf, size_t n, size_t *done)
{
	size_t got = 0;
	ssize_t ret = 1;

	if (n > SSIZE_MAX)
		return -EINVAL;
	while (got < n && ret > 0) {
		ret = rg_reader_read(r, (char *)buf + got, n - got);
		if (ret > 0)
			got += (size_t)ret;
	}
	if (done)
		*done = got;
	return ret < 0 ? ret : (ssize_t)got;
}

ssize_t rg_reader_peek(rg_reader *r, size_t n, const char **data)
{
	if (n > r->size)
		return -ENOBUFS;
	while (rg_reader_buffered(r) < n) {
		ssize_t ret = fill(r);

		if (ret < 0)
			return ret;
		if (ret == 0) {
			n = rg_reader_buffered(r);
			break;
		}
	}
	*data = r->buf + r->start;
	return (ssize_t)n;
}

ssize_t rg_reader_discard(rg_reader *r, size_t n, size_t *done)
{
	size_t gone = 0;
	ssize_t ret = 1;

	if (n > SSIZE_MAX)
		return -EINVAL;
	for (;;) {
		size_t there = rg_reader_buffered(r);

		if (there > n - gone)
			there = n - gone;
		r->start += there;
		gone += there;
		if (gone == n || ret <= 0)
			break;
		ret = fill(r);
	}
	if (done)
		*done = gone;
	return ret < 0 ? ret : (ssize_t)gone;
}

static ssize_t take_line(rg_reader *r, size_t len, const char **line)
{
	*line = r->buf + r->start;
	r->start += len;
	return (ssize_t)len;
}

ssize_t rg_reader_line(rg_reader *r, const char **line)
{
	size_t seen = 0; /* without an end of line */

	for (;;) {
		size_t there = rg_reader_buffered(r);
		const char *from = r->buf + r->start;
		const char *nl = memchr(from + seen, '\n', there - seen);
		ssize_t ret;

		if (nl)
			return take_line(r, (size_t)(nl + 1 - from), line);
		if (there == r->size)
			return -ENOBUFS;
		seen = there;
		ret = fill(r);
		if (ret < 0)
			return ret;
		if (ret == 0)
			return take_line(r, rg_reader_buffered(r), line);
	}
}
