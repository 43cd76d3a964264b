// SPDX-License-Identifier: MIT
/*
 * ctxvalue - what a context tells when asked: the values it carries, how it was made.
 *
 * Both walk up the parents, which are const and kept by their children: no lock. A
 * chain may be longer than a goroutine's stack, so the walks are loops; the name is
 * written from its end to its beginning.
 */
#include <string.h>

#include "sched/sched.h"
#include "sched/textbuf.h"
#include "sync/ctx.h"

/* The longest is ".with_deadline(" and a duration of at most 24 characters. */
enum { PIECE_MAX = 64 };

static void need(const rg_ctx *c, const char *what)
{
	if (!c)
		rg_panic("%s of nil context", what);
}

/* ---- values ---------------------------------------------------------------- */

rg_ctx *rg_ctx_with_value(rg_ctx *parent, const void *key, void *value)
{
	rg_ctx *c;

	if (!key)
		rg_panic("rg_ctx_with_value: nil key");
	c = ctx_make(parent, CTX_VALUE, RG_FOREVER);
	if (!c)
		return NULL;
	c->key = key;
	c->value = value;
	return ctx_enter(c);
}

void *rg_ctx_value(const rg_ctx *c, const void *key)
{
	need(c, "rg_ctx_value");
	for (; c; c = c->parent)
		if (c->kind == CTX_VALUE && c->key == key)
			return c->value;
	return NULL;
}

/* ---- names ------------------------------------------------------------------ */

static const char *kind_name(enum ctx_kind kind)
{
#define CTX_NAME(name, text) text,
	static const char *const names[] = {CTX_KINDS(CTX_NAME)};

	return names[kind];
}

/* A piece is never written out: it fits. */
static int refuse_flush(struct textbuf *b, const char *p, size_t n)
{
	(void)b;
	(void)p;
	(void)n;
	return -ENOSPC;
}

/* c's part of the name. */
static size_t piece(const rg_ctx *c, rg_time now, char *out)
{
	struct textbuf b;

	textbuf_init(&b, out, PIECE_MAX, -1, refuse_flush);
	if (c->parent)
		textbuf_char(&b, '.');
	textbuf_str(&b, kind_name(c->kind));
	if (c->kind == CTX_DEADLINE && c->deadline != RG_FOREVER) {
		textbuf_char(&b, '(');
		if (c->deadline > now)
			textbuf_duration(&b, c->deadline - now);
		else
			textbuf_str(&b, "passed");
		textbuf_char(&b, ')');
	}
	return b.len;
}

size_t rg_ctx_format(const rg_ctx *c, char *buf, size_t size)
{
	rg_time now = rg_now();
	char part[PIECE_MAX];
	size_t len = 0, at;

	need(c, "rg_ctx_format");
	for (const rg_ctx *p = c; p; p = p->parent)
		len += piece(p, now, part);
	if (!size)
		return len;
	at = len;
	for (const rg_ctx *p = c; p; p = p->parent) {
		size_t n = piece(p, now, part), fits;

		at -= n;
		fits = at < size - 1 ? size - 1 - at : 0;
		memcpy(buf + (fits ? at : 0), part, fits < n ? fits : n);
	}
	buf[len < size ? len : size - 1] = '\0';
	return len;
}
