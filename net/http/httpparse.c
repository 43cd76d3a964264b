// SPDX-License-Identifier: MIT
/*
 * httpparse - see httpparse.h.
 *
 * One state per element of a head. Each step looks for the end of its element
 * from p->pos on, and either finds it, finds a fault, or leaves p->pos at the
 * end of what is there. `end` is the offset of the first byte that is not there
 * or beyond a limit; a step never looks at it. Elements of a fixed size
 * (version, line ends) are looked at again from their start, as they are a few
 * bytes.
 *
 * What the fields mean is httpframing's business: it is told of each one when
 * its line is complete, and of the end of the head.
 */
#include "net/http/httpparse.h"

#include <string.h>

#include "kernel-iface/base/check.h"
#include "net/http/httpchar.h"
#include "net/http/httpframing.h"
#include "net/http/httpurl.h"

enum {
	ST_BLANK, /* before the request line */
	ST_METHOD,
	ST_TARGET,
	ST_VERSION,
	ST_STATUS, /* "HTTP/1.1 200" */
	ST_REASON,
	ST_FIELD, /* at the start of a line */
	ST_NAME,
	ST_VALUE,
	ST_DONE,
	ST_FAILED,
};

int httpparse_fail(struct httpparse *p, int status, const char *reason)
{
	p->state = ST_FAILED;
	p->status = status;
	p->reason = reason;
	return HTTPPARSE_ERROR;
}

/* ---- methods ---- */

#define METHOD_NAME(name) [HTTP_##name] = #name,
static const char *const method_names[HTTP_NMETHODS] = {
	HTTP_METHODS(METHOD_NAME)};

#define METHOD_LEN(name) [HTTP_##name] = sizeof(#name) - 1,
static const uint8_t method_lens[HTTP_NMETHODS] = {HTTP_METHODS(METHOD_LEN)};

const char *httpmethod_name(enum httpmethod method)
{
	return (unsigned)method < HTTP_NMETHODS ? method_names[method] : NULL;
}

enum httpmethod httpmethod_parse(const char *name, size_t len)
{
	for (unsigned m = HTTP_OTHER + 1; m < HTTP_NMETHODS; m++)
		if (method_lens[m] == len &&
		    !memcmp(method_names[m], name, len))
			return (enum httpmethod)m;
	return HTTP_OTHER;
}

/* ---- request line ---- */

/* Where v[0..n) first differs from the template, in which 'd' is any digit. */
static uint32_t match_template(const uint8_t *v, uint32_t n, const char *tmpl)
{
	uint32_t i = 0;

	while (i < n && tmpl[i] &&
	       (tmpl[i] == 'd' ? httpchar_is(v[i], HTTPCHAR_DIGIT)
			       : v[i] == (uint8_t)tmpl[i]))
		i++;
	return i;
}

static const char *line_end_reason(uint8_t c, const char *otherwise)
{
	return c == '\n' ? "bare LF" : c == '\r' ? "bare CR" : otherwise;
}

static int skip_blank(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	while (p->pos < end && b[p->pos] == '\r') {
		if (end - p->pos < 2)
			return HTTPPARSE_MORE;
		if (b[p->pos + 1] != '\n')
			return httpparse_fail(
				p, 400, "bare CR before the request line");
		if (p->nblank == HTTPPARSE_MAX_BLANK)
			return httpparse_fail(
				p, 400,
				"too many empty lines before a request");
		p->nblank++;
		p->pos += 2;
	}
	if (p->pos == end)
		return HTTPPARSE_MORE;
	p->mark = p->pos;
	p->state = ST_METHOD;
	return STEP_NEXT;
}

static int step_method(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t pos = (uint32_t)(httpchar_scan_token(b + p->pos, b + end) - b);

	if (pos - p->mark > HTTPPARSE_MAX_METHOD)
		return httpparse_fail(p, 501, "method too long");
	p->pos = pos;
	if (pos == end)
		return HTTPPARSE_MORE;
	if (b[pos] != ' ' || pos == p->mark)
		return httpparse_fail(p, 400, "invalid byte in the method");
	p->head.method_name = httpslice_make(p->mark, pos);
	p->head.method =
		httpmethod_parse((const char *)b + p->mark, pos - p->mark);
	p->mark = p->pos = pos + 1;
	p->state = ST_TARGET;
	return STEP_NEXT;
}

static int step_target(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t pos =
		(uint32_t)(httpchar_scan_target(b + p->pos, b + end) - b);

	p->pos = pos;
	if (pos == end)
		return HTTPPARSE_MORE;
	if (b[pos] != ' ')
		return httpparse_fail(p, 400,
				      b[pos] == '\r' || b[pos] == '\n'
					      ? "request line without a version"
					      : "invalid byte in the target");
	if (pos == p->mark)
		return httpparse_fail(p, 400, "empty target");
	p->head.target = httpslice_make(p->mark, pos);
	p->pos = pos + 1;
	p->state = ST_VERSION;
	return STEP_NEXT;
}

/* The path and query that start at off and end where the target does. */
static int split_path(struct httpparse *p, const uint8_t *b, uint32_t off)
{
	struct httphead *h = &p->head;
	const uint8_t *start = b + off;
	const uint8_t *end = b + h->target.off + h->target.len;
	const uint8_t *q = httpchar_find2(start, end, '?', '%');

	if (q < end && *q == '%') {
		q = httpchar_find2(q, end, '?', '?');
		if (!httpurl_has_good_escapes((const char *)start,
					      (size_t)(q - start)))
			return httpparse_fail(p, 400,
					      "invalid escape in the path");
	}
	h->path = httpslice_make(off, (uint32_t)(q - b));
	if (q < end) {
		h->has_query = true;
		h->query = httpslice_make((uint32_t)(q + 1 - b),
					  (uint32_t)(end - b));
	}
	return STEP_NEXT;
}

static int split_absolute(struct httpparse *p, const uint8_t *b)
{
	struct httphead *h = &p->head;
	uint32_t off = h->target.off, end = off + h->target.len;
	const char *t = (const char *)b + off;
	struct httpurl_hostport hp;
	uint32_t skip, stop;

	if (h->target.len > 7 && httpchar_ieq(t, "http://", 7))
		skip = 7;
	else if (h->target.len > 8 && httpchar_ieq(t, "https://", 8))
		skip = 8;
	else
		return httpparse_fail(p, 400,
				      "the target is no path and no http URL");
	off += skip;
	for (stop = off; stop < end && b[stop] != '/' && b[stop] != '?';)
		stop++;
	if (httpurl_hostport((const char *)b + off, stop - off, &hp))
		return httpparse_fail(p, 400,
				      "invalid authority in the target");
	h->form = HTTPTARGET_ABSOLUTE;
	h->host = httpslice_make(off, stop);
	return split_path(p, b, stop);
}

static int split_target(struct httpparse *p, const uint8_t *b)
{
	struct httphead *h = &p->head;
	const uint8_t *t = b + h->target.off;
	struct httpurl_hostport hp;

	if (rg_likely(*t == '/'))
		return split_path(p, b, h->target.off);
	h->path = httpslice_make(h->target.off, h->target.off);
	if (*t == '*' && h->target.len == 1) {
		if (h->method != HTTP_OPTIONS)
			return httpparse_fail(p, 400,
					      "target * is for OPTIONS only");
		h->form = HTTPTARGET_ASTERISK;
		return STEP_NEXT;
	}
	if (h->method != HTTP_CONNECT)
		return split_absolute(p, b);
	if (httpurl_hostport((const char *)t, h->target.len, &hp) ||
	    hp.port < 0)
		return httpparse_fail(p, 400,
				      "the target of CONNECT is no host:port");
	h->form = HTTPTARGET_AUTHORITY;
	h->host = h->target;
	return STEP_NEXT;
}

static int step_version(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	const char *tmpl = "HTTP/d.d\r\n";
	const uint8_t *v = b + p->pos;
	uint32_t there = end - p->pos;
	uint32_t ok = match_template(v, there, tmpl);

	if (ok < 10) {
		if (ok == there)
			return HTTPPARSE_MORE;
		return httpparse_fail(
			p, 400, line_end_reason(v[ok], "malformed version"));
	}
	if (v[5] != '1' || v[7] > '1')
		return httpparse_fail(p, 505,
				      "HTTP version other than 1.0 and 1.1");
	p->head.minor = v[7] - '0';
	p->mark = p->pos + 10;
	p->state = ST_FIELD;
	return split_target(p, b);
}

static int request_line(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint64_t limit;
	int rc = STEP_NEXT;

	if (p->state == ST_BLANK)
		rc = skip_blank(p, b, end);
	if (rc != STEP_NEXT)
		return rc;
	limit = 2ull * p->nblank + p->max_line;
	if (limit > p->max_head)
		limit = p->max_head;
	if (end > limit)
		end = (uint32_t)limit;
	if (p->state == ST_METHOD)
		rc = step_method(p, b, end);
	if (rc == STEP_NEXT && p->state == ST_TARGET)
		rc = step_target(p, b, end);
	if (rc == STEP_NEXT)
		rc = step_version(p, b, end);
	if (rc == HTTPPARSE_MORE && end == limit)
		return httpparse_fail(p, 414, "request line too long");
	return rc;
}

/* ---- status line ---- */

static int step_status(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t ok = match_template(b, end, "HTTP/d.d ddd");
	int status;

	p->pos = end;
	if (ok == end)
		return HTTPPARSE_MORE;
	if (ok < 12)
		return httpparse_fail(
			p, 400,
			line_end_reason(b[ok], "malformed status line"));
	status = (b[9] - '0') * 100 + (b[10] - '0') * 10 + (b[11] - '0');
	if (b[5] != '1' || b[7] > '1')
		return httpparse_fail(p, 400,
				      "HTTP version other than 1.0 and 1.1");
	if (status < 100 || status > 599)
		return httpparse_fail(p, 400, "status outside 100 to 599");
	if (b[12] != ' ' && b[12] != '\r')
		return httpparse_fail(p, 400, "malformed status line");
	p->head.minor = b[7] - '0';
	p->head.status = status;
	p->mark = p->pos = b[12] == ' ' ? 13 : 12;
	p->state = ST_REASON;
	return STEP_NEXT;
}

static int step_reason(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t pos = (uint32_t)(httpchar_scan_value(b + p->pos, b + end) - b);

	p->pos = pos;
	if (end - pos < 2 && (pos == end || b[pos] == '\r'))
		return HTTPPARSE_MORE;
	if (b[pos] != '\r' || b[pos + 1] != '\n')
		return httpparse_fail(
			p, 400,
			line_end_reason(b[pos], "invalid byte in the reason"));
	p->head.reason = httpslice_make(p->mark, pos);
	p->mark = pos + 2;
	p->state = ST_FIELD;
	return STEP_NEXT;
}

static int status_line(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t limit = p->max_line < p->max_head ? p->max_line : p->max_head;
	int rc = STEP_NEXT;

	if (end > limit)
		end = limit;
	if (p->state == ST_STATUS)
		rc = step_status(p, b, end);
	if (rc == STEP_NEXT)
		rc = step_reason(p, b, end);
	if (rc == HTTPPARSE_MORE && end == limit)
		return httpparse_fail(p, 431, "status line too long");
	return rc;
}

/* ---- fields ---- */

static int step_field(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t pos = p->mark;

	if (pos == end)
		return HTTPPARSE_MORE;
	if (rg_likely(b[pos] != '\r')) {
		if (p->head.nfields == p->max_fields)
			return httpparse_fail(p, 431, "too many fields");
		p->pos = pos;
		p->state = ST_NAME;
		return STEP_NEXT;
	}
	if (end - pos < 2)
		return HTTPPARSE_MORE;
	if (b[pos + 1] != '\n')
		return httpparse_fail(p, 400, "bare CR");
	p->head.len = pos + 2;
	return HTTPPARSE_OK;
}

static RG_COLD int bad_name(struct httpparse *p, const uint8_t *b, uint32_t pos)
{
	const char *why = "invalid byte in a field name";

	if (b[pos] == ':')
		why = "empty field name";
	else if (b[pos] == ' ' || b[pos] == '\t')
		why = pos == p->mark ? "folded line"
				     : "white space in a field name";
	else if (b[pos] == '\n' && pos == p->mark)
		why = "bare LF";
	else if (b[pos] == '\r' || b[pos] == '\n')
		why = "line without a colon";
	return httpparse_fail(p, 400, why);
}

static int step_name(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t pos = (uint32_t)(httpchar_scan_token(b + p->pos, b + end) - b);

	p->pos = pos;
	if (pos == end)
		return HTTPPARSE_MORE;
	if (rg_unlikely(b[pos] != ':' || pos == p->mark))
		return bad_name(p, b, pos);
	p->colon = pos;
	p->pos = pos + 1;
	p->state = ST_VALUE;
	return STEP_NEXT;
}

static int step_value(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	uint32_t pos = (uint32_t)(httpchar_scan_value(b + p->pos, b + end) - b);
	struct httpfield *f;

	p->pos = pos;
	if (end - pos < 2 && (pos == end || b[pos] == '\r'))
		return HTTPPARSE_MORE;
	if (rg_unlikely(b[pos] != '\r' || b[pos + 1] != '\n'))
		return httpparse_fail(
			p, 400,
			line_end_reason(b[pos],
					"invalid byte in a field value"));
	f = &p->head.fields[p->head.nfields++];
	f->name = httpslice_make(p->mark, p->colon);
	f->value = httpslice_trim(b, p->colon + 1, pos);
	p->mark = pos + 2;
	p->state = ST_FIELD;
	return httpframing_matters(p, f) ? httpframing_field(p, b, f)
					 : STEP_NEXT;
}

static int fields(struct httpparse *p, const uint8_t *b, uint32_t end)
{
	int rc = STEP_NEXT;

	while (rc == STEP_NEXT) {
		if (p->state == ST_FIELD)
			rc = step_field(p, b, end);
		if (rc == STEP_NEXT && p->state == ST_NAME)
			rc = step_name(p, b, end);
		if (rc == STEP_NEXT)
			rc = step_value(p, b, end);
	}
	if (rc == HTTPPARSE_MORE && end == p->max_head)
		return httpparse_fail(p, 431, "head too large");
	return rc;
}

int httpparse_run(struct httpparse *p, const char *buf, size_t len)
{
	const uint8_t *b = (const uint8_t *)buf;
	uint32_t end = len < p->max_head ? (uint32_t)len : p->max_head;
	int rc = STEP_NEXT;

	if (p->state < ST_STATUS)
		rc = request_line(p, b, end);
	else if (p->state < ST_FIELD)
		rc = status_line(p, b, end);
	else if (p->state >= ST_DONE)
		return p->state == ST_DONE ? HTTPPARSE_OK : HTTPPARSE_ERROR;
	if (rc == STEP_NEXT)
		rc = fields(p, b, end);
	else if (rc == HTTPPARSE_MORE && end == p->max_head)
		return httpparse_fail(p, 431, "head too large");
	if (rc != HTTPPARSE_OK)
		return rc;
	p->state = ST_DONE;
	return httpframing_finish(p);
}

/* ---- begin and look up ---- */

static void init(struct httpparse *p, struct httpfield *fields_,
		 uint32_t max_fields, const struct httplimits *limits)
{
	memset(p, 0, sizeof(*p));
	p->head.fields = fields_;
	p->head.content_length = -1;
	p->max_fields = max_fields;
	p->max_head = limits && limits->max_head ? limits->max_head
						 : HTTPPARSE_MAX_HEAD;
	p->max_line = limits && limits->max_line ? limits->max_line
						 : HTTPPARSE_MAX_LINE;
}

void httpparse_init_request(struct httpparse *p, struct httpfield *fields_,
			    uint32_t max_fields,
			    const struct httplimits *limits)
{
	init(p, fields_, max_fields, limits);
	p->kind = KIND_REQUEST;
	p->state = ST_BLANK;
}

void httpparse_init_response(struct httpparse *p, struct httpfield *fields_,
			     uint32_t max_fields,
			     const struct httplimits *limits,
			     enum httpmethod request_method)
{
	init(p, fields_, max_fields, limits);
	p->kind = KIND_RESPONSE;
	p->state = ST_STATUS;
	p->to_method = (uint8_t)request_method;
}

void httpparse_init_trailer(struct httpparse *p, struct httpfield *fields_,
			    uint32_t max_fields,
			    const struct httplimits *limits)
{
	init(p, fields_, max_fields, limits);
	p->kind = KIND_TRAILER;
	p->state = ST_FIELD;
}

bool httpparse_is_idle(const struct httpparse *p)
{
	return p->state == ST_BLANK || (p->state == ST_STATUS && !p->pos);
}

const struct httpfield *httphead_find(const struct httphead *h, const char *buf,
				      const char *name, size_t name_len,
				      const struct httpfield *after)
{
	const struct httpfield *end = h->fields + h->nfields;

	for (const struct httpfield *f = after ? after + 1 : h->fields; f < end;
	     f++)
		if (f->name.len == name_len &&
		    httpchar_ieq(buf + f->name.off, name, name_len))
			return f;
	return NULL;
}
