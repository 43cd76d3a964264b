// SPDX-License-Identifier: MIT
/*
 * test_rgtest - the tests' own tools: a check that cannot fail would let every
 * other test pass. Each is made to fail once, in a child process.
 */
#include "tests/support/rgtest.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void set_flag(void *arg)
{
	*(bool *)arg = rg_goid() != 0;
}

static void t_run_runs_the_body_in_a_goroutine(void **state)
{
	bool flag = false;

	(void)state;
	t_run(set_flag, &flag);
	assert_true(flag);
	flag = false;
	t_run_with(1, set_flag, &flag);
	assert_true(flag);
}

static void fail_int(void *arg)
{
	T_CHECK_INT_EQ(*(const int *)arg, 2);
}

static void fail_plain(void *arg)
{
	T_CHECK(arg == NULL);
}

static void fail_str(void *arg)
{
	T_CHECK_STR_EQ((const char *)arg, "b");
}

static void fail_null_str(void *arg)
{
	(void)arg;
	T_CHECK_STR_EQ(NULL, "b");
}

static void fail_mem(void *arg)
{
	T_CHECK_MEM_EQ(arg, "ax", 2);
}

static void fail_long(void *arg)
{
	char text[4000];

	(void)arg;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	T_FAIL("%s", text);
}

static void fail_in_goroutine(void *arg)
{
	t_run(fail_int, arg);
}

static void checks_that_fail_abort_and_say_why(void **state)
{
	int one = 1;

	(void)state;
	t_expect_abort(fail_int, &one, "== 2 (1, 2)\n");
	t_expect_abort(fail_in_goroutine, &one, "== 2 (1, 2)\n");
	t_expect_abort(fail_plain, &one, "test_rgtest.c:39: check failed");
	t_expect_abort(fail_str, (char[]){"a"}, "(\"a\", \"b\")");
	t_expect_abort(fail_null_str, NULL, "(\"NULL\", \"b\")");
	t_expect_abort(fail_mem, (char[]){"ab"}, "(byte 1 of 2: 0x62, 0x78)");
	t_expect_abort(fail_long, NULL, "xxx\n");
}

static void checks_that_hold_are_silent(void **state)
{
	(void)state;
	T_CHECK(true);
	T_CHECK_INT_LT(-1, 0);
	T_CHECK_INT_GE(INT64_MAX, INT64_MAX);
	T_CHECK_PTR_EQ(state, state);
	T_CHECK_STR_EQ("a", "a");
	T_CHECK_STR_EQ(NULL, NULL);
	T_CHECK_STR_HAS("abc", "bc");
	T_CHECK_MEM_EQ("ab", "ax", 1);
}

static void leave(void *arg)
{
	printf("to stdout");
	fprintf(stderr, "to stderr");
	exit(*(const int *)arg);
}

static void no_op(void *arg)
{
	(void)arg;
}

static void expects_abort_of_a_leaver(void *arg)
{
	t_expect_abort(leave, arg, NULL);
}

static void expects_other_text(void *arg)
{
	t_expect_exit(leave, arg, *(const int *)arg, "to nobody");
}

static void kill_me(void *arg)
{
	(void)arg;
	raise(SIGTERM);
}

static void children_are_judged_by_end_and_output(void **state)
{
	int code = 3;
	char *output;

	(void)state;
	t_expect_exit(no_op, NULL, 0, NULL);
	t_expect_exit(leave, &code, 3, "to stderr");
	t_expect_signal(kill_me, NULL, SIGTERM, NULL);
	output = t_expect_output(leave, &code, 3);
	assert_non_null(strstr(output, "to stdout"));
	assert_non_null(strstr(output, "to stderr"));
	free(output);
	t_expect_abort(expects_abort_of_a_leaver, &code,
		       "exited with 3; expected: signal 6");
	t_expect_abort(expects_other_text, &code, "\"to nobody\"");
}

static void *talk(void *arg)
{
	char buf[16];
	int fd = t_tcp_connect(*(const uint16_t *)arg);

	t_send_str(fd, "head\r\n\r\nbody");
	t_close_write(fd);
	T_CHECK_INT_EQ(t_recv_all(fd, buf, sizeof(buf)), 6);
	T_CHECK_STR_EQ(buf, "answer");
	t_close(fd);
	fd = t_tcp_connect(*(const uint16_t *)arg);
	t_reset(fd);
	return arg;
}

static void sockets_carry_bytes_ends_and_resets(void **state)
{
	int fds = t_open_fds();
	uint16_t port = 0;
	int l = t_tcp_listen(&port);
	pthread_t thread = t_thread(talk, &port);
	int fd = t_tcp_accept(l);
	char buf[32];

	(void)state;
	/* Listener and accepted end here, connecting end on its thread. */
	T_CHECK_INT_EQ(t_open_fds(), fds + 3);
	T_CHECK_INT_EQ(t_recv_until(fd, buf, sizeof(buf), "\r\n\r\n"), 8);
	T_CHECK_INT_EQ(t_recv_all(fd, buf, sizeof(buf)), 4);
	T_CHECK_STR_EQ(buf, "body");
	t_send_str(fd, "answer");
	t_close(fd);
	fd = t_tcp_accept(l);
	T_CHECK_PTR_EQ(t_join(thread), &port);
	T_CHECK_INT_EQ(t_recv(fd, buf, 1), -ECONNRESET);
	t_close(fd);
	fd = t_tcp_try_connect(port);
	T_CHECK_INT_GE(fd, 0);
	t_close(fd);
	t_close(l);
	T_CHECK_INT_EQ(t_tcp_try_connect(port), -ECONNREFUSED);
}

static void process_figures_are_plausible(void **state)
{
	int fds[2];
	int n = t_open_fds(), programs = t_program_fds();
	int64_t then = t_now_ns();

	(void)state;
	T_CHECK(pipe(fds) == 0);
	T_CHECK_INT_EQ(t_open_fds(), n + 2);
	T_CHECK_INT_EQ(t_program_fds(), programs + 2);
	t_close(fds[0]);
	t_close(fds[1]);
	T_CHECK_INT_EQ(t_open_fds(), n);
	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = epoll_create1(EPOLL_CLOEXEC);
	T_CHECK_INT_EQ(t_open_fds(), n + 2);
	T_CHECK_INT_EQ(t_program_fds(), programs);
	t_close(fds[0]);
	t_close(fds[1]);
	T_CHECK_INT_GE(t_threads(), 1);
	T_CHECK_INT_GT(t_rss(), 100000);
	T_CHECK_INT_GT(t_page_tables(), 4096);
	T_CHECK_INT_GT(t_maps(), 5);
	T_CHECK_INT_GE(t_now_ns(), then);
	T_CHECK_INT_EQ(t_port_of("127.0.0.1:41234"), 41234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_run_runs_the_body_in_a_goroutine),
		cmocka_unit_test(checks_that_fail_abort_and_say_why),
		cmocka_unit_test(checks_that_hold_are_silent),
		cmocka_unit_test(children_are_judged_by_end_and_output),
		cmocka_unit_test(sockets_carry_bytes_ends_and_resets),
		cmocka_unit_test(process_figures_are_plausible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
