// SPDX-License-Identifier: MIT
/*
 * notify - signals through channels: rg_signal_notify, rg_signal_stop; notify.h I1 to
 * I4, over several runtimes of one process.
 */
#include "tests/support/rgtest.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sched/sched.h"
#include "sync/notify.h"

static _Atomic int host_got;

static void host_handler(int sig)
{
	host_got = sig;
}

/* Another thread may run the handler. */
static bool host_has(void *arg)
{
	return host_got == *(int *)arg;
}

static sighandler_t handler_of(int sig)
{
	struct sigaction sa;

	T_CHECK_INT_EQ(sigaction(sig, NULL, &sa), 0);
	return sa.sa_handler;
}

static int receive(rg_chan *c)
{
	rg_case one[] = {RG_RECV(c, NULL)};
	int sig = 0;

	one[0].elem_ = &sig;
	if (rg_select_until(one, 1, rg_now() + 10 * RG_SECOND) < 0)
		T_FAIL("no signal came within 10 s");
	return sig;
}

/* Time for what should not come. */
static void expect_none(rg_chan *c)
{
	rg_sleep(30 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_chan_len(c), 0);
}

/* ---- delivery ---- */

static void deliver_body(void *arg)
{
	static const int sigs[] = {SIGUSR1, SIGTERM, SIGINT, SIGHUP};
	rg_chan *c = rg_make(int, 8);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(c, sigs, 4), 0);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 4; i++) {
			errno = 99;
			T_CHECK_INT_EQ(kill(getpid(), sigs[i]), 0);
			T_CHECK_INT_EQ(errno, 99);
			T_CHECK_INT_EQ(receive(c), sigs[i]);
		}
	}
	T_CHECK_INT_EQ(rg_signal_stop(c), 0);
	T_CHECK_INT_EQ(rg_signal_stop(c), -ENOENT);
	rg_chan_unref(c);
}

static void notify_delivers_each_signal(void **state)
{
	int fds = t_open_fds();

	(void)state;
	t_run_with(1, deliver_body, NULL);
	t_run_with(2, deliver_body, NULL);
	assert_int_equal(t_open_fds(), fds);
	assert_ptr_equal(handler_of(SIGUSR1), SIG_DFL);
	assert_ptr_equal(handler_of(SIGTERM), SIG_DFL);
	assert_ptr_equal(handler_of(SIGINT), SIG_DFL);
}

static void full_body(void *arg)
{
	const int sig = SIGUSR2;
	rg_chan *c = rg_make(int, 1);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(c, &sig, 1), 0);
	for (int i = 0; i < 5; i++) {
		kill(getpid(), sig);
		rg_sleep(5 * RG_MILLISECOND);
	}
	T_CHECK_INT_EQ(receive(c), sig);
	expect_none(c);
	kill(getpid(), sig);
	T_CHECK_INT_EQ(receive(c), sig);
	T_CHECK_INT_EQ(rg_signal_stop(c), 0);
	rg_chan_unref(c);
}

static void notify_full_channel_drops(void **state)
{
	(void)state;
	t_run(full_body, NULL);
}

static void two_body(void *arg)
{
	static const int both[] = {SIGUSR1, SIGUSR2};
	rg_chan *a = rg_make(int, 4), *b = rg_make(int, 4);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(a, &both[0], 1), 0);
	T_CHECK_INT_EQ(rg_signal_notify(b, both, 2), 0);
	T_CHECK_INT_EQ(rg_signal_notify(b, both, 2), 0); /* nothing new */
	kill(getpid(), SIGUSR1);
	T_CHECK_INT_EQ(receive(a), SIGUSR1);
	T_CHECK_INT_EQ(receive(b), SIGUSR1);
	kill(getpid(), SIGUSR2);
	T_CHECK_INT_EQ(receive(b), SIGUSR2);
	expect_none(a);

	/* One goes, the other stays. */
	T_CHECK_INT_EQ(rg_signal_stop(b), 0);
	T_CHECK_PTR_EQ((void *)handler_of(SIGUSR2), (void *)host_handler);
	kill(getpid(), SIGUSR1);
	T_CHECK_INT_EQ(receive(a), SIGUSR1);
	expect_none(b);

	/* More signals for a channel that has some. */
	T_CHECK_INT_EQ(rg_signal_notify(a, &both[1], 1), 0);
	kill(getpid(), SIGUSR2);
	T_CHECK_INT_EQ(receive(a), SIGUSR2);
	T_CHECK_INT_EQ(rg_signal_stop(a), 0);

	/* The host has its own again. */
	host_got = 0;
	kill(getpid(), SIGUSR2);
	T_WAIT_UNTIL(host_has, &(int){SIGUSR2});
	expect_none(a);
	rg_chan_unref(a);
	rg_chan_unref(b);
}

static void notify_two_channels_are_independent(void **state)
{
	(void)state;
	signal(SIGUSR2, host_handler);
	t_run_with(2, two_body, NULL);
	signal(SIGUSR2, SIG_DFL);
}

/* ---- arguments ---- */

static void arguments_body(void *arg)
{
	static const int bad[] = {SIGKILL, SIGSTOP, SIGURG, SIGSEGV, SIGBUS,
				  SIGFPE,  SIGILL,  0,      -1,      32,
				  33,      65,      1000};
	int pair[2] = {SIGUSR1, 0};
	rg_chan *c = rg_make(int, 1);

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		T_CHECK_INT_EQ(rg_signal_notify(c, &bad[i], 1), -EINVAL);
		/* All or nothing. */
		pair[1] = bad[i];
		T_CHECK_INT_EQ(rg_signal_notify(c, pair, 2), -EINVAL);
	}
	T_CHECK_PTR_EQ((void *)handler_of(SIGUSR1), (void *)SIG_DFL);
	T_CHECK_INT_EQ(rg_signal_notify(NULL, pair, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_signal_notify(c, NULL, 1), -EINVAL);
	T_CHECK_INT_EQ(rg_signal_notify(c, pair, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_signal_stop(NULL), -ENOENT);
	T_CHECK_INT_EQ(rg_signal_stop(c), -ENOENT);
	pair[0] = SIGRTMAX;
	T_CHECK_INT_EQ(rg_signal_notify(c, pair, 1), 0);
	kill(getpid(), SIGRTMAX);
	T_CHECK_INT_EQ(receive(c), SIGRTMAX);
	T_CHECK_INT_EQ(rg_signal_stop(c), 0);
	rg_chan_unref(c);
}

static void wrong_size_body(void *arg)
{
	const int sig = SIGUSR1;

	(void)arg;
	rg_signal_notify(rg_make(int64_t, 1), &sig, 1);
}

static void wrong_size(void *arg)
{
	t_run(wrong_size_body, arg);
}

static void notify_bad_arguments_are_refused(void **state)
{
	const int sig = SIGUSR1;
	rg_chan *c = rg_make(int, 1);

	(void)state;
	t_run(arguments_body, NULL);
	t_expect_abort(wrong_size, NULL, "element size 8 of the channel");
	assert_int_equal(rg_signal_notify(c, &sig, 1), -ESRCH);
	rg_chan_unref(c);
}

/* ---- deadlock, contexts, runtimes ---- */

static void waits_body(void *arg)
{
	const int sig = SIGALRM;
	rg_chan *c = rg_make(int, 1);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(c, &sig, 1), 0);
	alarm(1); /* nothing else will happen: no deadlock all the same */
	T_CHECK(rg_recv(c, &(int){0}));
	T_CHECK_INT_EQ(rg_signal_stop(c), 0);
	rg_chan_unref(c);
}

static void stops_and_sleeps(void *arg)
{
	const int sig = SIGUSR1;
	rg_chan *c = rg_make(int, 1);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(c, &sig, 1), 0);
	T_CHECK_INT_EQ(rg_signal_stop(c), 0);
	rg_recv(c, &(int){0}); /* now nobody will send any more */
}

static void waits(void *arg)
{
	t_run_with(2, waits_body, arg);
}

static void deadlocks(void *arg)
{
	t_run_with(2, stops_and_sleeps, arg);
}

static void notify_is_a_promise_against_deadlock_while_it_lasts(void **state)
{
	(void)state;
	t_expect_exit(waits, NULL, 0, NULL);
	if (!getenv("RG_SAN") || !*getenv("RG_SAN"))
		t_expect_abort(deadlocks, NULL,
			       "all goroutines are asleep - deadlock!");
}

static void context_body(void *arg)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	const int sig = SIGUSR1;
	rg_chan *c = rg_make(int, 1);

	(void)arg;
	rg_ctx_unref(rg_ctx_bind(ctx));
	T_CHECK_INT_EQ(rg_signal_notify(c, &sig, 1), 0);
	rg_ctx_cancel(ctx, 0);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	rg_sleep(10 * RG_MILLISECOND);
	kill(getpid(), sig);
	T_CHECK_INT_EQ(receive(c), sig);
	T_CHECK_INT_EQ(rg_signal_stop(c), 0);
	rg_chan_unref(c);
}

static void notify_outlives_the_context_of_its_caller(void **state)
{
	(void)state;
	t_run(context_body, NULL);
}

static void leaves_body(void *arg)
{
	static const int sigs[] = {SIGUSR1, SIGUSR2};
	rg_chan *c = rg_make(int, 4);

	(void)arg;
	T_CHECK_INT_EQ(rg_signal_notify(c, sigs, 2), 0);
	kill(getpid(), SIGUSR1);
	T_CHECK_INT_EQ(receive(c), SIGUSR1);
	rg_chan_unref(c); /* notify's reference is the last one */
}

static void notify_end_of_the_runtime_restores_everything(void **state)
{
	int fds = t_open_fds();

	(void)state;
	signal(SIGUSR1, host_handler);
	for (int i = 0; i < 3; i++) {
		t_run_with(2, leaves_body, NULL);
		assert_ptr_equal(handler_of(SIGUSR1), host_handler);
		assert_ptr_equal(handler_of(SIGUSR2), SIG_DFL);
		assert_int_equal(t_open_fds(), fds);
		host_got = 0;
		raise(SIGUSR1);
		assert_int_equal(host_got, SIGUSR1);
	}
	signal(SIGUSR1, SIG_DFL);
}

/* ---- foreign threads; a storm ---- */

static _Atomic bool storm_over;

static void *storm(void *arg)
{
	while (!storm_over) {
		kill(getpid(), SIGUSR1);
		usleep(20);
	}
	return arg;
}

static void *notify_in_thread(void *arg)
{
	const int sig = SIGUSR1;

	for (int i = 0; i < 200; i++) {
		rg_chan *c = rg_make(int, 1);

		T_CHECK_INT_EQ(rg_signal_notify(c, &sig, 1), 0);
		T_CHECK_INT_EQ(receive(c), sig);
		T_CHECK_INT_EQ(rg_signal_stop(c), 0);
		(void)rg_chan_try_recv(c, NULL);
		T_CHECK_INT_EQ(rg_chan_len(c), 0);
		rg_chan_unref(c);
	}
	return arg;
}

static void storm_goroutine(void *arg)
{
	notify_in_thread(arg);
	rg_waitgroup_done(arg);
}

static void *join(void *thread)
{
	T_CHECK_INT_EQ(pthread_join(*(pthread_t *)thread, NULL), 0);
	return NULL;
}

static void storm_body(void *arg)
{
	rg_waitgroup group = {0};
	pthread_t sender, taker;

	storm_over = false;
	rg_waitgroup_add(&group, 2);
	T_CHECK_INT_EQ(pthread_create(&sender, NULL, storm, arg), 0);
	T_CHECK_INT_EQ(pthread_create(&taker, NULL, notify_in_thread, arg), 0);
	T_CHECK_INT_EQ(rg_go(storm_goroutine, &group), 0);
	T_CHECK_INT_EQ(rg_go(storm_goroutine, &group), 0);
	rg_waitgroup_wait(&group);
	rg_blocking(join, &taker);
	storm_over = true;
	rg_blocking(join, &sender);
}

static void notify_survives_a_storm_of_signals_and_changes(void **state)
{
	(void)state;
	signal(SIGUSR1, SIG_IGN); /* between two listeners */
	t_run_with(2, storm_body, NULL);
	signal(SIGUSR1, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notify_delivers_each_signal),
		cmocka_unit_test(notify_full_channel_drops),
		cmocka_unit_test(notify_two_channels_are_independent),
		cmocka_unit_test(notify_bad_arguments_are_refused),
		cmocka_unit_test(
			notify_is_a_promise_against_deadlock_while_it_lasts),
		cmocka_unit_test(notify_outlives_the_context_of_its_caller),
		cmocka_unit_test(notify_end_of_the_runtime_restores_everything),
		cmocka_unit_test(
			notify_survives_a_storm_of_signals_and_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
