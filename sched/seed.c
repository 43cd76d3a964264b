// SPDX-License-Identifier: MIT
/*
 * seed - see seed.h for the role and the invariants.
 */
#include "sched/seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sched/deadlock.h"
#include "sched/debugenv.h"
#include "sched/interrupt.h"
#include "sched/netpoll.h"
#include "sched/sched.h"
#include "sched/switch.h"
#include "sched/textbuf.h"

/* How deep into a queue a choice reaches; where a new one comes from. */
enum { REACH = 8, ANY_PROC = -1 };

struct logical_p {
	struct g *next;
	struct gqueue queue;
};

/* I6. Of 256, unless said otherwise. */
struct style {
	uint32_t yield; /* give way at a point */
	uint32_t front; /* put before the others, not behind them */
	uint32_t next;  /* `next` comes before the queue */
	uint32_t stay;  /* the same P goes on */
	uint32_t deep;  /* of the queue, not its first */
	uint32_t hold;  /* of 4096: hold back who would run */
	uint32_t step;  /* largest step of the clock, ns */
};

static struct {
	struct seed_account account;
	uint64_t state;
	struct style style;
	struct logical_p procs[SCHED_MAX_PROCS];
	uint32_t nprocs, current;
	struct g *held;
	uint32_t held_for; /* choices */
	bool has_begun;

	/* any thread; written by the M */
	_Atomic rg_time now;
	_Atomic rg_time asleep_since; /* real; 0: awake */
} seeded;

struct attention sched_attention;

/* ---- drawing ---------------------------------------------------------------- */

static void note(uint64_t value)
{
	uint64_t h = seeded.account.hash ^ value;

	h *= UINT64_C(0x9e3779b97f4a7c15);
	seeded.account.hash = h ^ (h >> 29);
}

/* splitmix64: any seed is a good one, 0 and neighbours as well. */
static uint64_t draw_bits(void)
{
	uint64_t x = seeded.state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* 0 .. n-1; a decision (I3). */
static uint32_t draw(uint32_t n)
{
	uint32_t r = (uint32_t)((draw_bits() >> 32) * n >> 32);

	seeded.account.decisions++;
	note((uint64_t)n << 32 | r);
	return r;
}

static bool draw_of_256(uint32_t share)
{
	return share && draw(256) < share;
}

static uint32_t one_of(const uint32_t *values, uint32_t n)
{
	return values[draw(n)];
}
#define ONE_OF(values) one_of(values, sizeof(values) / sizeof((values)[0]))

static void draw_style(void)
{
	static const uint32_t yields[] = {128, 64, 32, 16, 4, 1};
	static const uint32_t fronts[] = {0, 32, 128};
	static const uint32_t nexts[] = {255, 192, 128, 64};
	static const uint32_t stays[] = {0, 128, 224};
	static const uint32_t deeps[] = {0, 64, 128, 224};
	static const uint32_t holds[] = {0, 8, 64, 256};
	static const uint32_t steps[] = {100, 1000, 10000, 200000};

	seeded.style.yield = ONE_OF(yields);
	seeded.style.front = ONE_OF(fronts);
	seeded.style.next = ONE_OF(nexts);
	seeded.style.stay = ONE_OF(stays);
	seeded.style.deep = ONE_OF(deeps);
	seeded.style.hold = ONE_OF(holds);
	seeded.style.step = ONE_OF(steps);
}

/* ---- start and end ------------------------------------------------------------ */

/* Decimal digits and nothing else. */
static bool parse(const char *text, uint64_t *out)
{
	uint64_t n = 0;

	for (const char *p = text; *p; p++)
		if (*p < '0' || *p > '9' ||
		    __builtin_mul_overflow(n, (uint64_t)10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	*out = n;
	return true;
}

static void begin(uint64_t seed, int procs)
{
	memset(&seeded, 0, sizeof seeded);
	seeded.account.seed = seed;
	seeded.state = seed;
	seeded.nprocs = (uint32_t)procs;
	draw_style();
	/* Relaxed, here and below: there are no other threads yet. */
	atomic_store_explicit(&seeded.now, SEED_EPOCH, memory_order_relaxed);
	atomic_store_explicit(&sched.coarse_now, SEED_EPOCH,
			      memory_order_relaxed);
	atomic_fetch_or_explicit(&sched_attention.bits, ATTENTION_SEED,
				 memory_order_relaxed);
}

int seed_start(int procs)
{
	const char *text = getenv("RINGGO_SEED");
	uint64_t seed;

	if (!text || !*text)
		return procs;
	if (!parse(text, &seed)) {
		fprintf(stderr,
			"ringgo: RINGGO_SEED='%s' is not a number of at most "
			"64 bits: ignored\n",
			text);
		return procs;
	}
	begin(seed, procs);
	return 1;
}

void seed_stop(void)
{
	char mem[128];
	struct textbuf b;

	if (!seed_is_on())
		return;
	textbuf_init(&b, mem, sizeof mem, STDERR_FILENO, textbuf_write_fd);
	if (debugenv.seed) {
		textbuf_str(&b, "ringgo: ");
		seed_print(&b);
		(void)textbuf_flush(&b);
	}
	atomic_fetch_and_explicit(&sched_attention.bits,
				  ~(uint32_t)ATTENTION_SEED,
				  memory_order_relaxed);
}

int seed_procs(void)
{
	return (int)seeded.nprocs;
}

struct seed_account seed_account(void)
{
	return seeded.account;
}

void seed_print(struct textbuf *b)
{
	if (!seed_is_on())
		return;
	textbuf_str(b, "RINGGO_SEED=");
	textbuf_dec(b, seeded.account.seed);
	textbuf_str(b, ", ");
	textbuf_dec(b, seeded.account.decisions);
	textbuf_str(b, " decisions, hash ");
	textbuf_hex(b, seeded.account.hash);
	textbuf_char(b, '\n');
}

/* ---- the clock (I4) ------------------------------------------------------------- */

static rg_time clock_read(void)
{
	return atomic_load_explicit(&seeded.now, memory_order_relaxed);
}

static void clock_set(rg_time now)
{
	/* Relaxed: one writer; readers want a time, not an order. */
	atomic_store_explicit(&seeded.now, now, memory_order_relaxed);
	atomic_store_explicit(&sched.coarse_now, now, memory_order_relaxed);
}

rg_time seed_now(void)
{
	rg_time now = clock_read();
	rg_time since = atomic_load_explicit(&seeded.asleep_since,
					     memory_order_relaxed);

	if (since)
		return now + (clock_now() - since);
	if (is_goroutine())
		clock_set(++now);
	return now;
}

static void clock_awake(void)
{
	rg_time since = atomic_load_explicit(&seeded.asleep_since,
					     memory_order_relaxed);

	if (!since)
		return;
	clock_set(clock_read() + (clock_now() - since));
	atomic_store_explicit(&seeded.asleep_since, 0, memory_order_relaxed);
}

/* ---- the logical queues ------------------------------------------------------------ */

static void push_front(struct gqueue *q, struct g *gp)
{
	struct gqueue one = {0};

	gqueue_push(&one, gp);
	gqueue_append(&one, q);
	*q = one;
}

static void put(uint32_t proc, struct g *gp)
{
	struct gqueue *q = &seeded.procs[proc].queue;

	if (q->len && draw_of_256(seeded.style.front))
		push_front(q, gp);
	else
		gqueue_push(q, gp);
}

static void put_next(uint32_t proc, struct g *gp)
{
	struct logical_p *lp = &seeded.procs[proc];

	if (lp->next)
		put(proc, lp->next);
	lp->next = gp;
}

static uint32_t proc_or_any(int proc)
{
	return proc == ANY_PROC ? draw(seeded.nprocs) : (uint32_t)proc;
}

static void collect_global(void)
{
	struct gqueue taken = {0};
	struct g *gp;

	/* Relaxed: a look; the lock decides, and sleeping looks once more. */
	if (!atomic_load_explicit(&sched.global_len, memory_order_relaxed))
		return;
	rtlock_lock(&sched.lock);
	gqueue_append(&taken, &sched.global);
	atomic_store_explicit(&sched.global_len, 0, memory_order_relaxed);
	rtlock_unlock(&sched.lock);
	while ((gp = gqueue_pop(&taken)))
		put(draw(seeded.nprocs), gp);
}

/* I2. proc: whose doing it was that they are runnable, or ANY_PROC. */
static void collect(struct m *mp, int proc)
{
	struct runq *q = &mp->p->runq;
	struct g *gp = runq_take_next(q);

	if (gp)
		put_next(proc_or_any(proc), gp);
	while ((gp = runq_get(q)))
		put(proc_or_any(proc), gp);
	collect_global();
}

static bool has_work(const struct logical_p *lp)
{
	return lp->next || lp->queue.len;
}

/* One at a drawn place near the front. */
static struct g *take_of(struct gqueue *q)
{
	struct gqueue skipped = {0};
	uint32_t reach = q->len < REACH ? q->len : REACH;
	struct g *gp;

	if (reach > 1 && draw_of_256(seeded.style.deep))
		for (uint32_t n = draw(reach); n > 0; n--)
			gqueue_push(&skipped, gqueue_pop(q));
	gp = gqueue_pop(q);
	gqueue_append(&skipped, q);
	*q = skipped;
	return gp;
}

/* Half of a victim's queue, and its `next` if that is all there is. */
static void steal(uint32_t thief)
{
	uint32_t start = draw(seeded.nprocs);

	for (uint32_t i = 0; i < seeded.nprocs; i++) {
		uint32_t v = (start + i) % seeded.nprocs;
		struct logical_p *victim = &seeded.procs[v];
		uint32_t n = victim->queue.len - victim->queue.len / 2;

		if (!has_work(victim))
			continue;
		if (!n) {
			seeded.procs[thief].next = victim->next;
			victim->next = NULL;
		}
		while (n-- > 0)
			gqueue_push(&seeded.procs[thief].queue,
				    gqueue_pop(&victim->queue));
		return;
	}
}

static bool is_anything_queued(void)
{
	for (uint32_t i = 0; i < seeded.nprocs; i++)
		if (has_work(&seeded.procs[i]))
			return true;
	return false;
}

static struct g *take_from(uint32_t proc)
{
	struct logical_p *lp = &seeded.procs[proc];
	struct g *gp = lp->next;

	if (gp && (!lp->queue.len || draw_of_256(seeded.style.next))) {
		lp->next = NULL;
		return gp;
	}
	return take_of(&lp->queue);
}

/* Something is queued. */
static struct g *take_queued(void)
{
	if (!draw_of_256(seeded.style.stay))
		seeded.current = draw(seeded.nprocs);
	if (!has_work(&seeded.procs[seeded.current]))
		steal(seeded.current);
	return take_from(seeded.current);
}

static struct g *release_held(void)
{
	struct g *gp = seeded.held;

	seeded.held = NULL;
	return gp;
}

/* I5. NULL: nothing is runnable. */
static struct g *take(void)
{
	struct g *gp;

	if (seeded.held && seeded.held_for-- == 0)
		return release_held();
	if (!is_anything_queued())
		return release_held();
	gp = take_queued();
	if (!seeded.held && seeded.style.hold && is_anything_queued() &&
	    draw(4096) < seeded.style.hold) {
		seeded.held = gp;
		seeded.held_for = 1 + draw(1u << (1 + draw(9)));
		gp = take_queued();
	}
	return gp;
}

/* ---- what else makes goroutines runnable --------------------------------------------- */

static rg_time next_timer(const struct m *mp)
{
	/* Relaxed: only foreign threads arm timers at the same time, and they
	 * wake us. */
	return atomic_load_explicit(&mp->p->timers.earliest,
				    memory_order_relaxed);
}

static bool fire_timers(struct m *mp)
{
	rg_time now = clock_read();

	if (next_timer(mp) > now)
		return false;
	timer_heap_run(&mp->p->timers, now);
	collect(mp, ANY_PROC);
	return true;
}

static void look_at_ring(struct m *mp)
{
	netpoll(mp, true);
	collect(mp, ANY_PROC);
}

/* Once for several choices, and at the latest when many wait to be submitted. */
static void look_around(struct m *mp)
{
	if (mp->reaped.head ||
	    ((ring_pending(&mp->ring) || ring_inflight(&mp->ring)) &&
	     (ring_pending(&mp->ring) >= SUBMIT_BATCH || draw(4) == 0)) ||
	    netpoll_has_requests(mp))
		look_at_ring(mp);
	/* Late sometimes, as timers are when all Ps are busy. */
	if (next_timer(mp) <= clock_read() && draw(2))
		fire_timers(mp);
}

/* I4: nobody but a timer will make anybody runnable. */
static bool is_alone(const struct m *mp)
{
	/* Relaxed: who makes them 0 has queued a goroutine before, and the
	 * global queue is looked at last. */
	return netpoll_is_quiet(mp) &&
	       !atomic_load_explicit(&sched.blocking_busy,
				     memory_order_relaxed) &&
	       !atomic_load_explicit(&sched.external, memory_order_relaxed) &&
	       deadlock_unknown_threads() == 0 &&
	       !atomic_load_explicit(&sched.global_len, memory_order_relaxed);
}

/* Nothing is queued: false: nothing else can be done, either. */
static bool go_on(struct m *mp)
{
	look_at_ring(mp);
	if (is_anything_queued() || fire_timers(mp))
		return true;
	if (next_timer(mp) == RG_FOREVER || !is_alone(mp))
		return false;
	clock_set(next_timer(mp));
	return true;
}

struct g *seed_find(struct m *mp)
{
	struct g *gp;

	if (!seeded.has_begun) {
		seeded.has_begun = true;
		mp->rng = draw_bits() | 1;
	}
	clock_awake();
	clock_set(clock_read() + 1 + draw(seeded.style.step));
	collect(mp, (int)seeded.current);
	look_around(mp);
	while (!(gp = take()))
		if (!go_on(mp)) {
			atomic_store_explicit(&seeded.asleep_since, clock_now(),
					      memory_order_relaxed);
			return NULL;
		}
	note(gp->goid);
	return gp;
}

/* ---- points ---------------------------------------------------------------------------- */

bool seed_coin(void)
{
	return seed_is_on() && getm() && draw(2);
}

bool seed_wants_yield(void)
{
	return draw_of_256(seeded.style.yield);
}

void sched_point_slow(void)
{
	if (!is_goroutine())
		return;
	interrupt_point();
	if (seed_is_on() && seed_wants_yield())
		sched_yield_g();
}
