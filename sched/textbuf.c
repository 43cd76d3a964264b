// SPDX-License-Identifier: MIT
/*
 * textbuf - see textbuf.h for the role and the invariants.
 */
#include "sched/textbuf.h"

#include <ringgo/base.h>

#include <poll.h>
#include <string.h>
#include <unistd.h>

void textbuf_init(struct textbuf *b, char *p, size_t cap, int fd,
		  textbuf_flush_fn *flush)
{
	*b = (struct textbuf){.p = p, .cap = cap, .fd = fd, .flush = flush};
}

int textbuf_flush(struct textbuf *b)
{
	if (b->len && !b->err)
		b->err = b->flush(b, b->p, b->len);
	b->len = 0;
	return b->err;
}

/* errno is read before anything that could park. */
int textbuf_write_fd(struct textbuf *b, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(b->fd, p, n);

		if (done >= 0) {
			p += done;
			n -= (size_t)done;
		} else if (errno == EAGAIN) {
			struct pollfd pfd = {.fd = b->fd, .events = POLLOUT};

			/* However it ends, write says what is the matter. */
			(void)poll(&pfd, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

void textbuf_mem(struct textbuf *b, const char *p, size_t n)
{
	while (n) {
		size_t room = b->cap - b->len;

		if (room > n)
			room = n;
		memcpy(b->p + b->len, p, room);
		b->len += room;
		p += room;
		n -= room;
		if (b->len == b->cap)
			textbuf_flush(b);
	}
}

void textbuf_str(struct textbuf *b, const char *s)
{
	textbuf_mem(b, s, strlen(s));
}

void textbuf_char(struct textbuf *b, char c)
{
	textbuf_mem(b, &c, 1);
}

static void number(struct textbuf *b, uint64_t n, unsigned base)
{
	char digits[24];
	size_t at = sizeof digits;

	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	textbuf_mem(b, digits + at, sizeof digits - at);
}

void textbuf_dec(struct textbuf *b, uint64_t n)
{
	number(b, n, 10);
}

void textbuf_hex(struct textbuf *b, uint64_t n)
{
	textbuf_mem(b, "0x", 2);
	number(b, n, 16);
}

void textbuf_quoted(struct textbuf *b, const char *s, size_t max)
{
	static const char hex[] = "0123456789abcdef";

	textbuf_char(b, '"');
	for (size_t i = 0; i < max && s[i]; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\') {
			textbuf_char(b, '\\');
			textbuf_char(b, (char)c);
		} else if (c < 0x20 || c == 0x7f) {
			char escape[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

			textbuf_mem(b, escape, sizeof escape);
		} else {
			textbuf_char(b, (char)c); /* UTF-8 passes */
		}
	}
	textbuf_char(b, '"');
}

void textbuf_duration(struct textbuf *b, int64_t ns)
{
	static const struct {
		int64_t ns;
		const char *name;
	} units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
	char frac[4] = {'.', '0', '0', '0'};
	size_t u = 0, n = sizeof frac;
	int64_t thousandths;

	while (u < 2 && ns < units[u].ns)
		u++;
	thousandths = ns % units[u].ns / (units[u].ns / 1000);
	frac[1] = (char)('0' + thousandths / 100);
	frac[2] = (char)('0' + thousandths / 10 % 10);
	frac[3] = (char)('0' + thousandths % 10);
	while (n > 1 && frac[n - 1] == '0')
		n--;
	textbuf_dec(b, (uint64_t)(ns / units[u].ns));
	if (n > 1)
		textbuf_mem(b, frac, n);
	textbuf_str(b, units[u].name);
}
