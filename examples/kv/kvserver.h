/* SPDX-License-Identifier: MIT */
/*
 * kvserver - what the parts of the server share: the server itself, its clients, and
 * the table of commands.
 *
 * A goroutine a client: it reads what there is, runs every whole request in it, and
 * sends all replies with one write (more when they are many). It holds locks of the
 * store only while a command runs, never while it reads or writes.
 */
#ifndef KVSERVER_H
#define KVSERVER_H

#include <ringgo.h>

#include <stdatomic.h>

#include "examples/kv/kvbuf.h"
#include "examples/kv/kvparse.h"
#include "examples/kv/kvstore.h"

enum { KV_MAX_NAME = 63 };

struct kvoptions {
	const char *address;  /* "host:port" or "unix:PATH" */
	const char *snapshot; /* file; NULL: nothing is kept */
	int maxprocs;
	int max_clients;
	int64_t max_bulk; /* bytes of an argument, and of a value */
};

struct kvserver {
	/* const while clients are served */
	struct kvoptions options;
	struct kvstore *store;
	rg_listener *listener;
	rg_time started;
	rg_chan *
		stop; /* of int, room for one: the signal, or a negative errno */

	/* under lock */
	rg_mutex lock;
	struct kvclient *clients;
	int n_clients;
	bool is_save_unwanted; /* SHUTDOWN NOSAVE */
	int64_t last_save;     /* s since 1970 */

	rg_waitgroup running;  /* goroutines of clients */
	rg_waitgroup expiring; /* the one that removes keys */
	/* counters, relaxed: they order nothing */
	_Atomic int64_t commands, connections, rejected;
	_Atomic uint64_t next_id;
};

struct kvclient {
	struct kvserver *server;
	rg_conn *conn;
	uint64_t id;
	rg_time since;

	/* of its goroutine */
	struct kvbuf in, out;
	struct kvparse parse;
	int argc;
	const struct kvarg *argv;
	int64_t now; /* ms since 1970, read once for each batch of requests */
	bool is_closing; /* after the replies that are there */

	/* under the server's lock */
	struct kvclient *next, **link;
	char name[KV_MAX_NAME + 1];
	char lib_name[KV_MAX_NAME + 1], lib_ver[KV_MAX_NAME + 1];
};

/* ---- kvclient.c -------------------------------------------------------------------- */

/* kvclient_start - serve c from now on in a goroutine of its own; it is closed whatever
 * happens. kvclient_stop_all - each ends when it has answered what it has read; those
 * that do not take their answers within grace are cut off. */
void kvclient_start(struct kvserver *server, rg_conn *conn);
void kvclient_stop_all(struct kvserver *server, rg_duration grace);

/* ---- kvcommand.c ------------------------------------------------------------------- */

enum kvflag {
	KV_WRITE = 1,
	KV_READONLY = 2,
	KV_FAST = 4,
	KV_ADMIN = 8,
	KV_DENYOOM = 16,
};

struct kvcommand {
	const char *name; /* lower case */
	void (*run)(struct kvclient *c);
	int arity; /* words with the name; negative: at least as many */
	unsigned flags;
	int first_key, last_key, key_step;
	const char *since;
	const char *arguments; /* words, optional ones in brackets */
	const char *summary;
};

/* Groups of commands, each ending with a NULL name. */
extern const struct kvcommand kvstring_commands[];  /* kvstring.c */
extern const struct kvcommand kvkeys_commands[];    /* kvkeys.c */
extern const struct kvcommand kvadmin_commands[];   /* kvadmin.c */
extern const struct kvcommand kvclient_commands[];  /* kvconnection.c */
extern const struct kvcommand kvcommand_commands[]; /* kvcommand.c */

/* kvcommand_init - once, before kvcommand_run. kvcommand_run - run the request in argc
 * and argv of c; its reply goes to out. */
void kvcommand_init(void);
void kvcommand_run(struct kvclient *c);

/* Replies that several commands give. kvarg_int: false, with the error as the reply. */
void kvreply_syntax(struct kvclient *c);
void kvreply_wrong_number(struct kvclient *c, const char *name);
void kvreply_no_memory(struct kvclient *c);
void kvreply_unknown_subcommand(struct kvclient *c);
bool kvarg_int(struct kvclient *c, int i, int64_t *out);
bool kvarg_is(const struct kvclient *c, int i, const char *word);

/* kvarg_expiry - the point in time that argument i means: in seconds, or milliseconds,
 * from now on or from 1970 on. command is for the error. */
bool kvarg_expiry(struct kvclient *c, int i, bool is_seconds, bool is_absolute,
		  const char *command, int64_t *out);

/* ---- kvinfo.c ---------------------------------------------------------------------- */

/* kvinfo_add - the sections of INFO that the words ask for, "\r\n" between lines. */
void kvinfo_add(struct kvclient *c, struct kvbuf *text);
extern const char *const kv_version; /* of Redis, whose commands these are */

#endif
