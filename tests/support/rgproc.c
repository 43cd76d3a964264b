// SPDX-License-Identifier: MIT
/*
 * rgproc - the test's own process, read from /proc/self.
 *
 * Plain blocking calls: on a goroutine they block its M for microseconds, which
 * no test minds.
 */
#include "tests/support/rgproc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ringgo/runtime.h>
#include "tests/support/rgtest.h"

int64_t t_now_ns(void)
{
	struct timespec ts;

	T_CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int count_entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	T_CHECK(d != NULL);
	for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (e->d_name[0] != '.')
			n++;
	}
	closedir(d);
	return n;
}

/* Of a runtime's own kinds: an M that joins late, because another was blocked for a
 * while, brings a ring and an eventfd; sysmon looks at threads and at the cgroup. */
static bool is_of_runtime(const char *kind)
{
	return strncmp(kind, "/proc/", 6) == 0 ||
	       strncmp(kind, "/sys/fs/cgroup/", 15) == 0 ||
	       strcmp(kind, "anon_inode:[io_uring]") == 0 ||
	       strcmp(kind, "anon_inode:[eventfd]") == 0 ||
	       strcmp(kind, "anon_inode:[eventpoll]") == 0;
}

int t_open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	bool is_goroutine = rg_goid() != 0;
	char kind[64];
	int n = 0;

	T_CHECK(d != NULL);
	for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
		ssize_t len;

		if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(d))
			continue;
		len = readlinkat(dirfd(d), e->d_name, kind, sizeof kind - 1);
		if (len <= 0)
			continue; /* closed since the folder was read */
		kind[len] = '\0';
		n += !is_goroutine || !is_of_runtime(kind);
	}
	closedir(d);
	return n;
}

/* Whether the descriptor, an entry of the folder d, is one that t_program_fds counts. */
static bool is_programs(DIR *d, const char *number)
{
	static const char *const runtimes[] = {
		"/proc/", "/sys/fs/cgroup/", "anon_inode:[io_uring]",
		"anon_inode:[eventpoll]", "anon_inode:[eventfd]"};
	char to[64] = "";
	/* None: closed since the folder was read. */
	bool is_open = readlinkat(dirfd(d), number, to, sizeof(to) - 1) > 0;

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		if (strncmp(to, runtimes[i], strlen(runtimes[i])) == 0)
			return false;
	}
	return is_open;
}

int t_program_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	T_CHECK(d != NULL);
	for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
		if (e->d_name[0] != '.')
			n += is_programs(d, e->d_name);
	}
	closedir(d);
	return n;
}

int t_threads(void)
{
	return count_entries("/proc/self/task");
}

size_t t_status_kb(const char *name)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t len = strlen(name);
	bool found = false;
	unsigned long kb = 0;
	char line[256];

	T_CHECK(f != NULL);
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			kb = strtoul(line + len + 1, NULL, 10);
			found = true;
		}
	}
	fclose(f);
	if (!found)
		T_FAIL("no line %s in /proc/self/status", name);
	return kb;
}

size_t t_rss(void)
{
	return t_status_kb("VmRSS") * 1024;
}

size_t t_page_tables(void)
{
	return t_status_kb("VmPTE") * 1024;
}

size_t t_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	size_t n = 0;
	int c;

	T_CHECK(f != NULL);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}
