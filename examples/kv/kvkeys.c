// SPDX-License-Identifier: MIT
/*
 * kvkeys - the commands on keys, whatever their values: is it there, when does it
 * expire, which ones are there.
 */
#include "examples/kv/kvserver.h"

#include <stdio.h>

#include "examples/kv/kvtext.h"

/* ---- DEL, EXISTS, TYPE ------------------------------------------------------------- */

static struct kvkey key_of(struct kvclient *c, int i)
{
	return kvstore_key(c->server->store, c->argv[i].p, c->argv[i].len);
}

/* How many of the keys are there, all looked at (or removed) at one point in time. */
static void count_keys(struct kvclient *c, bool is_removing)
{
	struct kvstore *s = c->server->store;
	uint64_t mask = 0;
	int64_t n = 0;

	for (int i = 1; i < c->argc; i++) {
		struct kvkey k = key_of(c, i);

		mask |= kvstore_bit(s, &k);
	}
	kvstore_lock(s, mask);
	for (int i = 1; i < c->argc; i++) {
		struct kvkey k = key_of(c, i);
		struct kvitem *it = kvstore_find(&k, c->now, !is_removing);

		n += it != NULL;
		if (it && is_removing)
			kvstore_remove(k.shard, it);
	}
	kvstore_unlock(s, mask);
	kvreply_int(&c->out, n);
}

static void run_del(struct kvclient *c)
{
	count_keys(c, true);
}

static void run_exists(struct kvclient *c)
{
	count_keys(c, false);
}

static void run_type(struct kvclient *c)
{
	struct kvkey k = key_of(c, 1);
	bool is_there;

	rg_mutex_lock(&k.shard->lock);
	is_there = kvstore_find(&k, c->now, true);
	rg_mutex_unlock(&k.shard->lock);
	kvreply_status(&c->out, is_there ? "string" : "none");
}

/* ---- when they expire -------------------------------------------------------------- */

struct expire {
	const char *command;
	bool is_seconds, is_absolute;
	bool nx, xx, gt, lt;
	int64_t at;
};

static bool expire_options(struct kvclient *c, struct expire *e)
{
	for (int i = 3; i < c->argc; i++) {
		bool *option = kvarg_is(c, i, "nx")   ? &e->nx
			       : kvarg_is(c, i, "xx") ? &e->xx
			       : kvarg_is(c, i, "gt") ? &e->gt
			       : kvarg_is(c, i, "lt") ? &e->lt
						      : NULL;

		if (!option) {
			size_t len = c->argv[i].len;

			kvreply_error(&c->out, "ERR Unsupported option %.*s",
				      (int)(len < 128 ? len : 128),
				      c->argv[i].p);
			return false;
		}
		*option = true;
	}
	if (e->nx && (e->xx || e->gt || e->lt))
		kvreply_error(&c->out, "ERR NX and XX, GT or LT options at the "
				       "same time are not compatible");
	else if (e->gt && e->lt)
		kvreply_error(&c->out, "ERR GT and LT options at the same time "
				       "are not compatible");
	else
		return true;
	return false;
}

/* May an item that expires at `old` (0: never) get the new time? */
static bool is_wanted(const struct expire *e, int64_t old)
{
	if ((e->nx && old) || (e->xx && !old))
		return false;
	if (e->gt && (!old || e->at <= old))
		return false;
	return !(e->lt && old && e->at >= old);
}

static void expire(struct kvclient *c, struct expire *e)
{
	struct kvkey k = key_of(c, 1);
	struct kvitem *it;
	bool ok = true;

	if (!expire_options(c, e) ||
	    !kvarg_expiry(c, 2, e->is_seconds, e->is_absolute, e->command,
			  &e->at))
		return;
	rg_mutex_lock(&k.shard->lock);
	it = kvstore_find(&k, c->now, false);
	if (it && !is_wanted(e, it->expires))
		it = NULL;
	if (it && e->at <= c->now)
		kvstore_remove(k.shard, it);
	else if (it)
		ok = kvstore_set_expiry(k.shard, it, e->at);
	rg_mutex_unlock(&k.shard->lock);
	if (ok)
		kvreply_int(&c->out, it != NULL);
	else
		kvreply_no_memory(c);
}

static void run_expire(struct kvclient *c)
{
	expire(c, &(struct expire){.command = "expire", .is_seconds = true});
}

static void run_pexpire(struct kvclient *c)
{
	expire(c, &(struct expire){.command = "pexpire"});
}

static void run_expireat(struct kvclient *c)
{
	expire(c, &(struct expire){.command = "expireat",
				   .is_seconds = true,
				   .is_absolute = true});
}

static void run_pexpireat(struct kvclient *c)
{
	expire(c,
	       &(struct expire){.command = "pexpireat", .is_absolute = true});
}

/* When argument 1 expires, 0 never, -2 it is not there. */
static int64_t expiry_of(struct kvclient *c)
{
	struct kvkey k = key_of(c, 1);
	struct kvitem *it;
	int64_t at;

	rg_mutex_lock(&k.shard->lock);
	it = kvstore_find(&k, c->now, true);
	at = it ? it->expires : -2;
	rg_mutex_unlock(&k.shard->lock);
	return at;
}

static void run_ttl(struct kvclient *c)
{
	bool is_ms = c->argv[0].len == 4; /* PTTL */
	int64_t at = expiry_of(c);

	if (at > 0)
		at = is_ms ? at - c->now : (at - c->now + 500) / 1000;
	else if (!at)
		at = -1;
	kvreply_int(&c->out, at);
}

static void run_expiretime(struct kvclient *c)
{
	bool is_ms = c->argv[0].len == 11; /* PEXPIRETIME */
	int64_t at = expiry_of(c);

	if (at > 0)
		at = is_ms ? at : (at + 500) / 1000;
	else if (!at)
		at = -1;
	kvreply_int(&c->out, at);
}

static void run_persist(struct kvclient *c)
{
	struct kvkey k = key_of(c, 1);
	struct kvitem *it;
	bool did;

	rg_mutex_lock(&k.shard->lock);
	it = kvstore_find(&k, c->now, false);
	did = it && it->expires;
	if (did)
		kvstore_set_expiry(k.shard, it, 0);
	rg_mutex_unlock(&k.shard->lock);
	kvreply_int(&c->out, did);
}

/* ---- which ones there are ---------------------------------------------------------- */

struct listing {
	const struct kvarg *pattern; /* NULL: all */
	int64_t now;
	size_t n;
	struct kvbuf replies;
};

static void list_key(const struct kvitem *it, void *arg)
{
	struct listing *l = arg;

	if (it->expires && it->expires <= l->now)
		return;
	if (l->pattern &&
	    !kv_glob(l->pattern->p, l->pattern->len, it->key, it->key_len))
		return;
	kvreply_bulk(&l->replies, it->key, it->key_len);
	l->n++;
}

static void reply_listing(struct kvclient *c, struct listing *l)
{
	kvreply_array(&c->out, l->n);
	kvbuf_add(&c->out, l->replies.data, l->replies.len);
	c->out.is_failed |= l->replies.is_failed;
	kvbuf_free(&l->replies);
}

static void run_keys(struct kvclient *c)
{
	struct listing l = {.pattern = &c->argv[1], .now = c->now};

	kvstore_each(c->server->store, list_key, &l);
	reply_listing(c, &l);
}

/* Argument 1, all digits; strtoull would take signs and blanks. */
static bool cursor_of(struct kvclient *c, uint64_t *out)
{
	const struct kvarg *a = &c->argv[1];
	uint64_t v = 0;
	bool ok = a->len > 0;

	for (size_t i = 0; ok && i < a->len; i++)
		ok = a->p[i] >= '0' && a->p[i] <= '9' &&
		     !__builtin_mul_overflow(v, 10, &v) &&
		     !__builtin_add_overflow(v, (uint64_t)(a->p[i] - '0'), &v);
	if (!ok)
		kvreply_error(&c->out, "ERR invalid cursor");
	*out = v;
	return ok;
}

static void run_scan(struct kvclient *c)
{
	struct listing l = {.now = c->now};
	char text[24];
	bool is_string = true;
	uint64_t cursor;
	int64_t n = 10;

	if (!cursor_of(c, &cursor))
		return;
	for (int i = 2; i < c->argc; i += 2) {
		if (i + 1 < c->argc && kvarg_is(c, i, "match")) {
			l.pattern = &c->argv[i + 1];
		} else if (i + 1 < c->argc && kvarg_is(c, i, "count")) {
			if (!kvarg_int(c, i + 1, &n))
				return;
		} else if (i + 1 < c->argc && kvarg_is(c, i, "type")) {
			is_string = kvarg_is(c, i + 1, "string");
		} else {
			n = 0;
			break;
		}
	}
	if (n < 1) {
		kvreply_syntax(c);
		return;
	}
	cursor = kvstore_scan(c->server->store, cursor, n, list_key, &l);
	if (!is_string) {
		l.n = 0;
		kvbuf_free(&l.replies);
	}
	snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
	kvreply_array(&c->out, 2);
	kvreply_text(&c->out, text);
	reply_listing(c, &l);
}

static void run_dbsize(struct kvclient *c)
{
	kvreply_int(&c->out, kvstore_sum(c->server->store, false).n);
}

/* FLUSHALL and FLUSHDB; SYNC and ASYNC are the same here. */
static void run_flush(struct kvclient *c)
{
	if (c->argc > 2 || (c->argc == 2 && !kvarg_is(c, 1, "sync") &&
			    !kvarg_is(c, 1, "async"))) {
		kvreply_syntax(c);
		return;
	}
	kvstore_clear(c->server->store);
	kvreply_status(&c->out, "OK");
}

const struct kvcommand kvkeys_commands[] = {
	{"dbsize", run_dbsize, 1, KV_READONLY | KV_FAST, 0, 0, 0, "1.0.0", "",
	 "How many keys there are"},
	{"del", run_del, -2, KV_WRITE, 1, -1, 1, "1.0.0", "key [key]",
	 "Remove keys"},
	{"exists", run_exists, -2, KV_READONLY | KV_FAST, 1, -1, 1, "1.0.0",
	 "key [key]", "How many of the keys are there"},
	{"expire", run_expire, -3, KV_WRITE | KV_FAST, 1, 1, 1, "1.0.0",
	 "key seconds [NX|XX|GT|LT]", "Let a key expire after some seconds"},
	{"expireat", run_expireat, -3, KV_WRITE | KV_FAST, 1, 1, 1, "1.2.0",
	 "key unix-time-seconds [NX|XX|GT|LT]", "Let a key expire at a time"},
	{"expiretime", run_expiretime, 2, KV_READONLY | KV_FAST, 1, 1, 1,
	 "7.0.0", "key", "When a key expires, in seconds since 1970"},
	{"flushall", run_flush, -1, KV_WRITE, 0, 0, 0, "1.0.0", "[SYNC|ASYNC]",
	 "Remove all keys"},
	{"flushdb", run_flush, -1, KV_WRITE, 0, 0, 0, "1.0.0", "[SYNC|ASYNC]",
	 "Remove all keys"},
	{"keys", run_keys, 2, KV_READONLY, 0, 0, 0, "1.0.0", "pattern",
	 "The keys that match a pattern"},
	{"persist", run_persist, 2, KV_WRITE | KV_FAST, 1, 1, 1, "2.2.0", "key",
	 "Let a key expire no more"},
	{"pexpire", run_pexpire, -3, KV_WRITE | KV_FAST, 1, 1, 1, "2.6.0",
	 "key milliseconds [NX|XX|GT|LT]",
	 "Let a key expire after some milliseconds"},
	{"pexpireat", run_pexpireat, -3, KV_WRITE | KV_FAST, 1, 1, 1, "2.6.0",
	 "key unix-time-milliseconds [NX|XX|GT|LT]",
	 "Let a key expire at a time"},
	{"pexpiretime", run_expiretime, 2, KV_READONLY | KV_FAST, 1, 1, 1,
	 "7.0.0", "key", "When a key expires, in milliseconds since 1970"},
	{"pttl", run_ttl, 2, KV_READONLY | KV_FAST, 1, 1, 1, "2.6.0", "key",
	 "In how many milliseconds a key expires"},
	{"scan", run_scan, -2, KV_READONLY, 0, 0, 0, "2.8.0",
	 "cursor [MATCH] [pattern] [COUNT] [count] [TYPE] [type]",
	 "Some of the keys, and where to go on"},
	{"touch", run_exists, -2, KV_READONLY | KV_FAST, 1, -1, 1, "3.2.1",
	 "key [key]", "How many of the keys are there"},
	{"ttl", run_ttl, 2, KV_READONLY | KV_FAST, 1, 1, 1, "1.0.0", "key",
	 "In how many seconds a key expires"},
	{"type", run_type, 2, KV_READONLY | KV_FAST, 1, 1, 1, "1.0.0", "key",
	 "What kind of value a key has"},
	{"unlink", run_del, -2, KV_WRITE | KV_FAST, 1, -1, 1, "4.0.0",
	 "key [key]", "Remove keys"},
	{.name = NULL},
};
