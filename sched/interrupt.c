// SPDX-License-Identifier: MIT
/*
 * interrupt - see interrupt.h for the role and the invariants.
 *
 * What the handler may look at: the M of its thread, and what that M alone writes,
 * because the M's own code is what was interrupted. All else only when the unwind has
 * shown that this code is not the runtime's.
 */
#include "sched/interrupt.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "kernel-iface/textmap.h"
#include "sched/debugenv.h"
#include "sched/freeze.h"
#include "sched/lockthread.h"
#include "sched/netpoll.h"
#include "sched/pair.h"
#include "sched/point.h"
#include "sched/switch.h"
#include "sched/token.h"
#include "sched/wake.h"

static _Atomic uint64_t results[INTERRUPT_RESULT_COUNT];
static _Atomic uint64_t refused[SAFEPOINT_VERDICT_COUNT];
static bool is_on;
static char mark; /* its address is the signals' value */

#define INTERRUPT_NAME_(name, text) text,
int64_t rg_preempt_count(size_t i, const char **what)
{
#define REFUSAL_NAME_(name, text) "refused: " text,
	static const char *const reasons[] = {
		SAFEPOINT_VERDICTS(REFUSAL_NAME_)};
	const char *none;

	if (!what)
		what = &none;
	if (i < INTERRUPT_RESULT_COUNT) {
		*what = interrupt_name((enum interrupt_result)i);
		return (int64_t)interrupt_count((enum interrupt_result)i);
	}
	/* The first two verdicts are no refusals. */
	i += SAFEPOINT_HIJACK + 1 - INTERRUPT_RESULT_COUNT;
	if (i >= SAFEPOINT_VERDICT_COUNT)
		return -1;
	*what = reasons[i];
	return (int64_t)interrupt_refused((enum safepoint_verdict)i);
}

const char *interrupt_name(enum interrupt_result r)
{
	static const char *const names[] = {INTERRUPT_RESULTS(INTERRUPT_NAME_)};

	return names[r];
}

uint64_t interrupt_count(enum interrupt_result r)
{
	/* Relaxed, all of them: numbers by themselves. */
	return atomic_load_explicit(&results[r], memory_order_relaxed);
}

uint64_t interrupt_refused(enum safepoint_verdict v)
{
	return atomic_load_explicit(&refused[v], memory_order_relaxed);
}

static void count(enum interrupt_result r)
{
	atomic_fetch_add_explicit(&results[r], 1, memory_order_relaxed);
}

bool interrupt_is_on(void)
{
	return is_on;
}

bool interrupt_is_mine(const void *value)
{
	return value == &mark;
}

/* ---- asking ---- */

void interrupt_ask(struct m *mp, uint32_t what)
{
	siginfo_t info;

	if (!is_on)
		return;
	/* Relaxed: the signal orders it. One under way will see it, too. */
	if (atomic_fetch_or_explicit(&mp->asked, what, memory_order_relaxed))
		return;
	memset(&info, 0, sizeof info);
	info.si_signo = SIGURG;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = &mark;
	/* Too many signals are queued: asked again in a round. */
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), mp->tid, SIGURG, &info))
		atomic_store_explicit(&mp->asked, 0, memory_order_relaxed);
}

/* ---- leaving the stack ---- */

/* Relaxed: a hint without the lock. */
static void note_pinned(struct m *mp)
{
	atomic_store_explicit(&mp->npinned, mp->pinned.len,
			      memory_order_relaxed);
}

static bool commit_pinned(struct g *gp, void *arg)
{
	struct m *mp = arg;

	g_set_state(gp, G_RUNNABLE);
	if (lockthread_is_locked(gp)) {
		lockthread_give_way(mp, gp);
		return true;
	}
	rtlock_lock(&mp->pin_lock);
	if (!mp->pinned.head)
		mp->pinned_since = sched_coarse_now();
	gqueue_push(&mp->pinned, gp);
	note_pinned(mp);
	rtlock_unlock(&mp->pin_lock);
	return true;
}

struct g *interrupt_pinned(struct m *mp)
{
	struct g *gp;

	/* Relaxed: we alone add. */
	if (!atomic_load_explicit(&mp->npinned, memory_order_relaxed))
		return NULL;
	rtlock_lock(&mp->pin_lock);
	gp = gqueue_pop(&mp->pinned);
	mp->pinned_since = sched_coarse_now();
	note_pinned(mp);
	rtlock_unlock(&mp->pin_lock);
	return gp;
}

bool interrupt_unpin(struct m *mp, rg_time since)
{
	struct gqueue out = {0};

	if (!atomic_load_explicit(&mp->npinned, memory_order_relaxed))
		return false;
	rtlock_lock(&mp->pin_lock);
	if (mp->pinned_since <= since)
		gqueue_append(&out, &mp->pinned);
	note_pinned(mp);
	rtlock_unlock(&mp->pin_lock);
	if (!out.len)
		return false;
	global_put(&out);
	return true;
}

void interrupt_leave_slow(struct m *mp, struct g *gp)
{
	gp->special &= (uint8_t)~G_HIJACKED;
	preempt_hijack_disarm(&mp->hijack);
}

/* On the goroutine's stack, called by a trampoline. */
static void on_landing(void)
{
	struct m *mp = getm();
	struct g *gp = mp->curg;

	interrupt_leave(mp, gp);
	gp->wait_reason = WAIT_PREEMPTED;
	switch_to(mp, gp, &mp->g0, commit_pinned, mp);
}

/* ---- stopping the thread ---- */

/* Sleeps until a token came back, or the runtime stops. */
static void await_token(struct m *mp, void *context)
{
	freeze_answer(context); /* who asked before R3 */
	for (;;) {
		/* R2 acquire, pairs with R1 in token.c. */
		uint32_t was = atomic_fetch_and_explicit(
			&mp->resume, ~(uint32_t)RESUME_POKED,
			memory_order_acquire);

		if (was & RESUME_POKED) {
			freeze_answer(context);
			netpoll_kick(mp);
		}
		if ((was & RESUME_GRANTED) || sched_is_stopping())
			break;
		if (!(was & RESUME_POKED))
			syscall(SYS_futex, &mp->resume, FUTEX_WAIT_PRIVATE, was,
				NULL, NULL, 0);
	}
	rtlock_lock(&sched.lock);
	/* Stopping, without a token: nobody counts any more. */
	if (p_status(mp->own) == P_WAITING)
		token_set(mp->own, P_RUNNING);
	mp->is_given = false;
	atomic_store_explicit(&mp->resume, 0, memory_order_relaxed);
	rtlock_unlock(&sched.lock);
	/* Relaxed, ours: to sysmon a switch; the slice begins now. */
	atomic_fetch_add_explicit(&mp->own->schedtick, 1, memory_order_relaxed);
}

void interrupt_poke(struct m *mp)
{
	/* Release, pairs with R2: what it was poked for. */
	uint32_t old = atomic_fetch_or_explicit(&mp->resume, RESUME_POKED,
						memory_order_release);

	if (old & RESUME_ASLEEP)
		syscall(SYS_futex, &mp->resume, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
}

void interrupt_release_all(void)
{
	struct m *mp;

	sched_for_each_m(mp) interrupt_poke(mp);
}

static void suspend(struct m *mp, void *context)
{
	if (!token_pass_on(mp)) {
		count(INTERRUPT_NO_PAIR);
		return;
	}
	count(INTERRUPT_SUSPENDED);
	/* When nobody else has work the token comes back at once. */
	interrupt_unpin(mp, sched_coarse_now() - INTERRUPT_UNPIN_NS);
	await_token(mp, context);
}

/* ---- at the entries of the library ---- */

static void owe_yield(struct m *mp)
{
	mp->owes_yield = true;
	/* Relaxed: the thread itself will look. */
	atomic_fetch_or_explicit(&sched_attention.bits, ATTENTION_PREEMPT,
				 memory_order_relaxed);
}

void interrupt_point(void)
{
	struct m *mp = getm();

	if (!mp->owes_yield || mp->curg->nopreempt)
		return;
	mp->owes_yield = false;
	/* Relaxed: another M that owes one is asked again in a round. */
	atomic_fetch_and_explicit(&sched_attention.bits,
				  ~(uint32_t)ATTENTION_PREEMPT,
				  memory_order_relaxed);
	sched_yield_global();
}

/* ---- the handler ---- */

/* The user's code, or code called by it. */
static void stop_goroutine(struct m *mp, struct g *gp, void *context)
{
	struct safepoint_flow flow = {(uintptr_t)gp->stack_lo,
				      (uintptr_t)gp->stack_hi};
	struct safepoint sp;

	safepoint_decide(context, &flow, &sp);
	if (sp.verdict == SAFEPOINT_SWITCH) {
		count(INTERRUPT_SWITCHED);
		preempt_redirect(context);
		return;
	}
	if (sp.verdict == SAFEPOINT_HIJACK &&
	    preempt_hijack_arm(&mp->hijack, sp.slot)) {
		gp->special |= G_HIJACKED;
		count(INTERRUPT_HIJACKED);
		return;
	}
	atomic_fetch_add_explicit(&refused[sp.verdict], 1,
				  memory_order_relaxed);
	if (!sched_is_stopping())
		suspend(mp, context);
}

static bool is_stoppable(struct m *mp, struct g *gp)
{
	if (gp == &mp->g0 || gp->kind != G_USER || !mp->p ||
	    g_state(gp) != G_RUNNING) {
		count(INTERRUPT_NOT_RUNNING);
		return false;
	}
	return true;
}

void interrupt_on_signal(void *context)
{
	struct m *mp = getm();
	struct safepoint_flow flow;
	struct g *gp;
	uint32_t asked;

	if (!mp)
		return;
	/* Relaxed: the signal orders it. */
	asked = atomic_exchange_explicit(&mp->asked, 0, memory_order_relaxed);
	if (!asked)
		return;
	gp = mp->curg;
	if (!is_stoppable(mp, gp))
		return;
	flow = (struct safepoint_flow){(uintptr_t)gp->stack_lo,
				       (uintptr_t)gp->stack_hi};
	if (!safepoint_is_outside(context, &flow)) {
		atomic_fetch_add_explicit(&refused[SAFEPOINT_RUNTIME], 1,
					  memory_order_relaxed);
		if (asked & ASKED_STOP)
			owe_yield(mp);
		return;
	}
	pair_quiesced(mp);
	if (netpoll_kick(mp))
		count(INTERRUPT_KICKED);
	if (!(asked & ASKED_STOP))
		return;
	if (gp->nopreempt)
		count(INTERRUPT_DISABLED);
	else
		stop_goroutine(mp, gp, context);
}

/* ---- start ---- */

void interrupt_start(void)
{
	static bool has_warned;

	/* Relaxed: no M yet. One of a former runtime may have owed a yield. */
	atomic_fetch_and_explicit(&sched_attention.bits,
				  ~(uint32_t)ATTENTION_PREEMPT,
				  memory_order_relaxed);
	is_on = !SAN_IS_ON && !debugenv.asyncpreemptoff;
	if (!is_on)
		return;
	preempt_switch_hook = on_landing;
	safepoint_start();
	is_on = textmap_is_usable();
	if (textmap_malloc_is_inside() && !has_warned) {
		has_warned = true;
		fputs("ringgo: malloc is linked into the executable: its text "
		      "cannot be told from yours, so whole threads are "
		      "preempted instead of goroutines (slower; "
		      "docs/fairness.md)\n",
		      stderr);
	}
}

/* ---- public ---- */

void rg_preempt_disable(void)
{
	if (is_goroutine())
		getg()->nopreempt++;
}

void rg_preempt_enable(void)
{
	struct g *gp;

	if (!is_goroutine())
		return;
	gp = getg();
	if (!gp->nopreempt)
		rg_panic("rg_preempt_enable without rg_preempt_disable");
	gp->nopreempt--;
}
