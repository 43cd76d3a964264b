// SPDX-License-Identifier: MIT
/*
 * threadlife - threads of locked goroutines that end, that cannot be made, and that are
 * left when the runtime stops: lockthread.h I5 and I6, pair.h I4 and I5.
 *
 * RG-LDFLAGS: -Wl,--wrap=pthread_create
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"
#include "sched/lockthread.h"

static rg_waitgroup wg;
static _Atomic int64_t laps;

static int tid(void)
{
	return (int)syscall(SYS_gettid);
}

static bool is_thread(int thread)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/task/%d", thread);
	return !access(path, F_OK);
}

static bool thread_is_gone(void *arg)
{
	return !is_thread(*(_Atomic int *)arg);
}

static bool has_come_to(void *arg)
{
	return laps >= *(int64_t *)arg;
}

/* ---- threads that cannot be had ---- */

static _Atomic bool fails;
static _Atomic int nfailed;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*fn)(void *), void *arg)
{
	if (!fails)
		return __real_pthread_create(thread, attr, fn, arg);
	nfailed++;
	return EAGAIN;
}

/* ---- the end ---- */

static _Thread_local int mark;

/* To ThreadSanitizer a thread writes its thread-locals when it is born, unordered. */
static int swap_mark(int to)
{
	int was;

	san_quiet_begin();
	was = mark;
	mark = to;
	san_quiet_end();
	return was;
}
static _Atomic int last_tid;

static void ends_locked(void *arg)
{
	cpu_set_t one;

	rg_lock_os_thread();
	T_CHECK_INT_EQ(swap_mark(1), 0);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	T_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
	last_tid = tid();
	rg_chan_close(arg);
}

static void is_clean(void *arg)
{
	cpu_set_t all, *mine = arg;

	T_CHECK_INT_EQ(swap_mark(0), 0);
	T_CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	T_CHECK(CPU_EQUAL(&all, mine));
	rg_yield();
	T_CHECK_INT_EQ(swap_mark(0), 0);
	rg_waitgroup_done(&wg);
}

static void ends_body(void *arg)
{
	cpu_set_t all;
	int64_t v;

	(void)arg;
	T_CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
	for (int i = 0; i < 30; i++) {
		rg_chan *c = rg_make(int64_t, 0);

		T_CHECK_INT_EQ(rg_go(ends_locked, c), 0);
		T_CHECK(!rg_chan_recv(c, &v));
		for (int k = 0; k < 8; k++) {
			rg_waitgroup_add(&wg, 1);
			T_CHECK_INT_EQ(rg_go(is_clean, &all), 0);
		}
		rg_waitgroup_wait(&wg);
		T_WAIT_UNTIL(thread_is_gone, &last_tid);
		rg_chan_unref(c);
	}
}

/* As the main goroutine, which keeps M0, and by a host that is no goroutine. */
static void *foreign_ends(void *arg)
{
	ends_body(arg);
	return NULL;
}

static void keeps_main_body(void *arg)
{
	rg_lock_os_thread();
	ends_body(arg);
	T_CHECK_INT_EQ(lockthread_count(), 1);
	rg_unlock_os_thread();
}

static void lockthread_end_while_locked_ends_the_thread(void **state)
{
	(void)state;
	for (int procs = 1; procs <= 4; procs *= 2) {
		rg_config config = {.maxprocs = procs};

		t_run_with(procs, keeps_main_body, NULL);
		T_CHECK_INT_EQ(rg_start(&config), 0);
		t_join(t_thread(foreign_ends, NULL));
		T_CHECK_INT_EQ(lockthread_count(), 0);
		T_CHECK_INT_EQ(rg_stop(RG_SECOND), 0);
	}
}

/* I5: what others have in flight on the thread's ring, and their timers, go on. */

struct user {
	int fd;
	_Atomic int got;
	rg_time lateness;
};

static void reads_long(void *arg)
{
	struct user *u = arg;
	char b = 0;

	T_CHECK_INT_EQ(rg_read(u->fd, &b, 1), 1);
	T_CHECK_INT_EQ(b, 'z');
	u->got++;
}

static void sleeps_long(void *arg)
{
	struct user *u = arg;
	rg_time end = rg_now() + 50 * RG_MILLISECOND;

	T_CHECK_INT_EQ(rg_sleep(50 * RG_MILLISECOND), 0);
	u->lateness = rg_now() - end;
	u->got++;
}

static bool is_parked(void *arg)
{
	rg_stats s;

	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	return s.ring_inflight == *(int64_t *)arg && s.timers == 1;
}

static bool all_three(void *arg)
{
	return ((struct user *)arg)->got == 3;
}

static void lockthread_end_leaves_the_others_their_io_and_timers(void **state)
{
	rg_config config = {.maxprocs = 1};
	int64_t two = 2, v;
	struct user u = {.got = 0};
	rg_chan *c;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	u.fd = fds[0];
	T_CHECK_INT_EQ(rg_start(&config), 0);
	c = rg_make(int64_t, 0);
	T_CHECK_INT_EQ(rg_go(reads_long, &u), 0);
	T_CHECK_INT_EQ(rg_go(reads_long, &u), 0);
	T_CHECK_INT_EQ(rg_go(sleeps_long, &u), 0);
	T_WAIT_UNTIL(is_parked, &two);
	T_CHECK_INT_EQ(rg_go(ends_locked, c), 0);
	T_CHECK(!rg_chan_recv(c, &v));
	T_WAIT_UNTIL(thread_is_gone, &last_tid);
	assert_int_equal(write(fds[1], "zz", 2), 2);
	T_WAIT_UNTIL(all_three, &u);
	T_CHECK_INT_LT(u.lateness, RG_SECOND);
	rg_chan_unref(c);
	T_CHECK_INT_EQ(rg_stop(RG_SECOND), 0);
	close(fds[0]);
	close(fds[1]);
}

/* ---- stop, deadlock, dump ---- */

static void parks_for_ever(void *arg)
{
	rg_lock_os_thread();
	atomic_fetch_add(&laps, 1);
	rg_chan_recv(arg, NULL);
}

static void reads_for_ever(void *arg)
{
	char b;

	rg_lock_os_thread();
	atomic_fetch_add(&laps, 1);
	rg_read(*(int *)arg, &b, 1);
}

static void yields_for_ever(void *arg)
{
	(void)arg;
	rg_lock_os_thread();
	atomic_fetch_add(&laps, 1);
	for (;;)
		rg_yield();
}

static void start_those(int *fd)
{
	int64_t goal = 6;

	laps = 0;
	for (int i = 0; i < 2; i++) {
		T_CHECK_INT_EQ(rg_go(parks_for_ever, NULL), 0);
		T_CHECK_INT_EQ(rg_go(reads_for_ever, fd), 0);
		T_CHECK_INT_EQ(rg_go(yields_for_ever, NULL), 0);
	}
	T_WAIT_UNTIL(has_come_to, &goal);
}

static void leaves_them(void *arg)
{
	start_those(arg);
}

/* The kernel's entry of a joined thread may last a moment longer. */
static bool threads_are_joined(void *arg)
{
	return t_threads() <= *(int *)arg + RG_TSAN;
}

static void lockthread_stop_abandons_parked_and_running_ones(void **state)
{
	int threads = t_threads(), fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	for (int procs = 1; procs <= 4; procs *= 2) {
		rg_config config = {.maxprocs = procs};

		t_run_with(procs, leaves_them, &fds[0]);
		T_CHECK_INT_EQ(rg_start(&config), 0);
		start_those(&fds[0]);
		T_CHECK_INT_EQ(rg_stop(RG_MILLISECOND), -ETIMEDOUT);
		T_WAIT_UNTIL(threads_are_joined, &threads);
	}
	close(fds[0]);
	close(fds[1]);
}

static void waits_locked(void *arg)
{
	rg_lock_os_thread();
	rg_chan_recv(arg, NULL);
}

static void deadlock_body(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_go(waits_locked, rg_make(int64_t, 0)), 0);
	waits_locked(rg_make(int64_t, 0));
}

static void run_deadlock(void *arg)
{
	t_run_with(*(int *)arg, deadlock_body, NULL);
}

static void lockthread_all_parked_is_a_deadlock(void **state)
{
	int procs = 1;

	(void)state;
	t_expect_abort(run_deadlock, &procs, "all goroutines are asleep");
	procs = 2;
	t_expect_abort(run_deadlock, &procs, "locked to thread");
}

static void dump_body(void *arg)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	rg_chan *c = rg_make(int64_t, 0);
	int64_t goal = 1;
	char text[16384];
	ssize_t n;

	(void)arg;
	laps = 0;
	T_CHECK_INT_EQ(rg_go(parks_for_ever, c), 0);
	T_WAIT_UNTIL(has_come_to, &goal);
	rg_lock_os_thread();
	rg_sleep(RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_dump(fd, 2), 0);
	rg_unlock_os_thread();
	n = pread(fd, text, sizeof text - 1, 0);
	T_CHECK(n > 0);
	text[n] = 0;
	T_CHECK_STR_HAS(text, "[running, locked to thread]:");
	T_CHECK_STR_HAS(text, "[chan receive, locked to thread]:");
	close(fd);
	rg_chan_close(c);
	t_wait_goroutines(1);
	rg_chan_unref(c);
}

static void lockthread_is_shown_in_dumps(void **state)
{
	(void)state;
	t_run_with(2, dump_body, NULL);
}

/* ---- a connect under way when its ring ends ---- */

struct connecting {
	struct sockaddr_in to;
	int fd;
	_Atomic int result; /* 1: none yet */
};

static void connects(void *arg)
{
	struct connecting *c = arg;

	c->result = rg_connect(c->fd, (struct sockaddr *)&c->to, sizeof c->to);
}

static bool one_in_flight(void *arg)
{
	rg_stats s;

	(void)arg;
	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	return s.ring_inflight == 1;
}

static bool has_result(void *arg)
{
	return ((struct connecting *)arg)->result != 1;
}

/* A listener whose queue is full: who connects waits for room. */
static int full_listener(struct sockaddr_in *at, int *fillers, int n)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof *at;

	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T_CHECK(!bind(listener, (struct sockaddr *)at, sizeof *at));
	T_CHECK(!listen(listener, 0));
	T_CHECK(!getsockname(listener, (struct sockaddr *)at, &len));
	for (int i = 0; i < n; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		T_CHECK(connect(fillers[i], (struct sockaddr *)at, len) < 0);
		T_CHECK_INT_EQ(errno, EINPROGRESS);
	}
	return listener;
}

static void lockthread_end_leaves_a_connect_under_way(void **state)
{
	rg_config config = {.maxprocs = 1};
	struct connecting c = {.result = 1};
	int fillers[4], listener, at_once;
	rg_chan *over;

	(void)state;
	listener = full_listener(&c.to, fillers, 4);
	c.fd = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK_INT_EQ(rg_start(&config), 0);
	T_CHECK_INT_EQ(rg_go(connects, &c), 0);
	T_WAIT_UNTIL(one_in_flight, NULL);
	over = rg_make(int64_t, 0);
	T_CHECK_INT_EQ(rg_go(ends_locked, over), 0);
	T_CHECK(!rg_chan_recv(over, NULL));
	T_WAIT_UNTIL(thread_is_gone, &last_tid);
	T_WAIT_UNTIL(one_in_flight, NULL);
	at_once = c.result;
	for (int i = 0; i < 4; i++)
		close(fillers[i]);
	for (int i = 0; i < 2; i++)
		close(accept(listener, NULL, NULL));
	T_WAIT_UNTIL(has_result, &c);
	T_CHECK_INT_EQ(at_once, 1);
	T_CHECK_INT_EQ(c.result, 0);
	rg_chan_unref(over);
	T_CHECK_INT_EQ(rg_stop(RG_SECOND), 0);
	close(c.fd);
	close(listener);
}

/* ---- no threads ---- */

static bool has_failed_twice(void *arg)
{
	(void)arg;
	return nfailed >= 2;
}

static void *lets_threads_be(void *arg)
{
	T_WAIT_UNTIL(has_failed_twice, NULL);
	fails = false;
	return arg;
}

static void sends_one(void *arg)
{
	int64_t v = 5;

	rg_chan_send(arg, &v);
}

static void waits_for_thread(void *arg)
{
	rg_chan *c = rg_make(int64_t, 0);
	pthread_t helper;
	int64_t v = 0;

	(void)arg;
	nfailed = 0;
	helper = t_thread(lets_threads_be, NULL);
	fails = true;
	rg_lock_os_thread();
	T_CHECK_INT_EQ(rg_go(sends_one, c), 0);
	T_CHECK(rg_chan_recv(c, &v));
	T_CHECK_INT_EQ(v, 5);
	T_CHECK(!fails);
	rg_unlock_os_thread();
	t_join(helper);
	rg_chan_unref(c);
}

static void run_without_threads(void *arg)
{
	(void)arg;
	t_run_with(1, waits_for_thread, NULL);
}

static void lockthread_without_another_thread_the_others_wait(void **state)
{
	char *said;

	(void)state;
	said = t_expect_output(run_without_threads, NULL, 0);
	T_CHECK_STR_HAS(said, "no thread for goroutines");
	free(said);
}

static void sleeps_twice(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_sleep(20 * RG_MILLISECOND), 0);
	T_CHECK_INT_EQ(rg_sleep(5 * RG_MILLISECOND), 0);
	laps++;
}

static bool has_threads(void *arg)
{
	rg_stats s;

	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	return s.threads >= *(int *)arg;
}

static void lockthread_end_without_a_new_thread_timers_fire(void **state)
{
	rg_config config = {.maxprocs = 2};
	int64_t all = 8;
	int threads = 2; /* or 3: one was wanted for the locked one */
	rg_stats s;
	rg_chan *c;

	(void)state;
	laps = 0;
	T_CHECK_INT_EQ(rg_start(&config), 0);
	c = rg_make(int64_t, 0);
	for (int i = 0; i < all; i++)
		T_CHECK_INT_EQ(rg_go(sleeps_twice, NULL), 0);
	nfailed = 0;
	fails = true;
	T_CHECK_INT_EQ(rg_go(ends_locked, c), 0);
	T_CHECK(!rg_chan_recv(c, NULL));
	T_WAIT_UNTIL(thread_is_gone, &last_tid);
	T_WAIT_UNTIL(has_failed_twice, NULL);
	T_WAIT_UNTIL(has_come_to, &all);
	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	T_CHECK_INT_EQ(s.threads, 1);
	fails = false;
	T_WAIT_UNTIL(has_threads, &threads);
	rg_chan_unref(c);
	T_CHECK_INT_EQ(rg_stop(RG_SECOND), 0);
}

/* ---- the limit ---- */

static void lock_too_many(void *arg)
{
	rg_chan *never = rg_make(int64_t, 0);

	(void)arg;
	laps = 0;
	for (int64_t goal = 1; goal <= SCHED_MAX_MS; goal++) {
		T_CHECK_INT_EQ(rg_go(parks_for_ever, never), 0);
		T_WAIT_UNTIL(has_come_to, &goal);
	}
}

static void run_too_many(void *arg)
{
	(void)arg;
	t_run_with(2, lock_too_many, NULL);
}

static void lockthread_the_last_thread_is_not_given_away(void **state)
{
	(void)state;
	t_expect_abort(run_too_many, NULL,
		       "rg_lock_os_thread: 510 goroutines are locked to "
		       "threads: no more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lockthread_end_while_locked_ends_the_thread),
		cmocka_unit_test(
			lockthread_end_leaves_the_others_their_io_and_timers),
		cmocka_unit_test(lockthread_end_leaves_a_connect_under_way),
		cmocka_unit_test(
			lockthread_without_another_thread_the_others_wait),
		cmocka_unit_test(
			lockthread_end_without_a_new_thread_timers_fire),
		cmocka_unit_test(
			lockthread_stop_abandons_parked_and_running_ones),
		cmocka_unit_test(lockthread_all_parked_is_a_deadlock),
		cmocka_unit_test(lockthread_is_shown_in_dumps),
		cmocka_unit_test(lockthread_the_last_thread_is_not_given_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
