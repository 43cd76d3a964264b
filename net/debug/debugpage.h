/* SPDX-License-Identifier: MIT */
/*
 * debugpage - the live page at /debug/: one HTML text without external resources.
 *
 * It asks /debug/ringgo/stats once a second and shows values and rates, and
 * /debug/pprof/goroutine?debug=2 on demand.
 */
#ifndef RG_DEBUGPAGE_H
#define RG_DEBUGPAGE_H

#include <stddef.h>

extern const char debugpage_html[];
extern const size_t debugpage_len;

/* The index at /debug/pprof/. */
extern const char debugpage_index[];
extern const size_t debugpage_index_len;

#endif
