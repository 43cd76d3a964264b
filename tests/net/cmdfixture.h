/* SPDX-License-Identifier: MIT */
/*
 * cmdfixture - what the tests of commands share: children of sh, and that a test leaves
 * none of them, and no descriptor, behind.
 */
#ifndef RG_TESTS_CMDFIXTURE_H
#define RG_TESTS_CMDFIXTURE_H

#include "tests/net/netpair.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static inline rg_command *shell(const char *script, const rg_command_options *o)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	rg_command *c = rg_command_new("/bin/sh", argv, o);

	T_CHECK(c != NULL);
	return c;
}

/* script's output and result; buf has n bytes, one for the final zero. */
static inline rg_command_result
run_shell(const char *script, rg_command_options o, char *buf, size_t n)
{
	rg_command *c = shell(script, &o);
	rg_command_result r;
	ssize_t len = rg_command_output(c, buf, n - 1, &r);

	T_CHECK_INT_GE(len, 0);
	buf[len] = 0;
	rg_command_free(c);
	return r;
}

static inline void start_ok(rg_command *c)
{
	T_CHECK_INT_EQ(rg_command_start(c), 0);
	T_CHECK_INT_GT(rg_command_pid(c), 0);
}

static inline bool is_dead(void *arg)
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

static inline void check_no_child(void)
{
	siginfo_t info;

	T_CHECK_INT_EQ(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT),
		       -1);
	T_CHECK_INT_EQ(errno, ECHILD);
}

/* A body that is one test of the program. */
static inline void run_clean(void (*fn)(void *arg))
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

#endif
