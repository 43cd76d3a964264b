// SPDX-License-Identifier: MIT
/*
 * seed_sync - locks, condition variables, semaphores and what is built on them under
 * many seeds: who is in is alone, or among as many as may be; nobody is forgotten.
 */
#include "tests/stress/seedrun.h"

#include <errno.h>
#include <stdio.h>

enum { PARTIES = 6, ROUNDS = 12 };

static rg_mutex mutex;
static rg_waitgroup wg;
static int inside, counter, made;

static void run_parties(int n, void (*fn)(void *arg))
{
	rg_waitgroup_add(&wg, n);
	for (intptr_t i = 0; i < n; i++)
		seedrun_go(fn, (void *)i);
	rg_waitgroup_wait(&wg);
}

static void reset(void)
{
	inside = counter = made = 0;
}

/* ---- mutex ---- */

static void locker(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (seedrun_draw(3))
			rg_mutex_lock(&mutex);
		else
			while (!rg_mutex_try_lock(&mutex))
				rg_yield();
		T_CHECK_INT_EQ(inside++, 0);
		rg_yield();
		counter++;
		inside--;
		rg_mutex_unlock(&mutex);
	}
	rg_waitgroup_done(&wg);
}

static void mutexes(void)
{
	reset();
	run_parties(PARTIES, locker);
	T_CHECK_INT_EQ(counter, PARTIES * ROUNDS);
	T_CHECK(rg_mutex_try_lock(&mutex));
	rg_mutex_unlock(&mutex);
}

/* ---- rwmutex ---- */

static rg_rwmutex rw;
static int readers, writers;

static void reads_or_writes(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if ((intptr_t)arg % 3 == 0) {
			rg_rwmutex_lock(&rw);
			T_CHECK(!readers && !writers++);
			rg_yield();
			T_CHECK(!readers && writers == 1);
			counter++;
			writers--;
			rg_rwmutex_unlock(&rw);
		} else {
			rg_rwmutex_rlock(&rw);
			readers++;
			T_CHECK(!writers);
			rg_yield();
			T_CHECK(!writers);
			readers--;
			rg_rwmutex_runlock(&rw);
		}
	}
	rg_waitgroup_done(&wg);
}

static void rwmutexes(void)
{
	reset();
	readers = writers = 0;
	run_parties(PARTIES, reads_or_writes);
	T_CHECK_INT_EQ(counter, PARTIES / 3 * ROUNDS);
}

/* ---- cond: a bounded buffer ---- */

static rg_cond filled, emptied;
static int items;

static void puts_items(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		rg_mutex_lock(&mutex);
		while (items == 2)
			rg_cond_wait(&emptied, &mutex);
		items++;
		rg_cond_signal(&filled);
		rg_mutex_unlock(&mutex);
	}
}

static void takes_items(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		rg_mutex_lock(&mutex);
		while (items == 0)
			rg_cond_wait(&filled, &mutex);
		T_CHECK_INT_GE(--items, 0);
		counter++;
		if (seedrun_draw(4))
			rg_cond_signal(&emptied);
		else
			rg_cond_broadcast(&emptied);
		rg_mutex_unlock(&mutex);
	}
}

static void puts_or_takes(void *arg)
{
	if ((intptr_t)arg % 2)
		puts_items();
	else
		takes_items();
	rg_waitgroup_done(&wg);
}

static void conds(void)
{
	reset();
	items = 0;
	run_parties(PARTIES, puts_or_takes);
	T_CHECK_INT_EQ(counter, PARTIES / 2 * ROUNDS);
	T_CHECK_INT_EQ(items, 0);
}

/* ---- semaphore ---- */

static rg_sem sem;

static void acquires(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int n = 1 + (int)seedrun_draw(3);
		rg_ctx *c = NULL;

		if ((intptr_t)arg % 3 == 0) {
			c = rg_ctx_with_timeout(rg_ctx_background(),
						seedrun_draw(20000));
			rg_ctx_unref(rg_ctx_bind(c));
		}
		if (!rg_sem_acquire(&sem, n)) {
			inside += n;
			T_CHECK_INT_LE(inside, 3);
			rg_yield();
			inside -= n;
			rg_sem_release(&sem, n);
		} else {
			T_CHECK(c);
		}
		if (c) {
			rg_ctx_unref(rg_ctx_bind(NULL));
			rg_ctx_unref(c);
		}
	}
	rg_waitgroup_done(&wg);
}

static void sems(void)
{
	reset();
	sem = (rg_sem){0};
	rg_sem_release(&sem, 3);
	run_parties(PARTIES, acquires);
	T_CHECK(rg_sem_try_acquire(&sem, 3));
	T_CHECK(!rg_sem_try_acquire(&sem, 1));
}

/* ---- once, singleflight, pool, map, group ---- */

static rg_once once;
static rg_singleflight flight;
static rg_pool *pool;
static rg_map *map;

static void make_once(void *arg)
{
	(void)arg;
	rg_yield();
	made++;
}

static int fly(void *arg, void **value)
{
	T_CHECK_INT_EQ(inside++, 0);
	rg_yield();
	inside--;
	*value = arg;
	return 0;
}

static bool adds(const void *key, void *value, void *arg)
{
	(void)key;
	*(intptr_t *)arg += (intptr_t)value;
	return true;
}

/* One more at a key, however often others come between. */
static void bump(int key)
{
	void *old, *now;

	for (;;) {
		T_CHECK_INT_GE(rg_map_load_or_store(map, &key, (void *)0, &old),
			       0);
		now = (char *)old + 1;
		if (rg_map_compare_and_swap(map, &key, old, now))
			return;
		rg_yield();
	}
}

static void uses_all(void *arg)
{
	void *value, *item;

	rg_once_do(&once, make_once, NULL);
	T_CHECK_INT_EQ(made, 1);
	for (int i = 0; i < 4; i++) {
		T_CHECK(!rg_singleflight_do(&flight, "key", fly, arg, &value,
					    NULL));
		item = rg_pool_get(pool);
		rg_yield();
		rg_pool_put(pool, item ? item : &counter);
		bump(i);
	}
	rg_waitgroup_done(&wg);
}

static void builders(void)
{
	intptr_t sum = 0;

	reset();
	once = (rg_once){0};
	T_CHECK((pool = rg_pool_new(NULL, NULL)) != NULL);
	T_CHECK((map = rg_map_new(sizeof(int), NULL)) != NULL);
	run_parties(PARTIES, uses_all);
	rg_map_range(map, adds, &sum);
	T_CHECK_INT_EQ(sum, 4 * PARTIES);
	T_CHECK_INT_EQ(rg_map_len(map), 4u);
	rg_map_free(map);
	rg_pool_free(pool);
}

static int member(void *arg)
{
	intptr_t id = (intptr_t)arg;

	T_CHECK_INT_LE(++inside, 2);
	if (id == 3)
		rg_yield();
	else if (rg_sleep(seedrun_draw(5000)))
		counter++;
	inside--;
	return id == 3 ? -EIO : 0;
}

static void groups(void)
{
	rg_group *g = rg_group_new(rg_ctx_background());

	reset();
	T_CHECK(g);
	rg_group_set_limit(g, 2);
	for (intptr_t i = 0; i < 2 * PARTIES; i++) {
		int err = seedrun_draw(4)
				  ? rg_group_go(g, member, (void *)i)
				  : rg_group_try_go(g, member, (void *)i);

		T_CHECK(!err || err == -EBUSY);
		if (err && i == 3)
			T_CHECK(!rg_group_go(g, member, (void *)i));
	}
	T_CHECK_INT_EQ(rg_group_wait(g), -EIO);
	T_CHECK_INT_EQ(inside, 0);
}

int main(int argc, char **argv)
{
	static const struct seed_case cases[] = {
		{.name = "mutex", .body = mutexes},
		{.name = "rwmutex", .body = rwmutexes},
		{.name = "cond", .body = conds},
		{.name = "sem", .body = sems},
		{.name = "builders", .body = builders},
		{.name = "group", .body = groups},
	};

	return seedrun_main(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}
