// SPDX-License-Identifier: MIT
/*
 * httppattern - see httppattern.h.
 *
 * A pattern is parsed in a copy of its text, which is cut up in place: literals
 * are decoded (they only shrink), the separator after each piece becomes its
 * NUL.
 */
#include "net/http/httppattern.h"

#include <errno.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpchar.h"
#include "net/http/httpurl.h"

static bool is_token(const char *s, size_t n)
{
	return n && httpchar_all(s, n, HTTPCHAR_TOKEN);
}

/* An identifier; every byte of a non-ASCII character counts as a letter. */
static bool is_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		if (!httpchar_is(c, HTTPCHAR_ALPHA) && c != '_' && c < 0x80 &&
		    (!i || !httpchar_is(c, HTTPCHAR_DIGIT)))
			return false;
	}
	return n > 0;
}

/* "METHOD " at the start of copy; returns what follows it. */
static char *parse_method(struct httppattern *p, char *copy, const char **why)
{
	size_t len = strcspn(copy, " \t");

	p->method = "";
	if (!copy[len])
		return copy;
	if (!is_token(copy, len))
		*why = "invalid method";
	p->method = copy;
	p->method_len = (uint32_t)len;
	copy[len++] = '\0';
	return copy + len + strspn(copy + len, " \t");
}

/* The host before the first '/', which is kept; returns the path. */
static char *parse_host(struct httppattern *p, char *s, char *store,
			const char **why)
{
	char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : 0;

	if (!slash) {
		*why = "no '/' in the pattern";
		return s;
	}
	if (memchr(s, '{', len))
		*why = "wildcard in the host (is the first '/' missing?)";
	else if (!httpchar_all(s, len, HTTPCHAR_HOST))
		*why = "invalid byte in the host";
	else if (httpurl_strip_port(s, len) != len)
		*why = "a host with a port never matches";
	for (size_t i = 0; i < len; i++)
		store[i] = (char)httpchar_lower[(uint8_t)s[i]];
	store[len] = '\0';
	p->host = store;
	p->host_len = (uint32_t)len;
	return slash;
}

static bool has_name(const struct httppattern *p, const struct httpseg *seg)
{
	for (uint32_t i = 0; i < p->nsegs; i++)
		if (p->segs[i].kind != HTTPSEG_LITERAL &&
		    p->segs[i].len == seg->len &&
		    !memcmp(p->segs[i].text, seg->text, seg->len))
			return true;
	return false;
}

/* "{...}" in s[0..len); is_last: nothing follows it, not even a slash. */
static const char *parse_wildcard(struct httppattern *p, char *s, size_t len,
				  bool is_last)
{
	struct httpseg *seg = &p->segs[p->nsegs];

	if (s[0] != '{' || s[len - 1] != '}')
		return "a wildcard is a whole segment, {name}";
	s[len - 1] = '\0';
	seg->kind = HTTPSEG_WILD;
	seg->text = s + 1;
	seg->len = (uint32_t)(len - 2);
	if (!strcmp(seg->text, "$")) {
		*seg = (struct httpseg){.kind = HTTPSEG_END, .text = ""};
		p->nsegs++;
		return is_last ? NULL : "{$} is not at the end";
	}
	if (seg->len >= 3 && !strcmp(seg->text + seg->len - 3, "...")) {
		seg->kind = HTTPSEG_REST;
		seg->len -= 3;
		s[1 + seg->len] = '\0';
		if (!is_last)
			return "{name...} is not at the end";
	}
	if (!seg->len)
		return "a wildcard without a name";
	if (!is_name(seg->text, seg->len))
		return "a wildcard's name is no identifier";
	if (has_name(p, seg))
		return "two wildcards of the same name";
	if (p->nparams++ == HTTPPATTERN_MAX_PARAMS)
		return "too many wildcards";
	p->nsegs++;
	return NULL;
}

static const char *parse_literal(struct httppattern *p, char *s, size_t len)
{
	struct httpseg *seg = &p->segs[p->nsegs++];
	ssize_t decoded = (ssize_t)len;

	/* What is no escape stands for itself, as in Go. */
	if (httpurl_has_good_escapes(s, len))
		decoded = httpurl_decode(s, len + 1, s, len, 0);
	seg->len = (uint32_t)decoded;
	seg->kind = HTTPSEG_LITERAL;
	seg->text = s;
	return len <= HTTPPATTERN_MAX_LITERAL ? NULL : "a segment is too long";
}

static const char *parse_path(struct httppattern *p, char *s)
{
	const char *why = NULL;

	/* *s is the slash before a segment. */
	for (bool is_last = false; !is_last && !why;) {
		size_t len = strcspn(++s, "/");

		is_last = !s[len];
		if (p->nsegs == HTTPPATTERN_MAX_SEGMENTS)
			return "too many segments";
		s[len] = '\0';
		if (is_last && !len)
			p->segs[p->nsegs++] = (struct httpseg){
				.kind = HTTPSEG_REST, .text = ""};
		else if (memchr(s, '{', len))
			why = parse_wildcard(p, s, len, is_last);
		else
			why = parse_literal(p, s, len);
		s += len;
	}
	return why;
}

/* The path that alone matches, if there is one such and it can be compared
 * as it was sent. */
static void find_literal(struct httppattern *p)
{
	size_t len = strlen(p->path);
	enum httpseg_kind last = p->segs[p->nsegs - 1].kind;

	if (last == HTTPSEG_END)
		len -= 3;
	if (last == HTTPSEG_REST || p->nparams || memchr(p->path, '%', len) ||
	    !httpurl_is_clean(p->path, len))
		return;
	p->literal = p->path;
	p->literal_len = (uint32_t)len;
}

static const char *parse(struct httppattern *p, char *copy, char *host)
{
	const char *why = NULL;
	char *path;

	path = parse_method(p, copy, &why);
	if (!why)
		path = parse_host(p, path, host, &why);
	if (why)
		return why;
	p->path = p->text + (path - copy);
	if (p->method_len && strcmp(p->method, "CONNECT") != 0 &&
	    !httpurl_is_clean(path, strlen(path)))
		return "an unclean path never matches";
	why = parse_path(p, path);
	if (!why)
		find_literal(p);
	return why;
}

int httppattern_parse(const char *text, struct httppattern **out,
		      const char **reason)
{
	size_t len = strnlen(text, HTTPPATTERN_MAX_LEN + 1);
	size_t nsegs = 0;
	struct httppattern *p;
	char *store;

	if (len > HTTPPATTERN_MAX_LEN) {
		*reason = "the pattern is too long";
		return -EINVAL;
	}
	for (size_t i = 0; i < len; i++)
		nsegs += text[i] == '/';
	/* The text, the copy that is cut up, the host. */
	p = rgk_zalloc(sizeof(*p) + nsegs * sizeof(p->segs[0]) + 3 * (len + 1));
	if (!p)
		return -ENOMEM;
	store = (char *)&p->segs[nsegs];
	p->text = memcpy(store, text, len);
	memcpy(store + len + 1, text, len);
	*reason = parse(p, store + len + 1, store + 2 * (len + 1));
	if (*reason) {
		rgk_free(p);
		return -EINVAL;
	}
	*out = p;
	return 0;
}

/* ---- comparing ---- */

static enum httprelation inverse(enum httprelation r)
{
	return r == HTTPREL_GENERAL    ? HTTPREL_SPECIFIC
	       : r == HTTPREL_SPECIFIC ? HTTPREL_GENERAL
				       : r;
}

/* The relation of wholes from those of two independent parts. */
static enum httprelation combine(enum httprelation a, enum httprelation b)
{
	if (a == HTTPREL_DISJOINT || b == HTTPREL_DISJOINT)
		return HTTPREL_DISJOINT;
	if (a == HTTPREL_EQUAL)
		return b;
	if (b == HTTPREL_EQUAL || a == b)
		return a;
	return HTTPREL_OVERLAP;
}

static enum httprelation compare_methods(const struct httppattern *a,
					 const struct httppattern *b)
{
	if (!strcmp(a->method, b->method))
		return HTTPREL_EQUAL;
	if (!a->method_len)
		return HTTPREL_GENERAL;
	if (!b->method_len)
		return HTTPREL_SPECIFIC;
	if (!strcmp(a->method, "GET") && !strcmp(b->method, "HEAD"))
		return HTTPREL_GENERAL;
	if (!strcmp(a->method, "HEAD") && !strcmp(b->method, "GET"))
		return HTTPREL_SPECIFIC;
	return HTTPREL_DISJOINT;
}

static enum httprelation compare_segs(const struct httpseg *a,
				      const struct httpseg *b)
{
	if (a->kind == b->kind)
		return a->kind != HTTPSEG_LITERAL ||
				       (a->len == b->len &&
					!memcmp(a->text, b->text, a->len))
			       ? HTTPREL_EQUAL
			       : HTTPREL_DISJOINT;
	if (a->kind == HTTPSEG_REST)
		return HTTPREL_GENERAL;
	if (a->kind == HTTPSEG_WILD && b->kind == HTTPSEG_LITERAL)
		return HTTPREL_GENERAL;
	if (b->kind == HTTPSEG_REST ||
	    (b->kind == HTTPSEG_WILD && a->kind == HTTPSEG_LITERAL))
		return inverse(compare_segs(b, a));
	return HTTPREL_DISJOINT; /* {$} and something that is not nothing */
}

static enum httprelation compare_paths(const struct httppattern *a,
				       const struct httppattern *b)
{
	uint32_t n = a->nsegs < b->nsegs ? a->nsegs : b->nsegs;
	enum httprelation rel = HTTPREL_EQUAL;

	for (uint32_t i = 0; i < n && rel != HTTPREL_DISJOINT; i++)
		rel = combine(rel, compare_segs(&a->segs[i], &b->segs[i]));
	if (a->nsegs == b->nsegs || rel == HTTPREL_DISJOINT)
		return rel;
	/* The shorter one reaches into the longer one's segments only by its
	 * {name...}, which made it the more general there. */
	if ((a->nsegs < b->nsegs ? a : b)->segs[n - 1].kind != HTTPSEG_REST)
		return HTTPREL_DISJOINT;
	return rel;
}

enum httprelation httppattern_compare(const struct httppattern *a,
				      const struct httppattern *b)
{
	return combine(compare_methods(a, b), compare_paths(a, b));
}

bool httppattern_is_conflict(const struct httppattern *a,
			     const struct httppattern *b)
{
	enum httprelation rel;

	if (strcmp(a->host, b->host) != 0)
		return false;
	rel = httppattern_compare(a, b);
	return rel == HTTPREL_EQUAL || rel == HTTPREL_OVERLAP;
}
