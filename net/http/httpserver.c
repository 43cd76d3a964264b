// SPDX-License-Identifier: MIT
/*
 * httpserver - see httpserver.h.
 *
 * Shutting down:
 *   S1  `stopping` is set and `stop` closed under the lock; serve calls that come
 *       later fail, connections that are accepted later are closed.
 *   S2  the listeners are closed: nobody new.
 *   S3  the read deadline of every idle connection is moved into the past; its
 *       goroutine wakes and ends. A connection that becomes idle after this look
 *       sees `stopping` by itself, or is found by the next look.
 *   S4  until nconns is 0 or the caller's context ends; then what is left is closed
 *       under the feet of its handler.
 * A deadline and not a close for S3: bytes that have just arrived are still read,
 * and the request they begin is answered.
 */
#include "net/http/httpserver.h"

#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "net/http/httpconn.h"
#include "net/http/httproute.h"

#define DEFAULT_HEADER_TIMEOUT (10 * RG_SECOND)
#define DEFAULT_IDLE_TIMEOUT   (120 * RG_SECOND)
#define DEFAULT_HEAD_BYTES     (1u << 20)
#define MAX_HEAD_BYTES         (1u << 28)

/* Looks of S3 come at these intervals. */
#define LOOK_FIRST RG_MILLISECOND
#define LOOK_MAX   (200 * RG_MILLISECOND)

/* A connection that has sent nothing yet may be about to. */
#define NEW_GRACE (500 * RG_MILLISECOND)

/* One serve call, on its stack. */
struct serving {
	struct list link;
	rg_listener *listener; /* a reference, given up by who unlinks it */
};

/* ---- making and freeing ----------------------------------------------------- */

static rg_duration timeout_or(rg_duration given, rg_duration otherwise)
{
	return given > 0 ? given : given < 0 ? 0 : otherwise;
}

static void set_options(rg_http_server *s, const rg_http_server_options *o)
{
	size_t head = o->max_header_bytes;

	s->mux = o->mux ? o->mux : httproute_default();
	s->header_timeout =
		timeout_or(o->header_timeout, DEFAULT_HEADER_TIMEOUT);
	s->read_timeout = timeout_or(o->read_timeout, 0);
	s->write_timeout = timeout_or(o->write_timeout, 0);
	s->idle_timeout = timeout_or(o->idle_timeout, DEFAULT_IDLE_TIMEOUT);
	s->limits.max_head = !head                   ? DEFAULT_HEAD_BYTES
			     : head < MAX_HEAD_BYTES ? (uint32_t)head
						     : MAX_HEAD_BYTES;
	s->max_body = o->max_body_bytes > 0 ? o->max_body_bytes : 0;
}

static void server_free(rg_http_server *s)
{
	httpblock_free_all(&s->pool);
	rg_chan_unref(s->slots);
	rg_chan_unref(s->stop);
	rg_chan_unref(s->ended);
	rgk_free(s);
}

rg_http_server *rg_http_server_new(const rg_http_server_options *o)
{
	static const rg_http_server_options none;
	rg_http_server *s = rgk_zalloc_aligned(sizeof(*s), RG_CACHE_LINE);

	if (!s)
		return NULL;
	if (!o)
		o = &none;
	set_options(s, o);
	s->stop = rg_chan_make(0, 0);
	s->ended = rg_chan_make(0, 1);
	if (o->max_connections > 0)
		s->slots = rg_chan_make(0, (size_t)o->max_connections);
	if (!s->stop || !s->ended || (o->max_connections > 0 && !s->slots)) {
		server_free(s);
		return NULL;
	}
	/* Relaxed: nobody else knows s yet. */
	atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

static void server_ref(rg_http_server *s)
{
	/* Relaxed: the caller has a reference, or the lock of somebody's. */
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

static void server_unref(rg_http_server *s)
{
	/* U1 release and acquire, pairs with itself: what the others did to s is
	 * done before it is freed. */
	if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		server_free(s);
}

void rg_http_server_free(rg_http_server *s)
{
	if (s)
		server_unref(s);
}

/* ---- connections ------------------------------------------------------------ */

bool httpserver_count(rg_http_server *s)
{
	bool ok;

	rg_mutex_lock(&s->lock);
	ok = !httpserver_is_stopping(s);
	if (ok) {
		s->nconns++;
		server_ref(s);
	}
	rg_mutex_unlock(&s->lock);
	return ok;
}

bool httpserver_enter(rg_http_server *s, struct httpconn *hc)
{
	bool ok;

	rg_mutex_lock(&s->lock);
	ok = !s->is_cut;
	if (ok)
		list_push_back(&s->conns, &hc->link);
	rg_mutex_unlock(&s->lock);
	return ok;
}

void httpserver_leave(rg_http_server *s, struct httpconn *hc)
{
	rg_mutex_lock(&s->lock);
	if (list_is_linked(&hc->link))
		list_del(&hc->link);
	rg_mutex_unlock(&s->lock);
}

void httpserver_uncount(rg_http_server *s)
{
	bool tell;

	rg_mutex_lock(&s->lock);
	s->nconns--;
	tell = !s->nconns && httpserver_is_stopping(s);
	rg_mutex_unlock(&s->lock);
	if (s->slots)
		rg_chan_try_recv(s->slots, NULL);
	if (tell)
		rg_chan_try_send(s->ended, NULL);
	server_unref(s);
}

/* ---- serving ---------------------------------------------------------------- */

/* With a limit of connections: wait for room. False: the server stops. */
static bool wait_for_slot(rg_http_server *s)
{
	rg_case cases[] = {RG_RECV(s->stop, NULL), RG_SEND(s->slots, NULL)};

	return !s->slots || rg_select(cases, 2) == 1;
}

static void give_back_slot(rg_http_server *s)
{
	if (s->slots)
		rg_chan_try_recv(s->slots, NULL);
}

static int serve_one(rg_http_server *s, rg_listener *l)
{
	rg_conn *conn;
	int err;

	if (!wait_for_slot(s))
		return -ECANCELED;
	err = rg_listener_accept(l, &conn);
	if (err < 0) {
		give_back_slot(s);
		return err;
	}
	if (!httpserver_count(s)) {
		give_back_slot(s);
		rg_conn_close(conn);
		return -ECANCELED;
	}
	/* No memory for a goroutine: this client is turned away, the next may
	 * be luckier. */
	if (httpconn_start(s, conn) < 0) {
		rg_conn_close(conn);
		httpserver_uncount(s);
		rg_yield();
	}
	return 0;
}

static bool begin_serving(rg_http_server *s, struct serving *v)
{
	bool ok;

	rg_mutex_lock(&s->lock);
	ok = !httpserver_is_stopping(s);
	if (ok)
		list_push_back(&s->listeners, &v->link);
	rg_mutex_unlock(&s->lock);
	return ok;
}

/* Closes the listener unless shutdown has done it. */
static void end_serving(rg_http_server *s, struct serving *v)
{
	bool is_ours;

	rg_mutex_lock(&s->lock);
	is_ours = list_is_linked(&v->link);
	if (is_ours)
		list_del(&v->link);
	rg_mutex_unlock(&s->lock);
	if (is_ours)
		rg_listener_close(v->listener);
}

int rg_http_server_serve(rg_http_server *s, rg_listener *l)
{
	struct serving v = {.listener = l};
	int err = 0;

	if (!s || !l)
		return -EINVAL;
	if (!begin_serving(s, &v)) {
		rg_listener_close(l);
		return -ECANCELED;
	}
	server_ref(s);
	rg_listener_ref(l); /* v's may be given up while we accept */
	while (!err)
		err = serve_one(s, l);
	end_serving(s, &v);
	rg_listener_unref(l);
	if (httpserver_is_stopping(s))
		err = -ECANCELED;
	server_unref(s);
	return err;
}

int rg_http_listen_and_serve(const char *address, rg_http_mux *mux_or_null)
{
	const rg_http_server_options o = {.mux = mux_or_null};
	rg_http_server *s;
	rg_listener *l;
	int err = rg_listen("tcp", address, &l);

	if (err < 0)
		return err;
	s = rg_http_server_new(&o);
	if (!s) {
		rg_listener_close(l);
		return -ENOMEM;
	}
	err = rg_http_server_serve(s, l);
	rg_http_server_free(s);
	return err;
}

/* ---- shutting down ---------------------------------------------------------- */

/* S1 and S2. */
static void stop_listening(rg_http_server *s)
{
	struct list *link;

	rg_mutex_lock(&s->lock);
	if (!httpserver_is_stopping(s)) {
		/* Relaxed: under the lock; see httpserver_is_stopping. */
		atomic_store_explicit(&s->stopping, true, memory_order_relaxed);
		rg_chan_close(s->stop);
	}
	for (;;) {
		struct serving *v;
		rg_listener *l;

		link = list_pop_front(&s->listeners);
		if (!link)
			break;
		v = container_of(link, struct serving, link);
		l = v->listener;
		rg_mutex_unlock(&s->lock);
		rg_listener_close(l);
		rg_mutex_lock(&s->lock);
	}
	rg_mutex_unlock(&s->lock);
}

/* S3. How many connections there are still. */
static int64_t wake_idle(rg_http_server *s, bool also_new)
{
	int64_t n;

	rg_mutex_lock(&s->lock);
	list_for_each(link, &s->conns) {
		struct httpconn *hc = container_of(link, struct httpconn, link);
		/* Relaxed: what is missed now is seen at the next look. */
		uint8_t state =
			atomic_load_explicit(&hc->state, memory_order_relaxed);

		if (state == HTTPCONN_IDLE ||
		    (state == HTTPCONN_NEW && also_new))
			rg_conn_set_read_deadline(hc->conn, 1);
	}
	n = s->nconns;
	rg_mutex_unlock(&s->lock);
	return n;
}

/* The end of patience: whatever these connections do fails from now on. */
static void cut_all(rg_http_server *s)
{
	struct list *link;

	for (;;) {
		rg_conn *conn = NULL;

		rg_mutex_lock(&s->lock);
		s->is_cut = true;
		link = list_pop_front(&s->conns);
		if (link)
			conn = rg_conn_ref(
				container_of(link, struct httpconn, link)
					->conn);
		rg_mutex_unlock(&s->lock);
		if (!conn)
			return;
		rg_conn_close(conn);
	}
}

/* S4. 0, or until's error. */
static int wait_for_end(rg_http_server *s, rg_ctx *until)
{
	rg_duration interval = LOOK_FIRST;
	rg_time start = rg_now();
	rg_case cases[] = {
		RG_RECV(s->ended, NULL),
		RG_RECV(until ? rg_ctx_done(until) : NULL, NULL),
	};

	while (wake_idle(s, rg_now() - start >= NEW_GRACE) > 0) {
		int i = rg_select_until(cases, 2, rg_now() + interval);

		if (i == 1)
			return rg_ctx_err(until);
		interval = interval * 2 < LOOK_MAX ? interval * 2 : LOOK_MAX;
	}
	return 0;
}

int rg_http_server_shutdown(rg_http_server *s, rg_ctx *until)
{
	int err;

	if (!s)
		return -EINVAL;
	server_ref(s);
	stop_listening(s);
	err = wait_for_end(s, until);
	if (err)
		cut_all(s);
	server_unref(s);
	return err;
}
