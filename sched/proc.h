/* SPDX-License-Identifier: MIT */
/*
 * proc - the scheduler loop of an M.
 */
#ifndef RG_SCHED_PROC_H
#define RG_SCHED_PROC_H

#include "sched/sched.h"

/* proc_run - on g0: find goroutines and run them until the runtime stops. */
void proc_run(struct m *mp);

/* proc_exit_g - gp, which calls this on mp, is over: recycle it, run others. */
void proc_exit_g(struct m *mp, struct g *gp) __attribute__((noreturn));

#endif
