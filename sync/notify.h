/* SPDX-License-Identifier: MIT */
/*
 * notify - signals as values in channels (rg_signal_notify), and as the end of contexts
 * (rg_ctx_with_signals).
 *
 *   I1  the handler only sets a bit and writes to an eventfd; a goroutine of the
 *       runtime, parked on reading it, does the sending.
 *   I2  after rg_signal_stop(c) returned, no more is sent to c.
 *   I3  a signal has our handler exactly while somebody wants it; at the end of
 *       the runtime all of them have their former dispositions.
 *   I4  while a channel or context is registered "deadlock" is not reported.
 *   I5  a context that listens is not referenced: its last unref calls
 *       notify_forget_ctx before anything else, which waits for a sender that is
 *       just ending it.
 *   I6  a signal that a select has asked for (RG_SIGNAL) has a channel of the library's
 *       own until the runtime ends; who selects on it holds a reference.
 * Equal signals that arrive before they were sent on are one, as for the kernel.
 * Public face: ringgo/runtime.h, ringgo/ctx.h.
 */
#ifndef RG_SYNC_NOTIFY_H
#define RG_SYNC_NOTIFY_H

#include <ringgo/chan.h>
#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

/* notify_may_catch - sig can be asked for. */
bool notify_may_catch(int sig);

/* notify_forget_ctx - no more signals for c; whether it listened. May park. */
bool notify_forget_ctx(rg_ctx *c);

/* notify_signal_chan - *out gets a reference to the channel (of elements without size,
 * one is kept) of sig. 0, -EINVAL, -ESRCH, -ENOMEM, or as sigaction(2). May park. */
int notify_signal_chan(int sig, rg_chan **out);

#endif
