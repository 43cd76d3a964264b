/* SPDX-License-Identifier: MIT */
/*
 * sysmon - the thread that looks after the others.
 */
#ifndef RG_SCHED_SYSMON_H
#define RG_SCHED_SYSMON_H

#include <stdatomic.h>
#include <stdint.h>

int sysmon_start(void); /* 0 or a negative errno */
void sysmon_stop(void); /* joins it */
int sysmon_tid(void);

extern _Atomic uint32_t sysmon_asleep;
void sysmon_wake_slow(void);

/* An M got a P: sysmon must look again if it sleeps without limit. */
static inline void sysmon_notify(void)
{
	/* Seq_cst, pairs with sysmon's store: the P was taken before (seq_cst),
	 * and sysmon looks at the idle Ps after announcing its sleep. */
	if (__builtin_expect(atomic_load_explicit(&sysmon_asleep,
						  memory_order_seq_cst) != 0,
			     0))
		sysmon_wake_slow();
}

#endif
