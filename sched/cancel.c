// SPDX-License-Identifier: MIT
/*
 * cancel - see cancel.h.
 */
#include "sched/cancel.h"

#include "sched/park.h"

int cancel_token_err(const struct cancel_token *t)
{
	/* C1 acquire, pairs with C2: what its owner wrote before. */
	int err = atomic_load_explicit(&t->err, memory_order_acquire);

	if (err)
		san_acquire((void *)(uintptr_t)t);
	return err;
}

bool cancel_token_fire(struct cancel_token *t, int err)
{
	struct ready_list ready = {0};
	bool is_first;

	san_release(t);
	rtlock_lock(&t->lock);
	is_first = !atomic_load_explicit(&t->err, memory_order_relaxed);
	if (is_first) {
		/* C2 release, pairs with C1. */
		atomic_store_explicit(&t->err, err, memory_order_release);
		list_for_each_safe(it, after, &t->waiters) {
			struct cancel_waiter *w =
				container_of(it, struct cancel_waiter, link);

			w->on_cancel(w, err, &ready);
		}
	}
	rtlock_unlock(&t->lock);
	sched_ready_all(&ready);
	return is_first;
}

int cancel_wait_begin(struct cancel_token *t, struct cancel_waiter *w)
{
	int err = cancel_token_err(t);

	if (err)
		return err;
	rtlock_lock(&t->lock);
	err = atomic_load_explicit(&t->err, memory_order_relaxed);
	if (!err)
		list_push_back(&t->waiters, &w->link);
	rtlock_unlock(&t->lock);
	return err;
}

void cancel_wait_end(struct cancel_token *t, struct cancel_waiter *w)
{
	rtlock_lock(&t->lock);
	list_del(&w->link);
	rtlock_unlock(&t->lock);
}
