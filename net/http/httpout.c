// SPDX-License-Identifier: MIT
/*
 * httpout - see httpout.h.
 */
#include "net/http/httpout.h"

#include <ringgo/runtime.h>

#include "kernel-iface/base/check.h"
#include "sched/timer.h"

/* The deadline is renewed for each write: a response that flows is not cut, a peer
 * that stops reading is. */
static void arm_deadline(struct httpout *o)
{
	if (o->timeout > 0)
		rg_conn_set_write_deadline(o->conn, timer_after(o->timeout));
}

static int sent(struct httpout *o, ssize_t res)
{
	o->len = 0;
	if (rg_likely(res >= 0))
		return 0;
	o->err = (int)res;
	return o->err;
}

int httpout_flush(struct httpout *o)
{
	if (o->err || !o->len)
		return o->err;
	arm_deadline(o);
	return sent(o, rg_conn_write(o->conn, o->buf, o->len));
}

static RG_NOINLINE int put_slow(struct httpout *o, const struct iovec *v, int n)
{
	struct iovec all[HTTPOUT_MAX_IOV + 1];
	int used = 0;

	if (o->len)
		all[used++] = (struct iovec){o->buf, o->len};
	for (int i = 0; i < n; i++)
		if (v[i].iov_len)
			all[used++] = v[i];
	arm_deadline(o);
	return sent(o, rg_conn_writev(o->conn, all, used));
}

int httpout_put(struct httpout *o, const struct iovec *v, int n)
{
	size_t total = 0;

	if (rg_unlikely(o->err))
		return o->err;
	RG_ASSERT(n <= HTTPOUT_MAX_IOV);
	for (int i = 0; i < n; i++)
		total += v[i].iov_len;
	if (total > HTTPOUT_SIZE - o->len)
		return put_slow(o, v, n);
	for (int i = 0; i < n; i++) {
		if (!v[i].iov_len)
			continue;
		memcpy(o->buf + o->len, v[i].iov_base, v[i].iov_len);
		o->len += (uint32_t)v[i].iov_len;
	}
	return 0;
}
