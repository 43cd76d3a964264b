// SPDX-License-Identifier: MIT
/*
 * freeze - see freeze.h for the role and the invariants.
 *
 * The protocol, per thread, with the world's generation G:
 *   F1  the freezer stores request = G, then sends SIGURG;
 *   F2  the handler sees request G, newer than `thawed`, writes down what it
 *       interrupted, stores answer = G, wakes the freezer, sleeps while thawed < G;
 *   F3  the freezer sees answer == G: `seen` is its to read until the thaw;
 *   F4  the thaw stores thawed = G and wakes all.
 * A handler that comes after F4 sees thawed >= G and returns.
 *
 * Records are found by thread id, not by a thread-local: the handler may run on a
 * thread that is just ending. They are never freed; a slot is used again.
 */
#include "sched/freeze.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/base/check.h"
#include "kernel-iface/clock.h"
#include "sched/interrupt.h"
#include "sched/sched.h"
#include "sched/sigframe.h"
#include "sched/sigsetup.h"

/* Every M, sysmon, and a few more. */
enum { THREADS_MAX = SCHED_MAX_MS + 16 };

#define ANSWER_NS     (100 * INT64_C(1000000))
#define SEND_AGAIN_NS (5 * INT64_C(1000000))
#define ANSWER_OFF_NS INT64_C(1000000) /* it did not answer last time, either */

struct thread {
	/* const while registered */
	_Atomic int tid; /* 0: free */
	char *alt_lo, *alt_hi;

	/* the thread itself, before its answer */
	struct freeze_seen seen;
	sigjmp_buf *guard; /* a guarded call is under way */

	/* freezer */
	_Atomic uint32_t request;
	bool is_stopped;

	_Atomic uint32_t answer; /* the thread; a futex */
};

static struct thread *threads[THREADS_MAX]; /* const below nthreads */
static _Atomic int nthreads;

static struct {
	_Atomic int owner;       /* tid of the freezer; 0: nobody */
	_Atomic uint32_t thawed; /* a futex: the last generation that is over */
	uint32_t generation;     /* owner */
	int missed;              /* owner */
	sigset_t mask;           /* owner's, to be restored */
	sigjmp_buf *_Atomic guest_guard; /* of an unregistered thread ... */
	_Atomic int guest;               /* ... and which */
	struct sigaction former;
	bool is_installed;
} world;

static int self_tid(void)
{
	return (int)syscall(SYS_gettid);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps while *word == value, at most ns (< 0: no limit); may wake early. */
static void futex_sleep(_Atomic uint32_t *word, uint32_t value, int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / 1000000000,
			      .tv_nsec = ns % 1000000000};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns < 0 ? NULL : &ts,
		NULL, 0);
}

static int thread_count(void)
{
	/* F6 acquire, pairs with F5: the records are there. */
	return atomic_load_explicit(&nthreads, memory_order_acquire);
}

static struct thread *thread_of(int tid)
{
	for (int i = 0; i < thread_count(); i++) {
		struct thread *t = threads[i];

		/* Relaxed: only the thread itself looks for its own id. */
		if (atomic_load_explicit(&t->tid, memory_order_relaxed) == tid)
			return t;
	}
	return NULL;
}

/* ---- the one freezer ---- */

bool freeze_is_mine(void)
{
	/* Relaxed: our own id is there only if we put it. */
	return atomic_load_explicit(&world.owner, memory_order_relaxed) ==
	       self_tid();
}

static void own_world(void)
{
	const struct timespec nap = {0, 200 * 1000};
	int none = 0, self = self_tid();

	/* F11 acquire, pairs with F12: what the last freezer left. */
	while (!atomic_compare_exchange_strong_explicit(
		&world.owner, &none, self, memory_order_acquire,
		memory_order_relaxed)) {
		none = 0;
		/* Interrupted: looks again. This thread may be frozen here. */
		nanosleep(&nap, NULL);
	}
}

static void disown_world(void)
{
	/* F12 release, pairs with F11. */
	atomic_store_explicit(&world.owner, 0, memory_order_release);
}

/* ---- guarded calls ---- */

/* Where the pointer to the thread's jump buffer is kept. */
static sigjmp_buf **registered_guard(void)
{
	struct thread *t = thread_of(self_tid());

	return t ? &t->guard : NULL;
}

/* Not inline: what a function that calls setjmp keeps in registers is lost. */
static RG_NOINLINE bool run_guarded(sigjmp_buf *env, void (*fn)(void *arg),
				    void *arg)
{
	if (sigsetjmp(*env, 1))
		return false;
	/* The handler, on this thread, must find what was stored before. */
	atomic_signal_fence(memory_order_seq_cst); /* pairs with freeze_fault */
	fn(arg);
	return true;
}

bool freeze_guarded(void (*fn)(void *arg), void *arg)
{
	sigjmp_buf **slot = registered_guard();
	sigjmp_buf env;
	bool ok;

	if (slot) {
		/* SIGURG may come in the middle of a guarded call. */
		sigjmp_buf *outer = *slot;

		*slot = &env;
		ok = run_guarded(&env, fn, arg);
		*slot = outer;
		return ok;
	}
	/* Relaxed, all of it: used by this thread and its own handler; there
	 * is one such place, for whoever is the freezer. */
	if (!freeze_is_mine()) {
		fn(arg);
		return true;
	}
	atomic_store_explicit(&world.guest_guard, &env, memory_order_relaxed);
	atomic_store_explicit(&world.guest, self_tid(), memory_order_relaxed);
	ok = run_guarded(&env, fn, arg);
	atomic_store_explicit(&world.guest, 0, memory_order_relaxed);
	return ok;
}

void freeze_fault(void)
{
	struct thread *t = thread_of(self_tid());
	sigjmp_buf *env = NULL;

	if (t)
		env = t->guard;
	else if (atomic_load_explicit(&world.guest, memory_order_relaxed) ==
		 self_tid())
		env = atomic_load_explicit(&world.guest_guard,
					   memory_order_relaxed);
	if (!env)
		return;
	if (t)
		t->guard = NULL;
	siglongjmp(*env, 1);
}

/* ---- what the interrupted code was doing ---- */

static bool add_frame(uintptr_t pc, void *arg)
{
	struct freeze_stack *s = arg;

	if (s->n == FREEZE_FRAMES) {
		s->is_cut = true;
		return false;
	}
	s->pcs[s->n++] = pc;
	return true;
}

struct capture {
	struct freeze_stack *stack;
	const void *context;
};

static void capture_stack(void *arg)
{
	struct capture *c = arg;

	sigframe_unwind(c->context, add_frame, c->stack);
}

void freeze_stack_of_signal(struct freeze_stack *s, const void *context)
{
	struct capture c = {s, context};

	s->n = 0;
	s->exact_top = true;
	s->is_cut = false;
	/* A corrupt stack keeps the frames before the fault. */
	if (!freeze_guarded(capture_stack, &c))
		s->is_cut = true;
}

struct g *freeze_g_of_signal(const void *context)
{
	const char *sp = (const char *)sigframe_sp(context);
	struct g *gp = sched_g_of_address(sp);
	struct thread *t;
	struct m *mp;

	if (gp)
		return gp;
	/* On the signal stack, within another handler: the goroutine is what
	 * runs on the thread. */
	t = thread_of(self_tid());
	mp = getm();
	if (t && mp && sp >= t->alt_lo && sp < t->alt_hi && mp->curg != &mp->g0)
		return mp->curg;
	return NULL;
}

/* ---- being frozen ---- */

static bool is_thawed(uint32_t generation)
{
	/* F4b acquire, pairs with F4a: nothing of ours moves before the thaw. */
	uint32_t thawed =
		atomic_load_explicit(&world.thawed, memory_order_acquire);

	return (int32_t)(thawed - generation) >= 0;
}

static void answer(struct thread *t, const void *context)
{
	/* F1b acquire, pairs with F1a. */
	uint32_t asked =
		atomic_load_explicit(&t->request, memory_order_acquire);

	if (is_thawed(asked))
		return;
	t->seen.m = getm();
	t->seen.gp = freeze_g_of_signal(context);
	freeze_stack_of_signal(&t->seen.stack, context);
	/* F2a release, pairs with F2b: `seen` is complete. */
	atomic_store_explicit(&t->answer, asked, memory_order_release);
	futex_wake_all(&t->answer);
	while (!is_thawed(asked))
		futex_sleep(&world.thawed, asked - 1, -1);
}

void freeze_answer(const void *context)
{
	struct thread *t = thread_of(self_tid());

	if (t)
		answer(t, context);
}

static void on_sigurg(int sig, siginfo_t *info, void *context)
{
	int saved = errno;
	struct thread *t = thread_of(self_tid());

	if (t)
		answer(t, context);
	if (info->si_code != SI_QUEUE ||
	    (info->si_value.sival_ptr != &world &&
	     !interrupt_is_mine(info->si_value.sival_ptr)))
		sigsetup_chain(&world.former, sig, info, context);
	/* Whoever sent it: of several that are pending the kernel keeps one. Last,
	 * as it may stop the thread. */
	interrupt_on_signal(context);
	errno = saved;
}

int freeze_start(void)
{
	/* Not SA_NODEFER: the next freeze begins while a thread still leaves
	 * the last one, and frames pile up on the signal stack (seen). */
	struct sigaction sa = {.sa_flags =
				       SA_SIGINFO | SA_ONSTACK | SA_RESTART};

	sigframe_prime();
	sa.sa_sigaction = on_sigurg;
	sigsetup_async_mask(&sa.sa_mask);
	if (sigaction(SIGURG, &sa, &world.former))
		return -errno;
	world.is_installed = true;
	return 0;
}

void freeze_stop(void)
{
	if (world.is_installed)
		sigsetup_restore(SIGURG, &world.former, (void *)on_sigurg);
	world.is_installed = false;
}

/* ---- registration ---- */

/* The caller owns the world: nobody else registers or freezes. */
static struct thread *thread_take(void)
{
	int n = thread_count();
	struct thread *t;

	for (int i = 0; i < n; i++) {
		t = threads[i];
		/* Relaxed: written by owners of the world. */
		if (!atomic_load_explicit(&t->tid, memory_order_relaxed))
			return t;
	}
	if (n == THREADS_MAX)
		return NULL;
	t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t == MAP_FAILED)
		return NULL;
	threads[n] = t;
	/* F5 release, pairs with F6: the record before the count. */
	atomic_store_explicit(&nthreads, n + 1, memory_order_release);
	return t;
}

int freeze_thread_start(char *alt_lo, char *alt_hi)
{
	struct thread *t;

	/* A thread that is being born must not escape a freeze. */
	own_world();
	t = thread_take();
	if (t) {
		t->alt_lo = alt_lo;
		t->alt_hi = alt_hi;
		t->guard = NULL;
		t->is_stopped = false;
		/* Relaxed, both: handed on by the ownership. */
		atomic_store_explicit(
			&t->request,
			atomic_load_explicit(&t->answer, memory_order_relaxed),
			memory_order_relaxed);
		atomic_store_explicit(&t->tid, self_tid(),
				      memory_order_relaxed);
	}
	disown_world();
	return t ? 0 : -ENOMEM;
}

void freeze_thread_stop(void)
{
	struct thread *t;

	own_world();
	t = thread_of(self_tid());
	/* Relaxed: handed on by the ownership. */
	if (t)
		atomic_store_explicit(&t->tid, 0, memory_order_relaxed);
	disown_world();
}

/* ---- freezing ---- */

/* A thread that preemption stopped in its handler gets no signals: it looks when it
 * is poked. */
static void poke(int tid)
{
	struct m *mp;

	sched_for_each_m(mp)
	{
		if (mp->tid == tid)
			interrupt_poke(mp);
	}
}

/* false: there is no such thread any more. */
static bool send_signal(struct thread *t)
{
	siginfo_t info;
	/* Relaxed: handed on by the ownership. */
	int tid = atomic_load_explicit(&t->tid, memory_order_relaxed);

	memset(&info, 0, sizeof info);
	info.si_signo = SIGURG;
	info.si_code = SI_QUEUE;
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = &world;
	if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGURG, &info))
		return false;
	poke(tid);
	return true;
}

/* F1. false: as above, or it is the caller. */
static bool ask(struct thread *t)
{
	int tid = atomic_load_explicit(&t->tid, memory_order_relaxed);

	t->is_stopped = false;
	if (!tid || tid == self_tid())
		return false;
	/* F1a release, pairs with F1b. */
	atomic_store_explicit(&t->request, world.generation,
			      memory_order_release);
	return send_signal(t);
}

/* F3; `late`: it owed an answer already when it was asked. */
static bool wait_answer(struct thread *t, bool late)
{
	int64_t until = clock_now() + (late ? ANSWER_OFF_NS : ANSWER_NS);

	for (;;) {
		/* F2b acquire, pairs with F2a. */
		uint32_t got =
			atomic_load_explicit(&t->answer, memory_order_acquire);
		int64_t left = until - clock_now();

		if (got == world.generation)
			return true;
		if (left <= 0)
			return false;
		/* ThreadSanitizer may have taken it from the kernel and kept it,
		 * just before a system call that waits: that one needs another
		 * (base/sanitize.h, san_signals). */
		if (RG_TSAN && left > SEND_AGAIN_NS)
			left = SEND_AGAIN_NS;
		futex_sleep(&t->answer, got, left);
		if (RG_TSAN)
			send_signal(t);
	}
}

/* Asks everybody first, so that they stop at about the same time. */
static void stop_threads(void)
{
	bool asked[THREADS_MAX], late[THREADS_MAX];
	int n = thread_count();

	for (int i = 0; i < n; i++) {
		struct thread *t = threads[i];

		/* Relaxed: hints; both only ever hold generations. */
		late[i] =
			atomic_load_explicit(&t->request,
					     memory_order_relaxed) !=
			atomic_load_explicit(&t->answer, memory_order_relaxed);
		asked[i] = ask(t);
	}
	world.missed = 0;
	for (int i = 0; i < n; i++) {
		if (!asked[i])
			continue;
		threads[i]->is_stopped = wait_answer(threads[i], late[i]);
		if (!threads[i]->is_stopped)
			world.missed++;
	}
}

bool freeze_world(void)
{
	sigset_t all;

	if (freeze_is_mine())
		return false;
	own_world();
	sigsetup_async_mask(&all);
	sigaddset(&all, SIGURG);
	pthread_sigmask(SIG_BLOCK, &all, &world.mask);
	world.generation++;
	stop_threads();
	return true;
}

void freeze_thaw(void)
{
	sigset_t mask = world.mask;

	/* F4a release, pairs with F4b. */
	atomic_store_explicit(&world.thawed, world.generation,
			      memory_order_release);
	futex_wake_all(&world.thawed);
	disown_world();
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

const struct freeze_seen *freeze_find(const struct g *gp)
{
	int n = thread_count();

	for (int i = 0; i < n; i++) {
		if (threads[i]->is_stopped && threads[i]->seen.gp == gp)
			return &threads[i]->seen;
	}
	return NULL;
}

int freeze_missed(void)
{
	return world.missed;
}
