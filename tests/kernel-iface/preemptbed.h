/* SPDX-License-Identifier: MIT */
/*
 * preemptbed - one flow on a stack of its own, interrupted by a timer's SIGURG, set again
 * by each handler to some 1 to 30 us later; where it may be stopped, it is switched away
 * from, to code that spoils every register it can, and back. A timer, for it comes
 * when the flow runs: a thread that sends waits for a CPU where there are few.
 *
 * Included by the tests of preemption; checks are left to them. What the flow may not
 * do while it is stopped shows as a hang or a crash.
 */
#ifndef RG_TESTS_PREEMPTBED_H
#define RG_TESTS_PREEMPTBED_H

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "kernel-iface/cfi.h"
#include "kernel-iface/coro.h"
#include "kernel-iface/preempt.h"
#include "kernel-iface/safepoint.h"

enum { BED_STACK = 256 * 1024, BED_ALT = 64 * 1024 };

static struct {
	struct coro flow, home;
	struct safepoint_flow bounds;
	struct preempt_hijack hijack;
	char *stack;
	void (*body)(void *arg);
	void *arg;
	_Atomic bool is_over;
	_Atomic uint64_t handled;
	timer_t timer;
	uint32_t random; /* of its phase */
	uint64_t verdicts[SAFEPOINT_VERDICT_COUNT];
	uint64_t switches; /* by the hook */
	uint64_t decide_ns, decided;
	void (*on_stop)(void); /* in the hook, back again */
	void (*on_home)(void); /* on the thread's stack, while it is stopped */
	void (*on_decision)(const ucontext_t *uc, const struct safepoint *s);
} bed;

static void bed_spoil(void)
{
#if defined(__x86_64__)
	static const unsigned char junk[64] = {0xa5, 0x5a, 0xff, 1, 2, 3};

	__asm__ volatile("fldpi; fldpi; fldpi; fldl2e; fldl2t\n\t"
			 "fstp %%st(0); fstp %%st(0); fstp %%st(0)\n\t"
			 "fstp %%st(0); fstp %%st(0)\n\t"
			 "movups (%0), %%xmm0; movups (%0), %%xmm1\n\t"
			 "movups (%0), %%xmm2; movups (%0), %%xmm3\n\t"
			 "movups (%0), %%xmm4; movups (%0), %%xmm5\n\t"
			 "movups (%0), %%xmm6; movups (%0), %%xmm7\n\t"
			 "movups (%0), %%xmm8; movups (%0), %%xmm9\n\t"
			 "movups (%0), %%xmm10; movups (%0), %%xmm11\n\t"
			 "movups (%0), %%xmm12; movups (%0), %%xmm13\n\t"
			 "movups (%0), %%xmm14; movups (%0), %%xmm15\n\t"
			 :
			 : "r"(junk)
			 : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
			   "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
			   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	if (__builtin_cpu_supports("avx512bw"))
		__asm__ volatile(
			"vmovups (%0), %%zmm0; vmovups (%0), %%zmm15\n\t"
			"vmovups (%0), %%zmm16; vmovups (%0), %%zmm17\n\t"
			"vmovups (%0), %%zmm24; vmovups (%0), %%zmm31\n\t"
			"kmovq (%0), %%k1; kmovq (%0), %%k2\n\t"
			"kmovq (%0), %%k5; kmovq (%0), %%k7\n\t"
			"vzeroupper"
			:
			: "r"(junk)
			: "memory");
#endif
}

static void bed_hook(void)
{
	int saved = errno;

	preempt_hijack_disarm(&bed.hijack);
	bed.switches++;
	coro_switch(&bed.flow, &bed.home, NULL, false);
	if (bed.on_stop)
		bed.on_stop();
	errno = saved;
}

static void bed_arm(void)
{
	struct itimerspec when = {0};

	bed.random = bed.random * 1664525 + 1013904223;
	when.it_value.tv_nsec = 1000 + (bed.random >> 8) % 29000;
	if (timer_settime(bed.timer, 0, &when, NULL))
		abort();
}

static void bed_on_signal(int sig, siginfo_t *info, void *context)
{
	struct safepoint s;
	int saved = errno;

	(void)sig;
	(void)info;
	safepoint_decide(context, &bed.bounds, &s);
	bed.verdicts[s.verdict]++;
	if (bed.on_decision)
		bed.on_decision(context, &s);
	if (s.verdict == SAFEPOINT_SWITCH)
		preempt_redirect(context);
	else if (s.verdict == SAFEPOINT_HIJACK &&
		 !preempt_hijack_arm(&bed.hijack, s.slot))
		abort();
	/* Relaxed: only counts. */
	atomic_fetch_add_explicit(&bed.handled, 1, memory_order_relaxed);
	bed_arm();
	errno = saved;
}

static void bed_entry(void *transfer)
{
	(void)transfer;
	coro_started();
	bed.body(bed.arg);
	preempt_hijack_disarm(&bed.hijack);
	atomic_store_explicit(&bed.is_over, true, memory_order_relaxed);
	coro_switch(&bed.flow, &bed.home, NULL, true);
	abort();
}

/* Run body(arg) as a flow under a storm of signals until it returns. */
static void bed_run(void (*body)(void *arg), void *arg)
{
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID,
			      .sigev_signo = SIGURG};
	struct sigaction sa = {.sa_sigaction = bed_on_signal}, former;
	stack_t alt = {.ss_size = BED_ALT}, former_alt;

	safepoint_start();
	preempt_switch_hook = bed_hook;
	bed.stack = aligned_alloc(64, BED_STACK);
	alt.ss_sp = malloc(BED_ALT);
	if (!bed.stack || !alt.ss_sp)
		abort();
	bed.bounds.stack_lo = (uintptr_t)bed.stack;
	bed.bounds.stack_hi = (uintptr_t)bed.stack + BED_STACK;
	bed.body = body;
	bed.arg = arg;
	bed.switches = 0;
	memset(bed.verdicts, 0, sizeof bed.verdicts);
	atomic_store_explicit(&bed.is_over, false, memory_order_relaxed);
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	sigemptyset(&sa.sa_mask);
	coro_init_thread(&bed.home);
	coro_init(&bed.flow, bed.stack, bed.stack + BED_STACK, bed_entry);
	ev._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (sigaltstack(&alt, &former_alt) || sigaction(SIGURG, &sa, &former) ||
	    timer_create(CLOCK_MONOTONIC, &ev, &bed.timer))
		abort();
	bed_arm();
	while (!atomic_load_explicit(&bed.is_over, memory_order_relaxed)) {
		if (bed.on_home)
			bed.on_home();
		bed_spoil();
		coro_switch(&bed.home, &bed.flow, NULL, false);
	}
	timer_delete(bed.timer);
	sigaction(SIGURG, &former, NULL);
	sigaltstack(&former_alt, NULL);
	coro_fini(&bed.flow);
	free(bed.stack);
	free(alt.ss_sp);
}

static void bed_print(const char *what)
{
	print_message("%s:", what);
	for (int i = 0; i < SAFEPOINT_VERDICT_COUNT; i++)
		if (bed.verdicts[i])
			print_message(" %s %llu",
				      safepoint_name((enum safepoint_verdict)i),
				      (unsigned long long)bed.verdicts[i]);
	print_message("; switches %llu\n", (unsigned long long)bed.switches);
}

#endif
