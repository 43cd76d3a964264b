// SPDX-License-Identifier: MIT
/*
 * spawn - goroutines are born and buried here.
 *
 *   I1  a record lies at the top of its slot, a multiple of 64 bytes below the end that
 *       depends on the slot's number ("colour"): without it a million records and
 *       first frames would fall into the same few cache sets (18 against 23 ns a
 *       switch with 4,096 stacks).
 *   I2  free lists are LIFO: a warm stack costs 30 ns, a fresh one 1.3-5.8 us. A P
 *       keeps up to GFREE_MAX of the default class and exchanges batches of half of
 *       that with the runtime's lists; other classes go to the runtime's directly.
 *   I3  ids are taken in blocks by each P: unique, not ordered over Ps.
 *   I4  sched_go gives way after SPAWN_RUN_MAX children in one run, as a preempted
 *       goroutine would: for a user's goroutine it is never called with a runtime
 *       lock held. Else who spawns a million one after the other has a million of them
 *       at once, each on a fresh stack (0.8-3 us each).
 */
#include "sched/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel-iface/alloc.h"
#include "kernel-iface/base/forked.h"
#include "kernel-iface/clock.h"
#include "kernel-iface/textmap.h"
#include "sched/bubble.h"
#include "sched/cancel.h"
#include "sched/labels.h"
#include "sched/local.h"
#include "sched/lockthread.h"
#include "sched/point.h"
#include "sched/proc.h"
#include "sched/racelimit.h"
#include "sched/switch.h"
#include "sched/wake.h"

enum { GFREE_MAX = 256, GOID_BLOCK = 16, COLOURS = 16, COPY_MAX = 1024 };
enum { NAME_MAX_LEN = 32, SPAWN_RUN_MAX = 256 };

static_assert(sizeof(struct g) <= 448, "a goroutine's record shares its page");
static_assert(sizeof(struct g) + COLOURS * RG_CACHE_LINE <= SPAWN_RECORD_ROOM,
	      "stacks are as large as asked for");

/* ---- records in slots ---- */

static struct g *g_of_slot(char *slot, unsigned class_index)
{
	size_t size = stack_slot_size(class_index);
	size_t colour = ((uintptr_t)slot / size % COLOURS) * RG_CACHE_LINE;
	uintptr_t at = (uintptr_t)slot + size - colour - sizeof(struct g);

	return (struct g *)(at & ~(uintptr_t)(RG_CACHE_LINE - 1));
}

struct g *spawn_g_at(unsigned class_index, uint64_t i)
{
	return g_of_slot(stack_slot_at(&sched.stacks[class_index], i),
			 class_index);
}

void sched_each_g(bool (*fn)(struct g *gp, void *arg), void *arg)
{
	for (unsigned c = 0; c < STACK_CLASSES; c++) {
		uint64_t n = stack_slot_count(&sched.stacks[c]);

		for (uint64_t i = 0; i < n; i++) {
			struct g *gp;
			enum g_state s;

			if (stack_slot_is_vacant(&sched.stacks[c], i))
				continue;
			gp = spawn_g_at(c, i);
			s = g_state(gp);
			if (s != G_IDLE && s != G_DEAD && !fn(gp, arg))
				return;
		}
	}
}

struct g *sched_g_of_address(const void *addr)
{
	for (unsigned c = 0; c < STACK_CLASSES; c++) {
		char *slot = stack_slot_of(&sched.stacks[c], addr);

		if (slot)
			return g_of_slot(slot, c);
	}
	return NULL;
}

static int fresh_g(unsigned class_index, struct g **out)
{
	char *slot;
	struct g *gp;
	int err = stack_slot_take(&sched.stacks[class_index], &slot);

	if (err)
		return err;
	gp = g_of_slot(slot, class_index);
	gp->stack_class = (uint8_t)class_index;
	gp->stack_lo = slot + STACK_GUARD;
	gp->stack_hi = (char *)gp;
	/* A vacated slot's former goroutine must not be taken for this one. */
	gp->op_gen = (uint16_t)sched_rand();
	*out = gp;
	return 0;
}

/* ---- free lists (I2) ---- */

static struct g *list_pop(struct g **list, uint32_t *len)
{
	struct g *gp = *list;

	if (gp) {
		*list = gp->schedlink;
		--*len;
	}
	return gp;
}

static void list_push(struct g **list, uint32_t *len, struct g *gp)
{
	gp->schedlink = *list;
	*list = gp;
	++*len;
}

/* Move up to n records from one list to another. */
static void list_move(struct g **to, uint32_t *to_len, struct g **from,
		      uint32_t *from_len, uint32_t n)
{
	while (n-- && *from)
		list_push(to, to_len, list_pop(from, from_len));
}

/* The shortest that each list was since spawn_unneeded; under sched.lock. */
static uint32_t gfree_low[STACK_CLASSES];

static void note_low_locked(unsigned class_index)
{
	if (sched.gfree_len[class_index] < gfree_low[class_index])
		gfree_low[class_index] = sched.gfree_len[class_index];
}

uint32_t spawn_unneeded(unsigned class_index, bool *is_new)
{
	uint32_t n;

	rtlock_lock(&sched.lock);
	note_low_locked(class_index);
	n = gfree_low[class_index];
	gfree_low[class_index] = sched.gfree_len[class_index];
	*is_new = gfree_low[class_index] > n;
	rtlock_unlock(&sched.lock);
	return n;
}

unsigned spawn_take_free(unsigned class_index, struct g **v, unsigned n)
{
	unsigned i = 0;

	rtlock_lock(&sched.lock);
	while (i < n && sched.gfree[class_index])
		v[i++] = list_pop(&sched.gfree[class_index],
				  &sched.gfree_len[class_index]);
	note_low_locked(class_index);
	rtlock_unlock(&sched.lock);
	return i;
}

static struct g *gfree_global_get(unsigned class_index)
{
	struct g *gp;

	/* Relaxed look without the lock would race; it is short. */
	rtlock_lock(&sched.lock);
	gp = list_pop(&sched.gfree[class_index], &sched.gfree_len[class_index]);
	note_low_locked(class_index);
	rtlock_unlock(&sched.lock);
	return gp;
}

static struct g *gfree_get(struct p *pp, unsigned class_index)
{
	struct g *gp;

	if (!pp || class_index != sched.default_class)
		return gfree_global_get(class_index);
	gp = list_pop(&pp->gfree, &pp->gfree_len);
	if (rg_likely(gp != NULL))
		return gp;
	rtlock_lock(&sched.lock);
	list_move(&pp->gfree, &pp->gfree_len, &sched.gfree[class_index],
		  &sched.gfree_len[class_index], GFREE_MAX / 2);
	note_low_locked(class_index);
	rtlock_unlock(&sched.lock);
	return list_pop(&pp->gfree, &pp->gfree_len);
}

void spawn_recycle(struct p *pp, struct g *gp)
{
	unsigned c = gp->stack_class;

	coro_fini(&gp->ctx);
	racelimit_give();
	if (rg_likely(pp && c == sched.default_class)) {
		list_push(&pp->gfree, &pp->gfree_len, gp);
		if (rg_likely(pp->gfree_len <= GFREE_MAX))
			return;
		rtlock_lock(&sched.lock);
		list_move(&sched.gfree[c], &sched.gfree_len[c], &pp->gfree,
			  &pp->gfree_len, GFREE_MAX / 2);
		rtlock_unlock(&sched.lock);
		return;
	}
	rtlock_lock(&sched.lock);
	list_push(&sched.gfree[c], &sched.gfree_len[c], gp);
	rtlock_unlock(&sched.lock);
}

void spawn_give_free(struct p *pp)
{
	unsigned c = sched.default_class;

	rtlock_lock(&sched.lock);
	list_move(&sched.gfree[c], &sched.gfree_len[c], &pp->gfree,
		  &pp->gfree_len, UINT32_MAX);
	rtlock_unlock(&sched.lock);
}

/* ---- birth ---- */

static uint64_t new_goid(struct p *pp)
{
	/* Relaxed: only uniqueness matters (I3). */
	if (!pp)
		return atomic_fetch_add_explicit(&sched.goid_block, 1,
						 memory_order_relaxed);
	if (rg_unlikely(pp->goid_next == pp->goid_end)) {
		pp->goid_next = atomic_fetch_add_explicit(
			&sched.goid_block, GOID_BLOCK, memory_order_relaxed);
		pp->goid_end = pp->goid_next + GOID_BLOCK;
	}
	return pp->goid_next++;
}

static void add_relaxed(_Atomic uint64_t *counter)
{
	/* One writer, the owner of the P. */
	atomic_store_explicit(
		counter,
		atomic_load_explicit(counter, memory_order_relaxed) + 1,
		memory_order_relaxed);
}

static void count_born(struct p *pp)
{
	if (pp)
		add_relaxed(&pp->created);
	else
		atomic_fetch_add_explicit(&sched.foreign_created, 1,
					  memory_order_relaxed);
}

static RG_CALLS_USER void finish_g(struct g *gp) __attribute__((noreturn));

static RG_CALLS_USER void g_main(void *transfer)
{
	struct m *mp = transfer;
	struct g *gp;

	coro_started_on(mp->cxx);
	gp = mp->curg;
	mp->p->birth_tick =
		atomic_load_explicit(&mp->p->schedtick, memory_order_relaxed);
	san_own_errno(mp->errno_location);
	*mp->errno_location = 0;
	san_acquire(gp);
	switch_finish(mp);
	gp->fn(gp->arg);
	finish_g(gp);
}

static void *place_copy(struct g *gp, const void *arg, size_t size, char **top)
{
	*top = gp->stack_hi - ((size + 15) & ~(size_t)15);
	san_reads(arg, size);
	return memcpy(*top, arg, size);
}

static void inherit_ctx(struct g *gp, struct g *parent, rg_ctx *own)
{
	gp->ctx_bound = own ? own : NULL;
	if (!own && parent && gp->kind == G_USER)
		gp->ctx_bound = parent->ctx_bound;
	gp->token = NULL;
	if (!gp->ctx_bound)
		return;
	sched.hooks.ctx_retain(gp->ctx_bound);
	gp->token = sched.hooks.ctx_token(gp->ctx_bound);
}

static void inherit_labels(struct g *gp, const struct g *parent)
{
	struct labels *s = NULL;

	if (parent && gp->kind == G_USER)
		s = labels_ref(labels_of(parent));
	/* Relaxed: published with the goroutine. */
	atomic_store_explicit(&gp->labels, s, memory_order_relaxed);
}

/* Its flow knows what this one knows; "created by" in reports is the go statement. */
static void init_flow(struct g *gp, char *top)
{
#if RG_TSAN
	__tsan_func_entry((void *)gp->creator_pc);
#endif
	coro_init(&gp->ctx, gp->stack_lo, top, g_main);
#if RG_TSAN
	__tsan_func_exit();
#endif
}

static void name_flow(const struct g *gp)
{
#if RG_TSAN
	char name[NAME_MAX_LEN + 32];

	if (gp->goid == 1)
		snprintf(name, sizeof name, "main goroutine");
	else
		snprintf(name, sizeof name, "goroutine %llu%s%s",
			 (unsigned long long)gp->goid, gp->name ? " " : "",
			 gp->name ? gp->name : "");
	__tsan_set_fiber_name(gp->ctx.fiber, name);
#else
	(void)gp;
#endif
}

static void init_g(struct g *gp, const struct sched_go_args *args,
		   struct g *parent)
{
	char *top = gp->stack_hi;

#if RG_ASAN
	__asan_unpoison_memory_region(gp->stack_lo,
				      (size_t)(gp->stack_hi - gp->stack_lo));
#endif
	gp->fn = args->fn;
	gp->arg = (void *)(uintptr_t)args->arg;
	if (args->copy)
		gp->arg = place_copy(gp, args->arg, args->copy, &top);
	gp->kind = (uint8_t)args->kind;
	gp->wait_reason = WAIT_NONE;
	gp->wait_since = sched_coarse_now();
	gp->defers = NULL;
	gp->name = NULL;
	gp->creator_pc = args->pc;
	gp->creator_goid = parent ? parent->goid : 0;
	gp->locals = NULL;
	gp->nopreempt = 0;
	inherit_ctx(gp, parent, args->ctx);
	inherit_labels(gp, parent);
	if (rg_unlikely(args->bubble))
		bubble_join(args->bubble, gp);
	else if (rg_unlikely(parent && parent->bubble) && gp->kind == G_USER)
		bubble_join(parent->bubble, gp);
	init_flow(gp, top);
	g_set_state(gp, G_RUNNABLE);
}

static int class_for(size_t stack_size)
{
	return stack_size ? spawn_class_of(stack_size)
			  : (int)sched.default_class;
}

/* A record with its stack, used before or fresh. */
static int get_g(struct p *pp, unsigned class_index, struct g **out)
{
	*out = gfree_get(pp, class_index);
	if (!*out)
		return fresh_g(class_index, out);
	san_new_memory((*out)->stack_lo,
		       (size_t)((char *)(*out + 1) - (char *)(*out)->stack_lo));
	return 0;
}

static int copy_name(const char *from, char **to)
{
	*to = NULL;
	if (!from)
		return 0;
	*to = rgk_alloc(NAME_MAX_LEN);
	if (!*to)
		return -ENOMEM;
	snprintf(*to, NAME_MAX_LEN, "%s", from);
	return 0;
}

static int new_g(struct p *pp, const struct sched_go_args *args,
		 struct g *parent, struct g **out)
{
	int class_index = class_for(args->stack_size);
	char *name;
	int err;

	if (class_index < 0)
		return -ENOMEM;
	err = racelimit_take();
	if (err)
		return err;
	err = copy_name(args->name, &name);
	if (err)
		goto give;
	err = get_g(pp, (unsigned)class_index, out);
	if (err)
		goto free_name;
	init_g(*out, args, parent);
	(*out)->name = name;
	(*out)->goid = new_goid(pp);
	name_flow(*out);
	if (args->kind == G_USER)
		count_born(pp);
	return 0;

free_name:
	rgk_free(name);
give:
	racelimit_give();
	return err;
}

/*
 * In its first run: it was born, has not stopped since, and spawns. Its children are
 * newborns (runq.h): they are done with before what was there, youngest first. Those
 * of others, an accept loop's say, wait their turn behind who is ready, in order.
 */
static bool is_newborn_here(const struct p *pp)
{
	return pp->birth_tick ==
	       atomic_load_explicit(&pp->schedtick, memory_order_relaxed);
}

/* I4. Counted in this run of the spawning goroutine. */
static bool is_spawning_on(struct p *pp)
{
	uint32_t tick =
		atomic_load_explicit(&pp->schedtick, memory_order_relaxed);

	if (pp->spawn_tick != tick) {
		pp->spawn_tick = tick;
		pp->spawn_count = 0;
	}
	return ++pp->spawn_count >= SPAWN_RUN_MAX;
}

/* old was to run next and is not any more. */
static void put_displaced(struct m *mp, struct g *old, bool may_yield)
{
	struct p *pp = mp->p;

	if (!is_newborn_here(pp) || !coro_is_new(&old->ctx) ||
	    !runq_bear(&pp->runq, old))
		sched_put_tail(pp, old);
	wake_p();
	if (rg_unlikely(is_spawning_on(pp)) && may_yield && mp->curg != &mp->g0)
		sched_yield_g();
}

int sched_go(const struct sched_go_args *args)
{
	struct m *mp = getm();
	struct p *pp = mp ? mp->p : NULL;
	struct g *gp, *old;
	int err;

	if (rg_unlikely(!mp)) {
		forked_check();
		if (!sched_is_on())
			return -ESRCH;
	}
	if (rg_unlikely(args->copy > COPY_MAX))
		return -EINVAL;
	err = new_g(pp, args, pp ? mp->curg : NULL, &gp);
	if (rg_unlikely(err))
		return err;
	if (rg_unlikely(!pp)) {
		global_put_one(gp);
		return 0;
	}
	old = runq_set_next(&pp->runq, gp);
	if (old)
		put_displaced(mp, old, args->kind == G_USER);
	return 0;
}

int sched_go_system(void (*fn)(void *arg), void *arg, const char *name)
{
	struct sched_go_args args = {
		.fn = fn,
		.arg = arg,
		.name = name,
		.pc = (uintptr_t)__builtin_return_address(0),
		.kind = G_SYSTEM};

	return sched_go(&args);
}

int spawn_main(void (*fn)(void *arg), void *arg)
{
	struct sched_go_args args = {
		.fn = fn, .arg = arg, .name = "main", .kind = G_USER};
	struct g *gp;
	int err = new_g(NULL, &args, NULL, &gp);

	if (err)
		return err;
	if (seed_is_on())
		global_put_one(gp);
	else
		lockthread_begin_main(getm(), gp);
	return 0;
}

/* ---- death ---- */

static void free_owned(struct g *gp)
{
	struct labels *labels;
	char *name = gp->name;

	while (gp->defers) {
		struct g_defer *d = gp->defers;

		gp->defers = d->next;
		if (d->fn == labels_restore)
			labels_unref(d->arg);
		rgk_free(d);
	}
	/* First not to be found any more, then freed: a dump may freeze us in
	 * between. */
	gp->name = NULL;
	rgk_free(name);
	if (gp->ctx_bound) {
		sched.hooks.ctx_release(gp->ctx_bound);
		gp->ctx_bound = NULL;
		gp->token = NULL;
	}
	rgk_free(gp->locals);
	gp->locals = NULL;
	labels = labels_of(gp);
	/* Relaxed: before the release in labels_unref (labels.h, I2). */
	atomic_store_explicit(&gp->labels, NULL, memory_order_relaxed);
	labels_unref(labels);
}

/* To ThreadSanitizer the end of the runtime comes after all that goroutines did, be
 * they over or left over. */
static char all_ended;

static bool forget(struct g *gp, void *arg)
{
	(void)arg;
#if RG_TSAN
	if (gp->ctx.fiber) {
		void *flow = san_flow_on(gp->ctx.fiber);

		san_release(&all_ended);
		san_flow_back(flow);
		racelimit_give();
	}
#endif
	if (gp->bubble)
		bubble_forget(gp);
	/* Whoever waits in a token is a goroutine that is abandoned now; the
	 * token may live on. */
	if (gp->token)
		list_init(&gp->token->waiters);
	free_owned(gp);
	coro_fini(&gp->ctx);
	return true;
}

void spawn_forget_all(void)
{
	sched_each_g(forget, NULL);
	san_acquire(&all_ended);
}

static RG_CALLS_USER void run_defers(struct g *gp)
{
	while (gp->defers) {
		struct g_defer *d = gp->defers;
		void (*fn)(void *arg) = d->fn;
		void *arg = d->arg;

		gp->defers = d->next;
		rgk_free(d);
		fn(arg);
	}
}

/* The end of gp, on its own stack. */
static void finish_g(struct g *gp)
{
	struct m *mp;

	run_defers(gp);
	while (rg_unlikely(gp->locals != NULL)) {
		local_end(gp);
		run_defers(gp);
	}
	if (rg_unlikely(gp->name || gp->ctx_bound || labels_of(gp)))
		free_owned(gp);
	if (rg_unlikely(gp->goid == 1))
		sched.main_exited = true;
	san_release(&all_ended);
	mp = getm();
	if (rg_unlikely(!mp))
		forked_refuse(); /* there is nothing to go back to */
	if (rg_likely(gp->kind == G_USER))
		add_relaxed(&mp->p->ended);
	if (rg_unlikely(gp->bubble))
		bubble_leave(gp);
	proc_exit_g(mp, gp);
}

RG_CALLS_USER void rg_exit(void)
{
	if (rg_unlikely(!is_goroutine())) {
		forked_check();
		rg_panic("rg_exit outside a goroutine");
	}
	finish_g(getg());
}

void rg_defer(void (*fn)(void *), void *arg)
{
	struct g_defer *d;

	if (!is_goroutine())
		rg_panic("rg_defer outside a goroutine");
	d = rgk_alloc(sizeof *d);
	if (!d)
		rg_panic("rg_defer: out of memory");
	defer_put(d, fn, arg);
}

void defer_put(struct g_defer *d, void (*fn)(void *arg), void *arg)
{
	struct g *gp = getg();

	*d = (struct g_defer){gp->defers, fn, arg};
	gp->defers = d;
}

/* Others may have been put before it. */
void defer_take(struct g_defer *d)
{
	struct g_defer **at = &getg()->defers;

	while (*at && *at != d)
		at = &(*at)->next;
	RG_ASSERT(*at == d);
	*at = d->next;
	rgk_free(d);
}

/* ---- public ---- */

int rg_go(void (*fn)(void *arg), void *arg)
{
	struct sched_go_args args = {
		.fn = fn,
		.arg = arg,
		.pc = (uintptr_t)__builtin_return_address(0)};

	sched_point();
	return sched_go(&args);
}

int rg_go_copy(void (*fn)(void *arg), const void *arg, size_t size)
{
	struct sched_go_args args = {
		.fn = fn,
		.arg = arg,
		.copy = size,
		.pc = (uintptr_t)__builtin_return_address(0)};

	sched_point();
	return sched_go(&args);
}

int rg_go_with(const rg_go_options *options, void (*fn)(void *), void *arg)
{
	struct sched_go_args args = {
		.fn = fn,
		.arg = arg,
		.stack_size = options ? options->stack_size : 0,
		.name = options ? options->name : NULL,
		.ctx = options ? options->ctx : NULL,
		.pc = (uintptr_t)__builtin_return_address(0)};

	sched_point();
	return sched_go(&args);
}
