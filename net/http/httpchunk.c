// SPDX-License-Identifier: MIT
/*
 * httpchunk - see httpchunk.h.
 *
 *	ST_SIZE -> [ST_SPACE ->] [ST_EXTENSION ->] ST_SIZE_LF
 *	ST_SIZE_LF -> ST_DATA -> ST_DATA_CR -> ST_DATA_LF -> ST_SIZE
 *	ST_SIZE_LF -> ST_TRAILER -> ST_DONE	(size 0)
 */
#include "net/http/httpchunk.h"

#include <string.h>

#include "kernel-iface/base/check.h"
#include "net/http/httpchar.h"

enum {
	ST_SIZE,
	ST_SPACE, /* after the size: only more space or ';' */
	ST_EXTENSION,
	ST_SIZE_LF,
	ST_DATA,
	ST_DATA_CR,
	ST_DATA_LF,
	ST_TRAILER,
	ST_DONE,
	ST_FAILED,
};

#define MAX_DIGITS 16

static RG_COLD int fail(struct httpchunk *c, int status, const char *reason)
{
	c->state = ST_FAILED;
	c->status = status;
	c->reason = reason;
	return HTTPCHUNK_ERROR;
}

void httpchunk_init(struct httpchunk *c, struct httpfield *fields,
		    uint32_t max_fields, const struct httplimits *limits)
{
	struct httplimits bound = {.max_head = HTTPPARSE_MAX_LINE};

	if (limits && limits->max_head)
		bound.max_head = limits->max_head;
	memset(c, 0, sizeof(*c));
	httpparse_init_trailer(&c->trailer, fields, max_fields, &bound);
}

static int take_digit(struct httpchunk *c, uint8_t digit)
{
	if (c->ndigits == MAX_DIGITS || c->left > INT64_MAX >> 4)
		return fail(c, 400, "chunk size too large");
	c->left = c->left << 4 | digit;
	c->ndigits++;
	return HTTPCHUNK_MORE;
}

/* A byte of the size line that is no digit of the size. */
static int take_size_end(struct httpchunk *c, uint8_t ch)
{
	if (!c->ndigits)
		return fail(c, 400, "malformed chunk size");
	if (ch == ';')
		c->state = ST_EXTENSION;
	else if (ch == ' ' || ch == '\t')
		c->state = ST_SPACE;
	else if (ch == '\r' && c->state == ST_SIZE)
		c->state = ST_SIZE_LF;
	else
		return fail(c, 400, "malformed chunk size");
	return HTTPCHUNK_MORE;
}

/* The size line is complete. */
static int begin_chunk(struct httpchunk *c)
{
	/* The line with its CR, its LF, CRLF after the data; 16 are free. */
	uint64_t allowed = 16 + 2 * (c->left < INT32_MAX ? c->left : INT32_MAX);

	c->excess += c->line + 3;
	c->excess -= c->excess < allowed ? c->excess : allowed;
	if (c->excess > HTTPCHUNK_MAX_EXCESS)
		return fail(c, 400, "too much chunk overhead");
	c->state = c->left ? ST_DATA : ST_TRAILER;
	c->line = 0;
	c->ndigits = 0;
	return HTTPCHUNK_MORE;
}

/* One byte of framing; HTTPCHUNK_MORE is "go on". */
static int take_byte(struct httpchunk *c, uint8_t ch)
{
	switch (c->state) {
	case ST_SIZE:
		if (httpchar_hex[ch] != 0xff)
			return take_digit(c, httpchar_hex[ch]);
		return take_size_end(c, ch);
	case ST_SPACE:
		return take_size_end(c, ch);
	case ST_EXTENSION: /* the first byte that cannot be in one */
		c->state = ST_SIZE_LF;
		if (ch == '\r')
			return HTTPCHUNK_MORE;
		return fail(c, 400, "invalid byte in a chunk extension");
	case ST_SIZE_LF:
		if (ch == '\n')
			return begin_chunk(c);
		return fail(c, 400, "bare CR after a chunk size");
	case ST_DATA_CR:
		c->state = ST_DATA_LF;
		if (ch == '\r')
			return HTTPCHUNK_MORE;
		break;
	default: /* ST_DATA_LF */
		c->state = ST_SIZE;
		if (ch == '\n')
			return HTTPCHUNK_MORE;
		break;
	}
	return fail(c, 400, "chunk data without CRLF after it");
}

/* Framing up to the next data, the trailer, a fault or the end of what is
 * there; *pos moves on. */
static int take_framing(struct httpchunk *c, const uint8_t *b, size_t len,
			size_t *pos)
{
	int rc = HTTPCHUNK_MORE;

	while (rc == HTTPCHUNK_MORE && *pos < len && c->state != ST_DATA &&
	       c->state != ST_TRAILER) {
		if (c->state <= ST_EXTENSION) {
			size_t start = *pos;
			size_t room = HTTPCHUNK_MAX_LINE - c->line;
			size_t end = len - start > room ? start + room : len;

			if (c->state == ST_EXTENSION)
				*pos = (size_t)(httpchar_scan_value(b + start,
								    b + end) -
						b);
			c->line += (uint32_t)(*pos - start);
			if (c->line == HTTPCHUNK_MAX_LINE)
				return fail(c, 400, "chunk size line too long");
			if (*pos == len)
				break;
			c->line++;
		}
		rc = take_byte(c, b[(*pos)++]);
	}
	return rc;
}

static int take_data(struct httpchunk *c, const char *buf, size_t len,
		     struct httpchunk_step *step)
{
	step->data = buf + step->used;
	step->data_len = len - step->used;
	if (step->data_len > c->left)
		step->data_len = (size_t)c->left;
	step->used += step->data_len;
	httpchunk_took(c, step->data_len);
	return HTTPCHUNK_DATA;
}

static int take_trailer(struct httpchunk *c, const char *buf, size_t len,
			struct httpchunk_step *step)
{
	int rc = httpparse_run(&c->trailer, buf + step->used, len - step->used);

	if (rc == HTTPPARSE_ERROR)
		return fail(c, c->trailer.status, c->trailer.reason);
	if (rc == HTTPPARSE_MORE)
		return HTTPCHUNK_MORE;
	c->state = ST_DONE;
	step->data = buf + step->used;
	step->data_len = c->trailer.head.len;
	step->used += step->data_len;
	return HTTPCHUNK_END;
}

int httpchunk_next(struct httpchunk *c, const char *buf, size_t len,
		   struct httpchunk_step *step)
{
	*step = (struct httpchunk_step){.data = buf};
	if (rg_unlikely(c->state >= ST_DONE))
		return c->state == ST_DONE ? HTTPCHUNK_END : HTTPCHUNK_ERROR;
	if (take_framing(c, (const uint8_t *)buf, len, &step->used) ==
	    HTTPCHUNK_ERROR)
		return HTTPCHUNK_ERROR;
	if (c->state == ST_DATA && step->used < len)
		return take_data(c, buf, len, step);
	if (c->state == ST_TRAILER)
		return take_trailer(c, buf, len, step);
	return HTTPCHUNK_MORE;
}

uint64_t httpchunk_direct(const struct httpchunk *c)
{
	return c->state == ST_DATA ? c->left : 0;
}

void httpchunk_took(struct httpchunk *c, uint64_t n)
{
	RG_ASSERT(c->state == ST_DATA && n <= c->left);
	c->left -= n;
	if (!c->left)
		c->state = ST_DATA_CR;
}

size_t httpchunk_format(char out[HTTPCHUNK_HEAD], uint64_t n)
{
	size_t ndigits = n ? (67 - (size_t)__builtin_clzll(n)) / 4 : 1;

	for (size_t i = ndigits; i-- > 0; n >>= 4)
		out[i] = "0123456789abcdef"[n & 15];
	out[ndigits] = '\r';
	out[ndigits + 1] = '\n';
	return ndigits + 2;
}
