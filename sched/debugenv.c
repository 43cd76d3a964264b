// SPDX-License-Identifier: MIT
/*
 * debugenv - see debugenv.h for the role and the invariants.
 *
 * By hand and not by strtol: a value is decimal digits and nothing else, the text
 * is not copied, and no locale has a say.
 */
#include "sched/debugenv.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct debugenv debugenv;

struct key {
	const char *name;
	size_t offset; /* of an int in struct debugenv */
	int max;
};

#define KEY_ROW(name, max) {#name, offsetof(struct debugenv, name), max},
static const struct key keys[] = {DEBUGENV_KEYS(KEY_ROW)};
#undef KEY_ROW

enum { NKEYS = sizeof keys / sizeof *keys };

static const struct key *find_key(const char *p, size_t n)
{
	for (int i = 0; i < NKEYS; i++)
		if (strlen(keys[i].name) == n && !memcmp(keys[i].name, p, n))
			return &keys[i];
	return NULL;
}

/* 0..max, or -1. */
static int number(const char *p, const char *end, int max)
{
	long n = 0;

	if (p == end)
		return -1;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = n * 10 + (*p - '0');
		if (n > max)
			return -1;
	}
	return (int)n;
}

static void complain(struct textbuf *b, const char *item, size_t n)
{
	textbuf_str(b, "ringgo: RINGGO_DEBUG: ");
	textbuf_quoted(b, item, n);
}

static void complain_key(struct textbuf *b, const char *item, size_t n)
{
	complain(b, item, n);
	textbuf_str(b, " is unknown: ignored; there are:");
	for (int i = 0; i < NKEYS; i++) {
		textbuf_char(b, ' ');
		textbuf_str(b, keys[i].name);
	}
	textbuf_char(b, '\n');
}

static void complain_value(struct textbuf *b, const char *item, size_t n,
			   const struct key *k)
{
	complain(b, item, n);
	textbuf_str(b, ": ignored; it is ");
	textbuf_str(b, k->name);
	textbuf_str(b, "=0 to ");
	textbuf_dec(b, (uint64_t)k->max);
	textbuf_char(b, '\n');
}

/* One "key=value" of n > 0 bytes; whether it was fine. */
static bool parse_item(const char *item, size_t n, struct debugenv *out,
		       struct textbuf *b)
{
	const char *eq = memchr(item, '=', n);
	const struct key *k = find_key(item, eq ? (size_t)(eq - item) : n);
	int value;

	if (!k) {
		complain_key(b, item, n);
		return false;
	}
	value = eq ? number(eq + 1, item + n, k->max) : -1;
	if (value < 0) {
		complain_value(b, item, n, k);
		return false;
	}
	memcpy((char *)out + k->offset, &value, sizeof value);
	return true;
}

int debugenv_parse(const char *text, struct debugenv *out, struct textbuf *b)
{
	int bad = 0;

	memset(out, 0, sizeof *out);
	while (text && *text) {
		size_t n = strcspn(text, ",");

		if (n)
			bad += !parse_item(text, n, out, b);
		text += n;
		text += *text == ',';
	}
	return bad;
}

static int say_nothing(struct textbuf *b, const char *p, size_t n)
{
	(void)b;
	(void)p;
	(void)n;
	return 0;
}

void debugenv_read(void)
{
	static bool has_complained; /* one start at a time: run.c */
	char mem[1024];
	struct textbuf b;

	textbuf_init(&b, mem, sizeof mem, STDERR_FILENO,
		     has_complained ? say_nothing : textbuf_write_fd);
	if (debugenv_parse(getenv("RINGGO_DEBUG"), &debugenv, &b)) {
		has_complained = true;
		(void)textbuf_flush(&b);
	}
}
