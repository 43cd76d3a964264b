/* SPDX-License-Identifier: MIT */
/*
 * httpconn - one connection of a server: a goroutine that reads requests, has them
 * answered and writes the responses, until either side has had enough.
 *
 *	await_request   idle: parked in a read into a small buffer on the stack,
 *	   |            without a block
 *	   v
 *	serve_burst     a block; each complete head is answered in turn; what has
 *	   |            been answered is flushed before anything is waited for
 *	   +---> idle again, or the end
 *
 *   I1  one read and one write an ordinary request; requests that came together are
 *       answered together (httpquick.h says when an answer may wait for another).
 *   I2  struct httpconn is the argument that was copied to the goroutine's stack, so
 *       it lives exactly as long; httpconn_end, deferred, undoes everything, also
 *       when a handler calls rg_exit.
 *   I3  a deadline is moved only when it is off by more than an eighth.
 *   I4  once the server stops, an idle connection ends; an active one ends after its
 *       response, which says so.
 */
#ifndef RG_HTTPCONN_H
#define RG_HTTPCONN_H

#include <ringgo/http.h>

#include <stdatomic.h>

#include "kernel-iface/base/list.h"

struct g_defer;
struct httpblock;

enum httpconn_state {
	HTTPCONN_NEW,  /* nothing received yet */
	HTTPCONN_IDLE, /* between requests */
	HTTPCONN_ACTIVE,
};

struct httpconn {
	/* const after start */
	rg_http_server *server; /* a reference */
	rg_conn *conn;          /* a reference */
	struct g_defer *at_end; /* memory for the deferred call of I2 */

	struct list link;      /* under server->lock */
	_Atomic uint8_t state; /* written by the owner */

	/* the goroutine's own */
	struct httpblock *block; /* NULL: idle */
	rg_ctx *base_ctx;        /* bound when it began; a reference */
	rg_time read_deadline;   /* as last set */
	rg_time request_start;   /* when its first byte was seen */
};

/* httpconn_start - a goroutine for conn, which it takes over. On failure (of rg_go:
 * no memory) conn is still the caller's. */
int httpconn_start(rg_http_server *s, rg_conn *conn);

/* httpconn_arm_body - the read deadline of a request's body from now on. 0 or
 * -ECANCELED. */
int httpconn_arm_body(struct httpconn *hc);

/* httpconn_set_read_deadline - the same for any time; 0: none. */
int httpconn_set_read_deadline(struct httpconn *hc, rg_time t);

/* httpconn_allows_reuse - the server goes on. */
bool httpconn_allows_reuse(const struct httpconn *hc);

#endif
