// SPDX-License-Identifier: MIT
/*
 * probe - see probe.h.
 *
 * Opcodes are asked for with IORING_REGISTER_PROBE, set-up flags by trying them,
 * what has no probe (multishot, buffer rings) by an opcode of the same kernel.
 */
#include "kernel-iface/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel-iface/opcodes.h"

static bool table[PROBE_COUNT];

#define PROBE_NAME(id, name, text, version) name,
static const char *const names[] = {PROBE_FEATURES(PROBE_NAME)};
#define PROBE_VERSION(id, name, text, version) version,
static const char *const versions[] = {PROBE_FEATURES(PROBE_VERSION)};

bool probe_has(enum probe_feature f)
{
	return table[f];
}

void probe_lose(enum probe_feature f)
{
	table[f] = false;
}

const char *probe_name(enum probe_feature f)
{
	return names[f];
}

const char *probe_version(enum probe_feature f)
{
	return versions[f];
}

/* The kernel takes these set-up flags. */
static bool try_flags(unsigned flags)
{
	struct io_uring_params params = {.flags = flags};
	int fd = io_uring_setup(4, &params);

	/* Only EINVAL says no: without locked memory or descriptors a flag
	 * is not lost for ever. */
	if (fd < 0)
		return fd != -EINVAL;
	close(fd);
	return true;
}

static bool try_guard(void)
{
	enum { ADV_GUARD_INSTALL = 102 };
	long page = sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, (size_t)page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool works;

	if (p == MAP_FAILED)
		return false;
	works = !madvise(p, (size_t)page, ADV_GUARD_INSTALL);
	munmap(p, (size_t)page);
	return works;
}

static void probe_opcodes(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool is_519, is_60;

	if (!probe)
		return;
	is_519 = io_uring_opcode_supported(probe, IORING_OP_SOCKET);
	is_60 = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
	table[PROBE_MULTISHOT_ACCEPT] = is_519;
	table[PROBE_BUF_RING] = is_519;
	table[PROBE_MULTISHOT_RECV] = is_60;
	table[PROBE_SEND_ZC] = is_60;
	table[PROBE_MSG_RING] =
		io_uring_opcode_supported(probe, IORING_OP_MSG_RING);
	table[PROBE_WAITID] = io_uring_opcode_supported(probe, RGK_OP_WAITID);
	table[PROBE_FUTEX] =
		io_uring_opcode_supported(probe, RGK_OP_FUTEX_WAIT);
	table[PROBE_FTRUNCATE] =
		io_uring_opcode_supported(probe, RGK_OP_FTRUNCATE);
	io_uring_free_probe(probe);
}

static void probe_setup_flags(void)
{
	table[PROBE_SUBMIT_ALL] = try_flags(IORING_SETUP_SUBMIT_ALL);
	table[PROBE_RING_FD] = table[PROBE_SUBMIT_ALL];
	table[PROBE_COOP_TASKRUN] = try_flags(IORING_SETUP_COOP_TASKRUN |
					      IORING_SETUP_TASKRUN_FLAG);
	table[PROBE_SINGLE_ISSUER] = try_flags(IORING_SETUP_SINGLE_ISSUER);
	table[PROBE_DEFER_TASKRUN] = try_flags(IORING_SETUP_SINGLE_ISSUER |
					       IORING_SETUP_DEFER_TASKRUN);
}

static void warn(const char *text, const char *name, size_t len)
{
	char line[128];
	int n = snprintf(line, sizeof line, "ringgo: RINGGO_URING: %s '%.*s'\n",
			 text, (int)(len > 40 ? 40 : len), name);

	/* Nobody to tell when stderr does not take it. */
	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

static void switch_off(const char *name, size_t len)
{
	for (int f = 0; f < PROBE_COUNT; f++) {
		if (strlen(names[f]) == len && !memcmp(names[f], name, len)) {
			table[f] = false;
			return;
		}
	}
	warn("unknown feature", name, len);
}

/* "off:name,name": also "off:all" for the oldest kernel that is supported. "on:defer"
 * is the one feature that is there and not used by default (ring.c says why). */
static void apply_environment(void)
{
	const char *s = getenv("RINGGO_URING");
	bool has_defer = table[PROBE_DEFER_TASKRUN];

	table[PROBE_DEFER_TASKRUN] = false;
	if (!s || !*s)
		return;
	if (!strcmp(s, "on:defer")) {
		table[PROBE_DEFER_TASKRUN] = has_defer;
		return;
	}
	if (strncmp(s, "off:", 4)) {
		warn("expected off:NAME,... or on:defer, got", s, strlen(s));
		return;
	}
	for (s += 4; *s;) {
		size_t len = strcspn(s, ",");

		if (len == 3 && !memcmp(s, "all", 3))
			memset(table, 0, sizeof table);
		else if (len)
			switch_off(s, len);
		s += len;
		s += *s == ',';
	}
}

int probe_init(void)
{
	struct io_uring_params params = {0};
	int fd = io_uring_setup(4, &params);

	memset(table, 0, sizeof table);
	table[PROBE_GUARD] = try_guard();
	if (fd >= 0) {
		close(fd);
		probe_opcodes();
		probe_setup_flags();
	}
	apply_environment();
	return fd < 0 ? fd : 0;
}

static long read_number(const char *path)
{
	char text[32];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	return strtol(text, NULL, 10);
}

void probe_explain(int err, char *buf, unsigned n)
{
	long disabled;

	if (err == -ENOSYS) {
		snprintf(
			buf, n,
			"this kernel has no io_uring (CONFIG_IO_URING is off, "
			"or a sandbox hides it): Linux 6.1 or newer is needed");
	} else if (err == -EPERM || err == -EACCES) {
		disabled = read_number("/proc/sys/kernel/io_uring_disabled");
		if (disabled > 0)
			snprintf(buf, n,
				 "the sysctl kernel.io_uring_disabled is %ld: "
				 "set it to 0%s",
				 disabled,
				 disabled == 1
					 ? ", or add the user to the group of "
					   "kernel.io_uring_group"
					 : "");
		else
			snprintf(buf, n,
				 "a seccomp filter forbids io_uring_setup, as "
				 "Docker's and containerd's default profiles "
				 "do: run the container with a profile that "
				 "allows io_uring_setup, io_uring_enter and "
				 "io_uring_register");
	} else if (err == -ENOMEM) {
		snprintf(buf, n,
			 "the locked-memory limit is used up (RLIMIT_MEMLOCK, "
			 "'ulimit -l', shared by all processes of the user): "
			 "raise it");
	} else if (err == -EMFILE || err == -ENFILE) {
		snprintf(buf, n,
			 "no file descriptor is left (RLIMIT_NOFILE, "
			 "'ulimit -n')");
	} else {
		snprintf(buf, n, "%s", strerror(-err));
	}
}
