/* SPDX-License-Identifier: MIT */
/*
 * linrun - carry out a plan on real channels, and write its history.
 *
 * Each party keeps its own log and stores what it is about to do where the watcher
 * (linwatch.c) can see it. The watcher waits for the moments at which every party is
 * parked or through. Then nobody but itself can move, so what the channels' wait
 * queues hold has to make sense, and a try by the watcher that has a parked partner
 * must succeed: this lets one party go on. When all are through it closes what is
 * open and receives what is left.
 *
 * A fault found on the way (as opposed to one in the history) ends the process:
 * lin_die. Its parties are stuck or worse.
 */
#ifndef RG_TESTS_LINRUN_H
#define RG_TESTS_LINRUN_H

#include <pthread.h>
#include <stdatomic.h>

#include <ringgo.h>

#include "tests/lincheck/linplan.h"

#define LIN_SENTINEL UINT64_C(0xdeadbeefdeadbeef)

/* What travels; the copies only if the element size is 24. */
struct lin_elem {
	uint64_t v, copy[2];
};

/* now: 2 * step, + 1 while the step's operation is under way. */
enum { LIN_THROUGH = INT32_MAX };

struct lin_actor {
	struct lin_elem slots[LIN_CASES]; /* cases' elements */
	const struct lin_script *script;
	struct lin_run *run;
	size_t index;
	pthread_t thread; /* if foreign */
	_Atomic int32_t now;
	/* the actor's own until it is through */
	struct lin_op log[LIN_STEPS + LIN_CHANS];
	size_t nlog;
};

/* Since which moment of rest a case waits, in the step that `now` tells. */
struct lin_arrival {
	int32_t now;
	uint32_t rest;
};

struct lin_run {
	const struct lin_plan *plan;
	bool one_thread;
	rg_duration
		patience; /* how long nothing may move while not all parked */
	rg_chan *chans[LIN_CHANS];
	rg_waitgroup everyone;
	/* any thread */
	_Atomic uint64_t clock;
	_Atomic int64_t sends_to_come[LIN_CHANS];
	struct lin_actor actors[LIN_ACTORS];
	/* the watcher's own */
	uint64_t rnd;
	uint32_t rests;
	struct lin_arrival arrivals[LIN_ACTORS][LIN_CASES];
	struct lin_op *log;
	size_t nlog, log_room;
};

/*
 * lin_run - carry out the plan; *h gets the history, sorted: free h->ops.
 * one_thread: the watcher is a goroutine like the others. Context: no runtime runs.
 */
void lin_run(const struct lin_plan *plan, bool one_thread, rg_duration patience,
	     struct lin_history *h);

/* lin_watch - the watcher: returns when all parties are through and the channels
 * are closed and empty. */
void lin_watch(struct lin_run *r);

/* lin_die - print what was found, "violation: ...", the seed and what every party
 * did, and abort. */
__attribute__((noreturn, format(printf, 2, 3))) void
lin_die(struct lin_run *r, const char *fmt, ...);

/* lin_perform - one operation, from the filled step and slots to the filled record;
 * who: for complaints. */
void lin_perform(struct lin_run *r, size_t who, const struct lin_step *step,
		 struct lin_elem *slots, struct lin_op *op);

#endif
