// SPDX-License-Identifier: MIT
/*
 * dgram - see the header.
 */
#include "net/dgram.h"

#include <errno.h>

#include "kernel-iface/op_wait.h"
#include "sched/opwait.h"
#include "sched/seed.h"

#define NAP_MIN RG_MILLISECOND
#define NAP_MAX (32 * RG_MILLISECOND)

/* I2, the peer's: 0 when the nap is over. */
static int nap_on(int fd, rg_duration *nap)
{
	/* Of the clock that the wait is for, also in a synctest bubble. */
	rg_time end = sched_now() + *nap;
	struct op_sqe s;
	int ret;

	op_poll(&s, fd, 0);
	ret = opwait_fd_until(fd, FD_WRITE, &s, timer_after(*nap));
	*nap = *nap < NAP_MAX ? 2 * *nap : NAP_MAX;
	if (ret == -ETIMEDOUT && sched_now() >= end)
		return 0;
	return ret < 0 ? ret : 0;
}

static int wait_for_room(int fd, rg_duration *nap)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct op_sqe s;
	int ret;

	if (poll(&p, 1, 0) == 1)
		return nap_on(fd, nap);
	op_poll(&s, fd, POLLOUT);
	ret = opwait_fd(fd, FD_WRITE, &s);
	return ret < 0 ? ret : 0;
}

int dgram_send(int fd, const struct op_sqe *s)
{
	rg_duration nap = NAP_MIN;

	for (;;) {
		int ret = opwait_fd(fd, FD_WRITE, s);

		if (ret != -EAGAIN)
			return ret;
		ret = wait_for_room(fd, &nap);
		if (ret)
			return ret;
	}
}
