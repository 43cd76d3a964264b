/* SPDX-License-Identifier: MIT */
/*
 * bubble - goroutines on a fake clock: the scheduler's side of <ringgo/synctest.h>.
 *
 * The goroutines of a bubble are counted: how many there are, and how many of them run
 * or might be woken from outside. When the second number comes to 0 the bubble is
 * idle, and one goroutine is woken: who waits for that (rg_synctest_wait), or the
 * root, the caller of rg_synctest_run, which sets the clock on and fires timers.
 *
 *   I1  all fields of a bubble but `now` change under its lock; the lock is innermost
 *       but for its timer heap's, which is taken on its own.
 *   I2  `running` counts the goroutines that are not durably blocked. A durable park
 *       takes its goroutine out before the commit step publishes it, and who readies
 *       it counts it in again before it is queued.
 *   I3  `active` > 0 keeps the bubble from being found idle: from before a commit step
 *       to after it (so that one that is refused, or woken at once, is no idle
 *       moment), and from the moment in which an idle bubble wakes somebody until
 *       that one runs. So each idle moment is found once, by whoever makes the last of
 *       both counts 0.
 *   I4  G_BLOCKED in g.special is set by the parking side before publication, and
 *       cleared by the one who readies: the lock under which a waiter is found
 *       orders them.
 *   I5  the root parks only as the root; it runs the callbacks of the bubble's timers
 *       on its own stack, and these do not park, so that I2 of timer.h holds. The
 *       clock only moves while nobody else of the bubble can run.
 *   I6  the bubble is freed by the root when it alone is left. Whoever found the
 *       idle moment does not touch it after the unlock.
 *   I7  a bubble's id is never used again, so what outlives it belongs to nobody.
 * Without any bubble the cost is a test of a byte that is in cache, at park and ready.
 * Rejected: counting by state changes in the switch itself, which every goroutine
 * would pay for.
 * After Go's runtime/synctest.go.
 */
#ifndef RG_SCHED_BUBBLE_H
#define RG_SCHED_BUBBLE_H

#include <ringgo/synctest.h>

#include "sched/m.h"

/* How many there are; 0 nearly always. */
extern _Atomic uint32_t bubble_live;

RG_NOINLINE struct bubble *bubble_current_slow(void);

/* bubble_current - that of the calling goroutine, or NULL. Any thread. */
static inline struct bubble *bubble_current(void)
{
	/* Relaxed: who is in one was started, or came back, after the count. */
	if (rg_likely(
		    !atomic_load_explicit(&bubble_live, memory_order_relaxed)))
		return NULL;
	return bubble_current_slow();
}

/* bubble_id - its number, from 1 on; 0: the caller is in no bubble. */
uint32_t bubble_id_of(const struct bubble *b);

static inline uint32_t bubble_id(void)
{
	struct bubble *b = bubble_current();

	return b ? bubble_id_of(b) : 0;
}

/* bubble_check - panic unless the caller is in the bubble to which something belongs.
 * what: "send on", "close of". */
void bubble_check(uint32_t owner, const char *what, const char *thing);

/* The clock of the bubble, and its timers. */
rg_time bubble_now(const struct bubble *b);
struct timer_heap *bubble_timers(struct bubble *b);

/* bubble_real_time - when on the real clock t, a time or 0, of the caller's clock is;
 * RG_FOREVER stays. For I/O. */
rg_time bubble_real_time(rg_time t);

/* bubble_is_durable - whether a wait for that reason can be ended by the goroutine's
 * own bubble only. */
bool bubble_is_durable(enum wait_reason reason);

/* For park.c: commit, around which the counts are kept. */
struct bubble_park {
	park_commit *commit;
	void *arg;
};
bool bubble_commit(struct g *gp, void *park);

/* For park.c: gp, which is in a bubble, is about to be queued. */
void bubble_ready(struct g *gp);

/* bubble_hold, bubble_release - b is not idle in between. The first by one who is of b
 * or holds it; the second does not touch it any more. Any thread. */
void bubble_hold(struct bubble *b);
void bubble_release(struct bubble *b);

/* For spawn.c: a goroutine is born into b, and gp of a bubble ends. */
void bubble_join(struct bubble *b, struct g *gp);
void bubble_leave(struct g *gp);

/* The runtime ended with gp in a bubble; nothing else runs. */
void bubble_forget(struct g *gp);

#endif
