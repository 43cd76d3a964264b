// SPDX-License-Identifier: MIT
/*
 * dump - rg_dump in both forms, SIGQUIT, and what stands behind them: gsnap.c (I1,
 * I2), dumptext.c, dumpgroup.c, dump.c (I1, I2), freeze.c (I1, I2, I4).
 *
 * The text is read by a checker that follows the states of maruel/panicparse, the
 * strictest of the tools that read Go's dumps; it takes any suffix of a file's name
 * (there: .c, .go and .s).
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/probe.h"
#include "sched/dumptext.h"
#include "sched/freeze.h"
#include "sched/g.h"
#include "sched/timer.h"

/* ---- reading a dump ---- */

static char *read_all(int fd)
{
	off_t len = lseek(fd, 0, SEEK_END);
	char *text;

	T_CHECK(len >= 0);
	text = malloc((size_t)len + 1);
	T_CHECK(text != NULL);
	T_CHECK_INT_EQ(pread(fd, text, (size_t)len, 0), len);
	text[len] = '\0';
	return text;
}

/* The caller frees it. */
static char *dump_text(int debug)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	char *text;

	T_CHECK(fd >= 0);
	T_CHECK_INT_EQ(rg_dump(fd, debug), 0);
	text = read_all(fd);
	close(fd);
	return text;
}

static regex_t re_header, re_func, re_file, re_created, re_unavailable;

static int compile_patterns(void **state)
{
	const int flags = REG_EXTENDED;

	(void)state;
	return regcomp(&re_header,
		       "^goroutine ([0-9]+) \\[([^],]+)(, ([0-9]+) minutes)?"
		       "(, locked to thread)?\\]:$",
		       flags) ||
	       regcomp(&re_func, "^.+\\((.*)\\)$", flags) ||
	       regcomp(&re_file,
		       "^\t(\\?\\?|/.+\\.[A-Za-z]+):[0-9]+"
		       "( \\+0x[0-9a-f]+)?$",
		       flags) ||
	       regcomp(&re_created, "^created by (.+)$", flags) ||
	       regcomp(&re_unavailable,
		       "^\tgoroutine running on other thread; "
		       "stack unavailable$",
		       flags);
}

static bool matches(const regex_t *re, const char *line)
{
	return !regexec(re, line, 0, NULL, 0);
}

enum state { NORMAL, HEADER, FUNC, CREATED, FILE_FUNC, FILE_CREATED, UNAVAIL };

static enum state after_header(const char *line)
{
	if (matches(&re_unavailable, line))
		return UNAVAIL;
	if (!matches(&re_func, line))
		T_FAIL("a function is expected, not: %s", line);
	return FUNC;
}

static enum state after_file(const char *line)
{
	if (matches(&re_created, line))
		return CREATED;
	if (!strcmp(line, "...additional frames elided..."))
		return FILE_FUNC;
	return matches(&re_func, line) ? FUNC : NORMAL;
}

static enum state next_state(enum state s, const char *line)
{
	switch (s) {
	case NORMAL:
		return matches(&re_header, line) ? HEADER : NORMAL;
	case HEADER:
		return after_header(line);
	case FUNC:
	case CREATED:
		if (!matches(&re_file, line))
			T_FAIL("a file is expected, not: %s", line);
		return s == FUNC ? FILE_FUNC : FILE_CREATED;
	case FILE_FUNC:
		return after_file(line);
	case FILE_CREATED:
		return NORMAL;
	case UNAVAIL:
		if (matches(&re_created, line))
			return CREATED;
		T_CHECK_STR_EQ(line, "");
		return NORMAL;
	}
	return NORMAL;
}

/* Checks the form of each line; returns how many goroutines there are. */
static int check_form(const char *text)
{
	char *copy = strdup(text), *rest = copy, *line;
	enum state s = NORMAL;
	int n = 0;

	T_CHECK(copy != NULL);
	while ((line = strsep(&rest, "\n"))) {
		s = next_state(s, line);
		n += s == HEADER;
	}
	T_CHECK_INT_EQ(s, NORMAL);
	free(copy);
	return n;
}

/* The part of text about the goroutine in which `what` occurs; static memory. */
static const char *part_of(const char *text, const char *what)
{
	static char part[8192];
	const char *at = strstr(text, what), *from, *to;
	size_t len;

	if (!at)
		T_FAIL("no \"%s\" in: %s", what, text);
	for (from = at; from > text && strncmp(from, "goroutine ", 10);)
		from--;
	to = strstr(at, "\n\n");
	len = to ? (size_t)(to - from) : strlen(from);
	if (len >= sizeof part)
		len = sizeof part - 1;
	memcpy(part, from, len);
	part[len] = '\0';
	return part;
}

/* It holds signals back until the next library call: no stack of a loop. */
static bool is_tsan(void)
{
	return getenv("RG_SAN") && !strcmp(getenv("RG_SAN"), "thread");
}

/* ---- goroutines that wait, each for something else ---- */

#if defined(__clang__)
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa)) /* nor cloned: the name is looked for */
#endif

/* Behind a call: it is no tail call, the frame stays. */
#define STAY() __asm__ volatile("")

static rg_chan *chan_recv_from, *chan_send_to;
static rg_ctx *sleeper_ctx;
static rg_mutex mutex;
static rg_waitgroup group;
static int pipe_fds[2];
static _Atomic bool stop, block_stop, is_hot;

static NOINLINE void waits_recv(void *arg)
{
	int v;

	(void)arg;
	rg_chan_recv(chan_recv_from, &v);
	STAY();
}

static NOINLINE void waits_send(void *arg)
{
	int v = 1;

	(void)arg;
	rg_chan_send(chan_send_to, &v);
	STAY();
}

static NOINLINE void waits_nil(void *arg)
{
	int v;

	(void)arg;
	rg_chan_recv(NULL, &v);
	STAY();
}

static NOINLINE void waits_select(void *arg)
{
	rg_case cases[] = {RG_RECV(chan_recv_from, NULL), RG_RECV(NULL, NULL)};

	(void)arg;
	T_CHECK_INT_EQ(rg_select(cases, 2), 0);
}

static NOINLINE void waits_sleep(void *arg)
{
	(void)arg;
	rg_ctx_unref(rg_ctx_bind(sleeper_ctx));
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ECANCELED);
}

static NOINLINE void waits_mutex(void *arg)
{
	(void)arg;
	rg_mutex_lock(&mutex);
	rg_mutex_unlock(&mutex);
}

static NOINLINE void waits_group(void *arg)
{
	(void)arg;
	rg_waitgroup_wait(&group);
	STAY();
}

static NOINLINE void waits_io(void *arg)
{
	char c;

	(void)arg;
	rg_set_name("reader of %d", pipe_fds[0]);
	T_CHECK_INT_EQ(rg_read(pipe_fds[0], &c, 1), 1);
}

static void *block(void *arg)
{
	while (!block_stop)
		usleep(1000);
	return arg;
}

static NOINLINE void waits_blocking(void *arg)
{
	T_CHECK_PTR_EQ(rg_blocking(block, arg), arg);
}

static NOINLINE void computes(void *arg)
{
	(void)arg;
	rg_preempt_disable(); /* it is running whenever it is looked at */
	is_hot = true;
	while (!atomic_load_explicit(&stop, memory_order_relaxed))
		;
	rg_preempt_enable();
}

static void (*const waiters[])(void *) = {
	waits_recv,  waits_send,  waits_nil, waits_select,   waits_sleep,
	waits_mutex, waits_group, waits_io,  waits_blocking, computes};

enum { WAITERS = sizeof waiters / sizeof waiters[0] };

static void start_waiters(void)
{
	stop = block_stop = is_hot = false;
	chan_recv_from = rg_make(int, 0);
	chan_send_to = rg_make(int, 0);
	sleeper_ctx = rg_ctx_with_cancel(rg_ctx_background());
	T_CHECK_INT_EQ(pipe(pipe_fds), 0);
	rg_mutex_lock(&mutex);
	rg_waitgroup_add(&group, 1);
	for (int i = 0; i < WAITERS; i++)
		T_CHECK_INT_EQ(rg_go(waiters[i], NULL), 0);
	while (!is_hot)
		rg_sleep(RG_MILLISECOND);
	rg_sleep(20 * RG_MILLISECOND);
}

/* All but the one that waits for ever. */
static void stop_waiters(void)
{
	stop = block_stop = true;
	rg_mutex_unlock(&mutex);
	rg_waitgroup_done(&group);
	rg_ctx_cancel(sleeper_ctx, 0);
	rg_ctx_unref(sleeper_ctx);
	T_CHECK(rg_chan_recv(chan_send_to, NULL));
	rg_chan_close(chan_recv_from);
	T_CHECK_INT_EQ(rg_write(pipe_fds[1], "x", 1), 1);
	t_wait_goroutines(2);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	rg_chan_unref(chan_recv_from);
	rg_chan_unref(chan_send_to);
}

static void check_part(const char *text, const char *function,
		       const char *state)
{
	const char *part = part_of(text, function);

	T_CHECK_STR_HAS(part, state);
	T_CHECK_STR_HAS(part, "created by start_waiters in goroutine 1\n");
	T_CHECK_STR_HAS(part, "test_dump.c:");
	T_CHECK(!strstr(part, "sched_park"));
	T_CHECK(!strstr(part, "coro_"));
}

/* It runs, unless it has just had to give way. */
static void check_computes(const char *text)
{
	const char *part = part_of(text, "computes(...)");
	bool gave_way = strstr(part, " [runnable]:") != NULL;

	check_part(text, "computes(...)",
		   gave_way ? " [runnable]:" : " [running]:");
}

static void text_body(void *arg)
{
	char *text;

	(void)arg;
	start_waiters();
	text = dump_text(2);
	T_CHECK_INT_EQ(check_form(text), 1 + WAITERS);
	T_CHECK(!strncmp(text, "goroutine 1 [running]:\nrg_dump(...)\n", 36));
	check_part(text, "waits_recv(...)", " [chan receive]:");
	check_part(text, "waits_send(...)", " [chan send]:");
	check_part(text, "waits_nil(...)", " [chan receive (nil chan)]:");
	check_part(text, "waits_select(...)", " [select]:");
	check_part(text, "waits_sleep(...)", " [sleep]:");
	check_part(text, "waits_mutex(...)", " [sync.Mutex.Lock]:");
	check_part(text, "waits_group(...)", " [sync.WaitGroup.Wait]:");
	check_part(text, "waits_io(...)", " [IO wait]:");
	check_part(text, "waits_blocking(...)", " [blocking call]:");
	if (!is_tsan())
		check_computes(text);
	T_CHECK_STR_HAS(part_of(text, "waits_io(...)"), "# name \"reader of ");
	T_CHECK_STR_HAS(part_of(text, "waits_io(...)"), ", read on fd ");
	free(text);
	stop_waiters();
}

static void dump_text_shows_what_each_goroutine_waits_for(void **state)
{
	(void)state;
	t_run_with(2, text_body, NULL);
}

/* ---- by hand: what a test cannot wait for ---- */

static char printed[8192];

static int keep(struct textbuf *b, const char *p, size_t n)
{
	(void)b;
	T_CHECK(strlen(printed) + n < sizeof printed);
	strncat(printed, p, n);
	return 0;
}

static const char *print_snap(const struct gsnap *g)
{
	char mem[64]; /* small, to be flushed often */
	struct textbuf b;
	struct dumptext d = {.b = &b, .now = 1000 * RG_SECOND};

	printed[0] = '\0';
	textbuf_init(&b, mem, sizeof mem, -1, keep);
	dumptext_goroutine(&d, g);
	T_CHECK_INT_EQ(textbuf_flush(&b), 0);
	return printed;
}

static void dump_text_of_all_extras_stays_readable(void **state)
{
	struct gsnap g = {.goid = 7,
			  .state = G_WAITING,
			  .wait_reason = WAIT_IO,
			  .kind = G_SYSTEM,
			  .wait_since = 800 * RG_SECOND,
			  .creator_goid = 3,
			  .creator_pc = 0x1234,
			  .has_op = true,
			  .opcode = 27,
			  .fd = 5,
			  .name = "a\"b\n(c)",
			  .stack_size = 46 * 1024,
			  .stack_depth = 5000,
			  .stack = {.n = 2, .pcs = {0x10, 0x20}}};

	(void)state;
	assert_int_equal(check_form(print_snap(&g)), 1);
	assert_string_equal(
		printed,
		"goroutine 7 [IO wait, 3 minutes]:\n"
		"0x10(...)\n\t\?\?:0\n0x20(...)\n\t\?\?:0\n"
		"created by 0x1234 in goroutine 3\n\t\?\?:0\n"
		"# system goroutine, name \"a\\\"b\\x0a(c)\", recv on fd 5, "
		"for 200s, stack 5 KiB of 46 touched\n\n");

	g.is_unavailable = true;
	g.stack.n = 0;
	assert_int_equal(check_form(print_snap(&g)), 1);
	g.creator_pc = 0; /* the main goroutine: nothing to stand between */
	assert_int_equal(check_form(print_snap(&g)), 1);
	g.stack = (struct freeze_stack){.n = 1, .pcs = {0x10}, .is_cut = true};
	g.state = G_RUNNING;
	assert_int_equal(check_form(print_snap(&g)), 1);
	assert_non_null(strstr(printed, "[running]:\n"));
	assert_non_null(strstr(printed, "...additional frames elided...\n"));
	assert_null(strstr(printed, "for 200s"));
}

static NOINLINE void was_deep(void *arg)
{
	char bytes[20 * 1024];

	memset(bytes, 1, sizeof bytes);
	__asm__ volatile("" : : "r"(bytes) : "memory");
	rg_chan_send(arg, NULL);
	rg_chan_recv(chan_recv_from, NULL);
	STAY();
}

static NOINLINE void was_shallow(void *arg)
{
	rg_chan_send(arg, NULL);
	rg_chan_recv(chan_recv_from, NULL);
	STAY();
}

static void check_stack_line(const char *text, const char *function,
			     unsigned at_least, unsigned at_most)
{
	const char *line = strstr(part_of(text, function), "stack ");
	unsigned used, size;

	T_CHECK(line);
	T_CHECK_INT_EQ(sscanf(line, "stack %u KiB of %u touched", &used, &size),
		       2);
	T_CHECK_INT_GE(used, at_least);
	T_CHECK_INT_LE(used, at_most);
	T_CHECK_INT_GE(size, 44);
}

static void depth_body(void *arg)
{
	rg_chan *here = rg_chan_make(0, 2);
	char *text;

	(void)arg;
	chan_recv_from = rg_chan_make(0, 0);
	rg_go(was_deep, here);
	rg_go(was_shallow, here);
	rg_chan_recv(here, NULL);
	rg_chan_recv(here, NULL);
	text = dump_text(2);
	check_stack_line(text, "was_deep(...)", 20, 48);
	check_stack_line(text, "was_shallow(...)", 1, 16);
	free(text);
	rg_chan_close(chan_recv_from);
	t_wait_goroutines(1);
	rg_chan_unref(chan_recv_from);
	rg_chan_unref(here);
}

static void dump_text_tells_how_deep_a_stack_was(void **state)
{
	(void)state;
	t_run_with(2, depth_body, NULL);
}

/* ---- debug 1 ---- */

static void named_waiter(void *arg)
{
	rg_set_name("waiter-%d", (int)(intptr_t)arg);
	rg_chan_recv(chan_recv_from, NULL);
	STAY();
}

static void grouped_body(void *arg)
{
	unsigned long total, count, previous = ~0ul, sum = 0;
	char *text, *line, *rest;

	(void)arg;
	chan_recv_from = rg_make(int, 0);
	for (int i = 0; i < 50; i++)
		rg_go(named_waiter, (void *)(intptr_t)i);
	rg_sleep(10 * RG_MILLISECOND);
	text = dump_text(1);
	T_CHECK_INT_EQ(sscanf(text, "goroutine profile: total %lu\n", &total),
		       1);
	T_CHECK_INT_EQ(total, 51);
	T_CHECK_STR_HAS(text, "\n50 @ 0x");
	T_CHECK_STR_HAS(text, "\tnamed_waiter+0x");
	T_CHECK_STR_HAS(text, "/tests/sched/test_dump.c:");
	T_CHECK_STR_HAS(text, "# state: chan receive; names: \"waiter-0\" "
			      "\"waiter-1\" \"waiter-2\" ...\n");
	rest = strchr(text, '\n') + 1;
	while ((line = strsep(&rest, "\n"))) {
		if (!*line || *line == '#')
			continue;
		T_CHECK_INT_EQ(sscanf(line, "%lu @ 0x", &count), 1);
		T_CHECK(count <= previous);
		previous = count;
		sum += count;
	}
	T_CHECK_INT_EQ(sum, total);
	free(text);
	rg_chan_close(chan_recv_from);
	t_wait_goroutines(1);
	rg_chan_unref(chan_recv_from);
}

static void dump_grouped_counts_equal_stacks(void **state)
{
	(void)state;
	t_run_with(2, grouped_body, NULL);
}

/* ---- arguments, callers ---- */

static void arguments_body(void *arg)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)arg;
	T_CHECK_INT_EQ(rg_dump(-1, 2), -EBADF);
	T_CHECK_INT_EQ(rg_dump(1, -1), -EINVAL);
	T_CHECK_INT_EQ(rg_dump(fd, 2), -ENOSPC);
	T_CHECK_INT_EQ(rg_dump(fd, 1), -ENOSPC);
	T_CHECK_INT_EQ(rg_dump(60000, 2), -EBADF);
	close(fd);
}

static void dump_bad_arguments_are_refused(void **state)
{
	(void)state;
	t_run(arguments_body, NULL);
	assert_int_equal(rg_dump(1, 2), -ESRCH);
}

static void little_stack(void *arg)
{
	char *text = dump_text(2);

	(void)arg;
	T_CHECK_INT_EQ(check_form(text), 3);
	T_CHECK_STR_HAS(part_of(text, "little_stack(...)"), "rg_dump(...)");
	T_CHECK_STR_HAS(part_of(text, "name \"dump\""), "system goroutine");
	free(text);
	rg_waitgroup_done(&group);
}

static void little_stack_body(void *arg)
{
	rg_go_options o = {.stack_size = 14 * 1024};

	(void)arg;
	rg_waitgroup_add(&group, 1);
	T_CHECK_INT_EQ(rg_go_with(&o, little_stack, NULL), 0);
	rg_waitgroup_wait(&group);
}

static void dump_from_a_goroutine_with_little_stack_works(void **state)
{
	(void)state;
	t_run(little_stack_body, NULL);
}

static void *dump_in_thread(void *arg)
{
	char *text = dump_text(2);

	(void)arg;
	T_CHECK_INT_EQ(check_form(text), 1 + WAITERS);
	if (!is_tsan())
		check_computes(text);
	free(text);
	text = dump_text(1);
	T_CHECK_STR_HAS(text, "goroutine profile: total 11\n");
	free(text);
	return NULL;
}

static void *call_thread(void *arg)
{
	pthread_t t;

	T_CHECK_INT_EQ(pthread_create(&t, NULL, dump_in_thread, arg), 0);
	T_CHECK_INT_EQ(pthread_join(t, NULL), 0);
	return NULL;
}

static void foreign_body(void *arg)
{
	start_waiters();
	rg_blocking(call_thread, arg);
	stop_waiters();
}

static void dump_from_a_foreign_thread_works(void **state)
{
	(void)state;
	t_run_with(2, foreign_body, NULL);
}

/* ---- the reader is a goroutine of the program ---- */

static void dump_to_pipe(void *arg)
{
	int *fd = arg;

	T_CHECK_INT_EQ(rg_dump(*fd, 2), 0);
	T_CHECK_INT_EQ(rg_close(*fd), 0);
}

static void pipe_body(void *arg)
{
	static char buf[4096];
	ssize_t n, total = 0;

	(void)arg;
	T_CHECK_INT_EQ(pipe(pipe_fds), 0);
	chan_recv_from = rg_make(int, 0);
	for (int i = 0; i < 2000; i++)
		rg_go(named_waiter, (void *)(intptr_t)i);
	rg_go(dump_to_pipe, &pipe_fds[1]);
	while ((n = rg_read(pipe_fds[0], buf, sizeof buf)) > 0)
		total += n;
	T_CHECK_INT_EQ(n, 0);
	T_CHECK_INT_GT(total, 2000 * 100);
	rg_close(pipe_fds[0]);
	rg_chan_close(chan_recv_from);
	t_wait_goroutines(1);
	rg_chan_unref(chan_recv_from);
}

static void dump_to_a_pipe_read_by_a_goroutine_parks(void **state)
{
	(void)state;
	t_run_with(1, pipe_body, NULL);
}

/* ---- many ---- */

enum { MANY = 100000 };

static void parked(void *arg)
{
	(void)arg;
	rg_chan_recv(chan_recv_from, NULL);
	STAY();
}

static void many_body(void *arg)
{
	int n = getenv("RG_SAN") && *getenv("RG_SAN") ? MANY / 20 : MANY;
	int64_t start, text_ns, grouped_ns;
	char *text, want[64];

	(void)arg;
	chan_recv_from = rg_make(int, 0);
	for (int i = 0; i < n; i++)
		T_CHECK_INT_EQ(rg_go(parked, NULL), 0);
	rg_yield();
	start = t_now_ns();
	text = dump_text(2);
	text_ns = t_now_ns() - start;
	T_CHECK_INT_EQ(check_form(text), n + 1);
	free(text);
	start = t_now_ns();
	text = dump_text(1);
	grouped_ns = t_now_ns() - start;
	snprintf(want, sizeof want, "goroutine profile: total %d\n", n + 1);
	T_CHECK_STR_HAS(text, want);
	free(text);
	printf("%d goroutines: text %.3f s, grouped %.3f s\n", n,
	       (double)text_ns / 1e9, (double)grouped_ns / 1e9);
	rg_chan_close(chan_recv_from);
	t_wait_goroutines(1);
	rg_chan_unref(chan_recv_from);
}

static void dump_of_100000_goroutines_is_complete(void **state)
{
	(void)state;
	/* A mapping each would be too many for the kernel. */
	assert_int_equal(probe_init(), 0);
	if (!probe_has(PROBE_GUARD))
		skip();
	t_run_with(2, many_body, NULL);
}

/* ---- under load: malloc's locks, switches, births and deaths ---- */

static void churn_once(void *arg)
{
	void *p = malloc(100 + (size_t)(intptr_t)arg % 1000);

	rg_yield();
	free(p);
	rg_waitgroup_done(&group);
}

static void churn(void *arg)
{
	(void)arg;
	while (!stop) {
		rg_waitgroup_add(&group, 20);
		for (int i = 0; i < 20; i++)
			rg_go(churn_once, (void *)(intptr_t)i);
		rg_yield();
	}
	rg_waitgroup_done(&group);
}

static void ping(void *arg)
{
	int v = 0;

	while (rg_chan_recv(arg, &v))
		rg_yield();
	rg_waitgroup_done(&group);
}

static void *dump_often(void *arg)
{
	for (int i = 0; i < 30; i++) {
		char *text = dump_text(1 + i % 2);

		if (i % 2)
			T_CHECK_INT_GE(check_form(text), 3);
		free(text);
	}
	return arg;
}

static void *join_thread(void *thread)
{
	T_CHECK_INT_EQ(pthread_join(*(pthread_t *)thread, NULL), 0);
	return NULL;
}

static void load_body(void *arg)
{
	rg_chan *c = rg_make(int, 1);
	pthread_t t;

	(void)arg;
	stop = false;
	rg_waitgroup_add(&group, 3);
	rg_go(churn, NULL);
	rg_go(churn, NULL);
	rg_go(ping, c);
	T_CHECK_INT_EQ(pthread_create(&t, NULL, dump_often, NULL), 0);
	for (int i = 0; i < 30; i++) {
		char *text = dump_text(2);

		T_CHECK_INT_GE(check_form(text), 4);
		free(text);
		rg_send(c, i);
		rg_yield();
	}
	rg_blocking(join_thread, &t);
	stop = true;
	rg_chan_close(c);
	rg_waitgroup_wait(&group);
	t_wait_goroutines(1);
	rg_chan_unref(c);
}

static void dump_under_load_from_two_threads_is_sound(void **state)
{
	(void)state;
	t_run_with(3, load_body, NULL);
}

/* ---- SIGQUIT ---- */

static void quit_body(void *arg)
{
	(void)arg;
	start_waiters();
	kill(getpid(), SIGQUIT);
	rg_sleep(10 * RG_SECOND);
}

static void quits(void *arg)
{
	signal(SIGQUIT, SIG_DFL);
	t_run_with(2, quit_body, arg);
}

static void on_quit(int sig)
{
	(void)sig;
	_exit(33);
}

static void quits_with_handler(void *arg)
{
	signal(SIGQUIT, on_quit);
	t_run_with(2, quit_body, arg);
}

static void quits_without_ours(void *arg)
{
	rg_config config = {.maxprocs = 2, .flags = RG_NO_SIGQUIT};

	signal(SIGQUIT, on_quit);
	t_run_config(&config, quit_body, arg);
}

static void dump_on_sigquit_shows_all_and_ends(void **state)
{
	char *text;

	(void)state;
	t_expect_signal(quits, NULL, SIGQUIT,
			t_is_epoll() ? "SIGQUIT: quit\nengine: epoll, without "
				       "io_uring\n\ngoroutine "
				     : "SIGQUIT: quit\n\ngoroutine ");
	t_expect_signal(quits, NULL, SIGQUIT, "\nwaits_recv(...)\n");
	if (!is_tsan())
		t_expect_signal(quits, NULL, SIGQUIT, "\ncomputes(...)\n");
	text = t_expect_output(quits_with_handler, NULL, 33);
	T_CHECK_INT_EQ(check_form(text), 1 + WAITERS);
	free(text);
	text = t_expect_output(quits_without_ours, NULL, 33);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dump_text_of_all_extras_stays_readable),
		cmocka_unit_test(dump_text_tells_how_deep_a_stack_was),
		cmocka_unit_test(dump_text_shows_what_each_goroutine_waits_for),
		cmocka_unit_test(dump_grouped_counts_equal_stacks),
		cmocka_unit_test(dump_bad_arguments_are_refused),
		cmocka_unit_test(dump_from_a_goroutine_with_little_stack_works),
		cmocka_unit_test(dump_from_a_foreign_thread_works),
		cmocka_unit_test(dump_to_a_pipe_read_by_a_goroutine_parks),
		cmocka_unit_test(dump_on_sigquit_shows_all_and_ends),
		cmocka_unit_test(dump_under_load_from_two_threads_is_sound),
		cmocka_unit_test(dump_of_100000_goroutines_is_complete),
	};

	return cmocka_run_group_tests(tests, compile_patterns, NULL);
}
