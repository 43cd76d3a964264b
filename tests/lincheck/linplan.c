// SPDX-License-Identifier: MIT
/*
 * linplan - drawing a plan; see the header.
 *
 * Three of four plans are small: their histories can be searched for an order. Each
 * plan leans to one way of working (plain calls, selects, tries, all of them), for
 * a mixture of everything rarely fills a buffer or a wait queue.
 */
#include "tests/lincheck/linplan.h"

#include <string.h>

enum role { SENDER, RECEIVER, BOTH };
enum manner { PLAIN, SELECTS, TRIES, ALL, MANNERS };

struct draw {
	uint64_t rnd;
	struct lin_plan *p;
	enum manner manner;
	size_t max_steps;
	bool small;
};

/* splitmix64 */
uint64_t lin_random(uint64_t *state, uint64_t n)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % n;
}

static bool chance(struct draw *d, unsigned percent)
{
	return lin_random(&d->rnd, 100) < percent;
}

uint64_t lin_value(size_t actor, size_t step, size_t icase)
{
	return (uint64_t)(actor + 1) << 24 | (uint64_t)step << 4 | (icase + 1);
}

static uint8_t draw_chan(struct draw *d)
{
	return (uint8_t)lin_random(&d->rnd, d->p->nchans);
}

static bool draw_direction(struct draw *d, enum role role)
{
	return role == SENDER || (role == BOTH && chance(d, 50));
}

static void draw_select(struct draw *d, struct lin_step *step, enum role role)
{
	size_t n = 2 + lin_random(&d->rnd, LIN_CASES - 1);

	step->select = true;
	step->ncases = (uint8_t)n;
	for (size_t i = 0; i < n; i++) {
		step->cases[i].chan = draw_chan(d);
		step->cases[i].is_send = draw_direction(d, role);
	}
	/* Never all of them. */
	if (chance(d, 20))
		step->cases[lin_random(&d->rnd, n)].chan = LIN_NIL;
}

static enum lin_how draw_how(struct draw *d)
{
	unsigned trying = d->manner == TRIES ? 60 : d->manner == ALL ? 25 : 5;

	if (chance(d, trying))
		return LIN_TRY;
	return d->manner != PLAIN && chance(d, 10) ? LIN_UNTIL : LIN_WAIT;
}

static void draw_step(struct draw *d, struct lin_step *step, enum role role)
{
	unsigned selecting = d->manner == SELECTS ? 90
			     : d->manner == PLAIN ? 0
						  : 40;

	step->pause = (uint8_t)(chance(d, 30) ? lin_random(&d->rnd, 100) : 0);
	if (chance(d, 4)) {
		step->kind = LIN_LEN;
		step->ncases = 1;
		step->cases[0].chan = draw_chan(d);
		return;
	}
	step->kind = LIN_COMM;
	step->how = (uint8_t)draw_how(d);
	if (chance(d, selecting)) {
		draw_select(d, step, role);
		return;
	}
	step->ncases = 1;
	step->select = step->how == LIN_UNTIL || chance(d, 10);
	step->cases[0].chan = draw_chan(d);
	step->cases[0].is_send = draw_direction(d, role);
}

static void draw_script(struct draw *d, size_t actor, enum role role)
{
	struct lin_script *s = &d->p->actors[actor];

	s->n = 1 + lin_random(&d->rnd, d->max_steps);
	for (size_t i = 0; i < s->n; i++) {
		struct lin_step *step = &s->steps[i];

		draw_step(d, step, role);
		for (size_t j = 0; j < step->ncases; j++)
			step->cases[j].value = lin_value(actor, i, j);
	}
}

static void draw_chans(struct draw *d)
{
	static const size_t caps[] = {0, 0, 0, 1, 1, 2, 2, 7, 128};
	struct lin_plan *p = d->p;

	p->nchans = 1 + lin_random(&d->rnd, LIN_CHANS);
	for (size_t c = 0; c < p->nchans; c++) {
		p->cap[c] = caps[lin_random(&d->rnd, 9)];
		p->elem_size[c] = chance(d, 70) ? 8 : 24;
		p->last_sender_closes[c] = chance(d, 70);
	}
}

static enum role draw_role(struct draw *d, size_t actor)
{
	if (d->manner != PLAIN && chance(d, 25))
		return BOTH;
	return actor % 2 ? RECEIVER : SENDER;
}

void lin_plan_fill(struct lin_plan *p, uint64_t seed, bool one_thread)
{
	struct draw d = {.rnd = seed, .p = p};
	size_t sides;

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	d.small = chance(&d, 75);
	d.manner = (enum manner)lin_random(&d.rnd, MANNERS);
	sides = 1 + lin_random(&d.rnd, d.small ? 3 : LIN_ACTORS / 2);
	p->nactors = 2 * sides;
	d.max_steps = d.small ? 40 / p->nactors : LIN_STEPS;
	p->maxprocs = 1 + (int)lin_random(&d.rnd, 4);
	if (one_thread)
		p->maxprocs = 1;
	draw_chans(&d);
	for (size_t i = 0; i < p->nactors; i++) {
		/* Drawn in any case, so that the rest stays the same. */
		bool foreign = chance(&d, 15);

		p->actors[i].foreign = foreign && !one_thread;
		draw_script(&d, i, draw_role(&d, i));
	}
}
