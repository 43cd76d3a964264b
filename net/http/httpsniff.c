// SPDX-License-Identifier: MIT
/*
 * httpsniff - see httpsniff.h.
 */
#include "net/http/httpsniff.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "net/http/httpchar.h"

static const char html[] = "text/html; charset=utf-8";
static const char text[] = "text/plain; charset=utf-8";

struct exact {
	const char *type;
	uint8_t len;
	const char *bytes;
};

#define EXACT(type, bytes)                                                     \
	{                                                                      \
		type, sizeof(bytes) - 1, bytes                                 \
	}

static const struct exact exacts[] = {
	EXACT("application/pdf", "%PDF-"),
	EXACT("application/postscript", "%!PS-Adobe-"),
	EXACT("text/plain; charset=utf-16be", "\xfe\xff"),
	EXACT("text/plain; charset=utf-16le", "\xff\xfe"),
	EXACT(text, "\xef\xbb\xbf"),
	EXACT("image/x-icon", "\x00\x00\x01\x00"),
	EXACT("image/x-icon", "\x00\x00\x02\x00"),
	EXACT("image/bmp", "BM"),
	EXACT("image/gif", "GIF87a"),
	EXACT("image/gif", "GIF89a"),
	EXACT("image/png", "\x89PNG\r\n\x1a\n"),
	EXACT("image/jpeg", "\xff\xd8\xff"),
	EXACT("application/ogg", "OggS\x00"),
	EXACT("video/webm", "\x1a\x45\xdf\xa3"),
	EXACT("font/ttf", "\x00\x01\x00\x00"),
	EXACT("font/otf", "OTTO"),
	EXACT("font/woff", "wOFF"),
	EXACT("font/woff2", "wOF2"),
	EXACT("application/x-gzip", "\x1f\x8b\x08"),
	EXACT("application/zip", "PK\x03\x04"),
	EXACT("application/x-rar-compressed", "Rar!\x1a\x07"),
	EXACT("application/wasm", "\x00\x61\x73\x6d"),
};

/* The first bytes of all of them. Most bodies are text and begin with none. */
static const bool begins_exact[256] = {
	['%'] = true,  [0xfe] = true, [0xff] = true, [0xef] = true,
	[0x00] = true, ['B'] = true,  ['G'] = true,  [0x89] = true,
	['O'] = true,  [0x1a] = true, ['w'] = true,  [0x1f] = true,
	['P'] = true,  ['R'] = true,
};

/* In lower case; each is followed by a space or '>'. */
static const char *const tags[] = {
	"<!doctype html",
	"<html",
	"<head",
	"<script",
	"<iframe",
	"<h1",
	"<div",
	"<font",
	"<table",
	"<a",
	"<style",
	"<title",
	"<b",
	"<body",
	"<br",
	"<p",
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* s begins with a '<'. */
static const char *sniff_markup(const char *s, size_t len)
{
	if (len >= 5 && !memcmp(s, "<?xml", 5))
		return "text/xml; charset=utf-8";
	if (len >= 4 && !memcmp(s, "<!--", 4))
		return html;
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
		size_t n = strlen(tags[i]);

		if (len > n && httpchar_ieq(s, tags[i], n) &&
		    (s[n] == ' ' || s[n] == '>'))
			return html;
	}
	return NULL;
}

static const char *sniff_exact(const char *s, size_t len)
{
	if (len >= 12 && s[4] == 'f' && !memcmp(s + 4, "ftypmp4", 7))
		return "video/mp4";
	if (!len || !begins_exact[(uint8_t)*s])
		return NULL;
	for (size_t i = 0; i < sizeof(exacts) / sizeof(*exacts); i++)
		if (len >= exacts[i].len &&
		    !memcmp(s, exacts[i].bytes, exacts[i].len))
			return exacts[i].type;
	if (len >= 14 && !memcmp(s, "RIFF", 4) && !memcmp(s + 8, "WEBPVP", 6))
		return "image/webp";
	return NULL;
}

static bool is_binary(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c < 0x20 && c != '\t' && c != '\n' && c != '\f' &&
		    c != '\r' && c != 0x1b)
			return true;
	}
	return false;
}

const char *httpsniff(const char *body, size_t len)
{
	const char *type;
	size_t skip = 0;

	if (len > HTTPSNIFF_LEN)
		len = HTTPSNIFF_LEN;
	while (skip < len && is_space(body[skip]))
		skip++;
	if (skip < len && body[skip] == '<') {
		type = sniff_markup(body + skip, len - skip);
		if (type)
			return type;
	}
	type = sniff_exact(body, len);
	if (type)
		return type;
	return is_binary(body, len) ? "application/octet-stream" : text;
}
