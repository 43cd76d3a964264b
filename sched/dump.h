/* SPDX-License-Identifier: MIT */
/*
 * dump - every goroutine of the running program, written to a descriptor (rg_dump).
 *
 *	debug 2	one after the other, in the form of Go's tracebacks (dumptext.h),
 *		the caller first, the runtime's own goroutines among them, marked
 *	debug 1	(and 0) equal stacks counted, most frequent first, in the text form of
 *		Go's goroutine profile; user goroutines only
 *
 *   I1  the world is frozen for DUMP_PORTION goroutines at a time; symbols are looked
 *       up and text is written while it runs.
 *   I2  on a goroutine writing parks (a reader may be a goroutine of this program).
 *   I3  memory is mapped, used and unmapped here: nothing of it is malloc's.
 * Public face: ringgo/runtime.h.
 */
#ifndef RG_SCHED_DUMP_H
#define RG_SCHED_DUMP_H

#include "sched/dumptext.h"

/* The world stands still for 1.9 ms on average, 1,000 stacks of 6 frames (100,000
 * parked goroutines, 2 CPUs, 2026-11). */
enum { DUMP_PORTION = 1000 };

struct dump;

/* What is done with the goroutines of a dump; 0 or a negative errno. */
typedef int dump_body(struct dump *d, void *arg);

/*
 * dump_run - body, with a dump under way that writes to fd. -ENOMEM: there was no
 * memory, body was not called or found none.
 * Context: goroutine or foreign thread, the runtime runs; parks for the writing. Body
 * runs where there are 20 KiB of stack, perhaps on another goroutine.
 */
int dump_run(int fd, dump_body *body, void *arg);

/* dump_grouped - see dumpgroup.c: the form of debug 1. arg is not looked at. */
dump_body dump_grouped;

/* A dump under way. */
struct dump {
	struct dumptext text;
	struct textbuf buf;
	struct gsnap_walk walk;
	struct freeze_stack self_stack;
	struct gsnap *portion; /* room for DUMP_PORTION */
	size_t n;              /* snapshots in portion */
};

/* dump_next - the next portion; false: there is none. */
bool dump_next(struct dump *d);

#endif
