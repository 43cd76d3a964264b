/* SPDX-License-Identifier: MIT */
/*
 * debughttp - the runtime's insides over HTTP; mounted by rg_debug_handle, never by
 * itself, as what it shows is not for strangers.
 *
 *	/debug/			the live page
 *	/debug/ringgo/stats	rg_stats, memory and CPU time as JSON
 *	/debug/pprof/		an index
 *	/debug/pprof/goroutine	?debug=1 grouped, ?debug=2 one by one
 *
 * A dump is written to an anonymous file first: rg_dump takes a descriptor, and the
 * world must not stand still for as long as a slow client reads.
 */
#ifndef RG_DEBUGHTTP_H
#define RG_DEBUGHTTP_H

#include <ringgo/http.h>

/* debughttp_stats - the JSON text into buf; its length, or a negative errno. */
int debughttp_stats(char *buf, size_t size);

#endif
