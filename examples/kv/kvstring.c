// SPDX-License-Identifier: MIT
/*
 * kvstring - the commands on values. One key: its shard is locked. Several: all their
 * shards are, so that nobody sees half of an MSET.
 */
#include "examples/kv/kvserver.h"

#include <string.h>

#include "examples/kv/kvtext.h"

static struct kvkey lock_key(struct kvclient *c, int i)
{
	struct kvkey k =
		kvstore_key(c->server->store, c->argv[i].p, c->argv[i].len);

	rg_mutex_lock(&k.shard->lock);
	return k;
}

static void unlock_key(const struct kvkey *k)
{
	rg_mutex_unlock(&k->shard->lock);
}

/* The shards of every step-th argument from the first on. */
static uint64_t shards_of(struct kvclient *c, int step)
{
	uint64_t mask = 0;

	for (int i = 1; i < c->argc; i += step) {
		struct kvkey k = kvstore_key(c->server->store, c->argv[i].p,
					     c->argv[i].len);

		mask |= kvstore_bit(c->server->store, &k);
	}
	return mask;
}

static void reply_value(struct kvclient *c, const struct kvitem *it)
{
	if (it)
		kvreply_bulk(&c->out, it->value, it->len);
	else
		kvreply_null(&c->out);
}

/* ---- GET and its kin --------------------------------------------------------------- */

static void run_get(struct kvclient *c)
{
	struct kvkey k = lock_key(c, 1);

	reply_value(c, kvstore_find(&k, c->now, true));
	unlock_key(&k);
}

static void run_getdel(struct kvclient *c)
{
	struct kvkey k = lock_key(c, 1);
	struct kvitem *it = kvstore_find(&k, c->now, true);

	reply_value(c, it);
	if (it)
		kvstore_remove(k.shard, it);
	unlock_key(&k);
}

static void run_strlen(struct kvclient *c)
{
	struct kvkey k = lock_key(c, 1);
	struct kvitem *it = kvstore_find(&k, c->now, true);

	kvreply_int(&c->out, it ? it->len : 0);
	unlock_key(&k);
}

static void run_mget(struct kvclient *c)
{
	struct kvstore *s = c->server->store;
	uint64_t mask = shards_of(c, 1);

	kvreply_array(&c->out, (size_t)c->argc - 1);
	kvstore_lock(s, mask);
	for (int i = 1; i < c->argc; i++) {
		struct kvkey k = kvstore_key(s, c->argv[i].p, c->argv[i].len);

		reply_value(c, kvstore_find(&k, c->now, true));
	}
	kvstore_unlock(s, mask);
}

/* ---- SET and its kin --------------------------------------------------------------- */

struct set {
	const struct kvarg *value;
	bool nx, xx, get, keep_ttl, has_expiry;
	bool is_quiet;   /* the caller replies */
	int64_t expires; /* if has_expiry */
};

/* Store what s says under argument 1; whether it was. A failure is replied. */
static bool store(struct kvclient *c, const struct set *s)
{
	struct kvkey k = lock_key(c, 1);
	struct kvitem *it = kvstore_find(&k, c->now, s->get);
	bool is_there = it, is_stored = false, ok = true;

	if (s->get)
		reply_value(c, it);
	if (!(s->nx && is_there) && !(s->xx && !is_there)) {
		it = kvstore_put(&k, it, s->value->p, s->value->len);
		ok = it && (s->keep_ttl ||
			    kvstore_set_expiry(k.shard, it,
					       s->has_expiry ? s->expires : 0));
		if (it && !ok && !is_there)
			kvstore_remove(k.shard, it);
		is_stored = ok;
	}
	unlock_key(&k);
	if (!ok && !s->get)
		kvreply_no_memory(c);
	else if (!s->get && !s->is_quiet && is_stored)
		kvreply_status(&c->out, "OK");
	else if (!s->get && !s->is_quiet)
		kvreply_null(&c->out);
	return is_stored;
}

/* Argument i as an expiry of SET; false: replied. Not before 1970, not in 0 seconds. */
static bool set_expiry(struct kvclient *c, struct set *s, int i,
		       bool is_seconds, bool is_absolute, const char *command)
{
	int64_t v;

	if (!kvarg_int(c, i, &v))
		return false;
	if (v <= 0) {
		kvreply_error(&c->out,
			      "ERR invalid expire time in '%s' command",
			      command);
		return false;
	}
	s->has_expiry = true;
	return kvarg_expiry(c, i, is_seconds, is_absolute, command,
			    &s->expires);
}

/* One of EX, PX, EXAT, PXAT? */
static bool is_expiry_word(const struct kvclient *c, int i)
{
	return kvarg_is(c, i, "ex") || kvarg_is(c, i, "px") ||
	       kvarg_is(c, i, "exat") || kvarg_is(c, i, "pxat");
}

static void run_set(struct kvclient *c)
{
	struct set s = {.value = &c->argv[2]};
	int expiry = 0;

	for (int i = 3; i < c->argc; i++) {
		if (kvarg_is(c, i, "nx") && !s.xx) {
			s.nx = true;
		} else if (kvarg_is(c, i, "xx") && !s.nx) {
			s.xx = true;
		} else if (kvarg_is(c, i, "get")) {
			s.get = true;
		} else if (kvarg_is(c, i, "keepttl") && !expiry) {
			s.keep_ttl = true;
		} else if (is_expiry_word(c, i) && !expiry && !s.keep_ttl &&
			   i + 1 < c->argc) {
			expiry = i++;
		} else {
			kvreply_syntax(c);
			return;
		}
	}
	if (expiry && !set_expiry(c, &s, expiry + 1,
				  kv_lower(c->argv[expiry].p[0]) == 'e',
				  c->argv[expiry].len == 4, "set"))
		return;
	store(c, &s);
}

static void run_setnx(struct kvclient *c)
{
	struct set s = {.value = &c->argv[2], .nx = true, .is_quiet = true};
	size_t before = c->out.len;
	bool is_stored = store(c, &s);

	if (c->out.len == before)
		kvreply_int(&c->out, is_stored);
}

static void run_setex(struct kvclient *c)
{
	bool is_ms = c->argv[0].len == 6; /* PSETEX */
	struct set s = {.value = &c->argv[3]};

	if (set_expiry(c, &s, 2, !is_ms, false, is_ms ? "psetex" : "setex"))
		store(c, &s);
}

static void run_getset(struct kvclient *c)
{
	struct set s = {.value = &c->argv[2], .get = true};

	store(c, &s);
}

/* ---- several keys ------------------------------------------------------------------ */

/* All keys of an MSETNX are new. */
static bool are_new(struct kvclient *c)
{
	for (int i = 1; i < c->argc; i += 2) {
		struct kvkey k = kvstore_key(c->server->store, c->argv[i].p,
					     c->argv[i].len);

		if (kvstore_find(&k, c->now, false))
			return false;
	}
	return true;
}

/* 1 stored, 0 not all are new, -1 no memory: some may be stored. */
static int store_all(struct kvclient *c, bool nx)
{
	struct kvstore *s = c->server->store;
	uint64_t mask = shards_of(c, 2);
	int result = 1;

	kvstore_lock(s, mask);
	if (nx && !are_new(c))
		result = 0;
	for (int i = 1; i < c->argc && result > 0; i += 2) {
		struct kvkey k = kvstore_key(s, c->argv[i].p, c->argv[i].len);
		struct kvitem *it = kvstore_find(&k, c->now, false);

		it = kvstore_put(&k, it, c->argv[i + 1].p, c->argv[i + 1].len);
		if (it)
			kvstore_set_expiry(k.shard, it, 0);
		else
			result = -1;
	}
	kvstore_unlock(s, mask);
	return result;
}

static void run_mset(struct kvclient *c)
{
	bool nx = c->argv[0].len == 6; /* MSETNX */
	int stored;

	if (c->argc % 2 == 0) {
		kvreply_wrong_number(c, nx ? "msetnx" : "mset");
		return;
	}
	stored = store_all(c, nx);
	if (stored < 0)
		kvreply_no_memory(c);
	else if (nx)
		kvreply_int(&c->out, stored);
	else
		kvreply_status(&c->out, "OK");
}

/* ---- changes in place -------------------------------------------------------------- */

static void run_append(struct kvclient *c)
{
	const struct kvarg *more = &c->argv[2];
	struct kvkey k = lock_key(c, 1);
	struct kvitem *it = kvstore_find(&k, c->now, false);
	size_t len = it ? it->len : 0;
	bool fits = (int64_t)(len + more->len) <= c->server->options.max_bulk;

	if (fits)
		it = kvstore_put(&k, it, len ? NULL : more->p, len + more->len);
	if (fits && it && len)
		memcpy(it->value + len, more->p, more->len);
	unlock_key(&k);
	if (!fits)
		kvreply_error(&c->out,
			      "ERR string exceeds maximum allowed size "
			      "(proto-max-bulk-len)");
	else if (!it)
		kvreply_no_memory(c);
	else
		kvreply_int(&c->out, (int64_t)(len + more->len));
}

static void add_to(struct kvclient *c, int64_t by)
{
	struct kvkey k = lock_key(c, 1);
	struct kvitem *it = kvstore_find(&k, c->now, false);
	const char *error = NULL;
	char text[KV_INT_MAX_LEN];
	int64_t v = 0;

	if (it && !kv_parse_int(it->value, it->len, &v))
		error = "ERR value is not an integer or out of range";
	else if (__builtin_add_overflow(v, by, &v))
		error = "ERR increment or decrement would overflow";
	else if (!kvstore_put(&k, it, text, kv_format_int(text, v)))
		error = "OOM out of memory";
	unlock_key(&k);
	if (error)
		kvreply_error(&c->out, "%s", error);
	else
		kvreply_int(&c->out, v);
}

static void run_incr(struct kvclient *c)
{
	add_to(c, kv_lower(c->argv[0].p[0]) == 'i' ? 1 : -1);
}

static void run_incrby(struct kvclient *c)
{
	int64_t by;

	if (!kvarg_int(c, 2, &by))
		return;
	if (kv_lower(c->argv[0].p[0]) == 'i')
		add_to(c, by);
	else if (by == INT64_MIN)
		kvreply_error(&c->out, "ERR decrement would overflow");
	else
		add_to(c, -by);
}

const struct kvcommand kvstring_commands[] = {
	{"append", run_append, 3, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1,
	 "2.0.0", "key value", "Add to the end of a value"},
	{"decr", run_incr, 2, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1, "1.0.0",
	 "key", "Subtract one from a number"},
	{"decrby", run_incrby, 3, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1,
	 "1.0.0", "key decrement", "Subtract from a number"},
	{"get", run_get, 2, KV_READONLY | KV_FAST, 1, 1, 1, "1.0.0", "key",
	 "The value of a key"},
	{"getdel", run_getdel, 2, KV_WRITE | KV_FAST, 1, 1, 1, "6.2.0", "key",
	 "The value of a key, which is removed"},
	{"getset", run_getset, 3, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1,
	 "1.0.0", "key value", "Set a value and return the former one"},
	{"incr", run_incr, 2, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1, "1.0.0",
	 "key", "Add one to a number"},
	{"incrby", run_incrby, 3, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1,
	 "1.0.0", "key increment", "Add to a number"},
	{"mget", run_mget, -2, KV_READONLY | KV_FAST, 1, -1, 1, "1.0.0",
	 "key [key]", "The values of keys"},
	{"mset", run_mset, -3, KV_WRITE | KV_DENYOOM, 1, -1, 2, "1.0.1",
	 "key value [key] [value]", "Set values, all at once"},
	{"msetnx", run_mset, -3, KV_WRITE | KV_DENYOOM, 1, -1, 2, "1.0.1",
	 "key value [key] [value]",
	 "Set values, unless one of the keys is there"},
	{"psetex", run_setex, 4, KV_WRITE | KV_DENYOOM, 1, 1, 1, "2.6.0",
	 "key milliseconds value", "Set a value that expires"},
	{"set", run_set, -3, KV_WRITE | KV_DENYOOM, 1, 1, 1, "1.0.0",
	 "key value [NX|XX] [GET] [EX|PX|EXAT|PXAT] [time] [KEEPTTL]",
	 "Set a value"},
	{"setex", run_setex, 4, KV_WRITE | KV_DENYOOM, 1, 1, 1, "2.0.0",
	 "key seconds value", "Set a value that expires"},
	{"setnx", run_setnx, 3, KV_WRITE | KV_DENYOOM | KV_FAST, 1, 1, 1,
	 "1.0.0", "key value", "Set a value unless the key is there"},
	{"strlen", run_strlen, 2, KV_READONLY | KV_FAST, 1, 1, 1, "2.2.0",
	 "key", "The length of a value"},
	{.name = NULL},
};
