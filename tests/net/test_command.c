// SPDX-License-Identifier: MIT
/*
 * Attacks command's invariants: how children end, what they find, starts that fail at
 * every step, many at once. Each test ends without a child, a descriptor or a goroutine
 * more than before; so in test_cmdstreams and test_cmdcancel.
 */
#include "tests/net/cmdfixture.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "kernel-iface/alloc.h"

/* ---- ends --------------------------------------------------------------------- */

static void reports_ends(void *arg)
{
	char buf[16];
	rg_command_result r =
		run_shell("exit 3", (rg_command_options){0}, buf, sizeof buf);

	(void)arg;
	T_CHECK_INT_EQ(r.exit_code, 3);
	T_CHECK_INT_EQ(r.signal, 0);
	r = run_shell("kill -TERM $$", (rg_command_options){0}, buf,
		      sizeof buf);
	T_CHECK_INT_EQ(r.exit_code, -1);
	T_CHECK_INT_EQ(r.signal, SIGTERM);
	r = run_shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
		      (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_INT_EQ(r.exit_code, 0);
	T_CHECK(r.usage.ru_utime.tv_sec > 0 || r.usage.ru_utime.tv_usec > 0);
	T_CHECK(r.usage.ru_maxrss > 0);
}

static void check_start_fails(const char *path, const char *dir, int want)
{
	char buf[8];
	const rg_command_options o = {
		.dir = dir,
		.in = {.how = RG_STDIO_BUFFER, .data = "x", .size = 1},
		.out = {.how = RG_STDIO_BUFFER, .buf = buf, .size = sizeof buf},
		.err = {.how = RG_STDIO_PIPE}};
	rg_command *c = rg_command_new(path, NULL, &o);

	T_CHECK_INT_EQ(rg_command_start(c), want);
	T_CHECK_INT_EQ(rg_command_pid(c), 0);
	T_CHECK_INT_EQ(rg_command_pipe(c, 2), -EBADF);
	T_CHECK_INT_EQ(rg_command_wait(c, NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_command_start(c), -EALREADY);
	rg_command_free(c);
	t_wait_goroutines(1);
	check_no_child();
}

static void fails_to_start(void *arg)
{
	(void)arg;
	check_start_fails("/no/such/program", NULL, -ENOENT);
	check_start_fails("no-such-program-in-path", NULL, -ENOENT);
	check_start_fails("/etc/passwd", NULL, -EACCES);
	check_start_fails("/bin/sh", "/no/such/folder", -ENOENT);
	check_start_fails("/bin/sh", "/etc/passwd", -ENOTDIR);
}

static void refuses_nonsense(void *arg)
{
	static const rg_command_options bad[] = {
		{.in = {.how = RG_STDIO_SAME}},
		{.out = {.how = RG_STDIO_SAME}},
		{.err = {.how = 77}},
		{.out = {.how = RG_STDIO_FD, .fd = -1}},
		{.out = {.how = RG_STDIO_BUFFER, .size = 1}},
		{.in = {.how = RG_STDIO_BUFFER, .size = 1}},
		{.cancel_signal = -1},
		{.cancel_signal = 1000},
		{.wait_delay = -1},
		{.flags = 8},
	};
	rg_command *c;
	char buf[1];

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		c = shell("exit 0", &bad[i]);
		T_CHECK_INT_EQ(rg_command_run(c, NULL), -EINVAL);
		rg_command_free(c);
	}
	c = shell("exit 0",
		  &(rg_command_options){.out = {.how = RG_STDIO_INHERIT}});
	T_CHECK_INT_EQ(rg_command_output(c, buf, 1, NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_command_signal(c, SIGTERM), -ESRCH);
	T_CHECK_INT_EQ(rg_command_wait(c, NULL), -EINVAL);
	T_CHECK_INT_EQ(rg_command_pipe(c, 1), -EBADF);
	T_CHECK_INT_EQ(rg_command_pipe(c, 3), -EBADF);
	T_CHECK_INT_EQ(rg_command_close_pipe(c, -1), -EBADF);
	/* A descriptor that is not open. */
	rg_command_free(c);
	c = shell("exit 0", &(rg_command_options){
				    .out = {.how = RG_STDIO_FD, .fd = 9999}});
	T_CHECK_INT_EQ(rg_command_run(c, NULL), -EBADF);
	rg_command_free(c);
	rg_command_free(NULL);
}

/* ---- what the child finds ----------------------------------------------------- */

static void has_folder_and_environment(void *arg)
{
	static const char *const env[] = {"ONE=1", "TWO=a b", NULL};
	char buf[256];
	rg_command_result r =
		run_shell("pwd; echo $ONE,$TWO,$HOME",
			  (rg_command_options){.dir = "/usr", .env = env}, buf,
			  sizeof buf);

	(void)arg;
	T_CHECK_INT_EQ(r.exit_code, 0);
	T_CHECK_STR_EQ(buf, "/usr\n1,a b,\n");
	T_CHECK_INT_EQ(setenv("RG_TEST_MARK", "inherited", 1), 0);
	run_shell("echo $RG_TEST_MARK", (rg_command_options){0}, buf,
		  sizeof buf);
	T_CHECK_STR_EQ(buf, "inherited\n");
}

static void finds_program_in_path(void *arg)
{
	static const char *const argv[] = {"echo", "a b", "c", NULL};
	rg_command *c = rg_command_new("echo", argv, NULL);
	char buf[16] = "";

	(void)arg;
	T_CHECK_INT_EQ(rg_command_output(c, buf, sizeof buf, NULL), 6);
	T_CHECK_MEM_EQ(buf, "a b c\n", 6);
	rg_command_free(c);
}

/* The runtime ignores SIGPIPE; helpers have all signals blocked. */
static void has_clean_signals(void *arg)
{
	char buf[512];
	uint64_t blocked = 1, ignored = ~UINT64_C(0);

	(void)arg;
	run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status",
		  (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_INT_EQ(
		sscanf(buf, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
	T_CHECK_INT_EQ(blocked, 0);
	T_CHECK(!(ignored & UINT64_C(1) << (SIGPIPE - 1)));
}

static void has_no_descriptors_of_ours(void *arg)
{
	int fd = fcntl(0, F_DUPFD, 50); /* without FD_CLOEXEC */
	static const char script[] =
		"i=0; while [ $i -lt 200 ]; do [ -e /proc/$$/fd/$i ] && "
		"echo $i; i=$((i+1)); done";
	char buf[1024];

	(void)arg;
	T_CHECK(fd >= 50);
	run_shell(script, (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_STR_EQ(buf, "0\n1\n2\n");
	run_shell(script, (rg_command_options){.flags = RG_COMMAND_KEEP_FDS},
		  buf, sizeof buf);
	T_CHECK_STR_HAS(buf, "0\n1\n2\n");
	T_CHECK_STR_HAS(buf, "\n50\n");
	close(fd);
}

/* ---- load, threads, shortages ------------------------------------------------- */

static void run_one(void *arg)
{
	int code = (int)(intptr_t)arg;
	char script[32], buf[32];
	rg_command_result r;

	snprintf(script, sizeof script, "echo %d; exit %d", code, code);
	r = run_shell(script, (rg_command_options){0}, buf, sizeof buf);
	T_CHECK_INT_EQ(atoi(buf), code);
	T_CHECK_INT_EQ(r.exit_code, code);
}

static void many_at_once(void *arg)
{
	rg_waitgroup all = {0};

	(void)arg;
	for (intptr_t i = 0; i < 40; i++)
		spawn(&all, run_one, (void *)i);
	rg_waitgroup_wait(&all);
}

static void *run_on_thread(void *arg)
{
	run_one(arg);
	return NULL;
}

static void serves_other_threads(void *arg)
{
	pthread_t t;

	(void)arg;
	T_CHECK_INT_EQ(
		pthread_create(&t, NULL, run_on_thread, (void *)(intptr_t)9),
		0);
	join(t);
}

static int try_all_streams(void)
{
	char out[8], err[8];
	rg_command *c = shell(
		"cat; echo y >&2",
		&(rg_command_options){
			.in = {.how = RG_STDIO_BUFFER, .data = "x", .size = 1},
			.out = {.how = RG_STDIO_BUFFER, .buf = out, .size = 8},
			.err = {.how = RG_STDIO_BUFFER,
				.buf = err,
				.size = 8}});
	rg_command_result r;
	int ret = rg_command_run(c, &r);

	if (!ret) {
		T_CHECK_INT_EQ(r.out_len, 1);
		T_CHECK_INT_EQ(r.err_len, 2);
	}
	rg_command_free(c);
	return ret;
}

/* Descriptors run out at every step in turn. */
static void descriptors_run_out(void *arg)
{
	struct rlimit old, few;
	int fds, failed = 0, ret;

	(void)arg;
	T_CHECK_INT_EQ(try_all_streams(), 0);
	fds = t_program_fds();
	T_CHECK_INT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (few = old, few.rlim_cur = 3;; few.rlim_cur++) {
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
		ret = try_all_streams();
		T_CHECK_INT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
		T_CHECK_INT_EQ(t_program_fds(), fds);
		check_no_child();
		if (!ret)
			break;
		T_CHECK_INT_EQ(ret, -EMFILE);
		failed++;
	}
	/* Six ends of pipes and the pidfd. */
	T_CHECK_INT_GE(failed, 7);
}

/* Memory fails in rg_command_new, call by call. */
static void memory_runs_out(void *arg)
{
	static const char *const env[] = {"A=1", NULL};
	const rg_command_options o = {.dir = "/", .env = env};
	static const char *const argv[] = {"sh", "-c", "exit 0", NULL};
	int64_t live = alloc_live(), n;
	rg_command *c = NULL;

	(void)arg;
	for (n = 0; !c; n++) {
		alloc_fail_after(n);
		c = rg_command_new("/bin/sh", argv, &o);
		alloc_fail_after(-1);
		if (!c)
			T_CHECK_INT_EQ(alloc_live(), live);
	}
	T_CHECK_INT_GE(n, 10);
	T_CHECK_INT_EQ(rg_command_run(c, NULL), 0);
	rg_command_free(c);
}

/* The kernel reaps for those who do not want to know. */
static void status_is_lost(void *arg)
{
	rg_command *c = shell("exit 3", NULL);
	int ret;

	(void)arg;
	signal(SIGCHLD, SIG_IGN);
	ret = rg_command_run(c, NULL);
	T_CHECK_INT_EQ(ret, -ECHILD);
	rg_command_free(c);
	_exit(0);
}

static void run_status_is_lost(void *arg)
{
	t_run(status_is_lost, arg);
}

/* ---- the tests ---------------------------------------------------------- */

CLEAN(command_run_reports_code_signal_and_usage, reports_ends)
CLEAN(command_that_cannot_start_leaves_nothing, fails_to_start)
CLEAN(command_bad_options_are_refused, refuses_nonsense)
CLEAN(command_has_its_folder_and_environment, has_folder_and_environment)
CLEAN(command_name_is_found_in_path, finds_program_in_path)
CLEAN(command_child_has_clean_signals, has_clean_signals)
CLEAN(command_child_has_three_descriptors, has_no_descriptors_of_ours)
CLEAN(command_many_at_once, many_at_once)
CLEAN(command_foreign_thread_is_served, serves_other_threads)
CLEAN(command_without_descriptors_leaves_nothing, descriptors_run_out)
CLEAN(command_without_memory_leaves_nothing, memory_runs_out)

static void command_ignored_sigchld_loses_the_status(void **state)
{
	(void)state;
	t_expect_exit(run_status_is_lost, NULL, 0, NULL);
}

static void command_without_a_runtime_is_refused(void **state)
{
	rg_command *c = shell("exit 0", NULL);

	(void)state;
	T_CHECK_INT_EQ(rg_command_start(c), -ESRCH);
	rg_command_free(c);
}

#define T(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(command_run_reports_code_signal_and_usage),
		T(command_that_cannot_start_leaves_nothing),
		T(command_bad_options_are_refused),
		T(command_has_its_folder_and_environment),
		T(command_name_is_found_in_path),
		T(command_child_has_clean_signals),
		T(command_child_has_three_descriptors),
		T(command_many_at_once),
		T(command_foreign_thread_is_served),
		T(command_without_descriptors_leaves_nothing),
		T(command_without_memory_leaves_nothing),
		T(command_ignored_sigchld_loses_the_status),
		T(command_without_a_runtime_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
