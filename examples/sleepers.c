// SPDX-License-Identifier: MIT
/*
 * sleepers - 1,000 goroutines that each sleep one second, all at once.
 *
 * First main waits naively: it sleeps a little longer and hopes. Then it waits
 * with a wait group, which ends exactly when the last one is done.
 */
#include <ringgo.h>

#include <stdatomic.h>
#include <stdio.h>

enum { SLEEPERS = 1000 };

static _Atomic int done;

static void sleeper(void *arg)
{
	(void)arg;
	rg_sleep(RG_SECOND);
	/* Relaxed: a count for the report; the wait group orders the rest. */
	atomic_fetch_add_explicit(&done, 1, memory_order_relaxed);
}

static void report(const char *how, rg_time start)
{
	printf("%s: %d of %d slept, after %.2f s\n", how,
	       atomic_load_explicit(&done, memory_order_relaxed), SLEEPERS,
	       (double)(rg_now() - start) / (double)RG_SECOND);
}

static int wait_naively(void)
{
	rg_time start = rg_now();

	for (int i = 0; i < SLEEPERS; i++) {
		int err = rg_go(sleeper, NULL);

		if (err < 0)
			return err;
	}
	rg_sleep(1500 * RG_MILLISECOND);
	report("naively", start);
	return 0;
}

static int wait_for_all(void)
{
	rg_waitgroup group = {0};
	rg_time start = rg_now();
	int err = 0;

	atomic_store_explicit(&done, 0, memory_order_relaxed);
	for (int i = 0; i < SLEEPERS && err >= 0; i++)
		err = rg_waitgroup_go(&group, sleeper, NULL);
	rg_waitgroup_wait(&group);
	report("with a wait group", start);
	return err;
}

static int app(void *arg)
{
	int err = wait_naively();

	(void)arg;
	if (err >= 0)
		err = wait_for_all();
	if (err < 0)
		fprintf(stderr, "sleepers: %s\n", rg_strerror(err));
	return err < 0;
}

int main(void)
{
	return rg_run(NULL, app, NULL) != 0;
}
