// SPDX-License-Identifier: MIT
/*
 * hello_goroutine - a first goroutine; main waits for it by sleeping.
 *
 * Nothing ties the two together: when main returns, the program ends, whether
 * the goroutine has spoken or not. sleepers.c shows how to wait properly.
 */
#include <ringgo.h>

#include <inttypes.h>
#include <stdio.h>

static void hello(void *arg)
{
	const char *name = arg;

	printf("hello %s, from goroutine %" PRIu64 "\n", name, rg_goid());
}

static int app(void *arg)
{
	static char name[] = "world";
	int err = rg_go(hello, name);

	(void)arg;
	if (err < 0) {
		fprintf(stderr, "rg_go: %s\n", rg_strerror(err));
		return 1;
	}
	rg_sleep(100 * RG_MILLISECOND);
	printf("main is goroutine %" PRIu64 " and ends now\n", rg_goid());
	return 0;
}

int main(void)
{
	return rg_run(NULL, app, NULL) != 0;
}
