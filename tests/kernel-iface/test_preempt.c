// SPDX-License-Identifier: MIT
/*
 * preempt - attacks I1, I3 and I4 of kernel-iface/preempt.h: a flow that holds a pattern
 * in each register, in the flags and in the red zone is switched away from in each
 * round, and finds all of it again. RG_PREEMPTIONS sets how often (20,000).
 */
#include "tests/support/rgtest.h"

#include <stdio.h>
#include <unwind.h>

#include "kernel-iface/textmap.h"
#include "tests/kernel-iface/preemptbed.h"

#if defined(__x86_64__)

enum { GPRS = 15, RED_WORDS = 16, STS = 7, ZMMS = 32, MASKS = 8 };

struct cpu {
	uint64_t gpr[GPRS]; /* rax rbx rcx rdx rsi rdi rbp r8 .. r15 */
	uint64_t flags;
	uint64_t red[RED_WORDS];
	uint32_t mxcsr;
	uint16_t fcw, unused;
	uint8_t st[STS][16]; /* 10 bytes of each */
	uint64_t unused2;
	uint8_t zmm[ZMMS][64];
	uint64_t k[MASKS];
};

_Static_assert(offsetof(struct cpu, flags) == 120, "cpu_hold");
_Static_assert(offsetof(struct cpu, red) == 128, "cpu_hold");
_Static_assert(offsetof(struct cpu, mxcsr) == 256, "cpu_hold");
_Static_assert(offsetof(struct cpu, fcw) == 260, "cpu_hold");
_Static_assert(offsetof(struct cpu, st) == 264, "cpu_hold");
_Static_assert(offsetof(struct cpu, zmm) == 384, "cpu_hold");
_Static_assert(offsetof(struct cpu, k) == 2432, "cpu_hold");

/* Named in the assembly. */
extern struct cpu cpu_in, cpu_out;
extern const void *cpu_spin_at;
extern uint32_t cpu_mxcsr;
extern uint16_t cpu_fcw;
extern uint8_t cpu_has_avx512;
extern const char cpu_spin[], cpu_spun[];
void cpu_hold(void);

struct cpu cpu_in, cpu_out;
const void *cpu_spin_at;
uint32_t cpu_mxcsr = 0x1f80;
uint16_t cpu_fcw = 0x37f;
uint8_t cpu_has_avx512;

#define PUSH(r)                                                                \
	"pushq %" r "\n.cfi_adjust_cfa_offset 8\n.cfi_rel_offset " r ", 0\n"
#define POP(r) "popq %" r "\n.cfi_adjust_cfa_offset -8\n.cfi_restore " r "\n"
#define TO_31                                                                  \
	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25," \
	"26,27,28,29,30,31\n"
#define GPR_NAMES "rbx,rcx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15\n"

/*
 * cpu_hold - load cpu_in into the CPU, go round in a loop that touches nothing until
 * somebody changes cpu_spin_at, store the CPU into cpu_out. The compiler's view: a
 * function as any other; the CFI is right at each instruction.
 */
__asm__(".text\n.globl cpu_hold, cpu_spin, cpu_spun\n"
	".type cpu_hold, @function\n"
	"cpu_hold:\n.cfi_startproc\n" PUSH("rbx") PUSH("rbp") PUSH("r12") PUSH(
		"r13") PUSH("r14")
		PUSH("r15") "leaq cpu_spin(%rip), %rax\n"
			    "movq %rax, cpu_spin_at(%rip)\n"
			    "leaq cpu_in(%rip), %rax\n"
			    "cmpb $0, cpu_has_avx512(%rip)\n"
			    "je 1f\n"
			    ".irp n," TO_31
			    "vmovups 384+64*\\n(%rax), %zmm\\n\n.endr\n"
			    ".irp n,0,1,2,3,4,5,6,7\nkmovq 2432+8*\\n(%rax), "
			    "%k\\n\n.endr\n"
			    "jmp 2f\n"
			    "1:\n"
			    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			    "movups 384+64*\\n(%rax), %xmm\\n\n.endr\n"
			    "2:\n"
			    "fninit\n"
			    ".irp n,6,5,4,3,2,1,0\nfldt "
			    "264+16*\\n(%rax)\n.endr\n"
			    "fldcw 260(%rax)\n"
			    "ldmxcsr 256(%rax)\n"
			    "pushq 120(%rax)\n.cfi_adjust_cfa_offset 8\n"
			    "popfq\n.cfi_adjust_cfa_offset -8\n"
			    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			    "movq 128+8*\\n(%rax), %rbx\nmovq %rbx, "
			    "-128+8*\\n(%rsp)\n.endr\n"
			    ".set at, 8\n"
			    ".irp r," GPR_NAMES
			    "movq cpu_in+at(%rip), %\\r\n.set at, at+8\n.endr\n"
			    "movq cpu_in(%rip), %rax\n"
			    "cpu_spin:\n"
			    "jmp *cpu_spin_at(%rip)\n"
			    "cpu_spun:\n"
			    "movq %rax, cpu_out(%rip)\n"
			    ".set at, 8\n"
			    ".irp r," GPR_NAMES
			    "movq %\\r, cpu_out+at(%rip)\n.set at, "
			    "at+8\n.endr\n"
			    "leaq cpu_out(%rip), %rax\n"
			    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			    "movq -128+8*\\n(%rsp), %rbx\nmovq %rbx, "
			    "128+8*\\n(%rax)\n.endr\n"
			    "pushfq\n.cfi_adjust_cfa_offset 8\n"
			    "popq 120(%rax)\n.cfi_adjust_cfa_offset -8\n"
			    "cld\n"
			    "stmxcsr 256(%rax)\n"
			    "fnstcw 260(%rax)\n"
			    ".irp n,0,1,2,3,4,5,6\nfstpt "
			    "264+16*\\n(%rax)\n.endr\n"
			    "cmpb $0, cpu_has_avx512(%rip)\n"
			    "je 3f\n"
			    ".irp n," TO_31
			    "vmovups %zmm\\n, 384+64*\\n(%rax)\n.endr\n"
			    ".irp n,0,1,2,3,4,5,6,7\nkmovq %k\\n, "
			    "2432+8*\\n(%rax)\n.endr\n"
			    "vzeroupper\n"
			    "jmp 4f\n"
			    "3:\n"
			    ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
			    "movups %xmm\\n, 384+64*\\n(%rax)\n.endr\n"
			    "4:\n"
			    "ldmxcsr cpu_mxcsr(%rip)\n"
			    "fldcw cpu_fcw(%rip)\n" POP("r15") POP("r14")
				    POP("r13") POP("r12") POP("rbp") POP(
					    "rbx") "ret\n.cfi_endproc\n.size "
						   "cpu_hold, . - cpu_hold\n");

static uint64_t rounds_wanted, rounds, wrong, seed = 88172645463325252u;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* CF PF AF ZF SF DF OF; bit 1 and IF are always set. */
enum { FLAGS_FREE = 0xcd5, FLAGS_SET = 0x202 };

static void fill(void)
{
	uint64_t *words = (uint64_t *)(void *)&cpu_in;

	for (size_t i = 0; i < sizeof cpu_in / sizeof *words; i++)
		words[i] = next_random();
	cpu_in.flags = (cpu_in.flags & FLAGS_FREE) | FLAGS_SET;
	/* Masked exceptions, any rounding, sticky bits. */
	cpu_in.mxcsr = (cpu_in.mxcsr & 0xe03f) | 0x1f80;
	cpu_in.fcw = (uint16_t)((cpu_in.fcw & 0x0f00) | 0x007f);
	cpu_in.unused = 0;
	cpu_in.unused2 = 0;
	for (int i = 0; i < STS; i++) {
		/* A normal number: the leading bit set, no NaN. */
		cpu_in.st[i][7] |= 0x80;
		cpu_in.st[i][9] = 0x3f;
		memset(&cpu_in.st[i][10], 0, 6);
	}
	if (!cpu_has_avx512) {
		for (int i = 0; i < ZMMS; i++)
			memset(&cpu_in.zmm[i][i < 16 ? 16 : 0], 0,
			       i < 16 ? 48 : 64);
		memset(cpu_in.k, 0, sizeof cpu_in.k);
	}
}

/* The fcw's unused bit 6 reads as 1. */
static void hold_patterns(void *arg)
{
	(void)arg;
	cpu_has_avx512 = !!__builtin_cpu_supports("avx512bw");
	for (rounds = 0; rounds < rounds_wanted; rounds++) {
		fill();
		memset(&cpu_out, 0, sizeof cpu_out);
		cpu_hold();
		if (memcmp(&cpu_in, &cpu_out, sizeof cpu_in)) {
			wrong++;
			return;
		}
	}
}

static void let_go(void)
{
	cpu_spin_at = cpu_spun;
}

static void preempt_of_all_registers_changes_none(void **state)
{
	const char *n = getenv("RG_PREEMPTIONS");

	(void)state;
	safepoint_start();
	if (!preempt_is_supported())
		skip();
	rounds_wanted = n ? strtoull(n, NULL, 10) : 20000;
	bed.on_stop = let_go;
	bed_run(hold_patterns, NULL);
	bed.on_stop = NULL;
	bed_print("all registers");
	if (wrong)
		for (size_t i = 0; i < sizeof cpu_in; i += 8)
			if (memcmp((char *)&cpu_in + i, (char *)&cpu_out + i,
				   8))
				print_message("differs at offset %zu\n", i);
	assert_int_equal(wrong, 0);
	assert_int_equal(rounds, rounds_wanted);
	assert_true(bed.switches >= rounds_wanted);
}

/* ---- a stopped flow's frames ---- */

static uintptr_t stopped[16];
static size_t nstopped, nbacktraces;
static bool has_body, has_leaf, has_end;
/* Not bool: gcc 12 with -fsanitize=undefined loads a volatile one but once in a loop. */
static volatile int enough;

static __attribute__((noinline)) void spin_leaf(void)
{
	while (!enough)
		;
}

static void spin_body(void *arg)
{
	(void)arg;
	spin_leaf();
	__asm__ volatile("" ::: "memory");
}

static bool is_within(uintptr_t pc, uintptr_t fn)
{
	uintptr_t start, end;

	return cfi_procedure(fn, &start, &end) && pc >= start && pc < end;
}

static void look_at_stopped(void)
{
	if (!bed.switches || enough)
		return;
	nstopped = coro_backtrace(&bed.flow, stopped, 16);
	for (size_t i = 0; i < nstopped; i++) {
		has_leaf |= is_within(stopped[i], (uintptr_t)&spin_leaf);
		has_body |= is_within(stopped[i], (uintptr_t)&spin_body);
		has_end |= is_within(stopped[i], (uintptr_t)&bed_entry);
	}
	nbacktraces++;
	enough = nbacktraces == 50;
}

static void preempt_of_a_flow_leaves_its_frames_visible(void **state)
{
	(void)state;
	if (!preempt_is_supported())
		skip();
	enough = false;
	bed.on_home = look_at_stopped;
	bed_run(spin_body, NULL);
	bed.on_home = NULL;
	assert_int_equal(nbacktraces, 50);
	assert_true(has_leaf);
	assert_true(has_body);
	assert_true(has_end);
}

/* ---- hijacks ---- */

static struct preempt_hijack one;
static struct preempt_hijack many[PREEMPT_HIJACKS_MAX + 1];
static uintptr_t slots[PREEMPT_HIJACKS_MAX + 1];

static void preempt_hijack_disarm_restores_the_slot(void **state)
{
	uintptr_t slot = 4711;

	(void)state;
	if (!preempt_is_supported())
		skip();
	assert_true(preempt_hijack_arm(&one, &slot));
	assert_true(preempt_hijack_is_armed(&one));
	assert_true(preempt_is_trampoline(slot));
	assert_false(preempt_hijack_arm(&one, &slot));
	preempt_hijack_disarm(&one);
	assert_int_equal(slot, 4711);
	preempt_hijack_disarm(&one);
	assert_false(preempt_hijack_is_armed(&one));

	/* The frame is gone, something else is there now. */
	assert_true(preempt_hijack_arm(&one, &slot));
	slot = 42;
	preempt_hijack_disarm(&one);
	assert_int_equal(slot, 42);
}

static void preempt_hijacks_beyond_the_limit_are_refused(void **state)
{
	(void)state;
	if (!preempt_is_supported())
		skip();
	for (int i = 0; i < PREEMPT_HIJACKS_MAX; i++)
		assert_true(preempt_hijack_arm(&many[i], &slots[i]));
	assert_false(preempt_hijack_arm(&many[PREEMPT_HIJACKS_MAX],
					&slots[PREEMPT_HIJACKS_MAX]));
	assert_int_equal(slots[PREEMPT_HIJACKS_MAX], 0);
	for (int i = 0; i < PREEMPT_HIJACKS_MAX; i++)
		for (int k = 0; k < i; k++)
			assert_int_not_equal(slots[i], slots[k]);
	preempt_hijack_disarm(&many[3]);
	assert_true(preempt_hijack_arm(&many[PREEMPT_HIJACKS_MAX],
				       &slots[PREEMPT_HIJACKS_MAX]));
	for (int i = 0; i <= PREEMPT_HIJACKS_MAX; i++)
		preempt_hijack_disarm(&many[i]);
	for (int i = 0; i <= PREEMPT_HIJACKS_MAX; i++)
		assert_int_equal(slots[i], 0);
}

/*
 * A frame whose return address was replaced: by the flow itself here, which is as good
 * as from a handler. It returns all that a function can return in registers, and walks
 * through its own hijacked slot before.
 */
struct returned {
	uint64_t a, d;
	double x, y;
};

static bool saw_caller;
static uint64_t landed;

static void count_landing(void)
{
	landed++;
	preempt_hijack_disarm(&one);
	bed_spoil();
}

static __attribute__((noinline)) long double hijacked_x87(void)
{
	uintptr_t *slot = (uintptr_t *)__builtin_frame_address(0) + 1;

	assert_true(preempt_hijack_arm(&one, slot));
	return 2.718281828459045235360287L;
}

static __attribute__((noinline)) unsigned __int128
hijacked_int(uintptr_t caller)
{
	uintptr_t *slot = (uintptr_t *)__builtin_frame_address(0) + 1;
	uintptr_t pcs[8];
	size_t n;

	assert_true(preempt_hijack_arm(&one, slot));
	assert_true(preempt_is_trampoline(*slot));
	n = coro_backtrace_self(pcs, 8, 0);
	saw_caller = false;
	for (size_t i = 0; i < n; i++)
		saw_caller |= is_within(pcs[i], caller);
	return (unsigned __int128)0x1122334455667788u << 64 |
	       0x99aabbccddeeff00u;
}

static __attribute__((noinline)) _Complex double hijacked_vector(void)
{
	uintptr_t *slot = (uintptr_t *)__builtin_frame_address(0) + 1;

	assert_true(preempt_hijack_arm(&one, slot));
	return 1.25 + 3.5i;
}

static void preempt_of_a_hijacked_return_keeps_the_values(void **state)
{
	(void)state;
	if (!preempt_is_supported())
		skip();
	landed = 0;
	preempt_switch_hook = count_landing;
	for (int i = 0; i < 1000; i++) {
		unsigned __int128 v = hijacked_int((
			uintptr_t)&preempt_of_a_hijacked_return_keeps_the_values);
		_Complex double c = hijacked_vector();

		assert_true(v >> 64 == 0x1122334455667788u);
		assert_true((uint64_t)v == 0x99aabbccddeeff00u);
		assert_true(saw_caller);
		assert_true(__real__ c == 1.25 && __imag__ c == 3.5);
		assert_true(hijacked_x87() == 2.718281828459045235360287L);
		assert_false(preempt_hijack_is_armed(&one));
	}
	assert_int_equal(landed, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(preempt_of_all_registers_changes_none),
		cmocka_unit_test(preempt_of_a_flow_leaves_its_frames_visible),
		cmocka_unit_test(preempt_hijack_disarm_restores_the_slot),
		cmocka_unit_test(preempt_hijacks_beyond_the_limit_are_refused),
		cmocka_unit_test(preempt_of_a_hijacked_return_keeps_the_values),
	};

	/* The bed holds locks of its thread's only where no signal comes. */
	textmap_allow((const void *)(uintptr_t)&main);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	print_message("no trampolines on this CPU\n");
	return 77;
}

#endif
