/* SPDX-License-Identifier: MIT */
/*
 * packet - what the parts of datagram sockets share: packet.c and packetbatch.c.
 */
#ifndef RG_NET_PACKET_H
#define RG_NET_PACKET_H

#include <ringgo/packet.h>

#include "net/bound.h"
#include "net/netfd.h"

struct rg_packet {
	struct netfd nf;
	struct bound bound; /* const after rg_listen_packet */
	/* packetbatch.c, I3; relaxed, any goroutine */
	_Atomic unsigned in_place;
	/* SEGMENTS_*; relaxed, any goroutine */
	_Atomic int segments;
};

#endif
