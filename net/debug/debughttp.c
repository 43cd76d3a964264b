// SPDX-License-Identifier: MIT
/*
 * debughttp - see debughttp.h.
 */
#include "net/debug/debughttp.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "net/debug/debugpage.h"

/* ---- statistics ------------------------------------------------------------- */

#define STATS(X)                                                               \
	X(goroutines)                                                          \
	X(goroutines_created)                                                  \
	X(procs)                                                               \
	X(procs_idle)                                                          \
	X(threads)                                                             \
	X(switches)                                                            \
	X(steals)                                                              \
	X(wakeups)                                                             \
	X(run_queue)                                                           \
	X(timers)                                                              \
	X(ring_enters)                                                         \
	X(ring_sqes)                                                           \
	X(ring_cqes)                                                           \
	X(ring_inflight)                                                       \
	X(ring_overflows)                                                      \
	X(ring_sq_full)                                                        \
	X(ring_late_cqes)                                                      \
	X(ring_cancels)                                                        \
	X(stack_bytes_reserved)                                                \
	X(stacks)                                                              \
	X(stacks_free)                                                         \
	X(blocking_threads)                                                    \
	X(blocking_queued)                                                     \
	X(tokens_taken)                                                        \
	X(preempted)                                                           \
	X(suspended)                                                           \
	X(kicks)                                                               \
	X(preempt_refused)                                                     \
	X(ring_epoll)                                                          \
	X(ring_threads)                                                        \
	X(stack_bytes_given_back)

/* Each field of rg_stats is shown. */
#define ONE(name) +1
_Static_assert((0 STATS(ONE)) * sizeof(int64_t) == sizeof(rg_stats), "STATS");

/* Bytes resident, or 0 where /proc is not mounted. */
static int64_t read_rss(void)
{
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char buf[128];
	const char *second;
	ssize_t n;

	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	second = strchr(buf, ' ');
	return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* "preemption":{"kicked":0,...}, as text: its length, or -1. */
static int write_preemption(char *buf, size_t size)
{
	size_t len = 0;
	const char *what;
	int64_t count;

	for (size_t i = 0; (count = rg_preempt_count(i, &what)) >= 0; i++) {
		int n = snprintf(buf + len, size - len, "%s\"%s\":%" PRId64,
				 i ? "," : "\"preemption\":{", what, count);

		if (n < 0 || (size_t)n >= size - len)
			return -1;
		len += (size_t)n;
	}
	return len + 2 < size ? sprintf(buf + len, "},") + (int)len : -1;
}

int debughttp_stats(char *buf, size_t size)
{
	struct rusage use;
	rg_stats s;
	int len, n, err = rg_stats_read(&s, sizeof(s));

	if (err < 0)
		return err;
	if (getrusage(RUSAGE_SELF, &use) < 0)
		return -errno;
#define STAT_FORMAT(name) "\"" #name "\":%" PRId64 ","
#define STAT_VALUE(name)  s.name,
	len = snprintf(buf, size,
		       "{" STATS(STAT_FORMAT) "\"rss_bytes\":%" PRId64
					      ",\"cpu_seconds\":%.6f,",
		       STATS(STAT_VALUE) read_rss(),
		       seconds(use.ru_utime) + seconds(use.ru_stime));
	if (len < 0 || (size_t)len >= size)
		return -ENOSPC;
	n = write_preemption(buf + len, size - (size_t)len);
	if (n < 0)
		return -ENOSPC;
	len += n;
	n = snprintf(buf + len, size - (size_t)len,
		     "\"time_ns\":%" PRId64 "}\n", rg_now());
	return n < 0 || (size_t)n >= size - (size_t)len ? -ENOSPC : len + n;
}

static void fail(rg_http_writer *w, int err)
{
	rg_http_set_header(w, "Content-Type", "text/plain; charset=utf-8");
	rg_http_status(w, 500);
	rg_http_printf(w, "%s\n", rg_strerror(err));
}

static void no_store(rg_http_writer *w, const char *type)
{
	rg_http_set_header(w, "Content-Type", type);
	rg_http_set_header(w, "Cache-Control", "no-store");
	rg_http_set_header(w, "X-Content-Type-Options", "nosniff");
}

static void serve_stats(rg_http_writer *w, rg_http_request *r, void *arg)
{
	enum { SIZE = 4096 };
	char *buf = rgk_alloc(SIZE);
	int n = buf ? debughttp_stats(buf, SIZE) : -ENOMEM;

	(void)r;
	(void)arg;
	if (n < 0) {
		fail(w, n);
	} else {
		no_store(w, "application/json");
		rg_http_write(w, buf, (size_t)n);
	}
	rgk_free(buf);
}

/* ---- pages ------------------------------------------------------------------ */

static void serve_page(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	no_store(w, "text/html; charset=utf-8");
	rg_http_write(w, debugpage_html, debugpage_len);
}

static void serve_index(rg_http_writer *w, rg_http_request *r, void *arg)
{
	(void)r;
	(void)arg;
	no_store(w, "text/html; charset=utf-8");
	rg_http_write(w, debugpage_index, debugpage_index_len);
}

/* ---- goroutines ------------------------------------------------------------- */

static int copy_out(rg_http_writer *w, int fd)
{
	char buf[1024];
	off_t at = 0;
	ssize_t n;

	/* An anonymous file is memory: these reads do not block. */
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		ssize_t sent = rg_http_write(w, buf, (size_t)n);

		if (sent < 0)
			return (int)sent;
		at += n;
	}
	return n < 0 ? -errno : 0;
}

static void serve_goroutines(rg_http_writer *w, rg_http_request *r, void *arg)
{
	const char *level = rg_http_query(r, "debug");
	int fd = memfd_create("goroutines", MFD_CLOEXEC);
	int err;

	(void)arg;
	if (fd < 0) {
		fail(w, -errno);
		return;
	}
	err = rg_dump(fd, level && !strcmp(level, "2") ? 2 : 1);
	if (err < 0) {
		fail(w, err);
	} else {
		no_store(w, "text/plain; charset=utf-8");
		copy_out(w, fd); /* a failure is the client's end */
	}
	close(fd);
}

int rg_debug_handle(rg_http_mux *mux_or_null)
{
	static const struct {
		const char *pattern;
		rg_http_handler *fn;
	} pages[] = {
		{"GET /debug/{$}", serve_page},
		{"GET /debug/pprof/{$}", serve_index},
		{"GET /debug/pprof/goroutine", serve_goroutines},
		{"GET /debug/ringgo/stats", serve_stats},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages) && !err; i++)
		err = mux_or_null ? rg_http_mux_handle(mux_or_null,
						       pages[i].pattern,
						       pages[i].fn, NULL)
				  : rg_http_handle(pages[i].pattern,
						   pages[i].fn, NULL);
	return err;
}
