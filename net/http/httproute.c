// SPDX-License-Identifier: MIT
/*
 * httproute - see httproute.h.
 */
#include "net/http/httproute.h"

#include <stdio.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/list.h"
#include "net/http/httpmux.h"
#include "net/http/httprequest.h"
#include "net/http/httpwriter.h"

/* What users hold is the first member. */
struct mux {
	struct rg_http_mux mux;
	void *other_arg;                /* written before other */
	rg_http_handler *_Atomic other; /* "*", or NULL */
};

static struct mux default_mux;

static struct mux *mux_of(rg_http_mux *m)
{
	return container_of(m, struct mux, mux);
}

rg_http_mux *httproute_default(void)
{
	return &default_mux.mux;
}

rg_http_mux *rg_http_mux_new(void)
{
	struct mux *m = rgk_zalloc(sizeof(*m));

	if (!m)
		return NULL;
	return &m->mux;
}

void rg_http_mux_free(rg_http_mux *m)
{
	if (!m)
		return;
	httpmux_destroy(m);
	rgk_free(mux_of(m));
}

static int handle_others(struct mux *m, rg_http_handler *fn, void *arg)
{
	int err = 0;

	if (!fn)
		return -EINVAL;
	futexlock_lock(&m->mux.lock);
	/* Relaxed: writers hold the lock. */
	if (atomic_load_explicit(&m->other, memory_order_relaxed)) {
		err = -EEXIST;
	} else {
		m->other_arg = arg;
		/* T1 release, pairs with T2: other_arg. */
		atomic_store_explicit(&m->other, fn, memory_order_release);
	}
	futexlock_unlock(&m->mux.lock);
	return err;
}

int rg_http_mux_handle(rg_http_mux *m, const char *pattern, rg_http_handler *fn,
		       void *arg)
{
	if (!m || !pattern)
		return -EINVAL;
	if (!strcmp(pattern, "*"))
		return handle_others(mux_of(m), fn, arg);
	return httpmux_add(m, pattern, fn, arg, NULL);
}

int rg_http_handle(const char *pattern, rg_http_handler *fn, void *arg)
{
	return rg_http_mux_handle(&default_mux.mux, pattern, fn, arg);
}

/* ---- answers without a handler ---------------------------------------------- */

static struct httpmux_request question(const rg_http_request *r)
{
	const struct httphead *h = r->head;

	return (struct httpmux_request){
		.method = {r->base + h->method_name.off, h->method_name.len},
		.host = {r->base + h->host.off, h->host.len},
		.path = {r->base + h->path.off, h->path.len},
	};
}

static void answer_text(rg_http_writer *w, int status, const char *text)
{
	rg_http_set_header(w, "Content-Type", "text/plain; charset=utf-8");
	rg_http_set_header(w, "X-Content-Type-Options", "nosniff");
	rg_http_status(w, status);
	rg_http_write(w, text, strlen(text));
}

static void not_found(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	answer_text(w, 404, "404 page not found\n");
}

static void not_allowed(rg_http_writer *w, rg_http_request *r, void *arg)
{
	const struct httpmux_request q = question(r);
	char allow[512];

	if (httpmux_allow(arg, &q, allow, sizeof(allow)) >= 0)
		rg_http_set_header(w, "Allow", allow);
	answer_text(w, 405, "Method Not Allowed\n");
}

static void redirect(rg_http_writer *w, rg_http_request *r, void *arg)
{
	const struct httpmux_request q = question(r);
	struct httpslice query = r->head->query;
	size_t cap = q.path.len + 4 + query.len + 2;
	char *to = httprequest_alloc(r, cap);
	ssize_t len = to ? httpmux_location(arg, &q, to, cap) : -ENOMEM;

	if (len < 0) {
		answer_text(w, 500, "Internal Server Error\n");
		return;
	}
	if (r->head->has_query) {
		to[len++] = '?';
		memcpy(to + len, r->base + query.off, query.len);
		to[len + query.len] = '\0';
	}
	rg_http_set_header(w, "Location", to);
	answer_text(w, 307, "Temporary Redirect\n");
}

rg_http_handler *httproute_find(rg_http_mux *m, rg_http_request *r, void **arg)
{
	const struct httpmux_request q = question(r);
	int status = httpmux_find(m, &q, &r->match);
	/* T2 acquire, pairs with T1. */
	rg_http_handler *other =
		atomic_load_explicit(&mux_of(m)->other, memory_order_acquire);

	if (rg_likely(status == 200)) {
		*arg = r->match.arg;
		return r->match.fn;
	}
	if (other) {
		*arg = mux_of(m)->other_arg;
		return other;
	}
	*arg = m;
	return status == 307   ? redirect
	       : status == 405 ? not_allowed
			       : not_found;
}
