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
#include "sched/sched.h"

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

/* How many are asked at once: each takes a helper thread, of which rg_blocking has
 * 256 for everybody. */
enum { QUESTIONS_MAX = 32 };

struct question {
	struct list link;      /* in the table while it is not answered */
	_Atomic unsigned refs; /* the table's, and one for each asker */
	char host[256];        /* const, as is the family */
	int family;

	/* written by the helper before `answered` */
	int err;
	struct resolved answer;

	/* under table.lock */
	bool is_begun; /* a helper is on it */
	bool answered;
	struct list askers; /* parked */
};

/* A goroutine that waits for an answer; on its stack. */
struct asker {
	struct list link;
	struct g *gp;
};

/* What is asked, the oldest question first. */
static struct {
	struct rtlock lock;
	uint32_t run; /* whose questions they are; another's were abandoned */
	unsigned helpers;
	struct list questions;
} table;

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
	 * others have stopped to use. */
	if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1)
		rgk_free(q);
}

/* Everybody who has asked is told, and q leaves the table. */
static void finish(struct question *q)
{
	struct ready_list ready = {0};

	rtlock_lock(&table.lock);
	q->answered = true;
	list_del(&q->link);
	list_for_each(it, &q->askers) {
		struct asker *a = container_of(it, struct asker, link);

		if (wake_claim(a->gp, WAKE_EVENT))
			ready_list_add(&ready, a->gp);
	}
	rtlock_unlock(&table.lock);
	sched_ready_all(&ready);
	question_unref(q);
}

/* The next one that somebody waits for; NULL: none, there is a helper less. */
static struct question *next_question(void)
{
	struct question *next = NULL;

	rtlock_lock(&table.lock);
	list_for_each_safe(it, after, &table.questions) {
		struct question *q = container_of(it, struct question, link);

		if (q->is_begun)
			continue;
		/* Relaxed: askers come under the lock only. */
		if (atomic_load_explicit(&q->refs, memory_order_relaxed) > 1) {
			next = q;
			break;
		}
		list_del(&q->link);
		question_unref(q);
	}
	if (next)
		next->is_begun = true;
	else
		table.helpers--;
	rtlock_unlock(&table.lock);
	return next;
}

/* A helper goroutine: waits in the askers' stead. */
static void answer_questions(void *arg)
{
	for (struct question *q = arg; q; q = next_question()) {
		rg_blocking(ask_thread, q);
		finish(q);
	}
}

/* I2. fresh joins the table, or is freed: the one with the same question is returned
 * instead. *begins: a helper has to be started for it. */
static struct question *join_table(struct question *fresh, bool *begins)
{
	struct question *q = NULL;

	rtlock_lock(&table.lock);
	if (table.run != sched_run_id()) {
		table.run = sched_run_id();
		table.helpers = 0;
		list_init(&table.questions);
	}
	list_for_each(it, &table.questions) {
		q = container_of(it, struct question, link);
		if (q->family == fresh->family && !strcmp(q->host, fresh->host))
			break;
		q = NULL;
	}
	if (!q) {
		q = fresh;
		fresh = NULL;
		list_push_back(&table.questions, &q->link);
		*begins = table.helpers < QUESTIONS_MAX;
		table.helpers += *begins;
		q->is_begun = *begins;
	} else {
		/* Relaxed: the table's is there. */
		atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
	}
	rtlock_unlock(&table.lock);
	rgk_free(fresh);
	return q;
}

static void start_helper(struct question *q)
{
	/* Not the asker's context: the helper must see it through. */
	const rg_go_options options = {.name = "resolver",
				       .ctx = rg_ctx_background()};
	int err = rg_go_with(&options, answer_questions, q);

	if (!err)
		return;
	q->err = err;
	rtlock_lock(&table.lock);
	table.helpers--;
	rtlock_unlock(&table.lock);
	finish(q);
}

/* I1. 0: q->err and q->answer are there. */
static int wait_for(struct question *q)
{
	struct asker a = {.gp = getg()};
	enum wake_state how;

	rtlock_lock(&table.lock);
	if (q->answered) {
		rtlock_unlock(&table.lock);
		return 0;
	}
	wake_begin(a.gp);
	list_push_back(&q->askers, &a.link);
	how = sched_park_until(park_commit_unlock, &table.lock, RG_FOREVER,
			       true, WAIT_BLOCKING, q);
	rtlock_lock(&table.lock);
	list_del(&a.link);
	rtlock_unlock(&table.lock);
	return how == WAKE_EVENT ? 0 : cancel_token_err(a.gp->token);
}

static int ask_shared(struct question *fresh, struct resolved *out)
{
	bool begins = false;
	struct question *q = join_table(fresh, &begins);
	int err;

	if (begins)
		start_helper(q);
	err = wait_for(q);
	if (!err) {
		err = q->err;
		*out = q->answer;
	}
	question_unref(q);
	return err;
}

/* A thread of the host has nothing else to do, and waits itself. */
static int ask_alone(struct question *q, struct resolved *out)
{
	int err;

	rg_blocking(ask_thread, q);
	err = q->err;
	*out = q->answer;
	rgk_free(q);
	return err;
}

static void set_port(struct resolved *r, uint16_t port)
{
	for (unsigned i = 0; i < r->n; i++) {
		union addr_ip *a = &r->addr[i];

		if (a->sa.sa_family == AF_INET6)
			a->in6.sin6_port = htons(port);
		else
			a->in.sin_port = htons(port);
	}
}

static int ask(const struct addr_parts *parts, int family, struct resolved *out)
{
	struct g *gp = getg();
	struct question *q;
	int err = gp && gp->token ? cancel_token_err(gp->token) : 0;

	if (parts->host_len >= sizeof(q->host))
		return -EINVAL;
	if (err)
		return err;
	q = rgk_zalloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	memcpy(q->host, parts->host, parts->host_len);
	q->family = family;
	/* Relaxed: nobody else knows q yet. The table's and ours. */
	atomic_store_explicit(&q->refs, 2, memory_order_relaxed);
	err = is_goroutine() ? ask_shared(q, out) : ask_alone(q, out);
	set_port(out, parts->port);
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
