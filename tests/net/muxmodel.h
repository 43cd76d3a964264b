/* SPDX-License-Identifier: MIT */
/*
 * muxmodel - what patterns mean, by slow and plain code: the model that the
 * tests of httppattern and httpmux compare with. Patterns here are of the small
 * alphabet that make_patterns uses: no host, no escapes.
 */
#ifndef TESTS_NET_MUXMODEL_H
#define TESTS_NET_MUXMODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/http/httppattern.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* The model: does a pattern match a clean path and method? Recursive, slow. */
static inline bool model_path(const char *pat, const char *path)
{
	size_t plen, len;

	if (!*pat)
		return !*path;
	if (*path != '/')
		return false;
	plen = strcspn(++pat, "/");
	len = strcspn(++path, "/");
	if (!plen || strstr(pat, "...}") == pat + plen - 4)
		return true;
	if (!strcmp(pat, "{$}"))
		return !*path;
	if (!len)
		return false;
	if (*pat != '{' && (plen != len || memcmp(pat, path, len) != 0))
		return false;
	return model_path(pat + plen, path + len);
}

static inline bool model_method(const char *pattern, const char *method)
{
	size_t len = strcspn(pattern, " ");

	if (!pattern[len])
		return true;
	return (strlen(method) == len && !memcmp(pattern, method, len)) ||
	       (!strcmp(method, "HEAD") && !memcmp(pattern, "GET ", 4));
}

static inline bool model_match(const char *pattern, const char *method,
			       const char *path)
{
	return model_method(pattern, method) &&
	       model_path(strchr(pattern, '/'), path);
}

#define MAX_PATTERNS 1024
#define MAX_PATHS    256
static char patterns[MAX_PATTERNS][40];
static char paths[MAX_PATHS][16];
static size_t npatterns, npaths;
static const char *const methods[] = {"GET", "HEAD", "POST", "PUT"};

/* All patterns of up to three segments, without host. */
static inline void make_patterns(void)
{
	static const char *const starts[] = {"", "GET ", "HEAD ", "POST "};
	static const char *const segs[] = {"a", "b", "{%c}"};
	static const char *const ends[] = {"", "/", "/{$}", "/{r...}"};

	npatterns = 0;
	for (int code = 0; code < 4 * 4 * 4 * 4; code++) {
		char path[32] = "";
		int c = code / 4, depth = 0;
		bool is_gap = false;

		for (int i = 0; i < 3; i++, c /= 4) {
			const char *seg = c % 4 ? segs[c % 4 - 1] : NULL;

			is_gap = is_gap || (seg && depth < i);
			if (seg && seg[0] == '{')
				sprintf(path + strlen(path), "/{%c}", 'x' + i);
			else if (seg)
				sprintf(path + strlen(path), "/%s", seg);
			depth += seg != NULL;
		}
		strcat(path, ends[code % 4]);
		if (is_gap || !*path)
			continue;
		for (size_t i = 0; i < N(starts); i++)
			sprintf(patterns[npatterns++], "%s%s", starts[i], path);
		if (npatterns + 4 >= MAX_PATTERNS)
			abort();
	}
}

/* All paths of up to four segments of a, b, c, with and without slash. */
static inline void make_paths(void)
{
	npaths = 0;
	strcpy(paths[npaths++], "/");
	for (int code = 0; code < 256; code++) {
		char path[16] = "";
		int c = code;

		for (; c % 4; c /= 4)
			sprintf(path + strlen(path), "/%c", 'a' + c % 4 - 1);
		if (!*path || c)
			continue;
		strcpy(paths[npaths++], path);
		if (npaths + 1 >= MAX_PATHS)
			abort();
		strcat(path, "/");
		strcpy(paths[npaths++], path);
	}
}

static inline enum httprelation model_compare(const char *a, const char *b)
{
	bool both = false, only_a = false, only_b = false;

	for (size_t i = 0; i < npaths; i++) {
		for (size_t m = 0; m < N(methods); m++) {
			bool x = model_match(a, methods[m], paths[i]);
			bool y = model_match(b, methods[m], paths[i]);

			both |= x && y;
			only_a |= x && !y;
			only_b |= y && !x;
		}
	}
	if (!both)
		return HTTPREL_DISJOINT;
	if (only_a && only_b)
		return HTTPREL_OVERLAP;
	return only_a   ? HTTPREL_GENERAL
	       : only_b ? HTTPREL_SPECIFIC
			: HTTPREL_EQUAL;
}

#endif
