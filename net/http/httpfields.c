// SPDX-License-Identifier: MIT
/*
 * httpfields - see httpfields.h.
 *
 * What a handler sets is kept as the lines that will be sent: no second copy, and
 * the few fields of a response are found faster in line than in a table.
 */
#include "net/http/httpfields.h"

#include <string.h>
#include <strings.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpchar.h"
#include "net/http/httpwriter.h"

/* A response with more than this is a mistake of its handler. */
#define FIELDS_MAX (1u << 20)

bool httpfields_is_name(const char *name)
{
	size_t len = strlen(name);

	return len && httpchar_all((const uint8_t *)name, len, HTTPCHAR_TOKEN);
}

bool httpfields_is_value(const char *value)
{
	return httpchar_all((const uint8_t *)value, strlen(value),
			    HTTPCHAR_VALUE);
}

bool httpfields_has_token(const char *list, const char *token)
{
	size_t len = strlen(token);

	for (;;) {
		size_t n;

		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (!n)
			return false;
		if (n == len && !strncasecmp(list, token, n))
			return true;
		list += n;
	}
}

/* The line of a field, or NULL; *len gets its length with CRLF. */
static char *find_line(rg_http_writer *w, const char *name, size_t name_len,
		       size_t *len)
{
	char *at = w->fields, *end = w->fields + w->fields_len;

	while (at < end) {
		char *nl = memchr(at, '\n', (size_t)(end - at));

		*len = (size_t)(nl + 1 - at);
		if (*len > name_len && at[name_len] == ':' &&
		    httpchar_ieq(at, name, name_len))
			return at;
		at = nl + 1;
	}
	return NULL;
}

static void remove_line(rg_http_writer *w, const char *name, size_t name_len)
{
	size_t len;
	char *at = find_line(w, name, name_len, &len);
	char *end = w->fields + w->fields_len;

	if (!at)
		return;
	memmove(at, at + len, (size_t)(end - at) - len);
	w->fields_len -= (uint32_t)len;
}

static bool reserve(rg_http_writer *w, size_t more)
{
	size_t want = w->fields_len + more;
	uint32_t cap = w->fields_cap;
	char *heap;

	if (want <= cap)
		return true;
	if (want > FIELDS_MAX)
		return false;
	while (cap < want)
		cap *= 2;
	heap = rgk_alloc(cap);
	if (!heap)
		return false;
	memcpy(heap, w->fields, w->fields_len);
	if (w->fields != w->fields_lent)
		rgk_free(w->fields);
	w->fields = heap;
	w->fields_cap = cap;
	return true;
}

static void add_line(rg_http_writer *w, const char *name, size_t name_len,
		     const char *value)
{
	size_t len = strlen(value);
	char *p;

	if (!reserve(w, name_len + len + 4)) {
		w->err = -ENOMEM;
		return;
	}
	p = w->fields + w->fields_len;
	memcpy(p, name, name_len);
	p += name_len;
	*p++ = ':';
	*p++ = ' ';
	for (size_t i = 0; i < len; i++) {
		bool ok = httpchar_is((uint8_t)value[i], HTTPCHAR_VALUE);

		*p++ = (char)(ok ? value[i] : ' '); /* I4 of httpwriter.h */
	}
	*p++ = '\r';
	*p++ = '\n';
	w->fields_len = (uint32_t)(p - w->fields);
}

/* Digits only, else the field is left out: framing must not be guessed. */
static int64_t parse_length(const char *value)
{
	int64_t n = 0;

	if (!value || !*value)
		return -1;
	for (; *value; value++) {
		int digit = *value - '0';

		if (digit < 0 || digit > 9 || n > (INT64_MAX - digit) / 10)
			return -1;
		n = n * 10 + digit;
	}
	return n;
}

/* A field that the library needs to know of. True: it is not kept as a line. */
static bool take_special(rg_http_writer *w, const char *name, size_t len,
			 const char *value)
{
	const uint8_t *s = (const uint8_t *)name;
	bool is_set = value != NULL;

	switch (len) {
	case 4:
		if (httpchar_is_name(s, "date", 4))
			w->has_date = is_set;
		return false;
	case 10:
		if (!httpchar_is_name(s, "connection", 10))
			return false;
		if (is_set && httpfields_has_token(value, "close"))
			w->close = true;
		return true;
	case 12:
		if (httpchar_is_name(s, "content-type", 12))
			w->has_type = is_set;
		return false;
	case 14:
		if (!httpchar_is_name(s, "content-length", 14))
			return false;
		w->declared = parse_length(value);
		return true;
	case 16:
		if (httpchar_is_name(s, "content-encoding", 16))
			w->has_encoding = is_set;
		return false;
	case 17:
		return httpchar_is_name(s, "transfer-encoding", 17);
	default:
		return false;
	}
}

void rg_http_set_header(rg_http_writer *w, const char *name, const char *value)
{
	size_t len;

	if (w->committed || !name || !httpfields_is_name(name))
		return;
	len = strlen(name);
	if (take_special(w, name, len, value))
		return;
	if (len != 10 ||
	    !httpchar_is_name((const uint8_t *)name, "set-cookie", 10) ||
	    !value)
		remove_line(w, name, len);
	if (value && *value)
		add_line(w, name, len, value);
}
