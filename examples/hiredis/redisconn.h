/* SPDX-License-Identifier: MIT */
/*
 * redisconn - hiredis' asynchronous interface on goroutines: any number of them share one
 * connection, and each call looks as if it blocked.
 */
#ifndef REDISCONN_H
#define REDISCONN_H

#include <ringgo.h>

typedef struct redisconn redisconn;

/* What is kept of a reply: hiredis' own is gone when its callback returns. */
struct redisreply {
	int type;        /* REDIS_REPLY_* of hiredis.h */
	int64_t integer; /* a number; the elements of an array; the length of text */
	char text[256]; /* a string, status or error, cut if it is longer */
};

/* redisconn_open - *out is a connection in progress: what becomes of it, the first call
 * tells. 0 or a negative errno. */
int redisconn_open(const char *host, int port, redisconn **out);

/* redisconn_call - send a command (hiredis' format) and park until its reply is there.
 * 0; -EPIPE: the connection is gone; -EINVAL: the format. Any goroutine. */
int redisconn_call(redisconn *r, struct redisreply *out, const char *format,
		   ...);

/* redisconn_close - what was asked is answered first. Nobody uses r any more. Parks. */
void redisconn_close(redisconn *r);

#endif
