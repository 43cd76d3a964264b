// SPDX-License-Identifier: MIT
/*
 * Attacks waitid's invariants: rg_waitid by the kernel's operation and without it, on
 * one child and on several, on ends and stops, with contexts that end first, from
 * threads of the host; no status lost, no descriptor and no zombie left.
 */
#include "tests/net/netpair.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A child that ends with the code it is told through the pipe. */
struct child {
	pid_t pid;
	int tell;
};

static struct child child_start(void)
{
	struct child c;
	int p[2];

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	c.pid = fork();
	T_CHECK(c.pid >= 0);
	if (c.pid == 0) {
		unsigned char code = 99;

		/* Not the runtime's: nothing of it works here. */
		close(p[1]);
		if (read(p[0], &code, 1) < 0)
			code = 98;
		_exit(code);
	}
	close(p[0]);
	c.tell = p[1];
	return c;
}

static void child_tell(struct child *c, unsigned char code)
{
	int fd = c->tell; /* told, it may be gone, and *c with it */

	T_CHECK_INT_EQ(write(fd, &code, 1), 1);
	close(fd);
}

static void child_tell_later(void *arg)
{
	(void)rg_sleep(20 * RG_MILLISECOND);
	child_tell(arg, 7);
}

static bool is_gone(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG) < 0 &&
	       errno == ECHILD;
}

static void check_exit(const siginfo_t *info, const struct child *c, int code)
{
	T_CHECK_INT_EQ(info->si_signo, SIGCHLD);
	T_CHECK_INT_EQ(info->si_code, CLD_EXITED);
	T_CHECK_INT_EQ(info->si_pid, c->pid);
	T_CHECK_INT_EQ(info->si_status, code);
}

/* ---- bodies, run with and without the operation -------------------------- */

/* One P: were its thread blocked, nobody would ever tell the child to end. */
static void waits_parked(void *arg)
{
	struct child c = child_start();
	siginfo_t info;

	(void)arg;
	T_CHECK_INT_EQ(rg_go(child_tell_later, &c), 0);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED), 0);
	check_exit(&info, &c, 7);
	T_CHECK(is_gone(c.pid));
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED), -ECHILD);
}

static void leaves_it_waitable(void *arg)
{
	struct child c = child_start();
	siginfo_t info;

	(void)arg;
	child_tell(&c, 3);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT),
		       0);
	check_exit(&info, &c, 3);
	T_CHECK(!is_gone(c.pid)); /* this look takes it */
	T_CHECK(is_gone(c.pid));
}

static void needs_no_info(void *arg)
{
	struct child c = child_start();

	(void)arg;
	child_tell(&c, 0);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, NULL, WEXITED), 0);
	T_CHECK(is_gone(c.pid));
}

static void sees_stops(void *arg)
{
	struct child c = child_start();
	siginfo_t info;

	(void)arg;
	T_CHECK_INT_EQ(kill(c.pid, SIGSTOP), 0);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED | WSTOPPED),
		       0);
	T_CHECK_INT_EQ(info.si_code, CLD_STOPPED);
	T_CHECK_INT_EQ(info.si_status, SIGSTOP);
	T_CHECK_INT_EQ(kill(c.pid, SIGCONT), 0);
	T_CHECK_INT_EQ(
		rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED | WCONTINUED), 0);
	T_CHECK_INT_EQ(info.si_code, CLD_CONTINUED);
	T_CHECK_INT_EQ(kill(c.pid, SIGKILL), 0);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED | WSTOPPED),
		       0);
	T_CHECK_INT_EQ(info.si_code, CLD_KILLED);
	T_CHECK_INT_EQ(info.si_status, SIGKILL);
	close(c.tell);
}

static void takes_any_child(void *arg)
{
	struct child c[3] = {child_start(), child_start(), child_start()};
	siginfo_t info;
	int sum = 0;

	(void)arg;
	for (unsigned char i = 0; i < 3; i++)
		child_tell(&c[i], (unsigned char)(1 << i));
	for (int i = 0; i < 3; i++) {
		idtype_t kind = i ? P_ALL : P_PGID;

		T_CHECK_INT_EQ(rg_waitid(kind, (id_t)getpgrp(), &info, WEXITED),
			       0);
		sum += info.si_status;
	}
	T_CHECK_INT_EQ(sum, 7);
	T_CHECK_INT_EQ(rg_waitid(P_ALL, 0, &info, WEXITED), -ECHILD);
}

static void waits_on_pidfd(void *arg)
{
	struct child children[2], *c = children;

	(void)arg;
	for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK, c++) {
		siginfo_t info;
		int fd;

		*c = child_start();
		fd = (int)syscall(SYS_pidfd_open, c->pid, flags);
		T_CHECK(fd >= 0);
		T_CHECK_INT_EQ(rg_go(child_tell_later, c), 0);
		T_CHECK_INT_EQ(rg_waitid(P_PIDFD, (id_t)fd, &info, WEXITED), 0);
		check_exit(&info, c, 7);
		T_CHECK_INT_EQ(rg_close(fd), 0);
	}
	T_CHECK_INT_EQ(rg_waitid(P_PIDFD, 987654, NULL, WEXITED), -EBADF);
}

static void heeds_its_context(void *arg)
{
	static const int options[] = {WEXITED, WEXITED | WSTOPPED};

	(void)arg;
	for (size_t i = 0; i < 2; i++) {
		struct child c = child_start();
		rg_ctx *ctx = rg_ctx_with_timeout(rg_ctx_background(),
						  20 * RG_MILLISECOND);
		siginfo_t info;

		rg_ctx_bind(ctx);
		T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, options[i]),
			       -ETIMEDOUT);
		/* Ended, with or without something to be had. */
		child_tell(&c, 9);
		T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, options[i]),
			       -ETIMEDOUT);
		rg_ctx_unref(rg_ctx_bind(NULL));
		T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, options[i]),
			       0);
		check_exit(&info, &c, 9);
		rg_ctx_unref(ctx);
	}
}

static void does_not_wait(void *arg)
{
	struct child c = child_start();
	siginfo_t info;

	(void)arg;
	info.si_pid = 1;
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOHANG),
		       0);
	T_CHECK_INT_EQ(info.si_pid, 0);
	child_tell(&c, 0);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED), 0);
}

static void refuses_nonsense(void *arg)
{
	siginfo_t info;

	(void)arg;
	T_CHECK_INT_EQ(rg_waitid(P_PID, 1, &info, 0), -EINVAL);
	T_CHECK_INT_EQ(rg_waitid((idtype_t)77, 1, &info, WEXITED), -EINVAL);
	T_CHECK_INT_EQ(rg_waitid(P_PID, 1, &info, WEXITED), -ECHILD);
	T_CHECK_INT_EQ(rg_waitid(P_ALL, 0, &info, WEXITED | 0x20000000),
		       -EINVAL);
	T_CHECK_INT_EQ(rg_waitid(P_PID, 0, &info, WEXITED), -EINVAL);
}

static void *wait_on_thread(void *arg)
{
	struct child *c = arg;
	siginfo_t info;

	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c->pid, &info, WEXITED), 0);
	check_exit(&info, c, 7);
	return NULL;
}

static void serves_other_threads(void *arg)
{
	struct child c = child_start();
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(pthread_create(&t, NULL, wait_on_thread, &c), 0);
	child_tell_later(&c);
	join(t);
	T_CHECK(is_gone(c.pid));
}

/* ---- the tests ----------------------------------------------------------- */

static void run_both(void (*fn)(void *arg))
{
	static const char *const off[] = {"", "off:waitid"};
	int fds;

	(void)t_open_fds();
	fds = t_open_fds();
	for (size_t i = 0; i < 2; i++) {
		T_CHECK_INT_EQ(setenv("RINGGO_URING", off[i], 1), 0);
		t_run_with(1, fn, NULL);
		T_CHECK_INT_EQ(t_open_fds(), fds);
	}
}

#define BOTH(name, fn)                                                         \
	static void name(void **state)                                         \
	{                                                                      \
		(void)state;                                                   \
		run_both(fn);                                                  \
	}

BOTH(waitid_parks_and_reaps, waits_parked)
BOTH(waitid_nowait_leaves_the_child_waitable, leaves_it_waitable)
BOTH(waitid_info_may_be_null, needs_no_info)
BOTH(waitid_sees_stop_continue_and_kill, sees_stops)
BOTH(waitid_any_child_is_taken_once, takes_any_child)
BOTH(waitid_pidfd_blocking_or_not, waits_on_pidfd)
BOTH(waitid_heeds_the_context_and_loses_no_status, heeds_its_context)
BOTH(waitid_nohang_returns_at_once, does_not_wait)
BOTH(waitid_bad_arguments_are_refused, refuses_nonsense)
BOTH(waitid_foreign_thread_is_served, serves_other_threads)

static void waitid_without_a_runtime_is_refused(void **state)
{
	(void)state;
	T_CHECK_INT_EQ(rg_waitid(P_ALL, 0, NULL, WEXITED), -ESRCH);
	T_CHECK_INT_EQ(rg_waitid(P_ALL, 0, NULL, WEXITED | WNOHANG), -ECHILD);
}

/* No descriptor left for a pidfd: slower, and as right. */
static void waits_without_descriptors(void *arg)
{
	struct child c = child_start();
	int first = dup(0), last = first, fd;
	siginfo_t info;

	(void)arg;
	T_CHECK(first > 0);
	while ((fd = dup(0)) >= 0)
		last = fd;
	T_CHECK_INT_EQ(errno, EMFILE);
	T_CHECK_INT_EQ(rg_go(child_tell_later, &c), 0);
	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)c.pid, &info, WEXITED), 0);
	check_exit(&info, &c, 7);
	/* Not exit(3): a thread that could not begin may still be unjoined. */
	for (fd = first; fd <= last; fd++)
		close(fd);
}

static void run_without_descriptors(void *arg)
{
	T_CHECK_INT_EQ(setenv("RINGGO_URING", "off:waitid", 1), 0);
	t_run_with(1, waits_without_descriptors, arg);
}

static void waitid_without_descriptors_still_waits(void **state)
{
	(void)state;
	t_expect_exit(run_without_descriptors, NULL, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waitid_parks_and_reaps),
		cmocka_unit_test(waitid_nowait_leaves_the_child_waitable),
		cmocka_unit_test(waitid_info_may_be_null),
		cmocka_unit_test(waitid_sees_stop_continue_and_kill),
		cmocka_unit_test(waitid_any_child_is_taken_once),
		cmocka_unit_test(waitid_pidfd_blocking_or_not),
		cmocka_unit_test(waitid_heeds_the_context_and_loses_no_status),
		cmocka_unit_test(waitid_nohang_returns_at_once),
		cmocka_unit_test(waitid_bad_arguments_are_refused),
		cmocka_unit_test(waitid_foreign_thread_is_served),
		cmocka_unit_test(waitid_without_a_runtime_is_refused),
		cmocka_unit_test(waitid_without_descriptors_still_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
