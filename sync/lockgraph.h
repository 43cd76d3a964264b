/* SPDX-License-Identifier: MIT */
/*
 * lockgraph - who holds what and who waits for it, with RINGGO_DEBUG=deadlock=1: a
 * deadlock among some goroutines is reported when its last one is about to park,
 * while the others go on. Without the switch each hook is a load and a branch.
 *
 *   I1  a hold is noted after the lock was taken, and dropped before it is given back:
 *       what is noted is held.
 *   I2  a wait is listed, under the lock of the parking lot's bucket, by the decision to
 *       park, and dropped under it by who wakes: what is listed is parked, or about to.
 *   I3  the graph's lock is the innermost: nothing is called with it held.
 *   I4  by I1 and I2 a cycle is a deadlock, if whoever takes a lock gives it back. A lock
 *       that was once given back by another goroutine is loose: it is never looked at
 *       again. Until it has been, a report about it may be wrong; so it is one, not a
 *       panic.
 *   I5  goroutines only. What a foreign thread holds is not known, and not noted.
 * A member of a wait group (rg_waitgroup_go, groups, scopes) holds it until it ends:
 * who waits for all members waits for each.
 */
#ifndef RG_SYNC_LOCKGRAPH_H
#define RG_SYNC_LOCKGRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel-iface/base/check.h"
#include "sched/debugenv.h"
#include "sched/g.h"

enum lock_how { HOLD_WRITE, HOLD_READ, HOLD_MEMBER, HOLD_LOOSE };

/* A wait; on the waiter's stack. The first four are the caller's to set. */
struct lockwait {
	const void *lock;
	const char *what; /* "rg_mutex" */
	uintptr_t pc;     /* of the call that waits */
	uint8_t how;
	/* under the graph's lock */
	bool is_listed;
	struct lockwait *next_lock, *next_g;
	uint64_t goid;
	uint64_t search; /* the last one that came by */
	/* own */
	bool is_found, is_reported;
};

static inline bool lockgraph_is_on(void)
{
	return rg_unlikely(debugenv.deadlock != 0);
}

/* lockgraph_took - the caller holds lock now. lockgraph_gives - it is about to give it
 * back, or is not its member any more. Any context that may lock. */
void lockgraph_took(const void *lock, const char *what, enum lock_how how,
		    uintptr_t pc);
void lockgraph_gives(const void *lock, enum lock_how how);

/*
 * lockgraph_parks - w's goroutine is about to park; the bucket's lock is held. false:
 * that would close a circle, it is not to park but to call lockgraph_report and to try
 * again.
 */
bool lockgraph_parks_slow(struct lockwait *w);

static inline bool lockgraph_parks(struct lockwait *w)
{
	return !lockgraph_is_on() || lockgraph_parks_slow(w);
}

/* lockgraph_wakes - gp (NULL: each) that waits at lock is about to be woken. */
void lockgraph_wakes(const void *lock, const struct g *gp);

/* lockgraph_report - say what lockgraph_parks found, if it has; may park. */
void lockgraph_report_slow(struct lockwait *w);

static inline void lockgraph_report(struct lockwait *w)
{
	if (rg_unlikely(w->is_found))
		lockgraph_report_slow(w);
}

/* lockgraph_reset - the runtime ended. */
void lockgraph_reset(void);

/* A circle: each step's goroutine waits for what that of the next one has; the last
 * step's for what the first one's has. */
struct lockstep {
	uint64_t goid;
	const void *lock;
	const char *what;
	uintptr_t wait_pc;
	uintptr_t
		hold_pc; /* of the next one; 0: it waits itself, as a writer */
	uint8_t how;     /* of the next one's hold */
};

enum { LOCKCIRCLE_MAX = 16 };

struct lockcircle {
	struct lockcircle *next; /* const once it is listed */
	unsigned n;
	struct lockstep step[LOCKCIRCLE_MAX];
};

/* lockgraph_circles - all that were reported in this runtime, the newest first. They
 * live until lockgraph_reset. */
const struct lockcircle *lockgraph_circles(void);

#endif
