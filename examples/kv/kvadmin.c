// SPDX-License-Identifier: MIT
/* kvadmin - the commands about the server: INFO, CONFIG, SAVE, SHUTDOWN, TIME ... */
#include "examples/kv/kvserver.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "examples/kv/kvsnap.h"
#include "examples/kv/kvtext.h"

static void run_info(struct kvclient *c)
{
	struct kvbuf text = {0};

	kvinfo_add(c, &text);
	kvreply_bulk(&c->out, text.data, text.len);
	c->out.is_failed |= text.is_failed;
	kvbuf_free(&text);
}

static void run_time(struct kvclient *c)
{
	int64_t us = rg_unix_nano() / RG_MICROSECOND;
	char text[KV_INT_MAX_LEN];

	kvreply_array(&c->out, 2);
	kvreply_bulk(&c->out, text, kv_format_int(text, us / 1000000));
	kvreply_bulk(&c->out, text, kv_format_int(text, us % 1000000));
}

/* ---- CONFIG ------------------------------------------------------------------------ */

enum { N_SETTINGS = 12 };

struct setting {
	const char *name;
	const char *text; /* its value; NULL: that is number */
	char number[24];
};

static void settings_of(const struct kvserver *s,
			struct setting out[N_SETTINGS])
{
	static const char *const fixed[N_SETTINGS][2] = {
		{"appendonly", "no"},
		{"bind", ""},
		{"databases", "1"},
		{"dbfilename", ""},
		{"io-threads", NULL},
		{"maxclients", NULL},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"proto-max-bulk-len", NULL},
		{"save", ""},
		{"tcp-keepalive", "15"},
		{"timeout", "0"},
	};

	for (int i = 0; i < N_SETTINGS; i++) {
		out[i].name = fixed[i][0];
		out[i].text = fixed[i][1];
	}
	out[1].text = s->options.address;
	out[3].text = s->options.snapshot ? s->options.snapshot : "";
	snprintf(out[4].number, sizeof out->number, "%d", rg_gomaxprocs(0));
	snprintf(out[5].number, sizeof out->number, "%d",
		 s->options.max_clients);
	snprintf(out[8].number, sizeof out->number, "%lld",
		 (long long)s->options.max_bulk);
}

static bool config_wants(const struct kvclient *c, const char *name)
{
	for (int i = 2; i < c->argc; i++) {
		const struct kvarg *a = &c->argv[i];
		char pattern[64];

		if (a->len > sizeof pattern)
			continue; /* longer than any name */
		for (size_t at = 0; at < a->len; at++)
			pattern[at] = kv_lower(a->p[at]);
		if (kv_glob(pattern, a->len, name, strlen(name)))
			return true;
	}
	return false;
}

static void config_get(struct kvclient *c)
{
	struct setting settings[N_SETTINGS];
	size_t n = 0;

	settings_of(c->server, settings);
	for (int i = 0; i < N_SETTINGS; i++)
		n += config_wants(c, settings[i].name);
	kvreply_array(&c->out, 2 * n);
	for (int i = 0; i < N_SETTINGS; i++)
		if (config_wants(c, settings[i].name)) {
			kvreply_text(&c->out, settings[i].name);
			kvreply_text(&c->out, settings[i].text
						      ? settings[i].text
						      : settings[i].number);
		}
}

/* Everything is set by the command line. */
static void config_set(struct kvclient *c)
{
	struct setting settings[N_SETTINGS];
	const struct kvarg *a = &c->argv[2];
	int len = (int)(a->len < 128 ? a->len : 128);

	settings_of(c->server, settings);
	for (int i = 0; i < N_SETTINGS; i++)
		if (kvarg_is(c, 2, settings[i].name)) {
			kvreply_error(&c->out,
				      "ERR CONFIG SET failed (possibly related "
				      "to argument '%.*s') - can't set "
				      "immutable config",
				      len, a->p);
			return;
		}
	kvreply_error(&c->out,
		      "ERR Unknown option or number of arguments for CONFIG "
		      "SET - '%.*s'",
		      len, a->p);
}

static void config_resetstat(struct kvclient *c)
{
	kvstore_sum(c->server->store, true);
	atomic_store_explicit(&c->server->commands, 0, memory_order_relaxed);
	atomic_store_explicit(&c->server->connections, 0, memory_order_relaxed);
	atomic_store_explicit(&c->server->rejected, 0, memory_order_relaxed);
	kvreply_status(&c->out, "OK");
}

static void config_help(struct kvclient *c)
{
	kvreply_array(&c->out, 4);
	kvreply_status(&c->out, "CONFIG <subcommand> [<arg> ...]. Subcommands "
				"are:");
	kvreply_status(&c->out, "GET <pattern> [<pattern> ...]");
	kvreply_status(&c->out, "SET <directive> <value>");
	kvreply_status(&c->out, "RESETSTAT");
}

static void run_config(struct kvclient *c)
{
	if (kvarg_is(c, 1, "get")) {
		if (c->argc < 3)
			kvreply_wrong_number(c, "config|get");
		else
			config_get(c);
	} else if (kvarg_is(c, 1, "set")) {
		if (c->argc < 4)
			kvreply_wrong_number(c, "config|set");
		else
			config_set(c);
	} else if (kvarg_is(c, 1, "resetstat")) {
		config_resetstat(c);
	} else if (kvarg_is(c, 1, "help")) {
		config_help(c);
	} else {
		kvreply_unknown_subcommand(c);
	}
}

/* ---- SAVE, SHUTDOWN ---------------------------------------------------------------- */

/* As in Redis: nobody gets an answer until it is done. */
static void run_save(struct kvclient *c)
{
	struct kvserver *s = c->server;
	int err;

	if (!s->options.snapshot) {
		kvreply_error(&c->out, "ERR no snapshot file was given (-s)");
		return;
	}
	err = kvsnap_save(s->store, s->options.snapshot);
	if (err < 0) {
		kvreply_error(&c->out, "ERR %s: %s", s->options.snapshot,
			      rg_strerror(err));
		return;
	}
	rg_mutex_lock(&s->lock);
	s->last_save = rg_unix_nano() / RG_SECOND;
	rg_mutex_unlock(&s->lock);
	kvreply_status(&c->out, "OK");
}

static void run_lastsave(struct kvclient *c)
{
	int64_t at;

	rg_mutex_lock(&c->server->lock);
	at = c->server->last_save;
	rg_mutex_unlock(&c->server->lock);
	kvreply_int(&c->out, at);
}

/* The connection ends, and that is the answer. */
static void run_shutdown(struct kvclient *c)
{
	bool is_unwanted = c->argc == 2 && kvarg_is(c, 1, "nosave");

	if (c->argc > 2 ||
	    (c->argc == 2 && !is_unwanted && !kvarg_is(c, 1, "save"))) {
		kvreply_syntax(c);
		return;
	}
	rg_mutex_lock(&c->server->lock);
	c->server->is_save_unwanted = is_unwanted;
	rg_mutex_unlock(&c->server->lock);
	rg_chan_try_send(c->server->stop, &(int){SIGTERM});
	c->is_closing = true;
}

const struct kvcommand kvadmin_commands[] = {
	{"config", run_config, -2, KV_ADMIN, 0, 0, 0, "2.0.0", "subcommand",
	 "How the server was started"},
	{"info", run_info, -1, 0, 0, 0, 0, "1.0.0", "[section]",
	 "Facts and figures of the server"},
	{"lastsave", run_lastsave, 1, KV_FAST, 0, 0, 0, "1.0.0", "",
	 "When the last snapshot was made"},
	{"save", run_save, 1, KV_ADMIN, 0, 0, 0, "1.0.0", "",
	 "Make a snapshot"},
	{"shutdown", run_shutdown, -1, KV_ADMIN, 0, 0, 0, "1.0.0",
	 "[NOSAVE|SAVE]", "End the server"},
	{"time", run_time, 1, KV_FAST, 0, 0, 0, "2.6.0", "",
	 "The server's time"},
	{.name = NULL},
};
