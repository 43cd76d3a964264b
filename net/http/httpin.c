// SPDX-License-Identifier: MIT
/*
 * httpin - see httpin.h.
 */
#include "net/http/httpin.h"

#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"

void httpin_init(struct httpin *in, rg_conn *conn, char *lent,
		 uint32_t lent_cap)
{
	in->conn = conn;
	in->buf = in->lent = lent;
	in->cap = in->lent_cap = lent_cap;
	in->start = in->pos = in->len = 0;
}

void httpin_reset(struct httpin *in)
{
	if (rg_unlikely(in->buf != in->lent))
		rgk_free(in->buf);
	in->buf = in->lent;
	in->cap = in->lent_cap;
	in->start = in->pos = in->len = 0;
}

static int grow(struct httpin *in, uint32_t want, uint32_t limit)
{
	uint32_t used = in->len, cap = in->cap;
	char *buf;

	if (want > limit)
		return -EMSGSIZE;
	while (cap < want)
		cap = cap < limit / 2 ? cap * 2 : limit;
	buf = rgk_alloc(cap);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, in->buf, used);
	if (in->buf != in->lent)
		rgk_free(in->buf);
	in->buf = buf;
	in->cap = cap;
	return 0;
}

int httpin_make_room(struct httpin *in, uint32_t min, uint32_t limit)
{
	if (in->cap - in->len >= min)
		return 0;
	if (in->start) {
		memmove(in->buf, in->buf + in->start, in->len - in->start);
		in->pos -= in->start;
		in->len -= in->start;
		in->start = 0;
	}
	if (in->cap - in->len >= min)
		return 0;
	return grow(in, in->len + min, limit);
}

ssize_t httpin_fill(struct httpin *in)
{
	ssize_t n;

	RG_ASSERT(in->len < in->cap);
	n = rg_conn_read(in->conn, in->buf + in->len, in->cap - in->len);
	if (n > 0)
		in->len += (uint32_t)n;
	return n;
}

ssize_t httpin_fill_body(struct httpin *in, uint32_t base)
{
	RG_ASSERT(in->pos == in->len && base >= in->start && base < in->cap);
	in->pos = in->len = base;
	return httpin_fill(in);
}
