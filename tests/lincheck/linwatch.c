// SPDX-License-Identifier: MIT
/*
 * linwatch - see when all parties are parked, check what the wait queues hold then,
 * and let one of them go on; see linrun.h.
 *
 *   V1  a party is parked when it is in a step without a deadline and a record of it
 *       stands in the wait queue of each of that step's cases. It is recognized by
 *       the element, which is one of the party's own slots.
 *   V2  a look is a moment of rest when every party that is not through was seen
 *       parked, and the clock stood still meanwhile: whoever could have woken one
 *       of them had to be in an operation that was not parked, and was not seen
 *       parked later without having ticked.
 *   V3  records stand in a queue in the order of their arrival: what stood there at an
 *       earlier moment of rest comes before what did not.
 *   V4  locks are only tried: a variant of the library that deadlocks on them must
 *       not take the watcher along.
 */
#include "tests/lincheck/linrun.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "sync/chan.h"

enum { QUEUE_MAX = 1000 };

/* What a look saw; sets of parties are bit masks. */
struct sight {
	uint32_t senders[LIN_CHANS], receivers[LIN_CHANS];
	size_t count[LIN_CHANS];
	bool closed[LIN_CHANS];
	uint32_t found[LIN_ACTORS]; /* cases whose record stands in a queue */
	int stale;                  /* a party whose record should not; or -1 */
	int late;                   /* a party that was overtaken (V3); or -1 */
};

/* ---- looking ------------------------------------------------------------------------ */

static const struct lin_step *step_of(const struct lin_actor *a, int32_t now)
{
	return &a->script->steps[now / 2];
}

/* In a step that only others can end. */
static bool waits(const struct lin_actor *a, int32_t now)
{
	const struct lin_step *step;

	if (now == LIN_THROUGH || now % 2 == 0)
		return false;
	step = step_of(a, now);
	return step->kind == LIN_COMM && step->how == LIN_WAIT;
}

/* Whose slot it is, and of which case; false: nobody's. */
static bool owner_of(const struct lin_run *r, const void *elem, size_t *actor,
		     size_t *icase)
{
	uintptr_t at = (uintptr_t)elem - (uintptr_t)r->actors;
	size_t off = at % sizeof(r->actors[0]);

	*actor = at / sizeof(r->actors[0]);
	*icase = off / sizeof(struct lin_elem);
	return *actor < r->plan->nactors && *icase < LIN_CASES;
}

/* The moment of rest since which the case stands there; UINT32_MAX: it is new. */
static uint32_t arrived(const struct lin_run *r, size_t actor, size_t icase,
			int32_t now)
{
	const struct lin_arrival *a = &r->arrivals[actor][icase];

	return a->now == now ? a->rest : UINT32_MAX;
}

/* At a moment of rest: who is new came with it. */
static void note_arrivals(struct lin_run *r, const struct sight *s)
{
	r->rests++;
	for (size_t i = 0; i < r->plan->nactors; i++) {
		int32_t now = atomic_load(&r->actors[i].now);

		for (size_t j = 0; j < LIN_CASES; j++) {
			struct lin_arrival *a = &r->arrivals[i][j];

			if ((s->found[i] & 1u << j) && a->now != now)
				*a = (struct lin_arrival){now, r->rests};
		}
	}
}

static void see_record(const struct lin_run *r, struct sight *s, size_t c,
		       bool is_send, const struct sudog *sg, uint32_t *latest)
{
	size_t actor, icase;
	uint32_t rest;
	int32_t now;
	const struct lin_step *step;

	if (!owner_of(r, sg->elem, &actor, &icase)) {
		s->stale = LIN_ACTORS;
		return;
	}
	now = atomic_load(&r->actors[actor].now);
	if (!waits(&r->actors[actor], now)) {
		s->stale = (int)actor;
		return;
	}
	step = step_of(&r->actors[actor], now);
	if (icase >= step->ncases || step->cases[icase].chan != c ||
	    step->cases[icase].is_send != is_send) {
		s->stale = (int)actor;
		return;
	}
	/* V3: new ones come last. */
	rest = arrived(r, actor, icase, now);
	if (rest < *latest)
		s->late = (int)actor;
	*latest = rest;
	s->found[actor] |= 1u << icase;
	if (is_send)
		s->senders[c] |= 1u << actor;
	else
		s->receivers[c] |= 1u << actor;
}

static bool see_chan(const struct lin_run *r, struct sight *s, size_t i)
{
	rg_chan *c = r->chans[i];
	uint32_t latest_send = 0, latest_recv = 0;
	struct sudog *sg;
	int n = 0;

	if (!rtlock_try(&c->lock))
		return false;
	s->count[i] = chan_count(c);
	s->closed[i] = chan_flags(c) & CHAN_CLOSED;
	for (sg = waitq_first(&c->sendq); sg && n < QUEUE_MAX; sg = sg->next) {
		see_record(r, s, i, true, sg, &latest_send);
		n++;
	}
	for (sg = waitq_first(&c->recvq); sg && n < QUEUE_MAX; sg = sg->next) {
		see_record(r, s, i, false, sg, &latest_recv);
		n++;
	}
	if (n >= QUEUE_MAX)
		s->stale = LIN_ACTORS;
	rtlock_unlock(&c->lock);
	return true;
}

/* V1 */
static bool is_parked(const struct lin_actor *a, int32_t now, uint32_t found)
{
	const struct lin_step *step;

	if (!waits(a, now))
		return false;
	step = step_of(a, now);
	for (size_t i = 0; i < step->ncases; i++)
		if (step->cases[i].chan != LIN_NIL && !(found & 1u << i))
			return false;
	return true;
}

/* V2 */
static bool look(struct lin_run *r, struct sight *s)
{
	uint64_t before = atomic_load(&r->clock);
	int32_t now;

	*s = (struct sight){.stale = -1, .late = -1};
	for (size_t i = 0; i < r->plan->nactors; i++) {
		now = atomic_load(&r->actors[i].now);
		if (now != LIN_THROUGH && !waits(&r->actors[i], now))
			return false;
	}
	for (size_t c = 0; c < r->plan->nchans; c++)
		if (!see_chan(r, s, c))
			return false;
	for (size_t i = 0; i < r->plan->nactors; i++) {
		now = atomic_load(&r->actors[i].now);
		if (now != LIN_THROUGH &&
		    !is_parked(&r->actors[i], now, s->found[i]))
			return false;
	}
	return atomic_load(&r->clock) == before;
}

/* ---- what may be at rest -------------------------------------------------------------- */

/* All of them are the same one party: it does not meet itself. */
static bool is_alone(uint32_t parties)
{
	return (parties & (parties - 1)) == 0;
}

static void check_rest(struct lin_run *r, const struct sight *s)
{
	if (s->stale >= 0)
		lin_die(r,
			"stale: a record of actor %d, which does not wait "
			"there, stands in a wait queue",
			s->stale);
	if (s->late >= 0)
		lin_die(r,
			"overtaken: actor %d stands in a wait queue behind "
			"one that came later",
			s->late);
	for (size_t c = 0; c < r->plan->nchans; c++) {
		uint32_t all = s->senders[c] | s->receivers[c];

		if (s->senders[c] && s->receivers[c] && !is_alone(all))
			lin_die(r,
				"parked: a sender and a receiver that match "
				"are parked on c%zu",
				c);
		if (s->count[c] > r->plan->cap[c])
			lin_die(r, "capacity: c%zu holds %zu of %zu values", c,
				s->count[c], r->plan->cap[c]);
		if (s->senders[c] && s->count[c] < r->plan->cap[c])
			lin_die(r,
				"parked: a sender is parked on c%zu, which "
				"has room",
				c);
		if (s->receivers[c] && s->count[c])
			lin_die(r,
				"parked: a receiver is parked on c%zu, "
				"which holds values",
				c);
		if (all && s->closed[c])
			lin_die(r,
				"parked: somebody is parked on c%zu, which "
				"is closed",
				c);
	}
}

/* ---- the watcher's own operations ------------------------------------------------------ */

static const struct lin_op *perform(struct lin_run *r, struct lin_step *step)
{
	size_t who = r->plan->nactors;
	struct lin_elem slots[LIN_CASES];
	uint64_t v;

	if (r->nlog == r->log_room) {
		r->log_room = 2 * r->log_room + 64;
		r->log = realloc(r->log, r->log_room * sizeof(*r->log));
		if (!r->log)
			abort();
	}
	step->ncases = 1;
	step->cases[0].value = lin_value(who, r->nlog, 0);
	v = step->cases[0].is_send ? step->cases[0].value : LIN_SENTINEL;
	slots[0] = (struct lin_elem){v, {v, v}};
	lin_perform(r, who, step, slots, &r->log[r->nlog]);
	return &r->log[r->nlog++];
}

static void close_chan(struct lin_run *r, size_t c)
{
	struct lin_step step = {.kind = LIN_CLOSE};

	step.cases[0].chan = (uint8_t)c;
	perform(r, &step);
}

static const struct lin_op *try_comm(struct lin_run *r, size_t c, bool is_send)
{
	struct lin_step step = {
		.kind = LIN_COMM,
		.how = LIN_TRY,
		.select = lin_random(&r->rnd, 2),
		.cases = {{.chan = (uint8_t)c, .is_send = is_send}},
	};

	return perform(r, &step);
}

/* A party is parked on c, and everybody is. */
static void meet(struct lin_run *r, size_t c, bool it_sends)
{
	if (!it_sends && atomic_load(&r->sends_to_come[c]) == 0 &&
	    lin_random(&r->rnd, 2)) {
		close_chan(r, c);
		return;
	}
	if (try_comm(r, c, !it_sends)->winner < 0)
		lin_die(r,
			"refusal: a %s is parked on c%zu, and its partner is "
			"refused",
			it_sends ? "sender" : "receiver", c);
}

static void let_one_go(struct lin_run *r, const struct sight *s)
{
	size_t at[2 * LIN_CHANS], n = 0;

	for (size_t c = 0; c < r->plan->nchans; c++) {
		if (s->receivers[c])
			at[n++] = 2 * c;
		if (s->senders[c])
			at[n++] = 2 * c + 1;
	}
	/* The last of them came through before the look. */
	if (n == 0)
		return;
	n = at[lin_random(&r->rnd, n)];
	meet(r, n / 2, n % 2);
}

/* ---- the watch --------------------------------------------------------------------------- */

static bool all_through(const struct lin_run *r)
{
	for (size_t i = 0; i < r->plan->nactors; i++)
		if (atomic_load(&r->actors[i].now) != LIN_THROUGH)
			return false;
	return true;
}

static void take_a_nap(const struct lin_run *r)
{
	struct timespec nap = {.tv_nsec = 20000};

	if (r->one_thread)
		rg_yield();
	else
		nanosleep(&nap, NULL);
}

static void die_stuck(struct lin_run *r, const struct sight *s)
{
	for (size_t i = 0; i < r->plan->nactors; i++) {
		int32_t now = atomic_load(&r->actors[i].now);

		if (now != LIN_THROUGH)
			fprintf(stderr,
				"actor %zu: step %d, %s, cases found in wait "
				"queues 0x%x\n",
				i, now / 2, now % 2 ? "in it" : "before it",
				s->found[i]);
	}
	lin_die(r, "stuck: nothing moves, and not every party that is left is "
		   "parked");
}

static void finish(struct lin_run *r)
{
	for (size_t c = 0; c < r->plan->nchans; c++) {
		struct sight s = {.stale = -1, .late = -1};
		const struct lin_op *op;

		if (!see_chan(r, &s, c) || s.stale >= 0)
			lin_die(r,
				"stale: c%zu is locked or waited on after "
				"all",
				c);
		if (!s.closed[c])
			close_chan(r, c);
		do {
			op = try_comm(r, c, false);
			if (op->winner < 0)
				lin_die(r,
					"refusal: c%zu is closed, and a "
					"receive is refused",
					c);
		} while (op->ok);
	}
}

void lin_watch(struct lin_run *r)
{
	uint64_t last = UINT64_MAX;
	rg_time since = 0;

	while (!all_through(r)) {
		uint64_t clock = atomic_load(&r->clock);
		struct sight s;

		if (clock != last) {
			last = clock;
			since = rg_now();
		}
		if (look(r, &s)) {
			check_rest(r, &s);
			note_arrivals(r, &s);
			let_one_go(r, &s);
			continue;
		}
		if (rg_now() - since > r->patience)
			die_stuck(r, &s);
		take_a_nap(r);
	}
	finish(r);
}
