// SPDX-License-Identifier: MIT
/*
 * Attacks listener's invariants of accepting: close and contexts at every moment,
 * shortages of descriptors and memory, clients that vanish, foreign threads.
 */
#include "tests/net/netpair.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "kernel-iface/alloc.h"

/* ---- close and contexts ------------------------------------------------- */

struct accept_call {
	rg_listener *l;
	rg_ctx *ctx;
	rg_conn *c;
	_Atomic bool started, ended;
	int ret;
};

static void call_accept(void *arg)
{
	struct accept_call *call = arg;

	if (call->ctx)
		rg_ctx_bind(call->ctx);
	call->started = true;
	call->ret = rg_listener_accept(call->l, &call->c);
	call->ended = true;
	if (call->ctx)
		rg_ctx_unref(rg_ctx_bind(NULL));
}

static bool accept_has_started(void *arg)
{
	struct accept_call *call = arg;

	return call->started;
}

TEST(listener_close_wakes_all_acceptors)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call calls[10];
	char address[64];
	rg_waitgroup w = {0};
	rg_conn *c;

	strcpy(address, rg_listener_addr(l));
	for (int i = 0; i < 10; i++) {
		calls[i] = (struct accept_call){.l = l};
		spawn(&w, call_accept, &calls[i]);
		T_WAIT_UNTIL(accept_has_started, &calls[i]);
	}
	(void)rg_sleep(10 * RG_MILLISECOND);
	rg_listener_ref(l);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	/* It is closed when close returns: the port is free. */
	T_CHECK_INT_EQ(rg_dial("tcp", address, &c), -ECONNREFUSED);
	rg_waitgroup_wait(&w);
	for (int i = 0; i < 10; i++)
		T_CHECK_INT_EQ(calls[i].ret, -ECANCELED);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), -ECANCELED);
	T_CHECK_STR_EQ(rg_listener_addr(l), address);
	T_CHECK_INT_EQ(rg_listener_close(l), -ECANCELED);
}

TEST(listener_close_and_listen_again_never_collide)
{
	char address[64] = "127.0.0.1:0";

	for (int i = 0; i < 200; i++) {
		rg_listener *l = listen_at("tcp", address);
		struct accept_call call = {.l = l};
		rg_waitgroup w = {0};

		strcpy(address, rg_listener_addr(l));
		spawn(&w, call_accept, &call);
		if (i % 2)
			rg_yield();
		T_CHECK_INT_EQ(rg_listener_close(rg_listener_ref(l)), 0);
		rg_waitgroup_wait(&w);
		T_CHECK_INT_EQ(call.ret, -ECANCELED);
		rg_listener_unref(l);
	}
}

TEST(listener_last_unref_closes)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));

	rg_listener_unref(rg_listener_ref(l));
	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), 0);
	rg_listener_unref(l);
	T_CHECK_INT_EQ(dial_port("tcp", "127.0.0.1", port), -ECONNREFUSED);
}

TEST(accept_heeds_the_bound_context)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	rg_time start = rg_now();
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	rg_conn *c;

	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), -ETIMEDOUT);
	T_CHECK(rg_now() - start >= 20 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), -ETIMEDOUT);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	T_CHECK_INT_EQ(
		dial_port("tcp", "127.0.0.1", t_port_of(rg_listener_addr(l))),
		0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* Connections arrive just when the accept is cancelled: each is delivered to this or
 * to the next accept, none is lost. */
TEST(accept_that_is_cancelled_loses_no_connection)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	uint16_t port = t_port_of(rg_listener_addr(l));
	int delivered = 0, cancelled = 0;

	for (int i = 0; i < 400; i++) {
		rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
		struct accept_call call = {.l = l, .ctx = ctx};
		rg_waitgroup w = {0};
		int client;

		spawn(&w, call_accept, &call);
		T_WAIT_UNTIL(accept_has_started, &call);
		if (i % 4 == 0)
			rg_yield();
		if (i % 2) {
			client = raw_connect(port);
			rg_ctx_cancel(ctx, 0);
		} else {
			rg_ctx_cancel(ctx, 0);
			if (i % 8 == 0)
				rg_waitgroup_wait(&w);
			client = raw_connect(port);
		}
		rg_waitgroup_wait(&w);
		if (call.ret == 0) {
			delivered++;
		} else {
			T_CHECK_INT_EQ(call.ret, -ECANCELED);
			cancelled++;
			T_CHECK_INT_EQ(rg_listener_accept(l, &call.c), 0);
		}
		t_send_str(client, "x");
		T_CHECK_INT_EQ(rg_conn_read(call.c, &(char){0}, 1), 1);
		T_CHECK_INT_EQ(rg_conn_close(call.c), 0);
		t_reset(client);
		rg_ctx_unref(ctx);
	}
	T_CHECK_INT_EQ(delivered + cancelled, 400);
	T_CHECK_INT_GE(cancelled, 50);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- shortages ---------------------------------------------------------- */

static struct rlimit saved_limit;

/* No descriptor above those that are open. */
static void limit_fds(void)
{
	struct rlimit limit;

	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &saved_limit), 0);
	limit = saved_limit;
	/* Again and again: sysmon has one open for some microseconds. */
	for (int full = 0; full < 3; full++) {
		int fd = dup(0);

		if (fd < 0) {
			(void)rg_sleep(RG_MILLISECOND);
			continue;
		}
		close(fd);
		limit.rlim_cur = (rlim_t)fd;
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
		full = -1;
	}
}

static void unlimit_fds(void)
{
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &saved_limit), 0);
}

static int64_t ring_sqes(void)
{
	rg_stats stats;

	T_CHECK_INT_EQ(rg_stats_read(&stats, sizeof(stats)), 0);
	return stats.ring_sqes;
}

TEST(accept_without_descriptors_backs_off_and_recovers)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call call = {.l = l};
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	rg_waitgroup w = {0};
	int64_t sqes;

	limit_fds();
	sqes = ring_sqes();
	spawn(&w, call_accept, &call);
	(void)rg_sleep(120 * RG_MILLISECOND);
	T_CHECK(!call.ended);
	/* 5, 10, 20, 40, 80 ms: it does not spin. */
	T_CHECK_INT_LT(ring_sqes() - sqes, 60);
	unlimit_fds();
	rg_waitgroup_wait(&w);
	T_CHECK_INT_EQ(call.ret, 0);
	t_close(client);
	T_CHECK_INT_EQ(rg_conn_close(call.c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

struct bubble_accept {
	rg_listener *l;
	int client;
};

static void accept_in_bubble(void *arg)
{
	struct bubble_accept *b = arg;
	rg_time start = rg_now();
	rg_conn *c;

	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_listener_accept(b->l, &c), 0);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(rg_now(), start);
	t_close(b->client);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
}

/* The bubble's clock stands still in the wait, which is for something outside. */
TEST(accept_in_a_bubble_backs_off_in_real_time)
{
	struct bubble_accept b = {.l = listen_at("tcp", "127.0.0.1:0")};
	rg_time start = rg_now();

	b.client = raw_connect(t_port_of(rg_listener_addr(b.l)));
	T_CHECK_INT_EQ(rg_synctest_run(accept_in_bubble, &b), 0);
	T_CHECK(rg_now() - start >= 5 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_listener_close(b.l), 0);
}

TEST(accept_that_backs_off_heeds_close_and_context)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call closed = {.l = l}, cancelled = {.l = l},
			   timed = {.l = l};
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	rg_waitgroup w = {0};
	rg_time start;

	cancelled.ctx = rg_ctx_with_cancel(rg_ctx_background());
	timed.ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 300 * RG_MILLISECOND);
	limit_fds();
	spawn(&w, call_accept, &closed);
	spawn(&w, call_accept, &cancelled);
	spawn(&w, call_accept, &timed);
	/* The wait of 640 ms has begun 65 ms ago. */
	(void)rg_sleep(700 * RG_MILLISECOND);
	T_CHECK(!closed.ended && !cancelled.ended && timed.ended);
	start = rg_now();
	rg_ctx_cancel(cancelled.ctx, 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	rg_waitgroup_wait(&w);
	T_CHECK(rg_now() - start < 450 * RG_MILLISECOND);
	unlimit_fds();
	T_CHECK_INT_EQ(closed.ret, -ECANCELED);
	T_CHECK_INT_EQ(cancelled.ret, -ECANCELED);
	T_CHECK_INT_EQ(timed.ret, -ETIMEDOUT);
	rg_ctx_unref(cancelled.ctx);
	rg_ctx_unref(timed.ctx);
	t_close(client);
}

TEST(listen_without_descriptors_or_memory_says_so)
{
	rg_listener *l;
	int64_t live;

	limit_fds();
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), -EMFILE);
	unlimit_fds();
	live = alloc_live();
	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_listen("tcp", "127.0.0.1:0", &l), -ENOMEM);
	alloc_fail_after(-1);
	T_CHECK_INT_EQ(alloc_live(), live);
}

TEST(accept_without_memory_backs_off_and_recovers)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	int client = raw_connect(t_port_of(rg_listener_addr(l)));
	rg_time start = rg_now();
	rg_conn *c;

	alloc_fail_after(0);
	T_CHECK_INT_EQ(rg_listener_accept(l, &c), 0);
	alloc_fail_after(-1);
	T_CHECK(rg_now() - start >= 5 * RG_MILLISECOND);
	t_close(client);
	T_CHECK_INT_EQ(rg_conn_close(c), 0);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
}

/* ---- clients that vanish ------------------------------------------------ */

enum { ABRUPT = 10000 };

struct server {
	rg_listener *l;
	uint16_t port;
	_Atomic int handled;
};

struct handled {
	rg_conn *c;
	struct server *s;
};

static void serve_one(void *arg)
{
	struct handled h = *(struct handled *)arg;
	char buf[512];
	ssize_t n;

	while ((n = rg_conn_read(h.c, buf, sizeof(buf))) > 0) {
		if (rg_conn_write(h.c, buf, (size_t)n) != n)
			break;
	}
	(void)rg_conn_close(h.c);
	h.s->handled++;
}

static void serve(void *arg)
{
	struct server *s = arg;
	struct handled h = {.s = s};
	int err;

	while ((err = rg_listener_accept(s->l, &h.c)) == 0)
		T_CHECK_INT_EQ(rg_go_copy(serve_one, &h, sizeof(h)), 0);
	T_CHECK_INT_EQ(err, -ECANCELED);
}

static void *vanish(void *arg)
{
	struct server *s = arg;

	for (int i = 0; i < ABRUPT; i++) {
		int fd = t_tcp_connect(s->port);

		if (i % 3)
			(void)t_try_send(fd, "half a request", 14);
		if (i % 3 == 2)
			(void)t_recv(fd, (char[4]){0}, 4);
		t_reset(fd);
	}
	return NULL;
}

static bool all_are_handled(void *arg)
{
	struct server *s = arg;

	return s->handled == ABRUPT;
}

static void abrupt_closes(void *arg)
{
	struct server s = {.l = listen_at("tcp", "127.0.0.1:0")};
	int fds = t_program_fds();
	int64_t live = alloc_live();
	rg_waitgroup w = {0};
	pthread_t client;

	(void)arg;
	s.port = t_port_of(rg_listener_addr(s.l));
	spawn(&w, serve, &s);
	client = t_thread(vanish, &s);
	T_WAIT_UNTIL(all_are_handled, &s);
	join(client);
	T_CHECK_INT_EQ(t_program_fds(), fds);
	T_CHECK_INT_EQ(rg_listener_close(rg_listener_ref(s.l)), 0);
	rg_waitgroup_wait(&w);
	t_wait_goroutines(1);
	/* The connection that accept had ready is gone, too. */
	T_CHECK_INT_LE(alloc_live(), live + 64);
	rg_listener_unref(s.l);
}

static void accept_survives_clients_that_vanish(void **state)
{
	int fds = t_open_fds();

	(void)state;
	t_run(abrupt_closes, NULL);
	T_CHECK_INT_EQ(t_open_fds(), fds);
}

/* ---- foreign threads ---------------------------------------------------- */

static void *foreign_accept(void *arg)
{
	struct accept_call *call = arg;

	call_accept(call);
	return NULL;
}

TEST(accept_works_from_a_foreign_thread)
{
	rg_listener *l = listen_at("tcp", "127.0.0.1:0");
	struct accept_call call = {.l = l};
	pthread_t t = t_thread(foreign_accept, &call);

	T_CHECK_INT_EQ(
		dial_port("tcp", "127.0.0.1", t_port_of(rg_listener_addr(l))),
		0);
	join(t);
	T_CHECK_INT_EQ(call.ret, 0);
	T_CHECK_INT_EQ(rg_conn_close(call.c), 0);
	call.started = false;
	t = t_thread(foreign_accept, &call);
	T_WAIT_UNTIL(accept_has_started, &call);
	(void)rg_sleep(10 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_listener_close(l), 0);
	join(t);
	T_CHECK_INT_EQ(call.ret, -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listener_close_wakes_all_acceptors),
		cmocka_unit_test(listener_close_and_listen_again_never_collide),
		cmocka_unit_test(listener_last_unref_closes),
		cmocka_unit_test(accept_heeds_the_bound_context),
		cmocka_unit_test(accept_that_is_cancelled_loses_no_connection),
		cmocka_unit_test(
			accept_without_descriptors_backs_off_and_recovers),
		cmocka_unit_test(accept_in_a_bubble_backs_off_in_real_time),
		cmocka_unit_test(accept_that_backs_off_heeds_close_and_context),
		cmocka_unit_test(listen_without_descriptors_or_memory_says_so),
		cmocka_unit_test(accept_without_memory_backs_off_and_recovers),
		cmocka_unit_test(accept_survives_clients_that_vanish),
		cmocka_unit_test(accept_works_from_a_foreign_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
