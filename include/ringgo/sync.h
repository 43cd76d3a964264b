/* SPDX-License-Identifier: MIT */
/*
 * ringgo/sync.h - mutex, reader/writer mutex, wait group, once, condition, semaphore,
 * latch, barrier, group, singleflight, pool.
 *
 * All but groups and pools are embedded in the user's own objects; zeroed memory is
 * a valid, unlocked one (a semaphore of 0, an open latch; a barrier wants its init). They may be used from goroutines and
 * from any other thread (which blocks), hold no resources, and need no destruction.
 * A mutex, of either kind, may be freed by whoever unlocks it last; a wait group may
 * leave its scope as soon as wait returns, a semaphore as soon as the last acquire
 * has, and a condition when nobody waits. Only rg_sem_acquire heeds the bound
 * context.
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

typedef struct rg_rwmutex {
	uint32_t state_;
	uint32_t reserved_;
} rg_rwmutex;

/* Many readers or one writer; not owner-bound. New readers wait while a writer waits,
 * and those that wait when a writer unlocks come before the next writer: neither
 * starves. So a reader that read-locks again may deadlock, as in Go. Unlocking
 * what is not locked that way panics. */
RG_API void rg_rwmutex_lock(rg_rwmutex *m);
RG_API bool rg_rwmutex_try_lock(rg_rwmutex *m);
RG_API void rg_rwmutex_unlock(rg_rwmutex *m);
RG_API void rg_rwmutex_rlock(rg_rwmutex *m);
RG_API bool rg_rwmutex_try_rlock(rg_rwmutex *m);
RG_API void rg_rwmutex_runlock(rg_rwmutex *m);

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

/* A value that is made when it is first asked for. */
typedef struct rg_once_value {
	rg_once once_;
	void *value_;
} rg_once_value;

/* rg_once_value_get - what fn(arg) returned the first time; every caller gets the same
 * pointer, after fn has ended. NULL if fn called rg_exit. Parks while fn runs. */
RG_API void *rg_once_value_get(rg_once_value *o, void *(*fn)(void *arg),
			       void *arg);

typedef struct rg_cond {
	uint64_t self_;
	uint32_t waiters_;
	uint32_t reserved_;
} rg_cond;

/* rg_cond_wait - unlock m, wait to be woken, lock m again; m is locked by the caller.
 * A signal given after m was unlocked is not missed. Test the condition in a loop.
 * A cond that is used at another address than before panics: it was copied. */
RG_API void rg_cond_wait(rg_cond *c, rg_mutex *m);

/* signal wakes who has waited longest, broadcast all who wait now. The mutex may be
 * held and need not be. Neither parks. */
RG_API void rg_cond_signal(rg_cond *c);
RG_API void rg_cond_broadcast(rg_cond *c);

typedef struct rg_sem {
	uint64_t state_;
} rg_sem;

/*
 * rg_sem_acquire - take n >= 0 units; waits until they are there and all who came
 * before have got theirs, so that a large request is not starved. Returns 0, or the
 * error of the bound context when that has ended (-ECANCELED, -ETIMEDOUT); nothing
 * is taken then. A negative n panics.
 */
RG_API int rg_sem_acquire(rg_sem *s, int64_t n);

/* rg_sem_try_acquire - the same, if it need not wait. Does not park. */
RG_API bool rg_sem_try_acquire(rg_sem *s, int64_t n);

/* rg_sem_release - add n >= 0 units: a semaphore of n is made so, too. Does not park.
 * More than 2^62 panic. */
RG_API void rg_sem_release(rg_sem *s, int64_t n);

/* A door that opens when it has been counted down to 0, and stays open. It may be freed
 * as soon as a wait has returned and nobody else will use it. */
typedef struct rg_latch {
	uint32_t count_;
	uint32_t bubble_;
} rg_latch;

/* rg_latch_init - shut, unless n is 0; nobody uses it at this time. */
RG_API void rg_latch_init(rg_latch *l, uint32_t n);

/* rg_latch_count_down - one less, unless it is open. true: this call opened it, and woke
 * all who waited. Does not park. */
RG_API bool rg_latch_count_down(rg_latch *l);

/* rg_latch_wait - park until it is open: what was done before the calls that opened it is
 * visible then. rg_latch_is_open - whether it is, likewise. */
RG_API void rg_latch_wait(rg_latch *l);
RG_API bool rg_latch_is_open(const rg_latch *l);

/* A point that none of n passes before all have come to it, round after round. Whoever
 * comes out of the last round may free it. */
typedef struct rg_barrier {
	uint32_t parties_;
	uint32_t waiting_;
	uint32_t bubble_;
	uint32_t reserved_;
} rg_barrier;

/* rg_barrier_init - of n > 0 parties, else it panics; nobody uses it at this time. */
RG_API void rg_barrier_init(rg_barrier *b, uint32_t n);

/* rg_barrier_wait - park until all parties have called it. In each round true for the one
 * that came last (none, if a leave ended it). Panics when all have left. */
RG_API bool rg_barrier_wait(rg_barrier *b);

/* rg_barrier_leave - one party less in this round and all others: for a goroutine that
 * will not come again. May end the round; does not park. */
RG_API void rg_barrier_leave(rg_barrier *b);

/* Goroutines that work on one thing: Go's errgroup. */
typedef struct rg_group rg_group;

/* rg_group_new - its context is a child of parent and ends with the first error, at the
 * latest when rg_group_wait returns. NULL: out of memory. */
RG_API rg_group *rg_group_new(rg_ctx *parent);

/*
 * rg_group_go - run fn(arg) in a goroutine to which the group's context is bound; a
 * negative result is an error, and the first one cancels the context with itself as
 * the reason. rg_exit in fn is no error. Parks while the limit is reached. Returns
 * as rg_go does.
 */
RG_API int rg_group_go(rg_group *g, int (*fn)(void *arg), void *arg);

/* rg_group_try_go - the same if the limit allows it now, else -EBUSY; it
 * does not wait for room. */
RG_API int rg_group_try_go(rg_group *g, int (*fn)(void *arg), void *arg);

/* rg_group_wait - wait until all have ended; the first error or 0. Frees g. */
RG_API int rg_group_wait(rg_group *g);

/* rg_group_set_limit - at most n goroutines at a time; 0: none; negative, as at first:
 * any number. Panics while there are goroutines in the group. */
RG_API void rg_group_set_limit(rg_group *g, int n);
RG_API rg_ctx *rg_group_ctx(rg_group *g); /* lent */

typedef struct rg_singleflight {
	rg_mutex mutex_;
	void *calls_;
} rg_singleflight;

/*
 * rg_singleflight_do - call fn(arg, value) unless a call for an equal key is under way:
 * then wait for that one. All get its result and the same *value (NULL if fn leaves
 * it alone): let it be reference-counted or owned elsewhere. *shared: several callers
 * got it. value and shared may be NULL; key is copied. A fn that calls rg_exit is
 * -ECANCELED for those who wait. -ENOMEM: fn was not called. A recursive call with
 * an equal key deadlocks, as in Go.
 */
RG_API int rg_singleflight_do(rg_singleflight *s, const char *key,
			      int (*fn)(void *arg, void **value), void *arg,
			      void **value, bool *shared);

/* rg_singleflight_forget - the next do for an equal key starts a call of its own, also
 * while one is under way, which goes on for those who wait for it. */
RG_API void rg_singleflight_forget(rg_singleflight *s, const char *key);

/* Things that are costly to make, kept for whoever needs one next. */
typedef struct rg_pool rg_pool;

/* rg_pool_new - make is called by get when there is nothing (NULL: get returns NULL
 * then), destroy with what the pool drops (NULL: nothing is done). NULL: out of
 * memory. */
RG_API rg_pool *rg_pool_new(void *(*make)(void), void (*destroy)(void *));

/* rg_pool_get - an item that nobody else has. rg_pool_put - give it, or any other, to
 * the pool; NULL is nothing. What was not taken for 10 to 20 seconds is dropped by
 * some later put. */
RG_API void *rg_pool_get(rg_pool *p);
RG_API void rg_pool_put(rg_pool *p, void *item);

/* rg_pool_free - drop all that is in it, and the pool; nobody uses it any more. NULL is
 * nothing. */
RG_API void rg_pool_free(rg_pool *p);

RG_END_DECLS

#endif
