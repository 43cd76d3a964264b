/* SPDX-License-Identifier: MIT */
/*
 * httpparse - a strict, incremental parser of HTTP/1.1 heads: of requests, of
 * responses, and of the trailer section after a chunked body.
 *
 * The caller owns a buffer that grows. It calls httpparse_run with all bytes
 * since the head's first one each time more have come; the parser continues
 * where it stopped. What it found are slices (offset, length) from the head's
 * first byte, so the buffer may move between calls.
 *   I1  the outcome (ok, or which error) depends on the bytes only, not on how
 *       they were cut into calls: it is the first fault from left to right.
 *   I2  each byte is looked at a bounded number of times, whatever the cuts.
 *   I3  no byte beyond the head is looked at; head.len says where the body
 *       starts.
 *   I4  nothing is allocated, nothing is written to the buffer.
 *   I5  a limit is an error as soon as that many bytes are there without the
 *       end: a peer that sends junk forever is refused without a timeout.
 *   I6  after ok, head.body and head.content_length are what RFC 9112 section 6
 *       says, and every message whose framing two implementations might read
 *       differently has been refused.
 * Strict means: CRLF only (no bare CR, no bare LF), no folded lines, no space
 * before the colon, no control byte or NUL anywhere, one Host on 1.1, one
 * coding "chunked" or none, one value of Content-Length. Semantics as Go's
 * net/http where that is as strict; RFC 9112 decides the rest.
 *
 * Pure functions on the caller's memory: any goroutine or thread, never parks;
 * a parser is used by one caller at a time. About 200 bytes of stack.
 *
 * Rejected: searching "\r\n\r\n" first and parsing then (junk is refused late,
 * each byte is looked at twice); callbacks as in llhttp (state for the user,
 * slower); http-parser (accepts smuggling forms).
 * Sources: RFC 9110, RFC 9112,
 * picohttpparser (layout of the loop), Go's net/http.
 */
#ifndef RG_HTTPPARSE_H
#define RG_HTTPPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of the buffer: off bytes after the head's first byte. */
struct httpslice {
	uint32_t off, len;
};

/* name is a token as sent (any case); value has no white space around it. */
struct httpfield {
	struct httpslice name, value;
};

#define HTTP_METHODS(X)                                                        \
	X(GET)                                                                 \
	X(HEAD)                                                                \
	X(POST)                                                                \
	X(PUT)                                                                 \
	X(DELETE)                                                              \
	X(CONNECT)                                                             \
	X(OPTIONS)                                                             \
	X(TRACE)                                                               \
	X(PATCH)

#define HTTP_METHOD_ENUM(name) HTTP_##name,
enum httpmethod {
	HTTP_OTHER, /* any other token; methods are case-sensitive: "get" too */
	HTTP_METHODS(HTTP_METHOD_ENUM) HTTP_NMETHODS
};
#undef HTTP_METHOD_ENUM

enum httptarget {
	HTTPTARGET_ORIGIN,    /* "/path?query" */
	HTTPTARGET_ABSOLUTE,  /* "http://host/path?query", https too */
	HTTPTARGET_AUTHORITY, /* "host:port", CONNECT only */
	HTTPTARGET_ASTERISK,  /* "*", OPTIONS only */
};

/* How the body is delimited. */
enum httpbody {
	HTTPBODY_NONE,    /* there is none */
	HTTPBODY_LENGTH,  /* content_length bytes, > 0 */
	HTTPBODY_CHUNKED, /* see httpchunk.h */
	HTTPBODY_CLOSE,   /* until the peer closes; responses only */
};

struct httphead {
	/* all heads */
	uint32_t len; /* bytes of the head, its empty line included */
	uint32_t nfields;
	struct httpfield *fields; /* in the order sent; the caller's array */

	/* requests and responses */
	uint8_t minor;    /* of HTTP/1.minor: 0 or 1 */
	bool keep_alive;  /* the peer's wish by version and Connection;
				  * false with HTTPBODY_CLOSE */
	bool has_upgrade; /* Connection names "upgrade" */
	enum httpbody body;
	int64_t content_length; /* as declared; -1: none declared. A response to
				  * HEAD and a 304 may declare one without
				  * body. */

	/* requests */
	bool expect_continue; /* "Expect: 100-continue" on 1.1 and a body to
				  * come: send 100 before the first read of
				  * it */
	bool has_query;       /* the target holds a '?' */
	enum httpmethod method;
	enum httptarget form;
	struct httpslice method_name;
	struct httpslice target; /* as sent */
	/* Still escaped, escapes are well-formed; starts with '/', or is
	 * empty: of authority and asterisk form, and of "http://host". */
	struct httpslice path;
	struct httpslice query; /* after the '?', not checked further */
	/* The authority of an absolute or authority target, else the value
	 * of the Host field, possibly with ":port"; empty if neither is
	 * there. */
	struct httpslice host;

	/* responses */
	int status;              /* 100 to 599 */
	struct httpslice reason; /* may be empty */
};

/* Limits in bytes; 0 takes the default in brackets. */
struct httplimits {
	uint32_t max_head; /* whole head [1 MiB]: else 431 */
	uint32_t max_line; /* request line with its CRLF [16 KiB]: else 414 */
};

#define HTTPPARSE_MAX_HEAD (1u << 20)
#define HTTPPARSE_MAX_LINE (16u << 10)
/* Empty lines tolerated before a request line (RFC 9112 section 2.2). */
#define HTTPPARSE_MAX_BLANK 4
/* A longer method is 501. */
#define HTTPPARSE_MAX_METHOD 64

enum {
	HTTPPARSE_ERROR = -1,
	HTTPPARSE_MORE = 0,
	HTTPPARSE_OK = 1,
};

struct httpparse {
	/* result: head after HTTPPARSE_OK, the others after HTTPPARSE_ERROR */
	struct httphead head;
	int status; /* what to answer: 400, 414, 417, 431, 501 or 505; of
			     * a response or trailer: 400 or 431 */
	const char *reason; /* static English text */

	/* private: const after init */
	uint32_t max_fields;
	uint32_t max_head;
	uint32_t max_line;
	uint8_t kind;
	uint8_t to_method; /* of a response: enum httpmethod of the request */

	/* private: where it stopped */
	uint8_t state;
	uint8_t nblank;
	uint32_t mark; /* start of the element in progress */
	uint32_t pos;  /* first byte not looked at yet */
	uint32_t colon;
	uint32_t seen; /* bit set of what the fields said */
};

/*
 * httpparse_init_request, _response, _trailer - begin a head. fields has room
 * for max_fields; one more is 431 (200 is plenty). limits may be NULL.
 * request_method is that of the request answered: it decides whether there is a
 * body. A response whose status is 1xx is followed by another head (101 and a
 * 2xx to CONNECT: by another protocol; body is HTTPBODY_NONE). A trailer has
 * fields only, head.len includes its empty line; fields that must not be in a
 * trailer (framing, routing, credentials, content coding) are errors. To parse
 * the next head of a connection, init again.
 */
void httpparse_init_request(struct httpparse *p, struct httpfield *fields,
			    uint32_t max_fields,
			    const struct httplimits *limits);
void httpparse_init_response(struct httpparse *p, struct httpfield *fields,
			     uint32_t max_fields,
			     const struct httplimits *limits,
			     enum httpmethod request_method);
void httpparse_init_trailer(struct httpparse *p, struct httpfield *fields,
			    uint32_t max_fields,
			    const struct httplimits *limits);

/*
 * httpparse_run - parse buf[0..len). buf holds the same bytes as at the last
 * call and possibly more after them, perhaps elsewhere in memory.
 * HTTPPARSE_OK: head is filled, the body starts at buf + head.len.
 * HTTPPARSE_MORE: come back with more bytes. The peer closed: if
 *   httpparse_is_idle, between messages, else in the middle of one.
 * HTTPPARSE_ERROR: status and reason are set; the connection cannot be used on.
 * After OK or ERROR it returns the same again until the next init.
 */
int httpparse_run(struct httpparse *p, const char *buf, size_t len);

/* Nothing has come since init but, before a request, empty lines. */
bool httpparse_is_idle(const struct httpparse *p);

/*
 * httphead_find - the first field with that name after `after` (NULL: from the
 * start), or NULL. name is in any case, name_len long; buf is the head's first
 * byte.
 */
const struct httpfield *httphead_find(const struct httphead *h, const char *buf,
				      const char *name, size_t name_len,
				      const struct httpfield *after);

/* The spelling of a method, NULL for HTTP_OTHER. */
const char *httpmethod_name(enum httpmethod method);
/* Its number by its exact spelling, or HTTP_OTHER. */
enum httpmethod httpmethod_parse(const char *name, size_t len);

static inline const char *httpslice_at(const char *buf, struct httpslice s)
{
	return buf + s.off;
}

#endif
