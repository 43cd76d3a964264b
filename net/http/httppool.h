/* SPDX-License-Identifier: MIT */
/*
 * httppool - connections of a client that wait for their next request.
 *
 *   I1  a connection is in the pool or belongs to one call, never both.
 *   I2  at most max_idle in all and max_per_host a host are kept, the most recently
 *       used ones; what has been idle for longer than idle_timeout is closed when
 *       the pool is next looked at.
 *   I3  what is handed out had neither ended nor unread bytes when it was looked at;
 *       it may end right after that: callers retry.
 * Any goroutine or thread. The lock is held for list work only; closing parks.
 * Rejected: a goroutine or timer that closes in the background (it would keep a
 * program that has nothing else to do from ending in its deadlock report).
 */
#ifndef RG_HTTPPOOL_H
#define RG_HTTPPOOL_H

#include <ringgo/net.h>
#include <ringgo/sync.h>

#include "kernel-iface/base/list.h"

struct httplink {
	struct list link; /* under the pool's lock; newest first */
	rg_conn *conn;    /* a reference */
	rg_time since;    /* when it became idle */
	bool has_deadline;
	char key[]; /* "host:port" */
};

struct httppool {
	/* const after init */
	int max_idle, max_per_host;
	rg_duration idle_timeout;

	/* under lock */
	rg_mutex lock;
	struct list idle;
	int nidle;
};

/* httplink_dial - a new connection to key; 0 and *out, or a negative errno. */
int httplink_dial(const char *key, struct httplink **out);
void httplink_close(struct httplink *l);

/* httppool_get - an idle connection to key, or NULL. */
struct httplink *httppool_get(struct httppool *p, const char *key);

/* httppool_put - keep l, or close it. */
void httppool_put(struct httppool *p, struct httplink *l);

/* httppool_close_all - nothing is idle any more. */
void httppool_close_all(struct httppool *p);

#endif
