/* SPDX-License-Identifier: MIT */
/*
 * cleanup - what has to be done after a callback of the user's, even if the callback
 * ends its goroutine by rg_exit.
 *
 *	cleanup_begin(&c, finish, o, "rg_once_do");
 *	fn(arg);
 *	cleanup_end(&c);
 *
 *   I1  finish(o) runs exactly once: in cleanup_end, or as a defer of the goroutine
 *       when fn did not return. The stack that c lies on is there still then.
 *   I2  defers that fn leaves behind are the goroutine's and stay.
 * On a foreign thread rg_exit panics: nothing but a return ends fn.
 */
#ifndef RG_SYNC_CLEANUP_H
#define RG_SYNC_CLEANUP_H

#include "sched/g.h"

struct cleanup {
	struct g_defer *defer; /* NULL: on a foreign thread */
	void (*finish)(void *arg);
	void *arg;
};

/* cleanup_begin - panics when out of memory, with the words of who. */
void cleanup_begin(struct cleanup *c, void (*finish)(void *arg), void *arg,
		   const char *who);
void cleanup_end(struct cleanup *c);

#endif
