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

/* The record in the i-th slot of a class; it may be idle or dead. */
struct g *spawn_g_at(unsigned class_index, uint64_t i);

/*
 * For trim.c. spawn_unneeded - how many stacks of the class lay in the runtime's free
 * list all the time since the last call; *is_new: others came since. spawn_take_free -
 * take up to n of them out of the list, into v; how many. They are the caller's.
 */
uint32_t spawn_unneeded(unsigned class_index, bool *is_new);
unsigned spawn_take_free(unsigned class_index, struct g **v, unsigned n);
/* spawn_give_free - the dead goroutines of pp to the runtime's list. By its M. */
void spawn_give_free(struct p *pp);

/* The runtime ended: free what abandoned goroutines own (names, defers, contexts, labels, locals);
 * their defers do not run. */
void spawn_forget_all(void);

/* The main goroutine of rg_run, by its caller's M, which runs it first. */
int spawn_main(void (*fn)(void *arg), void *arg);

#endif
