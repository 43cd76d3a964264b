// SPDX-License-Identifier: MIT
/*
 * driver - runs each of the victims under a storm of signals and compares its results
 * with those it has in peace; looks at its frames while it is stopped.
 *
 *	driver             victims linked in; the program has declared itself
 *	driver OBJECT.so   victims of an object that is loaded and declared; before it
 *	                   is, it may be left at its return only
 *	driver refused     victims linked in, statically with malloc: its stacks are
 *	                   never left
 * RG_PREEMPTIONS: signals for each victim (1000). Exit code 77: not on this machine.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <ringgo/runtime.h>

#define print_message printf
#include "tests/kernel-iface/preemptbed.h"
#include "kernel-iface/textmap.h"
#include "tests/preemptflags/victims.h"

extern const struct victim victims[] __attribute__((weak));

enum { SEEDS = 16, FRAMES = 200 };

static uint64_t wanted = 1000;
static uint64_t expected[SEEDS], wrong, rounds;
static uint64_t looks, broken_off;
static bool is_refused;
static uintptr_t body_start, body_end;

static uint64_t handled(void)
{
	return atomic_load_explicit(&bed.handled, memory_order_relaxed);
}

static void body(void *arg)
{
	const struct victim *v = arg;
	uint64_t until = handled() + wanted;

	while (handled() < until) {
		uint64_t seed = rounds++ % SEEDS;

		wrong += v->run(seed) != expected[seed];
	}
}

/* The flow is stopped: its frames lead to body. */
static void look(void)
{
	uintptr_t pcs[FRAMES];
	bool has_body = false;
	size_t n;

	if (!bed.switches || bed.switches % 16)
		return;
	n = coro_backtrace(&bed.flow, pcs, FRAMES);
	for (size_t i = 0; i < n; i++)
		has_body |= pcs[i] > body_start && pcs[i] <= body_end;
	looks++;
	broken_off += !has_body;
}

static int fail(const struct victim *v, const char *what)
{
	bed_print(v->name);
	printf("FAILED: %s: %s (%llu rounds, %llu wrong, %llu of %llu "
	       "backtraces broken off)\n",
	       v->name, what, (unsigned long long)rounds,
	       (unsigned long long)wrong, (unsigned long long)broken_off,
	       (unsigned long long)looks);
	return 1;
}

static int run(const struct victim *v, bool is_declared)
{
	const uint64_t *by = bed.verdicts;
	uint64_t seen, refused;

	for (uint64_t seed = 0; seed < SEEDS; seed++)
		expected[seed] = v->run(seed);
	rounds = wrong = looks = broken_off = 0;
	bed_run(body, (void *)(uintptr_t)v);
	seen = by[SAFEPOINT_SWITCH] + by[SAFEPOINT_HIJACK];
	/* While the C++ runtime throws, rightly. */
	refused = by[SAFEPOINT_EXCEPTION] + by[SAFEPOINT_LINKER];
	if (wrong)
		return fail(v, "a result is wrong");
	if (is_refused)
		return seen ? fail(v, "stopped beside malloc") : 0;
	if (is_declared && ((bed.switches > 100 && !looks) || broken_off))
		return fail(v, "frames are not seen");
	if (is_declared && seen < 10 + (wanted - refused) / 4)
		return fail(v, "hardly stopped");
	/* Only between two calls, in body itself. */
	if (!is_declared && by[SAFEPOINT_SWITCH] > wanted / 5)
		return fail(v, "stopped anywhere, undeclared");
	return 0;
}

int main(int argc, char **argv)
{
	const struct victim *all = victims;
	const char *n = getenv("RG_PREEMPTIONS");
	void *object = NULL;
	int failures = 0;

	if (n)
		wanted = strtoull(n, NULL, 10);
	safepoint_start();
	if (!preempt_is_supported()) {
		puts("no trampolines on this machine");
		return 77;
	}
	is_refused = argc > 1 && !strcmp(argv[1], "refused");
	if (is_refused != textmap_malloc_is_inside()) {
		puts("FAILED: where is malloc?");
		return 1;
	}
	if (rg_preempt_allow((const void *)(uintptr_t)&main) ||
	    (!is_refused &&
	     !cfi_procedure((uintptr_t)&body, &body_start, &body_end))) {
		puts("FAILED: the program cannot be declared");
		return 1;
	}
	bed.on_home = look;
	if (argc > 1 && !is_refused) {
		object = dlopen(argv[1], RTLD_NOW);
		all = object ? dlsym(object, "victims") : NULL;
		if (!all) {
			printf("FAILED: %s\n", dlerror());
			return 1;
		}
		failures += run(&all[0], false);
		if (rg_preempt_allow((const void *)(uintptr_t)all[0].run)) {
			puts("FAILED: the object cannot be declared");
			return 1;
		}
	}
	for (const struct victim *v = all; v->name; v++)
		failures += run(v, !is_refused);
	return failures ? 1 : 0;
}
