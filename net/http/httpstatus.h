/* SPDX-License-Identifier: MIT */
/*
 * httpstatus - status codes, their texts, and what they say about a body.
 *
 * Pure functions, callable from anywhere. Source: RFC 9110 section 15 and the
 * registry of status codes.
 */
#ifndef RG_HTTPSTATUS_H
#define RG_HTTPSTATUS_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the longest line below. */
#define HTTPSTATUS_LINE_MAX 64

/* httpstatus_text - "Not Found" for 404; "" for a code that has no name. */
const char *httpstatus_text(int code);

/*
 * httpstatus_line - "HTTP/1.1 404 Not Found\r\n" into out, which has room for
 * HTTPSTATUS_LINE_MAX bytes; no NUL. Returns its length. code is 100 to 999.
 */
size_t httpstatus_line(char *out, int code);

/* A response with this code may have a body (RFC 9110 section 6.4.1). */
static inline bool httpstatus_has_body(int code)
{
	return code >= 200 && code != 204 && code != 304;
}

#endif
