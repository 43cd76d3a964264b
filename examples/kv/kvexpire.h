/* SPDX-License-Identifier: MIT */
/*
 * kvexpire - the heap of a shard's items that expire: a binary heap whose items know
 * their place, so that any of them can be moved or taken out. Part of the store.
 */
#ifndef KVEXPIRE_H
#define KVEXPIRE_H

#include "examples/kv/kvstore.h"

/* kvexpire_forget - take it out of the heap, if it is there. Under the shard's lock. */
void kvexpire_forget(struct kvshard *shard, struct kvitem *it);

#endif
