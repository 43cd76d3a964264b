// SPDX-License-Identifier: MIT
/*
 * sigsetup - see sigsetup.h for the table and the invariants.
 */
#include "sched/sigsetup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ringgo/runtime.h>

#include "kernel-iface/base/check.h"
#include "sched/atfork.h"
#include "sched/freeze.h"
#include "sched/panic.h"
#include "sched/interrupt.h"
#include "sched/sched.h"
#include "sched/sigframe.h"
#include "sched/threadend.h"

/* 64 KiB: the kernel's frame (3.4 KB with AVX-512, up to 11 KB with AMX), a report
 * with its symbols (12 KB), and a fault inside it. */
enum { ALT_SIZE = 64 * 1024, ALT_GUARD = 4096 };

typedef void info_handler(int sig, siginfo_t *info, void *context);

static void on_fault(int sig, siginfo_t *info, void *context);
static void on_quit(int sig, siginfo_t *info, void *context);

enum { SLOT_SEGV, SLOT_BUS, SLOT_QUIT, SLOT_PIPE, SLOTS };

static struct slot {
	int sig;
	unsigned unless;       /* rg_config.flags */
	info_handler *handler; /* NULL: ignored, if it was default before */
	int flags;
	bool is_installed;
	struct sigaction former;
} slots[SLOTS] = {
	/* A fault inside the handler must be able to end a guarded call. */
	[SLOT_SEGV] = {.sig = SIGSEGV,
		       .unless = RG_NO_SIGSEGV,
		       .handler = on_fault,
		       .flags = SA_NODEFER},
	[SLOT_BUS] = {.sig = SIGBUS,
		      .unless = RG_NO_SIGSEGV,
		      .handler = on_fault,
		      .flags = SA_NODEFER},
	[SLOT_QUIT] = {.sig = SIGQUIT,
		       .unless = RG_NO_SIGQUIT,
		       .handler = on_quit},
	[SLOT_PIPE] = {.sig = SIGPIPE, .unless = RG_NO_SIGPIPE},
};

static void (*stop_hook)(void);

void sigsetup_on_stop(void (*fn)(void))
{
	stop_hook = fn;
}

void sigsetup_async_mask(sigset_t *set)
{
	static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL,
				   SIGTRAP, SIGSYS, SIGURG};

	sigfillset(set);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		sigdelset(set, kept[i]);
}

static const void *handler_of(const struct sigaction *sa)
{
	return sa->sa_flags & SA_SIGINFO
		       ? (const void *)(uintptr_t)sa->sa_sigaction
		       : (const void *)(uintptr_t)sa->sa_handler;
}

void sigsetup_restore(int sig, const struct sigaction *former, const void *ours)
{
	struct sigaction now;

	/* These calls fail for bad numbers only. */
	if (!sigaction(sig, NULL, &now) && handler_of(&now) == ours)
		sigaction(sig, former, NULL);
}

static bool has_handler(const struct sigaction *sa)
{
	return (sa->sa_flags & SA_SIGINFO) ||
	       (sa->sa_handler != SIG_DFL && sa->sa_handler != SIG_IGN);
}

bool sigsetup_chain(const struct sigaction *former, int sig, siginfo_t *info,
		    void *context)
{
	if (!has_handler(former))
		return false;
	if (former->sa_flags & SA_SIGINFO)
		former->sa_sigaction(sig, info, context);
	else
		former->sa_handler(sig);
	return true;
}

/* ---- handlers ---- */

/* The goroutine whose guard was hit by itself, or NULL. */
static struct g *overflown(const siginfo_t *info, const void *context)
{
	struct g *gp;

	if (info->si_code <= 0)
		return NULL;
	gp = sched_g_of_address(info->si_addr);
	if (!gp || (char *)info->si_addr >= gp->stack_lo)
		return NULL;
	if (gp == freeze_g_of_signal(context) || gp == getg())
		return gp;
	return NULL;
}

/* Let the signal do what it does without us: by returning to the instruction, or for
 * one that was sent, by sending it again. */
static void take_effect(int sig, const struct sigaction *as,
			const siginfo_t *info)
{
	sigaction(sig, as, NULL);
	if (info->si_code <= 0)
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	const struct sigaction fatal = {.sa_handler = SIG_DFL};
	const struct sigaction *former =
		&slots[sig == SIGBUS ? SLOT_BUS : SLOT_SEGV].former;
	int saved = errno;
	struct g *gp;

	freeze_fault();
	gp = overflown(info, context);
	if (gp)
		panic_overflow(gp, context);
	if (!sigsetup_chain(former, sig, info, context)) {
		panic_fault(sig, info, context);
		take_effect(sig, &fatal, info);
	}
	errno = saved;
}

/* As Go: a dump, and the end; unless the host handles the signal, too. */
static void on_quit(int sig, siginfo_t *info, void *context)
{
	const struct sigaction *former = &slots[SLOT_QUIT].former;
	struct sigaction fatal = {.sa_handler = SIG_DFL};
	int saved = errno;

	(void)info;
	panic_quit(context);
	sigaction(sig, has_handler(former) ? former : &fatal, NULL);
	/* Blocked now: it comes when this handler returns. */
	syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), sig);
	panic_quit_end();
	errno = saved;
}

/* ---- start and stop ---- */

static int slot_start(struct slot *s)
{
	struct sigaction sa = {.sa_flags = s->flags};

	if (sigaction(s->sig, NULL, &s->former))
		return -errno;
	if (s->handler) {
		sa.sa_flags |= SA_SIGINFO | SA_ONSTACK | SA_RESTART;
		sa.sa_sigaction = s->handler;
		sigsetup_async_mask(&sa.sa_mask);
	} else {
		if (handler_of(&s->former) != (const void *)SIG_DFL)
			return 0;
		sa.sa_handler = SIG_IGN;
		sigemptyset(&sa.sa_mask);
	}
	if (sigaction(s->sig, &sa, NULL))
		return -errno;
	s->is_installed = true;
	return 0;
}

static void slot_stop(struct slot *s)
{
	const void *ours = s->handler ? (const void *)(uintptr_t)s->handler
				      : (const void *)SIG_IGN;

	if (s->is_installed)
		sigsetup_restore(s->sig, &s->former, ours);
	s->is_installed = false;
}

int sigsetup_start(unsigned flags)
{
	int err = atfork_start();

	if (!err)
		err = freeze_start();
	panic_start();
	interrupt_start();
	for (size_t i = 0; i < SLOTS && !err; i++)
		if (!(slots[i].unless & flags))
			err = slot_start(&slots[i]);
	if (err)
		sigsetup_stop();
	return err;
}

void sigsetup_stop(void)
{
	if (stop_hook)
		stop_hook();
	for (size_t i = 0; i < SLOTS; i++)
		slot_stop(&slots[i]);
	freeze_stop();
}

/* ---- signal stacks ---- */

/* A mapping: guard, stack, and this on top. */
struct alt_tail {
	stack_t former;
	char *map;
};

int sigsetup_thread_start(void)
{
	size_t len = ALT_GUARD + ALT_SIZE;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	struct alt_tail *tail;
	stack_t ss = {0};
	int err;

	if (map == MAP_FAILED)
		return -ENOMEM;
	tail = (struct alt_tail *)(void *)(map + len - sizeof *tail);
	tail->map = map;
	ss.ss_sp = map + ALT_GUARD;
	ss.ss_size = ALT_SIZE - sizeof *tail;
	err = -ENOMEM;
	if (mprotect(map, ALT_GUARD, PROT_NONE))
		goto unmap;
	err = threadend_watch();
	if (err)
		goto unmap;
	err = freeze_thread_start(map + ALT_GUARD, map + len);
	if (err)
		goto release;
	if (!sigaltstack(&ss, &tail->former))
		return 0;
	err = -errno;
	freeze_thread_stop();
release:
	threadend_release();
unmap:
	munmap(map, len);
	return err;
}

void sigsetup_thread_stop(void)
{
	struct alt_tail *tail;
	stack_t now;

	threadend_release();
	freeze_thread_stop();
	if (sigaltstack(NULL, &now) || now.ss_size != ALT_SIZE - sizeof *tail)
		return; /* the host replaced it: ours is lost */
	tail = (struct alt_tail *)(void *)((char *)now.ss_sp + now.ss_size);
	if (tail->map + ALT_GUARD != (char *)now.ss_sp)
		return;
	if (!sigaltstack(&tail->former, NULL))
		munmap(tail->map, ALT_GUARD + ALT_SIZE);
}
