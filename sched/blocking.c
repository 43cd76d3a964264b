// SPDX-License-Identifier: MIT
/*
 * blocking - see blocking.h for the role and the invariants.
 *
 * A call, on its goroutine:
 *   B1  under the lock: an idle helper is taken off the list and given the request;
 *       or, none being idle, a new one is made (without the lock) and the request is
 *       queued; with no thread at all the call runs in place;
 *   B2  the goroutine parks; the lock is released after its context was saved, so
 *       that nobody can ready it too early;
 *   B3  the helper runs the call, readies the goroutine, looks into the queue, and
 *       becomes idle.
 * An idle helper sleeps on its own futex word; who gives it a request, or stops it,
 * sets the word under the lock.
 */
#include "sched/blocking.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ringgo/runtime.h>

#include "kernel-iface/clock.h"
#include "kernel-iface/textmap.h"
#include "sched/lockthread.h"
#include "sched/park.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sched/sigsetup.h"
#include "sched/switch.h"

#define STOP_GRACE_NS (100 * RG_MILLISECOND)

struct helper;

/* On the goroutine's stack. */
struct request {
	void *(*fn)(void *arg);
	void *arg;
	void *result;
	int err; /* errno before, then after */
	struct g *gp;
	struct request *next;
	struct helper *helper; /* to be woken by the commit, or NULL */
};

enum helper_state { HELPER_FREE, HELPER_ALIVE, HELPER_ENDED };

/* Under the pool's lock, but for word. */
struct helper {
	enum helper_state state; /* ENDED: to be joined */
	pthread_t thread;        /* set by the helper */
	bool is_busy, is_abandoned;
	struct request *request; /* given to an idle one */
	struct helper *next_idle;
	_Atomic uint32_t word; /* 0: sleep; 1: look */
#if RG_TSAN
	char *stack_lo;
#endif
};

static struct {
	struct rtlock lock;
	struct helper helpers[BLOCKING_MAX];
	struct helper *idle; /* most recent first */
	struct request *head, *tail;
	int nthreads; /* alive and not abandoned */
	int nborn;    /* of these, those that have not looked into the queue */
	bool is_stopping;
	_Atomic int64_t queued;
	_Atomic int64_t idle_ns;
} pool = {.idle_ns = 10 * RG_SECOND};

void blocking_set_idle_ns(int64_t ns)
{
	/* Relaxed, as all of queued and idle_ns: numbers by themselves. */
	atomic_store_explicit(&pool.idle_ns, ns, memory_order_relaxed);
}

int64_t blocking_queued(void)
{
	return atomic_load_explicit(&pool.queued, memory_order_relaxed);
}

int64_t blocking_threads(void)
{
	int n;

	rtlock_lock(&pool.lock);
	n = pool.nthreads;
	rtlock_unlock(&pool.lock);
	return n;
}

/* ---- the queue; the lock is held ---- */

static void queue_push_locked(struct request *r)
{
	r->next = NULL;
	if (pool.head)
		pool.tail->next = r;
	else
		pool.head = r;
	pool.tail = r;
	atomic_fetch_add_explicit(&pool.queued, 1, memory_order_relaxed);
}

static struct request *queue_pop_locked(void)
{
	struct request *r = pool.head;

	if (!r)
		return NULL;
	pool.head = r->next;
	atomic_fetch_sub_explicit(&pool.queued, 1, memory_order_relaxed);
	return r;
}

static struct helper *idle_pop_locked(void)
{
	struct helper *h = pool.idle;

	if (h)
		pool.idle = h->next_idle;
	return h;
}

static void idle_remove_locked(struct helper *h)
{
	struct helper **at = &pool.idle;

	while (*at != h)
		at = &(*at)->next_idle;
	*at = h->next_idle;
}

/* ---- sleeping and waking ---- */

static void set_word(struct helper *h)
{
	/* B5 release, pairs with B4: what the helper is to find. */
	atomic_store_explicit(&h->word, 1, memory_order_release);
}

static void wake_helper(struct helper *h)
{
	syscall(SYS_futex, &h->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* False: nothing came before `until`. */
static bool sleep_idle(struct helper *h, int64_t until)
{
	const struct timespec ts = {.tv_sec = until / RG_SECOND,
				    .tv_nsec = until % RG_SECOND};

	/* B4 acquire, pairs with B5. */
	while (!atomic_load_explicit(&h->word, memory_order_acquire)) {
		/* Absolute on CLOCK_MONOTONIC; wakes early for no reason. */
		if (syscall(SYS_futex, &h->word, FUTEX_WAIT_BITSET_PRIVATE, 0,
			    &ts, NULL, FUTEX_BITSET_MATCH_ANY) < 0 &&
		    errno == ETIMEDOUT)
			return false;
	}
	return true;
}

/* ---- a helper's life ---- */

/* To ThreadSanitizer a call is a flow of its own, on a stack of its own: this thread's
 * other calls are of no concern to it (CALL_STACK: as deep as calls mostly are). */
#if RG_TSAN
static void *call_flow_make(struct helper *h)
{
	enum { CALL_STACK = 1 << 20 };
	char *top = __builtin_frame_address(0);
	size_t room = (size_t)(top - h->stack_lo) & ~(size_t)15;
	void *flow;

	room = room < CALL_STACK ? room : CALL_STACK;
	san_new_memory((char *)((uintptr_t)top & ~(uintptr_t)15) - room, room);
	flow = __tsan_create_fiber(0);
	__tsan_set_fiber_name(flow, "rg_blocking");
	return flow;
}

static void call_flow_free(void *flow)
{
	__tsan_destroy_fiber(flow);
}

static void note_stack(struct helper *h)
{
	pthread_attr_t attr;
	size_t size;
	void *lo;

	h->stack_lo = __builtin_frame_address(0);
	if (pthread_getattr_np(pthread_self(), &attr))
		return;
	if (!pthread_attr_getstack(&attr, &lo, &size))
		h->stack_lo = lo;
	pthread_attr_destroy(&attr);
}
#else
static void *call_flow_make(struct helper *h)
{
	(void)h;
	return NULL;
}

static void call_flow_free(void *flow)
{
	(void)flow;
}

static void note_stack(struct helper *h)
{
	(void)h;
}
#endif

/* The pool's lock is held, and is released. */
static void run_request(struct helper *h, struct request *r)
{
	bool is_abandoned;
	void *flow = call_flow_make(h);
	void *result, *self;
	int err;

	h->is_busy = true;
	rtlock_unlock(&pool.lock);
	self = san_flow_on(flow);
	san_acquire(r);
	san_own_errno(&errno);
	errno = r->err;
	result = r->fn(r->arg);
	err = errno;
	rtlock_lock(&pool.lock);
	h->is_busy = false;
	is_abandoned = h->is_abandoned;
	if (!is_abandoned) {
		r->result = result;
		r->err = err;
	}
	rtlock_unlock(&pool.lock);
	if (!is_abandoned)
		sched_ready(r->gp);
	san_flow_back(self);
	call_flow_free(flow);
}

/* The lock is held. What to do next; NULL: end. May release the lock and sleep. */
static struct request *next_request_locked(struct helper *h)
{
	struct request *r = queue_pop_locked();
	bool was_woken;

	if (r || pool.is_stopping)
		return r;
	/* Relaxed: under the lock; only B5's store is looked at without. */
	atomic_store_explicit(&h->word, 0, memory_order_relaxed);
	h->request = NULL;
	h->next_idle = pool.idle;
	pool.idle = h;
	rtlock_unlock(&pool.lock);
	was_woken = sleep_idle(
		h, clock_now() + atomic_load_explicit(&pool.idle_ns,
						      memory_order_relaxed));
	rtlock_lock(&pool.lock);
	/* Given something in the last moment: its word is set then. */
	if (!was_woken &&
	    !atomic_load_explicit(&h->word, memory_order_relaxed)) {
		idle_remove_locked(h);
		return NULL;
	}
	return h->request;
}

/* The lock is held. Only blocking_stop joins, and only those that it waited for. */
static void end_locked(struct helper *h)
{
	if (!h->is_abandoned)
		pool.nthreads--;
	if (pool.is_stopping && !h->is_abandoned) {
		h->state = HELPER_ENDED;
		return;
	}
	h->state = HELPER_FREE;
	pthread_detach(h->thread);
}

static void *helper_main(void *arg)
{
	struct helper *h = arg;
	struct request *r;

	pthread_setname_np(pthread_self(), "rg-blocking");
	note_stack(h);
	san_quiet_begin(); /* between the calls */
	rtlock_lock(&pool.lock);
	h->thread = pthread_self();
	pool.nborn--;
	while (!h->is_abandoned && (r = next_request_locked(h))) {
		run_request(h, r);
		rtlock_lock(&pool.lock);
	}
	end_locked(h);
	rtlock_unlock(&pool.lock);
	san_quiet_end();
	return NULL;
}

static struct helper *helper_reserve_locked(void)
{
	for (int i = 0; i < BLOCKING_MAX; i++) {
		struct helper *h = &pool.helpers[i];

		if (h->state != HELPER_FREE)
			continue;
		h->state = HELPER_ALIVE;
		h->is_busy = h->is_abandoned = false;
		pool.nthreads++;
		pool.nborn++;
		return h;
	}
	return NULL;
}

/* The lock is held, released meanwhile, and held again. false: no more threads. */
static bool add_helper_locked(void)
{
	struct helper *h = helper_reserve_locked();
	sigset_t all, mask;
	pthread_t thread;
	void *self;
	int err;

	if (!h)
		return false;
	rtlock_unlock(&pool.lock);
	sigsetup_async_mask(&all);
	sigaddset(&all, SIGURG);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	self = sched_flow_on();
	err = pthread_create(&thread, NULL, helper_main, h);
	sched_flow_back(self);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	rtlock_lock(&pool.lock);
	if (err) {
		h->state = HELPER_FREE;
		pool.nthreads--;
		pool.nborn--;
	}
	return !err;
}

/* ---- a call ---- */

static bool commit_call(struct g *gp, void *arg)
{
	struct helper *h = ((struct request *)arg)->helper;

	(void)gp;
	rtlock_unlock(&pool.lock);
	/* The request may be over by now; the helper's memory is static. */
	if (h)
		wake_helper(h);
	return true;
}

/* B1. false: no thread can be had. The lock is held when it returns true. */
static bool dispatch(struct request *r)
{
	rtlock_lock(&pool.lock);
	/* A new helper may be given to somebody else before we hold the lock
	 * again: I2 is what counts. */
	while (!pool.idle && blocking_queued() >= pool.nborn)
		if (!add_helper_locked())
			break;
	r->helper = idle_pop_locked();
	if (r->helper) {
		r->helper->request = r;
		set_word(r->helper);
	} else if (pool.nthreads) {
		queue_push_locked(r);
	} else {
		rtlock_unlock(&pool.lock);
		return false;
	}
	return true;
}

RG_CALLS_USER void *rg_blocking(void *(*fn)(void *), void *arg)
{
	struct request r = {.fn = fn, .arg = arg};

	sched_point();
	if (!is_goroutine())
		return fn(arg);
	if (lockthread_is_locked(getg()))
		return lockthread_call(fn, arg);
	r.gp = getg();
	r.err = errno;
	san_release(&r);
	if (!dispatch(&r))
		return fn(arg);
	/* Relaxed: before the park, which orders it for deadlock.c. */
	atomic_fetch_add_explicit(&sched.blocking_busy, 1,
				  memory_order_relaxed);
	sched_park(commit_call, &r, WAIT_BLOCKING, arg);
	/* Here, not in the helper: before sched_ready there would be a moment
	 * in which nobody seems to wake us; after it, one in which the last M
	 * goes to sleep and believes that somebody will be woken. */
	atomic_fetch_sub_explicit(&sched.blocking_busy, 1,
				  memory_order_relaxed);
	errno = r.err;
	return r.result;
}

/* ---- the end ---- */

static void stop_idle_locked(void)
{
	struct helper *h;

	while ((h = idle_pop_locked())) {
		h->request = NULL;
		set_word(h);
		wake_helper(h);
	}
}

/*
 * Only helpers in the middle of a call can be left behind: one that is just readying
 * its goroutine, or is being born, ends by itself in no time. Returns how many
 * helpers are still to be waited for; *left counts those that were given up.
 */
static int settle_locked(bool is_late, int *left)
{
	int alive = 0, busy = 0;

	for (int i = 0; i < BLOCKING_MAX; i++) {
		struct helper *h = &pool.helpers[i];

		if (h->state == HELPER_ALIVE && !h->is_abandoned) {
			alive++;
			busy += h->is_busy;
		}
	}
	if (!is_late || busy < alive)
		return alive;
	for (int i = 0; i < BLOCKING_MAX; i++)
		if (pool.helpers[i].state == HELPER_ALIVE)
			pool.helpers[i].is_abandoned = true;
	pool.nthreads -= busy;
	*left = busy;
	return 0;
}

static int wait_for_helpers(void)
{
	const struct timespec nap = {0, RG_MILLISECOND};
	int64_t until = clock_now() + STOP_GRACE_NS;
	int waiting, left = 0;

	for (;;) {
		rtlock_lock(&pool.lock);
		waiting = settle_locked(clock_now() >= until, &left);
		rtlock_unlock(&pool.lock);
		if (!waiting)
			return left;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
}

static void join_ended(void)
{
	for (int i = 0; i < BLOCKING_MAX; i++) {
		struct helper *h = &pool.helpers[i];

		if (h->state != HELPER_ENDED)
			continue;
		pthread_join(h->thread, NULL);
		h->state = HELPER_FREE;
	}
}

int blocking_stop(void)
{
	int left;

	rtlock_lock(&pool.lock);
	pool.is_stopping = true;
	/* What nobody has begun is forgotten with its goroutine. */
	pool.head = pool.tail = NULL;
	atomic_store_explicit(&pool.queued, 0, memory_order_relaxed);
	stop_idle_locked();
	rtlock_unlock(&pool.lock);
	left = wait_for_helpers();
	join_ended();
	rtlock_lock(&pool.lock);
	pool.is_stopping = false;
	rtlock_unlock(&pool.lock);
	/* Relaxed: the runtime is over; late helpers do not count any more. */
	atomic_store_explicit(&sched.blocking_busy, 0, memory_order_relaxed);
	return left;
}
