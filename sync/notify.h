/* SPDX-License-Identifier: MIT */
/*
 * notify - signals as values in channels (rg_signal_notify).
 *
 *   I1  the handler only sets a bit and writes to an eventfd; a goroutine of the
 *       runtime, parked on reading it, does the sending.
 *   I2  after rg_signal_stop(c) returned, no more is sent to c.
 *   I3  a signal has our handler exactly while some channel wants it; at the end of
 *       the runtime all of them have their former dispositions.
 *   I4  while a channel is registered "deadlock" is not reported.
 * Equal signals that arrive before they were sent on are one, as for the kernel.
 * Public face: ringgo/runtime.h.
 */
#ifndef RG_SYNC_NOTIFY_H
#define RG_SYNC_NOTIFY_H

#include <ringgo/chan.h>
#include <ringgo/runtime.h>

/* notify_may_catch - sig can be asked for. */
bool notify_may_catch(int sig);

#endif
