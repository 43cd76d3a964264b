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
static int nap_on(int fd, int64_t *nap)
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

int dgram_wait(int fd, int64_t *nap)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct op_sqe s;
	int ret;

	if (!*nap)
		*nap = NAP_MIN;
	if (poll(&p, 1, 0) == 1)
		return nap_on(fd, nap);
	op_poll(&s, fd, POLLOUT);
	ret = opwait_fd(fd, FD_WRITE, &s);
	return ret < 0 ? ret : 0;
}

int dgram_send(int fd, const struct op_sqe *s)
{
	int64_t nap = 0;

	for (;;) {
		int ret = opwait_fd(fd, FD_WRITE, s);

		if (ret != -EAGAIN)
			return ret;
		ret = dgram_wait(fd, &nap);
		if (ret)
			return ret;
	}
}
