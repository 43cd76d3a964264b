/* SPDX-License-Identifier: MIT */
/*
 * rgproc - what a test asks about its own process: descriptors, threads, memory,
 * time.
 */
#ifndef RG_TESTS_RGPROC_H
#define RG_TESTS_RGPROC_H

#include <stddef.h>
#include <stdint.h>

/* t_now_ns - CLOCK_MONOTONIC in nanoseconds. */
int64_t t_now_ns(void);

/* t_open_fds, t_threads - how many the process has now; asked by a goroutine, the
 * runtime's kinds (rings, eventfds) are left out. Context: anywhere. */
int t_open_fds(void);
int t_threads(void);

/* t_program_fds - without those that a runtime which is running opens and closes when it
 * likes: rings, epoll sets and eventfds of its threads, and what is read of /proc. For
 * who compares while it runs; an end of it has to give back all of t_open_fds. */
int t_program_fds(void);

/* t_rss - resident memory in bytes; t_page_tables - what the kernel's tables of
 * it take. t_maps - number of mappings. */
size_t t_rss(void);
size_t t_page_tables(void);
size_t t_maps(void);

/* t_status_kb - a "Name: N kB" line of /proc/self/status, e.g. "VmHWM". */
size_t t_status_kb(const char *name);

#endif
