// SPDX-License-Identifier: MIT
/*
 * kvclient - one connection: bytes in, requests run, replies out.
 *
 * What one read brings is a batch: however many requests are in it, one clock reading
 * and (up to FLUSH_AT bytes) one write serve them all. A client that asks for more than
 * it reads is held up in that write, and with it only its own goroutine.
 */
#include "examples/kv/kvserver.h"

#include <stdlib.h>

enum {
	READ_MIN = 4 << 10,  /* room that a read is offered */
	READ_MAX = 64 << 10, /* the same when reads fill it */
	FLUSH_AT = 64 << 10,
};
static const size_t request_max = (size_t)1 << 30; /* bytes */

static bool flush(struct kvclient *c)
{
	bool ok = !c->out.is_failed;

	if (ok && c->out.len)
		ok = rg_conn_write(c->conn, c->out.data, c->out.len) >= 0;
	c->out.len = 0;
	kvbuf_trim(&c->out, FLUSH_AT);
	return ok;
}

/* Run what is there in whole requests, and reply. false: that was the last. */
static bool run_batch(struct kvclient *c)
{
	enum kvparse_result r = KVPARSE_MORE;
	int64_t n = 0;
	bool ok = true;

	c->now = rg_unix_nano() / RG_MILLISECOND;
	while (ok && !c->is_closing &&
	       (r = kvparse_next(&c->parse, c->in.data, c->in.len)) ==
		       KVPARSE_REQUEST) {
		c->argc = c->parse.argc;
		c->argv = c->parse.argv;
		if (!c->argc)
			continue;
		kvcommand_run(c);
		n++;
		if (c->out.len >= FLUSH_AT)
			ok = flush(c);
	}
	/* Relaxed: a statistic. */
	atomic_fetch_add_explicit(&c->server->commands, n,
				  memory_order_relaxed);
	if (ok && r == KVPARSE_ERROR)
		kvreply_error(&c->out, "ERR Protocol error: %s",
			      c->parse.error);
	return ok && flush(c) && r != KVPARSE_ERROR && !c->is_closing;
}

/* Were the socket closed while bytes wait in it, the peer would get a reset, and might
 * never see the error that was just sent. */
static void linger(struct kvclient *c)
{
	char scrap[1024];

	rg_conn_set_read_deadline(c->conn, rg_now() + RG_SECOND);
	if (rg_conn_close_write(c->conn) < 0)
		return;
	while (rg_conn_read(c->conn, scrap, sizeof scrap) > 0)
		;
}

static void serve(struct kvclient *c)
{
	size_t room = READ_MIN;
	ssize_t n;

	for (;;) {
		if (!kvbuf_reserve(&c->in, room))
			return;
		room = c->in.cap - c->in.len;
		n = rg_conn_read(c->conn, c->in.data + c->in.len, room);
		if (n <= 0)
			return; /* the end, a failure, or the server stops */
		c->in.len += (size_t)n;
		if (!run_batch(c))
			break;
		kvbuf_drop(&c->in, c->parse.start);
		kvparse_moved(&c->parse);
		if (c->in.len > request_max)
			return;
		if (!c->in.len && c->in.cap > READ_MAX)
			kvbuf_trim(&c->in, READ_MIN);
		room = (size_t)n == room && room < READ_MAX ? 2 * room
							    : READ_MIN;
	}
	if (c->parse.error)
		linger(c);
}

/* ---- its life ---------------------------------------------------------------------- */

/* false: there are too many. */
static bool enter(struct kvserver *s, struct kvclient *c)
{
	bool ok;

	rg_mutex_lock(&s->lock);
	ok = s->n_clients < s->options.max_clients;
	if (ok) {
		s->n_clients++;
		c->next = s->clients;
		c->link = &s->clients;
		if (c->next)
			c->next->link = &c->next;
		s->clients = c;
	}
	rg_mutex_unlock(&s->lock);
	return ok;
}

static void leave(struct kvclient *c)
{
	struct kvserver *s = c->server;

	rg_mutex_lock(&s->lock);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	s->n_clients--;
	rg_mutex_unlock(&s->lock);
	rg_conn_close(c->conn);
	kvparse_free(&c->parse);
	kvbuf_free(&c->in);
	kvbuf_free(&c->out);
	free(c);
}

static void run(void *client)
{
	serve(client);
	leave(client);
}

void kvclient_start(struct kvserver *s, rg_conn *conn)
{
	static const char full[] = "-ERR max number of clients reached\r\n";
	struct kvclient *c = calloc(1, sizeof *c);

	/* Relaxed, all of them: a statistic, and numbers that differ. */
	atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed);
	if (!c) {
		rg_conn_close(conn);
		return;
	}
	c->server = s;
	c->conn = conn;
	c->id = 1 +
		atomic_fetch_add_explicit(&s->next_id, 1, memory_order_relaxed);
	c->since = rg_now();
	c->parse.max_bulk = s->options.max_bulk;
	if (!enter(s, c)) {
		atomic_fetch_add_explicit(&s->rejected, 1,
					  memory_order_relaxed);
		rg_conn_write(conn, full, sizeof full - 1);
		rg_conn_close(conn);
		free(c);
	} else if (rg_waitgroup_go(&s->running, run, c) < 0) {
		leave(c);
	}
}

void kvclient_stop_all(struct kvserver *s, rg_duration grace)
{
	rg_time end = rg_now() + grace;

	rg_mutex_lock(&s->lock);
	for (struct kvclient *c = s->clients; c; c = c->next) {
		rg_conn_set_write_deadline(c->conn, end);
		rg_conn_set_read_deadline(c->conn, 1); /* long past */
	}
	rg_mutex_unlock(&s->lock);
}
