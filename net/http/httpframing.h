/* SPDX-License-Identifier: MIT */
/*
 * httpframing - what the fields of a head mean for the message: which body,
 * which host, whether the connection lives on. The second half of httpparse;
 * nobody else includes this.
 *
 *   I1  httpframing_field sees every field for which httpframing_matters, in
 *       order, once; httpframing_finish comes last, once.
 *   I2  a head with two readings of its framing is refused, not repaired: that
 *       is how requests are smuggled past a proxy.
 * Sources: RFC 9112 sections 3.2, 6 and 9.3, RFC 9110 sections 6.5.1 and
 * 10.1.1.
 */
#ifndef RG_HTTPFRAMING_H
#define RG_HTTPFRAMING_H

#include "net/http/httpparse.h"

enum { KIND_REQUEST, KIND_RESPONSE, KIND_TRAILER };

/* A step's result besides HTTPPARSE_*: go on with the next. */
#define STEP_NEXT 2

/* In httpparse.c: note the fault; returns HTTPPARSE_ERROR. */
__attribute__((cold, noinline)) int
httpparse_fail(struct httpparse *p, int status, const char *reason);

static inline struct httpslice httpslice_make(uint32_t off, uint32_t end)
{
	return (struct httpslice){.off = off, .len = end - off};
}

/* b[off..end) without the white space around it. */
static inline struct httpslice httpslice_trim(const uint8_t *b, uint32_t off,
					      uint32_t end)
{
	while (off < end && (b[off] == ' ' || b[off] == '\t'))
		off++;
	while (end > off && (b[end - 1] == ' ' || b[end - 1] == '\t'))
		end--;
	return httpslice_make(off, end);
}

/* False: no name of that length means anything to httpframing_field. */
static inline bool httpframing_matters(const struct httpparse *p,
				       const struct httpfield *f)
{
	const uint32_t lens =
		1u << 4 | 1u << 6 | 1u << 10 | 1u << 14 | 1u << 17;

	return p->kind == KIND_TRAILER ||
	       (f->name.len < 32 && (lens >> f->name.len & 1));
}

/* Both return STEP_NEXT or HTTPPARSE_OK, or HTTPPARSE_ERROR. */
int httpframing_field(struct httpparse *p, const uint8_t *b,
		      const struct httpfield *f);
int httpframing_finish(struct httpparse *p);

#endif
