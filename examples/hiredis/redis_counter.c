// SPDX-License-Identifier: MIT
/*
 * redis_counter - many goroutines count in a Redis server over one connection.
 *
 *	redis_counter [HOST [PORT [GOROUTINES [TIMES]]]]
 *
 * First the blocking interface of hiredis, on a helper thread by rg_blocking: good for
 * what is done once or seldom. Then the asynchronous one, by redisconn.
 */
#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "examples/hiredis/redisconn.h"

static const char *host = "127.0.0.1";
static int port = 6379, goroutines = 64, times = 100;
static _Atomic int failures;

static void fail(void)
{
	/* Relaxed: the wait group orders it before the one look at it. */
	atomic_fetch_add_explicit(&failures, 1, memory_order_relaxed);
}

/* On a helper thread: may block, and must not park. */
static void *clear_counter(void *arg)
{
	const struct timeval limit = {.tv_sec = 5};
	redisContext *c = redisConnectWithTimeout(host, port, limit);
	redisReply *reply = NULL;
	bool ok;

	(void)arg;
	if (c && !c->err)
		reply = redisCommand(c, "DEL counter");
	ok = reply;
	if (!ok)
		fprintf(stderr, "redis_counter: %s\n",
			c ? c->errstr : "out of memory");
	freeReplyObject(reply);
	if (c)
		redisFree(c);
	return ok ? &port : NULL;
}

static void count(void *arg)
{
	struct redisreply reply;

	for (int i = 0; i < times; i++)
		if (redisconn_call(arg, &reply, "INCR %s", "counter") ||
		    reply.type != REDIS_REPLY_INTEGER)
			fail();
}

static int count_all(redisconn *r)
{
	struct redisreply reply = {0};
	rg_waitgroup all = {0};
	rg_time start = rg_now();
	int err, failed;

	for (int i = 0; i < goroutines; i++)
		if (rg_waitgroup_go(&all, count, r) < 0)
			fail();
	rg_waitgroup_wait(&all);
	failed = atomic_load_explicit(&failures, memory_order_relaxed);
	err = redisconn_call(r, &reply, "GET counter");
	printf("%d goroutines, %d times: counter %s, %d failures, %lld us\n",
	       goroutines, times, err ? rg_strerror(err) : reply.text, failed,
	       (long long)((rg_now() - start) / RG_MICROSECOND));
	return err || failed || atoi(reply.text) != goroutines * times;
}

static int app(void *arg)
{
	redisconn *r;
	int err;

	if (!rg_blocking(clear_counter, arg))
		return 1;
	err = redisconn_open(host, port, &r);
	if (err) {
		fprintf(stderr, "redis_counter: %s\n", rg_strerror(err));
		return 1;
	}
	err = count_all(r);
	redisconn_close(r);
	return err;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		host = argv[1];
	if (argc > 2)
		port = atoi(argv[2]);
	if (argc > 3)
		goroutines = atoi(argv[3]);
	if (argc > 4)
		times = atoi(argv[4]);
	return rg_run(NULL, app, NULL) != 0;
}
