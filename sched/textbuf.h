/* SPDX-License-Identifier: MIT */
/*
 * textbuf - text on its way to a descriptor, without malloc and without stdio.
 *
 * A fixed piece of memory that is emptied to a descriptor whenever it is full. Used
 * for dumps and panics: in signal handlers, with the world frozen, on goroutines.
 *
 *   I1  len <= cap; what was appended before the last flush has been written.
 *   I2  the first failure to write is kept in err; from then on nothing is written
 *       and nothing is kept.
 * Appending may flush, and `flush` may park when it is one that parks (dump.c).
 * Not thread-safe: one user at a time.
 */
#ifndef RG_SCHED_TEXTBUF_H
#define RG_SCHED_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct textbuf;

/* Write n bytes to b->fd: 0 or a negative errno. */
typedef int textbuf_flush_fn(struct textbuf *b, const char *p, size_t n);

struct textbuf {
	char *p;
	size_t len, cap;
	int fd;
	int err; /* 0 or a negative errno */
	textbuf_flush_fn *flush;
};

void textbuf_init(struct textbuf *b, char *p, size_t cap, int fd,
		  textbuf_flush_fn *flush);

/* textbuf_flush - write what is there; b->err. */
int textbuf_flush(struct textbuf *b);

/* textbuf_write_fd - the flush function that writes by write(2), to the end and
 * through EINTR; on a non-blocking descriptor it waits by poll(2). */
int textbuf_write_fd(struct textbuf *b, const char *p, size_t n);

void textbuf_mem(struct textbuf *b, const char *p, size_t n);
void textbuf_str(struct textbuf *b, const char *s);
void textbuf_char(struct textbuf *b, char c);
void textbuf_dec(struct textbuf *b, uint64_t n);
void textbuf_hex(struct textbuf *b, uint64_t n); /* "0x1f" */

/* "a\"b\x01": printable, in quotes, at most max bytes of s. */
void textbuf_quoted(struct textbuf *b, const char *s, size_t max);

/* 1500000000 as "1.5s", by the largest fitting unit, cut to three decimals. */
void textbuf_duration(struct textbuf *b, int64_t ns);

#endif
