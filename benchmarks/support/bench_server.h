/* SPDX-License-Identifier: MIT */
/*
 * bench_server - what the servers of benchmarks/net/ share: arguments and listening.
 */
#ifndef BENCHMARKS_SUPPORT_BENCH_SERVER_H
#define BENCHMARKS_SUPPORT_BENCH_SERVER_H

#include <ringgo.h>

#include <stdio.h>

/*
 * server_main - parse [--procs N] [--hogs KIND], allow as many open files as the hard
 * limit does, start as many hogs (hog.h) as Ps if asked to, run serve as the main
 * goroutine. Returns main's value. The server, and its hogs, end by SIGTERM's default
 * action.
 */
int server_main(int argc, char **argv, int (*serve)(void *arg));

/* server_listen - listen on a free port of 127.0.0.1 and announce it on stdout.
 * Ends the process when that fails. Context: goroutine. */
rg_listener *server_listen(void);

#endif
