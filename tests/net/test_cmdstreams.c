// SPDX-License-Identifier: MIT
/*
 * Attacks command's invariants: streams of every kind, more data than pipes hold,
 * descriptors that cross over.
 */
#include "tests/net/cmdfixture.h"

#include <stdlib.h>

/* More than pipes hold, both ways at once. */
static void buffers_cannot_deadlock(void *arg)
{
	enum { SIZE = 1 << 20 };
	char *in = malloc(SIZE), *out = malloc(SIZE);
	rg_command_options o = {
		.in = {.how = RG_STDIO_BUFFER, .data = in, .size = SIZE}};
	rg_command *c;

	(void)arg;
	T_CHECK(in && out);
	for (size_t i = 0; i < SIZE; i++)
		in[i] = (char)(i * 31 + i / 251);
	c = rg_command_new("cat", NULL, &o);
	T_CHECK_INT_EQ(rg_command_output(c, out, SIZE, NULL), SIZE);
	T_CHECK_MEM_EQ(out, in, SIZE);
	rg_command_free(c);
	/* The child does not read what is fed. */
	c = shell("exit 4", &o);
	T_CHECK_INT_EQ(rg_command_output(c, out, SIZE, NULL), 0);
	rg_command_free(c);
	free(in);
	free(out);
}

static void drops_what_does_not_fit(void *arg)
{
	char buf[11];
	rg_command_result r =
		run_shell("head -c 300000 /dev/zero | tr '\\0' x; exit 2",
			  (rg_command_options){0}, buf, sizeof buf);

	(void)arg;
	T_CHECK_STR_EQ(buf, "xxxxxxxxxx");
	T_CHECK_INT_EQ(r.out_len, 10);
	T_CHECK(r.is_truncated && !r.is_cut);
	T_CHECK_INT_EQ(r.exit_code, 2);
	r = run_shell("printf 0123456789", (rg_command_options){0}, buf,
		      sizeof buf);
	T_CHECK_STR_EQ(buf, "0123456789");
	T_CHECK(!r.is_truncated);
}

static void separates_or_joins_errors(void *arg)
{
	char out[32], err[32] = "";
	rg_command_options o = {
		.err = {.how = RG_STDIO_BUFFER, .buf = err, .size = 31}};
	rg_command_result r =
		run_shell("echo a; echo b >&2", o, out, sizeof out);

	(void)arg;
	T_CHECK_STR_EQ(out, "a\n");
	T_CHECK_STR_EQ(err, "b\n");
	T_CHECK_INT_EQ(r.err_len, 2);
	o = (rg_command_options){.err = {.how = RG_STDIO_SAME}};
	run_shell("echo a; echo b >&2", o, out, sizeof out);
	T_CHECK_STR_EQ(out, "a\nb\n");
}

static void talks_through_pipes(void *arg)
{
	const rg_command_options o = {.in = {.how = RG_STDIO_PIPE},
				      .out = {.how = RG_STDIO_PIPE}};
	rg_command *c = rg_command_new("cat", NULL, &o);
	rg_command_result r;
	char buf[16];

	(void)arg;
	start_ok(c);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(rg_write_full(rg_command_pipe(c, 0), "hello", 5),
			       5);
		T_CHECK_INT_EQ(rg_read_full(rg_command_pipe(c, 1), buf, 5), 5);
		T_CHECK_MEM_EQ(buf, "hello", 5);
	}
	T_CHECK_INT_EQ(rg_command_close_pipe(c, 0), 0);
	T_CHECK_INT_EQ(rg_command_close_pipe(c, 0), -EBADF);
	T_CHECK_INT_EQ(rg_read(rg_command_pipe(c, 1), buf, 5), 0);
	T_CHECK_INT_EQ(rg_command_wait(c, &r), 0);
	T_CHECK_INT_EQ(r.exit_code, 0);
	rg_command_free(c);
}

/* Crossed over: the child's 1 is our 0, its 2 our 1. */
static void takes_any_descriptor(void *arg)
{
	int p[2], q[2];
	char buf[8];
	rg_command *c;

	T_CHECK_INT_EQ(pipe2(p, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(pipe2(q, O_CLOEXEC), 0);
	T_CHECK_INT_EQ(dup2(p[1], 0), 0);
	T_CHECK_INT_EQ(dup2(q[1], 1), 1);
	c = shell("printf out; printf err >&2",
		  &(rg_command_options){.out = {.how = RG_STDIO_FD, .fd = 0},
					.err = {.how = RG_STDIO_FD, .fd = 1}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
	T_CHECK_INT_EQ(rg_read(p[0], buf, sizeof buf), 3);
	T_CHECK_MEM_EQ(buf, "out", 3);
	T_CHECK_INT_EQ(rg_read(q[0], buf, sizeof buf), 3);
	T_CHECK_MEM_EQ(buf, "err", 3);
	/* Inherited, and pipes with numbers below 3. */
	close(0);
	c = shell(
		"cat >&2",
		&(rg_command_options){
			.in = {.how = RG_STDIO_BUFFER, .data = "in", .size = 2},
			.err = {.how = RG_STDIO_FD, .fd = 1}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
	T_CHECK_INT_EQ(rg_read(q[0], buf, sizeof buf), 2);
	T_CHECK_MEM_EQ(buf, "in", 2);
	c = shell("printf inherited",
		  &(rg_command_options){.out = {.how = RG_STDIO_INHERIT}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
	T_CHECK_INT_EQ(rg_read(q[0], buf, sizeof buf), 8);
	T_CHECK_MEM_EQ(buf, "inherite", 8);
	*(int *)arg = 1;
}

static void run_descriptors(void *arg)
{
	int done = 0;

	(void)arg;
	t_run(takes_any_descriptor, &done);
	T_CHECK_INT_EQ(done, 1);
}

/* ---- the tests ---------------------------------------------------------- */

CLEAN(command_buffers_larger_than_pipes_do_not_deadlock,
      buffers_cannot_deadlock)
CLEAN(command_output_over_the_limit_is_dropped, drops_what_does_not_fit)
CLEAN(command_errors_apart_or_with_output, separates_or_joins_errors)
CLEAN(command_pipes_are_ours_until_closed, talks_through_pipes)

static void command_takes_any_descriptor(void **state)
{
	(void)state;
	t_expect_exit(run_descriptors, NULL, 0, NULL);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(command_buffers_larger_than_pipes_do_not_deadlock),
		T(command_output_over_the_limit_is_dropped),
		T(command_errors_apart_or_with_output),
		T(command_pipes_are_ours_until_closed),
		T(command_takes_any_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
