// SPDX-License-Identifier: MIT
/*
 * redisconn - see the header.
 *
 * hiredis' asynchronous context never waits for anything: it calls hooks that say when
 * it wants to read or write, and expects to be told when it can. Two goroutines do that,
 * each parked in rg_poll most of the time.
 *
 *   I1  The context is for one thread at a time: every call into it is made under lock.
 *   I2  Nothing parks inside hiredis: hooks and callbacks only set, signal, count down.
 *       So its code never finds itself on another thread in the middle.
 *   I3  The pumps poll a duplicate of the descriptor, which is closed when they have
 *       ended: hiredis closes its own number when it likes, and the number may be
 *       somebody else's a moment later.
 */
#include "examples/hiredis/redisconn.h"

#include <fcntl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct redisconn {
	rg_waitgroup pumps;
	int fd; /* the duplicate */

	/* under lock */
	rg_mutex lock;
	rg_cond wanted;        /* wants_write became true, or ac NULL */
	redisAsyncContext *ac; /* NULL: hiredis has freed it */
	bool wants_write;
};

struct call {
	struct redisreply *out;
	rg_latch answered;
	int err;
};

/* ---- hiredis' hooks: under lock, inside hiredis ------------------------------------ */

static void start_writing(void *arg)
{
	redisconn *r = arg;

	r->wants_write = true;
	rg_cond_signal(&r->wanted);
}

static void stop_writing(void *arg)
{
	redisconn *r = arg;

	r->wants_write = false;
}

/* It always wants to read: replies and the end come unasked. */
static void start_reading(void *arg)
{
	(void)arg;
}

/* The context is about to be freed, whoever ended it. */
static void forget(void *arg)
{
	redisconn *r = arg;

	r->ac = NULL;
	shutdown(r->fd, SHUT_RDWR); /* both pumps leave rg_poll */
	rg_cond_signal(&r->wanted);
}

/* ---- the pumps --------------------------------------------------------------------- */

static void pump_in(void *arg)
{
	redisconn *r = arg;

	rg_mutex_lock(&r->lock);
	while (r->ac) {
		rg_mutex_unlock(&r->lock);
		rg_poll(r->fd, POLLIN, RG_FOREVER);
		rg_mutex_lock(&r->lock);
		if (r->ac)
			redisAsyncHandleRead(r->ac);
	}
	rg_mutex_unlock(&r->lock);
}

static void pump_out(void *arg)
{
	redisconn *r = arg;

	rg_mutex_lock(&r->lock);
	while (r->ac) {
		if (!r->wants_write) {
			rg_cond_wait(&r->wanted, &r->lock);
			continue;
		}
		rg_mutex_unlock(&r->lock);
		rg_poll(r->fd, POLLOUT, RG_FOREVER);
		rg_mutex_lock(&r->lock);
		if (r->ac)
			redisAsyncHandleWrite(r->ac);
	}
	rg_mutex_unlock(&r->lock);
}

/* ---- opening and closing ----------------------------------------------------------- */

static int connect_to(redisconn *r, const char *host, int port)
{
	redisAsyncContext *ac = redisAsyncConnect(host, port);

	if (!ac)
		return -ENOMEM;
	if (!ac->err)
		r->fd = fcntl(ac->c.fd, F_DUPFD_CLOEXEC, 0);
	if (ac->err || r->fd < 0) {
		redisAsyncFree(ac);
		return -EIO;
	}
	ac->ev.data = r;
	ac->ev.addRead = ac->ev.delRead = start_reading;
	ac->ev.addWrite = start_writing;
	ac->ev.delWrite = stop_writing;
	ac->ev.cleanup = forget;
	r->ac = ac;
	r->wants_write = true; /* that is how it learns that it is connected */
	return 0;
}

int redisconn_open(const char *host, int port, redisconn **out)
{
	redisconn *r = calloc(1, sizeof *r);
	int err = -ENOMEM;

	if (!r)
		return err;
	r->fd = -1;
	err = connect_to(r, host, port);
	if (!err)
		err = rg_waitgroup_go(&r->pumps, pump_in, r);
	if (!err)
		err = rg_waitgroup_go(&r->pumps, pump_out, r);
	if (err)
		redisconn_close(r);
	else
		*out = r;
	return err;
}

void redisconn_close(redisconn *r)
{
	rg_mutex_lock(&r->lock);
	if (r->ac)
		redisAsyncDisconnect(r->ac);
	rg_mutex_unlock(&r->lock);
	rg_waitgroup_wait(&r->pumps);
	if (r->fd >= 0)
		rg_close(r->fd);
	free(r);
}

/* ---- calls ------------------------------------------------------------------------- */

static void copy_reply(struct redisreply *out, const redisReply *r)
{
	size_t n = r->len < sizeof out->text ? r->len : sizeof out->text - 1;

	out->type = r->type;
	out->integer = r->integer;
	if (r->type == REDIS_REPLY_ARRAY)
		out->integer = (int64_t)r->elements;
	if (!r->str)
		n = 0;
	else
		out->integer = (int64_t)r->len;
	memcpy(out->text, n ? r->str : "", n);
	out->text[n] = 0;
}

/* Inside hiredis. reply is hiredis' and NULL when none will come. */
static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
	struct call *call = arg;

	(void)ac;
	if (reply)
		copy_reply(call->out, reply);
	else
		call->err = -EPIPE;
	rg_latch_count_down(&call->answered);
}

int redisconn_call(redisconn *r, struct redisreply *out, const char *format,
		   ...)
{
	struct call call = {.out = out, .err = -EPIPE};
	va_list ap;

	rg_latch_init(&call.answered, 1);
	va_start(ap, format);
	rg_mutex_lock(&r->lock);
	if (r->ac && !(r->ac->c.flags & REDIS_DISCONNECTING))
		call.err = redisvAsyncCommand(r->ac, on_reply, &call, format,
					      ap) == REDIS_OK
				   ? 0
				   : -EINVAL;
	rg_mutex_unlock(&r->lock);
	va_end(ap);
	if (!call.err)
		rg_latch_wait(&call.answered);
	return call.err;
}
