// SPDX-License-Identifier: MIT
/*
 * sysmon - the thread that looks after the others; it has no P, no ring, no stack of
 * goroutines.
 *
 * Each round, while any P runs:
 *   Y1  the coarse clock is refreshed;
 *   Y2  a P whose queue holds work while another P is idle and nobody spins: wake one
 *       (sched_ready does not wake for a single goroutine in `next`);
 *   Y3  timers that are overdue by a round fire here: their Ps are busy with long
 *       goroutines; what they ready goes to the global queue;
 *   Y4  completions in the ring of an M that has not looked for a round are reaped
 *       here, where the kernel posts them without the owner (COOP mode), and go to
 *       the global queue.
 * It sleeps 50 us after a round in which it had to step in, doubling up to 1 ms while
 * Ps run, and without limit (futex) when nothing ran for QUIET_ROUNDS; an M that takes a P
 * wakes it then. After Go's sysmon; preemption by signal joins here later.
 *   I1  it never allocates and takes no lock that user code can hold.
 *   I2  sched.external is raised while timers fire or rings are reaped here, so that
 *       "everyone is asleep" is not concluded from what was just emptied.
 */
#include "sched/sysmon.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/clock.h"
#include "sched/deadlock.h"
#include "sched/netpoll.h"
#include "sched/sched.h"
#include "sched/seed.h"
#include "sched/wake.h"

enum { NAP_MIN_NS = 50 * 1000, NAP_MAX_NS = 1000 * 1000, QUIET_ROUNDS = 20 };

_Atomic uint32_t sysmon_asleep;
static _Atomic uint32_t stopping;
static _Atomic int tid;
static pthread_t thread;
static bool is_started;

int sysmon_tid(void)
{
	return atomic_load_explicit(&tid, memory_order_relaxed);
}

void sysmon_wake_slow(void)
{
	/* Seq_cst, pairs with sleep_long. */
	if (atomic_exchange_explicit(&sysmon_asleep, 0, memory_order_seq_cst))
		syscall(SYS_futex, &sysmon_asleep, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
}

static bool is_all_idle(void)
{
	return atomic_load_explicit(&sched.nidle_ps, memory_order_seq_cst) ==
	       sched.nprocs;
}

static bool is_stopping(void)
{
	return atomic_load_explicit(&stopping, memory_order_relaxed) != 0;
}

/* The last M to sleep may have found us in the middle of a round (I2). */
static void look_for_deadlock(void)
{
	bool is_likely;

	rtlock_lock(&sched.lock);
	is_likely = deadlock_is_likely_locked();
	rtlock_unlock(&sched.lock);
	if (is_likely)
		deadlock_check();
}

static void sleep_long(void)
{
	/* Seq_cst, pairs with sysmon_notify: it sees us asleep, or we see its
	 * P. */
	atomic_store_explicit(&sysmon_asleep, 1, memory_order_seq_cst);
	while (is_all_idle() && !is_stopping() &&
	       atomic_load_explicit(&sysmon_asleep, memory_order_relaxed))
		syscall(SYS_futex, &sysmon_asleep, FUTEX_WAIT_PRIVATE, 1, NULL,
			NULL, 0);
	atomic_store_explicit(&sysmon_asleep, 0, memory_order_relaxed);
}

/*
 * Y2. What is in `next` alone belongs to a pair that readies each other, as long as
 * the P goes on switching: a thief would only tear it apart (channel ping-pong on
 * two Ps: 100 ns a round trip with, 63 without a thief; 2026-11).
 */
static bool rescue_queue(struct p *pp, bool is_switching)
{
	uint32_t n = runq_len(&pp->runq);

	if (n <= is_switching ||
	    !atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed))
		return false;
	wake_p();
	return true;
}

/* Y3. */
static bool fire_overdue(struct p *pp, rg_time now)
{
	unsigned n;

	/* Relaxed: a look. A round's grace: the owner is usually quicker. */
	if (atomic_load_explicit(&pp->timers.earliest, memory_order_relaxed) >
	    now - NAP_MIN_NS)
		return false;
	atomic_fetch_add_explicit(&sched.external, 1, memory_order_seq_cst);
	n = timer_heap_run(&pp->timers, now);
	atomic_fetch_sub_explicit(&sched.external, 1, memory_order_seq_cst);
	return n > 0;
}

/* True: the P switched goroutines since the last round. */
static bool note_tick(struct p *pp, rg_time now)
{
	uint32_t tick =
		atomic_load_explicit(&pp->schedtick, memory_order_relaxed);

	if (tick == pp->seen_tick)
		return false;
	pp->seen_tick = tick;
	pp->seen_when = now;
	return true;
}

/* Y4. The owner of pp runs the same goroutine as a round ago. */
static bool rescue_ring(struct p *pp)
{
	struct m *mp = pp->m; /* a stale M's ring may be reaped as well */
	bool found = false;

	if (mp) {
		/* Seq_cst, pairs with the looks of deadlock.c (I2). */
		atomic_fetch_add_explicit(&sched.external, 1,
					  memory_order_seq_cst);
		found = netpoll_rescue(mp);
		atomic_fetch_sub_explicit(&sched.external, 1,
					  memory_order_seq_cst);
	}
	return found;
}

struct round {
	bool is_active; /* a P switched goroutines */
	bool did_help;
};

static struct round round_once(void)
{
	struct round r = {false, false};
	rg_time now = clock_now();
	struct p *pp;

	if (seed_is_on())
		return r;
	atomic_store_explicit(&sched.coarse_now, now, memory_order_relaxed);
	sched_for_each_p(pp) {
		bool is_switching = note_tick(pp, now);

		r.is_active |= is_switching;
		if (!is_switching)
			r.did_help |= rescue_ring(pp);
		r.did_help |= rescue_queue(pp, is_switching);
		r.did_help |= fire_overdue(pp, now);
	}
	return r;
}

static void nap(long ns)
{
	struct timespec ts = {0, ns};

	/* A signal only shortens it. */
	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static void *sysmon_main(void *arg)
{
	long nap_ns = NAP_MIN_NS;
	int quiet = 0;

	(void)arg;
	pthread_setname_np(pthread_self(), "rg-sysmon");
	atomic_store_explicit(&tid, (int)syscall(SYS_gettid),
			      memory_order_relaxed);
	while (!is_stopping()) {
		struct round r = round_once();

		if (r.is_active || r.did_help) {
			quiet = 0;
		} else if (is_all_idle() && ++quiet > QUIET_ROUNDS) {
			look_for_deadlock();
			sleep_long();
			quiet = 0;
			nap_ns = NAP_MIN_NS;
		}
		if (r.did_help)
			nap_ns = NAP_MIN_NS;
		nap(nap_ns);
		nap_ns = nap_ns * 2 < NAP_MAX_NS ? nap_ns * 2 : NAP_MAX_NS;
	}
	return NULL;
}

int sysmon_start(void)
{
	sigset_t all, old;
	int err;

	atomic_store_explicit(&stopping, 0, memory_order_relaxed);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, sysmon_main, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	is_started = !err;
	/* Its id is known before anybody counts threads (deadlock.c). */
	while (is_started && !sysmon_tid())
		sched_yield();
	return -err;
}

void sysmon_stop(void)
{
	if (!is_started)
		return;
	/* Seq_cst, pairs with is_stopping in sleep_long. */
	atomic_store_explicit(&stopping, 1, memory_order_seq_cst);
	sysmon_wake_slow();
	pthread_join(thread, NULL);
	is_started = false;
	atomic_store_explicit(&tid, 0, memory_order_relaxed);
}
