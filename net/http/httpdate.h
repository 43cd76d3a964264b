/* SPDX-License-Identifier: MIT */
/*
 * httpdate - the value of a Date header: "Sun, 06 Nov 1994 08:49:37 GMT".
 *
 * The text is made anew once a second and held by whoever asks: each block of
 * memory of a busy connection has its own, so nothing is shared between threads.
 * Rejected: one cache for all (a lock or a sequence counter on each response, or
 * a timer that ticks while nobody is served).
 * Source: RFC 9110 section 5.6.7.
 */
#ifndef RG_HTTPDATE_H
#define RG_HTTPDATE_H

#include <stdint.h>

#define HTTPDATE_LEN 29

struct httpdate {
	int64_t second; /* since 1970, of text; 0: none yet */
	char text[HTTPDATE_LEN];
};

/* httpdate_format - unix_seconds from year 1 to 9999; no NUL. */
void httpdate_format(char out[HTTPDATE_LEN], int64_t unix_seconds);

/* httpdate_now - the text of this second, valid until the next call with d. Any
 * thread; does not park; no system call. */
const char *httpdate_now(struct httpdate *d);

#endif
