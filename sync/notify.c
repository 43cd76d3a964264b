// SPDX-License-Identifier: MIT
/*
 * notify - see notify.h for the role and the invariants.
 *
 * All but the handler is done under one mutex that parks; the system calls under it
 * are few and short. The goroutine that sends lives while there are channels; the
 * eventfd is kept until the runtime ends, because a handler may still be about to
 * write to it: it is closed when none is under way (N1, N2).
 *
 * Not signalfd: it wants the signals blocked in every thread, the host's, too.
 */
#include "sync/notify.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <ringgo/ctx.h>
#include <ringgo/sync.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/sanitize.h"
#include "kernel-iface/op_file.h"
#include "sched/opwait.h"
#include "sched/point.h"
#include "sched/sched.h"
#include "sched/sigsetup.h"
#include "sync/chan.h"
#include "sync/ctx.h"

enum { SIGNALS = 64 };

/* A channel or a context, and what it wants: bit s - 1 for signal s. */
struct listener {
	struct listener *next;
	rg_chan *c;  /* a reference, or NULL: */
	rg_ctx *ctx; /* I5 */
	uint64_t wants;
};

static struct {
	/* under lock */
	rg_mutex lock;
	struct listener *listeners;
	unsigned wanted[SIGNALS + 1]; /* by how many */
	struct sigaction former[SIGNALS + 1];
	bool has_sender; /* the goroutine runs */

	/* under own_lock, which is taken before lock */
	rg_mutex own_lock;
	rg_chan *own[SIGNALS + 1]; /* I6 */

	/* any thread, handlers */
	_Atomic uint64_t pending;
	_Atomic int handlers; /* under way */
	_Atomic int fd;       /* eventfd + 1; 0: none */
} notify;

static uint64_t bit_of(int sig)
{
	return UINT64_C(1) << (sig - 1);
}

bool notify_may_catch(int sig)
{
	switch (sig) {
	case SIGKILL: /* the kernel's */
	case SIGSTOP:
	case SIGURG:  /* the runtime's */
	case SIGSEGV: /* what follows would come again and again */
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
		return false;
	default:
		/* Between SIGSYS and SIGRTMIN lie the C library's own. */
		return sig >= 1 && sig <= SIGNALS &&
		       (sig <= SIGSYS || sig >= SIGRTMIN);
	}
}

/* ---- the handler ---- */

/* The counter of an eventfd does not fill up: this never blocks. */
static void poke(void)
{
	const uint64_t one = 1;
	/* N1 seq_cst, pairs with N2: either the closer sees that we are under
	 * way, or we see that there is no descriptor any more. */
	int fd = atomic_load_explicit(&notify.fd, memory_order_seq_cst);

	san_acquire(&notify.fd);
	if (fd && write(fd - 1, &one, sizeof one) < 0)
		return;          /* cannot be: nothing to be done here */
	san_release(&notify.fd); /* to the closer */
}

static void on_signal(int sig)
{
	int saved = errno;

	/* N1 seq_cst, pairs with N2; N3 release below, pairs with N4. */
	atomic_fetch_add_explicit(&notify.handlers, 1, memory_order_seq_cst);
	atomic_fetch_or_explicit(&notify.pending, bit_of(sig),
				 memory_order_release);
	poke();
	atomic_fetch_sub_explicit(&notify.handlers, 1, memory_order_release);
	errno = saved;
}

static int catch_signal(int sig)
{
	struct sigaction sa = {.sa_flags = SA_ONSTACK | SA_RESTART};

	sa.sa_handler = on_signal;
	sigsetup_async_mask(&sa.sa_mask);
	return sigaction(sig, &sa, &notify.former[sig]) ? -errno : 0;
}

static void release_signal(int sig)
{
	sigsetup_restore(sig, &notify.former[sig],
			 (const void *)(uintptr_t)on_signal);
}

/* ---- sending; the lock is held ---- */

static void send_signal(int sig)
{
	for (struct listener *l = notify.listeners; l; l = l->next) {
		if (!(l->wants & bit_of(sig)))
			continue;
		if (l->ctx)
			rg_ctx_cancel(l->ctx, -EINTR);
		else
			(void)rg_chan_try_send(l->c, &sig); /* full: dropped */
	}
}

static void send_pending(void)
{
	/* N4 acquire, pairs with N3. */
	uint64_t bits = atomic_exchange_explicit(&notify.pending, 0,
						 memory_order_acquire);

	for (int sig = 1; bits; sig++, bits >>= 1)
		if (bits & 1)
			send_signal(sig);
}

/* True: somebody still listens. */
static bool send_or_end(void)
{
	bool goes_on;

	rg_mutex_lock(&notify.lock);
	send_pending();
	goes_on = notify.listeners != NULL;
	notify.has_sender = goes_on;
	rg_mutex_unlock(&notify.lock);
	return goes_on;
}

static void sender(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t count;
	struct op_sqe sqe;

	/* Its creator's context is none of its business. */
	rg_ctx_unref(rg_ctx_bind(NULL));
	do {
		op_read(&sqe, fd, &count, sizeof count, OP_OFF_CURRENT);
		/* Out of memory: later. */
		if (opwait_fd(fd, FD_READ, &sqe) < 0)
			rg_sleep(10 * RG_MILLISECOND);
	} while (send_or_end());
}

/* The descriptor and the goroutine, if they are not there yet. */
static int start_sender(void)
{
	/* Relaxed: changed under the lock. */
	int fd = atomic_load_explicit(&notify.fd, memory_order_relaxed) - 1;
	int err;

	if (notify.has_sender)
		return 0;
	if (fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		san_release(&notify.fd);
		atomic_store_explicit(&notify.fd, fd + 1, memory_order_relaxed);
	}
	err = sched_go_system(sender, (void *)(intptr_t)fd, "signals");
	if (!err)
		notify.has_sender = true;
	return err;
}

/* ---- listeners; the lock is held ---- */

/* One of the two is NULL. */
static struct listener *find(const rg_chan *c, const rg_ctx *ctx)
{
	struct listener *l = notify.listeners;

	while (l && (l->c != c || l->ctx != ctx))
		l = l->next;
	return l;
}

static int want(struct listener *l, int sig)
{
	int err;

	if (l->wants & bit_of(sig))
		return 0;
	if (!notify.wanted[sig]) {
		err = catch_signal(sig);
		if (err)
			return err;
	}
	notify.wanted[sig]++;
	l->wants |= bit_of(sig);
	return 0;
}

/* l is about to go. */
static void want_nothing(const struct listener *l)
{
	for (int sig = 1; sig <= SIGNALS; sig++)
		if ((l->wants & bit_of(sig)) && !--notify.wanted[sig])
			release_signal(sig);
}

static void count_promise(int by)
{
	/* Relaxed: read when all is asleep, deadlock.c. */
	atomic_fetch_add_explicit(&sched.external, by, memory_order_relaxed);
}

static void link_listener(struct listener *l, rg_chan *c, rg_ctx *ctx)
{
	l->c = rg_chan_ref(c);
	l->ctx = ctx;
	l->next = notify.listeners;
	if (!l->next)
		count_promise(1);
	notify.listeners = l;
}

static void unlink_listener(struct listener *l)
{
	struct listener **at = &notify.listeners;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	if (!notify.listeners)
		count_promise(-1);
}

static void free_listener(struct listener *l)
{
	rg_chan_unref(l->c);
	rgk_free(l);
}

/* ---- the end of the runtime ---- */

/* Nobody runs on goroutines any more; handlers may come until release_signal. */
static void reset(void)
{
	const struct timespec nap = {0, RG_MILLISECOND};
	struct listener *l;
	int fd;

	while ((l = notify.listeners)) {
		want_nothing(l);
		unlink_listener(l);
		free_listener(l);
	}
	/* N2 seq_cst, pairs with N1. */
	fd = atomic_exchange_explicit(&notify.fd, 0, memory_order_seq_cst);
	while (fd &&
	       atomic_load_explicit(&notify.handlers, memory_order_seq_cst))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	san_acquire(&notify.fd);
	if (fd)
		close(fd - 1);
	/* Relaxed: alone. A goroutine that was given up may have held it. */
	atomic_store_explicit(&notify.pending, 0, memory_order_relaxed);
	for (int sig = 1; sig <= SIGNALS; sig++) {
		rg_chan_unref(notify.own[sig]);
		notify.own[sig] = NULL;
	}
	notify.lock = notify.own_lock = (rg_mutex){0};
	notify.has_sender = false;
}

/* ---- public ---- */

RG_COLD RG_NORETURN static void refuse_elem(size_t size)
{
	rg_panic("rg_signal_notify: element size %zu of the channel is not "
		 "that of int",
		 size);
}

static int register_locked(rg_chan *c, rg_ctx *ctx, struct listener *fresh,
			   const int *signals, size_t n)
{
	struct listener *l = find(c, ctx);
	int err = start_sender();

	for (size_t i = 0; i < n && !err; i++)
		err = want(l ? l : fresh, signals[i]);
	if (!l && !err)
		link_listener(fresh, c, ctx);
	else if (!l)
		want_nothing(fresh);
	return err;
}

/* For c or, when that is NULL, for ctx. */
static int listen_to(rg_chan *c, rg_ctx *ctx, const int *signals, size_t n)
{
	struct listener *fresh;
	int err;

	for (size_t i = 0; i < n; i++)
		if (!notify_may_catch(signals[i]))
			return -EINVAL;
	if (!sched_is_on())
		return -ESRCH;
	fresh = rgk_zalloc(sizeof *fresh);
	if (!fresh)
		return -ENOMEM;
	sigsetup_on_stop(reset);
	rg_mutex_lock(&notify.lock);
	err = register_locked(c, ctx, fresh, signals, n);
	if (!notify.listeners)
		poke(); /* the sender has nobody to send to */
	rg_mutex_unlock(&notify.lock);
	if (!fresh->c && !fresh->ctx)
		rgk_free(fresh);
	return err;
}

static bool forget(rg_chan *c, rg_ctx *ctx)
{
	struct listener *l;

	if (!sched_is_on())
		return false;
	rg_mutex_lock(&notify.lock);
	l = find(c, ctx);
	if (l) {
		want_nothing(l);
		send_pending(); /* what came until now */
		unlink_listener(l);
		if (!notify.listeners)
			poke();
	}
	rg_mutex_unlock(&notify.lock);
	if (l)
		free_listener(l);
	return l != NULL;
}

int rg_signal_notify(rg_chan *c, const int *signals, size_t n)
{
	sched_point();
	if (!c || !signals || !n)
		return -EINVAL;
	if (c->elem_size != sizeof(int))
		refuse_elem(c->elem_size);
	return listen_to(c, NULL, signals, n);
}

int rg_signal_stop(rg_chan *c)
{
	sched_point();
	return c && forget(c, NULL) ? 0 : -ENOENT;
}

/* ---- selects ---- */

static int make_own_locked(int sig)
{
	rg_chan *c = rg_chan_make(0, 1);
	int err;

	if (!c)
		return -ENOMEM;
	/* Of no bubble, whoever was the first to ask. Relaxed: nobody else
	 * knows it yet. */
	c->bubble = 0;
	atomic_store_explicit(&c->flags, 0, memory_order_relaxed);
	err = listen_to(c, NULL, &sig, 1);
	if (err)
		rg_chan_unref(c);
	else
		notify.own[sig] = c;
	return err;
}

int notify_signal_chan(int sig, rg_chan **out)
{
	int err = 0;

	if (!notify_may_catch(sig))
		return -EINVAL;
	if (!sched_is_on())
		return -ESRCH;
	rg_mutex_lock(&notify.own_lock);
	if (!notify.own[sig])
		err = make_own_locked(sig);
	if (!err)
		*out = rg_chan_ref(notify.own[sig]);
	rg_mutex_unlock(&notify.own_lock);
	return err;
}

/* ---- contexts ---- */

int rg_ctx_with_signals(rg_ctx *parent, const int *signals, size_t n,
			rg_ctx **out)
{
	rg_ctx *c;
	int err;

	if (!parent)
		rg_panic("cannot create context from nil parent");
	if (!signals || !n || !out)
		return -EINVAL;
	c = ctx_make(parent, CTX_SIGNALS, RG_FOREVER);
	if (!c)
		return -ENOMEM;
	/* It has no timer: cannot fail. */
	(void)ctx_enter(c);
	err = listen_to(NULL, c, signals, n);
	if (err) {
		rg_ctx_unref(c);
		return err;
	}
	*out = c;
	return 0;
}

int rg_ctx_stop_signals(rg_ctx *c)
{
	return c && notify_forget_ctx(c) ? 0 : -ENOENT;
}

bool notify_forget_ctx(rg_ctx *c)
{
	return forget(NULL, c);
}
