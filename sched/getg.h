/* SPDX-License-Identifier: MIT */
/*
 * getg - setting what sched/g.h's getg and getm read; for M start and stop.
 */
#ifndef RG_SCHED_GETG_H
#define RG_SCHED_GETG_H

#include "sched/g.h"

void getm_set(struct m *mp);

/* State of sched_rand on a thread without an M; 0 at first. */
uint64_t *getg_foreign_rng(void);

#endif
