/* SPDX-License-Identifier: MIT */
/*
 * dial - what dial.c (one address, or one after the other) and dialrace.c (several at once)
 * share.
 */
#ifndef RG_NET_DIAL_H
#define RG_NET_DIAL_H

#include "net/conn.h"
#include "net/resolve.h"

enum { DIAL_RETRIES = 2 };

struct dialling {
	const rg_net_options *o; /* may be NULL */
	union addr_ip local;     /* to bind to; AF_UNSPEC: the kernel chooses */
	struct rg_conn *c;       /* who gets the descriptor */
};

/* dial_open - a socket for one attempt, ready to be connected; or a negative errno. */
int dial_open(const struct dialling *d, int family);

/* dial_is_self - fd is connected to itself. *peer: whom it is connected to. */
bool dial_is_self(int fd, union addr_ip *peer);

/* dial_close_self - close without TIME_WAIT: the port is that of a service which may
 * want to start. */
void dial_close_self(int fd);

/* dial_context_error - 0, or why the caller's context ended. */
int dial_context_error(void);

/* dial_worse - which of two failures, one of them maybe 0, says less about the peer:
 * true: a. */
bool dial_worse(int a, int b);

/*
 * dial_race - connect to the addresses of *r as RFC 8305 has it: a new attempt every
 * `delay`, sooner when one fails or the context's deadline is near, families in turn; the
 * first connection stays, d->c has it, the others are closed. 0 or a negative errno.
 */
int dial_race(const struct dialling *d, const struct resolved *r,
	      rg_duration delay);

#endif
