/* SPDX-License-Identifier: MIT */
/*
 * sched - the one runtime of the process: all Ms, Ps, the global queue, idle lists.
 *
 *   I1  fields under `lock` are touched with it held; the lock is never held across
 *       a wake-up of a thread, an allocation or a system call.
 *   I2  spinning Ms: `nspinning` counts Ms that look for work or were just woken to
 *       look. Submitting work and going to sleep follow the steps written in wake.c.
 *   I3  Ps come and never go while the runtime is on; ps[] below nps is const.
 */
#ifndef RG_SCHED_SCHED_H
#define RG_SCHED_SCHED_H

#include <ringgo/runtime.h>

#include "kernel-iface/stack.h"
#include "sched/m.h"
#include "sched/p.h"

/* MAX_MS: pairs of M and P, some of them spare (token.h). */
enum { SCHED_MAX_PROCS = 256, SCHED_MAX_MS = 512 };

struct bubble;
struct dumptext;

enum sched_status { SCHED_OFF, SCHED_STARTING, SCHED_ON, SCHED_STOPPING };

/* What sync registers, as sched may not include it. All set or all NULL. */
struct sched_hooks {
	void (*ctx_retain)(rg_ctx *c);
	void (*ctx_release)(rg_ctx *c);
	struct cancel_token *(*ctx_token)(rg_ctx *c); /* NULL: never ends */
	void (*reset)(void); /* the runtime ended: forget who waited; or NULL */
	void (*dump_end)(struct dumptext *d); /* what a dump ends with */
};

struct sched {
	/* const while on */
	unsigned flags;
	unsigned ring_entries;
	unsigned default_class;
	bool is_run;                /* by rg_run: deadlock is reported */
	struct p *ps[SCHED_MAX_MS]; /* I3 */

	_Atomic int status; /* enum sched_status */
	RG_CACHE_ALIGNED struct rtlock lock;
	struct gqueue global;
	struct list idle_ps, spare_ps, waiting_ps; /* token.h */
	int nrunning;                              /* Ps */
	bool turn_was_bound;                       /* token.h, I6 */
	int nidle_ms;
	struct m *_Atomic all_ms; /* newest first; next_all is const */
	int nms;
	struct g *gfree[STACK_CLASSES]; /* dead goroutines, all classes */
	uint32_t gfree_len[STACK_CLASSES];
	bool main_exited; /* the main goroutine ended by rg_exit */

	/* any thread */
	RG_CACHE_ALIGNED _Atomic int nspinning;
	_Atomic int nps;               /* pairs there are */
	_Atomic int nprocs;            /* tokens: Ps that may run at a time */
	_Atomic int nidle_ps;          /* tokens that nobody uses */
	_Atomic int nbusy_ps;          /* running, lost or waiting */
	_Atomic int nlocked;           /* goroutines locked to threads */
	_Atomic int nvacant;           /* Ms without a thread: pair.h */
	_Atomic int nurgent;           /* of these, waiting for a token */
	_Atomic uint64_t tokens_taken; /* written by sysmon */
	_Atomic uint32_t settle; /* some running P has to settle: token.h */
	_Atomic uint32_t global_len;
	_Atomic int64_t foreign_created; /* by threads without a P */
	_Atomic uint64_t goid_block;
	_Atomic rg_time coarse_now; /* refreshed by polls and by sysmon */
	_Atomic int64_t
		blocking_busy; /* helper threads that will ready someone */
	_Atomic int64_t foreign_waiters; /* foreign threads parked */
	_Atomic int64_t external; /* other promises of a wake-up (signals) */

	struct stack_arena stacks[STACK_CLASSES];
	struct sched_hooks hooks;
};

extern struct sched sched;

#define sched_for_each_p(pp)                                                   \
	for (int p_index_ = 0;                                                 \
	     p_index_ < sched_nps() && ((pp) = sched.ps[p_index_]);            \
	     p_index_++)

/* Every M; those that come meanwhile may be missed. */
#define sched_for_each_m(mp)                                                   \
	for ((mp) = sched_first_m(); (mp); (mp) = (mp)->next_all)

static inline int sched_nps(void)
{
	/* N2 acquire, pairs with N1 in pair.c: the P is in its place. */
	return atomic_load_explicit(&sched.nps, memory_order_acquire);
}

static inline int sched_nprocs(void)
{
	/* Relaxed: a number that may change at any time. */
	return atomic_load_explicit(&sched.nprocs, memory_order_relaxed);
}

static inline struct m *sched_first_m(void)
{
	/* N4 acquire, pairs with N3 in pair.c. */
	return atomic_load_explicit(&sched.all_ms, memory_order_acquire);
}

/* The runtime ended, or is about to. */
static inline bool sched_is_stopping(void)
{
	/* Relaxed: OFF, too: a straggler comes back too late. */
	return atomic_load_explicit(&sched.status, memory_order_relaxed) !=
	       SCHED_ON;
}

static inline bool sched_is_on(void)
{
	/* Acquire, pairs with the release in run.c: what start wrote. */
	int s = atomic_load_explicit(&sched.status, memory_order_acquire);

	return s == SCHED_ON || s == SCHED_STOPPING;
}

/* Registered by a constructor of sync. */
void sched_set_hooks(const struct sched_hooks *hooks);

/*
 * sched_go - a new goroutine. kind G_USER or G_SYSTEM (not counted, does not keep
 * the program from being deadlocked). copy: the bytes at arg are copied to its
 * stack. pc: return address of the public call, for dumps.
 */
struct sched_go_args {
	void (*fn)(void *arg);
	const void *arg;
	size_t copy;       /* 0: arg is passed as it is */
	size_t stack_size; /* 0: default */
	const char *name;
	rg_ctx *ctx; /* NULL: inherit */
	uintptr_t pc;
	enum g_kind kind;
	struct bubble *bubble; /* held, see bubble.h; NULL: inherit */
};
int sched_go(const struct sched_go_args *args);
int sched_go_system(void (*fn)(void *arg), void *arg, const char *name);

/* defer_put - fn(arg) at the end of this goroutine, unless defer_take takes d out of its
 * defers, and frees it, before. d comes from rgk_alloc. Goroutines only. */
void defer_put(struct g_defer *d, void (*fn)(void *arg), void *arg);
void defer_take(struct g_defer *d);

/* Pseudo-random 32 bits, per thread; any thread. */
uint32_t sched_rand(void);

/* The coarse clock: a load; at most ~10 ms behind while anything runs. */
static inline rg_time sched_coarse_now(void)
{
	return atomic_load_explicit(&sched.coarse_now, memory_order_relaxed);
}

/*
 * sched_each_g - call fn for every record ever made whose state is not G_IDLE or
 * G_DEAD; stops when fn returns false. The caller sees to it that the world holds
 * still if it needs that. No lock, no allocation.
 */
void sched_each_g(bool (*fn)(struct g *gp, void *arg), void *arg);

/* The goroutine in whose slot (guard included) addr lies, or NULL. */
struct g *sched_g_of_address(const void *addr);

/* sched_run_id - another number for each runtime of the process. */
uint32_t sched_run_id(void);

#endif
