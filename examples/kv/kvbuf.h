/* SPDX-License-Identifier: MIT */
/*
 * kvbuf - bytes that grow at their end, and replies of RESP2 written to them.
 *
 * A zeroed one is empty. Without memory is_failed is set and stays, and what is added
 * from then on is lost: who sends the bytes looks at it once, not after each call.
 */
#ifndef KVBUF_H
#define KVBUF_H

#include <ringgo.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kvbuf {
	char *data;
	size_t len, cap;
	bool is_failed;
};

/* kvbuf_reserve - make room for n more bytes; false: no memory. */
bool kvbuf_reserve(struct kvbuf *b, size_t n);
void kvbuf_add(struct kvbuf *b, const void *data, size_t n);
void kvbuf_printf(struct kvbuf *b, const char *fmt, ...) RG_PRINTF(2, 3);

/* kvbuf_drop - forget the first n bytes. kvbuf_trim - give memory beyond keep bytes of
 * room back, if no more are in use. kvbuf_free - it is empty afterwards. */
void kvbuf_drop(struct kvbuf *b, size_t n);
void kvbuf_trim(struct kvbuf *b, size_t keep);
void kvbuf_free(struct kvbuf *b);

/* kvreply_error - text begins with its class, "ERR ...". Ends of lines in it become
 * blanks. At most 511 bytes. */
void kvreply_error(struct kvbuf *b, const char *fmt, ...) RG_PRINTF(2, 3);
void kvreply_status(struct kvbuf *b, const char *text);
void kvreply_int(struct kvbuf *b, int64_t v);
void kvreply_bulk(struct kvbuf *b, const void *data, size_t n);
void kvreply_text(struct kvbuf *b, const char *text); /* as bulk */
void kvreply_null(struct kvbuf *b);
void kvreply_array(struct kvbuf *b, size_t n); /* n replies follow */
void kvreply_null_array(struct kvbuf *b);

#endif
