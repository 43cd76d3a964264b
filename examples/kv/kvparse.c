// SPDX-License-Identifier: MIT
/* kvparse - see the header. */
#include "examples/kv/kvparse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/kv/kvtext.h"

enum { ARGV_KEPT = 1024 }; /* a longer list is given back after its request */

static enum kvparse_result fail(struct kvparse *p, const char *error)
{
	p->error = error;
	return KVPARSE_ERROR;
}

static bool add_arg(struct kvparse *p, size_t at, size_t len)
{
	if (p->argc == p->cap) {
		int cap = p->cap ? 2 * p->cap : 8;
		struct kvarg *argv = realloc(p->argv, cap * sizeof *argv);

		if (!argv)
			return false;
		p->argv = argv;
		p->cap = cap;
	}
	p->argv[p->argc].at = at - p->start;
	p->argv[p->argc++].len = len;
	return true;
}

/* ---- inline requests --------------------------------------------------------------- */

/* A character after a backslash between double quotes; *from is at what follows the
 * backslash, and moved behind it. */
static char unescape(const char *line, size_t *from, size_t end)
{
	static const char from_c[] = "nrtba", to_c[] = "\n\r\t\b\a";
	const char *found;
	char c = line[*from];

	if (c == 'x' && end - *from > 2 && kv_hex_value(line[*from + 1]) >= 0 &&
	    kv_hex_value(line[*from + 2]) >= 0) {
		c = (char)(kv_hex_value(line[*from + 1]) * 16 +
			   kv_hex_value(line[*from + 2]));
		*from += 3;
		return c;
	}
	++*from;
	found = c ? strchr(from_c, c) : NULL;
	return found ? to_c[found - from_c] : c;
}

/* The text between quotes; *from is behind the opening one and moved behind the closing
 * one, which ends the argument. false: it does not. */
static bool unquote(char *line, char quote, size_t *from, size_t end,
		    size_t *to)
{
	while (*from < end && line[*from] != quote) {
		bool is_escape = line[*from] == '\\' && *from + 1 < end;

		if (is_escape && quote == '"') {
			++*from;
			line[(*to)++] = unescape(line, from, end);
		} else {
			if (is_escape && line[*from + 1] == '\'')
				++*from;
			line[(*to)++] = line[(*from)++];
		}
	}
	if (*from == end)
		return false;
	++*from;
	return *from == end || kv_is_space(line[*from]);
}

/* Split line[from..end) into arguments, decoded in place: they only get shorter. */
static enum kvparse_result split(struct kvparse *p, char *line, size_t from,
				 size_t end)
{
	for (;;) {
		size_t at, to;

		while (from < end && kv_is_space(line[from]))
			from++;
		if (from == end)
			return KVPARSE_REQUEST;
		at = to = from;
		while (from < end && !kv_is_space(line[from])) {
			char c = line[from++];

			if (c != '"' && c != '\'')
				line[to++] = c;
			else if (!unquote(line, c, &from, end, &to))
				return fail(p, "unbalanced quotes in request");
		}
		if (!add_arg(p, at, to - at))
			return fail(p, "out of memory");
	}
}

static enum kvparse_result next_inline(struct kvparse *p, char *buf, size_t len)
{
	char *end = memchr(buf + p->pos, '\n', len - p->pos);
	size_t from = p->pos, to;

	if (!end)
		return len - p->pos > KV_INLINE_MAX
			       ? fail(p, "too big inline request")
			       : KVPARSE_MORE;
	to = (size_t)(end - buf);
	if (to - from > KV_INLINE_MAX) /* whole or not: I3 */
		return fail(p, "too big inline request");
	p->pos = to + 1;
	return split(p, buf, from, to > from && end[-1] == '\r' ? to - 1 : to);
}

/* ---- arrays ------------------------------------------------------------------------ */

/* The number of a line that begins at pos with its type: 1 and *v, 0 more bytes are
 * needed, -1 it is too long, -2 it is no number. */
static int line_number(struct kvparse *p, const char *buf, size_t len,
		       int64_t *v)
{
	const char *line = buf + p->pos;
	const char *end = memchr(line, '\r', len - p->pos);
	size_t n;

	if (!end)
		return len - p->pos > KV_INLINE_MAX ? -1 : 0;
	n = (size_t)(end - line);
	if (n > KV_INLINE_MAX)
		return -1;
	if (p->pos + n + 2 > len)
		return 0;
	if (!kv_parse_int(line + 1, n ? n - 1 : 0, v))
		return -2;
	p->pos += n + 2;
	return 1;
}

static enum kvparse_result bulk_header(struct kvparse *p, const char *buf,
				       size_t len)
{
	char type = p->pos < len ? buf[p->pos] : '$';
	int rc = line_number(p, buf, len, &p->bulk_len);

	if (rc == 0)
		return KVPARSE_MORE;
	if (rc == -1)
		return fail(p, "too big bulk count string");
	if (type != '$') {
		snprintf(p->error_text, sizeof p->error_text,
			 "expected '$', got '%c'", type);
		return fail(p, p->error_text);
	}
	if (rc < 0 || p->bulk_len < 0 || p->bulk_len > p->max_bulk)
		return fail(p, "invalid bulk length");
	p->has_bulk_len = true;
	return KVPARSE_REQUEST;
}

static enum kvparse_result next_bulks(struct kvparse *p, const char *buf,
				      size_t len)
{
	while (p->missing > 0) {
		if (!p->has_bulk_len) {
			enum kvparse_result r = bulk_header(p, buf, len);

			if (r != KVPARSE_REQUEST)
				return r;
		}
		if (len - p->pos < (size_t)p->bulk_len + 2)
			return KVPARSE_MORE;
		if (!add_arg(p, p->pos, (size_t)p->bulk_len))
			return fail(p, "out of memory");
		p->pos += (size_t)p->bulk_len + 2;
		p->has_bulk_len = false;
		p->missing--;
	}
	return KVPARSE_REQUEST;
}

static enum kvparse_result next_array(struct kvparse *p, const char *buf,
				      size_t len)
{
	switch (line_number(p, buf, len, &p->missing)) {
	case 0:
		p->missing = 0;
		return KVPARSE_MORE;
	case -1:
		return fail(p, "too big mbulk count string");
	case -2:
		return fail(p, "invalid multibulk length");
	default:
		if (p->missing > KV_MULTIBULK_MAX)
			return fail(p, "invalid multibulk length");
		return next_bulks(p, buf, len);
	}
}

/* ---- both -------------------------------------------------------------------------- */

static void begin(struct kvparse *p)
{
	p->start = p->pos;
	p->argc = 0;
	p->missing = 0;
	p->has_bulk_len = false;
	if (p->cap > ARGV_KEPT) {
		free(p->argv);
		p->argv = NULL;
		p->cap = 0;
	}
}

enum kvparse_result kvparse_next(struct kvparse *p, char *buf, size_t len)
{
	enum kvparse_result r;

	if (p->missing <= 0) {
		begin(p);
		if (p->pos == len)
			return KVPARSE_MORE;
		r = buf[p->pos] == '*' ? next_array(p, buf, len)
				       : next_inline(p, buf, len);
	} else {
		r = next_bulks(p, buf, len);
	}
	if (r == KVPARSE_REQUEST)
		for (int i = 0; i < p->argc; i++)
			p->argv[i].p = buf + p->start + p->argv[i].at;
	return r;
}

void kvparse_moved(struct kvparse *p)
{
	p->pos -= p->start;
	p->start = 0;
}

void kvparse_free(struct kvparse *p)
{
	free(p->argv);
	p->argv = NULL;
	p->argc = p->cap = 0;
}
