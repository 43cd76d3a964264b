// SPDX-License-Identifier: MIT
/*
 * ring - see ring.h for the role and the invariants.
 *
 * liburing makes the ring and its mappings; the submission and completion sides are
 * driven here, because one place must decide about batching, overflow and EINTR.
 * Traps met here: NO_SQARRAY with liburing 2.3 corrupts the ring (never set);
 * EINTR from a wait whatever SA_RESTART says; -EBUSY and -EAGAIN from enter while
 * the CQ is overflown; a lost SUBMIT_ALL stops a batch at a bad entry.
 */
#include "kernel-iface/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/epring.h"
#include "kernel-iface/fault.h"

enum { ENTRIES_MIN = 8, CQ_FACTOR = 4 };

/* user_data of ring_cancel_all's own completion: swallowed. */
#define CANCEL_ALL_DATA UINT64_MAX

/* In the user_data of a cancellation, beside that of its operation. */
#define CANCEL_BIT UINT64_C(1)
_Static_assert(_Alignof(struct op) > CANCEL_BIT,
	       "the bit is free in an address");

/* A counter with one writer at a time: no locked instruction. */
static RG_ALWAYS_INLINE void count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(
		counter,
		atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

int64_t ring_inflight(const struct ring *r)
{
	/* Relaxed: see ring.h. */
	return (int64_t)(atomic_load_explicit(&r->pushed,
					      memory_order_relaxed) -
			 atomic_load_explicit(&r->ended, memory_order_relaxed));
}

static void wake_done(struct op *op, int res, uint32_t flags, void *reaper)
{
	struct ring *r = container_of(op, struct ring, wake_op);

	(void)res;
	(void)flags;
	(void)reaper;
	/* W1 release, pairs with W2 in arm_wake: wake_op is free again. */
	atomic_store_explicit(&r->wake_armed, 0, memory_order_release);
}

/*
 * The best flags first; each step gives up one feature.
 *
 * COOP_TASKRUN before DEFER_TASKRUN: with DEFER, completions of an M that computes are
 * invisible to everybody until it enters the kernel; with COOP they are in the CQ at
 * the next tick and sysmon can reap them. DEFER was not measurably cheaper (TCP echo
 * with 64 and 1,000 connections, HTTP hello with 512; CPU per operation relative to Go
 * in the same run, 3 runs each: 0.73/0.71/0.42 with DEFER, 0.74/0.78/0.44 with COOP,
 * spread 0.08; 2026-11). RINGGO_URING=on:defer takes it.
 */
static unsigned flags_step(int step)
{
	unsigned common = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
	unsigned single =
		probe_has(PROBE_SINGLE_ISSUER) ? IORING_SETUP_SINGLE_ISSUER : 0;
	unsigned all =
		probe_has(PROBE_SUBMIT_ALL) ? IORING_SETUP_SUBMIT_ALL : 0;
	unsigned coop =
		probe_has(PROBE_COOP_TASKRUN)
			? IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG
			: 0;

	switch (step) {
	case 0:
		if (single && probe_has(PROBE_DEFER_TASKRUN))
			return common | all | single |
			       IORING_SETUP_DEFER_TASKRUN |
			       IORING_SETUP_TASKRUN_FLAG;
		return common | all | single | coop;
	case 1:
		return common | all | single | coop;
	case 2:
		return common | all | coop;
	case 3:
		return common | all;
	default:
		return common;
	}
}

static int init_queues(struct ring *r, unsigned entries)
{
	unsigned factor = CQ_FACTOR;
	int err = -EINVAL;

	if (r->fault)
		entries = fault_entries(r->fault, entries, &factor);

	for (int step = 0; step <= 4 && err == -EINVAL; step++) {
		struct io_uring_params params = {0};

		params.flags = flags_step(step);
		params.cq_entries = entries * factor;
		err = io_uring_queue_init_params(entries, &r->uring, &params);
		r->setup_flags = params.flags;
	}
	return err;
}

/*
 * The kernel's own bound is that of the thread's first ring, entries or four for each
 * CPU, so 4 after a probe of four entries; and there is none for what may wait for ever.
 * An error means that the kernel knows no other (before 5.15).
 */
static void bound_workers(struct ring *r)
{
	unsigned most[2] = {RING_WORKERS, RING_WORKERS_WAITING};

	io_uring_register_iowq_max_workers(&r->uring, most);
}

/* As large as may be, with the queues' state that this thread keeps. */
static int open_queues(struct ring *r, unsigned entries)
{
	int err;

	for (;;) {
		err = init_queues(r, entries);
		if (err != -ENOMEM || entries <= ENTRIES_MIN)
			break;
		entries /= 2;
	}
	if (err)
		return err;
	io_uring_ring_dontfork(&r->uring);
	bound_workers(r);
	r->taskrun_flag = r->setup_flags & IORING_SETUP_TASKRUN_FLAG;
	/* Without it every enter looks the descriptor up: only slower. */
	if (probe_has(PROBE_RING_FD))
		io_uring_register_ring_fd(&r->uring);
	return 0;
}

static int open_uring(struct ring *r, unsigned entries)
{
	int err = open_queues(r, entries);

	if (err)
		return err;
	r->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (r->wake_fd < 0) {
		err = -errno;
		goto exit_queues;
	}
	r->wake_op.done = wake_done;
	r->wake_op.fd = r->wake_fd;
	return 0;

exit_queues:
	io_uring_queue_exit(&r->uring);
	return err;
}

int ring_open(struct ring *r, unsigned entries)
{
	int err;

	memset(r, 0, sizeof *r);
	err = fault_open(&r->fault);
	if (err)
		return err;
	err = probe_engine() == PROBE_EPOLL ? epring_open(r)
					    : open_uring(r, entries);
	if (err) {
		fault_free(r->fault);
		r->fault = NULL;
	}
	r->is_detoured = r->ep || r->fault;
	san_release(&r->wake_op); /* the descriptor, to ring_wake */
	return err;
}

void ring_close(struct ring *r)
{
	rtlock_lock(&r->reap_lock);
	r->closed = true;
	rtlock_unlock(&r->reap_lock);
	if (r->ep)
		epring_close(r);
	else
		io_uring_queue_exit(&r->uring);
}

int ring_reopen(struct ring *r, unsigned entries)
{
	int err;

	/* Nobody else looks at the queues while it is closed. */
	memset(&r->uring, 0, sizeof r->uring);
	err = r->ep ? epring_reopen(r) : open_queues(r, entries);
	if (err)
		return err;
	/* The read went with the old ring. Relaxed: ours again. */
	atomic_store_explicit(&r->wake_armed, 0, memory_order_relaxed);
	atomic_store_explicit(&r->sleeping, 0, memory_order_relaxed);
	rtlock_lock(&r->reap_lock);
	r->closed = false;
	rtlock_unlock(&r->reap_lock);
	return 0;
}

void ring_forget(struct ring *r)
{
	san_acquire(&r->wake_fd);
	close(r->wake_fd);
	if (r->ep)
		epring_forget(r);
	fault_free(r->fault);
}

/* One io_uring_enter. Returns what the kernel consumed, or a negative errno. */
static int enter(struct ring *r, unsigned to_submit, unsigned wait,
		 unsigned flags, struct io_uring_getevents_arg *arg)
{
	int fd = r->uring.enter_ring_fd, n;

	if (r->uring.int_flags & 1) /* INT_FLAG_REG_RING */
		flags |= IORING_ENTER_REGISTERED_RING;
	count(&r->enters);
	if (!arg)
		return io_uring_enter2((unsigned)fd, to_submit, wait, flags,
				       NULL, 0);
	san_signals();
	n = io_uring_enter2((unsigned)fd, to_submit, wait,
			    flags | IORING_ENTER_EXT_ARG,
			    (sigset_t *)(void *)arg, sizeof *arg);
	san_signals();
	return n;
}

/* Publish the queued SQEs; returns how many the kernel has not consumed yet. */
static unsigned flush_sq(struct ring *r)
{
	struct io_uring_sq *sq = &r->uring.sq;
	unsigned tail = *sq->ktail;

	while (sq->sqe_head != sq->sqe_tail) {
		sq->array[tail & sq->ring_mask] = sq->sqe_head & sq->ring_mask;
		sq->sqe_head++;
		tail++;
	}
	/* S1 release, pairs with the kernel's acquire of the SQ tail. */
	__atomic_store_n(sq->ktail, tail, __ATOMIC_RELEASE);
	/* S2 acquire, pairs with the kernel's release of the SQ head. */
	return tail - __atomic_load_n(sq->khead, __ATOMIC_ACQUIRE);
}

static unsigned sq_kernel_flags(const struct ring *r)
{
	/* Relaxed: a flag seen late is seen at the next look. */
	return __atomic_load_n(r->uring.sq.kflags, __ATOMIC_RELAXED);
}

static bool cq_is_ready(const struct ring *r)
{
	/* Q1 acquire, pairs with the kernel's release of the CQ tail. Head:
	 * relaxed, another reaper may be moving it. */
	return __atomic_load_n(r->uring.cq.ktail, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(r->uring.cq.khead, __ATOMIC_RELAXED);
}

static bool kernel_has_more(const struct ring *r)
{
	unsigned flags = sq_kernel_flags(r);

	return flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

RG_COLD static bool has_work_detoured(const struct ring *r)
{
	if (r->fault && fault_has_due(r->fault))
		return true;
	return r->ep ? epring_has_work(r)
		     : cq_is_ready(r) || kernel_has_more(r);
}

bool ring_has_work(const struct ring *r)
{
	if (rg_unlikely(r->is_detoured))
		return has_work_detoured(r);
	return cq_is_ready(r) || kernel_has_more(r);
}

bool ring_wants_kick(struct ring *r)
{
	const struct io_uring_sq *sq = &r->uring.sq;
	bool wants;

	/* The lock keeps the mappings; who holds it is in the runtime. */
	if (!rtlock_try(&r->reap_lock))
		return false;
	/* Relaxed: the owner may be moving them. */
	wants = !r->closed &&
		(__atomic_load_n(&sq->sqe_tail, __ATOMIC_RELAXED) !=
			 __atomic_load_n(&sq->sqe_head, __ATOMIC_RELAXED) ||
		 (!r->ep && kernel_has_more(r)));
	rtlock_unlock(&r->reap_lock);
	return wants;
}

static int enter_uring(struct ring *r)
{
	for (;;) {
		unsigned to_submit = flush_sq(r);
		bool more = kernel_has_more(r);
		int n;

		if (!to_submit && !more)
			return 0;
		n = enter(r, to_submit, 0, more ? IORING_ENTER_GETEVENTS : 0,
			  NULL);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if ((unsigned)n >= to_submit)
			return 0;
		/* A short count: an entry failed to start (its CQE says so)
		 * and the batch stopped there; none at all: no memory. */
		if (!n)
			return -EAGAIN;
	}
}

static void push_cancel_unanswered(struct ring *r, const struct op *op);

/* Faults: some of what is in flight is cancelled. */
static void cancel_victims(struct ring *r)
{
	struct op *op;

	rtlock_lock(&r->reap_lock);
	while ((op = fault_victim(r->fault))) {
		if (r->ep)
			epring_cancel_locked(r, op);
		else
			push_cancel_unanswered(r, op);
	}
	rtlock_unlock(&r->reap_lock);
}

RG_COLD static int enter_detoured(struct ring *r)
{
	if (r->fault) {
		cancel_victims(r);
		if (fault_refuses(r->fault))
			return -EAGAIN;
	}
	if (!r->ep)
		return enter_uring(r);
	epring_enter(r);
	return 0;
}

int ring_enter(struct ring *r)
{
	return rg_unlikely(r->is_detoured) ? enter_detoured(r) : enter_uring(r);
}

static int arm_wake(struct ring *r)
{
	struct op_sqe read = {0};
	int err;

	/* W2 acquire, pairs with W1. */
	if (atomic_load_explicit(&r->wake_armed, memory_order_acquire))
		return 0;
	io_uring_prep_read(&read.sqe, r->wake_fd, &r->wake_value,
			   sizeof r->wake_value, 0);
	err = ring_push(r, &read, &r->wake_op);
	if (!err)
		/* Relaxed: the completion comes after our next enter. */
		atomic_store_explicit(&r->wake_armed, 1, memory_order_relaxed);
	return err;
}

static int wait_uring(struct ring *r, int64_t timeout_ns)
{
	struct __kernel_timespec ts = {.tv_sec = timeout_ns / 1000000000,
				       .tv_nsec = timeout_ns % 1000000000};
	struct io_uring_getevents_arg arg = {
		.sigmask = 0,
		.sigmask_sz = _NSIG / 8,
		.ts = timeout_ns < 0 ? 0 : (uint64_t)(uintptr_t)&ts};
	int err;

	/* Without the wake-up in flight we could sleep through a wake: then
	 * only submit; the caller comes back after reaping. */
	if (arm_wake(r))
		return ring_enter(r);
	if (cq_is_ready(r))
		return ring_enter(r);
	err = enter(r, flush_sq(r), 1, IORING_ENTER_GETEVENTS, &arg);
	/* -ETIME, -EINTR and the counts all mean: look. -EBUSY, -EAGAIN: reap
	 * first. Anything else is a bug of ours. */
	RG_ASSERT(err >= 0 || err == -ETIME || err == -EINTR || err == -EBUSY ||
		  err == -EAGAIN || err == -ENOMEM);
	return 0;
}

RG_COLD static int wait_detoured(struct ring *r, int64_t timeout_ns)
{
	if (r->fault) {
		cancel_victims(r);
		timeout_ns = fault_limit(r->fault, timeout_ns);
		if (!timeout_ns || fault_refuses(r->fault))
			return enter_detoured(r);
	}
	if (!r->ep)
		return wait_uring(r, timeout_ns);
	epring_wait(r, timeout_ns);
	return 0;
}

int ring_wait(struct ring *r, int64_t timeout_ns)
{
	if (!timeout_ns)
		return ring_enter(r);
	return rg_unlikely(r->is_detoured) ? wait_detoured(r, timeout_ns)
					   : wait_uring(r, timeout_ns);
}

static struct io_uring_sqe *get_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);

	if (rg_likely(sqe != NULL))
		return sqe;
	r->sq_full++;
	if (ring_enter(r))
		return NULL;
	return io_uring_get_sqe(&r->uring);
}

static inline int push_uring(struct ring *r, const struct op_sqe *sqe,
			     struct op *op)
{
	struct io_uring_sqe *slot = get_sqe(r);

	if (rg_unlikely(!slot))
		return -EAGAIN;
	op->gen++;
	op->opcode = sqe->sqe.opcode;
	op->inflight = true;
	*slot = sqe->sqe;
	slot->user_data = op_user_data(op);
	count(&r->sqes);
	if (rg_likely(op != &r->wake_op))
		count(&r->pushed);
	return 0;
}

/* Faults: nobody hears what the kernel says to it. */
static void push_cancel_unanswered(struct ring *r, const struct op *op)
{
	struct io_uring_sqe *slot = io_uring_get_sqe(&r->uring);

	if (!slot)
		return;
	io_uring_prep_cancel64(slot, op_user_data(op), 0);
	slot->user_data = CANCEL_ALL_DATA;
	count(&r->sqes);
	r->cancels++;
}

static int push_detoured(struct ring *r, const struct op_sqe *sqe,
			 struct op *op)
{
	if (!r->ep)
		return push_uring(r, sqe, op);
	epring_push(r, sqe, op);
	return 0;
}

static int push_faulty(struct ring *r, const struct op_sqe *sqe, struct op *op)
{
	unsigned opcode = sqe->sqe.opcode;
	bool cancel = false;
	int err;

	if (fault_refuses(r->fault))
		return -EAGAIN;
	sqe = fault_enter(r->fault, sqe, op, r->ep ? NULL : &cancel);
	err = push_detoured(r, sqe, op);
	if (err) {
		fault_abandon(r->fault, op);
		return err;
	}
	op->opcode = (uint8_t)opcode;
	if (cancel)
		push_cancel_unanswered(r, op);
	return 0;
}

RG_COLD static int push_by_detour(struct ring *r, const struct op_sqe *sqe,
				  struct op *op)
{
	/* The wake-up is the ring's own. */
	return r->fault && op != &r->wake_op ? push_faulty(r, sqe, op)
					     : push_detoured(r, sqe, op);
}

int ring_push(struct ring *r, const struct op_sqe *sqe, struct op *op)
{
	return rg_likely(!r->is_detoured) ? push_uring(r, sqe, op)
					  : push_by_detour(r, sqe, op);
}

int ring_push_cancel(struct ring *r, struct op *op)
{
	struct io_uring_sqe *slot;

	if (rg_unlikely(r->is_detoured)) {
		if (r->fault && fault_refuses(r->fault))
			return -EAGAIN;
		if (r->ep) {
			epring_cancel(r, op);
			return 1;
		}
	}
	slot = get_sqe(r);
	if (rg_unlikely(!slot))
		return -EAGAIN;
	io_uring_prep_cancel64(slot, op_user_data(op), 0);
	slot->user_data = op_user_data(op) | CANCEL_BIT;
	count(&r->sqes);
	r->cancels++;
	return 0;
}

void ring_cancel_all(struct ring *r)
{
	struct io_uring_sqe *slot;

	if (rg_unlikely(r->ep != NULL)) {
		epring_cancel_all(r);
		return;
	}
	slot = get_sqe(r);
	/* A full queue: the caller reaps and asks again. The wake-up's read
	 * may go too: it is armed anew before each wait. */
	if (!slot)
		return;
	io_uring_prep_cancel64(
		slot, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	slot->user_data = CANCEL_ALL_DATA;
	count(&r->sqes);
	r->cancels++;
}

static void complete_cancel(const struct io_uring_cqe *cqe, void *reaper)
{
	struct op *op;

	if (cqe->user_data == CANCEL_ALL_DATA)
		return;
	op = op_of_user_data(cqe->user_data & ~CANCEL_BIT);
	op->answered(op, cqe->res, reaper);
}

static RG_ALWAYS_INLINE void finish(struct ring *r, struct op *op, int res,
				    uint32_t flags, void *reaper)
{
	if (!(flags & IORING_CQE_F_MORE)) {
		op->inflight = false;
		if (rg_likely(op != &r->wake_op))
			count(&r->ended);
	}
	op->done(op, res, flags, reaper);
}

/* Of one that ends: its result, or that it does not end now. */
static bool leaves_late(struct ring *r, struct op *op, int *res, uint32_t flags)
{
	return !(flags & IORING_CQE_F_MORE) && op != &r->wake_op &&
	       fault_leave(r->fault, op, res, flags);
}

static RG_ALWAYS_INLINE void complete(struct ring *r,
				      const struct io_uring_cqe *cqe,
				      void *reaper, const bool is_faulty)
{
	int res = cqe->res;
	struct op *op;

	count(&r->cqes);
	if (rg_unlikely(cqe->user_data & CANCEL_BIT)) {
		complete_cancel(cqe, reaper);
		return;
	}
	op = op_of_user_data(cqe->user_data);
	if (rg_unlikely(op->gen != op_gen_of_user_data(cqe->user_data) ||
			!op->inflight)) {
		r->late_cqes++;
		return;
	}
	if (!is_faulty || !leaves_late(r, op, &res, cqe->flags))
		finish(r, op, res, cqe->flags, reaper);
}

static RG_ALWAYS_INLINE unsigned reap_uring(struct ring *r, unsigned max,
					    void *reaper, const bool is_faulty)
{
	struct io_uring_cq *cq = &r->uring.cq;
	unsigned head, tail, n = 0;

	head = __atomic_load_n(cq->khead, __ATOMIC_RELAXED); /* under lock */
	/* Q1 acquire, pairs with the kernel's release of the CQ tail. */
	tail = __atomic_load_n(cq->ktail, __ATOMIC_ACQUIRE);
	if (head == tail)
		return 0;
	if (sq_kernel_flags(r) & IORING_SQ_CQ_OVERFLOW)
		r->overflows++;
	for (; head != tail && n < max; head++, n++)
		complete(r, &cq->cqes[head & cq->ring_mask], reaper, is_faulty);
	/* Q2 release, pairs with the kernel's acquire of the CQ head: the
	 * entries were read before they are given back. */
	__atomic_store_n(cq->khead, head, __ATOMIC_RELEASE);
	return n;
}

/* reap_lock is held, here and below. */
static RG_NOINLINE unsigned reap_plain(struct ring *r, unsigned max,
				       void *reaper)
{
	return reap_uring(r, max, reaper, false);
}

RG_COLD static unsigned reap_detoured(struct ring *r, unsigned max,
				      void *reaper)
{
	unsigned n = 0;
	uint32_t flags;
	struct op *op;

	while (r->fault && n < max && (op = fault_due(r->fault, &flags))) {
		finish(r, op, op->ep.res, flags, reaper);
		n++;
	}
	if (r->ep)
		return n + epring_reap_locked(r, max - n, reaper);
	return n + reap_uring(r, max - n, reaper, true);
}

static bool has_completions(const struct ring *r)
{
	return (r->fault && fault_has_due(r->fault)) ||
	       (r->ep ? epring_has_done(r) : cq_is_ready(r));
}

RG_COLD static unsigned reap_by_detour(struct ring *r, unsigned max,
				       void *reaper)
{
	int saved = errno;
	unsigned n;

	if (!has_completions(r) || !rtlock_try(&r->reap_lock))
		return 0;
	n = reap_detoured(r, max, reaper);
	rtlock_unlock(&r->reap_lock);
	errno = saved;
	return n;
}

unsigned ring_reap(struct ring *r, unsigned max, void *reaper)
{
	unsigned n;

	if (rg_unlikely(r->is_detoured))
		return reap_by_detour(r, max, reaper);
	if (!cq_is_ready(r) || !rtlock_try(&r->reap_lock))
		return 0;
	n = reap_plain(r, max, reaper);
	rtlock_unlock(&r->reap_lock);
	return n;
}

void ring_sleep_begin(struct ring *r)
{
	/* Seq_cst and fence, pair with the fences of those who look at it
	 * before ring_wake. */
	atomic_store_explicit(&r->sleeping, 1, memory_order_seq_cst);
	rtlock_lock(&r->reap_lock);
	rtlock_unlock(&r->reap_lock);
	/* Fence: as above. */
	atomic_thread_fence(memory_order_seq_cst);
}

unsigned ring_reap_foreign(struct ring *r, unsigned max, void *reaper)
{
	unsigned n = 0;

	if (!rtlock_try(&r->reap_lock))
		return 0;
	/* Relaxed: ring_sleep_begin holds the lock once after it set it. */
	if (r->closed ||
	    atomic_load_explicit(&r->sleeping, memory_order_relaxed))
		goto unlock;
	if (rg_unlikely(r->is_detoured)) {
		if (r->ep)
			epring_look(r);
		n = reap_detoured(r, max, reaper);
	} else {
		n = reap_plain(r, max, reaper);
	}
unlock:
	rtlock_unlock(&r->reap_lock);
	return n;
}

void ring_wake(struct ring *r)
{
	uint64_t one = 1;
	int saved = errno;

	san_acquire(&r->wake_op);
	/* EINTR cannot happen on a counter that has room, and it has: it would
	 * take 2^64 wake-ups that nobody read. */
	while (write(r->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
		;
	san_release(&r->wake_fd); /* to ring_forget */
	errno = saved;
}
