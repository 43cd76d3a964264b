/* SPDX-License-Identifier: MIT */
/*
 * httpin - what has been read from a connection and is not used up yet.
 *
 *	buf   |  used up  | head ... | body or next message | free |
 *	      0         start       pos                    len    cap
 *
 *   I1  start <= pos <= len <= cap; bytes before pos are consumed, but those from
 *       start on (the head) stay in place while the message is worked on: handlers
 *       hold pointers to them. Only httpin_make_room moves bytes, and it is not
 *       called between a complete head and the end of its message.
 *   I2  the memory is lent by the owner (a small, fixed part) until a head does not
 *       fit; then it is a heap block, freed by httpin_reset.
 * Used by one goroutine at a time; httpin_fill parks.
 */
#ifndef RG_HTTPIN_H
#define RG_HTTPIN_H

#include <ringgo/net.h>

struct httpin {
	rg_conn *conn;
	char *buf;
	char *lent; /* the owner's */
	uint32_t lent_cap;
	uint32_t cap;
	uint32_t start;
	uint32_t pos;
	uint32_t len;
};

void httpin_init(struct httpin *in, rg_conn *conn, char *lent,
		 uint32_t lent_cap);

/* httpin_reset - drop everything, back to the lent memory. */
void httpin_reset(struct httpin *in);

/* httpin_next - the message is done: what follows is the start of the next. */
static inline void httpin_next(struct httpin *in)
{
	if (in->pos == in->len)
		in->pos = in->len = 0;
	in->start = in->pos;
}

/* httpin_make_room - at least min bytes between len and cap, by moving the head to
 * the front or by growing up to limit bytes. 0, -EMSGSIZE (limit) or -ENOMEM. */
int httpin_make_room(struct httpin *in, uint32_t min, uint32_t limit);

/* httpin_fill - read more behind len: > 0 bytes, 0 end of stream, or a negative
 * errno. There must be room. */
ssize_t httpin_fill(struct httpin *in);

/* httpin_fill_body - the same when all of the buffered body is used up: its bytes
 * go where those before them were, from `base` on. */
ssize_t httpin_fill_body(struct httpin *in, uint32_t base);

#endif
