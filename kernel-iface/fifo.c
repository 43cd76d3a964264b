// SPDX-License-Identifier: MIT
/*
 * fifo - see fifo.h.
 *
 * poll(2) tells of bytes and of a writer that has left. Of one that is there and says
 * nothing tee(2) tells: it gives 0 at the end of a file, and -EAGAIN for a pipe that is
 * empty. Raw calls, as all that runs in an engine's place.
 */
#include "kernel-iface/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool has_events(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const struct timespec none = {0, 0};

	return syscall(SYS_ppoll, &p, 1, &none, NULL, 0) != 0;
}

static bool has_writer(int fd)
{
	int fds[2];
	long ret;

	if (syscall(SYS_pipe2, fds, O_CLOEXEC))
		return false;
	ret = syscall(SYS_tee, fd, fds[1], 1, SPLICE_F_NONBLOCK);
	syscall(SYS_close, fds[0]);
	syscall(SYS_close, fds[1]);
	return ret != 0;
}

bool fifo_has_met_writer(int fd)
{
	int saved = errno; /* nothing here parks */
	bool has = has_events(fd) || has_writer(fd);

	errno = saved;
	return has;
}
