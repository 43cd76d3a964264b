/* SPDX-License-Identifier: MIT */
/*
 * kvfixture - examples/kv as a child process, and plain blocking clients of it. For
 * test programs: each includes it once.
 */
#ifndef RG_TESTS_KVFIXTURE_H
#define RG_TESTS_KVFIXTURE_H

#include "tests/support/rgtest.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

struct kv {
	pid_t pid;
	int out; /* its stdout and stderr */
	char text[4096];
	size_t len;
	uint16_t port;
};

static inline const char *kv_path(void)
{
	static char path[4096];
	const char *build = getenv("RG_BUILD");

	snprintf(path, sizeof path, "%s/examples/kv/kv_server",
		 build ? build : "build");
	return path;
}

/* Start argv[0] with its output in our hands. */
static UNUSED void kv_spawn(struct kv *s, const char *const *argv)
{
	int fds[2];

	memset(s, 0, sizeof *s);
	T_CHECK(pipe(fds) == 0);
	s->pid = fork();
	T_CHECK(s->pid >= 0);
	if (s->pid == 0) {
		alarm(200); /* never outlive a test that was killed */
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		perror(argv[0]);
		_exit(127);
	}
	close(fds[1]);
	s->out = fds[0];
}

/* More of its output until mark appears; false: it ended first. */
static UNUSED bool kv_wait_text(struct kv *s, const char *mark)
{
	int64_t deadline = t_now_ns() + 40 * RG_SECOND;

	while (!strstr(s->text, mark)) {
		struct pollfd p = {.fd = s->out, .events = POLLIN};
		ssize_t n = 0;

		if (poll(&p, 1, 100) == 1) {
			n = read(s->out, s->text + s->len,
				 sizeof s->text - 1 - s->len);
			if (n <= 0)
				return false;
		}
		s->len += (size_t)n;
		s->text[s->len] = '\0';
		if (t_now_ns() > deadline)
			T_FAIL("no \"%s\" in: %s", mark, s->text);
	}
	return true;
}

/* On a free port, with up to four more arguments. */
static UNUSED void kv_start(struct kv *s, const char *a1, const char *a2,
			    const char *a3, const char *a4)
{
	const char *argv[] = {kv_path(), "-a", "127.0.0.1:0", a1, a2,
			      a3,        a4,   NULL};

	kv_spawn(s, argv);
	if (!kv_wait_text(s, "listening on 127.0.0.1:") ||
	    !kv_wait_text(s, "\n"))
		T_FAIL("kv_server did not start: %s", s->text);
	s->port = (uint16_t)atoi(strstr(s->text, " 127.0.0.1:") + 11);
	T_CHECK(s->port > 0);
}

/* Its exit status, once it has ended; text has all it said. */
static UNUSED int kv_wait(struct kv *s)
{
	int status;

	while (kv_wait_text(s, "\001 never printed"))
		;
	close(s->out);
	T_CHECK(waitpid(s->pid, &status, 0) == s->pid);
	return status;
}

/* Ended by sig, gracefully, without complaints of a sanitizer or of leaks. It is sent
 * again, and that changes nothing. */
static UNUSED void kv_end(struct kv *s, int sig)
{
	int status;

	T_CHECK(kill(s->pid, sig) == 0);
	usleep(1000);
	T_CHECK(kill(s->pid, sig) == 0); /* a zombie takes it, too */
	status = kv_wait(s);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		T_FAIL("status %#x: %s", status, s->text);
	if (strstr(s->text, "ringgo:") || strstr(s->text, "Sanitizer"))
		T_FAIL("%s", s->text);
}

/* What request is answered with, up to the answer to an ECHO sent behind it. The text
 * lives until the next call. */
static UNUSED const char *kv_ask(int fd, const char *request, size_t len)
{
	static char text[1 << 20];
	size_t n;

	t_send_all(fd, request, len);
	t_send_str(fd, "*2\r\n$4\r\nECHO\r\n$9\r\n<-marker>\r\n");
	n = t_recv_until(fd, text, sizeof text, "$9\r\n<-marker>\r\n");
	text[n - 15] = '\0';
	return text;
}

static UNUSED void kv_expect(int fd, const char *request, const char *reply)
{
	const char *got = kv_ask(fd, request, strlen(request));

	if (strcmp(got, reply))
		T_FAIL("%s\nis answered with:\n%s\nnot with:\n%s", request, got,
		       reply);
}

static UNUSED bool kv_is_built(void)
{
	if (access(kv_path(), X_OK) == 0)
		return true;
	puts("examples/kv is not built: make examples");
	return false;
}

#endif
