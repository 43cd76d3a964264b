/* SPDX-License-Identifier: MIT */
/*
 * debugenv - RINGGO_DEBUG=key=value,key=value: switches for who looks for a fault.
 *
 * A key is one line of DEBUGENV_KEYS: it makes a field of struct debugenv, is
 * parsed, checked against its range and named in the complaint about unknown ones.
 * Whoever adds one reads debugenv.KEY; there is nothing else to do.
 *   I1  debugenv is written at the start of a runtime, before it has threads, and
 *       constant until the next start.
 *   I2  what cannot be used (no such key, no number, out of range) leaves its default
 *       of 0 and is said once in the life of the process, on stderr.
 *   I3  of a key that is given twice the last value holds.
 */
#ifndef RG_SCHED_DEBUGENV_H
#define RG_SCHED_DEBUGENV_H

#include "sched/textbuf.h"

/* name, largest value; 0 is always the default and means off */
#define DEBUGENV_KEYS(X)                                                       \
	X(asyncpreemptoff, 1)  /* interrupt.h */                               \
	X(schedtrace, 1000000) /* ms; sysmon.c */                              \
	X(trimoff, 1)          /* trim.h */                                    \
	X(leak,                                                                \
	  2) /* 1: report at the end, 2: and rg_run returns 23; leak.h */      \
	X(seed, 1)     /* 1: say at the end how the seeded run went; seed.h */ \
	X(deadlock, 1) /* 1: report circles of locks; sync/lockgraph.h */      \
	X(faults, 2147483647) /* seed of rings that misbehave; fault.h */      \
	X(faultkinds, 63)     /* which kinds: the sum of 1 << FAULT_* */

#define DEBUGENV_FIELD(name, max) int name;
struct debugenv {
	DEBUGENV_KEYS(DEBUGENV_FIELD)
};
#undef DEBUGENV_FIELD

extern struct debugenv debugenv;

/* debugenv_read - I1: from the environment. */
void debugenv_read(void);

/* debugenv_parse - text (NULL: none) into *out; complaints, a line each, into b.
 * Returns how many there were. */
int debugenv_parse(const char *text, struct debugenv *out, struct textbuf *b);

#endif
