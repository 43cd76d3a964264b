/* SPDX-License-Identifier: MIT */
/*
 * select - what select.c (channels) and selectops.c (the other cases) share.
 */
#ifndef RG_SYNC_SELECT_H
#define RG_SYNC_SELECT_H

#include <ringgo/chan.h>

#include "sched/opgroup.h"
#include "sync/chan.h"

enum { SMALL_CASES = 8, CASES_MAX = 65536 };

struct selops;

/* One select on its slow way; on the goroutine's stack. */
struct sel {
	rg_case *cases;
	size_t n;
	struct sudog *sudogs; /* n; that of a case without channel is unused */
	rg_chan **order;      /* the distinct channels by address */
	size_t norder;
	bool is_durable;        /* all of them are of the caller's bubble */
	struct op_group *group; /* operations that wait, too; NULL: none */
	struct selops *ops;     /* whose select it is; NULL: select.c's */
};

/* What a case without a channel has in chan_: negative as a number, as no pointer
 * is. In a sel's own cases only SELECT_READY is among them. */
#define SELECT_READY ((rg_chan *)INTPTR_MIN)

static inline bool case_has_chan(const rg_case *cs)
{
	return (intptr_t)cs->chan_ > 0;
}

/* What a select comes to besides an index and an error. */
enum {
	SELECT_MIXED = -4096, /* it has other cases than channels */
	SELECT_OP = -4097,    /* the first one was s->group->first */
};

/*
 * select_locked - S1 to S5: take a ready case or one that is SELECT_READY, or wait for
 * one; deadline 0: do not park. An index, -EAGAIN, -ETIMEDOUT or SELECT_OP; in the last
 * case, and after -ETIMEDOUT, s->group has yet to be ended.
 */
int select_locked(struct sel *s, rg_time deadline);

/* select_mixed - a select with other cases than channels; deadline as above. */
int select_mixed(rg_case *cases, size_t n, rg_time deadline);

/* selops_forget - its goroutine will never run again. */
void selops_forget(struct selops *ops);

#endif
