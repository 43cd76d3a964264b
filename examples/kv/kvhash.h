/* SPDX-License-Identifier: MIT */
/*
 * kvhash - the hash of keys and the checksum of snapshots.
 *
 * Keys come from strangers: with a hash that is known beforehand they could all be made
 * to fall into one bucket. So it is SipHash (Aumasson, Bernstein), one round a word and
 * three at the end, with a key drawn at start. The checksum is CRC-64/XZ.
 */
#ifndef KVHASH_H
#define KVHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t kvhash(const uint64_t seed[2], const void *data, size_t n);

/* kvcrc_init - once, before kvcrc is used. kvcrc - the checksum of what crc is the
 * checksum of, and n more bytes; that of nothing is 0. */
void kvcrc_init(void);
uint64_t kvcrc(uint64_t crc, const void *data, size_t n);

#endif
