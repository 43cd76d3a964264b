// SPDX-License-Identifier: MIT
/*
 * What only a C program can do to a goroutine: park in a signal handler, leave its
 * stack by longjmp, end the thread below it. Each ends with a report that says so, and
 * what is like it but allowed is left alone. Attacks threadend's I1 and
 * park_check_stack.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"

static const char off_stack[] = "ringgo: panic: a parking call off the "
				"goroutine's stack (signal handler, or "
				"longjmp out of it?)";
static const char thread_ends[] =
	"ringgo: panic: pthread_exit or pthread_cancel in a goroutine";

/* ThreadSanitizer would say the same of the handlers as the library does, and first. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}

/* ---- signal handlers -------------------------------------------------------- */

static int pipe_fds[2];

static void handler_sleeps(int sig)
{
	(void)sig;
	(void)rg_sleep(RG_MILLISECOND);
}

static void handler_reads(int sig)
{
	char byte;

	(void)sig;
	(void)rg_read(pipe_fds[0], &byte, 1);
}

static void handler_selects(int sig)
{
	rg_case none[] = {RG_RECV(NULL, NULL)};

	(void)sig;
	(void)rg_select_until(none, 1, rg_now() + RG_MILLISECOND);
}

static void raise_it(void *arg)
{
	struct sigaction sa = {.sa_flags = SA_ONSTACK};

	sa.sa_handler = *(void (**)(int))arg;
	T_CHECK_INT_EQ(pipe(pipe_fds), 0);
	T_CHECK_INT_EQ(sigaction(SIGUSR1, &sa, NULL), 0);
	T_CHECK_INT_EQ(raise(SIGUSR1), 0);
}

static void run_handler(void *arg)
{
	t_run_with(2, raise_it, arg);
}

static void misuse_parking_in_a_signal_handler_panics(void **state)
{
	void (*handlers[])(int) = {handler_sleeps, handler_reads,
				   handler_selects};

	(void)state;
	for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
		t_expect_abort(run_handler, &handlers[i], off_stack);
}

/* ---- longjmp ------------------------------------------------------------------ */

static jmp_buf outside;

static void jumps_out(void *arg)
{
	(void)arg;
	longjmp(outside, 1);
}

static void park_after_jump(void *arg)
{
	/* One P: its worker is this very thread. */
	if (setjmp(outside) == 0)
		t_run_with(1, jumps_out, arg);
	(void)rg_sleep(RG_MILLISECOND);
}

static void misuse_parking_after_longjmp_out_panics(void **state)
{
	(void)state;
	/* One ends the program at the longjmp, the other believes to be on the stack
	 * that was left. */
	if (RG_TSAN || RG_ASAN)
		skip();
	t_expect_abort(park_after_jump, NULL, off_stack);
}

/* Within a goroutine's own frames it is as good as anywhere. */
static void jumps_within(void *arg)
{
	static _Atomic int rounds;
	jmp_buf here;

	(void)arg;
	rounds = 0;
	if (setjmp(here) < 3) {
		T_CHECK_INT_EQ(rg_sleep(RG_MICROSECOND), 0);
		longjmp(here, ++rounds);
	}
	T_CHECK_INT_EQ(rounds, 3);
}

static void misuse_longjmp_within_a_goroutine_is_fine(void **state)
{
	(void)state;
	t_run_with(2, jumps_within, NULL);
}

/* ---- the thread below ----------------------------------------------------------- */

static void ends_thread(void *arg)
{
	pthread_exit(arg);
}

static void main_ends_thread(void *arg)
{
	t_run_with(1, ends_thread, arg);
}

static void other_ends_thread(void *arg)
{
	T_CHECK_INT_EQ(rg_go(ends_thread, arg), 0);
	(void)rg_sleep(20 * RG_SECOND);
}

static void run_other_ends_thread(void *arg)
{
	t_run_with(4, other_ends_thread, arg);
}

static void cancels_itself(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(pthread_cancel(pthread_self()), 0);
	pthread_testcancel();
}

static void run_cancels_itself(void *arg)
{
	t_run_with(2, cancels_itself, arg);
}

static void misuse_pthread_exit_in_a_goroutine_panics(void **state)
{
	(void)state;
	if (RG_TSAN) /* it ends the program at pthread_exit */
		skip();
	t_expect_abort(main_ends_thread, NULL, thread_ends);
	t_expect_abort(run_other_ends_thread, NULL, thread_ends);
	t_expect_abort(run_cancels_itself, NULL, thread_ends);
}

static void uses_all(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_sleep(RG_MILLISECOND), 0);
}

static void *host_thread(void *arg)
{
	t_run_with(2, uses_all, arg);
	pthread_exit(arg);
}

/* A host's thread that ran a runtime may end as it likes. */
static void misuse_thread_that_was_a_worker_may_end(void **state)
{
	pthread_t t;
	void *ret = NULL;

	T_CHECK_INT_EQ(pthread_create(&t, NULL, host_thread, state), 0);
	T_CHECK_INT_EQ(pthread_join(t, &ret), 0);
	T_CHECK_PTR_EQ(ret, state);
}

/* exit(3) on a goroutine: its handlers run there, and may park. */
static void at_exit(void)
{
	if (rg_sleep(RG_MILLISECOND) == 0)
		_exit(21);
}

static void exits(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(atexit(at_exit), 0);
	exit(1);
}

static void run_exits(void *arg)
{
	t_run_with(2, exits, arg);
}

static void misuse_exit_handlers_of_a_goroutine_may_park(void **state)
{
	(void)state;
	t_expect_exit(run_exits, NULL, 21, NULL);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(misuse_parking_in_a_signal_handler_panics),
		T(misuse_parking_after_longjmp_out_panics),
		T(misuse_longjmp_within_a_goroutine_is_fine),
		T(misuse_pthread_exit_in_a_goroutine_panics),
		T(misuse_thread_that_was_a_worker_may_end),
		T(misuse_exit_handlers_of_a_goroutine_may_park),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
