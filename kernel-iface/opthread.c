// SPDX-License-Identifier: MIT
/*
 * opthread - see opthread.h.
 *
 * An idle helper sleeps on `pool.rung`, a futex word that each submission counts up.
 */
#include "kernel-iface/opthread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/base/futexlock.h"
#include "kernel-iface/base/rtlock.h"
#include "kernel-iface/epcall.h"
#include "kernel-iface/epring.h"

/* 11 KB are the deepest calls below (a path walk is the kernel's). */
enum { STACK_SIZE = 256 * 1024 };
#define IDLE_NS (INT64_C(10) * 1000000000)

enum slot_state { SLOT_FREE, SLOT_ALIVE, SLOT_ENDED };

struct slot {
	enum slot_state state; /* ENDED: to be joined */
	pthread_t thread;      /* set by itself */
};

static struct {
	struct rtlock lock;
	/* under lock */
	struct list queue;
	struct slot slots[OPTHREAD_MAX];
	int nalive, nidle; /* idle: or about to look into the queue */
	bool has_begun;    /* a helper since the start of the pool */
	bool is_stopping;
	/* any thread */
	_Atomic uint32_t rung;
	_Atomic int64_t idle_ns;
} pool = {.idle_ns = IDLE_NS};

/* Engines that are open. Not the pool's lock: threads are made and joined under it. */
static struct futexlock users_lock;
static int users;

void opthread_set_idle_ns(int64_t ns)
{
	/* Relaxed: a number by itself. */
	atomic_store_explicit(&pool.idle_ns, ns, memory_order_relaxed);
}

int opthread_count(void)
{
	int n;

	rtlock_lock(&pool.lock);
	n = pool.nalive;
	rtlock_unlock(&pool.lock);
	return n;
}

static void ring_bell(int n)
{
	/* Relaxed: what is to be found is under the lock. */
	atomic_fetch_add_explicit(&pool.rung, 1, memory_order_relaxed);
	syscall(SYS_futex, &pool.rung, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

/* False: the time is up. */
static bool sleep_until_rung(uint32_t seen)
{
	int64_t ns = atomic_load_explicit(&pool.idle_ns, memory_order_relaxed);
	struct timespec ts = {.tv_sec = ns / 1000000000,
			      .tv_nsec = ns % 1000000000};

	return !(syscall(SYS_futex, &pool.rung, FUTEX_WAIT_PRIVATE, seen, &ts,
			 NULL, 0) < 0 &&
		 errno == ETIMEDOUT);
}

static void *helper_main(void *arg);

static struct slot *reserve_locked(void)
{
	for (int i = 0; i < OPTHREAD_MAX; i++) {
		struct slot *s = &pool.slots[i];

		if (s->state != SLOT_FREE)
			continue;
		s->state = SLOT_ALIVE;
		pool.nalive++;
		pool.nidle++;
		return s;
	}
	return NULL;
}

static int create(struct slot *s)
{
	sigset_t all, mask;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	/* Faults are delivered, blocked or not. */
	sigfillset(&all);
	err = pthread_attr_init(&attr);
	if (err)
		return -err;
	/* Refused where thread-locals need more: then the default. */
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &mask);
	err = pthread_create(&thread, &attr, helper_main, s);
	if (err == EINVAL)
		err = pthread_create(&thread, NULL, helper_main, s);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

/* The lock is held, released meanwhile, and held again. I2. 0 or a negative errno. */
static int add_locked(void)
{
	struct slot *s = reserve_locked();
	int err;

	if (!s)
		return -EAGAIN;
	rtlock_unlock(&pool.lock);
	err = create(s);
	rtlock_lock(&pool.lock);
	if (err) {
		s->state = SLOT_FREE;
		pool.nalive--;
		pool.nidle--;
	}
	return err;
}

/* The lock is held. The next operation, marked as being run; NULL: end. */
static struct op *next_locked(void)
{
	for (;;) {
		struct list *link = list_pop_front(&pool.queue);
		uint32_t seen;
		bool was_rung;

		if (link) {
			struct op *op = container_of(link, struct op, ep.link);

			/* Relaxed: under the lock, as its readers. */
			atomic_store_explicit(&op->ep.place, OP_AT_ASIDE,
					      memory_order_relaxed);
			return op;
		}
		if (pool.is_stopping)
			return NULL;
		/* Relaxed: rung after the lock was released by who queues. */
		seen = atomic_load_explicit(&pool.rung, memory_order_relaxed);
		rtlock_unlock(&pool.lock);
		was_rung = sleep_until_rung(seen);
		rtlock_lock(&pool.lock);
		if (!was_rung && pool.nidle > 1 && list_is_empty(&pool.queue))
			return NULL;
	}
}

static void run(struct op *op)
{
	int res;

	/* I2, before this one may wait. */
	pool.nidle--;
	if (!pool.nidle && !pool.is_stopping)
		(void)add_locked();
	rtlock_unlock(&pool.lock);
	do {
		res = epcall_aside(op);
	} while (res == -EINTR);
	epring_post(op, res);
	rtlock_lock(&pool.lock);
	pool.nidle++;
}

static void *helper_main(void *arg)
{
	struct slot *s = arg;
	struct op *op;

	pthread_setname_np(pthread_self(), OPTHREAD_NAME);
	rtlock_lock(&pool.lock);
	pool.has_begun = true;
	s->thread = pthread_self();
	while ((op = next_locked()))
		run(op);
	pool.nalive--;
	pool.nidle--;
	s->state = pool.is_stopping ? SLOT_ENDED : SLOT_FREE;
	if (s->state == SLOT_FREE)
		pthread_detach(s->thread);
	rtlock_unlock(&pool.lock);
	return NULL;
}

/* From now on it has its name, by which deadlock.c knows it from threads that may wake
 * somebody; further helpers inherit that. */
static void await_first_locked(void)
{
	while (!pool.has_begun) {
		rtlock_unlock(&pool.lock);
		sched_yield();
		rtlock_lock(&pool.lock);
	}
}

int opthread_start(void)
{
	int err = 0;

	futexlock_lock(&users_lock);
	if (!users) {
		rtlock_lock(&pool.lock);
		pool.is_stopping = pool.has_begun = false;
		err = add_locked();
		if (!err)
			await_first_locked();
		rtlock_unlock(&pool.lock);
	}
	users += !err;
	futexlock_unlock(&users_lock);
	return err;
}

static void join_ended(void)
{
	for (int i = 0; i < OPTHREAD_MAX; i++) {
		struct slot *s = &pool.slots[i];

		if (s->state != SLOT_ENDED)
			continue;
		pthread_join(s->thread, NULL);
		s->state = SLOT_FREE;
	}
}

/* One that is being born ends, too: its first look finds is_stopping. */
void opthread_stop(void)
{
	const struct timespec nap = {0, 50 * 1000};

	futexlock_lock(&users_lock);
	if (!--users) {
		rtlock_lock(&pool.lock);
		RG_ASSERT(list_is_empty(&pool.queue));
		pool.is_stopping = true;
		rtlock_unlock(&pool.lock);
		do {
			ring_bell(OPTHREAD_MAX);
			clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		} while (opthread_count());
		join_ended();
	}
	futexlock_unlock(&users_lock);
}

void opthread_submit(struct op *op)
{
	rtlock_lock(&pool.lock);
	/* Relaxed: under the lock. */
	atomic_store_explicit(&op->ep.place, OP_AT_QUEUE, memory_order_relaxed);
	list_push_back(&pool.queue, &op->ep.link);
	rtlock_unlock(&pool.lock);
	ring_bell(1);
}

bool opthread_take_back(struct op *op)
{
	bool is_ours;

	rtlock_lock(&pool.lock);
	/* Relaxed: under the lock. */
	is_ours = atomic_load_explicit(&op->ep.place, memory_order_relaxed) ==
		  OP_AT_QUEUE;
	if (is_ours)
		list_del(&op->ep.link);
	rtlock_unlock(&pool.lock);
	return is_ours;
}

struct op *opthread_take_any(const struct ring *r)
{
	struct op *found = NULL;

	rtlock_lock(&pool.lock);
	list_for_each(link, &pool.queue) {
		struct op *op = container_of(link, struct op, ep.link);

		if (op->ep.ring != r)
			continue;
		list_del(link);
		found = op;
		break;
	}
	rtlock_unlock(&pool.lock);
	return found;
}
