/* SPDX-License-Identifier: MIT */
/*
 * sigsetup - the signals of the runtime: who handles them, since when, and what was
 * there before.
 *
 *	SIGURG		freeze.c: stops threads for a dump
 *	SIGQUIT		a dump of all goroutines on stderr, then the signal's effect
 *	SIGSEGV,	stack overflow, reported with the goroutine's name; other faults
 *	SIGBUS		go to the former handler or are reported and deadly
 *	SIGPIPE		ignored, if nothing else was said about it: -EPIPE instead
 *
 *   I1  what a handler finds before it was installed is restored by sigsetup_stop,
 *       unless somebody has replaced ours meanwhile.
 *   I2  a fault that is not ours reaches the handler that the host had before, with
 *       the same arguments.
 *   I3  every thread that runs goroutines has a signal stack (an overflow leaves none
 *       on the ordinary one); a thread that had one gets it back.
 */
#ifndef RG_SCHED_SIGSETUP_H
#define RG_SCHED_SIGSETUP_H

#include <signal.h>
#include <stdbool.h>

/* sigsetup_start - flags are rg_config.flags. 0 or a negative errno (nothing is
 * installed then). At start and stop of the runtime, when no M runs. */
int sigsetup_start(unsigned flags);
void sigsetup_stop(void);

/* The calling thread is about to run goroutines, or to end: signal stack, freeze
 * record. 0 or -ENOMEM. */
int sigsetup_thread_start(void);
void sigsetup_thread_stop(void);

/* sigsetup_on_stop - have fn called first thing by sigsetup_stop, once a stop; for
 * the sync layer. At most one function. */
void sigsetup_on_stop(void (*fn)(void));

/* For the handlers. sigsetup_async_mask - all signals but those of faults and
 * SIGURG. sigsetup_restore - former back, if `ours` is still installed. */
void sigsetup_async_mask(sigset_t *set);
void sigsetup_restore(int sig, const struct sigaction *former,
		      const void *ours);

/* sigsetup_chain - call the handler of *former; false: it has none. */
bool sigsetup_chain(const struct sigaction *former, int sig, siginfo_t *info,
		    void *context);

#endif
