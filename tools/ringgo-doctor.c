// SPDX-License-Identifier: MIT
/*
 * ringgo-doctor - what libringgo finds on this machine, what it makes of it, and what to
 * change.
 *
 *	ringgo-doctor [--json]
 *
 * Exit code: 0 all is well, 1 something is to be changed, 2 a program would not start,
 * 64 wrong usage. Environment variables of the library (RINGGO_ENGINE, RINGGO_URING,
 * RINGGO_MAXPROCS, RINGGO_DEBUG) count, as for any program: call it where the program
 * runs, in its container, under its user and limits.
 *
 *   I1  what the library decides is asked of the library (probe.h, cpus.h, a runtime that is
 *       started here), never decided here again.
 *   I2  each finding that is not "ok" says in one line what to change.
 * Linked with the library's inside, so it is as old as the library beside it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <ringgo.h>

#include "kernel-iface/cpus.h"
#include "kernel-iface/probe.h"
#include "sched/interrupt.h"
#include "sched/m.h"
#include "sched/sched.h"

/* ---- findings -------------------------------------------------------------- */

enum verdict { OK, CHANGE, BROKEN };

struct finding {
	enum verdict verdict;
	const char *section; /* constant */
	char name[40];
	char value[200];
	char advice[320]; /* empty: none */
};

enum { FINDINGS_MAX = 80 };
static struct finding findings[FINDINGS_MAX];
static int nfindings;

__attribute__((format(printf, 3, 4))) static struct finding *
found(const char *section, const char *name, const char *fmt, ...)
{
	struct finding *f = &findings[nfindings];
	va_list ap;

	if (nfindings == FINDINGS_MAX - 1) {
		fprintf(stderr, "ringgo-doctor: more findings than room\n");
		exit(70);
	}
	nfindings++;
	f->section = section;
	snprintf(f->name, sizeof f->name, "%s", name);
	va_start(ap, fmt);
	vsnprintf(f->value, sizeof f->value, fmt, ap);
	va_end(ap);
	return f;
}

__attribute__((format(printf, 3, 4))) static void
advise(struct finding *f, enum verdict verdict, const char *fmt, ...)
{
	va_list ap;

	f->verdict = verdict;
	va_start(ap, fmt);
	vsnprintf(f->advice, sizeof f->advice, fmt, ap);
	va_end(ap);
}

static enum verdict worst(void)
{
	enum verdict v = OK;

	for (int i = 0; i < nfindings; i++)
		if (findings[i].verdict > v)
			v = findings[i].verdict;
	return v;
}

/* ---- small files ------------------------------------------------------------- */

/* The first line of a file, without its end; false: it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool is_read = f && fgets(line, (int)size, f);

	if (f)
		fclose(f);
	if (!is_read)
		return false;
	line[strcspn(line, "\n")] = 0;
	return true;
}

/* -1: it cannot be read, or is no number. */
static int64_t read_number(const char *path)
{
	char line[64], *end;
	int64_t n;

	if (!read_line(path, line, sizeof line))
		return -1;
	n = strtoll(line, &end, 10);
	return end == line ? -1 : n;
}

/* The field "KEY:\tVALUE" of /proc/self/status. */
static bool read_status(const char *key, char *value, size_t size)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t len = strlen(key);
	bool is_found = false;
	char line[256];

	if (!f)
		return false;
	while (!is_found && fgets(line, sizeof line, f)) {
		is_found = !strncmp(line, key, len) && line[len] == ':';
		if (is_found)
			snprintf(value, size, "%.*s",
				 (int)strcspn(line + len + 1 + 1, "\n"),
				 line + len + 1 + 1);
	}
	fclose(f);
	return is_found;
}

/* ---- the kernel, io_uring ------------------------------------------------------ */

static bool has_by_nature[PROBE_COUNT]; /* without RINGGO_URING */

static const char *set_or(const char *variable, const char *none)
{
	const char *s = getenv(variable);

	return s && *s ? s : none;
}

/* Before there are threads: what there is, then what the environment leaves of it. */
static int probe(void)
{
	char *uring = getenv("RINGGO_URING"), *kept = NULL;
	int err;

	if (uring)
		kept = strdup(uring);
	unsetenv("RINGGO_URING");
	err = probe_init();
	for (int i = 0; i < PROBE_COUNT; i++)
		has_by_nature[i] = probe_has((enum probe_feature)i);
	if (!kept)
		return err;
	setenv("RINGGO_URING", kept, 1);
	free(kept);
	return err ? err : probe_init();
}

static void look_at_kernel(void)
{
	struct utsname u;
	struct finding *f;
	int major = 0, minor = 0;

	if (uname(&u))
		return;
	f = found("kernel", "version", "%s %s, %s", u.sysname, u.release,
		  u.machine);
	if (sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	    (major < 6 || (major == 6 && minor < 1)))
		advise(f, CHANGE, "use Linux 6.1 or newer");
}

static void look_at_engine(int err)
{
	char why[300];
	struct finding *f;

	if (err) {
		probe_explain(err, why, sizeof why);
		f = found("engine", "engine", "none: %s", strerror(-err));
		advise(f, BROKEN, "%s", why);
		return;
	}
	if (probe_engine() == PROBE_URING) {
		found("engine", "engine", "io_uring");
		return;
	}
	f = found("engine", "engine", "epoll and helper threads");
	if (probe_refusal()) {
		probe_explain(probe_refusal(), why, sizeof why);
		advise(f, CHANGE, "%s", why);
	} else {
		advise(f, CHANGE,
		       "RINGGO_ENGINE says so: unset it to use io_uring");
	}
}

/* What is used of the features; the others are probed for later versions. */
static bool is_used(enum probe_feature p)
{
	return p != PROBE_MULTISHOT_ACCEPT && p != PROBE_MULTISHOT_RECV &&
	       p != PROBE_BUF_RING && p != PROBE_SEND_ZC && p != PROBE_MSG_RING;
}

/* There and not used unless RINGGO_URING=on:defer says so. */
static void look_at_defer(void)
{
	found("features", probe_name(PROBE_DEFER_TASKRUN), "%s",
	      probe_has(PROBE_DEFER_TASKRUN)
		      ? "used, RINGGO_URING says so"
		      : "not used: nobody would see completions of a worker "
			"that computes (RINGGO_URING=on:defer)");
}

static void look_at_features(void)
{
#define TEXT(id, name, text, version) text,
	static const char *const texts[] = {PROBE_FEATURES(TEXT)};

	for (int i = 0; i < PROBE_COUNT; i++) {
		enum probe_feature p = (enum probe_feature)i;
		bool is_off = has_by_nature[i] && !probe_has(p);
		struct finding *f;

		if (p == PROBE_DEFER_TASKRUN) {
			look_at_defer();
			continue;
		}
		f = found("features", probe_name(p), "%s (%s)",
			  is_off          ? "switched off by RINGGO_URING"
			  : !probe_has(p) ? "missing"
			  : is_used(p)    ? "used"
					  : "there, not used by this version",
			  texts[i]);
		if (!is_used(p) || probe_has(p))
			continue;
		if (is_off)
			advise(f, CHANGE, "take \"%s\" out of RINGGO_URING",
			       probe_name(p));
		else if (probe_engine() == PROBE_URING || p == PROBE_GUARD)
			advise(f, CHANGE, "use Linux %s or newer",
			       probe_version(p));
	}
}

static void look_at_sysctls_of_uring(void)
{
	int64_t disabled = read_number("/proc/sys/kernel/io_uring_disabled");
	int64_t group = read_number("/proc/sys/kernel/io_uring_group");
	struct finding *f;

	if (disabled < 0)
		return; /* before Linux 6.6 */
	f = found("engine", "kernel.io_uring_disabled", "%" PRId64, disabled);
	if (disabled == 1)
		advise(f, geteuid() ? CHANGE : OK,
		       "only root and group %" PRId64
		       " (kernel.io_uring_group) may use io_uring",
		       group);
	else if (disabled > 1)
		advise(f, CHANGE, "sysctl kernel.io_uring_disabled=0");
}

/* ---- limits --------------------------------------------------------------------- */

static void text_of_limit(rlim_t n, char *text, size_t size)
{
	if (n == RLIM_INFINITY)
		snprintf(text, size, "unlimited");
	else
		snprintf(text, size, "%ju", (uintmax_t)n);
}

/* least: what a busy server wants. cure: what to do when it is less. */
static void look_at_limit(int which, const char *name, rlim_t least,
			  const char *cure)
{
	char soft[32], hard[32];
	struct rlimit limit;
	struct finding *f;

	if (getrlimit((enum __rlimit_resource)which, &limit))
		return;
	text_of_limit(limit.rlim_cur, soft, sizeof soft);
	text_of_limit(limit.rlim_max, hard, sizeof hard);
	f = found("limits", name, "%s (at most %s)", soft, hard);
	if (limit.rlim_cur < least)
		advise(f, CHANGE, "%s", cure);
}

/* advice may be NULL: to be known only. */
static void look_at_number(const char *section, const char *name,
			   const char *path, int64_t least, const char *advice)
{
	int64_t n = read_number(path);
	struct finding *f;

	if (n < 0)
		return;
	f = found(section, name, "%" PRId64, n);
	if (advice && n < least)
		advise(f, CHANGE, "%s", advice);
}

static void look_at_ports(void)
{
	char line[64];
	int low, high;
	struct finding *f;

	if (!read_line("/proc/sys/net/ipv4/ip_local_port_range", line,
		       sizeof line) ||
	    sscanf(line, "%d %d", &low, &high) != 2)
		return;
	f = found("limits", "net.ipv4.ip_local_port_range", "%d to %d", low,
		  high);
	if (high - low < 20000)
		advise(f, CHANGE,
		       "a client can have %d connections to one address: "
		       "sysctl net.ipv4.ip_local_port_range='15000 65000'",
		       high - low + 1);
}

static void look_at_memory(void)
{
	char line[128];
	struct finding *f;
	int64_t n;

	if (read_line("/sys/fs/cgroup/memory.max", line, sizeof line))
		found("limits", "cgroup memory.max", "%s", line);
	if (read_line("/sys/kernel/mm/transparent_hugepage/enabled", line,
		      sizeof line))
		found("limits", "transparent huge pages", "%s",
		      strstr(line, "[always]")  ? "always"
		      : strstr(line, "[never]") ? "never"
						: "madvise");
	n = read_number("/proc/sys/vm/overcommit_memory");
	if (n < 0)
		return;
	f = found("limits", "vm.overcommit_memory", "%" PRId64, n);
	if (n == 2)
		advise(f, CHANGE,
		       "the address space of stacks is reserved, not used: "
		       "with 2 "
		       "it counts as used. Choose 0 or 1, or fewer goroutines");
}

static void look_at_limits(void)
{
	look_at_limit(RLIMIT_NOFILE, "open files", 65536,
		      "ulimit -n 1048576, LimitNOFILE= of systemd, --ulimit "
		      "nofile= of docker: accept waits when none is left");
	look_at_limit(RLIMIT_MEMLOCK, "locked memory", 0, "");
	look_at_limit(RLIMIT_AS, "address space", RLIM_INFINITY,
		      "ulimit -v unlimited: stacks reserve 48 KiB each of it");
	look_at_number("limits", "fs.nr_open", "/proc/sys/fs/nr_open", 65536,
		       "sysctl fs.nr_open=1048576");
	look_at_number("limits", "net.core.somaxconn",
		       "/proc/sys/net/core/somaxconn", 1024,
		       "sysctl net.core.somaxconn=4096: connections that wait "
		       "for accept are dropped beyond it");
	look_at_ports();
	look_at_number(
		"limits", "vm.max_map_count", "/proc/sys/vm/max_map_count",
		1048576,
		probe_has(PROBE_GUARD)
			? NULL
			: "sysctl vm.max_map_count=4194304: without guard "
			  "pages of Linux 6.13 each goroutine takes two");
	look_at_memory();
}

static void look_at_confinement(void)
{
	char value[64];

	if (read_status("Seccomp", value, sizeof value))
		found("engine", "seccomp", "%s",
		      !strcmp(value, "0")   ? "off"
		      : !strcmp(value, "2") ? "a filter is on"
					    : "strict");
}

/* ---- a runtime ----------------------------------------------------------------- */

static void text_of_flags(unsigned flags, char *text, size_t size)
{
	static const struct {
		unsigned flag;
		const char *name;
	} known[] = {
		{IORING_SETUP_CQSIZE, "CQSIZE"},
		{IORING_SETUP_CLAMP, "CLAMP"},
		{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
		{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
		{IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
		{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"},
		{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
	};
	size_t len = 0;

	*text = 0;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (flags & known[i].flag && len < size)
			len += (size_t)snprintf(text + len, size - len, "%s%s",
						len ? " " : "", known[i].name);
}

static void look_at_preemption(void)
{
	struct finding *f = found("scheduler", "preemption", "%s",
				  interrupt_is_on() ? "on, by SIGURG" : "off");

	if (!interrupt_is_on())
		advise(f, CHANGE,
		       "RINGGO_DEBUG=asyncpreemptoff=1 or RINGGO_SEED say so, "
		       "or "
		       "the processor lacks xsave: a goroutine that computes "
		       "holds the others up");
}

static void nothing(void *arg)
{
	rg_waitgroup_done(arg);
}

/* On a goroutine. */
static int look_inside(void *arg)
{
	rg_waitgroup wg = {0};
	char flags[160];

	(void)arg;
	if (probe_engine() == PROBE_URING) {
		text_of_flags(getm()->ring.setup_flags, flags, sizeof flags);
		found("engine", "ring flags", "%s", flags);
	}
	found("scheduler", "Ps",
	      "%d (%s; affinity mask: %d CPUs, with the "
	      "cgroup's limit: %d)",
	      rg_gomaxprocs(0),
	      *set_or("RINGGO_MAXPROCS", "") ? "RINGGO_MAXPROCS says so"
					     : "follows the CPUs",
	      cpus_affinity(), cpus_usable());
	look_at_preemption();
	for (int i = 0; i < 1000; i++) {
		rg_waitgroup_add(&wg, 1);
		if (rg_go(nothing, &wg))
			return 1;
	}
	rg_waitgroup_wait(&wg);
	return rg_sleep(RG_MILLISECOND) ? 1 : 0;
}

static void look_at_allocator(void)
{
	found("scheduler", "allocator", "%s",
	      dlsym(RTLD_DEFAULT, "mallctl") ? "jemalloc" : "the C library's");
}

static void run_one(void)
{
	int err = rg_run(NULL, look_inside, NULL);

	if (!err)
		found("scheduler", "a thousand goroutines", "ran");
	else
		advise(found("scheduler", "a runtime", "does not start: %s",
			     err < 0 ? strerror(-err) : "goroutines failed"),
		       BROKEN, "see the line on stderr");
}

/* ---- saying it ------------------------------------------------------------------ */

static void print_text(void)
{
	const char *section = "";

	printf("libringgo %s\n", DOCTOR_VERSION);
	for (int i = 0; i < nfindings; i++) {
		const struct finding *f = &findings[i];

		if (strcmp(section, f->section))
			printf("\n%s\n", f->section);
		section = f->section;
		printf("  %-4s %-30s %s\n",
		       f->verdict == OK       ? "ok"
		       : f->verdict == CHANGE ? "-->"
					      : "!!!",
		       f->name, f->value);
		if (*f->advice)
			printf("       %-30s %s\n", "", f->advice);
	}
	printf("\n%s\n", worst() == OK ? "Nothing to change."
			 : worst() == CHANGE
				 ? "Lines with --> say what to change."
				 : "No program of libringgo starts "
				   "here: see the lines with !!!.");
}

static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < ' ')
			printf("\\u%04x", *s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void print_member(const char *key, const char *value, const char *end)
{
	print_string(key);
	putchar(':');
	print_string(value);
	fputs(end, stdout);
}

static void print_json(void)
{
	static const char *const verdicts[] = {"ok", "change", "broken"};

	putchar('{');
	print_member("version", DOCTOR_VERSION, ",");
	print_member("verdict", verdicts[worst()], ",\"findings\":[");
	for (int i = 0; i < nfindings; i++) {
		const struct finding *f = &findings[i];

		fputs(i ? ",\n{" : "\n{", stdout);
		print_member("section", f->section, ",");
		print_member("name", f->name, ",");
		print_member("verdict", verdicts[f->verdict], ",");
		print_member("value", f->value, ",");
		print_member("advice", f->advice, "}");
	}
	puts("\n]}");
}

/* In the order of sections, as found within each. */
static void sort_by_section(void)
{
	static const char *const order[] = {"kernel", "engine", "features",
					    "scheduler", "limits"};
	static struct finding sorted[FINDINGS_MAX];
	int n = 0;

	for (size_t k = 0; k < sizeof order / sizeof *order; k++)
		for (int i = 0; i < nfindings; i++)
			if (!strcmp(findings[i].section, order[k]))
				sorted[n++] = findings[i];
	memcpy(findings, sorted, sizeof sorted);
}

int main(int argc, char **argv)
{
	bool is_json = argc == 2 && !strcmp(argv[1], "--json");
	int err;

	if (argc > 1 && !is_json) {
		fprintf(stderr, "usage: ringgo-doctor [--json]\n");
		return 64;
	}
	err = probe();
	look_at_kernel();
	look_at_engine(err);
	look_at_sysctls_of_uring();
	look_at_confinement();
	look_at_allocator();
	look_at_limits();
	if (!err) {
		look_at_features();
		run_one();
	}
	sort_by_section();
	if (is_json)
		print_json();
	else
		print_text();
	return fflush(stdout) ? 74 : (int)worst();
}
