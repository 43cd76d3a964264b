// SPDX-License-Identifier: MIT
/*
 * httpurl - see httpurl.h.
 */
#include "net/http/httpurl.h"

#include <errno.h>
#include <string.h>

#include "net/http/httpchar.h"

static const uint8_t *bytes(const char *s)
{
	return (const uint8_t *)s;
}

/* ---- authority ---- */

/* "%25" and at least one unreserved byte (RFC 6874). */
static bool is_zone(const uint8_t *s, size_t n)
{
	return n > 3 && !memcmp(s, "%25", 3) &&
	       httpchar_all(s + 3, n - 3, HTTPCHAR_REGNAME);
}

static bool is_bracketed_v6(const uint8_t *s, size_t n)
{
	size_t i = 0;

	while (i < n &&
	       (httpchar_hex[s[i]] != 0xff || s[i] == ':' || s[i] == '.'))
		i++;
	return i >= 2 && (i == n || is_zone(s + i, n - i));
}

/* The digits after a colon; -1 if there are none, -EINVAL is below that. */
static int parse_port(const uint8_t *s, size_t n)
{
	int port = 0;

	if (!n)
		return -1;
	if (n > 5 || !httpchar_all(s, n, HTTPCHAR_DIGIT))
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		port = port * 10 + (s[i] - '0');
	return port <= 65535 ? port : -EINVAL;
}

int httpurl_hostport(const char *s, size_t n, struct httpurl_hostport *out)
{
	bool is_v6 = n && s[0] == '[';
	const char *end = memchr(s, is_v6 ? ']' : ':', n);
	size_t skip = is_v6 ? 1 : 0;
	size_t host_len, used;
	int port = -1;

	if (!n || (is_v6 && !end))
		return -EINVAL;
	host_len = (end ? (size_t)(end - s) : n) - skip;
	used = host_len + 2 * skip;
	if (is_v6 ? !is_bracketed_v6(bytes(s) + 1, host_len)
		  : !host_len ||
			    !httpchar_all(bytes(s), host_len, HTTPCHAR_REGNAME))
		return -EINVAL;
	if (used < n) {
		if (s[used] != ':')
			return -EINVAL;
		port = parse_port(bytes(s) + used + 1, n - used - 1);
		if (port < -1)
			return -EINVAL;
	}
	out->host = s + skip;
	out->host_len = host_len;
	out->port = port;
	out->is_v6 = is_v6;
	return 0;
}

size_t httpurl_strip_port(const char *host, size_t n)
{
	const char *colon = n ? memrchr(host, ':', n) : NULL;
	size_t len = colon ? (size_t)(colon - host) : n;

	if (!colon || memchr(host, ':', len) == NULL)
		return len;
	return host[0] == '[' && host[len - 1] == ']' ? len : n;
}

/* ---- escapes ---- */

/*
 * The decoded byte at *p, which moves on; *p < end. 0 for a bad escape, for %00
 * and for a NUL byte: none of them may become part of a C string.
 */
static uint8_t next_byte(const uint8_t **p, const uint8_t *end, unsigned flags)
{
	const uint8_t *s = *p;
	uint8_t high, low;

	if (*s != '%') {
		*p = s + 1;
		return *s == '+' && (flags & HTTPURL_PLUS) ? ' ' : *s;
	}
	if (end - s < 3)
		return 0;
	high = httpchar_hex[s[1]];
	low = httpchar_hex[s[2]];
	*p = s + 3;
	/* 0xff is no digit and has bits that no digit has. */
	return (high | low) > 15 ? 0 : (uint8_t)(high * 16 + low);
}

bool httpurl_has_good_escapes(const char *s, size_t n)
{
	const uint8_t *p = bytes(s), *end = p + n;

	for (;;) {
		p = httpchar_find2(p, end, '%', '%');
		if (p == end)
			return true;
		if (!next_byte(&p, end, 0))
			return false;
	}
}

ssize_t httpurl_decode(char *out, size_t cap, const char *s, size_t n,
		       unsigned flags)
{
	const uint8_t *p = bytes(s), *end = p + n;
	size_t len = 0;

	while (p < end) {
		uint8_t c = next_byte(&p, end, flags);

		if (!c)
			return -EINVAL;
		if (len >= cap)
			return -ENOSPC;
		out[len++] = (char)c;
	}
	if (len >= cap)
		return -ENOSPC;
	out[len] = '\0';
	return (ssize_t)len;
}

/* ---- query ---- */

/* The escaped text p to end decodes to exactly the C string key. */
static bool decodes_to(const uint8_t *p, const uint8_t *end, const char *key)
{
	while (p < end) {
		uint8_t c = next_byte(&p, end, HTTPURL_PLUS);

		if (!c || c != (uint8_t)*key++)
			return false;
	}
	return *key == '\0';
}

ssize_t httpurl_query_get(const char *query, size_t n, const char *key,
			  char *out, size_t cap)
{
	const uint8_t *p = bytes(query), *end = p + n;

	while (p < end) {
		const uint8_t *amp = httpchar_find2(p, end, '&', '&');
		const uint8_t *eq = httpchar_find2(p, amp, '=', '=');
		const uint8_t *value = eq < amp ? eq + 1 : amp;
		const uint8_t *pair = p;
		size_t len = (size_t)(amp - value);
		ssize_t got;

		p = amp < end ? amp + 1 : end;
		if (pair == amp || httpchar_find2(pair, amp, ';', ';') < amp ||
		    !decodes_to(pair, eq, key))
			continue;
		got = httpurl_decode(out, cap, (const char *)value, len,
				     HTTPURL_PLUS);
		if (got != -EINVAL)
			return got;
	}
	return -ENOENT;
}

/* ---- path cleaning ---- */

/* Segments that cleaning removes: "", "." and "..". */
static bool is_dots(const uint8_t *s, size_t n)
{
	return n == 0 || (n == 1 && s[0] == '.') ||
	       (n == 2 && s[0] == '.' && s[1] == '.');
}

bool httpurl_is_clean(const char *path, size_t n)
{
	const uint8_t *p = bytes(path), *end = p + n;

	if (!n || *p != '/')
		return false;
	while (p < end) {
		const uint8_t *seg = p + 1;

		p = httpchar_find2(seg, end, '/', '/');
		/* A final slash has an empty segment after it. */
		if (is_dots(seg, (size_t)(p - seg)) && seg != end)
			return false;
	}
	return true;
}

/* Forget the last "/segment" of out[0..len). */
static size_t drop_segment(const char *out, size_t len)
{
	while (len && out[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

ssize_t httpurl_clean(char *out, size_t cap, const char *path, size_t n)
{
	const uint8_t *p = bytes(path), *end = p + n;
	size_t len = 0, tail;

	while (p < end) {
		const uint8_t *seg = p;
		size_t seg_len;

		p = httpchar_find2(p, end, '/', '/');
		seg_len = (size_t)(p - seg);
		p += p < end;
		if (is_dots(seg, seg_len)) {
			if (seg_len == 2)
				len = drop_segment(out, len);
			continue;
		}
		if (cap - len < seg_len + 1)
			return -ENOSPC;
		out[len] = '/';
		memcpy(out + len + 1, seg, seg_len);
		len += 1 + seg_len;
	}
	tail = !len || path[n - 1] == '/' ? 1 : 0;
	if (cap - len <= tail)
		return -ENOSPC;
	memcpy(out + len, "/", tail);
	len += tail;
	out[len] = '\0';
	return (ssize_t)len;
}

/* ---- URLs for the client ---- */

/* Length of the scheme before "://", 0 if there is none. */
static size_t scheme_len(const char *url, size_t n)
{
	const char *colon = memchr(url, ':', n);
	size_t len = colon ? (size_t)(colon - url) : 0;

	if (!len || n - len < 3 || memcmp(colon, "://", 3) ||
	    !httpchar_is((uint8_t)url[0], HTTPCHAR_ALPHA))
		return 0;
	for (size_t i = 0; i < len; i++)
		if (!httpchar_is((uint8_t)url[i],
				 HTTPCHAR_ALPHA | HTTPCHAR_DIGIT) &&
		    !memchr("+-.", url[i], 3))
			return 0;
	return len;
}

/* First of '/', '?' and '#', or end: where the authority stops. */
static const char *authority_end(const char *p, const char *end)
{
	while (p < end && *p != '/' && *p != '?' && *p != '#')
		p++;
	return p;
}

static int cut_target(const char *p, const char *end, struct httpurl *out)
{
	const char *hash = memchr(p, '#', (size_t)(end - p));
	const char *path_end;
	size_t len = (size_t)((hash ? hash : end) - p);

	path_end = memchr(p, '?', len);
	if (!httpchar_all(bytes(p), (size_t)(end - p), HTTPCHAR_TARGET) ||
	    !httpurl_has_good_escapes(p,
				      path_end ? (size_t)(path_end - p) : len))
		return -EINVAL;
	out->needs_slash = !len || *p != '/';
	out->target = p;
	out->target_len = len;
	return 0;
}

int httpurl_split(const char *url, size_t n, struct httpurl *out)
{
	size_t scheme = scheme_len(url, n);
	const char *end = url + n, *authority, *rest;
	struct httpurl_hostport hp;
	bool is_tls;

	if (!scheme)
		return -EINVAL;
	is_tls = scheme == 5 && httpchar_ieq(url, "https", 5);
	if (!is_tls && (scheme != 4 || !httpchar_ieq(url, "http", 4)))
		return -EPROTONOSUPPORT;
	authority = url + scheme + 3;
	rest = authority_end(authority, end);
	if (httpurl_hostport(authority, (size_t)(rest - authority), &hp) ||
	    hp.port == 0 || cut_target(rest, end, out))
		return -EINVAL;
	out->is_tls = is_tls;
	out->is_v6 = hp.is_v6;
	out->port = (uint16_t)(hp.port > 0 ? hp.port : is_tls ? 443 : 80);
	out->host = hp.host;
	out->host_len = hp.host_len;
	out->authority = authority;
	out->authority_len = (size_t)(rest - authority);
	return 0;
}
