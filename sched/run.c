// SPDX-License-Identifier: MIT
/*
 * run - starting and stopping the runtime.
 *
 * All Ms are started here, one a P: a scheduler that creates threads when it is busy
 * would allocate inside the scheduler. M0 is rg_run's caller, or a thread of its own
 * under rg_start.
 *   I1  every M makes its own ring (SINGLE_ISSUER binds it to its maker); start waits
 *       until all have, and undoes everything when M0's fails; when a later one
 *       fails (locked-memory limit) there are fewer Ps, said once on stderr.
 *   I2  stop: status STOPPING, every M woken. An M stops at its next pass through the
 *       scheduler (within SCHED_TICK switches), cancels what its ring has in flight, waits for the last completion,
 *       and ends. A goroutine that computes is interrupted and abandoned where its
 *       stack can be left (interrupt.h). An M that does not come back within
 *       STRAGGLER_NS computes or blocks for ever: then nothing is freed and no new
 *       runtime can start (-EBUSY). M0 is awaited for ever: rg_run's caller is on it.
 *   I3  memory of stacks is unmapped only after all Ms have ended.
 */
#include <ringgo/runtime.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/forked.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/cpus.h"
#include "kernel-iface/fault.h"
#include "kernel-iface/probe.h"
#include "kernel-iface/textmap.h"
#include "sched/blocking.h"
#include "sched/control.h"
#include "sched/debugenv.h"
#include "sched/fdesc.h"
#include "sched/getg.h"
#include "sched/leak.h"
#include "sched/lockthread.h"
#include "sched/netpoll.h"
#include "sched/pair.h"
#include "sched/panic.h"
#include "sched/interrupt.h"
#include "sched/proc.h"
#include "sched/procslimit.h"
#include "sched/seed.h"
#include "sched/sigsetup.h"
#include "sched/spawn.h"
#include "sched/sysmon.h"
#include "sched/wake.h"

enum { STACK_DEFAULT = 46 * 1024, RING_ENTRIES_DEFAULT = 256 };
enum { RING_ENTRIES_MAX = 32768 /* the kernel's */ };
#define STRAGGLER_NS (500 * RG_MILLISECOND)

struct sched sched;

/* Under control: one start, one stop at a time. */
static bool has_stragglers;
static bool is_claimed, is_stop_claimed;
static int nprocs_wanted;

static int (*main_entry)(void *arg);
static void *main_arg;
static int main_result;

void sched_set_hooks(const struct sched_hooks *hooks)
{
	sched.hooks = *hooks;
}

/* ---- configuration ---- */

static long env_number(const char *name)
{
	const char *s = getenv(name);
	char *end;
	long n;

	if (!s || !*s)
		return 0;
	n = strtol(s, &end, 10);
	if (end != s && (*end == 'K' || *end == 'k') && !end[1] &&
	    n <= LONG_MAX / 1024) {
		n *= 1024;
		end++;
	}
	if (*end || n <= 0) {
		fprintf(stderr,
			"ringgo: %s='%s' is not a positive number: "
			"ignored\n",
			name, s);
		return 0;
	}
	return n;
}

static int configure(const rg_config *config)
{
	static const rg_config none;
	size_t stack;
	int class_index;
	bool follows;
	long n;

	debugenv_read();
	fault_configure((uint64_t)debugenv.faults,
			(unsigned)debugenv.faultkinds);
	if (!config)
		config = &none;
	n = env_number("RINGGO_MAXPROCS");
	if (!n)
		n = config->maxprocs;
	follows = n <= 0;
	if (follows)
		n = cpus_procs();
	procslimit_start(follows ? (int)n : 0);
	nprocs_wanted =
		seed_start(n > SCHED_MAX_PROCS ? SCHED_MAX_PROCS : (int)n);
	stack = (size_t)env_number("RINGGO_STACK");
	if (!stack)
		stack = config->stack_size ? config->stack_size : STACK_DEFAULT;
	class_index = spawn_class_of(stack);
	if (class_index < 0) {
		fprintf(stderr, "ringgo: a stack of %zu bytes is too large\n",
			stack);
		return -EINVAL;
	}
	sched.default_class = (unsigned)class_index;
	sched.ring_entries = config->ring_entries ? config->ring_entries
						  : RING_ENTRIES_DEFAULT;
	if (sched.ring_entries > RING_ENTRIES_MAX)
		sched.ring_entries = RING_ENTRIES_MAX;
	sched.flags = config->flags;
	return 0;
}

static void say_refused(int err)
{
	char why[512];

	if (err == -EAGAIN || (err == -ENOMEM && !pair_has_room())) {
		fprintf(stderr,
			"ringgo: cannot start a thread: %s (address space: "
			"RLIMIT_AS, 'ulimit -v'; number of threads: "
			"RLIMIT_NPROC, 'ulimit -u')\n",
			rg_strerror(err));
		return;
	}
	probe_explain(err, why, sizeof why);
	fprintf(stderr, "ringgo: cannot start: %s is refused (%s): %s\n",
		probe_engine() == PROBE_EPOLL ? "an epoll instance"
					      : "io_uring",
		rg_strerror(err), why);
}

/* Once a process: it lasts. */
static void say_fallback(int err)
{
	static bool is_said; /* under the claim */
	char why[512];

	if (!err || is_said)
		return;
	is_said = true;
	probe_explain(err, why, sizeof why);
	fprintf(stderr,
		"ringgo: using epoll and helper threads: io_uring is refused "
		"(%s): %s. RINGGO_ENGINE=epoll chooses it without these "
		"words\n",
		rg_strerror(err), why);
}

/* ---- start ---- */

static void reset_sched(void)
{
	struct sched_hooks hooks = sched.hooks;

	memset(&sched, 0, sizeof sched);
	sched.hooks = hooks;
	list_init(&sched.idle_ps);
	list_init(&sched.spare_ps);
	list_init(&sched.waiting_ps);
	/* Relaxed: no other thread yet. Id 1 is the main goroutine's. */
	atomic_store_explicit(&sched.goid_block, 1, memory_order_relaxed);
	atomic_store_explicit(&sched.coarse_now, clock_now(),
			      memory_order_relaxed);
}

static int prepare(const rg_config *config, bool is_run)
{
	int err;

	reset_sched();
	sched.is_run = is_run;
	err = configure(config);
	if (err)
		return err;
	err = probe_init();
	if (err) {
		if (err != -EINVAL) /* said already */
			say_refused(err);
		return err;
	}
	say_fallback(probe_refusal());
	for (unsigned c = 0; c < STACK_CLASSES; c++)
		stack_arena_init(&sched.stacks[c], c);
	err = pair_alloc(nprocs_wanted);
	if (err)
		fprintf(stderr, "ringgo: cannot start: out of memory\n");
	return err;
}

static void publish(enum sched_status status)
{
	if (status == SCHED_OFF)
		seed_stop();
	control_lock();
	/* Release, pairs with sched_is_on. */
	atomic_store_explicit(&sched.status, status, memory_order_seq_cst);
	control_changed();
	control_unlock();
}

static void undo_start(void)
{
	/* STOPPING: with OFF those that did start would wait for work for ever. */
	publish(SCHED_STOPPING);
	pair_join();
	pair_free_all();
	for (unsigned c = 0; c < STACK_CLASSES; c++)
		stack_arena_free(&sched.stacks[c]);
	publish(SCHED_OFF);
}

/* -EBUSY, or the right to start. */
static int claim_start(void)
{
	int err = 0;

	/* First: the lock may be held by a thread that is not here. */
	if (forked_is_child) {
		fputs("ringgo: cannot start: after fork the runtime is the "
		      "parent's: use rg_command or exec\n",
		      stderr);
		return -EBUSY;
	}
	control_lock();
	/* Not the status: preparing a start clears it for a while. */
	if (has_stragglers || is_claimed)
		err = -EBUSY;
	else
		is_claimed = true;
	control_unlock();
	if (err)
		fprintf(stderr, "ringgo: cannot start: %s\n",
			has_stragglers
				? "a goroutine of the former runtime still runs"
				: "a runtime is running already");
	return err;
}

static void unclaim(void)
{
	control_lock();
	is_claimed = is_stop_claimed = false;
	control_unlock();
}

static _Atomic uint32_t run_id;

uint32_t sched_run_id(void)
{
	/* Relaxed: changes while no goroutine runs. */
	return atomic_load_explicit(&run_id, memory_order_relaxed);
}

/* Everything up to the point where goroutines may run. first: 1 when the caller's
 * thread is M0, else 0. */
static int start(const rg_config *config, int first)
{
	int err = prepare(config, first == 1);

	atomic_fetch_add_explicit(&run_id, 1, memory_order_relaxed);
	/* reset_sched cleared it. */
	atomic_store_explicit(&sched.status, err ? SCHED_OFF : SCHED_STARTING,
			      memory_order_relaxed);
	if (err) {
		seed_stop();
		return err;
	}
	err = sigsetup_start(sched.flags);
	if (err) {
		undo_start();
		return err;
	}
	if (first == 1)
		pair_begin_own(pair_m(0));
	pair_start_threads(first, nprocs_wanted);
	err = pair_keep_started(nprocs_wanted);
	if (err < 0) {
		say_refused(err);
		goto stop_signals;
	}
	/* Before sysmon, which looks at them: those of failed Ms go here. */
	pair_place();
	err = sysmon_start();
	if (err) {
		say_refused(err);
		goto stop_signals;
	}
	/* Without it there are no spare pairs. */
	if (!seed_is_on())
		pair_maker_start();
	return 0;

stop_signals:
	if (first == 1 && !pair_m(0)->start_err)
		pair_end_own(pair_m(0));
	undo_start();
	sigsetup_stop();
	return err;
}

/* ---- stop ---- */

static void wake_all(void)
{
	struct m *mp;

	/* Fence, pairs with S5 of wake.c: the status before the looks. */
	atomic_thread_fence(memory_order_seq_cst);
	sched_for_each_m(mp) ring_wake(&mp->ring);
	interrupt_release_all();
}

static void teardown(bool keep_stacks)
{
	struct p *pp;

	pair_join();
	/* First, while everything it looks at is there. */
	if (sched.hooks.reset)
		sched.hooks.reset();
	spawn_forget_all();
	sched_for_each_p(pp) {
		timer_heap_free(&pp->timers);
	}
	fdesc_reset_all();
	pair_free_all();
	/* A helper thread in the middle of a call may use an argument that lies
	 * on its goroutine's stack: then the mappings stay for ever. */
	if (keep_stacks)
		return;
	for (unsigned c = 0; c < STACK_CLASSES; c++)
		stack_arena_free(&sched.stacks[c]);
}

/* After STOPPING was published and the caller's own M, if any, ended. */
static bool finish_stop(int own)
{
	bool all_ended, has_calls;

	pair_maker_stop();
	/* sysmon goes on: it interrupts those that compute. */
	all_ended = pair_await(own, timer_after(STRAGGLER_NS));
	sysmon_stop();
	control_lock();
	has_stragglers = !all_ended;
	control_unlock();
	has_calls = blocking_stop() > 0;
	sigsetup_stop();
	if (all_ended)
		teardown(has_calls);
	publish(SCHED_OFF);
	unclaim();
	return all_ended;
}

/* ---- public ---- */

static RG_CALLS_USER void run_main(void *arg)
{
	(void)arg;
	lockthread_leave_main();
	main_result = leak_at_end(main_entry(main_arg));
	/* Release in publish: the result before the status. */
	publish(SCHED_STOPPING);
	wake_all();
}

int rg_run(const rg_config *config, int (*entry)(void *arg), void *arg)
{
	int err = getm() ? -EBUSY : claim_start();

	if (err)
		return err;
	err = start(config, 1);
	if (err) {
		unclaim();
		return err;
	}
	main_entry = entry;
	main_arg = arg;
	main_result = 0;
	publish(SCHED_ON);
	err = spawn_main(run_main, NULL);
	if (err) {
		fprintf(stderr, "ringgo: cannot start: %s\n", rg_strerror(err));
		main_result = err;
		publish(SCHED_STOPPING);
		wake_all();
	}
	pair_run_own(pair_m(0));
	finish_stop(1);
	return main_result;
}

int rg_start(const rg_config *config)
{
	int err = getm() ? -EBUSY : claim_start();

	if (err)
		return err;
	err = start(config, 0);
	if (err)
		unclaim();
	else
		publish(SCHED_ON);
	return err;
}

/* One caller stops what rg_start started. */
static bool claim_stop(void)
{
	bool ok;

	control_lock();
	ok = !is_stop_claimed && !sched.is_run &&
	     atomic_load_explicit(&sched.status, memory_order_relaxed) ==
		     SCHED_ON;
	if (ok)
		is_stop_claimed = true;
	control_unlock();
	return ok;
}

int rg_stop(rg_duration grace)
{
	rg_time end = clock_after(grace);
	int64_t left;

	if (getm() || !claim_stop())
		return -EINVAL;
	while ((left = rg_num_goroutine()) > 0 && clock_now() < end) {
		struct timespec nap = {0, RG_MILLISECOND};

		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	(void)leak_at_end(0);
	publish(SCHED_STOPPING);
	wake_all();
	finish_stop(0);
	return left > 0 ? -ETIMEDOUT : 0;
}
