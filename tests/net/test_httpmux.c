// SPDX-License-Identifier: MIT
/*
 * test_httpmux - the router: precedence, hosts, redirects and 405 by tables,
 * then many random routers against a model that tries all patterns. I1 and I2
 * by readers beside a writer, I4 by letting each allocation fail, I3 by the
 * count of live blocks.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpmux.h"
#include "tests/net/muxmodel.h"

static void handler(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)w;
	(void)r;
	(void)arg;
}

static struct httpmux_request request(const char *method, const char *host,
				      const char *path)
{
	return (struct httpmux_request){{method, strlen(method)},
					{host, strlen(host)},
					{path, strlen(path)}};
}

static void add(struct rg_http_mux *m, const char *pattern)
{
	struct httpmux_error err;

	if (httpmux_add(m, pattern, handler, NULL, &err))
		fail_msg("%s: %s (%s)", pattern, err.reason,
			 err.other ? err.other : "");
	assert_null(err.reason);
	assert_null(err.other);
}

/* ---- looking up ---- */

struct lookup_case {
	const char *method, *host, *path;
	int status;
	/* 200: pattern; 307: location; 405: Allow */
	const char *want;
	const char *params; /* "name=value;" of each */
};

static void check_lookup(struct rg_http_mux *m, const struct lookup_case *c)
{
	struct httpmux_request r = request(c->method, c->host, c->path);
	struct httpmux_match match;
	char text[256] = "";
	int status = httpmux_find(m, &r, &match);

	assert_int_equal(status, match.status);
	if (status != c->status)
		fail_msg("%d (%s), want %d for %s %s %s", status,
			 match.pattern ? match.pattern : "", c->status,
			 c->method, c->host, c->path);
	if (status == 200) {
		assert_string_equal(match.pattern, c->want);
		assert_true(match.fn == handler);
	} else if (status == 307) {
		assert_int_equal(httpmux_location(m, &r, text, sizeof(text)),
				 strlen(c->want));
		assert_string_equal(text, c->want);
	} else if (status == 405) {
		assert_int_equal(httpmux_allow(m, &r, text, sizeof(text)),
				 strlen(c->want));
		assert_string_equal(text, c->want);
	}
	text[0] = '\0';
	for (uint32_t i = 0; i < match.nparams; i++)
		sprintf(text + strlen(text), "%s=%.*s;", match.params[i].name,
			(int)match.params[i].value.len,
			match.params[i].value.p);
	assert_string_equal(text, c->params ? c->params : "");
}

static void check_lookups(const char *const *pats, size_t npats,
			  const struct lookup_case *c, size_t n)
{
	struct rg_http_mux m = {0};

	for (size_t i = 0; i < npats; i++)
		add(&m, pats[i]);
	for (size_t i = 0; i < n; i++)
		check_lookup(&m, &c[i]);
	httpmux_destroy(&m);
	/* the order of registration does not matter */
	for (size_t i = npats; i-- > 0;)
		add(&m, pats[i]);
	for (size_t i = 0; i < n; i++)
		check_lookup(&m, &c[i]);
	httpmux_destroy(&m);
}

static void httpmux_the_most_specific_pattern_wins(void **state)
{
	static const char *const pats[] = {
		"/",
		"/a",
		"/a/b/z",
		"/a/{x}/c",
		"/files/{path...}",
		"/files/{$}",
		"/items/{id}",
		"/items/{id}/parts/{part}",
		"POST /items/{id}",
		"GET /items/{id}",
		"HEAD /items/{id}",
		"/tree/",
		"/%C3%A4/b%20c",
	};
	static const struct lookup_case cases[] = {
		{"GET", "h", "/", 200, "/", NULL},
		{"GET", "h", "/zz", 200, "/", NULL},
		{"GET", "h", "/zz/", 200, "/", NULL},
		{"GET", "h", "", 200, "/", NULL},
		{"GET", "h", "/a", 200, "/a", NULL},
		{"GET", "h", "/a/", 200, "/", NULL},
		{"GET", "h", "/%61", 200, "/a", NULL},
		{"GET", "h", "/a/b/c", 200, "/a/{x}/c", "x=b;"},
		{"GET", "h", "/a/b/z", 200, "/a/b/z", NULL},
		{"GET", "h", "/a/b/y", 200, "/", NULL},
		{"GET", "h", "/a/%62/c", 200, "/a/{x}/c", "x=%62;"},
		{"GET", "h", "/a/b%2Fz", 200, "/", NULL},
		{"GET", "h", "/files/a/b%20c/", 200, "/files/{path...}",
		 "path=a/b%20c/;"},
		{"GET", "h", "/files/", 200, "/files/{$}", NULL},
		{"GET", "h", "/items/7", 200, "GET /items/{id}", "id=7;"},
		{"POST", "h", "/items/7", 200, "POST /items/{id}", "id=7;"},
		{"PUT", "h", "/items/7", 200, "/items/{id}", "id=7;"},
		{"HEAD", "h", "/items/7", 200, "HEAD /items/{id}", "id=7;"},
		{"get", "h", "/items/7", 200, "/items/{id}", "id=7;"},
		{"GET", "h", "/items/7/parts/8", 200,
		 "/items/{id}/parts/{part}", "id=7;part=8;"},
		{"GET", "h", "/items/7/parts/", 200, "/", NULL},
		{"GET", "h", "/items/", 200, "/", NULL},
		{"GET", "h", "/items/%2F", 200, "GET /items/{id}", "id=%2F;"},
		{"GET", "h", "/tree/", 200, "/tree/", NULL},
		{"GET", "h", "/tree/x/y", 200, "/tree/", NULL},
		{"GET", "h", "/tree", 307, "/tree/", NULL},
		{"GET", "h", "/files", 307, "/files/", NULL},
		{"GET", "h", "/%c3%a4/b%20c", 200, "/%C3%A4/b%20c", NULL},
		{"GET", "h", "/%zz", 200, "/", NULL},
		{"CONNECT", "h", "", 200, "/", NULL},
		{"CONNECT", "h", "/tree", 200, "/", NULL},
		{"CONNECT", "h", "/a/../tree/x", 200, "/", NULL},
	};

	(void)state;
	check_lookups(pats, N(pats), cases, N(cases));
}

static void httpmux_a_literal_wins_over_a_wildcard(void **state)
{
	static const char *const pats[] = {"/i/{id}", "/i/new", "/i/{id}/{$}",
					   "/{kind}/{id}/{$}", "/{all...}"};
	static const struct lookup_case cases[] = {
		{"GET", "", "/i/new", 200, "/i/new", NULL},
		{"GET", "", "/i/n%65w", 200, "/i/new", NULL},
		{"GET", "", "/i/neW", 200, "/i/{id}", "id=neW;"},
		{"GET", "", "/i/new/", 200, "/i/{id}/{$}", "id=new;"},
		{"GET", "", "/j/new/", 200, "/{kind}/{id}/{$}",
		 "kind=j;id=new;"},
		{"GET", "", "/j/new", 307, "/j/new/", NULL},
		{"GET", "", "/j/new/x", 200, "/{all...}", "all=j/new/x;"},
		{"GET", "", "/", 200, "/{all...}", "all=;"},
		{"GET", "", "", 200, "/{all...}", "all=;"},
	};

	(void)state;
	check_lookups(pats, N(pats), cases, N(cases));
}

static void httpmux_hosts_win_over_none(void **state)
{
	static const char *const pats[] = {
		"/",
		"/x",
		"example.com/",
		"GET Example.com/y",
		"example.com/x/",
		"[::1]/",
		"other.com/x",
	};
	static const struct lookup_case cases[] = {
		{"GET", "example.com", "/x", 307, "/x/", NULL},
		{"GET", "example.com", "/z", 200, "example.com/", NULL},
		{"GET", "EXAMPLE.com:8080", "/y", 200, "GET Example.com/y",
		 NULL},
		{"POST", "example.com:", "/y", 200, "example.com/", NULL},
		{"GET", "example.org", "/x", 200, "/x", NULL},
		{"GET", "", "/x", 200, "/x", NULL},
		{"GET", "[::1]:80", "/x", 200, "[::1]/", NULL},
		{"GET", "other.com", "/x", 200, "other.com/x", NULL},
		{"GET", "other.com", "/y", 200, "/", NULL},
		{"GET", "www.example.com", "/", 200, "/", NULL},
	};
	struct lookup_case long_host = {"GET", NULL, "/x", 200, "/x", NULL};
	struct rg_http_mux m = {0};
	char host[400];

	(void)state;
	check_lookups(pats, N(pats), cases, N(cases));
	memset(host, 'h', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	long_host.host = host;
	add(&m, "/x");
	add(&m, "h/x");
	check_lookup(&m, &long_host);
	httpmux_destroy(&m);
}

static void httpmux_other_methods_are_405_with_allow(void **state)
{
	static const char *const pats[] = {
		"GET /a",     "POST /a",           "PUT /{x}",
		"DELETE h/a", "POST /b/{rest...}", "h/only",
		"OPTIONS /c", "HEAD /d",           "POST /e/",
	};
	static const struct lookup_case cases[] = {
		{"GET", "", "/a", 200, "GET /a", NULL},
		{"HEAD", "", "/a", 200, "GET /a", NULL},
		{"PUT", "", "/a", 200, "PUT /{x}", "x=a;"},
		{"PATCH", "", "/a", 405, "GET, HEAD, POST, PUT", NULL},
		{"PATCH", "h", "/a", 405, "DELETE, GET, HEAD, POST, PUT", NULL},
		{"GET", "", "/b/x", 405, "POST", NULL},
		{"GET", "", "/c", 405, "OPTIONS, PUT", NULL},
		{"GET", "", "/d", 405, "HEAD, PUT", NULL},
		{"GET", "", "/e/f", 405, "POST", NULL},
		{"POST", "", "/e", 307, "/e/", NULL},
		{"GET", "", "/e", 405, "PUT", NULL},
		{"GET", "", "/x/y", 404, NULL, NULL},
		{"GET", "", "/", 404, NULL, NULL},
		{"GET", "", "", 404, NULL, NULL},
		{"GET", "h", "/only", 200, "h/only", NULL},
		{"GET", "", "/only", 405, "PUT", NULL},
	};

	(void)state;
	check_lookups(pats, N(pats), cases, N(cases));
}

static void httpmux_unclean_paths_are_redirected(void **state)
{
	static const char *const pats[] = {"/a/", "/b", "/x/{z}/{$}",
					   "CONNECT //d", "CONNECT /../e"};
	static const struct lookup_case cases[] = {
		{"GET", "", "//b", 307, "/b", NULL},
		{"GET", "", "/./b", 307, "/b", NULL},
		{"GET", "", "/x/../b", 307, "/b", NULL},
		{"GET", "", "/../../b", 307, "/b", NULL},
		{"GET", "", "//a", 307, "/a/", NULL},
		{"GET", "", "/a//b", 307, "/a/b", NULL},
		{"GET", "", "/a/..", 307, "/", NULL},
		{"GET", "", "/a/.", 307, "/a/", NULL},
		{"GET", "", "/nothing/.", 307, "/nothing", NULL},
		{"GET", "", "/x//c", 307, "/x/c/", NULL},
		{"GET", "", "/x/c", 307, "/x/c/", NULL},
		{"GET", "", "/x/c/", 200, "/x/{z}/{$}", "z=c;"},
		{"GET", "", "//evil.example/..", 307, "/", NULL},
		{"CONNECT", "", "//d", 200, "CONNECT //d", NULL},
		{"CONNECT", "", "/../e", 200, "CONNECT /../e", NULL},
		{"CONNECT", "", "//x", 404, NULL, NULL},
	};

	(void)state;
	check_lookups(pats, N(pats), cases, N(cases));
}

static void httpmux_small_buffers_are_enospc(void **state)
{
	struct rg_http_mux m = {0};
	struct httpmux_request r = request("GET", "", "/a/../tree");
	char buf[32];

	(void)state;
	add(&m, "/tree/");
	add(&m, "PUT /x");
	add(&m, "GETS /x");
	for (size_t cap = 0; cap < sizeof(buf); cap++)
		assert_int_equal(httpmux_location(&m, &r, buf, cap),
				 cap < sizeof("/tree/") ? -ENOSPC : 6);
	r = request("GET", "", "/x");
	for (size_t cap = 0; cap < sizeof(buf); cap++)
		assert_int_equal(httpmux_allow(&m, &r, buf, cap),
				 cap < sizeof("GETS, PUT") ? -ENOSPC : 9);
	httpmux_destroy(&m);
}

/* ---- against a model of the whole router ---- */

static uint64_t seed = 1;

static size_t pick(size_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1;
	return (size_t)(seed >> 33) % n;
}

/* The most specific of the registered patterns, by trying all; -1: none. */
static int model_find(const int *routes, int n, const char *method,
		      const char *path)
{
	int best = -1;

	for (int i = 0; i < n; i++) {
		if (!model_match(patterns[routes[i]], method, path))
			continue;
		if (best < 0 ||
		    model_compare(patterns[routes[i]], patterns[best]) ==
			    HTTPREL_SPECIFIC)
			best = routes[i];
	}
	return best;
}

static size_t count_slashes(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '/';
	return n;
}

/* The pattern takes no more than one segment for each of its own. */
static bool model_is_exact(int pattern, const char *path)
{
	const char *p;
	bool is_rest;

	if (pattern < 0)
		return false;
	p = strchr(patterns[pattern], '/');
	is_rest = p[strlen(p) - 1] == '/' || strstr(p, "...}");
	return !is_rest || (path[strlen(path) - 1] == '/' &&
			    count_slashes(p) == count_slashes(path));
}

static int model_status(const int *routes, int n, const char *method,
			const char *path, int *found)
{
	char slash[sizeof(paths[0]) + 1];

	*found = model_find(routes, n, method, path);
	strcat(strcpy(slash, path), "/");
	if (!model_is_exact(*found, path) && path[strlen(path) - 1] != '/' &&
	    model_is_exact(model_find(routes, n, method, slash), slash))
		return 307;
	if (*found >= 0)
		return 200;
	for (size_t i = 0; i < N(methods); i++)
		if (model_find(routes, n, methods[i], path) >= 0)
			return 405;
	return 404;
}

static void httpmux_random_routers_find_what_the_model_finds(void **state)
{
	(void)state;
	make_patterns();
	make_paths();
	for (int round = 0; round < 60; round++) {
		struct rg_http_mux m = {0};
		int routes[24], n = 0;

		for (int i = 0; i < 24; i++) {
			int p = (int)pick(npatterns);

			if (!httpmux_add(&m, patterns[p], handler, NULL, NULL))
				routes[n++] = p;
		}
		for (int i = 0; i < 200; i++) {
			const char *path = paths[pick(npaths)];
			const char *method = methods[pick(N(methods))];
			struct httpmux_request r = request(method, "", path);
			struct httpmux_match match;
			int found, want = model_status(routes, n, method, path,
						       &found);

			if (httpmux_find(&m, &r, &match) != want ||
			    (want == 200 &&
			     strcmp(match.pattern, patterns[found]) != 0))
				fail_msg("%d %s, want %d %s for %s %s",
					 match.status,
					 match.pattern ? match.pattern : "",
					 want,
					 want == 200 ? patterns[found] : "",
					 method, path);
		}
		httpmux_destroy(&m);
	}
}

/* ---- memory and threads ---- */

static void httpmux_failed_allocations_change_nothing(void **state)
{
	static const char *const pats[] = {
		"/",          "/a", "GET h/{x}/b/{y...}",
		"/a/b/c/{$}", "/b", "/c",
		"/d",         "/e", "/f",
		"h/{x}/b",
	};
	int64_t live = alloc_live();

	(void)state;
	for (int64_t n = 0;; n++) {
		struct rg_http_mux m = {0};
		struct httpmux_error err;
		int nfailed = 0;

		alloc_fail_after(n);
		for (size_t i = 0; i < N(pats); i++) {
			int rc = httpmux_add(&m, pats[i], handler, NULL, &err);

			if (!rc)
				continue;
			assert_int_equal(rc, -ENOMEM);
			assert_string_equal(err.reason, "out of memory");
			nfailed++;
			/* Only now there is memory again. */
			assert_int_equal(
				httpmux_add(&m, pats[i], handler, NULL, NULL),
				0);
		}
		alloc_fail_after(-1);
		check_lookup(&m, &(struct lookup_case){"GET", "", "/x", 200,
						       "/", NULL});
		check_lookup(&m, &(struct lookup_case){
					 "GET", "h", "/1/b/2/3", 200,
					 "GET h/{x}/b/{y...}", "x=1;y=2/3;"});
		httpmux_destroy(&m);
		assert_int_equal(alloc_live(), live);
		if (!nfailed)
			break;
		assert_true(n < 1000);
	}
}

/* What a lookup found before a registration that fails, it finds after it. */
static void httpmux_refused_patterns_leave_no_trace(void **state)
{
	struct rg_http_mux m = {0};
	int64_t live = alloc_live();

	(void)state;
	add(&m, "/a/{x}");
	assert_int_equal(httpmux_add(&m, "/{y}/b", handler, NULL, NULL),
			 -EEXIST);
	alloc_fail_after(1);
	assert_int_equal(httpmux_add(&m, "/q/r", handler, NULL, NULL), -ENOMEM);
	alloc_fail_after(-1);
	check_lookup(&m,
		     &(struct lookup_case){"GET", "", "/q/r", 404, NULL, NULL});
	check_lookup(&m,
		     &(struct lookup_case){"GET", "", "/c/b", 404, NULL, NULL});
	check_lookup(&m, &(struct lookup_case){"GET", "", "/a/b", 200, "/a/{x}",
					       "x=b;"});
	httpmux_destroy(&m);
	assert_int_equal(alloc_live(), live);
}

#define NROUTES 600

struct race {
	struct rg_http_mux mux;
	_Atomic int done;
};

static void route_text(char *s, int i)
{
	/* wide tables, deep paths, hosts, wildcards */
	static const char *const forms[] = {
		"/r%d", "/deep/a/b/%d/{x}", "h%d/x", "/w/{x}/%d", "M%d /m",
	};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	sprintf(s, forms[i % 5], i);
#pragma GCC diagnostic pop
}

static bool is_found(struct rg_http_mux *m, int i)
{
	char pattern[40], path[40], host[16] = "h", method[16] = "GET";
	struct httpmux_request r;
	struct httpmux_match match;

	route_text(pattern, i);
	switch (i % 5) {
	case 0:
		sprintf(path, "/r%d", i);
		break;
	case 1:
		sprintf(path, "/deep/a/b/%d/v", i);
		break;
	case 2:
		sprintf(host, "h%d", i);
		strcpy(path, "/x");
		break;
	case 3:
		sprintf(path, "/w/v/%d", i);
		break;
	default:
		sprintf(method, "M%d", i);
		strcpy(path, "/m");
		break;
	}
	r = request(method, host, path);
	return httpmux_find(m, &r, &match) == 200 &&
	       !strcmp(match.pattern, pattern);
}

static void *write_routes(void *arg)
{
	struct race *race = arg;

	for (int i = 0; i < NROUTES; i++) {
		char s[40];

		route_text(s, i);
		if (httpmux_add(&race->mux, s, handler, NULL, NULL))
			abort();
		atomic_store_explicit(&race->done, i + 1, memory_order_release);
	}
	return NULL;
}

/* If a route is there, so is each that was registered before it. */
static void *read_routes(void *arg)
{
	struct race *race = arg;
	uintptr_t nfaults = 0;
	uint64_t x = (uintptr_t)&nfaults;
	int done;

	do {
		done = atomic_load_explicit(&race->done, memory_order_acquire);
		x = x * UINT64_C(6364136223846793005) + 1;
		if (done && !is_found(&race->mux, (int)(x >> 33) % done))
			nfaults++;
		if (done < NROUTES && is_found(&race->mux, done) && done &&
		    !is_found(&race->mux, done - 1))
			nfaults++;
	} while (done < NROUTES);
	for (int i = 0; i < NROUTES; i++)
		nfaults += !is_found(&race->mux, i);
	return (void *)nfaults;
}

static void httpmux_readers_beside_a_writer_see_whole_routes(void **state)
{
	int64_t live = alloc_live();

	(void)state;
	for (int round = 0; round < 5; round++) {
		struct race race = {.done = 0};
		pthread_t writer, readers[2];
		void *nfaults;

		assert_int_equal(
			pthread_create(&readers[0], NULL, read_routes, &race),
			0);
		assert_int_equal(
			pthread_create(&readers[1], NULL, read_routes, &race),
			0);
		assert_int_equal(
			pthread_create(&writer, NULL, write_routes, &race), 0);
		assert_int_equal(pthread_join(writer, NULL), 0);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(pthread_join(readers[i], &nfaults), 0);
			assert_null(nfaults);
		}
		httpmux_destroy(&race.mux);
	}
	assert_int_equal(alloc_live(), live);
}

/* A lookup that began when k routes were published, seen from the inside: the
 * others are linked already, yet it finds none of them. */
static void httpmux_lookups_skip_what_is_not_published(void **state)
{
	static const char *const pats[] = {"/t/",     "/a",     "/u/{x}",
					   "GET h/c", "/d/{$}", "PUT /e"};
	static const struct lookup_case before[] = {
		{"GET", "", "/t/x", 404, NULL, NULL},
		{"GET", "", "/a", 404, NULL, NULL},
		{"GET", "", "/u/y", 404, NULL, NULL},
		{"GET", "h", "/c", 404, NULL, NULL},
		{"GET", "", "/d", 404, NULL, NULL},
		{"GET", "", "/e", 404, NULL, NULL},
	};
	static const struct lookup_case after[] = {
		{"GET", "", "/t/x", 200, "/t/", NULL},
		{"GET", "", "/a", 200, "/a", NULL},
		{"GET", "", "/u/y", 200, "/u/{x}", "x=y;"},
		{"GET", "h", "/c", 200, "GET h/c", NULL},
		{"GET", "", "/d", 307, "/d/", NULL},
		{"GET", "", "/e", 405, "PUT", NULL},
	};
	struct rg_http_mux m = {0};

	(void)state;
	for (size_t i = 0; i < N(pats); i++)
		add(&m, pats[i]);
	for (uint32_t k = 0; k <= N(pats); k++) {
		atomic_store_explicit(&m.published, k, memory_order_relaxed);
		for (size_t i = 0; i < N(pats); i++)
			check_lookup(&m, i < k ? &after[i] : &before[i]);
	}
	httpmux_destroy(&m);
}

/* Of each pair the more specific one is registered first: nobody may ever be
 * sent to the other one, also not in the middle of both registrations. */
static void *write_pairs(void *arg)
{
	struct race *race = arg;

	for (int i = 0; i < NROUTES; i++) {
		char s[40];

		sprintf(s, "/p%d/x", i);
		add(&race->mux, s);
		sprintf(s, "/p%d/{v}", i);
		add(&race->mux, s);
		atomic_store_explicit(&race->done, i + 1, memory_order_release);
	}
	return NULL;
}

static void *read_pairs(void *arg)
{
	struct race *race = arg;
	uintptr_t nfaults = 0;
	int done;

	do {
		struct httpmux_request r;
		struct httpmux_match match;
		char path[40];

		done = atomic_load_explicit(&race->done, memory_order_acquire);
		sprintf(path, "/p%d/%%78", done); /* not in the literals */
		r = request("GET", "", path);
		if (httpmux_find(&race->mux, &r, &match) == 200 &&
		    match.nparams)
			nfaults++;
	} while (done < NROUTES);
	return (void *)nfaults;
}

static void httpmux_lookups_see_routes_in_their_order(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		struct race race = {.done = 0};
		pthread_t reader;
		void *nfaults;

		assert_int_equal(
			pthread_create(&reader, NULL, read_pairs, &race), 0);
		write_pairs(&race);
		assert_int_equal(pthread_join(reader, &nfaults), 0);
		assert_null(nfaults);
		httpmux_destroy(&race.mux);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httpmux_the_most_specific_pattern_wins),
		cmocka_unit_test(httpmux_a_literal_wins_over_a_wildcard),
		cmocka_unit_test(httpmux_hosts_win_over_none),
		cmocka_unit_test(httpmux_other_methods_are_405_with_allow),
		cmocka_unit_test(httpmux_unclean_paths_are_redirected),
		cmocka_unit_test(httpmux_small_buffers_are_enospc),
		cmocka_unit_test(
			httpmux_random_routers_find_what_the_model_finds),
		cmocka_unit_test(httpmux_failed_allocations_change_nothing),
		cmocka_unit_test(httpmux_refused_patterns_leave_no_trace),
		cmocka_unit_test(
			httpmux_readers_beside_a_writer_see_whole_routes),
		cmocka_unit_test(httpmux_lookups_skip_what_is_not_published),
		cmocka_unit_test(httpmux_lookups_see_routes_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
