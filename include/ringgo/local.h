/* SPDX-License-Identifier: MIT */
/*
 * ringgo/local.h - variables of which each goroutine has its own.
 *
 *	static const rg_local_key buffer_key = RG_LOCAL_KEY(free);
 *	rg_local_set(&buffer_key, malloc(512));
 *	char *buffer = rg_local_get(&buffer_key);
 *
 * A key is a static object, known by its address; there may be any number, and none
 * is registered. A value is NULL until it is set; goroutines do not inherit values. A
 * thread-local variable cannot do this: a goroutine changes threads. A foreign thread
 * has values as a goroutine does. None of these calls parks.
 */
#ifndef RINGGO_LOCAL_H
#define RINGGO_LOCAL_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

typedef struct rg_local_key {
	void (*destroy_)(void *value);
	void *reserved_;
} rg_local_key;

/*
 * RG_LOCAL_KEY - initialises a key. destroy, which may be NULL, is called with each
 * value that is not NULL at the end of its goroutine, on it: after all of the
 * rg_defers, in no particular order, and again for what it sets itself. It may park,
 * and rg_defer: such a call runs when the destructors are through. On a foreign
 * thread it is called when the thread ends. Goroutines that the end of the runtime
 * abandons run neither.
 */
#define RG_LOCAL_KEY(destroy)                                                  \
	{                                                                      \
		(destroy), 0                                                   \
	}

/* rg_local_set - the former value is the caller's business. 0, -ENOMEM, or, on a
 * foreign thread only, -EAGAIN (no pthread key left). NULL as a value cannot fail. */
RG_API int rg_local_set(const rg_local_key *key, void *value);

/* rg_local_get - NULL: not set. */
RG_API void *rg_local_get(const rg_local_key *key);

RG_END_DECLS

#endif
