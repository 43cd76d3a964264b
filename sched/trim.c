// SPDX-License-Identifier: MIT
/*
 * trim - see trim.h for the protocol and the invariants.
 *
 * A pass walks over all slots, a few hundred a round. Passes come a second apart, and
 * rarer (up to 4 s) while they find nothing, or where they take so long that it were
 * more than 1 % of a CPU (from some 100,000 goroutines on); a pass that found nothing
 * to do now or later, and after which nothing ran, is the last until something does.
 */
#include "sched/trim.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/reclaim.h"
#include "sched/debugenv.h"
#include "sched/sched.h"
#include "sched/spawn.h"

enum {
	BUDGET_NS = 200 * 1000,
	PAUSE_NS = 5 * 1000 * 1000, /* between rounds of a pass: 4 % of a CPU */
	LOOKS = 256,                /* records a step */
	BATCH = RECLAIM_MAX,
	BATCH_SINGLE = 8, /* where each range costs a shoot-down */
	RED_ZONE = 256,   /* the ABI's is 128 */
	REST = 100,       /* between passes, times what one took */
};

#define PASS_MIN_NS RG_SECOND
#define PASS_MAX_NS (4 * RG_SECOND)

static struct {
	/* sysmon */
	bool is_off; /* it does not work here */
	bool is_able;
	rg_time next_at;
	rg_duration interval; /* between passes */
	rg_duration spent;    /* in the rounds of this pass */
	bool is_passing;
	unsigned class_index; /* the slot that is looked at next ... */
	uint64_t slot;        /* ... of this class */
	bool did_work;        /* this pass */
	bool has_more;        /* something is to be done later */
	uint64_t ticks;       /* of all Ps when the pass began */
	uint32_t unneeded[STACK_CLASSES]; /* free stacks to be vacated */
	struct reclaim batch;

	_Atomic bool is_busy;       /* somebody is in trim_round */
	_Atomic rg_duration hurry;  /* > 0: instead of the ages */
	_Atomic rg_duration dawdle; /* in the windows that are dangerous */
	_Atomic int64_t bytes;
	_Atomic uint32_t dropped; /* a futex: counts the times */
	_Atomic uint32_t waiters; /* for it */
} trim;

static rg_duration hurried(rg_duration d)
{
	rg_duration hurry =
		atomic_load_explicit(&trim.hurry, memory_order_relaxed);

	return hurry > 0 && hurry < d ? hurry : d;
}

static rg_duration age(void)
{
	return hurried(TRIM_AGE_NS);
}

/* For tests: whatever can happen in between shall happen. */
static void dawdle(void)
{
	rg_duration d =
		atomic_load_explicit(&trim.dawdle, memory_order_relaxed);
	struct timespec ts = {0, d};

	if (rg_unlikely(d > 0))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static unsigned batch_size(void)
{
	return reclaim_is_batched() ? BATCH : BATCH_SINGLE;
}

/* ---- the side of those who run goroutines ---- */

/* E3. False: it is claimed. */
static bool enter(struct g *gp)
{
	uint8_t seen = TRIM_DONE;

	/* Acquire, pairs with T6: the pages are gone by then. Not a store: a
	 * claim that comes in between must stay, to be found by T3. */
	return atomic_compare_exchange_strong_explicit(
		       &gp->trim, &seen, TRIM_NONE, memory_order_acquire,
		       memory_order_acquire) ||
	       seen == TRIM_NONE;
}

RG_COLD void trim_enter_slow(struct g *gp)
{
	for (;;) {
		/* Acquire, pairs with tell_waiters: it dropped our claim. */
		uint32_t seen = atomic_load_explicit(&trim.dropped,
						     memory_order_acquire);

		if (enter(gp))
			return;
		/* Seq_cst, pairs with tell_waiters: it sees us, or the futex
		 * sees its count. */
		atomic_fetch_add_explicit(&trim.waiters, 1,
					  memory_order_seq_cst);
		syscall(SYS_futex, &trim.dropped, FUTEX_WAIT_PRIVATE, seen,
			NULL, NULL, 0);
		atomic_fetch_sub_explicit(&trim.waiters, 1,
					  memory_order_relaxed);
	}
}

/* ---- parked goroutines ---- */

static void unclaim(struct g *gp, enum trim_state s)
{
	/* T6 release, pairs with E3: what we did to its stack is done. */
	atomic_store_explicit(&gp->trim, (uint8_t)s, memory_order_release);
}

static void tell_waiters(void)
{
	/* Release, pairs with the acquire in trim_enter_slow: who sees the new
	 * count sees that the claim was dropped. Seq_cst, with waiters: we see
	 * who waits, or it sees the new count. */
	atomic_fetch_add_explicit(&trim.dropped, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&trim.waiters, memory_order_seq_cst))
		syscall(SYS_futex, &trim.dropped, FUTEX_WAKE_PRIVATE, INT_MAX,
			NULL, NULL, 0);
}

/* The M's own fields, read while it writes them (I1). */
static const struct g *curg_of(const struct m *mp)
{
	return __atomic_load_n(&mp->curg, __ATOMIC_RELAXED);
}

static const struct g *prev_of(const struct m *mp)
{
	return __atomic_load_n(&mp->prev, __ATOMIC_RELAXED);
}

static bool is_of_an_m(const struct g *gp,
		       const struct g *(*field)(const struct m *mp))
{
	struct m *mp;

	sched_for_each_m(mp) if (field(mp) == gp) return true;
	return false;
}

/* After a barrier: claims that T3 or T4 has to drop; the others stay in v. */
static unsigned drop_entered(struct g **v, unsigned n,
			     const struct g *(*field)(const struct m *mp))
{
	unsigned kept = 0;

	if (n && !asymbar_heavy())
		trim.is_off = true;
	for (unsigned i = 0; i < n; i++) {
		if (!trim.is_off && g_state(v[i]) == G_WAITING &&
		    !is_of_an_m(v[i], field))
			v[kept++] = v[i];
		else
			unclaim(v[i], TRIM_NONE);
	}
	if (kept < n) {
		trim.has_more = true;
		tell_waiters();
	}
	return kept;
}

/* What lies below the stack pointer (I3). */
static void add_unused(struct g *gp)
{
	char *sp = gp->ctx.sp;

	if (sp > gp->stack_lo + RED_ZONE && sp <= gp->stack_hi)
		reclaim_add(&trim.batch, gp->stack_lo, sp - RED_ZONE);
}

static void flush(void)
{
	int64_t bytes = reclaim_flush(&trim.batch);

	if (bytes < 0)
		trim.is_off = true; /* locked memory: it stays that way */
	else
		atomic_fetch_add_explicit(&trim.bytes, bytes,
					  memory_order_relaxed);
}

/* T2 to T6, of n claims. */
static void trim_claimed(struct g **v, unsigned n)
{
	n = drop_entered(v, n, curg_of);
	n = drop_entered(v, n, prev_of);
	if (!n)
		return;
	if (asymbar_heavy()) {
		for (unsigned i = 0; i < n; i++)
			add_unused(v[i]);
		dawdle();
		flush();
	}
	for (unsigned i = 0; i < n; i++)
		unclaim(v[i], TRIM_DONE);
	tell_waiters();
	trim.did_work = true;
}

/* T1, if gp has been parked for long. */
static bool claim(struct g *gp, rg_time now)
{
	rg_time since;

	if (g_state(gp) != G_WAITING ||
	    atomic_load_explicit(&gp->trim, memory_order_relaxed))
		return false;
	/* Its owner may be writing it; a wrong value costs a claim in vain. */
	since = __atomic_load_n(&gp->wait_since, __ATOMIC_RELAXED);
	if (now - since < age()) {
		trim.has_more = true;
		return false;
	}
	if (gp->goid % 4 == 0)
		dawdle();
	/* Relaxed: T2 follows. Nobody but us writes over NONE. */
	atomic_store_explicit(&gp->trim, TRIM_CLAIMED, memory_order_relaxed);
	return true;
}

/* Some records further. False: that was the last one. */
static bool scan_step(rg_time now)
{
	struct g *claimed[BATCH];
	unsigned n = 0, room = batch_size();

	for (int looks = 0; looks < LOOKS && n < room; looks++) {
		struct stack_arena *a = &sched.stacks[trim.class_index];

		if (trim.slot >= stack_slot_count(a)) {
			trim.slot = 0;
			if (++trim.class_index < STACK_CLASSES)
				continue;
			trim.class_index = 0;
			trim_claimed(claimed, n);
			return false;
		}
		if (!stack_slot_is_vacant(a, trim.slot)) {
			claimed[n] = spawn_g_at(trim.class_index, trim.slot);
			n += claim(claimed[n], now);
		}
		trim.slot++;
	}
	trim_claimed(claimed, n);
	return true;
}

/* ---- dead goroutines ---- */

/* How many stacks of each class nobody needed since the last pass. */
static void find_unneeded(void)
{
	for (unsigned c = 0; c < STACK_CLASSES; c++) {
		bool is_new;

		trim.unneeded[c] = spawn_unneeded(c, &is_new);
		trim.has_more |= is_new;
	}
}

static void vacate(unsigned class_index, struct g **v, unsigned n)
{
	char *slots[BATCH];

	for (unsigned i = 0; i < n; i++) {
		slots[i] = v[i]->stack_lo - STACK_GUARD;
		reclaim_add(&trim.batch, v[i]->stack_lo,
			    slots[i] + stack_slot_size(class_index));
	}
	flush();
	stack_slot_vacate(&sched.stacks[class_index], slots, n);
	trim.did_work = true;
}

/* False: nothing is left to be vacated. */
static bool pool_step(void)
{
	struct g *v[BATCH];

	for (unsigned c = 0; c < STACK_CLASSES; c++) {
		unsigned n = batch_size();

		if (!trim.unneeded[c])
			continue;
		if (n > trim.unneeded[c])
			n = trim.unneeded[c];
		trim.unneeded[c] -= n;
		n = spawn_take_free(c, v, n);
		if (!n)
			trim.unneeded[c] = 0; /* needed after all */
		else
			vacate(c, v, n);
		return true;
	}
	return false;
}

/* ---- rounds ---- */

static uint64_t all_ticks(void)
{
	struct p *pp;
	uint64_t ticks = 0;

	sched_for_each_p(pp) {
		ticks += atomic_load_explicit(&pp->schedtick,
					      memory_order_relaxed);
	}
	return ticks;
}

static void begin_pass(void)
{
	trim.is_passing = true;
	trim.did_work = false;
	trim.has_more = false;
	trim.spent = 0;
	trim.ticks = all_ticks();
	find_unneeded();
}

static void end_pass(rg_time now)
{
	trim.is_passing = false;
	trim.interval *= 2;
	if (trim.did_work || trim.has_more || trim.interval < PASS_MIN_NS)
		trim.interval = PASS_MIN_NS;
	if (trim.interval > PASS_MAX_NS)
		trim.interval = PASS_MAX_NS;
	/* With what is left to do it is not the looking that takes long. */
	if (!trim.did_work && trim.interval < trim.spent * REST)
		trim.interval = trim.spent * REST;
	trim.next_at = now + hurried(trim.interval);
}

static bool is_able(void)
{
	if (!trim.is_able && !trim.is_off) {
		trim.is_able = asymbar_init();
		trim.is_off = !trim.is_able;
	}
	return trim.is_able && !trim.is_off && !debugenv.trimoff && !SAN_IS_ON;
}

/* Something to be done later, or that may have come up since the last pass. */
static rg_time next_call(void)
{
	if (trim.is_passing || trim.has_more || all_ticks() != trim.ticks)
		return trim.next_at;
	return RG_FOREVER;
}

static rg_time round_alone(rg_time now)
{
	rg_time start = clock_now(), end = start;
	bool is_over = false;

	if (!is_able())
		return RG_FOREVER;
	if (now < trim.next_at)
		return next_call();
	if (!trim.is_passing)
		begin_pass();
	trim.next_at = now + hurried(PAUSE_NS);
	do {
		if (!pool_step() && !scan_step(now))
			is_over = true;
		end = clock_now();
	} while (!is_over && !trim.is_off && end - start < BUDGET_NS);
	trim.spent += end - start;
	if (is_over)
		end_pass(now);
	return next_call();
}

/* One at a time. */
static bool begin_alone(void)
{
	/* Acquire, pairs with end_alone. */
	return !atomic_exchange_explicit(&trim.is_busy, true,
					 memory_order_acquire);
}

static void end_alone(void)
{
	/* Release, pairs with begin_alone. */
	atomic_store_explicit(&trim.is_busy, false, memory_order_release);
}

rg_time trim_round(rg_time now)
{
	rg_time next;

	if (!begin_alone())
		return RG_FOREVER;
	next = round_alone(now);
	end_alone();
	return next;
}

static void begin_alone_wait(void)
{
	while (!begin_alone())
		sched_yield();
}

void trim_start(void)
{
	begin_alone_wait();
	trim.is_off = trim.is_passing = false;
	trim.next_at = 0;
	trim.interval = 0;
	end_alone();
}

int64_t trim_bytes(void)
{
	return atomic_load_explicit(&trim.bytes, memory_order_relaxed);
}

void trim_for_tests(rg_duration hurry, rg_duration dawdle_ns)
{
	begin_alone_wait();
	trim.next_at = 0;
	atomic_store_explicit(&trim.hurry, hurry, memory_order_relaxed);
	atomic_store_explicit(&trim.dawdle, dawdle_ns, memory_order_relaxed);
	end_alone();
}
