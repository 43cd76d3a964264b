// SPDX-License-Identifier: MIT
/* bench_server - arguments and listening of the servers in benchmarks/net/. */
#include "benchmarks/support/bench_server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "benchmarks/support/hog.h"

static struct {
	int procs;
	int hogs; /* enum hog_kind; -1: unknown */
	int (*serve)(void *arg);
} server = {.procs = 1};

static void usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [--procs N] [--hogs none|loop|malloc|qsort]\n",
		program);
	_exit(2);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		if (i + 1 < argc && !strcmp(argv[i], "--procs"))
			server.procs = atoi(argv[i + 1]);
		else if (i + 1 < argc && !strcmp(argv[i], "--hogs"))
			server.hogs = hog_kind_of(argv[i + 1]);
		else
			usage(argv[0]);
	}
	if (server.procs < 1 || server.hogs < 0)
		usage(argv[0]);
}

/* At each SIGUSR1: the system calls and the operations of the rings so far. */
static void tell_ring(void *arg)
{
	rg_chan *signals = arg;
	rg_stats s;
	int sig;

	while (rg_chan_recv(signals, &sig)) {
		if (rg_stats_read(&s, sizeof s))
			continue;
		printf("ring %lld %lld\n", (long long)s.ring_enters,
		       (long long)s.ring_sqes);
		fflush(stdout);
	}
}

static void listen_for_questions(void)
{
	const int sig = SIGUSR1;
	rg_chan *signals = rg_chan_make(sizeof sig, 1);

	if (!signals || rg_signal_notify(signals, &sig, 1) ||
	    rg_go(tell_ring, signals)) {
		fprintf(stderr, "server: cannot listen for SIGUSR1\n");
		_exit(1);
	}
}

static int serve_beside_hogs(void *arg)
{
	static const _Atomic bool never;
	static struct hog_herd hogs;

	listen_for_questions();
	hog_herd_start(&hogs, server.procs, (enum hog_kind)server.hogs, &never);
	return server.serve(arg);
}

int server_main(int argc, char **argv, int (*serve)(void *arg))
{
	rg_config config = {0};
	struct rlimit files;

	parse(argc, argv);
	server.serve = serve;
	config.maxprocs = server.procs;
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files))
			perror("setrlimit");
	}
	return rg_run(&config, serve_beside_hogs, NULL) ? 1 : 0;
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
