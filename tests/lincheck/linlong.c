// SPDX-License-Identifier: MIT
/*
 * linlong - what every history of channels with unique values satisfies.
 *
 * One channel at a time. A value has four times: its send's call and return, its
 * receive's call and return. It is in the channel for certain from the return of
 * the send to the call of the receive, and possibly from the call of the send to
 * the return of the receive. From these two follow all conditions:
 *   C1  conservation: received once, after its send began, and only if a send of it
 *       won; what was sent is received in the end.
 *   C2  order: if a's send was over before b's began, b's receive is not over before
 *       a's begins.
 *   C3  capacity: never more than cap values are in the channel for certain. With
 *       capacity 0: the send is not over before the receive has begun.
 *   C4  "closed": a close began before; no value is certainly there from the
 *       receive's call to its return.
 *   C5  "nothing there" (capacity > 0): no value is certainly there all the time,
 *       and no close was over before.
 *   C6  "no room" (capacity > 0): at some moment cap values were possibly there.
 *   C7  no send that won began after the close was over; one close at most.
 *   C8  a length is between what is certainly and possibly there.
 * After Gibbons and Korach, "Testing shared memories" (1997), and the conditions for
 * queues in Abdulla et al. and Emmi, Enea (2018), reduced to what is cheap.
 */
#include "tests/lincheck/lincheck.h"

#include <inttypes.h>
#include <stdlib.h>

#define NEVER UINT64_MAX

struct val {
	uint64_t value;
	uint64_t send_call, send_ret, recv_call, recv_ret;
};

/* A step of what is certainly, or possibly, in the channel. */
struct event {
	uint64_t at;
	int delta;
};

struct level {
	uint64_t at;
	int64_t n;
};

/* One channel of a history. */
struct view {
	const struct lin_history *h;
	struct lin_verdict *v;
	size_t chan, cap;
	struct val *vals; /* by value, then by send_ret */
	size_t nvals;
	uint64_t *last_recv;    /* of vals[0..i], the latest recv_call */
	struct level *certain;  /* levels after each step, by time */
	struct level *possible; /* the same */
	size_t nlevels;         /* of each: 2 * nvals + 1 */
	uint64_t close_call, close_ret;
};

static void *must_alloc(size_t n, size_t size)
{
	void *p = calloc(n + 1, size);

	if (!p)
		abort();
	return p;
}

/* ---- gathering ---------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	const struct val *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

static int by_send_ret(const void *a, const void *b)
{
	const struct val *x = a, *y = b;

	return x->send_ret < y->send_ret ? -1 : x->send_ret > y->send_ret;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static bool gather_sends(struct view *w)
{
	for (size_t i = 0; i < w->h->n; i++) {
		const struct lin_op *op = &w->h->ops[i];
		const struct lin_case *cs = lin_winner(op);

		if (!cs || !cs->is_send || cs->chan != w->chan)
			continue;
		w->vals[w->nvals++] = (struct val){cs->value, op->call, op->ret,
						   NEVER, NEVER};
	}
	qsort(w->vals, w->nvals, sizeof(*w->vals), by_value);
	for (size_t i = 1; i < w->nvals; i++)
		if (w->vals[i].value == w->vals[i - 1].value)
			return lin_blame(w->v,
					 "conservation: %" PRIx64
					 " was offered twice",
					 w->vals[i].value);
	return true;
}

static bool note_receive(struct view *w, const struct lin_op *op)
{
	struct val key = {.value = op->value};
	struct val *val =
		bsearch(&key, w->vals, w->nvals, sizeof(*w->vals), by_value);

	if (!val)
		return lin_blame(w->v,
				 "conservation: actor %d received %" PRIx64
				 " from c%zu, which no send there delivered",
				 op->actor, op->value, w->chan);
	if (val->recv_call != NEVER)
		return lin_blame(w->v,
				 "conservation: %" PRIx64
				 " was received twice from c%zu",
				 op->value, w->chan);
	if (op->ret < val->send_call)
		return lin_blame(w->v,
				 "conservation: %" PRIx64
				 " was received from c%zu before it was sent",
				 op->value, w->chan);
	val->recv_call = op->call;
	val->recv_ret = op->ret;
	return true;
}

/* C1 */
static bool gather_receives(struct view *w)
{
	for (size_t i = 0; i < w->h->n; i++) {
		const struct lin_op *op = &w->h->ops[i];
		const struct lin_case *cs = lin_winner(op);

		if (cs && !cs->is_send && cs->chan == w->chan && op->ok &&
		    !note_receive(w, op))
			return false;
	}
	for (size_t i = 0; i < w->nvals; i++)
		if (w->vals[i].recv_call == NEVER)
			return lin_blame(w->v,
					 "conservation: %" PRIx64
					 " was sent to c%zu and is lost",
					 w->vals[i].value, w->chan);
	return true;
}

/* C7, first half */
static bool gather_close(struct view *w)
{
	w->close_call = w->close_ret = NEVER;
	for (size_t i = 0; i < w->h->n; i++) {
		const struct lin_op *op = &w->h->ops[i];

		if (op->kind != LIN_CLOSE || op->cases[0].chan != w->chan)
			continue;
		if (w->close_call != NEVER)
			return lin_blame(w->v, "close: c%zu was closed twice",
					 w->chan);
		w->close_call = op->call;
		w->close_ret = op->ret;
	}
	return true;
}

/* How many values are there at what time, when each comes and goes so. */
static void fill_levels(struct view *w, struct level *levels, bool certain)
{
	struct event *events = must_alloc(2 * w->nvals, sizeof(*events));
	size_t n = 0;

	for (size_t i = 0; i < w->nvals; i++) {
		const struct val *x = &w->vals[i];

		events[n++] =
			(struct event){certain ? x->send_ret : x->send_call, 1};
		events[n++] = (struct event){
			certain ? x->recv_call : x->recv_ret, -1};
	}
	qsort(events, n, sizeof(*events), by_time);
	levels[0] = (struct level){0};
	for (size_t i = 0; i < n; i++)
		levels[i + 1] = (struct level){events[i].at,
					       levels[i].n + events[i].delta};
	free(events);
	w->nlevels = n + 1;
}

/* The index of the level that holds at a time. */
static size_t level_at(const struct view *w, const struct level *levels,
		       uint64_t at)
{
	size_t lo = 0, hi = w->nlevels;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (levels[mid].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static void fill_last_recv(struct view *w)
{
	uint64_t last = 0;

	qsort(w->vals, w->nvals, sizeof(*w->vals), by_send_ret);
	for (size_t i = 0; i < w->nvals; i++) {
		if (w->vals[i].recv_call > last)
			last = w->vals[i].recv_call;
		w->last_recv[i] = last;
	}
}

/* The latest begin of a receive, of all values whose send was over by then. */
static uint64_t latest_recv_of_sent_before(const struct view *w, uint64_t at)
{
	size_t lo = 0, hi = w->nvals;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (w->vals[mid].send_ret < at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? w->last_recv[lo - 1] : 0;
}

/* ---- the conditions ------------------------------------------------------------------ */

/* C2, C3 for capacity 0, C7 */
static bool check_value(const struct view *w, const struct val *x)
{
	if (latest_recv_of_sent_before(w, x->send_call) > x->recv_ret)
		return lin_blame(w->v,
				 "order: %" PRIx64 " left c%zu before a value "
				 "that was sent to it earlier",
				 x->value, w->chan);
	if (w->cap == 0 && x->send_ret < x->recv_call)
		return lin_blame(w->v,
				 "rendezvous: the send of %" PRIx64 " to c%zu "
				 "was over before its receive began",
				 x->value, w->chan);
	if (x->send_call > w->close_ret)
		return lin_blame(w->v,
				 "close: %" PRIx64 " was sent to c%zu after it "
				 "was closed",
				 x->value, w->chan);
	return true;
}

/* C3 */
static bool check_capacity(const struct view *w)
{
	for (size_t i = 0; i < w->nlevels; i++)
		if (w->certain[i].n > (int64_t)w->cap)
			return lin_blame(w->v,
					 "capacity: c%zu held %" PRId64
					 " values at %" PRIu64
					 ", its capacity is %zu",
					 w->chan, w->certain[i].n,
					 w->certain[i].at, w->cap);
	return true;
}

static int64_t most_possible(const struct view *w, const struct lin_op *op)
{
	size_t i = level_at(w, w->possible, op->call);
	int64_t most = w->possible[i].n;

	for (; i < w->nlevels && w->possible[i].at < op->ret; i++)
		if (w->possible[i].n > most)
			most = w->possible[i].n;
	return most;
}

static int64_t least_certain(const struct view *w, const struct lin_op *op)
{
	size_t i = level_at(w, w->certain, op->call);
	int64_t least = w->certain[i].n;

	for (; i < w->nlevels && w->certain[i].at < op->ret; i++)
		if (w->certain[i].n < least)
			least = w->certain[i].n;
	return least;
}

static bool holds_a_value_throughout(const struct view *w,
				     const struct lin_op *op)
{
	return latest_recv_of_sent_before(w, op->call) > op->ret;
}

/* C4 */
static bool check_saw_closed(const struct view *w, const struct lin_op *op)
{
	if (w->close_call > op->ret)
		return lin_blame(w->v,
				 "close: actor %d found c%zu closed at %" PRIu64
				 ", before its close began",
				 op->actor, w->chan, op->ret);
	if (holds_a_value_throughout(w, op))
		return lin_blame(w->v,
				 "close: actor %d found c%zu closed at %" PRIu64
				 " while a value was in it",
				 op->actor, w->chan, op->ret);
	return true;
}

/* C5, C6 */
static bool check_refused(const struct view *w, const struct lin_op *op,
			  bool is_send)
{
	if (!is_send && w->close_ret < op->call)
		return lin_blame(w->v,
				 "refusal: actor %d found nothing in c%zu at "
				 "%" PRIu64 ", which was closed",
				 op->actor, w->chan, op->ret);
	if (w->cap == 0)
		return true;
	if (is_send ? most_possible(w, op) < (int64_t)w->cap
		    : holds_a_value_throughout(w, op))
		return lin_blame(w->v,
				 "refusal: actor %d could not %s c%zu at "
				 "%" PRIu64 ", which could",
				 op->actor,
				 is_send ? "send to" : "receive from", w->chan,
				 op->ret);
	return true;
}

/* C8 */
static bool check_len(const struct view *w, const struct lin_op *op)
{
	int64_t len = (int64_t)op->value;

	if (op->value > w->cap)
		return lin_blame(w->v,
				 "capacity: c%zu said %" PRIu64
				 " values at %" PRIu64 ", its capacity is %zu",
				 w->chan, op->value, op->ret, w->cap);
	if (w->cap &&
	    (len > most_possible(w, op) || len < least_certain(w, op)))
		return lin_blame(w->v,
				 "length: c%zu said %" PRIu64
				 " values at %" PRIu64 ", which cannot be",
				 w->chan, op->value, op->ret);
	return true;
}

static bool check_op(const struct view *w, const struct lin_op *op)
{
	const struct lin_case *won = lin_winner(op);

	if (op->kind == LIN_LEN && op->cases[0].chan == w->chan)
		return check_len(w, op);
	if (op->kind != LIN_COMM)
		return true;
	if (won)
		return won->chan != w->chan || won->is_send || op->ok ||
		       check_saw_closed(w, op);
	for (int i = 0; i < op->ncases; i++)
		if (op->cases[i].chan == w->chan &&
		    !check_refused(w, op, op->cases[i].is_send))
			return false;
	return true;
}

static bool check_view(struct view *w)
{
	if (!gather_sends(w) || !gather_receives(w) || !gather_close(w))
		return false;
	fill_last_recv(w);
	fill_levels(w, w->certain, true);
	fill_levels(w, w->possible, false);
	for (size_t i = 0; i < w->nvals; i++)
		if (!check_value(w, &w->vals[i]))
			return false;
	if (!check_capacity(w))
		return false;
	for (size_t i = 0; i < w->h->n; i++)
		if (!check_op(w, &w->h->ops[i]))
			return false;
	return true;
}

bool lin_check_long(const struct lin_history *h, struct lin_verdict *v)
{
	bool good = true;

	for (size_t c = 0; c < h->nchans && good; c++) {
		struct view w = {
			.h = h,
			.v = v,
			.chan = c,
			.cap = h->cap[c],
			.vals = must_alloc(h->n, sizeof(struct val)),
			.last_recv = must_alloc(h->n, sizeof(uint64_t)),
			.certain = must_alloc(2 * h->n, sizeof(struct level)),
			.possible = must_alloc(2 * h->n, sizeof(struct level)),
		};

		good = check_view(&w);
		free(w.vals);
		free(w.last_recv);
		free(w.certain);
		free(w.possible);
	}
	return good;
}
