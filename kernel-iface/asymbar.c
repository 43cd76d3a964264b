// SPDX-License-Identifier: MIT
/* asymbar - see asymbar.h for the role and the invariant. */
#include "kernel-iface/asymbar.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

bool asymbar_init(void)
{
	return !membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
}

bool asymbar_heavy(void)
{
	return !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
