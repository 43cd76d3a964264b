/* SPDX-License-Identifier: MIT */
/*
 * freeze - stop every thread of the runtime for a consistent look at it.
 *
 * The freezer sends SIGURG to each registered thread. The handler notes what the
 * thread was doing (which goroutine, its stack) and sleeps on a futex until the thaw.
 *
 *   I1  one freezer at a time, elected by freeze_world; it holds the world until
 *       freeze_thaw and has all its signals but those of faults blocked meanwhile.
 *   I2  while the world is frozen the freezer takes no lock, allocates nothing, uses
 *       no stdio and does not park: a frozen thread may hold anything.
 *   I3  a thread that does not answer in time (its signals are blocked, or it hangs in
 *       the kernel) is left running and counted; should it answer late it stops, too,
 *       before it returns to any code of its own.
 *   I4  with every thread stopped, the context of a goroutine on whose stack no thread
 *       stands is valid, whatever its state says.
 *   I5  a SIGURG that nobody here sent (TCP out-of-band data) is harmless, and is
 *       passed to the handler that the host had, if any.
 * Not a stop at safe points: a loop without calls never reaches one.
 */
#ifndef RG_SCHED_FREEZE_H
#define RG_SCHED_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g;
struct m;

enum { FREEZE_FRAMES = 64 };

/* A stack. exact_top: pcs[0] is an instruction, not a return address. */
struct freeze_stack {
	uint16_t n;
	bool exact_top;
	bool is_cut; /* there are more frames than fit */
	uintptr_t pcs[FREEZE_FRAMES];
};

/* What a frozen thread is doing. */
struct freeze_seen {
	struct m *m;  /* NULL: not a worker */
	struct g *gp; /* the goroutine on whose stack it stands, or NULL */
	struct freeze_stack stack;
};

/* sigsetup.c's side. */
int freeze_start(void); /* installs the handler; 0 or a negative errno */
void freeze_stop(void); /* restores the former one */

/* freeze_thread_start - the calling thread can be frozen from now on. [alt_lo,
 * alt_hi) is its signal stack. 0, or -ENOMEM. freeze_thread_stop - no longer. */
int freeze_thread_start(char *alt_lo, char *alt_hi);
void freeze_thread_stop(void);

/*
 * freeze_world - stop all registered threads but the caller. false: the caller's
 * thread holds the world already. Waits for another freezer. Any thread; signal
 * handlers, too.
 */
bool freeze_world(void);
void freeze_thaw(void);

/* freeze_is_mine - the calling thread is the freezer. */
bool freeze_is_mine(void);

/* The following hold between freeze_world and freeze_thaw. */

/* freeze_find - the frozen thread that stands on gp's stack, or NULL. */
const struct freeze_seen *freeze_find(const struct g *gp);

/* How many threads run on (I3): a goroutine that is "running" and that freeze_find
 * does not know is on one of them. */
int freeze_missed(void);

/*
 * freeze_guarded - call fn(arg); false: it was ended by a memory fault, as happens
 * when a corrupt stack is unwound. Not only while frozen; not nested. Without our
 * SIGSEGV handler (RG_NO_SIGSEGV) a fault is a fault.
 */
bool freeze_guarded(void (*fn)(void *arg), void *arg);

/* freeze_fault - for the handler of SIGSEGV and SIGBUS: ends the guarded call that
 * the thread is in (does not return then). */
void freeze_fault(void);

/* freeze_answer - by a thread that sleeps in a handler: if a freezer asks, stop here
 * until the thaw. `context` is what the handler interrupted. */
void freeze_answer(const void *context);

/* freeze_stack_of_signal - the stack that the handler's context interrupted. */
void freeze_stack_of_signal(struct freeze_stack *s, const void *context);

/* The goroutine that the interrupted code belongs to, or NULL; async-signal-safe. */
struct g *freeze_g_of_signal(const void *context);

#endif
