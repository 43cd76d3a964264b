// SPDX-License-Identifier: MIT
/*
 * httpconn - see httpconn.h. How a request ends is httpfinish.c's business.
 *
 * Stack: an idle connection stands in await_request, whose buffer and the read path
 * below it must fit into the goroutine's top page; a frame of serve_burst and answer
 * is under every handler, so these are kept small and what they need lives in the
 * block.
 */
#include "net/http/httpconn.h"

#include <string.h>

#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/textmap.h"
#include "net/http/httpfinish.h"
#include "net/http/httproute.h"
#include "net/http/httpserver.h"
#include "sched/g.h"
#include "sched/sched.h"

/* The first bytes of a request are read here: most requests are smaller, and a copy
 * of this much is nothing beside the system call. */
enum { FIRST_READ = 768 };

/* A sized body needs some room, a chunked one that of its trailer. */
enum { BODY_ROOM = 512 };

/* ---- deadlines -------------------------------------------------------------- */

static rg_time after(rg_time t, rg_duration d)
{
	return d < RG_FOREVER - t ? t + d : 0;
}

int httpconn_set_read_deadline(struct httpconn *hc, rg_time t)
{
	if (hc->read_deadline == t)
		return 0;
	hc->read_deadline = t;
	return rg_conn_set_read_deadline(hc->conn, t);
}

/* For the next request: renewed now and then (I3), so that it ends between timeout
 * and an eighth more of idleness. */
static int arm_idle(struct httpconn *hc, rg_duration timeout)
{
	rg_time now = sched_coarse_now();
	rg_duration left = hc->read_deadline - now;

	if (!timeout)
		return httpconn_set_read_deadline(hc, 0);
	if (rg_likely(left >= timeout && left <= timeout + timeout / 8))
		return 0;
	return httpconn_set_read_deadline(hc,
					  after(now, timeout + timeout / 8));
}

/* The head is on its way but not complete. */
static int arm_head(struct httpconn *hc)
{
	const rg_http_server *s = hc->server;
	rg_duration timeout = s->header_timeout;

	if (s->read_timeout && (!timeout || s->read_timeout < timeout))
		timeout = s->read_timeout;
	return httpconn_set_read_deadline(
		hc, timeout ? after(hc->request_start, timeout) : 0);
}

int httpconn_arm_body(struct httpconn *hc)
{
	rg_duration timeout = hc->server->read_timeout;

	return httpconn_set_read_deadline(
		hc, timeout ? after(hc->request_start, timeout) : 0);
}

bool httpconn_allows_reuse(const struct httpconn *hc)
{
	return !httpserver_is_stopping(hc->server);
}

/* ---- waiting for a request -------------------------------------------------- */

static void set_state(struct httpconn *hc, enum httpconn_state state)
{
	/* Relaxed: shutdown looks again until the connection is gone. */
	atomic_store_explicit(&hc->state, state, memory_order_relaxed);
}

static bool is_new(const struct httpconn *hc)
{
	return atomic_load_explicit(&hc->state, memory_order_relaxed) ==
	       HTTPCONN_NEW;
}

/* Arm, then look whether the server stops: shutdown sets `stopping` first and our
 * deadline after that, so one of the two is seen. */
static bool may_wait(struct httpconn *hc)
{
	const rg_http_server *s = hc->server;

	if (rg_unlikely(is_new(hc)))
		return arm_idle(hc, s->header_timeout) == 0;
	set_state(hc, HTTPCONN_IDLE);
	return arm_idle(hc, s->idle_timeout) == 0 && !httpserver_is_stopping(s);
}

/* Idle. True: there is a block with bytes in it. */
static RG_NOINLINE bool await_request(struct httpconn *hc)
{
	rg_http_server *s = hc->server;
	char first[FIRST_READ];
	ssize_t n;

	if (!may_wait(hc))
		return false;
	n = rg_conn_read(hc->conn, first, sizeof(first));
	if (n <= 0)
		return false;
	set_state(hc, HTTPCONN_ACTIVE);
	hc->request_start = sched_coarse_now();
	hc->block = httpblock_get(&s->pool, hc->conn, s->write_timeout);
	if (!hc->block)
		return false;
	memcpy(hc->block->in.buf, first, (size_t)n);
	hc->block->in.len = (uint32_t)n;
	return true;
}

/* ---- heads ------------------------------------------------------------------ */

/* More of a head that began. 1; 0: the peer closed; or a negative errno. */
static int read_more(struct httpconn *hc, struct httpblock *b)
{
	uint32_t limit = hc->server->limits.max_head + HTTPREADER_ROOM;
	ssize_t n = arm_head(hc);

	if (!n)
		n = httpin_make_room(&b->in, BODY_ROOM, limit);
	if (!n)
		n = httpin_fill(&b->in);
	return n > 0 ? 1 : (int)n;
}

/* What has come are whole lines: they may be forgotten if they are empty. */
static bool is_at_line_start(const struct httpin *in)
{
	return in->len == in->start || in->buf[in->len - 1] == '\n';
}

static void refuse_head(struct httpconn *hc, struct httpblock *b, int rc)
{
	switch (rc) {
	case 0:
		httpfinish_refuse(hc, b, 400, "incomplete request");
		break;
	case -ETIMEDOUT:
		httpfinish_refuse(hc, b, 408, NULL);
		break;
	case -EMSGSIZE:
		httpfinish_refuse(hc, b, 431, NULL);
		break;
	default: /* the connection is broken or closed, or no memory */
		break;
	}
}

/* 1: a head is complete; 0: nothing more has come, the connection is idle;
 * -1: it is over. */
static int next_head(struct httpconn *hc, struct httpblock *b)
{
	struct httpin *in = &b->in;
	struct httpparse *p = &b->parse;

	httpparse_init_request(p, b->fields, HTTPBLOCK_FIELDS,
			       &hc->server->limits);
	for (;;) {
		int rc = HTTPPARSE_MORE;

		if (in->len > in->start)
			rc = httpparse_run(p, in->buf + in->start,
					   in->len - in->start);
		if (rg_likely(rc == HTTPPARSE_OK)) {
			in->pos = in->start + p->head.len;
			return 1;
		}
		if (rc == HTTPPARSE_ERROR) {
			httpfinish_refuse(hc, b, p->status, p->reason);
			return -1;
		}
		if (httpout_flush(&b->out) < 0)
			return -1;
		if (httpparse_is_idle(p) && is_at_line_start(in))
			return 0;
		rc = read_more(hc, b);
		if (rc <= 0) {
			refuse_head(hc, b, rc);
			return -1;
		}
	}
}

/* ---- answering -------------------------------------------------------------- */

/* Run the handler. Earlier answers wait for it only if it is known to be quick, and
 * it is timed only where that will be asked. False: they could not be sent. */
static RG_CALLS_USER bool call_handler(struct httpconn *hc, struct httpblock *b)
{
	struct httpquick *quick = &hc->server->quick;
	void *arg;
	rg_http_handler *fn =
		httproute_find(hc->server->mux, &b->request, &arg);
	bool is_pipelined = b->in.len > b->in.pos || b->out.len > 0;
	rg_time start;

	if (rg_likely(!is_pipelined)) {
		fn(&b->writer, &b->request, arg);
		return true;
	}
	if (b->out.len && !httpquick_is_trusted(quick, fn) &&
	    httpout_flush(&b->out) < 0)
		return false;
	start = rg_now();
	fn(&b->writer, &b->request, arg);
	httpquick_note(quick, fn, rg_now() - start);
	return true;
}

/* What the handler bound to the goroutine and forgot must not end our reads. */
static void unbind(struct httpconn *hc)
{
	if (rg_unlikely(rg_ctx_current() != hc->base_ctx))
		rg_ctx_unref(rg_ctx_bind(hc->base_ctx == rg_ctx_background()
						 ? NULL
						 : hc->base_ctx));
}

static int make_body_room(struct httpconn *hc, struct httpblock *b)
{
	const struct httphead *h = &b->parse.head;
	uint32_t need = h->body == HTTPBODY_CHUNKED ? HTTPREADER_ROOM
						    : (uint32_t)BODY_ROOM;

	if (h->body == HTTPBODY_NONE || b->in.cap - b->in.pos >= need)
		return 0;
	return httpin_make_room(&b->in, need,
				hc->server->limits.max_head + 2 * need +
					HTTPBLOCK_IN);
}

/* One request whose head is complete. False: the connection is over. */
static RG_CALLS_USER bool answer(struct httpconn *hc, struct httpblock *b)
{
	const struct httphead *h = &b->parse.head;
	rg_http_server *s = hc->server;

	if (make_body_room(hc, b) < 0)
		return false;
	httprequest_begin(&b->request, hc, h, &b->in, &b->out);
	httpwriter_begin(&b->writer, &b->request, &b->out);
	b->request.writer = &b->writer;
	b->writer.is_head = h->method == HTTP_HEAD;
	b->writer.is_http10 = h->minor == 0;
	b->request.body.max = s->max_body;
	if (rg_unlikely(s->max_body && h->content_length > s->max_body)) {
		httpfinish_refuse(hc, b, 413, NULL);
		return false;
	}
	if (!call_handler(hc, b))
		return false;
	unbind(hc);
	return httpfinish(hc, b);
}

static RG_CALLS_USER bool serve_burst(struct httpconn *hc)
{
	int rc;

	if (!await_request(hc))
		return false;
	while ((rc = next_head(hc, hc->block)) > 0) {
		if (!answer(hc, hc->block))
			return false;
		httpin_next(&hc->block->in);
		hc->request_start = sched_coarse_now();
	}
	if (rc < 0)
		return false;
	httpblock_put(&hc->server->pool, hc->block);
	hc->block = NULL;
	return true;
}

/* ---- life ------------------------------------------------------------------- */

/* Deferred, so it also runs when a handler gave up by rg_exit. What was answered
 * before, and what it put out of its own response, is still sent then. */
static void httpconn_end(void *arg)
{
	struct httpconn *hc = arg;
	struct httpblock *b = hc->block;
	rg_http_server *s = hc->server;

	httpserver_leave(s, hc);
	if (b) {
		httpout_flush(&b->out);
		httprequest_end(&b->request);
		httpwriter_abandon(&b->writer);
		httpblock_put(&s->pool, b);
	}
	rg_conn_close(hc->conn);
	rg_ctx_unref(hc->base_ctx);
	httpserver_uncount(s);
}

static RG_CALLS_USER void httpconn_main(void *arg)
{
	struct httpconn *hc = arg;
	struct g *gp = getg();

	/* rg_defer, but for the memory: that was had when it could still be
	 * refused without a panic. */
	*hc->at_end = (struct g_defer){gp->defers, httpconn_end, hc};
	gp->defers = hc->at_end;
	hc->base_ctx = rg_ctx_ref(rg_ctx_current());
	if (!httpserver_enter(hc->server, hc))
		return;
	while (serve_burst(hc))
		;
}

int httpconn_start(rg_http_server *s, rg_conn *conn)
{
	const struct httpconn hc = {
		.server = s,
		.conn = conn,
		.at_end = rgk_alloc(sizeof(*hc.at_end)),
	};
	int err = hc.at_end ? 0 : -ENOMEM;

	if (!err)
		err = rg_go_copy(httpconn_main, &hc, sizeof(hc));
	if (err)
		rgk_free(hc.at_end);
	return err;
}
