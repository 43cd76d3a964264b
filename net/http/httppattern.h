/* SPDX-License-Identifier: MIT */
/*
 * httppattern - the patterns of the router: their syntax and how two compare.
 *
 *	[METHOD ][HOST]/[PATH]
 *
 * METHOD is a token followed by spaces or tabs; none matches every method, GET
 * matches HEAD, too. HOST has no port; any case. PATH is segments between
 * slashes: a literal (percent-escapes are undone), {name} for one segment, at
 * the end {name...} for all that is left or {$} for nothing more. A path that
 * ends with '/' is a subtree: it matches like {...} without a name. Names are
 * identifiers and distinct. Go 1.22's rules.
 *   I1  a pattern is const after it was parsed; one block of memory.
 *   I2  two patterns of the same host that match some request both, without one
 *       being the more specific, are in conflict: for each request that matches
 *       at all there is one most specific pattern.
 * Any thread; never parks.
 * Sources: Go's net/http pattern.go.
 */
#ifndef RG_HTTPPATTERN_H
#define RG_HTTPPATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTPPATTERN_MAX_SEGMENTS 64
#define HTTPPATTERN_MAX_PARAMS   16
#define HTTPPATTERN_MAX_LITERAL  255 /* bytes of one segment */
#define HTTPPATTERN_MAX_LEN      4096

enum httpseg_kind {
	HTTPSEG_LITERAL,
	HTTPSEG_WILD, /* {name} */
	HTTPSEG_REST, /* {name...}, or a final '/': then text is "" */
	HTTPSEG_END,  /* {$} */
};

struct httpseg {
	enum httpseg_kind kind;
	uint32_t len;
	const char *text; /* the decoded literal, or the name; NUL after it */
};

struct httppattern {
	const char *text;   /* as registered */
	const char *method; /* "" matches any; NUL-terminated */
	const char *host;   /* lower case, "" matches any */
	const char *path;   /* as registered; the rest of text */
	uint32_t method_len, host_len;
	/* Without wildcards, escapes and subtree: the one path that matches,
	 * else NULL. "/{$}" has "/". */
	const char *literal;
	uint32_t literal_len;
	uint32_t nsegs;
	uint32_t nparams; /* named wildcards */
	struct httpseg segs[];
};

/*
 * httppattern_parse - 0 and *out, or -EINVAL with *reason (static English
 * text), or -ENOMEM. Free it with rgk_free.
 */
int httppattern_parse(const char *text, struct httppattern **out,
		      const char **reason);

enum httprelation {
	HTTPREL_EQUAL,    /* both match the same */
	HTTPREL_GENERAL,  /* the first matches all the second does and more */
	HTTPREL_SPECIFIC, /* the reverse */
	HTTPREL_OVERLAP, /* some request matches both, and some only the one and
			   * some only the other */
	HTTPREL_DISJOINT, /* no request matches both */
};

/* How methods and paths compare; hosts are not looked at. */
enum httprelation httppattern_compare(const struct httppattern *a,
				      const struct httppattern *b);

/* They cannot both be registered. */
bool httppattern_is_conflict(const struct httppattern *a,
			     const struct httppattern *b);

#endif
