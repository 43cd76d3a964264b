// SPDX-License-Identifier: MIT
/*
 * opwait - see opwait.h for the invariants, waitop.h and netpoll.h for the parts.
 *
 * The order of a call: token, descriptor entry (lock, checks, link), submission
 * queue, park. The owner M is written into the wait_op before it is linked anywhere,
 * and nothing parks between that and the push: so a canceller that finds the wait_op
 * queues its request to an M that already has, or is about to have, the operation. A
 * call that is refused half-way, linked in the token and not sent, can have been
 * queued as well: it waits until that M has dropped the request (end_refused).
 */
#include "sched/opwait.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <ringgo/runtime.h>

#include "kernel-iface/clock.h"
#include "kernel-iface/op_wait.h"
#include "sched/bubble.h"
#include "sched/netpoll.h"
#include "sched/sched.h"

static void token_cancel(struct cancel_waiter *cw, int err,
			 struct ready_list *ready)
{
	(void)ready; /* the operation's completion readies it */
	netpoll_cancel(container_of(cw, struct wait_op, token_waiter), err);
}

static void deadline_cancel(struct timer *t, void *arg, rg_time now)
{
	(void)t;
	(void)now;
	netpoll_cancel(arg, -ETIMEDOUT);
}

void wait_op_init(struct wait_op *w, struct g *gp, const struct op_sqe *sqe)
{
	w->gp = gp;
	w->sqe = sqe;
	w->mp = getm();
	w->op.gen = ++gp->op_gen;
	w->op.opcode = sqe->sqe.opcode;
	w->op.fd = sqe->sqe.fd;
	w->op.inflight = false;
	w->res = 0;
	w->not_found = 0;
	w->sent = false;
	w->unsent = false;
	w->fd_link.next = NULL;
	w->token_waiter.link.next = NULL;
	w->token_waiter.on_cancel = token_cancel;
	w->group = NULL;
	/* Relaxed: published by the lock under which w is linked. */
	atomic_store_explicit(&w->cancel_err, 0, memory_order_relaxed);
	atomic_store_explicit(&w->state, 0, memory_order_relaxed);
}

/* Submit and park until the terminal CQE. */
static void run(struct wait_op *w)
{
	struct g *gp = w->gp;

	w->sent = true;
	netpoll_push(w->mp, w);
	gp->wop = w;
	sched_park(NULL, NULL, WAIT_IO, w);
	gp->wop = NULL;
}

/*
 * The operation ended before it did anything, or its result does not say that it did: a
 * close that was interrupted has closed (close(2)), and is not to be done again, to a
 * number that may be another file's by then. Besides EINTR the kernel's own restart
 * codes (512 to 516) come out of io_uring when one of its workers was interrupted in
 * a call that a system call's exit would have restarted (seen on 6.18 with a pipe read
 * that was cancelled), and ECANCELED, unasked, when it could not start a worker for an
 * operation because signals kept interrupting it (seen on 6.18 with a write to a memfd
 * during dumps, whose SIGURGs freeze all Ms).
 */
static bool is_interruption(int res)
{
	return res == -EINTR || (res <= -512 && res >= -516);
}

static bool did_nothing(int res)
{
	return res == -ECANCELED || is_interruption(res);
}

int wait_op_outcome(const struct wait_op *w)
{
	/* Relaxed: ordered by D1/D2 and the run queue. */
	int err = atomic_load_explicit(&w->cancel_err, memory_order_relaxed);

	if (rg_likely(!did_nothing(w->res)))
		return w->res;
	if (w->sqe->sqe.opcode == IORING_OP_CLOSE && is_interruption(w->res))
		return -EIO; /* what it had to write may be lost */
	return err ? err : -EINTR;
}

int wait_op_link(struct fdesc *f, enum fd_dir dir, struct wait_op *w)
{
	int err = 0;

	rtlock_lock(&f->lock);
	if (f->state == FDESC_HANDED)
		err = WAIT_OP_LATER;
	else if (f->state == FDESC_CLOSING)
		err = -ECANCELED;
	else if (f->expired[dir])
		err = -ETIMEDOUT;
	else
		list_push_back(&f->inflight[dir], &w->fd_link);
	rtlock_unlock(&f->lock);
	return err;
}

void wait_op_unlink(struct fdesc *f, struct wait_op *w)
{
	struct g *closer;

	rtlock_lock(&f->lock);
	list_del(&w->fd_link);
	closer = fdesc_take_closer_locked(f);
	rtlock_unlock(&f->lock);
	if (closer)
		sched_ready(closer);
}

struct request {
	const struct op_sqe *sqe;
	struct fdesc *fdesc; /* NULL: none */
	enum fd_dir dir;
	unsigned flags;
	rg_time deadline;
	/* for a foreign thread */
	struct g *waiter;
	int res;
};

/* One attempt, on a goroutine, with its token linked. */
static int attempt_armed(struct request *q, struct wait_op *w, bool *is_later)
{
	bool has_timer = q->deadline != RG_FOREVER;
	int err;

	if (q->fdesc) {
		err = wait_op_link(q->fdesc, q->dir, w);
		*is_later = err == WAIT_OP_LATER;
		if (err)
			return err;
	}
	err = 0;
	if (has_timer)
		err = timer_start_real(&w->gp->timer, q->deadline,
				       deadline_cancel, w);
	if (!err)
		run(w);
	if (has_timer)
		timer_stop(&w->gp->timer);
	if (q->fdesc)
		wait_op_unlink(q->fdesc, w);
	return err ? err : wait_op_outcome(w);
}

/*
 * w was not sent, and is linked nowhere any more. Who found it before may have queued
 * a cancel request: serving that reads w, which is the stack of this call.
 */
static void end_refused(struct wait_op *w)
{
	/* D1 acq_rel, as the reaper's, pairs with D2 and D3: what is served
	 * after this readies us and asks nothing of the kernel. */
	uint32_t old = atomic_fetch_or_explicit(&w->state, WOP_DONE,
						memory_order_acq_rel);

	if (rg_unlikely(old & WOP_QUEUED))
		sched_park(NULL, NULL, WAIT_IO, NULL);
}

static int attempt(struct request *q)
{
	struct g *gp = getg();
	struct cancel_token *token =
		q->flags & OPWAIT_NOCANCEL ? NULL : gp->token;
	struct wait_op w;
	bool is_later = false;
	int err;

	wait_op_init(&w, gp, q->sqe);
	if (token) {
		err = cancel_wait_begin(token, &w.token_waiter);
		if (err)
			return err;
	}
	err = attempt_armed(q, &w, &is_later);
	if (token)
		cancel_wait_end(token, &w.token_waiter);
	if (rg_unlikely(!w.sent))
		end_refused(&w);
	if (rg_unlikely(is_later)) {
		rg_yield();
		return -EINTR;
	}
	return err;
}

/* To ThreadSanitizer what came before any write comes before what follows any read;
 * whose descriptors are the two ends of one connection only the kernel knows. */
static char io_order;

void opwait_saw_input(void)
{
	san_acquire(&io_order);
}

void opwait_made_output(void)
{
	san_release(&io_order);
}

int opwait_would_fail(int fd, enum fd_dir dir)
{
	struct g *gp = is_goroutine() ? getg() : NULL;
	struct fdesc *f = fdesc_get(fd);
	int err = gp && gp->token ? cancel_token_err(gp->token) : 0;

	if (err || !f)
		return err; /* no entry: no deadline either */
	if (fdesc_lock(f) == FDESC_CLOSING)
		err = -ECANCELED;
	else if (f->expired[dir])
		err = -ETIMEDOUT;
	rtlock_unlock(&f->lock);
	return err;
}

/*
 * What a connect gives that is done again, because the first attempt ended unasked: the
 * kernel goes on with what that one began.
 */
static RG_COLD int connect_rest(struct request *q, int res)
{
	int fd = q->sqe->sqe.fd, err = 0;
	struct request rest = *q;
	socklen_t len = sizeof err;
	struct op_sqe sqe;

	if (res == -EISCONN)
		return 0;
	if (res != -EALREADY)
		return res;
	op_poll(&sqe, fd, POLLOUT);
	rest.sqe = &sqe;
	res = attempt(&rest);
	if (res < 0)
		return res;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) ? -errno : -err;
}

static int perform(struct request *q)
{
	int res;

	if (q->fdesc && q->dir == FD_WRITE)
		san_release(&io_order);
	res = attempt(q);
	while (rg_unlikely(res == -EINTR)) {
		res = attempt(q);
		if (q->sqe->sqe.opcode == IORING_OP_CONNECT)
			res = connect_rest(q, res);
	}
	if (q->fdesc && q->dir == FD_READ)
		san_acquire(&io_order);
	return res;
}

/* ---- foreign threads: a goroutine does it for them ---- */

static void perform_for_foreign(void *arg)
{
	struct request *q = arg;

	q->res = perform(q);
	sched_ready(q->waiter);
}

static int request(struct request *q)
{
	int err;

	if (rg_likely(is_goroutine())) {
		park_check_stack(getg());
		return perform(q);
	}
	if (getm())
		rg_panic("an operation on the scheduler's stack");
	q->waiter = getg();
	err = sched_go_system(perform_for_foreign, q, "foreign-io");
	if (err)
		return err;
	sched_park(NULL, NULL, WAIT_IO, NULL);
	return q->res;
}

int opwait_fd_until(int fd, enum fd_dir dir, const struct op_sqe *sqe,
		    rg_time deadline)
{
	struct request q = {
		.sqe = sqe, .dir = dir, .deadline = bubble_real_time(deadline)};

	q.fdesc = fdesc_get(fd);
	if (rg_unlikely(!q.fdesc))
		return fdesc_is_valid(fd) ? -ENOMEM : -EBADF;
	return request(&q);
}

int opwait_fd(int fd, enum fd_dir dir, const struct op_sqe *sqe)
{
	return opwait_fd_until(fd, dir, sqe, RG_FOREVER);
}

RG_COLD static int again_slow(int fd, enum fd_dir dir, const struct op_sqe *sqe)
{
	struct op_sqe poll_sqe;
	int ret;

	do {
		op_poll(&poll_sqe, fd, dir == FD_READ ? POLLIN : POLLOUT);
		ret = opwait_fd(fd, dir, &poll_sqe);
		if (ret < 0)
			return ret;
		ret = opwait_fd(fd, dir, sqe);
	} while (ret == -EAGAIN);
	return ret;
}

int opwait_fd_again(int fd, enum fd_dir dir, const struct op_sqe *sqe)
{
	int ret = opwait_fd(fd, dir, sqe);

	return rg_likely(ret != -EAGAIN) ? ret : again_slow(fd, dir, sqe);
}

int opwait(const struct op_sqe *sqe, unsigned flags)
{
	struct request q = {.sqe = sqe, .flags = flags, .deadline = RG_FOREVER};

	return request(&q);
}
