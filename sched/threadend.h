/* SPDX-License-Identifier: MIT */
/*
 * threadend - a worker's thread must not end under a goroutine.
 *
 * pthread_exit (and pthread_cancel) on a goroutine unwinds its stack, then ends the
 * thread below: the worker, its P and its ring would be gone for ever. A destructor of
 * a thread-specific key notices, and the program ends with a report.
 *   I1  a watched thread that ends before it is released panics.
 */
#ifndef RG_SCHED_THREADEND_H
#define RG_SCHED_THREADEND_H

/* threadend_watch - the calling thread becomes a worker: 0 or a negative errno.
 * threadend_release - it no longer is one. */
int threadend_watch(void);
void threadend_release(void);

#endif
