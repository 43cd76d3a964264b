// SPDX-License-Identifier: MIT
/*
 * bufwrite - rg_writer: buffered writing to a connection or a descriptor.
 *
 *   I1  len <= size; the first len bytes of buf were taken and not sent.
 *   I2  bytes go out in the order of the calls; what does not fit is sent together with
 *       what is in the buffer, by one vectored write on a connection.
 *   I3  the first failure stays (err): how much of the buffer went out is not known, and
 *       sending it again could repeat bytes.
 * One goroutine at a time; calls park while a peer takes nothing. After Go's
 * bufio.Writer.
 */
#include <ringgo/bufio.h>
#include <ringgo/io.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "kernel-iface/alloc.h"

#define SIZE_DEFAULT 4096
#define SIZE_MIN     16

struct rg_writer {
	rg_conn *c; /* its own reference; NULL: fd */
	int fd;
	int err; /* I3 */
	size_t len, size;
	char buf[];
};

static rg_writer *writer_new(rg_conn *c, int fd, size_t size)
{
	rg_writer *w;

	if (!size)
		size = SIZE_DEFAULT;
	if (size < SIZE_MIN)
		size = SIZE_MIN;
	if (size > SSIZE_MAX - sizeof(*w))
		return NULL;
	w = rgk_alloc(sizeof(*w) + size);
	if (!w)
		return NULL;
	*w = (rg_writer){.c = rg_conn_ref(c), .fd = fd, .size = size};
	return w;
}

rg_writer *rg_writer_new(rg_conn *c, size_t size)
{
	return writer_new(c, -1, size);
}

rg_writer *rg_writer_new_fd(int fd, size_t size)
{
	return writer_new(NULL, fd, size);
}

void rg_writer_free(rg_writer *w)
{
	if (!w)
		return;
	rg_conn_unref(w->c);
	rgk_free(w);
}

size_t rg_writer_buffered(const rg_writer *w)
{
	return w->len;
}

/* The buffer, then n more bytes. 0, or what is now the writer's failure. */
static int send_with(rg_writer *w, const void *buf, size_t n)
{
	const struct iovec v[2] = {{w->buf, w->len},
				   {(void *)(uintptr_t)buf, n}};
	ssize_t ret;

	if (w->c) {
		ret = rg_conn_writev(w->c, v, 2);
	} else {
		ret = w->len ? rg_write_full(w->fd, w->buf, w->len) : 0;
		if (ret >= 0 && n)
			ret = rg_write_full(w->fd, buf, n);
	}
	w->len = 0;
	if (ret < 0)
		w->err = (int)ret;
	return w->err;
}

ssize_t rg_writer_write(rg_writer *w, const void *buf, size_t n)
{
	int err = w->err;

	if (err)
		return err;
	if (n > SSIZE_MAX)
		return -EINVAL;
	if (n > w->size - w->len) {
		err = send_with(w, buf, n); /* I2 */
		return err ? err : (ssize_t)n;
	}
	if (n)
		memcpy(w->buf + w->len, buf, n);
	w->len += n;
	return (ssize_t)n;
}

int rg_writer_flush(rg_writer *w)
{
	if (w->err || !w->len)
		return w->err;
	return send_with(w, NULL, 0);
}

ssize_t rg_writer_printf(rg_writer *w, const char *fmt, ...)
{
	for (;;) {
		size_t room = w->size - w->len;
		va_list ap;
		int len;

		if (w->err)
			return w->err;
		va_start(ap, fmt);
		len = vsnprintf(w->buf + w->len, room, fmt, ap);
		va_end(ap);
		if (len < 0)
			return -EINVAL;
		if ((size_t)len < room) {
			w->len += (size_t)len;
			return len;
		}
		/* vsnprintf needs a byte for its NUL. */
		if ((size_t)len >= w->size)
			return -EMSGSIZE;
		(void)rg_writer_flush(w);
	}
}
