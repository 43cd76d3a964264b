/* SPDX-License-Identifier: MIT */
/*
 * linplan - what each party of a run will do, drawn from one number.
 *
 * A plan says everything but the order in which the parties' steps interleave. It
 * may ask for more sends than receives, or the reverse: the watcher lets go whoever
 * is left parked (linwatch.c), so any plan comes to its end.
 */
#ifndef RG_TESTS_LINPLAN_H
#define RG_TESTS_LINPLAN_H

#include "tests/lincheck/linhist.h"

enum {
	LIN_ACTORS = 16,
	LIN_STEPS = 100,
	LIN_NIL = 255, /* lin_case.chan of a NULL channel */
};

enum lin_how {
	LIN_WAIT,  /* until something is ready */
	LIN_TRY,   /* now or not at all */
	LIN_UNTIL, /* with a deadline some microseconds away */
};

struct lin_step {
	uint8_t kind, how, ncases;
	bool select;   /* even if there is one case only */
	uint8_t pause; /* before it: 0 none, 1 yield, more: turns of a loop */
	struct lin_case cases[LIN_CASES];
};

struct lin_script {
	bool foreign; /* a thread, not a goroutine */
	size_t n;
	struct lin_step steps[LIN_STEPS];
};

struct lin_plan {
	uint64_t seed;
	int maxprocs;
	size_t nchans, nactors;
	size_t cap[LIN_CHANS], elem_size[LIN_CHANS];
	bool last_sender_closes[LIN_CHANS];
	struct lin_script actors[LIN_ACTORS];
};

/* lin_plan_fill - the plan of that number. one_thread: goroutines on one M only, as
 * the seeded scheduler runs them. */
void lin_plan_fill(struct lin_plan *p, uint64_t seed, bool one_thread);

/* lin_value - the value that a case of a step of an actor offers. */
uint64_t lin_value(size_t actor, size_t step, size_t icase);

/* lin_random - the next number below n of a sequence. */
uint64_t lin_random(uint64_t *state, uint64_t n);

#endif
