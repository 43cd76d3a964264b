// SPDX-License-Identifier: MIT
/*
 * manygo - goroutines that are all alive at once, as many as the argument says or as
 * there may be: prints how many, and why no more. Then all of them end.
 */
#include <ringgo.h>

#include <stdio.h>
#include <stdlib.h>

static rg_waitgroup started, ended;
static rg_chan *gate;

static void waits(void *arg)
{
	(void)arg;
	rg_waitgroup_done(&started);
	rg_chan_recv(gate, NULL);
	rg_waitgroup_done(&ended);
}

static int app(void *arg)
{
	long asked = atol(arg), made = 0;
	int err = 0;

	gate = rg_make(char, 0);
	while (made < asked && !err) {
		rg_waitgroup_add(&started, 1);
		rg_waitgroup_add(&ended, 1);
		err = rg_go(waits, NULL);
		if (!err)
			made++;
	}
	if (err) {
		rg_waitgroup_done(&started);
		rg_waitgroup_done(&ended);
	}
	rg_waitgroup_wait(&started);
	printf("made %ld, then %d\n", made, err);
	rg_chan_close(gate);
	rg_waitgroup_wait(&ended);
	rg_chan_unref(gate);
	return 0;
}

int main(int argc, char **argv)
{
	return argc == 2 ? rg_run(NULL, app, argv[1]) : 2;
}
