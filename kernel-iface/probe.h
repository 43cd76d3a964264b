/* SPDX-License-Identifier: MIT */
/*
 * probe - what this kernel and this process may use, found out once.
 *
 *   I1  probe_init runs before any other thread uses the table; it is constant
 *       afterwards.
 *   I2  RINGGO_URING=on:defer takes DEFER_TASKRUN; RINGGO_URING=off:NAME,... switches
 *       features off, so that every fall-back can be tested on a new kernel; an unknown
 *       name is warned about, not ignored.
 *   I3  RINGGO_ENGINE=epoll takes the engine without io_uring; RINGGO_ENGINE=io_uring
 *       takes no other; without it that one is taken where io_uring is refused for
 *       good: missing, forbidden, or too old. No feature of io_uring's is there then.
 */
#ifndef RGK_PROBE_H
#define RGK_PROBE_H

#include <stdbool.h>

/* Who makes the calls: ring.h. */
enum probe_engine { PROBE_URING, PROBE_EPOLL };

/* name in RINGGO_URING, what it is, first kernel. The last two are none of io_uring's. */
#define PROBE_FEATURES(X)                                                      \
	X(SINGLE_ISSUER, "single_issuer", "one submitting thread", "6.0")      \
	X(DEFER_TASKRUN, "defer", "completions run when asked for", "6.1")     \
	X(COOP_TASKRUN, "coop", "no interrupt for completions", "5.19")        \
	X(SUBMIT_ALL, "submit_all", "a bad entry does not stop a batch",       \
	  "5.18")                                                              \
	X(RING_FD, "ring_fd", "registered ring descriptor", "5.18")            \
	X(MULTISHOT_ACCEPT, "multishot_accept", "many accepts by one", "5.19") \
	X(MULTISHOT_RECV, "multishot_recv", "many receives by one", "6.0")     \
	X(BUF_RING, "bufring", "provided buffer rings", "5.19")                \
	X(SEND_ZC, "send_zc", "zero-copy send", "6.0")                         \
	X(MSG_RING, "msg_ring", "messages between rings", "5.18")              \
	X(FUTEX, "futex", "futex operations", "6.7")                           \
	X(WAITID, "waitid", "waitid operation", "6.7")                         \
	X(FTRUNCATE, "ftruncate", "ftruncate operation", "6.9")                \
	X(NOWAIT, "nowait", "reads and writes that never wait", "4.14")        \
	X(GUARD, "guard", "guard pages without a mapping each", "6.13")

#define PROBE_ENUM(id, name, text, version) PROBE_##id,
enum probe_feature { PROBE_FEATURES(PROBE_ENUM) PROBE_COUNT };

/*
 * probe_init - 0, or a negative errno when no engine can be had: -EINVAL, the value of
 * RINGGO_ENGINE (already said on stderr), else that with which io_uring was refused,
 * for probe_explain. Idempotent; the environment is read each time.
 */
int probe_init(void);

/* probe_engine - which one rings are opened with. probe_refusal - 0, or the negative
 * errno for which that is not io_uring although nobody said so. */
enum probe_engine probe_engine(void);
int probe_refusal(void);

bool probe_has(enum probe_feature f);
void probe_lose(enum probe_feature f); /* seen not to work; start-up only */
const char *probe_name(enum probe_feature f);
const char *
probe_version(enum probe_feature f); /* the kernel that brought it */

/*
 * probe_explain - the cause and the cure, in one or two sentences, of err from
 * probe_init or ring_open: missing in the kernel, too old (-EOPNOTSUPP), sysctl,
 * seccomp, memlock limit. Writes at most n bytes with the final zero.
 */
void probe_explain(int err, char *buf, unsigned n);

#endif
