/* SPDX-License-Identifier: MIT */
/*
 * m - a worker thread: its ring, its g0, what it runs.
 *
 *   I1  an M's thread never exits while the runtime lives: what it submitted would
 *       end -ECANCELED.
 *   I2  an M runs goroutines only while it holds a P; without one it sleeps in its
 *       ring or hands what completes there to the global queue.
 *   I3  `curg` is what runs on the thread; g0 when the scheduler does.
 *   I4  `commit` is set by a parking goroutine and run by whoever runs next on this
 *       thread, before anything else.
 */
#ifndef RG_SCHED_M_H
#define RG_SCHED_M_H

#include <pthread.h>

#include "kernel-iface/ring.h"
#include "sched/park.h"

struct wait_op;

struct m {
	/* this thread only */
	struct g *curg;
	struct p *p;
	struct p *last_p; /* held last; const while p is NULL */
	int *errno_location;
	struct g *prev; /* I4: who just left */
	park_commit *commit;
	void *commit_arg;
	bool spinning;
	uint64_t rng;
	struct wait_op *unsent_head, *unsent_tail; /* did not fit into the SQ */
	struct ready_list reaped;                  /* filled by completions */

	/* const after start */
	uint32_t id;
	pthread_t thread;
	int tid;
	bool is_caller; /* rg_run's own thread */
	bool has_thread;
	int start_err;      /* why it could not start */
	struct m *next_all; /* list of all Ms */

	/* under sched.lock */
	bool is_idle;
	struct p *next_p; /* handed over by the waker */

	/* any thread */
	RG_CACHE_ALIGNED _Atomic(struct wait_op *) cancel_queue; /* LIFO */
	_Atomic int64_t wakeups;

	struct ring ring;
	struct g g0;
};

#endif
