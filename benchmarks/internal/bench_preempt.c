// SPDX-License-Identifier: MIT
/*
 * bench_preempt - what it costs to preempt by a signal: linked to the library's
 * insides, run on a helper thread on a flow of its own, without the scheduler.
 *
 *   preempt_signal       a signal to oneself and a handler that does nothing
 *   preempt_switch       the same with decision, redirection, all registers saved, a
 *                        switch away and back; so the difference is the preemption
 *   preempt_hijack       the same at the return from a library's function
 *   preempt_decide_10    a decision at 10 frames (SWITCH); _30: at 30
 *   preempt_refused      a decision that ends at once: runtime code
 */
#include "benchmarks/support/bench.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-iface/coro.h"
#include "kernel-iface/preempt.h"
#include "kernel-iface/safepoint.h"
#include "kernel-iface/textmap.h"

enum { STACK = 256 * 1024, ALT = 64 * 1024, DECISIONS = 1000 };

static struct {
	struct coro flow, home;
	struct safepoint_flow bounds;
	struct preempt_hijack hijack;
	void (*body)(void);
	int64_t n, took_ns;
	int64_t stops;
	enum safepoint_verdict expected;
	unsigned frames; /* expected; 0: any number */
	bool acts;       /* the handler does what it decided */
	bool decides;    /* it decides DECISIONS times */
	bool is_over;
	pid_t pid, tid;
} bench;

static void hook(void)
{
	preempt_hijack_disarm(&bench.hijack);
	bench.stops++;
	coro_switch(&bench.flow, &bench.home, NULL, false);
}

static void decide(const ucontext_t *uc, struct safepoint *s)
{
	safepoint_decide(uc, &bench.bounds, s);
	if (s->verdict != bench.expected)
		bench_fail("preempt: the verdict is %s",
			   safepoint_name(s->verdict));
	if (bench.frames && s->frames != bench.frames)
		bench_fail("preempt: there are %u frames", s->frames);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	struct safepoint s;
	int64_t start;

	(void)sig;
	(void)info;
	if (bench.acts) {
		decide(context, &s);
		if (s.verdict == SAFEPOINT_SWITCH)
			preempt_redirect(context);
		else if (!preempt_hijack_arm(&bench.hijack, s.slot))
			bench_fail("preempt: the hijack is refused");
	}
	if (bench.decides) {
		start = bench_now_ns();
		for (int i = 0; i < DECISIONS; i++)
			decide(context, &s);
		bench.took_ns += bench_now_ns() - start;
	}
}

/* The signal comes at an instruction of ours. */
static inline __attribute__((always_inline)) void signal_here(void)
{
#if defined(__x86_64__)
	long number = SYS_tgkill;

	__asm__ volatile("syscall"
			 : "+a"(number)
			 : "D"((long)bench.pid), "S"((long)bench.tid),
			   "d"((long)SIGUSR2)
			 : "rcx", "r11", "memory");
#endif
}

static void signals(void)
{
	int64_t start = bench_now_ns();

	for (int64_t i = 0; i < bench.n; i++)
		signal_here();
	bench.took_ns = bench_now_ns() - start;
}

static void library_signals(void)
{
	int64_t start = bench_now_ns();

	for (int64_t i = 0; i < bench.n; i++)
		syscall(SYS_tgkill, bench.pid, bench.tid, SIGUSR2);
	bench.took_ns = bench_now_ns() - start;
}

/* depth frames of its own, to the signal. */
static __attribute__((noinline)) void dive(int depth)
{
	if (depth > 1)
		dive(depth - 1);
	else
		for (int64_t i = 0; i < bench.n / DECISIONS; i++)
			signal_here();
	__asm__ volatile("" ::: "memory");
}

/* With this function's frame, bench_entry's and the entry's own. */
static void dive_10(void)
{
	dive(7);
	__asm__ volatile("" ::: "memory");
}

static void dive_30(void)
{
	dive(27);
	__asm__ volatile("" ::: "memory");
}

static void bench_entry(void *transfer)
{
	(void)transfer;
	coro_started();
	bench.body();
	preempt_hijack_disarm(&bench.hijack);
	bench.is_over = true;
	coro_switch(&bench.flow, &bench.home, NULL, true);
	abort();
}

static void *run_flow(void *unused)
{
	struct sigaction sa = {.sa_sigaction = on_signal,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK};
	char *stack = aligned_alloc(64, STACK), *alt = malloc(ALT);
	stack_t here = {.ss_sp = alt, .ss_size = ALT}, former_alt;
	void (*former_hook)(void) = preempt_switch_hook;
	struct sigaction former;
	sigset_t only, former_mask;

	(void)unused;
	if (!stack || !alt)
		bench_fail("out of memory");
	bench.bounds.stack_lo = (uintptr_t)stack;
	bench.bounds.stack_hi = (uintptr_t)stack + STACK;
	bench.pid = getpid();
	bench.tid = (pid_t)syscall(SYS_gettid);
	bench.is_over = false;
	preempt_switch_hook = hook;
	coro_init_thread(&bench.home);
	coro_init(&bench.flow, stack, stack + STACK, bench_entry);
	sigemptyset(&sa.sa_mask);
	sigemptyset(&only);
	sigaddset(&only, SIGUSR2);
	if (sigaltstack(&here, &former_alt) || sigaction(SIGUSR2, &sa, &former))
		bench_fail("no signal handler can be had");
	/* Helper threads take no signals. */
	pthread_sigmask(SIG_UNBLOCK, &only, &former_mask);
	while (!bench.is_over)
		coro_switch(&bench.home, &bench.flow, NULL, false);
	pthread_sigmask(SIG_SETMASK, &former_mask, NULL);
	sigaction(SIGUSR2, &former, NULL);
	sigaltstack(&former_alt, NULL);
	preempt_switch_hook = former_hook;
	coro_fini(&bench.flow);
	free(stack);
	free(alt);
	return NULL;
}

static void measure(int64_t n, double *out, void (*body)(void))
{
	bench.body = body;
	bench.n = n;
	bench.took_ns = bench.stops = 0;
	rg_blocking(run_flow, NULL);
	if (bench.acts && bench.stops != n)
		bench_fail("preempt: %lld stops of %lld",
			   (long long)bench.stops, (long long)n);
	out[0] = (double)bench.took_ns / (double)n;
	bench.acts = bench.decides = false;
	bench.frames = 0;
}

static void preempt_signal(int64_t n, double *out)
{
	measure(n, out, signals);
}

static void preempt_switch(int64_t n, double *out)
{
	bench.acts = true;
	bench.expected = SAFEPOINT_SWITCH;
	measure(n, out, signals);
}

static void preempt_hijack(int64_t n, double *out)
{
	bench.acts = true;
	bench.expected = SAFEPOINT_HIJACK;
	measure(n, out, library_signals);
}

static void preempt_decide_10(int64_t n, double *out)
{
	bench.decides = true;
	bench.expected = SAFEPOINT_SWITCH;
	bench.frames = 10;
	measure(n, out, dive_10);
}

static void preempt_decide_30(int64_t n, double *out)
{
	bench.decides = true;
	bench.expected = SAFEPOINT_SWITCH;
	bench.frames = 30;
	measure(n, out, dive_30);
}

/* A stand-in for runtime code: the interrupted function is in its section. */
static RG_CALLS_USER void in_runtime(void)
{
	for (int64_t i = 0; i < bench.n / DECISIONS; i++)
		signal_here();
}

static void preempt_refused(int64_t n, double *out)
{
	bench.decides = true;
	bench.expected = SAFEPOINT_RUNTIME;
	measure(n, out, in_runtime);
}

#define ROW(fn, count)                                                         \
	{                                                                      \
		.name = #fn, .n = (count), .figure = {{#fn, "ns/op"}},         \
		.once = fn                                                     \
	}

static const struct bench_row rows[] = {
	ROW(preempt_signal, 100000),    ROW(preempt_switch, 100000),
	ROW(preempt_hijack, 100000),    ROW(preempt_decide_10, 200000),
	ROW(preempt_decide_30, 100000), ROW(preempt_refused, 1000000),
};

int main(int argc, char **argv)
{
	safepoint_start();
	if (!preempt_is_supported())
		bench_fail("no trampolines on this machine");
	/* It holds no lock of its thread's where its signals come. */
	textmap_allow((const void *)(uintptr_t)&main);
	return bench_main(argc, argv, rows, sizeof rows / sizeof *rows);
}
