/* SPDX-License-Identifier: MIT */
/*
 * panic - the end of the program, with a report: rg_panic (ringgo/base.h), failed
 * checks, deadlock, stack overflow, other faults, SIGQUIT.
 *
 *	ringgo: panic: WHAT [goroutine 7 "worker", created by main_run]
 *
 *	goroutine 7 [running]: ... its stack, then all the others
 *
 *   I1  one thread reports; another one that panics meanwhile waits for the end.
 *   I2  a panic or a fault inside a report ends the program with one more line.
 *   I3  no malloc, no stdio, no lock of the runtime, the world frozen; whatever state
 *       the program is in, the first line comes out.
 */
#ifndef RG_SCHED_PANIC_H
#define RG_SCHED_PANIC_H

#include <ringgo/base.h>

#include <signal.h>

struct g;

/* panic_start - make failed checks panic. For sigsetup_start. */
void panic_start(void);

/* "all goroutines are asleep - deadlock!"; any thread, no lock held. */
RG_NORETURN void sched_fatal_deadlock(void);

/* For signal handlers; context is the handler's third argument. */

/* gp ran out of its stack. */
RG_NORETURN void panic_overflow(struct g *gp, const void *context);

/* A fault that nobody handles: report; the caller lets the signal take effect. */
void panic_fault(int sig, const siginfo_t *info, const void *context);

/* SIGQUIT. Afterwards the program may go on: panic_quit_end. */
void panic_quit(const void *context);
void panic_quit_end(void);

#endif
