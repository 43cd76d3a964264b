/* SPDX-License-Identifier: MIT */
/*
 * httpfinish - how a request ends: its response is completed, what is left of its
 * body is dropped, and the connection goes on or is closed so that the client can
 * still read what was sent.
 *
 *   I1  a connection goes on only if the end of the body was reached and the client
 *       was not told otherwise.
 *   I2  closing while bytes of the client are unread makes TCP send a reset, which
 *       destroys what the client has not read yet. So first our side only is shut,
 *       and what still comes is dropped for a short while ("lingering close").
 * The connection's goroutine only; parks.
 */
#ifndef RG_HTTPFINISH_H
#define RG_HTTPFINISH_H

#include <stdbool.h>

struct httpblock;
struct httpconn;

/* httpfinish - after the handler. True: the next request may come. The response may
 * still be held in b->out then; else everything is sent. */
bool httpfinish(struct httpconn *hc, struct httpblock *b);

/* httpfinish_refuse - answer a request that no handler sees with a short text
 * (reason NULL: the status alone); the connection is over. */
void httpfinish_refuse(struct httpconn *hc, struct httpblock *b, int status,
		       const char *reason);

#endif
