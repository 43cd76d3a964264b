/* SPDX-License-Identifier: MIT */
/*
 * httpfields - fields that a user of the library gives us, checked before they go
 * to the wire. The server's rg_http_set_header lives here, too.
 *
 * The first three are pure and callable from anywhere.
 * Sources: RFC 9110 sections 5.1, 5.5, 5.6.1 and 7.6.1.
 */
#ifndef RG_HTTPFIELDS_H
#define RG_HTTPFIELDS_H

#include <stdbool.h>
#include <stddef.h>

/* httpfields_is_name - a token: not empty, no separator or control byte. */
bool httpfields_is_name(const char *name);

/* httpfields_is_value - no control byte but HTAB: nothing that could end the line. */
bool httpfields_is_value(const char *value);

/* httpfields_has_token - the comma-separated list names token, in any case. */
bool httpfields_has_token(const char *list, const char *token);

#endif
