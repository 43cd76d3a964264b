/* SPDX-License-Identifier: MIT */
/*
 * token - the right to run goroutines, and the pairs of M and P it moves between.
 *
 * Go hands a P from one M to another. Here a P belongs to one M for life, because the
 * P's timers and the M's ring have to be looked after by one thread, and what moves is a
 * token. There are `nprocs` of them (rg_gomaxprocs). The status of a P says where they are:
 *   P_RUNNING  has one; its M runs goroutines, or looks for some;
 *   P_IDLE     one lies here: whoever has work to give may wake this M (wake.c);
 *   P_SPARE    none; its M sleeps, and looks after timers and ring;
 *   P_LOST     none: it was taken away because the M is blocked in a system call that a
 *              goroutine made by itself. The M does not know: when the call returns it
 *              runs on, until it settles at its next look for work, or sysmon sees
 *              it computing and stops it;
 *   P_WAITING  none, but goroutines that only this M can run: it was stopped in a
 *              signal handler, or has preempted goroutines (interrupt.h), or one that
 *              is locked to it is ready. First come, first served;
 *   P_AWAY     none and no need of one: its M serves one locked goroutine, which waits
 *              (lockthread.h), or its thread has ended.
 *
 *   I1  all of it is under sched.lock; counters are read without.
 *   I2  running + idle = nprocs as far as there are pairs; more run only after nprocs
 *       went down (until they settle), and then none is idle.
 *   I3  none is idle while one waits.
 *   I4  the run queue of a P that is idle, spare or away is empty. Queues of others may
 *       be stolen from, whatever their M does.
 *   I5  nobody takes anything from a lost P but its token, and what lies in its run
 *       queue, as thieves do at any time: so no step of the M's own code can be
 *       surprised by the loss, and nothing has to be signalled.
 *   I6  locked goroutines that are ready and goroutines in the global queue take turns
 *       where each hand-over decides between them (sched.turn_was_bound): neither
 *       starves the other. Who got a token runs something before it hands it on.
 * Rejected: Go's P handed on for real. The M that comes back would have to be kept from
 * touching it by a check at each entry into the runtime (0.5-1 ns each), or a signal would
 * have to end its system call with EINTR.
 */
#ifndef RG_SCHED_TOKEN_H
#define RG_SCHED_TOKEN_H

#include "sched/sched.h"

/* Bits of sched.settle. */
enum { SETTLE_EXCESS = 1, SETTLE_DUE = 2 };

static inline enum p_status p_status(const struct p *pp)
{
	/* Relaxed: a look; who acts on it looks again under the lock. */
	return atomic_load_explicit(&pp->status, memory_order_relaxed);
}

/* ---- under sched.lock ---- */

/* token_set - pp changes its status: counters and lists follow. */
void token_set(struct p *pp, enum p_status status);

/* token_balance - restore I2 and I3. Returns Ms that got a token by it, linked by
 * next_granted: token_wake_granted after the lock was released. */
struct m *token_balance(void);

/* token_take_idle - an idle P is running now, or NULL. */
struct p *token_take_idle(void);

/* token_take_own - mp's own P is running now, with any idle token; false: none is. */
bool token_take_own(struct m *mp);

/* ---- without the lock ---- */

void token_wake_granted(struct m *list);

/* A new pair, spare. */
void token_join(struct p *pp);

/* The M of pp blocks: its token goes to others. False: it has none, or no pair is
 * there to use it (one more was asked for). sysmon. */
bool token_take_away(struct p *pp);

/* The queue of a lost P goes to the global one: those who have work of their own never
 * steal. False: it is not lost, or there is nothing. sysmon, while its M is blocked. */
bool token_rob(struct p *pp);

/* A lost P computes again: true, it has a token now. sysmon. */
bool token_give_back(struct p *pp);

/* What the calling M, which holds its P, owes: true: it still has it. */
bool token_settle(struct m *mp);

static inline bool token_must_settle(const struct m *mp)
{
	/* Relaxed: a look. */
	return p_status(mp->own) != P_RUNNING ||
	       atomic_load_explicit(&sched.settle, memory_order_relaxed);
}

/* The calling M gives its token up and keeps nothing in its queue; afterwards it has
 * no P. A bound one's goes to a spare pair at once when others are queued. */
void token_drop(struct m *mp);

/* ---- of Ms with a locked goroutine: lockthread.h ---- */

/* token_ready_bound - mp's goroutine is ready: a token for it, at once or in its turn;
 * is_urgent: it had waited, and whoever runs shall settle soon. Any thread. */
void token_ready_bound(struct m *mp, bool is_urgent);

/* token_turn_bound - the calling M, which has its P: true: its goroutine is ready, and
 * the token is still its own; it is to run now. Else: token_drop. */
bool token_turn_bound(struct m *mp);

/* token_take_spare - an M that sleeps without need of a token, now away; NULL: none.
 * token_adopt - mp, which sleeps or has not started yet, is away. */
struct m *token_take_spare(void);
void token_adopt(struct m *mp);

/*
 * token_pass_on - the calling M, in a signal handler outside the runtime, gives its
 * token to another pair and waits: mp->resume becomes 1 when it got one again. False:
 * nobody is there to take it.
 */
bool token_pass_on(struct m *mp);

/* The head of those that wait has done so for ns: have somebody settle. sysmon. */
bool token_check_due(rg_time now, int64_t ns);

/* rg_gomaxprocs. Returns the former number. token_follow_procs - the same if *still
 * holds under the lock. */
int token_set_procs(int n);
void token_follow_procs(int n, const _Atomic bool *still);

#endif
