// SPDX-License-Identifier: MIT
/*
 * test_chanstress - channels under races: SEMANTICS 9 and 12; many producers and
 * consumers, goroutines and foreign threads, neither losing nor reordering.
 */
#include "tests/sync/synctest.h"

#include "kernel-iface/alloc.h"

static rg_chan *make_int(size_t capacity)
{
	rg_chan *c = rg_make(int64_t, capacity);

	T_CHECK(c != NULL);
	return c;
}

struct numbered {
	rg_chan *c;
	int64_t i;
};

static void go_numbered(void (*fn)(void *arg), rg_chan *c, int64_t i)
{
	struct numbered n = {c, i};

	T_CHECK_INT_EQ(rg_go_copy(fn, &n, sizeof n), 0);
}

/* ---- races and happens-before ------------------------------------------------- */

static void try_recv_must_not_fail(void *arg)
{
	struct numbered *n = arg;
	int64_t v;

	T_CHECK_INT_NE(rg_chan_try_recv(n->c, &v), -EAGAIN);
	rg_send((rg_chan *)(uintptr_t)n->i, (int64_t)1);
}

/* Go's TestNonblockRecvRace: from the first send on c is always ready. */
static void nonblock_body(void *arg)
{
	rg_chan *done = make_int(1);
	int64_t v;

	(void)arg;
	for (int i = 0; i < 20000; i++) {
		rg_chan *c = make_int(1);

		rg_send(c, (int64_t)1);
		go_numbered(try_recv_must_not_fail, c,
			    (int64_t)(uintptr_t)done);
		rg_chan_close(c);
		rg_recv(c, &v);
		T_CHECK(rg_recv(done, &v));
		rg_chan_unref(c);
	}
	rg_chan_unref(done);
}

static void chan_try_recv_never_misses_what_is_ready(void **state)
{
	(void)state;
	run_both(nonblock_body, NULL);
}

struct limited {
	rg_chan *slots;
	int64_t inside[3];
	int64_t total; /* each slot's holder alone touches its counter */
	rg_waitgroup *done;
	_Atomic int in;
};

static void limited_work(void *arg)
{
	struct limited *l = arg;

	for (int i = 0; i < 300; i++) {
		rg_chan_send(l->slots, NULL);
		T_CHECK_INT_LE(atomic_fetch_add(&l->in, 1), 0);
		l->total++;
		rg_yield();
		atomic_fetch_sub(&l->in, 1);
		rg_chan_recv(l->slots, NULL);
	}
	rg_waitgroup_done(l->done);
}

/* The k-th receive happens before the (k+C)-th send completes: a channel of capacity
 * 1 is a lock. Thread sanitizer sees `total`. */
static void limited_body(void *arg)
{
	rg_waitgroup done = {0};
	struct limited l = {.slots = rg_chan_make(0, 1), .done = &done};

	(void)arg;
	T_CHECK(l.slots != NULL);
	rg_waitgroup_add(&done, 10);
	for (int i = 0; i < 10; i++)
		must_go(limited_work, &l);
	rg_waitgroup_wait(&done);
	T_CHECK_INT_EQ(l.total, 3000);
	rg_chan_unref(l.slots);
}

static void chan_of_capacity_one_is_a_lock(void **state)
{
	(void)state;
	run_both(limited_body, NULL);
}

/* ---- stress: producers and consumers, goroutines and foreign threads ----------- */

enum { PRODUCERS = 6, CONSUMERS = 5, ITEMS = 4000 };

struct stress {
	rg_chan *c;
	_Atomic int64_t sum, n;
	_Atomic int producers, left;
};

static void produce(struct stress *s)
{
	int64_t id = atomic_fetch_add(&s->producers, 1);

	for (int64_t i = 1; i <= ITEMS; i++)
		rg_send(s->c, id << 32 | i);
	if (atomic_fetch_sub(&s->left, 1) == 1)
		rg_chan_close(s->c);
	rg_chan_unref(s->c);
}

/* One consumer sees each producer's values in increasing order. */
static void consume(struct stress *s)
{
	int64_t last[PRODUCERS] = {0}, v;

	while (rg_recv(s->c, &v)) {
		int64_t id = v >> 32, i = v & UINT32_MAX;

		T_CHECK_INT_GT(i, last[id]);
		last[id] = i;
		atomic_fetch_add(&s->sum, i);
		atomic_fetch_add(&s->n, 1);
	}
	rg_chan_unref(s->c);
}

static void produce_g(void *s)
{
	produce(s);
}

static void consume_g(void *s)
{
	consume(s);
}

static void *produce_t(void *s)
{
	produce(s);
	return NULL;
}

static void *consume_t(void *s)
{
	consume(s);
	return NULL;
}

static void stress_one(size_t capacity, int threads)
{
	struct stress s = {.c = make_int(capacity), .left = PRODUCERS};
	pthread_t t[2 * PRODUCERS];
	int n = 0;

	for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
		rg_chan_ref(s.c);
	for (int i = 0; i < PRODUCERS; i++) {
		if (i < threads)
			must_thread(&t[n++], produce_t, &s);
		else
			must_go(produce_g, &s);
	}
	for (int i = 0; i < CONSUMERS; i++) {
		if (i < threads)
			must_thread(&t[n++], consume_t, &s);
		else
			must_go(consume_g, &s);
	}
	while (n > 0)
		must_join(t[--n]);
	wait_all();
	T_CHECK_INT_EQ(atomic_load(&s.n), PRODUCERS * ITEMS);
	T_CHECK_INT_EQ(atomic_load(&s.sum),
		       (int64_t)PRODUCERS * ITEMS * (ITEMS + 1) / 2);
	T_CHECK_INT_EQ(receivers(s.c) + senders(s.c), 0);
	rg_chan_unref(s.c);
}

static void stress_body(void *arg)
{
	(void)arg;
	stress_one(0, 0);
	stress_one(1, 0);
	stress_one(7, 0);
	stress_one(128, 0);
}

static void foreign_body(void *arg)
{
	(void)arg;
	stress_one(0, 2);
	stress_one(4, 3);
}

static void chan_stress_loses_and_reorders_nothing(void **state)
{
	(void)state;
	run_both(stress_body, NULL);
}

static void chan_stress_with_foreign_threads(void **state)
{
	(void)state;
	run_both(foreign_body, NULL);
}

static void live_body(void *arg)
{
	*(int64_t *)arg = alloc_live();
	stress_one(3, 0);
	for (int i = 0; i < 1000; i++)
		rg_chan_unref(make_int(16));
	T_CHECK_INT_LE(alloc_live() - *(int64_t *)arg, LIVE_SLACK);
}

static void chan_memory_is_given_back(void **state)
{
	int64_t live;

	(void)state;
	run_both(live_body, &live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chan_try_recv_never_misses_what_is_ready),
		cmocka_unit_test(chan_of_capacity_one_is_a_lock),
		cmocka_unit_test(chan_stress_loses_and_reorders_nothing),
		cmocka_unit_test(chan_stress_with_foreign_threads),
		cmocka_unit_test(chan_memory_is_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
