/* SPDX-License-Identifier: MIT */
/*
 * childfd - a child process as a descriptor (pidfd): readable when it has ended.
 *
 * The raw system calls, because C libraries before glibc 2.36 lack the names. Nothing here
 * waits. Linux 5.4.
 */
#ifndef RGK_CHILDFD_H
#define RGK_CHILDFD_H

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDFD_IDTYPE = 3 }; /* P_PIDFD */

/* childfd_open - close-on-exec; -ESRCH: no such process; -EINVAL, -EMFILE, -ENOSYS. */
static inline int childfd_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

/*
 * childfd_take - the status of a child that has ended into *info (may be NULL), and no
 * more zombie is left. 1, or 0: it has not ended. -ECHILD: it is no child of ours, or
 * somebody else has taken the status; -EBADF; -EINVAL: no pidfd.
 * childfd_look - the same, and the status stays.
 */
static inline int childfd_wait(int fd, siginfo_t *info, int options)
{
	siginfo_t found;

	found.si_pid = 0;
	if (syscall(SYS_waitid, CHILDFD_IDTYPE, fd, &found,
		    WEXITED | WNOHANG | options, NULL))
		return -errno;
	if (!found.si_pid)
		return 0;
	if (info)
		*info = found;
	return 1;
}

static inline int childfd_take(int fd, siginfo_t *info)
{
	return childfd_wait(fd, info, 0);
}

static inline int childfd_look(int fd)
{
	return childfd_wait(fd, NULL, WNOWAIT);
}

#endif
