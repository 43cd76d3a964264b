/* SPDX-License-Identifier: MIT */
/*
 * m - a worker thread: its ring, its g0, what it runs.
 *
 *   I1  an M's thread exits while the runtime lives only when it was retired (a
 *       goroutine ended locked to it) and nothing of it is in flight: what it
 *       submitted would end -ECANCELED.
 *   I2  an M and its P are a pair for life (`own`). It runs goroutines only while it
 *       holds the P (`p`), which needs a token (token.h); without one it sleeps in
 *       its ring or hands what completes there to the global queue.
 *   I3  `curg` is what runs on the thread; g0 when the scheduler does.
 *   I4  `commit` is set by a parking goroutine and run by whoever runs next on this
 *       thread, before anything else.
 */
#ifndef RG_SCHED_M_H
#define RG_SCHED_M_H

#include <pthread.h>
#include <time.h>

#include "kernel-iface/preempt.h"
#include "kernel-iface/ring.h"
#include "sched/park.h"
#include "sched/runq.h"

struct wait_op;

/* lockthread.h. ENDED: its goroutine ended locked, the thread follows. */
enum m_bound { BOUND_NOT, BOUND_LOCKED, BOUND_ENDED };

/* Bits of m.resume. */
enum { RESUME_GRANTED = 1, RESUME_ASLEEP = 2, RESUME_POKED = 4 };

struct m {
	/* this thread only */
	struct g *curg;
	struct p *p;   /* own, or NULL */
	struct p *own; /* const */
	int *errno_location;
	struct coro_cxx *cxx; /* const once it runs */
	struct g *prev;       /* I4: who just left */
	park_commit *commit;
	void *commit_arg;
	bool spinning;
	bool owes_yield; /* interrupt_point */
	uint64_t rng;
	struct wait_op *unsent_head, *unsent_tail; /* did not fit into the SQ */
	struct wait_op *later; /* cancellations to be sent again; waitop.h I3 */
	struct ready_list reaped;     /* filled by completions */
	struct preempt_hijack hijack; /* of curg, by its handler */
	struct rtlock pin_lock;       /* of pinned */
	struct gqueue
		pinned; /* preempted on this thread's stack; interrupt.h */
	rg_time pinned_since; /* its head waits; coarse */

	/* lockthread.h, I1 */
	enum m_bound bound;
	bool gave_way;       /* the goroutine did, when it stopped last */
	struct g *bound_g;   /* LOCKED: the one it runs */
	uint64_t lock_count; /* calls of rg_lock_os_thread that count */

	/* const after start */
	uint32_t id;
	pthread_t thread;
	int tid;
	unsigned short_sleeps; /* own: wake.c, coalesce() */
	bool is_caller;        /* rg_run's own thread */
	bool has_thread;
	bool is_late;       /* made by the maker; under control */
	bool has_ring;      /* was opened once */
	int start_err;      /* why it could not start */
	struct m *next_all; /* list of all Ms */

	/* under sched.lock */
	bool is_idle;
	bool is_given;   /* own runs: a token came with the wake-up ... */
	bool is_spinner; /* ... and was counted in nspinning */
	bool is_ready;   /* bound_g may run */
	bool is_urgent;  /* ... and waited for something before */
	bool is_waking;  /* in a list of token_balance's, through ... */
	struct m *next_granted;
	bool is_vacant; /* its thread ended or is about to (pair.h, I5) */

	/* any thread */
	RG_CACHE_ALIGNED _Atomic(struct wait_op *) cancel_queue; /* LIFO */
	_Atomic int cancels_due; /* asked for, or about to be, and not served */
	_Atomic int64_t wakeups;
	_Atomic uint32_t resume;  /* futex of an M stopped in the handler */
	_Atomic uint32_t asked;   /* interrupt.h: what the next signal is for */
	_Atomic uint32_t npinned; /* of pinned; written by this thread */
	_Atomic uint32_t quiesced; /* outside the run queue's code since ... */
	_Atomic bool is_joined;    /* may run (pair.c) */
	_Atomic bool is_gone;      /* the thread of a vacant one ended */
	clockid_t cpu_clock;       /* const after start */

	struct ring ring;
	struct g g0;
};

#endif
