/* SPDX-License-Identifier: MIT */
/*
 * ring - one io_uring, owned by the thread that made it; or, where io_uring is not to
 * be had (probe_engine), an epoll instance that takes the same operations (epring.h).
 *
 *   I1  only the owner touches the submission side and enters the kernel with it
 *       (SINGLE_ISSUER: a foreign submit is -EEXIST).
 *   I2  completions may be reaped by anybody who holds `reap_lock`; the kernel never
 *       writes the CQ head, so draining under a lock is safe.
 *   I3  ring_wake may be called by any thread at any time after ring_open returned
 *       and before ring_forget.
 *   I4  op->done runs under reap_lock: it must not submit, reap or block.
 *   I5  an operation's SQE is visible to the kernel only after the owner's next
 *       ring_enter; nothing completes before that.
 * Set-up flags: one decision, in ring_open, by descent on EINVAL. The wake-up is an
 * eventfd whose read is kept in flight in the ring: every mechanism costs the same
 * 26-50 us across cores (measured 2026-10), this one works on every kernel and is
 * not lost on 6.1 (MSG_RING wake-ups were reported missing there, liburing #839).
 */
#ifndef RGK_RING_H
#define RGK_RING_H

#include <stdatomic.h>

#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/base/list.h"
#include "kernel-iface/op.h"
#include "kernel-iface/probe.h"

struct epring;
struct fault;

/*
 * How many threads of the kernel may work at once on what a thread has submitted: on
 * regular files, block devices and paths; and on what can wait for ever (reads of
 * devices that cannot be polled, splices that met each other). What finds all taken
 * waits for its turn. As many of the former as the epoll engine has helper threads.
 */
enum { RING_WORKERS = 32, RING_WORKERS_WAITING = 256 };

struct ring {
	/* const between open and forget */
	struct epring *ep;   /* NULL: io_uring */
	struct fault *fault; /* NULL: the ring does what it can (fault.h) */
	bool is_detoured;    /* either of them is there */

	/* owner only */
	struct io_uring
		uring;     /* the epoll engine counts in sqe_head and tail */
	unsigned features; /* PROBE_* bits in use */
	unsigned setup_flags;
	bool taskrun_flag; /* IORING_SQ_TASKRUN is reported */
	struct op wake_op;
	uint64_t wake_value;
	int wake_fd;
	uint64_t sq_full, cancels;
	/* written by the owner, read by anybody */
	_Atomic uint64_t enters, sqes; /* enters: system calls of the engine */
	_Atomic uint64_t pushed; /* operations, cancellations not counted */

	/* under reap_lock */
	RG_CACHE_ALIGNED struct rtlock reap_lock;
	uint64_t late_cqes, overflows;
	bool closed;
	_Atomic uint64_t cqes;
	_Atomic uint64_t ended; /* operations whose terminal CQE was seen */
	_Atomic uint32_t wake_armed; /* the eventfd's read is in flight */

	/* any thread */
	RG_CACHE_ALIGNED _Atomic uint32_t sleeping; /* owner is in ring_wait, or
						     * about to be */
};

/*
 * ring_open - make a ring of at least `entries` SQ entries for the calling thread, with
 * the engine that probe_engine names (the other one has no such limit).
 * Halves entries on -ENOMEM (RLIMIT_MEMLOCK) down to 8. 0 or a negative errno;
 * probe_explain(err) says what it means to a user.
 */
int ring_open(struct ring *r, unsigned entries);
/* ring_close - by the owner; nothing may be in flight but the wake-up's read.
 * ring_wake may still be called (and does nothing) until ring_forget, by anybody. */
void ring_close(struct ring *r);
void ring_forget(struct ring *r);

/* ring_reopen - a closed ring, not forgotten, anew for the calling thread; counters go on
 * and who wakes it may do so throughout. As ring_open; closed still on an error. */
int ring_reopen(struct ring *r, unsigned entries);

/*
 * ring_push - queue *sqe, which lives as long as op, for op (its gen is advanced).
 * Owner only. 0, or -EAGAIN when the SQ is full and the kernel takes no more before
 * something is reaped.
 */
int ring_push(struct ring *r, const struct op_sqe *sqe, struct op *op);

/*
 * ring_push_cancel - ask for the end of op, which was pushed to this ring. -EAGAIN as
 * ring_push; 1: it ends as soon as it can, and nothing more is said (the epoll engine);
 * 0: op lives at least until op->answered has run, whichever of the two completions
 * comes first. The answers:
 *   0          its terminal CQE comes without delay;
 *   -ENOENT    it has ended, or the kernel cannot find it now: one that was polled and
 *              found ready is in no table between its poll and the next attempt (6.18:
 *              37 of 2,209 receives that competed for bytes, of which 5 then waited
 *              on), and an O_DIRECT read in flight never is. Ask again;
 *   -EALREADY  a kernel worker runs it and was sent a signal.
 */
int ring_push_cancel(struct ring *r, struct op *op);

/* ring_cancel_all - ask for the end of everything in flight, the wake-up included (it
 * is armed anew before each wait). */
void ring_cancel_all(struct ring *r);

/* SQEs queued and not yet given to the kernel. Owner only. */
static inline unsigned ring_pending(const struct ring *r)
{
	return r->uring.sq.sqe_tail - r->uring.sq.sqe_head;
}

/* Something waits for the owner's next entry into the kernel: to be submitted, or to be
 * posted. A look, by any thread. */
bool ring_wants_kick(struct ring *r);

/* Operations without a terminal CQE, the wake-up's read left out. A gauge for any
 * thread; exact when the owner sleeps. */
int64_t ring_inflight(const struct ring *r);

/* A completion is visible, or the kernel has some for us once we enter (without
 * io_uring: may have). */
bool ring_has_work(const struct ring *r);

/* ring_enter - submit what is queued and run the kernel's pending task work; does
 * not wait. Owner only. 0 or a negative errno (-EBUSY: reap first). */
int ring_enter(struct ring *r);

/*
 * ring_wait - submit and sleep until a completion, a wake-up, a signal or timeout_ns
 * (< 0: none; 0 as ring_enter). Returns 0 whatever the reason; look and reap.
 */
int ring_wait(struct ring *r, int64_t timeout_ns);

/*
 * ring_reap - run op->done for up to max completions; returns how many. `reaper` is
 * passed through. Any thread; 0 at once when another thread is reaping.
 */
unsigned ring_reap(struct ring *r, unsigned max, void *reaper);

/*
 * ring_sleep_begin - by the owner, before its last look for reasons not to sleep: from
 * now until `sleeping` is 0 again nobody else reaps, so that the wake-up's completion
 * cannot be taken from under it; what was taken before is visible to that look.
 */
void ring_sleep_begin(struct ring *r);

/* ring_reap_foreign - the same for a thread that does not know whether the owner has
 * closed the ring meanwhile (then 0). */
unsigned ring_reap_foreign(struct ring *r, unsigned max, void *reaper);

/* ring_wake - make the owner's present or next ring_wait return. Any thread. */
void ring_wake(struct ring *r);

#endif
