/* SPDX-License-Identifier: MIT */
/*
 * httpreader - the body of one message, read from an httpin: sized, chunked, or
 * until the peer closes. The server reads requests with it, the client responses.
 *
 *   I1  never takes a byte beyond the body: what follows is the next message.
 *   I2  an error or the end stays what it is.
 *   I3  large reads go from the kernel to the caller's memory without a copy where
 *       the framing says that nothing but data comes.
 * Used by one goroutine at a time; reading parks.
 */
#ifndef RG_HTTPREADER_H
#define RG_HTTPREADER_H

#include "net/http/httpchunk.h"
#include "net/http/httpin.h"

/* Trailer fields are checked and dropped; so many and so long may they be. */
enum { HTTPREADER_FIELDS = 32, HTTPREADER_TRAILER = 2048 };

/* Room behind the head that the buffer must have for a body: a trailer has to fit
 * in one piece. */
enum { HTTPREADER_ROOM = HTTPREADER_TRAILER + 256 };

struct httpreader {
	struct httpin *in;
	uint32_t base; /* where in the buffer body bytes are put */
	enum httpbody kind;
	bool eof;
	int err;           /* I2; also set by the owner to forbid reading */
	int64_t left;      /* sized: bytes not in the span yet */
	int64_t delivered; /* to the caller of read */
	int64_t max;       /* more than this is -EMSGSIZE; 0: no limit */
	const char *span;  /* data in the buffer, next to be delivered */
	size_t span_len;
	/* Called before each wait for the peer; negative: give up with that. */
	int (*before_wait)(void *arg);
	void *arg;
	struct httpchunk chunk;
	struct httpfield trailer[HTTPREADER_FIELDS];
};

/* httpreader_init - the body that h announces; in->pos is at its first byte, and
 * there is HTTPREADER_ROOM behind that if there is a body. */
void httpreader_init(struct httpreader *r, struct httpin *in,
		     const struct httphead *h);

/* httpreader_read - > 0 bytes, 0 end, -EBADMSG malformed or cut short, -EMSGSIZE,
 * or what rg_conn_read returned. n == 0 returns 0. */
ssize_t httpreader_read(struct httpreader *r, void *buf, size_t n);

/* httpreader_drain - drop what is left if it is at most limit bytes. 0: all of the
 * body is read; -EFBIG: more is left; or an error of read. */
int httpreader_drain(struct httpreader *r, int64_t limit);

/* httpreader_is_done - the body is read to its end (or there was none). */
static inline bool httpreader_is_done(const struct httpreader *r)
{
	return r->eof && !r->span_len;
}

#endif
