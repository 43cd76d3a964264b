// SPDX-License-Identifier: MIT
/*
 * seedrun - see the header.
 */
#include "tests/stress/seedrun.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sched/seed.h"

enum { SEEDS_DEFAULT = 20, REPLAY_EVERY = 10 };

static char replay[512]; /* how to run what is running */
static uint64_t draws;

static void say_replay(int sig)
{
	size_t n = strlen(replay);

	if (write(STDERR_FILENO, replay, n) < 0)
		_exit(126);
	signal(sig, SIG_DFL);
	raise(sig);
}

void seedrun_set(uint64_t seed)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, seed);
	T_CHECK(!setenv("RINGGO_SEED", text, 1));
	T_CHECK(!setenv("RINGGO_MAXPROCS", "4", 1));
	draws = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

uint32_t seedrun_draw(uint32_t n)
{
	draws ^= draws << 13;
	draws ^= draws >> 7;
	draws ^= draws << 17;
	return (uint32_t)((draws >> 32) % n);
}

void seedrun_go(void (*fn)(void *arg), void *arg)
{
	T_CHECK_INT_EQ(rg_go(fn, arg), 0);
}

static bool is_alone(void *arg)
{
	(void)arg;
	return rg_num_goroutine() == 1;
}

static int run_case(void *arg)
{
	const struct seed_case *c = arg;

	T_CHECK_INT_EQ(rg_gomaxprocs(0), 4);
	c->body();
	for (int i = 0; i < 100000 && !is_alone(NULL); i++)
		rg_yield();
	T_CHECK_INT_EQ(rg_num_goroutine(), 1);
	return 0;
}

static struct seed_account run_once(const struct seed_case *c, uint64_t seed)
{
	struct seed_case copy = *c;

	seedrun_set(seed);
	if (c->raw)
		c->raw(seed);
	else
		T_CHECK_INT_EQ(rg_run(NULL, run_case, &copy), 0);
	T_CHECK_INT_EQ(seed_account().seed, seed);
	return seed_account();
}

static void run_seed(const char *prog, const struct seed_case *c, uint64_t seed)
{
	struct seed_account first, second;

	snprintf(replay, sizeof(replay),
		 "\nagain: RINGGO_SEED=%" PRIu64 " %s %s\n", seed, prog,
		 c->name);
	first = run_once(c, seed);
	if (seed % REPLAY_EVERY || c->has_io)
		return;
	second = run_once(c, seed);
	T_CHECK_INT_EQ(first.decisions, second.decisions);
	T_CHECK_INT_EQ(first.hash, second.hash);
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static bool is_tsan(void)
{
	const char *san = getenv("RG_SAN");

	return san && !strcmp(san, "thread");
}

int seedrun_main(int argc, char **argv, const struct seed_case *cases, size_t n)
{
	const char *own = getenv("RINGGO_SEED");
	uint64_t first = own && *own ? number("RINGGO_SEED", 0) : 1;
	uint64_t count = own && *own ? 1 : number("RG_SEEDS", SEEDS_DEFAULT);
	size_t ran = 0;

	if (is_tsan()) {
		/* Counters without a lock, and one P that orders them: races
		 * by the rules that ThreadSanitizer is told. */
		puts("skipped: what one P orders is not what the program "
		     "orders");
		return 77;
	}
	signal(SIGABRT, say_replay);
	for (size_t i = 0; i < n; i++) {
		int64_t start = t_now_ns();

		if (argc > 1 && strcmp(argv[1], cases[i].name) != 0)
			continue;
		ran++;
		for (uint64_t s = first; s - first < count; s++)
			run_seed(argv[0], &cases[i], s);
		printf("%-12s %" PRIu64 " seeds, %" PRId64 " ms\n",
		       cases[i].name, count, (t_now_ns() - start) / 1000000);
		fflush(stdout);
	}
	return ran ? 0 : 2;
}
