// SPDX-License-Identifier: MIT
/*
 * kvconnection - the commands about the connection: PING, ECHO, HELLO, CLIENT ... There
 * is one database, number 0, and no password.
 */
#include "examples/kv/kvserver.h"

#include <string.h>

#include "examples/kv/kvtext.h"

static void run_ping(struct kvclient *c)
{
	if (c->argc == 1)
		kvreply_status(&c->out, "PONG");
	else if (c->argc == 2)
		kvreply_bulk(&c->out, c->argv[1].p, c->argv[1].len);
	else
		kvreply_wrong_number(c, "ping");
}

static void run_echo(struct kvclient *c)
{
	kvreply_bulk(&c->out, c->argv[1].p, c->argv[1].len);
}

static void run_quit(struct kvclient *c)
{
	kvreply_status(&c->out, "OK");
	c->is_closing = true;
}

static void run_select(struct kvclient *c)
{
	int64_t db;

	if (!kvarg_int(c, 1, &db))
		return;
	if (db)
		kvreply_error(&c->out, "ERR DB index is out of range");
	else
		kvreply_status(&c->out, "OK");
}

/* Some browser was made to speak to us: what follows is not meant. */
static void run_http(struct kvclient *c)
{
	c->is_closing = true;
}

/* ---- AUTH, HELLO ------------------------------------------------------------------- */

static void run_auth(struct kvclient *c)
{
	if (c->argc > 3)
		kvreply_syntax(c);
	else if (c->argc == 2)
		kvreply_error(&c->out,
			      "ERR AUTH <password> called without any password "
			      "configured for the default user. Are you sure "
			      "your configuration is correct?");
	else if (kvarg_is(c, 1, "default"))
		kvreply_status(&c->out, "OK");
	else
		kvreply_error(&c->out, "WRONGPASS invalid username-password "
				       "pair or user is disabled.");
}

/* What CLIENT SETNAME and its kin may be given: it goes into lines of words. */
static bool set_text(struct kvclient *c, char *to, int i)
{
	const struct kvarg *a = &c->argv[i];

	for (size_t at = 0; at < a->len; at++)
		if (a->p[at] < '!' || a->p[at] > '~') {
			kvreply_error(&c->out,
				      "ERR Client names cannot contain spaces, "
				      "newlines or special characters.");
			return false;
		}
	if (a->len > KV_MAX_NAME) {
		kvreply_error(&c->out, "ERR Client names have at most %d bytes",
			      KV_MAX_NAME);
		return false;
	}
	rg_mutex_lock(&c->server->lock);
	memcpy(to, a->p, a->len);
	to[a->len] = 0;
	rg_mutex_unlock(&c->server->lock);
	return true;
}

/* The options of HELLO from argument 2 on; false: replied. */
static bool hello_options(struct kvclient *c)
{
	for (int i = 2; i < c->argc; i++) {
		const struct kvarg *a = &c->argv[i];

		if (kvarg_is(c, i, "auth") && i + 2 < c->argc) {
			if (!kvarg_is(c, i + 1, "default")) {
				kvreply_error(&c->out,
					      "WRONGPASS invalid username-"
					      "password pair or user is "
					      "disabled.");
				return false;
			}
			i += 2;
		} else if (kvarg_is(c, i, "setname") && i + 1 < c->argc) {
			if (!set_text(c, c->name, ++i))
				return false;
		} else {
			kvreply_error(&c->out,
				      "ERR Syntax error in HELLO option '%.*s'",
				      (int)(a->len < 128 ? a->len : 128), a->p);
			return false;
		}
	}
	return true;
}

static void run_hello(struct kvclient *c)
{
	struct kvbuf *out = &c->out;
	int64_t version = 2;

	if (c->argc > 1 &&
	    !kv_parse_int(c->argv[1].p, c->argv[1].len, &version)) {
		kvreply_error(out, "ERR Protocol version is not an integer or "
				   "out of range");
		return;
	}
	if (version != 2) {
		kvreply_error(out, "NOPROTO unsupported protocol version");
		return;
	}
	if (!hello_options(c))
		return;
	kvreply_array(out, 14);
	kvreply_text(out, "server");
	kvreply_text(out, "redis");
	kvreply_text(out, "version");
	kvreply_text(out, kv_version);
	kvreply_text(out, "proto");
	kvreply_int(out, 2);
	kvreply_text(out, "id");
	kvreply_int(out, (int64_t)c->id);
	kvreply_text(out, "mode");
	kvreply_text(out, "standalone");
	kvreply_text(out, "role");
	kvreply_text(out, "master");
	kvreply_text(out, "modules");
	kvreply_array(out, 0);
}

/* ---- CLIENT ------------------------------------------------------------------------ */

/* Under the server's lock. */
static void add_client(struct kvbuf *text, const struct kvclient *c)
{
	kvbuf_printf(text,
		     "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld db=0 "
		     "resp=2 lib-name=%s lib-ver=%s\n",
		     (unsigned long long)c->id, rg_conn_remote_addr(c->conn),
		     rg_conn_local_addr(c->conn), rg_conn_fd(c->conn), c->name,
		     (long long)((rg_now() - c->since) / RG_SECOND),
		     c->lib_name, c->lib_ver);
}

static void client_list(struct kvclient *c, bool is_all)
{
	struct kvbuf text = {0};

	rg_mutex_lock(&c->server->lock);
	if (!is_all)
		add_client(&text, c);
	else
		for (struct kvclient *o = c->server->clients; o; o = o->next)
			add_client(&text, o);
	rg_mutex_unlock(&c->server->lock);
	kvreply_bulk(&c->out, text.data, text.len);
	c->out.is_failed |= text.is_failed;
	kvbuf_free(&text);
}

static void client_setinfo(struct kvclient *c)
{
	bool is_name = kvarg_is(c, 2, "lib-name");

	if (!is_name && !kvarg_is(c, 2, "lib-ver"))
		kvreply_error(
			&c->out, "ERR Unrecognized option '%.*s'",
			(int)(c->argv[2].len < 128 ? c->argv[2].len : 128),
			c->argv[2].p);
	else if (set_text(c, is_name ? c->lib_name : c->lib_ver, 3))
		kvreply_status(&c->out, "OK");
}

static void client_setname(struct kvclient *c)
{
	if (set_text(c, c->name, 2))
		kvreply_status(&c->out, "OK");
}

static void client_getname(struct kvclient *c)
{
	if (*c->name)
		kvreply_text(&c->out, c->name);
	else
		kvreply_null(&c->out);
}

static void client_id(struct kvclient *c)
{
	kvreply_int(&c->out, (int64_t)c->id);
}

static void client_info(struct kvclient *c)
{
	client_list(c, false);
}

static void client_all(struct kvclient *c)
{
	client_list(c, true);
}

static void client_help(struct kvclient *c)
{
	static const char *const lines[] = {
		"GETNAME",        "ID",
		"INFO",           "LIST",
		"SETNAME <name>", "SETINFO LIB-NAME|LIB-VER <text>",
	};
	enum { N = sizeof lines / sizeof *lines };

	kvreply_array(&c->out, N + 1);
	kvreply_status(&c->out, "CLIENT <subcommand> [<arg> ...]. Subcommands "
				"are:");
	for (int i = 0; i < N; i++)
		kvreply_status(&c->out, lines[i]);
}

static void run_client(struct kvclient *c)
{
	static const struct {
		const char *name;
		int argc;
		void (*run)(struct kvclient *c);
	} subs[] = {
		{"getname", 2, client_getname}, {"id", 2, client_id},
		{"info", 2, client_info},       {"list", 2, client_all},
		{"setname", 3, client_setname}, {"setinfo", 4, client_setinfo},
		{"help", 2, client_help},
	};

	for (size_t i = 0; i < sizeof subs / sizeof *subs; i++) {
		char name[24];

		if (!kvarg_is(c, 1, subs[i].name))
			continue;
		if (c->argc == subs[i].argc) {
			subs[i].run(c);
			return;
		}
		strcpy(name, "client|");
		kvreply_wrong_number(c, strcat(name, subs[i].name));
		return;
	}
	kvreply_unknown_subcommand(c);
}

const struct kvcommand kvclient_commands[] = {
	{"auth", run_auth, -2, KV_FAST, 0, 0, 0, "1.0.0", "[username] password",
	 "Say who one is"},
	{"client", run_client, -2, 0, 0, 0, 0, "2.4.0", "subcommand",
	 "About the connection and others"},
	{"echo", run_echo, 2, KV_FAST, 0, 0, 0, "1.0.0", "message",
	 "The message"},
	{"hello", run_hello, -1, KV_FAST, 0, 0, 0, "6.0.0",
	 "[protover] [AUTH] [username] [password] [SETNAME] [clientname]",
	 "Greet the server; only protocol 2 is spoken"},
	{"host:", run_http, -1, 0, 0, 0, 0, "2.8.0", "", "Ends the connection"},
	{"ping", run_ping, -1, KV_FAST, 0, 0, 0, "1.0.0", "[message]",
	 "PONG, or the message"},
	{"post", run_http, -1, 0, 0, 0, 0, "2.8.0", "", "Ends the connection"},
	{"quit", run_quit, -1, KV_FAST, 0, 0, 0, "1.0.0", "",
	 "End the connection"},
	{"select", run_select, 2, KV_FAST, 0, 0, 0, "1.0.0", "index",
	 "Choose a database; there is number 0"},
	{.name = NULL},
};
