// SPDX-License-Identifier: MIT
/*
 * safepoint - attacks I1-I4 of kernel-iface/safepoint.h and textmap.h: flows that spend
 * their time in an allocator, in a callback of qsort, in printf, in the vdso, in the
 * runtime, in code without unwind tables; each stopped where it may be, and only there.
 * RG-LDFLAGS: -lm
 */
#include "tests/support/rgtest.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#include "kernel-iface/textmap.h"
#include "tests/kernel-iface/preemptbed.h"

#if defined(__x86_64__)

/* Signals each victim takes; RG_PREEMPTIONS overrides. */
static uint64_t wanted = 2000;
static uint64_t mismatches; /* verdicts that the class of the pc contradicts */

static uint64_t handled(void)
{
	return atomic_load_explicit(&bed.handled, memory_order_relaxed);
}

static void check_decision(const ucontext_t *uc, const struct safepoint *s)
{
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
	enum text_class class = textmap_class(pc);

	if (s->verdict == SAFEPOINT_SWITCH)
		mismatches += class != TEXT_USER && class != TEXT_PASS;
	if (s->verdict == SAFEPOINT_HIJACK)
		mismatches += class != TEXT_LIBRARY && class != TEXT_VDSO;
}

static bool can_run(void)
{
	safepoint_start();
	mismatches = 0;
	bed.on_decision = check_decision;
	return preempt_is_supported();
}

#define NEEDS_PREEMPTION()                                                     \
	do {                                                                   \
		if (!can_run())                                                \
			skip();                                                \
	} while (0)

/* Signals that found the flow outside hook and home. */
static uint64_t aimed(void)
{
	uint64_t n = 0;

	for (int i = 0; i < SAFEPOINT_VERDICT_COUNT; i++)
		n += bed.verdicts[i];
	return n - bed.verdicts[SAFEPOINT_NOT_ON_STACK] -
	       bed.verdicts[SAFEPOINT_PENDING];
}

static void expect_only(enum safepoint_verdict verdict, uint64_t least)
{
	assert_true(bed.verdicts[verdict] >= least);
	assert_int_equal(mismatches, 0);
}

/* ---- a program that imports locks ---- */

static void check_stopped_often(const char *what)
{
	bed_print(what);
	assert_int_equal(mismatches, 0);
	assert_true(bed.verdicts[SAFEPOINT_SWITCH] +
			    bed.verdicts[SAFEPOINT_HIJACK] >
		    aimed() * 95 / 100);
	/* Each that was promised happened; one may be cut off by the end. */
	assert_true(bed.switches + 1 >= bed.verdicts[SAFEPOINT_SWITCH] +
						bed.verdicts[SAFEPOINT_HIJACK]);
}

static void count_loop(void *arg)
{
	uint64_t until = handled() + wanted;

	(void)arg;
	while (handled() < until)
		;
}

/*
 * This program calls pthread_once and more. Until it promises to hold no lock of its
 * thread's where signals may come, it is not stopped; afterwards it is, and all
 * other tests here are of that.
 */
static void safepoint_in_a_program_with_locks_needs_its_promise(void **state)
{
	const char *import;
	uint64_t refused;

	(void)state;
	NEEDS_PREEMPTION();
	import = textmap_lock_import();
	assert_non_null(import);
	print_message("the program imports %s\n", import);
	assert_int_equal(textmap_class((uintptr_t)&count_loop),
			 TEXT_USER_LOCKS);
	bed_run(count_loop, NULL);
	bed_print("without promise");
	refused = bed.verdicts[SAFEPOINT_LOCKS];
	assert_int_equal(bed.switches, 0);
	assert_true(refused > wanted * 9 / 10);
	assert_int_equal(textmap_allow(&wanted), 0);
	assert_int_equal(textmap_class((uintptr_t)&count_loop), TEXT_USER);
	bed_run(count_loop, NULL);
	check_stopped_often("with promise");
	assert_int_equal(bed.verdicts[SAFEPOINT_LOCKS], 0);
	assert_string_equal(textmap_lock_import(), import);
}

/* ---- where stopping must succeed ---- */

static void *(*do_malloc)(size_t);
static void (*do_free)(void *);

static void malloc_loop(void *arg)
{
	uint64_t until = handled() + wanted, n = 0;
	char *kept[16] = {0};

	(void)arg;
	while (handled() < until) {
		unsigned i = (unsigned)n++ % 16;

		if (kept[i])
			T_CHECK(kept[i][0] == (char)i);
		do_free(kept[i]);
		kept[i] = do_malloc(16 + (n * 37) % 2000);
		T_CHECK(kept[i] != NULL);
		kept[i][0] = (char)i;
	}
	for (int i = 0; i < 16; i++)
		do_free(kept[i]);
}

static void safepoint_in_the_allocator_is_at_its_return(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	do_malloc = malloc;
	do_free = free;
	bed_run(malloc_loop, NULL);
	check_stopped_often("malloc");
}

static void safepoint_in_libcs_allocator_is_at_its_return(void **state)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	(void)state;
	NEEDS_PREEMPTION();
	assert_non_null(libc);
	*(void **)&do_malloc = dlsym(libc, "malloc");
	*(void **)&do_free = dlsym(libc, "free");
	bed_run(malloc_loop, NULL);
	check_stopped_often("libc's malloc");
	dlclose(libc);
}

static void print_loop(void *arg)
{
	uint64_t until = handled() + wanted;
	char text[100];

	(void)arg;
	for (int n = 0; handled() < until; n = (n + 1) % 1000) {
		errno = n;
		snprintf(text, sizeof text, "%d %.3f %s", n, n / 8.0, "end");
		T_CHECK_INT_EQ(errno, n);
		T_CHECK(strtol(text, NULL, 10) == n);
		T_CHECK_STR_HAS(text, " end");
	}
}

static void safepoint_in_printf_is_at_its_return(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(print_loop, NULL);
	check_stopped_often("snprintf");
}

static void clock_loop(void *arg)
{
	uint64_t until = handled() + wanted;
	struct timespec last = {0}, now;

	(void)arg;
	while (handled() < until) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		T_CHECK(now.tv_sec > last.tv_sec ||
			(now.tv_sec == last.tv_sec &&
			 now.tv_nsec >= last.tv_nsec));
		last = now;
	}
}

static void safepoint_in_the_vdso_is_at_its_return(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(clock_loop, NULL);
	check_stopped_often("clock_gettime");
}

static int compare_slowly(const void *a, const void *b)
{
	volatile int spin = 200;

	while (spin)
		spin--;
	return *(const int *)a - *(const int *)b;
}

static void sort_loop(void *arg)
{
	static int items[300];
	uint64_t until = handled() + wanted;

	(void)arg;
	while (handled() < until) {
		for (int i = 0; i < 300; i++)
			items[i] = (i * 7919) % 300;
		qsort(items, 300, sizeof *items, compare_slowly);
		for (int i = 0; i < 300; i++)
			T_CHECK_INT_EQ(items[i], i);
	}
}

static void safepoint_in_a_callback_of_qsort_is_at_once(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(sort_loop, NULL);
	bed_print("qsort");
	assert_int_equal(mismatches, 0);
	assert_true(bed.verdicts[SAFEPOINT_SWITCH] > aimed() * 9 / 10);
	assert_int_equal(bed.verdicts[SAFEPOINT_CALLBACK], 0);
}

static void jump_loop(void *arg)
{
	uint64_t until = handled() + wanted;
	volatile int jumps = 0;
	jmp_buf there;

	(void)arg;
	while (handled() < until) {
		int before = jumps;

		if (setjmp(there)) {
			T_CHECK_INT_EQ(jumps, before + 1);
			continue;
		}
		jumps++;
		longjmp(there, 1);
	}
}

/* The true return address is in the jump buffer, never the trampoline's. */
static void safepoint_in_setjmp_is_refused(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(jump_loop, NULL);
	bed_print("setjmp");
	expect_only(SAFEPOINT_SETJMP, wanted / 20);
}

/* ---- where it must be refused ---- */

static void spin_until_enough(void)
{
	uint64_t until = handled() + wanted;

	while (handled() < until)
		;
}

static void once_loop(void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)arg;
	pthread_once(&once, spin_until_enough);
}

static void safepoint_in_a_callback_of_a_library_is_refused(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(once_loop, NULL);
	bed_print("pthread_once");
	expect_only(SAFEPOINT_CALLBACK, wanted * 9 / 10);
}

static void runtime_loop(void *arg)
{
	uint64_t until = handled() + wanted;
	uintptr_t start, end;

	(void)arg;
	while (handled() < until)
		T_CHECK(cfi_procedure((uintptr_t)&runtime_loop, &start, &end));
}

/* A sanitizer's allocator, and what else it intercepts, is in the program itself. */
#define NEEDS_LIBC_OUTSIDE()                                                   \
	do {                                                                   \
		if (SAN_IS_ON) {                                               \
			print_message("skipped: the sanitizer intercepts "     \
				      "libc\n");                               \
			skip();                                                \
		}                                                              \
	} while (0)

/* libc called by a function of the runtime's that calls user code elsewhere: locks of
 * the runtime may be held there. */
static size_t (*volatile measure)(const char *) = strlen;

static RG_CALLS_USER void measures(const char *text)
{
	uint64_t until = handled() + wanted;

	while (handled() < until)
		(void)measure(text);
}

static void measure_loop(void *arg)
{
	measures(arg);
}

static uint64_t in_libc;

static void check_outside(const ucontext_t *uc, const struct safepoint *s)
{
	bool is_outside = safepoint_is_outside(uc, &bed.bounds);

	in_libc += textmap_is_libc((uintptr_t)uc->uc_mcontext.gregs[REG_RIP]);
	/* Before and after the body the bed, not the runtime, asks libstdc++ for
	 * the thread's exceptions (one signal in 100,000). */
	mismatches += is_outside && s->verdict != SAFEPOINT_EXCEPTION;
}

static void safepoint_in_libc_called_by_the_runtime_is_refused(void **state)
{
	static char text[4096];

	(void)state;
	NEEDS_PREEMPTION();
	NEEDS_LIBC_OUTSIDE();
	memset(text, 'x', sizeof text - 1);
	in_libc = 0;
	bed.on_decision = check_outside;
	bed_run(measure_loop, text);
	bed_print("libc called by the runtime");
	assert_true(in_libc >= wanted / 2);
	expect_only(SAFEPOINT_RUNTIME, wanted * 9 / 10);
}

static void safepoint_in_the_runtime_is_refused(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(runtime_loop, NULL);
	bed_print("runtime");
	expect_only(SAFEPOINT_RUNTIME, wanted / 2);
}

static void cramped_loop(void *arg)
{
	(void)arg;
	bed.bounds.stack_lo =
		(uintptr_t)__builtin_frame_address(0) + 64 - preempt_room();
	/* For the handler on this thread, before the loop. */
	atomic_signal_fence(memory_order_seq_cst);
	spin_until_enough();
}

static void safepoint_without_room_is_refused(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(cramped_loop, NULL);
	bed_print("no room");
	expect_only(SAFEPOINT_NO_ROOM, wanted * 9 / 10);
}

/* while (*flag == 0); return; */
static const unsigned char machine_code[] = {0x83, 0x3f, 0x00,
					     0x74, 0xfb, 0xc3};
static volatile int jit_flag;
static uint64_t jit_left;

static void end_jit(const ucontext_t *uc, const struct safepoint *s)
{
	check_decision(uc, s);
	if (!--jit_left)
		jit_flag = 1;
}

static void jit_loop(void *arg)
{
	void (*run)(volatile int *);

	*(void **)&run = arg;
	jit_left = wanted;
	jit_flag = 0;
	bed.on_decision = end_jit;
	run(&jit_flag);
}

static void safepoint_in_code_of_no_object_is_refused(void **state)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	NEEDS_PREEMPTION();
	assert_true(page != MAP_FAILED);
	memcpy(page, machine_code, sizeof machine_code);
	bed_run(jit_loop, page);
	bed_print("no object");
	expect_only(SAFEPOINT_UNKNOWN, wanted - 100);
	munmap(page, 4096);
}

/* Without CFI; with CFI that lies about where the frame is; and with one that does not
 * know of a push, so that a pointer into the caller's code passes for its return
 * address, and the chain is whole. */
void no_cfi(volatile int *flag);
void lying_cfi(volatile int *flag);
void calls_silent_push(volatile int *flag);
__asm__(".text\n.globl no_cfi, lying_cfi\n"
	".type no_cfi, @function\n"
	"no_cfi: cmpl $0, (%rdi)\n je no_cfi\n ret\n"
	".size no_cfi, . - no_cfi\n"
	".type lying_cfi, @function\n"
	"lying_cfi:\n.cfi_startproc\n"
	"pushq %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset rbp, 0\n"
	"movabsq $0xdeadbeef0, %rbp\n.cfi_def_cfa rbp, 16\n"
	"1: cmpl $0, (%rdi)\n je 1b\n"
	"popq %rbp\n.cfi_def_cfa rsp, 8\n.cfi_restore rbp\n"
	"ret\n.cfi_endproc\n.size lying_cfi, . - lying_cfi\n"
	".globl calls_silent_push\n"
	".type calls_silent_push, @function\n"
	"calls_silent_push:\n.cfi_startproc\n"
	"pushq %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset rbp, 0\n"
	"movq %rsp, %rbp\n.cfi_def_cfa_register rbp\n"
	"call silent_push\n nop; nop; nop; nop; nop; nop; nop; nop\n"
	"no_call_before: popq %rbp\n.cfi_def_cfa rsp, 8\n.cfi_restore rbp\n"
	"ret\n.cfi_endproc\n"
	".size calls_silent_push, . - calls_silent_push\n"
	".type silent_push, @function\n"
	"silent_push:\n.cfi_startproc\n"
	"leaq no_call_before(%rip), %rax\n pushq %rax\n"
	"1: cmpl $0, (%rdi)\n je 1b\n"
	"popq %rax\n ret\n.cfi_endproc\n"
	".size silent_push, . - silent_push\n");

static void safepoint_without_unwind_tables_is_refused(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(jit_loop, (void *)(uintptr_t)&no_cfi);
	bed_print("no tables");
	expect_only(SAFEPOINT_NO_UNWIND, wanted - 100);
	bed.on_decision = check_decision;
	bed_run(jit_loop, (void *)(uintptr_t)&lying_cfi);
	bed_print("lying tables");
	expect_only(SAFEPOINT_NO_UNWIND, wanted - 100);
	bed.on_decision = check_decision;
	bed_run(jit_loop, (void *)(uintptr_t)&calls_silent_push);
	bed_print("silent push");
	expect_only(SAFEPOINT_NO_UNWIND, wanted - 100);
}

static __attribute__((noinline)) void deeper(int n)
{
	if (n)
		deeper(n - 1);
	else
		spin_until_enough();
	__asm__ volatile("" ::: "memory");
}

static void deep_loop(void *arg)
{
	(void)arg;
	deeper(SAFEPOINT_FRAMES_MAX);
}

static void safepoint_below_too_many_frames_is_refused(void **state)
{
	(void)state;
	NEEDS_PREEMPTION();
	bed_run(deep_loop, NULL);
	bed_print("deep");
	expect_only(SAFEPOINT_DEEP, wanted * 9 / 10);
}

/* ---- whose code ---- */

static enum text_class class_of(const char *symbol)
{
	void *at = dlsym(RTLD_DEFAULT, symbol);

	assert_non_null(at);
	return textmap_class((uintptr_t)at);
}

static void textmap_classes_are_as_documented(void **state)
{
	(void)state;
	NEEDS_LIBC_OUTSIDE();
	textmap_start();
	assert_true(textmap_is_usable());
	assert_false(textmap_malloc_is_inside());
	assert_int_equal(textmap_class(0), TEXT_UNKNOWN);
	assert_int_equal(textmap_class((uintptr_t)&jit_flag - 1), TEXT_USER);
	assert_int_equal(textmap_class((uintptr_t)&class_of), TEXT_USER);
	assert_int_equal(textmap_class((uintptr_t)&textmap_class),
			 TEXT_RUNTIME);
	assert_int_equal(class_of("printf"), TEXT_LIBRARY);
	assert_int_equal(class_of("malloc"), TEXT_LIBRARY);
	assert_int_equal(class_of("bsearch"), TEXT_PASS);
	assert_int_equal(class_of("lfind"), TEXT_PASS);
	assert_int_equal(class_of("vfork"), TEXT_VFORK);
	assert_int_equal(class_of("_setjmp"), TEXT_SETJMP);
	assert_int_equal(class_of("_Unwind_Backtrace"), TEXT_UNWINDER);
}

static void textmap_allow_takes_libraries_but_not_libc(void **state)
{
	(void)state;
	NEEDS_LIBC_OUTSIDE();
	assert_int_equal(textmap_allow(dlsym(RTLD_DEFAULT, "printf")), -EPERM);
	assert_int_equal(textmap_allow(dlsym(RTLD_DEFAULT, "malloc")), -EPERM);
	assert_int_equal(
		textmap_allow(dlsym(RTLD_DEFAULT, "_Unwind_Backtrace")),
		-EPERM);
	assert_int_equal(textmap_allow(NULL), -ENOENT);
	assert_int_equal(class_of("sinh"), TEXT_LIBRARY);
	assert_int_equal(textmap_allow(dlsym(RTLD_DEFAULT, "sinh")), 0);
	assert_int_equal(textmap_allow(dlsym(RTLD_DEFAULT, "cosh")), 0);
	assert_int_equal(class_of("sinh"), TEXT_USER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			safepoint_in_a_program_with_locks_needs_its_promise),
		cmocka_unit_test(safepoint_in_the_allocator_is_at_its_return),
		cmocka_unit_test(safepoint_in_libcs_allocator_is_at_its_return),
		cmocka_unit_test(safepoint_in_printf_is_at_its_return),
		cmocka_unit_test(safepoint_in_the_vdso_is_at_its_return),
		cmocka_unit_test(safepoint_in_a_callback_of_qsort_is_at_once),
		cmocka_unit_test(safepoint_in_setjmp_is_refused),
		cmocka_unit_test(
			safepoint_in_a_callback_of_a_library_is_refused),
		cmocka_unit_test(safepoint_in_the_runtime_is_refused),
		cmocka_unit_test(
			safepoint_in_libc_called_by_the_runtime_is_refused),
		cmocka_unit_test(safepoint_without_room_is_refused),
		cmocka_unit_test(safepoint_in_code_of_no_object_is_refused),
		cmocka_unit_test(safepoint_without_unwind_tables_is_refused),
		cmocka_unit_test(safepoint_below_too_many_frames_is_refused),
		cmocka_unit_test(textmap_classes_are_as_documented),
		cmocka_unit_test(textmap_allow_takes_libraries_but_not_libc),
	};
	const char *n = getenv("RG_PREEMPTIONS");

	if (n)
		wanted = strtoull(n, NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("no trampolines on this CPU\n");
	return 77;
}

#endif
