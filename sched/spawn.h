/* SPDX-License-Identifier: MIT */
/*
 * spawn - goroutines are born and buried here.
 */
#ifndef RG_SCHED_SPAWN_H
#define RG_SCHED_SPAWN_H

#include "sched/sched.h"

/* A dead goroutine to the free list of pp, or of the runtime. */
void spawn_recycle(struct p *pp, struct g *gp);

/* The runtime ended: free what abandoned goroutines own (names, defers, contexts);
 * their defers do not run. */
void spawn_forget_all(void);

/* The main goroutine of rg_run: like sched_go, but returns the record. */
int spawn_main(void (*fn)(void *arg), void *arg);

#endif
