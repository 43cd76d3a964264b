// SPDX-License-Identifier: MIT
/*
 * httppool - see httppool.h.
 */
#include "net/http/httppool.h"

#include <string.h>
#include <sys/socket.h>

#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"

int httplink_dial(const char *key, struct httplink **out)
{
	size_t size = strlen(key) + 1;
	struct httplink *l = rgk_zalloc(sizeof(*l) + size);
	int err;

	if (!l)
		return -ENOMEM;
	memcpy(l->key, key, size);
	err = rg_dial("tcp", key, &l->conn);
	if (err < 0) {
		rgk_free(l);
		return err;
	}
	*out = l;
	return 0;
}

void httplink_close(struct httplink *l)
{
	rg_conn_close(l->conn);
	rgk_free(l);
}

/* I3. A look that does not wait, at a socket that nobody else uses. */
static bool is_alive(const struct httplink *l)
{
	char byte;
	ssize_t n =
		recv(rg_conn_fd(l->conn), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void unlink_locked(struct httppool *p, struct httplink *l,
			  struct list *to)
{
	list_del(&l->link);
	p->nidle--;
	if (to)
		list_push_back(to, &l->link);
}

/* The list is ordered by age: the old ones are at its end. */
static void expire_locked(struct httppool *p, struct list *dead)
{
	rg_time limit = rg_now() - p->idle_timeout;

	while (p->nidle > 0) {
		struct httplink *l =
			container_of(p->idle.prev, struct httplink, link);

		if (l->since > limit)
			return;
		unlink_locked(p, l, dead);
	}
}

static void close_list(struct list *dead)
{
	struct list *link;

	while ((link = list_pop_front(dead)))
		httplink_close(container_of(link, struct httplink, link));
}

static struct httplink *take_locked(struct httppool *p, const char *key)
{
	list_for_each(it, &p->idle) {
		struct httplink *l = container_of(it, struct httplink, link);

		if (!strcmp(l->key, key)) {
			unlink_locked(p, l, NULL);
			return l;
		}
	}
	return NULL;
}

struct httplink *httppool_get(struct httppool *p, const char *key)
{
	struct list dead = {0};
	struct httplink *l;

	for (;;) {
		rg_mutex_lock(&p->lock);
		expire_locked(p, &dead);
		l = take_locked(p, key);
		rg_mutex_unlock(&p->lock);
		if (!l || is_alive(l))
			break;
		httplink_close(l);
	}
	close_list(&dead);
	return l;
}

/* I2: room for one more of that key. */
static void make_room_locked(struct httppool *p, const char *key,
			     struct list *dead)
{
	struct httplink *oldest = NULL;
	int n = 0;

	list_for_each(it, &p->idle) {
		struct httplink *l = container_of(it, struct httplink, link);

		if (!strcmp(l->key, key)) {
			oldest = l;
			n++;
		}
	}
	if (oldest && n >= p->max_per_host)
		unlink_locked(p, oldest, dead);
	while (p->nidle >= p->max_idle && p->nidle > 0)
		unlink_locked(p,
			      container_of(p->idle.prev, struct httplink, link),
			      dead);
}

void httppool_put(struct httppool *p, struct httplink *l)
{
	struct list dead = {0};

	if (l->has_deadline) {
		l->has_deadline = false;
		if (rg_conn_set_deadline(l->conn, 0) < 0) {
			httplink_close(l);
			return;
		}
	}
	l->since = rg_now();
	rg_mutex_lock(&p->lock);
	expire_locked(p, &dead);
	make_room_locked(p, l->key, &dead);
	list_push_front(&p->idle, &l->link);
	p->nidle++;
	rg_mutex_unlock(&p->lock);
	close_list(&dead);
}

void httppool_close_all(struct httppool *p)
{
	struct list dead = {0};

	rg_mutex_lock(&p->lock);
	while (p->nidle > 0)
		unlink_locked(p,
			      container_of(p->idle.next, struct httplink, link),
			      &dead);
	rg_mutex_unlock(&p->lock);
	close_list(&dead);
}
