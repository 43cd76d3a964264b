// SPDX-License-Identifier: MIT
/*
 * httpclient - see httpclient.h.
 */
#include "net/http/httpclient.h"

#include <stdatomic.h>
#include <sys/uio.h>

#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpcall.h"
#include "net/http/httppool.h"
#include "net/http/httpresponse.h"
#include "sched/timer.h"

#define DEFAULT_IDLE     100
#define DEFAULT_PER_HOST 16
#define DEFAULT_TIMEOUT  (90 * RG_SECOND)
#define MAX_REDIRECTS    10

/* The body of a redirect is dropped to keep the connection, up to this. */
#define REDIRECT_BODY (64 << 10)

struct rg_http_client {
	_Atomic uint32_t refs;
	rg_duration timeout; /* 0: none */
	struct httppool pool;
};

/* Its one reference is never given up. */
static struct rg_http_client default_client = {
	.refs = 1,
	.pool = {.max_idle = DEFAULT_IDLE,
		 .max_per_host = DEFAULT_PER_HOST,
		 .idle_timeout = DEFAULT_TIMEOUT},
};

/* ---- life ------------------------------------------------------------------- */

rg_http_client *rg_http_client_new(const rg_http_client_options *o)
{
	static const rg_http_client_options none;
	rg_http_client *c = rgk_zalloc(sizeof(*c));

	if (!c)
		return NULL;
	if (!o)
		o = &none;
	c->timeout = o->timeout > 0 ? o->timeout : 0;
	c->pool.max_idle = o->max_idle > 0 ? o->max_idle : DEFAULT_IDLE;
	c->pool.max_per_host = o->max_idle_per_host > 0 ? o->max_idle_per_host
							: DEFAULT_PER_HOST;
	c->pool.idle_timeout =
		o->idle_timeout > 0 ? o->idle_timeout : DEFAULT_TIMEOUT;
	/* Relaxed: nobody else knows c yet. */
	atomic_store_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

rg_http_client *httpclient_ref(rg_http_client *c)
{
	/* Relaxed: the caller has a reference. */
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void httpclient_unref(rg_http_client *c)
{
	/* F1 release and acquire, pairs with itself: what the others did to c is
	 * done before it is freed. */
	if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return;
	httppool_close_all(&c->pool);
	rgk_free(c);
}

void rg_http_client_free(rg_http_client *c)
{
	if (c)
		httpclient_unref(c);
}

void httpclient_keep(rg_http_client *c, struct httplink *l)
{
	httppool_put(&c->pool, l);
}

/* ---- one exchange ----------------------------------------------------------- */

static int set_deadline(struct httplink *l, rg_time deadline)
{
	if (!deadline && !l->has_deadline)
		return 0;
	l->has_deadline = deadline != 0;
	return rg_conn_set_deadline(l->conn, deadline);
}

/* A goroutine's dial heeds its context: give it one that ends in time. */
static int dial(const char *key, rg_time deadline, struct httplink **out)
{
	rg_ctx *limit, *former;
	int err;

	if (!deadline || !rg_goid())
		return httplink_dial(key, out);
	limit = rg_ctx_with_deadline(rg_ctx_current(), deadline);
	if (!limit)
		return -ENOMEM;
	former = rg_ctx_bind(limit);
	err = httplink_dial(key, out);
	rg_ctx_unref(rg_ctx_bind(former));
	rg_ctx_unref(former);
	rg_ctx_unref(limit);
	return err;
}

static int send_call(struct httplink *l, const struct httpcall *call)
{
	struct iovec v[2] = {
		{NULL, 0},
		{(void *)(uintptr_t)call->body, call->body_len},
	};
	char *head;
	ssize_t n;
	int err = httpcall_head(call, &head, &v[0].iov_len);

	if (err < 0)
		return err;
	v[0].iov_base = head;
	n = rg_conn_writev(l->conn, v, call->body_len ? 2 : 1);
	rgk_free(head);
	return n < 0 ? (int)n : 0;
}

static bool is_peer_gone(int err)
{
	return err == -EPIPE || err == -ECONNRESET;
}

/* Takes l over. *began: a byte of a response was seen. */
static int exchange(rg_http_client *c, struct httplink *l,
		    const struct httpcall *call, rg_time deadline, bool *began,
		    rg_http_response **out)
{
	rg_http_response *resp = httpresponse_new(c, l);
	int err = resp ? set_deadline(l, deadline) : -ENOMEM;
	int sent = 0;

	if (!err)
		sent = send_call(l, call);
	/* A server may refuse a body by answering and closing: then its response
	 * is worth more than our failed write. */
	if (!err && (!sent || (is_peer_gone(sent) && call->body_len)))
		err = httpresponse_read_head(resp, call->method_id);
	if (sent && err)
		err = sent;
	*began = resp && resp->in.len > 0;
	if (err || (sent && !*began)) {
		httplink_close(l);
		if (resp)
			httpresponse_free(resp);
		return err ? err : sent;
	}
	if (sent || call->wants_close)
		resp->may_reuse = false;
	*out = resp;
	httpresponse_settle(resp);
	return 0;
}

/* One request, over a kept connection if there is one (I1). */
static int round_trip(rg_http_client *c, const struct httpcall *call,
		      rg_time deadline, rg_http_response **out)
{
	char *key = httpcall_key(call);
	struct httplink *l;
	bool was_kept, began;
	int err = 0;

	if (!key)
		return -ENOMEM;
	l = httppool_get(&c->pool, key);
	for (;;) {
		was_kept = l != NULL;
		if (!l)
			err = dial(key, deadline, &l);
		if (err < 0)
			break;
		err = exchange(c, l, call, deadline, &began, out);
		if (!was_kept || began || !is_peer_gone(err) ||
		    !call->is_idempotent)
			break;
		l = NULL;
		err = 0;
	}
	rgk_free(key);
	return err;
}

/* ---- calls ------------------------------------------------------------------ */

static bool is_redirect(int status)
{
	return status == 301 || status == 302 || status == 303 ||
	       status == 307 || status == 308;
}

/* Changes call to what resp asks for. 1: go on; 0: resp is the answer; or an
 * error. */
static int follow(struct httpcall *call, rg_http_response *resp)
{
	int status = rg_http_response_status(resp);
	const char *location = rg_http_response_header(resp, "Location");
	int err;

	if (!is_redirect(status) || !location)
		return 0;
	err = httpcall_redirect(call, status, location);
	if (err < 0)
		return err;
	httpreader_drain(&resp->body, REDIRECT_BODY);
	return 1;
}

static int run_call(rg_http_client *c, struct httpcall *call, rg_time deadline,
		    rg_http_response **out)
{
	rg_http_response *resp = NULL;

	for (int i = 0; i <= MAX_REDIRECTS; i++) {
		int rc = round_trip(c, call, deadline, &resp);

		if (rc < 0)
			return rc;
		rc = follow(call, resp);
		if (!rc) {
			*out = resp;
			return 0;
		}
		rg_http_response_close(resp);
		if (rc < 0)
			return rc;
	}
	return -ELOOP;
}

int rg_http_do(rg_http_client *client_or_null, const rg_http_call *call,
	       rg_http_response **out)
{
	rg_http_client *c = client_or_null ? client_or_null : &default_client;
	rg_duration timeout;
	struct httpcall hc;
	int err;

	if (!call || !out)
		return -EINVAL;
	err = httpcall_init(&hc, call);
	if (err < 0)
		return err;
	timeout = call->timeout > 0 ? call->timeout : c->timeout;
	err = run_call(c, &hc, timeout ? timer_after(timeout) : 0, out);
	httpcall_fini(&hc);
	return err;
}

int rg_http_get(const char *url, rg_http_response **out)
{
	const rg_http_call call = {.url = url};

	return rg_http_do(NULL, &call, out);
}
