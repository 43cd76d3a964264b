// SPDX-License-Identifier: MIT
/*
 * httpmux - see httpmux.h.
 *
 * Publishing: under the lock, add nodes and tables, link the new route to them
 * (each by a release store, so a reader finds complete memory behind a
 * pointer), then raise `published`. Nodes without a visible route match
 * nothing. A reader loads `published` first: what was linked before that is
 * there for it (X1/X2), and what was linked after it carries a higher number.
 */
#include "net/http/httpmux.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "net/http/httpchar.h"
#include "net/http/httpurl.h"

struct httpmux_route {
	uint32_t number; /* from 1; visible if published >= number */
	struct httppattern *pattern;
	rg_http_handler *fn;
	void *arg;
	struct httpmux_route *next;      /* all routes of the mux */
	struct httpmux_route *same_path; /* next in a literal's list; const */
};

/* A position in the tree: the segments so far are matched. */
struct node {
	struct httptable_key key; /* the literal segment that leads here */
	struct httptable *_Atomic literals;
	struct node *_Atomic wild;
	struct httpmux_route *_Atomic leaf; /* the path ends here */
	struct httpmux_route *_Atomic end;  /* ... with a slash: {$} */
	struct httpmux_route *_Atomic rest; /* anything after a slash */
};

struct method {
	struct httptable_key key; /* "" is every method */
	struct node root;
};

struct literal {
	struct httptable_key key;
	struct httpmux_route *_Atomic routes;
};

/* ---- registering ---- */

static struct node *get_wild(struct rg_http_mux *m, struct node *n)
{
	/* relaxed: the lock orders writers */
	struct node *w = atomic_load_explicit(&n->wild, memory_order_relaxed);

	if (w)
		return w;
	w = httptable_alloc(&m->blocks, sizeof(*w));
	/* X8 release, pairs with X7: the node is complete. */
	if (w)
		atomic_store_explicit(&n->wild, w, memory_order_release);
	return w;
}

/* Where the route of the pattern p hangs, its nodes created; NULL: no
 * memory. */
static struct httpmux_route *_Atomic *get_place(struct rg_http_mux *m,
						struct httpmux_host *h,
						const struct httppattern *p)
{
	struct method *method =
		httptable_get(&m->blocks, &h->methods, p->method, p->method_len,
			      sizeof(*method));
	struct node *n = method ? &method->root : NULL;

	for (uint32_t i = 0; n && i < p->nsegs; i++) {
		const struct httpseg *s = &p->segs[i];

		if (s->kind == HTTPSEG_REST)
			return &n->rest;
		if (s->kind == HTTPSEG_END)
			return &n->end;
		n = s->kind == HTTPSEG_WILD
			    ? get_wild(m, n)
			    : httptable_get(&m->blocks, &n->literals, s->text,
					    s->len, sizeof(*n));
	}
	return n ? &n->leaf : NULL;
}

static void link_literal(struct literal *l, struct httpmux_route *r)
{
	/* relaxed: the lock orders writers */
	r->same_path = atomic_load_explicit(&l->routes, memory_order_relaxed);
	/* X10 release, pairs with X9: the route is complete. */
	atomic_store_explicit(&l->routes, r, memory_order_release);
}

static int link_route_locked(struct rg_http_mux *m, struct httpmux_route *r)
{
	const struct httppattern *p = r->pattern;
	struct httpmux_host *h = &m->any_host;
	struct httpmux_route *_Atomic *place;
	struct literal *literal = NULL;

	if (p->host_len)
		h = httptable_get(&m->blocks, &m->hosts, p->host, p->host_len,
				  sizeof(*h));
	place = h ? get_place(m, h, p) : NULL;
	if (!place)
		return -ENOMEM;
	if (p->literal) {
		literal = httptable_get(&m->blocks, &h->literals, p->literal,
					p->literal_len, sizeof(*literal));
		if (!literal)
			return -ENOMEM;
	}
	/* relaxed: the lock orders writers */
	r->number =
		atomic_load_explicit(&m->published, memory_order_relaxed) + 1;
	r->next = m->routes;
	m->routes = r;
	if (literal)
		link_literal(literal, r);
	/* X10 release, pairs with X9: the route is complete. */
	atomic_store_explicit(place, r, memory_order_release);
	/* X2 release, pairs with X1: the route is linked. */
	atomic_store_explicit(&m->published, r->number, memory_order_release);
	return 0;
}

static int add_locked(struct rg_http_mux *m, struct httppattern *p,
		      rg_http_handler *fn, void *arg, struct httpmux_error *err)
{
	struct httpmux_route *r;

	for (r = m->routes; r; r = r->next) {
		if (!httppattern_is_conflict(r->pattern, p))
			continue;
		err->reason = "in conflict with another pattern";
		err->other = r->pattern->text;
		return -EEXIST;
	}
	r = httptable_alloc(&m->blocks, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->pattern = p;
	r->fn = fn;
	r->arg = arg;
	return link_route_locked(m, r);
}

int httpmux_add(struct rg_http_mux *m, const char *pattern, rg_http_handler *fn,
		void *arg, struct httpmux_error *err)
{
	struct httpmux_error unused;
	struct httppattern *p;
	int rc;

	if (!err)
		err = &unused;
	*err = (struct httpmux_error){.reason =
					      fn ? "no pattern" : "no handler"};
	if (!fn || !pattern)
		return -EINVAL;
	rc = httppattern_parse(pattern, &p, &err->reason);
	if (!rc) {
		futexlock_lock(&m->lock);
		rc = add_locked(m, p, fn, arg, err);
		futexlock_unlock(&m->lock);
		if (rc)
			rgk_free(p);
	}
	if (rc == -ENOMEM)
		err->reason = "out of memory";
	return rc;
}

void httpmux_destroy(struct rg_http_mux *m)
{
	for (struct httpmux_route *r = m->routes; r; r = r->next)
		rgk_free(r->pattern);
	httptable_free_all(&m->blocks);
	memset(m, 0, sizeof(*m));
}

/* ---- looking up ---- */

struct lookup {
	const struct httpmux_request *req;
	struct httpmux_str path;   /* what is looked up */
	struct httpmux_host *host; /* of the request's host, or NULL */
	uint32_t published;
	bool with_slash; /* as if a slash followed the path */
	bool is_exact;   /* the result took no more than its own segments */
	uint32_t nvalues;
	struct httpmux_str values[HTTPPATTERN_MAX_PARAMS];
	char decoded[HTTPPATTERN_MAX_LITERAL + 1]; /* one segment */
};

static const struct httpmux_route *visible(const struct lookup *l,
					   struct httpmux_route *_Atomic *place)
{
	/* X9 acquire, pairs with X10: the route is complete. */
	const struct httpmux_route *r =
		atomic_load_explicit(place, memory_order_acquire);

	return r && r->number <= l->published ? r : NULL;
}

static struct node *find_literal(struct lookup *l, struct node *n,
				 const char *seg, size_t len)
{
	ssize_t decoded;

	if (!len || !memchr(seg, '%', len))
		return httptable_find(&n->literals, seg, len);
	decoded = httpurl_decode(l->decoded, sizeof(l->decoded), seg, len, 0);
	if (decoded >= 0)
		return httptable_find(&n->literals, l->decoded,
				      (size_t)decoded);
	/* Longer than any literal, or no escape at all. */
	return decoded == -EINVAL ? httptable_find(&n->literals, seg, len)
				  : NULL;
}

static const struct httpmux_route *match_rest(struct lookup *l, struct node *n,
					      const char *p, const char *end)
{
	const struct httpmux_route *r = visible(l, &n->rest);
	const struct httppattern *pattern = r ? r->pattern : NULL;

	if (!r)
		return NULL;
	l->is_exact = p == end;
	if (pattern->segs[pattern->nsegs - 1].len)
		l->values[l->nvalues++] =
			(struct httpmux_str){p, (size_t)(end - p)};
	return r;
}

/* The most specific route below n for the rest of the path, p to its end:
 * empty, or a slash and more. */
static const struct httpmux_route *match(struct lookup *l, struct node *n,
					 const char *p)
{
	const char *end = l->path.p + l->path.len, *seg_end;
	uint32_t nvalues = l->nvalues;
	const struct httpmux_route *r = NULL;
	struct node *next;

	l->is_exact = true;
	if (p == end && !l->with_slash)
		return visible(l, &n->leaf);
	if (end - p <= 1) {
		r = visible(l, &n->end);
		return r ? r : match_rest(l, n, end, end);
	}
	p++;
	seg_end = memchr(p, '/', (size_t)(end - p));
	if (!seg_end)
		seg_end = end;
	next = find_literal(l, n, p, (size_t)(seg_end - p));
	if (next)
		r = match(l, next, seg_end);
	/* X7 acquire, pairs with X8: the node is complete. */
	next = r ? NULL : atomic_load_explicit(&n->wild, memory_order_acquire);
	if (next && nvalues < HTTPPATTERN_MAX_PARAMS) {
		l->values[l->nvalues++] =
			(struct httpmux_str){p, (size_t)(seg_end - p)};
		r = match(l, next, seg_end);
		if (!r)
			l->nvalues = nvalues;
	}
	return r ? r : match_rest(l, n, p, end);
}

static const struct httpmux_route *match_method(struct lookup *l,
						struct httpmux_host *h,
						const char *method, size_t len)
{
	struct method *found = httptable_find(&h->methods, method, len);

	l->nvalues = 0;
	return found ? match(l, &found->root, l->path.p) : NULL;
}

static bool is_head(const struct lookup *l)
{
	return l->req->method.len == 4 && !memcmp(l->req->method.p, "HEAD", 4);
}

/* How well the route's method fits the request's; 0: not at all. */
static int rank_method(const struct lookup *l, const struct httppattern *p)
{
	const struct httpmux_str *method = &l->req->method;

	if (!p->method_len)
		return 1;
	if (p->method_len == method->len &&
	    !memcmp(p->method, method->p, method->len))
		return 3;
	return is_head(l) && !strcmp(p->method, "GET") ? 2 : 0;
}

/* A pattern for this very path: nothing of the same host is more specific. */
static const struct httpmux_route *match_literal(struct lookup *l,
						 struct httpmux_host *h)
{
	struct literal *lit =
		httptable_find(&h->literals, l->path.p, l->path.len);
	const struct httpmux_route *best = NULL, *r;
	int best_rank = 0;

	/* X9 acquire, pairs with X10; the list behind it is const. */
	r = lit ? atomic_load_explicit(&lit->routes, memory_order_acquire)
		: NULL;
	for (; r; r = r->same_path) {
		int rank = rank_method(l, r->pattern);

		if (r->number > l->published || rank <= best_rank)
			continue;
		best = r;
		best_rank = rank;
	}
	return best;
}

static const struct httpmux_route *match_host(struct lookup *l,
					      struct httpmux_host *h)
{
	const struct httpmux_request *req = l->req;
	const struct httpmux_route *r = NULL;

	if (!l->with_slash)
		r = match_literal(l, h);
	if (r) {
		l->is_exact = true;
		l->nvalues = 0;
		return r;
	}
	r = match_method(l, h, req->method.p, req->method.len);
	if (!r && is_head(l))
		r = match_method(l, h, "GET", 3);
	return r ? r : match_method(l, h, "", 0);
}

static const struct httpmux_route *match_any(struct lookup *l,
					     struct rg_http_mux *m)
{
	const struct httpmux_route *r = NULL;

	if (l->host)
		r = match_host(l, l->host);
	return r ? r : match_host(l, &m->any_host);
}

static struct httpmux_host *find_host(struct rg_http_mux *m,
				      struct httpmux_str host)
{
	char lower[256]; /* RFC 1035: a name has at most 255 bytes */
	size_t len;

	/* Relaxed: httptable_find looks at it again. */
	if (rg_likely(!atomic_load_explicit(&m->hosts, memory_order_relaxed)))
		return NULL;
	len = httpurl_strip_port(host.p, host.len);
	if (len > sizeof(lower))
		return NULL;
	for (size_t i = 0; i < len; i++)
		lower[i] = (char)httpchar_lower[(uint8_t)host.p[i]];
	return httptable_find(&m->hosts, lower, len);
}

static void begin(struct lookup *l, struct rg_http_mux *m,
		  const struct httpmux_request *r)
{
	l->req = r;
	l->path = r->path.len ? r->path : (struct httpmux_str){"/", 1};
	l->with_slash = false;
	/* X1 acquire, pairs with X2: all routes up to that number are
	 * linked. */
	l->published =
		atomic_load_explicit(&m->published, memory_order_acquire);
	l->host = find_host(m, r->host);
}

static bool is_connect(const struct httpmux_request *r)
{
	return r->method.len == 7 && !memcmp(r->method.p, "CONNECT", 7);
}

/* The path would be matched exactly if it ended with a slash. */
static bool is_slash_missing(struct lookup *l, struct rg_http_mux *m)
{
	const struct httpmux_route *r;

	if (l->path.p[l->path.len - 1] == '/')
		return false;
	l->with_slash = true;
	r = match_any(l, m);
	l->with_slash = false;
	return r && l->is_exact;
}

/* Some method other than the request's matches. `after`: only methods that sort
 * after it; the smallest of them is returned, NULL if there is none. */
static const char *next_method(struct lookup *l, struct httpmux_host *h,
			       const char *after, const char *best)
{
	struct httptable_key *k;

	for (uint32_t pos = 0; (k = httptable_next(&h->methods, &pos));) {
		const char *name = k->text;

		if (!*name || !match_method(l, h, name, k->len))
			continue;
		if (strcmp(name, after) > 0 &&
		    (!best || strcmp(name, best) < 0))
			best = name;
		if (!strcmp(name, "GET") && strcmp("HEAD", after) > 0 &&
		    (!best || strcmp("HEAD", best) < 0))
			best = "HEAD";
	}
	return best;
}

static const char *next_allowed(struct lookup *l, struct rg_http_mux *m,
				const char *after)
{
	const char *best = NULL;

	if (l->host)
		best = next_method(l, l->host, after, best);
	return next_method(l, &m->any_host, after, best);
}

static int fill_match(const struct lookup *l, const struct httpmux_route *r,
		      struct httpmux_match *out)
{
	const struct httppattern *p = r->pattern;

	out->fn = r->fn;
	out->arg = r->arg;
	out->pattern = p->text;
	for (uint32_t i = 0; p->nparams && i < p->nsegs; i++)
		if (p->segs[i].kind == HTTPSEG_WILD ||
		    (p->segs[i].kind == HTTPSEG_REST && p->segs[i].len))
			out->params[out->nparams++].name = p->segs[i].text;
	for (uint32_t i = 0; i < out->nparams; i++)
		out->params[i].value = l->values[i];
	return 200;
}

int httpmux_find(struct rg_http_mux *m, const struct httpmux_request *r,
		 struct httpmux_match *out)
{
	const struct httpmux_route *route;
	struct lookup l;

	begin(&l, m, r);
	out->nparams = 0;
	out->fn = NULL;
	out->arg = NULL;
	out->pattern = NULL;
	if (!is_connect(r) && !httpurl_is_clean(l.path.p, l.path.len))
		return out->status = 307;
	route = match_any(&l, m);
	if (rg_likely(route && l.is_exact))
		return out->status = fill_match(&l, route, out);
	if (!is_connect(r) && is_slash_missing(&l, m))
		return out->status = 307;
	/* With the slash the same route was found and the same values were
	 * noted: whatever else it could have found would be exact. */
	if (route)
		return out->status = fill_match(&l, route, out);
	return out->status = next_allowed(&l, m, "") ? 405 : 404;
}

ssize_t httpmux_location(struct rg_http_mux *m, const struct httpmux_request *r,
			 char *buf, size_t cap)
{
	const struct httpmux_route *route;
	struct lookup l;
	ssize_t len = httpurl_clean(buf, cap, r->path.p, r->path.len);

	if (len < 0)
		return len;
	begin(&l, m, r);
	l.path = (struct httpmux_str){buf, (size_t)len};
	route = match_any(&l, m);
	if ((route && l.is_exact) || !is_slash_missing(&l, m))
		return len;
	if ((size_t)len + 2 > cap)
		return -ENOSPC;
	buf[len++] = '/';
	buf[len] = '\0';
	return len;
}

ssize_t httpmux_allow(struct rg_http_mux *m, const struct httpmux_request *r,
		      char *buf, size_t cap)
{
	const char *name = "";
	struct lookup l;
	size_t len = 0;

	begin(&l, m, r);
	while ((name = next_allowed(&l, m, name))) {
		size_t n = strlen(name), comma = len ? 2 : 0;

		if (cap - len <= n + comma)
			return -ENOSPC;
		memcpy(buf + len, ", ", comma);
		memcpy(buf + len + comma, name, n);
		len += comma + n;
	}
	if (len >= cap)
		return -ENOSPC;
	buf[len] = '\0';
	return (ssize_t)len;
}
