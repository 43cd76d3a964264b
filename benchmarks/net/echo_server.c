// SPDX-License-Identifier: MIT
/*
 * echo_server - TCP echo on libringgo, a goroutine a connection.
 *
 * Listens on a free port of 127.0.0.1 and prints "listening 127.0.0.1:PORT".
 * The buffer is on the goroutine's stack: 1 KiB, as in the peers.
 * Usage: echo_server [--procs N] [--hogs KIND]
 */
#include "benchmarks/support/bench_server.h"

static void echo(void *arg)
{
	rg_conn *c = arg;
	char buf[1024];
	ssize_t n;

	while ((n = rg_conn_read(c, buf, sizeof buf)) > 0) {
		if (rg_conn_write(c, buf, (size_t)n) < 0)
			break;
	}
	rg_conn_close(c);
}

static int serve(void *arg)
{
	rg_listener *l = server_listen();
	rg_conn *c;
	int err;

	(void)arg;
	while (!(err = rg_listener_accept(l, &c))) {
		err = rg_go(echo, c);
		if (err) {
			fprintf(stderr, "echo_server: rg_go: %s\n",
				rg_strerror(err));
			rg_conn_close(c);
		}
	}
	fprintf(stderr, "echo_server: accept: %s\n", rg_strerror(err));
	return 1;
}

int main(int argc, char **argv)
{
	return server_main(argc, argv, serve);
}
