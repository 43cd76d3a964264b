/* SPDX-License-Identifier: MIT */
/*
 * httpchar - the byte classes of HTTP/1.1 and fast scans for their end.
 *
 * One table of bit sets says what a byte may be. The scans walk 16 bytes at a
 * time with SSE2, which every x86-64 has, and 8 bytes at a time in a register
 * elsewhere; both stop before the block that holds the end and finish by the
 * table, so the table alone defines the result.
 *   I1  a scan reads no byte at or after `end`.
 *   I2  a scan returns the first byte that is not of the class, or `end`.
 *   I3  SIMD and register code only skip bytes that are certainly of the class.
 * -DHTTPCHAR_PORTABLE builds the register code on x86-64, too (the tests do).
 * Pure functions, callable from anywhere.
 * Rejected: SSE4.2's pcmpestri, as in
 * picohttpparser: not every x86-64 has it and SSE2 was not slower here.
 * Sources: RFC 9110 section 5.6.2 (token) and 5.5 (field value), RFC 3986.
 */
#ifndef RG_HTTPCHAR_H
#define RG_HTTPCHAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(HTTPCHAR_PORTABLE)
#include <emmintrin.h>
#define HTTPCHAR_SSE2 1
#else
#define HTTPCHAR_SSE2 0
#endif

enum {
	HTTPCHAR_TOKEN = 1,  /* methods, field names */
	HTTPCHAR_TARGET = 2, /* request target: 0x21 to 0x7e */
	HTTPCHAR_VALUE = 4,  /* field value: HTAB, 0x20 to 0x7e, 0x80 and up */
	HTTPCHAR_HOST = 8,   /* any byte of a Host field's value */
	HTTPCHAR_REGNAME =
		16, /* reg-name without percent: unreserved, sub-delims */
	HTTPCHAR_DIGIT = 32,
	HTTPCHAR_ALPHA = 64,
};

extern const uint8_t httpchar_class[256];
/* Value of a hexadecimal digit, 0xff for every other byte. */
extern const uint8_t httpchar_hex[256];
/* ASCII lower case; all other bytes are themselves. */
extern const uint8_t httpchar_lower[256];

static inline bool httpchar_is(uint8_t c, unsigned classes)
{
	return httpchar_class[c] & classes;
}

/* All n bytes at s are of one of the classes. */
static inline bool httpchar_all(const void *s, size_t n, unsigned classes)
{
	const uint8_t *p = s;

	for (size_t i = 0; i < n; i++)
		if (!httpchar_is(p[i], classes))
			return false;
	return true;
}

/* Equal but for ASCII case; both of length n. */
static inline bool httpchar_ieq(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (httpchar_lower[x[i]] != httpchar_lower[y[i]])
			return false;
	return true;
}

/*
 * httpchar_is_name - whether the token s of length n is `lower` in any case.
 * lower holds lower-case letters and '-' only; s holds token bytes only. Then
 * or-ing 0x20 folds exactly: no other token byte becomes a letter or '-'.
 */
static inline bool httpchar_is_name(const uint8_t *s, const char *lower,
				    size_t n)
{
	const uint64_t fold = UINT64_C(0x2020202020202020);
	uint64_t a, b;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		memcpy(&a, s + i, 8);
		memcpy(&b, lower + i, 8);
		if ((a | fold) != b)
			return false;
	}
	for (; i < n; i++)
		if ((s[i] | 0x20) != (uint8_t)lower[i])
			return false;
	return true;
}

static inline const uint8_t *
httpchar_scan_table(const uint8_t *p, const uint8_t *end, unsigned classes)
{
	while (p < end && httpchar_is(*p, classes))
		p++;
	return p;
}

#if HTTPCHAR_SSE2

static inline __m128i httpchar_load(const uint8_t *p)
{
	__m128i x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* 0xff where the byte is in [low, low + span], as unsigned. */
static inline __m128i httpchar_in_range(__m128i x, char low, char span)
{
	__m128i d = _mm_sub_epi8(x, _mm_set1_epi8(low));

	return _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(span)), d);
}

/* Bit i is set where byte i is a letter, a digit or '-': most of all tokens. */
static inline unsigned httpchar_name_mask(__m128i x)
{
	__m128i lower = _mm_or_si128(x, _mm_set1_epi8(0x20));
	__m128i ok = httpchar_in_range(lower, 'a', 25);

	ok = _mm_or_si128(ok, httpchar_in_range(x, '0', 9));
	ok = _mm_or_si128(ok, _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));
	return (unsigned)_mm_movemask_epi8(ok);
}

/* Bit i is set where byte i cannot be in a target. 0x80 and up are negative. */
static inline unsigned httpchar_target_stop(__m128i x)
{
	__m128i ok = _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)),
				      _mm_cmpgt_epi8(x, _mm_set1_epi8(0x20)));

	return (unsigned)_mm_movemask_epi8(ok) ^ 0xffff;
}

/* Bit i is set where byte i is a control byte; a HTAB, too (the table
 * knows). */
static inline unsigned httpchar_value_stop(__m128i x)
{
	__m128i bad = _mm_or_si128(httpchar_in_range(x, 0, 0x1f),
				   _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));

	return (unsigned)_mm_movemask_epi8(bad);
}

static inline const uint8_t *httpchar_scan_token(const uint8_t *p,
						 const uint8_t *end)
{
	while (end - p >= 16) {
		unsigned stop = httpchar_name_mask(httpchar_load(p)) ^ 0xffff;

		if (stop) {
			p += __builtin_ctz(stop);
			if (*p == ':') /* mostly the end of a name */
				return p;
			break;
		}
		p += 16;
	}
	return httpchar_scan_table(p, end, HTTPCHAR_TOKEN);
}

static inline const uint8_t *httpchar_scan_target(const uint8_t *p,
						  const uint8_t *end)
{
	while (end - p >= 16) {
		unsigned stop = httpchar_target_stop(httpchar_load(p));

		if (stop)
			return p + __builtin_ctz(stop);
		p += 16;
	}
	return httpchar_scan_table(p, end, HTTPCHAR_TARGET);
}

static inline const uint8_t *httpchar_scan_value(const uint8_t *p,
						 const uint8_t *end)
{
	while (end - p >= 16) {
		unsigned stop = httpchar_value_stop(httpchar_load(p));

		if (!stop) {
			p += 16;
			continue;
		}
		p += __builtin_ctz(stop);
		if (*p != '\t')
			return p;
		p++;
	}
	return httpchar_scan_table(p, end, HTTPCHAR_VALUE);
}

/* First byte equal to a or b, or end. */
static inline const uint8_t *httpchar_find2(const uint8_t *p,
					    const uint8_t *end, char a, char b)
{
	while (end - p >= 16) {
		__m128i x = httpchar_load(p);
		unsigned hit = (unsigned)_mm_movemask_epi8(
			_mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(a)),
				     _mm_cmpeq_epi8(x, _mm_set1_epi8(b))));

		if (hit)
			return p + __builtin_ctz(hit);
		p += 16;
	}
	while (p < end && *p != (uint8_t)a && *p != (uint8_t)b)
		p++;
	return p;
}

#else /* eight bytes in a register */

#define HTTPCHAR_ONES UINT64_C(0x0101010101010101)
#define HTTPCHAR_HIGH UINT64_C(0x8080808080808080)

static inline uint64_t httpchar_load(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
	return x;
}

/* Not 0 if some byte is 0x7f or below 0x20 or, with `high`, 0x80 and up. May be
 * set wrongly beside a true hit, never without one. */
static inline uint64_t httpchar_control(uint64_t x)
{
	uint64_t del = x ^ (HTTPCHAR_ONES * 0x7f);

	return (((x - HTTPCHAR_ONES * 0x20) & ~x) |
		((del - HTTPCHAR_ONES) & ~del)) &
	       HTTPCHAR_HIGH;
}

static inline const uint8_t *httpchar_scan_token(const uint8_t *p,
						 const uint8_t *end)
{
	return httpchar_scan_table(p, end, HTTPCHAR_TOKEN);
}

/* 0x20 is below the class, so a space stops by being 0 after the xor. */
static inline const uint8_t *httpchar_scan_target(const uint8_t *p,
						  const uint8_t *end)
{
	while (end - p >= 8) {
		uint64_t x = httpchar_load(p);
		uint64_t space = x ^ (HTTPCHAR_ONES * 0x20);

		space = (space - HTTPCHAR_ONES) & ~space & HTTPCHAR_HIGH;
		if (httpchar_control(x) | space | (x & HTTPCHAR_HIGH))
			break;
		p += 8;
	}
	return httpchar_scan_table(p, end, HTTPCHAR_TARGET);
}

static inline const uint8_t *httpchar_scan_value(const uint8_t *p,
						 const uint8_t *end)
{
	while (p < end) {
		while (end - p >= 8 && !httpchar_control(httpchar_load(p)))
			p += 8;
		for (int i = 0; i < 8 && p < end; i++, p++)
			if (!httpchar_is(*p, HTTPCHAR_VALUE))
				return p;
	}
	return p;
}

static inline const uint8_t *httpchar_find2(const uint8_t *p,
					    const uint8_t *end, char a, char b)
{
	while (p < end && *p != (uint8_t)a && *p != (uint8_t)b)
		p++;
	return p;
}

#endif

#endif
