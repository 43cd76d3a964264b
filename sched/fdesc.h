/* SPDX-License-Identifier: MIT */
/*
 * fdesc - what the runtime knows of a descriptor number: the operations in flight on
 * it, its deadlines, whether it is being closed.
 *
 * One entry a number, in a table that grows and is never freed while the runtime
 * lives. Sockets of net/ and plain numbers given to rg_read use the same entries.
 *   I1  ops in flight are linked under the entry's lock; while closing, new operations
 *       get -ECANCELED and those in flight are cancelled; the number is given to
 *       close(2) only when none is left, and until that is done new ones wait. So no
 *       stale operation ever hits a reused number, or holds a closed file.
 *   I2  a deadline is a stored time; the entry's one timer is armed for the earliest
 *       time that was ever asked for and looks, when it fires, at what is stored
 *       then: moving a deadline into the future costs two stores.
 *   I3  deadlines return to "none" when the number is closed.
 *   I4  a call that is made in place, with no operation, is between fdesc_enter and
 *       fdesc_leave and counts as one in flight: close(2) waits for it. One word holds
 *       the number of these and what refuses them, so that neither side misses the
 *       other. Such a call does not park, and there is nothing in it to cancel.
 *   I5  what is known of the file behind a number (FDESC_IN_PLACE, ...) is a guess: a
 *       close(2) past rg_close makes it wrong. It may cost time, nothing else.
 * Lock rank: token, then entry, then an M's cancel queue.
 */
#ifndef RG_SCHED_FDESC_H
#define RG_SCHED_FDESC_H

#include <ringgo/base.h>

#include "kernel-iface/base/list.h"
#include "kernel-iface/base/rtlock.h"
#include "sched/timer.h"

enum fd_dir { FD_READ, FD_WRITE, FD_DIRS };

struct g;

enum fdesc_state {
	FDESC_OPEN,
	FDESC_CLOSING, /* new operations are refused: -ECANCELED */
	FDESC_HANDED, /* close(2) is under way: new ones wait, for the number may
			* have the next user before its closer hears of it */
};

/* fdesc.gate: the number of calls in place, and above that: */
enum {
	FDESC_USERS = 0xffff,
	FDESC_SHUT = 1 << 16,     /* the state is not FDESC_OPEN */
	FDESC_LATE = 1 << 17,     /* the deadline for reading passed */
	FDESC_IN_PLACE = 1 << 18, /* reads of it can be made in place */
	FDESC_NEVER = 1 << 19,    /* they cannot */
};

struct fdesc {
	struct rtlock lock;
	_Atomic uint32_t gate; /* SHUT and LATE: written under lock */
	enum fdesc_state state;
	bool expired[FD_DIRS]; /* the deadline passed: calls fail at once */
	struct list inflight[FD_DIRS]; /* wait_op.fd_link */
	rg_time deadline[FD_DIRS];     /* 0: none */
	rg_time timer_at;              /* when the timer fires; 0: idle */
	struct timer timer;
	struct g *closer; /* parked until nothing is in flight */
};

/* fdesc_lock - lock f when it is not (any more) FDESC_HANDED; its state. Waits by
 * yielding: the state lasts as long as one close(2). Goroutine or foreign thread. */
enum fdesc_state fdesc_lock(struct fdesc *f);

/* fdesc_get - the entry of fd; NULL: no memory, or not fdesc_is_valid: negative, or
 * beyond what the table can hold (8,388,608). Any thread. */
bool fdesc_is_valid(int fd);
struct fdesc *fdesc_get(int fd);

/*
 * fdesc_enter - a call in place begins: what is known of the file, FDESC_IN_PLACE or 0.
 * -EAGAIN: it must not, an operation would tell why. Does not park, nor may the caller
 * before fdesc_leave. fdesc_note - what the caller has found out about the file,
 * FDESC_IN_PLACE or FDESC_NEVER. fdesc_forget - fd is another file now. Goroutines.
 */
int fdesc_enter(struct fdesc *f);
void fdesc_leave(struct fdesc *f);
void fdesc_note(struct fdesc *f, uint32_t what);
void fdesc_forget(int fd);

/* fdesc_take_closer_locked - who waits for the last one to be gone, if that was it, to be
 * readied after the lock was released; or NULL. */
struct g *fdesc_take_closer_locked(struct fdesc *f);

/*
 * fdesc_set_deadline - t absolute, 0 none; dirs is a mask of 1 << FD_READ/FD_WRITE.
 * A time in the past cancels what is in flight (-ETIMEDOUT). 0 or -ENOMEM, -EBADF.
 * Any thread; does not park.
 */
int fdesc_set_deadline(int fd, unsigned dirs, rg_time t);

/*
 * fdesc_shutdown - cancel what is in flight on fd, wait until it is gone, leave the
 * entry in the closing state. -EBADF: fd < 0; -ECANCELED: somebody else is closing.
 * fdesc_reopen - the number is about to be closed: entry as new (I3). The timer may
 * stay armed: it finds nothing to do, or serves the number's next user.
 * Goroutine or foreign thread; parks, does not heed the token.
 */
int fdesc_shutdown(int fd);
void fdesc_reopen(int fd);

/* The runtime ended: every entry as new. Nothing else runs. */
void fdesc_reset_all(void);

/* fdesc_close - shutdown, close(2) through the ring, reopen. 0 or negative errno. */
int fdesc_close(int fd);

#endif
