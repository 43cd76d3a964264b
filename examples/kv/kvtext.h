/* SPDX-License-Identifier: MIT */
/*
 * kvtext - bytes as text: integers, names, patterns. Everything takes a length, since
 * keys and values may hold any byte. ctype.h is not used: its tables belong to a
 * thread, and a goroutine may change threads.
 */
#ifndef KVTEXT_H
#define KVTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KV_INT_MAX_LEN = 20 }; /* characters of "-9223372036854775808" */

/* kv_parse_int - false unless all n bytes are an integer as kv_format_int writes it:
 * no blanks, plus sign, leading zeros or "-0". */
bool kv_parse_int(const char *s, size_t n, int64_t *out);

/* kv_format_int - write v to buf without a NUL; the number of characters. */
size_t kv_format_int(char buf[KV_INT_MAX_LEN], int64_t v);

/* kv_is - are the n bytes at s the word, whatever their case? word is lower case. */
bool kv_is(const char *s, size_t n, const char *word);

/* kv_lower, kv_is_space, kv_hex_value - of ASCII; -1: no hexadecimal digit. */
char kv_lower(char c);
bool kv_is_space(char c);
int kv_hex_value(char c);

/* kv_glob - does s match pattern: * ? [abc] [^a-c] and \x for x itself? Takes time
 * proportional to the product of the lengths at most. */
bool kv_glob(const char *pattern, size_t np, const char *s, size_t ns);

#endif
