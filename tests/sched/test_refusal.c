// SPDX-License-Identifier: MIT
/*
 * refusal - rg_run and rg_start that cannot start: they say why and how to cure it,
 * return a negative errno, leave nothing behind, and work once the cause is gone.
 * sched/run.c's I1 and its ways out, probe_explain, ring_open. And what is done instead
 * where io_uring is refused for good: probe.h's I3.
 *
 * Every case has a process of its own. What the runtime says is caught in a memory
 * file that takes the place of stderr during the call, so each of many calls can be
 * judged. The sysctl kernel.io_uring_disabled is shown to the child as another file,
 * in a mount namespace of its own: to set the real one would refuse io_uring to
 * whatever else runs on the machine.
 */
#include "tests/support/rgtest.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"

enum { WORKERS = 4, NOBODY = 65534 };

/* ---- a start whose words are heard ---- */

static char said[4096];
static int words = -1, real_stderr = -1;
static int threads;

static void listen_to_stderr(void)
{
	words = memfd_create("stderr", MFD_CLOEXEC);
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	T_CHECK(words >= 0 && real_stderr >= 0);
	/* Their first use opens or allocates something that stays. */
	(void)t_open_fds();
	threads = t_threads();
}

static void begin_listening(void)
{
	T_CHECK(ftruncate(words, 0) == 0 && lseek(words, 0, SEEK_SET) == 0);
	T_CHECK(dup2(words, STDERR_FILENO) == STDERR_FILENO);
}

static void end_listening(void)
{
	ssize_t n;

	T_CHECK(dup2(real_stderr, STDERR_FILENO) == STDERR_FILENO);
	n = pread(words, said, sizeof said - 1, 0);
	T_CHECK(n >= 0);
	said[n] = '\0';
}

static void send_one(void *arg)
{
	int64_t v = 1;

	rg_chan_send(arg, &v);
}

/* Something that needs the scheduler, a ring and a timer. */
static int entry(void *arg)
{
	rg_chan *c = rg_make(int64_t, 0);
	int64_t v = 0;
	int err = c ? rg_go(send_one, c) : -ENOMEM;

	(void)arg;
	if (!err)
		T_CHECK(rg_chan_recv(c, &v) && v == 1);
	T_CHECK_INT_EQ(rg_sleep(RG_MICROSECOND), 0);
	rg_chan_unref(c);
	return err;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int run_said(int (*fn)(void *arg))
{
	const rg_config config = {.maxprocs = WORKERS};
	int err;

	begin_listening();
	err = rg_run(&config, fn, NULL);
	end_listening();
	return err;
}

static int run_entry_said(void)
{
	return run_said(entry);
}

static int run_nothing_said(void)
{
	return run_said(nothing);
}

static int beside_said(void)
{
	const rg_config config = {.maxprocs = WORKERS};
	int err;

	begin_listening();
	err = rg_start(&config);
	if (!err)
		err = rg_stop(RG_SECOND);
	end_listening();
	return err;
}

static void check_works(void)
{
	T_CHECK_INT_EQ(run_entry_said(), 0);
	T_CHECK_STR_EQ(said, "");
}

/* Refused, or started with fewer workers: both with words. True: refused. */
static bool check_said(int err)
{
	if (err) {
		T_CHECK_STR_HAS(said, "ringgo: cannot start");
		if (!strstr(said, "out of memory"))
			T_CHECK_STR_HAS(said, rg_strerror(err));
		T_CHECK_INT_EQ(rg_num_goroutine(), 0);
		return true;
	}
	if (*said)
		T_CHECK_STR_HAS(said, "of 4 workers could start");
	return false;
}

struct held {
	int fds;
	int64_t blocks;
};

static struct held held_now(void)
{
	return (struct held){t_open_fds(), alloc_live()};
}

/* A thread that was joined is listed for a moment yet. ThreadSanitizer's own one
 * starts with the first other. */
static bool is_alone(void *arg)
{
	(void)arg;
	return t_threads() <= threads + RG_TSAN;
}

static void check_held(const struct held *before)
{
	struct held now = held_now();

	T_CHECK_INT_EQ(now.fds, before->fds);
	T_WAIT_UNTIL(is_alone, NULL);
	T_CHECK_INT_EQ(now.blocks, before->blocks);
}

static void set_soft(int resource, rlim_t soft)
{
	struct rlimit r;

	T_CHECK(getrlimit((__rlimit_resource_t)resource, &r) == 0);
	r.rlim_cur = soft < r.rlim_max ? soft : r.rlim_max;
	T_CHECK(setrlimit((__rlimit_resource_t)resource, &r) == 0);
}

/* ---- seccomp ---- */

/* A system call of this process is answered by errno `err` from now on. */
static void forbid(unsigned nr, int err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K,
			 SECCOMP_RET_ERRNO | (unsigned)(err & 0xffff)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof code / sizeof code[0], code};

	T_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	T_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void choose_engine(const char *name)
{
	T_CHECK(setenv("RINGGO_ENGINE", name, 1) == 0);
}

static void check_forbidden(int err, const char *cause, const char *cure)
{
	struct held before;

	choose_engine("io_uring");
	listen_to_stderr();
	check_works();
	before = held_now();
	forbid(__NR_io_uring_setup, err);
	for (int i = 0; i < 3; i++) {
		T_CHECK_INT_EQ(run_entry_said(), -err);
		T_CHECK_STR_HAS(said, "ringgo: cannot start: io_uring");
		T_CHECK_STR_HAS(said, cause);
		T_CHECK_STR_HAS(said, cure);
		T_CHECK_INT_EQ(beside_said(), -err);
		T_CHECK_STR_HAS(said, cause);
		T_CHECK_INT_EQ(rg_go(send_one, NULL), -ESRCH);
		check_held(&before);
	}
}

static bool is_disabled_by_sysctl(void)
{
	int fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY);
	char c = '0';

	if (fd >= 0) {
		T_CHECK(read(fd, &c, 1) == 1);
		close(fd);
	}
	return c != '0';
}

static void forbidden_by_seccomp(void *arg)
{
	(void)arg;
	check_forbidden(EPERM, "a seccomp filter forbids io_uring_setup",
			"run the container with a profile that allows "
			"io_uring_setup, io_uring_enter and io_uring_register");
}

static void missing_in_the_kernel(void *arg)
{
	(void)arg;
	check_forbidden(ENOSYS, "this kernel has no io_uring",
			"Linux 6.1 or newer is needed");
}

static void refusal_by_seccomp_names_it(void **state)
{
	(void)state;
	if (is_disabled_by_sysctl())
		skip();
	t_expect_exit(forbidden_by_seccomp, NULL, 0, NULL);
	t_expect_exit(missing_in_the_kernel, NULL, 0, NULL);
}

/* ---- the other engine ---- */

static int64_t epoll_seen, threads_seen;

static int entry_of_engine(void *arg)
{
	rg_stats s;

	T_CHECK_INT_EQ(rg_stats_read(&s, sizeof s), 0);
	epoll_seen = s.ring_epoll;
	threads_seen = s.ring_threads;
	return entry(arg);
}

static void check_epoll_works(void)
{
	epoll_seen = 0;
	T_CHECK_INT_EQ(run_said(entry_of_engine), 0);
	T_CHECK_INT_EQ(epoll_seen, 1);
	T_CHECK_INT_GE(threads_seen, 1);
}

/* nr fails with err: the other engine, and one line that says why. */
static void check_falls_back(unsigned nr, int err, const char *cause)
{
	struct held before;

	choose_engine("");
	listen_to_stderr();
	check_works();
	before = held_now();
	forbid(nr, err);
	check_epoll_works();
	T_CHECK_STR_HAS(said,
			"ringgo: using epoll and helper threads: io_uring "
			"is refused (");
	T_CHECK_STR_HAS(said, cause);
	T_CHECK(strchr(said, '\n') == said + strlen(said) - 1);
	check_held(&before);
	/* Once. */
	check_epoll_works();
	T_CHECK_STR_EQ(said, "");
	check_held(&before);
	choose_engine("epoll");
	check_epoll_works();
	check_held(&before);
	choose_engine("io_uring");
	T_CHECK_INT_LT(run_entry_said(), 0);
	T_CHECK_STR_HAS(said, "ringgo: cannot start: io_uring is refused (");
	T_CHECK_STR_HAS(said, cause);
	check_held(&before);
}

static void setup_is_forbidden(void *arg)
{
	(void)arg;
	check_falls_back(__NR_io_uring_setup, EPERM,
			 "a seccomp filter forbids io_uring_setup");
}

static void setup_is_missing(void *arg)
{
	(void)arg;
	check_falls_back(__NR_io_uring_setup, ENOSYS,
			 "this kernel has no io_uring");
}

static void enter_is_forbidden(void *arg)
{
	(void)arg;
	check_falls_back(__NR_io_uring_enter, EPERM,
			 "a seccomp filter forbids io_uring_setup");
}

static void register_is_forbidden(void *arg)
{
	(void)arg;
	check_falls_back(__NR_io_uring_register, EPERM, "io_uring_register");
}

/* It knows no operation by which one could ask for what it has: before Linux 5.6. */
static void register_is_old(void *arg)
{
	(void)arg;
	check_falls_back(__NR_io_uring_register, EINVAL,
			 "the kernel's io_uring is too old");
}

static void engine_is_epoll_where_io_uring_is_refused(void **state)
{
	(void)state;
	if (is_disabled_by_sysctl())
		skip();
	t_expect_exit(setup_is_forbidden, NULL, 0, NULL);
	t_expect_exit(setup_is_missing, NULL, 0, NULL);
	t_expect_exit(enter_is_forbidden, NULL, 0, NULL);
	t_expect_exit(register_is_forbidden, NULL, 0, NULL);
	t_expect_exit(register_is_old, NULL, 0, NULL);
}

static void asks_for_epoll(void *arg)
{
	(void)arg;
	choose_engine("epoll");
	listen_to_stderr();
	/* Not even asked for. */
	forbid(__NR_io_uring_setup, EPERM);
	check_epoll_works();
	T_CHECK_STR_EQ(said, "");
	T_CHECK_INT_EQ(beside_said(), 0);
	T_CHECK_STR_EQ(said, "");
}

static void engine_that_is_asked_for_is_taken_silently(void **state)
{
	(void)state;
	t_expect_exit(asks_for_epoll, NULL, 0, NULL);
}

static void asks_for_another(void *arg)
{
	struct held before;

	(void)arg;
	choose_engine("");
	listen_to_stderr();
	before = held_now();
	choose_engine("kqueue");
	T_CHECK_INT_EQ(run_entry_said(), -EINVAL);
	T_CHECK_STR_EQ(said, "ringgo: cannot start: RINGGO_ENGINE: expected "
			     "io_uring or epoll, got 'kqueue'\n");
	check_held(&before);
}

static void engine_of_another_name_is_refused(void **state)
{
	(void)state;
	t_expect_exit(asks_for_another, NULL, 0, NULL);
}

/* ---- sysctl ---- */

/* In a namespace of its own this process sees `value` as the sysctl. */
static bool pretend_sysctl(const char *value)
{
	FILE *f;

	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/tmp", "tmpfs", 0, NULL))
		return false;
	f = fopen("/tmp/value", "we");
	T_CHECK(f != NULL);
	T_CHECK(fputs(value, f) >= 0 && fclose(f) == 0);
	return !mount("/tmp/value", "/proc/sys/kernel/io_uring_disabled", NULL,
		      MS_BIND, NULL);
}

static void disabled(const char *value, const char *cure)
{
	choose_engine("io_uring");
	listen_to_stderr();
	check_works();
	T_CHECK(pretend_sysctl(value));
	forbid(__NR_io_uring_setup, EPERM);
	T_CHECK_INT_EQ(run_entry_said(), -EPERM);
	T_CHECK_STR_HAS(said, "the sysctl kernel.io_uring_disabled is ");
	T_CHECK_STR_HAS(said, cure);
	T_CHECK(strstr(said, "seccomp") == NULL);
}

static void disabled_for_all(void *arg)
{
	(void)arg;
	disabled("2\n", "is 2: set it to 0\n");
}

static void disabled_for_unprivileged(void *arg)
{
	(void)arg;
	disabled("1\n", "is 1: set it to 0, or add the user to the group of "
			"kernel.io_uring_group\n");
}

static bool has_mounts(void)
{
	int status;
	pid_t pid = fork();

	T_CHECK(pid >= 0);
	if (!pid)
		_exit(!pretend_sysctl("0\n"));
	T_CHECK(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void refusal_by_sysctl_names_it(void **state)
{
	(void)state;
	/* No root, or a kernel before 6.6. */
	if (!has_mounts())
		skip();
	t_expect_exit(disabled_for_all, NULL, 0, NULL);
	t_expect_exit(disabled_for_unprivileged, NULL, 0, NULL);
}

/* ---- RLIMIT_MEMLOCK ---- */

/* What a ring locked is given back some milliseconds after its end, and counted by
 * user, as threads are: each case is a user of its own. */
static void become_somebody(void)
{
	uid_t uid = 20000 + (uid_t)getpid() % 40000;

	T_CHECK(setgid(NOBODY) == 0 && setuid(uid) == 0);
	/* /proc/self is ours again. */
	T_CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

static bool works(void *arg)
{
	(void)arg;
	return !run_entry_said() && !*said;
}

static void locks_little(void *arg)
{
	size_t size = *(const size_t *)arg;
	struct held before;
	struct rlimit r;
	int err;

	become_somebody();
	T_CHECK(getrlimit(RLIMIT_MEMLOCK, &r) == 0);
	listen_to_stderr();
	before = held_now();
	set_soft(RLIMIT_MEMLOCK, size);
	err = run_entry_said();
	printf("%s", err ? "refused" : *said ? "fewer" : "started");
	if (check_said(err)) {
		T_CHECK_INT_EQ(err, -ENOMEM);
		T_CHECK_STR_HAS(said, "RLIMIT_MEMLOCK, 'ulimit -l'");
	}
	set_soft(RLIMIT_MEMLOCK, r.rlim_cur);
	T_CHECK_INT_EQ(t_open_fds(), before.fds);
	T_WAIT_UNTIL(is_alone, NULL);
	T_WAIT_UNTIL(works, NULL);
	T_CHECK_INT_EQ(t_open_fds(), before.fds);
}

static void refusal_by_memlock_names_it_or_starts_smaller(void **state)
{
	struct rlimit r;
	char *out;

	(void)state;
	T_CHECK(getrlimit(RLIMIT_MEMLOCK, &r) == 0);
	if (geteuid() || r.rlim_cur < 1 << 20)
		skip();
	for (size_t size = 0; size <= 512 << 10;
	     size += size < 128 << 10 ? 4 << 10 : 32 << 10) {
		out = t_expect_output(locks_little, &size, 0);
		/* Whether rings are charged at all depends on the kernel. */
		if (size == 512 << 10)
			T_CHECK_STR_EQ(out, "started");
		free(out);
	}
}

/* ---- RLIMIT_NOFILE ---- */

static void check_few_files(int (*start)(void), int *refused, int *fewer)
{
	struct rlimit r;
	struct held before;

	T_CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
	check_works();
	before = held_now();
	for (rlim_t n = 3; n <= 40; n++) {
		int err;

		set_soft(RLIMIT_NOFILE, n);
		err = start();
		set_soft(RLIMIT_NOFILE, r.rlim_cur);
		if (check_said(err)) {
			T_CHECK_INT_EQ(err, -EMFILE);
			T_CHECK_STR_HAS(said, "RLIMIT_NOFILE, 'ulimit -n'");
			++*refused;
		} else if (*said) {
			T_CHECK_STR_HAS(said, rg_strerror(-EMFILE));
			++*fewer;
		}
		check_held(&before);
		check_works();
		check_held(&before);
	}
}

static void opens_few_files(void *arg)
{
	int refused = 0, fewer = 0;

	(void)arg;
	listen_to_stderr();
	check_few_files(run_entry_said, &refused, &fewer);
	check_few_files(beside_said, &refused, &fewer);
	/* Each worker needs two descriptors. */
	T_CHECK_INT_GE(refused, 4);
	T_CHECK_INT_GE(fewer, 2 * (WORKERS - 1));
}

static void refusal_by_nofile_names_it_or_starts_fewer_workers(void **state)
{
	(void)state;
	t_expect_exit(opens_few_files, NULL, 0, NULL);
}

static int lowest_free_fd(void)
{
	int fd = dup(STDIN_FILENO);

	T_CHECK(fd >= 0);
	close(fd);
	return fd;
}

/* With one descriptor there is room for the probe, not for a ring and its eventfd.
 * Threads that could not start are joined: their stacks do not pile up. */
static void fails_often(void *arg)
{
	size_t maps;

	(void)arg;
	listen_to_stderr();
	check_works();
	T_CHECK_INT_EQ(beside_said(), 0);
	maps = t_maps();
	for (int i = 0; i < 200; i++) {
		struct rlimit r;

		T_CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
		set_soft(RLIMIT_NOFILE, (rlim_t)lowest_free_fd() + 1);
		T_CHECK_INT_EQ(beside_said(), -EMFILE);
		set_soft(RLIMIT_NOFILE, r.rlim_cur);
	}
	T_CHECK_INT_LE(t_maps(), maps + 100);
}

static void refusal_again_and_again_leaves_no_mapping(void **state)
{
	(void)state;
	t_expect_exit(fails_often, NULL, 0, NULL);
}

/* ---- RLIMIT_AS ---- */

struct little {
	int (*start)(void);
	size_t more; /* bytes beyond what is mapped */
};

static void maps_little(void *arg)
{
	const struct little *l = arg;
	int err, fds;

	listen_to_stderr();
	fds = t_open_fds();
	set_soft(RLIMIT_AS, t_status_kb("VmSize") * 1024 + l->more);
	err = l->start();
	set_soft(RLIMIT_AS, RLIM_INFINITY);
	if (check_said(err)) {
		T_CHECK(err == -ENOMEM || err == -EAGAIN);
		/* The last thing that was to be had was a small one. */
		if (err == -EAGAIN)
			T_CHECK_STR_HAS(said, "RLIMIT_AS, 'ulimit -v'");
	}
	printf("%s", err ? "refused" : *said ? "fewer" : "started");
	T_CHECK_INT_EQ(t_open_fds(), fds);
	T_WAIT_UNTIL(is_alone, NULL);
	check_works();
	T_CHECK_INT_EQ(t_open_fds(), fds);
}

static bool is_refused(const struct little *l)
{
	char *out = t_expect_output(maps_little, (void *)(uintptr_t)l, 0);
	bool yes = !strcmp(out, "refused");

	T_CHECK(yes || !strcmp(out, "started") || !strcmp(out, "fewer"));
	free(out);
	return yes;
}

/* 8 MiB steps are one thread's stack; small ones end inside of a ring, an alternate
 * stack, the first stacks of goroutines. */
static void refusal_by_address_space_is_clean_at_each_step(void **state)
{
	int refused = 0;

	(void)state;
	if (RG_ASAN || RG_TSAN) /* their shadows need terabytes */
		skip();
	for (size_t more = 0; more <= (size_t)80 << 20;) {
		refused += is_refused(&(struct little){run_nothing_said, more});
		refused += is_refused(&(struct little){beside_said, more});
		more += more < (size_t)1 << 20 ? 64 << 10 : 1 << 20;
	}
	T_CHECK_INT_GE(refused, 10);
}

/* ---- RLIMIT_NPROC ---- */

/* Main thread, three workers, sysmon; a helper of the epoll engine's. */
static void has_few_threads(void *arg)
{
	const rlim_t enough = WORKERS + (t_is_epoll() ? 1 : 0);
	struct held before;

	(void)arg;
	become_somebody();
	listen_to_stderr();
	before = held_now();
	for (rlim_t n = 1; n <= enough + 1; n++) {
		struct rlimit r;
		int err;

		T_CHECK(getrlimit(RLIMIT_NPROC, &r) == 0);
		set_soft(RLIMIT_NPROC, n);
		err = run_nothing_said();
		T_CHECK_INT_EQ(err, n > enough ? 0 : -EAGAIN);
		if (check_said(err))
			T_CHECK_STR_HAS(said, "RLIMIT_NPROC, 'ulimit -u'");
		set_soft(RLIMIT_NPROC, r.rlim_cur);
		check_held(&before);
	}
	check_works();
	check_held(&before);
}

static void refusal_for_want_of_threads_names_it(void **state)
{
	(void)state;
	if (geteuid() || RG_TSAN) /* it has one of its own */
		skip();
	t_expect_exit(has_few_threads, NULL, 0, NULL);
}

/* ---- memory ---- */

static void lacks_one_block(void *arg)
{
	struct held before;
	int refused = 0;

	(void)arg;
	listen_to_stderr();
	check_works();
	before = held_now();
	for (int64_t n = 0; n <= 40; n++) {
		int err;

		alloc_fail_after(n);
		err = run_nothing_said();
		alloc_fail_after(-1);
		if (check_said(err)) {
			T_CHECK_INT_EQ(err, -ENOMEM);
			refused++;
		}
		check_held(&before);
		check_works();
		check_held(&before);
	}
	/* A P and an M each, the name of the main goroutine. */
	T_CHECK_INT_GE(refused, 2 * WORKERS + 1);
	T_CHECK_INT_LT(refused, 40);
}

static void refusal_for_want_of_any_block_is_clean(void **state)
{
	(void)state;
	t_expect_exit(lacks_one_block, NULL, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusal_by_seccomp_names_it),
		cmocka_unit_test(engine_is_epoll_where_io_uring_is_refused),
		cmocka_unit_test(engine_that_is_asked_for_is_taken_silently),
		cmocka_unit_test(engine_of_another_name_is_refused),
		cmocka_unit_test(refusal_by_sysctl_names_it),
		cmocka_unit_test(refusal_by_memlock_names_it_or_starts_smaller),
		cmocka_unit_test(
			refusal_by_nofile_names_it_or_starts_fewer_workers),
		cmocka_unit_test(refusal_again_and_again_leaves_no_mapping),
		cmocka_unit_test(
			refusal_by_address_space_is_clean_at_each_step),
		cmocka_unit_test(refusal_for_want_of_threads_names_it),
		cmocka_unit_test(refusal_for_want_of_any_block_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
