/* SPDX-License-Identifier: MIT */
/*
 * httpblock - the memory of a connection while it is busy with a request: input and
 * output, the parser, the request, the response. Between requests a connection has
 * none: what it costs then is its goroutine's one page.
 *
 *   I1  a block is owned by one connection from httpblock_get to httpblock_put.
 *   I2  a pool belongs to one server and keeps the most recently used blocks, so
 *       that few are warm; beyond HTTPBLOCK_KEEP a stripe they are freed.
 *   I3  the stripe is chosen by the worker thread, so its lock is rarely fought for;
 *       any block may go to any stripe.
 * Stripes' locks are leaves. get and put do not park; a goroutine's thread only.
 * Rejected: malloc and free for each busy phase (its large classes are not cached
 * by every allocator), a block for life (16 KB an idle connection).
 */
#ifndef RG_HTTPBLOCK_H
#define RG_HTTPBLOCK_H

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/rtlock.h"
#include "net/http/httpin.h"
#include "net/http/httpout.h"
#include "net/http/httpparse.h"
#include "net/http/httprequest.h"
#include "net/http/httpwriter.h"

enum {
	HTTPBLOCK_IN = 4096,
	HTTPBLOCK_FIELDS = 200, /* of one head; more is 431 */
	HTTPBLOCK_STRIPES = 8,  /* a power of two */
	HTTPBLOCK_KEEP = 128,
};

struct httpblock {
	struct httpblock *next_free;
	struct httpin in;
	struct httpparse parse;
	struct rg_http_request request;
	struct rg_http_writer writer;
	struct httpout out;
	struct httpfield fields[HTTPBLOCK_FIELDS];
	char in_lent[HTTPBLOCK_IN];
};

/* Zeroed memory is an empty pool. */
struct httpblock_pool {
	struct httpblock_stripe {
		RG_CACHE_ALIGNED struct rtlock lock;
		uint32_t n;
		struct httpblock *free;
	} stripes[HTTPBLOCK_STRIPES];
};

/* httpblock_get - a block whose in, out and request are set up for conn; NULL: no
 * memory. */
struct httpblock *httpblock_get(struct httpblock_pool *p, rg_conn *conn,
				rg_duration write_timeout);
void httpblock_put(struct httpblock_pool *p, struct httpblock *b);

/* httpblock_free_all - the pool is empty again; nobody else uses it. */
void httpblock_free_all(struct httpblock_pool *p);

#endif
