/* SPDX-License-Identifier: MIT */
/*
 * atfork - fork(2) in a program with a runtime.
 *
 * The child has one thread, no worker, and rings that are the parent's (io_uring's
 * mappings are not inherited: ring.c). It may call exec(3), _exit(2) and what does not
 * need the runtime; what does ends it with a message (kernel-iface/base/forked.h).
 *   I1  in such a child no thread has an M: the code that runs there is a foreign
 *       thread's to every call, also on the stack of a goroutine.
 *   I2  a fork while no runtime runs leaves no mark: the child may start one. With the
 *       mark rg_run and rg_start say what it is, and return -EBUSY.
 * posix_spawn, vfork and clone(2) do not run these handlers: the first two share the
 * parent's memory, which must not be marked; the last is its caller's affair.
 */
#ifndef RG_SCHED_ATFORK_H
#define RG_SCHED_ATFORK_H

/* atfork_start - from the first call on forks are noticed. 0 or -ENOMEM. */
int atfork_start(void);

#endif
