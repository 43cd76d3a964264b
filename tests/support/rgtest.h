/* SPDX-License-Identifier: MIT */
/*
 * rgtest - what every test of libringgo includes, in place of cmocka.h.
 *
 *	#include "tests/support/rgtest.h"
 *
 *	static void body(void *arg) { ... T_CHECK(rg_goid() != 0); ... }
 *	static void chan_send_on_closed_panics(void **state)
 *	{
 *		(void)state;
 *		t_run(body, NULL);
 *		t_expect_abort(sends_on_closed, NULL, "send on closed channel");
 *	}
 *
 * cmocka's assert_* leaves a test by longjmp through a thread-local buffer, which
 * a goroutine or another thread must never do. So inside these T_CHECK* are used:
 * they print file, line, expression and values, and abort, which ends the test
 * program. They are fine on the test's own thread, too; cmocka's are fine only
 * there. Only public functions of the library are used here, so that black-box
 * tests can link it.
 */
#ifndef RG_TESTS_RGTEST_H
#define RG_TESTS_RGTEST_H

/* cmocka.h needs these and does not include them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include <ringgo.h>

#include "tests/support/rgproc.h"
#include "tests/support/rgsock.h"

/* ---- checks ------------------------------------------------------------- */

/* T_FAIL - fail with a message of printf's kind. Context: anywhere. */
#define T_FAIL(...) t_fail_at(__FILE__, __LINE__, __VA_ARGS__)

#define T_CHECK(cond)                                                          \
	do {                                                                   \
		if (!(cond))                                                   \
			t_fail_at(__FILE__, __LINE__, "%s", #cond);            \
	} while (0)

/* Integers of any type up to 64 bits, both signed or both unsigned. */
#define T_CHECK_INT_EQ(a, b) T_CHECK_INT_(a, ==, b)
#define T_CHECK_INT_NE(a, b) T_CHECK_INT_(a, !=, b)
#define T_CHECK_INT_LT(a, b) T_CHECK_INT_(a, <, b)
#define T_CHECK_INT_LE(a, b) T_CHECK_INT_(a, <=, b)
#define T_CHECK_INT_GT(a, b) T_CHECK_INT_(a, >, b)
#define T_CHECK_INT_GE(a, b) T_CHECK_INT_(a, >=, b)

#define T_CHECK_INT_(a, op, b)                                                 \
	do {                                                                   \
		long long t_a_ = (long long)(a);                               \
		long long t_b_ = (long long)(b);                               \
		if (!(t_a_ op t_b_))                                           \
			t_fail_at(__FILE__, __LINE__,                          \
				  "%s " #op " %s (%lld, %lld)", #a, #b, t_a_,  \
				  t_b_);                                       \
	} while (0)

#define T_CHECK_PTR_EQ(a, b)                                                   \
	do {                                                                   \
		const void *t_a_ = (a);                                        \
		const void *t_b_ = (b);                                        \
		if (t_a_ != t_b_)                                              \
			t_fail_at(__FILE__, __LINE__, "%s == %s (%p, %p)", #a, \
				  #b, t_a_, t_b_);                             \
	} while (0)

/* Strings; NULL is equal to NULL only. */
#define T_CHECK_STR_EQ(a, b)                                                   \
	t_check_str_at(__FILE__, __LINE__, #a " == " #b, (a), (b), true)

/* b occurs in a. */
#define T_CHECK_STR_HAS(a, b)                                                  \
	t_check_str_at(__FILE__, __LINE__, #a " contains " #b, (a), (b), false)

#define T_CHECK_MEM_EQ(a, b, len)                                              \
	t_check_mem_at(__FILE__, __LINE__, #a " == " #b, (a), (b), (len))

__attribute__((noreturn, format(printf, 3, 4))) void
t_fail_at(const char *file, int line, const char *fmt, ...);
void t_check_str_at(const char *file, int line, const char *what, const char *a,
		    const char *b, bool whole);
void t_check_mem_at(const char *file, int line, const char *what, const void *a,
		    const void *b, size_t len);

/* ---- bodies that run as goroutines -------------------------------------- */

/*
 * t_run - run fn(arg) as the main goroutine of a runtime that is started for it
 * and ended after it; checks that rg_run returned 0.
 * t_run_with - the same with that many Ps; 0: as many as the machine has CPUs.
 * t_run_config - the same with any configuration.
 * Context: the test's own thread, no runtime running.
 */
void t_run(void (*fn)(void *arg), void *arg);
void t_run_with(int maxprocs, void (*fn)(void *arg), void *arg);
void t_run_config(const rg_config *config, void (*fn)(void *arg), void *arg);

/*
 * t_is_epoll - the runtime's engine is not io_uring: RINGGO_ENGINE=epoll, or none to be
 * had. Context: a goroutine, or a thread while no runtime is running.
 */
bool t_is_epoll(void);

/*
 * t_wait_until - wait until pred(arg) holds, looking every millisecond; fails
 * after 10 s. For states that nothing announces; not in place of a wait group.
 * Context: goroutine (yields by rg_sleep) or any thread.
 */
#define T_WAIT_UNTIL(pred, arg)                                                \
	t_wait_until_at(__FILE__, __LINE__, #pred, (pred), (arg))
void t_wait_until_at(const char *file, int line, const char *what,
		     bool (*pred)(void *arg), void *arg);

/* t_wait_goroutines - wait until n goroutines are left, the caller included. */
void t_wait_goroutines(int64_t n);

/* ---- programs that end badly, as they should ----------------------------- */

/*
 * t_expect_abort - fn(arg), run in a child process, dies by SIGABRT and what it
 * wrote to stderr contains text (NULL: anything).
 * t_expect_signal - the same for any signal.
 * t_expect_exit - it ends by exit(code); returning from fn is exit(0).
 * t_expect_output - the same, and returns what it wrote to stdout and stderr; the
 * caller frees it.
 * A child that lives for longer than 30 s is killed and the test fails.
 * Context: the test's own thread, no runtime running.
 */
void t_expect_abort(void (*fn)(void *arg), void *arg, const char *text);
void t_expect_signal(void (*fn)(void *arg), void *arg, int sig,
		     const char *text);
void t_expect_exit(void (*fn)(void *arg), void *arg, int code,
		   const char *text);
char *t_expect_output(void (*fn)(void *arg), void *arg, int code);

#endif
