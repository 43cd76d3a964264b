/* SPDX-License-Identifier: MIT */
/*
 * httpsniff - the media type of a body whose handler did not name one, from its
 * first bytes.
 *
 * Pure, callable from anywhere. The table is that of Go's DetectContentType, which
 * follows the WHATWG's "MIME sniffing" sections 5 to 7, without audio and video
 * but Ogg, WebM and MP4.
 */
#ifndef RG_HTTPSNIFF_H
#define RG_HTTPSNIFF_H

#include <stddef.h>

/* Bytes that are looked at. */
enum { HTTPSNIFF_LEN = 512 };

/* httpsniff - a static text, "application/octet-stream" for want of better. */
const char *httpsniff(const char *body, size_t len);

#endif
