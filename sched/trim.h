/* SPDX-License-Identifier: MIT */
/*
 * trim - memory of stacks that nobody uses is given back: below the stack pointer of
 * goroutines that have been parked for long, and whole stacks of dead ones that have
 * not been needed for long.
 *
 * sysmon calls trim_round, which does a little at a time. The hard part is a goroutine
 * that is readied and runs while the pages below its stack pointer are being thrown
 * away: its new frames would be lost. So it is claimed before, and whoever switches to
 * it looks for a claim. Only the trimmer pays for the ordering (asymbar.h):
 *   T1  the trimmer turns gp->trim from NONE into CLAIMED, for some dozens of
 *       goroutines that wait;
 *   T2  heavy barrier;
 *   T3  it drops those whose state is not WAITING, or that are some M's curg;
 *   T4  heavy barrier; it drops those that are some M's prev;
 *   T5  heavy barrier; it reads the stack pointers, gives back what lies below;
 *   T6  gp->trim = DONE (release), wakes who waits in E3. What it drops: NONE.
 * And whoever makes gp run on M (trim_enter):
 *   E1  M.curg = gp, state = RUNNING;
 *   E2  light barrier, looks at gp->trim: mostly 0, and gp runs;
 *   E3  waits while it is CLAIMED (acquire, pairs with T6), turns DONE into NONE, then
 *       gp runs.
 * And whoever stops gp on M:
 *   L1  M.prev = gp, M.curg = another;  L2  gp's context is saved;
 *   L3  M.prev = another: at the next stop of a goroutine on M, or when M's scheduler
 *       falls asleep.
 *
 *   I1  from T5 to T6 no thread stands on gp's stack, and its context is the one that
 *       was saved last. For suppose M does. If M's E2 came after the barrier T2, it
 *       saw the claim and waits. So it came before, and with it E1: T3 sees
 *       M.curg == gp, or a later value, which L1 wrote. In that case T4 sees the
 *       M.prev of L1 and drops gp, or a later one, of L3, before which (in M's
 *       program) the context was saved and the stack left; T5 makes that visible.
 *       To enter the stack once more needs an E2 after T2. Nobody but the trimmer
 *       takes a claim away: E3 changes DONE alone, by compare-and-swap.
 *       All Ms are looked at: one that is not in the list yet was not started at T2.
 *       (tests/model/trim.pml searches all states of this.)
 *   I2  between T1 and T6 the trimmer takes no lock and waits for nobody: who waits
 *       in E3 may hold any lock (the commit of who parked before it is still to run).
 *   I3  only whole pages between the lowest usable byte and the stack pointer less a
 *       red zone are given back: nothing that the goroutine, the kernel (buffers of
 *       operations) or others (pointers into its frames) may use. A goroutine whose
 *       stack pointer is not in its own slot (it switched by itself) is left alone.
 *   I4  a goroutine is trimmed once in a park.
 *   I5  a dead goroutine's slot is vacated only after it was taken off the free list:
 *       nobody else knows it then. Its record reads as G_IDLE afterwards (g.h, I1).
 *   I6  never allocates; the locks it takes (sched.lock, an arena's) are held for
 *       some dozens of list steps, and not while memory is given back.
 * Every way onto a goroutine's stack is switch_to (switch.h) or the switch of one that
 * ends (proc.c): also of those that were preempted, pinned or stopped in a handler. These
 * are RUNNABLE or RUNNING, never WAITING, so they are not trimmed at all.
 * What is lost: up to 256 dead stacks a P stay warm. Off with sanitizers: they keep
 * records of their own of what lies on a stack.
 * Rejected: a compare-and-swap in each switch (5 ns of 10); stopping the world (tens of
 * microseconds for everybody, and for nothing); trimming by the goroutine itself as it
 * parks (it knows not for how long). DEBUG: RINGGO_DEBUG=trimoff=1.
 */
#ifndef RG_SCHED_TRIM_H
#define RG_SCHED_TRIM_H

#include "kernel-iface/asymbar.h"
#include "sched/m.h"

enum trim_state { TRIM_NONE, TRIM_CLAIMED, TRIM_DONE };

/* How long a goroutine is parked before it is trimmed. */
#define TRIM_AGE_NS (2 * RG_SECOND)

/* trim_start - a runtime begins; nobody runs yet. */
void trim_start(void);

/*
 * trim_round - some 200 us of work at most, if it is time. Returns when it wants to be
 * called again; RG_FOREVER: not before goroutines have run. For sysmon; a second
 * caller at the same time is told RG_FOREVER. Not on an M.
 */
rg_time trim_round(rg_time now);

/* trim_bytes - how many were given back in the life of the process. Any thread. */
int64_t trim_bytes(void);

/* trim_for_tests - from now on no age or pause is longer than hurry (0: the defaults);
 * between the steps of the protocol the trimmer sleeps for dawdle_ns. */
void trim_for_tests(rg_duration hurry, rg_duration dawdle_ns);

/* trim_forget - L3, for a scheduler that falls asleep: whoever parked last on mp, whose
 * context is saved, is not kept from being trimmed. On mp's g0. */
static inline void trim_forget(struct m *mp)
{
	mp->prev = &mp->g0;
}

void trim_enter_slow(struct g *gp);

/* trim_enter - E2, E3. gp is next on the calling M, whose curg it is already. */
static inline void trim_enter(struct g *gp)
{
	asymbar_light();
	/* Relaxed: the other side has the barrier. */
	if (rg_unlikely(atomic_load_explicit(&gp->trim, memory_order_relaxed)))
		trim_enter_slow(gp);
}

#endif
