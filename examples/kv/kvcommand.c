// SPDX-License-Identifier: MIT
/*
 * kvcommand - which commands there are: finding and running them, and COMMAND, by which
 * clients ask.
 */
#include "examples/kv/kvserver.h"

#include <string.h>

#include "examples/kv/kvtext.h"

enum { SLOTS = 256, LONGEST = 16 };

/* const after kvcommand_init */
static const struct kvcommand *slots[SLOTS];
static size_t n_commands;

static const struct {
	const char *name;
	const struct kvcommand *commands;
} groups[] = {
	{"string", kvstring_commands},     {"generic", kvkeys_commands},
	{"connection", kvclient_commands}, {"server", kvadmin_commands},
	{"server", kvcommand_commands},
};
enum { GROUPS = sizeof groups / sizeof *groups };

static size_t slot_of(const char *name, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)kv_lower(name[i])) * 16777619u;
	return h % SLOTS;
}

void kvcommand_init(void)
{
	for (int g = 0; g < GROUPS; g++)
		for (const struct kvcommand *m = groups[g].commands; m->name;
		     m++, n_commands++) {
			size_t i = slot_of(m->name, strlen(m->name));

			while (slots[i])
				i = (i + 1) % SLOTS;
			slots[i] = m;
		}
}

static const struct kvcommand *find(const struct kvarg *name)
{
	if (name->len > LONGEST)
		return NULL;
	for (size_t i = slot_of(name->p, name->len); slots[i];
	     i = (i + 1) % SLOTS)
		if (kv_is(name->p, name->len, slots[i]->name))
			return slots[i];
	return NULL;
}

/* ---- replies and arguments that many have ------------------------------------------ */

void kvreply_syntax(struct kvclient *c)
{
	kvreply_error(&c->out, "ERR syntax error");
}

void kvreply_wrong_number(struct kvclient *c, const char *name)
{
	kvreply_error(&c->out, "ERR wrong number of arguments for '%s' command",
		      name);
}

void kvreply_no_memory(struct kvclient *c)
{
	kvreply_error(&c->out, "OOM out of memory");
}

void kvreply_unknown_subcommand(struct kvclient *c)
{
	char name[LONGEST + 1] = "";
	const struct kvarg *a = &c->argv[0];

	for (size_t i = 0; i < a->len && i < LONGEST; i++)
		name[i] = a->p[i] >= 'a' && a->p[i] <= 'z'
				  ? (char)(a->p[i] - ('a' - 'A'))
				  : a->p[i];
	a = &c->argv[1];
	kvreply_error(&c->out, "ERR unknown subcommand '%.*s'. Try %s HELP.",
		      (int)(a->len < 128 ? a->len : 128), a->p, name);
}

bool kvarg_is(const struct kvclient *c, int i, const char *word)
{
	return kv_is(c->argv[i].p, c->argv[i].len, word);
}

bool kvarg_int(struct kvclient *c, int i, int64_t *out)
{
	if (kv_parse_int(c->argv[i].p, c->argv[i].len, out))
		return true;
	kvreply_error(&c->out, "ERR value is not an integer or out of range");
	return false;
}

bool kvarg_expiry(struct kvclient *c, int i, bool is_seconds, bool is_absolute,
		  const char *command, int64_t *out)
{
	int64_t v;

	if (!kvarg_int(c, i, &v))
		return false;
	if (__builtin_mul_overflow(v, is_seconds ? 1000 : 1, &v) ||
	    __builtin_add_overflow(v, is_absolute ? 0 : c->now, &v)) {
		kvreply_error(&c->out,
			      "ERR invalid expire time in '%s' command",
			      command);
		return false;
	}
	*out = v;
	return true;
}

static void reply_unknown(struct kvclient *c)
{
	char text[160] = "";
	size_t n = 0;

	for (int i = 1; i < c->argc && n < 128; i++) {
		size_t len =
			c->argv[i].len < 128 - n ? c->argv[i].len : 128 - n;

		text[n++] = '\'';
		memcpy(text + n, c->argv[i].p, len);
		n += len;
		text[n++] = '\'';
		text[n++] = ' ';
	}
	text[n] = 0;
	kvreply_error(
		&c->out,
		"ERR unknown command '%.*s', with args beginning with: %s",
		(int)(c->argv[0].len < 128 ? c->argv[0].len : 128),
		c->argv[0].p, text);
}

void kvcommand_run(struct kvclient *c)
{
	const struct kvcommand *m = find(&c->argv[0]);

	if (!m)
		reply_unknown(c);
	else if (m->arity < 0 ? c->argc < -m->arity : c->argc != m->arity)
		kvreply_wrong_number(c, m->name);
	else
		m->run(c);
}

/* ---- COMMAND ----------------------------------------------------------------------- */

static void reply_flags(struct kvbuf *out, unsigned flags)
{
	static const struct {
		unsigned flag;
		const char *name;
	} names[] = {
		{KV_WRITE, "write"},     {KV_READONLY, "readonly"},
		{KV_FAST, "fast"},       {KV_ADMIN, "admin"},
		{KV_DENYOOM, "denyoom"},
	};

	kvreply_array(out, (size_t)__builtin_popcount(flags));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (flags & names[i].flag)
			kvreply_status(out, names[i].name);
}

/* Its last four fields (categories, tips, where keys are, subcommands) are empty. */
static void reply_info(struct kvbuf *out, const struct kvcommand *m)
{
	if (!m) {
		kvreply_null_array(out);
		return;
	}
	kvreply_array(out, 10);
	kvreply_text(out, m->name);
	kvreply_int(out, m->arity);
	reply_flags(out, m->flags);
	kvreply_int(out, m->first_key);
	kvreply_int(out, m->last_key);
	kvreply_int(out, m->key_step);
	for (int i = 0; i < 4; i++)
		kvreply_array(out, 0);
}

/* An argument a word, as redis-cli shows them behind what is typed. */
static void reply_arguments(struct kvbuf *out, const char *words)
{
	size_t n = 1;

	for (const char *p = words; *p; p++)
		n += *p == ' ';
	kvreply_array(out, n);
	for (const char *p = words; n; n--) {
		size_t len = strcspn(p, " ");
		bool is_optional = *p == '[';
		const char *name = p + is_optional;

		kvreply_array(out, is_optional ? 6 : 4);
		kvreply_text(out, "name");
		kvreply_bulk(out, name, len - 2 * is_optional);
		kvreply_text(out, "type");
		kvreply_text(out, "string");
		if (is_optional) {
			kvreply_text(out, "flags");
			kvreply_array(out, 1);
			kvreply_status(out, "optional");
		}
		p += len + 1;
	}
}

static void reply_docs(struct kvbuf *out, const char *group,
		       const struct kvcommand *m)
{
	kvreply_text(out, m->name);
	kvreply_array(out, *m->arguments ? 8 : 6);
	kvreply_text(out, "summary");
	kvreply_text(out, m->summary);
	kvreply_text(out, "since");
	kvreply_text(out, m->since);
	kvreply_text(out, "group");
	kvreply_text(out, group);
	if (*m->arguments) {
		kvreply_text(out, "arguments");
		reply_arguments(out, m->arguments);
	}
}

static bool is_asked_for(const struct kvclient *c, const struct kvcommand *m)
{
	for (int i = 2; i < c->argc; i++)
		if (kvarg_is(c, i, m->name))
			return true;
	return c->argc <= 2;
}

static void command_docs(struct kvclient *c)
{
	size_t n = 0;

	for (int g = 0; g < GROUPS; g++)
		for (const struct kvcommand *m = groups[g].commands; m->name;
		     m++)
			n += is_asked_for(c, m);
	kvreply_array(&c->out, 2 * n);
	for (int g = 0; g < GROUPS; g++)
		for (const struct kvcommand *m = groups[g].commands; m->name;
		     m++)
			if (is_asked_for(c, m))
				reply_docs(&c->out, groups[g].name, m);
}

static void command_all(struct kvclient *c, bool is_list)
{
	kvreply_array(&c->out, n_commands);
	for (int g = 0; g < GROUPS; g++)
		for (const struct kvcommand *m = groups[g].commands; m->name;
		     m++)
			if (is_list)
				kvreply_text(&c->out, m->name);
			else
				reply_info(&c->out, m);
}

static void command_help(struct kvclient *c)
{
	static const char *const lines[] = {
		"COMMAND",
		"    All commands.",
		"COMMAND COUNT",
		"    How many there are.",
		"COMMAND LIST",
		"    Their names.",
		"COMMAND INFO [<name> ...]",
		"    Some of them.",
		"COMMAND DOCS [<name> ...]",
		"    What they do.",
	};
	enum { N = sizeof lines / sizeof *lines };

	kvreply_array(&c->out, N);
	for (int i = 0; i < N; i++)
		kvreply_status(&c->out, lines[i]);
}

static void run_command(struct kvclient *c)
{
	if (c->argc == 1) {
		command_all(c, false);
	} else if (kvarg_is(c, 1, "count")) {
		kvreply_int(&c->out, (int64_t)n_commands);
	} else if (kvarg_is(c, 1, "list")) {
		command_all(c, true);
	} else if (kvarg_is(c, 1, "docs")) {
		command_docs(c);
	} else if (kvarg_is(c, 1, "help")) {
		command_help(c);
	} else if (!kvarg_is(c, 1, "info")) {
		kvreply_unknown_subcommand(c);
	} else if (c->argc == 2) {
		command_all(c, false);
	} else {
		kvreply_array(&c->out, (size_t)c->argc - 2);
		for (int i = 2; i < c->argc; i++)
			reply_info(&c->out, find(&c->argv[i]));
	}
}

const struct kvcommand kvcommand_commands[] = {
	{"command", run_command, -1, 0, 0, 0, 0, "2.8.13", "[subcommand]",
	 "Which commands there are"},
	{.name = NULL},
};
