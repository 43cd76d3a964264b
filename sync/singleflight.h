/* SPDX-License-Identifier: MIT */
/*
 * singleflight - what tests may know of it beyond its public face.
 */
#ifndef RG_SYNC_SINGLEFLIGHT_H
#define RG_SYNC_SINGLEFLIGHT_H

#include <ringgo/sync.h>

/* singleflight_waiters - how many wait for the call of that key. May park. */
size_t singleflight_waiters(rg_singleflight *s, const char *key);

#endif
