// SPDX-License-Identifier: MIT
/*
 * test_dumpctx - rg_dump under a context that has ended: sched/dump.c.
 */
#include "tests/support/rgtest.h"

#include <sys/mman.h>
#include <unistd.h>

static void ended_context_body(void *arg)
{
	rg_ctx *ctx = rg_ctx_with_cancel(rg_ctx_background());
	int fd = memfd_create("dump", MFD_CLOEXEC);
	static char text[65536];

	(void)arg;
	T_CHECK_INT_GE(fd, 0);
	T_CHECK(!rg_ctx_bind(ctx));
	rg_ctx_cancel(ctx, 0);
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ECANCELED);
	for (int debug = 1; debug <= 2; debug++) {
		T_CHECK_INT_EQ(ftruncate(fd, 0), 0);
		T_CHECK_INT_EQ(lseek(fd, 0, SEEK_SET), 0);
		T_CHECK_INT_EQ(rg_dump(fd, debug), 0);
		T_CHECK_INT_GT(pread(fd, text, sizeof text - 1, 0), 0);
		T_CHECK_STR_HAS(text, "ended_context_body");
	}
	/* It is bound still. */
	T_CHECK_INT_EQ(rg_sleep(RG_HOUR), -ECANCELED);
	rg_ctx_unref(rg_ctx_bind(NULL));
	rg_ctx_unref(ctx);
	close(fd);
}

static void little_stack_ended_context(void *arg)
{
	ended_context_body(NULL);
	rg_waitgroup_done(arg);
}

/* On a small stack another goroutine does the work. */
static void ended_context_small_body(void *arg)
{
	rg_go_options options = {.stack_size = 16 * 1024};
	rg_waitgroup w = {0};

	(void)arg;
	rg_waitgroup_add(&w, 1);
	T_CHECK_INT_EQ(rg_go_with(&options, little_stack_ended_context, &w), 0);
	rg_waitgroup_wait(&w);
}

static void dump_does_not_heed_the_ended_context(void **state)
{
	(void)state;
	t_run_with(2, ended_context_body, NULL);
	t_run_with(2, ended_context_small_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dump_does_not_heed_the_ended_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
