/* SPDX-License-Identifier: MIT */
/*
 * parklot - waiting for something at an address, without memory in the thing itself.
 *
 * Mutexes, wait groups and their like are a word or two in the user's own memory;
 * who waits for one is kept here, under its address. The record of a waiter is on
 * its own stack. Each address hashes to a bucket with a lock.
 *
 *   I1  park decides under the bucket's lock, by `check`, whether to wait; unpark
 *       changes the object's word under it, by `release`. So whoever is queued
 *       waited for what the word said when it was released, and no wake-up is lost
 *       or meant for a later user of the address.
 *   I2  `release` is the last that touches the object: its word may be another
 *       object's as soon as it has been changed. From then on the address is a
 *       number.
 *   I3  waiters of one address are woken in the order in which they parked, except
 *       those who parked with `front`.
 *   I4  a waiter whose context ended is in the queue until it runs; parkq_take passes
 *       over it.
 * Callbacks run with a runtime lock held: no parking, no allocation, a few lines.
 * Lock rank: under a bucket's lock only a cancel token's is taken, by those who park
 * and heed it.
 */
#ifndef RG_SYNC_PARKLOT_H
#define RG_SYNC_PARKLOT_H

#include <ringgo/base.h>

#include "sched/park.h"

/* One who waits; on its stack. Links under the bucket's lock. */
struct parked {
	struct parked *next;      /* of the same address, younger */
	struct parked *prev;      /* of the same address, older */
	struct parked *last;      /* the youngest; the oldest's only */
	struct parked *next_addr; /* the oldest of another address; likewise */
	uintptr_t addr;
	struct g *gp; /* NULL: queued, but not parked yet (parklot_queue) */
	bool queued;
	bool heeds;    /* its context may wake it, too: const while queued */
	bool starving; /* its owner's, for `release` to read */
	bool handed;   /* `release`'s, for the owner to read */
};

/* The waiters of one address while their bucket is locked. */
struct parkq {
	struct parked **at; /* the oldest, if there is one: see parkq_oldest */
	uintptr_t addr;
	struct ready_list ready; /* taken; readied after the unlock */
};

/* Whether to wait still; may change the word. */
typedef bool parklot_check(void *arg);

/* Change the word. first: the oldest waiter, who will be woken; NULL: all that waited
 * ended with their runtime. more: others are queued behind it. */
typedef void parklot_release_one(void *arg, struct parked *first, bool more);

/* Change the word; whether all waiters are to be woken. */
typedef bool parklot_release_all(void *arg);

/* The general form of both: takes from q whom it wants to wake. */
typedef void parklot_release(void *arg, struct parkq *q);

/* Whether to wait still, seeing who waits already. */
typedef bool parklot_checkq(void *arg, struct parkq *q);

/*
 * parklot_park - wait at addr unless check says no; w->starving is the caller's to
 * set. front: before those who wait already. false: check said no.
 * Context: goroutine or foreign thread; parks.
 */
bool parklot_park(struct parked *w, const void *addr, parklot_check *check,
		  void *arg, bool front, enum wait_reason reason);

/* parklot_unpark_one - wake the oldest waiter at addr. Does not park. */
void parklot_unpark_one(const void *addr, parklot_release_one *release,
			void *arg);

/* parklot_unpark_all - wake all of them if release says so. Does not park. */
void parklot_unpark_all(const void *addr, parklot_release_all *release,
			void *arg);

/* parklot_unpark - wake whom release takes from the queue. Does not park. */
void parklot_unpark(const void *addr, parklot_release *release, void *arg);

/* parkq_oldest - who waited longest; NULL: nobody waits. */
struct parked *parkq_oldest(const struct parkq *q);

/* parkq_take - unlink the oldest one, which is woken after the callback. false: its
 * context was quicker, it is not woken by us. */
bool parkq_take(struct parkq *q);

/*
 * parklot_park_heeding - as parklot_park, but the goroutine's context may end the
 * wait. WAKE_NONE: check said no; WAKE_EVENT: taken; WAKE_CANCEL: the context ended,
 * and the caller must call parklot_leave.
 */
enum wake_state parklot_park_heeding(struct parked *w, const void *addr,
				     parklot_checkq *check, void *arg,
				     enum wait_reason reason);

/* parklot_leave - w, whose context ended, leaves the queue; then as parklot_unpark:
 * there may be somebody who waited behind it only. */
void parklot_leave(struct parked *w, parklot_release *release, void *arg);

/*
 * parklot_queue, parklot_sleep - waiting in two steps, between which a mutex may be
 * unlocked (but nothing may park): from the first one on wake-ups count. mark runs
 * under the bucket's lock. sleep returns once w was taken.
 */
void parklot_queue(struct parked *w, const void *addr, void (*mark)(void *arg),
		   void *arg);
void parklot_sleep(struct parked *w, enum wait_reason reason);

/* parklot_count - how many wait at addr; for tests. */
size_t parklot_count(const void *addr);

/* parklot_forget - gp, parked here, or woken by its context and not run since, will
 * never run again: its runtime ended. */
void parklot_forget(struct g *gp);

#endif
