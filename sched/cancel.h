/* SPDX-License-Identifier: MIT */
/*
 * cancel - the token that parking calls look at.
 *
 * A token is embedded in whatever can end a goroutine's waits (sync's context). It
 * is bound to goroutines (g.token); their interruptible waits link a waiter into it.
 *   I1  err goes from 0 to a negative errno once, under the lock, and stays.
 *   I2  a waiter is linked and unlinked by its own goroutine under the lock; while
 *       the lock is held, every linked waiter and its goroutine are alive.
 *   I3  the token outlives every goroutine it is bound to (its owner holds a
 *       reference per binding).
 *   I4  on_cancel runs under the token's lock: it must not park nor take a lock that
 *       is held around a call of cancel_*; goroutines to be readied are put on the
 *       list that it gets.
 * Lock rank: token before file descriptor entry.
 */
#ifndef RG_SCHED_CANCEL_H
#define RG_SCHED_CANCEL_H

#include <ringgo/base.h>

#include <stdatomic.h>

#include "kernel-iface/base/list.h"
#include "kernel-iface/base/rtlock.h"

struct ready_list;

struct cancel_waiter {
	struct list link;
	void (*on_cancel)(struct cancel_waiter *w, int err,
			  struct ready_list *ready);
};

struct cancel_token {
	struct rtlock lock;
	_Atomic int err; /* 0 | -ECANCELED | -ETIMEDOUT */
	struct list waiters;
};

/* Zeroed memory is a token that was not cancelled. */

/* cancel_token_err - 0 or why it ended; any thread, no lock. */
int cancel_token_err(const struct cancel_token *t);

/* cancel_token_fire - end it with err; tells every waiter. false: had ended. */
bool cancel_token_fire(struct cancel_token *t, int err);

/* cancel_wait_begin - link w; 0, or the error when the token has ended (w is not
 * linked then). cancel_wait_end - unlink; w is the caller's again. */
int cancel_wait_begin(struct cancel_token *t, struct cancel_waiter *w);
void cancel_wait_end(struct cancel_token *t, struct cancel_waiter *w);

#endif
