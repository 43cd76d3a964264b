// SPDX-License-Identifier: MIT
/*
 * test_httpchunk - the chunked coding: I1 by feeding each body whole, byte by
 * byte and cut at every position (what was not used comes again with the next
 * bytes, as a connection's buffer does it); I2 by a table of faults; I3 at and
 * beyond each bound; I4 by bytes after the body.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/http/httpchunk.h"

#define NFIELDS 4

/* What came of a body. */
struct outcome {
	int rc;
	int status;
	const char *reason;
	size_t used; /* of all input; up to the fault for data before it */
	char *data;
	size_t data_len;
	uint32_t nfields;
	char trailer[256]; /* "name=value;" of each field */
};

static void note_trailer(struct outcome *o, const struct httpchunk *c,
			 const struct httpchunk_step *step)
{
	const struct httphead *h = &c->trailer.head;
	size_t len = 0;

	o->nfields = h->nfields;
	assert_int_equal(step->data_len, h->len);
	for (uint32_t i = 0; i < h->nfields; i++) {
		const struct httpfield *f = &h->fields[i];

		len += (size_t)snprintf(
			o->trailer + len, sizeof(o->trailer) - len,
			"%.*s=%.*s;", (int)f->name.len,
			step->data + f->name.off, (int)f->value.len,
			step->data + f->value.off);
		assert_true(len < sizeof(o->trailer));
	}
}

/* All steps that s[0..len) allows, on a copy of exactly that size; the first
 * o->used bytes are done with already. */
static void take_steps(struct httpchunk *c, const char *s, size_t len,
		       struct outcome *o)
{
	size_t n = len - o->used;
	char *copy = malloc(n ? n : 1);
	size_t pos = 0;

	assert_non_null(copy);
	memcpy(copy, s + o->used, n);
	do {
		struct httpchunk_step step;

		o->rc = httpchunk_next(c, copy + pos, n - pos, &step);
		if (o->rc == HTTPCHUNK_DATA) {
			assert_true(step.data_len > 0);
			memcpy(o->data + o->data_len, step.data, step.data_len);
			o->data_len += step.data_len;
		}
		if (o->rc == HTTPCHUNK_END)
			note_trailer(o, c, &step);
		assert_true(step.used <= n - pos);
		pos += step.used;
	} while (o->rc == HTTPCHUNK_DATA);
	if (o->rc != HTTPCHUNK_ERROR)
		o->used += pos;
	o->status = c->status;
	o->reason = c->reason;
	free(copy);
}

static struct outcome outcome_new(size_t len)
{
	struct outcome o = {.data = malloc(len + 1)};

	assert_non_null(o.data);
	return o;
}

/* Feed s in pieces of `piece` bytes after a first one of `first`. */
static struct outcome feed(const char *s, size_t len, size_t first,
			   size_t piece)
{
	struct httpfield fields[NFIELDS];
	struct outcome o = outcome_new(len);
	struct httpchunk c;
	size_t there = first;

	httpchunk_init(&c, fields, NFIELDS, NULL);
	for (;;) {
		take_steps(&c, s, there, &o);
		if (o.rc != HTTPCHUNK_MORE || there == len)
			break;
		there = there + piece < len ? there + piece : len;
	}
	if (o.rc == HTTPCHUNK_END || o.rc == HTTPCHUNK_ERROR) {
		struct httpchunk_step step;

		assert_int_equal(httpchunk_next(&c, s, len, &step), o.rc);
		assert_int_equal(step.used, 0);
	}
	return o;
}

static void check_same(const struct outcome *a, const struct outcome *b,
		       const char *s)
{
	if (a->rc != b->rc || a->status != b->status ||
	    a->reason != b->reason || a->data_len != b->data_len ||
	    memcmp(a->data, b->data, a->data_len) != 0 ||
	    a->nfields != b->nfields || strcmp(a->trailer, b->trailer) != 0 ||
	    (a->rc == HTTPCHUNK_END && a->used != b->used))
		fail_msg("cuts matter: %d %s, %d %s for [%s]", a->rc,
			 a->reason ? a->reason : "", b->rc,
			 b->reason ? b->reason : "", s);
}

/* The outcome of s, the same for every way to feed it. Free data. */
static struct outcome decode(const char *s, size_t len)
{
	struct outcome whole = feed(s, len, len, len), cut;

	cut = feed(s, len, 0, 1);
	check_same(&whole, &cut, s);
	free(cut.data);
	for (size_t i = 0; i <= len; i++) {
		cut = feed(s, len, i, len);
		check_same(&whole, &cut, s);
		free(cut.data);
	}
	return whole;
}

static void httpchunk_bodies_are_decoded(void **state)
{
	static const struct {
		const char *text, *data, *trailer;
	} table[] = {
		{"0\r\n\r\n", "", ""},
		{"3\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"7\r\nhello, \r\n17\r\nworld! 0123456789abcdef\r\n0\r\n\r\n",
		 "hello, world! 0123456789abcdef", ""},
		{"0000000000000003\r\nabc\r\n0000000000000000\r\n\r\n", "abc",
		 ""},
		{"A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n",
		 "01234567890123456789", ""},
		{"3;x\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"3 ;x=y\r\nabc\r\n0;end\r\n\r\n", "abc", ""},
		{"3\t ;\tx = \"a;\\\"\xc3\xa4\"\r\nabc\r\n0\r\n\r\n", "abc",
		 ""},
		{"3;\r\nabc\r\n0\r\n\r\n", "abc", ""},
		{"2\r\n\r\n\r\n0\r\n\r\n", "\r\n", ""},
		{"5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", ""},
		{"0\r\nA: b\r\nC:  d \r\n\r\n", "", "A=b;C=d;"},
		{"1\r\nx\r\n0\r\nChecksum: 9\r\n\r\n", "x", "Checksum=9;"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char more[256];
		size_t len = strlen(table[i].text);
		struct outcome o = decode(table[i].text, len);

		assert_int_equal(o.rc, HTTPCHUNK_END);
		assert_int_equal(o.used, len);
		assert_int_equal(o.data_len, strlen(table[i].data));
		assert_memory_equal(o.data, table[i].data, o.data_len);
		assert_string_equal(o.trailer, table[i].trailer);
		free(o.data);
		/* a pipelined request stays where it is */
		snprintf(more, sizeof(more), "%sGET / HTTP/1.1\r\n",
			 table[i].text);
		o = decode(more, strlen(more));
		assert_int_equal(o.rc, HTTPCHUNK_END);
		assert_int_equal(o.used, len);
		free(o.data);
		/* every shorter part is no end and no fault */
		for (size_t n = 0; n < len; n++) {
			o = feed(table[i].text, n, n, n);
			assert_int_equal(o.rc, HTTPCHUNK_MORE);
			free(o.data);
		}
	}
}

static void httpchunk_malformed_bodies_are_refused(void **state)
{
	static const struct {
		int status;
		const char *text;
		size_t len, data_len;
	} table[] = {
#define BAD(status, s, data_len) {status, s, sizeof(s) - 1, data_len}
		BAD(400, "x", 0),
		BAD(400, "\r\n", 0),
		BAD(400, "\n", 0),
		BAD(400, ";x\r\n", 0),
		BAD(400, " 3\r\nabc\r\n0\r\n\r\n", 0),
		BAD(400, "+3\r\nabc\r\n0\r\n\r\n", 0),
		BAD(400, "-3\r\nabc\r\n0\r\n\r\n", 0),
		BAD(400, "0x3\r\nabc\r\n0\r\n\r\n", 0),
		BAD(400, "3g\r\n", 0),
		BAD(400, "3_0\r\n", 0),
		BAD(400, "3,3\r\n", 0),
		BAD(400, "3 \r\nabc\r\n", 0),
		BAD(400, "3 3\r\nabc\r\n", 0),
		BAD(400, "3\nabc\r\n0\r\n\r\n", 0),
		BAD(400, "3\rabc", 0),
		BAD(400, "3\r\rabc", 0),
		BAD(400, "3\0\r\nabc", 0),
		BAD(400, "3;x\nabc\r\n", 0),
		BAD(400, "3;x\ry\r\nabc\r\n", 0),
		BAD(400, "3;\0\r\nabc\r\n", 0),
		BAD(400, "3;\x7f\r\nabc\r\n", 0),
		BAD(400, "00000000000000000\r\n", 0),
		BAD(400, "00000000000000001\r\n", 0),
		BAD(400, "10000000000000000\r\n", 0),
		BAD(400, "8000000000000000\r\n", 0),
		BAD(400, "ffffffffffffffff\r\n", 0),
		BAD(400, "fffffffffffffffff\r\n", 0),
		BAD(400, "3\r\nabcd\r\n", 3),
		BAD(400, "3\r\nabc0\r\n", 3),
		BAD(400, "3\r\nabc\n0\r\n\r\n", 3),
		BAD(400, "3\r\nabc\rx", 3),
		BAD(400, "3\r\nabc\r\n\r\n", 3),
		BAD(400, "5\r\nabc\r\n0\r\n\r\n", 5),
		BAD(400, "0\r\n\n", 0),
		BAD(400, "0\r\n\rx", 0),
		BAD(400, "0\r\nA: b\n\r\n", 0),
		BAD(400, "0\r\nA\r\n\r\n", 0),
		BAD(400, "0\r\nA : b\r\n\r\n", 0),
		BAD(400, "0\r\n A: b\r\n\r\n", 0),
		BAD(400, "0\r\nA: b\r\n c\r\n\r\n", 0),
		BAD(400, "0\r\nA: \x01\r\n\r\n", 0),
		BAD(400, "0\r\nContent-Length: 3\r\n\r\n", 0),
		BAD(400, "0\r\nTransfer-Encoding: chunked\r\n\r\n", 0),
		BAD(400, "0\r\nHost: x\r\n\r\n", 0),
		BAD(431, "0\r\na:\r\nb:\r\nc:\r\nd:\r\ne:\r\n\r\n", 0),
#undef BAD
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct outcome o = decode(table[i].text, table[i].len);

		if (o.rc != HTTPCHUNK_ERROR || o.status != table[i].status ||
		    o.data_len != table[i].data_len)
			fail_msg("%d %d %zu for [%s]", o.rc, o.status,
				 o.data_len, table[i].text);
		assert_non_null(o.reason);
		free(o.data);
	}
}

/* "3;xxx...\r\n", the line n bytes with its CR. */
static size_t make_line(char *s, size_t n)
{
	memset(s, 'x', n);
	memcpy(s, "3;", 2);
	memcpy(s + n - 1, "\r\n", 2);
	return n + 1;
}

static void httpchunk_long_lines_are_refused(void **state)
{
	char s[HTTPCHUNK_MAX_LINE + 64];

	(void)state;
	for (size_t n = HTTPCHUNK_MAX_LINE - 1; n < HTTPCHUNK_MAX_LINE + 3;
	     n++) {
		size_t len = make_line(s, n);
		struct outcome a, b;

		len += (size_t)sprintf(s + len, "abc\r\n0\r\n\r\n");
		a = feed(s, len, len, len);
		b = feed(s, len, 0, 1);
		check_same(&a, &b, "long line");
		assert_int_equal(a.rc, n <= HTTPCHUNK_MAX_LINE
					       ? HTTPCHUNK_END
					       : HTTPCHUNK_ERROR);
		free(a.data);
		free(b.data);
	}
	memset(s, ' ', sizeof(s));
	s[0] = '3';
	{
		struct outcome o = feed(s, sizeof(s), 0, 1);

		assert_int_equal(o.rc, HTTPCHUNK_ERROR);
		free(o.data);
	}
}

/* How many chunks of one byte with `ext` bytes of extension are taken. */
static unsigned count_chunks(size_t ext, unsigned max)
{
	char s[HTTPCHUNK_MAX_LINE + 16];
	struct httpchunk c;
	unsigned n = 0;
	size_t len;

	memset(s, 'x', sizeof(s));
	memcpy(s, "1;", 2);
	len = 2 + ext;
	len += (size_t)sprintf(s + len, "\r\nd\r\n");
	httpchunk_init(&c, NULL, 0, NULL);
	while (n < max) {
		struct httpchunk_step step;

		if (httpchunk_next(&c, s, len, &step) != HTTPCHUNK_DATA)
			return n;
		assert_int_equal(httpchunk_next(&c, s + step.used,
						len - step.used, &step),
				 HTTPCHUNK_MORE);
		n++;
	}
	return n;
}

static void httpchunk_overhead_is_bounded_by_the_data(void **state)
{
	unsigned n;

	(void)state;
	/* 12 bytes of extension: 18 of overhead, as much as is free */
	assert_int_equal(count_chunks(12, 100000), 100000);
	n = count_chunks(13, 100000);
	assert_in_range(n, HTTPCHUNK_MAX_EXCESS, HTTPCHUNK_MAX_EXCESS + 1);
	n = count_chunks(1000, 100000);
	assert_in_range(n, 15, 17);
}

static void httpchunk_trailer_limits_hold(void **state)
{
	static const char s[] = "0\r\nA: b\r\n\r\n"; /* 8 bytes of trailer */
	struct httpfield fields[1];
	struct httpchunk_step step;
	struct httpchunk c;

	(void)state;
	for (uint32_t max = 1; max < 12; max++) {
		struct httplimits limits = {.max_head = max};
		int want = max < 8 ? HTTPCHUNK_ERROR : HTTPCHUNK_END;

		httpchunk_init(&c, fields, 1, &limits);
		assert_int_equal(httpchunk_next(&c, s, sizeof(s) - 1, &step),
				 want);
		if (want == HTTPCHUNK_ERROR)
			assert_int_equal(c.status, 431);
	}
	httpchunk_init(&c, NULL, 0, NULL);
	assert_int_equal(httpchunk_next(&c, "0\r\n\r\n", 5, &step),
			 HTTPCHUNK_END);
	httpchunk_init(&c, NULL, 0, NULL);
	assert_int_equal(httpchunk_next(&c, s, sizeof(s) - 1, &step),
			 HTTPCHUNK_ERROR);
	assert_int_equal(c.status, 431);
}

/* An unfinished trailer is left in the buffer, anything else is used up. */
static void httpchunk_more_keeps_only_an_unfinished_trailer(void **state)
{
	static const char s[] = "2;e\r\nab\r\n0\r\nName: value\r\n\r\n";
	const size_t trailer = (size_t)(strchr(s, 'N') - s);
	struct httpfield fields[1];

	(void)state;
	for (size_t n = 0; n < sizeof(s) - 1; n++) {
		struct httpchunk_step step;
		struct httpchunk c;
		size_t pos = 0;
		int rc;

		httpchunk_init(&c, fields, 1, NULL);
		do {
			rc = httpchunk_next(&c, s + pos, n - pos, &step);
			pos += step.used;
		} while (rc == HTTPCHUNK_DATA);
		assert_int_equal(rc, HTTPCHUNK_MORE);
		assert_int_equal(pos, n < trailer ? n : trailer);
	}
}

static void httpchunk_data_can_be_read_past_the_buffer(void **state)
{
	struct httpchunk_step step;
	struct httpchunk c;

	(void)state;
	httpchunk_init(&c, NULL, 0, NULL);
	assert_int_equal(httpchunk_direct(&c), 0);
	assert_int_equal(httpchunk_next(&c, "10\r\nabc", 7, &step),
			 HTTPCHUNK_DATA);
	assert_int_equal(step.data_len, 3);
	assert_int_equal(httpchunk_direct(&c), 13);
	httpchunk_took(&c, 12);
	assert_int_equal(httpchunk_direct(&c), 1);
	httpchunk_took(&c, 1);
	assert_int_equal(httpchunk_direct(&c), 0);
	assert_int_equal(httpchunk_next(&c, "\r\n0\r\n\r\n", 7, &step),
			 HTTPCHUNK_END);
	assert_int_equal(step.used, 7);
	/* the largest size there is */
	httpchunk_init(&c, NULL, 0, NULL);
	assert_int_equal(httpchunk_next(&c, "7fffffffffffffff\r\n", 18, &step),
			 HTTPCHUNK_MORE);
	assert_true(httpchunk_direct(&c) == INT64_MAX);
}

static void httpchunk_format_can_be_decoded(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} table[] = {
		{0, "0\r\n"},
		{1, "1\r\n"},
		{15, "f\r\n"},
		{16, "10\r\n"},
		{255, "ff\r\n"},
		{256, "100\r\n"},
		{0xabcde, "abcde\r\n"},
		{INT64_MAX, "7fffffffffffffff\r\n"},
		{UINT64_MAX, "ffffffffffffffff\r\n"},
	};
	char out[HTTPCHUNK_HEAD];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = httpchunk_format(out, table[i].n);

		assert_int_equal(len, strlen(table[i].text));
		assert_memory_equal(out, table[i].text, len);
	}
	for (uint64_t n = 1; n < 5000; n++) {
		struct httpchunk_step step;
		struct httpchunk c;

		httpchunk_init(&c, NULL, 0, NULL);
		assert_int_equal(httpchunk_next(&c, out,
						httpchunk_format(out, n),
						&step),
				 HTTPCHUNK_MORE);
		assert_int_equal(httpchunk_direct(&c), n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(httpchunk_bodies_are_decoded),
		cmocka_unit_test(httpchunk_malformed_bodies_are_refused),
		cmocka_unit_test(httpchunk_long_lines_are_refused),
		cmocka_unit_test(httpchunk_overhead_is_bounded_by_the_data),
		cmocka_unit_test(httpchunk_trailer_limits_hold),
		cmocka_unit_test(
			httpchunk_more_keeps_only_an_unfinished_trailer),
		cmocka_unit_test(httpchunk_data_can_be_read_past_the_buffer),
		cmocka_unit_test(httpchunk_format_can_be_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
