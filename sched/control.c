// SPDX-License-Identifier: MIT
/*
 * control - see control.h.
 */
#include "sched/control.h"

#include "kernel-iface/base/futexlock.h"

static struct futexlock lock;
static struct futexcond changed;

void control_lock(void)
{
	futexlock_lock(&lock);
}

void control_unlock(void)
{
	futexlock_unlock(&lock);
}

void control_wait(void)
{
	futexcond_wait(&changed, &lock, RG_FOREVER);
}

bool control_wait_until(rg_time deadline)
{
	return !futexcond_wait(&changed, &lock, deadline);
}

void control_changed(void)
{
	futexcond_broadcast(&changed);
}
