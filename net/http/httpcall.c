// SPDX-License-Identifier: MIT
/*
 * httpcall - see httpcall.h.
 */
#include "net/http/httpcall.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpchar.h"
#include "net/http/httpfields.h"

/* What a URL may have in all: servers refuse far less. */
#define URL_MAX (64 << 10)

#define USER_AGENT "ringgo/0.1"

/* ---- checks ----------------------------------------------------------------- */

static bool is_one_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (!strcasecmp(name, *names))
			return true;
	return false;
}

/* Framing is ours: a user's own would let one message be read as two (I1). */
static bool is_framing(const char *name)
{
	static const char *const names[] = {"Content-Length",
					    "Transfer-Encoding", "Trailer",
					    "Upgrade", NULL};

	return is_one_of(name, names);
}

static int check_headers(struct httpcall *c)
{
	const char *const *h = c->headers;

	for (; h && *h; h += 2) {
		if (!h[1] || !httpfields_is_name(h[0]) ||
		    !httpfields_is_value(h[1]) || is_framing(h[0]))
			return -EINVAL;
		if (strcasecmp(h[0], "Connection"))
			continue;
		if (strcasecmp(h[1], "close") && strcasecmp(h[1], "keep-alive"))
			return -EINVAL;
		c->wants_close = !strcasecmp(h[1], "close");
	}
	return 0;
}

static bool is_idempotent(const struct httpcall *c)
{
	switch (c->method_id) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_TRACE:
	case HTTP_PUT:
	case HTTP_DELETE:
		return true;
	case HTTP_OTHER:
	case HTTP_POST:
	case HTTP_PATCH:
	case HTTP_CONNECT:
	case HTTP_NMETHODS:
		break;
	}
	return false;
}

static int set_method(struct httpcall *c, const char *method)
{
	c->method = method && *method ? method : "GET";
	if (!httpfields_is_name(c->method))
		return -EINVAL;
	c->method_id = httpmethod_parse(c->method, strlen(c->method));
	c->is_idempotent = is_idempotent(c);
	/* CONNECT makes a tunnel, not a response; TRACE has no body. */
	if (c->method_id == HTTP_CONNECT ||
	    (c->method_id == HTTP_TRACE && c->body_len))
		return -EINVAL;
	return 0;
}

/* Takes over text, also on failure. */
static int set_url(struct httpcall *c, char *text)
{
	struct httpurl url;
	int err = httpurl_split(text, strlen(text), &url);

	if (!err && url.is_tls)
		err = -EPROTONOSUPPORT;
	if (err) {
		rgk_free(text);
		return err;
	}
	rgk_free(c->url_text);
	c->url_text = text;
	c->url = url;
	return 0;
}

int httpcall_init(struct httpcall *c, const rg_http_call *user)
{
	char *text;
	int err;

	*c = (struct httpcall){
		.headers = user->headers,
		.body = user->body,
		.body_len = user->body_len,
	};
	if (!user->url || strnlen(user->url, URL_MAX) == URL_MAX ||
	    (c->body_len && !c->body))
		return -EINVAL;
	err = set_method(c, user->method);
	if (!err)
		err = check_headers(c);
	if (err)
		return err;
	text = rgk_strdup(user->url);
	return text ? set_url(c, text) : -ENOMEM;
}

void httpcall_fini(struct httpcall *c)
{
	rgk_free(c->url_text);
	c->url_text = NULL;
}

/* ---- bytes ------------------------------------------------------------------ */

static bool is_credential(const char *name)
{
	static const char *const names[] = {
		"Authorization",       "Cookie",           "Cookie2",
		"Proxy-Authorization", "WWW-Authenticate", NULL};

	return is_one_of(name, names);
}

static bool is_sent(const struct httpcall *c, const char *name)
{
	if (!strcasecmp(name, "Connection"))
		return false;
	if (c->drop_host && !strcasecmp(name, "Host"))
		return false;
	if (c->drop_credentials && is_credential(name))
		return false;
	return !c->drop_content || strncasecmp(name, "Content-", 8) != 0;
}

static bool has_header(const struct httpcall *c, const char *name)
{
	for (const char *const *h = c->headers; h && *h; h += 2)
		if (!strcasecmp(h[0], name) && is_sent(c, h[0]))
			return true;
	return false;
}

/* A body's length is said when there is one, and where a server expects one. */
static bool says_length(const struct httpcall *c)
{
	return c->body_len || c->method_id == HTTP_POST ||
	       c->method_id == HTTP_PUT || c->method_id == HTTP_PATCH;
}

/* Room for everything, then filled with stpcpy's like. */
static size_t head_size(const struct httpcall *c)
{
	size_t n = strlen(c->method) + c->url.target_len +
		   c->url.authority_len + 256;

	for (const char *const *h = c->headers; h && *h; h += 2)
		n += strlen(h[0]) + strlen(h[1]) + 4;
	return n;
}

static char *put_header(char *p, const char *name, const char *value)
{
	p = stpcpy(p, name);
	p = stpcpy(p, ": ");
	p = stpcpy(p, value);
	return stpcpy(p, "\r\n");
}

int httpcall_head(const struct httpcall *c, char **out, size_t *len)
{
	const struct httpurl *u = &c->url;
	char *head = rgk_alloc(head_size(c));
	char *p = head;

	if (!head)
		return -ENOMEM;
	p = stpcpy(p, c->method);
	p = stpcpy(p, u->needs_slash ? " /" : " ");
	p = mempcpy(p, u->target, u->target_len);
	p = stpcpy(p, " HTTP/1.1\r\n");
	if (!has_header(c, "Host")) {
		p = stpcpy(p, "Host: ");
		p = mempcpy(p, u->authority, u->authority_len);
		p = stpcpy(p, "\r\n");
	}
	if (!has_header(c, "User-Agent"))
		p = put_header(p, "User-Agent", USER_AGENT);
	for (const char *const *h = c->headers; h && *h; h += 2)
		if (is_sent(c, h[0]))
			p = put_header(p, h[0], h[1]);
	if (says_length(c))
		p += sprintf(p, "Content-Length: %zu\r\n", c->body_len);
	if (c->wants_close)
		p = put_header(p, "Connection", "close");
	p = stpcpy(p, "\r\n");
	*out = head;
	*len = (size_t)(p - head);
	return 0;
}

char *httpcall_key(const struct httpcall *c)
{
	const struct httpurl *u = &c->url;
	char *key = rgk_alloc(u->host_len + sizeof("[]:65535"));

	if (!key)
		return NULL;
	sprintf(key, u->is_v6 ? "[%.*s]:%u" : "%.*s:%u", (int)u->host_len,
		u->host, (unsigned)u->port);
	for (char *p = key; *p; p++)
		*p = (char)httpchar_lower[(uint8_t)*p];
	return key;
}

/* ---- redirects -------------------------------------------------------------- */

static bool has_scheme(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	return n > 0 && s[n] == ':';
}

/* The path (of a URL's target or a reference) ends here. */
static size_t path_len(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] != '?' && s[i] != '#')
		i++;
	return i;
}

/* out = dir of the base's path + the reference, without dot segments. */
static int join_path(const struct httpurl *base, const char *ref, char *out,
		     size_t cap)
{
	size_t dir = path_len(base->target, base->target_len);
	size_t ref_path = path_len(ref, strlen(ref));
	char *tmp = rgk_alloc(dir + ref_path + 2);
	ssize_t len;

	if (!tmp)
		return -ENOMEM;
	if (*ref == '/')
		dir = 0;
	while (dir && base->target[dir - 1] != '/')
		dir--;
	memcpy(tmp, base->target, dir);
	if (!dir && *ref != '/')
		tmp[dir++] = '/';
	memcpy(tmp + dir, ref, ref_path);
	len = httpurl_clean(out, cap, tmp, dir + ref_path);
	rgk_free(tmp);
	if (len < 0 || (size_t)len + strlen(ref + ref_path) >= cap)
		return -EINVAL;
	stpcpy(out + len, ref + ref_path);
	return 0;
}

/* RFC 3986 section 5.2 as far as http needs it; NULL: no memory. */
static char *resolve_reference(const struct httpurl *base, const char *ref)
{
	size_t target = base->target_len, cap;
	char *url, *p;

	if (has_scheme(ref))
		return rgk_strdup(ref);
	cap = sizeof("http://") + base->authority_len + target + strlen(ref) +
	      8;
	url = rgk_alloc(cap);
	if (!url)
		return NULL;
	p = stpcpy(url, "http:");
	if (!strncmp(ref, "//", 2)) {
		stpcpy(p, ref);
		return url;
	}
	p = stpcpy(p, "//");
	p = mempcpy(p, base->authority, base->authority_len);
	if (*ref == '?' || *ref == '#' || !*ref) {
		if (*ref == '?')
			target = path_len(base->target, target);
		p = mempcpy(p, base->target, target);
		stpcpy(p, *ref == '?' ? ref : "");
		return url;
	}
	if (join_path(base, ref, p, cap - (size_t)(p - url)) < 0) {
		rgk_free(url);
		return NULL;
	}
	return url;
}

/* The new host is the old one or below it: it may see the credentials (Go's rule). */
static bool is_same_site(const struct httpurl *from, const struct httpurl *to)
{
	size_t n = from->host_len;

	if (to->host_len == n)
		return httpchar_ieq(from->host, to->host, n);
	return !from->is_v6 && !to->is_v6 && to->host_len > n &&
	       to->host[to->host_len - n - 1] == '.' &&
	       httpchar_ieq(from->host, to->host + to->host_len - n, n);
}

int httpcall_redirect(struct httpcall *c, int status, const char *location)
{
	struct httpurl from = c->url;
	char *former = c->url_text;
	char *text = resolve_reference(&c->url, location);
	int err;

	if (!text)
		return -ENOMEM;
	c->url_text = NULL; /* `from` points into it */
	err = set_url(c, text);
	if (err) {
		c->url_text = former;
		return err;
	}
	if (!is_same_site(&from, &c->url))
		c->drop_credentials = true;
	if (from.authority_len != c->url.authority_len ||
	    !httpchar_ieq(from.authority, c->url.authority, from.authority_len))
		c->drop_host = true;
	if (status != 307 && status != 308 && c->method_id != HTTP_HEAD &&
	    c->method_id != HTTP_GET) {
		c->body = NULL;
		c->body_len = 0;
		c->drop_content = true;
		set_method(c, "GET");
	}
	rgk_free(former);
	return 0;
}
