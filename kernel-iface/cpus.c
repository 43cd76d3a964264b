// SPDX-License-Identifier: MIT
/*
 * cpus - see cpus.h. In /proc/self/cgroup 0::/path is version 2, N:cpu,...:/path version
 * 1. A file that cannot be read means no limit.
 */
#include "kernel-iface/cpus.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { PATH_LEN = 512, FILE_LEN = 1024 };

struct cpus_source cpus_source = {.self = "/proc/self/cgroup",
				  .mount_1 = "/sys/fs/cgroup/cpu",
				  .mount_2 = "/sys/fs/cgroup",
				  .affinity = cpus_affinity};

int cpus_affinity(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof set, &set))
		return (int)sysconf(_SC_NPROCESSORS_ONLN);
	n = CPU_COUNT(&set);
	return n > 0 ? n : 1;
}

static bool read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	buf[len] = 0;
	return len > 0;
}

static int in_cpus(long long quota, long long period)
{
	if (quota <= 0 || period <= 0)
		return 0;
	quota = (quota + period - 1) / period;
	return quota < INT32_MAX ? (int)quota : INT32_MAX;
}

/* The decimal number at *at, which moves behind it and blanks; -1: none, "max", too
 * large to be a limit, or negative (none in version 1). */
static long long take_number(const char **at)
{
	long long n = 0;

	if (**at < '0' || **at > '9')
		return -1;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		if (n > INT32_MAX * 1000LL)
			return -1;
		n = n * 10 + (**at - '0');
	}
	while (**at == ' ')
		++*at;
	return n;
}

/* dir/name; false: it cannot be read. */
static bool read_in(const char *dir, const char *name, char *buf, size_t size)
{
	char path[PATH_LEN + 64];
	size_t len = strlen(dir), name_len = strlen(name);

	if (len + name_len + 2 > sizeof path)
		return false;
	memcpy(path, dir, len);
	path[len] = '/';
	memcpy(path + len + 1, name, name_len + 1);
	return read_file(path, buf, size);
}

static int group_quota(const char *dir, int version)
{
	char text[64], period_text[64];
	const char *at = text, *period_at = period_text;
	long long quota;

	if (version == 2) {
		/* "max 100000" has no number first. */
		if (!read_in(dir, "cpu.max", text, sizeof text))
			return 0;
		quota = take_number(&at);
		return in_cpus(quota, take_number(&at));
	}
	if (!read_in(dir, "cpu.cfs_quota_us", text, sizeof text) ||
	    !read_in(dir, "cpu.cfs_period_us", period_text, sizeof period_text))
		return 0;
	return in_cpus(take_number(&at), take_number(&period_at));
}

/* The smallest limit on the way from the group up to the mount. */
int cpus_quota(const char *mount, const char *path, int version)
{
	char dir[PATH_LEN];
	size_t root = strlen(mount);
	int least = 0;

	if (root + strlen(path) >= sizeof dir)
		return 0;
	memcpy(dir, mount, root);
	strcpy(dir + root, path); /* fits: checked above */
	for (;;) {
		int quota = group_quota(dir, version);
		char *slash;

		if (quota && (!least || quota < least))
			least = quota;
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < root)
			return least;
		*slash = 0;
	}
}

/* "cpu" among the comma-separated controllers of a version 1 line. */
static bool names_cpu(const char *list, size_t len)
{
	while (len) {
		size_t n = 0;

		while (n < len && list[n] != ',')
			n++;
		if (n == 3 && !memcmp(list, "cpu", 3))
			return true;
		list += n < len ? n + 1 : n;
		len -= n < len ? n + 1 : n;
	}
	return false;
}

static int cgroup_limit(void)
{
	char text[FILE_LEN];
	char *line, *rest = text;

	if (!read_file(cpus_source.self, text, sizeof text))
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		if (path == list + 1)
			return cpus_quota(cpus_source.mount_2, path + 1, 2);
		if (names_cpu(list + 1, (size_t)(path - list - 1)))
			return cpus_quota(cpus_source.mount_1, path + 1, 1);
	}
	return 0;
}

int cpus_usable(void)
{
	int n = cpus_source.affinity();
	int limit = cgroup_limit();

	return limit && limit < n ? limit : n;
}

int cpus_procs(void)
{
	int n = cpus_source.affinity();
	int limit = cgroup_limit();

	if (limit == 1)
		limit = 2;
	return limit && limit < n ? limit : n;
}
