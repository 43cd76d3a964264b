// SPDX-License-Identifier: MIT
/*
 * fuzz_kvparse - requests of examples/kv, cut into pieces.
 *
 * Input: a byte that says how to cut, then the stream.
 *   1  the stream in pieces gives the requests, and the error, that it gives in one go
 *   2  so does what it gave, written as arrays of bulk strings
 * Each call is on memory of exactly its size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* It is a program's, not the library's. */
#include "examples/kv/kvparse.c"
#include "examples/kv/kvtext.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                               \
	do {                                                                   \
		if (!(x)) {                                                    \
			fprintf(stderr, "line %d: %s\n", __LINE__, #x);        \
			abort();                                               \
		}                                                              \
	} while (0)

/* Requests as arrays of bulk strings, one after the other. */
struct record {
	char *text;
	size_t len, cap;
	const char *error;
	char error_text[48];
};

static void note(struct record *r, const void *p, size_t n)
{
	if (r->cap - r->len < n) {
		r->cap = 2 * r->cap + n + 256;
		r->text = realloc(r->text, r->cap);
		CHECK(r->text);
	}
	if (n)
		memcpy(r->text + r->len, p, n);
	r->len += n;
}

static void note_head(struct record *r, char type, size_t n)
{
	char text[32];

	note(r, text,
	     (size_t)snprintf(text, sizeof text, "%c%zu\r\n", type, n));
}

static void note_request(struct record *r, const struct kvparse *p)
{
	if (!p->argc)
		return;
	note_head(r, '*', (size_t)p->argc);
	for (int i = 0; i < p->argc; i++) {
		note_head(r, '$', p->argv[i].len);
		note(r, p->argv[i].p, p->argv[i].len);
		note(r, "\r\n", 2);
	}
}

/* The stream in pieces of `piece` bytes, as a connection brings it. */
static void read_stream(const char *s, size_t n, size_t piece, struct record *r)
{
	struct kvparse p = {.max_bulk = 1 << 16};
	enum kvparse_result result = KVPARSE_MORE;
	size_t kept = 0, there = 0;
	char *buf = malloc(1);

	CHECK(buf);
	while (result == KVPARSE_MORE && there < n) {
		size_t more = n - there < piece ? n - there : piece;
		char *next = malloc(kept + more);

		CHECK(next);
		memcpy(next, buf, kept);
		memcpy(next + kept, s + there, more);
		free(buf);
		buf = next;
		kept += more;
		there += more;
		while ((result = kvparse_next(&p, buf, kept)) ==
		       KVPARSE_REQUEST)
			note_request(r, &p);
		CHECK(p.start <= p.pos && p.pos <= kept);
		kept -= p.start;
		memmove(buf, buf + p.start, kept);
		kvparse_moved(&p);
	}
	if (result == KVPARSE_ERROR) {
		snprintf(r->error_text, sizeof r->error_text, "%s", p.error);
		r->error = r->error_text;
	}
	free(buf);
	kvparse_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record whole = {0}, pieces = {0}, again = {0};
	const char *s = (const char *)data + 1;

	if (size < 1)
		return 0;
	read_stream(s, size - 1, size, &whole);
	read_stream(s, size - 1, data[0] % 17 + 1u, &pieces);
	CHECK(whole.len == pieces.len);
	CHECK(!whole.len || !memcmp(whole.text, pieces.text, whole.len));
	CHECK(!whole.error == !pieces.error);
	CHECK(!whole.error || !strcmp(whole.error, pieces.error));
	if (whole.len)
		read_stream(whole.text, whole.len, data[0] % 5 + 1u, &again);
	CHECK(!again.error && whole.len == again.len);
	CHECK(!whole.len || !memcmp(whole.text, again.text, whole.len));
	free(whole.text);
	free(pieces.text);
	free(again.text);
	return 0;
}
