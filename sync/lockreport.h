/* SPDX-License-Identifier: MIT */
/*
 * lockreport - a circle of the lock graph as text: on stderr when it is found, and at the
 * end of each dump of all goroutines.
 *
 *	ringgo: partial deadlock: 2 goroutines wait for each other
 *		goroutine 7 waits in pay for the rg_mutex at 0x55d0c3a01040, which
 *			goroutine 9 locked in refund
 *		...
 *
 * and, on stderr, their stacks.
 */
#ifndef RG_SYNC_LOCKREPORT_H
#define RG_SYNC_LOCKREPORT_H

#include "sync/lockgraph.h"

struct dumptext;

/* lockreport_say - to stderr. c lives on. Goroutines; parks. */
void lockreport_say(const struct lockcircle *c);

/* lockreport_dump - all that were found, to d; the hook of rg_dump. */
void lockreport_dump(struct dumptext *d);

#endif
