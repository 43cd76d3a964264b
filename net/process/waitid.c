// SPDX-License-Identifier: MIT
/*
 * waitid - rg_waitid: waiting for children, parked.
 *
 * The kernel's own operation does it where it is (Linux 6.7). Elsewhere, and for a
 * descriptor of the caller's, which may be O_NONBLOCK (the operation would then report
 * "nothing" as a success):
 *   one child's end		a pidfd is polled, then waitid(2) with WNOHANG
 *   several children, stops	waitid(2) with WNOHANG at growing intervals
 *   I1  a status is taken by exactly one call: by an operation that was not cancelled,
 *       or by a waitid(2) after whose return nothing can fail.
 *   I2  a process id is turned into a pidfd while it is certainly a child's (waitid(2)
 *       has just found it): it cannot be somebody else's by then, unless another thread
 *       reaps it in this moment; then the waitid(2) that follows says ECHILD.
 * Rejected: a blocking waitid(2) on a helper thread, which no context could end; SIGCHLD,
 * whose disposition is the host's.
 *
 * Callers: goroutines and foreign threads.
 */
#include <ringgo/process.h>
#include <ringgo/runtime.h>

#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/op_wait.h"
#include "kernel-iface/probe.h"
#include "sched/cancel.h"
#include "sched/fdesc.h"
#include "sched/opwait.h"
#include "sched/point.h"
#include "sched/sched.h"

#define NAP_MIN RG_MILLISECOND
#define NAP_MAX (32 * RG_MILLISECOND)

/* What the thread that makes the call would be asked for. */
#define NO_THREAD 0x20000000 /* __WNOTHREAD */

/* 1: *info is filled. 0: not yet. */
static int look(idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	siginfo_t found;

	found.si_pid = 0;
	if (waitid(idtype, id, &found, options | WNOHANG))
		return -errno;
	if (!found.si_pid)
		return 0;
	if (info)
		*info = found;
	return 1;
}

/* Until the child behind fd ends, or the context. */
static int wait_pidfd(int fd)
{
	struct op_sqe s;
	int ret;

	op_poll(&s, fd, POLLIN);
	ret = opwait_fd(fd, FD_READ, &s);
	return ret < 0 ? ret : 0;
}

static int look_at_intervals(idtype_t idtype, id_t id, siginfo_t *info,
			     int options)
{
	rg_duration nap = NAP_MIN;

	for (;;) {
		int ret = look(idtype, id, info, options);

		if (ret)
			return ret < 0 ? ret : 0;
		ret = rg_sleep(nap);
		if (ret)
			return ret;
		nap = nap < NAP_MAX ? 2 * nap : NAP_MAX;
	}
}

/* The end of the one child behind fd. */
static int wait_end(int fd, idtype_t idtype, id_t id, siginfo_t *info,
		    int options)
{
	int ret = wait_pidfd(fd);

	if (ret)
		return ret;
	/* As a rule the first look finds it; a tracer can be first. */
	return look_at_intervals(idtype, id, info, options);
}

static int wait_end_of_pid(id_t pid, siginfo_t *info, int options)
{
	int ret = look(P_PID, pid, info, options), fd;

	if (ret)
		return ret < 0 ? ret : 0;
	fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (fd < 0)
		/* No descriptor is left, or it was reaped (I2). */
		return look_at_intervals(P_PID, pid, info, options);
	ret = wait_end(fd, P_PID, pid, info, options);
	fdesc_close(fd);
	return ret;
}

static int wait_without_operation(idtype_t idtype, id_t id, siginfo_t *info,
				  int options)
{
	bool is_end_only = !(options & (WSTOPPED | WCONTINUED));
	struct g *gp = getg();
	int ret = gp->token ? cancel_token_err(gp->token) : 0;

	if (ret)
		return ret;
	if (idtype == P_PID && is_end_only)
		return wait_end_of_pid(id, info, options);
	if (idtype != P_PIDFD || !is_end_only)
		return look_at_intervals(idtype, id, info, options);
	ret = look(idtype, id, info, options);
	if (ret)
		return ret < 0 ? ret : 0;
	return wait_end((int)id, idtype, id, info, options);
}

int rg_waitid(idtype_t idtype, id_t id, siginfo_t *info, int options)
{
	struct op_sqe s;

	sched_point();
	if (options & NO_THREAD)
		return -EINVAL;
	if (options & WNOHANG)
		return waitid(idtype, id, info, options) ? -errno : 0;
	if (!sched_is_on())
		return -ESRCH;
	if (idtype == P_PIDFD || !probe_has(PROBE_WAITID))
		return wait_without_operation(idtype, id, info, options);
	op_waitid(&s, (unsigned)idtype, id, info, options);
	return opwait(&s, 0);
}
