/* SPDX-License-Identifier: MIT */
/*
 * ringgo/chan.h - channels and select, with Go's semantics.
 *
 * A channel carries elements of one size, copied in and out. Capacity 0 is a
 * rendezvous: a send completes when a receiver has taken the value. Reference
 * counted; made with one reference. Every call may come from a goroutine or from
 * any other thread, which then blocks.
 */
#ifndef RINGGO_CHAN_H
#define RINGGO_CHAN_H

#include <ringgo/base.h>

RG_BEGIN_DECLS

/* rg_chan_make - NULL: out of memory, or elem_size > 65535, or the buffer's size
 * overflows. */
RG_API rg_chan *rg_chan_make(size_t elem_size, size_t capacity);
RG_API rg_chan *rg_chan_ref(rg_chan *c);
RG_API void rg_chan_unref(rg_chan *c); /* NULL is nothing */

/* rg_chan_send - send *elem; parks until it is taken or buffered. Panics when c is
 * or becomes closed. c NULL: parks for ever. elem may be NULL for size 0. */
RG_API void rg_chan_send(rg_chan *c, const void *elem);

/* rg_chan_recv - receive into *elem (may be NULL). false: closed and drained, *elem
 * is zeroed. c NULL: parks for ever. */
RG_API bool rg_chan_recv(rg_chan *c, void *elem);

/* rg_chan_try_send - false: would park. Panics when closed. */
RG_API bool rg_chan_try_send(rg_chan *c, const void *elem);

/* rg_chan_try_recv - 1 received, 0 closed and drained, -EAGAIN would park. */
RG_API int rg_chan_try_recv(rg_chan *c, void *elem);

RG_API void rg_chan_close(rg_chan *c); /* panics: NULL, or closed already */
RG_API size_t rg_chan_len(const rg_chan *c); /* elements buffered; NULL: 0 */
RG_API size_t rg_chan_cap(const rg_chan *c);

/* The same with the element's size checked: what the macros below call. */
RG_API void rg_chan_send_sized(rg_chan *c, const void *elem, size_t size);
RG_API bool rg_chan_recv_sized(rg_chan *c, void *elem, size_t size);

/*
 * One direction of a channel, for functions that are to have no other: rg_recv,
 * rg_range and RG_RECV do not compile with an rg_sender, rg_send and RG_SEND not with
 * an rg_receiver. Passed by value; they hold no reference of their own.
 */
typedef struct rg_sender {
	rg_chan *chan_;
} rg_sender;

typedef struct rg_receiver {
	rg_chan *chan_;
} rg_receiver;

static inline rg_sender rg_chan_sender(rg_chan *c)
{
	rg_sender s = {c};
	return s;
}

static inline rg_receiver rg_chan_receiver(rg_chan *c)
{
	rg_receiver r = {c};
	return r;
}

static inline void rg_sender_close(rg_sender s)
{
	rg_chan_close(s.chan_);
}

/* The channel behind c, if c may be used that way. */
#ifdef __cplusplus
extern "C++" {
static inline rg_chan *rg_to_send_(rg_chan *c)
{
	return c;
}
static inline rg_chan *rg_to_send_(rg_sender s)
{
	return s.chan_;
}
static inline rg_chan *rg_to_recv_(rg_chan *c)
{
	return c;
}
static inline rg_chan *rg_to_recv_(rg_receiver r)
{
	return r.chan_;
}
}
#else
static inline rg_chan *rg_chan_itself_(rg_chan *c)
{
	return c;
}
static inline rg_chan *rg_sender_chan_(rg_sender s)
{
	return s.chan_;
}
static inline rg_chan *rg_receiver_chan_(rg_receiver r)
{
	return r.chan_;
}
#define rg_to_send_(c)                                                         \
	_Generic((c), rg_sender : rg_sender_chan_, default : rg_chan_itself_)(c)
#define rg_to_recv_(c)                                                         \
	_Generic((c), rg_receiver                                              \
		 : rg_receiver_chan_, default                                  \
		 : rg_chan_itself_)(c)
#endif

/* c is a channel, or its one direction; each argument is evaluated once. */
#define rg_make(T, capacity) rg_chan_make(sizeof(T), (capacity))
#define rg_send(c, ...)                                                        \
	do {                                                                   \
		__typeof__((__VA_ARGS__)) rg_value_ = (__VA_ARGS__);           \
		rg_chan_send_sized(rg_to_send_(c), &rg_value_,                 \
				   sizeof rg_value_);                          \
	} while (0)
#define rg_recv(c, pointer)                                                    \
	rg_chan_recv_sized(rg_to_recv_(c), (pointer), sizeof *(pointer))

/*
 * rg_range - a loop over what c carries, until it is closed and drained:
 *
 *	rg_range(jobs, &job) {
 *		if (job.is_last)
 *			break;
 *		...
 *	}
 *
 * Each element is received into *pointer, whose size is checked; pointer is evaluated
 * for each of them, c once.
 */
#define rg_range(c, pointer)                                                   \
	RG_RANGE_(RG_JOIN_(rg_range_chan_, __LINE__), c, pointer)
#define RG_RANGE_(name, c, pointer)                                            \
	for (rg_chan *name = rg_to_recv_(c);                                   \
	     rg_chan_recv_sized(name, (pointer), sizeof *(pointer));)
#define RG_JOIN_(a, b)  RG_JOIN2_(a, b)
#define RG_JOIN2_(a, b) a##b

/*
 * One case of a select: filled by a macro, and read afterwards if it was chosen.
 *
 * ok: a receive took a value (false: closed); a send was taken; of another case:
 * res >= 0. res: what another case than a channel came to, or a negative errno.
 * The size of what the pointer of RG_SEND or RG_RECV points at is not checked: it must
 * be the channel's.
 */
typedef struct rg_case {
	rg_chan *chan_; /* NULL: never ready */
	void *elem_;
	unsigned char is_send_;
	bool ok;
	short events_;
	int res;
} rg_case;

#define RG_SEND(c, pointer)                                                    \
	{                                                                      \
		rg_to_send_(c), (void *)(uintptr_t)(pointer), 1, false, 0, 0   \
	}
#define RG_RECV(c, pointer)                                                    \
	{                                                                      \
		rg_to_recv_(c), (void *)(uintptr_t)(pointer), 0, false, 0, 0   \
	}

/*
 * The cases that are no channels. One that loses leaves nothing behind: what was in
 * flight for it has ended when the select returns, no status, signal or wake-up is lost.
 * One that cannot be waited for is ready, with a negative res: -EBADF, -EMFILE, -ENOMEM,
 * -ESRCH (no runtime), ... The bound context is not heeded (rg_ctx_done is a channel).
 *
 * RG_POLL - fd is ready for events (POLLIN, ...): res is its revents; -ECANCELED: rg_close
 * was called with it, -ETIMEDOUT: its deadline passed. fd < 0: never ready.
 * RG_CHILD - the child process pid has ended; its status is taken, *info (a siginfo_t, or
 * NULL) is as by waitid(2), res is 0. -ECHILD: no child, or somebody else took it.
 * RG_CHILD_FD - the same by a pidfd, which saves opening one in each select.
 * RG_SIGNAL - signal sig has come; res is sig. From the first select with it until the
 * runtime ends sig is caught as by rg_signal_notify, and one that comes while nobody
 * selects is kept. -EINVAL: it cannot be caught.
 * RG_AFTER - duration d after the beginning of the select. RG_AT - it is time t (rg_now).
 * RG_FUTEX - *word (32 bits, private to the process) is not expected, or somebody woke
 * it by futex(2). A wake-up that came to a losing case is passed on. -ENOSYS: before
 * Linux 6.7, when *word is expected.
 * Timers, tickers and contexts are channels already: rg_timer_chan, rg_ticker_chan,
 * rg_ctx_done.
 */
#define RG_POLL(fd, events)    RG_CASE_(1, fd, 0, events)
#define RG_CHILD(pid, info)    RG_CASE_(2, pid, info, 0)
#define RG_CHILD_FD(fd, info)  RG_CASE_(3, fd, info, 0)
#define RG_SIGNAL(sig)         RG_CASE_(4, sig, 0, 0)
#define RG_AFTER(d)            RG_CASE_(5, 0, d, 0)
#define RG_AT(t)               RG_CASE_(6, 0, t, 0)
#define RG_FUTEX(word, expect) RG_CASE_(7, expect, word, 0)

#define RG_CASE_(kind, arg, elem, events)                                      \
	{                                                                      \
		(rg_chan *)(uintptr_t)(UINT64_C(1) << 63 |                     \
				       (uint64_t)(kind) << 32 |                \
				       (uint32_t)(arg)),                       \
			(void *)(uintptr_t)(elem), 0, false, (short)(events),  \
			0                                                      \
	}

/*
 * rg_select - wait until one of the n cases can proceed, do it, return its index;
 * uniformly among several. Parks for ever when no case can ever be ready.
 * rg_select_try - -EAGAIN: none is ready now.
 * rg_select_until - -ETIMEDOUT: none was ready by deadline.
 * n <= 65536, else a panic. The array may be used again.
 */
RG_API int rg_select(rg_case *cases, size_t n);
RG_API int rg_select_try(rg_case *cases, size_t n);
RG_API int rg_select_until(rg_case *cases, size_t n, rg_time deadline);

RG_END_DECLS

#endif
