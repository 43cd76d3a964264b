// SPDX-License-Identifier: MIT
/*
 * getg - the runtime's thread-locals, all of them, and who is running.
 *
 * A compiler may keep the address of a thread-local across a call (seen with gcc 12
 * and clang 14); behind a call that it cannot see into, it cannot. So they live
 * here, and every function below is opaque to inter-procedural analysis.
 */
#include "sched/getg.h"

#include "kernel-iface/base/check.h"
#include "sched/m.h"

#if defined(__clang__)
#define OPAQUE __attribute__((noinline, optnone))
#else
#define OPAQUE __attribute__((noinline, noipa))
#endif

__thread struct m *getg_this_m; /* read by getm's assembly */
static __thread struct g this_foreign;
static __thread uint64_t this_rng; /* of a foreign thread */

#if !defined(__x86_64__)
OPAQUE struct m *getm(void)
{
	return getg_this_m;
}
#endif

OPAQUE void getm_set(struct m *mp)
{
	getg_this_m = mp;
}

OPAQUE uint64_t *getg_foreign_rng(void)
{
	return &this_rng;
}

OPAQUE static struct g *foreign_g(void)
{
	this_foreign.kind = G_FOREIGN;
	this_foreign.special = G_IS_FOREIGN;
	return &this_foreign;
}

struct g *getg(void)
{
	struct m *mp = getm();

	return rg_likely(mp != NULL) ? mp->curg : foreign_g();
}

bool is_goroutine(void)
{
	struct m *mp = getm();

	return mp && mp->curg != &mp->g0;
}

#undef errno
OPAQUE int *rg_errno_location(void)
{
	return __errno_location();
}

#define G_NAME(name, text) text,
const char *g_state_name(enum g_state s)
{
	static const char *const names[] = {G_STATES(G_NAME)};

	return s < sizeof names / sizeof *names ? names[s] : "?";
}

const char *g_wait_reason_name(unsigned reason)
{
	static const char *const names[] = {WAIT_REASONS(G_NAME)};

	return reason < WAIT_REASON_COUNT ? names[reason] : "?";
}
