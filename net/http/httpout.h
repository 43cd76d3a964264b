/* SPDX-License-Identifier: MIT */
/*
 * httpout - bytes on their way to a connection, gathered so that a response, or
 * several pipelined ones, leave in one write.
 *
 *   I1  bytes leave in the order in which they were put.
 *   I2  a failure is remembered: from then on everything is refused with it, and
 *       what is still held is never sent.
 *   I3  nothing is held across a wait for the peer: who waits flushes first.
 * Used by one goroutine at a time. put and flush may park.
 */
#ifndef RG_HTTPOUT_H
#define RG_HTTPOUT_H

#include <ringgo/net.h>

#include <string.h>
#include <sys/uio.h>

enum { HTTPOUT_SIZE = 4096, HTTPOUT_MAX_IOV = 8 };

struct httpout {
	rg_conn *conn;
	rg_duration timeout; /* of each write; 0: none */
	int err;             /* I2 */
	uint32_t len;
	char buf[HTTPOUT_SIZE];
};

/* httpout_put - n <= HTTPOUT_MAX_IOV pieces: held if there is room, else sent with
 * what is held. The pieces are the caller's again. 0 or a negative errno. */
int httpout_put(struct httpout *o, const struct iovec *v, int n);

/* httpout_flush - send what is held. 0 or a negative errno. */
int httpout_flush(struct httpout *o);

/* httpout_room - at least n bytes (<= HTTPOUT_SIZE) to be filled at the returned
 * place, then httpout_added; NULL: see err. May flush. */
static inline char *httpout_room(struct httpout *o, uint32_t n)
{
	if (HTTPOUT_SIZE - o->len < n && httpout_flush(o) < 0)
		return NULL;
	return o->err ? NULL : o->buf + o->len;
}

static inline void httpout_added(struct httpout *o, uint32_t n)
{
	o->len += n;
}

#endif
