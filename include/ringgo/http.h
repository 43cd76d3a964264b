/* SPDX-License-Identifier: MIT */
/*
 * ringgo/http.h - an HTTP/1.1 server, one goroutine a connection, and a client.
 *
 * A handler runs on the connection's goroutine. What the accessors of a request
 * return lives until the handler returns; a writer is not used after that. A
 * handler that gives up calls rg_exit: its connection is closed, the server lives.
 */
#ifndef RINGGO_HTTP_H
#define RINGGO_HTTP_H

#include <ringgo/base.h>
#include <ringgo/net.h>

RG_BEGIN_DECLS

typedef struct rg_http_writer rg_http_writer;
typedef struct rg_http_request rg_http_request;
typedef struct rg_http_mux rg_http_mux;
typedef struct rg_http_server rg_http_server;
typedef struct rg_http_client rg_http_client;
typedef struct rg_http_response rg_http_response;

typedef void rg_http_handler(rg_http_writer *w, rg_http_request *r, void *arg);

/*
 * rg_http_handle - register fn for a pattern on the default mux; Go 1.22 patterns:
 * "[METHOD ][HOST]/PATH" with {name}, {name...} and {$}; "*" takes every request that
 * no other pattern takes, its target uncleaned. 0, -EINVAL (pattern),
 * -EEXIST (conflicts with another), -ENOMEM.
 */
RG_API int rg_http_handle(const char *pattern, rg_http_handler *fn, void *arg);
RG_API rg_http_mux *rg_http_mux_new(void);
RG_API int rg_http_mux_handle(rg_http_mux *m, const char *pattern,
			      rg_http_handler *fn, void *arg);
RG_API void rg_http_mux_free(rg_http_mux *m);

/* rg_http_listen_and_serve - returns only on failure (negative errno). */
RG_API int rg_http_listen_and_serve(const char *address,
				    rg_http_mux *mux_or_null);

/* Zero is a safe default everywhere: 10 s for the header, none for read and write,
 * 120 s idle, 1 MiB of header, no limit of body or connections. */
typedef struct rg_http_server_options {
	rg_http_mux *mux; /* NULL: the default one; lent */
	rg_duration header_timeout, read_timeout, write_timeout, idle_timeout;
	size_t max_header_bytes;
	int64_t max_body_bytes;
	int max_connections;
	uint64_t reserved_[8];
} rg_http_server_options;

RG_API rg_http_server *rg_http_server_new(const rg_http_server_options *o);

/* rg_http_server_serve - accept and serve until shutdown (-ECANCELED) or a failure.
 * The server takes l over and closes it. */
RG_API int rg_http_server_serve(rg_http_server *s, rg_listener *l);

/* rg_http_server_shutdown - stop listening, close idle connections, wait for active
 * ones until `until` ends (NULL: without limit), then close these too. 0, or until's
 * error. */
RG_API int rg_http_server_shutdown(rg_http_server *s, rg_ctx *until);
RG_API void rg_http_server_free(rg_http_server *s); /* after serve returned */

RG_API const char *rg_http_method(const rg_http_request *r);
RG_API const char *rg_http_target(const rg_http_request *r); /* as sent */
RG_API const char *rg_http_path(const rg_http_request *r);   /* decoded */
RG_API const char *rg_http_query(rg_http_request *r, const char *key);
/* rg_http_header, _query and _path_value return NULL for what is not there; of several
 * header fields of one name, the first. */
RG_API const char *rg_http_header(const rg_http_request *r, const char *name);
RG_API const char *rg_http_path_value(rg_http_request *r, const char *name);
/* rg_http_ctx - lent; ends with the client or when the handler returns. It is not bound:
 * rg_ctx_bind it to make the handler's sleeps and I/O heed it, and bind the former one
 * back before answering, as writes heed the bound context, too. */
RG_API rg_ctx *rg_http_ctx(rg_http_request *r);

/* rg_http_body_read - 0 = end; -EBADMSG malformed, -EMSGSIZE over the limit. */
RG_API ssize_t rg_http_body_read(rg_http_request *r, void *buf, size_t n);

/*
 * rg_http_set_header, rg_http_status - count until the head is sent: at the first
 * flush, or when more than 4 KiB were written. A later value replaces an earlier one
 * (Set-Cookie adds). CR and LF in a value become spaces, a name that is no token is
 * ignored, a status outside 100 to 599 becomes 500.
 */
RG_API void rg_http_set_header(rg_http_writer *w, const char *name,
			       const char *value);
RG_API void rg_http_status(rg_http_writer *w, int code);
RG_API ssize_t rg_http_write(rg_http_writer *w, const void *buf, size_t n);
RG_API int rg_http_printf(rg_http_writer *w, const char *fmt, ...)
	RG_PRINTF(2, 3);
RG_API int rg_http_flush(rg_http_writer *w);

typedef struct rg_http_client_options {
	rg_duration timeout;      /* of a whole call; 0: none */
	int max_idle;             /* kept connections, all hosts; 0: 100 */
	int max_idle_per_host;    /* 0: 16 */
	rg_duration idle_timeout; /* of a kept connection; 0: 90 s */
	uint64_t reserved_[8];
} rg_http_client_options;

typedef struct rg_http_call {
	const char *method; /* NULL: GET */
	const char *url;
	const char *const *headers; /* name, value, ..., NULL */
	const void *body;
	size_t body_len;
	rg_duration timeout; /* of the whole call; 0: the client's */
	uint64_t reserved_[8];
} rg_http_call;

RG_API rg_http_client *rg_http_client_new(const rg_http_client_options *o);
RG_API void rg_http_client_free(rg_http_client *c);

/* rg_http_do - send the call, return when the response's head is there. NULL client:
 * the default one. -EINVAL: url, method or a header make no sense;
 * -EPROTONOSUPPORT: not http; -EBADMSG: malformed response; else of dial and I/O. */
RG_API int rg_http_do(rg_http_client *client_or_null, const rg_http_call *call,
		      rg_http_response **out);
RG_API int rg_http_get(const char *url, rg_http_response **out);

RG_API int rg_http_response_status(const rg_http_response *resp);
RG_API const char *rg_http_response_status_text(const rg_http_response *resp);
/* rg_http_response_header - NULL: not there; lives until close. */
RG_API const char *rg_http_response_header(const rg_http_response *resp,
					   const char *name);
/* rg_http_response_read - 0: the end; -EBADMSG: malformed or cut short; -EPIPE: the
 * peer is gone; -ETIMEDOUT, -ECANCELED: the call's time or context ended. */
RG_API ssize_t rg_http_response_read(rg_http_response *resp, void *buf,
				     size_t n);
RG_API void rg_http_response_close(rg_http_response *resp);

/* rg_debug_handle - mount /debug/ (a live page), /debug/pprof/goroutine and
 * /debug/ringgo/stats on a mux. Never mounted unless called. */
RG_API int rg_debug_handle(rg_http_mux *mux_or_null);

RG_END_DECLS

#endif
