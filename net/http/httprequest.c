// SPDX-License-Identifier: MIT
/*
 * httprequest - see httprequest.h.
 */
#include "net/http/httprequest.h"

#include <poll.h>
#include <string.h>

#include <ringgo/ctx.h>
#include <ringgo/io.h>
#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "net/http/httpconn.h"
#include "net/http/httpurl.h"
#include "net/http/httpwriter.h"

struct scratch_block {
	struct scratch_block *next;
	char bytes[];
};

static int before_body_wait(void *arg);

void httprequest_begin(rg_http_request *r, struct httpconn *hc,
		       const struct httphead *head, struct httpin *in,
		       struct httpout *out)
{
	r->hc = hc;
	r->head = head;
	r->base = in->buf + in->start;
	r->out = out;
	r->match.nparams = 0;
	r->wants_continue = head->expect_continue;
	r->has_failed = false;
	r->ctx = NULL;
	r->path = NULL;
	r->scratch_len = 0;
	r->more_scratch = NULL;
	httpreader_init(&r->body, in, head);
	r->body.before_wait = before_body_wait;
	r->body.arg = r;
}

void httprequest_failed(rg_http_request *r, int reason)
{
	r->has_failed = true;
	if (r->ctx)
		rg_ctx_cancel(r->ctx, reason);
}

void httprequest_end(rg_http_request *r)
{
	if (rg_unlikely(r->ctx)) {
		rg_ctx_cancel(r->ctx, 0);
		rg_ctx_unref(r->ctx);
		r->ctx = NULL;
	}
	while (rg_unlikely(r->more_scratch)) {
		struct scratch_block *b = r->more_scratch;

		r->more_scratch = b->next;
		rgk_free(b);
	}
}

bool httprequest_allows_reuse(const rg_http_request *r)
{
	const struct httpreader *body = &r->body;

	if (r->has_failed || !r->head->keep_alive || body->err)
		return false;
	if (rg_likely(httpreader_is_done(body)))
		return httpconn_allows_reuse(r->hc);
	/* The client was not told to send it: what comes next may be the body
	 * or the next request. */
	if (r->wants_continue)
		return false;
	return body->left <= HTTPREQUEST_DRAIN && httpconn_allows_reuse(r->hc);
}

char *httprequest_alloc(rg_http_request *r, size_t n)
{
	struct scratch_block *b;
	char *p;

	if (n <= HTTPREQUEST_SCRATCH - r->scratch_len) {
		p = r->scratch + r->scratch_len;
		r->scratch_len += (uint32_t)n;
		return p;
	}
	b = rgk_alloc(sizeof(*b) + n);
	if (!b)
		return NULL;
	b->next = r->more_scratch;
	r->more_scratch = b;
	return b->bytes;
}

/* ---- texts ------------------------------------------------------------------ */

/* I1: the byte behind the slice is a delimiter that nobody needs any more. */
static char *end_here(const rg_http_request *r, struct httpslice s)
{
	char *p = r->base + s.off;

	p[s.len] = '\0';
	return p;
}

static const char *decoded(rg_http_request *r, const char *s, size_t n)
{
	char *copy = httprequest_alloc(r, n + 1);

	if (!copy)
		return NULL;
	if (httpurl_decode(copy, n + 1, s, n, 0) < 0) {
		memcpy(copy, s, n);
		copy[n] = '\0';
	}
	return copy;
}

const char *rg_http_method(const rg_http_request *r)
{
	return end_here(r, r->head->method_name);
}

const char *rg_http_target(const rg_http_request *r)
{
	return end_here(r, r->head->target);
}

const char *rg_http_path(const rg_http_request *r)
{
	/* Kept at the first question: the object itself is not const. */
	rg_http_request *self = (rg_http_request *)(uintptr_t)r;
	const struct httphead *h = r->head;
	const char *p = r->base + h->path.off;

	if (r->path)
		return r->path;
	if (!h->path.len)
		self->path = h->form == HTTPTARGET_ABSOLUTE   ? "/"
			     : h->form == HTTPTARGET_ASTERISK ? "*"
							      : "";
	else if (h->form == HTTPTARGET_ORIGIN && !h->has_query &&
		 !memchr(p, '%', h->path.len))
		self->path = end_here(r, h->path);
	else
		self->path = decoded(self, p, h->path.len);
	return r->path ? r->path : "";
}

const char *rg_http_query(rg_http_request *r, const char *key)
{
	struct httpslice q = r->head->query;
	char *value;

	if (!key || !r->head->has_query)
		return NULL;
	value = httprequest_alloc(r, q.len + 1);
	if (!value || httpurl_query_get(r->base + q.off, q.len, key, value,
					q.len + 1) < 0)
		return NULL;
	return value;
}

const char *rg_http_header(const rg_http_request *r, const char *name)
{
	const struct httpfield *f;

	if (!name)
		return NULL;
	f = httphead_find(r->head, r->base, name, strlen(name), NULL);
	return f ? end_here(r, f->value) : NULL;
}

const char *rg_http_path_value(rg_http_request *r, const char *name)
{
	const struct httpmux_match *m = &r->match;

	for (uint32_t i = 0; name && i < m->nparams; i++)
		if (!strcmp(m->params[i].name, name))
			return decoded(r, m->params[i].value.p,
				       m->params[i].value.len);
	return NULL;
}

/* ---- the body --------------------------------------------------------------- */

static int before_body_wait(void *arg)
{
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	static const struct iovec piece = {text, sizeof(text) - 1};
	rg_http_request *r = arg;
	int err;

	if (r->wants_continue) {
		r->wants_continue = false;
		/* After the response's head it would be part of the body. */
		if (!r->writer->committed)
			httpout_put(r->out, &piece, 1);
	}
	err = httpout_flush(r->out);
	if (!err)
		err = httpconn_arm_body(r->hc);
	if (err)
		httprequest_failed(r, err);
	return err;
}

ssize_t rg_http_body_read(rg_http_request *r, void *buf, size_t n)
{
	ssize_t got = httpreader_read(&r->body, buf, n);

	if (got < 0 && got != -EMSGSIZE)
		httprequest_failed(r, (int)got);
	return got;
}

/* ---- the context ------------------------------------------------------------ */

struct watch {
	rg_conn *conn;
	rg_ctx *ctx;
};

/* A goroutine beside the handler (I2): ends with the context or the client. */
static void watch_client(void *arg)
{
	struct watch w = *(struct watch *)arg;
	int res;

	rg_ctx_unref(rg_ctx_bind(w.ctx)); /* the inherited one */
	res = rg_poll(rg_conn_fd(w.conn), POLLRDHUP, -1);
	/* -ECANCELED, -EBADF: the request is over, or the server cut it off. */
	if (res > 0 || res == -ECANCELED || res == -EBADF)
		rg_ctx_cancel(w.ctx, res > 0 ? -EPIPE : -ECANCELED);
	rg_ctx_unref(w.ctx);
	rg_conn_unref(w.conn);
}

static void start_watch(rg_http_request *r)
{
	struct watch w = {rg_conn_ref(r->out->conn), rg_ctx_ref(r->ctx)};

	/* The poll shares the read deadline: only the request's own counts. */
	if (httpconn_arm_body(r->hc) == 0 &&
	    rg_go_copy(watch_client, &w, sizeof(w)) == 0)
		return;
	rg_conn_unref(w.conn);
	rg_ctx_unref(w.ctx);
}

rg_ctx *rg_http_ctx(rg_http_request *r)
{
	if (r->ctx)
		return r->ctx;
	r->ctx = rg_ctx_with_cancel(rg_ctx_current());
	if (!r->ctx)
		return rg_ctx_background(); /* no memory: it never ends */
	if (r->has_failed)
		rg_ctx_cancel(r->ctx, -EPIPE);
	else
		start_watch(r);
	return r->ctx;
}
