/* SPDX-License-Identifier: MIT */
/*
 * victims - code of many shapes that is preempted while it computes; compiled with
 * all kinds of flags by preemptflags.sh, as C and as C++.
 */
#ifndef RG_TESTS_VICTIMS_H
#define RG_TESTS_VICTIMS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The result depends on seed alone. Some 1 to 100 us. */
struct victim {
	const char *name; /* NULL: the end */
	uint64_t (*run)(uint64_t seed);
};

extern const struct victim victims[];

#ifdef __cplusplus
}
#endif

#endif
