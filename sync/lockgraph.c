// SPDX-License-Identifier: MIT
/*
 * lockgraph - see lockgraph.h for the invariants; lockreport.c for the words.
 *
 * Two static tables, by lock and by goroutine; chains are short unless thousands wait.
 * A search goes depth first from the goroutine that is about to park, and looks at each
 * wait once. A reader that a waiting writer keeps out waits for that one, whatever it
 * waits for: that is how a read lock taken twice is found.
 */
#include "sync/lockgraph.h"

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/rtlock.h"
#include "sync/lockreport.h"

enum { TABLE_BITS = 12 };

/* Under the graph's lock. */
struct lockhold {
	struct lockhold *next;
	const void *lock;
	const char *what;
	uint64_t goid;
	uintptr_t pc;
	uint8_t how;
};

static struct rtlock graph;
/* under `graph` */
static struct lockhold *holds[1 << TABLE_BITS];  /* by lock */
static struct lockwait *waits[1 << TABLE_BITS];  /* by lock */
static struct lockwait *waiter[1 << TABLE_BITS]; /* by goid */
static struct lockcircle *circles;
static uint64_t searches;

static size_t slot(uint64_t x)
{
	return (x * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - TABLE_BITS);
}

static size_t slot_of(const void *lock)
{
	return slot((uintptr_t)lock);
}

static uint64_t own_goid(void)
{
	return is_goroutine() ? getg()->goid : 0;
}

/* ---- holds --------------------------------------------------------------------- */

/* Where the lock's first hold with how and goid (0: anybody's) is, or the end. */
static struct lockhold **find_hold(const void *lock, enum lock_how how,
				   uint64_t goid)
{
	struct lockhold **at = &holds[slot_of(lock)];

	while (*at && ((*at)->lock != lock || (*at)->how != how ||
		       (goid && (*at)->goid != goid)))
		at = &(*at)->next;
	return at;
}

RG_COLD void lockgraph_took(const void *lock, const char *what,
			    enum lock_how how, uintptr_t pc)
{
	uint64_t goid = own_goid();
	struct lockhold *h = goid ? rgk_alloc(sizeof *h) : NULL;

	if (!h)
		return; /* I5, or less is found */
	*h = (struct lockhold){.lock = lock,
			       .what = what,
			       .goid = goid,
			       .pc = pc,
			       .how = (uint8_t)how};
	rtlock_lock(&graph);
	if (!*find_hold(lock, HOLD_LOOSE, 0)) {
		h->next = holds[slot_of(lock)];
		holds[slot_of(lock)] = h;
		h = NULL;
	}
	rtlock_unlock(&graph);
	rgk_free(h);
}

/* Not the caller's: I4. One of the holds says so from now on, and the others go. */
static struct lockhold *loosen(const void *lock, enum lock_how how)
{
	struct lockhold *gone = NULL, **at, *h;

	while (*(at = find_hold(lock, how, 0))) {
		h = *at;
		*at = h->next;
		h->next = gone;
		gone = h;
	}
	if (!gone || *find_hold(lock, HOLD_LOOSE, 0))
		return gone;
	h = gone;
	gone = h->next;
	h->how = HOLD_LOOSE;
	h->next = holds[slot_of(lock)];
	holds[slot_of(lock)] = h;
	return gone;
}

RG_COLD void lockgraph_gives(const void *lock, enum lock_how how)
{
	struct lockhold *gone = NULL, **at;
	uint64_t goid = own_goid();

	rtlock_lock(&graph);
	at = goid ? find_hold(lock, how, goid) : NULL;
	if (at && *at) {
		gone = *at;
		*at = gone->next;
		gone->next = NULL;
	} else {
		gone = loosen(lock, how);
	}
	rtlock_unlock(&graph);
	while (gone) {
		struct lockhold *next = gone->next;

		rgk_free(gone);
		gone = next;
	}
}

/* ---- waits --------------------------------------------------------------------- */

static void list_wait(struct lockwait *w)
{
	struct lockwait **by_lock = &waits[slot_of(w->lock)];
	struct lockwait **by_g = &waiter[slot(w->goid)];

	w->next_lock = *by_lock;
	*by_lock = w;
	w->next_g = *by_g;
	*by_g = w;
	w->is_listed = true;
}

static void unlist_by_g(struct lockwait *w)
{
	struct lockwait **at = &waiter[slot(w->goid)];

	while (*at != w)
		at = &(*at)->next_g;
	*at = w->next_g;
	w->is_listed = false;
}

RG_COLD void lockgraph_wakes(const void *lock, const struct g *gp)
{
	struct lockwait **at = &waits[slot_of(lock)];

	rtlock_lock(&graph);
	while (*at) {
		struct lockwait *w = *at;

		if (w->lock == lock && (!gp || w->goid == gp->goid)) {
			*at = w->next_lock;
			unlist_by_g(w);
		} else {
			at = &w->next_lock;
		}
	}
	rtlock_unlock(&graph);
}

static struct lockwait *wait_of(uint64_t goid)
{
	struct lockwait *w = waiter[slot(goid)];

	while (w && w->goid != goid)
		w = w->next_g;
	return w;
}

/* ---- the search; the lock is held --------------------------------------------- */

struct search {
	uint64_t start; /* goroutine */
	unsigned depth, n;
	struct lockwait *path[LOCKCIRCLE_MAX];
	const struct lockhold
		*hold[LOCKCIRCLE_MAX]; /* that path[i] waits for */
};

static bool is_circle(struct search *s, struct lockwait *w);

/* w waits for goroutine goid, because of h (NULL: it is a writer that waits). */
static bool leads_back(struct search *s, uint64_t goid,
		       const struct lockhold *h)
{
	struct lockwait *w;

	s->hold[s->depth - 1] = h;
	if (goid == s->start) {
		s->n = s->depth;
		return true;
	}
	w = wait_of(goid);
	return w && is_circle(s, w);
}

static bool keeps_out(const struct lockhold *h, const struct lockwait *w)
{
	if (h->lock != w->lock || h->how == HOLD_LOOSE)
		return false;
	return w->how != HOLD_READ || h->how == HOLD_WRITE;
}

static bool leads_back_by_holder(struct search *s, const struct lockwait *w)
{
	for (struct lockhold *h = holds[slot_of(w->lock)]; h; h = h->next)
		if (keeps_out(h, w) && leads_back(s, h->goid, h))
			return true;
	return false;
}

static bool leads_back_by_writer(struct search *s, const struct lockwait *w)
{
	for (struct lockwait *o = waits[slot_of(w->lock)]; o; o = o->next_lock)
		if (o->lock == w->lock && o->how == HOLD_WRITE &&
		    leads_back(s, o->goid, NULL))
			return true;
	return false;
}

/* Longer circles than LOCKCIRCLE_MAX are not found. */
static bool is_circle(struct search *s, struct lockwait *w)
{
	bool found;

	if (w->search == searches || s->depth == LOCKCIRCLE_MAX)
		return false;
	w->search = searches;
	s->path[s->depth++] = w;
	found = leads_back_by_holder(s, w) ||
		(w->how == HOLD_READ && leads_back_by_writer(s, w));
	s->depth--;
	return found;
}

static bool search(struct search *s, struct lockwait *w)
{
	*s = (struct search){.start = w->goid};
	searches++;
	return is_circle(s, w);
}

RG_COLD bool lockgraph_parks_slow(struct lockwait *w)
{
	struct search s;

	w->goid = own_goid();
	if (!w->goid)
		return true; /* I5 */
	rtlock_lock(&graph);
	w->is_found = !w->is_reported && search(&s, w);
	if (!w->is_found)
		list_wait(w);
	rtlock_unlock(&graph);
	return !w->is_found;
}

/* ---- what was found ------------------------------------------------------------ */

static void copy_circle(struct lockcircle *c, const struct search *s)
{
	c->n = s->n;
	for (unsigned i = 0; i < s->n; i++) {
		const struct lockwait *w = s->path[i];
		const struct lockhold *h = s->hold[i];

		c->step[i] = (struct lockstep){
			.goid = w->goid,
			.lock = w->lock,
			.what = w->what,
			.wait_pc = w->pc,
			.hold_pc = h ? h->pc : 0,
			.how = h ? h->how : HOLD_WRITE,
		};
	}
}

RG_COLD void lockgraph_report_slow(struct lockwait *w)
{
	struct lockcircle *c = rgk_zalloc(sizeof *c), *unused = NULL;
	struct search s;

	w->is_found = false;
	if (!c)
		return; /* it looks again */
	w->is_reported = true;
	rtlock_lock(&graph);
	/* A circle that is not there any more was none (I4). */
	if (search(&s, w)) {
		copy_circle(c, &s);
		c->next = circles;
		circles = c;
	} else {
		unused = c;
	}
	rtlock_unlock(&graph);
	if (unused)
		rgk_free(unused);
	else
		lockreport_say(c);
}

const struct lockcircle *lockgraph_circles(void)
{
	const struct lockcircle *c;

	rtlock_lock(&graph);
	c = circles;
	rtlock_unlock(&graph);
	return c;
}

static void free_holds(struct lockhold *h)
{
	while (h) {
		struct lockhold *next = h->next;

		rgk_free(h);
		h = next;
	}
}

/* No goroutine is left; what they waited for was taken out of its queues. */
void lockgraph_reset(void)
{
	struct lockcircle *c = circles;

	for (size_t i = 0; i < 1 << TABLE_BITS; i++) {
		free_holds(holds[i]);
		holds[i] = NULL;
		waits[i] = waiter[i] = NULL;
	}
	circles = NULL;
	while (c) {
		struct lockcircle *next = c->next;

		rgk_free(c);
		c = next;
	}
}
