// SPDX-License-Identifier: MIT
/*
 * errno belongs to the goroutine: it survives every kind of park, also on another
 * thread, is not touched by calls of the library that fail, starts at 0, and is the
 * caller's before and after rg_blocking. <errno.h> comes before <ringgo.h> here (in
 * rgtest.h and above), and once more behind it.
 */
#include <errno.h>

#include "tests/support/rgtest.h"

#include <errno.h> // NOLINT: nothing changes by that
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WORKERS = 16, ROUNDS = 400 };

static _Atomic long migrated;
static rg_mutex mutex;
static rg_chan *tokens;
static int null_pipe[2], never_ready;

/* A different kind of park each time. */
static void park_somehow(int round)
{
	char byte = 0;
	int v;

	switch (round % 6) {
	case 0:
		rg_yield();
		break;
	case 1:
		T_CHECK_INT_EQ(rg_sleep(10 * RG_MICROSECOND), 0);
		break;
	case 2:
		rg_mutex_lock(&mutex);
		rg_yield();
		rg_mutex_unlock(&mutex);
		break;
	case 3:
		T_CHECK(rg_recv(tokens, &v));
		rg_send(tokens, v);
		break;
	case 4:
		T_CHECK_INT_EQ(rg_write(null_pipe[1], &byte, 1), 1);
		T_CHECK_INT_EQ(rg_read(null_pipe[0], &byte, 1), 1);
		break;
	default:
		T_CHECK_INT_EQ(rg_poll(never_ready, POLLIN, RG_MICROSECOND),
			       -ETIMEDOUT);
		break;
	}
}

static void keeps_its_own(void *arg)
{
	int mine = (int)(intptr_t)arg;
	pid_t before;

	T_CHECK_INT_EQ(errno, 0);
	for (int i = 0; i < ROUNDS; i++) {
		errno = mine + i;
		before = gettid();
		park_somehow(i + mine);
		T_CHECK_INT_EQ(errno, mine + i);
		migrated += gettid() != before;
	}
}

static void many_keep_theirs(void *arg)
{
	rg_waitgroup all = {0};

	(void)arg;
	T_CHECK_INT_EQ(pipe(null_pipe), 0);
	never_ready = eventfd(0, EFD_CLOEXEC);
	T_CHECK(never_ready >= 0);
	tokens = rg_make(int, 4);
	for (int i = 0; i < 2; i++)
		rg_send(tokens, i);
	errno = 12345;
	for (intptr_t i = 0; i < WORKERS; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&all, keeps_its_own,
					       (void *)(1000 * (i + 1))),
			       0);
	rg_waitgroup_wait(&all);
	T_CHECK_INT_EQ(errno, 12345);
	close(null_pipe[0]);
	close(null_pipe[1]);
	close(never_ready);
	rg_chan_unref(tokens);
}

static void errno_is_the_goroutines_on_every_thread(void **state)
{
	(void)state;
	migrated = 0;
	t_run_with(4, many_keep_theirs, NULL);
	/* Else the test would show nothing. */
	T_CHECK_INT_GT(migrated, 0);
}

static void calls_that_fail(void *arg)
{
	rg_listener *l;
	rg_conn *c;
	char byte;

	(void)arg;
	errno = 77;
	T_CHECK_INT_EQ(rg_read(-1, &byte, 1), -EBADF);
	T_CHECK_INT_EQ(rg_openat(-1, "/no/such/file", 0), -ENOENT);
	T_CHECK_INT_EQ(rg_close(987654), -EBADF);
	T_CHECK_INT_EQ(rg_poll(987654, 1, RG_SECOND), -EBADF);
	T_CHECK_INT_EQ(rg_listen("tcp", "nonsense", &l), -EINVAL);
	T_CHECK_INT_LT(rg_dial("tcp", "127.0.0.1:1", &c), 0);
	T_CHECK_INT_EQ(errno, 77);
}

static void errno_is_not_where_failures_are_told(void **state)
{
	(void)state;
	t_run_with(2, calls_that_fail, NULL);
}

static void *changes_errno(void *arg)
{
	T_CHECK_INT_EQ(errno, 33);
	errno = 44;
	return arg;
}

static void blocking_carries_it(void *arg)
{
	errno = 33;
	T_CHECK_PTR_EQ(rg_blocking(changes_errno, arg), arg);
	T_CHECK_INT_EQ(errno, 44);
}

static void errno_goes_through_blocking_calls(void **state)
{
	(void)state;
	t_run_with(2, blocking_carries_it, NULL);
}

struct meeting {
	rg_chan *c;
	_Atomic bool is_over;
};

static void *foreign_keeps(void *arg)
{
	struct meeting *m = arg;
	int v;

	for (int i = 0; i < 100; i++) {
		errno = 500 + i;
		T_CHECK(rg_recv(m->c, &v));
		T_CHECK_INT_EQ(errno, 500 + i);
	}
	m->is_over = true;
	return NULL;
}

static void sends_to_thread(void *arg)
{
	struct meeting m = {.c = rg_make(int, 0)};
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(pthread_create(&t, NULL, foreign_keeps, &m), 0);
	for (int i = 0; i < 100; i++) {
		errno = i;
		rg_send(m.c, i);
		T_CHECK_INT_EQ(errno, i);
	}
	T_CHECK_INT_EQ(pthread_join(t, NULL), 0);
	T_CHECK(m.is_over);
	rg_chan_unref(m.c);
}

static void errno_of_a_foreign_thread_is_kept(void **state)
{
	(void)state;
	t_run_with(2, sends_to_thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errno_is_the_goroutines_on_every_thread),
		cmocka_unit_test(errno_is_not_where_failures_are_told),
		cmocka_unit_test(errno_goes_through_blocking_calls),
		cmocka_unit_test(errno_of_a_foreign_thread_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
