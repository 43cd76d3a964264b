// SPDX-License-Identifier: MIT
/*
 * cfi - attacks I1-I3 of kernel-iface/cfi.h: single-steps through user code, libc and the
 * vdso, and compares the chain of frames at each instruction with libgcc's.
 *
 * glibc's functions for long numbers (printf of a double, strtod) push registers and say
 * nothing of it in their tables. Both unwinders take the pushed word for the return
 * address; libgcc then reads code there and faults. In such a place it is asked with
 * a way out, and ours has to have stopped by itself.
 * RG-LDFLAGS: -lm
 */
#include "tests/support/rgtest.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <ucontext.h>
#include <unwind.h>

#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/cfi.h"
#include "kernel-iface/textmap.h"

#if defined(__x86_64__) && !RG_ASAN && !RG_TSAN

enum { FRAMES = 64, TRAP_FLAG = 0x100 };

static uintptr_t stack_lo, stack_hi;
static volatile bool is_stepping;
static uint64_t steps, in_libc, in_vdso, faults;
static uint64_t wrong;
static uintptr_t wrong_pc;
static sigjmp_buf out_of_libgcc;

struct chain {
	uintptr_t pc[FRAMES], start;
	size_t n;
	bool is_inside;
};

static _Unwind_Reason_Code see(struct _Unwind_Context *context, void *arg)
{
	struct chain *c = arg;
	uintptr_t pc = _Unwind_GetIP(context);

	c->is_inside |= pc == c->start;
	if (!pc || c->n == FRAMES)
		return _URC_END_OF_STACK;
	if (c->is_inside)
		c->pc[c->n++] = pc;
	return _URC_NO_REASON;
}

static void on_fault(int sig)
{
	(void)sig;
	siglongjmp(out_of_libgcc, 1);
}

/* False: it faulted behind the last frame of *c. */
static __attribute__((noinline)) bool ask_libgcc(struct chain *c)
{
	if (sigsetjmp(out_of_libgcc, 0))
		return false;
	_Unwind_Backtrace(see, c);
	return true;
}

/* Ours has the same frames, and where libgcc faulted, no more than these. */
static bool is_same_chain(const ucontext_t *uc, const struct chain *theirs,
			  bool is_whole)
{
	enum cfi_step last = CFI_CALLER;
	struct cfi_walk w;
	size_t n = 0;

	if (!cfi_from_signal(&w, uc, stack_lo, stack_hi))
		return false;
	while (last == CFI_CALLER && n < theirs->n) {
		if (w.reg[CFI_PC] != theirs->pc[n++])
			return false;
		last = cfi_step(&w);
	}
	if (n != theirs->n || n == FRAMES)
		return n == FRAMES;
	if (is_whole)
		return last != CFI_CALLER;
	/* The garbage it read may still be given out as a caller's pc. */
	return last != CFI_CALLER || cfi_step(&w) == CFI_NONE;
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct chain theirs = {
		.start = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP]};
	bool is_whole, is_library;

	(void)sig;
	(void)info;
	if (!is_stepping) {
		uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	is_whole = ask_libgcc(&theirs);
	is_library = textmap_class(theirs.start) == TEXT_LIBRARY;
	faults += !is_whole;
	steps++;
	in_libc += is_library;
	in_vdso += textmap_class(theirs.start) == TEXT_VDSO;
	if ((!is_whole && !is_library) || !is_same_chain(uc, &theirs, is_whole))
		if (!wrong++)
			wrong_pc = theirs.start;
}

static void step(bool on)
{
	is_stepping = on;
	if (on)
		__asm__ volatile(
			"leaq -128(%%rsp), %%rsp\n\tpushfq\n\torq %0, "
			"(%%rsp)\n\tpopfq\n\tleaq 128(%%rsp), %%rsp" ::"i"(
				TRAP_FLAG)
			: "memory", "cc");
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static __attribute__((noinline)) double recurse(int depth, double x)
{
	return depth ? recurse(depth - 1, x * 0.5) + sin(x) : x;
}

static void cfi_at_each_instruction_agrees_with_libgcc(void **state)
{
	struct sigaction sa = {.sa_sigaction = on_trap,
			       .sa_flags = SA_SIGINFO | SA_NODEFER};
	struct sigaction fault = {.sa_handler = on_fault,
				  .sa_flags = SA_NODEFER};
	struct sigaction former, former_fault;
	int items[] = {9, 3, 7, 1, 8, 2};
	struct timespec ts;
	pthread_attr_t attr;
	char text[128];
	size_t size;
	void *lo;

	(void)state;
	textmap_start();
	assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
	pthread_attr_getstack(&attr, &lo, &size);
	pthread_attr_destroy(&attr);
	stack_lo = (uintptr_t)lo;
	stack_hi = stack_lo + size;
	assert_int_equal(sigaction(SIGTRAP, &sa, &former), 0);
	assert_int_equal(sigaction(SIGSEGV, &fault, &former_fault), 0);
	step(true);
	snprintf(text, sizeof text, "%g %s %d %a", 1e300, "x", 17, 0.1);
	qsort(items, 6, sizeof *items, compare);
	free(malloc(100));
	clock_gettime(CLOCK_MONOTONIC, &ts);
	recurse(10, 1.0);
	step(false);
	sigaction(SIGTRAP, &former, NULL);
	sigaction(SIGSEGV, &former_fault, NULL);
	print_message("%llu instructions, %llu in libraries, %llu in the vdso; "
		      "libgcc faulted at %llu\n",
		      (unsigned long long)steps, (unsigned long long)in_libc,
		      (unsigned long long)in_vdso, (unsigned long long)faults);
	if (wrong)
		print_message("%llu wrong, the first at %#lx\n",
			      (unsigned long long)wrong, (long)wrong_pc);
	assert_int_equal(wrong, 0);
	assert_true(steps > 3000);
	assert_true(in_libc > 1000);
	assert_true(faults < steps / 4);
}

static void cfi_of_wild_pcs_knows_nothing(void **state)
{
	struct cfi_walk w = {.known = 0x1ffff, .is_exact = true};
	uintptr_t words[32] = {0}, start, end;

	(void)state;
	w.lo = (uintptr_t)words;
	w.hi = (uintptr_t)(words + 32);
	w.reg[CFI_SP] = w.lo + 64;
	assert_int_equal(cfi_step(&w), CFI_NONE);
	w.reg[CFI_PC] = (uintptr_t)words;
	assert_int_equal(cfi_step(&w), CFI_NONE);
	w.reg[CFI_PC] = UINTPTR_MAX;
	assert_int_equal(cfi_step(&w), CFI_NONE);
	assert_false(cfi_procedure(0, &start, &end));
	assert_true(cfi_procedure((uintptr_t)&recurse, &start, &end));
	assert_int_equal(start, (uintptr_t)&recurse);
}

/* Registers that lead out of the stack, or nowhere: each is an error, none a fault. */
static void cfi_of_wild_registers_is_bad(void **state)
{
	uintptr_t words[64] = {0}, start, end;
	const uintptr_t wild[] = {0, 8, 0xdeadbeefdeadbee8u, UINTPTR_MAX - 7};

	(void)state;
	assert_true(cfi_procedure((uintptr_t)&recurse, &start, &end));
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		for (uintptr_t pc = start; pc < end; pc++) {
			struct cfi_walk w = {.known = 0x1ffff,
					     .is_exact = true,
					     .lo = (uintptr_t)words,
					     .hi = (uintptr_t)(words + 64)};

			for (int k = 0; k < CFI_REGISTERS; k++)
				w.reg[k] = wild[i];
			w.reg[CFI_PC] = pc;
			assert_int_equal(cfi_step(&w), CFI_BAD);
			w.reg[CFI_SP] = w.hi;
			w.reg[6] = w.hi - 4;
			assert_int_equal(cfi_step(&w), CFI_BAD);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cfi_at_each_instruction_agrees_with_libgcc),
		cmocka_unit_test(cfi_of_wild_pcs_knows_nothing),
		cmocka_unit_test(cfi_of_wild_registers_is_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("not on this CPU, nor under a sanitizer\n");
	return 77;
}

#endif
