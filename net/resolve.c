// SPDX-License-Identifier: MIT
/*
 * resolve - addresses of a host; see the header.
 */
#include "net/resolve.h"

#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include <netdb.h>
#include <stdatomic.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "sched/cancel.h"
#include "sched/park.h"

/* ---- answers that need nobody ------------------------------------------- */

static void add(struct resolved *r, const union addr_ip *a)
{
	for (unsigned i = 0; i < r->n; i++) {
		if (addr_is_same(&r->addr[i], a))
			return;
	}
	if (r->n < RESOLVE_MAX)
		r->addr[r->n++] = *a;
}

static bool wants(enum addr_network network, int family)
{
	return family == AF_INET6 ? network != ADDR_TCP4 : network != ADDR_TCP6;
}

static void loopbacks(enum addr_network network, uint16_t port,
		      struct resolved *out)
{
	static const int families[] = {AF_INET, AF_INET6};
	union addr_ip a;

	for (size_t i = 0; i < 2; i++) {
		if (!wants(network, families[i]))
			continue;
		addr_loopback(families[i], port, &a);
		add(out, &a);
	}
}

/* ---- the question to getaddrinfo ---------------------------------------- */

struct question {
	_Atomic unsigned refs; /* the asker's and the helper goroutine's */
	char host[256];
	int family;
	uint16_t port;

	/* written by the helper before `answered` */
	int err;
	struct resolved answer;

	/* under lock */
	struct rtlock lock;
	bool answered;
	struct g *asker; /* parked */
};

static int error_of(int eai)
{
	switch (eai) {
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
	case EAI_FAMILY:
		return -ENXIO;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return errno ? -errno : -EIO;
	default:
		return -EIO;
	}
}

static int ask_libc(struct question *q)
{
	const struct addrinfo hints = {.ai_family = q->family,
				       .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int eai = getaddrinfo(q->host, NULL, &hints, &list);

	if (eai)
		return error_of(eai);
	for (struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		union addr_ip a;

		if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) ||
		    ai->ai_addrlen > sizeof(a))
			continue;
		memset(&a, 0, sizeof(a));
		memcpy(&a, ai->ai_addr, ai->ai_addrlen);
		if (a.sa.sa_family == AF_INET6)
			a.in6.sin6_port = htons(q->port);
		else
			a.in.sin_port = htons(q->port);
		add(&q->answer, &a);
	}
	freeaddrinfo(list);
	return q->answer.n ? 0 : -ENXIO;
}

static void *ask_thread(void *arg)
{
	struct question *q = arg;

	q->err = ask_libc(q);
	return NULL;
}

static void question_unref(struct question *q)
{
	/* Q1 acquire and release, pairs with itself: the last one frees what the
	 * other has stopped to use. */
	if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1)
		rgk_free(q);
}

/* The helper goroutine: waits in the asker's stead. */
static void ask_goroutine(void *arg)
{
	struct question *q = arg;
	struct g *asker;

	rg_blocking(ask_thread, q);
	rtlock_lock(&q->lock);
	q->answered = true;
	asker = q->asker;
	q->asker = NULL;
	if (asker && !wake_claim(asker, WAKE_EVENT))
		asker = NULL;
	rtlock_unlock(&q->lock);
	if (asker)
		sched_ready(asker);
	question_unref(q);
}

/* I1. 0: q->err and q->answer are there. */
static int ask_and_wait(struct question *q, struct g *gp)
{
	/* Not the asker's context: the helper must see it through. */
	const rg_go_options options = {.name = "resolver",
				       .ctx = rg_ctx_background()};
	enum wake_state how = WAKE_EVENT;
	int err;

	/* Relaxed: the new goroutine gets q through rg_go. */
	atomic_store_explicit(&q->refs, 2, memory_order_relaxed);
	err = rg_go_with(&options, ask_goroutine, q);
	if (err) {
		atomic_store_explicit(&q->refs, 1, memory_order_relaxed);
		return err;
	}
	rtlock_lock(&q->lock);
	if (q->answered) {
		rtlock_unlock(&q->lock);
		return 0;
	}
	wake_begin(gp);
	q->asker = gp;
	how = sched_park_until(park_commit_unlock, &q->lock, RG_FOREVER, true,
			       WAIT_BLOCKING, q);
	if (how == WAKE_EVENT)
		return 0;
	rtlock_lock(&q->lock);
	q->asker = NULL;
	rtlock_unlock(&q->lock);
	return cancel_token_err(gp->token);
}

static int ask(const struct addr_parts *parts, int family, struct resolved *out)
{
	struct g *gp = getg();
	struct question *q;
	int err = 0;

	if (parts->host_len >= sizeof(q->host))
		return -EINVAL;
	if (gp && gp->token && cancel_token_err(gp->token))
		return cancel_token_err(gp->token);
	q = rgk_zalloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	memcpy(q->host, parts->host, parts->host_len);
	q->family = family;
	q->port = parts->port;
	/* Relaxed: nobody else knows q yet. */
	atomic_store_explicit(&q->refs, 1, memory_order_relaxed);
	if (gp && gp->token)
		err = ask_and_wait(q, gp);
	else
		rg_blocking(ask_thread, q);
	if (!err) {
		err = q->err;
		*out = q->answer;
	}
	question_unref(q);
	return err;
}

int resolve(enum addr_network network, const struct addr_parts *parts,
	    bool passive, struct resolved *out)
{
	union addr_ip a;
	int err;

	out->n = 0;
	if (network == ADDR_UNIX)
		return -EINVAL;
	err = addr_literal(parts, &a);
	if (!err) {
		if (!wants(network, a.sa.sa_family))
			return -EINVAL;
		add(out, &a);
		return 0;
	}
	if (err != -ENOENT)
		return err;
	if (parts->host_len == 0 && passive) {
		addr_any(network == ADDR_TCP4 ? AF_INET : AF_INET6, parts->port,
			 &a);
		add(out, &a);
		return 0;
	}
	if (parts->host_len == 0 ||
	    addr_is_localhost(parts->host, parts->host_len)) {
		loopbacks(network, parts->port, out);
		return 0;
	}
	return ask(parts,
		   network == ADDR_TCP4   ? AF_INET
		   : network == ADDR_TCP6 ? AF_INET6
					  : AF_UNSPEC,
		   out);
}
