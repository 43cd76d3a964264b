// SPDX-License-Identifier: MIT
/*
 * Attacks command's invariants: contexts, signals, delays, grandchildren, many who wait
 * for one child, and the end of a command that was not waited for.
 */
#include "tests/net/cmdfixture.h"

#include <stdlib.h>

static void context_ends_it(void *arg)
{
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 30 * RG_MILLISECOND);
	rg_command *c =
		shell("exec sleep 1000", &(rg_command_options){.ctx = ctx});
	rg_command_result r;

	(void)arg;
	T_CHECK_INT_EQ(rg_command_run(c, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ETIMEDOUT);
	rg_command_free(c);
	/* Had ended before. */
	c = shell("exit 0", &(rg_command_options){.ctx = ctx});
	T_CHECK_INT_EQ(rg_command_run(c, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(rg_command_pid(c), 0);
	rg_command_free(c);
	rg_ctx_unref(ctx);
	/* The bound one. */
	ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_ctx_bind(ctx);
	c = shell("exec sleep 1000", NULL);
	start_ok(c);
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ECANCELED);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_command_free(c);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
}

/* Tells through its output when it is ready for the signal. */
static rg_command *start_trapped(const char *script, rg_ctx *ctx,
				 rg_duration delay)
{
	rg_command *c = shell(
		script, &(rg_command_options){.ctx = ctx,
					      .cancel_signal = SIGTERM,
					      .wait_delay = delay,
					      .out = {.how = RG_STDIO_PIPE}});
	char byte;

	start_ok(c);
	T_CHECK_INT_EQ(rg_read(rg_command_pipe(c, 1), &byte, 1), 1);
	return c;
}

static void cancel_signal_then_kill(void *arg)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	rg_command *c = start_trapped("trap 'exit 5' TERM; echo; while :; do "
				      "sleep 0.01; done",
				      ctx, 0);
	rg_command *d = start_trapped("trap '' TERM; echo; while :; do "
				      "sleep 0.01; done",
				      ctx, 30 * RG_MILLISECOND);
	rg_command_result r;

	(void)arg;
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ECANCELED);
	T_CHECK_INT_EQ(r.exit_code, 5);
	T_CHECK_INT_EQ(rg_command_wait(d, &r), -ECANCELED);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_command_free(c);
	rg_command_free(d);
	rg_ctx_unref(ctx);
}

/* A grandchild holds the pipe. */
static void delay_cuts_pipes_off(void *arg)
{
	char buf[64];
	rg_command_result r = run_shell(
		"sleep 1000 & echo $!",
		(rg_command_options){.wait_delay = 30 * RG_MILLISECOND}, buf,
		sizeof buf);
	pid_t pid = (pid_t)atoi(buf);

	(void)arg;
	T_CHECK(r.is_cut && r.exit_code == 0);
	T_CHECK_INT_GT(pid, 1);
	T_CHECK_INT_EQ(kill(pid, SIGKILL), 0);
	T_WAIT_UNTIL(is_dead, &pid);
}

static void group_is_killed_whole(void *arg)
{
	static const unsigned flags[] = {RG_COMMAND_GROUP, RG_COMMAND_SESSION};

	(void)arg;
	for (size_t i = 0; i < 2; i++) {
		rg_command *c = shell(
			"sleep 1000 & echo $!; wait",
			&(rg_command_options){.flags = flags[i],
					      .out = {.how = RG_STDIO_PIPE}});
		char buf[32] = "";
		pid_t pid;

		start_ok(c);
		T_CHECK_INT_GT(
			rg_read(rg_command_pipe(c, 1), buf, sizeof buf - 1), 0);
		pid = (pid_t)atoi(buf);
		T_CHECK_INT_GT(pid, 1);
		T_CHECK_INT_EQ(getpgid(pid), rg_command_pid(c));
		T_CHECK_INT_EQ(getsid(pid) == rg_command_pid(c), i == 1);
		T_CHECK_INT_EQ(rg_command_kill(c), 0);
		T_CHECK_INT_EQ(rg_command_wait(c, NULL), 0);
		T_CHECK_INT_EQ(rg_command_kill(c), -ESRCH);
		T_WAIT_UNTIL(is_dead, &pid);
		rg_command_free(c);
	}
}

static void signals_reach_only_the_child(void *arg)
{
	rg_command *c = shell("exec sleep 1000", NULL);
	rg_command_result r;

	(void)arg;
	start_ok(c);
	T_CHECK_INT_EQ(rg_command_signal(c, 0), 0);
	T_CHECK_INT_EQ(rg_command_signal(c, 1000), -EINVAL);
	T_CHECK_INT_EQ(rg_command_signal(c, SIGUSR1), 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), 0);
	T_CHECK_INT_EQ(r.signal, SIGUSR1);
	T_CHECK_INT_EQ(rg_command_signal(c, SIGUSR1), -ESRCH);
	T_CHECK_INT_EQ(rg_command_start(c), -EALREADY);
	rg_command_free(c);
}

static void wait_heeds_its_own_context(void *arg)
{
	rg_command *c = shell("exec sleep 1000", NULL);
	rg_ctx *ctx =
		rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	rg_command_result r = {.exit_code = 77};
	char buf[8];

	(void)arg;
	start_ok(c);
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(r.exit_code, 77);
	T_CHECK_INT_EQ(kill(rg_command_pid(c), 0), 0);
	rg_ctx_unref(rg_ctx_bind(NULL));
	T_CHECK_INT_EQ(rg_command_kill(c), 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), 0);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_command_free(c);
	rg_ctx_unref(ctx);
	/* run does not leave a child behind that writes to our buffer. */
	ctx = rg_ctx_with_timeout(rg_ctx_background(), 20 * RG_MILLISECOND);
	c = shell("exec sleep 1000",
		  &(rg_command_options){.ctx = rg_ctx_background()});
	rg_ctx_bind(ctx);
	T_CHECK_INT_EQ(rg_command_output(c, buf, sizeof buf, &r), -ETIMEDOUT);
	T_CHECK_INT_EQ(r.signal, SIGKILL);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_command_free(c);
	rg_ctx_unref(ctx);
}

struct waiting {
	rg_command *c;
	_Atomic int n;
};

static void wait_too(void *arg)
{
	struct waiting *w = arg;
	rg_command_result r;

	T_CHECK_INT_EQ(rg_command_wait(w->c, &r), 0);
	T_CHECK_INT_EQ(r.exit_code, 6);
	w->n++;
}

static void many_wait(void *arg)
{
	struct waiting w = {
		shell("read x; exit 6",
		      &(rg_command_options){.in = {.how = RG_STDIO_PIPE}}),
		0};
	rg_waitgroup all = {0};

	(void)arg;
	start_ok(w.c);
	for (int i = 0; i < 8; i++)
		spawn(&all, wait_too, &w);
	T_CHECK_INT_EQ(rg_command_close_pipe(w.c, 0), 0);
	rg_waitgroup_wait(&all);
	T_CHECK_INT_EQ(w.n, 8);
	wait_too(&w);
	rg_command_free(w.c);
}

static void free_ends_it(void *arg)
{
	char buf[8];
	rg_command *c =
		shell("exec sleep 1000",
		      &(rg_command_options){.in = {.how = RG_STDIO_PIPE},
					    .out = {.how = RG_STDIO_BUFFER,
						    .buf = buf,
						    .size = sizeof buf}});
	pid_t pid;

	(void)arg;
	start_ok(c);
	pid = rg_command_pid(c);
	rg_command_free(c);
	T_CHECK(is_dead(&pid));
	/* Never started. */
	rg_command_free(shell("exit 0", NULL));
}

/* ---- the tests ---------------------------------------------------------- */

CLEAN(command_context_ends_the_child, context_ends_it)
CLEAN(command_cancel_signal_is_followed_by_kill, cancel_signal_then_kill)
CLEAN(command_delay_gives_up_pipes_of_grandchildren, delay_cuts_pipes_off)
CLEAN(command_group_gets_the_signal, group_is_killed_whole)
CLEAN(command_signal_after_the_end_is_refused, signals_reach_only_the_child)
CLEAN(command_wait_heeds_the_waiters_context, wait_heeds_its_own_context)
CLEAN(command_many_wait_for_one, many_wait)
CLEAN(command_free_ends_the_child, free_ends_it)

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(command_context_ends_the_child),
		T(command_cancel_signal_is_followed_by_kill),
		T(command_delay_gives_up_pipes_of_grandchildren),
		T(command_group_gets_the_signal),
		T(command_signal_after_the_end_is_refused),
		T(command_wait_heeds_the_waiters_context),
		T(command_many_wait_for_one),
		T(command_free_ends_the_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
