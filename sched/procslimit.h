/* SPDX-License-Identifier: MIT */
/*
 * procslimit - the number of Ps follows what the process may use of the CPUs: its
 * affinity mask and its cgroup's limit, which change while it runs (containers are
 * resized, taskset -a).
 *
 *   I1  only while the number is the default: not given in the configuration or the
 *       environment, and not set by rg_gomaxprocs. As Go since 1.25.
 *   I2  sysmon looks, in its rounds, once a second at most: a process that is idle is not
 *       woken for it, and looks when it has something to do again.
 *   I3  the mask is that of sysmon's thread, not of one that a goroutine was locked to.
 */
#ifndef RG_SCHED_PROCSLIMIT_H
#define RG_SCHED_PROCSLIMIT_H

#include <ringgo/base.h>

#include <stdbool.h>

/* procslimit_start - by start, before there are other threads. n: the default now; 0: a
 * number was asked for. */
void procslimit_start(int n);

/* procslimit_fix - rg_gomaxprocs sets the number: I1. Any thread. */
void procslimit_fix(void);

/* procslimit_look - sysmon; now: of its round. */
void procslimit_look(rg_time now);

/* For tests: how often, instead of once a second; how many looks there were. */
void procslimit_set_interval(rg_duration ns);
int64_t procslimit_looks(void);

#endif
