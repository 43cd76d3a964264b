// SPDX-License-Identifier: MIT
/*
 * confine - run a program with only the system calls of the list it was compiled with,
 * and say which others it asked for.
 *
 *	confine PROGRAM [ARGUMENT...]
 *
 * allowed.inc, made from docs/seccomp.json, has a line ALLOW(name) for each call. All
 * others reach this process as notifications: it prints their numbers and answers EPERM,
 * as the profile does. Exit code: the program's, 50 when it asked for others, 77 when
 * this kernel lets nobody listen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int allowed[] = {
#include <allowed.inc>
};

enum { ALLOWED = sizeof allowed / sizeof *allowed, LISTENER = 200 };

/* Of the calling process from here on; the descriptor of the listener. */
static int confine(void)
{
	static struct sock_filter code[2 * ALLOWED + 2];
	struct sock_fprog program = {.filter = code};
	int n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < ALLOWED; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
							 SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						 SECCOMP_RET_USER_NOTIF);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	n = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			 SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	return n < 0 ? -errno : n;
}

/* Until the program and its children are gone. How often something was refused. */
static int listen_to(int fd)
{
	int refused = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		struct seccomp_notif_resp answer;
		struct seccomp_notif asked;

		if (poll(&p, 1, -1) < 0 || p.revents & POLLHUP)
			return refused;
		memset(&asked, 0, sizeof asked);
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &asked))
			continue; /* it was killed meanwhile */
		fprintf(stderr,
			"confine: system call %d is not in the profile\n",
			asked.data.nr);
		refused++;
		answer = (struct seccomp_notif_resp){.id = asked.id,
						     .error = -EPERM};
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

int main(int argc, char **argv)
{
	/* The child's descriptors are ours until it execs: the listener, too. */
	int *result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, refused;
	pid_t child;

	if (argc < 2 || result == MAP_FAILED)
		return 99;
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL,
			       NULL, NULL);
	if (!child) {
		*result = confine();
		/* One place for it, closed on exec. */
		if (*result < 0)
			_exit(77);
		execv(argv[1], argv + 1);
		_exit(98);
	}
	if (child < 0)
		return 99;
	while (!*result)
		usleep(1000);
	if (*result < 0) {
		fprintf(stderr, "confine: seccomp: %s\n", strerror(-*result));
		waitpid(child, &status, 0);
		return *result == -EINVAL || *result == -EBUSY ? 77 : 99;
	}
	refused = listen_to(*result);
	if (waitpid(child, &status, 0) != child)
		return 99;
	if (refused)
		return 50;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
