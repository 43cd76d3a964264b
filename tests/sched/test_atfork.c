// SPDX-License-Identifier: MIT
/*
 * Attacks atfork's invariants: what a forked child may do and what ends it with a
 * message, forks from goroutines and from other threads, fork and exec under load,
 * children of programs whose runtime is over.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-iface/base/rtlock.h"

static const char refusal[] = "ringgo: panic: the runtime does not survive "
			      "fork: use rg_command or exec\n";

struct outcome {
	int status; /* as of waitpid */
	char said[4096];
};

static void wait_for(pid_t pid, int *status)
{
	siginfo_t info;

	T_CHECK_INT_EQ(rg_waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT),
		       0);
	T_CHECK_INT_EQ(waitpid(pid, status, 0), pid);
}

static void quiet_child(int fd)
{
	const struct rlimit no_core = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)alarm(20);
	if (dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
}

/* fn(arg) in a child of this goroutine's. */
static void fork_and(void (*fn)(void *arg), void *arg, struct outcome *o)
{
	ssize_t n;
	int p[2];
	pid_t pid;

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	T_CHECK(pid >= 0);
	if (pid == 0) {
		quiet_child(p[1]);
		fn(arg);
		_exit(0);
	}
	close(p[1]);
	n = rg_read_full(p[0], o->said, sizeof o->said - 1);
	T_CHECK_INT_GE(n, 0);
	o->said[n] = 0;
	close(p[0]);
	wait_for(pid, &o->status);
}

static void expect_refusal(const char *what, void (*fn)(void *arg), void *arg)
{
	struct outcome o;

	fork_and(fn, arg, &o);
	if (!WIFSIGNALED(o.status) || WTERMSIG(o.status) != SIGABRT ||
	    strcmp(o.said, refusal) != 0)
		T_FAIL("%s: status %x, said \"%s\"", what, (unsigned)o.status,
		       o.said);
}

/* ---- what needs the runtime ------------------------------------------------- */

static int pipe_fds[2];

static void nothing(void *arg)
{
	(void)arg;
}

static void starts_a_goroutine(void *arg)
{
	(void)rg_go(nothing, arg);
}

static void receives(void *arg)
{
	(void)arg;
	rg_chan_recv(rg_chan_make(4, 0), NULL);
}

static void selects(void *arg)
{
	rg_case one[] = {RG_RECV(rg_chan_make(4, 0), NULL)};

	(void)arg;
	(void)rg_select_until(one, 1, rg_now() + RG_SECOND);
}

static void locks_twice(void *arg)
{
	static rg_mutex m;

	(void)arg;
	rg_mutex_lock(&m);
	rg_mutex_lock(&m);
}

static void reads(void *arg)
{
	char byte;

	(void)arg;
	(void)rg_read(pipe_fds[0], &byte, 1);
}

static void listens(void *arg)
{
	rg_listener *l;
	rg_conn *c;

	(void)arg;
	if (rg_listen("tcp", "127.0.0.1:0", &l) == 0)
		(void)rg_listener_accept(l, &c);
}

static void runs_a_command(void *arg)
{
	(void)arg;
	(void)rg_command_run(rg_command_new("true", NULL, NULL), NULL);
}

static void exits(void *arg)
{
	(void)arg;
	rg_exit();
}

/* Held by a thread that is not here. */
static void takes_a_held_lock(void *arg)
{
	static struct rtlock l;

	(void)arg;
	rtlock_lock(&l);
	rtlock_lock(&l);
}

static void child_is_refused(void *arg)
{
	static const struct {
		const char *what;
		void (*fn)(void *arg);
	} all[] = {{"rg_go", starts_a_goroutine},
		   {"rg_chan_recv", receives},
		   {"rg_select_until", selects},
		   {"rg_mutex_lock", locks_twice},
		   {"rg_read", reads},
		   {"rg_listener_accept", listens},
		   {"rg_command_run", runs_a_command},
		   {"rg_exit", exits},
		   {"a lock of the runtime", takes_a_held_lock}};

	(void)arg;
	T_CHECK_INT_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		expect_refusal(all[i].what, all[i].fn, NULL);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void atfork_child_that_needs_the_runtime_is_refused(void **state)
{
	(void)state;
	t_run_with(2, child_is_refused, NULL);
}

/* The child goes on as the goroutine that forked, and returns from it. */
struct returning {
	int fd;
	pid_t pid;
	rg_waitgroup parent;
};

static void forks_and_returns(void *arg)
{
	struct returning *r = arg;

	r->pid = fork();
	T_CHECK(r->pid >= 0);
	if (r->pid == 0)
		quiet_child(r->fd);
	else
		rg_waitgroup_done(&r->parent);
}

static void goroutine_returns_in_child(void *arg)
{
	struct returning r = {0};
	char said[256] = "";
	int p[2], status;

	(void)arg;
	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	r.fd = p[1];
	rg_waitgroup_add(&r.parent, 1);
	T_CHECK_INT_EQ(rg_go(forks_and_returns, &r), 0);
	rg_waitgroup_wait(&r.parent);
	close(p[1]);
	T_CHECK_INT_GE(rg_read_full(p[0], said, sizeof said - 1), 0);
	close(p[0]);
	wait_for(r.pid, &status);
	T_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	T_CHECK_STR_EQ(said, refusal);
}

static void atfork_goroutine_that_returns_in_the_child_is_refused(void **state)
{
	(void)state;
	t_run_with(2, goroutine_returns_in_child, NULL);
}

/* A new runtime is refused, too: by an error, as the child may do without. */
static int empty_main(void *arg)
{
	(void)arg;
	return 0;
}

static void starts_anew(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_start(NULL), -EBUSY);
	T_CHECK_INT_EQ(rg_run(NULL, empty_main, NULL), -EBUSY);
}

static void child_starts_anew(void *arg)
{
	static const char line[] =
		"ringgo: cannot start: after fork the runtime is the "
		"parent's: use rg_command or exec\n";
	struct outcome o;

	(void)arg;
	fork_and(starts_anew, NULL, &o);
	T_CHECK(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0);
	T_CHECK(!strncmp(o.said, line, sizeof line - 1));
	T_CHECK_STR_EQ(o.said + sizeof line - 1, line);
}

static void atfork_child_that_starts_a_runtime_is_told_of_the_fork(void **state)
{
	(void)state;
	t_run_with(2, child_starts_anew, NULL);
}

/* A panic of the child speaks of the child only. */
static void panics(void *arg)
{
	rg_chan *c = rg_chan_make(4, 1);

	(void)arg;
	rg_chan_close(c);
	rg_chan_close(c);
}

static void child_panics(void *arg)
{
	struct outcome o;

	(void)arg;
	fork_and(panics, NULL, &o);
	T_CHECK(WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGABRT);
	T_CHECK_STR_HAS(o.said, "ringgo: panic: close of closed channel");
}

static void atfork_panic_in_the_child_is_reported(void **state)
{
	(void)state;
	t_run_with(2, child_panics, NULL);
}

/* ---- what does not need it --------------------------------------------------- */

static void does_small_things(void *arg)
{
	rg_time before = rg_now();
	rg_chan *c = rg_chan_make(sizeof(int), 1);
	int v = 5;

	(void)arg;
	T_CHECK(rg_goid() == 0);
	T_CHECK(rg_chan_try_send(c, &v));
	T_CHECK_INT_EQ(rg_chan_try_recv(c, &v), 1);
	T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
	T_CHECK(rg_now() - before >= RG_MILLISECOND);
	rg_yield();
	T_CHECK_STR_EQ(rg_strerror(-ENOENT), "No such file or directory");
}

static void child_does_small_things(void *arg)
{
	struct outcome o;

	(void)arg;
	fork_and(does_small_things, NULL, &o);
	T_CHECK_STR_EQ(o.said, "");
	T_CHECK_INT_EQ(o.status, 0);
}

static void atfork_child_may_do_what_does_not_wait(void **state)
{
	(void)state;
	t_run_with(2, child_does_small_things, NULL);
}

/* ---- fork and exec under load -------------------------------------------------- */

struct load {
	rg_chan *c;
	_Atomic bool is_over;
	_Atomic long rounds;
};

static void ping(void *arg)
{
	struct load *l = arg;
	int v;

	while (rg_recv(l->c, &v)) {
		free(malloc(100));
		l->rounds++;
	}
}

static void pong(void *arg)
{
	struct load *l = arg;

	while (!l->is_over)
		rg_send(l->c, 1);
	rg_chan_close(l->c);
}

static void forks_and_execs(void *arg)
{
	(void)arg;
	for (int i = 0; i < 25; i++) {
		pid_t pid = fork();
		int status;

		T_CHECK(pid >= 0);
		if (pid == 0) {
			execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
			_exit(127);
		}
		wait_for(pid, &status);
		T_CHECK_INT_EQ(status, 7 << 8);
	}
}

static void fork_exec_under_load(void *arg)
{
	struct load l = {.c = rg_make(int, 4)};
	rg_waitgroup forkers = {0}, others = {0};

	(void)arg;
	T_CHECK_INT_EQ(rg_waitgroup_go(&others, ping, &l), 0);
	T_CHECK_INT_EQ(rg_waitgroup_go(&others, pong, &l), 0);
	for (int i = 0; i < 4; i++)
		T_CHECK_INT_EQ(rg_waitgroup_go(&forkers, forks_and_execs, NULL),
			       0);
	rg_waitgroup_wait(&forkers);
	l.is_over = true;
	rg_waitgroup_wait(&others);
	T_CHECK_INT_GT(l.rounds, 0);
	rg_chan_unref(l.c);
}

static void atfork_fork_and_exec_under_load(void **state)
{
	(void)state;
	t_run_with(2, fork_exec_under_load, NULL);
}

/* ---- other threads, other times -------------------------------------------------- */

static void *fork_on_thread(void *arg)
{
	expect_refusal("rg_chan_recv of a thread's child", receives, arg);
	return NULL;
}

static void *join_blocking(void *arg)
{
	return t_join(*(pthread_t *)arg);
}

static void host_thread_forks(void *arg)
{
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(pthread_create(&t, NULL, fork_on_thread, NULL), 0);
	rg_blocking(join_blocking, &t);
}

static void atfork_child_of_a_host_thread_is_refused(void **state)
{
	(void)state;
	t_run_with(2, host_thread_forks, NULL);
}

static void uses_all(void *arg)
{
	T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
	T_CHECK_INT_EQ(rg_go(nothing, arg), 0);
	t_wait_goroutines(1);
}

static void runs_one(void *arg)
{
	t_run_with(2, uses_all, arg);
	_exit(42);
}

/* Forked by t_expect_exit, with no runtime any more. */
static void atfork_child_of_a_past_runtime_may_start_one(void **state)
{
	(void)state;
	t_run_with(2, uses_all, NULL);
	t_expect_exit(runs_one, NULL, 42, NULL);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(atfork_child_that_needs_the_runtime_is_refused),
		T(atfork_child_that_starts_a_runtime_is_told_of_the_fork),
		T(atfork_goroutine_that_returns_in_the_child_is_refused),
		T(atfork_panic_in_the_child_is_reported),
		T(atfork_child_may_do_what_does_not_wait),
		T(atfork_fork_and_exec_under_load),
		T(atfork_child_of_a_host_thread_is_refused),
		T(atfork_child_of_a_past_runtime_may_start_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
