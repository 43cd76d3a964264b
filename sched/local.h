/* SPDX-License-Identifier: MIT */
/*
 * local - a goroutine's own variables (ringgo/local.h), as spawn.c sees them.
 */
#ifndef RG_SCHED_LOCAL_H
#define RG_SCHED_LOCAL_H

#include "sched/g.h"

/* local_end - run the destructors of gp, the caller; g.locals is NULL afterwards. May
 * park; may leave new defers. */
void local_end(struct g *gp);

#endif
