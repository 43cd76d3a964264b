// SPDX-License-Identifier: MIT
/*
 * race_counter - a data race, on purpose: 1,000 goroutines add to one counter
 * without a lock, and updates get lost. race_fixed.c is the cure.
 */
#include <ringgo.h>

#include <stdio.h>

enum { GOROUTINES = 1000, ROUNDS = 100 };

/* volatile keeps the read and the write apart; it makes nothing atomic. */
static volatile int counter;

static void add(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int seen = counter;

		/* What another thread may do at any moment, others do here: */
		if (i == ROUNDS / 2)
			rg_yield();
		counter = seen + 1;
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
	return started != GOROUTINES;
}

int main(void)
{
	return rg_run(NULL, app, NULL) != 0;
}
