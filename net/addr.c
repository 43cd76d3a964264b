// SPDX-License-Identifier: MIT
/*
 * addr - addresses as text and as the kernel wants them; see the header.
 *
 * Text of numbers is written by hand: snprintf takes kilobytes of stack, and this runs
 * on goroutines. Rejected: getaddrinfo with AI_NUMERICHOST (stack of 10 KB, accepts
 * "127.1").
 */
#include "net/addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <strings.h>

/* The longest literal, with a zone and the final zero. */
#define LITERAL_SIZE (INET6_ADDRSTRLEN + 1 + IF_NAMESIZE)
/* RFC 1035: 253 characters, labels of 63. */
#define NAME_MAX_LEN  253
#define LABEL_MAX_LEN 63

static_assert(ADDR_TEXT_SIZE > LITERAL_SIZE + sizeof("[]:65535"),
	      "an IPv6 address with its zone fits");
static_assert(ADDR_TEXT_SIZE > sizeof(((struct sockaddr_un *)0)->sun_path),
	      "a unix path fits");

int addr_network_of(const char *name)
{
	static const char *const names[] = {[ADDR_TCP] = "tcp",
					    [ADDR_TCP4] = "tcp4",
					    [ADDR_TCP6] = "tcp6",
					    [ADDR_UNIX] = "unix"};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	}
	return -EINVAL;
}

/* ---- text to address ---------------------------------------------------- */

/* A decimal number up to max that is the whole text. */
static int parse_number(const char *text, uint32_t max, uint32_t *out)
{
	uint64_t value = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (uint64_t)(*p - '0');
		if (value > max)
			return -EINVAL;
	}
	if (p == text || *p != '\0')
		return -EINVAL;
	*out = (uint32_t)value;
	return 0;
}

int addr_split(const char *text, struct addr_parts *out)
{
	const char *colon, *host = text;
	size_t host_len;
	bool in_brackets = text && text[0] == '[';
	uint32_t port;

	if (!text)
		return -EINVAL;
	if (in_brackets) {
		const char *end = strchr(text, ']');

		if (!end || end[1] != ':')
			return -EINVAL;
		host = text + 1;
		host_len = (size_t)(end - host);
		colon = end + 1;
	} else {
		colon = strchr(text, ':');
		if (!colon)
			return -EINVAL;
		host_len = (size_t)(colon - host);
	}
	/* A second colon is an error here, too: an IPv6 address without its
	 * brackets. */
	if (parse_number(colon + 1, UINT16_MAX, &port) != 0)
		return -EINVAL;
	out->host = host;
	out->host_len = host_len;
	out->in_brackets = in_brackets;
	out->port = (uint16_t)port;
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * A name that a resolver may be asked for: labels of letters, digits, '-' and '_', an
 * optional last dot. Its last label must not look like a number ("1", "0x7f"): such
 * names would be taken for addresses in forms that nobody expects.
 */
static bool is_name(const char *s, size_t len)
{
	size_t label = 0, digits = 0;

	if (len > 0 && s[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] == '.') {
			if (label == 0)
				return false;
			label = digits = 0;
			continue;
		}
		if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
			return false;
		digits += is_digit(s[i]);
		if (++label > LABEL_MAX_LEN)
			return false;
	}
	if (label == 0 || digits == label)
		return false;
	s += len - label;
	return !(label >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X'));
}

/* "fe80::1%eth0" or "...%2": the part behind the '%'. */
static int parse_zone(const char *zone, uint32_t *out)
{
	if (parse_number(zone, UINT32_MAX, out) == 0)
		return *out ? 0 : -EINVAL;
	if (zone[0] == '\0')
		return -EINVAL;
	*out = if_nametoindex(zone);
	return *out ? 0 : -ENODEV;
}

static int parse_ipv6(char *text, uint16_t port, union addr_ip *out)
{
	union addr_ip a = {.in6 = {.sin6_family = AF_INET6}};
	char *zone = strchr(text, '%');
	int err = 0;

	if (zone)
		*zone++ = '\0';
	if (inet_pton(AF_INET6, text, &a.in6.sin6_addr) != 1)
		return -EINVAL;
	if (zone)
		err = parse_zone(zone, &a.in6.sin6_scope_id);
	if (err)
		return err;
	a.in6.sin6_port = htons(port);
	*out = a;
	return 0;
}

int addr_literal(const struct addr_parts *parts, union addr_ip *out)
{
	union addr_ip a = {.in = {.sin_family = AF_INET}};
	char text[LITERAL_SIZE];

	if (parts->host_len == 0 && !parts->in_brackets)
		return -ENOENT;
	if (parts->host_len < sizeof(text)) {
		memcpy(text, parts->host, parts->host_len);
		text[parts->host_len] = '\0';
		if (strlen(text) != parts->host_len)
			return -EINVAL;
		if (parts->in_brackets)
			return parse_ipv6(text, parts->port, out);
		if (inet_pton(AF_INET, text, &a.in.sin_addr) == 1) {
			a.in.sin_port = htons(parts->port);
			*out = a;
			return 0;
		}
	}
	if (parts->in_brackets || !is_name(parts->host, parts->host_len))
		return -EINVAL;
	return -ENOENT;
}

void addr_loopback(int family, uint16_t port, union addr_ip *out)
{
	addr_any(family, port, out);
	if (family == AF_INET6)
		out->in6.sin6_addr = in6addr_loopback;
	else
		out->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

void addr_any(int family, uint16_t port, union addr_ip *out)
{
	memset(out, 0, sizeof(*out));
	out->sa.sa_family = (sa_family_t)family;
	if (family == AF_INET6)
		out->in6.sin6_port = htons(port);
	else
		out->in.sin_port = htons(port);
}

bool addr_is_any(const union addr_ip *a)
{
	if (a->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
	return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

bool addr_is_same(const union addr_ip *a, const union addr_ip *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET6)
		return a->in6.sin6_port == b->in6.sin6_port &&
		       IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
	return a->in.sin_port == b->in.sin_port &&
	       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

bool addr_is_localhost(const char *host, size_t len)
{
	static const char name[] = "localhost";
	const size_t name_len = sizeof(name) - 1;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len < name_len ||
	    strncasecmp(host + len - name_len, name, name_len) != 0)
		return false;
	return len == name_len || host[len - name_len - 1] == '.';
}

int addr_unix(const char *path, struct sockaddr_un *out, socklen_t *len)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t n = path ? strlen(path) : 0;

	if (n == 0 || n >= sizeof(out->sun_path))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	memcpy(out->sun_path, path, n);
	if (path[0] == '@') {
		out->sun_path[0] = '\0';
		*len = (socklen_t)(n == 1 ? head : head + n);
	} else {
		*len = (socklen_t)(head + n + 1);
	}
	return 0;
}

bool addr_is_path(const struct sockaddr_un *a, socklen_t len)
{
	return len > offsetof(struct sockaddr_un, sun_path) &&
	       a->sun_path[0] != '\0';
}

/* ---- address to text ---------------------------------------------------- */

/* A text that grows up to a limit and stays terminated. */
struct text {
	char *buf;
	size_t len, size;
};

static void text_add(struct text *t, const char *s, size_t n)
{
	if (n > t->size - 1 - t->len)
		n = t->size - 1 - t->len;
	memcpy(t->buf + t->len, s, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

static void text_add_number(struct text *t, uint32_t n)
{
	char digits[10];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	text_add(t, digits + i, sizeof(digits) - i);
}

static void format_ipv4(struct text *t, uint32_t address, uint16_t port)
{
	address = ntohl(address);
	for (int shift = 24; shift >= 0; shift -= 8) {
		text_add_number(t, address >> shift & 0xff);
		text_add(t, shift ? "." : ":", 1);
	}
	text_add_number(t, ntohs(port));
}

static void format_ipv6(struct text *t, const struct sockaddr_in6 *a)
{
	char host[INET6_ADDRSTRLEN];

	if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
		uint32_t v4;

		memcpy(&v4, &a->sin6_addr.s6_addr[12], sizeof(v4));
		format_ipv4(t, v4, a->sin6_port);
		return;
	}
	/* Cannot fail: the family is known and the buffer large enough. */
	if (!inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host)))
		host[0] = '\0';
	text_add(t, "[", 1);
	text_add(t, host, strlen(host));
	if (a->sin6_scope_id) {
		/* The number, not the name: no system call, never stale. */
		text_add(t, "%", 1);
		text_add_number(t, a->sin6_scope_id);
	}
	text_add(t, "]:", 2);
	text_add_number(t, ntohs(a->sin6_port));
}

static void format_unix(struct text *t, const struct sockaddr_un *a,
			socklen_t len)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t n = len > head ? len - head : 0;

	if (n > sizeof(a->sun_path))
		n = sizeof(a->sun_path);
	if (addr_is_path(a, len)) {
		text_add(t, a->sun_path, strnlen(a->sun_path, n));
		return;
	}
	for (size_t i = 0; i < n; i++)
		text_add(t, a->sun_path[i] ? &a->sun_path[i] : "@", 1);
}

size_t addr_format(const struct sockaddr *sa, socklen_t len, char *buf,
		   size_t size)
{
	struct text t = {.buf = buf, .size = size};

	if (size == 0)
		return 0;
	buf[0] = '\0';
	if (len < sizeof(sa->sa_family))
		return 0;
	if (sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in a;

		memcpy(&a, sa, sizeof(a));
		format_ipv4(&t, a.sin_addr.s_addr, a.sin_port);
	} else if (sa->sa_family == AF_INET6 &&
		   len >= sizeof(struct sockaddr_in6)) {
		struct sockaddr_in6 a;

		memcpy(&a, sa, sizeof(a));
		format_ipv6(&t, &a);
	} else if (sa->sa_family == AF_UNIX) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};

		if (len > sizeof(a))
			len = sizeof(a);
		memcpy(&a, sa, len);
		format_unix(&t, &a, len);
	}
	return t.len;
}
