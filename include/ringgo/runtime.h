/* SPDX-License-Identifier: MIT */
/*
 * ringgo/runtime.h - starting the runtime, goroutines, time, dumps, statistics.
 *
 * rg_run turns the calling thread into the first worker, runs `entry` as the main
 * goroutine and ends with it, as a Go program does. rg_start puts the same runtime
 * beside a program's own threads and main loop.
 */
#ifndef RINGGO_RUNTIME_H
#define RINGGO_RUNTIME_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

/* rg_config.flags: leave that signal to the host program. */
#define RG_NO_SIGQUIT 1u /* no goroutine dump on SIGQUIT */
#define RG_NO_SIGSEGV 2u /* no stack overflow report */
#define RG_NO_SIGPIPE 4u /* SIGPIPE keeps its disposition */

typedef struct rg_config {
	int maxprocs; /* how many Ps run goroutines; 0: as many as the process may
		       * use CPUs, which is looked at again each second */
	size_t stack_size; /* usable bytes of a goroutine's stack; 0: 46 KiB */
	unsigned ring_entries; /* submission entries per ring; 0: 256 */
	unsigned flags;
	uint64_t reserved_[8]; /* zero */
} rg_config;

/*
 * rg_run - start the runtime, run entry(arg) as the main goroutine, stop.
 *
 * Returns what entry returns; other goroutines end with it and their defers do not
 * run; those that compute are interrupted for that, where docs/fairness.md says that
 * a stack can be left. Cannot start: says why on stderr and returns a negative errno
 * (-EBUSY: a runtime is running already, or was in the parent when it forked, or a
 * goroutine of a former one never came back).
 * May be called again after it returned. NULL config: defaults. Threads of the host
 * are not inside calls of this library when the runtime ends (as with rg_stop).
 */
RG_API int rg_run(const rg_config *config, int (*entry)(void *arg), void *arg);

/*
 * rg_start - the same runtime on threads of its own; returns at once.
 * rg_stop - waits up to grace for all goroutines to end, abandons the rest, cancels
 * and awaits what they had in flight. 0; -ETIMEDOUT: some were abandoned;
 * -EINVAL: not started by rg_start, or called from a goroutine.
 */
RG_API int rg_start(const rg_config *config);
RG_API int rg_stop(rg_duration grace);

typedef struct rg_go_options {
	const char *name;  /* copied; NULL: none */
	size_t stack_size; /* bytes; 0: the runtime's default */
	rg_ctx *ctx; /* bound to the goroutine; NULL: inherit the creator's */
} rg_go_options;

/*
 * rg_go - start fn(arg) in a goroutine of its own.
 * Returns 0, -ENOMEM (no memory for a stack), -EAGAIN (no stack to be had: limits
 * on mappings), -ESRCH (no runtime is running). Context: goroutine or any thread;
 * does not park, but a goroutine gives way to others when its queue is full.
 */
RG_API int rg_go(void (*fn)(void *arg), void *arg);

/* rg_go_copy - the same, with *arg (size <= 1024 bytes) copied onto the new
 * goroutine's stack; fn gets a pointer to the copy. -EINVAL: too large. */
RG_API int rg_go_copy(void (*fn)(void *arg), const void *arg, size_t size);
RG_API int rg_go_with(const rg_go_options *options, void (*fn)(void *),
		      void *arg);

/* rg_yield - let other goroutines run first. On a foreign thread: sched_yield. */
RG_API void rg_yield(void);

/* rg_exit - end this goroutine, running its rg_defer calls. From the main goroutine:
 * the others go on; the program ends when they do, by deadlock, or by exit(3). */
RG_API RG_NORETURN void rg_exit(void);

/* rg_defer - run fn(arg) when this goroutine ends, last in first out. Panics when
 * out of memory or on a foreign thread. */
RG_API void rg_defer(void (*fn)(void *), void *arg);

RG_API uint64_t rg_goid(void); /* 0 on a foreign thread */
RG_API void rg_set_name(const char *fmt, ...) RG_PRINTF(1, 2); /* 31 bytes */

/*
 * rg_gomaxprocs - how many Ps run goroutines at a time. n <= 0 asks; else n (256 at
 * most) is the number from now on: more run within a millisecond or so (their threads
 * are made in the background), fewer as soon as those that run next park or are
 * preempted. Returns the former number; 0 without a runtime. Never parks.
 * Unless a number was given (here, in rg_config, by RINGGO_MAXPROCS) it follows the
 * affinity mask and the cgroup's CPU limit (rounded up, at least 2) while goroutines
 * run, once a second.
 */
RG_API int rg_gomaxprocs(int n);
RG_API int rg_num_cpu(void); /* affinity mask and cgroup CPU limit heeded */
RG_API int64_t rg_num_goroutine(void); /* user goroutines, main included */

/*
 * rg_sleep - park for d nanoseconds; d <= 0 returns at once.
 * Returns 0, the bound context's error (-ECANCELED, -ETIMEDOUT) when it ends, or
 * -ENOMEM (no memory for the timer: it did not sleep).
 */
RG_API int rg_sleep(rg_duration d);
RG_API rg_time rg_now(void);       /* CLOCK_MONOTONIC */
RG_API int64_t rg_unix_nano(void); /* CLOCK_REALTIME, since 1970 */
RG_API int64_t rg_time_to_unix_nano(rg_time t);

/*
 * rg_preempt_disable, rg_preempt_enable - between them this goroutine is not preempted:
 * neither is its stack left by a signal nor its thread stopped. For code that holds a
 * lock of its own making (a spin lock), or that must not be delayed. They nest, up to
 * 255 deep; parking calls in between park as ever. Enabling without disabling panics.
 * On a foreign thread: nothing.
 */
RG_API void rg_preempt_disable(void);
RG_API void rg_preempt_enable(void);

/*
 * rg_lock_os_thread - from now on this goroutine runs on the thread it is on, and that
 * thread runs nothing else: for libraries that keep their state in thread-locals, and for
 * what belongs to a thread (setns, unshare, credentials, its name). Calls nest;
 * rg_unlock_os_thread undoes one; without any it does nothing. What a locked goroutine
 * starts is not locked. One that ends locked takes its thread, and what was done to it,
 * along. rg_run's entry, when it locks first thing, has the thread that called rg_run;
 * that one is not ended, but runs nothing more.
 * While locked a park costs two wake-ups of threads, and rg_blocking calls in place.
 * Panics when it is one of 512 threads, locked or needed for the others. Where no thread
 * can be had for the others (said on stderr once) they wait until one can. When
 * goroutines preempted on this thread are waiting for it the caller goes to another one
 * first: it parks then. On a foreign thread, and under RINGGO_SEED, which has one thread:
 * nothing.
 */
RG_API void rg_lock_os_thread(void);
RG_API void rg_unlock_os_thread(void);

/*
 * rg_blocking - run fn(arg) on a helper thread while this goroutine is parked; in
 * place where no thread can be had, in a goroutine that is locked to its thread, or on a
 * foreign thread. Returns fn's result.
 */
RG_API void *rg_blocking(void *(*fn)(void *), void *arg);

/*
 * rg_signal_notify - from now on each of the n signals is sent to c (element type
 * int) instead of its default action. Never blocks: a full channel drops. Takes a
 * reference to c. -EINVAL: SIGKILL, SIGSTOP, SIGURG and the signals of faults. SIGQUIT
 * is allowed: it then no longer dumps.
 * rg_signal_stop - no more to c; signals nobody listens to get back their former
 * disposition. -ENOENT: c was not notified.
 */
RG_API int rg_signal_notify(rg_chan *c, const int *signals, size_t n);
RG_API int rg_signal_stop(rg_chan *c);

/*
 * rg_preempt_allow - goroutines may be switched away from anywhere in the code of the
 * object (a shared library, or the executable) around code_address. It is a promise:
 * where that happens the code holds no lock that belongs to its thread, such as a
 * pthread mutex, a once, a semaphore used as a lock, or the guard of a C++ static; the
 * next goroutine on the thread could wait for it forever. The executable need not
 * be declared unless it imports functions of such locks; other libraries are
 * preempted at their return, and undeclared code by stopping its thread. For good,
 * any number of times. 0; -ENOENT: no object there; -EPERM: libc, the dynamic linker,
 * C++'s runtime, this library, an object that defines malloc, or none can be declared
 * on this CPU; -ENOMEM: 256 are declared. Any thread; never parks.
 */
RG_API int rg_preempt_allow(const void *code_address);

/*
 * rg_dump - write every goroutine to fd: debug 1 groups equal stacks, 2 is Go's
 * text form (state, wait reason, age, creator, stack). 0 or a negative errno.
 */
RG_API int rg_dump(int fd, int debug);

/*
 * Did what was called in between leave goroutines behind? For tests. At the end of a
 * program RINGGO_DEBUG=leak=1 reports those that are still parked.
 *
 * rg_leak_begin - remember which goroutines there are. NULL: out of memory.
 * rg_leak_end - how many user goroutines there are that were not there then, without
 * the caller's own; they get up to grace to end, and it returns as soon as they
 * have. What is left is written to fd, grouped by who created it, unless fd is -1.
 * Frees before. A negative errno: it could not be found out, or not be written.
 * Context: goroutine (parks) or any thread; what others start meanwhile counts, too.
 */
typedef struct rg_leaks rg_leaks;
RG_API rg_leaks *rg_leak_begin(void);
RG_API int64_t rg_leak_end(rg_leaks *before, rg_duration grace, int fd);

/* A snapshot of the runtime. Counters only grow; gauges are of the moment. */
typedef struct rg_stats {
	int64_t goroutines; /* gauge: user goroutines */
	int64_t goroutines_created;
	int64_t procs;          /* gauge: Ps */
	int64_t procs_idle;     /* gauge */
	int64_t threads;        /* gauge: worker threads (Ms) */
	int64_t switches;       /* goroutine switches */
	int64_t steals;         /* goroutines taken from another P */
	int64_t wakeups;        /* sleeping Ms woken for work */
	int64_t run_queue;      /* gauge: runnable, waiting for a P */
	int64_t timers;         /* gauge: armed */
	int64_t ring_enters;    /* system calls of the rings: io_uring_enter */
	int64_t ring_sqes;      /* operations submitted */
	int64_t ring_cqes;      /* completions reaped */
	int64_t ring_inflight;  /* gauge */
	int64_t ring_overflows; /* completion queue overflows survived */
	int64_t ring_sq_full;   /* submissions that found the queue full */
	int64_t ring_late_cqes; /* completions whose operation was gone */
	int64_t ring_cancels;   /* cancellations submitted */
	int64_t stack_bytes_reserved; /* gauge: address space of stacks */
	int64_t stacks;               /* gauge: stacks ever made */
	int64_t stacks_free;          /* gauge: of those, pooled for reuse */
	int64_t blocking_threads;     /* gauge: helper threads of rg_blocking */
	int64_t blocking_queued;      /* gauge: calls waiting for one */
	int64_t tokens_taken;    /* from threads blocked by a system call */
	int64_t preempted;       /* goroutines that a signal made give way */
	int64_t suspended;       /* threads that a signal stopped instead */
	int64_t kicks;           /* signals that made a busy M enter its ring */
	int64_t preempt_refused; /* signals that found runtime code, or a
				  * place where neither is allowed */
	int64_t ring_epoll; /* 1: the rings are epoll instances, RINGGO_ENGINE */
	int64_t ring_threads;           /* gauge: helper threads of these */
	int64_t stack_bytes_given_back; /* of stacks long unused */
} rg_stats;

/* rg_stats_read - fill *out; size = sizeof *out (the struct grows at its end).
 * Returns 0, -EINVAL (size is no multiple of 8 or 0), -ESRCH (no runtime). */
RG_API int rg_stats_read(rg_stats *out, size_t size);

/*
 * rg_preempt_count - how often preemption ended in the i-th way, i from 0, since the
 * process began; *what (may be NULL): its name, a constant. First what was done ("kicked",
 * "switched", "hijacked", "suspended", ...), then, behind "refused: ", why the goroutine's
 * stack was not left: most of these were suspended instead (docs/fairness.md). Returns -1
 * behind the last way. Any thread, with or without a runtime; does not park.
 */
RG_API int64_t rg_preempt_count(size_t i, const char **what);

RG_END_DECLS

#endif
