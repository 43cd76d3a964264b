// SPDX-License-Identifier: MIT
/*
 * cpus - see cpus.h. Reads /proc/self/cgroup once at start: 0::/path is version 2,
 * N:cpu,...:/path version 1. A file that cannot be read means no limit.
 */
#include "kernel-iface/cpus.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_LEN = 512, FILE_LEN = 1024 };

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
	return (int)((quota + period - 1) / period);
}

static int group_quota(const char *dir, int version)
{
	char path[PATH_LEN + 64], text[64];
	long long quota, period;

	if (version == 2) {
		snprintf(path, sizeof path, "%s/cpu.max", dir);
		if (!read_file(path, text, sizeof text) ||
		    sscanf(text, "%lld %lld", &quota, &period) != 2)
			return 0; /* "max 100000" has no number first */
		return in_cpus(quota, period);
	}
	snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
	if (!read_file(path, text, sizeof text))
		return 0;
	quota = strtoll(text, NULL, 10);
	snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
	if (!read_file(path, text, sizeof text))
		return 0;
	return in_cpus(quota, strtoll(text, NULL, 10));
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

	if (!read_file("/proc/self/cgroup", text, sizeof text))
		return 0;
	while ((line = strsep(&rest, "\n"))) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		if (path == list + 1)
			return cpus_quota("/sys/fs/cgroup", path + 1, 2);
		if (names_cpu(list + 1, (size_t)(path - list - 1)))
			return cpus_quota("/sys/fs/cgroup/cpu", path + 1, 1);
	}
	return 0;
}

int cpus_usable(void)
{
	int n = cpus_affinity();
	int limit = cgroup_limit();

	return limit && limit < n ? limit : n;
}
