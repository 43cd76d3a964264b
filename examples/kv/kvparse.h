/* SPDX-License-Identifier: MIT */
/*
 * kvparse - requests of RESP2 out of a stream of bytes: arrays of bulk strings, and
 * inline commands with quotes as people type them.
 *
 * It is given all bytes since the request in progress began, and goes on where it
 * stopped when more of them are there. Arguments point into these bytes.
 *   I1  No memory is taken for what a client only announces: the list of arguments grows
 *       as they arrive, and the bytes are the caller's.
 *   I2  What is looked at twice is at most a line without its end, of 64 KiB.
 *   I3  However the bytes are cut, requests and errors are the same.
 * Errors and limits are Redis'. It does not look whether a bulk string is followed by
 * CR LF, as Redis does not: two bytes are skipped.
 */
#ifndef KVPARSE_H
#define KVPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KV_INLINE_MAX    ((size_t)64 << 10) /* bytes of any line */
#define KV_MULTIBULK_MAX ((int64_t)1 << 20) /* arguments of a request */

struct kvarg {
	union {
		const char *p;
		size_t at; /* while parsing: from the request's start */
	};
	size_t len;
};

enum kvparse_result { KVPARSE_MORE, KVPARSE_REQUEST, KVPARSE_ERROR };

/* Zeroed, but for max_bulk. */
struct kvparse {
	int64_t max_bulk; /* bytes of an argument */
	size_t start;     /* of the request in progress, in the buffer */
	size_t pos;       /* of the next byte, in the buffer */
	int64_t missing;  /* arguments still to come; 0: between requests */
	int64_t bulk_len; /* of the next one, if has_bulk_len */
	bool has_bulk_len;
	struct kvarg *argv;
	int argc;
	int cap;
	const char *error; /* static */
	char error_text[48];
};

/*
 * kvparse_next - go on in the len bytes at buf.
 * REQUEST: argc and argv, valid until buf moves or the next call; argc 0 asks for no
 * reply. MORE: nothing before start is needed any more; kvparse_moved says that it was
 * dropped. ERROR: error says what, after "Protocol error: "; the stream is of no use.
 * An inline request is decoded in place.
 */
enum kvparse_result kvparse_next(struct kvparse *p, char *buf, size_t len);
void kvparse_moved(
	struct kvparse *p); /* buf now begins with the former start */
void kvparse_free(struct kvparse *p);

#endif
