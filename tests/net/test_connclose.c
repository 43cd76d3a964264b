// SPDX-License-Identifier: MIT
/*
 * Attacks netfd's and conn's invariants where a connection ends, or is used by many:
 * close in the middle of everything, references, late calls, addresses, foreign
 * threads, another layer behind the same face.
 */
#include "tests/net/netpair.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "net/conn.h"

#define MIB ((size_t)1 << 20)

/* ---- close -------------------------------------------------------------- */

TEST(conn_close_wakes_everybody)
{
	struct pair p = pair_tcp();
	struct call readers[4], writers[4];
	char buf[4], *big = calloc(1, 32 * MIB);
	rg_waitgroup w = {0};

	T_CHECK(big != NULL);
	for (int i = 0; i < 4; i++) {
		readers[i] = (struct call){.c = p.a, .buf = buf, .n = 4};
		writers[i] = (struct call){.c = p.a, .buf = big, .n = 32 * MIB};
		spawn(&w, call_read, &readers[i]);
		spawn(&w, call_write, &writers[i]);
	}
	for (int i = 0; i < 4; i++) {
		call_is_parked(&readers[i]);
		call_is_parked(&writers[i]);
	}
	/* The calls in progress keep the object alive. */
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 4; i++) {
		T_CHECK_INT_EQ(readers[i].ret, -ECANCELED);
		T_CHECK_INT_EQ(writers[i].ret, -ECANCELED);
	}
	free(big);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

TEST(conn_second_close_says_so_and_gives_up_its_reference)
{
	struct pair p = pair_tcp();
	char buf[4];
	int64_t live;

	rg_conn_ref(p.a);
	rg_conn_ref(p.a);
	live = alloc_live();
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.a, buf, 4), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_write(p.a, buf, 4), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_close_write(p.a), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.a, 0), -ECANCELED);
	T_CHECK_INT_EQ(rg_conn_fd(p.a), -EBADF);
	T_CHECK_INT_EQ(rg_conn_close(p.a), -ECANCELED);
	T_CHECK_INT_EQ(alloc_live(), live);
	T_CHECK_INT_EQ(rg_conn_close(p.a), -ECANCELED);
	T_CHECK_INT_EQ(alloc_live(), live - 1);
	T_CHECK_INT_EQ(rg_conn_close(NULL), -EINVAL);
	rg_conn_unref(NULL);
	T_CHECK_PTR_EQ(rg_conn_ref(NULL), NULL);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

TEST(conn_last_unref_closes)
{
	struct pair p = pair_tcp();
	char buf[4];

	rg_conn_unref(p.a);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, 4), 0);
	rg_conn_unref(p.b);
}

static void unref_later(void *arg)
{
	(void)rg_sleep(10 * RG_MILLISECOND);
	rg_conn_unref(arg);
}

TEST(conn_call_in_progress_outlives_the_last_reference)
{
	struct pair p = pair_tcp();
	struct call call = {.c = p.a, .buf = (char[4]){0}, .n = 4};
	rg_waitgroup w = {0};
	char buf[4];

	spawn(&w, call_read, &call);
	call_is_parked(&call);
	spawn(&w, unref_later, p.a);
	(void)rg_sleep(30 * RG_MILLISECOND);
	T_CHECK(!call.ended);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "end", 3), 3);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, 3);
	/* Its end was the end of the connection. */
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, 4), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

TEST(conn_deadline_does_not_outlive_the_descriptor)
{
	for (int i = 0; i < 20; i++) {
		struct pair p = pair_tcp();
		char buf[4];

		T_CHECK_INT_EQ(rg_conn_write(p.a, "x", 1), 1);
		T_CHECK_INT_EQ(rg_conn_read(p.b, buf, 4), 1);
		T_CHECK_INT_EQ(rg_conn_set_deadline(p.a, 1), 0);
		T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, rg_now() + 1000), 0);
		pair_close(&p);
	}
}

struct stale {
	rg_conn *c; /* a reference of its own */
	int64_t reads;
};

static void read_until_closed(void *arg)
{
	struct stale *s = arg;
	char buf[4];
	ssize_t n;

	while ((n = rg_conn_read(s->c, buf, sizeof(buf))) != -ECANCELED) {
		/* Nobody writes to this connection: any byte is a thief's. */
		T_CHECK_INT_EQ(n, -ETIMEDOUT);
		s->reads++;
		rg_yield();
	}
	rg_conn_unref(s->c);
}

/* The number of a closed connection is taken at once by the next one: a late read of
 * the old one must not get the new one's bytes. */
TEST(conn_late_calls_never_hit_the_next_owner_of_the_number)
{
	for (int i = 0; i < 150; i++) {
		struct pair p = pair_tcp(), q;
		struct stale s[3];
		rg_waitgroup w = {0};
		char buf[4];

		for (int k = 0; k < 3; k++) {
			s[k] = (struct stale){.c = rg_conn_ref(p.a)};
			spawn(&w, read_until_closed, &s[k]);
		}
		if (i % 2)
			T_CHECK_INT_EQ(rg_conn_set_deadline(p.a, 1), 0);
		if (i % 3)
			rg_yield();
		T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
		T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
		q = pair_tcp();
		T_CHECK_INT_EQ(rg_conn_write(q.a, "abcd", 4), 4);
		T_CHECK_INT_EQ(rg_conn_write(q.b, "efgh", 4), 4);
		read_exactly(q.a, buf, 4);
		T_CHECK_MEM_EQ(buf, "efgh", 4);
		read_exactly(q.b, buf, 4);
		T_CHECK_MEM_EQ(buf, "abcd", 4);
		rg_waitgroup_wait(&w);
		pair_close(&q);
	}
}

static void hammer(void *arg)
{
	rg_conn *c = arg;
	char buf[16] = "";

	for (int i = 0; i < 20; i++) {
		ssize_t n = i % 2 ? rg_conn_read(c, buf, sizeof(buf))
				  : rg_conn_write(c, buf, sizeof(buf));

		(void)rg_conn_set_deadline(
			c, rg_now() + (i % 4) * 20 * RG_MICROSECOND);
		if (n == -ECANCELED)
			break;
	}
	(void)rg_conn_remote_addr(c);
	(void)rg_conn_close(c);
}

TEST(conn_everything_at_once_ends_well)
{
	for (int i = 0; i < 60; i++) {
		struct pair p = pair_tcp();
		rg_waitgroup w = {0};

		for (int k = 0; k < 6; k++) {
			spawn(&w, hammer, rg_conn_ref(p.a));
			spawn(&w, hammer, rg_conn_ref(p.b));
		}
		rg_conn_unref(p.a);
		rg_conn_unref(p.b);
		rg_waitgroup_wait(&w);
	}
}

/* ---- addresses ---------------------------------------------------------- */

static void ask_address(void *arg)
{
	const char **text = arg;
	rg_conn *c = (rg_conn *)(uintptr_t)*text;

	*text = rg_conn_local_addr(c);
}

TEST(conn_addresses_mirror_each_other)
{
	struct pair p = pair_tcp();
	const char *texts[8], *remote;
	rg_waitgroup w = {0};

	T_CHECK_STR_EQ(rg_conn_local_addr(p.a), rg_conn_remote_addr(p.b));
	T_CHECK_STR_EQ(rg_conn_remote_addr(p.a), rg_conn_local_addr(p.b));
	T_CHECK_STR_HAS(rg_conn_local_addr(p.a), "127.0.0.1:");
	pair_close(&p);

	p = pair_tcp();
	for (int i = 0; i < 8; i++) {
		texts[i] = (const char *)p.a;
		spawn(&w, ask_address, &texts[i]);
	}
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 8; i++)
		T_CHECK_PTR_EQ(texts[i], rg_conn_local_addr(p.a));
	/* The peer's address is known also after the connection is gone. */
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
	rg_conn_ref(p.b);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
	remote = rg_conn_remote_addr(p.b);
	T_CHECK_STR_HAS(remote, "127.0.0.1:");
	T_CHECK_STR_EQ(rg_conn_local_addr(p.b), "");
	rg_conn_unref(p.b);
}

TEST(conn_address_without_memory_is_empty_for_now)
{
	struct pair p = pair_tcp();

	alloc_fail_after(0);
	T_CHECK_STR_EQ(rg_conn_remote_addr(p.a), "");
	alloc_fail_after(-1);
	T_CHECK_STR_HAS(rg_conn_remote_addr(p.a), "127.0.0.1:");
	pair_close(&p);
}

TEST(conn_addresses_of_unix_sockets)
{
	char name[32];
	struct pair p;

	/* The name of nobody else who runs this test. */
	snprintf(name, sizeof(name), "@rg-conn-%d", (int)getpid());
	p = pair_make("unix", name);
	T_CHECK_STR_EQ(rg_conn_remote_addr(p.a), name);
	T_CHECK_STR_EQ(rg_conn_local_addr(p.b), name);
	T_CHECK_STR_EQ(rg_conn_remote_addr(p.b), "");
	T_CHECK_STR_EQ(rg_conn_local_addr(p.a), "");
	pair_close(&p);
}

/* ---- foreign threads ---------------------------------------------------- */

static void *foreign_echo(void *arg)
{
	rg_conn *c = arg;
	char buf[256];
	ssize_t n;

	T_CHECK_INT_EQ(rg_goid(), 0);
	while ((n = rg_conn_read(c, buf, sizeof(buf))) > 0)
		T_CHECK_INT_EQ(rg_conn_write(c, buf, (size_t)n), n);
	T_CHECK_INT_EQ(n, 0);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	return NULL;
}

TEST(conn_works_from_a_foreign_thread)
{
	struct pair p = pair_tcp();
	pthread_t t = t_thread(foreign_echo, p.b);
	char buf[32];

	for (int i = 0; i < 50; i++) {
		memset(buf, i, sizeof(buf));
		T_CHECK_INT_EQ(rg_conn_write(p.a, buf, sizeof(buf)),
			       sizeof(buf));
		memset(buf, 0xff, sizeof(buf));
		read_exactly(p.a, buf, sizeof(buf));
		T_CHECK_INT_EQ(buf[0], i);
		T_CHECK_INT_EQ(buf[31], i);
	}
	T_CHECK_INT_EQ(rg_conn_close_write(p.a), 0);
	T_CHECK_INT_EQ(rg_conn_read(p.a, buf, sizeof(buf)), 0);
	join(t);
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
}

static void *foreign_call(void *arg)
{
	call_read(arg);
	return NULL;
}

TEST(conn_close_wakes_foreign_threads)
{
	struct pair p = pair_tcp();
	struct call calls[3];
	pthread_t threads[3];
	char buf[4];

	for (int i = 0; i < 3; i++) {
		calls[i] = (struct call){.c = p.b, .buf = buf, .n = 4};
		threads[i] = t_thread(foreign_call, &calls[i]);
		call_is_parked(&calls[i]);
	}
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, rg_now()), 0);
	join(threads[0]);
	join(threads[1]);
	join(threads[2]);
	for (int i = 0; i < 3; i++)
		T_CHECK_INT_EQ(calls[i].ret, -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_set_deadline(p.b, 0), 0);
	for (int i = 0; i < 3; i++) {
		calls[i].started = calls[i].ended = false;
		threads[i] = t_thread(foreign_call, &calls[i]);
		call_is_parked(&calls[i]);
	}
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
	for (int i = 0; i < 3; i++) {
		join(threads[i]);
		T_CHECK_INT_EQ(calls[i].ret, -ECANCELED);
	}
	T_CHECK_INT_EQ(rg_conn_close(p.a), 0);
}

/* ---- a layer on top ----------------------------------------------------- */

/* Adds 1 to each byte on its way out, takes it away on its way in. */
struct layer {
	struct rg_conn base;
	rg_conn *under;
	int *closes, *frees;
};

static struct layer *layer_of(struct rg_conn *c)
{
	return (struct layer *)(void *)c;
}

static ssize_t layer_read(struct rg_conn *c, void *buf, size_t n)
{
	ssize_t ret = rg_conn_read(layer_of(c)->under, buf, n);

	for (ssize_t i = 0; i < ret; i++)
		((char *)buf)[i]--;
	return ret;
}

static ssize_t layer_write(struct rg_conn *c, const void *buf, size_t n,
			   bool some)
{
	char *copy = malloc(n);
	ssize_t ret;

	T_CHECK(copy != NULL && !some);
	for (size_t i = 0; i < n; i++)
		copy[i] = (char)(((const char *)buf)[i] + 1);
	ret = rg_conn_write(layer_of(c)->under, copy, n);
	free(copy);
	return ret;
}

static ssize_t layer_writev(struct rg_conn *c, const struct iovec *v, int n,
			    size_t total)
{
	for (int i = 0; i < n; i++) {
		ssize_t ret = layer_write(c, v[i].iov_base, v[i].iov_len, 0);

		if (ret < 0)
			return ret;
	}
	return (ssize_t)total;
}

static int layer_close_write(struct rg_conn *c)
{
	return rg_conn_close_write(layer_of(c)->under);
}

static int layer_set_deadline(struct rg_conn *c, unsigned dirs, rg_time t)
{
	T_CHECK_INT_EQ(dirs, 3);
	return rg_conn_set_deadline(layer_of(c)->under, t);
}

static int layer_close(struct rg_conn *c)
{
	struct layer *l = layer_of(c);

	++*l->closes;
	return rg_conn_close(l->under);
}

static void layer_free(struct rg_conn *c)
{
	++*layer_of(c)->frees;
	free(c);
}

static const struct conn_ops layer_ops = {
	.read = layer_read,
	.write = layer_write,
	.writev = layer_writev,
	.close_write = layer_close_write,
	.set_deadline = layer_set_deadline,
	.close = layer_close,
	.free = layer_free,
};

TEST(conn_another_layer_can_stand_behind_it)
{
	struct pair p = pair_tcp();
	struct layer *l = calloc(1, sizeof(*l));
	struct iovec v[2] = {{(char[]){"ab"}, 2}, {(char[]){"c"}, 1}};
	struct call call = {.buf = (char[4]){0}, .n = 4};
	int closes = 0, frees = 0;
	rg_waitgroup w = {0};
	char buf[8];

	T_CHECK(l != NULL);
	conn_init(&l->base, rg_conn_fd(p.a), &layer_ops);
	l->under = p.a;
	l->closes = &closes;
	l->frees = &frees;
	T_CHECK_INT_EQ(rg_conn_write(&l->base, "HAL", 3), 3);
	read_exactly(p.b, buf, 3);
	T_CHECK_MEM_EQ(buf, "IBM", 3);
	T_CHECK_INT_EQ(rg_conn_writev(&l->base, v, 2), 3);
	read_exactly(p.b, buf, 3);
	T_CHECK_MEM_EQ(buf, "bcd", 3);
	T_CHECK_INT_EQ(rg_conn_write(p.b, "IBM", 3), 3);
	read_exactly(&l->base, buf, 3);
	T_CHECK_MEM_EQ(buf, "HAL", 3);
	T_CHECK_STR_EQ(rg_conn_local_addr(&l->base),
		       rg_conn_local_addr(l->under));
	T_CHECK_INT_EQ(rg_conn_set_deadline(&l->base, 1), 0);
	T_CHECK_INT_EQ(rg_conn_read(&l->base, buf, 1), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_conn_set_deadline(&l->base, 0), 0);

	/* A reader parked two layers down is woken by the upper one's close. */
	call.c = &l->base;
	spawn(&w, call_read, &call);
	call_is_parked(&call);
	T_CHECK_INT_EQ(rg_conn_close_write(&l->base), 0);
	rg_conn_ref(&l->base);
	T_CHECK_INT_EQ(rg_conn_close(&l->base), 0);
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, -ECANCELED);
	T_CHECK_INT_EQ(closes, 1);
	T_CHECK_INT_EQ(frees, 0);
	T_CHECK_INT_EQ(rg_conn_close(&l->base), -ECANCELED);
	T_CHECK_INT_EQ(closes, 1);
	T_CHECK_INT_EQ(frees, 1);
	T_CHECK_INT_EQ(rg_conn_read(p.b, buf, 1), 0);
	T_CHECK_INT_EQ(rg_conn_close(p.b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conn_close_wakes_everybody),
		cmocka_unit_test(
			conn_second_close_says_so_and_gives_up_its_reference),
		cmocka_unit_test(conn_last_unref_closes),
		cmocka_unit_test(
			conn_call_in_progress_outlives_the_last_reference),
		cmocka_unit_test(conn_deadline_does_not_outlive_the_descriptor),
		cmocka_unit_test(
			conn_late_calls_never_hit_the_next_owner_of_the_number),
		cmocka_unit_test(conn_everything_at_once_ends_well),
		cmocka_unit_test(conn_addresses_mirror_each_other),
		cmocka_unit_test(conn_address_without_memory_is_empty_for_now),
		cmocka_unit_test(conn_addresses_of_unix_sockets),
		cmocka_unit_test(conn_works_from_a_foreign_thread),
		cmocka_unit_test(conn_close_wakes_foreign_threads),
		cmocka_unit_test(conn_another_layer_can_stand_behind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
