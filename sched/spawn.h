/* SPDX-License-Identifier: MIT */
/*
 * spawn - goroutines are born and buried here.
 */
#ifndef RG_SCHED_SPAWN_H
#define RG_SCHED_SPAWN_H

#include "sched/sched.h"

/* What the record and its colour take from a slot, at most. */
enum { SPAWN_RECORD_ROOM = 2048 };

/* The class of slots whose stacks have `size` usable bytes; -1: too large. */
static inline int spawn_class_of(size_t size)
{
	return size > SIZE_MAX / 2 ? -1
				   : stack_class_of(size + SPAWN_RECORD_ROOM);
}

/* A dead goroutine to the free list of pp, or of the runtime. */
void spawn_recycle(struct p *pp, struct g *gp);

/* The runtime ended: free what abandoned goroutines own (names, defers, contexts, labels, locals);
 * their defers do not run. */
void spawn_forget_all(void);

/* The main goroutine of rg_run: like sched_go, but returns the record. */
int spawn_main(void (*fn)(void *arg), void *arg);

#endif
