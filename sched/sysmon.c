// SPDX-License-Identifier: MIT
/*
 * sysmon - the thread that looks after the others; it has no P, no ring, no stack of
 * goroutines.
 *
 * Each round, while any P runs:
 *   Y1  the coarse clock is refreshed;
 *   Y2  a P whose queue holds work while a token is idle and nobody spins: wake one
 *       (sched_ready does not wake for a single goroutine in `next`);
 *   Y3  timers that are overdue by a round fire here: their Ps are busy with long
 *       goroutines; what they ready goes to the global queue;
 *   Y4  completions in the ring of an M that has not looked for a round are reaped
 *       here, where the kernel posts them without the owner (COOP mode), and go to
 *       the global queue; where it needs the owner for it, or something waits to be
 *       submitted, that M is kicked by a signal;
 *   Y5  an M that did not use any CPU for a round, in the same goroutine, and sleeps in
 *       the kernel, is blocked by a system call of the user's: its token is taken
 *       away (token.h). No signal is sent: that would end many calls with EINTR.
 *       (Only what waits unsubmitted in its ring, or to be cancelled, is worth a kick,
 *       after 10 ms.)
 *       Where /proc does not say whether it sleeps, UNKNOWN_NS without CPU do.
 *   Y6  a goroutine that computes is asked to stop (interrupt.h): after
 *       INTERRUPT_SHORT_NS when something waits that was readied meanwhile and no
 *       token is free; after INTERRUPT_SLICE_NS when others that compute wait their turn.
 *       At the end of the runtime all that compute are: their stacks are left for good.
 *       An M that is blocked or stopped gives up the goroutines pinned to it when they
 *       have waited for INTERRUPT_UNPIN_NS.
 *   Y7  memory of stacks that nobody uses goes back, a little a round (trim.h).
 *   Y8  the default number of Ps follows affinity mask and cgroup (procslimit.h).
 * It sleeps 50 us after a round in which it had to step in, doubling up to 1 ms while
 * Ps run (no longer than until the first timer of those that compute), and without
 * limit (futex) when nothing ran for QUIET_ROUNDS; an M that takes a token wakes it
 * then. While all that run are blocked, and for long, it looks every 10 ms or when an
 * M takes a token. After Go's sysmon.
 *   I1  it never allocates and takes no lock that user code can hold.
 *   I2  sched.external is raised while timers fire or rings are reaped here, so that
 *       "everyone is asleep" is not concluded from what was just emptied.
 */
#include "sched/sysmon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/clock.h"
#include "sched/deadlock.h"
#include "sched/netpoll.h"
#include "sched/pair.h"
#include "sched/interrupt.h"
#include "sched/procslimit.h"
#include "sched/sched.h"
#include "sched/schedtrace.h"
#include "sched/seed.h"
#include "sched/textbuf.h"
#include "sched/token.h"
#include "sched/trim.h"
#include "sched/wake.h"

enum {
	NAP_MIN_NS = 50 * 1000,
	NAP_MAX_NS = 1000 * 1000,
	NAP_BLOCKED_NS = 10 * 1000 * 1000,
	QUIET_ROUNDS = 20
};

/* Longer than most threads that want to run wait for a CPU. */
#define UNKNOWN_NS (20 * RG_MILLISECOND)

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
	return !atomic_load_explicit(&sched.nbusy_ps, memory_order_seq_cst);
}

static bool is_stopping(void)
{
	/* Seq_cst, pairs with sysmon_stop: it sees us asleep, or we see it. */
	return atomic_load_explicit(&stopping, memory_order_seq_cst) != 0;
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

/* False: it is `until`. */
static bool wait_asleep(rg_time until)
{
	rg_duration left = until == RG_FOREVER ? 0 : until - clock_now();
	struct timespec ts;

	if (until != RG_FOREVER && left <= 0)
		return false;
	ts = (struct timespec){left / RG_SECOND, left % RG_SECOND};
	syscall(SYS_futex, &sysmon_asleep, FUTEX_WAIT_PRIVATE, 1,
		until == RG_FOREVER ? NULL : &ts, NULL, 0);
	return true;
}

/* Until something runs. False: it is `until`, and nothing did. */
static bool sleep_long(rg_time until)
{
	bool is_early = true;

	/* Seq_cst, pairs with sysmon_notify: it sees us asleep, or we see its
	 * P. */
	atomic_store_explicit(&sysmon_asleep, 1, memory_order_seq_cst);
	while (is_early && is_all_idle() && !is_stopping() &&
	       atomic_load_explicit(&sysmon_asleep, memory_order_relaxed))
		is_early = wait_asleep(until);
	atomic_store_explicit(&sysmon_asleep, 0, memory_order_relaxed);
	return is_early;
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

/* Y4. */
static bool rescue_ring(struct m *mp)
{
	bool found;

	/* Seq_cst, pairs with the looks of deadlock.c (I2). */
	atomic_fetch_add_explicit(&sched.external, 1, memory_order_seq_cst);
	found = netpoll_rescue(mp);
	atomic_fetch_sub_explicit(&sched.external, 1, memory_order_seq_cst);
	return found;
}

/* ---- blocked threads ---- */

/* The state letter of /proc/self/task/TID/stat, or 0: no descriptor left, no /proc. */
static char thread_state(int thread_id)
{
	char path[48], text[128], *end;
	struct textbuf b;
	ssize_t n;
	long fd;

	textbuf_init(&b, path, sizeof path - 1, -1, NULL);
	textbuf_str(&b, "/proc/self/task/");
	textbuf_dec(&b, (uint64_t)thread_id);
	textbuf_str(&b, "/stat");
	path[b.len] = 0;
	/* Past libc: to ThreadSanitizer the number is a goroutine's, if anybody's. */
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = syscall(SYS_read, fd, text, sizeof text - 1);
	syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = 0;
	/* "TID (name) S ...", and the name may hold anything. */
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

/* For a lock or a pipe; for a disk, or a vforked child. */
static bool is_asleep(char state)
{
	return state == 'S' || state == 'D';
}

static int64_t cpu_time(const struct m *mp)
{
	struct timespec ts;

	if (clock_gettime(mp->cpu_clock, &ts))
		return -1;
	return ts.tv_sec * RG_SECOND + ts.tv_nsec;
}

/* Its call returned and it went into the next one: it has no use for a token, which
 * would be missing elsewhere for the rounds that it takes to find that out. */
static bool is_lost_again(struct p *pp)
{
	return p_status(pp) == P_LOST && pp->blocked_rounds &&
	       is_asleep(thread_state(pp->home->tid));
}

/* Y5. Of a P that did not switch since the last round: did its thread not run, either,
 * because it sleeps in the kernel? */
static bool is_blocked(struct p *pp, rg_time now)
{
	int64_t cpu = cpu_time(pp->home);
	char state;

	if (!pp->seen_cpu)
		pp->base_cpu = cpu;
	if (cpu < 0 || cpu != pp->seen_cpu) {
		pp->seen_cpu = cpu;
		pp->seen_idle = now;
		if (is_lost_again(pp))
			return true;
		pp->blocked_rounds = 0;
		return false;
	}
	if (pp->blocked_rounds) {
		pp->blocked_rounds = 2;
		return true;
	}
	/* Off its CPU, or asleep? */
	state = thread_state(pp->home->tid);
	if (!is_asleep(state) && (state || now - pp->seen_idle < UNKNOWN_NS))
		return false;
	pp->blocked_rounds = 1;
	return true;
}

/* ---- a round ---- */

struct round {
	rg_time now;
	rg_time next_timer; /* of Ps that do not look themselves */
	uint32_t waiting;   /* goroutines that nobody comes to run */
	bool is_active;     /* a P switched goroutines */
	bool did_help;
	bool is_computing; /* a P runs one for long */
	bool has_blocked_io;
	rg_duration next_trace;
};

static bool has_idle_token(void)
{
	return atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed) > 0;
}

static void look_after_blocked(struct round *r, struct p *pp)
{
	struct m *mp = pp->home;

	pair_quiesced(mp);
	if (p_status(pp) == P_RUNNING) {
		/* Twice, 50 us apart: it may just be waking. */
		if (pp->blocked_rounds >= 2)
			token_take_away(pp);
		r->is_computing = r->did_help = true;
	}
	/* It may have come back, readied somebody, and blocked again. */
	r->did_help |= token_rob(pp);
	r->did_help |= interrupt_unpin(mp, r->now - INTERRUPT_UNPIN_NS);
	if (ring_inflight(&mp->ring) > 0)
		r->has_blocked_io = true;
	if (netpoll_wants_kick(mp) &&
	    r->now - pp->seen_when >= INTERRUPT_SLICE_NS) {
		interrupt_ask(mp, ASKED_KICK);
		pp->seen_when = r->now; /* again in a slice */
	}
}

/* Y6. How long the goroutine may have run, or RG_FOREVER. */
static rg_duration allowance(struct round *r, struct p *pp)
{
	uint32_t settle =
		atomic_load_explicit(&sched.settle, memory_order_relaxed);

	if (sched_is_stopping())
		return INTERRUPT_SHORT_NS;
	if (p_status(pp) == P_LOST)
		return token_give_back(pp) ? RG_FOREVER : 0;
	if (r->waiting && !has_idle_token())
		return INTERRUPT_SHORT_NS;
	if (settle ||
	    atomic_load_explicit(&pp->home->npinned, memory_order_relaxed))
		return INTERRUPT_SLICE_NS;
	return RG_FOREVER;
}

/* What it should be asked for; 0: nothing. */
static uint32_t demand(struct round *r, struct p *pp)
{
	rg_duration allowed = allowance(r, pp);

	/* One that waits for a CPU is no hog. */
	int64_t used = pp->seen_cpu - pp->base_cpu;

	if (allowed != RG_FOREVER && r->now - pp->seen_when >= allowed &&
	    used >= allowed / 2)
		return ASKED_STOP | ASKED_KICK;
	if (used && (netpoll_wants_kick(pp->home) || pair_is_awaited()))
		return ASKED_KICK;
	return 0;
}

static void look_after_computing(struct round *r, struct p *pp)
{
	uint32_t what = demand(r, pp);

	r->is_computing = true;
	if (!what)
		return;
	/* It may have begun to sleep since: a signal would cut that short. */
	if (is_asleep(thread_state(pp->home->tid))) {
		pp->blocked_rounds = 1;
		look_after_blocked(r, pp);
		return;
	}
	interrupt_ask(pp->home, what);
	if (what & ASKED_STOP)
		r->waiting -= r->waiting > 0;
	r->did_help = true;
}

static void note_timer(struct round *r, struct p *pp)
{
	rg_time when = atomic_load_explicit(&pp->timers.earliest,
					    memory_order_relaxed);

	if (when < r->next_timer)
		r->next_timer = when;
}

static void look_after(struct round *r, struct p *pp)
{
	bool is_switching = note_tick(pp, r->now);

	r->is_active |= is_switching;
	if (is_switching) {
		pp->blocked_rounds = 0;
		pp->seen_cpu = 0;
		pair_quiesced(pp->home);
	}
	r->did_help |= rescue_queue(pp, is_switching);
	r->did_help |= fire_overdue(pp, r->now);
	if (is_switching ||
	    (p_status(pp) != P_RUNNING && p_status(pp) != P_LOST &&
	     p_status(pp) != P_WAITING))
		return;
	r->did_help |= rescue_ring(pp->home);
	note_timer(r, pp);
	if (p_status(pp) == P_WAITING) {
		if (netpoll_wants_kick(pp->home))
			interrupt_poke(pp->home);
		r->did_help |=
			interrupt_unpin(pp->home, r->now - INTERRUPT_UNPIN_NS);
		return;
	}
	if (is_blocked(pp, r->now))
		look_after_blocked(r, pp);
	else
		look_after_computing(r, pp);
}

static struct round round_once(void)
{
	struct round r = {.now = clock_now(), .next_timer = RG_FOREVER};
	struct p *pp;

	r.next_trace = schedtrace_round(r.now);
	if (seed_is_on())
		return r;
	atomic_store_explicit(&sched.coarse_now, r.now, memory_order_relaxed);
	r.waiting =
		atomic_load_explicit(&sched.global_len, memory_order_relaxed) +
		(uint32_t)atomic_load_explicit(&sched.nurgent,
					       memory_order_relaxed);
	sched_for_each_p(pp) {
		r.waiting += runq_len(&pp->runq);
	}
	/* Y2. */
	if (r.waiting && has_idle_token())
		wake_p();
	r.did_help |= token_check_due(r.now, INTERRUPT_SLICE_NS);
	procslimit_look(r.now);
	sched_for_each_p(pp) {
		look_after(&r, pp);
	}
	return r;
}

static long nap_limit(const struct round *r)
{
	rg_time left = r->next_timer - clock_now();
	long limit = NAP_BLOCKED_NS;

	if (r->is_active || r->is_computing || r->has_blocked_io)
		limit = NAP_MAX_NS;
	if (r->next_trace < left)
		left = r->next_trace;
	if (left < 0)
		left = 0;
	return left + NAP_MIN_NS < limit ? (long)left + NAP_MIN_NS : limit;
}

static void nap(long ns)
{
	struct timespec ts = {0, ns};

	if (ns <= NAP_MAX_NS) {
		/* A signal only shortens it. */
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		return;
	}
	/* An M that gets a token wakes us: its goroutine may block at once.
	 * Seq_cst, pairs with sysmon_notify. */
	atomic_store_explicit(&sysmon_asleep, 1, memory_order_seq_cst);
	syscall(SYS_futex, &sysmon_asleep, FUTEX_WAIT_PRIVATE, 1, &ts, NULL, 0);
	atomic_store_explicit(&sysmon_asleep, 0, memory_order_relaxed);
}

static void *sysmon_main(void *arg)
{
	long nap_ns = NAP_MIN_NS;
	int quiet = 0;
	long limit;

	(void)arg;
	pthread_setname_np(pthread_self(), "rg-sysmon");
	atomic_store_explicit(&tid, (int)syscall(SYS_gettid),
			      memory_order_relaxed);
	while (!is_stopping()) {
		struct round r = round_once();
		/* Y7. */
		rg_time trim_at =
			seed_is_on() ? RG_FOREVER : trim_round(clock_now());

		if (r.is_active || r.did_help || pair_look_for_shortage()) {
			quiet = 0;
		} else if (is_all_idle() && ++quiet > QUIET_ROUNDS &&
			   r.next_trace == RG_FOREVER) {
			look_for_deadlock();
			/* For trimming alone: back to sleep after it. */
			if (!sleep_long(trim_at))
				continue;
			quiet = 0;
			nap_ns = NAP_MIN_NS;
		}
		if (r.did_help)
			nap_ns = NAP_MIN_NS;
		limit = nap_limit(&r);
		nap(nap_ns < limit ? nap_ns : limit);
		if (nap_ns < NAP_BLOCKED_NS)
			nap_ns *= 2;
	}
	return NULL;
}

int sysmon_start(void)
{
	sigset_t all, old;
	int err;

	atomic_store_explicit(&stopping, 0, memory_order_relaxed);
	trim_start();
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
