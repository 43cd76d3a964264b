/* SPDX-License-Identifier: MIT */
/*
 * httpurl - the parts of URLs that HTTP/1.1 needs: authority, percent-escapes,
 * query values, path cleaning, and splitting a URL for the client.
 *
 *   I1  nothing is allocated; text goes into the caller's buffer or is a slice
 *       of the caller's input.
 *   I2  a text that was written is followed by a NUL byte and holds none, as
 *       handlers see it as a C string: an escape %00 is an error.
 *   I3  an output buffer too small is -ENOSPC; its content is then undefined.
 * Input is (pointer, length), needs no NUL and is never read beyond its length;
 * the pointer is never NULL, not even of an empty slice.
 * Pure functions, callable from anywhere; none parks.
 * Not a general URL parser: no user info (RFC 9110 4.2.4 calls it a risk), no
 * international names, no relative references.
 * Sources: RFC 3986, RFC 9110 section 4.2, Go's net/url and net/http cleanPath.
 */
#ifndef RG_HTTPURL_H
#define RG_HTTPURL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct httpurl_hostport {
	const char *host; /* into the input, without the brackets of IPv6 */
	size_t host_len;  /* > 0 */
	int port;         /* 0 to 65535; -1: none, or nothing after the colon */
	bool is_v6; /* stood in brackets; the address itself is not checked */
};

/*
 * httpurl_hostport - split "host", "host:port" or "[v6]:port".
 * Strict: a reg-name without escapes, or brackets around hexadecimal digits,
 * colons and dots, optionally with a zone "%25name"; at most 5 digits of port.
 * Returns 0 or -EINVAL.
 */
int httpurl_hostport(const char *s, size_t n, struct httpurl_hostport *out);

/*
 * httpurl_strip_port - length of a Host value without its ":port". Brackets
 * stay. A value that cannot be split ("::1") keeps its length.
 */
size_t httpurl_strip_port(const char *host, size_t n);

/*
 * httpurl_has_good_escapes - each '%' begins an escape of two hexadecimal
 * digits other than %00.
 */
bool httpurl_has_good_escapes(const char *s, size_t n);

/* Decode '+' as a space, as forms and queries mean it. */
#define HTTPURL_PLUS 1u

/*
 * httpurl_decode - undo percent-escapes: out gets at most n bytes and a NUL, so
 * cap = n + 1 always suffices. out may be s itself (then cap may be n if s
 * holds an escape). Returns the length without the NUL, -EINVAL (bad escape,
 * NUL byte) or -ENOSPC.
 */
ssize_t httpurl_decode(char *out, size_t cap, const char *s, size_t n,
		       unsigned flags);

/*
 * httpurl_query_get - the decoded value of the first pair of the query string
 * (without '?') whose decoded key is `key`. "key" alone has the value "".
 * Pairs with ';' or a bad escape are skipped, as in Go. cap = n + 1 always
 * suffices. Returns the length, -ENOENT (no such key) or -ENOSPC.
 */
ssize_t httpurl_query_get(const char *query, size_t n, const char *key,
			  char *out, size_t cap);

/*
 * httpurl_is_clean - the path starts with '/' and httpurl_clean would not
 * change it. Escapes are not looked into: "/%2e%2e/" is clean, as in Go.
 */
bool httpurl_is_clean(const char *path, size_t n);

/*
 * httpurl_clean - the canonical path: starts with one '/', no empty, "." or
 * ".." segment; ".." never leaves the root; a final '/' stays ("/a/." loses
 * it). The result is never longer than n + 1, so cap = n + 2 always suffices;
 * out must not overlap path. Returns the length or -ENOSPC.
 */
ssize_t httpurl_clean(char *out, size_t cap, const char *path, size_t n);

struct httpurl {
	bool is_tls; /* https */
	bool is_v6;
	uint16_t port;    /* given, or 80 or 443 */
	const char *host; /* for dialling, without brackets */
	size_t host_len;
	const char *authority; /* as written: the Host field's value */
	size_t authority_len;
	/* The request target is "/" if needs_slash, then the target slice,
	 * which may be empty; the fragment is cut off. */
	bool needs_slash;
	const char *target;
	size_t target_len;
};

/*
 * httpurl_split - take an http:// or https:// URL apart; slices point into url.
 * Returns 0; -EINVAL: malformed (also: user info, space, control or non-ASCII
 * byte, bad escape in the path, port 0); -EPROTONOSUPPORT: another scheme.
 */
int httpurl_split(const char *url, size_t n, struct httpurl *out);

#endif
