// SPDX-License-Identifier: MIT
/*
 * linrun - parties that do what their scripts say and note what happened; see the
 * header.
 *
 * What a party checks itself, as nobody else can see it:
 *   - the winner of a select is one of its cases, and not that of a nil channel;
 *   - the elements of the receives that lost are untouched;
 *   - an element came whole.
 */
#include "tests/lincheck/linrun.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- complaints ------------------------------------------------------------------------ */

static void append(struct lin_history *h, const struct lin_op *ops, size_t n)
{
	if (n)
		memcpy(h->ops + h->n, ops, n * sizeof(*ops));
	h->n += n;
}

static void collect(const struct lin_run *r, struct lin_history *h)
{
	size_t room = r->nlog;

	for (size_t i = 0; i < r->plan->nactors; i++)
		room += r->actors[i].nlog;
	*h = (struct lin_history){.nchans = r->plan->nchans};
	memcpy(h->cap, r->plan->cap, sizeof(h->cap));
	h->ops = calloc(room + 1, sizeof(*h->ops));
	if (!h->ops)
		abort();
	for (size_t i = 0; i < r->plan->nactors; i++)
		append(h, r->actors[i].log, r->actors[i].nlog);
	append(h, r->log, r->nlog);
	lin_sort(h);
}

void lin_die(struct lin_run *r, const char *fmt, ...)
{
	struct lin_history h;
	va_list ap;

	fputs("violation: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nseed %" PRIu64 "\n", r->plan->seed);
	/* Those that are not parked may be writing: this is for people. */
	collect(r, &h);
	lin_print(stderr, &h);
	abort();
}

/* ---- one operation ----------------------------------------------------------------------- */

static uint64_t tick(struct lin_run *r)
{
	return atomic_fetch_add_explicit(&r->clock, 1, memory_order_seq_cst);
}

static rg_chan *chan_of(const struct lin_run *r, const struct lin_case *cs)
{
	return cs->chan == LIN_NIL ? NULL : r->chans[cs->chan];
}

static void fill_slots(const struct lin_step *step, struct lin_elem *slots)
{
	for (size_t i = 0; i < step->ncases; i++) {
		const struct lin_case *cs = &step->cases[i];
		uint64_t v = cs->is_send ? cs->value : LIN_SENTINEL;

		slots[i] = (struct lin_elem){v, {v, v}};
	}
}

/* The winner's index, or a negative errno; *ok as rg_case's. */
static int do_select(struct lin_run *r, const struct lin_step *step,
		     struct lin_elem *slots, bool *ok)
{
	rg_case cases[LIN_CASES] = {{0}};
	size_t n = step->ncases;
	int i;

	for (size_t j = 0; j < n; j++) {
		const struct lin_case *cs = &step->cases[j];

		cases[j].chan_ = chan_of(r, cs);
		cases[j].elem_ = &slots[j];
		cases[j].is_send_ = cs->is_send;
	}
	if (step->how == LIN_WAIT)
		i = rg_select(cases, n);
	else if (step->how == LIN_TRY)
		i = rg_select_try(cases, n);
	else
		i = rg_select_until(cases, n,
				    rg_now() + step->pause * RG_MICROSECOND);
	*ok = i >= 0 && i < (int)n && cases[i].ok;
	return i;
}

static int do_plain(struct lin_run *r, const struct lin_step *step,
		    struct lin_elem *slots, bool *ok)
{
	rg_chan *c = chan_of(r, &step->cases[0]);
	int got;

	*ok = true;
	if (step->cases[0].is_send) {
		if (step->how == LIN_TRY)
			return rg_chan_try_send(c, slots) ? 0 : -EAGAIN;
		rg_chan_send(c, slots);
		return 0;
	}
	if (step->how == LIN_TRY) {
		got = rg_chan_try_recv(c, slots);
		*ok = got > 0;
		return got < 0 ? got : 0;
	}
	*ok = rg_chan_recv(c, slots);
	return 0;
}

/* No nil channels in a record. */
static void note_cases(const struct lin_step *step, int winner,
		       struct lin_op *op)
{
	op->ncases = 0;
	op->winner = -1;
	for (int i = 0; i < step->ncases; i++) {
		if (step->cases[i].chan == LIN_NIL)
			continue;
		if (i == winner)
			op->winner = (int8_t)op->ncases;
		op->cases[op->ncases++] = step->cases[i];
	}
}

static void check_slots(struct lin_run *r, size_t who,
			const struct lin_step *step,
			const struct lin_elem *slots, int winner, bool ok)
{
	for (int i = 0; i < step->ncases; i++) {
		const struct lin_case *cs = &step->cases[i];
		const struct lin_elem *e = &slots[i];

		if (cs->is_send)
			continue;
		if (i != winner) {
			if (e->v != LIN_SENTINEL || e->copy[0] != e->v ||
			    e->copy[1] != e->v)
				lin_die(r,
					"select: actor %zu's case %d lost and "
					"yet received %" PRIx64,
					who, i, e->v);
		} else if (!ok && e->v) {
			lin_die(r, "close: actor %zu did not get a zero value",
				who);
		} else if (r->plan->elem_size[cs->chan] > 8 &&
			   (e->copy[0] != e->v || e->copy[1] != e->v)) {
			lin_die(r,
				"conservation: actor %zu received a torn "
				"%" PRIx64,
				who, e->v);
		}
	}
}

static void check_winner(struct lin_run *r, size_t who,
			 const struct lin_step *step, int winner, bool ok)
{
	int none = step->how == LIN_UNTIL ? -ETIMEDOUT : -EAGAIN;

	if (winner < 0 && (winner != none || step->how == LIN_WAIT))
		lin_die(r, "select: actor %zu was told %d", who, winner);
	if (winner >= 0 &&
	    (winner >= step->ncases || step->cases[winner].chan == LIN_NIL))
		lin_die(r, "select: actor %zu's winner is case %d", who,
			winner);
	if (winner >= 0 && step->cases[winner].is_send && !ok)
		lin_die(r, "select: actor %zu's send won and is not ok", who);
}

static void perform_comm(struct lin_run *r, size_t who,
			 const struct lin_step *step, struct lin_elem *slots,
			 struct lin_op *op)
{
	bool ok = false;
	int winner;

	op->call = tick(r);
	winner = step->select ? do_select(r, step, slots, &ok)
			      : do_plain(r, step, slots, &ok);
	op->ret = tick(r);
	check_winner(r, who, step, winner, ok);
	check_slots(r, who, step, slots, winner, ok);
	note_cases(step, winner, op);
	op->ok = ok;
	if (winner >= 0)
		op->value = slots[winner].v;
}

void lin_perform(struct lin_run *r, size_t who, const struct lin_step *step,
		 struct lin_elem *slots, struct lin_op *op)
{
	rg_chan *c = chan_of(r, &step->cases[0]);

	*op = (struct lin_op){.kind = step->kind, .actor = (uint8_t)who};
	if (step->kind == LIN_COMM) {
		perform_comm(r, who, step, slots, op);
		return;
	}
	op->ncases = 1;
	op->winner = -1;
	op->cases[0] = step->cases[0];
	op->call = tick(r);
	if (step->kind == LIN_CLOSE)
		rg_chan_close(c);
	else
		op->value = rg_chan_len(c);
	op->ret = tick(r);
}

/* ---- parties ------------------------------------------------------------------------------- */

static void pause_for(unsigned how)
{
	if (how == 1 || how % 4 == 2)
		rg_yield();
	else
		for (volatile unsigned i = 0; i < 10 * how; i++)
			;
}

/* The step's sends will not come any more: whose was the last may close. */
static void count_down(struct lin_actor *a, const struct lin_step *step)
{
	struct lin_run *r = a->run;

	if (step->kind != LIN_COMM)
		return;
	for (size_t i = 0; i < step->ncases; i++) {
		const struct lin_case *cs = &step->cases[i];
		struct lin_step close = {.kind = LIN_CLOSE};

		if (!cs->is_send || cs->chan == LIN_NIL ||
		    atomic_fetch_sub(&r->sends_to_come[cs->chan], 1) != 1 ||
		    !r->plan->last_sender_closes[cs->chan])
			continue;
		close.cases[0].chan = cs->chan;
		lin_perform(r, a->index, &close, NULL, &a->log[a->nlog++]);
	}
}

static void play(struct lin_actor *a)
{
	for (size_t i = 0; i < a->script->n; i++) {
		const struct lin_step *step = &a->script->steps[i];

		pause_for(step->pause);
		if (step->kind == LIN_COMM)
			fill_slots(step, a->slots);
		atomic_store(&a->now, (int32_t)(2 * i + 1));
		lin_perform(a->run, a->index, step, a->slots, &a->log[a->nlog]);
		a->nlog++;
		atomic_store(&a->now, (int32_t)(2 * i + 2));
		count_down(a, step);
	}
	atomic_store(&a->now, LIN_THROUGH);
}

static void play_g(void *arg)
{
	play(arg);
}

static void *play_t(void *arg)
{
	play(arg);
	return NULL;
}

static void start_actors(struct lin_run *r)
{
	for (size_t i = 0; i < r->plan->nactors; i++) {
		struct lin_actor *a = &r->actors[i];
		int err;

		if (a->script->foreign)
			err = pthread_create(&a->thread, NULL, play_t, a);
		else
			err = rg_waitgroup_go(&r->everyone, play_g, a);
		if (err)
			lin_die(r, "setup: no actor %zu (%d)", i, err);
	}
}

/* ---- a run ---------------------------------------------------------------------------------- */

static void *watch_t(void *arg)
{
	lin_watch(arg);
	return NULL;
}

/* A thread of its own looks on even when every M is caught in a lock. */
static void *watch_from_outside(void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, watch_t, arg) || pthread_join(t, NULL))
		lin_die(arg, "setup: no watcher");
	return NULL;
}

static int run_body(void *arg)
{
	struct lin_run *r = arg;

	start_actors(r);
	if (r->one_thread)
		lin_watch(r);
	else
		rg_blocking(watch_from_outside, r);
	rg_waitgroup_wait(&r->everyone);
	return 0;
}

static void prepare(struct lin_run *r)
{
	const struct lin_plan *p = r->plan;

	for (size_t c = 0; c < p->nchans; c++) {
		r->chans[c] = rg_chan_make(p->elem_size[c], p->cap[c]);
		if (!r->chans[c])
			abort();
	}
	for (size_t i = 0; i < p->nactors; i++) {
		r->actors[i].run = r;
		r->actors[i].index = i;
		r->actors[i].script = &p->actors[i];
		for (size_t j = 0; j < p->actors[i].n; j++) {
			const struct lin_step *s = &p->actors[i].steps[j];

			for (size_t k = 0; k < s->ncases; k++)
				if (s->kind == LIN_COMM &&
				    s->cases[k].is_send &&
				    s->cases[k].chan != LIN_NIL)
					r->sends_to_come[s->cases[k].chan]++;
		}
	}
}

void lin_run(const struct lin_plan *plan, bool one_thread, rg_duration patience,
	     struct lin_history *h)
{
	rg_config config = {.maxprocs = plan->maxprocs};
	struct lin_run *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->plan = plan;
	r->one_thread = one_thread;
	r->patience = patience;
	r->rnd = ~plan->seed;
	prepare(r);
	if (rg_run(&config, run_body, r) != 0)
		lin_die(r, "setup: rg_run failed");
	for (size_t i = 0; i < plan->nactors; i++)
		if (plan->actors[i].foreign)
			pthread_join(r->actors[i].thread, NULL);
	collect(r, h);
	for (size_t c = 0; c < plan->nchans; c++)
		rg_chan_unref(r->chans[c]);
	free(r->log);
	free(r);
}
