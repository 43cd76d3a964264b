// SPDX-License-Identifier: MIT
/*
 * timer - see timer.h for the role and the invariants.
 *
 * A 4-ary heap keeps the four children of a node in one or two cache lines and is
 * half as deep as a binary one. Go's runtime keeps the same shape. Rejected: a
 * timing wheel (cheaper to insert, but a tick's worth of lateness or a hierarchy to
 * cascade); timeouts as io_uring operations (two completions each).
 */
#include "sched/timer.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/clock.h"
#include "sched/bubble.h"
#include "sched/sched.h"
#include "sched/seed.h"
#include "sched/wake.h"

enum { ARITY = 4, CAP_MIN = 64 };

struct timer_slot {
	rg_time when;
	struct timer *timer;
};

int64_t timer_count(void)
{
	int64_t n = 0;
	struct p *pp;

	/* Relaxed: a gauge; exact when nothing runs. */
	sched_for_each_p(pp) {
		n += atomic_load_explicit(&pp->timers.count,
					  memory_order_relaxed);
	}
	return n;
}

rg_time timer_after(rg_duration d)
{
	rg_time now = rg_now();

	if (d <= 0)
		return now;
	return d > RG_FOREVER - now ? RG_FOREVER : now + d;
}

static void place(struct timer_heap *h, uint32_t i, struct timer_slot slot)
{
	h->slots[i] = slot;
	slot.timer->index = i;
}

static void sift_up(struct timer_heap *h, uint32_t i)
{
	struct timer_slot slot = h->slots[i];

	while (i > 0) {
		uint32_t parent = (i - 1) / ARITY;

		if (h->slots[parent].when < slot.when ||
		    (h->slots[parent].when == slot.when && !seed_coin()))
			break;
		place(h, i, h->slots[parent]);
		i = parent;
	}
	place(h, i, slot);
}

static void sift_down(struct timer_heap *h, uint32_t i)
{
	struct timer_slot slot = h->slots[i];

	for (;;) {
		uint32_t first = i * ARITY + 1, least = first;

		if (first >= h->len)
			break;
		for (uint32_t c = first + 1; c < first + ARITY && c < h->len;
		     c++)
			if (h->slots[c].when < h->slots[least].when)
				least = c;
		if (h->slots[least].when >= slot.when)
			break;
		place(h, i, h->slots[least]);
		i = least;
	}
	place(h, i, slot);
}

static void note_earliest(struct timer_heap *h)
{
	/* Relaxed: readers only decide whether to look under the lock. */
	atomic_store_explicit(&h->earliest,
			      h->len ? h->slots[0].when : RG_FOREVER,
			      memory_order_relaxed);
	atomic_store_explicit(&h->count, h->len, memory_order_relaxed);
}

static void remove_at(struct timer_heap *h, uint32_t i)
{
	struct timer *t = h->slots[i].timer;
	struct timer_slot last = h->slots[--h->len];

	if (i < h->len) {
		place(h, i, last);
		sift_up(h, i);
		sift_down(h, last.timer->index);
	}
	note_earliest(h);
	/* H1 release, pairs with H2 in lock_heap. */
	atomic_store_explicit(&t->heap, NULL, memory_order_release);
}

/* Room for one more than is in use and promised. Allocates outside the lock; called
 * and returns locked. */
static int reserve(struct timer_heap *h)
{
	while (rg_unlikely(h->len + h->reserved >= h->cap)) {
		uint32_t cap = h->cap ? h->cap * 2 : CAP_MIN;
		struct timer_slot *bigger, *old;

		rtlock_unlock(&h->lock);
		bigger = rgk_alloc(cap * sizeof *bigger);
		rtlock_lock(&h->lock);
		if (!bigger)
			return h->len + h->reserved < h->cap ? 0 : -ENOMEM;
		old = bigger;
		if (h->cap < cap) {
			if (h->len)
				memcpy(bigger, h->slots,
				       h->len * sizeof *bigger);
			old = h->slots;
			h->slots = bigger;
			h->cap = cap;
		}
		rtlock_unlock(&h->lock);
		rgk_free(old);
		rtlock_lock(&h->lock);
	}
	return 0;
}

static struct p *this_p(void)
{
	struct m *mp = getm();

	return mp && mp->p ? mp->p : sched.ps[0];
}

/* There is room. Returns true when t is now the first. Locked. */
static bool insert(struct timer_heap *h, struct timer *t)
{
	h->slots[h->len] = (struct timer_slot){t->when, t};
	/* H1 release, pairs with H2. */
	atomic_store_explicit(&t->heap, h, memory_order_release);
	sift_up(h, h->len++);
	note_earliest(h);
	return t->index == 0;
}

static void fill(struct timer *t, rg_time when, rg_duration period,
		 timer_fn *fn, void *arg)
{
	t->when = when;
	t->period = period;
	t->fn = fn;
	t->arg = arg;
}

/* Where the caller's timers go; NULL heap: no runtime. */
static struct timer_place this_place(bool is_real)
{
	struct bubble *b = is_real ? NULL : bubble_current();
	struct p *pp;

	if (rg_unlikely(b))
		return (struct timer_place){bubble_timers(b), NULL};
	pp = this_p();
	return (struct timer_place){pp ? &pp->timers : NULL, pp};
}

/* Whoever arms a bubble's timer runs in it: nobody is asleep for it. */
static void wake_for(const struct timer_place *place)
{
	if (rg_likely(place->p))
		wake_for_timer(place->p);
}

static int start_at(const struct timer_place *place, struct timer *t,
		    const struct timer *set)
{
	struct timer_heap *h = place->heap;
	bool is_first = false;
	int err;

	if (rg_unlikely(!h))
		return -ESRCH;
	rtlock_lock(&h->lock);
	err = reserve(h);
	if (!err) {
		fill(t, set->when, set->period, set->fn, set->arg);
		is_first = insert(h, t);
	}
	rtlock_unlock(&h->lock);
	if (is_first)
		wake_for(place);
	return err;
}

int timer_start(struct timer *t, rg_time when, rg_duration period, timer_fn *fn,
		void *arg)
{
	struct timer_place place = this_place(false);
	struct timer set = {
		.when = when, .period = period, .fn = fn, .arg = arg};

	return start_at(&place, t, &set);
}

int timer_start_real(struct timer *t, rg_time when, timer_fn *fn, void *arg)
{
	struct timer_place place = this_place(true);
	struct timer set = {.when = when, .fn = fn, .arg = arg};

	return start_at(&place, t, &set);
}

int timer_reserve(struct timer_place *place)
{
	int err;

	*place = this_place(false);
	if (rg_unlikely(!place->heap))
		return -ESRCH;
	rtlock_lock(&place->heap->lock);
	err = reserve(place->heap);
	if (!err)
		place->heap->reserved++;
	rtlock_unlock(&place->heap->lock);
	return err;
}

void timer_start_reserved(struct timer_place *place, struct timer *t,
			  rg_time when, timer_fn *fn, void *arg)
{
	struct timer_heap *h = place->heap;
	/* Once t is in, its goroutine may run on and *place be gone. */
	struct timer_place at = *place;
	bool is_first;

	rtlock_lock(&h->lock);
	h->reserved--;
	fill(t, when, 0, fn, arg);
	is_first = insert(h, t);
	rtlock_unlock(&h->lock);
	if (is_first)
		wake_for(&at);
}

void timer_unreserve(struct timer_place *place)
{
	rtlock_lock(&place->heap->lock);
	place->heap->reserved--;
	rtlock_unlock(&place->heap->lock);
}

/* Locks the heap that t is in; NULL: in none. */
static struct timer_heap *lock_heap(struct timer *t)
{
	for (;;) {
		/* H2 acquire, pairs with H1. */
		struct timer_heap *h =
			atomic_load_explicit(&t->heap, memory_order_acquire);

		if (!h)
			return NULL;
		rtlock_lock(&h->lock);
		if (atomic_load_explicit(&t->heap, memory_order_relaxed) == h)
			return h;
		rtlock_unlock(&h->lock);
	}
}

bool timer_stop(struct timer *t)
{
	struct timer_heap *h;
	bool was_armed = false;

	for (;;) {
		h = lock_heap(t);
		if (h) {
			remove_at(h, t->index);
			rtlock_unlock(&h->lock);
			was_armed = true;
		}
		/* F2 acquire, pairs with F1: fn's effects; a fn in progress
		 * may have armed it again, so look again. */
		if (!atomic_load_explicit(&t->firing, memory_order_acquire) &&
		    !atomic_load_explicit(&t->heap, memory_order_acquire))
			return was_armed;
		sched_yield();
	}
}

bool timer_try_stop(struct timer *t)
{
	struct timer_heap *h = lock_heap(t);

	if (!h)
		return false;
	remove_at(h, t->index);
	rtlock_unlock(&h->lock);
	return true;
}

/* Re-arms a periodic timer in its phase, or takes it out. Locked. */
static void advance(struct timer_heap *h, struct timer *t, rg_time now)
{
	rg_duration missed;

	if (t->period <= 0) {
		remove_at(h, t->index);
		return;
	}
	missed = (now - t->when) / t->period;
	if (t->when > RG_FOREVER - t->period ||
	    missed > (RG_FOREVER - t->when) / t->period - 1)
		t->when = RG_FOREVER;
	else
		t->when += t->period * (missed + 1);
	h->slots[t->index].when = t->when;
	sift_down(h, t->index);
	note_earliest(h);
}

unsigned timer_heap_run(struct timer_heap *h, rg_time now)
{
	unsigned n = 0;

	/* Relaxed: a look; late by one round at worst. */
	while (atomic_load_explicit(&h->earliest, memory_order_relaxed) <=
	       now) {
		struct timer *t;
		timer_fn *fn;
		void *arg;

		rtlock_lock(&h->lock);
		if (!h->len || h->slots[0].when > now) {
			rtlock_unlock(&h->lock);
			break;
		}
		t = h->slots[0].timer;
		fn = t->fn;
		arg = t->arg;
		/* Relaxed: under the lock; timer_stop reads it after locking
		 * or after H2. */
		atomic_fetch_add_explicit(&t->firing, 1, memory_order_relaxed);
		advance(h, t, now);
		rtlock_unlock(&h->lock);
		fn(t, arg, now);
		/* F1 release, pairs with F2: after this t may be freed. */
		atomic_fetch_sub_explicit(&t->firing, 1, memory_order_release);
		n++;
	}
	return n;
}

void timer_heap_init(struct timer_heap *h)
{
	memset(h, 0, sizeof *h);
	note_earliest(h);
}

void timer_heap_free(struct timer_heap *h)
{
	while (h->len)
		remove_at(h, h->len - 1);
	rgk_free(h->slots);
	h->slots = NULL;
	h->cap = 0;
}

bool timer_heap_check(struct timer_heap *h)
{
	bool ok = true;

	rtlock_lock(&h->lock);
	for (uint32_t i = 0; i < h->len; i++) {
		ok &= h->slots[i].timer->index == i;
		ok &= h->slots[i].timer->when == h->slots[i].when;
		ok &= i == 0 ||
		      h->slots[(i - 1) / ARITY].when <= h->slots[i].when;
	}
	rtlock_unlock(&h->lock);
	return ok;
}
