/* SPDX-License-Identifier: MIT */
/*
 * afterfunc - functions that run in goroutines of their own after something happened:
 * a timer fired (timerchan.c), a context ended (ctxafter.c). See afterfunc.c.
 */
#ifndef RG_SYNC_AFTERFUNC_H
#define RG_SYNC_AFTERFUNC_H

#include <ringgo/base.h>

#include "kernel-iface/base/list.h"

struct afterfunc {
	/* const */
	void (*fn)(void *arg);
	void *arg;
	uintptr_t pc; /* of the public call, for dumps */

	struct bubble *bubble; /* held while due; NULL: none */
	struct list
		due; /* its turn has come, not yet started; afterfunc.c's lock */
};

/* afterfunc_prepare - whoever starts the functions runs in this runtime. 0, -ENOMEM,
 * -EAGAIN, -ESRCH. Goroutine or any thread. */
int afterfunc_prepare(void);

/* afterfunc_due - start it. Once until it was started or cancelled. Any thread, also on
 * a scheduler stack; without a runtime, nothing. */
void afterfunc_due(struct afterfunc *a);

/* afterfunc_cancel - true: it was due, and will not be started. From here on it may be
 * freed. Any thread. */
bool afterfunc_cancel(struct afterfunc *a);

/* afterfunc_reset - the runtime ended. */
void afterfunc_reset(void);

#endif
