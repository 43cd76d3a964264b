/* SPDX-License-Identifier: MIT */
/*
 * map - what tests may know of rg_map beyond its public face.
 */
#ifndef RG_SYNC_MAP_H
#define RG_SYNC_MAP_H

#include <ringgo/map.h>

/* map_seed - of its hash function: with it keys of equal hashes can be made. */
uint64_t map_seed(const rg_map *m);

#endif
