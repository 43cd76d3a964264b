// SPDX-License-Identifier: MIT
/*
 * pair - see pair.h for the role and the invariants.
 *
 * A late pair: the maker allocates it and starts its thread, which opens its ring and
 * reports; the maker makes the first pair's queue safe for company (I3), publishes P and
 * M, and lets the thread go. So nobody sees half a pair. A vacant pair gets its thread in the
 * same way, but is published already.
 */
#include "sched/pair.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/clock.h"
#include "sched/control.h"
#include "sched/getg.h"
#include "sched/lockthread.h"
#include "sched/netpoll.h"
#include "sched/proc.h"
#include "sched/sigsetup.h"
#include "sched/token.h"
#include "sched/wake.h"

/* Address space that is left when one more is made. */
#define LATE_ROOM ((size_t)256 << 20)

/* How long no thread is asked for after one could not be had. */
#define REFUSED_NS (100 * RG_MILLISECOND)

static struct {
	pthread_t thread;
	bool is_started;
	_Atomic uint32_t bell; /* futex: 1 when there is something to look at */
	_Atomic int want;
	_Atomic bool is_stopping;
	_Atomic bool is_waiting; /* in end_solitude */
	_Atomic rg_time
		refused; /* when none could be had, or 0; by the maker */
	uint32_t next_id;
	bool has_complained;
	sigset_t mask; /* of the starting thread: what its Ms inherit */
} maker;

static int ms_ready, ms_ended; /* under control */

/* ---- Ms ---- */

static void announce(int *counter)
{
	control_lock();
	++*counter;
	control_changed();
	control_unlock();
}

static bool can_map(size_t room)
{
	void *p = mmap(NULL, room, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p != MAP_FAILED && !munmap(p, room);
}

bool pair_has_room(void)
{
	return can_map((size_t)8 << 20);
}

/*
 * jemalloc 5.3 crashes when a thread's first allocation finds no memory for the
 * thread's arena (seen under RLIMIT_AS, long after the start, when stacks had used
 * up the rest): it is made now. Locked, as others take room as well.
 */
static int prime_allocator(void)
{
	void *p = NULL;

	control_lock();
	if (pair_has_room())
		p = rgk_alloc(1);
	rgk_free(p);
	control_unlock();
	return p ? 0 : -ENOMEM;
}

static int m_open_ring(struct m *mp)
{
	int err = mp->has_ring ? ring_reopen(&mp->ring, sched.ring_entries)
			       : ring_open(&mp->ring, sched.ring_entries);

	mp->has_ring |= !err;
	return err;
}

static int m_begin(struct m *mp)
{
	int err = prime_allocator();

	if (err)
		return err;
	err = m_open_ring(mp);
	if (err)
		return err;
	err = sigsetup_thread_start();
	if (err) {
		ring_close(&mp->ring);
		return err;
	}
	mp->thread = pthread_self();
	mp->tid = (int)syscall(SYS_gettid);
	/* Fails only for a thread that is not there. */
	pthread_getcpuclockid(mp->thread, &mp->cpu_clock);
	mp->errno_location = rg_errno_location();
	mp->cxx = coro_cxx_here();
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

/* I5. False: the runtime stops, which counts this M. */
static bool become_vacant(struct m *mp)
{
	bool ok;

	if (!lockthread_is_over(mp))
		return false;
	control_lock(); /* pair_await looks at nms */
	rtlock_lock(&sched.lock);
	ok = !sched_is_stopping();
	mp->is_vacant = ok;
	sched.nms -= ok;
	rtlock_unlock(&sched.lock);
	control_unlock();
	if (!ok)
		return false;
	mp->tid = 0;
	/* Relaxed: what sysmon does about it can wait for a round. */
	atomic_fetch_add_explicit(&sched.nvacant, 1, memory_order_relaxed);
	return true;
}

/* Wait for the first token, run until the runtime stops; true: the thread ends and the
 * runtime goes on. */
static bool m_loop(struct m *mp)
{
	bool is_vacant;

	if (wake_first_p(mp))
		proc_run(mp);
	is_vacant = become_vacant(mp);
	m_end(mp);
	return is_vacant;
}

static void ring_bell(void)
{
	/* M1 release, pairs with M2. */
	if (!atomic_exchange_explicit(&maker.bell, 1, memory_order_release))
		syscall(SYS_futex, &maker.bell, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
}

static void tell_gone(struct m *mp)
{
	/* V1 release, pairs with V2. */
	atomic_store_explicit(&mp->is_gone, true, memory_order_release);
	ring_bell();
}

int pair_begin_own(struct m *m0)
{
	m0->is_caller = true;
	m0->start_err = m_begin(m0);
	return m0->start_err;
}

void pair_end_own(struct m *m0)
{
	m_end(m0);
}

void pair_run_own(struct m *m0)
{
	m_loop(m0);
}

/* Under control: neither joined nor needless. */
static bool is_pending(const struct m *mp)
{
	int status = atomic_load_explicit(&sched.status, memory_order_relaxed);

	return status == SCHED_STARTING || (mp->is_late && status == SCHED_ON);
}

static void *m_main(void *arg)
{
	struct m *mp = arg;
	char name[16];
	int err;

	snprintf(name, sizeof name, "rg-m%u", mp->id);
	pthread_setname_np(pthread_self(), name);
	if (mp->is_late) /* the maker blocks all */
		pthread_sigmask(SIG_SETMASK, &maker.mask, NULL);
	err = m_begin(mp);
	mp->start_err = err;
	announce(&ms_ready);
	if (err)
		return NULL;
	/* Nobody runs before everybody is counted; a late one not before it
	 * was published. */
	control_lock();
	while (!atomic_load_explicit(&mp->is_joined, memory_order_relaxed) &&
	       is_pending(mp))
		control_wait();
	control_unlock();
	if (m_loop(mp))
		tell_gone(mp);
	else
		announce(&ms_ended);
	return NULL;
}

/* ---- records ---- */

static struct p *new_p(uint32_t id)
{
	struct p *pp = rgk_zalloc_aligned(sizeof *pp, RG_CACHE_LINE);

	if (!pp)
		return NULL;
	pp->id = id;
	pp->status = P_AWAY;
	timer_heap_init(&pp->timers);
	return pp;
}

static void free_pair(struct m *mp)
{
	if (!mp)
		return;
	if (mp->has_ring)
		ring_forget(&mp->ring);
	timer_heap_free(&mp->own->timers);
	rgk_free(mp->own);
	rgk_free(mp);
}

static struct m *new_pair(uint32_t id)
{
	struct m *mp = rgk_zalloc_aligned(sizeof *mp, RG_CACHE_LINE);

	if (!mp)
		return NULL;
	mp->id = id;
	mp->own = new_p(id);
	if (!mp->own) {
		rgk_free(mp);
		return NULL;
	}
	mp->own->home = mp;
	return mp;
}

static void publish_m(struct m *mp)
{
	mp->next_all = sched_first_m();
	/* N3 release, pairs with N4. */
	atomic_store_explicit(&sched.all_ms, mp, memory_order_release);
}

static void publish_p(struct p *pp)
{
	int n = sched_nps();

	sched.ps[n] = pp;
	/* N1 release, pairs with N2. */
	atomic_store_explicit(&sched.nps, n + 1, memory_order_release);
}

void pair_free_all(void)
{
	struct m *mp;

	while ((mp = sched_first_m())) {
		atomic_store_explicit(&sched.all_ms, mp->next_all,
				      memory_order_relaxed);
		free_pair(mp);
	}
	atomic_store_explicit(&sched.nps, 0, memory_order_relaxed);
	/* A thread that arms a timer afterwards looks for the first P. */
	memset(sched.ps, 0, sizeof sched.ps);
}

int pair_alloc(int n)
{
	ms_ready = ms_ended = 0;
	for (int i = 0; i < n; i++) {
		struct m *mp = new_pair((uint32_t)i);

		if (!mp) {
			pair_free_all();
			return -ENOMEM;
		}
		publish_m(mp);
	}
	return 0;
}

struct m *pair_m(int id)
{
	struct m *mp = sched_first_m();

	while ((int)mp->id != id)
		mp = mp->next_all;
	return mp;
}

/* ---- start ---- */

static int start_thread(struct m *mp)
{
	int err;

	control_lock(); /* see prime_allocator */
	err = -pthread_create(&mp->thread, NULL, m_main, mp);
	control_unlock();
	/* On success it is the thread's to write: it may have. */
	if (err)
		mp->start_err = err;
	mp->has_thread = !err;
	return err;
}

static void await_ready(int n)
{
	control_lock();
	while (ms_ready < n)
		control_wait();
	control_unlock();
}

void pair_start_threads(int first, int n)
{
	int started = 0;

	for (int i = first; i < n; i++)
		started += !start_thread(pair_m(i));
	await_ready(started);
}

int pair_keep_started(int n)
{
	struct m *mp = sched_first_m(), *keep = NULL, *next;
	int failed = 0, err = 0;

	/* Relaxed, all of it: nobody runs yet. */
	for (struct m *at = mp; at; at = at->next_all)
		if (at->start_err && at->id == 0)
			return at->start_err;
	for (; mp; mp = next) {
		next = mp->next_all;
		if (!mp->start_err) {
			mp->next_all = keep;
			keep = mp;
			continue;
		}
		failed++;
		err = mp->start_err;
		if (mp->has_thread)
			pthread_join(mp->thread, NULL);
		free_pair(mp);
	}
	atomic_store_explicit(&sched.all_ms, keep, memory_order_relaxed);
	if (failed)
		fprintf(stderr,
			"ringgo: only %d of %d workers could start (%s)\n",
			n - failed, n, rg_strerror(err));
	return failed;
}

void pair_place(void)
{
	int n = 0;

	/* In ascending order of ids. */
	for (uint32_t id = 0; id < SCHED_MAX_MS; id++) {
		struct m *mp = sched_first_m();

		while (mp && mp->id != id)
			mp = mp->next_all;
		if (mp) {
			publish_p(mp->own);
			n++;
		}
	}
	sched.nms = n;
	atomic_store_explicit(&sched.nprocs, n, memory_order_relaxed);
	/* P0 last: it is the first to be taken. */
	for (int i = n; i-- > 0;) {
		sched.ps[i]->runq.is_alone = n == 1;
		token_set(sched.ps[i], P_SPARE);
		token_set(sched.ps[i], P_IDLE);
	}
}

/* ---- stop ---- */

bool pair_await(int own, rg_time deadline)
{
	bool ok = true;

	control_lock();
	while (ok && ms_ended < sched.nms - own)
		ok = control_wait_until(deadline);
	ok = ms_ended >= sched.nms - own;
	control_unlock();
	return ok;
}

void pair_join(void)
{
	struct m *mp;

	sched_for_each_m(mp)
	{
		if (mp->has_thread)
			pthread_join(mp->thread, NULL);
	}
}

/* ---- the maker ---- */

void pair_want(int n)
{
	int most = sched_nprocs() + PAIRS_SPARE + lockthread_count();
	int old = atomic_load_explicit(&maker.want, memory_order_relaxed);

	if (n > most)
		n = most;
	if (n > SCHED_MAX_MS)
		n = SCHED_MAX_MS;
	if (n <= sched_nps() || !maker.is_started)
		return;
	while (n > old) {
		/* Relaxed: the bell orders it. */
		if (atomic_compare_exchange_weak_explicit(&maker.want, &old, n,
							  memory_order_relaxed,
							  memory_order_relaxed))
			break;
	}
	ring_bell();
}

void pair_want_more(void)
{
	pair_want(sched_nps() + 1);
}

/* Relaxed: a number by itself. */
static rg_time refused_at(void)
{
	return atomic_load_explicit(&maker.refused, memory_order_relaxed);
}

static void note_refused(rg_time at)
{
	atomic_store_explicit(&maker.refused, at, memory_order_relaxed);
}

bool pair_look_for_shortage(void)
{
	/* Relaxed, all of it: looked at again in a round. */
	if (atomic_load_explicit(&sched.nvacant, memory_order_relaxed)) {
		if (maker.is_started)
			ring_bell();
		return true;
	}
	if (!atomic_load_explicit(&sched.global_len, memory_order_relaxed) ||
	    atomic_load_explicit(&sched.nidle_ps, memory_order_relaxed) ||
	    atomic_load_explicit(&sched.nbusy_ps, memory_order_relaxed))
		return false;
	pair_want_more();
	return true;
}

bool pair_is_limit(void)
{
	return !maker.is_started || refused_at() ||
	       sched_nps() >= sched_nprocs() + PAIRS_SPARE + lockthread_count();
}

static bool is_stopping(void)
{
	return atomic_load_explicit(&maker.is_stopping, memory_order_relaxed);
}

static bool is_resting(struct p *pp)
{
	bool is_resting;

	rtlock_lock(&sched.lock);
	is_resting = p_status(pp) == P_IDLE || p_status(pp) == P_SPARE ||
		     p_status(pp) == P_AWAY;
	rtlock_unlock(&sched.lock);
	return is_resting;
}

bool pair_is_awaited(void)
{
	return atomic_load_explicit(&maker.is_waiting, memory_order_relaxed);
}

/* I3. False: the runtime stops. */
static bool end_solitude(struct p *pp)
{
	struct m *mp = pp->home;
	uint32_t before;

	if (!pp->runq.is_alone)
		return true;
	rtlock_lock(&sched.lock);
	pp->runq.is_alone = false;
	rtlock_unlock(&sched.lock);
	/* Everything that its thread does from here on sees it. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0))
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	/* Acquire, pairs with pair_quiesced, both. Twice: who counts the first one
	 * may have looked before. */
	atomic_store_explicit(&maker.is_waiting, true, memory_order_relaxed);
	before = atomic_load_explicit(&mp->quiesced, memory_order_acquire);
	while (!is_stopping() && !is_resting(pp) &&
	       atomic_load_explicit(&mp->quiesced, memory_order_acquire) -
			       before <
		       2) {
		const struct timespec nap = {0, 200 * 1000};

		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	atomic_store_explicit(&maker.is_waiting, false, memory_order_relaxed);
	return !is_stopping();
}

static void let_go(struct m *mp)
{
	control_lock();
	atomic_store_explicit(&mp->is_joined, true, memory_order_relaxed);
	control_changed();
	control_unlock();
}

static void publish_pair(struct m *mp)
{
	rtlock_lock(&sched.lock);
	publish_m(mp);
	sched.nms++;
	publish_p(mp->own);
	rtlock_unlock(&sched.lock);
	token_join(mp->own);
	let_go(mp);
}

static void complain(int err)
{
	if (!maker.has_complained)
		fprintf(stderr,
			"ringgo: no thread for goroutines that are ready while "
			"others block or compute: %s\n",
			rg_strerror(err));
	maker.has_complained = true;
}

/* 0, or a negative errno; -ECANCELED: the runtime stops. */
static int make_one(void)
{
	struct m *mp;
	int ready, err;

	/* While goroutines use up what is left: see prime_allocator. */
	if (!can_map(LATE_ROOM))
		return -ENOMEM;
	mp = new_pair(maker.next_id);
	if (!mp)
		return -ENOMEM;
	mp->is_late = true;
	control_lock();
	ready = ms_ready;
	control_unlock();
	err = start_thread(mp);
	if (!err) {
		await_ready(ready + 1);
		err = mp->start_err;
		if (!err && end_solitude(sched.ps[0])) {
			maker.next_id++;
			publish_pair(mp);
			return 0;
		}
		if (!err) {
			/* It sees that the runtime stops, and ends. */
			err = -ECANCELED;
			control_lock();
			mp->is_late = false;
			control_changed();
			control_unlock();
			pthread_join(mp->thread, NULL);
			control_lock();
			ms_ended--;
			control_unlock();
		} else {
			pthread_join(mp->thread, NULL);
		}
	}
	free_pair(mp);
	return err;
}

/* ---- new threads for vacant pairs (I5) ---- */

static void make_new(struct m *mp)
{
	mp->curg = mp->prev = NULL;
	mp->p = NULL;
	mp->commit = NULL;
	mp->spinning = mp->owes_yield = false;
	mp->bound = BOUND_NOT;
	mp->start_err = 0;
	mp->is_late = true;
	/* Relaxed: its thread is started after this. */
	atomic_store_explicit(&mp->is_joined, false, memory_order_relaxed);
	atomic_store_explicit(&mp->resume, 0, memory_order_relaxed);
	atomic_store_explicit(&mp->asked, 0, memory_order_relaxed);
}

/* Its new thread waits to be let go. */
static void publish_again(struct m *mp)
{
	control_lock();
	rtlock_lock(&sched.lock);
	mp->is_vacant = false;
	sched.nms++;
	rtlock_unlock(&sched.lock);
	control_unlock();
	atomic_fetch_sub_explicit(&sched.nvacant, 1, memory_order_relaxed);
	token_join(mp->own);
	let_go(mp);
}

static int revive(struct m *mp)
{
	int ready, err;

	if (!can_map(LATE_ROOM))
		return -ENOMEM;
	if (mp->has_thread)
		pthread_join(mp->thread, NULL);
	mp->has_thread = false;
	make_new(mp);
	control_lock();
	ready = ms_ready;
	control_unlock();
	err = start_thread(mp);
	if (err)
		return err;
	await_ready(ready + 1);
	err = mp->start_err;
	if (err) {
		pthread_join(mp->thread, NULL);
		mp->has_thread = false;
		return err;
	}
	atomic_store_explicit(&mp->is_gone, false, memory_order_relaxed);
	publish_again(mp);
	return 0;
}

static int revive_all(void)
{
	struct m *mp;
	int err = 0;

	sched_for_each_m(mp)
	{
		/* V2 acquire, pairs with V1: the thread is done. */
		if (!err && !is_stopping() &&
		    atomic_load_explicit(&mp->is_gone, memory_order_acquire))
			err = revive(mp);
	}
	return err;
}

/* What came of an attempt to make a thread. */
static void note_outcome(int err)
{
	note_refused(err ? clock_now() : 0);
	if (err && err != -ECANCELED && err != -ENOMEM)
		complain(err);
}

static bool is_refused(void)
{
	return refused_at() && clock_now() < refused_at() + REFUSED_NS;
}

static void make_pairs(void)
{
	if (is_refused())
		return;
	note_outcome(revive_all());
	/* Relaxed: after M2. */
	while (!is_stopping() && !is_refused() &&
	       sched_nps() <
		       atomic_load_explicit(&maker.want, memory_order_relaxed))
		note_outcome(make_one());
}

static void *maker_main(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "rg-maker");
	while (!is_stopping()) {
		/* M2 acquire, pairs with M1. */
		if (atomic_exchange_explicit(&maker.bell, 0,
					     memory_order_acquire))
			make_pairs();
		else
			syscall(SYS_futex, &maker.bell, FUTEX_WAIT_PRIVATE, 0,
				NULL, NULL, 0);
	}
	return NULL;
}

bool pair_maker_start(void)
{
	struct m *mp;
	sigset_t all;
	int err;

	/* Once is enough; again is harmless. Without it MEMBARRIER_CMD_GLOBAL
	 * serves. */
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
		0);
	atomic_store_explicit(&maker.want, 0, memory_order_relaxed);
	atomic_store_explicit(&maker.is_stopping, false, memory_order_relaxed);
	note_refused(0);
	maker.next_id = 0;
	sched_for_each_m(mp)
	{
		if (mp->id >= maker.next_id)
			maker.next_id = mp->id + 1;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &maker.mask);
	err = -pthread_create(&maker.thread, NULL, maker_main, NULL);
	pthread_sigmask(SIG_SETMASK, &maker.mask, NULL);
	maker.is_started = !err;
	return !err;
}

void pair_maker_stop(void)
{
	if (!maker.is_started)
		return;
	atomic_store_explicit(&maker.is_stopping, true, memory_order_relaxed);
	/* M1 release, pairs with M2: the order to stop. */
	atomic_store_explicit(&maker.bell, 1, memory_order_release);
	syscall(SYS_futex, &maker.bell, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	pthread_join(maker.thread, NULL);
	maker.is_started = false;
}
