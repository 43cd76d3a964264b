// SPDX-License-Identifier: MIT
/* kvtext - see the header. */
#include "examples/kv/kvtext.h"

bool kv_parse_int(const char *s, size_t n, int64_t *out)
{
	bool is_negative = n > 0 && s[0] == '-';
	uint64_t v = 0,
		 limit = is_negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	size_t i = is_negative;

	if (n == i || n > KV_INT_MAX_LEN || (s[i] == '0' && n > 1))
		return false;
	for (; i < n; i++) {
		unsigned digit = (unsigned)(s[i] - '0');

		if (digit > 9 || v > (limit - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*out = (int64_t)(is_negative ? 0 - v : v);
	return true;
}

size_t kv_format_int(char buf[KV_INT_MAX_LEN], int64_t v)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	char digits[KV_INT_MAX_LEN];
	size_t n = 0, len = 0;

	do
		digits[n++] = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		buf[len++] = '-';
	while (n)
		buf[len++] = digits[--n];
	return len;
}

char kv_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool kv_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

int kv_hex_value(char c)
{
	c = kv_lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool kv_is(const char *s, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!word[i] || kv_lower(s[i]) != word[i])
			return false;
	return word[n] == 0;
}

/* ---- patterns ---------------------------------------------------------------------- */

/* What one element of a pattern (not a star) says of c, and how long it is. A class
 * without its end goes as far as the pattern. */
static bool matches_class(const char *p, size_t np, unsigned char c,
			  size_t *len)
{
	size_t i = 1;
	bool is_not = i < np && p[i] == '^', found = false;

	for (i += is_not; i < np && p[i] != ']'; i++) {
		unsigned char from, to;

		if (p[i] == '\\' && i + 1 < np)
			i++;
		from = to = (unsigned char)p[i];
		if (i + 2 < np && p[i + 1] == '-') {
			to = (unsigned char)p[i + 2];
			i += 2;
		}
		if (from > to) {
			unsigned char swap = from;

			from = to;
			to = swap;
		}
		found |= c >= from && c <= to;
	}
	*len = i < np ? i + 1 : np;
	return found != is_not;
}

static bool matches_one(const char *p, size_t np, char c, size_t *len)
{
	*len = 1;
	if (*p == '?')
		return true;
	if (*p == '[')
		return matches_class(p, np, (unsigned char)c, len);
	if (*p == '\\' && np > 1) {
		*len = 2;
		return p[1] == c;
	}
	return *p == c;
}

/* Only the last star is ever tried again: what an earlier one could still take, the
 * last one can, too. */
bool kv_glob(const char *pattern, size_t np, const char *s, size_t ns)
{
	size_t p = 0, i = 0, star = SIZE_MAX, star_i = 0;

	while (i < ns) {
		size_t len = 0;

		if (p < np && pattern[p] == '*') {
			star = ++p;
			star_i = i;
		} else if (p < np &&
			   matches_one(pattern + p, np - p, s[i], &len)) {
			p += len;
			i++;
		} else if (star != SIZE_MAX) {
			p = star;
			i = ++star_i;
		} else {
			return false;
		}
	}
	while (p < np && pattern[p] == '*')
		p++;
	return p == np;
}
