/* SPDX-License-Identifier: MIT */
/*
 * ringgo/sync.h - mutex, wait group, once.
 *
 * The objects are embedded in the user's own; zeroed memory is a valid, unlocked
 * one. They may be used from goroutines and from any other thread (which blocks),
 * hold no resources, and need no destruction. A mutex may be freed by whoever
 * unlocks it last; a wait group may leave its scope as soon as wait returns.
 */
#ifndef RINGGO_SYNC_H
#define RINGGO_SYNC_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

typedef struct rg_mutex {
	uint32_t state_;
	uint32_t reserved_;
} rg_mutex;

/* Not owner-bound: another goroutine may unlock. A waiter of more than 1 ms gets the
 * mutex handed over, in order. Unlocking an unlocked mutex panics. */
RG_API void rg_mutex_lock(rg_mutex *m);
RG_API bool rg_mutex_try_lock(rg_mutex *m);
RG_API void rg_mutex_unlock(rg_mutex *m);

typedef struct rg_waitgroup {
	uint64_t state_;
} rg_waitgroup;

/* A negative counter panics. wait parks until the counter is 0. */
RG_API void rg_waitgroup_add(rg_waitgroup *w, int delta);
RG_API void rg_waitgroup_done(rg_waitgroup *w);
RG_API void rg_waitgroup_wait(rg_waitgroup *w);

/* rg_waitgroup_go - add(1), run fn(arg) in a goroutine, done() when it ends, also by
 * rg_exit. Returns as rg_go does (on failure the counter is as before). */
RG_API int rg_waitgroup_go(rg_waitgroup *w, void (*fn)(void *arg), void *arg);

typedef struct rg_once {
	uint32_t done_;
	uint32_t reserved_;
	rg_mutex mutex_;
} rg_once;

/* rg_once_do - run fn(arg) the first time; every caller returns after it ended. A fn
 * that calls rg_exit counts as done. A recursive call deadlocks, as in Go. */
RG_API void rg_once_do(rg_once *o, void (*fn)(void *arg), void *arg);

RG_END_DECLS

#endif
