/* SPDX-License-Identifier: MIT */
/*
 * schedtrace - RINGGO_DEBUG=schedtrace=MS: a line on stderr each MS milliseconds.
 *
 * After Go's: how many Ps may run and how many of them are idle, threads, who looks for
 * work, and the lengths of the global queue and of each P's.
 */
#ifndef RG_SCHED_SCHEDTRACE_H
#define RG_SCHED_SCHEDTRACE_H

#include <ringgo/runtime.h>

/* schedtrace_round - writes the line if it is due. Returns how long until the next one,
 * or RG_FOREVER. sysmon only; never allocates. */
rg_duration schedtrace_round(rg_time now);

#endif
