// SPDX-License-Identifier: MIT
/*
 * epring - see epring.h.
 *
 * Watched operations stand in a table of buckets by their descriptor's number: no
 * record a descriptor, nothing to allocate, and what is to be armed is read off the
 * operations.
 */
#include "kernel-iface/epring.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/check.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/epcall.h"
#include "kernel-iface/fault.h"
#include "kernel-iface/opthread.h"

enum { BUCKETS = 4096, EVENTS = 64, KNOWN = 1 << 16 };

/* Readiness in vain so often in a row: I6. */
enum { FRUITLESS_MAX = 16 };

/* Rounds of OP_AT_LATER last 1 ms, then twice as long each, up to 16. */
#define LATER_MIN_NS INT64_C(1000000)
enum { LATER_SHIFT_MAX = 4 };

#define WAKE_DATA UINT64_MAX

struct epring {
	int fd; /* const after open */

	/* owner only */
	struct list pending;

	/* under ring.reap_lock */
	struct list later;
	struct list buckets[BUCKETS];
	uint64_t known[KNOWN / 64]; /* a hint: the number is registered */
	bool is_draining;           /* ring_cancel_all, until all have ended */
	_Atomic uint32_t nwaits;    /* watched or later; a look by anybody */

	/* any thread */
	RG_CACHE_ALIGNED struct rtlock done_lock;
	struct list done;
	_Atomic uint32_t ndone;
	_Atomic uint32_t is_waiting; /* I4 */
	_Atomic uint32_t posters;    /* helpers inside epring_post */
};

static void count(_Atomic uint64_t *counter)
{
	/* Relaxed: a number by itself. The owner and others write it. */
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void add_waits(struct epring *ep, int n)
{
	/* Relaxed: under reap_lock; others only look. */
	atomic_fetch_add_explicit(&ep->nwaits, (uint32_t)n,
				  memory_order_relaxed);
}

static int place_of(const struct op *op)
{
	/* Relaxed: I1 says who may conclude what. */
	return atomic_load_explicit(&op->ep.place, memory_order_relaxed);
}

static void set_place(struct op *op, int place)
{
	/* Relaxed: as above. */
	atomic_store_explicit(&op->ep.place, (uint8_t)place,
			      memory_order_relaxed);
}

/* ---- open and close ---- */

int epring_open(struct ring *r)
{
	struct epoll_event wake = {.events = EPOLLIN, .data.u64 = WAKE_DATA};
	struct epring *ep = rgk_zalloc_aligned(sizeof(*ep), RG_CACHE_LINE);
	int err;

	if (!ep)
		return -ENOMEM;
	err = opthread_start();
	if (err)
		goto free_ep;
	ep->fd = epoll_create1(EPOLL_CLOEXEC);
	if (ep->fd < 0) {
		err = -errno;
		goto stop_threads;
	}
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake_fd < 0) {
		err = -errno;
		goto close_epoll;
	}
	if (epoll_ctl(ep->fd, EPOLL_CTL_ADD, r->wake_fd, &wake)) {
		err = -errno;
		goto close_wake;
	}
	r->ep = ep;
	return 0;

close_wake:
	close(r->wake_fd);
close_epoll:
	close(ep->fd);
stop_threads:
	opthread_stop();
free_ep:
	rgk_free(ep);
	return err;
}

void epring_close(struct ring *r)
{
	/* P1 acquire, pairs with P2: a helper whose operation was reaped may
	 * still be about to wake us. */
	while (atomic_load_explicit(&r->ep->posters, memory_order_acquire))
		sched_yield();
	close(r->ep->fd);
	opthread_stop();
}

/* Nothing is in flight: its lists are empty. */
int epring_reopen(struct ring *r)
{
	struct epoll_event wake = {.events = EPOLLIN, .data.u64 = WAKE_DATA};
	int err = opthread_start(), fd;

	if (err)
		return err;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		goto stop_threads;
	}
	if (epoll_ctl(fd, EPOLL_CTL_ADD, r->wake_fd, &wake)) {
		err = -errno;
		goto close_epoll;
	}
	r->ep->fd = fd;
	return 0;

close_epoll:
	close(fd);
stop_threads:
	opthread_stop();
	return err;
}

void epring_forget(struct ring *r)
{
	rgk_free(r->ep);
	r->ep = NULL;
}

/* ---- the completion side ---- */

static void put_done(struct epring *ep, struct op *op, int res)
{
	rtlock_lock(&ep->done_lock);
	op->ep.res = res;
	set_place(op, OP_AT_DONE);
	list_push_back(&ep->done, &op->ep.link);
	/* Relaxed: under the lock; E1 and E2 order it for a sleeper. */
	atomic_fetch_add_explicit(&ep->ndone, 1, memory_order_relaxed);
	rtlock_unlock(&ep->done_lock);
}

static struct op *take_done(struct epring *ep)
{
	struct list *link;

	rtlock_lock(&ep->done_lock);
	link = list_pop_front(&ep->done);
	if (link)
		atomic_fetch_sub_explicit(&ep->ndone, 1, memory_order_relaxed);
	rtlock_unlock(&ep->done_lock);
	return link ? container_of(link, struct op, ep.link) : NULL;
}

static bool has_done(const struct epring *ep)
{
	return atomic_load_explicit(&ep->ndone, memory_order_relaxed) > 0;
}

bool epring_has_done(const struct ring *r)
{
	return has_done(r->ep);
}

void epring_post(struct op *op, int res)
{
	struct ring *r = op->ep.ring;
	struct epring *ep = r->ep;

	/* Relaxed: before the operation can be reaped, by done_lock. */
	atomic_fetch_add_explicit(&ep->posters, 1, memory_order_relaxed);
	put_done(ep, op, res);
	/* E1 fence, pairs with E2: a waiter is seen, or it sees what is done. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&ep->is_waiting, memory_order_relaxed))
		ring_wake(r);
	/* P2 release, pairs with P1: the last look at the ring. */
	atomic_fetch_sub_explicit(&ep->posters, 1, memory_order_release);
}

/* ---- watching descriptors; reap_lock is held ---- */

static struct list *bucket_of(struct epring *ep, int fd)
{
	return &ep->buckets[(unsigned)fd % BUCKETS];
}

static bool is_known(const struct epring *ep, int fd)
{
	return ep->known[(unsigned)fd % KNOWN / 64] >> ((unsigned)fd % 64) & 1;
}

static void set_known(struct epring *ep, int fd, bool yes)
{
	uint64_t bit = UINT64_C(1) << ((unsigned)fd % 64);
	uint64_t *word = &ep->known[(unsigned)fd % KNOWN / 64];

	*word = yes ? *word | bit : *word & ~bit;
}

static int control(struct ring *r, int what, int fd, unsigned events)
{
	struct epoll_event e = {.events = events | EPOLLONESHOT,
				.data.u64 = (uint64_t)fd};

	count(&r->enters);
	/* Raw, as all of these: not for sanitizers to see. */
	return syscall(SYS_epoll_ctl, r->ep->fd, what, fd, &e) ? -errno : 0;
}

/* 0, -EPERM (cannot be polled), or another negative errno. */
static int arm(struct ring *r, int fd, unsigned events)
{
	struct epring *ep = r->ep;
	bool is_add = !is_known(ep, fd);
	int err =
		control(r, is_add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, events);

	/* The hint was wrong: closed meanwhile, or another number's. */
	if (err == (is_add ? -EEXIST : -ENOENT))
		err = control(r, is_add ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
			      events);
	set_known(ep, fd, !err);
	/* Of user's watches there are no more: a resource. */
	return err == -ENOSPC ? -ENOMEM : err;
}

static bool is_on(struct list *link, int fd)
{
	return container_of(link, struct op, ep.link)->ep.sqe->sqe.fd == fd;
}

/* What the ops watched on fd want; *n: how many there are. */
static unsigned wants(struct epring *ep, int fd, unsigned *n)
{
	unsigned events = 0;

	*n = 0;
	list_for_each(link, bucket_of(ep, fd)) {
		if (!is_on(link, fd))
			continue;
		events |= container_of(link, struct op, ep.link)->ep.mask;
		++*n;
	}
	return events;
}

static void unwatch(struct epring *ep, struct op *op)
{
	list_del(&op->ep.link);
	add_waits(ep, -1);
}

static void settle(struct ring *r, struct op *op, int res);

/* The number cannot be watched any more. */
static void fail_watched(struct ring *r, int fd, int err)
{
	list_for_each_safe(link, after, bucket_of(r->ep, fd)) {
		struct op *op = container_of(link, struct op, ep.link);

		if (!is_on(link, fd))
			continue;
		unwatch(r->ep, op);
		settle(r, op, op->ep.moved ? (int)op->ep.moved : err);
	}
}

/* A file that is always ready. Who polls it for what it never says (dgram.h naps that
 * way) waits until it is cancelled; else a call that said "not now" goes aside. */
static void watch_unpollable(struct ring *r, struct op *op)
{
	if (op->ep.sqe->sqe.opcode == IORING_OP_POLL_ADD)
		return;
	unwatch(r->ep, op);
	settle(r, op, EPCALL_ASIDE);
}

static void watch(struct ring *r, struct op *op)
{
	struct epring *ep = r->ep;
	int fd = op->ep.sqe->sqe.fd, err;
	unsigned n;

	set_place(op, OP_AT_WATCHED);
	list_push_back(bucket_of(ep, fd), &op->ep.link);
	add_waits(ep, 1);
	err = arm(r, fd, wants(ep, fd, &n));
	if (err == -EPERM)
		watch_unpollable(r, op);
	else if (err) {
		unwatch(ep, op);
		settle(r, op, op->ep.moved ? (int)op->ep.moved : err);
	}
}

static void put_later(struct ring *r, struct op *op)
{
	unsigned shift = op->ep.rounds;

	if (shift < LATER_SHIFT_MAX)
		op->ep.rounds++;
	set_place(op, OP_AT_LATER);
	op->ep.retry_at = clock_now() + (LATER_MIN_NS << shift);
	list_push_back(&r->ep->later, &op->ep.link);
	add_waits(r->ep, 1);
}

/* res: a result or a verdict on op, which is at no place. reap_lock is held. */
static void settle(struct ring *r, struct op *op, int res)
{
	/* Relaxed: set under reap_lock. */
	if (!epcall_is_result(res) &&
	    (r->ep->is_draining ||
	     atomic_load_explicit(&op->ep.is_cancelled, memory_order_relaxed)))
		res = epcall_cancelled(op);
	if (epcall_is_result(res))
		put_done(r->ep, op, res);
	else if (res == EPCALL_POLL)
		watch(r, op);
	else if (res == EPCALL_ASIDE)
		opthread_submit(op);
	else
		put_later(r, op);
}

/* One that waited may have been at a helper before, and go there again. */
static int try_again(struct ring *r, struct op *op)
{
	count(&r->enters);
	return epcall_try(op);
}

/* I6. Somebody who was faster is no contradiction. */
static bool is_contradicted(struct op *op)
{
	return epcall_is_ready(op) && op->ep.fruitless++ >= FRUITLESS_MAX;
}

/* What happened on fd, to the ops that wait for it, in the order they came. */
static void serve_fd(struct ring *r, int fd, unsigned events)
{
	struct epring *ep = r->ep;
	unsigned rest, n;
	int err;

	list_for_each_safe(link, after, bucket_of(ep, fd)) {
		struct op *op = container_of(link, struct op, ep.link);
		int res;

		if (!is_on(link, fd) ||
		    !(events & (op->ep.mask | EPOLLERR | EPOLLHUP)))
			continue;
		res = try_again(r, op);
		if (res == EPCALL_POLL && !is_contradicted(op))
			continue;
		unwatch(ep, op);
		if (res == EPCALL_POLL)
			res = EPCALL_LATER;
		settle(r, op, res);
	}
	rest = wants(ep, fd, &n);
	if (!n)
		return;
	err = arm(r, fd, rest);
	if (err)
		fail_watched(r, fd, err);
}

static void serve_later(struct ring *r)
{
	struct epring *ep = r->ep;
	struct list due = {0};
	struct list *link;
	int64_t now;

	if (list_is_empty(&ep->later))
		return;
	now = clock_now();
	list_for_each_safe(l, after, &ep->later) {
		if (container_of(l, struct op, ep.link)->ep.retry_at > now)
			continue;
		list_del(l);
		list_push_back(&due, l);
	}
	while ((link = list_pop_front(&due))) {
		struct op *op = container_of(link, struct op, ep.link);

		add_waits(ep, -1);
		settle(r, op, try_again(r, op));
	}
}

/* ---- the submission side ---- */

void epring_push(struct ring *r, const struct op_sqe *sqe, struct op *op)
{
	op->gen++;
	op->opcode = sqe->sqe.opcode;
	op->inflight = true;
	op->ep.sqe = sqe;
	op->ep.ring = r;
	op->ep.moved = 0;
	op->ep.kept_fd = -1;
	op->ep.phase = 0;
	op->ep.fruitless = 0;
	op->ep.rounds = 0;
	/* Relaxed: before anybody else sees it. */
	atomic_store_explicit(&op->ep.is_cancelled, false,
			      memory_order_relaxed);
	set_place(op, OP_AT_PENDING);
	list_push_back(&r->ep->pending, &op->ep.link);
	r->uring.sq.sqe_tail++;
	count(&r->sqes);
	count(&r->pushed);
}

static struct op *take_pending(struct ring *r)
{
	struct list *link = list_pop_front(&r->ep->pending);

	if (!link)
		return NULL;
	r->uring.sq.sqe_head++;
	return container_of(link, struct op, ep.link);
}

/* reap_lock is held. */
static void try_pending(struct ring *r)
{
	struct op *op;

	while ((op = take_pending(r))) {
		/* The number is another file's after this. */
		if (op->ep.sqe->sqe.opcode == IORING_OP_CLOSE &&
		    op->ep.sqe->sqe.fd >= 0)
			set_known(r->ep, op->ep.sqe->sqe.fd, false);
		settle(r, op, try_again(r, op));
	}
}

/* ---- cancellation ---- */

/* Watched, and taken out; nobody else wants anything of its descriptor: silence (I2). */
static void disarm(struct ring *r, int fd)
{
	unsigned n;

	(void)wants(r->ep, fd, &n);
	if (n || !is_known(r->ep, fd))
		return;
	/* It may be closed by now. */
	(void)control(r, EPOLL_CTL_DEL, fd, 0);
	set_known(r->ep, fd, false);
}

/* True: op is at no place any more. */
static bool take_out(struct ring *r, struct op *op)
{
	switch (place_of(op)) {
	case OP_AT_PENDING:
		list_del(&op->ep.link);
		r->uring.sq.sqe_head++;
		return true;
	case OP_AT_WATCHED:
		unwatch(r->ep, op);
		disarm(r, op->ep.sqe->sqe.fd);
		return true;
	case OP_AT_LATER:
		unwatch(r->ep, op);
		return true;
	default:
		/* Before the look: what a helper then says finds it. Relaxed:
		 * read under reap_lock. */
		atomic_store_explicit(&op->ep.is_cancelled, true,
				      memory_order_relaxed);
		return opthread_take_back(op);
	}
}

void epring_cancel_locked(struct ring *r, struct op *op)
{
	int saved = errno;

	r->cancels++;
	if (op->inflight && take_out(r, op))
		put_done(r->ep, op, epcall_cancelled(op));
	errno = saved;
}

void epring_cancel(struct ring *r, struct op *op)
{
	rtlock_lock(&r->reap_lock);
	epring_cancel_locked(r, op);
	rtlock_unlock(&r->reap_lock);
}

static void cancel_list(struct ring *r, struct list *head)
{
	struct list *link;

	while (!list_is_empty(head)) {
		struct op *op;

		link = head->next;
		op = container_of(link, struct op, ep.link);
		if (take_out(r, op))
			put_done(r->ep, op, epcall_cancelled(op));
	}
}

void epring_cancel_all(struct ring *r)
{
	struct epring *ep = r->ep;
	int saved = errno;
	struct op *op;

	r->cancels++;
	rtlock_lock(&r->reap_lock);
	/* What is at a helper thread ends with what that says. */
	ep->is_draining = ring_inflight(r) > 0;
	cancel_list(r, &ep->pending);
	cancel_list(r, &ep->later);
	for (int i = 0; i < BUCKETS; i++)
		cancel_list(r, &ep->buckets[i]);
	while ((op = opthread_take_any(r)))
		put_done(ep, op, epcall_cancelled(op));
	rtlock_unlock(&r->reap_lock);
	errno = saved;
}

/* ---- entering, waiting, reaping ---- */

bool epring_has_work(const struct ring *r)
{
	/* Readiness is learnt by asking for it. Relaxed: a look. */
	return has_done(r->ep) ||
	       atomic_load_explicit(&r->ep->nwaits, memory_order_relaxed);
}

static void serve_events(struct ring *r, const struct epoll_event *e, int n)
{
	for (int i = 0; i < n; i++)
		if (e[i].data.u64 != WAKE_DATA)
			serve_fd(r, (int)e[i].data.u64, e[i].events);
	serve_later(r);
}

static int ready_events(int fd, struct epoll_event *events)
{
	return (int)syscall(SYS_epoll_pwait, fd, events, EVENTS, 0, NULL, 0);
}

void epring_look(struct ring *r)
{
	struct epoll_event events[EVENTS];
	int n;

	/* Relaxed: under the lock. */
	if (!atomic_load_explicit(&r->ep->nwaits, memory_order_relaxed))
		return;
	count(&r->enters);
	n = ready_events(r->ep->fd, events);
	serve_events(r, events, n);
}

void epring_enter(struct ring *r)
{
	int saved = errno;

	rtlock_lock(&r->reap_lock);
	try_pending(r);
	epring_look(r);
	rtlock_unlock(&r->reap_lock);
	errno = saved;
}

/* epoll_wait in nanoseconds; < 0: no limit. */
static int wait_events(int fd, struct epoll_event *events, int64_t timeout_ns)
{
	/* Relaxed: found out again by who does not know. */
	static _Atomic bool lacks_pwait2;
	struct timespec ts = {.tv_sec = timeout_ns / 1000000000,
			      .tv_nsec = timeout_ns % 1000000000};
	struct timespec *limit = timeout_ns < 0 ? NULL : &ts;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	long n;

	if (!atomic_load_explicit(&lacks_pwait2, memory_order_relaxed)) {
		n = syscall(SYS_epoll_pwait2, fd, events, EVENTS, limit, NULL,
			    0);
		if (n >= 0 || (errno != ENOSYS && errno != EPERM))
			return (int)n;
		/* Before Linux 5.11, and where a filter does not know it. */
		atomic_store_explicit(&lacks_pwait2, true,
				      memory_order_relaxed);
	}
	if (syscall(SYS_ppoll, &p, 1, limit, NULL, 0) <= 0)
		return 0;
	return ready_events(fd, events);
}

static int64_t until_later(const struct ring *r, int64_t timeout_ns)
{
	int64_t now, left;

	if (list_is_empty(&r->ep->later))
		return timeout_ns;
	now = clock_now();
	list_for_each(link, &r->ep->later) {
		left = container_of(link, struct op, ep.link)->ep.retry_at -
		       now;
		if (left < 0)
			left = 0;
		if (timeout_ns < 0 || left < timeout_ns)
			timeout_ns = left;
	}
	return timeout_ns;
}

static void read_wake(const struct ring *r)
{
	uint64_t value;

	/* EAGAIN: it was not rung. */
	while (syscall(SYS_read, r->wake_fd, &value, sizeof(value)) < 0 &&
	       errno == EINTR)
		;
}

static bool has_wake(const struct epoll_event *e, int n)
{
	for (int i = 0; i < n; i++)
		if (e[i].data.u64 == WAKE_DATA)
			return true;
	return false;
}

void epring_wait(struct ring *r, int64_t timeout_ns)
{
	struct epoll_event events[EVENTS];
	struct epring *ep = r->ep;
	int saved = errno, n;

	rtlock_lock(&r->reap_lock);
	try_pending(r);
	timeout_ns = until_later(r, timeout_ns);
	rtlock_unlock(&r->reap_lock);
	atomic_store_explicit(&ep->is_waiting, 1, memory_order_relaxed);
	/* E2 fence, pairs with E1. */
	atomic_thread_fence(memory_order_seq_cst);
	if (has_done(ep))
		timeout_ns = 0;
	count(&r->enters);
	san_signals();
	/* Interrupted: look and reap. */
	n = wait_events(ep->fd, events, timeout_ns);
	san_signals();
	atomic_store_explicit(&ep->is_waiting, 0, memory_order_relaxed);
	if (has_wake(events, n))
		read_wake(r);
	rtlock_lock(&r->reap_lock);
	serve_events(r, events, n);
	rtlock_unlock(&r->reap_lock);
	errno = saved;
}

unsigned epring_reap_locked(struct ring *r, unsigned max, void *reaper)
{
	unsigned n = 0;

	while (n < max) {
		struct op *op = take_done(r->ep);

		if (!op)
			break;
		if (!epcall_is_result(op->ep.res)) {
			settle(r, op, op->ep.res);
			continue;
		}
		n++;
		count(&r->cqes);
		if (rg_unlikely(r->fault != NULL) &&
		    fault_leave(r->fault, op, &op->ep.res, 0))
			continue;
		count(&r->ended);
		op->inflight = false;
		op->done(op, op->ep.res, 0, reaper);
	}
	if (!ring_inflight(r))
		r->ep->is_draining = false;
	return n;
}
