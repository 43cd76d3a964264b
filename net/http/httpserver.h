/* SPDX-License-Identifier: MIT */
/*
 * httpserver - a server: its options, its listeners, its connections, its end.
 *
 *   I1  a reference each: the user (until rg_http_server_free), every serve call,
 *       every connection. The last one frees.
 *   I2  nconns counts connections from accept until their descriptor is closed;
 *       `conns` lists those whose goroutine runs.
 *   I3  `stopping` never goes back. It is set before anything is closed, and a
 *       connection looks at it after it has said that it is idle.
 * Lock order: server->lock is a leaf but for the calls that close or move the
 * deadline of a connection or listener.
 */
#ifndef RG_HTTPSERVER_H
#define RG_HTTPSERVER_H

#include <ringgo/chan.h>
#include <ringgo/http.h>
#include <ringgo/sync.h>

#include <stdatomic.h>

#include "kernel-iface/base/list.h"
#include "net/http/httpblock.h"
#include "net/http/httpquick.h"

struct httpconn;

struct rg_http_server {
	/* const after new */
	rg_http_mux *mux;
	rg_duration header_timeout; /* > 0, as the others; 0: none */
	rg_duration read_timeout;
	rg_duration write_timeout;
	rg_duration idle_timeout;
	struct httplimits limits;
	int64_t max_body; /* 0: no limit */
	rg_chan *slots;   /* one element a connection; NULL: no limit */
	rg_chan *stop;    /* closed when stopping */
	rg_chan *ended;   /* told that nconns is 0 while stopping; cap 1 */

	_Atomic uint32_t refs;
	_Atomic bool stopping; /* under lock; read by anyone */

	/* under lock */
	rg_mutex lock;
	struct list conns;     /* struct httpconn */
	struct list listeners; /* of serve calls in progress */
	int64_t nconns;
	bool is_cut; /* shutdown lost its patience */

	struct httpblock_pool pool;
	struct httpquick quick;
};

static inline bool httpserver_is_stopping(const rg_http_server *s)
{
	/* Relaxed: whoever must not miss it is looked for again and again. */
	return atomic_load_explicit(&s->stopping, memory_order_relaxed);
}

/*
 * A connection's life: httpserver_count before its goroutine exists (false: the
 * server stops), enter in it (false: end at once), leave before its descriptor is
 * closed, uncount after that: the caller's reference is gone then.
 */
bool httpserver_count(rg_http_server *s);
bool httpserver_enter(rg_http_server *s, struct httpconn *hc);
void httpserver_leave(rg_http_server *s, struct httpconn *hc);
void httpserver_uncount(rg_http_server *s);

#endif
