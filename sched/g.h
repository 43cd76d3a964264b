/* SPDX-License-Identifier: MIT */
/*
 * g - a goroutine: its record, its states, why it waits.
 *
 * The record of a goroutine lives at the top of its own stack slot, so that a
 * parked goroutine costs one page all told. Two other kinds share the type: g0, the
 * scheduler on an M's own thread stack, and the pseudo goroutine of a foreign
 * thread (I5).
 *
 *   I1  records are type-stable: their memory is never unmapped while the runtime
 *       lives; a slot whose pages were given back reads as state G_IDLE (0).
 *   I2  `ctx` is valid exactly while the goroutine is not running; whoever makes it
 *       runnable does so after the context was saved (park.h).
 *   I3  a goroutine is in at most one queue: a run queue, a free list (both through
 *       schedlink) or a waiter list of the sync layer (through that layer's record).
 *   I4  fields under "own" are written by the goroutine itself, or by the M that
 *       runs or creates it, never while another M may.
 *   I5  a foreign thread's record has kind G_FOREIGN: park blocks the thread on a
 *       futex, ready wakes it. Sync code does not see the difference.
 */
#ifndef RG_SCHED_G_H
#define RG_SCHED_G_H

#include <ringgo/base.h>

#include <stdatomic.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/list.h"
#include "kernel-iface/coro.h"
#include "kernel-iface/op.h"
#include "sched/timer.h"

#define G_STATES(X)                                                            \
	X(G_IDLE, "idle")                                                      \
	X(G_RUNNABLE, "runnable")                                              \
	X(G_RUNNING, "running")                                                \
	X(G_WAITING, "waiting")                                                \
	X(G_DEAD, "dead")

/* Go's words where Go has one: dumps are read by Go's tools. */
#define WAIT_REASONS(X)                                                        \
	X(WAIT_NONE, "")                                                       \
	X(WAIT_CHAN_RECV, "chan receive")                                      \
	X(WAIT_CHAN_SEND, "chan send")                                         \
	X(WAIT_CHAN_RECV_NIL, "chan receive (nil chan)")                       \
	X(WAIT_CHAN_SEND_NIL, "chan send (nil chan)")                          \
	X(WAIT_SELECT, "select")                                               \
	X(WAIT_SELECT_NONE, "select (no cases)")                               \
	X(WAIT_SLEEP, "sleep")                                                 \
	X(WAIT_IO, "IO wait")                                                  \
	X(WAIT_MUTEX, "sync.Mutex.Lock")                                       \
	X(WAIT_RWMUTEX_RLOCK, "sync.RWMutex.RLock")                            \
	X(WAIT_RWMUTEX_LOCK, "sync.RWMutex.Lock")                              \
	X(WAIT_WAITGROUP, "sync.WaitGroup.Wait")                               \
	X(WAIT_COND, "sync.Cond.Wait")                                         \
	X(WAIT_SEMAPHORE, "semacquire")                                        \
	X(WAIT_LATCH, "latch wait")                                            \
	X(WAIT_BARRIER, "barrier wait")                                        \
	X(WAIT_BLOCKING, "blocking call")                                      \
	X(WAIT_CLOSE, "close wait")                                            \
	X(WAIT_EXIT, "exited main")                                            \
	X(WAIT_YIELD, "yield")                                                 \
	X(WAIT_PREEMPTED, "preempted")                                         \
	X(WAIT_SYNCTEST_RUN, "synctest.Run")                                   \
	X(WAIT_SYNCTEST_WAIT, "synctest.Wait")                                 \
	X(WAIT_SYNCTEST_CHAN_RECV, "chan receive (durable)")                   \
	X(WAIT_SYNCTEST_CHAN_SEND, "chan send (durable)")                      \
	X(WAIT_SYNCTEST_SELECT, "select (durable)")                            \
	X(WAIT_SYNCTEST_WAITGROUP, "sync.WaitGroup.Wait (durable)")            \
	X(WAIT_SYNCTEST_LATCH, "latch wait (durable)")                         \
	X(WAIT_SYNCTEST_BARRIER, "barrier wait (durable)")

#define G_ENUM(name, text) name,
enum g_state { G_STATES(G_ENUM) };
enum wait_reason { WAIT_REASONS(G_ENUM) WAIT_REASON_COUNT };

enum g_kind { G_USER, G_SYSTEM, G_ZERO, G_FOREIGN };

/* g.special: why park and ready take a longer way. */
enum {
	G_IS_FOREIGN = 1,
	G_IN_BUBBLE = 2,
	G_BLOCKED = 4,
	G_IS_ROOT = 8,
	G_HIJACKED = 16, /* interrupt.h */
	G_LOCKED = 32    /* lockthread.h */
};

struct m;
struct p;
struct cancel_token;
struct bubble;
struct g_locals;
struct labels;

/* One rg_defer; the newest first. */
struct g_defer {
	struct g_defer *next;
	void (*fn)(void *arg);
	void *arg;
};

struct g {
	/* line 0: written at each switch */
	struct coro ctx;
	struct g *schedlink; /* run queue, free list: the list's owner */
	struct m *m;         /* that runs it, or ran it last */
	_Atomic uint8_t
		state; /* enum g_state; relaxed, for dumps and asserts */
	uint8_t wait_reason;
	uint8_t kind;        /* const after creation */
	uint8_t stack_class; /* const */
	int saved_errno;
	uint16_t op_gen;      /* own: the last operation's generation */
	uint8_t special;      /* own and its waker's, bubble.h, I4; 0 mostly */
	_Atomic uint8_t trim; /* enum trim_state; trim.h */
	uint8_t in_place;     /* own: inplace.c's count */

	/* line 1: own; written at birth */
	RG_CACHE_ALIGNED uint64_t goid;
	void (*fn)(void *arg);
	void *arg;
	struct g_defer *defers;
	rg_ctx *ctx_bound;          /* sync's business; a reference */
	struct cancel_token *token; /* of ctx_bound, or NULL */
	char *name;                 /* rgk_alloc'ed, or NULL */
	char *stack_hi;             /* const: first byte of this record */

	/* line 2: own, and of the wait in progress (NULL between waits) */
	uintptr_t creator_pc; /* return address of the rg_go call */
	uint64_t creator_goid;
	rg_time wait_since;  /* coarse clock, at the last park */
	void *wait_arg;      /* the object waited for, for dumps; may dangle */
	struct wait_op *wop; /* operation in flight, or NULL */
	void *park_slot;     /* for the sync layer: passed from ready to park */
	char *stack_lo;      /* const: lowest usable byte, above the guard */
	_Atomic uint32_t wake_state; /* park.h: who won: event, timer, cancel */
	_Atomic uint32_t futex;      /* foreign: 0 parked, 1 readied */

	struct timer timer;    /* rg_sleep and waits with a deadline */
	struct bubble *bubble; /* own; set at birth and by its root, or NULL */
	uint32_t bubble_id;    /* its id, for dumps; 0: none */
	uint32_t nopreempt;    /* own: depth of rg_preempt_disable */

	/* own; NULL: none */
	struct g_locals *locals;       /* local.c */
	struct labels *_Atomic labels; /* a reference; labels.h */
};

static inline enum g_state g_state(struct g *gp)
{
	return (enum g_state)atomic_load_explicit(&gp->state,
						  memory_order_relaxed);
}

static inline void g_set_state(struct g *gp, enum g_state s)
{
	atomic_store_explicit(&gp->state, (uint8_t)s, memory_order_relaxed);
}

const char *g_state_name(enum g_state s);
const char *g_wait_reason_name(unsigned reason);

/*
 * getg - the calling goroutine, g0 on a scheduler stack, or the pseudo goroutine of
 * a foreign thread (made at the first call; NULL only when out of memory then).
 * Not inline and not const: its result, like &errno, is stale after a park in what
 * concerns the thread; the goroutine itself stays the same.
 */
struct g *getg(void);

/*
 * The M of the calling thread; NULL on a foreign thread. Stale after a park: so the
 * read must happen anew at each call. A volatile asm statement is as opaque as a
 * function that the compiler cannot see into, and 1.3 ns cheaper (2026-11).
 */
#if defined(__x86_64__)
static inline struct m *getm(void)
{
	struct m *mp;

	__asm__ volatile("movq getg_this_m@gottpoff(%%rip), %0\n\t"
			 "movq %%fs:(%0), %0"
			 : "=r"(mp));
	return mp;
}
#else
struct m *getm(void);
#endif

/* On an ordinary goroutine of the runtime (not g0, not foreign). */
bool is_goroutine(void);

#endif
