/* SPDX-License-Identifier: MIT */
/*
 * lincheck - is there an order of these operations, one after the other, that
 * agrees with what was observed, and in which every channel is a channel?
 *
 * A channel of capacity n > 0 is a queue that holds at most n values: a send that
 * won appends, a receive that won takes the oldest. One of capacity 0 has no state:
 * a send and the receive of its value are one step. Receiving "closed" needs a
 * closed and empty channel; nothing is sent after the close. A communication without
 * a winner says that at one moment none of its cases could proceed, on all of its
 * channels together. On a channel of capacity 0 this says nothing: whether the peer
 * was there already cannot be seen from outside (linrun.c looks at the wait queues
 * and checks it there).
 *
 *   lin_check_long    conditions that every such history satisfies; n log n but for
 *                     operations that overlap very many others
 *   lin_check_exact   searches for the order; exponential at worst, LIN_EXACT_MAX
 *                     operations at most
 * Both are sound: they blame no history that has such an order. Only the second is
 * complete.
 */
#ifndef RG_TESTS_LINCHECK_H
#define RG_TESTS_LINCHECK_H

#include "tests/lincheck/linhist.h"

enum { LIN_EXACT_MAX = 64 };

enum lin_answer { LIN_BAD, LIN_GOOD, LIN_UNDECIDED };

/*
 * lin_check_long - conservation (each value sent once and received once: every
 * channel has to be drained at the end of a history), order, capacity, rendezvous,
 * close, false refusals, lengths. true: nothing found.
 */
bool lin_check_long(const struct lin_history *h, struct lin_verdict *v);

/*
 * lin_check_exact - LIN_UNDECIDED: more operations than LIN_EXACT_MAX, or no answer
 * after `budget` steps.
 */
enum lin_answer lin_check_exact(const struct lin_history *h, size_t budget,
				struct lin_verdict *v);

#endif
