/* SPDX-License-Identifier: MIT */
/*
 * gsnap - what is known of a goroutine at one moment, copied out of it.
 *
 * Taken while the world is frozen (freeze.h), to be symbolised and printed
 * afterwards: a snapshot points to nothing of the goroutine's.
 *   I1  a goroutine is read at one moment; two of one dump may be of different ones.
 *   I2  a goroutine that lives during all of a walk is seen exactly once: the walk
 *       goes by stack slots, and a goroutine keeps its slot.
 *   I3  a corrupt goroutine costs its stack or its name, not the dump.
 */
#ifndef RG_SCHED_GSNAP_H
#define RG_SCHED_GSNAP_H

#include <ringgo/base.h>

#include "sched/freeze.h"

enum { GSNAP_NAME_LEN = 32, GSNAP_LABELS_LEN = 192 };

struct gsnap {
	uint64_t goid, creator_goid;
	uint32_t bubble_id;   /* 0: none */
	uintptr_t creator_pc; /* 0: none, it is the main goroutine */
	uintptr_t fn;         /* what it was started with */
	rg_time wait_since;   /* coarse clock */
	uint8_t state, wait_reason, kind; /* g.h's enums */
	bool is_unavailable; /* runs on a thread that could not be stopped */
	bool is_locked;      /* to its thread */
	bool is_fresh;       /* has not run yet: the stack is fn alone */
	bool has_op;         /* an operation is in flight: */
	uint8_t opcode;
	int fd;                    /* -1: none */
	char name[GSNAP_NAME_LEN]; /* "" none */
	/* The stack's bytes (0: not known), and how many were touched, by it or by who had
	 * the stack before: stack_depth. */
	uint32_t stack_size, stack_depth;
	uint16_t nlabels;
	char labels[GSNAP_LABELS_LEN]; /* labels_copy's */
	struct freeze_stack stack;
};

/*
 * gsnap_take - copy gp. own: its stack if gp is the caller's own goroutine (which is
 * not found on a frozen thread), else NULL. World frozen.
 */
void gsnap_take(struct g *gp, const struct freeze_stack *own,
		struct gsnap *out);

/* A walk over all goroutines, in portions; zeroed: at the start. */
struct gsnap_walk {
	unsigned class_index;
	uint64_t slot;
	/* const: the caller's own goroutine, or NULL, and its stack */
	struct g *self;
	const struct freeze_stack *self_stack;
	bool skips_self;
};

/* gsnap_next - fill up to max snapshots; how many, 0: the walk is over. World
 * frozen during the call, not between calls. */
size_t gsnap_next(struct gsnap_walk *w, struct gsnap *out, size_t max);

/* gsnap_bound - not less than the number of goroutines that a walk which begins now
 * can see. Any time. */
uint64_t gsnap_bound(void);

#endif
