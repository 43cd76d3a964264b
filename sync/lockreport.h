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
 * and, on stderr, their stacks. So is a goroutine that waits at a channel that is NULL, or
 * in a select without cases, unless that is the main one.
 */
#ifndef RG_SYNC_LOCKREPORT_H
#define RG_SYNC_LOCKREPORT_H

#include "sync/lockgraph.h"

struct dumptext;

/* lockreport_say - to stderr. c lives on. Goroutines; parks. */
void lockreport_say(const struct lockcircle *c);

/* lockreport_for_ever - the calling goroutine is about to park, for a reason that nobody
 * can end: say so. Parks. On a foreign thread nothing. */
void lockreport_for_ever(enum wait_reason reason);

/* lockreport_dump - all that were found, to d; the hook of rg_dump. */
void lockreport_dump(struct dumptext *d);

#endif
