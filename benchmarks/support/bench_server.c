// SPDX-License-Identifier: MIT
/* bench_server - arguments and listening of the servers in benchmarks/net/. */
#include "benchmarks/support/bench_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int server_main(int argc, char **argv, int (*serve)(void *arg))
{
	rg_config config = {.maxprocs = 1};
	struct rlimit files;

	if (argc == 3 && !strcmp(argv[1], "--procs"))
		config.maxprocs = atoi(argv[2]);
	else if (argc != 1)
		config.maxprocs = 0;
	if (config.maxprocs < 1) {
		fprintf(stderr, "usage: %s [--procs N]\n", argv[0]);
		return 2;
	}
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files))
			perror("setrlimit");
	}
	return rg_run(&config, serve, NULL) ? 1 : 0;
}

rg_listener *server_listen(void)
{
	rg_listener *l;
	int err = rg_listen("tcp", "127.0.0.1:0", &l);

	if (err) {
		fprintf(stderr, "listen: %s\n", rg_strerror(err));
		_exit(1);
	}
	printf("listening %s\n", rg_listener_addr(l));
	fflush(stdout);
	return l;
}
