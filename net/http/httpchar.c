// SPDX-License-Identifier: MIT
/*
 * httpchar - the tables behind httpchar.h, computed by the compiler from the
 * grammar's own words: C(c) is the entry of byte c.
 */
#include "net/http/httpchar.h"

#define IN(c, a, b)     ((c) >= (a) && (c) <= (b))
#define IS_DIGIT(c)     IN(c, '0', '9')
#define IS_UPPER(c)     IN(c, 'A', 'Z')
#define IS_ALPHA(c)     (IS_UPPER(c) || IN(c, 'a', 'z'))
#define IS_ALNUM(c)     (IS_ALPHA(c) || IS_DIGIT(c))
#define IS1(c, a)       ((c) == (a))
#define IS3(c, x, y, z) (IS1(c, x) || IS1(c, y) || IS1(c, z))

/* RFC 9110 5.6.2: ! # $ % & ' * + - . ^ _ ` | ~ and letters and digits. */
#define IS_TOKEN(c)                                                            \
	(IS_ALNUM(c) || IS1(c, '!') || IN(c, '#', '\'') ||                     \
	 IS3(c, '*', '+', '-') || IS1(c, '.') || IN(c, '^', '`') ||            \
	 IS1(c, '|') || IS1(c, '~'))
/* RFC 3986 2.2: ! $ & ' ( ) * + , ; = */
#define IS_SUBDELIM(c)                                                         \
	(IS1(c, '!') || IS1(c, '$') || IN(c, '&', ',') || IS1(c, ';') ||       \
	 IS1(c, '='))
#define IS_REGNAME(c)                                                          \
	(IS_ALNUM(c) || IS_SUBDELIM(c) || IS3(c, '-', '.', '_') || IS1(c, '~'))
#define IS_HOST(c)  (IS_REGNAME(c) || IS3(c, '[', ']', ':') || IS1(c, '%'))
#define IS_VALUE(c) (IS1(c, '\t') || IN(c, ' ', '~') || (c) >= 0x80)

#define C(c)                                                                   \
	((IS_TOKEN(c) ? HTTPCHAR_TOKEN : 0) |                                  \
	 (IN(c, '!', '~') ? HTTPCHAR_TARGET : 0) |                             \
	 (IS_VALUE(c) ? HTTPCHAR_VALUE : 0) |                                  \
	 (IS_HOST(c) ? HTTPCHAR_HOST : 0) |                                    \
	 (IS_REGNAME(c) ? HTTPCHAR_REGNAME : 0) |                              \
	 (IS_DIGIT(c) ? HTTPCHAR_DIGIT : 0) |                                  \
	 (IS_ALPHA(c) ? HTTPCHAR_ALPHA : 0))
#define HEX(c)                                                                 \
	(IS_DIGIT(c)       ? (c) - '0'                                         \
	 : IN(c, 'a', 'f') ? (c) - 'a' + 10                                    \
	 : IN(c, 'A', 'F') ? (c) - 'A' + 10                                    \
			   : 0xff)
#define LOWER(c) (uint8_t)(IS_UPPER(c) ? (c) + 32 : (c))

#define ROW4(F, c) F(c), F((c) + 1), F((c) + 2), F((c) + 3)
#define ROW16(F, c)                                                            \
	ROW4(F, c), ROW4(F, (c) + 4), ROW4(F, (c) + 8), ROW4(F, (c) + 12)
#define ROW64(F, c)                                                            \
	ROW16(F, c), ROW16(F, (c) + 16), ROW16(F, (c) + 32), ROW16(F, (c) + 48)
#define TABLE(F) ROW64(F, 0), ROW64(F, 64), ROW64(F, 128), ROW64(F, 192)

const uint8_t httpchar_class[256] = {TABLE(C)};
const uint8_t httpchar_hex[256] = {TABLE(HEX)};
const uint8_t httpchar_lower[256] = {TABLE(LOWER)};
