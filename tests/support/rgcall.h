/* SPDX-License-Identifier: MIT */
/*
 * rgcall - a call that parks, on a goroutine of its own: what a test wakes, closes or
 * cancels under its feet, and whose result it then looks at.
 */
#ifndef RG_TESTS_RGCALL_H
#define RG_TESTS_RGCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <ringgo.h>

struct t_call {
	ssize_t (*fn)(struct t_call *c);
	rg_ctx *ctx; /* bound while fn runs; NULL: none */
	/* fn's to use */
	void *object;
	int fd, other_fd, flags;
	short events;
	void *buf;
	size_t n;
	off_t *off;
	struct sockaddr_storage from;
	socklen_t from_len;
	/* results */
	_Atomic bool started, ended;
	ssize_t ret; /* once it has ended */
};

/* t_call_start - run c->fn(c) on a goroutine that w waits for. May be started again
 * when it has ended. */
void t_call_start(struct t_call *c, rg_waitgroup *w);

/* t_call_park - the same; it has begun, has had the time to park, and has not ended.
 * Context: goroutine. */
void t_call_park(struct t_call *c, rg_waitgroup *w);

#endif
