// SPDX-License-Identifier: MIT
/*
 * race_fixed - race_counter.c with a mutex around the counter: nothing is lost.
 */
#include <ringgo.h>

#include <stdio.h>

enum { GOROUTINES = 1000, ROUNDS = 100 };

static rg_mutex lock; /* zeroed memory is an unlocked mutex */
static int counter;   /* under lock */

static void add(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		rg_mutex_lock(&lock);
		int seen = counter;

		if (i == ROUNDS / 2)
			rg_yield();
		counter = seen + 1;
		rg_mutex_unlock(&lock);
	}
}

static int app(void *arg)
{
	rg_waitgroup group = {0};
	int started = 0;

	(void)arg;
	while (started < GOROUTINES && rg_waitgroup_go(&group, add, NULL) == 0)
		started++;
	rg_waitgroup_wait(&group);
	printf("expected %d, counted %d: %d updates lost\n", started * ROUNDS,
	       counter, started * ROUNDS - counter);
	return started != GOROUTINES || counter != started * ROUNDS;
}

int main(void)
{
	return rg_run(NULL, app, NULL) != 0;
}
