// SPDX-License-Identifier: MIT
/*
 * Attacks command's invariants: exits, signals, streams of every kind, more data than
 * pipes hold, contexts and delays, grandchildren, starts that fail at every step. Each
 * test ends without a child, a descriptor or a goroutine more than before.
 */
#include "tests/net/netpair.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"

static rg_command *shell(const char *script, const rg_command_options *o)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	rg_command *c = rg_command_new("/bin/sh", argv, o);

	T_CHECK(c != NULL);
	return c;
}

/* script's output and result; buf has n bytes, one for the final zero. */
static rg_command_result run_shell(const char *script, rg_command_options o,
				   char *buf, size_t n)
{
	rg_command *c = shell(script, &o);
	rg_command_result r;
	ssize_t len = rg_command_output(c, buf, n - 1, &r);

	T_CHECK_INT_GE(len, 0);
	buf[len] = 0;
	rg_command_free(c);
	return r;
}

static void start_ok(rg_command *c)
{
	T_CHECK_INT_EQ(rg_command_start(c), 0);
	T_CHECK_INT_GT(rg_command_pid(c), 0);
}

static bool is_dead(void *arg)
{
	pid_t pid = *(pid_t *)arg;
	char path[64], line[256] = "";
	int fd;

	if (kill(pid, 0))
		return errno == ESRCH;
	/* Not ours to reap: what init has not reaped yet is dead all the same. */
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	T_CHECK_INT_GE(read(fd, line, sizeof line - 1), 0);
	close(fd);
	return strstr(line, ") Z ") != NULL;
}

static void check_no_child(void)
{
	siginfo_t info;

	T_CHECK_INT_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT),
		       -1);
	T_CHECK_INT_EQ(errno, ECHILD);
}

/* ---- ends ----------------------------------------------------------------- */

static void reports_ends(void *arg)
{
	char buf[16];
	rg_command_result r =
		run_shell("exit 3", (rg_command_options){0}, buf, sizeof buf);

	(void)arg;
	T_CHECK_INT_EQ(r.exit_code, 3);
	T_CHECK_INT_EQ(r.signal, 0);
	r = run_shell("kill -TERM $$", (rg_command_options){0}, buf,
		      sizeof buf);
	T_CHECK_INT_EQ(r.exit_code, -1);
	T_CHECK_INT_EQ(r.signal, SIGTERM);
	r = run_shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
		      (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_INT_EQ(r.exit_code, 0);
	T_CHECK(r.usage.ru_utime.tv_sec > 0 || r.usage.ru_utime.tv_usec > 0);
	T_CHECK(r.usage.ru_maxrss > 0);
}

static void check_start_fails(const char *path, const char *dir, int want)
{
	char buf[8];
	const rg_command_options o = {
		.dir = dir,
		.in = {.how = RG_STDIO_BUFFER, .data = "x", .size = 1},
		.out = {.how = RG_STDIO_BUFFER, .buf = buf, .size = sizeof buf},
		.err = {.how = RG_STDIO_PIPE}};
	rg_command *c = rg_command_new(path, NULL, &o);

	T_CHECK_INT_EQ(rg_command_start(c), want);
	T_CHECK_INT_EQ(rg_command_pid(c), 0);
	T_CHECK_INT_EQ(rg_command_pipe(c, 2), -EBADF);
	T_CHECK_INT_EQ(rg_command_wait(c, NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_command_start(c), -EALREADY);
	rg_command_free(c);
	t_wait_goroutines(1);
	check_no_child();
}

static void fails_to_start(void *arg)
{
	(void)arg;
	check_start_fails("/no/such/program", NULL, -ENOENT);
	check_start_fails("no-such-program-in-path", NULL, -ENOENT);
	check_start_fails("/etc/passwd", NULL, -EACCES);
	check_start_fails("/bin/sh", "/no/such/folder", -ENOENT);
	check_start_fails("/bin/sh", "/etc/passwd", -ENOTDIR);
}

static void refuses_nonsense(void *arg)
{
	static const rg_command_options bad[] = {
		{.in = {.how = RG_STDIO_SAME}},
		{.out = {.how = RG_STDIO_SAME}},
		{.err = {.how = 77}},
		{.out = {.how = RG_STDIO_FD, .fd = -1}},
		{.out = {.how = RG_STDIO_BUFFER, .size = 1}},
		{.in = {.how = RG_STDIO_BUFFER, .size = 1}},
		{.cancel_signal = -1},
		{.cancel_signal = 1000},
		{.wait_delay = -1},
		{.flags = 8},
	};
	rg_command *c;
	char buf[1];

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		c = shell("exit 0", &bad[i]);
		T_CHECK_INT_EQ(rg_command_run(c, NULL), -EINVAL);
		rg_command_free(c);
	}
	c = shell("exit 0",
		  &(rg_command_options){.out = {.how = RG_STDIO_INHERIT}});
	T_CHECK_INT_EQ(rg_command_output(c, buf, 1, NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_command_signal(c, SIGTERM), -ESRCH);
	T_CHECK_INT_EQ(rg_command_wait(c, NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_command_pipe(c, 1), -EBADF);
	T_CHECK_INT_EQ(rg_command_pipe(c, 3), -EBADF);
	T_CHECK_INT_EQ(rg_command_close_pipe(c, -1), -EBADF);
	/* A descriptor that is not open. */
	rg_command_free(c);
	c = shell("exit 0", &(rg_command_options){
				    .out = {.how = RG_STDIO_FD, .fd = 9999}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), -EBADF);
	rg_command_free(c);
	rg_command_free(NULL);
}

/* ---- what the child finds -------------------------------------------------- */

static void has_folder_and_environment(void *arg)
{
	static const char *const env[] = {"ONE=1", "TWO=a b", NULL};
	char buf[256];
	rg_command_result r =
		run_shell("pwd; echo $ONE,$TWO,$HOME",
			  (rg_command_options){.dir = "/usr", .env = env}, buf,
			  sizeof buf);

	(void)arg;
	T_CHECK_INT_EQ(r.exit_code, 0);
	T_CHECK_STR_EQ(buf, "/usr\n1,a b,\n");
	T_CHECK_INT_EQ(setenv("RG_TEST_MARK", "inherited", 1), 0);
	run_shell("echo $RG_TEST_MARK", (rg_command_options){0}, buf,
		  sizeof buf);
	T_CHECK_STR_EQ(buf, "inherited\n");
}

static void finds_program_in_path(void *arg)
{
	static const char *const argv[] = {"echo", "a b", "c", NULL};
	rg_command *c = rg_command_new("echo", argv, NULL);
	char buf[16] = "";

	(void)arg;
	T_CHECK_INT_EQ(rg_command_output(c, buf, sizeof buf, NULL), 6);
	T_CHECK_MEM_EQ(buf, "a b c\n", 6);
	rg_command_free(c);
}

/* The runtime ignores SIGPIPE; helpers have all signals blocked. */
static void has_clean_signals(void *arg)
{
	char buf[512];
	uint64_t blocked = 1, ignored = ~UINT64_C(0);

	(void)arg;
	run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status",
		  (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_INT_EQ(
		sscanf(buf, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
	T_CHECK_INT_EQ(blocked, 0);
	T_CHECK(!(ignored & UINT64_C(1) << (SIGPIPE - 1)));
}

static void has_no_descriptors_of_ours(void *arg)
{
	int fd = fcntl(0, F_DUPFD, 50); /* without FD_CLOEXEC */
	static const char script[] =
		"i=0; while [ $i -lt 200 ]; do [ -e /proc/$$/fd/$i ] && "
		"echo $i; i=$((i+1)); done";
	char buf[1024];

	(void)arg;
	T_CHECK(fd >= 50);
	run_shell(script, (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_STR_EQ(buf, "0\n1\n2\n");
	run_shell(script, (rg_command_options){.flags = RG_COMMAND_KEEP_FDS},
		  buf, sizeof buf);
	T_CHECK_STR_HAS(buf, "0\n1\n2\n");
	T_CHECK_STR_HAS(buf, "\n50\n");
	close(fd);
}

/* ---- streams ---------------------------------------------------------------- */

/* More than pipes hold, both ways at once. */
static void buffers_cannot_deadlock(void *arg)
{
	enum { SIZE = 1 << 20 };
	char *in = malloc(SIZE), *out = malloc(SIZE);
	rg_command_options o = {
		.in = {.how = RG_STDIO_BUFFER, .data = in, .size = SIZE}};
	rg_command *c;

	(void)arg;
	T_CHECK(in && out);
	for (size_t i = 0; i < SIZE; i++)
		in[i] = (char)(i * 31 + i / 251);
	c = rg_command_new("cat", NULL, &o);
	T_CHECK_INT_EQ(rg_command_output(c, out, SIZE, NULL), SIZE);
	T_CHECK_MEM_EQ(out, in, SIZE);
	rg_command_free(c);
	/* The child does not read what is fed. */
	c = shell("exit 4", &o);
	T_CHECK_INT_EQ(rg_command_output(c, out, SIZE, NULL), 0);
	rg_command_free(c);
	free(in);
	free(out);
}

static void drops_what_does_not_fit(void *arg)
{
	char buf[11];
	rg_command_result r =
		run_shell("head -c 300000 /dev/zero | tr '\\0' x; exit 2",
			  (rg_command_options){0}, buf, sizeof buf);

	(void)arg;
	T_CHECK_STR_EQ(buf, "xxxxxxxxxx");
	T_CHECK_INT_EQ(r.out_len, 10);
	T_CHECK(r.is_truncated && !r.is_cut);
	T_CHECK_INT_EQ(r.exit_code, 2);
	r = run_shell("printf 0123456789", (rg_command_options){0}, buf,
		      sizeof buf);
	T_CHECK_STR_EQ(buf, "0123456789");
	T_CHECK(!r.is_truncated);
}

static void separates_or_joins_errors(void *arg)
{
	char out[32], err[32] = "";
	rg_command_options o = {
		.err = {.how = RG_STDIO_BUFFER, .buf = err, .size = 31}};
	rg_command_result r =
		run_shell("echo a; echo b >&2", o, out, sizeof out);

	(void)arg;
	T_CHECK_STR_EQ(out, "a\n");
	T_CHECK_STR_EQ(err, "b\n");
	T_CHECK_INT_EQ(r.err_len, 2);
	o = (rg_command_options){.err = {.how = RG_STDIO_SAME}};
	run_shell("echo a; echo b >&2", o, out, sizeof out);
	T_CHECK_STR_EQ(out, "a\nb\n");
}

static void talks_through_pipes(void *arg)
{
	const rg_command_options o = {.in = {.how = RG_STDIO_PIPE},
				      .out = {.how = RG_STDIO_PIPE}};
	rg_command *c = rg_command_new("cat", NULL, &o);
	rg_command_result r;
	char buf[16];

	(void)arg;
	start_ok(c);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(rg_write_full(rg_command_pipe(c, 0), "hello", 5),
			       5);
		T_CHECK_INT_EQ(rg_read_full(rg_command_pipe(c, 1), buf, 5), 5);
		T_CHECK_MEM_EQ(buf, "hello", 5);
	}
	T_CHECK_INT_EQ(rg_command_close_pipe(c, 0), 0);
	T_CHECK_INT_EQ(rg_command_close_pipe(c, 0), -EBADF);
	T_CHECK_INT_EQ(rg_read(rg_command_pipe(c, 1), buf, 5), 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), 0);
	T_CHECK_INT_EQ(r.exit_code, 0);
	rg_command_free(c);
}

/* Crossed over: the child's 1 is our 0, its 2 our 1. */
static void takes_any_descriptor(void *arg)
{
	int p[2], q[2];
	char buf[8];
	rg_command *c;

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(pipe2(q, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(dup2(p[1], 0), 0);
	T_CHECK_INT_EQ(dup2(q[1], 1), 1);
	c = shell("printf out; printf err >&2",
		  &(rg_command_options){.out = {.how = RG_STDIO_FD, .fd = 0},
					.err = {.how = RG_STDIO_FD, .fd = 1}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
	T_CHECK_INT_EQ(rg_read(p[0], buf, sizeof buf), 3);
	T_CHECK_MEM_EQ(buf, "out", 3);
	T_CHECK_INT_EQ(rg_read(q[0], buf, sizeof buf), 3);
	T_CHECK_MEM_EQ(buf, "err", 3);
	/* Inherited, and pipes with numbers below 3. */
	close(0);
	c = shell(
		"cat >&2",
		&(rg_command_options){
			.in = {.how = RG_STDIO_BUFFER, .data = "in", .size = 2},
			.err = {.how = RG_STDIO_FD, .fd = 1}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
	T_CHECK_INT_EQ(rg_read(q[0], buf, sizeof buf), 2);
	T_CHECK_MEM_EQ(buf, "in", 2);
	c = shell("printf inherited",
		  &(rg_command_options){.out = {.how = RG_STDIO_INHERIT}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
	T_CHECK_INT_EQ(rg_read(q[0], buf, sizeof buf), 8);
	T_CHECK_MEM_EQ(buf, "inherite", 8);
	*(int *)arg = 1;
}

static void run_descriptors(void *arg)
{
	int done = 0;

	(void)arg;
	t_run(takes_any_descriptor, &done);
	T_CHECK_INT_EQ(done, 1);
}

/* ---- contexts, signals, delays ----------------------------------------------- */

static void context_ends_it(void *arg)
{
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 30 * RG_MILLISECOND);
	rg_command *c =
		shell("exec sleep 1000", &(rg_command_options){.ctx = ctx});
	rg_command_result r;

	(void)arg;
	T_CHECK_INT_EQ(rg_command_run(c, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ETIMEDOUT);
	rg_command_free(c);
	/* Had ended before. */
	c = shell("exit 0", &(rg_command_options){.ctx = ctx});
	T_CHECK_INT_EQ(rg_command_run(c, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_command_pid(c), 0);
	rg_command_free(c);
	rg_ctx_unref(ctx);
	/* The bound one. */
	ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_ctx_bind(ctx);
	c = shell("exec sleep 1000", NULL);
	start_ok(c);
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ECANCELED);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_command_free(c);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

/* Tells through its output when it is ready for the signal. */
static rg_command *start_trapped(const char *script, rg_ctx *ctx,
				 rg_duration delay)
{
	rg_command *c = shell(
		script, &(rg_command_options){.ctx = ctx,
					      .cancel_signal = SIGTERM,
					      .wait_delay = delay,
					      .out = {.how = RG_STDIO_PIPE}});
	char byte;

	start_ok(c);
	T_CHECK_INT_EQ(rg_read(rg_command_pipe(c, 1), &byte, 1), 1);
	return c;
}

static void cancel_signal_then_kill(void *arg)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_command *c = start_trapped("trap 'exit 5' TERM; echo; while :; do "
				      "sleep 0.01; done",
				      ctx, 0);
	rg_command *d = start_trapped("trap '' TERM; echo; while :; do "
				      "sleep 0.01; done",
				      ctx, 30 * RG_MILLISECOND);
	rg_command_result r;

	(void)arg;
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ECANCELED);
	T_CHECK_INT_EQ(r.exit_code, 5);
	T_CHECK_INT_EQ(rg_command_wait(d, &r), -ECANCELED);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_command_free(c);
	rg_command_free(d);
	rg_ctx_unref(ctx);
}

/* A grandchild holds the pipe. */
static void delay_cuts_pipes_off(void *arg)
{
	char buf[64];
	rg_command_result r = run_shell(
		"sleep 1000 & echo $!",
		(rg_command_options){.wait_delay = 30 * RG_MILLISECOND}, buf,
		sizeof buf);
	pid_t pid = (pid_t)atoi(buf);

	(void)arg;
	T_CHECK(r.is_cut && r.exit_code == 0);
	T_CHECK_INT_GT(pid, 1);
	T_CHECK_INT_EQ(kill(pid, SIGKILL), 0);
	T_WAIT_UNTIL(is_dead, &pid);
}

static void group_is_killed_whole(void *arg)
{
	static const unsigned flags[] = {RG_COMMAND_GROUP, RG_COMMAND_SESSION};

	(void)arg;
	for (size_t i = 0; i < 2; i++) {
		rg_command *c = shell(
			"sleep 1000 & echo $!; wait",
			&(rg_command_options){.flags = flags[i],
					      .out = {.how = RG_STDIO_PIPE}});
		char buf[32] = "";
		pid_t pid;

		start_ok(c);
		T_CHECK_INT_GT(
			rg_read(rg_command_pipe(c, 1), buf, sizeof buf - 1), 0);
		pid = (pid_t)atoi(buf);
		T_CHECK_INT_GT(pid, 1);
		T_CHECK_INT_EQ(getpgid(pid), rg_command_pid(c));
		T_CHECK_INT_EQ(getsid(pid) == rg_command_pid(c), i == 1);
		T_CHECK_INT_EQ(rg_command_kill(c), 0);
		T_CHECK_INT_EQ(rg_command_wait(c, NULL), 0);
		T_CHECK_INT_EQ(rg_command_kill(c), -ESRCH);
		T_WAIT_UNTIL(is_dead, &pid);
		rg_command_free(c);
	}
}

static void signals_reach_only_the_child(void *arg)
{
	rg_command *c = shell("exec sleep 1000", NULL);
	rg_command_result r;

	(void)arg;
	start_ok(c);
	T_CHECK_INT_EQ(rg_command_signal(c, 0), 0);
	T_CHECK_INT_EQ(rg_command_signal(c, 1000), -EINVAL);
	T_CHECK_INT_EQ(rg_command_signal(c, SIGUSR1), 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), 0);
	T_CHECK_INT_EQ(r.signal, SIGUSR1);
	T_CHECK_INT_EQ(rg_command_signal(c, SIGUSR1), -ESRCH);
	T_CHECK_INT_EQ(rg_command_start(c), -EALREADY);
	rg_command_free(c);
}

static void wait_heeds_its_own_context(void *arg)
{
	rg_command *c = shell("exec sleep 1000", NULL);
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	rg_command_result r = {.exit_code = 77};
	char buf[8];

	(void)arg;
	start_ok(c);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(r.exit_code, 77);
	T_CHECK_INT_EQ(kill(rg_command_pid(c), 0), 0);
	rg_ctx_unref(rg_ctx_bind(NULL));
	T_CHECK_INT_EQ(rg_command_kill(c), 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), 0);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_command_free(c);
	rg_ctx_unref(ctx);
	/* run does not leave a child behind that writes to our buffer. */
	ctx = rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	c = shell("exec sleep 1000",
		  &(rg_command_options){.ctx = rg_ctx_background()});
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_command_output(c, buf, sizeof buf, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_command_free(c);
	rg_ctx_unref(ctx);
}

struct waiting {
	rg_command *c;
	_Atomic int n;
};

static void wait_too(void *arg)
{
	struct waiting *w = arg;
	rg_command_result r;

	T_CHECK_INT_EQ(rg_command_wait(w->c, &r), 0);
	T_CHECK_INT_EQ(r.exit_code, 6);
	w->n++;
}

static void many_wait(void *arg)
{
	struct waiting w = {
		shell("read x; exit 6",
		      &(rg_command_options){.in = {.how = RG_STDIO_PIPE}}),
		0};
	rg_waitgroup all = {0};

	(void)arg;
	start_ok(w.c);
	for (int i = 0; i < 8; i++)
		spawn(&all, wait_too, &w);
	T_CHECK_INT_EQ(rg_command_close_pipe(w.c, 0), 0);
	rg_waitgroup_wait(&all);
	T_CHECK_INT_EQ(w.n, 8);
	wait_too(&w);
	rg_command_free(w.c);
}

static void free_ends_it(void *arg)
{
	char buf[8];
	rg_command *c =
		shell("exec sleep 1000",
		      &(rg_command_options){.in = {.how = RG_STDIO_PIPE},
					    .out = {.how = RG_STDIO_BUFFER,
						    .buf = buf,
						    .size = sizeof buf}});
	pid_t pid;

	(void)arg;
	start_ok(c);
	pid = rg_command_pid(c);
	rg_command_free(c);
	T_CHECK(is_dead(&pid));
	/* Never started. */
	rg_command_free(shell("exit 0", NULL));
}

/* ---- load, threads, shortages -------------------------------------------------- */

static void run_one(void *arg)
{
	int code = (int)(intptr_t)arg;
	char script[32], buf[32];
	rg_command_result r;

	snprintf(script, sizeof script, "echo %d; exit %d", code, code);
	r = run_shell(script, (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_INT_EQ(atoi(buf), code);
	T_CHECK_INT_EQ(r.exit_code, code);
}

static void many_at_once(void *arg)
{
	rg_waitgroup all = {0};

	(void)arg;
	for (intptr_t i = 0; i < 40; i++)
		spawn(&all, run_one, (void *)i);
	rg_waitgroup_wait(&all);
}

static void *run_on_thread(void *arg)
{
	run_one(arg);
	return NULL;
}

static void serves_other_threads(void *arg)
{
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(
		pthread_create(&t, NULL, run_on_thread, (void *)(intptr_t)9),
		0);
	join(t);
}

static int try_all_streams(void)
{
	char out[8], err[8];
	rg_command *c = shell(
		"cat; echo y >&2",
		&(rg_command_options){
			.in = {.how = RG_STDIO_BUFFER, .data = "x", .size = 1},
			.out = {.how = RG_STDIO_BUFFER, .buf = out, .size = 8},
			.err = {.how = RG_STDIO_BUFFER,
				.buf = err,
				.size = 8}});
	rg_command_result r;
	int ret = rg_command_run(c, &r);

	if (!ret) {
		T_CHECK_INT_EQ(r.out_len, 1);
		T_CHECK_INT_EQ(r.err_len, 2);
	}
	rg_command_free(c);
	return ret;
}

/* Descriptors run out at every step in turn. */
static void descriptors_run_out(void *arg)
{
	struct rlimit old, few;
	int fds, failed = 0, ret;

	(void)arg;
	T_CHECK_INT_EQ(try_all_streams(), 0);
	fds = t_program_fds();
	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (few = old, few.rlim_cur = 3;; few.rlim_cur++) {
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
		ret = try_all_streams();
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
		T_CHECK_INT_EQ(t_program_fds(), fds);
		check_no_child();
		if (!ret)
			break;
		T_CHECK_INT_EQ(ret, -EMFILE);
		failed++;
	}
	/* Six ends of pipes and the pidfd. */
	T_CHECK_INT_GE(failed, 7);
}

/* Memory fails in rg_command_new, call by call. */
static void memory_runs_out(void *arg)
{
	static const char *const env[] = {"A=1", NULL};
	const rg_command_options o = {.dir = "/", .env = env};
	static const char *const argv[] = {"sh", "-c", "exit 0", NULL};
	int64_t live = alloc_live(), n;
	rg_command *c = NULL;

	(void)arg;
	for (n = 0; !c; n++) {
		alloc_fail_after(n);
		c = rg_command_new("/bin/sh", argv, &o);
		alloc_fail_after(-1);
		if (!c)
			T_CHECK_INT_EQ(alloc_live(), live);
	}
	T_CHECK_INT_GE(n, 10);
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
}

/* The kernel reaps for those who do not want to know. */
static void status_is_lost(void *arg)
{
	rg_command *c = shell("exit 3", NULL);
	int ret;

	(void)arg;
	signal(SIGCHLD, SIG_IGN);
	ret = rg_command_run(c, NULL);
	T_CHECK_INT_EQ(ret, -ECHILD);
	rg_command_free(c);
	_exit(0);
}

static void run_status_is_lost(void *arg)
{
	t_run(status_is_lost, arg);
}

/* ---- the tests ------------------------------------------------------------------ */

static void run_clean(void (*fn)(void *arg))
{
	int fds;

	(void)t_open_fds();
	fds = t_open_fds();
	t_run(fn, NULL);
	T_CHECK_INT_EQ(t_open_fds(), fds);
	check_no_child();
}

#define CLEAN(name, fn)                                                        \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		run_clean(fn);                                                 \
	}

CLEAN(command_run_reports_code_signal_and_usage, reports_ends)
CLEAN(command_that_cannot_start_leaves_nothing, fails_to_start)
CLEAN(command_bad_options_are_refused, refuses_nonsense)
CLEAN(command_has_its_folder_and_environment, has_folder_and_environment)
CLEAN(command_name_is_found_in_path, finds_program_in_path)
CLEAN(command_child_has_clean_signals, has_clean_signals)
CLEAN(command_child_has_three_descriptors, has_no_descriptors_of_ours)
CLEAN(command_buffers_larger_than_pipes_do_not_deadlock,
      buffers_cannot_deadlock)
CLEAN(command_output_over_the_limit_is_dropped, drops_what_does_not_fit)
CLEAN(command_errors_apart_or_with_output, separates_or_joins_errors)
CLEAN(command_pipes_are_ours_until_closed, talks_through_pipes)
CLEAN(command_context_ends_the_child, context_ends_it)
CLEAN(command_cancel_signal_is_followed_by_kill, cancel_signal_then_kill)
CLEAN(command_delay_gives_up_pipes_of_grandchildren, delay_cuts_pipes_off)
CLEAN(command_group_gets_the_signal, group_is_killed_whole)
CLEAN(command_signal_after_the_end_is_refused, signals_reach_only_the_child)
CLEAN(command_wait_heeds_the_waiters_context, wait_heeds_its_own_context)
CLEAN(command_many_wait_for_one, many_wait)
CLEAN(command_free_ends_the_child, free_ends_it)
CLEAN(command_many_at_once, many_at_once)
CLEAN(command_foreign_thread_is_served, serves_other_threads)
CLEAN(command_without_descriptors_leaves_nothing, descriptors_run_out)
CLEAN(command_without_memory_leaves_nothing, memory_runs_out)

static void command_takes_any_descriptor(void **state)
{
	(void)state;
	t_expect_exit(run_descriptors, NULL, 0, NULL);
}

static void command_ignored_sigchld_loses_the_status(void **state)
{
	(void)state;
	t_expect_exit(run_status_is_lost, NULL, 0, NULL);
}

static void command_without_a_runtime_is_refused(void **state)
{
	rg_command *c = shell("exit 0", NULL);

	(void)state;
	T_CHECK_INT_EQ(rg_command_start(c), -ESRCH);
	rg_command_free(c);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(command_run_reports_code_signal_and_usage),
		T(command_that_cannot_start_leaves_nothing),
		T(command_bad_options_are_refused),
		T(command_has_its_folder_and_environment),
		T(command_name_is_found_in_path),
		T(command_child_has_clean_signals),
		T(command_child_has_three_descriptors),
		T(command_buffers_larger_than_pipes_do_not_deadlock),
		T(command_output_over_the_limit_is_dropped),
		T(command_errors_apart_or_with_output),
		T(command_pipes_are_ours_until_closed),
		T(command_context_ends_the_child),
		T(command_cancel_signal_is_followed_by_kill),
		T(command_delay_gives_up_pipes_of_grandchildren),
		T(command_group_gets_the_signal),
		T(command_signal_after_the_end_is_refused),
		T(command_wait_heeds_the_waiters_context),
		T(command_many_wait_for_one),
		T(command_free_ends_the_child),
		T(command_many_at_once),
		T(command_foreign_thread_is_served),
		T(command_without_descriptors_leaves_nothing),
		T(command_without_memory_leaves_nothing),
		T(command_takes_any_descriptor),
		T(command_ignored_sigchld_loses_the_status),
		T(command_without_a_runtime_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
