// SPDX-License-Identifier: MIT
/*
 * httpresponse - see httpresponse.h.
 */
#include "net/http/httpresponse.h"

#include <stdio.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpclient.h"

rg_http_response *httpresponse_new(rg_http_client *client,
				   struct httplink *link)
{
	rg_http_response *resp = rgk_alloc(sizeof(*resp));

	if (!resp)
		return NULL;
	resp->client = httpclient_ref(client);
	resp->link = link;
	resp->may_reuse = true;
	httpin_init(&resp->in, link->conn, resp->in_lent, HTTPRESPONSE_IN);
	return resp;
}

void httpresponse_free(rg_http_response *resp)
{
	httpin_reset(&resp->in);
	httpclient_unref(resp->client);
	rgk_free(resp);
}

/* ---- the head --------------------------------------------------------------- */

static int read_more(rg_http_response *resp)
{
	struct httpin *in = &resp->in;
	bool is_first = in->len == 0;
	ssize_t n = httpin_make_room(in, HTTPRESPONSE_IN / 8,
				     HTTPRESPONSE_HEAD + HTTPRESPONSE_IN);

	if (n == -EMSGSIZE)
		return -EBADMSG;
	if (!n)
		n = httpin_fill(in);
	if (!n)
		return is_first ? -EPIPE : -EBADMSG;
	return n > 0 ? 0 : (int)n;
}

static int read_one_head(rg_http_response *resp, enum httpmethod method)
{
	const struct httplimits limits = {.max_head = HTTPRESPONSE_HEAD};
	struct httpin *in = &resp->in;

	httpparse_init_response(&resp->parse, resp->fields, HTTPRESPONSE_FIELDS,
				&limits, method);
	for (;;) {
		int rc = HTTPPARSE_MORE;

		if (in->len > in->start)
			rc = httpparse_run(&resp->parse, in->buf + in->start,
					   in->len - in->start);
		if (rc == HTTPPARSE_ERROR)
			return -EBADMSG;
		if (rc == HTTPPARSE_OK)
			return 0;
		rc = read_more(resp);
		if (rc < 0)
			return rc;
	}
}

/* The body's bytes need room behind the head (httpreader.h). */
static int begin_body(rg_http_response *resp)
{
	struct httpin *in = &resp->in;
	const struct httphead *h = &resp->parse.head;

	if (h->body != HTTPBODY_NONE && in->cap - in->pos < HTTPREADER_ROOM) {
		int err = httpin_make_room(in, HTTPREADER_ROOM, UINT32_MAX / 2);

		if (err)
			return err;
	}
	httpreader_init(&resp->body, in, h);
	if (!h->keep_alive)
		resp->may_reuse = false;
	return 0;
}

int httpresponse_read_head(rg_http_response *resp, enum httpmethod method)
{
	const struct httphead *h = &resp->parse.head;

	for (int i = 0; i < HTTPRESPONSE_INFO; i++) {
		int err = read_one_head(resp, method);

		if (err < 0)
			return err;
		resp->in.pos = resp->in.start + h->len;
		if (h->status == 101)
			return -EBADMSG; /* nobody asked for another protocol */
		if (h->status >= 200)
			return begin_body(resp);
		httpin_next(&resp->in);
	}
	return -EBADMSG;
}

/* ---- the user's side -------------------------------------------------------- */

int rg_http_response_status(const rg_http_response *resp)
{
	return resp->parse.head.status;
}

const char *rg_http_response_status_text(const rg_http_response *resp)
{
	/* The text is made in place, at the first question or again. */
	rg_http_response *self = (rg_http_response *)(uintptr_t)resp;
	const struct httphead *h = &resp->parse.head;
	char *reason = self->in.buf + self->in.start + h->reason.off;

	if (!h->reason.len) {
		snprintf(self->number, sizeof(self->number), "%d", h->status);
		return self->number;
	}
	reason[h->reason.len] = '\0';
	return reason - 4; /* "200 " stands before it */
}

const char *rg_http_response_header(const rg_http_response *resp,
				    const char *name)
{
	char *base = resp->in.buf + resp->in.start;
	const struct httpfield *f;

	if (!name)
		return NULL;
	f = httphead_find(&resp->parse.head, base, name, strlen(name), NULL);
	if (!f)
		return NULL;
	base[f->value.off + f->value.len] = '\0';
	return base + f->value.off;
}

void httpresponse_settle(rg_http_response *resp)
{
	struct httplink *l = resp->link;

	if (!l || !httpreader_is_done(&resp->body))
		return;
	resp->link = NULL;
	/* Bytes that nobody asked for: this server cannot be trusted. */
	if (resp->may_reuse && resp->in.pos == resp->in.len)
		httpclient_keep(resp->client, l);
	else
		httplink_close(l);
}

ssize_t rg_http_response_read(rg_http_response *resp, void *buf, size_t n)
{
	ssize_t got = httpreader_read(&resp->body, buf, n);

	httpresponse_settle(resp);
	return got;
}

static int never_wait(void *arg)
{
	(void)arg;
	return -EAGAIN;
}

void rg_http_response_close(rg_http_response *resp)
{
	if (!resp)
		return;
	if (resp->link) {
		/* What is here already may be all that is left. */
		resp->body.before_wait = never_wait;
		httpreader_drain(&resp->body, INT64_MAX);
		httpresponse_settle(resp);
	}
	if (resp->link)
		httplink_close(resp->link);
	httpresponse_free(resp);
}
