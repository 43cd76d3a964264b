/* SPDX-License-Identifier: MIT */
/*
 * opthread - the epoll engine's helper threads: they make the calls that may wait for
 * a disk.
 *
 *   I1  one pool a process, alive while an engine is open; the last to close joins all
 *       threads. Nothing is queued or running then.
 *   I2  a thread that takes an operation first sees to it that another one is idle, up
 *       to OPTHREAD_MAX: so helpers are made by helpers, which may allocate, never by
 *       the scheduler. Where no thread can be made, operations wait for those that are
 *       there; there is always one.
 *   I3  an operation is queued, then run, by one thread, once; it is taken back only
 *       while it is queued.
 * Signals are blocked in helpers: a call that has begun is waited for.
 * sched/blocking.c has a pool of its own for users' calls, which may last for ever.
 */
#ifndef RGK_OPTHREAD_H
#define RGK_OPTHREAD_H

#include "kernel-iface/op.h"

enum { OPTHREAD_MAX = 32 };

/* A helper that had nothing to do for so long ends, if another one is idle. */
void opthread_set_idle_ns(int64_t ns); /* tests */

/* The name of the threads; deadlock.c knows them by it. */
#define OPTHREAD_NAME "rg-io"

/* opthread_start, opthread_stop - an engine opens, closes. start: 0 or a negative
 * errno (-EAGAIN: no thread). May allocate and wait: not in the scheduler. */
int opthread_start(void);
void opthread_stop(void);

/* opthread_submit - have epcall_aside called; epring_post takes what it says. Any
 * thread; neither waits nor allocates. */
void opthread_submit(struct op *op);

/* opthread_take_back - true: op was queued, and is not any more. */
bool opthread_take_back(struct op *op);

/* opthread_take_any - one queued operation of ring r, taken back; or NULL. */
struct op *opthread_take_any(const struct ring *r);

/* Threads alive, for tests. */
int opthread_count(void);

#endif
