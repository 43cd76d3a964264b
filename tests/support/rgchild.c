// SPDX-License-Identifier: MIT
/*
 * rgchild - the t_expect_* family of rgtest.h: a body in a child process whose
 * end and output are what the test is about.
 *
 * The child is a fork of the test program, taken while no runtime runs. Its
 * stdout and stderr are one pipe. It leaves by _exit, so neither cmocka's buffered
 * output nor exit handlers of the parent run a second time.
 */
#include "tests/support/rgtest.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_LIMIT_NS (30 * INT64_C(1000000000))
#define OUTPUT_MAX     ((size_t)1 << 20)

struct outcome {
	int status;   /* as waitpid gave it */
	bool killed;  /* by us, for living too long */
	char *output; /* NUL-terminated; owned */
};

__attribute__((noreturn)) static void child_main(int fd, void (*fn)(void *),
						 void *arg)
{
	const struct rlimit no_core = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	/* A stray child must not outlive a parent that was killed. */
	(void)alarm((unsigned)(2 * CHILD_LIMIT_NS / 1000000000));
	if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
	close(fd);
	fn(arg);
	fflush(NULL);
	_exit(0);
}

/* Reads the pipe to its end or the deadline; false: the deadline passed. */
static bool read_output(int fd, int64_t deadline_ns, char *buf, size_t *len)
{
	char dropped[4096];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left_ms = (deadline_ns - t_now_ns()) / 1000000;
		bool full = *len == OUTPUT_MAX;
		ssize_t n;

		if (left_ms <= 0)
			return false;
		if (poll(&p, 1, (int)left_ms) <= 0)
			continue;
		n = read(fd, full ? dropped : buf + *len,
			 full ? sizeof(dropped) : OUTPUT_MAX - *len);
		if (n <= 0)
			return true;
		if (!full)
			*len += (size_t)n;
	}
}

static struct outcome run_in_child(void (*fn)(void *arg), void *arg)
{
	struct outcome o = {0};
	size_t len = 0;
	int fds[2];
	pid_t pid;

	T_CHECK(pipe(fds) == 0);
	o.output = malloc(OUTPUT_MAX + 1);
	T_CHECK(o.output != NULL);
	fflush(NULL);
	pid = fork();
	T_CHECK(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child_main(fds[1], fn, arg);
	}
	close(fds[1]);
	if (!read_output(fds[0], t_now_ns() + CHILD_LIMIT_NS, o.output, &len)) {
		o.killed = true;
		kill(pid, SIGKILL);
	}
	close(fds[0]);
	o.output[len] = '\0';
	while (waitpid(pid, &o.status, 0) != pid)
		;
	return o;
}

__attribute__((noreturn)) static void
wrong_outcome(const struct outcome *o, const char *wanted, const char *text)
{
	char how[64];

	if (o->killed)
		snprintf(how, sizeof(how), "lived for more than 30 s");
	else if (WIFSIGNALED(o->status))
		snprintf(how, sizeof(how), "died by signal %d",
			 WTERMSIG(o->status));
	else
		snprintf(how, sizeof(how), "exited with %d",
			 WEXITSTATUS(o->status));
	fprintf(stderr, "---- output of the child:\n%s\n----\n", o->output);
	T_FAIL("the child %s; expected: %s, output with \"%s\"", how, wanted,
	       text ? text : "");
}

static bool has_text(const struct outcome *o, const char *text)
{
	return !text || strstr(o->output, text) != NULL;
}

void t_expect_signal(void (*fn)(void *arg), void *arg, int sig,
		     const char *text)
{
	struct outcome o = run_in_child(fn, arg);
	char wanted[32];

	snprintf(wanted, sizeof(wanted), "signal %d", sig);
	if (o.killed || !WIFSIGNALED(o.status) || WTERMSIG(o.status) != sig ||
	    !has_text(&o, text))
		wrong_outcome(&o, wanted, text);
	free(o.output);
}

void t_expect_abort(void (*fn)(void *arg), void *arg, const char *text)
{
	t_expect_signal(fn, arg, SIGABRT, text);
}

static struct outcome expect_exit(void (*fn)(void *arg), void *arg, int code,
				  const char *text)
{
	struct outcome o = run_in_child(fn, arg);
	char wanted[32];

	snprintf(wanted, sizeof(wanted), "exit code %d", code);
	if (o.killed || !WIFEXITED(o.status) || WEXITSTATUS(o.status) != code ||
	    !has_text(&o, text))
		wrong_outcome(&o, wanted, text);
	return o;
}

void t_expect_exit(void (*fn)(void *arg), void *arg, int code, const char *text)
{
	free(expect_exit(fn, arg, code, text).output);
}

char *t_expect_output(void (*fn)(void *arg), void *arg, int code)
{
	return expect_exit(fn, arg, code, NULL).output;
}
