/* SPDX-License-Identifier: MIT */
/*
 * forked - the mark of a process that fork(2) made of one in which the runtime ran.
 *
 * Of the threads only the one that called fork exists there: what another one held
 * stays locked, what another one would do is never done. Whoever is about to wait for
 * that asks here first.
 *   I1  set once, by the only thread of such a process, before fork returned to it.
 * Any thread, any state: reads a flag, and ends the program with write(2) and abort(3).
 */
#ifndef RGK_BASE_FORKED_H
#define RGK_BASE_FORKED_H

#include <stdbool.h>

#include "kernel-iface/base/check.h"

extern bool forked_is_child;

void forked_refuse(void) __attribute__((noreturn, cold));

/* forked_check - do not come back in such a process. For slow paths. */
static inline void forked_check(void)
{
	if (rg_unlikely(forked_is_child))
		forked_refuse();
}

#endif
