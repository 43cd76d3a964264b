// SPDX-License-Identifier: MIT
/*
 * fault - see fault.h for the role and the invariants.
 *
 * What is pushed in place of an operation lies in slots that are there from the start
 * (nothing can be allocated on the way in); where none is free there is no fault.
 */
#include "kernel-iface/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/opcodes.h"

enum { SLOTS = 128, VICTIMS = 16, ENTRIES_SMALL = 8 };

#define HOLD_SHORT_NS INT64_C(50000)
#define HOLD_MAX_NS   INT64_C(2000000)

/* io_uring passes on what a system call's exit would have restarted. */
#define RESTARTSYS 512

/* op->ep.fault: the result to give, or none. */
enum { NO_RESULT = 1 };

struct slot {
	struct op_sqe sqe;
	struct msghdr msg, *user; /* the caller's */
	struct iovec v;
};

struct fault {
	struct rtlock lock;
	/* under lock */
	uint64_t rng;
	uint16_t free[SLOTS]; /* the first nfree of them */
	unsigned nfree, nvictims;
	struct op *victims[VICTIMS]; /* in flight; fault_victim */
	struct list held;            /* op->ep.link, retry_at: until when */
	_Atomic uint32_t nheld;      /* a look without the lock */
	/* const after open */
	uint16_t rate[FAULT_KINDS]; /* of 65536 */
	bool is_small;
	/* const from fault_enter to fault_leave, of who has it */
	struct slot slot[SLOTS];
};

static uint64_t seed_now_used;
static unsigned kinds_now_used;
static _Atomic uint32_t rings;
static _Atomic uint32_t counts[FAULT_KINDS][RGK_OP_COUNT];

void fault_configure(uint64_t seed, unsigned kinds)
{
	seed_now_used = seed;
	kinds_now_used = kinds ? kinds : FAULT_ALL;
	/* Relaxed: no ring is open. */
	atomic_store_explicit(&rings, 0, memory_order_relaxed);
	for (int k = 0; k < FAULT_KINDS; k++)
		for (int op = 0; op < RGK_OP_COUNT; op++)
			atomic_store_explicit(&counts[k][op], 0,
					      memory_order_relaxed);
}

uint32_t fault_count(enum fault_kind kind, unsigned opcode)
{
	return atomic_load_explicit(&counts[kind][opcode],
				    memory_order_relaxed);
}

static void note(enum fault_kind kind, unsigned opcode)
{
	if (opcode < RGK_OP_COUNT)
		/* Relaxed: a number by itself. */
		atomic_fetch_add_explicit(&counts[kind][opcode], 1,
					  memory_order_relaxed);
}

/* splitmix64. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t below(struct fault *f, uint32_t n)
{
	return (uint32_t)((next(&f->rng) >> 32) % n);
}

/* The style: often, at times, rarely, never. */
static uint16_t draw_rate(struct fault *f)
{
	static const uint16_t rates[] = {65536 / 6, 65536 / 16, 65536 / 64, 0};

	return rates[below(f, sizeof(rates) / sizeof(rates[0]))];
}

int fault_open(struct fault **out)
{
	uint64_t style = seed_now_used;
	struct fault *f;

	*out = NULL;
	if (!seed_now_used)
		return 0;
	f = rgk_zalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	/* The same style for all rings of a run. */
	f->rng = next(&style);
	f->is_small = below(f, 2) && kinds_now_used >> FAULT_QUEUE & 1;
	for (int k = 0; k < FAULT_KINDS; k++) {
		f->rate[k] = draw_rate(f);
		if (!(kinds_now_used >> k & 1))
			f->rate[k] = 0;
	}
	/* Relaxed: a number each. */
	f->rng += UINT64_C(0xd1342543de82ef95) *
		  atomic_fetch_add_explicit(&rings, 1, memory_order_relaxed);
	for (unsigned i = 0; i < SLOTS; i++)
		f->free[i] = (uint16_t)i;
	f->nfree = SLOTS;
	*out = f;
	return 0;
}

void fault_free(struct fault *f)
{
	rgk_free(f);
}

unsigned fault_entries(const struct fault *f, unsigned entries,
		       unsigned *cq_factor)
{
	if (!f->is_small || entries <= ENTRIES_SMALL)
		return entries;
	*cq_factor = 1;
	return ENTRIES_SMALL;
}

static bool happens(struct fault *f, enum fault_kind kind)
{
	return f->rate[kind] && (next(&f->rng) >> 48) < f->rate[kind];
}

bool fault_refuses(struct fault *f)
{
	bool yes;

	rtlock_lock(&f->lock);
	yes = happens(f, FAULT_QUEUE);
	rtlock_unlock(&f->lock);
	if (yes)
		note(FAULT_QUEUE, 0);
	return yes;
}

/* ---- less than was asked for ---------------------------------------------- */

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
		 uint64_t e)
{
	/* Raw: not for sanitizers to see. */
	return syscall(nr, a, b, c, d, e, 0);
}

static int kind_of(int fd)
{
	struct statx st;

	return call(SYS_statx, (uint64_t)fd, (uint64_t)(uintptr_t) "",
		    AT_EMPTY_PATH, STATX_TYPE, (uint64_t)(uintptr_t)&st)
		       ? -1
		       : st.stx_mode & S_IFMT;
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return !call(SYS_getsockopt, (uint64_t)fd, SOL_SOCKET, SO_TYPE,
		     (uint64_t)(uintptr_t)&type, (uint64_t)(uintptr_t)&len) &&
	       type == SOCK_STREAM;
}

static bool has_flag(int fd, int flag)
{
	long flags = call(SYS_fcntl, (uint64_t)fd, F_GETFL, 0, 0, 0);

	return flags < 0 || flags & flag;
}

static bool is_output(unsigned opcode)
{
	return opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITEV ||
	       opcode == IORING_OP_SEND || opcode == IORING_OP_SENDMSG;
}

/* I2. O_DIRECT asks for whole blocks of files, and makes packets of a pipe. */
static bool takes_parts(const struct io_uring_sqe *s, size_t total)
{
	switch (kind_of(s->fd)) {
	case S_IFREG:
		return !has_flag(s->fd, O_DIRECT);
	case S_IFIFO:
		return !has_flag(s->fd, O_DIRECT) &&
		       !(is_output(s->opcode) && total <= PIPE_BUF);
	case S_IFSOCK:
		return is_stream(s->fd);
	default:
		return false;
	}
}

/* The caller's buffers: how many there are. */
static size_t buffers(const struct io_uring_sqe *s, const struct iovec **v,
		      struct iovec *one)
{
	const struct msghdr *msg = (const void *)(uintptr_t)s->addr;

	switch (s->opcode) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_RECV:
	case IORING_OP_SEND:
		one->iov_base = (void *)(uintptr_t)s->addr;
		one->iov_len = s->len;
		*v = one;
		return s->flags & IOSQE_BUFFER_SELECT ? 0 : 1;
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		*v = (const void *)(uintptr_t)s->addr;
		return s->len;
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
		*v = msg ? msg->msg_iov : NULL;
		return msg && msg->msg_iov ? msg->msg_iovlen : 0;
	default:
		return 0;
	}
}

/* Flags of a socket's call by which the length is a promise. */
static bool is_exact(const struct io_uring_sqe *s)
{
	switch (s->opcode) {
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
		return s->ioprio ||
		       s->msg_flags & (MSG_WAITALL | MSG_PEEK | MSG_TRUNC |
				       MSG_OOB | MSG_ERRQUEUE);
	case IORING_OP_SEND:
	case IORING_OP_SENDMSG:
		return s->msg_flags & MSG_OOB;
	default:
		return false;
	}
}

static bool shorten_splice(struct slot *slot, const struct op_sqe *sqe,
			   uint32_t draw)
{
	if (sqe->sqe.len < 2)
		return false;
	slot->sqe = *sqe;
	slot->sqe.sqe.len = 1 + draw % (sqe->sqe.len - 1);
	return true;
}

/* Part of the first buffer in which there is anything. */
static bool shorten(struct slot *slot, const struct op_sqe *sqe, uint32_t draw)
{
	const struct io_uring_sqe *s = &sqe->sqe;
	const struct iovec *v = NULL;
	struct iovec one;
	size_t n, total = 0;

	if (s->opcode == IORING_OP_SPLICE || s->opcode == IORING_OP_TEE)
		return shorten_splice(slot, sqe, draw);
	n = is_exact(s) ? 0 : buffers(s, &v, &one);
	for (size_t i = 0; i < n; i++)
		total += v[i].iov_len;
	if (total < 2 || total > INT_MAX || !takes_parts(s, total))
		return false;
	while (!v->iov_len)
		v++;
	slot->v = *v;
	slot->v.iov_len =
		1 + draw % (v->iov_len < total ? v->iov_len : total - 1);
	slot->sqe = *sqe;
	slot->user = NULL;
	if (s->opcode == IORING_OP_RECVMSG || s->opcode == IORING_OP_SENDMSG) {
		slot->user = (struct msghdr *)(uintptr_t)s->addr;
		slot->msg = *slot->user;
		slot->msg.msg_iov = &slot->v;
		slot->msg.msg_iovlen = 1;
		slot->sqe.sqe.addr = (uint64_t)(uintptr_t)&slot->msg;
	} else if (v != &one) {
		slot->sqe.sqe.addr = (uint64_t)(uintptr_t)&slot->v;
		slot->sqe.sqe.len = 1;
	} else {
		slot->sqe.sqe.len = (uint32_t)slot->v.iov_len;
	}
	return true;
}

/* What recvmsg(2) says besides its result. */
static void tell_user(const struct slot *slot)
{
	if (!slot->user || slot->sqe.sqe.opcode != IORING_OP_RECVMSG)
		return;
	slot->user->msg_namelen = slot->msg.msg_namelen;
	slot->user->msg_controllen = slot->msg.msg_controllen;
	slot->user->msg_flags = slot->msg.msg_flags;
}

/* ---- results without an operation ----------------------------------------- */

/* I2. What the kernel says of an operation that did nothing; 0: none of that. */
static int draw_again(struct fault *f, const struct io_uring_sqe *s)
{
	switch (s->opcode) {
	case IORING_OP_CLOSE:
		return -ECANCELED;
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
	case IORING_OP_RECV:
	case IORING_OP_SEND:
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
	case IORING_OP_ACCEPT:
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		if (below(f, 4) == 0)
			return -EAGAIN;
		break;
	default:
		break;
	}
	return (int[]){-EINTR, -RESTARTSYS, -ECANCELED}[below(f, 3)];
}

static int draw_error(struct fault *f, const struct io_uring_sqe *s)
{
	switch (s->opcode) {
	case IORING_OP_RECV:
	case IORING_OP_SEND:
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
	case IORING_OP_CONNECT:
		return below(f, 2) ? -ENOBUFS : -ENOMEM;
	case IORING_OP_ACCEPT:
	case IORING_OP_OPENAT:
		return (int[]){-ENOMEM, -EMFILE, -ENFILE}[below(f, 3)];
	default:
		return -ENOMEM;
	}
}

/* ---- on the way in --------------------------------------------------------- */

/* A NOP in the place of *sqe, whose result is not the NOP's. */
static const struct op_sqe *instead(struct op *op, int res)
{
	static const struct op_sqe nop = {
		.sqe = {.opcode = IORING_OP_NOP, .fd = -1}};

	op->ep.fault = (int16_t)res;
	return &nop;
}

static const struct op_sqe *enter_short(struct fault *f,
					const struct op_sqe *sqe, struct op *op,
					unsigned i, uint32_t draw)
{
	int saved = errno;
	bool done = shorten(&f->slot[i], sqe, draw);

	errno = saved;
	if (done) {
		op->ep.fault_slot = (uint16_t)(i + 1);
		note(FAULT_SHORT, sqe->sqe.opcode);
		return &f->slot[i].sqe;
	}
	rtlock_lock(&f->lock);
	f->free[f->nfree++] = (uint16_t)i;
	rtlock_unlock(&f->lock);
	return sqe;
}

const struct op_sqe *fault_enter(struct fault *f, const struct op_sqe *sqe,
				 struct op *op, bool *cancel)
{
	unsigned opcode = sqe->sqe.opcode;
	bool again, error, is_short, ends, at_once;
	uint32_t draw, i = 0;
	int res = 0;

	op->ep.fault = NO_RESULT;
	op->ep.fault_slot = 0;
	rtlock_lock(&f->lock);
	draw = (uint32_t)(next(&f->rng) >> 33);
	again = happens(f, FAULT_AGAIN);
	error = !again && happens(f, FAULT_ERROR);
	if (again)
		res = draw_again(f, &sqe->sqe);
	else if (error)
		res = draw_error(f, &sqe->sqe);
	ends = !res && happens(f, FAULT_CANCEL);
	at_once = cancel && ends && below(f, 2);
	if (ends && !at_once && f->nvictims < VICTIMS)
		f->victims[f->nvictims++] = op;
	is_short = !res && f->nfree && happens(f, FAULT_SHORT);
	if (is_short)
		i = f->free[--f->nfree];
	rtlock_unlock(&f->lock);
	if (at_once)
		note(FAULT_CANCEL, opcode);
	if (cancel)
		*cancel = at_once;
	if (res) {
		note(again ? FAULT_AGAIN : FAULT_ERROR, opcode);
		return instead(op, res);
	}
	return is_short ? enter_short(f, sqe, op, i, draw) : sqe;
}

/* Locked. */
static void forget(struct fault *f, struct op *op)
{
	for (unsigned i = 0; i < f->nvictims; i++)
		if (f->victims[i] == op)
			f->victims[i--] = f->victims[--f->nvictims];
	if (op->ep.fault_slot)
		f->free[f->nfree++] = (uint16_t)(op->ep.fault_slot - 1);
	op->ep.fault_slot = 0;
}

void fault_abandon(struct fault *f, struct op *op)
{
	rtlock_lock(&f->lock);
	forget(f, op);
	rtlock_unlock(&f->lock);
}

struct op *fault_victim(struct fault *f)
{
	struct op *op = NULL;

	rtlock_lock(&f->lock);
	if (f->nvictims && below(f, 2))
		op = f->victims[--f->nvictims];
	rtlock_unlock(&f->lock);
	if (op)
		note(FAULT_CANCEL, op->opcode);
	return op;
}

/* ---- on the way out -------------------------------------------------------- */

static void hold(struct fault *f, struct op *op, int res, uint32_t flags)
{
	int64_t limit = below(f, 2) ? HOLD_SHORT_NS : HOLD_MAX_NS;

	op->ep.res = res;
	op->ep.moved = flags;
	op->ep.retry_at = clock_now() + below(f, (uint32_t)limit);
	list_push_back(&f->held, &op->ep.link);
	/* Relaxed: a look, and under the lock. */
	atomic_fetch_add_explicit(&f->nheld, 1, memory_order_relaxed);
}

bool fault_leave(struct fault *f, struct op *op, int *res, uint32_t flags)
{
	bool late;

	if (op->ep.fault != NO_RESULT)
		*res = op->ep.fault;
	if (op->ep.fault_slot)
		tell_user(&f->slot[op->ep.fault_slot - 1]);
	rtlock_lock(&f->lock);
	forget(f, op);
	late = happens(f, FAULT_LATE);
	if (late)
		hold(f, op, *res, flags);
	rtlock_unlock(&f->lock);
	if (late)
		note(FAULT_LATE, op->opcode);
	return late;
}

static bool has_held(struct fault *f)
{
	return atomic_load_explicit(&f->nheld, memory_order_relaxed);
}

/* Locked. */
static struct op *first_due(struct fault *f)
{
	int64_t now = clock_now();

	list_for_each(it, &f->held) {
		struct op *op = container_of(it, struct op, ep.link);

		if (op->ep.retry_at <= now)
			return op;
	}
	return NULL;
}

struct op *fault_due(struct fault *f, uint32_t *flags)
{
	struct op *op;

	if (!has_held(f))
		return NULL;
	rtlock_lock(&f->lock);
	op = first_due(f);
	if (op) {
		list_del(&op->ep.link);
		*flags = op->ep.moved;
		atomic_fetch_sub_explicit(&f->nheld, 1, memory_order_relaxed);
	}
	rtlock_unlock(&f->lock);
	return op;
}

bool fault_has_due(struct fault *f)
{
	bool yes;

	if (!has_held(f))
		return false;
	rtlock_lock(&f->lock);
	yes = first_due(f) != NULL;
	rtlock_unlock(&f->lock);
	return yes;
}

int64_t fault_limit(struct fault *f, int64_t timeout_ns)
{
	int64_t now;

	if (!has_held(f))
		return timeout_ns;
	now = clock_now();
	rtlock_lock(&f->lock);
	list_for_each(it, &f->held) {
		struct op *op = container_of(it, struct op, ep.link);
		int64_t left = op->ep.retry_at - now;

		if (left < 0)
			left = 0;
		if (timeout_ns < 0 || left < timeout_ns)
			timeout_ns = left;
	}
	rtlock_unlock(&f->lock);
	return timeout_ns;
}
