// SPDX-License-Identifier: MIT
/*
 * selectops - the cases of a select that are no channels: descriptors, children, times,
 * futex words; and signals, which become channels here (notify.c).
 *
 * What select.c works on is a copy of the cases in which these are NULL channels, never
 * ready, or marked SELECT_READY. A round:
 *   R1  look: which descriptors are ready, children over, times come, words changed, by
 *       poll(2) without waiting and by reading. They are marked.
 *   R2  none is: operations that wait for them are made and linked to their descriptors
 *       (opgroup.h), which may refuse; that makes a case ready, too, with the error.
 *   R3  select_locked: a uniform choice among the marked ones and the channels that are
 *       ready under their locks; or it parks, until a channel's peer, an operation or
 *       the first time among the deadline and RG_AFTER's has claimed the goroutine.
 *   R4  operations that are left are cancelled and waited for.
 *   R5  a time has come, or what was announced was not to be had (an operation that was
 *       interrupted, a child's status that somebody else took): from R1 on.
 *
 *   I1  nothing is taken before its case has won: descriptors are only polled, and so
 *       are children, by a pidfd; the winner's status is taken after R4. A wake-up of a
 *       futex that came to a loser is sent on.
 *   I2  the block of a select is freed by its goroutine after R4, or by select_forget
 *       when the rings have been drained: no operation finds it then.
 *   I3  a select that the look decides makes no operation; without operations
 *       (times, signals) no ring is needed: foreign threads wait as ever. With them, a
 *       goroutine of the runtime selects for the thread.
 */
#include "sync/select.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringgo/runtime.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/childfd.h"
#include "kernel-iface/op_wait.h"
#include "kernel-iface/probe.h"
#include "sched/opwait.h"
#include "sched/sched.h"
#include "sync/notify.h"

/* As in RG_CASE_. */
enum kind {
	IS_CHAN,
	IS_POLL,
	IS_CHILD,
	IS_CHILD_FD,
	IS_SIGNAL,
	IS_AFTER,
	IS_AT,
	IS_FUTEX,
	KINDS
};

/* Descriptors a poll(2); few, for it may not be more than RLIMIT_NOFILE. */
enum { LOOK_FDS = 16 };

#define AGAIN (-4098) /* R5 */

/* A case that is no channel. */
struct selop {
	size_t at; /* its index */
	enum kind kind;
	int fd; /* that is polled; -1: none */
	short events;
	bool is_own;   /* fd is ours to close */
	bool is_ready; /* R1 */
	int err;       /* it cannot be waited for; 0: it can */
	int res;       /* when it is ready */
	rg_time when;
	const uint32_t *word;
	uint32_t expected;
	rg_chan *c; /* a signal's; a reference */
	struct op_sqe sqe;
	struct wait_op w;
};

struct selops {
	rg_case *user; /* the caller's */
	struct sel s;  /* of the copy */
	struct op_group group;
	rg_time first; /* the earliest of the times */
	size_t nops;
	struct selop op[];
};

/* ---- cases ------------------------------------------------------------------ */

static enum kind kind_of(const rg_case *cs)
{
	if ((intptr_t)cs->chan_ >= 0)
		return IS_CHAN;
	return (enum kind)((uintptr_t)cs->chan_ >> 32 & 0xff);
}

static uint32_t arg_of(const rg_case *cs)
{
	return (uint32_t)(uintptr_t)cs->chan_;
}

static void prepare_poll(struct selop *op, int fd, short events)
{
	op->fd = fd;
	op->events = events;
	op_poll(&op->sqe, fd, (unsigned short)events);
}

static int prepare_child(struct selop *op, int fd)
{
	int ret = fd < 0 ? fd : childfd_look(fd);

	if (fd >= 0)
		prepare_poll(op, fd, POLLIN);
	return ret < 0 ? ret : 0;
}

static int prepare_pid(struct selop *op, pid_t pid)
{
	int fd = childfd_open(pid);

	op->is_own = fd >= 0;
	/* No process: then no child either. */
	return prepare_child(op, fd == -ESRCH ? -ECHILD : fd);
}

static void prepare(struct selops *o, struct selop *op, const rg_case *cs)
{
	uint32_t arg = arg_of(cs);
	int64_t time = (int64_t)(intptr_t)cs->elem_;

	op->kind = kind_of(cs);
	op->fd = -1;
	op->when = RG_FOREVER;
	if (op->kind == IS_POLL)
		prepare_poll(op, (int)arg, cs->events_);
	else if (op->kind == IS_CHILD)
		op->err = prepare_pid(op, (pid_t)arg);
	else if (op->kind == IS_CHILD_FD)
		op->err = prepare_child(op, (int)arg < 0 ? -EBADF : (int)arg);
	else if (op->kind == IS_SIGNAL)
		op->err = notify_signal_chan((int)arg, &op->c);
	else if (op->kind == IS_AFTER)
		op->when = timer_after(time);
	else if (op->kind == IS_AT)
		op->when = time;
	if (op->when < o->first)
		o->first = op->when;
	if (op->kind != IS_FUTEX)
		return;
	op->word = cs->elem_;
	op->expected = arg;
	op_futex_wait(&op->sqe, op->word, op->expected);
}

static size_t count_ops(const rg_case *cases, size_t n)
{
	size_t nops = 0;

	for (size_t i = 0; i < n; i++) {
		enum kind kind = kind_of(&cases[i]);

		if (kind >= KINDS)
			rg_panic("select: case %zu is none", i);
		nops += kind != IS_CHAN;
	}
	return nops;
}

/* The copy, and what select.c needs, behind the operations. */
static struct selops *make(rg_case *cases, size_t n)
{
	size_t nops = count_ops(cases, n);
	size_t size = sizeof(struct selops) + nops * sizeof(struct selop);
	struct selops *o =
		rgk_zalloc(size + n * (sizeof(struct sudog) + sizeof(rg_case) +
				       sizeof(rg_chan *)));
	struct selop *op;

	if (!o)
		rg_panic("out of memory: select of %zu cases", n);
	o->user = cases;
	o->first = RG_FOREVER;
	o->nops = nops;
	o->s.sudogs = (struct sudog *)(void *)((char *)o + size);
	o->s.cases = (rg_case *)(void *)(o->s.sudogs + n);
	o->s.order = (rg_chan **)(void *)(o->s.cases + n);
	o->s.n = n;
	o->s.ops = o;
	op = o->op;
	for (size_t i = 0; i < n; i++) {
		o->s.cases[i] = cases[i];
		if (kind_of(&cases[i]) == IS_CHAN)
			continue;
		op->at = i;
		prepare(o, op, &cases[i]);
		o->s.cases[i] = (rg_case){.chan_ = op->c};
		op++;
	}
	return o;
}

static void destroy(struct selops *o)
{
	for (struct selop *op = o->op; op < o->op + o->nops; op++) {
		/* Nothing is in flight on it, and nobody else has it. */
		if (op->is_own)
			close(op->fd);
		rg_chan_unref(op->c);
	}
	rgk_free(o);
}

void selops_forget(struct selops *o)
{
	destroy(o);
}

/* ---- R1 --------------------------------------------------------------------- */

static void set_ready(struct selop *op, int res)
{
	op->is_ready = true;
	op->res = res;
}

/* What poll(2) or its operation says. */
static void set_polled(struct selop *op, int revents)
{
	set_ready(op, revents & POLLNVAL ? -EBADF : revents);
	if (revents & POLLIN)
		opwait_saw_input();
}

static void look_at_fds(struct selops *o)
{
	struct selop *op = o->op, *end = o->op + o->nops, *polled[LOOK_FDS];
	struct pollfd fds[LOOK_FDS];

	while (op < end) {
		nfds_t n = 0;

		for (; op < end && n < LOOK_FDS; op++) {
			if (op->fd < 0 || op->err)
				continue;
			polled[n] = op;
			fds[n++] = (struct pollfd){op->fd, op->events, 0};
		}
		/* A failure, and they are waited for. */
		if (!n || poll(fds, n, 0) <= 0)
			continue;
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents)
				set_polled(polled[i], fds[i].revents);
	}
}

static void look_at_rest(struct selop *op, rg_time now)
{
	if (op->err)
		set_ready(op, op->err);
	else if (op->when <= now)
		set_ready(op, 0);
	/* Acquire, pairs with whatever the caller's peer does. */
	else if (op->kind == IS_FUTEX &&
		 __atomic_load_n(op->word, __ATOMIC_ACQUIRE) != op->expected)
		set_ready(op, 0);
}

/* Whether a case is ready; the copy says which. */
static bool look(struct selops *o, rg_time now)
{
	bool any = false;

	for (struct selop *op = o->op; op < o->op + o->nops; op++) {
		op->is_ready = false;
		look_at_rest(op, now);
	}
	look_at_fds(o);
	for (struct selop *op = o->op; op < o->op + o->nops; op++) {
		any |= op->is_ready;
		if (op->kind == IS_SIGNAL && !op->err)
			continue;
		o->s.cases[op->at].chan_ = op->is_ready ? SELECT_READY : NULL;
	}
	return any;
}

/* ---- R2, R4 ------------------------------------------------------------------ */

static bool needs_operation(const struct selop *op)
{
	return !op->err && (op->fd >= 0 || op->kind == IS_FUTEX);
}

static int add_operation(struct selops *o, struct selop *op)
{
	enum fd_dir dir = (op->events & (POLLIN | POLLOUT)) == POLLOUT
				  ? FD_WRITE
				  : FD_READ;

	if (op->kind == IS_FUTEX && !probe_has(PROBE_FUTEX))
		return -ENOSYS;
	return opgroup_add(&o->group, &op->w, &op->sqe, op->fd, dir);
}

/* A wake-up that came to a loser: somebody else may be waiting for it. */
static void send_on_wakeups(struct selops *o)
{
	for (struct wait_op *w = o->group.ops; w; w = w->group_next) {
		const struct selop *op = container_of(w, struct selop, w);

		if (op->kind == IS_FUTEX && w != o->group.first && w->res >= 0)
			syscall(SYS_futex, op->word, FUTEX_WAKE_PRIVATE, 1,
				NULL, NULL, 0);
	}
}

/* R4. The channels are none of its business any more: select_forget. */
static void end_operations(struct selops *o)
{
	size_t n = o->s.n;

	o->s.n = 0;
	opgroup_end(&o->group, &o->s);
	o->s.n = n;
	o->s.group = NULL;
	send_on_wakeups(o);
}

/* R2. false: not now; look again. */
static bool begin_operations(struct selops *o)
{
	bool may_park = true;
	int err = 0;

	opgroup_begin(&o->group);
	for (struct selop *op = o->op; op < o->op + o->nops; op++) {
		if (!needs_operation(op))
			continue;
		err = add_operation(o, op);
		if (err == WAIT_OP_LATER)
			break;
		op->err = err;
		may_park &= !err;
	}
	if (may_park && err != WAIT_OP_LATER) {
		o->s.group = o->group.ops ? &o->group : NULL;
		return true;
	}
	end_operations(o);
	if (err == WAIT_OP_LATER)
		rg_yield();
	return false;
}

/* ---- foreign threads: a goroutine does it for them ---- */

struct request {
	rg_case *cases;
	size_t n;
	rg_time deadline;
	struct g *waiter;
	int res;
};

static void select_for_foreign(void *arg)
{
	struct request *q = arg;

	q->res = select_mixed(q->cases, q->n, q->deadline);
	sched_ready(q->waiter);
}

/* AGAIN: no goroutine is to be had; what would need one is ready with the error. */
static int hand_over(struct selops *o, rg_time deadline)
{
	struct request q = {.cases = o->user,
			    .n = o->s.n,
			    .deadline = deadline,
			    .waiter = chan_self()};
	int err = sched_go_system(select_for_foreign, &q, "foreign-select");

	if (!err) {
		sched_park(NULL, NULL, WAIT_SELECT, NULL);
		return q.res;
	}
	for (struct selop *op = o->op; op < o->op + o->nops; op++)
		if (needs_operation(op))
			op->err = err;
	return AGAIN;
}

static bool has_operations(const struct selops *o)
{
	for (const struct selop *op = o->op; op < o->op + o->nops; op++)
		if (needs_operation(op))
			return true;
	return false;
}

/* ---- the rounds --------------------------------------------------------------- */

/* An operation was the first: the index, or AGAIN. */
static int take_first(struct selop *op)
{
	int res = wait_op_outcome(&op->w);

	if (res == -EINTR)
		return AGAIN;
	if (op->kind != IS_FUTEX && res >= 0)
		set_polled(op, res);
	else
		set_ready(op, res == -EAGAIN ? 0 : res);
	return (int)op->at;
}

static struct selop *op_at(struct selops *o, size_t i)
{
	for (struct selop *op = o->op; op < o->op + o->nops; op++)
		if (op->at == i)
			return op;
	return NULL;
}

/* Case i has won: tell the caller. AGAIN: there was nothing (I1). */
static int tell(struct selops *o, int i)
{
	rg_case *user = &o->user[i];
	struct selop *op = op_at(o, (size_t)i);
	bool is_child = op && (op->kind == IS_CHILD || op->kind == IS_CHILD_FD);

	if (!op) {
		user->ok = o->s.cases[i].ok;
		return i;
	}
	if (op->kind == IS_SIGNAL && !op->err)
		op->res = (int)arg_of(user);
	if (is_child && op->res >= 0) {
		op->res = childfd_take(op->fd, user->elem_);
		if (!op->res) { /* a tracer comes first */
			rg_yield();
			return AGAIN;
		}
		op->res = op->res < 0 ? op->res : 0;
	}
	user->res = op->res;
	user->ok = op->res >= 0;
	return i;
}

/* R1 to R4. until: 0: a try. */
static int attempt(struct selops *o, rg_time deadline, rg_time now)
{
	rg_time until = deadline < o->first ? deadline : o->first;
	int i;

	if (look(o, now) || now >= deadline) {
		until = 0;
	} else if (has_operations(o)) {
		if (!is_goroutine())
			return hand_over(o, deadline);
		if (!begin_operations(o))
			return AGAIN;
	}
	i = select_locked(&o->s, until);
	if (i == SELECT_OP)
		i = take_first(container_of(o->group.first, struct selop, w));
	if (o->s.group)
		end_operations(o);
	return i >= 0 ? tell(o, i) : i;
}

int select_mixed(rg_case *cases, size_t n, rg_time deadline)
{
	struct selops *o = make(cases, n);
	rg_time now = rg_now(), past = 0;
	int i;

	for (;;) {
		i = attempt(o, deadline, now > past ? now : past);
		if (i != AGAIN && i != -ETIMEDOUT)
			break;
		/* The clock may be behind the timer that has fired. */
		if (i == -ETIMEDOUT)
			past = deadline < o->first ? deadline : o->first;
		now = rg_now();
	}
	destroy(o);
	return i == -EAGAIN && deadline ? -ETIMEDOUT : i;
}
