// SPDX-License-Identifier: MIT
/*
 * dialrace - several addresses of one name at once ("happy eyeballs", RFC 8305).
 *
 * An address that swallows packets costs `delay`, not the minutes that the kernel tries.
 * The attempts are non-blocking sockets of the caller's; it waits for all of them, for
 * the time of the next one, and for the end of its context in one select.
 *   I1  every descriptor made here becomes the connection, in blocking mode as all are,
 *       or is closed. Nothing is in flight on it then: a select that has returned has
 *       ended its polls.
 *   I2  an attempt begins when the delay after the former one has passed, or when none
 *       is under way. A deadline of the context leaves each one its share.
 *   I3  the order is the resolver's, but families take turns, beginning with that of the
 *       first address; addresses whose turn has come stay in the race.
 *   I4  what fails is told by the first one among the failures that say most: an answer
 *       of the peer more than a missing route or family.
 * Rejected: a goroutine for each attempt, as in Go's net/dial.go: each has to be given
 * a context, told to stop, and waited for.
 */
#include "net/dial.h"

#include <ringgo/chan.h>
#include <ringgo/ctx.h>
#include <ringgo/runtime.h>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* One address. */
struct racer {
	const union addr_ip *addr;
	int fd; /* -1: not under way */
	int tries;
};

struct race {
	const struct dialling *d;
	struct racer racer[RESOLVE_MAX];
	unsigned n, started, running;
	rg_duration delay;
	rg_time next; /* when the next one begins */
	int err;      /* I4 */
};

/* I3 */
static void put_in_order(struct race *x, const struct resolved *r)
{
	int family = r->addr[0].sa.sa_family;
	unsigned at[2] = {0, 0};

	for (int turn = 0; x->n < r->n; turn ^= 1) {
		unsigned i = at[turn];

		while (i < r->n &&
		       (r->addr[i].sa.sa_family == family) == (turn == 1))
			i++;
		at[turn] = i + 1;
		if (i < r->n)
			x->racer[x->n++] = (struct racer){&r->addr[i], -1, 0};
	}
}

/* I2 */
static void plan_next(struct race *x)
{
	rg_time deadline = rg_ctx_deadline(rg_ctx_current()), now = rg_now();
	rg_duration gap = x->delay, left = deadline - now;
	unsigned n_left = x->n - x->started;

	if (deadline != RG_FOREVER && n_left && left / (n_left + 1) < gap)
		gap = left > 0 ? left / (n_left + 1) : 0;
	x->next = now + gap;
}

static void fail(struct race *x, int err)
{
	if (!x->err || dial_worse(x->err, err))
		x->err = err;
}

/* A connection: true; or x->err. */
static bool settle(struct race *x, struct racer *r, int fd)
{
	int flags = fcntl(fd, F_GETFL);
	union addr_ip peer = *r->addr;

	if (dial_is_self(fd, &peer)) {
		dial_close_self(fd);
		fail(x, -ECONNREFUSED);
		return false;
	}
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
		fail(x, -errno);
		close(fd);
		return false;
	}
	conn_adopt(x->d->c, fd, &peer, addr_ip_len(&peer));
	return true;
}

/* 0: connected; -EINPROGRESS; or another negative errno. */
static int connect_now(int fd, const union addr_ip *a)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	if (connect(fd, &a->sa, addr_ip_len(a)) == 0)
		return 0;
	return errno == EINTR ? -EINPROGRESS : -errno;
}

/* true: r has won at once. */
static bool begin(struct race *x, struct racer *r)
{
	for (;;) {
		int fd = dial_open(x->d, r->addr->sa.sa_family);
		int err = fd < 0 ? fd : connect_now(fd, r->addr);

		if (err == -EINPROGRESS) {
			r->fd = fd;
			x->running++;
			return false;
		}
		if (!err && settle(x, r, fd))
			return true;
		if (err && fd >= 0)
			close(fd);
		/* To itself, or a spurious "not available": see dial.c. */
		if ((err && err != -EADDRNOTAVAIL) ||
		    r->tries++ == DIAL_RETRIES) {
			if (err)
				fail(x, err);
			return false;
		}
	}
}

/* An attempt is over, one way or the other; true: it has won. */
static bool conclude(struct race *x, struct racer *r, int polled)
{
	int err = 0, fd = r->fd;
	socklen_t len = sizeof(err);

	r->fd = -1;
	x->running--;
	if (polled < 0)
		err = -polled;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (!err && settle(x, r, fd))
		return true;
	if (err) {
		close(fd);
		if (err != EADDRNOTAVAIL) {
			fail(x, -err);
			return false;
		}
	}
	return r->tries++ < DIAL_RETRIES && begin(x, r);
}

/* Wait for what comes first; true: a connection. */
static bool wait_for_one(struct race *x)
{
	rg_case cases[RESOLVE_MAX + 2];
	struct racer *of[RESOLVE_MAX];
	size_t n = 0, polled;
	int i;

	for (unsigned k = 0; k < x->started; k++) {
		if (x->racer[k].fd < 0)
			continue;
		of[n] = &x->racer[k];
		cases[n++] = (rg_case)RG_POLL(x->racer[k].fd, POLLOUT);
	}
	polled = n;
	cases[n++] = (rg_case)RG_RECV(rg_ctx_done(rg_ctx_current()), NULL);
	if (x->started < x->n)
		cases[n++] = (rg_case)RG_AT(x->next);
	i = rg_select(cases, n);
	return (size_t)i < polled && conclude(x, of[i], cases[i].res);
}

int dial_race(const struct dialling *d, const struct resolved *r,
	      rg_duration delay)
{
	struct race x = {.d = d, .delay = delay};
	int ended = dial_context_error();
	bool won = false;

	put_in_order(&x, r);
	while (!won && !ended && (x.running || x.started < x.n)) {
		if (x.started < x.n && (!x.running || rg_now() >= x.next)) {
			won = begin(&x, &x.racer[x.started++]);
			plan_next(&x);
		} else {
			won = wait_for_one(&x);
		}
		ended = dial_context_error();
	}
	for (unsigned k = 0; k < x.started; k++)
		if (x.racer[k].fd >= 0)
			close(x.racer[k].fd);
	if (won)
		return 0;
	return ended ? ended : x.err;
}
