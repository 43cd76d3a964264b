/* SPDX-License-Identifier: MIT */
/*
 * pool - what tests may know of a pool beyond its public face.
 */
#ifndef RG_SYNC_POOL_H
#define RG_SYNC_POOL_H

#include <ringgo/sync.h>

/* pool_age - drop what was put before the last time, keep the rest as victims: what a
 * put does every POOL_AGE_NS. May park, if the pool's destroy does. */
void pool_age(rg_pool *p);

#endif
