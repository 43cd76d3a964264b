// SPDX-License-Identifier: MIT
/*
 * overflow - a goroutine that runs out of its stack is named, with its creator, its
 * depth and both ends of its stack; sigsetup.c's handler, panic_overflow.
 *
 * Built with -fstack-clash-protection, as pkg-config tells users to: a frame larger
 * than the guard must not jump over it.
 */
#include "tests/support/rgtest.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__clang__)
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa)) /* nor cloned: the name is looked for */
#endif
/* Behind a call: it is no tail call, the frame stays. */
#define STAY() __asm__ volatile("")

enum { LITTLE = 16 * 1024 };

static NOINLINE void run_overflow(void (*fn)(void *arg), size_t stack_size)
{
	rg_go_options o = {.name = "deep one", .stack_size = stack_size};

	T_CHECK_INT_EQ(rg_go_with(&o, fn, NULL), 0);
	rg_sleep(10 * RG_SECOND);
	T_FAIL("nothing happened");
}

/* ---- recursion ---- */

static void recurse(long n);
static void (*volatile go_on)(long n) = recurse;

static NOINLINE void recurse(long n)
{
	char local[100];

	__asm__ volatile("" ::"r"(local) : "memory");
	go_on(n + 1);
	STAY();
}

static NOINLINE void starts_recursion(void *arg)
{
	(void)arg;
	recurse(0);
	STAY();
}

static NOINLINE void default_stack(void *arg)
{
	(void)arg;
	run_overflow(starts_recursion, 0);
}

static NOINLINE void little_stack(void *arg)
{
	(void)arg;
	run_overflow(starts_recursion, LITTLE);
}

static NOINLINE void big_stack(void *arg)
{
	(void)arg;
	run_overflow(starts_recursion, 16 << 20);
}

static void (*body)(void *arg);

/* One P: ids are given in order then. */
static void overflows(void *arg)
{
	t_run_with(1, body, arg);
}

static void overflows_beside_another(void *arg)
{
	t_run_with(2, body, arg);
}

static void check_recursion(void)
{
	t_expect_abort(overflows, NULL,
		       "ringgo: panic: stack overflow [goroutine 2 \"deep "
		       "one\", created by run_overflow]\nstack of ");
	t_expect_abort(overflows, NULL, " frames deep; ");
	t_expect_abort(overflows, NULL,
		       "\n\ngoroutine 2 [running]:\nrecurse(...)\n");
	if (body != little_stack) /* with a sanitizer fewer than 100 frames */
		t_expect_abort(overflows, NULL,
			       " frames elided...\nrecurse(...)\n");
	t_expect_abort(overflows, NULL, "\nstarts_recursion(...)\n\t");
	t_expect_abort(overflows, NULL,
		       "\ncreated by run_overflow in goroutine 1\n\t");
	t_expect_abort(overflows, NULL, "\n\ngoroutine 1 [sleep]:\nrg_sleep");
}

static void overflow_by_recursion_shows_both_ends(void **state)
{
	(void)state;
	body = default_stack;
	check_recursion();
	body = little_stack;
	check_recursion();
	body = big_stack;
	check_recursion();
}

/* Forks once more: of a child that aborts t_expect_* gives no text back. */
static void overflow_in_grandchild(void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		overflows(arg);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) != pid)
		;
	T_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void overflow_depth_is_plausible(void **state)
{
	unsigned long bytes, frames;
	char *text;

	(void)state;
	body = big_stack;
	text = t_expect_output(overflow_in_grandchild, NULL, 0);
	assert_non_null(strstr(text, "\nstack of "));
	assert_int_equal(sscanf(strstr(text, "\nstack of "),
				"\nstack of %lu bytes, %lu frames deep; ",
				&bytes, &frames),
			 2);
	assert_true(bytes >= 16 << 20);
	/* A frame holds 100 bytes of data; sanitizers add some. */
	assert_true(bytes / frames > 100 && bytes / frames < 1000);
	free(text);
}

/* ---- frames larger than the guard ---- */

#pragma GCC diagnostic push
#if defined(__clang__)
#pragma GCC diagnostic ignored "-Wframe-larger-than"
#else
#pragma GCC diagnostic ignored "-Wframe-larger-than="
#endif
static NOINLINE void huge_frame(void *arg)
{
	char local[512 * 1024];

	(void)arg;
	__asm__ volatile("" ::"r"(local) : "memory");
	/* The far end, below every guard. */
	*(volatile char *)local = 1;
	STAY();
}
#pragma GCC diagnostic pop

static NOINLINE void huge_body(void *arg)
{
	(void)arg;
	run_overflow(huge_frame, 0);
}

static NOINLINE void alloca_frame(void *arg)
{
	size_t n = 300000 + (size_t)getpid() % 2;
	volatile char *p = __builtin_alloca(n);

	(void)arg;
	p[0] = 1;
	STAY();
}

static NOINLINE void alloca_body(void *arg)
{
	(void)arg;
	run_overflow(alloca_frame, 0);
}

static void overflow_by_a_huge_frame_is_caught(void **state)
{
	(void)state;
	body = huge_body;
	t_expect_abort(overflows, NULL,
		       "ringgo: panic: stack overflow [goroutine 2 \"deep ");
	t_expect_abort(overflows, NULL, "\nhuge_frame(...)\n");
	body = alloca_body;
	t_expect_abort(overflows, NULL,
		       "ringgo: panic: stack overflow [goroutine 2 \"deep ");
	t_expect_abort(overflows, NULL, "\nalloca_frame(...)\n");
}

/* ---- what is no overflow ---- */

static char *guard_of_other;

static void shows_its_guard(void *arg)
{
	char here;

	/* Slots are aligned to their size; the guard is at the bottom. */
	guard_of_other = (char *)((uintptr_t)&here & ~(uintptr_t)65535);
	rg_chan_recv(arg, NULL);
	STAY();
}

static NOINLINE void pokes(void *arg)
{
	(void)arg;
	*(volatile char *)guard_of_other = 1;
	STAY();
}

static void poke_body(void *arg)
{
	rg_chan *c = rg_make(int, 0);

	T_CHECK_INT_EQ(rg_go(shows_its_guard, c), 0);
	rg_sleep(10 * RG_MILLISECOND);
	pokes(arg);
}

static void pokes_as_a_program(void *arg)
{
	signal(SIGSEGV, SIG_DFL);
	t_run_with(2, poke_body, arg);
}

static void overflow_is_not_said_of_anothers_guard(void **state)
{
	(void)state;
	t_expect_signal(pokes_as_a_program, NULL, SIGSEGV,
			"ringgo: panic: unexpected fault address ");
	t_expect_signal(pokes_as_a_program, NULL, SIGSEGV, "\npokes(...)\n");
}

/* ---- beside a goroutine that computes ---- */

static _Atomic bool is_hot;

static NOINLINE void computes(void *arg)
{
	(void)arg;
	rg_preempt_disable(); /* it is not merely runnable when it is looked at */
	is_hot = true;
	for (;;)
		STAY();
}

static NOINLINE void hot_body(void *arg)
{
	T_CHECK_INT_EQ(rg_go(computes, arg), 0);
	while (!is_hot)
		rg_sleep(RG_MILLISECOND);
	starts_recursion(arg);
}

static void overflow_of_main_shows_a_computing_one(void **state)
{
	(void)state;
	body = hot_body;
	t_expect_abort(overflows_beside_another, NULL,
		       "[goroutine 1 \"main\"]\n");
	t_expect_abort(overflows_beside_another, NULL,
		       " [running]:\ncomputes(...)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overflow_by_recursion_shows_both_ends),
		cmocka_unit_test(overflow_depth_is_plausible),
		cmocka_unit_test(overflow_by_a_huge_frame_is_caught),
		cmocka_unit_test(overflow_is_not_said_of_anothers_guard),
		cmocka_unit_test(overflow_of_main_shows_a_computing_one),
	};

	if (getenv("RG_SAN") && !strcmp(getenv("RG_SAN"), "thread")) {
		/* Its own bookkeeping of calls overflows first. */
		puts("skipped: ThreadSanitizer does not survive deep stacks");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
