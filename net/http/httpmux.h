/* SPDX-License-Identifier: MIT */
/*
 * httpmux - the router: from method, host and path to the handler of the most
 * specific pattern, by the rules of Go 1.22's ServeMux.
 *
 * For each host (and for "any host") a table of methods, under each a tree over
 * path segments, and a hash table of the patterns that match one path only:
 * most lookups end there. Nodes are only ever added.
 *   I1  lookups take no lock, allocate nothing and never wait; registering
 *       takes the lock and may go on while others look up.
 *   I2  a lookup sees the patterns that were published when it began and no
 *       other: each has a number, and what has a higher one is skipped.
 *   I3  what was registered stays, with all memory a lookup may stand on, until
 *       httpmux_destroy; nobody may look up then.
 *   I4  a failed registration changes the result of no lookup.
 *   I5  zeroed memory is an empty mux.
 * Hosts in patterns win over none; then the more specific path and method wins.
 * GET patterns match HEAD. Paths are compared by segment after undoing escapes;
 * "%2F" does not separate segments. An empty path ("*", CONNECT's authority) is
 * looked up as "/". Differs from Go: CONNECT is never redirected, hosts are
 * compared without case, "%2F" is no trailing slash.
 *
 * Any goroutine or thread; never parks. A lookup needs about 1 KB of stack and
 * at most one frame a segment (64).
 * Rejected: copying the tree for each
 * registration (quadratic memory, as old versions must live on); a reader lock
 * (a cache line all Ps write).
 * Sources: Go's net/http routing_tree.go and
 * server.go.
 */
#ifndef RG_HTTPMUX_H
#define RG_HTTPMUX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ringgo/http.h>

#include "kernel-iface/base/futexlock.h"
#include "net/http/httppattern.h"
#include "net/http/httptable.h"

struct httpmux_route;

/* All patterns of one host. */
struct httpmux_host {
	struct httptable_key key; /* lower case */
	struct httptable *_Atomic methods;
	struct httptable *_Atomic literals; /* by whole path */
};

struct rg_http_mux {
	/* any thread, atomic: number of routes that lookups see */
	_Atomic uint32_t published;
	struct httptable *_Atomic hosts;
	struct httpmux_host any_host;

	/* under lock */
	struct futexlock lock;
	struct httpmux_route *routes;
	struct httptable_block *blocks; /* all memory but the patterns */
};

/* Why a registration failed; both static or living as long as the mux. */
struct httpmux_error {
	const char *reason;
	const char *other; /* -EEXIST: the pattern in conflict; else NULL */
};

/*
 * httpmux_add - register fn for a pattern, which is copied. err may be NULL.
 * Returns 0; -EINVAL: no valid pattern, or fn is NULL; -EEXIST: as specific as,
 * or overlapping, one that is there; -ENOMEM.
 */
int httpmux_add(struct rg_http_mux *m, const char *pattern, rg_http_handler *fn,
		void *arg, struct httpmux_error *err);

struct httpmux_str {
	const char *p; /* not NULL, not even if len is 0 */
	size_t len;
};

/* A request, as the parser leaves it. host may have a port, path is still
 * escaped and without query. */
struct httpmux_request {
	struct httpmux_str method, host, path;
};

struct httpmux_param {
	const char *name;         /* lives as long as the mux */
	struct httpmux_str value; /* into the request's path, still escaped */
};

struct httpmux_match {
	int status; /* 200, 307, 404 or 405 */
	/* 200 only */
	rg_http_handler *fn;
	void *arg;
	const char *pattern; /* as registered; lives as long as the mux */
	uint32_t nparams;
	struct httpmux_param params[HTTPPATTERN_MAX_PARAMS];
};

/*
 * httpmux_find - fill out; returns out->status.
 * 200: call out->fn(w, r, out->arg).
 * 307: the path is not canonical, or lacks the slash of a subtree; ask
 *   httpmux_location where to and append "?query".
 * 405: other methods match; ask httpmux_allow for the Allow field.
 */
int httpmux_find(struct rg_http_mux *m, const struct httpmux_request *r,
		 struct httpmux_match *out);

/*
 * httpmux_location - after 307: the path to redirect to, into buf with a NUL.
 * cap = path.len + 3 always suffices. Returns its length or -ENOSPC.
 */
ssize_t httpmux_location(struct rg_http_mux *m, const struct httpmux_request *r,
			 char *buf, size_t cap);

/*
 * httpmux_allow - after 405: the methods that match, sorted, separated by ", ".
 * Returns the length without the NUL or -ENOSPC.
 */
ssize_t httpmux_allow(struct rg_http_mux *m, const struct httpmux_request *r,
		      char *buf, size_t cap);

/* httpmux_destroy - free all memory; m is an empty mux again. */
void httpmux_destroy(struct rg_http_mux *m);

#endif
