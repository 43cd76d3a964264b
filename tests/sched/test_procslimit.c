// SPDX-License-Identifier: MIT
/*
 * procslimit - procslimit.h I1 to I3, against cgroup files and a number of CPUs of the
 * test's own, and against the real affinity mask.
 */
#include "tests/support/rgtest.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-iface/cpus.h"
#include "sched/procslimit.h"

static char root[] = "/tmp/ringgo-limit-XXXXXX";
static char self_path[64], mount_path[64];
static struct cpus_source real_source;
static _Atomic int ncpus;

static int fake_affinity(void)
{
	return ncpus;
}

/* As the kernel: what is read is the old text or the new one. */
static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128], fresh[140];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	f = fopen(fresh, "w");
	T_CHECK(f != NULL);
	fputs(text, f);
	T_CHECK(!fclose(f));
	T_CHECK(!rename(fresh, path));
}

static int make_root(void **state)
{
	(void)state;
	real_source = cpus_source;
	if (!mkdtemp(root))
		return -1;
	snprintf(self_path, sizeof self_path, "%s/self", root);
	snprintf(mount_path, sizeof mount_path, "%s/group", root);
	procslimit_set_interval(RG_MILLISECOND);
	return mkdir(mount_path, 0700);
}

static int remove_root(void **state)
{
	char command[96];

	(void)state;
	cpus_source = real_source;
	procslimit_set_interval(RG_SECOND);
	snprintf(command, sizeof command, "rm -r '%s'", root);
	return system(command);
}

static void use_version(int version, int cpus)
{
	ncpus = cpus;
	cpus_source = (struct cpus_source){.self = self_path,
					   .mount_1 = mount_path,
					   .mount_2 = mount_path,
					   .affinity = fake_affinity};
	write_file(root, "self",
		   version == 2 ? "0::/\n" : "7:memory:/\n3:cpu,cpuacct:/\n");
	write_file(mount_path, "cpu.max", "max 100000\n");
	write_file(mount_path, "cpu.cfs_quota_us", "-1\n");
	write_file(mount_path, "cpu.cfs_period_us", "100000\n");
}

static bool procs_are(void *arg)
{
	return rg_gomaxprocs(0) == *(int *)arg;
}

static void expect(int n)
{
	T_WAIT_UNTIL(procs_are, &n);
}

static void *bigger(void *arg)
{
	++*(int64_t *)arg;
	return arg;
}

/* Runs on, whatever the number is. */
static void check_alive(void)
{
	int64_t n = 0;

	for (int i = 0; i < 3; i++) {
		rg_yield();
		rg_blocking(bigger, &n);
	}
	T_CHECK_INT_EQ(n, 3);
}

/* ---- the cgroup ---- */

static void follows_2(void *arg)
{
	(void)arg;
	expect(6);
	write_file(mount_path, "cpu.max", "250000 100000\n");
	expect(3);
	check_alive();
	write_file(mount_path, "cpu.max", "50000 100000\n");
	expect(2); /* not below */
	check_alive();
	write_file(mount_path, "cpu.max", "400000 100000\n");
	expect(4);
	check_alive();
	write_file(mount_path, "cpu.max", "9900000 100000\n");
	expect(6);
	write_file(mount_path, "cpu.max", "max 100000\n");
	ncpus = 5;
	expect(5);
	ncpus = 1;
	expect(1);
	check_alive();
}

static void follows_1(void *arg)
{
	(void)arg;
	expect(6);
	write_file(mount_path, "cpu.cfs_quota_us", "300000\n");
	expect(3);
	write_file(mount_path, "cpu.cfs_period_us", "75000\n");
	expect(4);
	write_file(mount_path, "cpu.cfs_quota_us", "-1\n");
	expect(6);
	check_alive();
}

static void procslimit_cgroup_limit_is_followed(void **state)
{
	(void)state;
	use_version(2, 6);
	t_run_with(0, follows_2, NULL);
	use_version(1, 6);
	t_run_with(0, follows_1, NULL);
}

static void starts_with_three(void *arg)
{
	(void)arg;
	T_CHECK_INT_EQ(rg_gomaxprocs(0), 3);
}

static void procslimit_start_heeds_the_limit(void **state)
{
	(void)state;
	use_version(2, 6);
	write_file(mount_path, "cpu.max", "201000 100000\n");
	t_run_with(0, starts_with_three, NULL);
}

/* ---- a number that was given ---- */

static bool has_looked(void *arg)
{
	return procslimit_looks() >= *(int64_t *)arg;
}

static void sets_it(void *arg)
{
	int64_t before = 3, after;

	(void)arg;
	T_WAIT_UNTIL(has_looked, &before);
	T_CHECK_INT_EQ(rg_gomaxprocs(4), 6);
	after = procslimit_looks();
	write_file(mount_path, "cpu.max", "200000 100000\n");
	rg_sleep(20 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_gomaxprocs(0), 4);
	T_CHECK_INT_LE(procslimit_looks(), after + 1);
}

static void keeps_five(void *arg)
{
	(void)arg;
	write_file(mount_path, "cpu.max", "200000 100000\n");
	rg_sleep(20 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_gomaxprocs(0), 5);
	T_CHECK_INT_EQ(procslimit_looks(), 0);
}

static void procslimit_number_that_was_given_stays(void **state)
{
	(void)state;
	use_version(2, 6);
	t_run_with(0, sets_it, NULL);
	use_version(2, 6);
	t_run_with(5, keeps_five, NULL);
	use_version(2, 6);
	setenv("RINGGO_MAXPROCS", "5", 1);
	t_run_with(0, keeps_five, NULL);
	unsetenv("RINGGO_MAXPROCS");
}

/* ---- the affinity mask ---- */

/* As taskset -a does; how many CPUs there were. */
static int set_mask_of_all(const cpu_set_t *mask)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;

	T_CHECK(d != NULL);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)sched_setaffinity(atoi(e->d_name), sizeof *mask,
						mask);
	closedir(d);
	return CPU_COUNT(mask);
}

static cpu_set_t all_cpus, one_cpu;

static void follows_mask(void *arg)
{
	int all = *(int *)arg;

	expect(all);
	set_mask_of_all(&one_cpu);
	expect(1);
	check_alive();
	set_mask_of_all(&all_cpus);
	expect(all);
	/* I3 */
	rg_lock_os_thread();
	T_CHECK(!sched_setaffinity(0, sizeof one_cpu, &one_cpu));
	rg_sleep(20 * RG_MILLISECOND);
	T_CHECK_INT_EQ(rg_gomaxprocs(0), all);
	T_CHECK(!sched_setaffinity(0, sizeof all_cpus, &all_cpus));
	rg_unlock_os_thread();
}

static void procslimit_affinity_mask_is_followed(void **state)
{
	int all;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof all_cpus, &all_cpus), 0);
	all = CPU_COUNT(&all_cpus);
	if (all < 2)
		skip();
	for (int i = 0; !CPU_COUNT(&one_cpu); i++)
		if (CPU_ISSET(i, &all_cpus))
			CPU_SET(i, &one_cpu);
	use_version(2, all);
	cpus_source.affinity = real_source.affinity;
	t_run_with(0, follows_mask, &all);
}

/* ---- idle ---- */

static void sleeps_long(void *arg)
{
	int64_t before;

	(void)arg;
	rg_sleep(200 * RG_MILLISECOND); /* sysmon goes to sleep, too */
	before = procslimit_looks();
	rg_sleep(500 * RG_MILLISECOND);
	*(int64_t *)arg = procslimit_looks() - before;
}

static void procslimit_idle_process_is_not_woken(void **state)
{
	int64_t looks = -1;

	(void)state;
	use_version(2, 2);
	t_run_with(0, sleeps_long, &looks);
	/* About 30 rounds when a thread wakes; not 500. */
	assert_in_range(looks, 0, 250);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(procslimit_cgroup_limit_is_followed),
		cmocka_unit_test(procslimit_start_heeds_the_limit),
		cmocka_unit_test(procslimit_number_that_was_given_stays),
		cmocka_unit_test(procslimit_affinity_mask_is_followed),
		cmocka_unit_test(procslimit_idle_process_is_not_woken),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
