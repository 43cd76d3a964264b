// SPDX-License-Identifier: MIT
/*
 * deadlock - see deadlock.h.
 *
 * Reported only for rg_run (under rg_start the host's own threads may do anything),
 * when: every M is idle and every P, nothing is queued, in flight or armed, no helper
 * thread or signal will ready anyone, and every thread of the process is the
 * runtime's. The kernel's own workers (iou-wrk-*, iou-sqp-*) are threads of the
 * process, too, and do not count; nor does ThreadSanitizer's own one.
 */
#include "sched/deadlock.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/opthread.h"
#include "sched/blocking.h"
#include "sched/netpoll.h"
#include "sched/panic.h"
#include "sched/sched.h"
#include "sched/sysmon.h"

bool deadlock_is_likely_locked(void)
{
	struct m *mp;

	if (!sched.is_run || sched.nidle_ms != sched.nms || sched.global.len)
		return false;
	/* Relaxed, here and below: with every M idle only foreign threads
	 * could change them, and these are counted in deadlock_check. */
	if (atomic_load_explicit(&sched.status, memory_order_relaxed) !=
		    SCHED_ON ||
	    atomic_load_explicit(&sched.nbusy_ps, memory_order_relaxed) ||
	    atomic_load_explicit(&sched.blocking_busy, memory_order_relaxed) ||
	    atomic_load_explicit(&sched.external, memory_order_relaxed) ||
	    timer_count())
		return false;
	sched_for_each_m(mp)
	{
		if (mp->is_vacant)
			continue; /* without a ring */
		/* Its M, idle now, has come by the lock that is held. */
		if (!netpoll_is_quiet(mp) || mp->is_given)
			return false;
	}
	return true;
}

static bool is_runtime_thread(int tid)
{
	struct m *mp;

	sched_for_each_m(mp)
	{
		if (mp->tid == tid)
			return true;
	}
	return tid == sysmon_tid();
}

/* A file of /proc/self as text; false: it is not there (any more). */
static bool read_proc(const char *path, char *text, size_t size)
{
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* What a walk over the threads has come by. */
struct walk {
	int seen, unknown;
	int of_blocking; /* named as the helpers of rg_blocking */
	bool has_ended;  /* one is not there any more */
};

/* The kernel's own worker, or a helper of ours (idle now). */
static bool is_helper(struct walk *w, int tid)
{
	char path[64], name[24] = "";

	snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
	if (!read_proc(path, name, sizeof name)) {
		w->has_ended = true;
		return true;
	}
	if (!strcmp(name, "rg-blocking\n")) {
		w->of_blocking++;
		return true;
	}
	return !strncmp(name, "iou-", 4) || !strcmp(name, "rg-maker\n") ||
	       !strcmp(name, OPTHREAD_NAME "\n");
}

#if RG_TSAN
#define BIT(sig) (UINT64_C(1) << ((sig)-1))

/*
 * ThreadSanitizer has one thread of its own, and a fork's child may have none. It is
 * known by its mask: all signals are blocked, those of faults, too.
 */
static bool is_sanitizers(int tid)
{
	const uint64_t faults = BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) |
				BIT(SIGFPE) | BIT(SIGTRAP);
	static const char key[] = "\nSigBlk:";
	char path[64], text[4096], *mask;

	snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
	if (!read_proc(path, text, sizeof text))
		return false;
	mask = strstr(text, key);
	return mask &&
	       (~strtoull(mask + sizeof key - 1, NULL, 16) & faults) == 0;
}
#else
static bool is_sanitizers(int tid)
{
	(void)tid;
	return false;
}
#endif

/* How many threads the process has; exact, unlike a walk over them. */
static int thread_count(void)
{
	enum { STATE = 3, NUM_THREADS = 20 }; /* fields, proc(5) */
	char text[512], *p;

	if (!read_proc("/proc/self/stat", text, sizeof text))
		return -1;
	p = strrchr(text, ')'); /* the end of field 2 */
	for (int i = STATE; p && i <= NUM_THREADS; i++)
		p = strchr(p + 1, ' ');
	return p ? atoi(p + 1) : -1;
}

/*
 * A walk over /proc/self/task may leave threads out when one that it has come by ends: the
 * kernel goes on by position. So what was seen must be as many as there are, and nobody
 * may have ended meanwhile (who would have been counted for one that was left out). A thread
 * has the name of who made it until it takes another: helpers of rg_blocking are counted.
 */
int deadlock_unknown_threads(void)
{
	struct dirent *entry;
	bool may_be_sanitizers = true; /* one */
	struct walk w = {0};
	DIR *dir;

	san_quiet_begin();
	dir = opendir("/proc/self/task");
	san_quiet_end();
	if (!dir)
		return -1;
	while ((entry = readdir(dir))) {
		int tid = atoi(entry->d_name);

		if (!tid)
			continue;
		w.seen++;
		if (is_runtime_thread(tid) || is_helper(&w, tid))
			continue;
		if (may_be_sanitizers && is_sanitizers(tid))
			may_be_sanitizers = false;
		else
			w.unknown++;
	}
	/* ThreadSanitizer may take its number for that of a socket of somebody's,
	 * which the ring closed unseen. */
	san_quiet_begin();
	closedir(dir);
	san_quiet_end();
	if (w.of_blocking > (int)blocking_threads())
		w.unknown += w.of_blocking - (int)blocking_threads();
	if (!w.unknown && (w.has_ended || w.seen != thread_count()))
		return -1;
	return w.unknown;
}

RG_COLD void deadlock_check(void)
{
	bool is_sure;

	if (deadlock_unknown_threads())
		return;
	/* A thread that was unknown may have woken somebody and ended between
	 * the first look and the count: look again, now that there is none. */
	rtlock_lock(&sched.lock);
	is_sure = deadlock_is_likely_locked();
	rtlock_unlock(&sched.lock);
	if (is_sure)
		sched_fatal_deadlock();
}
