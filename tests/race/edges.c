// SPDX-License-Identifier: MIT
/*
 * edges - what the race detector may say and what it must say, primitive by primitive.
 * See race.h. Each case is one that Go's memory model names.
 */
#include "tests/race/race.h"

#include <unistd.h>

static rg_chan *chan;
static rg_mutex mutex;
static rg_rwmutex rwmutex;
static rg_once once;
static rg_cond cond;
static bool is_signaled;
static rg_sem sem;
static rg_ctx *ctx;

/* ---- the go statement ---- */

static void only_reads(void *arg)
{
	(void)arg;
	reads();
}

static void case_go(void)
{
	before();
	rg_go(only_reads, NULL);
	after();
}

/* ---- channels ---- */

static void sends(void *arg)
{
	(void)arg;
	before();
	rg_send(chan, 1);
	after();
}

static void receive_from(size_t cap)
{
	int v;

	chan = rg_make(int, cap);
	rg_go(sends, NULL);
	rg_recv(chan, &v);
	reads();
}

static void case_send_recv(void)
{
	receive_from(0);
}

static void case_buffered(void)
{
	receive_from(3);
}

static void receives(void *arg)
{
	int v;

	(void)arg;
	before();
	rg_recv(chan, &v);
	after();
}

/* The k-th receive comes before the (k+C)-th send is complete. */
static void case_capacity(void)
{
	chan = rg_make(int, 2);
	rg_send(chan, 1);
	rg_send(chan, 2);
	rg_go(receives, NULL);
	rg_send(chan, 3);
	reads();
}

static void closes(void *arg)
{
	(void)arg;
	before();
	rg_chan_close(chan);
	after();
}

static void case_close(void)
{
	int v;

	chan = rg_make(int, 0);
	rg_go(closes, NULL);
	rg_recv(chan, &v);
	reads();
}

static void case_select(void)
{
	rg_chan *other = rg_make(int, 0);
	int v, w;
	rg_case both[2];

	chan = rg_make(int, 0);
	both[0] = (rg_case)RG_RECV(chan, &v);
	both[1] = (rg_case)RG_RECV(other, &w);
	rg_go(sends, NULL);
	rg_select(both, 2);
	reads();
}

/* ---- sync ---- */

static void locks(void *arg)
{
	(void)arg;
	after(); /* racy: without the lock */
	if (racy)
		return;
	rg_mutex_lock(&mutex);
	before();
	rg_mutex_unlock(&mutex);
}

static void case_mutex(void)
{
	rg_go(locks, NULL);
	rg_mutex_lock(&mutex);
	reads();
	rg_mutex_unlock(&mutex);
}

static void write_locks(void *arg)
{
	(void)arg;
	after(); /* racy: without the lock */
	if (racy)
		return;
	rg_rwmutex_lock(&rwmutex);
	before();
	rg_rwmutex_unlock(&rwmutex);
}

static void case_rwmutex(void)
{
	rg_go(write_locks, NULL);
	rg_rwmutex_rlock(&rwmutex);
	reads();
	rg_rwmutex_runlock(&rwmutex);
}

static rg_waitgroup group;

static void is_done(void *arg)
{
	(void)arg;
	before();
	rg_waitgroup_done(&group);
	after();
}

static void case_waitgroup(void)
{
	rg_waitgroup_add(&group, 1);
	rg_go(is_done, NULL);
	rg_waitgroup_wait(&group);
	reads();
}

static void writes_in_it(void *arg)
{
	(void)arg;
	before();
}

static void does_once(void *arg)
{
	(void)arg;
	rg_once_do(&once, writes_in_it, NULL);
	after();
}

static void case_once(void)
{
	rg_go(does_once, NULL);
	rg_once_do(&once, writes_in_it, NULL);
	reads();
}

static void signals(void *arg)
{
	(void)arg;
	rg_mutex_lock(&mutex);
	before();
	is_signaled = true;
	rg_cond_signal(&cond);
	rg_mutex_unlock(&mutex);
	after();
}

static void case_cond(void)
{
	rg_go(signals, NULL);
	rg_mutex_lock(&mutex);
	while (!is_signaled)
		rg_cond_wait(&cond, &mutex);
	reads();
	rg_mutex_unlock(&mutex);
}

static void releases(void *arg)
{
	(void)arg;
	before();
	rg_sem_release(&sem, 1);
	after();
}

static void case_sem(void)
{
	rg_go(releases, NULL);
	rg_sem_acquire(&sem, 1);
	reads();
}

/* ---- contexts, timers, the rest ---- */

static void cancels(void *arg)
{
	(void)arg;
	before();
	rg_ctx_cancel(ctx, 0);
	after();
}

static void case_ctx_done(void)
{
	ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_go(cancels, NULL);
	rg_chan_recv(rg_ctx_done(ctx), NULL);
	reads();
}

static void writes_late(void *arg)
{
	(void)arg;
	after();
}

static rg_pool *pool;

static void puts_back(void *arg)
{
	before();
	rg_pool_put(pool, arg);
	after();
}

static void case_pool(void)
{
	pool = rg_pool_new(NULL, NULL);
	rg_go(puts_back, &shared);
	while (!rg_pool_get(pool))
		rg_yield();
	reads();
}

static void *blocks(void *arg)
{
	reads();
	before();
	/* A goroutine that nobody waits for. */
	rg_go(writes_late, NULL);
	return arg;
}

static void case_blocking(void)
{
	before();
	rg_blocking(blocks, NULL);
	reads();
}

/* ---- more of sync ---- */

static void read_locks(void *arg)
{
	(void)arg;
	rg_rwmutex_rlock(&rwmutex);
	flag_set(1);
	if (!racy)
		reads();
	rg_rwmutex_runlock(&rwmutex);
	if (racy)
		reads();
}

/* Who reads comes before the next who writes. */
static void case_reader_writer(void)
{
	rg_go(read_locks, NULL);
	flag_wait(1);
	rg_rwmutex_lock(&rwmutex);
	shared = 1;
	rg_rwmutex_unlock(&rwmutex);
}

static void writes_as_reader(void *arg)
{
	(void)arg;
	if (racy)
		rg_rwmutex_rlock(&rwmutex);
	else
		rg_rwmutex_lock(&rwmutex);
	shared = 1;
	if (racy)
		rg_rwmutex_runlock(&rwmutex);
	else
		rg_rwmutex_unlock(&rwmutex);
	flag_set(1);
}

/* Readers are not ordered among each other. */
static void case_readers(void)
{
	rg_go(writes_as_reader, NULL);
	flag_wait(1);
	rg_rwmutex_rlock(&rwmutex);
	reads();
	rg_rwmutex_runlock(&rwmutex);
}

static void waits_for_group(void *arg)
{
	(void)arg;
	rg_waitgroup_wait(&group);
	reads();
}

/* A latch: many wait for one. */
static void case_latch(void)
{
	rg_waitgroup_add(&group, 1);
	for (int i = 0; i < 3; i++)
		rg_go(waits_for_group, NULL);
	before();
	rg_waitgroup_done(&group);
	after();
}

static int part_writes(void *arg)
{
	(void)arg;
	shared = 1;
	return 0;
}

static int part_reads(void *arg)
{
	(void)arg;
	if (racy)
		reads();
	return 0;
}

/* A group's parts come before its wait, but not before each other. */
static void case_group(void)
{
	rg_group *g = rg_group_new(rg_ctx_background());

	rg_group_go(g, part_writes, NULL);
	rg_group_go(g, part_reads, NULL);
	rg_group_wait(g);
	reads();
}

static void case_scope(void)
{
	RG_SCOPE(scope, 0);

	rg_scope_go(&scope, part_writes, NULL);
	rg_scope_go(&scope, part_reads, NULL);
	rg_scope_end(&scope);
	reads();
}

static rg_singleflight flight;

static int flies(void *arg, void **value)
{
	(void)arg;
	*value = NULL;
	before();
	flag_set(1);
	/* The other one has the time to join; else it flies on its own. */
	rg_sleep(20 * RG_MILLISECOND);
	return 0;
}

static void flies_first(void *arg)
{
	void *value;

	(void)arg;
	rg_singleflight_do(&flight, "key", flies, NULL, &value, NULL);
	after();
}

static int flies_alone(void *arg, void **value)
{
	*(bool *)arg = true;
	*value = NULL;
	return 0;
}

static void case_singleflight(void)
{
	bool was_alone = false;
	void *value;

	rg_go(flies_first, NULL);
	flag_wait(1);
	rg_singleflight_do(&flight, "key", flies_alone, &was_alone, &value,
			   NULL);
	if (!was_alone || racy)
		reads();
}

static rg_map *map;

static void stores(void *arg)
{
	(void)arg;
	before();
	rg_map_store(map, "key", &shared);
	after();
}

static void case_map(void)
{
	void *value;

	map = rg_map_new(0, NULL);
	rg_go(stores, NULL);
	while (!rg_map_load(map, "key", &value))
		rg_yield();
	reads();
}

static int pipe_fds[2];

static void writes_to_pipe(void *arg)
{
	(void)arg;
	before();
	rg_write(pipe_fds[1], "x", 1);
	after();
}

static void case_io(void)
{
	char c;

	if (pipe(pipe_fds))
		return;
	rg_go(writes_to_pipe, NULL);
	rg_read(pipe_fds[0], &c, 1);
	reads();
}

/* ---- main ---- */

int main(int argc, char **argv)
{
	static const struct race_case cases[] = {
		{"go", case_go},
		{"send_recv", case_send_recv},
		{"buffered", case_buffered},
		{"capacity", case_capacity},
		{"close", case_close},
		{"select", case_select},
		{"mutex", case_mutex},
		{"rwmutex", case_rwmutex},
		{"waitgroup", case_waitgroup},
		{"once", case_once},
		{"cond", case_cond},
		{"sem", case_sem},
		{"ctx_done", case_ctx_done},
		{"pool", case_pool},
		{"blocking", case_blocking},
		{"reader_writer", case_reader_writer},
		{"readers", case_readers},
		{"latch", case_latch},
		{"group", case_group},
		{"scope", case_scope},
		{"singleflight", case_singleflight},
		{"map", case_map},
		{"io", case_io},
	};

	return race_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
