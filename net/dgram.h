/* SPDX-License-Identifier: MIT */
/*
 * dgram - sending datagrams and waiting for room.
 *
 *   I1  an operation never waits in the kernel: it says -EAGAIN (MSG_DONTWAIT). One that
 *       waits is issued again with what the first attempt has left of the buffers, which
 *       a unix socket has copied by then: an empty datagram is sent, and 0 is the
 *       result. Seen with Linux 6.18, whose io_sendmsg does not take the iterator back.
 *   I2  room in the socket's own buffer, and at the peer of a connected one, is polled
 *       for. That of another receiver cannot be (unix_dgram_poll knows only the peer):
 *       we look at growing intervals.
 * Waiting heeds close, the descriptor's deadline and the bound context.
 *
 * Callers: goroutines and foreign threads.
 */
#ifndef RG_NET_DGRAM_H
#define RG_NET_DGRAM_H

#include <stdint.h>

#include "kernel-iface/op.h"

/* dgram_send - perform s, a SEND or SENDMSG with MSG_DONTWAIT, when there is room: what
 * was sent, or a negative errno. Parks. */
int dgram_send(int fd, const struct op_sqe *s);

/* dgram_wait - until it is worth trying to send once more (I2); *nap is 0 before the first
 * wait. 0 or a negative errno. Parks. */
int dgram_wait(int fd, int64_t *nap);

#endif
