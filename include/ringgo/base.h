/* SPDX-License-Identifier: MIT */
/*
 * ringgo/base.h - what every other header stands on: time, errors, errno.
 *
 * Time is int64_t nanoseconds on CLOCK_MONOTONIC: rg_time is a point, rg_duration
 * a length. A call that can fail for an outside reason returns >= 0, or a negative
 * errno; errno itself is never the channel for an error of this library.
 */
#ifndef RINGGO_BASE_H
#define RINGGO_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define RG_BEGIN_DECLS extern "C" {
#define RG_END_DECLS   }
#else
#define RG_BEGIN_DECLS
#define RG_END_DECLS
#endif

#define RG_API               __attribute__((visibility("default")))
#define RG_NORETURN          __attribute__((noreturn))
#define RG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define RINGGO_VERSION_MAJOR 0
#define RINGGO_VERSION_MINOR 1
#define RINGGO_VERSION_PATCH 0

RG_BEGIN_DECLS

typedef int64_t rg_time;
typedef int64_t rg_duration;

#define RG_NANOSECOND  ((rg_duration)1)
#define RG_MICROSECOND (1000 * RG_NANOSECOND)
#define RG_MILLISECOND (1000 * RG_MICROSECOND)
#define RG_SECOND      (1000 * RG_MILLISECOND)
#define RG_MINUTE      (60 * RG_SECOND)
#define RG_HOUR        (60 * RG_MINUTE)
#define RG_FOREVER     INT64_MAX

/* Opaque objects, named here so that each header can speak of them. */
typedef struct rg_chan rg_chan;
typedef struct rg_ctx rg_ctx;

/*
 * rg_strerror - a static English text for err, which may be negative (as this
 * library returns it) or positive. Never NULL. Does not park.
 */
RG_API const char *rg_strerror(int err);

/*
 * rg_panic - report a bug: prints "ringgo: panic: WHAT [goroutine N ...]" and
 * every goroutine's stack to stderr, then aborts. Callable from anywhere.
 */
RG_API RG_NORETURN void rg_panic(const char *fmt, ...) RG_PRINTF(1, 2);

/*
 * rg_errno_location - where the calling goroutine's errno is at this moment.
 *
 * errno is thread-local and a goroutine may change threads wherever it parks.
 * libc declares __errno_location const, so compilers keep its result across such
 * a call and then read another thread's errno. This one is not const; the macro
 * below makes every use of errno after including a ringgo header safe. A
 * goroutine's errno is kept across parks.
 */
RG_API int *rg_errno_location(void);
#undef errno
#define errno (*rg_errno_location())

RG_END_DECLS

#endif
