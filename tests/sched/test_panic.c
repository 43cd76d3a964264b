// SPDX-License-Identifier: MIT
/*
 * panic - every way in which a program ends with a report (panic.h I1 to I3), and the
 * signals around it (sigsetup.h I1, I2).
 */
#include "tests/support/rgtest.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "sched/g.h"
#include "sched/panic.h"
#include "sched/park.h"
#include "sched/timer.h"

#if defined(__clang__)
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa)) /* nor cloned: the name is looked for */
#endif
/* Behind a call: it is no tail call, the frame stays. */
#define STAY() __asm__ volatile("")

static rg_chan *never;
static _Atomic int flag;

/* cmocka handles SIGSEGV in its programs; a user's program does not. */
static void as_a_program(void)
{
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
}

static bool is_tsan(void)
{
	return getenv("RG_SAN") && !strcmp(getenv("RG_SAN"), "thread");
}

/* ---- rg_panic ---- */

static NOINLINE void panicker(void *arg)
{
	rg_set_name("the \"%d\"", 7);
	rg_panic("%s: %d, %.3f, %lu", (const char *)arg, -5, 2.5,
		 18446744073709551615ul);
}

static NOINLINE void waiter(void *arg)
{
	(void)arg;
	rg_chan_recv(never, NULL);
	STAY();
}

static NOINLINE void starts_panicker(void *arg)
{
	never = rg_make(int, 0);
	rg_go(waiter, NULL);
	rg_yield();
	rg_go(panicker, arg);
	rg_chan_recv(never, NULL);
	STAY();
}

/* One P: ids are given in order then. */
static void panics(void *arg)
{
	t_run_with(1, starts_panicker, arg);
}

static void panic_prints_who_where_and_all_the_others(void **state)
{
	static char what[] = "WHAT";

	(void)state;
	t_expect_abort(panics, what,
		       "ringgo: panic: WHAT: -5, 2.500, 18446744073709551615 "
		       "[goroutine 3 \"the \\\"7\\\"\", created by "
		       "starts_panicker]\n\ngoroutine 3 [running]:\n"
		       "rg_panic(...)\n");
	t_expect_abort(panics, what, "\npanicker(...)\n\t");
	t_expect_abort(panics, what,
		       "\ncreated by starts_panicker in goroutine 1\n\t");
	t_expect_abort(panics, what, "\n\ngoroutine 1 [chan receive]:\n");
	t_expect_abort(panics, what, "\n\ngoroutine 2 [chan receive]:\n");
	t_expect_abort(panics, what, "\nwaiter(...)\n\t");
}

static void panics_outside(void *arg)
{
	(void)arg;
	rg_panic("no runtime");
}

static void *panic_thread(void *arg)
{
	(void)arg;
	rg_panic("from outside");
}

static void foreign_body(void *arg)
{
	pthread_t t;

	never = rg_make(int, 0);
	rg_go(waiter, NULL);
	rg_yield();
	T_CHECK_INT_EQ(pthread_create(&t, NULL, panic_thread, arg), 0);
	rg_chan_recv(never, NULL);
}

static void panics_on_foreign(void *arg)
{
	t_run_with(2, foreign_body, arg);
}

static void on_timer(struct timer *t, void *arg, rg_time now)
{
	(void)t;
	(void)arg;
	(void)now;
	RG_ASSERT(1 + 1 == 3);
}

static void timer_body(void *arg)
{
	static struct timer t;

	(void)arg;
	T_CHECK_INT_EQ(
		timer_start(&t, rg_now() + RG_MILLISECOND, 0, on_timer, NULL),
		0);
	rg_sleep(RG_HOUR);
}

static void asserts_on_g0(void *arg)
{
	t_run_with(1, timer_body, arg);
}

/* The last goroutine of an M parks: its commit runs on g0. */
static bool bad_commit(struct g *gp, void *arg)
{
	(void)gp;
	rg_panic("in a %s", (const char *)arg);
}

static void commit_body(void *arg)
{
	static char what[] = "commit";

	(void)arg;
	sched_park(bad_commit, what, WAIT_SLEEP, NULL);
}

static void panics_on_g0(void *arg)
{
	t_run_with(1, commit_body, arg);
}

static void panic_off_goroutines_says_so(void **state)
{
	(void)state;
	t_expect_abort(panics_outside, NULL,
		       "ringgo: panic: no runtime [no goroutine, thread ");
	t_expect_abort(panics_outside, NULL, "\npanics_outside(...)\n");
	t_expect_abort(panics_on_foreign, NULL,
		       "ringgo: panic: from outside [no goroutine, thread ");
	t_expect_abort(panics_on_foreign, NULL, "\nwaiter(...)\n");
	t_expect_abort(asserts_on_g0, NULL, "assertion failed: 1 + 1 == 3 [");
	/* Timers fire on a worker, or on sysmon when that one is late. */
	t_expect_abort(asserts_on_g0, NULL, "\non_timer(...)\n");
	t_expect_abort(panics_on_g0, NULL,
		       "ringgo: panic: in a commit [scheduler, worker ");
}

/* ---- with next to no stack left ---- */

#if defined(__SANITIZE_ADDRESS__)
enum { ROOM = 16384 }; /* instrumented frames are larger */
#else
enum { ROOM = 1024 };
#endif

static void go_down(char *lo);
static void (*volatile go_on)(char *lo) = go_down;

static NOINLINE void go_down(char *lo)
{
	char here[64];

	__asm__ volatile("" ::"r"(here) : "memory");
	if ((uintptr_t)here - (uintptr_t)lo < ROOM)
		rg_panic("%.20f at the bottom", 1e300);
	go_on(lo);
	STAY();
}

static void bottom_body(void *arg)
{
	(void)arg;
	go_down(getg()->stack_lo);
}

static void panics_at_bottom(void *arg)
{
	t_run(bottom_body, arg);
}

static void panic_needs_little_stack(void **state)
{
	(void)state;
	t_expect_abort(panics_at_bottom, NULL, " at the bottom [goroutine 1 ");
	t_expect_abort(panics_at_bottom, NULL, "\ngo_down(...)\n");
	t_expect_abort(panics_at_bottom, NULL,
		       "\n...additional frames elided...\n");
}

/* ---- several at once ---- */

static void panic_together(void *arg)
{
	flag++;
	while (flag < 4)
		;
	rg_panic("number %d", (int)(intptr_t)arg);
}

static void together_body(void *arg)
{
	(void)arg;
	for (intptr_t i = 0; i < 4; i++)
		rg_go(panic_together, (void *)i);
	rg_sleep(RG_HOUR);
}

static void panics_together(void *arg)
{
	t_run_with(4, together_body, arg);
}

static int occurrences(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* The child of the test forks once more and says how that one ended: how it ended
 * and what it wrote, in one text. */
struct grandchild {
	void (*fn)(void *arg);
};

static void run_grandchild(void *arg)
{
	struct grandchild *g = arg;
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		g->fn(NULL);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) != pid)
		;
	printf("status %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static char *output_of(void (*fn)(void *arg))
{
	struct grandchild g = {fn};

	return t_expect_output(run_grandchild, &g, 0);
}

static void panic_of_several_threads_reports_one(void **state)
{
	char *text;

	(void)state;
	for (int i = 0; i < 5; i++) {
		text = output_of(panics_together);
		assert_int_equal(occurrences(text, "ringgo: panic: "), 1);
		assert_int_equal(occurrences(text, "status 6\n"), 1);
		/* ThreadSanitizer holds signals back: stacks are missing. */
		if (!is_tsan())
			assert_int_equal(
				occurrences(text, "\npanic_together(...)\n"),
				4);
		free(text);
	}
}

/* ---- a report that fails itself ---- */

static void bad_format_body(void *arg)
{
	rg_panic("broken %s", (const char *)arg);
}

static void panics_badly(void *arg)
{
	(void)arg;
	as_a_program();
	t_run(bad_format_body, (void *)1);
}

static void panic_with_a_bad_pointer_still_ends(void **state)
{
	(void)state;
	t_expect_abort(panics_badly, NULL,
		       "ringgo: panic: broken %s (a second fault ended the "
		       "report)\n");
}

/* ThreadSanitizer would report that on_abort allocates, which is the point of it. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}

/* The host's handler allocates: no frozen thread may stand in its way. */
static void on_abort(int sig)
{
	char *p = malloc(100000);

	(void)sig;
	sprintf(p, "handled\n");
	T_CHECK_INT_EQ(write(1, p, 8), 8);
	free(p);
	_exit(44);
}

static void allocates(void *arg)
{
	(void)arg;
	flag = 1;
	for (;;)
		free(malloc(50000));
}

static void abort_body(void *arg)
{
	rg_go(allocates, NULL);
	while (!flag)
		rg_sleep(RG_MILLISECOND);
	rg_panic("%s", (const char *)arg);
}

static void panics_with_handler(void *arg)
{
	signal(SIGABRT, on_abort);
	flag = 0;
	t_run_with(2, abort_body, arg);
}

static void panic_lets_the_hosts_sigabrt_handler_work(void **state)
{
	static char what[] = "WHAT";

	(void)state;
	for (int i = 0; i < 10; i++)
		t_expect_exit(panics_with_handler, what, 44, "handled\n");
}

/* ---- deadlock ---- */

static void deadlock_body(void *arg)
{
	(void)arg;
	never = rg_make(int, 0);
	rg_go(waiter, NULL);
	rg_chan_recv(never, NULL);
	STAY();
}

static void deadlocks(void *arg)
{
	t_run_with(2, deadlock_body, arg);
}

static void panic_on_deadlock_shows_who_sleeps(void **state)
{
	(void)state;
	if (getenv("RG_SAN") && *getenv("RG_SAN"))
		skip(); /* a sanitizer's own threads might wake somebody */
	t_expect_abort(deadlocks, NULL,
		       "ringgo: panic: all goroutines are asleep - deadlock!\n"
		       "\ngoroutine 1 [chan receive]:\n");
	t_expect_abort(deadlocks, NULL, "\ndeadlock_body(...)\n");
	t_expect_abort(deadlocks, NULL, "\nwaiter(...)\n");
}

/* ---- faults ---- */

static NOINLINE void null_deref(void *arg)
{
	*(volatile int *)arg = 1;
	STAY();
}

static NOINLINE void wild_call(void *arg)
{
	void (*volatile fn)(void) = NULL;

	(void)arg;
	fn();
	STAY();
}

static void sends_segv(void *arg)
{
	(void)arg;
	kill(getpid(), SIGSEGV);
	rg_sleep(RG_HOUR);
}

static void *null_deref_call(void *arg)
{
	null_deref(arg);
	return NULL;
}

static void blocking_fault_body(void *arg)
{
	rg_blocking(null_deref_call, arg);
}

static void (*fault_body)(void *arg);

static void faults(void *arg)
{
	as_a_program();
	t_run(fault_body, arg);
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
	char buf[64];
	int n;

	T_CHECK(context != NULL);
	n = snprintf(buf, sizeof buf, "signal %d at %p\n", sig, info->si_addr);
	T_CHECK_INT_EQ(write(1, buf, (size_t)n), n);
	_exit(55);
}

static void faults_with_handler(void *arg)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO};

	sa.sa_sigaction = on_segv;
	sigaction(SIGSEGV, &sa, NULL);
	t_run(fault_body, arg);
}

static void faults_without_ours(void *arg)
{
	rg_config config = {.flags = RG_NO_SIGSEGV};

	as_a_program();
	t_run_config(&config, fault_body, arg);
}

static void panic_on_a_fault_reports_and_dies_by_the_signal(void **state)
{
	(void)state;
	if (is_tsan())
		skip(); /* it reports faults itself */
	fault_body = null_deref;
	t_expect_signal(faults, (void *)16, SIGSEGV,
			"ringgo: panic: unexpected fault address 0x10 "
			"[goroutine 1 \"main\"]\n[signal SIGSEGV: segmentation "
			"violation code=0x1 addr=0x10 pc=0x");
	t_expect_signal(faults, (void *)16, SIGSEGV,
			"\ngoroutine 1 [running]:\nnull_deref(...)\n");
	fault_body = wild_call;
	t_expect_signal(faults, NULL, SIGSEGV, "\nwild_call(...)\n");
	fault_body = sends_segv;
	t_expect_signal(faults, NULL, SIGSEGV,
			"ringgo: panic: SIGSEGV from process ");
	fault_body = blocking_fault_body;
	t_expect_signal(faults, (void *)16, SIGSEGV, "\nnull_deref(...)\n");
	t_expect_signal(faults, (void *)16, SIGSEGV, "[no goroutine, thread ");
}

static void panic_leaves_faults_to_the_hosts_handler(void **state)
{
	char *text;

	(void)state;
	fault_body = null_deref;
	text = t_expect_output(faults_with_handler, (void *)16, 55);
	assert_string_equal(text, "signal 11 at 0x10\n");
	free(text);
}

static void derefs_null_without_ours(void *arg)
{
	(void)arg;
	fault_body = null_deref;
	faults_without_ours((void *)16);
}

static void panic_with_no_sigsegv_flag_is_silent(void **state)
{
	char *text;

	(void)state;
	if (getenv("RG_SAN") && *getenv("RG_SAN"))
		skip(); /* the sanitizer has its own words */
	text = output_of(derefs_null_without_ours);
	assert_string_equal(text, "status 11\n");
	free(text);
}

/* ---- dispositions ---- */

enum { WATCHED = 5 };
static const int watched[WATCHED] = {SIGURG, SIGQUIT, SIGSEGV, SIGBUS, SIGPIPE};

static void get_handlers(void **out)
{
	for (int i = 0; i < WATCHED; i++) {
		struct sigaction sa;

		assert_int_equal(sigaction(watched[i], NULL, &sa), 0);
		out[i] = (void *)(uintptr_t)sa.sa_handler;
	}
}

static void pipe_body(void *arg)
{
	int fds[2];

	(void)arg;
	T_CHECK_INT_EQ(pipe(fds), 0);
	close(fds[0]);
	T_CHECK_INT_EQ(write(fds[1], "x", 1), -1);
	T_CHECK_INT_EQ(errno, EPIPE);
	close(fds[1]);
}

static void replace_body(void *arg)
{
	signal(SIGQUIT, *(sighandler_t *)arg);
}

static void sigsetup_stop_restores_what_was_there(void **state)
{
	void *before[WATCHED], *after[WATCHED];
	stack_t alt_before, alt_after;
	sighandler_t own = on_abort;

	(void)state;
	get_handlers(before);
	assert_int_equal(sigaltstack(NULL, &alt_before), 0);
	for (int i = 0; i < 3; i++)
		t_run(pipe_body, NULL);
	get_handlers(after);
	assert_memory_equal(before, after, sizeof before);
	assert_int_equal(sigaltstack(NULL, &alt_after), 0);
	assert_ptr_equal(alt_before.ss_sp, alt_after.ss_sp);
	assert_int_equal(alt_before.ss_flags, alt_after.ss_flags);

	/* What the host installs meanwhile stays. */
	t_run(replace_body, &own);
	assert_ptr_equal(signal(SIGQUIT, SIG_DFL), own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(panic_prints_who_where_and_all_the_others),
		cmocka_unit_test(panic_off_goroutines_says_so),
		cmocka_unit_test(panic_needs_little_stack),
		cmocka_unit_test(panic_of_several_threads_reports_one),
		cmocka_unit_test(panic_with_a_bad_pointer_still_ends),
		cmocka_unit_test(panic_lets_the_hosts_sigabrt_handler_work),
		cmocka_unit_test(panic_on_deadlock_shows_who_sleeps),
		cmocka_unit_test(
			panic_on_a_fault_reports_and_dies_by_the_signal),
		cmocka_unit_test(panic_leaves_faults_to_the_hosts_handler),
		cmocka_unit_test(panic_with_no_sigsegv_flag_is_silent),
		cmocka_unit_test(sigsetup_stop_restores_what_was_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
