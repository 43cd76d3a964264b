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
 *       and ends. One that does not come back within STRAGGLER_NS computes for ever:
 *       then nothing is freed and no new runtime can start (-EBUSY).
 *   I3  memory of stacks is unmapped only after all Ms have ended.
 */
#include <ringgo/runtime.h>

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/cpus.h"
#include "kernel-iface/probe.h"
#include "sched/blocking.h"
#include "sched/debugenv.h"
#include "sched/fdesc.h"
#include "sched/getg.h"
#include "sched/leak.h"
#include "sched/netpoll.h"
#include "sched/panic.h"
#include "sched/proc.h"
#include "sched/seed.h"
#include "sched/sigsetup.h"
#include "sched/spawn.h"
#include "sched/sysmon.h"
#include "sched/wake.h"

enum { STACK_DEFAULT = 46 * 1024, RING_ENTRIES_DEFAULT = 256 };
enum { RING_ENTRIES_MAX = 32768 /* the kernel's */ };
#define STRAGGLER_NS (500 * RG_MILLISECOND)

struct sched sched;

/* One start or stop at a time; also guards the variables below. */
static pthread_mutex_t control = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t control_changed = PTHREAD_COND_INITIALIZER;
static int ms_ready, ms_ended; /* under control */
static int start_err;
static bool has_stragglers;
static bool is_claimed,
	is_stop_claimed; /* under control: one start, one stop */

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
	long n;

	debugenv_read();
	if (!config)
		config = &none;
	n = env_number("RINGGO_MAXPROCS");
	if (!n)
		n = config->maxprocs > 0 ? config->maxprocs : cpus_usable();
	sched.nprocs =
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

/* ---- Ms ---- */

static void announce(int *counter, int err)
{
	pthread_mutex_lock(&control);
	++*counter;
	if (err)
		start_err = err;
	pthread_cond_broadcast(&control_changed);
	pthread_mutex_unlock(&control);
}

static bool has_room(void)
{
	size_t room = 8 << 20;
	void *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && !munmap(p, room);
}

/*
 * jemalloc 5.3 crashes when a thread's first allocation finds no memory for the
 * thread's arena (seen under RLIMIT_AS, long after the start, when stacks had used
 * up the rest): it is made now. Locked, as others take room as well.
 */
static int prime_allocator(void)
{
	void *p = NULL;

	pthread_mutex_lock(&control);
	if (has_room())
		p = rgk_alloc(1);
	rgk_free(p);
	pthread_mutex_unlock(&control);
	return p ? 0 : -ENOMEM;
}

static int m_begin(struct m *mp)
{
	int err = prime_allocator();

	if (err)
		return err;
	err = ring_open(&mp->ring, sched.ring_entries);
	if (err)
		return err;
	err = sigsetup_thread_start();
	if (err) {
		ring_close(&mp->ring);
		ring_forget(&mp->ring);
		return err;
	}
	mp->thread = pthread_self();
	mp->tid = (int)syscall(SYS_gettid);
	mp->errno_location = rg_errno_location();
	mp->g0.kind = G_ZERO;
	mp->g0.m = mp;
	coro_init_thread(&mp->g0.ctx);
	mp->curg = &mp->g0;
	mp->rng = (uint64_t)clock_now() * 2654435761u + mp->id + 1;
	getm_set(mp);
	return 0;
}

static void m_end(struct m *mp)
{
	netpoll_drain(mp);
	ring_close(&mp->ring);
	sigsetup_thread_stop();
	getm_set(NULL);
}

/* Wait for the first P, run until the runtime stops. */
static void m_loop(struct m *mp)
{
	if (wake_first_p(mp))
		proc_run(mp);
	m_end(mp);
}

static void *m_main(void *arg)
{
	struct m *mp = arg;
	char name[16];
	int err;

	snprintf(name, sizeof name, "rg-m%u", mp->id);
	pthread_setname_np(pthread_self(), name);
	err = m_begin(mp);
	mp->start_err = err;
	announce(&ms_ready, 0);
	if (err)
		return NULL;
	/* Nobody runs before everybody is counted. */
	pthread_mutex_lock(&control);
	while (atomic_load_explicit(&sched.status, memory_order_relaxed) ==
	       SCHED_STARTING)
		pthread_cond_wait(&control_changed, &control);
	pthread_mutex_unlock(&control);
	m_loop(mp);
	announce(&ms_ended, 0);
	return NULL;
}

static struct p *new_p(uint32_t id)
{
	struct p *pp = rgk_zalloc_aligned(sizeof *pp, RG_CACHE_LINE);

	if (!pp)
		return NULL;
	pp->id = id;
	timer_heap_init(&pp->timers);
	return pp;
}

static struct m *new_m(uint32_t id, struct p *pp)
{
	struct m *mp = rgk_zalloc_aligned(sizeof *mp, RG_CACHE_LINE);

	if (!mp)
		return NULL;
	mp->id = id;
	mp->last_p = pp;
	pp->m = mp;
	mp->next_all = sched.all_ms;
	sched.all_ms = mp;
	return mp;
}

static void free_ms_and_ps(void)
{
	while (sched.all_ms) {
		struct m *mp = sched.all_ms;

		sched.all_ms = mp->next_all;
		if (mp->tid) /* its ring was opened */
			ring_forget(&mp->ring);
		rgk_free(mp);
	}
	for (int i = 0; i < SCHED_MAX_PROCS && sched.ps[i]; i++) {
		timer_heap_free(&sched.ps[i]->timers);
		rgk_free(sched.ps[i]);
		sched.ps[i] = NULL;
	}
}

static int alloc_ms_and_ps(void)
{
	for (int i = 0; i < sched.nprocs; i++) {
		sched.ps[i] = new_p((uint32_t)i);
		if (!sched.ps[i] || !new_m((uint32_t)i, sched.ps[i])) {
			free_ms_and_ps();
			return -ENOMEM;
		}
	}
	return 0;
}

static struct m *m_of(int id)
{
	struct m *mp = sched.all_ms;

	while ((int)mp->id != id)
		mp = mp->next_all;
	return mp;
}

/* Start the threads of Ms first..nprocs-1; fewer Ps when one cannot be had (I1). */
static void start_threads(int first)
{
	int n = sched.nprocs, started = 0;

	for (int i = first; i < n; i++) {
		struct m *mp = m_of(i);
		int err;

		pthread_mutex_lock(&control); /* see prime_allocator */
		err = -pthread_create(&mp->thread, NULL, m_main, mp);
		pthread_mutex_unlock(&control);
		/* On success it is the thread's to write: it may have. */
		if (err)
			mp->start_err = err;
		started += !err;
		mp->has_thread = !err;
	}
	pthread_mutex_lock(&control);
	while (ms_ready < started)
		pthread_cond_wait(&control_changed, &control);
	pthread_mutex_unlock(&control);
}

static void say_refused(int err)
{
	char why[512];

	if (err == -EAGAIN || (err == -ENOMEM && !has_room())) {
		fprintf(stderr,
			"ringgo: cannot start a thread: %s (address space: "
			"RLIMIT_AS, 'ulimit -v'; number of threads: "
			"RLIMIT_NPROC, 'ulimit -u')\n",
			rg_strerror(err));
		return;
	}
	probe_explain(err, why, sizeof why);
	fprintf(stderr, "ringgo: cannot start: io_uring is refused (%s): %s\n",
		rg_strerror(err), why);
}

/* Removes the Ms that failed, with their Ps. -errno when M0 is among them. */
static int keep_started(void)
{
	struct m **link = &sched.all_ms;
	int failed = 0, err = 0;

	while (*link) {
		struct m *mp = *link;

		if (!mp->start_err) {
			link = &mp->next_all;
			continue;
		}
		failed++;
		err = mp->start_err;
		if (mp->id == 0)
			return err;
		if (mp->has_thread)
			pthread_join(mp->thread, NULL);
		*link = mp->next_all;
		rgk_free(mp);
	}
	if (failed)
		fprintf(stderr,
			"ringgo: only %d of %d workers could start (%s)\n",
			sched.nprocs - failed, sched.nprocs, rg_strerror(err));
	return failed;
}

/* Ps of Ms that are there, in ascending order, all idle. */
static void place_ps(void)
{
	int n = 0;

	for (int i = 0; i < sched.nprocs; i++) {
		struct p *pp = sched.ps[i];
		struct m *mp = sched.all_ms;

		while (mp && mp->last_p != pp)
			mp = mp->next_all;
		sched.ps[i] = NULL;
		if (mp)
			sched.ps[n++] = pp;
		else
			rgk_free(pp);
	}
	sched.nprocs = n;
	sched.nms = n;
	/* P0 last: it is the first to be taken. */
	for (int i = n; i-- > 0;) {
		sched.ps[i]->runq.is_alone = n == 1;
		idle_p_put_locked(sched.ps[i]);
	}
}

/* ---- start ---- */

static void reset_sched(void)
{
	struct sched_hooks hooks = sched.hooks;

	memset(&sched, 0, sizeof sched);
	sched.hooks = hooks;
	list_init(&sched.idle_ps);
	/* Relaxed: no other thread yet. Id 1 is the main goroutine's. */
	atomic_store_explicit(&sched.goid_block, 1, memory_order_relaxed);
	atomic_store_explicit(&sched.coarse_now, clock_now(),
			      memory_order_relaxed);
	ms_ready = ms_ended = 0;
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
		say_refused(err);
		return err;
	}
	for (unsigned c = 0; c < STACK_CLASSES; c++)
		stack_arena_init(&sched.stacks[c], c);
	err = alloc_ms_and_ps();
	if (err)
		fprintf(stderr, "ringgo: cannot start: out of memory\n");
	return err;
}

static void publish(enum sched_status status)
{
	if (status == SCHED_OFF)
		seed_stop();
	pthread_mutex_lock(&control);
	/* Release, pairs with sched_is_on. */
	atomic_store_explicit(&sched.status, status, memory_order_seq_cst);
	pthread_cond_broadcast(&control_changed);
	pthread_mutex_unlock(&control);
}

static void undo_start(void)
{
	/* STOPPING: with OFF those that did start would wait for work for ever. */
	publish(SCHED_STOPPING);
	for (struct m *mp = sched.all_ms; mp; mp = mp->next_all)
		if (mp->has_thread)
			pthread_join(mp->thread, NULL);
	free_ms_and_ps();
	for (unsigned c = 0; c < STACK_CLASSES; c++)
		stack_arena_free(&sched.stacks[c]);
	publish(SCHED_OFF);
}

/* -EBUSY, or the right to start. */
static int claim_start(void)
{
	int err = 0;

	pthread_mutex_lock(&control);
	/* Not the status: preparing a start clears it for a while. */
	if (has_stragglers || is_claimed)
		err = -EBUSY;
	else
		is_claimed = true;
	pthread_mutex_unlock(&control);
	if (err)
		fprintf(stderr, "ringgo: cannot start: %s\n",
			has_stragglers
				? "a goroutine of the former runtime still runs"
				: "a runtime is running already");
	return err;
}

static void unclaim(void)
{
	pthread_mutex_lock(&control);
	is_claimed = is_stop_claimed = false;
	pthread_mutex_unlock(&control);
}

/* Everything up to the point where goroutines may run. first: 1 when the caller's
 * thread is M0, else 0. */
static int start(const rg_config *config, int first)
{
	int err = prepare(config, first == 1);

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
	if (first == 1) {
		struct m *m0 = m_of(0);

		m0->is_caller = true;
		m0->start_err = m_begin(m0);
	}
	start_threads(first);
	err = keep_started();
	if (err < 0) {
		say_refused(err);
		goto stop_signals;
	}
	/* Before sysmon, which looks at them: those of failed Ms go here. */
	place_ps();
	err = sysmon_start();
	if (err) {
		say_refused(err);
		goto stop_signals;
	}
	return 0;

stop_signals:
	if (first == 1 && !m_of(0)->start_err)
		m_end(m_of(0));
	undo_start();
	sigsetup_stop();
	return err;
}

/* ---- stop ---- */

static void wake_all(void)
{
	/* Fence, pairs with S5 of wake.c: the status before the looks. */
	atomic_thread_fence(memory_order_seq_cst);
	for (struct m *mp = sched.all_ms; mp; mp = mp->next_all)
		ring_wake(&mp->ring);
}

/* All Ms with threads of their own ended within the time. */
static bool await_ms(int expected)
{
	struct timespec until;
	int err = 0;
	bool ok;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STRAGGLER_NS;
	until.tv_sec += until.tv_nsec / RG_SECOND;
	until.tv_nsec %= RG_SECOND;
	pthread_mutex_lock(&control);
	while (ms_ended < expected && !err)
		err = pthread_cond_clockwait(&control_changed, &control,
					     CLOCK_MONOTONIC, &until);
	ok = ms_ended >= expected;
	has_stragglers = !ok;
	pthread_mutex_unlock(&control);
	return ok;
}

static void teardown(bool keep_stacks)
{
	for (struct m *mp = sched.all_ms; mp; mp = mp->next_all)
		if (!mp->is_caller)
			pthread_join(mp->thread, NULL);
	/* First, while everything it looks at is there. */
	if (sched.hooks.reset)
		sched.hooks.reset();
	spawn_forget_all();
	for (int i = 0; i < sched.nprocs; i++)
		timer_heap_free(&sched.ps[i]->timers);
	fdesc_reset_all();
	free_ms_and_ps();
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

	sysmon_stop();
	all_ended = await_ms(sched.nms - own);
	has_calls = blocking_stop() > 0;
	sigsetup_stop();
	if (all_ended)
		teardown(has_calls);
	publish(SCHED_OFF);
	unclaim();
	return all_ended;
}

/* ---- public ---- */

static void run_main(void *arg)
{
	(void)arg;
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
	m_loop(m_of(0));
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

	pthread_mutex_lock(&control);
	ok = !is_stop_claimed && !sched.is_run &&
	     atomic_load_explicit(&sched.status, memory_order_relaxed) ==
		     SCHED_ON;
	if (ok)
		is_stop_claimed = true;
	pthread_mutex_unlock(&control);
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
