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
static enum probe_engine engine;
static int refusal;

#define PROBE_NAME(id, name, text, version) name,
static const char *const names[] = {PROBE_FEATURES(PROBE_NAME)};
#define PROBE_VERSION(id, name, text, version) version,
static const char *const versions[] = {PROBE_FEATURES(PROBE_VERSION)};

enum probe_engine probe_engine(void)
{
	return engine;
}

int probe_refusal(void)
{
	return refusal;
}

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

static bool is_there(const struct io_uring_probe *p, int opcode)
{
	return io_uring_opcode_supported(p, opcode);
}

/* 0, or a negative errno: the oldest operations that the library cannot do without are
 * those of Linux 5.15. */
static int probe_opcodes(int fd)
{
	/* As many opcodes as there can be: the kernel fills what it knows. */
	enum { OPS = 128 };
	uint64_t room[(sizeof(struct io_uring_probe) +
		       OPS * sizeof(struct io_uring_probe_op)) /
		      sizeof(uint64_t)] = {0};
	struct io_uring_probe *p = (struct io_uring_probe *)(void *)room;
	int err =
		io_uring_register((unsigned)fd, IORING_REGISTER_PROBE, p, OPS);

	if (err < 0)
		return err == -EINVAL ? -EOPNOTSUPP : err;
	if (!is_there(p, IORING_OP_LINKAT))
		return -EOPNOTSUPP;
	table[PROBE_MULTISHOT_ACCEPT] = is_there(p, IORING_OP_SOCKET);
	table[PROBE_BUF_RING] = table[PROBE_MULTISHOT_ACCEPT];
	table[PROBE_SEND_ZC] = is_there(p, IORING_OP_SEND_ZC);
	table[PROBE_MULTISHOT_RECV] = table[PROBE_SEND_ZC];
	table[PROBE_MSG_RING] = is_there(p, IORING_OP_MSG_RING);
	table[PROBE_WAITID] = is_there(p, RGK_OP_WAITID);
	table[PROBE_FUTEX] = is_there(p, RGK_OP_FUTEX_WAIT);
	table[PROBE_FTRUNCATE] = is_there(p, RGK_OP_FTRUNCATE);
	return 0;
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
	char line[160];
	int n = snprintf(line, sizeof line, "ringgo: %s '%.*s'\n", text,
			 (int)(len > 40 ? 40 : len), name);

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
	warn("RINGGO_URING: unknown feature", name, len);
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
		warn("RINGGO_URING: expected off:NAME,... or on:defer, got", s,
		     strlen(s));
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

static int probe_uring(void)
{
	const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG |
				IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL;
	struct io_uring_params params = {0};
	int fd = io_uring_setup(4, &params), err;

	if (fd < 0)
		return fd;
	/* A filter may know one of the system calls and not the others. */
	err = io_uring_enter((unsigned)fd, 0, 0, 0, NULL);
	if (err >= 0)
		err = (params.features & needed) == needed ? probe_opcodes(fd)
							   : -EOPNOTSUPP;
	close(fd);
	if (!err)
		probe_setup_flags();
	return err;
}

/* Such a refusal does not pass, and no other program's end cures it. */
static bool is_for_good(int err)
{
	return err == -ENOSYS || err == -EPERM || err == -EACCES ||
	       err == -EOPNOTSUPP;
}

enum choice { CHOICE_AUTO, CHOICE_URING, CHOICE_EPOLL, CHOICE_UNKNOWN };

static enum choice choice_of_environment(void)
{
	const char *s = getenv("RINGGO_ENGINE");

	if (!s || !*s)
		return CHOICE_AUTO;
	if (!strcmp(s, "io_uring"))
		return CHOICE_URING;
	if (!strcmp(s, "epoll"))
		return CHOICE_EPOLL;
	warn("cannot start: RINGGO_ENGINE: expected io_uring or epoll, got", s,
	     strlen(s));
	return CHOICE_UNKNOWN;
}

int probe_init(void)
{
	enum choice choice = choice_of_environment();
	int err = 0;

	memset(table, 0, sizeof table);
	engine = PROBE_URING;
	refusal = 0;
	if (choice == CHOICE_UNKNOWN)
		return -EINVAL;
	table[PROBE_GUARD] = try_guard();
	table[PROBE_NOWAIT] = true;
	if (choice != CHOICE_EPOLL)
		err = probe_uring();
	if (choice == CHOICE_EPOLL ||
	    (choice == CHOICE_AUTO && is_for_good(err))) {
		engine = PROBE_EPOLL;
		refusal = err;
		err = 0;
	}
	apply_environment();
	return err;
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
	} else if (err == -EOPNOTSUPP) {
		snprintf(
			buf, n,
			"the kernel's io_uring is too old, or a seccomp filter "
			"forbids io_uring_register: Linux 6.1 or newer is "
			"needed");
	} else if (err == -ENOMEM && engine == PROBE_EPOLL) {
		snprintf(buf, n, "out of memory");
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
