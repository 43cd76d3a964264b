/* SPDX-License-Identifier: MIT */
/*
 * httpchunk - the chunked transfer coding: an incremental decoder that reports
 * the data where it lies in the caller's buffer, and the head of a chunk for
 * senders.
 *
 *   I1  the data and the outcome depend on the bytes only, not on how they were
 *       cut into calls; the first fault from left to right ends the body.
 *   I2  strict: 1 to 16 hexadecimal digits, CRLF only, no control bytes, white
 *       space only before ';'. The trailer section obeys httpparse.h's rules.
 *   I3  bounded: a size up to INT64_MAX, a size line up to HTTPCHUNK_MAX_LINE
 *       bytes, a trailer up to its limit; and what is not data may exceed twice
 *       the data by no more than HTTPCHUNK_MAX_EXCESS bytes (and 16 a chunk),
 *       so a peer cannot make us read gigabytes of extensions for a body of one
 *       byte.
 *   I4  no byte after the body is looked at: a pipelined request stays where it
 *       is.
 * Extensions are checked and dropped (nobody uses them, RFC 9112 7.1.1 allows
 * it).
 *
 * Pure functions on the caller's memory: any goroutine or thread, never parks.
 * Sources: RFC 9112 section 7.1, Go's net/http/internal/chunked.go (the bound
 * on what is not data, CVE-2023-39326).
 */
#ifndef RG_HTTPCHUNK_H
#define RG_HTTPCHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "net/http/httpparse.h"

#define HTTPCHUNK_MAX_LINE   4096
#define HTTPCHUNK_MAX_EXCESS (16 << 10)

enum {
	HTTPCHUNK_ERROR = -1,
	HTTPCHUNK_MORE = 0,
	HTTPCHUNK_DATA = 1,
	HTTPCHUNK_END = 2,
};

struct httpchunk {
	/* After HTTPCHUNK_ERROR: what a server answers (400, or 431 for a
	 * trailer beyond its limits) and why, static English text. */
	int status;
	const char *reason;
	/* After HTTPCHUNK_END: trailer.head.fields, slices from step.data
	 * on. */
	struct httpparse trailer;

	/* private */
	uint64_t left; /* data bytes of this chunk still to come */
	uint64_t excess;
	uint32_t line; /* bytes of this size line */
	uint8_t state;
	uint8_t ndigits;
};

struct httpchunk_step {
	size_t used;      /* bytes of buf that are done with */
	const char *data; /* into buf */
	size_t data_len;
};

/*
 * httpchunk_init - begin a body. fields takes up to max_fields trailer fields
 * (it may be NULL if max_fields is 0: then any trailer field is 431);
 * limits->max_head bounds the trailer section, NULL or 0: HTTPPARSE_MAX_LINE.
 */
void httpchunk_init(struct httpchunk *c, struct httpfield *fields,
		    uint32_t max_fields, const struct httplimits *limits);

/*
 * httpchunk_next - take the next step in buf[0..len).
 * HTTPCHUNK_DATA: step->data, data_len > 0: a part of the body inside the first
 *   step->used bytes. Call again with what follows those.
 * HTTPCHUNK_MORE: keep what lies after the first step->used bytes (it is the
 *   unfinished trailer, else nothing) and call again when bytes were added to
 *   it. The peer closed: the body is truncated.
 * HTTPCHUNK_END: the body is complete and ends after step->used bytes.
 *   step->data, data_len is the trailer section with its empty line.
 * HTTPCHUNK_ERROR: status and reason are set; the connection cannot be used on.
 * After END or ERROR it returns the same again, with used 0.
 */
int httpchunk_next(struct httpchunk *c, const char *buf, size_t len,
		   struct httpchunk_step *step);

/*
 * httpchunk_direct - how many bytes that come next are data for certain: so
 * many may be read from the peer straight into their destination, after all of
 * the buffer was used. Then tell httpchunk_took how many came.
 */
uint64_t httpchunk_direct(const struct httpchunk *c);
void httpchunk_took(struct httpchunk *c, uint64_t n);

/* The longest head of a chunk: 16 digits, CR, LF. */
#define HTTPCHUNK_HEAD 18
/* What ends a body without trailer fields. */
#define HTTPCHUNK_LAST "0\r\n\r\n"

/*
 * httpchunk_format - write the head of a chunk of n > 0 bytes; the data and
 * "\r\n" follow it. Returns its length; no NUL is written.
 */
size_t httpchunk_format(char out[HTTPCHUNK_HEAD], uint64_t n);

#endif
