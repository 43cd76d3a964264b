// SPDX-License-Identifier: MIT
/*
 * rgtest - checks, and bodies that run as goroutines; see the header.
 *
 * A failed check formats into a buffer on its own stack and uses one write(2): it
 * works on a goroutine's stack, holding any lock, in any thread. Then abort(3):
 * with no longjmp, the core or the runner's log shows the place.
 */
#include "tests/support/rgtest.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FAIL_TEXT_LEN 1024

static void write_stderr(const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, buf, len);

		/* Whatever the reason, there is nobody left to tell. */
		if (n <= 0)
			return;
		buf += n;
		len -= (size_t)n;
	}
}

void t_fail_at(const char *file, int line, const char *fmt, ...)
{
	char text[FAIL_TEXT_LEN];
	size_t len;
	int n;
	va_list ap;

	n = snprintf(text, sizeof(text), "%s:%d: check failed: ", file, line);
	len = n < 0 ? 0 : (size_t)n;
	if (len < sizeof(text)) {
		va_start(ap, fmt);
		n = vsnprintf(text + len, sizeof(text) - len, fmt, ap);
		va_end(ap);
		len += n < 0 ? 0 : (size_t)n;
	}
	if (len > sizeof(text) - 1)
		len = sizeof(text) - 1;
	text[len++] = '\n';
	write_stderr(text, len);
	abort();
}

void t_check_str_at(const char *file, int line, const char *what, const char *a,
		    const char *b, bool whole)
{
	if (!a || !b) {
		if (a == b && whole)
			return;
	} else if (whole ? strcmp(a, b) == 0 : strstr(a, b) != NULL) {
		return;
	}
	t_fail_at(file, line, "%s (\"%.400s\", \"%.400s\")", what,
		  a ? a : "NULL", b ? b : "NULL");
}

void t_check_mem_at(const char *file, int line, const char *what, const void *a,
		    const void *b, size_t len)
{
	const unsigned char *pa = a;
	const unsigned char *pb = b;

	for (size_t i = 0; i < len; i++) {
		if (pa[i] != pb[i])
			t_fail_at(file, line,
				  "%s (byte %zu of %zu: 0x%02x, 0x%02x)", what,
				  i, len, pa[i], pb[i]);
	}
}

/* ---- bodies that run as goroutines ---- */

struct body {
	void (*fn)(void *arg);
	void *arg;
};

static int run_body(void *arg)
{
	const struct body *b = arg;

	b->fn(b->arg);
	return 0;
}

void t_run_config(const rg_config *config, void (*fn)(void *arg), void *arg)
{
	struct body b = {fn, arg};
	int ret = rg_run(config, run_body, &b);

	if (ret != 0)
		T_FAIL("rg_run returned %d (%s)", ret,
		       ret < 0 ? rg_strerror(ret) : "not an error");
}

void t_run_with(int maxprocs, void (*fn)(void *arg), void *arg)
{
	rg_config config = {.maxprocs = maxprocs};

	t_run_config(&config, fn, arg);
}

void t_run(void (*fn)(void *arg), void *arg)
{
	t_run_config(NULL, fn, arg);
}

static void ask_engine(void *arg)
{
	rg_stats *s = arg;

	T_CHECK_INT_EQ(rg_stats_read(s, sizeof *s), 0);
}

bool t_is_epoll(void)
{
	rg_stats s = {0};

	if (rg_stats_read(&s, sizeof s))
		t_run_with(1, ask_engine, &s);
	return s.ring_epoll;
}

#define WAIT_LIMIT_NS (10 * INT64_C(1000000000))

void t_wait_until_at(const char *file, int line, const char *what,
		     bool (*pred)(void *arg), void *arg)
{
	int64_t deadline_ns = t_now_ns() + WAIT_LIMIT_NS;
	struct timespec ms = {.tv_nsec = 1000000};

	while (!pred(arg)) {
		if (t_now_ns() > deadline_ns)
			t_fail_at(file, line, "waited 10 s for %s", what);
		if (rg_goid() != 0)
			(void)rg_sleep(RG_MILLISECOND);
		else
			nanosleep(&ms, NULL);
	}
}

static bool goroutines_are(void *arg)
{
	const int64_t *n = arg;

	return rg_num_goroutine() == *n;
}

void t_wait_goroutines(int64_t n)
{
	T_WAIT_UNTIL(goroutines_are, &n);
}
