// SPDX-License-Identifier: MIT
/*
 * sysmon - attacks Y5 of sched/sysmon.c: threads that sleep in the kernel in other ways
 * than by a read of a pipe, and times in which it cannot be told that they do.
 *
 * Each body blocks the only P's thread until another goroutine has run beside it.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ringgo.h>

#include "sched/interrupt.h"
#include "sched/sched.h"

static int pipe_fds[2];
static rg_waitgroup wg;

static bool has_spare_pair(void *arg)
{
	(void)arg;
	return sched_nps() > 1;
}

static void reads_raw(void *arg)
{
	char byte;

	(void)arg;
	T_CHECK_INT_EQ(read(pipe_fds[0], &byte, 1), 1);
	rg_waitgroup_done(&wg);
}

/* Begins fn, and runs beside it; then ends it by a byte. */
static void beats_beside(void (*fn)(void *arg))
{
	rg_waitgroup_add(&wg, 1);
	T_CHECK_INT_EQ(rg_go(fn, NULL), 0);
	for (int i = 0; i < 20; i++)
		rg_sleep(RG_MILLISECOND);
	T_CHECK_INT_EQ(write(pipe_fds[1], "x", 1), 1);
	rg_waitgroup_wait(&wg);
}

/* Its parent sleeps uninterruptibly, as in a read from a disk. */
static void vforks(void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	pid = vfork();
	if (!pid) {
		char byte;

		_exit(read(pipe_fds[0], &byte, 1) != 1);
	}
	T_CHECK_INT_GT(pid, 0);
	T_CHECK_INT_EQ(waitpid(pid, &status, 0), pid);
	T_CHECK_INT_EQ(status, 0);
	rg_waitgroup_done(&wg);
}

static void vfork_body(void *arg)
{
	(void)arg;
	beats_beside(vforks);
}

/* Out of one call and into the next, without a look at the runtime. */
enum { READS = 40 };

static void reads_again_and_again(void *arg)
{
	char byte;

	(void)arg;
	for (int i = 0; i < READS; i++)
		T_CHECK_INT_EQ(read(pipe_fds[0], &byte, 1), 1);
	rg_waitgroup_done(&wg);
}

static int64_t tokens_taken(void)
{
	rg_stats s;

	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	return s.tokens_taken;
}

static void again_and_again_body(void *arg)
{
	int64_t before = tokens_taken();

	(void)arg;
	rg_waitgroup_add(&wg, 1);
	T_CHECK_INT_EQ(rg_go(reads_again_and_again, NULL), 0);
	for (int i = 0; i < READS; i++) {
		rg_sleep(2 * RG_MILLISECOND);
		T_CHECK_INT_EQ(write(pipe_fds[1], "x", 1), 1);
	}
	rg_waitgroup_wait(&wg);
	T_CHECK_INT_GT(tokens_taken() - before, 0);
	/* Some more when it was found between two calls. */
	T_CHECK(tokens_taken() - before < READS / 2);
}

/* No descriptor is left for /proc. */
static void exhausted_body(void *arg)
{
	struct rlimit before, now;
	int fd;

	(void)arg;
	beats_beside(reads_raw);
	T_WAIT_UNTIL(has_spare_pair, NULL);
	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	fd = dup(pipe_fds[0]);
	T_CHECK_INT_GE(fd, 0);
	close(fd);
	now = before;
	now.rlim_cur = (rlim_t)fd;
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
	beats_beside(reads_raw);
	T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

enum { MANY = 16 };

static _Atomic int begun;

static void begins_and_yields(void *arg)
{
	(void)arg;
	if (++begun == MANY)
		T_CHECK_INT_EQ(write(pipe_fds[1], "x", 1), 1);
	while (begun < MANY)
		rg_yield();
	rg_waitgroup_done(&wg);
}

/* Those that were stolen keep the thief busy: it would steal no more. */
static void queue_body(void *arg)
{
	begun = 0;
	rg_waitgroup_add(&wg, MANY + 1);
	for (int i = 0; i < MANY; i++)
		T_CHECK_INT_EQ(rg_go(begins_and_yields, NULL), 0);
	reads_raw(arg);
	rg_waitgroup_wait(&wg);
}

/* The operation is in the ring of the thread that blocks, and only that can cancel it. */
static void polls_then_writes(void *arg)
{
	int *fds = arg;

	T_CHECK_INT_EQ(rg_poll(fds[0], POLLIN, 20 * RG_MILLISECOND),
		       -ETIMEDOUT);
	T_CHECK_INT_EQ(write(pipe_fds[1], "x", 1), 1);
	rg_waitgroup_done(&wg);
}

static void cancel_body(void *arg)
{
	int fds[2];

	if (!interrupt_is_on()) {
		print_message("no preemption in this build\n");
		return;
	}
	T_CHECK_INT_EQ(pipe(fds), 0);
	rg_waitgroup_add(&wg, 2);
	T_CHECK_INT_EQ(rg_go(polls_then_writes, fds), 0);
	rg_yield();
	reads_raw(arg);
	rg_waitgroup_wait(&wg);
	close(fds[0]);
	close(fds[1]);
}

static void run(void (*body)(void *arg))
{
	T_CHECK_INT_EQ(pipe(pipe_fds), 0);
	t_run_with(1, body, NULL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void sysmon_takes_the_token_of_an_uninterruptible_sleeper(void **state)
{
	(void)state;
	run(vfork_body);
}

static void sysmon_gives_no_token_to_who_blocks_again(void **state)
{
	(void)state;
	run(again_and_again_body);
}

static void sysmon_takes_tokens_when_no_descriptor_is_left(void **state)
{
	(void)state;
	run(exhausted_body);
}

static void sysmon_takes_what_is_queued_behind_a_blocked_thread(void **state)
{
	(void)state;
	run(queue_body);
}

static void sysmon_has_a_blocked_thread_cancel_operations(void **state)
{
	(void)state;
	run(cancel_body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sysmon_has_a_blocked_thread_cancel_operations),
		cmocka_unit_test(
			sysmon_takes_what_is_queued_behind_a_blocked_thread),
		cmocka_unit_test(
			sysmon_takes_the_token_of_an_uninterruptible_sleeper),
		cmocka_unit_test(sysmon_gives_no_token_to_who_blocks_again),
		cmocka_unit_test(
			sysmon_takes_tokens_when_no_descriptor_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
