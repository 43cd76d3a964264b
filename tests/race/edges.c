// SPDX-License-Identifier: MIT
/*
 * edges - what the race detector may say and what it must say, primitive by primitive.
 *
 *   edges NAME        `shared` is written before, and read after, what NAME orders:
 *                     silent, exit code 0
 *   edges NAME racy   the write comes after it instead: a data race, exit code 66
 *   edges             prints the names
 *
 * Built and run by tests/install.sh as a user's program. The racy write may come
 * before or after the read in time; the detector must not care.
 */
#include <ringgo.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int shared;
static bool racy;
static rg_chan *chan;
static rg_mutex mutex;
static rg_rwmutex rwmutex;
static rg_once once;
static rg_cond cond;
static bool is_signaled;
static rg_sem sem;
static rg_ctx *ctx;

/* The releasing side writes before its release, or, racy, after it. */
static void before(void)
{
	if (!racy)
		shared = 1;
}

static void after(void)
{
	if (racy)
		shared = 1;
}

static int reads(void)
{
	return *(volatile int *)&shared;
}

/* ---- the go statement ---- */

static void only_reads(void *arg)
{
	(void)arg;
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
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
	(void)reads();
}

static void *blocks(void *arg)
{
	(void)reads();
	before();
	/* A goroutine that nobody waits for. */
	rg_go(writes_late, NULL);
	return arg;
}

static void case_blocking(void)
{
	before();
	rg_blocking(blocks, NULL);
	(void)reads();
}

/* ---- main ---- */

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
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
};

enum { NCASES = sizeof(cases) / sizeof(cases[0]) };

static int app(void *arg)
{
	for (int i = 0; i < NCASES; i++)
		if (!strcmp(cases[i].name, arg)) {
			cases[i].run();
			/* Whoever is left runs to its end. */
			while (rg_num_goroutine() > 1)
				rg_yield();
			rg_sleep(2 * RG_MILLISECOND);
			while (rg_num_goroutine() > 1)
				rg_yield();
			return 0;
		}
	return 2;
}

int main(int argc, char **argv)
{
	racy = argc > 2 && !strcmp(argv[2], "racy");
	if (argc > 1)
		return rg_run(NULL, app, argv[1]);
	for (int i = 0; i < NCASES; i++)
		puts(cases[i].name);
	return 0;
}
